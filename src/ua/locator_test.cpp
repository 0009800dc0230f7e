// SPDX-License-Identifier: Apache-2.0
#include "ua/locator.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class LocatorTest : public ::testing::Test {
 protected:
  /// The questions put since the last call.
  std::vector<Query> questions() {
    std::vector<Query> result;
    for (; !outputs.empty(); outputs.pop_front()) {
      if (const auto* query = std::get_if<Query>(&outputs.front())) result.push_back(*query);
      if (std::get_if<RenewResolver>(&outputs.front()) != nullptr) ++renewals;
    }
    return result;
  }
  void give(const Query& query, const DnsAnswer& answer) {
    EXPECT_TRUE(locator.on_answer(query.query, answer, now));
  }
  LocationId locate(const char* host, std::optional<std::uint16_t> port = {}) {
    return *locator.locate({host, port, {}, false}, {}, now);
  }
  static DnsAnswer address(const char* text, int ttl = 100) {
    return {DnsFailure::None, {{*IpAddress::parse(text), seconds(ttl)}}, {}, {}};
  }
  static DnsAnswer nothing() { return {DnsFailure::NoData, {}, seconds(60), {}}; }

  TimePoint now = TimePoint() + hours(1);
  SeededRandom random{1};
  std::deque<Output> outputs;
  Locator locator{random, outputs};
  int renewals = 0;
};

TEST_F(LocatorTest, SharesQuestionsAndAnswers) {
  const LocationId first = locate("a.example", 5060);
  const LocationId second = locate("a.example", 5060);
  const auto asked = questions();
  ASSERT_EQ(asked.size(), 2U) << "AAAA and A, once for both";
  EXPECT_FALSE(locator.poll());
  give(asked[0], nothing());
  give(asked[1], address("192.0.2.1"));
  EXPECT_FALSE(locator.on_answer(asked[1].query, address("192.0.2.66"), now)) << "answered twice";
  const auto one = locator.poll();
  const auto other = locator.poll();
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->id, first);
  EXPECT_EQ(other->id, second);
  EXPECT_EQ(other->targets.at(0).endpoint.address, IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(one->fresh_until, now + seconds(60)) << "until which there is no AAAA record";

  now += seconds(59);
  locate("a.example", 5060);
  EXPECT_TRUE(questions().empty()) << "remembered, also that there is nothing";
  EXPECT_TRUE(locator.poll());
  now += seconds(2);
  locate("a.example", 5060);
  EXPECT_EQ(questions().size(), 1U) << "AAAA only";
}

TEST_F(LocatorTest, WaitsFiftyMillisecondsForTheOtherFamily) {  // RFC 8305 §3.
  const LocationId id = locate("a.example", 5060);
  const auto asked = questions();
  give(asked[1], address("192.0.2.1"));
  EXPECT_FALSE(locator.poll());
  ASSERT_EQ(locator.next_timeout(), now + std::chrono::milliseconds(50));
  now += std::chrono::milliseconds(50);
  locator.on_timeout(now);
  auto located = locator.poll();
  ASSERT_TRUE(located);
  EXPECT_FALSE(located->final);
  EXPECT_EQ(located->targets.size(), 1U);
  EXPECT_FALSE(locator.next_timeout());
  give(asked[0], address("2001:db8::1"));
  located = locator.poll();
  ASSERT_TRUE(located);
  EXPECT_TRUE(located->final);
  EXPECT_EQ(located->id, id);
  EXPECT_EQ(located->targets.size(), 2U);
}

TEST_F(LocatorTest, LosesPatienceWithNaptrAndSrv) {
  locate("a.example");
  ASSERT_EQ(questions().at(0).question.type, DnsType::Naptr);
  now += Locator::kPatience;
  locator.on_timeout(now);
  ASSERT_EQ(questions().at(0).question.type, DnsType::Srv);
  now += Locator::kPatience;
  locator.on_timeout(now);
  const auto asked = questions();
  ASSERT_EQ(asked.size(), 2U);
  give(asked[0], nothing());
  give(asked[1], address("192.0.2.1"));
  EXPECT_EQ(locator.poll().value().targets.size(), 1U);
}

TEST_F(LocatorTest, RenewalForgetsAndAsksAnew) {
  locate("a.example", 5060);
  auto asked = questions();
  give(asked[0], nothing());
  give(asked[1], address("192.0.2.1"));
  ASSERT_TRUE(locator.poll());
  const LocationId pending = locate("b.example", 5060);
  const auto old = questions();
  locator.renew(now);
  asked = questions();
  EXPECT_EQ(renewals, 1);
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_FALSE(locator.on_answer(old[0].query, address("192.0.2.66"), now)) << "of the old network";
  give(asked[0], nothing());
  give(asked[1], address("192.0.2.2"));
  EXPECT_EQ(locator.poll().value().id, pending);
  locate("a.example", 5060);
  EXPECT_EQ(questions().size(), 2U) << "nothing of the old network is remembered";
}

TEST_F(LocatorTest, CancelledLookUpsAreNotTold) {
  const LocationId id = locate("a.example", 5060);
  const auto asked = questions();
  locator.cancel(id);
  give(asked[0], nothing());
  give(asked[1], address("192.0.2.1"));
  EXPECT_FALSE(locator.poll());
  EXPECT_FALSE(locator.next_timeout());
}

TEST_F(LocatorTest, PassesOverFailedServersForLongerEachTime) {
  const sip::Target server{sip::Transport::Udp, {IpAddress::v4(192, 0, 2, 1), 5060}, "a", 0};
  EXPECT_FALSE(locator.is_down(server, now));
  Duration expected = Locator::kDown;
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(locator.note_failure(server, {}, now), now + expected);
    EXPECT_EQ(locator.note_failure(server, {}, now), now + expected) << "the same failure";
    EXPECT_TRUE(locator.is_down(server, now));
    EXPECT_EQ(locator.next_timeout(), now + expected);
    now += expected;
    EXPECT_TRUE(locator.on_timeout(now)) << "it is due back";
    EXPECT_FALSE(locator.on_timeout(now)) << "told once";
    EXPECT_FALSE(locator.is_down(server, now));
    expected = std::min<Duration>(expected * 2, Locator::kMaxDown);
  }
  locator.note_success(server.transport, server.endpoint);
  EXPECT_EQ(locator.note_failure(server, {}, now), now + Locator::kDown);
  locator.note_success(server.transport, server.endpoint);
  EXPECT_EQ(locator.note_failure(server, seconds(300), now), now + seconds(300));
  EXPECT_EQ(locator.note_failure(server, hours(900), now), now + Locator::kMaxRetryAfter);
}

TEST_F(LocatorTest, RemembersABoundedNumberOfFailures) {
  for (std::uint16_t port = 1; port <= 2 * Locator::kMaxFailures; ++port) {
    locator.note_failure({sip::Transport::Udp, {IpAddress::v4(192, 0, 2, 1), port}, "a", 0}, {},
                         now);
    now += seconds(1) / 8;
  }
  std::size_t down = 0;
  for (std::uint16_t port = 1; port <= 2 * Locator::kMaxFailures; ++port) {
    down +=
        locator.is_down({sip::Transport::Udp, {IpAddress::v4(192, 0, 2, 1), port}, "a", 0}, now);
  }
  EXPECT_EQ(down, Locator::kMaxFailures);
}

TEST(DnsCache, BoundsTimesAndEntries) {
  DnsCache cache;
  const TimePoint now = TimePoint() + hours(1);
  const DnsRecord record{IpAddress::v4(192, 0, 2, 1), hours(24 * 365)};
  const DnsQuestion question{"a", DnsType::A};
  cache.store(question, {DnsFailure::None, {record}, {}, {}}, now);
  EXPECT_TRUE(cache.find(question, now + hours(23)));
  EXPECT_FALSE(cache.find(question, now + hours(24)));
  cache.store(question, {DnsFailure::NoSuchName, {}, hours(24), {}}, now);
  EXPECT_TRUE(cache.find(question, now + minutes(4)));
  EXPECT_FALSE(cache.find(question, now + minutes(5)));
  cache.store(question, {DnsFailure::NoData, {}, {}, {}}, now);
  EXPECT_FALSE(cache.find(question, now + DnsCache::kDefaultNegativeTtl));
  cache.store(question, {DnsFailure::Timeout, {}, {}, {}}, now);
  EXPECT_TRUE(cache.find(question, now + seconds(4)));
  EXPECT_FALSE(cache.find(question, now + seconds(5)));
  cache.store(question, {DnsFailure::None, {{IpAddress::v4(192, 0, 2, 1), seconds(0)}}, {}, {}},
              now);
  EXPECT_FALSE(cache.find(question, now)) << "a time of 0 is for the asker only";
  for (int i = 0; i < 1000; ++i) {
    cache.store({"n" + std::to_string(i), DnsType::A}, {DnsFailure::None, {record}, {}, {}}, now);
  }
  EXPECT_EQ(cache.size(), DnsCache::kMaxEntries);
}

}  // namespace
}  // namespace godwit::ua
