// SPDX-License-Identifier: Apache-2.0
#include "ua/core.hpp"

#include <algorithm>

#include "ua/core_impl.hpp"
#include "ua/instance_id.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/message.hpp"

namespace godwit::ua {
namespace {

/// How often an unreachable resource (a name, a socket) is asked for again.
constexpr Duration kRetryInterval = std::chrono::seconds(2);

/// From a refused send to a new socket, if no change of the network explains it: longer than the
/// judge takes to act, and so long that a socket that never works costs little.
constexpr Duration kBrokenWait = std::chrono::milliseconds(500);

/// Rounds of settling for one input. Each round carries an event one layer on; more than a handful
/// would be two parts answering each other for ever.
constexpr int kMaxRounds = 64;

/// Routes looked up for us in each snapshot.
constexpr std::size_t kMaxWatchedRemotes = 128;

/// Shared by all connections; the driver makes its contexts of it.
std::shared_ptr<const TlsConfig> tls_of(const UserAgentConfig& config) {
  return std::make_shared<const TlsConfig>(config.tls);
}

ListenPorts listen_ports(const UserAgentConfig& config) {
  return {config.sip_port, config.listen_tcp, config.listen_tls, tls_of(config)};
}

sip::TransactionLimits transaction_limits(const UserAgentConfig& config) {
  sip::TransactionLimits limits;
  limits.max_datagram_request = config.max_udp_request;
  return limits;
}

Streams::Settings stream_settings(const UserAgentConfig& config) {
  return {tls_of(config), config.mptcp, config.stream_keep_alive};
}

}  // namespace

Core::Impl::Impl(UserAgentConfig config, Random& random, Log& log, Store* store)
    : config_(std::move(config)),
      random_(random),
      log_(log),
      transactions_(random, log, transaction_limits(config_)),
      listeners_(listen_ports(config_), outputs_),
      streams_(stream_settings(config_), listeners_, random, outputs_),
      locator_(random, outputs_),
      stun_servers_(config_.stun_servers, outputs_),
      nat64_(outputs_),
      judge_(path_policy()),
      instance_id_(load_instance_id(store, random, log)) {
  for (const std::string& complaint : stun_servers_.complaints()) warn(complaint);
  transactions_.answer_statelessly([this](const sip::Flow& flow, const wire::Message& request) {
    return needs_no_transaction(flow, request);
  });
  transactions_.shape_drafts(
      {[this](sip::Owner owner, wire::RequestDraft& draft) { shape_request(owner, draft); },
       [this](sip::ServerTransactionId transaction, wire::ResponseDraft& draft) {
         shape_response(transaction, draft);
       }});
}

void Core::Impl::warn(std::string text) {
  // Only in detail, for the application tells its user of the event.
  log_.info("ua", text);
  emit(Warning{std::move(text)});
}

Account* Core::Impl::find_account(AccountId id) {
  const auto found = accounts_.find(id);
  return found == accounts_.end() ? nullptr : found->second.get();
}

Result<Account*> Core::Impl::require_account(AccountId id) {
  Account* account = find_account(id);
  if (account == nullptr || account->is_further()) {
    return fail(ErrorCode::NotFound, "there is no account " + std::to_string(id.value()));
  }
  return account;
}

Call* Core::Impl::find_call(CallId id) {
  const auto found = calls_.find(id);
  return found == calls_.end() ? nullptr : found->second.get();
}

Core::Impl::SessionRef Core::Impl::find_session(std::uint32_t number) {
  const auto found = sessions_.find(number);
  Call* call = found == sessions_.end() ? nullptr : find_call(found->second);
  if (call == nullptr) return {};
  if (call->session_number == number) return {call, call->session.get()};
  if (call->former_number == number) return {call, call->former.get()};
  if (call->substitute && call->substitute->number == number) {
    return {call, call->substitute->session.get()};
  }
  return {};
}

Core::Impl::SessionRef Core::Impl::find_session(const sip::DialogId& dialog) {
  const auto found = dialogs_.find(dialog);
  return found == dialogs_.end() ? SessionRef{} : find_session(found->second);
}

Result<Call*> Core::Impl::require_call(CallId id) {
  Call* call = find_call(id);
  if (call == nullptr || call->state == CallState::Ended) {
    return fail(ErrorCode::NotFound, "there is no call " + std::to_string(id.value()));
  }
  return call;
}

void Core::Impl::settle(TimePoint now) {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool busy = false;
    while (auto event = transactions_.poll_event()) {
      busy = true;
      dispatch(*event, now);
    }
    drain_locator(now);
    if (std::exchange(uses_changed_, false)) {
      busy = true;
      judge_.on_uses(collect_uses(), now);
    }
    if (auto change = judge_.poll()) {
      busy = true;
      begin_recovery(*change, now);
    }
    for (const AccountId id : std::exchange(touched_accounts_, {})) {
      busy = true;
      if (Account* account = find_account(id)) advance(*account, now);
    }
    for (const CallId id : std::exchange(touched_calls_, {})) {
      busy = true;
      if (Call* call = find_call(id)) advance(*call, now);
    }
    busy = advance_usages(now) || busy;
    advance_restart();
    busy = drain_health(now) || busy;
    busy = advance_probes(now) || busy;
    busy = close_dead_listeners(now) || busy;
    for (const CallId id : std::exchange(finished_calls_, {})) {
      const Call* call = find_call(id);
      if (call == nullptr || call->former) continue;  // Its CANCEL is still under way.
      touch(call->account);
      forget_session(call->session_number);
      if (call->outgoing) {
        Call& gone = *calls_.at(id);
        keep_for_late_answers(gone.account, gone.session_number, std::move(gone.session), now);
      }
      calls_.erase(id);
      remotes_changed_ = true;
    }
    if (round + 1 == kMaxRounds) log_.warn("ua", "an input did not settle; going on");
    if (busy) continue;
    finish_recovery_if_complete(now);
    if (!flush_transmits(now)) break;
  }
  watch_remotes();
}

void Core::Impl::dispatch(const sip::TransactionEvent& event, TimePoint now) {
  on_probe_event(event, now);
  if (to_other_usage(event, now) || to_late_session(event, now)) return;
  const auto to_usage = [&](sip::Owner owner, auto&& to_registration, auto&& to_session) {
    const auto id = static_cast<std::uint32_t>(owner.value() >> 3U);
    switch (static_cast<OwnerKind>(owner.value() & 7U)) {
      case OwnerKind::Registration:
        if (Account* account = find_account(AccountId{id})) {
          to_registration(*account->registration);
          touch(account->id);
        }
        break;
      case OwnerKind::Session:
        if (const SessionRef found = find_session(id)) {
          to_session(*found.session);
          touch(found.call->id);
        }
        break;
      case OwnerKind::CallControl:
      case OwnerKind::KeepAlive:
      case OwnerKind::Core:
      case OwnerKind::Probe:
      case OwnerKind::Usage: break;
    }
  };
  const auto to_owner_of = [&](sip::ServerTransactionId transaction, auto&& give) {
    for (auto& [id, call] : calls_) {
      for (auto* session : {call->session.get(), call->former.get()}) {
        if (session == nullptr || !session->owns(transaction)) continue;
        give(*session);
        touch(id);
        return;
      }
    }
  };
  if (config_.message_hook) show_arrived(event, now);
  if (const auto* request = std::get_if<sip::RequestArrived>(&event)) {
    on_request(*request, now);
  } else if (const auto* ack = std::get_if<sip::AckArrived>(&event)) {
    const auto id = sip::dialog_id_of_request(*ack->ack);
    if (const SessionRef found = id ? find_session(*id) : SessionRef{}) {
      found.session->on_ack(*ack, now);
      touch(found.call->id);
    } else {
      ++counters_.stray;
    }
  } else if (const auto* cancel = std::get_if<sip::CancelArrived>(&event)) {
    to_owner_of(cancel->invite, [&](sip::InviteSession& s) { s.on_cancel(*cancel, now); });
  } else if (const auto* response = std::get_if<sip::ResponseArrived>(&event)) {
    note_round_trip(*response);
    to_usage(
        response->owner, [&](sip::Registration& r) { r.on_response(*response, now); },
        [&](sip::InviteSession& s) { s.on_response(*response, now); });
  } else if (const auto* late = std::get_if<sip::DetachedAnswerArrived>(&event)) {
    to_usage(
        late->owner, [](sip::Registration&) {},
        [&](sip::InviteSession& s) { s.on_detached_answer(*late, now); });
  } else if (const auto* failed = std::get_if<sip::ClientFailed>(&event)) {
    to_usage(
        failed->owner, [&](sip::Registration& r) { r.on_client_failed(*failed, now); },
        [&](sip::InviteSession& s) { s.on_client_failed(*failed, now); });
  } else if (const auto* server = std::get_if<sip::ServerFailed>(&event)) {
    to_owner_of(server->transaction,
                [&](sip::InviteSession& s) { s.on_server_failed(*server, now); });
  }
}

void Core::Impl::note_round_trip(const sip::ResponseArrived& response) {
  if (!response.round_trip) return;
  const auto id = static_cast<std::uint32_t>(response.owner.value() >> 3U);
  Account* account = nullptr;
  if (static_cast<OwnerKind>(response.owner.value() & 7U) == OwnerKind::Registration) {
    account = find_account(AccountId{id});
  } else if (const SessionRef found = find_session(id)) {
    account = &way_of(*found.call);
  }
  // Only the first hop's own answers: a callee's 200 may have waited for a person.
  if (account == nullptr || account->server != response.flow.remote) return;
  const auto cseq = wire::cseq_of(*response.response);
  const bool final_invite =
      cseq && cseq->method == wire::Method::Invite && response.response->status() >= 200;
  if (!final_invite) account->note_round_trip(*response.round_trip);
}

void Core::Impl::dispatch_timer(const Timer& timer, TimePoint now) {
  const auto id = static_cast<std::uint32_t>(timer.owner.value() >> 3U);
  switch (static_cast<OwnerKind>(timer.owner.value() & 7U)) {
    case OwnerKind::Registration:
      if (Account* account = find_account(AccountId{id})) {
        if (account->reconfigured && account->wants_registration) {
          account->move_pending = true;  // To where it belongs now, and not where it was.
        } else {
          account->registration->on_timer(timer.kind, now);
        }
        touch(account->id);
      }
      break;
    case OwnerKind::Session:
      if (const SessionRef found = find_session(id)) {
        found.session->on_timer(timer.kind, now);
        touch(found.call->id);
      } else if (sip::InviteSession* late = late_session(timer.owner)) {
        late->on_timer(timer.kind, now);
      }
      break;
    case OwnerKind::CallControl:
      if (Call* call = find_call(CallId{id})) {
        switch (static_cast<CallTimer>(timer.kind)) {
          case CallTimer::Refresh: break;  // advance() sees that the time has come.
          case CallTimer::Proof: on_proof_timer(*call, now); break;
          case CallTimer::Deadline: on_deadline(*call, now); break;
          case CallTimer::Unproven: on_unproven_timer(*call); break;
          case CallTimer::Unreachable: on_unreachable_timer(*call, now); break;
          case CallTimer::Substitute: on_substitute_timer(*call, now); break;
          case CallTimer::Transfer: on_transfer_timer(*call); break;
          case CallTimer::TransferAsked: on_asked_timer(*call, now); break;
          case CallTimer::Choice: on_choice_timer(*call); break;
          case CallTimer::Holds: hold_timeouts(*call, false, now); break;
          case CallTimer::FlowLost: on_flow_lost_timer(*call, now); break;
          case CallTimer::ByeUnanswered: on_bye_timer(*call, now); break;
          case CallTimer::Silence: review_silence(*call, now); break;
          case CallTimer::MappingDoubt: on_mapping_doubt_timer(*call, now); break;
        }
        touch(call->id);
      }
      break;
    case OwnerKind::Usage: on_usage_timer(id, timer.kind, now); break;
    case OwnerKind::KeepAlive:
      if (Account* account = find_account(AccountId{id}))
        on_keep_alive_timer(*account, timer.kind, now);
      break;
    case OwnerKind::Probe: break;  // advance_probes() sees that the time has come.
    case OwnerKind::Core:
      if (static_cast<CoreTimer>(timer.kind) == CoreTimer::BrokenListener) {
        replace_broken_listeners(now);
        break;
      }
      if (static_cast<CoreTimer>(timer.kind) == CoreTimer::LateAnswers) {
        drop_late_sessions(now);
        break;
      }
      if (static_cast<CoreTimer>(timer.kind) == CoreTimer::RestartListener) {
        if (restarting_) listeners_.ask_again(*restarting_);
        break;
      }
      retry_timer_.reset();
      listeners_.forget_failures();
      if (v6_only_ && nat64_.unanswered()) nat64_.look_up();
      for (const auto& [account, state] : accounts_) touch(account);
      for (const auto& [call, state] : calls_) touch(call);
      break;
  }
}

TimerId Core::Impl::schedule(const Call& call, CallTimer timer, TimePoint at) {
  return timers_.schedule(
      at, Timer{owner(OwnerKind::CallControl, call.id.value()), static_cast<std::uint32_t>(timer)});
}

void Core::Impl::retry_later(TimePoint now) {
  if (retry_timer_) return;
  retry_timer_ = timers_.schedule(
      now + kRetryInterval,
      Timer{owner(OwnerKind::Core, 0), static_cast<std::uint32_t>(CoreTimer::Retry)});
}

bool Core::Impl::flush_transmits(TimePoint now) {
  bool failed = false;
  while (auto transmit = transactions_.poll_transmit()) {
    if (is_stream(transmit->flow.transport)) {
      failed = !send_on_stream(std::move(*transmit), now) || failed;
      continue;
    }
    const Listener* listener = listeners_.find(transmit->flow.listener);
    // A dialog on a connection whose next request the peer's Contact wants by UDP.
    if (listener == nullptr && streams_.find(transmit->flow.listener) != nullptr) {
      const mobility::Path path = path_of(transmit->flow);
      listener = listeners_.find(path, sip::Transport::Udp);
      // With listen_udp off there may be none yet: this datagram is late, its repetition is not.
      if (listener == nullptr) (void)listeners_.ensure(path, judge_.generation());
    }
    if (listener == nullptr || listener->dead) continue;  // Nothing leaves on a dead flow.
    if (!listener->bound) continue;  // Being restarted: what is not sent is sent again.
    // Nor on one whose address is away for the moment, while the judge waits whether it returns:
    // the system would refuse, and the transaction fail for it. Its retransmission may get through.
    if (!is_present(listener->path)) continue;
    trace_sent(flow_of(*listener, transmit->flow.remote), transmit->bytes, now);
    outputs_.push_back(
        SendDatagram{listener->id, transmit->flow.remote, std::move(transmit->bytes)});
  }
  return failed;
}

bool Core::Impl::is_present(const mobility::Path& path) const {
  return !judge_.has_snapshot() || !config_.bind_addresses.empty() || path.local.is_loopback() ||
         judge_.current().owner_of(path.local) != nullptr;
}

void Core::Impl::watch_remotes() {
  if (!std::exchange(remotes_changed_, false)) return;
  std::set<IpAddress> remotes;
  for (const auto& [id, call] : calls_) {
    if (call->agreed) remotes.insert(call->agreed->remote_rtp.address);
    if (call->started || !call->outgoing) remotes.insert(call->session->flow().remote.address);
    if (remotes.size() >= kMaxWatchedRemotes) break;
  }
  for (const auto& [number, usage] : usages_) {
    if (remotes.size() >= kMaxWatchedRemotes) break;
    if (usage->target.direct) remotes.insert(usage->target.direct->address);
  }
  for (const auto& [id, account] : accounts_) {
    if (remotes.size() >= kMaxWatchedRemotes) break;
    if (account->server) remotes.insert(account->server->address);
    for (const sip::Target& target : account->targets) remotes.insert(target.endpoint.address);
  }
  remotes.erase(IpAddress{});
  std::vector<IpAddress> list(remotes.begin(), remotes.end());
  if (list == watched_) return;
  watched_ = list;
  outputs_.push_back(WatchRemotes{std::move(list)});
}

// --- inputs ---

void Core::Impl::on_datagram(ListenerId id, const Endpoint& source, std::string bytes,
                             TimePoint now) {
  const Endpoint remote = nat64_.original(source);
  ++counters_.datagrams;
  const Listener* listener = listeners_.find(id);
  if (listener == nullptr || !listener->bound) {
    ++counters_.stale_inputs;
    return;
  }
  if (bytes.find_first_not_of("\r\n\0", 0, 3) == std::string::npos) {
    ++counters_.keepalives;
    return;
  }
  if (wire::looks_like_stun(as_bytes(bytes))) {
    on_stun(id, remote, bytes, now);
    return;
  }
  const sip::Flow flow = flow_of(*listener, remote);
  trace_received(flow, bytes, now);
  auto message = wire::Message::parse(std::move(bytes));
  if (!message) {
    ++counters_.unparseable;
    if (const auto more = garbage_log_.admit(now)) {
      log_.info("ua", "dropped a datagram from " + remote.to_string() + ": " +
                          message.error().detail + *more);
    }
    return;
  }
  transactions_.on_message(flow, std::move(*message), now);
  settle(now);
}

void Core::Impl::on_listen(ListenerId id, const Result<Endpoint>& bound, TimePoint now) {
  const Listener* listener = listeners_.find(id);
  if (listener == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  if (on_restarted(id, bound, now)) {
    settle(now);
    return;
  }
  const bool by_hand = listener->by_hand;
  if (auto complaint = listeners_.on_listen(id, bound)) {
    if (by_hand) {
      tell_listener(*listener, bound.error().detail);
    } else {
      warn(*complaint);
      if (listener->failed) retry_later(now);
    }
  } else if (by_hand) {
    tell_listener(*listener, "");
  }
  if (recovery_ && listener->generation == recovery_->generation() && (bound || listener->failed)) {
    progress(recovery_->listener_opened(bound.has_value(), bound.value_or(Endpoint{}),
                                        bound ? "" : bound.error().detail, now));
  }
  touch_users(listener->path);
  if (by_hand && listener->failed) listeners_.close(id);
  settle(now);
}

void Core::Impl::on_send_error(ListenerId id, const Endpoint& destination, bool fatal,
                               const std::string& reason, TimePoint now) {
  const Endpoint remote = nat64_.original(destination);
  if (listeners_.find(id) == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  log_.info("ua", "sending to " + remote.to_string() + " failed: " + reason);
  // A full queue or an ICMP error may pass: retransmission tries again. A socket whose address is
  // gone does not come back.
  if (!fatal) {
    const mobility::Path path = listeners_.find(id)->path;
    for (const auto& [account_id, account] : accounts_) {
      if (account->server != remote || account->path != path) continue;
      suspect_path(*account, path, ChangeCause::PathUnreachable, now, false, now);
      break;
    }
    on_unreachable(remote, now);
    return;
  }
  // Mostly the snapshot that explains it is a moment away, and the recovery takes along what is
  // under way here. Only if none comes is it the socket itself.
  if (broken_listeners_.empty()) {
    timers_.schedule(
        now + kBrokenWait,
        Timer{owner(OwnerKind::Core, 0), static_cast<std::uint32_t>(CoreTimer::BrokenListener)});
  }
  broken_listeners_.insert(id);
}

void Core::Impl::replace_broken_listeners(TimePoint now) {
  bool any = false;
  for (const ListenerId id : std::exchange(broken_listeners_, {})) {
    const Listener* listener = listeners_.find(id);
    if (listener == nullptr || listener->dead || !is_present(listener->path)) continue;
    log_.warn("ua", "the SIP socket of " + listener->path.to_string() + " is of no more use");
    listeners_.mark_dead(id);
    dead_listeners_.push_back(id);
    any = true;
  }
  // A new socket on the same path: everything says again where it is.
  if (any && judge_.has_snapshot()) refresh_all(now);
}

void Core::Impl::on_network(NetworkSnapshot snapshot, TimePoint now) {
  const bool first = !judge_.has_snapshot();
  if (first) stun_servers_.look_up();
  if (health_.on_snapshot(snapshot)) judge_.set_avoided(health_.avoided());
  judge_.on_snapshot(std::move(snapshot), collect_uses(), now);
  look_for_nat64(false, now);
  seek_ways(now);
  touch_preferring_accounts();
  // Before the first snapshot there are no paths to lose, and everything to begin.
  const bool online = mobility::is_online(judge_.current()) || !config_.bind_addresses.empty();
  if (online != online_) {
    online_ = online;
    emit(NetworkAvailability{online});
  }
  if (first || online) {
    for (const auto& [account, state] : accounts_) {
      if (!state->path) touch(account);
    }
    for (const auto& [call, state] : calls_) {
      if (!state->path) touch(call);
    }
  }
  review_silence(now);
  settle(now);
}

void Core::Impl::on_resumed(Duration asleep, TimePoint now) {
  log_.info("ua", "resumed after " + std::to_string(static_cast<long>(to_ms(asleep))) + " ms");
  drop_slept_through(asleep, now);
  judge_.on_resumed(now);
  settle(now);
}

void Core::Impl::on_resolved(QueryId query, const DnsAnswer& answer, TimePoint now) {
  if (stun_servers_.on_answer(query, answer)) {
    on_stun_servers_known(now);
  } else if (const auto before = nat64_.prefix(); nat64_.on_answer(query, answer)) {
    on_nat64_known(before, now);
  } else if (!locator_.on_answer(query, answer, now)) {
    ++counters_.stale_inputs;
    return;
  }
  settle(now);
}

void Core::Impl::on_timeout(TimePoint now) {
  transactions_.on_timeout(now);
  if (locator_.on_timeout(now)) {
    for (const auto& [id, account] : accounts_) touch(id);  // A better server may be back.
  }
  while (const auto timer = timers_.pop_due(now)) dispatch_timer(*timer, now);
  on_stream_timeouts(now);
  health_.on_timeout(now);
  on_sip_mapping_timeouts(now);
  // Only then are the uses worth collecting: there may be thousands, and timers by the packet.
  if (const auto due = judge_.next_timeout(); due && *due <= now) {
    judge_.on_timeout(collect_uses(), now);
  }
  settle(now);
}

std::optional<TimePoint> Core::Impl::next_timeout() {
  std::optional<TimePoint> earliest;
  for (const auto& next : {transactions_.next_timeout(), timers_.next(), judge_.next_timeout(),
                           locator_.next_timeout(), streams_.next_timeout(), health_.next_timeout(),
                           next_sip_mapping_timeout()}) {
    if (next && (!earliest || *next < *earliest)) earliest = next;
  }
  return earliest;
}

std::optional<Output> Core::Impl::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  Output output = translated(std::move(outputs_.front()));
  outputs_.pop_front();
  return output;
}

Counters Core::Impl::counters() const {
  const sip::TransactionCounters& sip = transactions_.counters();
  Counters all = counters_;
  all.malformed_answered = sip.bad_requests_answered;
  all.malformed_dropped = sip.bad_messages_dropped;
  all.stray += sip.stray_responses + sip.stray_acks;
  all.refused_busy = sip.refused_busy + sip.dropped_busy;
  return all;
}

}  // namespace godwit::ua
