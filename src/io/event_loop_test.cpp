// SPDX-License-Identifier: Apache-2.0
#include "io/event_loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "io/clock.hpp"
#include "io/descriptor.hpp"
#include "io/resolver.hpp"

namespace godwit::io {
namespace {

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
    out = Descriptor(ends[0]);
    in = Descriptor(ends[1]);
  }
  void put(char c) { EXPECT_EQ(::write(in.get(), &c, 1), 1); }
  char take() {
    char c = 0;
    EXPECT_EQ(::read(out.get(), &c, 1), 1);
    return c;
  }
  Descriptor out;
  Descriptor in;
};

/// Stops the loop when a test hangs, so that it fails instead.
class Guard {
 public:
  explicit Guard(EventLoop& loop) : timer_(*DeadlineTimer::open()) {
    watch_ = loop.watch(timer_.descriptor(), [&loop] {
      ADD_FAILURE() << "the loop still waits";
      loop.stop();
    });
    timer_.arm(now() + std::chrono::seconds(30));
  }

 private:
  DeadlineTimer timer_;
  std::unique_ptr<EventLoop::Watch> watch_;
};

TEST(EventLoop, WatchIsLevelTriggeredSoThatOneReadPerWakeUpLosesNothing) {
  EventLoop loop;
  const Guard guard(loop);
  Pipe pipe;
  std::string seen;
  const auto watch = loop.watch(pipe.out.get(), [&] {
    seen += pipe.take();
    if (seen.size() == 3) loop.stop();
  });
  for (const char c : {'a', 'b', 'c'}) pipe.put(c);
  loop.run();
  EXPECT_EQ(seen, "abc");
}

TEST(EventLoop, NoCallbackAfterItsWatchIsGone) {
  EventLoop loop;
  const Guard guard(loop);
  Pipe first;
  Pipe second;
  int calls = 0;
  std::unique_ptr<EventLoop::Watch> one;
  std::unique_ptr<EventLoop::Watch> two;
  // Both are ready in the same turn; whichever comes first removes the other.
  one = loop.watch(first.out.get(), [&] {
    ++calls;
    first.take();
    two.reset();
  });
  two = loop.watch(second.out.get(), [&] {
    ++calls;
    second.take();
    one.reset();
  });
  first.put('1');
  second.put('2');
  loop.post([&] { loop.post([&] { loop.post([&] { loop.stop(); }); }); });
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, WatchMayDestroyItself) {
  EventLoop loop;
  const Guard guard(loop);
  Pipe pipe;
  std::unique_ptr<EventLoop::Watch> watch;
  int calls = 0;
  watch = loop.watch(pipe.out.get(), [&] {
    ++calls;
    watch.reset();
    loop.post([&] { loop.stop(); });
  });
  pipe.put('x');
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, PostsOfOneThreadKeepTheirOrder) {
  EventLoop loop;
  const Guard guard(loop);
  constexpr int kThreads = 4;
  constexpr int kPosts = 1000;
  std::array<std::vector<int>, kThreads> seen;
  int left = kThreads * kPosts;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        loop.post([&, t, i] {
          EXPECT_TRUE(loop.runs_here());
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (--left == 0) loop.stop();
        });
      }
    });
  }
  EXPECT_FALSE(loop.runs_here());
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& sequence : seen) {
    ASSERT_EQ(sequence.size(), std::size_t{kPosts});
    EXPECT_TRUE(std::is_sorted(sequence.begin(), sequence.end()));
  }
}

TEST(EventLoop, StopBeforeRunIsKept) {
  EventLoop loop;
  loop.stop();
  loop.run();  // Returns.
}

TEST(DeadlineTimer, FiresNotBeforeItsDeadlineAndAtOnceForThePast) {
  EventLoop loop;
  const Guard guard(loop);
  auto timer = *DeadlineTimer::open();
  const TimePoint start = now();
  const TimePoint deadline = start + std::chrono::milliseconds(15);
  std::vector<TimePoint> fired;
  const auto watch = loop.watch(timer.descriptor(), [&] {
    fired.push_back(now());
    timer.acknowledge();
    if (fired.size() == 1) {
      timer.arm(start);
    } else {
      loop.stop();
    }
  });
  timer.arm(start + std::chrono::hours(1));
  timer.arm(deadline);
  loop.run();
  ASSERT_EQ(fired.size(), 2U);
  EXPECT_GE(fired[0], deadline);
}

TEST(DeadlineTimer, DisarmedAndRearmedToTheSameDeadline) {
  EventLoop loop;
  const Guard guard(loop);
  auto timer = *DeadlineTimer::open();
  int fired = 0;
  const TimePoint past = now();
  const auto watch = loop.watch(timer.descriptor(), [&] {
    timer.acknowledge();
    if (++fired == 2) loop.stop();
    timer.arm(past);  // The same deadline as before must fire again after acknowledge().
  });
  timer.arm(past + std::chrono::hours(1));
  timer.arm(std::nullopt);
  timer.arm(past);
  loop.run();
  EXPECT_EQ(fired, 2);
}

TEST(SuspendDetector, OnlyTheGrowingDistanceOfTheClocksCounts) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  SuspendDetector detector;
  EXPECT_FALSE(detector.check(seconds(1000), seconds(400)));  // Asleep before we started: no news.
  EXPECT_FALSE(detector.check(seconds(1100), seconds(500)));
  EXPECT_FALSE(detector.check(seconds(1101) + milliseconds(40), seconds(501)));
  const auto asleep = detector.check(seconds(1701), seconds(501));
  ASSERT_TRUE(asleep);
  EXPECT_EQ(*asleep, seconds(600));
  EXPECT_FALSE(detector.check(seconds(1702), seconds(502)));  // Told once.
  SuspendDetector real;
  EXPECT_FALSE(real.check());
  EXPECT_FALSE(real.check());
}

TEST(WakeSignal, IsQuietWhileTheMachineIsAwakeAndItsClockGoesOn) {
  auto signal = WakeSignal::open();
  ASSERT_TRUE(signal) << signal.error().detail;
  pollfd fd{signal->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&fd, 1, 20), 0);
  signal->acknowledge();
  EXPECT_EQ(::poll(&fd, 1, 20), 0);
}

TEST(Resolver, AnswersLiteralsAndLocalNamesAndRefusesUnknownOnesLater) {
  EventLoop loop;
  const Guard guard(loop);
  Resolver resolver(loop);
  std::optional<Result<std::vector<IpAddress>>> literal;
  std::optional<Result<std::vector<IpAddress>>> local;
  std::optional<Result<std::vector<IpAddress>>> malformed;
  const auto finish = [&] {
    if (literal && local && malformed) loop.stop();
  };
  resolver.resolve("[2001:db8::7]", [&](auto answer) {
    literal = std::move(answer);
    finish();
  });
  resolver.resolve("localhost", [&](auto answer) {
    local = std::move(answer);
    finish();
  });
  // No DNS query leaves the machine for a name with an empty label.
  resolver.resolve("a..b", [&](auto answer) {
    malformed = std::move(answer);
    finish();
  });
  EXPECT_FALSE(literal);  // Never inside resolve().
  loop.run();
  ASSERT_TRUE(literal && *literal);
  EXPECT_EQ((*literal)->front().to_string(), "2001:db8::7");
  ASSERT_TRUE(local && *local);
  EXPECT_TRUE((*local)->front().is_loopback());
  ASSERT_TRUE(malformed);
  ASSERT_FALSE(*malformed);
  EXPECT_NE(malformed->error().detail.find("a..b"), std::string::npos);
}

TEST(Resolver, NoAnswerOnceItIsGone) {
  EventLoop loop;
  const Guard guard(loop);
  auto resolver = std::make_unique<Resolver>(loop);
  bool answered = false;
  resolver->resolve("127.0.0.1", [&](const auto&) { answered = true; });
  resolver->resolve("localhost", [&](const auto&) { answered = true; });
  resolver.reset();
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace godwit::io
