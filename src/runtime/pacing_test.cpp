// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/mailbox.hpp"
#include "runtime/network_reader.hpp"

namespace godwit::runtime {
namespace {

using std::chrono::milliseconds;

TEST(ReadPacing, TheFirstSignIsReadAtOnceAndAStormTwentyTimesASecond) {
  ReadPacing pacing;
  TimePoint now{std::chrono::hours(1)};
  EXPECT_FALSE(pacing.due());
  pacing.on_sign(now);
  EXPECT_EQ(pacing.due(), now);
  pacing.on_read(now, true);
  EXPECT_FALSE(pacing.due());

  int reads = 0;
  const TimePoint end = now + std::chrono::seconds(10);
  for (; now < end; now += std::chrono::microseconds(500)) {
    pacing.on_sign(now);
    if (*pacing.due() > now) continue;
    ++reads;
    pacing.on_read(now, true);
  }
  EXPECT_LT(reads, 10 * 20 + 30);
  EXPECT_GT(reads, 10 * 20 - 10);
  // The last sign of the storm is read, however late, and quiet restores the haste.
  pacing.on_sign(now);
  EXPECT_LE(*pacing.due() - now, ReadPacing::kLongest);
  pacing.on_read(*pacing.due(), true);
  now += std::chrono::seconds(1);
  pacing.on_sign(now);
  EXPECT_EQ(pacing.due(), now);
  pacing.on_read(now, true);
  pacing.on_sign(now + milliseconds(1));
  EXPECT_EQ(pacing.due(), now + ReadPacing::kShortest);
}

TEST(ReadPacing, AFailedReadIsTriedAgain) {
  ReadPacing pacing;
  const TimePoint now{std::chrono::hours(1)};
  pacing.on_sign(now);
  pacing.on_read(now, false);
  EXPECT_EQ(pacing.due(), now + ReadPacing::kRetry);
}

TEST(Mailbox, KeepsTheOrderOfASenderAndRefusesWhatDoesNotFit) {
  io::EventLoop loop;
  std::vector<int> seen;
  Mailbox<int> box(loop, 100, [&](int item) {
    seen.push_back(item);
    if (item == -1) loop.stop();
  });
  using Pushed = Mailbox<int>::Pushed;
  for (int i = 0; i < 60; ++i) ASSERT_EQ(box.push(i, 40), Pushed::Yes);
  EXPECT_EQ(box.push(1000, 40), Pushed::Full);  // May be dropped, and is.
  for (int i = 60; i < 99; ++i) ASSERT_EQ(box.push(i), Pushed::Yes);
  ASSERT_EQ(box.push(-1), Pushed::Yes);
  EXPECT_EQ(box.push(1000), Pushed::Full);
  loop.run();
  ASSERT_EQ(seen.size(), 100U);
  for (int i = 0; i < 99; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST(Mailbox, SurvivesPushesFromOtherThreadsWhileItGoes) {
  io::EventLoop loop;
  auto box = std::make_unique<Mailbox<int>>(loop, 1'000'000, [](int) {});
  std::atomic<int> pushed{0};
  std::thread sender([&] {
    for (int i = 0; i < 10'000; ++i) {
      (void)box->push(i);
      ++pushed;
    }
  });
  loop.post([&] { loop.stop(); });
  loop.run();
  sender.join();
  box.reset();  // With items and a posted drain outstanding.
  EXPECT_EQ(pushed, 10'000);
}

}  // namespace
}  // namespace godwit::runtime
