// SPDX-License-Identifier: Apache-2.0
#include "io/clock.hpp"

#include <sys/timerfd.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>

namespace godwit::io {
namespace {

Duration read(clockid_t clock) {
  timespec value{};
  ::clock_gettime(clock, &value);
  return std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
}

}  // namespace

TimePoint now() { return TimePoint(read(CLOCK_BOOTTIME)); }

Result<DeadlineTimer> DeadlineTimer::open() {
  Descriptor fd(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!fd) {
    return fail(ErrorCode::Io, std::string("no timer from the system: ") + std::strerror(errno));
  }
  return DeadlineTimer(std::move(fd));
}

void DeadlineTimer::arm(std::optional<TimePoint> deadline) {
  if (deadline == armed_) return;
  armed_ = deadline;
  itimerspec spec{};
  if (deadline) {
    // Zero would disarm; the clock's first nanosecond is long past anyway.
    const auto since_boot = std::max(deadline->time_since_epoch(), Duration(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = (since_boot - seconds).count();
  }
  ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void DeadlineTimer::acknowledge() {
  std::uint64_t expirations = 0;
  // Nothing to read (EAGAIN) means it was armed anew since it fired; the new deadline stays.
  if (::read(fd_.get(), &expirations, sizeof expirations) > 0) armed_.reset();
}

Result<WakeSignal> WakeSignal::open() {
  Descriptor fd(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!fd) {
    return fail(ErrorCode::Io, std::string("no timer from the system: ") + std::strerror(errno));
  }
  WakeSignal signal(std::move(fd));
  signal.acknowledge();
  return signal;
}

void WakeSignal::acknowledge() {
  std::uint64_t expirations = 0;
  // ECANCELED, which is the news.
  static_cast<void>(::read(fd_.get(), &expirations, sizeof expirations));
  // A time that never comes, but that every clock can represent: it only waits to be cancelled.
  itimerspec spec{};
  spec.it_value.tv_sec = std::numeric_limits<std::int32_t>::max();
  ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr);
}

std::optional<Duration> SuspendDetector::check(Duration boot, Duration monotonic) {
  const Duration offset = boot - monotonic;
  if (!offset_) {
    offset_ = offset;
    return std::nullopt;
  }
  const Duration asleep = offset - *offset_;
  if (asleep < kShortest) return std::nullopt;
  offset_ = offset;
  return asleep;
}

std::optional<Duration> SuspendDetector::check() {
  return check(read(CLOCK_BOOTTIME), read(CLOCK_MONOTONIC));
}

}  // namespace godwit::io
