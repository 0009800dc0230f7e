// SPDX-License-Identifier: Apache-2.0
//
// Watches the pauses between packets: how long the last and the longest were, and whether a stream
// that should flow has fallen silent. Time is an argument; it decides nothing.
#pragma once

#include <algorithm>
#include <optional>

#include "godwit/time.hpp"

namespace godwit::media {

class PauseWatch {
 public:
  /// `silence_limit`: a pause this long, while packets are expected, is silence.
  explicit PauseWatch(Duration silence_limit) : silence_limit_(silence_limit) {}

  /// Packets are expected from now on, or no longer.
  void expect(bool expected, TimePoint now);

  struct Arrival {
    std::optional<Duration> pause;    ///< Since the packet before; absent: it is the first.
    std::optional<Duration> silence;  ///< Set if this packet ends a silence that was told of.
  };
  Arrival on_packet(TimePoint at);

  /// When silence is to be told of; absent: none is due.
  std::optional<TimePoint> deadline() const;
  /// The beginning of a silence that is due to be told of, once.
  std::optional<TimePoint> check(TimePoint now);

  std::optional<TimePoint> last() const { return last_; }
  /// The longest pause that ended since the last call, or, if packets are expected, goes on.
  Duration take_longest(TimePoint now);
  /// A pause that was not seen between two packets, e.g. because those between could not arrive.
  void note(Duration pause) { longest_ = std::max(longest_, pause); }

 private:
  TimePoint begin() const;

  Duration silence_limit_;
  std::optional<TimePoint> expected_since_;
  std::optional<TimePoint> last_;
  bool silent_ = false;
  Duration longest_{};
};

}  // namespace godwit::media
