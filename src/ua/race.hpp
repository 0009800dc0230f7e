// SPDX-License-Identifier: Apache-2.0
//
// Connections to several places that would all do, opened one after the other without waiting for
// each other's end: the first that opens is taken (RFC 8305 §5). Says which of them is to be
// started, and when the next one is due; opens nothing, and does not know why one has won. Owned
// by the account or call that needs a connection.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/timer_queue.hpp"
#include "godwit/time.hpp"
#include "mobility/delta.hpp"
#include "sip/flow.hpp"
#include "sip/server_location.hpp"

namespace godwit::ua {

class Race {
 public:
  /// RFC 8305 §5, the "Connection Attempt Delay".
  static constexpr Duration kStagger = std::chrono::milliseconds(250);
  /// Before a server that the DNS calls worse (a higher SRV priority value, a later NAPTR record)
  /// is tried beside the better ones: longer than a handshake takes over slow but living networks,
  /// which must not lead away from the better server (RFC 2782).
  static constexpr Duration kNextGroup = std::chrono::seconds(2);

  struct Runner {
    sip::Target target;
    mobility::Path path;
    sip::ListenerId stream = {};  ///< Zero: not started yet.
    std::optional<std::string> failure = {};
  };

  /// At least one; the preferred first.
  explicit Race(std::vector<Runner> runners) : runners_(std::move(runners)) {}

  const std::vector<Runner>& runners() const { return runners_; }
  bool has(sip::ListenerId stream) const;
  /// The one to be started now: the first at once, each other one kStagger after the one before it,
  /// or as soon as that has failed. nullptr: none is due.
  const Runner* due(TimePoint now) const;
  /// That one has been started as `stream`.
  void started(sip::ListenerId stream, TimePoint now);
  /// That one cannot be started.
  void refused(std::string why, TimePoint now);
  /// What was started as `stream` cannot be opened. False: it was known, or is none of these.
  bool failed(sip::ListenerId stream, std::string why, TimePoint now);
  /// All have failed.
  bool lost() const;
  /// When due() is to be asked again; nullopt: nothing waits for a time.
  std::optional<TimePoint> next() const;

  /// An attempt was seen to be under way: its end is news.
  bool fresh = false;
  TimerId timer = {};
  std::optional<TimePoint> timer_at = {};

 private:
  bool any_runs() const;
  void on_failure(std::size_t which, TimePoint now);

  std::vector<Runner> runners_;
  std::size_t next_ = 0;  ///< Of those before it all were started.
  TimePoint next_at_{};
};

}  // namespace godwit::ua
