// SPDX-License-Identifier: Apache-2.0
#include "base/timer_queue.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

using std::chrono::milliseconds;

TimePoint at(int ms) { return TimePoint{} + milliseconds(ms); }

TEST(TimerQueue, FiresInOrderOfDeadlineThenOfScheduling) {
  TimerQueue<int> timers;
  timers.schedule(at(20), 1);
  timers.schedule(at(10), 2);
  timers.schedule(at(10), 3);
  EXPECT_EQ(timers.next(), at(10));
  EXPECT_EQ(timers.pop_due(at(9)), std::nullopt);
  EXPECT_EQ(timers.pop_due(at(30)), 2);
  EXPECT_EQ(timers.pop_due(at(30)), 3);
  EXPECT_EQ(timers.pop_due(at(30)), 1);
  EXPECT_EQ(timers.pop_due(at(30)), std::nullopt);
}

TEST(TimerQueue, CancelledTimersNeitherFireNorHoldTheNextDeadline) {
  TimerQueue<int> timers;
  const TimerId first = timers.schedule(at(10), 1);
  timers.schedule(at(20), 2);
  timers.cancel(first);
  timers.cancel(first);
  EXPECT_EQ(timers.next(), at(20));
  EXPECT_EQ(timers.size(), 1U);
}

TEST(TimerQueue, ManyCancellationsKeepTheLiveOnes) {
  TimerQueue<int> timers;
  std::vector<TimerId> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(timers.schedule(at(i), i));
  for (int i = 0; i < 10'000; ++i) {
    if (i % 100 != 0) timers.cancel(ids[static_cast<std::size_t>(i)]);
  }
  for (int i = 0; i < 10'000; i += 100) EXPECT_EQ(timers.pop_due(at(20'000)), i);
  EXPECT_EQ(timers.pop_due(at(20'000)), std::nullopt);
}

}  // namespace
}  // namespace godwit
