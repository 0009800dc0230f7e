// SPDX-License-Identifier: Apache-2.0
//
// Paths that go dead, or come to life, without a word of the system: what is a symptom of that, how
// the server is asked over a path (an OPTIONS to the first hop, which any answer answers), and what
// the core does with the findings of PathHealth.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::ua {
namespace {

using mobility::Path;
using mobility::PathHealth;

/// While a recovery is under way, its own proofs are awaited; then the silence is looked at again.
constexpr Duration kLookAgain = std::chrono::seconds(1);

}  // namespace

// --- symptoms ---

bool Core::Impl::leaves_dead_paths(const Account& account) {
  return account.config.ip_change.leave_dead_paths && account.config.ip_change.automatic;
}

bool Core::Impl::is_listening(const Call& call) {
  return call.state == CallState::Confirmed && !call.ending && !call.suspended && call.heard &&
         call.expects_audio() && !call.hold_wanted && call.media && call.path;
}

void Core::Impl::on_media_silent(Call& call, TimePoint since, TimePoint now) {
  call.silent_since = since;
  call.silent_in = call.generation;
  timers_.cancel(call.mapping_doubt);
  call.mapping_doubt = schedule(call, CallTimer::MappingDoubt, since + kMappingDoubt);
  review_silence(call, now);
}

void Core::Impl::on_media_heard(Call& call, Duration pause, TimePoint now) {
  if (!call.silent_since) return;
  call.silent_since.reset();
  if (call.silent_in != call.generation) return;  // A move has ended it.
  call.gaps.note(pause, now);
  if (call.media) health_.on_audio(call.media->path, now);
}

void Core::Impl::review_silence(TimePoint now) {
  for (const auto& [id, call] : calls_) {
    if (call->silent_since) review_silence(*call, now);
  }
}

void Core::Impl::review_silence(Call& call, TimePoint now) {
  const Account& account = way_of(call);
  if (!call.silent_since || !is_listening(call) || !leaves_dead_paths(account)) return;
  const auto look_again = [&](TimePoint at) {
    timers_.cancel(call.silence);
    call.silence = schedule(call, CallTimer::Silence, at);
  };
  const TimePoint due = *call.silent_since + call.gaps.limit(now);
  if (now < due) return look_again(due);
  const bool moving = call.move_pending || call.wish.recovery || call.in_flight.recovery ||
                      (recovery_ && recovery_->awaits_audio(call.id));
  const Path& path = call.media->path;
  if (moving || is_heard_on(path)) return look_again(now + kLookAgain);
  suspect_path(account, path, ChangeCause::MediaSilent, *call.silent_since, call.gaps.pauses(now),
               now);
}

std::optional<Path> Core::Impl::other_path(const Account& account, const Path& than) const {
  if (!account.server || !judge_.has_snapshot()) return std::nullopt;
  const auto differs = [&](const std::optional<Path>& path) {
    return path && (path->interface_index != than.interface_index ||
                    path->local.family() != than.local.family());
  };
  mobility::PathPolicy policy = path_policy(account);
  policy.avoid.push_back({than.interface_index, than.local.family(), ChangeCause::MediaSilent});
  std::vector<Endpoint> servers = other_ways(account);
  servers.insert(servers.begin(), *account.server);
  const auto look = [&]() -> std::optional<Path> {
    for (const Endpoint& server : servers) {
      const auto other = path_to(server.address, policy);
      if (differs(other) && policy.avoided(*other) == nullptr) return other;
    }
    return std::nullopt;
  };
  if (const auto other = look()) return other;
  // One that was given up itself may have come back.
  policy.avoid.erase(policy.avoid.begin(), std::prev(policy.avoid.end()));
  return look();
}

Hop Core::Impl::hop_from(const Account& account, const Path& path) const {
  if (can_send(path.local, *account.server)) return account.hop();
  for (const Endpoint& server : other_ways(account)) {
    const auto hop = can_send(path.local, server) ? account.hop_at(server) : std::nullopt;
    if (hop) return *hop;
  }
  return account.hop();
}

bool Core::Impl::is_heard_on(const Path& path) const {
  return std::any_of(calls_.begin(), calls_.end(), [&](const auto& entry) {
    const Call& call = *entry.second;
    return is_listening(call) && !call.silent_since && call.media->path == path;
  });
}

void Core::Impl::suspect_path(const Account& account, const Path& path, ChangeCause cause,
                              TimePoint since, bool weak, TimePoint now) {
  // Audio on the same path shows that it is this server, or this peer.
  if (!leaves_dead_paths(account) || is_heard_on(path)) return;
  const auto other = other_path(account, path);
  if (!other) return;  // Nowhere to go: another look when the network changes.
  PathHealth::Suspicion suspicion;
  suspicion.path = path;
  suspicion.alternative = *other;
  suspicion.cause = cause;
  suspicion.since = since;
  suspicion.round_trip = account.round_trip.value_or(Duration::zero());
  suspicion.weak = weak;
  suspicion.whose = account.id.value();
  if (!health_.suspect(suspicion, now)) return;
  log_.info("ua", std::string(godwit::to_string(cause)) + " on " + path.to_string() +
                      ": asking the server over it and over " + other->to_string());
}

// --- moves that wait ---

const Account* Core::Impl::account_of(const mobility::PlanRow& row) const {
  const std::uint32_t id = row.use.value() / 3;
  AccountId account{id};
  if (row.kind == mobility::UseKind::Call) {
    const auto call = calls_.find(CallId{id});
    if (call == calls_.end()) return nullptr;
    account = way_of(*call->second).id;
  } else if (row.kind == mobility::UseKind::Subscription) {
    const auto usage = usages_.find(id);
    if (usage == usages_.end()) return nullptr;
    account = usage->second->account;
  }
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? nullptr : found->second.get();
}

bool Core::Impl::awaits_proof(const mobility::PlanRow& row, const mobility::NetworkChange& change,
                              TimePoint now) {
  if (row.mode != mobility::Mode::MakeBeforeBreak || !row.to) return false;
  // By the application's word, or of a machine that slept, all is said again at once.
  if (change.delta.has(ChangeCause::Forced) || change.delta.has(ChangeCause::Resumed)) return false;
  const Account* account = account_of(row);
  if (account == nullptr || !account->config.ip_change.prove_new_paths || !account->server ||
      account->server->address.family() != row.to->local.family()) {
    return false;
  }
  if (health_.prove(*row.to, account->id.value(), now)) return false;
  // Its parts may come one by one: they are one change.
  if (unproven_causes_.empty()) unproven_since_ = change.detected_at;
  for (const ChangeCause cause : change.delta.causes) {
    const auto end = unproven_causes_.end();
    if (std::find(unproven_causes_.begin(), end, cause) == end) unproven_causes_.push_back(cause);
  }
  log_.info("ua", "a better path, " + row.to->to_string() + ", is to be proven first");
  return true;
}

bool Core::Impl::uses(const Path& path) const {
  const auto on_it = [&](const auto& entry) { return entry.second->path == path; };
  return std::any_of(accounts_.begin(), accounts_.end(), on_it) ||
         std::any_of(calls_.begin(), calls_.end(), on_it) ||
         std::any_of(usages_.begin(), usages_.end(), on_it);
}

std::vector<ListenerId> Core::Impl::leave_avoided_paths() {
  std::vector<ListenerId> left;
  const mobility::PathPolicy policy = path_policy();
  if (policy.avoid.empty()) return left;
  const auto is_left = [&](const Path& path) {
    return policy.avoided(path) != nullptr && !uses(path);
  };
  for (const ListenerId id : listeners_.all()) {
    const Listener* listener = listeners_.find(id);
    if (listener->dead || !is_left(listener->path)) continue;
    listeners_.mark_dead(id);
    left.push_back(id);
  }
  for (const ListenerId id : streams_.all()) {
    const Stream* stream = streams_.find(id);
    if (stream->dead || stream->failed || !is_left(stream->path)) continue;
    streams_.mark_dead(id);
    left.push_back(id);
  }
  return left;
}

// --- questions ---

std::vector<AccountId> Core::Impl::witnesses(const Path& path, AccountId first) const {
  std::vector<AccountId> chosen;
  std::vector<IpAddress> servers;
  const auto add = [&](const Account& account) {
    if (account.removed || !account.server || chosen.size() == kMaxWitnesses) return;
    const Endpoint server = hop_from(account, path).remote;
    const auto known = std::find(servers.begin(), servers.end(), server.address);
    if (known != servers.end() || !can_send(path.local, server)) return;
    servers.push_back(server.address);
    chosen.push_back(account.id);
  };
  if (const auto found = accounts_.find(first); found != accounts_.end()) add(*found->second);
  std::size_t looked_at = 0;
  for (const auto& [id, account] : accounts_) {
    if (chosen.size() == kMaxWitnesses || ++looked_at > kMaxWitnessesLookedAt) break;
    add(*account);
  }
  return chosen;
}

bool Core::Impl::advance_probes(TimePoint now) {
  bool busy = false;
  bool ended = false;
  for (auto it = probes_.begin(); it != probes_.end();) {
    Probe& probe = it->second;
    Account* account = find_account(probe.account);
    const bool possible = now < probe.until && account != nullptr && account->server;
    bool gone = !possible;
    if (possible && !probe.sent) {
      const Hop hop = hop_from(*account, probe.path);
      if (const auto flow = flow_to(probe.path, hop, now)) {
        send_probe(it->first, probe, *flow, now);
        busy = true;
      } else {
        gone = flow_failure(probe.path, hop).has_value();
      }
    }
    it = gone ? probes_.erase(it) : std::next(it);
    ended = ended || gone;
  }
  if (ended && !recovery_) close_unused_listeners();
  return busy;
}

void Core::Impl::send_probe(std::uint32_t number, Probe& probe, const sip::Flow& flow,
                            TimePoint now) {
  const Account& account = *accounts_.at(probe.account);
  wire::RequestDraft draft;
  draft.method = wire::Method::Options;
  SipAddress domain = account.aor;
  domain.user.clear();
  draft.request_uri = domain.uri();
  // RFC 3261 §11: at zero the first hop answers itself, be it with 483. It, and no one behind it,
  // is what is to be reached.
  draft.headers.emplace_back(wire::HeaderId::MaxForwards, "0");
  for (const std::string& route : account.route_set) {
    draft.headers.emplace_back(wire::HeaderId::Route, route);
  }
  draft.headers.emplace_back(wire::HeaderId::From,
                             "<" + account.aor.uri() + ">;tag=" + random_.token(10));
  draft.headers.emplace_back(wire::HeaderId::To, "<" + draft.request_uri + ">");
  draft.headers.emplace_back(wire::HeaderId::CallId, random_.token(24));
  draft.headers.emplace_back(wire::HeaderId::CSeq, "1 OPTIONS");
  sip::TransactionTimers timers;
  timers.t1 = probe.repeat_after;
  timers.timeout = PathHealth::kAnswerWait;
  probe.sent = true;
  if (const auto sent =
          transactions_.send_request(draft, "", flow, owner(OwnerKind::Probe, number), timers, now);
      !sent) {
    log_.info("ua", "no question could be put over " + probe.path.to_string() + ": " +
                        sent.error().detail);
  }
}

void Core::Impl::on_probe_event(const sip::TransactionEvent& event, TimePoint now) {
  const auto done = [&](sip::Owner who) {
    if (static_cast<OwnerKind>(who.value() & 7U) != OwnerKind::Probe) return;
    probes_.erase(static_cast<std::uint32_t>(who.value() >> 3U));
    if (!recovery_) close_unused_listeners();
  };
  if (const auto* response = std::get_if<sip::ResponseArrived>(&event)) {
    // A peer in the same network can answer, too, where nothing leads out of it.
    const auto kind = static_cast<OwnerKind>(response->owner.value() & 7U);
    if (kind == OwnerKind::Probe || kind == OwnerKind::Registration) {
      health_.on_answer(path_of(response->flow), now);
    }
    done(response->owner);
  } else if (const auto* failed = std::get_if<sip::ClientFailed>(&event)) {
    done(failed->owner);
  }
}

// --- findings ---

bool Core::Impl::drain_health(TimePoint now) {
  bool busy = false;
  while (const auto event = health_.poll()) {
    busy = true;
    switch (event->kind) {
      case PathHealth::Event::Kind::Ask:
        for (const AccountId id : witnesses(event->path, AccountId{event->whose})) {
          if (probes_.size() >= kMaxProbes) break;
          probes_[++last_probe_] = {event->path, id, event->repeat_after,
                                    now + PathHealth::kAnswerWait};
        }
        break;
      case PathHealth::Event::Kind::Review: review_silence(now); break;
      case PathHealth::Event::Kind::Changed: {
        std::vector<ChangeCause> causes;
        TimePoint since = event->since;
        if (event->cause == ChangeCause::NothingCarried) {
          warn(event->path.to_string() +
               " is not taken: no server answered OPTIONS over it in time (a captive portal, or "
               "servers that answer none: IpChangePolicy::prove_new_paths)");
          unproven_causes_.clear();
        } else if (event->cause) {
          causes.push_back(*event->cause);
        } else {
          causes = std::exchange(unproven_causes_, {});
          since = unproven_since_;
        }
        judge_.on_health(health_.avoided(), causes, collect_uses(), since, now);
        break;
      }
    }
  }
  return busy;
}

}  // namespace godwit::ua
