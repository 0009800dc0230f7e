// SPDX-License-Identifier: Apache-2.0
#include "ua/stun_servers.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

class StunServersTest : public ::testing::Test {
 protected:
  /// The questions asked since the last time.
  std::vector<Query> questions() {
    std::vector<Query> found;
    for (const Output& output : std::exchange(outputs_, {}))
      found.push_back(std::get<Query>(output));
    return found;
  }
  static DnsAnswer address(const char* text) {
    DnsAnswer answer;
    answer.records.push_back({*IpAddress::parse(text), std::chrono::seconds(60)});
    return answer;
  }
  static DnsAnswer nothing() {
    DnsAnswer answer;
    answer.failure = DnsFailure::NoSuchName;
    return answer;
  }
  std::deque<Output> outputs_;
};

TEST_F(StunServersTest, LiteralsNeedNoName) {
  StunServers servers({"192.0.2.1", "[2001:db8::1]:5000"}, outputs_);
  servers.look_up();
  EXPECT_TRUE(questions().empty());
  EXPECT_EQ(servers.of(Family::V4), (std::vector<Endpoint>{*Endpoint::parse("192.0.2.1:3478")}));
  EXPECT_EQ(servers.of(Family::V6),
            (std::vector<Endpoint>{*Endpoint::parse("[2001:db8::1]:5000")}));
  EXPECT_TRUE(servers.complaints().empty());
}

TEST_F(StunServersTest, SrvFirstThenAddresses) {
  StunServers servers({"example.org"}, outputs_);
  servers.look_up();
  const auto srv = questions();
  ASSERT_EQ(srv.size(), 1U);
  EXPECT_EQ(srv[0].question, (DnsQuestion{"_stun._udp.example.org", DnsType::Srv}));
  DnsAnswer answer;
  answer.records.push_back({SrvRecord{20, 0, 1, "worse.example.org"}, std::chrono::seconds(60)});
  answer.records.push_back({SrvRecord{10, 0, 5349, "s.example.org"}, std::chrono::seconds(60)});
  answer.records.push_back({SrvRecord{1, 0, 5, ""}, std::chrono::seconds(60)});
  EXPECT_TRUE(servers.on_answer(srv[0].query, answer));
  const auto hosts = questions();
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_EQ(hosts[0].question, (DnsQuestion{"s.example.org", DnsType::A}));
  EXPECT_TRUE(servers.on_answer(hosts[0].query, address("192.0.2.9")));
  EXPECT_TRUE(servers.on_answer(hosts[1].query, address("2001:db8::9")));
  EXPECT_EQ(servers.of(Family::V4), (std::vector<Endpoint>{*Endpoint::parse("192.0.2.9:5349")}));
  EXPECT_EQ(servers.of(Family::V6).size(), 1U);
  EXPECT_FALSE(servers.on_answer(hosts[0].query, address("192.0.2.66"))) << "answered already";
}

TEST_F(StunServersTest, WithoutSrvTheNameIsTheHost) {
  StunServers servers({"stun.example.org", "other.example.org:4000"}, outputs_);
  servers.look_up();
  const auto first = questions();
  ASSERT_EQ(first.size(), 3U);  // SRV of the first, A and AAAA of the second, which has a port.
  EXPECT_TRUE(servers.on_answer(first[0].query, nothing()));
  const auto hosts = questions();
  ASSERT_EQ(hosts.size(), 2U);
  EXPECT_TRUE(servers.on_answer(hosts[0].query, address("192.0.2.1")));
  EXPECT_TRUE(servers.on_answer(first[1].query, address("192.0.2.2")));
  EXPECT_EQ(servers.of(Family::V4), (std::vector<Endpoint>{*Endpoint::parse("192.0.2.1:3478"),
                                                           *Endpoint::parse("192.0.2.2:4000")}));
}

TEST_F(StunServersTest, WhatIsKnownOutlivesANewLookUp) {
  StunServers servers({"stun.example.org:3478"}, outputs_);
  servers.look_up();
  const auto first = questions();
  EXPECT_TRUE(servers.on_answer(first[0].query, address("192.0.2.1")));
  servers.look_up();
  EXPECT_EQ(servers.of(Family::V4).size(), 1U);
  const auto second = questions();
  EXPECT_FALSE(servers.on_answer(first[1].query, address("2001:db8::1"))) << "of the old network";
  EXPECT_TRUE(servers.on_answer(second[0].query, nothing()));
  EXPECT_EQ(servers.of(Family::V4).size(), 1U) << "better than nothing";
}

TEST_F(StunServersTest, WhatCannotBeUsedIsSaid) {
  StunServers servers({"a b", "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5"}, outputs_);
  EXPECT_EQ(servers.complaints().size(), 2U);
  EXPECT_EQ(servers.of(Family::V4).size(), StunServers::kMaxServers);
  EXPECT_FALSE(StunServers({}, outputs_).any());
}

}  // namespace
}  // namespace godwit::ua
