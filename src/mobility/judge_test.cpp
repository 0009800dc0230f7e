// SPDX-License-Identifier: Apache-2.0
#include "mobility/judge.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::endpoint;
using test::ip;
using test::Net;

NetworkSnapshot both(std::uint32_t wlan_metric = 100) {
  return Net()
      .link(2, "wlan0")
      .address("10.1.0.2/24")
      .gateway("10.1.0.1", wlan_metric)
      .link(3, "wwan0")
      .address("10.2.0.2/24")
      .gateway("10.2.0.1", 200);
}
NetworkSnapshot wlan(const char* identity = "") {
  return Net()
      .link(2, "wlan0")
      .address("10.1.0.2/24")
      .gateway("10.1.0.1", 100)
      .identity(identity)
      .link(3, "wwan0");
}
NetworkSnapshot wwan() {
  return Net().link(2, "wlan0").link(3, "wwan0").address("10.2.0.2/24").gateway("10.2.0.1", 200);
}
NetworkSnapshot none() { return Net().link(2, "wlan0").link(3, "wwan0"); }

// A judge, a clock, and one call that is moved as a good recovery would.
class JudgeTest : public testing::Test {
 protected:
  JudgeTest() {
    Use call;
    call.id = UseId(1);
    call.kind = UseKind::Call;
    call.path = Path{2, "wlan0", ip("10.1.0.2")};
    call.remote = endpoint("192.0.2.1:5060");
    uses.push_back(call);
  }

  void see(NetworkSnapshot snapshot) {
    judge.on_snapshot(std::move(snapshot), uses, now);
    recover();
  }
  // Lets time pass, with the judge's timers.
  void pass(Duration duration) {
    const TimePoint end = now + duration;
    while (const auto next = judge.next_timeout()) {
      if (*next > end) break;
      ASSERT_GE(*next, now);
      now = *next;
      judge.on_timeout(uses, now);
      recover();
      ASSERT_TRUE(!judge.next_timeout() || *judge.next_timeout() > now) << "a timer that spins";
    }
    now = end;
  }
  void recover() {
    const auto change = judge.poll();
    if (!change) return;
    const RecoveryPlan result = plan(change->snapshot, change->delta, uses, judge.policy());
    if (!log.empty()) log += "; ";
    log += std::to_string(change->generation.value()) + '@' +
           std::to_string((now - kStart) / milliseconds(1)) + ' ';
    if (change->detected_at != now) {
      log += "since " + std::to_string((change->detected_at - kStart) / milliseconds(1)) + ' ';
    }
    const std::string causes = change->delta.describe();
    log += causes.substr(0, causes.find(':')) + " -> ";
    log += result.empty() ? "nothing" : to_string(result.rows.front().mode);
    for (const PlanRow& row : result.rows) {
      for (Use& use : uses) {
        if (use.id != row.use) continue;
        use.suspended = row.mode == Mode::Suspend;
        if (row.to) use.path = *row.to;
      }
    }
    EXPECT_EQ(judge.poll(), std::nullopt);
  }

  static constexpr TimePoint kStart{seconds(100)};
  TimePoint now = kStart;
  Judge judge;
  std::vector<Use> uses;
  std::string log;
};

TEST_F(JudgeTest, the_first_snapshot_is_where_it_starts) {
  see(both());
  pass(seconds(60));
  EXPECT_EQ(log, "");
  EXPECT_EQ(judge.next_timeout(), std::nullopt);
  EXPECT_EQ(judge.current(), both());
}

TEST_F(JudgeTest, uses_that_waited_for_the_first_snapshot_resume) {
  uses[0].suspended = true;
  see(both());
  EXPECT_EQ(log, "1@0 RouteToRemoteMoved -> resume");
}

TEST_F(JudgeTest, with_another_path_it_acts_at_once) {
  see(both());
  pass(seconds(1));
  see(wwan());
  EXPECT_EQ(log, "1@1000 AddressLost DefaultRouteMoved -> break");
  pass(seconds(60));
  EXPECT_EQ(log, "1@1000 AddressLost DefaultRouteMoved -> break");
}

TEST_F(JudgeTest, without_another_path_it_waits_for_the_address_to_come_back) {
  see(wlan());
  pass(seconds(1));
  see(none());
  EXPECT_EQ(judge.next_timeout(), now + kReaddWait);
  pass(milliseconds(149));
  see(wlan());
  pass(seconds(60));
  EXPECT_EQ(log, "");
}

TEST_F(JudgeTest, more_messages_do_not_prolong_the_wait) {
  see(wlan());
  for (int i = 0; i < 10; ++i) {
    see(none());
    pass(milliseconds(20));
  }
  EXPECT_EQ(log, "1@150 since 0 AddressLost NetworkLost -> suspend");
}

TEST_F(JudgeTest, another_address_within_the_wait_is_taken_at_once) {
  see(wlan());
  see(none());
  pass(milliseconds(40));
  see(Net().link(2, "wlan0").address("10.1.0.9/24").gateway("10.1.0.1", 100).link(3, "wwan0"));
  EXPECT_EQ(log, "1@40 since 0 AddressLost AddressGained -> break");
}

// Seen in the laboratory: `ip addr del` and `ip route replace` in one batch, and a snapshot
// between.
TEST_F(JudgeTest, a_route_that_borrows_an_address_is_given_time_to_move) {
  uses[0].path = Path{2, "wlan0", ip("fd00:1::2")};
  uses[0].remote = endpoint("[fd00:9::1]:5060");
  const auto gone = [](std::uint32_t route_by) {
    return Net()
        .link(2, "wlan0")
        .link(3, "wwan0")
        .address("fd00:2::2/64")
        .route("fd00:9::1", route_by, "fd00:2::2");
  };
  see(Net()
          .link(2, "wlan0")
          .address("fd00:1::2/64")
          .link(3, "wwan0")
          .address("fd00:2::2/64")
          .route("fd00:9::1", 2, "fd00:1::2"));
  see(gone(2));
  pass(milliseconds(3));
  EXPECT_EQ(log, "");
  see(gone(3));
  EXPECT_EQ(log, "1@3 since 0 AddressLost RouteToRemoteMoved -> break");
  EXPECT_EQ(uses[0].path, (Path{3, "wwan0", ip("fd00:2::2")}));
}

TEST_F(JudgeTest, a_route_that_goes_on_borrowing_an_address_is_meant_so) {
  uses[0].path = Path{2, "wlan0", ip("fd00:1::2")};
  uses[0].remote = endpoint("[fd00:9::1]:5060");
  see(Net()
          .link(2, "wlan0")
          .address("fd00:1::2/64")
          .link(3, "dummy0")
          .address("fd00:2::2/128")
          .route("fd00:9::1", 2, "fd00:1::2"));
  see(Net()
          .link(2, "wlan0")
          .link(3, "dummy0")
          .address("fd00:2::2/128")
          .route("fd00:9::1", 2, "fd00:2::2"));
  pass(seconds(1));
  EXPECT_EQ(log, "1@10 since 0 AddressLost RouteToRemoteMoved -> break");
}

TEST_F(JudgeTest, suspends_and_resumes_at_once_when_a_network_returns) {
  see(wlan());
  see(none());
  pass(seconds(5));
  see(wwan());
  EXPECT_EQ(log,
            "1@150 since 0 AddressLost NetworkLost -> suspend; "
            "2@5000 AddressGained NetworkReturned -> resume");
}

TEST_F(JudgeTest, a_better_network_is_given_time_to_come_up_whole) {
  uses[0].path = Path{3, "wwan0", ip("10.2.0.2")};
  see(wwan());
  pass(seconds(1));
  see(Net()  // The address is there, the route is not yet.
          .link(2, "wlan0")
          .address("10.1.0.2/24")
          .link(3, "wwan0")
          .address("10.2.0.2/24")
          .gateway("10.2.0.1", 200));
  pass(milliseconds(3));
  see(both());
  EXPECT_EQ(log, "");
  pass(seconds(1));
  EXPECT_EQ(log, "1@1010 since 1000 AddressGained DefaultRouteMoved -> make-before-break");
}

TEST_F(JudgeTest, a_better_network_that_goes_again_within_the_settling_time_never_was) {
  uses[0].path = Path{3, "wwan0", ip("10.2.0.2")};
  see(wwan());
  see(both());
  pass(milliseconds(9));
  see(wwan());
  pass(seconds(1));
  EXPECT_EQ(log, "");
}

TEST_F(JudgeTest, what_concerns_nobody_is_no_change) {
  see(both());
  see(wlan());  // Nobody was on wwan0.
  EXPECT_EQ(judge.next_timeout(), now + kSettle);
  pass(seconds(1));
  see(both());
  pass(seconds(1));
  uses.clear();
  see(none());
  pass(seconds(1));
  EXPECT_EQ(log, "");
  EXPECT_EQ(judge.generation(), Generation{});
  EXPECT_EQ(judge.next_timeout(), std::nullopt);
}

TEST_F(JudgeTest, flapping_is_joined_after_four_changes) {
  see(both());
  for (int i = 0; i < 50; ++i) {  // Every 100 ms the first network goes or comes.
    see(i % 2 == 0 ? wwan() : both());
    pass(milliseconds(100));
  }
  EXPECT_EQ(log,
            "1@0 AddressLost DefaultRouteMoved -> break; "
            "2@110 since 100 AddressGained DefaultRouteMoved -> make-before-break; "
            "3@200 AddressLost DefaultRouteMoved -> break; "
            "4@310 since 300 AddressGained DefaultRouteMoved -> make-before-break");
  log.clear();
  see(wwan());
  pass(seconds(20));  // The window of the first change ends at 10 000.
  EXPECT_EQ(log, "5@10000 since 5000 AddressLost DefaultRouteMoved -> break");
}

TEST_F(JudgeTest, flapping_that_ends_where_it_began_is_nothing_in_the_end) {
  see(both());
  for (int i = 0; i < 41; ++i) {
    see(i % 2 == 0 ? wwan() : both());
    pass(milliseconds(100));
  }
  log.clear();
  see(both());
  pass(seconds(20));
  EXPECT_EQ(log, "");
}

TEST_F(JudgeTest, another_network_with_the_same_address) {
  see(wlan("home"));
  see(wlan(""));  // The new gateway is not known yet.
  pass(milliseconds(50));
  see(wlan("cafe"));
  EXPECT_EQ(log, "1@50 SameAddressNewNetwork -> break");
}

TEST_F(JudgeTest, an_identity_that_is_learnt_late_is_no_change) {
  see(wlan("home"));
  see(Net().link(2, "wlan0").address("10.1.0.9/24").gateway("10.1.0.1", 100).link(3, "wwan0"));
  log.clear();
  pass(milliseconds(50));
  see(Net()
          .link(2, "wlan0")
          .identity("office")
          .address("10.1.0.9/24")
          .gateway("10.1.0.1", 100)
          .link(3, "wwan0"));
  pass(seconds(1));
  EXPECT_EQ(log, "");
}

TEST_F(JudgeTest, the_end_of_a_temporary_address_matters_to_who_is_on_it) {
  uses[0].path = Path{2, "wlan0", ip("2001:db8::a")};
  uses[0].remote = endpoint("[2001:db8:9::1]:5060");
  see(Net()
          .link(2, "wlan0")
          .address("2001:db8::a/64", "rd")
          .address("2001:db8::b/64", "r")
          .gateway("fe80::1", 1));
  see(Net().link(2, "wlan0").address("2001:db8::b/64", "r").gateway("fe80::1", 1));
  EXPECT_EQ(log, "1@0 AddressLost -> break");
}

TEST_F(JudgeTest, forced_acts_at_once_and_then_once_a_second) {
  see(both());
  EXPECT_EQ(judge.force(now), Generation(1));
  recover();
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(judge.force(now), Generation(2));
  recover();
  pass(milliseconds(400));
  EXPECT_EQ(judge.force(now), Generation(2));
  pass(seconds(30));
  EXPECT_EQ(log, "1@0 Forced -> refresh; 2@1000 since 0 Forced -> refresh");
  EXPECT_EQ(judge.force(now), Generation(3));
  recover();
  EXPECT_EQ(judge.generation(), Generation(3));
}

TEST_F(JudgeTest, forced_too_soon_is_joined_with_what_comes_by_itself) {
  see(both());
  judge.force(now);
  recover();
  pass(milliseconds(100));
  EXPECT_EQ(judge.force(now), Generation(2));
  see(wwan());
  pass(seconds(30));
  EXPECT_EQ(log, "1@0 Forced -> refresh; 2@100 AddressLost DefaultRouteMoved Forced -> break");
}

TEST_F(JudgeTest, forced_urgently_acts_at_once) {
  see(both());
  judge.force(now);
  recover();
  pass(milliseconds(100));
  judge.force(now);
  EXPECT_EQ(judge.force(now, true), Generation(2));
  recover();
  pass(seconds(30));
  EXPECT_EQ(log, "1@0 Forced -> refresh; 2@100 Forced -> refresh");
}

TEST_F(JudgeTest, forced_ones_count_as_changes) {
  see(both());
  for (int i = 0; i < 4; ++i) {
    judge.force(now);
    recover();
    pass(seconds(1));
  }
  log.clear();
  see(wwan());
  pass(seconds(30));
  EXPECT_EQ(log, "5@10000 since 4000 AddressLost DefaultRouteMoved -> break");
}

TEST_F(JudgeTest, forced_takes_what_was_waiting_with_it) {
  see(wlan());
  see(none());
  pass(milliseconds(20));
  judge.force(now);
  recover();
  pass(seconds(1));
  EXPECT_EQ(log, "1@20 since 0 AddressLost NetworkLost Forced -> suspend");
}

TEST_F(JudgeTest, forced_before_the_first_snapshot_is_kept) {
  EXPECT_EQ(judge.force(now), Generation(1));
  EXPECT_EQ(judge.force(now), Generation(1));
  recover();
  EXPECT_EQ(log, "");
  pass(milliseconds(30));
  see(both());
  EXPECT_EQ(log, "1@30 since 0 Forced -> refresh");
  EXPECT_EQ(judge.force(now), Generation(2));
}

TEST_F(JudgeTest, resumed_from_sleep_refreshes_or_moves) {
  judge.on_resumed(now);
  recover();
  EXPECT_EQ(log, "");  // Nothing was known before, so nothing was lost.
  see(both());
  judge.on_resumed(now);
  recover();
  EXPECT_EQ(log, "1@0 Resumed -> refresh");
}

TEST_F(JudgeTest, an_untaken_change_is_joined_with_the_next) {
  judge.on_snapshot(both(), uses, now);
  judge.on_snapshot(wwan(), uses, now);
  now += milliseconds(1);
  judge.force(now);
  const auto change = judge.poll();
  ASSERT_TRUE(change);
  EXPECT_EQ(change->generation, Generation(2));
  EXPECT_EQ(change->detected_at, kStart);
  EXPECT_TRUE(change->delta.has(ChangeCause::AddressLost));
  EXPECT_TRUE(change->delta.has(ChangeCause::Forced));
  EXPECT_FALSE(judge.poll());
}

}  // namespace
}  // namespace godwit::mobility
