// SPDX-License-Identifier: Apache-2.0
#include "mobility/path_health.hpp"

#include <algorithm>
#include <utility>

namespace godwit::mobility {
namespace {

/// Repetitions within the patience: at its start, after 1/5 and after 3/5 of it. That is before an
/// answer can be there; where signs are weak each question waits for the one before.
constexpr int kRepeatDivisor = 5;
constexpr int kWeakRepeatDivisor = 2;
/// Where there is no hurry.
constexpr Duration kLeisurely = std::chrono::milliseconds(100);

Duration doubled(Duration first, int times, Duration longest) {
  for (int i = 0; i < times && first < longest; ++i) first *= 2;
  return std::min(first, longest);
}

}  // namespace

PathHealth::State* PathHealth::find(const Path& path) {
  const auto found = std::find_if(states_.begin(), states_.end(),
                                  [&](const State& state) { return state.path == path; });
  return found == states_.end() ? nullptr : &*found;
}

PathHealth::State* PathHealth::obtain(const Path& path) {
  if (State* known = find(path)) return known;
  if (states_.size() >= kMaxPaths) {
    const auto idle = std::find_if(states_.begin(), states_.end(),
                                   [](const State& state) { return state.idle(); });
    if (idle == states_.end()) return nullptr;
    states_.erase(idle);
  }
  State state;
  state.path = path;
  if (const auto known = identities_.find(path.interface_index); known != identities_.end()) {
    state.identity = known->second;
  }
  states_.push_back(std::move(state));
  return &states_.back();
}

void PathHealth::ask(const Path& path, Duration repeat_after) {
  const State* state = find(path);
  events_.push_back({Event::Kind::Ask, path, state->whose, repeat_after});
}

bool PathHealth::suspect(const Suspicion& suspicion, TimePoint now) {
  // Both first: the second may make the table move, or take the first one's place.
  if (obtain(suspicion.path) == nullptr || obtain(suspicion.alternative) == nullptr) return false;
  State* state = find(suspicion.path);
  if (state == nullptr || state->round || state->avoidance) return false;
  if (state->rest_until && now < *state->rest_until) return false;
  state->rest_until.reset();
  state->review = false;
  if (now - state->last_alarm > kForget) state->false_alarms = 0;
  state->last_alarm = now;
  const Duration patience = std::max(suspicion.round_trip * 2, kLeastPatience);
  Round round;
  round.suspicion = suspicion;
  const bool weak = suspicion.weak || state->false_alarms > 0;
  const Duration repeat_after = patience / (weak ? kWeakRepeatDivisor : kRepeatDivisor);
  round.decide_at = now + patience * (weak ? kWeakFactor : 1);
  round.give_up_at = std::max(round.decide_at, now + kAnswerWait);
  state->round = std::move(round);
  state->whose = suspicion.whose;
  find(suspicion.alternative)->whose = suspicion.whose;
  ask(suspicion.path, repeat_after);
  ask(suspicion.alternative, repeat_after);
  return true;
}

bool PathHealth::prove(const Path& path, std::uint32_t whose, TimePoint now) {
  State* state = obtain(path);
  if (state == nullptr || state->proven) return true;
  if (state->proof_due || state->avoidance) return false;
  state->proof_due = now + kAnswerWait;
  state->whose = whose;
  ask(path, kLeisurely);
  return false;
}

void PathHealth::on_answer(const Path& path, TimePoint now) {
  for (State& other : states_) {
    if (other.round && other.round->suspicion.alternative == path) {
      other.round->answered_there = true;
      if (other.round->decide_at <= now) condemn(other, now);
    }
  }
  State* state = obtain(path);
  if (state == nullptr) return;
  if (state->round) {
    state->round.reset();
    state->rest_until = now + doubled(kFirstRest, state->false_alarms, kLongestRest);
    state->review = true;
    ++state->false_alarms;
    if (now - state->returned_at > kForget) state->back_offs = 0;
  }
  if (Avoidance* avoided = state->avoidance ? &*state->avoidance : nullptr) {
    if (!avoided->asking) return;
    avoided->asking = false;
    avoided->next = now + kAnswerWait;
    if (++avoided->proofs < avoided->wanted) return;
    state->avoidance.reset();
    state->returned_at = now;
    state->proven = true;
    events_.push_back({Event::Kind::Changed, path, 0, {}, ChangeCause::PathReturned, now});
    return;
  }
  const bool awaited = state->proof_due.has_value();
  state->proof_due.reset();
  state->proven = true;
  if (awaited) events_.push_back({Event::Kind::Changed, path, 0, {}, std::nullopt, now});
}

void PathHealth::on_audio(const Path& path, TimePoint now) {
  State* state = find(path);
  if (state == nullptr) return;
  state->round.reset();
  // The next silence is another one.
  if (state->rest_until) state->rest_until = std::min(*state->rest_until, now + kFirstRest);
}

bool PathHealth::on_snapshot(const NetworkSnapshot& snapshot) {
  bool changed = false;
  std::erase_if(states_, [&](State& state) {
    const NetworkInterface* interface = snapshot.find_interface(state.path.interface_index);
    const bool there =
        interface != nullptr && is_running(*interface) &&
        std::any_of(interface->addresses.begin(), interface->addresses.end(),
                    [&](const auto& a) { return a.address == state.path.local && is_usable(a); });
    const bool same = there && !is_other_network(state.identity, interface->link_identity);
    if (there && !interface->link_identity.empty()) state.identity = interface->link_identity;
    if (!same && state.avoidance) changed = true;
    return !same;
  });
  identities_.clear();
  for (const NetworkInterface& interface : snapshot.interfaces) {
    identities_[interface.index] = interface.link_identity;
  }
  // Another network may answer by now: who waits for nothing else need not wait for its time.
  for (State& state : states_) {
    if (!state.review) continue;
    state.rest_until.reset();
    state.review = false;
  }
  return changed;
}

void PathHealth::condemn(State& state, TimePoint now) {
  const Suspicion suspicion = state.round->suspicion;
  avoid(state, suspicion.cause, kProofsOfReturn, now);
  if (State* other = find(suspicion.alternative)) {
    other->proven = true;
    other->proof_due.reset();
    other->avoidance.reset();
  }
  events_.push_back({Event::Kind::Changed, state.path, 0, {}, suspicion.cause, suspicion.since});
}

Duration PathHealth::back_off(State& state) {
  return doubled(kFirstBackOff, state.back_offs++, kLongestBackOff);
}

void PathHealth::avoid(State& state, ChangeCause cause, int wanted, TimePoint now) {
  if (now - state.returned_at > kForget) state.back_offs = 0;
  state.round.reset();
  state.proof_due.reset();
  state.proven = false;
  Avoidance avoidance{cause, now + back_off(state)};
  avoidance.wanted = wanted;
  state.avoidance = avoidance;
}

void PathHealth::on_time(State& state, TimePoint now) {
  if (state.round && now >= state.round->decide_at) {
    state.round->decided = true;
    if (state.round->answered_there) {
      condemn(state, now);
    } else if (now >= state.round->give_up_at) {
      // Nothing gets through anywhere: moving would win nothing.
      state.round.reset();
      state.rest_until = now + back_off(state);
      state.review = true;
    }
  }
  if (state.proof_due && now >= *state.proof_due) {
    avoid(state, ChangeCause::NothingCarried, 1, now);
    events_.push_back({Event::Kind::Changed, state.path, 0, {}, ChangeCause::NothingCarried, now});
  }
  if (state.rest_until && now >= *state.rest_until) {
    state.rest_until.reset();
    if (std::exchange(state.review, false)) events_.push_back({Event::Kind::Review, state.path});
  }
  if (!state.avoidance || now < state.avoidance->next) return;
  Avoidance& avoided = *state.avoidance;
  if (avoided.asking) {
    avoided.asking = false;
    avoided.proofs = 0;
    avoided.next = now + back_off(state);
    return;
  }
  avoided.asking = true;
  avoided.next = now + kAnswerWait;
  ask(state.path, kLeisurely);
}

void PathHealth::on_timeout(TimePoint now) {
  // By number: what one path's turn does may concern another's state, but adds none.
  for (std::size_t i = 0; i < states_.size(); ++i) on_time(states_[i], now);
}

std::optional<TimePoint> PathHealth::next_timeout() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint at) {
    if (!next || at < *next) next = at;
  };
  for (const State& state : states_) {
    if (state.round) {
      consider(state.round->decided ? state.round->give_up_at : state.round->decide_at);
    }
    if (state.proof_due) consider(*state.proof_due);
    if (state.rest_until) consider(*state.rest_until);
    if (state.avoidance) consider(state.avoidance->next);
  }
  return next;
}

std::optional<PathHealth::Event> PathHealth::poll() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::vector<AvoidedPath> PathHealth::avoided() const {
  std::vector<AvoidedPath> out;
  for (const State& state : states_) {
    if (!state.avoidance) continue;
    out.push_back({state.path.interface_index, state.path.local.family(), state.avoidance->cause});
  }
  return out;
}

bool PathHealth::is_suspected(const Path& path) const {
  const State* state = find(path);
  return state != nullptr && state->round.has_value();
}

void GapMemory::note(Duration gap, TimePoint now) {
  if (now - seen_ > kMemory || gap >= longest_) {
    longest_ = gap;
    seen_ = now;
  }
}

bool GapMemory::pauses(TimePoint now) const {
  return longest_ > Duration::zero() && now - seen_ <= kMemory;
}

Duration GapMemory::limit(TimePoint now) const {
  return pauses(now) ? std::clamp(longest_ * 3 / 2, kLeast, kMost) : kLeast;
}

}  // namespace godwit::mobility
