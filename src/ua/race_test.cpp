// SPDX-License-Identifier: Apache-2.0
#include "ua/race.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Race::Runner runner(std::uint8_t host, std::uint32_t group = 0) {
  Race::Runner made;
  made.target.endpoint = {IpAddress::v4(192, 0, 2, host), 5060};
  made.target.group = group;
  return made;
}

sip::ListenerId stream(std::uint32_t id) { return sip::ListenerId{id}; }

class RaceTest : public ::testing::Test {
 protected:
  /// Starts what is due; returns how many.
  int start(Race& race) {
    int started = 0;
    while (race.due(now) != nullptr) {
      race.started(stream(++last), now);
      ++started;
    }
    return started;
  }

  TimePoint now{};
  std::uint32_t last = 0;
};

TEST_F(RaceTest, StartsOneEveryQuarterOfASecond) {
  Race race({runner(1), runner(2), runner(3)});
  EXPECT_EQ(start(race), 1);
  EXPECT_EQ(race.next(), now + Race::kStagger);
  now += Race::kStagger - milliseconds(1);
  EXPECT_EQ(start(race), 0);
  now += milliseconds(1);
  EXPECT_EQ(start(race), 1);
  now += Race::kStagger;
  EXPECT_EQ(start(race), 1);
  EXPECT_FALSE(race.next());
  EXPECT_TRUE(race.has(stream(2)));
  EXPECT_FALSE(race.has(stream(4)));
  EXPECT_FALSE(race.lost());
}

TEST_F(RaceTest, AFailureStartsTheNextOneAtOnce) {
  Race race({runner(1), runner(2), runner(3)});
  EXPECT_EQ(start(race), 1);
  now += milliseconds(10);
  EXPECT_TRUE(race.failed(stream(1), "refused", now));
  EXPECT_FALSE(race.failed(stream(1), "refused", now)) << "known";
  EXPECT_FALSE(race.failed(stream(9), "refused", now)) << "none of these";
  EXPECT_EQ(start(race), 1);
  EXPECT_EQ(race.next(), now + Race::kStagger);
}

TEST_F(RaceTest, IsLostWhenAllHaveFailed) {
  Race race({runner(1), runner(2)});
  race.refused("there are too many", now);
  EXPECT_FALSE(race.lost());
  EXPECT_EQ(start(race), 1);
  EXPECT_TRUE(race.failed(stream(1), "refused", now));
  EXPECT_TRUE(race.lost());
  EXPECT_EQ(race.due(now), nullptr);
  EXPECT_EQ(race.runners()[0].failure, "there are too many");
  EXPECT_EQ(race.runners()[1].failure, "refused");
}

TEST_F(RaceTest, AWorseServerHasToWait) {
  Race race({runner(1), runner(2), runner(3, 1)});
  EXPECT_EQ(start(race), 1);
  now += Race::kStagger;
  EXPECT_EQ(start(race), 1);
  EXPECT_TRUE(race.failed(stream(1), "refused", now));
  EXPECT_EQ(start(race), 0) << "an equal one still runs";
  EXPECT_EQ(race.next(), now + Race::kNextGroup);
  EXPECT_TRUE(race.failed(stream(2), "refused", now));
  EXPECT_EQ(start(race), 1) << "none is left";
}

}  // namespace
}  // namespace godwit::ua
