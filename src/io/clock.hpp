// SPDX-License-Identifier: Apache-2.0
//
// The real clock: CLOCK_BOOTTIME, which goes on while the machine sleeps, because registrations and
// calls expire then too. Also the deadline timer on it and the detection of a sleep. Asio's own
// timers are of no use here: they stop during suspend.
#pragma once

#include <optional>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "io/descriptor.hpp"

namespace godwit::io {

TimePoint now();

/// A timerfd on CLOCK_BOOTTIME with absolute deadlines. Watch descriptor() for input, then call
/// acknowledge(). Arming is skipped when the deadline is the one armed already.
class DeadlineTimer {
 public:
  static Result<DeadlineTimer> open();

  int descriptor() const { return fd_.get(); }
  /// Nothing: never. A deadline in the past fires at once.
  void arm(std::optional<TimePoint> deadline);
  /// Takes back the readiness; the timer is disarmed afterwards.
  void acknowledge();

 private:
  explicit DeadlineTimer(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
  std::optional<TimePoint> armed_;
};

/// Becomes readable when the machine wakes, or somebody sets its clock: a timerfd that the kernel
/// cancels then (TFD_TIMER_CANCEL_ON_SET). Nothing else would wake an idle phone before its next
/// deadline. Which of the two it was, and how long the sleep, tells the SuspendDetector.
class WakeSignal {
 public:
  static Result<WakeSignal> open();

  int descriptor() const { return fd_.get(); }
  /// Takes back the readiness, and waits for the next time.
  void acknowledge();

 private:
  explicit WakeSignal(Descriptor fd) : fd_(std::move(fd)) {}
  Descriptor fd_;
};

/// Tells from the growing distance of CLOCK_BOOTTIME to CLOCK_MONOTONIC that the machine slept.
class SuspendDetector {
 public:
  /// Shorter sleeps are no news: nothing expires, and scheduling noise between the two readings of
  /// the clocks must not look like one.
  static constexpr Duration kShortest = std::chrono::milliseconds(500);

  /// `boot` and `monotonic` as read now; the time asleep since the last call, if it is news.
  std::optional<Duration> check(Duration boot, Duration monotonic);
  /// The same with both clocks read here.
  std::optional<Duration> check();

 private:
  std::optional<Duration> offset_;
};

}  // namespace godwit::io
