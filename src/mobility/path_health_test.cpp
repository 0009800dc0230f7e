// SPDX-License-Identifier: Apache-2.0
#include "mobility/path_health.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

namespace godwit::mobility {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = PathHealth::Event::Kind;

const Path kWifi{2, "wlan0", IpAddress::v4(10, 1, 0, 2)};
const Path kLte{3, "wwan0", IpAddress::v4(10, 2, 0, 2)};

class PathHealthTest : public ::testing::Test {
 protected:
  void at(Duration when) {
    while (const auto due = health.next_timeout()) {
      if (*due > TimePoint(when)) break;
      now = *due;
      health.on_timeout(now);
      note();
    }
    now = TimePoint(when);
    health.on_timeout(now);
    note();
  }
  void note() {
    while (const auto event = health.poll()) {
      switch (event->kind) {
        case Kind::Ask: told += "ask " + event->path.interface_name + "; "; break;
        case Kind::Review: told += "review; "; break;
        case Kind::Changed:
          told += std::string(event->cause ? godwit::to_string(*event->cause) : "proven") + " " +
                  event->path.interface_name + "; ";
          break;
      }
    }
  }
  std::string take() { return std::exchange(told, {}); }
  bool suspect(Duration round_trip = milliseconds(50), bool weak = false) {
    PathHealth::Suspicion suspicion;
    suspicion.path = kWifi;
    suspicion.alternative = kLte;
    suspicion.since = now - milliseconds(200);
    suspicion.round_trip = round_trip;
    suspicion.weak = weak;
    const bool taken = health.suspect(suspicion, now);
    note();
    return taken;
  }
  void answer(const Path& path) {
    health.on_answer(path, now);
    note();
  }

  PathHealth health;
  TimePoint now{seconds(1000)};
  std::string told;
};

TEST_F(PathHealthTest, there_but_not_here_is_a_dead_path) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  EXPECT_EQ(take(), "ask wlan0; ask wwan0; ");
  EXPECT_TRUE(health.is_suspected(kWifi));
  EXPECT_FALSE(suspect()) << "it is being asked";
  at(seconds(1000) + milliseconds(50));
  answer(kLte);
  EXPECT_EQ(take(), "") << "the other has its time";
  at(seconds(1000) + milliseconds(149));
  EXPECT_EQ(take(), "");
  at(seconds(1000) + milliseconds(150));
  EXPECT_EQ(take(), "MediaSilent wlan0; ");
  ASSERT_EQ(health.avoided().size(), 1U);
  EXPECT_EQ(health.avoided()[0].interface_index, 2U);
  EXPECT_EQ(health.avoided()[0].family, Family::V4);
}

TEST_F(PathHealthTest, patience_is_two_round_trips_and_more_for_weak_signs) {
  for (const auto& [round_trip, weak, patience] :
       {std::tuple(milliseconds(0), false, 150), std::tuple(milliseconds(200), false, 400),
        std::tuple(milliseconds(50), true, 600)}) {
    health = PathHealth{};
    at(seconds(1000));
    ASSERT_TRUE(suspect(round_trip, weak));
    answer(kLte);
    at(seconds(1000) + milliseconds(patience - 1));
    EXPECT_TRUE(health.avoided().empty());
    at(seconds(1000) + milliseconds(patience));
    EXPECT_FALSE(health.avoided().empty());
  }
}

TEST_F(PathHealthTest, an_answer_over_it_ends_the_matter_and_it_rests_longer_each_time) {
  at(seconds(1000));
  Duration from = seconds(1000);
  for (const int rest : {1, 2, 4, 8, 16, 30, 30}) {
    ASSERT_TRUE(suspect()) << rest;
    answer(kLte);
    answer(kWifi);
    EXPECT_EQ(take(), "ask wlan0; ask wwan0; ");
    at(from + seconds(rest) - milliseconds(1));
    EXPECT_FALSE(suspect());
    EXPECT_EQ(take(), "");
    at(from + seconds(rest));
    EXPECT_EQ(take(), "review; ");
    from += seconds(rest);
  }
  EXPECT_TRUE(health.avoided().empty());
  at(from + seconds(121));
  ASSERT_TRUE(suspect());
  answer(kWifi);
  from = now.time_since_epoch();
  at(from + seconds(1));
  EXPECT_TRUE(suspect()) << "forgotten after two good minutes";
}

TEST_F(PathHealthTest, audio_ends_a_suspicion_too) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  health.on_audio(kWifi, now);
  answer(kLte);
  at(seconds(1010));
  EXPECT_TRUE(health.avoided().empty());
  EXPECT_TRUE(suspect());
}

TEST_F(PathHealthTest, no_answer_anywhere_changes_nothing_and_is_asked_again_later_and_later) {
  at(seconds(1000));
  Duration from = seconds(1000);
  for (const int rest : {5, 10, 20, 40, 80, 120, 120}) {
    ASSERT_TRUE(suspect());
    (void)take();
    at(from + seconds(1));
    EXPECT_TRUE(health.avoided().empty());
    EXPECT_FALSE(suspect());
    at(from + seconds(1 + rest) - milliseconds(1));
    EXPECT_EQ(take(), "") << rest;
    at(from + seconds(1 + rest));
    EXPECT_EQ(take(), "review; ") << rest;
    from += seconds(1 + rest);
  }
}

TEST_F(PathHealthTest, a_late_answer_of_the_other_path_still_counts) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  at(seconds(1000) + milliseconds(700));
  answer(kLte);
  EXPECT_EQ(health.avoided().size(), 1U);
}

TEST_F(PathHealthTest, what_was_given_up_is_asked_and_returns_after_three_answers) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  answer(kLte);
  at(seconds(1001));
  (void)take();
  // Given up at 1000.15 s: asked 5 s later, then for want of an answer 10 s after that.
  at(seconds(1005) + milliseconds(150));
  EXPECT_EQ(take(), "ask wlan0; ");
  at(seconds(1016) + milliseconds(149));
  EXPECT_EQ(take(), "");
  at(seconds(1016) + milliseconds(150));
  EXPECT_EQ(take(), "ask wlan0; ");
  answer(kWifi);
  at(seconds(1017) + milliseconds(150));
  EXPECT_EQ(take(), "ask wlan0; ");
  answer(kWifi);
  EXPECT_FALSE(health.avoided().empty());
  at(seconds(1018) + milliseconds(150));
  answer(kWifi);
  EXPECT_EQ(take(), "ask wlan0; PathReturned wlan0; ");
  EXPECT_TRUE(health.avoided().empty());
  // Dead again soon: left for longer.
  at(seconds(1020));
  ASSERT_TRUE(suspect());
  answer(kLte);
  at(seconds(1021));
  (void)take();
  at(seconds(1039));
  EXPECT_EQ(take(), "") << "5 and 10 s were in vain already";
  at(seconds(1041));
  EXPECT_EQ(take(), "ask wlan0; ");
}

TEST_F(PathHealthTest, one_answer_of_three_is_not_enough_to_return) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  answer(kLte);
  at(seconds(1005) + milliseconds(150));
  answer(kWifi);
  at(seconds(1006) + milliseconds(150));
  at(seconds(1100));
  EXPECT_FALSE(health.avoided().empty());
}

TEST_F(PathHealthTest, the_other_one_may_be_one_that_was_given_up) {
  at(seconds(1000));
  ASSERT_TRUE(suspect());
  answer(kLte);
  at(seconds(1001));
  ASSERT_EQ(health.avoided().size(), 1U);
  PathHealth::Suspicion back;
  back.path = kLte;
  back.alternative = kWifi;
  back.since = now;
  ASSERT_TRUE(health.suspect(back, now));
  answer(kWifi);
  at(seconds(1002));
  ASSERT_EQ(health.avoided().size(), 1U);
  EXPECT_EQ(health.avoided()[0].interface_index, 3U);
}

TEST_F(PathHealthTest, a_new_path_is_proven_by_an_answer_or_avoided_after_a_second) {
  at(seconds(1000));
  EXPECT_FALSE(health.prove(kLte, 1, now));
  EXPECT_FALSE(health.prove(kLte, 1, now));
  note();
  EXPECT_EQ(take(), "ask wwan0; ");
  at(seconds(1000) + milliseconds(50));
  answer(kLte);
  EXPECT_EQ(take(), "proven wwan0; ");
  EXPECT_TRUE(health.prove(kLte, 1, now));

  EXPECT_FALSE(health.prove(kWifi, 1, now));
  at(seconds(1001) + milliseconds(50));
  EXPECT_EQ(take(), "ask wlan0; NothingCarried wlan0; ");
  at(seconds(1006) + milliseconds(50));
  EXPECT_EQ(take(), "ask wlan0; ");
  answer(kWifi);
  EXPECT_EQ(take(), "PathReturned wlan0; ") << "one answer is all it lacked";
}

TEST_F(PathHealthTest, another_network_or_address_begins_anew) {
  const auto network = [](const std::string& mac, bool wifi = true) {
    NetworkSnapshot snapshot;
    NetworkInterface wlan{2, "wlan0", true, true, false, {}, mac};
    if (wifi) wlan.addresses.push_back({kWifi.local, 24});
    NetworkInterface wwan{3, "wwan0", true, true, false, {{kLte.local, 24}}, ""};
    snapshot.interfaces = {wlan, wwan};
    return snapshot;
  };
  for (const bool same_address : {true, false}) {
    health = PathHealth{};
    at(seconds(1000));
    EXPECT_FALSE(health.on_snapshot(network("gw=1")));
    ASSERT_TRUE(suspect());
    answer(kLte);
    at(seconds(1001));
    EXPECT_FALSE(health.on_snapshot(network("gw=1")));
    ASSERT_EQ(health.avoided().size(), 1U);
    EXPECT_FALSE(health.on_snapshot(network(""))) << "not known for a moment";
    EXPECT_TRUE(health.on_snapshot(same_address ? network("gw=2") : network("", false)));
    EXPECT_TRUE(health.avoided().empty());
    EXPECT_TRUE(health.prove(kLte, 1, now));
    EXPECT_FALSE(health.prove(kWifi, 1, now)) << "to be proven anew";
  }
}

TEST_F(PathHealthTest, is_bounded) {
  at(seconds(1000));
  for (std::uint32_t i = 0; i < 1000; ++i) {
    health.on_answer(Path{i, "x", kWifi.local}, now);
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    (void)health.prove(Path{5000 + i, "x", kWifi.local}, 1, now);
  }
  std::size_t asked = 0;
  while (health.poll()) ++asked;
  EXPECT_EQ(asked, PathHealth::kMaxPaths);
}

TEST(GapMemory, learns_how_a_peer_pauses) {
  GapMemory gaps;
  TimePoint now{seconds(1)};
  EXPECT_EQ(gaps.limit(now), milliseconds(200));
  EXPECT_FALSE(gaps.pauses(now));
  gaps.note(milliseconds(240), now);
  EXPECT_TRUE(gaps.pauses(now));
  EXPECT_EQ(gaps.limit(now), milliseconds(360));
  gaps.note(milliseconds(220), now + seconds(1));
  EXPECT_EQ(gaps.limit(now + seconds(1)), milliseconds(360)) << "the longest counts";
  gaps.note(seconds(9), now + seconds(2));
  EXPECT_EQ(gaps.limit(now + seconds(2)), seconds(1));
  EXPECT_EQ(gaps.limit(now + seconds(63)), milliseconds(200)) << "forgotten after a minute";
}

}  // namespace
}  // namespace godwit::mobility
