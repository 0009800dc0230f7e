// SPDX-License-Identifier: Apache-2.0
//
// Points in time and durations as every layer knows them. There is deliberately no now(): time is
// an argument everywhere, read once per input by the runtime (CLOCK_BOOTTIME, which goes on during
// suspend) or made by the simulator.
#pragma once

#include <chrono>
#include <cstdint>

namespace godwit {

/// A clock without now(); its epoch is the machine's boot (runtime) or the simulation's start.
struct BootClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using Duration = BootClock::duration;
using TimePoint = BootClock::time_point;

/// Milliseconds with a fraction, for reports and JSON.
constexpr double to_ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

}  // namespace godwit
