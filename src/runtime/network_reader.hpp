// SPDX-License-Identifier: Apache-2.0
//
// When to read the kernel's network state: at the first sign of a change at once, then at growing
// distances while signs keep coming, so that a storm of routing messages costs little and the last
// state is never missed. Owned by the core's driver, which waits on descriptor() and next_read().
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "godwit/network.hpp"
#include "godwit/time.hpp"
#include "io/netlink_monitor.hpp"

namespace godwit::runtime {

/// The pure half: decides, reads nothing.
class ReadPacing {
 public:
  /// A change of address or route is a handful of messages within a millisecond or two, so that a
  /// few readings at this distance see it whole …
  static constexpr Duration kShortest = std::chrono::milliseconds(2);
  static constexpr int kAtShortest = 16;
  /// … and a storm of messages that goes on is read 20 times a second.
  static constexpr Duration kLongest = std::chrono::milliseconds(50);
  static constexpr Duration kRetry = std::chrono::milliseconds(100);

  /// Something may have changed.
  void on_sign(TimePoint now) {
    if (!due_) due_ = std::max(now, last_ + distance_);
  }
  void on_read(TimePoint now, bool ok) {
    if (now - last_ > 4 * distance_) {
      distance_ = kShortest;
      in_a_row_ = 0;
    } else if (++in_a_row_ > kAtShortest) {
      distance_ = std::min(2 * distance_, kLongest);
    }
    last_ = now;
    due_ = ok ? std::nullopt : std::optional(now + kRetry);
  }
  std::optional<TimePoint> due() const { return due_; }

 private:
  Duration distance_ = kShortest;
  int in_a_row_ = 0;
  TimePoint last_{};
  std::optional<TimePoint> due_;
};

class NetworkReader {
 public:
  explicit NetworkReader(io::NetworkMonitor monitor) : monitor_(std::move(monitor)) {}

  int descriptor() const { return monitor_.descriptor(); }
  void on_readable(TimePoint now) {
    if (monitor_.drain()) pacing_.on_sign(now);
  }
  /// The next snapshots list the path to each; a new one is due at once.
  void watch(std::vector<IpAddress> remotes) {
    remotes_ = std::move(remotes);
    asked_ = true;
  }
  std::optional<TimePoint> next_read() const {
    return asked_ ? std::optional(TimePoint{}) : pacing_.due();
  }
  Result<NetworkSnapshot> read(TimePoint now) {
    asked_ = false;
    auto snapshot = monitor_.read(remotes_);
    pacing_.on_read(now, snapshot.has_value());
    return snapshot;
  }

 private:
  io::NetworkMonitor monitor_;
  ReadPacing pacing_;
  std::vector<IpAddress> remotes_;
  bool asked_ = true;
};

}  // namespace godwit::runtime
