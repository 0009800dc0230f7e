// SPDX-License-Identifier: Apache-2.0
#include "mobility/judge.hpp"

#include <algorithm>
#include <utility>

namespace godwit::mobility {
namespace {

void take_causes(Delta& delta, const Delta& from) {
  for (const ChangeCause cause : from.causes) delta.add(cause);
}

bool share_address(const NetworkInterface& a, const NetworkInterface& b) {
  return std::any_of(a.addresses.begin(), a.addresses.end(), [&](const InterfaceAddress& one) {
    return is_usable(one) &&
           std::any_of(b.addresses.begin(), b.addresses.end(), [&](const InterfaceAddress& other) {
             return other.address == one.address && is_usable(other);
           });
  });
}

// The kernel lets a route use an address of another interface, on purpose (a dummy device) or, in
// IPv6, for want of a better one: when an address has gone and its default route has yet to follow,
// the old interface is offered with the new one's address, and nothing sent there would arrive.
bool borrows_address(const NetworkSnapshot& snapshot, const std::optional<Path>& path) {
  if (!path) return false;
  const NetworkInterface* owner = snapshot.owner_of(path->local);
  return owner != nullptr && owner->index != path->interface_index && !owner->loopback;
}

bool borrows_address(const NetworkSnapshot& snapshot, const PlanRow& row) {
  return borrows_address(snapshot, row.to) ||
         std::any_of(row.media.begin(), row.media.end(),
                     [&](const LegMove& leg) { return borrows_address(snapshot, leg.to); });
}

}  // namespace

void Judge::on_snapshot(NetworkSnapshot snapshot, const std::vector<Use>& uses, TimePoint now) {
  current_ = std::move(snapshot);
  if (!has_snapshot_) {
    has_snapshot_ = true;
    base_ = current_;
    if (forced_at_) emit(Delta{}, now, now);
    // Uses that were waiting for a first look at the network are judged below.
  }
  judge(uses, now);
}

std::optional<TimePoint> Judge::forced_due() const {
  if (!forced_at_ || !has_snapshot_) return std::nullopt;
  return last_force_ ? *last_force_ + kForceSpacing : *forced_at_;
}

Generation Judge::force(TimePoint now, bool urgent) {
  if (!forced_at_) {
    forced_at_ = now;
    if (!reserved_) reserved_ = Generation(generation_.value() + 1);
  }
  const Generation promised = reserved_;
  if (const auto due = forced_due(); due && (urgent || *due <= now)) emit_forced(now);
  return promised;
}

void Judge::emit_forced(TimePoint now) {
  emit(compute_delta(base_, current_), pending_since_.value_or(*forced_at_), now);
}

void Judge::on_resumed(TimePoint now) {
  if (!has_snapshot_) return;
  Delta delta = compute_delta(base_, current_);
  delta.add(ChangeCause::Resumed);
  emit(std::move(delta), pending_since_.value_or(now), now);
}

void Judge::on_health(std::vector<AvoidedPath> avoid, const std::vector<ChangeCause>& causes,
                      const std::vector<Use>& uses, TimePoint since, TimePoint now) {
  policy_.avoid = std::move(avoid);
  if (!has_snapshot_) return;
  for (const ChangeCause cause : causes) {
    if (std::find(health_.begin(), health_.end(), cause) == health_.end()) health_.push_back(cause);
  }
  if (!pending_since_) pending_since_ = since;
  judge(uses, now);
}

void Judge::take_back() {
  if (!recent_.empty()) recent_.pop_back();
}

std::optional<TimePoint> Judge::next_timeout() const {
  const auto forced = forced_due();
  return due_ && forced ? std::min(due_, forced) : due_ ? due_ : forced;
}

void Judge::on_timeout(const std::vector<Use>& uses, TimePoint now) {
  if (const auto due = forced_due(); due && *due <= now) emit_forced(now);
  if (due_ && *due_ <= now) judge(uses, now);
}

std::optional<NetworkChange> Judge::poll() { return std::exchange(out_, std::nullopt); }

void Judge::judge(const std::vector<Use>& uses, TimePoint now) {
  Delta delta = compute_delta(base_, current_);
  for (const ChangeCause cause : health_) delta.add(cause);
  const RecoveryPlan plan = mobility::plan(current_, delta, uses, policy_);
  if (delta.empty() && !plan.acts()) {
    settle();  // Nothing happened, or all of it was taken back in time.
    return;
  }
  if (!pending_since_) pending_since_ = now;

  // How long this may wait to see whether the network is still busy.
  Duration patience = kSettle;
  if (!plan.empty() && !plan.has_replacement()) patience = kReaddWait;
  if (std::any_of(plan.rows.begin(), plan.rows.end(), [this](const PlanRow& row) {
        return (row.mode == Mode::Break || row.mode == Mode::Resume) &&
               !borrows_address(current_, row);
      })) {
    patience = Duration::zero();
  }
  TimePoint due = *pending_since_ + patience;

  if (!plan.empty()) {
    while (!recent_.empty() && recent_.front() + kFlapWindow <= now) recent_.pop_front();
    if (recent_.size() >= kMaxChangesInWindow) {
      due = std::max(due, recent_[recent_.size() - kMaxChangesInWindow] + kFlapWindow);
    }
  }
  if (due > now) {
    due_ = due;
    return;
  }
  if (plan.empty()) {
    settle();  // A change that nobody rides on.
    return;
  }
  // What a row saw that no comparison of snapshots shows, e.g. the end of a temporary address.
  for (const PlanRow& row : plan.rows) delta.add(row.cause);
  emit(std::move(delta), *pending_since_, now);
}

void Judge::emit(Delta delta, TimePoint detected_at, TimePoint now) {
  if (forced_at_) {
    delta.add(ChangeCause::Forced);
    detected_at = std::min(detected_at, *std::exchange(forced_at_, std::nullopt));
    last_force_ = now;
  }
  if (out_) {
    // Not taken yet: the two are one change. Its causes stay true, its number is superseded.
    take_causes(delta, out_->delta);
    detected_at = std::min(detected_at, out_->detected_at);
  }
  generation_ =
      reserved_ ? std::exchange(reserved_, Generation{}) : Generation(generation_.value() + 1);
  recent_.push_back(now);
  if (recent_.size() > kMaxChangesInWindow) recent_.pop_front();
  out_ = NetworkChange{generation_, detected_at, current_, std::move(delta)};
  settle();
}

void Judge::settle() {
  // An identity that is not known yet (no neighbour entry after a link came up) does not erase the
  // one that was: otherwise a move between two networks with an unknown moment between them would
  // go unnoticed. With the last address gone nothing compares the two any more, so nothing is kept.
  NetworkSnapshot normal = current_;
  for (NetworkInterface& interface : normal.interfaces) {
    if (!interface.link_identity.empty()) continue;
    const NetworkInterface* before = base_.find_interface(interface.index);
    if (before != nullptr && share_address(*before, interface)) {
      interface.link_identity = before->link_identity;
    }
  }
  base_ = std::move(normal);
  health_.clear();
  pending_since_.reset();
  due_.reset();
}

}  // namespace godwit::mobility
