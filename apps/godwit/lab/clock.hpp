// SPDX-License-Identifier: Apache-2.0
//
// The laboratory's clock: CLOCK_BOOTTIME, the one that the phone's events carry, so that the two
// can be subtracted.
#pragma once

#include <ctime>

#include "godwit/time.hpp"

namespace godwit::lab {

inline TimePoint from_timespec(const timespec& ts) {
  return TimePoint{std::chrono::seconds{ts.tv_sec} + std::chrono::nanoseconds{ts.tv_nsec}};
}

inline TimePoint read_clock(clockid_t clock) {
  timespec ts{};
  clock_gettime(clock, &ts);
  return from_timespec(ts);
}

inline TimePoint boot_now() { return read_clock(CLOCK_BOOTTIME); }

}  // namespace godwit::lab
