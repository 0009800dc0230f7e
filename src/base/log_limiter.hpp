// SPDX-License-Identifier: Apache-2.0
//
// Keeps what a stranger can make us log to one line a second, and counts what was left out. Owned
// by whoever logs; knows no clock and writes nothing itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "godwit/time.hpp"

namespace godwit {

class LogLimiter {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);

  /// What to append to the line, "" or " (and 12 more like it)"; nullopt: say nothing now.
  std::optional<std::string> admit(TimePoint now) {
    if (last_ && now - *last_ < kInterval) {
      ++held_back_;
      return std::nullopt;
    }
    last_ = now;
    const std::uint64_t more = held_back_;
    held_back_ = 0;
    return more == 0 ? std::string() : " (and " + std::to_string(more) + " more like it)";
  }

 private:
  std::optional<TimePoint> last_;
  std::uint64_t held_back_ = 0;
};

}  // namespace godwit
