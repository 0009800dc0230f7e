// SPDX-License-Identifier: Apache-2.0
#include "media/mapping_query.hpp"

#include <gtest/gtest.h>

#include <set>

namespace godwit::media {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Endpoint kServer{IpAddress::v4(198, 51, 100, 1), 3478};
const Endpoint kOther{IpAddress::v4(198, 51, 100, 2), 3478};
const Endpoint kMapped{IpAddress::v4(203, 0, 113, 5), 40'000};
constexpr TimePoint kStart{seconds(100)};

Buffer answer_to(const MappingQuery::Request& request, const std::optional<Endpoint>& mapped) {
  auto message = *wire::parse_stun(request.bytes);
  message.message_class = wire::StunClass::Success;
  message.mapped = mapped;
  return *wire::build_stun(message);
}

class MappingQueryTest : public ::testing::Test {
 protected:
  std::vector<MappingQuery::Request> start(const std::vector<Endpoint>& servers) {
    query_.start(servers, milliseconds(100), random_, kStart);
    return query_.on_timeout(kStart);
  }
  SeededRandom random_{7};
  MappingQuery query_;
};

TEST_F(MappingQueryTest, TheFirstAnswerEndsIt) {
  const auto asked = start({kServer});
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].server, kServer);
  const auto answer =
      query_.on_packet(kServer, answer_to(asked[0], kMapped), kStart + milliseconds(40));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->mapped, kMapped);
  EXPECT_TRUE(answer->first);
  EXPECT_EQ(answer->round_trip, milliseconds(40));
  EXPECT_FALSE(query_.next());
  EXPECT_FALSE(query_.take_failure());
  EXPECT_FALSE(query_.on_packet(kServer, answer_to(asked[0], kMapped), kStart)) << "once only";
}

TEST_F(MappingQueryTest, ASilentServerIsAskedFiveTimesAndGivenUp) {
  start({kServer});
  std::vector<Duration> sent;
  while (const auto at = query_.next()) {
    if (!query_.on_timeout(*at).empty()) sent.push_back(*at - kStart);
    ASSERT_LT(*at, kStart + seconds(60));
  }
  EXPECT_EQ(sent, (std::vector<Duration>{milliseconds(100), milliseconds(300), milliseconds(700),
                                         milliseconds(1500)}));
  EXPECT_TRUE(query_.take_failure());
  EXPECT_FALSE(query_.take_failure());
}

TEST_F(MappingQueryTest, TheFirstWaitHasItsBounds) {
  for (const auto& [wanted, used] : {std::pair<Duration, Duration>{seconds(0), milliseconds(100)},
                                     {seconds(9), milliseconds(500)}}) {
    query_.start({kServer}, wanted, random_, kStart);
    (void)query_.on_timeout(kStart);
    EXPECT_EQ(query_.next(), kStart + used);
  }
}

TEST_F(MappingQueryTest, OnlyTheServerAskedAndItsTransactionCount) {
  const auto asked = start({kServer});
  const Buffer good = answer_to(asked[0], kMapped);
  EXPECT_FALSE(query_.on_packet(kOther, good, kStart)) << "another server";
  Buffer wrong = good;
  wrong[10] ^= 1;  // The transaction id.
  EXPECT_FALSE(query_.on_packet(kServer, wrong, kStart));
  EXPECT_FALSE(query_.on_packet(kServer, asked[0].bytes, kStart)) << "a request";
  EXPECT_FALSE(query_.on_packet(kServer, Buffer{0, 1, 2}, kStart));
  EXPECT_TRUE(query_.on_packet(kServer, good, kStart)) << "all of that has changed nothing";
}

TEST_F(MappingQueryTest, WhatNobodyCouldSendToIsNotBelieved) {
  for (const char* text :
       {"0.0.0.0:5", "224.0.0.1:5", "255.255.255.255:5", "127.0.0.1:5", "192.0.2.1:0",
        "169.254.1.1:5", "[fe80::1]:5", "[::]:5", "[ff02::1]:5"}) {
    const auto asked = start({kServer});
    EXPECT_FALSE(query_.on_packet(kServer, answer_to(asked[0], Endpoint::parse(text)), kStart))
        << text;
    EXPECT_TRUE(query_.take_failure()) << text;
    EXPECT_FALSE(query_.next());
  }
  const auto asked = start({kServer});
  EXPECT_FALSE(query_.on_packet(kServer, answer_to(asked[0], std::nullopt), kStart));
  EXPECT_TRUE(query_.take_failure());
}

TEST_F(MappingQueryTest, AServerThatRefusesLeavesTheOthers) {
  const auto asked = start({kServer, kOther});
  ASSERT_EQ(asked.size(), 2U);
  auto refusal = *wire::parse_stun(asked[0].bytes);
  refusal.message_class = wire::StunClass::Error;
  refusal.error = wire::StunError{500, "no"};
  EXPECT_FALSE(query_.on_packet(kServer, *wire::build_stun(refusal), kStart));
  EXPECT_FALSE(query_.take_failure());
  const auto again = query_.on_timeout(*query_.next());
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].server, kOther);
  const auto answer = query_.on_packet(kOther, answer_to(again[0], kMapped), *query_.next());
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->round_trip) << "of a repeated request";
}

TEST_F(MappingQueryTest, AFurtherServersAnswerIsToldApart) {
  const auto asked = start({kServer, kOther});
  EXPECT_TRUE(query_.on_packet(kServer, answer_to(asked[0], kMapped), kStart)->first);
  const auto second = query_.on_packet(kOther, answer_to(asked[1], kMapped), kStart);
  ASSERT_TRUE(second);
  EXPECT_FALSE(second->first);
}

TEST_F(MappingQueryTest, NoMoreThanFourServersAreAsked) {
  const auto asked = start(std::vector<Endpoint>(9, kServer));
  EXPECT_EQ(asked.size(), MappingQuery::kMaxServers);
  std::set<wire::StunTransactionId> ids;
  for (const auto& one : asked) ids.insert(wire::parse_stun(one.bytes)->transaction);
  EXPECT_EQ(ids.size(), asked.size());
  query_.start({}, milliseconds(100), random_, kStart);
  EXPECT_FALSE(query_.next());
}

}  // namespace
}  // namespace godwit::media
