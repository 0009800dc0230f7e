// SPDX-License-Identifier: Apache-2.0
#include "ua/locator.hpp"

#include <algorithm>
#include <utility>

namespace godwit::ua {

Result<LocationId> Locator::locate(const sip::ServerName& name, const sip::LocationPolicy& policy,
                                   TimePoint now) {
  if (running_.size() >= kMaxLocations) {
    return fail(ErrorCode::Busy, "too many servers are being looked up");
  }
  auto location = sip::ServerLocation::begin(name, policy, random_);
  if (!location) return tl::unexpected(location.error());
  const LocationId id{++last_location_};
  running_.emplace(id, Running{name, policy, std::move(*location), std::nullopt, false});
  advance(id, now);
  return id;
}

void Locator::set_deadline(LocationId id, Running& running, std::optional<TimePoint> at) {
  if (running.deadline) deadlines_.erase({*running.deadline, id});
  running.deadline = at;
  if (at) deadlines_.insert({*at, id});
}

void Locator::cancel(LocationId id) {
  if (const auto found = running_.find(id); found != running_.end()) {
    set_deadline(id, found->second, std::nullopt);
    running_.erase(found);
  }
  std::erase_if(found_, [&](const Located& located) { return located.id == id; });
}

void Locator::renew(TimePoint now) {
  cache_.clear();
  failures_.clear();
  asked_.clear();
  queries_.clear();
  outputs_.push_back(RenewResolver{});
  std::vector<LocationId> ids;
  for (auto& [id, running] : running_) {
    // It began once, so it begins again.
    if (auto anew = sip::ServerLocation::begin(running.name, running.policy, random_)) {
      running.location = std::move(*anew);
    }
    set_deadline(id, running, std::nullopt);
    ids.push_back(id);
  }
  for (const LocationId id : ids) advance(id, now);
}

void Locator::advance(LocationId id, TimePoint now) {
  const auto found = running_.find(id);
  if (found == running_.end()) return;
  Running& running = found->second;
  bool asked = false;
  while (const auto question = running.location.poll_question()) {
    if (const auto known = cache_.find(*question, now)) {
      running.location.on_answer(*question, *known);
      continue;
    }
    asked = true;
    auto [entry, is_new] = asked_.try_emplace(*question);
    entry->second.askers.push_back(id);
    if (!is_new) continue;
    entry->second.query = QueryId{++last_query_};
    queries_.emplace(entry->second.query, *question);
    outputs_.push_back(Query{entry->second.query, *question});
  }
  if (running.location.done()) {
    tell(id, running, true, now);
    running_.erase(id);
    return;
  }
  if (asked) set_deadline(id, running, std::nullopt);
  if (running.deadline) return;
  if (running.location.can_do_without()) {
    set_deadline(id, running, now + kPatience);
  } else if (running.location.usable() && !running.told) {
    set_deadline(id, running, now + kResolutionDelay);
  }
}

void Locator::tell(LocationId id, Running& running, bool final, TimePoint now) {
  running.told = true;
  set_deadline(id, running, std::nullopt);
  Located located{id, running.location.targets(), {}, now + running.location.ttl(), final};
  if (located.targets.empty()) located.failure = running.location.failure();
  std::erase_if(found_, [&](const Located& older) { return older.id == id; });
  found_.push_back(std::move(located));
}

bool Locator::on_answer(QueryId query, const DnsAnswer& answer, TimePoint now) {
  const auto found = queries_.find(query);
  if (found == queries_.end()) return false;
  const DnsQuestion question = found->second;
  queries_.erase(found);
  cache_.store(question, answer, now);
  auto asked = asked_.extract(question);
  if (asked.empty()) return true;
  for (const LocationId id : asked.mapped().askers) {
    const auto running = running_.find(id);
    if (running == running_.end()) continue;
    running->second.location.on_answer(question, answer);
    advance(id, now);
  }
  return true;
}

bool Locator::on_timeout(TimePoint now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const LocationId id = deadlines_.begin()->second;
    Running& running = running_.at(id);
    set_deadline(id, running, std::nullopt);
    if (running.location.can_do_without()) {
      running.location.give_up_waiting();
      advance(id, now);
    } else {
      tell(id, running, false, now);
    }
  }
  bool any_due = false;
  for (auto& [server, failure] : failures_) {
    if (failure.until > now || failure.due_told) continue;
    failure.due_told = true;
    any_due = true;
  }
  return any_due;
}

std::optional<TimePoint> Locator::next_timeout() const {
  std::optional<TimePoint> earliest;
  const auto sooner = [&](TimePoint at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  if (!deadlines_.empty()) sooner(deadlines_.begin()->first);
  for (const auto& [server, failure] : failures_) {
    if (!failure.due_told) sooner(failure.until);
  }
  return earliest;
}

std::optional<Located> Locator::poll() {
  if (found_.empty()) return std::nullopt;
  Located located = std::move(found_.front());
  found_.pop_front();
  return located;
}

TimePoint Locator::note_failure(const sip::Target& target, std::optional<Duration> retry_after,
                                TimePoint now) {
  const Server server{target.transport, target.endpoint};
  if (!failures_.contains(server) && failures_.size() == kMaxFailures) {
    failures_.erase(std::min_element(
        failures_.begin(), failures_.end(),
        [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
  }
  Failure& failure = failures_[server];
  // Heard of twice, by a registration and a call: still one failure.
  if (failure.until <= now) failure.in_a_row = std::min(failure.in_a_row + 1, 6);
  const Duration down = retry_after ? std::min(*retry_after, kMaxRetryAfter)
                                    : std::min(kDown * (1 << (failure.in_a_row - 1)), kMaxDown);
  failure.until = std::max(failure.until, now + down);
  failure.due_told = false;
  return failure.until;
}

void Locator::note_success(sip::Transport transport, const Endpoint& endpoint) {
  failures_.erase({transport, endpoint});
}

bool Locator::is_down(const sip::Target& target, TimePoint now) const {
  const auto found = failures_.find({target.transport, target.endpoint});
  return found != failures_.end() && found->second.until > now;
}

}  // namespace godwit::ua
