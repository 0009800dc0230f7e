// SPDX-License-Identifier: Apache-2.0
//
// What becomes of sockets when the application, or a change of the address, asks for more than the
// paths do: listeners restarted one after the other, listeners opened and closed by hand, and
// connections shut down though they live.
#include <algorithm>
#include <set>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

Result<sip::Transport> transport_of(TransportChoice choice) {
  switch (choice) {
    case TransportChoice::Auto: break;
    case TransportChoice::Udp: return sip::Transport::Udp;
    case TransportChoice::Tcp: return sip::Transport::Tcp;
    case TransportChoice::Tls: return sip::Transport::Tls;
  }
  return fail(ErrorCode::InvalidArgument, "one transport at a time: Udp, Tcp or Tls");
}

TransportChoice choice_of(sip::Transport transport) {
  switch (transport) {
    case sip::Transport::Udp: return TransportChoice::Udp;
    case sip::Transport::Tcp: return TransportChoice::Tcp;
    case sip::Transport::Tls: return TransportChoice::Tls;
  }
  return TransportChoice::Auto;
}

}  // namespace

void Core::Impl::begin_restart(const IpChangeOptions& options) {
  restart_options_ = options;
  for (const ListenerId id : listeners_.all()) {
    const Listener* listener = listeners_.find(id);
    // What is being opened just now, or restarted, is new already.
    if (listener->dead || !listener->bound || listener->restarts) continue;
    listeners_.announce_restart(id);
    to_restart_.push_back(id);
  }
}

void Core::Impl::advance_restart() {
  for (;;) {
    if (restarting_) {
      const Listener* listener = listeners_.find(*restarting_);
      if (listener != nullptr && listener->restarts && !listener->dead) return;
      restarting_.reset();
    }
    if (to_restart_.empty()) return;
    const ListenerId id = to_restart_.front();
    to_restart_.pop_front();
    const Listener* listener = listeners_.find(id);
    if (listener == nullptr || listener->dead || !listener->bound) continue;
    restarting_ = id;
    restart_attempts_left_ = restart_options_.restart_attempts;
    listeners_.restart(id);
  }
}

bool Core::Impl::on_restarted(ListenerId id, const Result<Endpoint>& bound, TimePoint now) {
  if (restarting_ != id) return false;
  const Listener* listener = listeners_.find(id);
  const mobility::Path path = listener->path;
  if (bound) {
    listeners_.restarted(id, *bound);
    if (recovery_) progress(recovery_->listener_opened(true, *bound, "", now));
  } else if (!listener->dead) {
    const bool again = bound.error().code == ErrorCode::Busy && restart_attempts_left_ > 0;
    const std::string what = bound.error().detail;
    if (recovery_) {
      progress(recovery_->listener_opened(false, Endpoint{},
                                          again ? what + "; it is tried again" : what, now));
    }
    if (again) {
      --restart_attempts_left_;
      timers_.schedule(
          now + restart_options_.restart_delay,
          Timer{owner(OwnerKind::Core, 0), static_cast<std::uint32_t>(CoreTimer::RestartListener)});
      return true;
    }
    replace_listener(id, what, now);
  }
  advance_restart();
  touch_users(path);
  return true;
}

void Core::Impl::replace_listener(ListenerId id, const std::string& why, TimePoint now) {
  const Listener old = *listeners_.find(id);
  warn("the SIP port " + std::to_string(old.restart_port) + " of " + old.path.to_string() +
       " could not be opened again (" + why + "); another one is used");
  (void)listeners_.replace(id, judge_.generation());
  if (old.transport != sip::Transport::Udp) return;  // What it had accepted stays.
  dead_listeners_.push_back(id);
  for (const auto& [call_id, call] : calls_) {
    if (call->state == CallState::Ended || call->ending || !call->path) continue;
    if (call->session->flow().listener != id) continue;
    const bool unanswered = call->outgoing && call->state != CallState::Confirmed &&
                            call->session->state() != sip::SessionState::Confirmed;
    if (unanswered && call->started && recovery_) {
      // Its responses would go to the port that is not ours any more.
      mobility::PlanRow row;
      row.to = call->path;
      restart_outgoing(*call, row, now);
    } else {
      call->move_pending = true;
      call->moving_since = now;
      if (!recovery_ || !recovery_->takes_part(call_id)) call->wish.flow_lost = true;
    }
    touch(call_id);
  }
  // Those that the change was not about are known there too.
  for (const auto& [account_id, account] : accounts_) {
    if (!account->wants_registration || account->transport != sip::Transport::Udp ||
        account->path != old.path) {
      continue;
    }
    account->move_pending = true;
    touch(account_id);
  }
}

std::string Core::Impl::ends_of(const Stream& stream) const {
  const Endpoint local = stream.open ? stream.info.local : Endpoint{stream.path.local, 0};
  return std::string(to_string(stream.hop.transport)) + " " + local.to_string() + " to " +
         stream.hop.remote.to_string();
}

void Core::Impl::shut_down_streams(const mobility::RecoveryPlan& plan, StreamShutdown asked,
                                   TimePoint now) {
  std::set<ListenerId> chosen;
  bool all = asked == StreamShutdown::All;
  const auto choose_own = [&](const Account& account) {
    const auto& flow = account.registration->flow();
    if (flow && is_stream(flow->transport)) chosen.insert(flow->listener);
  };
  if (asked == StreamShutdown::Registration) {
    for (const auto& [id, account] : accounts_) choose_own(*account);
  }
  for (const mobility::PlanRow& row : plan.rows) {
    if (row.kind != mobility::UseKind::Registration) continue;
    const Account* account = find_account(AccountId{row.use.value() / 3});
    if (account == nullptr) continue;
    const StreamShutdown wanted = account->config.ip_change.shut_down_streams;
    if (wanted == StreamShutdown::All) all = true;
    if (wanted == StreamShutdown::Registration) choose_own(*account);
  }
  if (all) {
    for (const ListenerId id : streams_.all()) chosen.insert(id);
  }
  for (const ListenerId id : chosen) {
    const Stream* stream = streams_.find(id);
    if (stream == nullptr || !stream->open || stream->dead) continue;
    progress(recovery_->stream_shut_down(ends_of(*stream) + ": asked for", now));
    streams_.mark_dead(id);
    dead_listeners_.push_back(id);
    // Who shares it may have nothing else to do in this change.
    for (const auto& [call_id, call] : calls_) {
      if (call->session->flow().listener == id) lose_flow_of(*call, now);
    }
  }
}

void Core::Impl::tell_listener(const Listener& listener, const std::string& reason) {
  if (!listener.by_hand) return;
  ListenerChanged changed;
  changed.transport = choice_of(listener.transport);
  changed.local = listener.bound.value_or(Endpoint{listener.path.local, listener.own_port});
  changed.open = reason.empty();
  changed.reason = reason;
  emit(std::move(changed));
}

Result<void> Core::Impl::open_listener(TransportChoice choice, const IpAddress& local,
                                       std::uint16_t port, TimePoint now) {
  const auto transport = transport_of(choice);
  if (!transport) return tl::unexpected<Error>(transport.error());
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (local.family() == Family::None || local.is_unspecified() || local.is_multicast()) {
    return fail(ErrorCode::InvalidArgument,
                "a listener needs one address of this machine, not " + local.to_string());
  }
  const NetworkInterface* owner =
      judge_.has_snapshot() ? judge_.current().owner_of(local) : nullptr;
  if (owner == nullptr) {
    return fail(ErrorCode::NotFound, "no interface has the address " + local.to_string());
  }
  const mobility::Path path{owner->index, owner->name, local};
  for (const ListenerId id : listeners_.all()) {
    const Listener* listener = listeners_.find(id);
    if (listener->dead || listener->failed || listener->transport != *transport) continue;
    if (listener->path == path) {
      return fail(ErrorCode::WrongState, std::string("there is a ") + to_string(*transport) +
                                             " listener on " + local.to_string() + " already");
    }
  }
  if (!listeners_.open_by_hand(path, judge_.generation(), *transport, port)) {
    return fail(ErrorCode::Busy,
                "there are " + std::to_string(Listeners::kMaxListeners) + " listeners already");
  }
  settle(now);
  return {};
}

bool Core::Impl::is_used(const Listener& listener) const {
  const auto on_path = [&](const std::optional<mobility::Path>& path) {
    return path && *path == listener.path;
  };
  return std::any_of(probes_.begin(), probes_.end(),
                     [&](const auto& entry) { return entry.second.path == listener.path; }) ||
         std::any_of(usages_.begin(), usages_.end(),
                     [&](const auto& entry) { return on_path(entry.second->path); }) ||
         std::any_of(accounts_.begin(), accounts_.end(),
                     [&](const auto& entry) { return on_path(entry.second->path); }) ||
         std::any_of(calls_.begin(), calls_.end(), [&](const auto& entry) {
           return on_path(entry.second->path) ||
                  entry.second->session->flow().listener == listener.id;
         });
}

Result<void> Core::Impl::close_listener(TransportChoice choice, const IpAddress& local,
                                        TimePoint now) {
  const auto transport = transport_of(choice);
  if (!transport) return tl::unexpected<Error>(transport.error());
  bool any = false;
  for (const ListenerId id : listeners_.all()) {
    const Listener* listener = listeners_.find(id);
    if (listener->transport != *transport || listener->path.local != local) continue;
    any = true;
    // Connections outlive what accepted them; datagrams have nothing else.
    if (*transport == sip::Transport::Udp ? is_used(*listener)
                                          : is_used(*listener) && !listener->by_hand) {
      return fail(ErrorCode::WrongState, std::string("the ") + to_string(*transport) +
                                             " listener on " + local.to_string() + " is in use");
    }
    listeners_.close(id);
  }
  if (!any) {
    return fail(ErrorCode::NotFound, std::string("there is no ") + to_string(*transport) +
                                         " listener on " + local.to_string());
  }
  settle(now);
  return {};
}

}  // namespace godwit::ua
