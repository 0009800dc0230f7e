// SPDX-License-Identifier: Apache-2.0
//
// When to act: stands between raw snapshots and recoveries, numbers the changes, and keeps a
// flapping network from becoming a storm of signalling. Owned by the core, sans-IO: time and the
// present uses are arguments, changes are taken with poll(). It decides neither what is done
// (plan()) nor how (ua).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "godwit/network.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"
#include "mobility/delta.hpp"
#include "mobility/plan.hpp"

namespace godwit::mobility {

/// A use lost its only path. Renumbering (DHCP NAK, RA, a supplicant's re-association) deletes an
/// address and adds it again within this time; as nothing could be sent meanwhile, waiting is free.
constexpr Duration kReaddWait = std::chrono::milliseconds(150);

/// Nothing is broken, something better came up. A network comes up in several netlink messages
/// (address, connected route, default route), a few milliseconds apart: one change, not three.
constexpr Duration kSettle = std::chrono::milliseconds(10);

/// More changes than this within kFlapWindow are joined into one at the window's end. Each one
/// costs a REGISTER and a re-INVITE for each call, and a peer answers overlapping ones with 491 or
/// 500.
constexpr std::size_t kMaxChangesInWindow = 4;
constexpr Duration kFlapWindow = std::chrono::seconds(10);

/// Between two changes that force() has asked for: further ones are joined into one at its end. An
/// application calls once for each callback of its system, and those come in bursts.
constexpr Duration kForceSpacing = std::chrono::seconds(1);

/// A change to act on: plan(change.snapshot, change.delta, uses, policy), then carry it out.
struct NetworkChange {
  Generation generation;
  TimePoint detected_at;  ///< When the first snapshot that shows it came in; or a silence began.
  NetworkSnapshot snapshot;
  Delta delta;  ///< Against the last change that was acted on or found harmless.
};

class Judge {
 public:
  explicit Judge(PathPolicy policy = {}) : policy_(std::move(policy)) {}

  /// The first one is what later ones are compared with; uses before it are suspended ones.
  void on_snapshot(NetworkSnapshot snapshot, const std::vector<Use>& uses, TimePoint now);

  /// More is known of the uses (where else their work can be done): judges them anew.
  void on_uses(const std::vector<Use>& uses, TimePoint now) {
    if (has_snapshot_) judge(uses, now);
  }

  /// handle_ip_change(): acts on the latest snapshot, whatever it shows: at once, but within
  /// kForceSpacing of the last time joined into one change at its end, or into one that comes
  /// sooner by itself. Returns the generation that poll() will hand out; before the first snapshot
  /// that is kept until it comes. `urgent`: at once in any case, for what cannot wait.
  Generation force(TimePoint now, bool urgent = false);

  /// The machine slept, or was stopped, long enough for bindings and peers to forget us. Give the
  /// re-read snapshot first.
  void on_resumed(TimePoint now);

  /// What has been found out about the health of paths: to be avoided from now on. Judges anew;
  /// `causes` are what it found, or what earlier changes that were not acted on for want of it had,
  /// and `since` is when that began.
  void on_health(std::vector<AvoidedPath> avoid, const std::vector<ChangeCause>& causes,
                 const std::vector<Use>& uses, TimePoint since, TimePoint now);
  /// The same without a judgement: before a snapshot that is to be judged by it.
  void set_avoided(std::vector<AvoidedPath> avoid) { policy_.avoid = std::move(avoid); }
  /// The change handed out last was not acted on: it does not count as one of a flapping network.
  void take_back();

  std::optional<TimePoint> next_timeout() const;
  void on_timeout(const std::vector<Use>& uses, TimePoint now);

  /// The change to act on, if there is one. Supersedes all earlier generations.
  std::optional<NetworkChange> poll();

  /// The last snapshot given: what choose_path() for a new use should look at.
  const NetworkSnapshot& current() const { return current_; }
  bool has_snapshot() const { return has_snapshot_; }
  /// Of the last change handed out; zero before the first.
  Generation generation() const { return generation_; }
  const PathPolicy& policy() const { return policy_; }

 private:
  void judge(const std::vector<Use>& uses, TimePoint now);
  std::optional<TimePoint> forced_due() const;
  void emit(Delta delta, TimePoint detected_at, TimePoint now);
  void emit_forced(TimePoint now);
  void settle();

  PathPolicy policy_;
  bool has_snapshot_ = false;
  NetworkSnapshot base_;                    // What the last judgement left as normal.
  NetworkSnapshot current_;                 // The last one given.
  std::optional<TimePoint> pending_since_;  // base_ and current_ differ since then.
  std::vector<ChangeCause> health_;         // Causes that no snapshot shows, until acted on.
  std::optional<TimePoint> due_;            // … and are to be judged again at this time.
  std::optional<TimePoint> forced_at_;      // force() before the first snapshot, or too soon …
  Generation reserved_;                     // … and the number it was promised.
  std::optional<TimePoint> last_force_;     // When it was last acted on.
  std::deque<TimePoint> recent_;            // The last kMaxChangesInWindow changes' times.
  Generation generation_;
  std::optional<NetworkChange> out_;
};

}  // namespace godwit::mobility
