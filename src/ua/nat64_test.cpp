// SPDX-License-Identifier: Apache-2.0
#include "ua/nat64.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

const Endpoint kServer{IpAddress::v4(192, 0, 2, 33), 5060};

class Nat64Test : public ::testing::Test {
 protected:
  QueryId asked() {
    const Query query = std::get<Query>(outputs_.back());
    EXPECT_EQ(query.question, (DnsQuestion{"ipv4only.arpa", DnsType::Aaaa}));
    outputs_.clear();
    return query.query;
  }
  static DnsAnswer shown(const char* prefix) {
    DnsAnswer answer;
    const auto made = *Nat64Prefix::make(*IpAddress::parse(prefix), 96);
    answer.records.push_back({made.embed(IpAddress::v4(192, 0, 0, 170)), std::chrono::seconds(60)});
    return answer;
  }
  static DnsAnswer failed(DnsFailure failure) {
    DnsAnswer answer;
    answer.failure = failure;
    return answer;
  }

  std::deque<Output> outputs_;
  Nat64 nat64_{outputs_};
};

TEST_F(Nat64Test, TranslatesThereAndBack) {
  EXPECT_EQ(nat64_.through(kServer), kServer) << "nothing is known yet";
  nat64_.look_up();
  const QueryId query = asked();
  EXPECT_FALSE(nat64_.on_answer(QueryId{1}, shown("64:ff9b::")));
  EXPECT_TRUE(nat64_.on_answer(query, shown("64:ff9b::")));
  const Endpoint translated{*IpAddress::parse("64:ff9b::c000:221"), 5060};
  EXPECT_EQ(nat64_.through(kServer), translated);
  EXPECT_EQ(nat64_.behind(translated), kServer);
  EXPECT_EQ(nat64_.original(translated), translated) << "nothing was sent there";
  EXPECT_EQ(nat64_.send_through(kServer), translated);
  EXPECT_EQ(nat64_.original(translated), kServer);
  const Endpoint native{*IpAddress::parse("2001:db8::1"), 5060};
  EXPECT_EQ(nat64_.through(native), native);
  EXPECT_EQ(nat64_.original(native), native);
  EXPECT_FALSE(nat64_.on_answer(query, shown("64:ff9b::"))) << "answered already";
}

TEST_F(Nat64Test, WhatWasSentThroughAnOldNetworkIsStillKnownByIt) {
  nat64_.look_up();
  (void)nat64_.on_answer(asked(), shown("64:ff9b::"));
  const Endpoint old = nat64_.send_through(kServer);
  nat64_.forget();
  EXPECT_FALSE(nat64_.prefix());
  EXPECT_EQ(nat64_.through(kServer), kServer);
  EXPECT_EQ(nat64_.behind(old), old);
  EXPECT_EQ(nat64_.original(old), kServer);
  nat64_.look_up();
  (void)nat64_.on_answer(asked(), shown("2001:db8:1::"));
  for (int i = 0; i < 300; ++i) {
    (void)nat64_.send_through({IpAddress::v4(10, 0, static_cast<std::uint8_t>(i / 250),
                                             static_cast<std::uint8_t>(i % 250)),
                               5060});
  }
  EXPECT_EQ(nat64_.original(old), old) << "bounded";
}

TEST_F(Nat64Test, ANetworkThatClaimsAServersOwnAddressesIsNotBelieved) {
  nat64_.look_up();
  (void)nat64_.on_answer(asked(), shown("2001:db8:aaaa::"));
  const Endpoint server{*IpAddress::parse("2001:db8:aaaa::10"), 5060};
  EXPECT_EQ(nat64_.original(server), server);
}

TEST_F(Nat64Test, NoAnswerIsNotANo) {
  nat64_.look_up();
  (void)nat64_.on_answer(asked(), shown("64:ff9b::"));
  nat64_.look_up();
  EXPECT_FALSE(nat64_.unanswered()) << "still asking";
  (void)nat64_.on_answer(asked(), failed(DnsFailure::Timeout));
  EXPECT_TRUE(nat64_.prefix()) << "what is known stays";
  EXPECT_TRUE(nat64_.unanswered());
  nat64_.look_up();
  (void)nat64_.on_answer(asked(), failed(DnsFailure::NoData));
  EXPECT_FALSE(nat64_.prefix());
  EXPECT_FALSE(nat64_.unanswered());
}

TEST_F(Nat64Test, AnAnnouncementGoesBeforeTheDns) {
  nat64_.look_up();
  const QueryId query = asked();
  nat64_.take(*Nat64Prefix::make(*IpAddress::parse("2001:db8:64::"), 96));
  EXPECT_FALSE(nat64_.is_asking());
  EXPECT_FALSE(nat64_.on_answer(query, shown("64:ff9b::"))) << "it is too late";
  EXPECT_EQ(nat64_.through(kServer).address, *IpAddress::parse("2001:db8:64::c000:221"));
}

}  // namespace
}  // namespace godwit::ua
