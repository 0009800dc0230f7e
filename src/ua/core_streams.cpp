// SPDX-License-Identifier: Apache-2.0
//
// TCP and TLS: which connection a message takes, what is done with what arrives, and what the end
// of a connection means for those who used it. The connections themselves are kept in Streams.
#include <algorithm>

#include "sip/routing.hpp"
#include "ua/core_impl.hpp"
#include "wire/sip/message.hpp"

namespace godwit::ua {
namespace {

std::string no_connection(const Hop& hop, const std::string& why) {
  return std::string("no ") + to_string(hop.transport) + " connection to " +
         hop.remote.to_string() + ": " + why;
}

}  // namespace

std::optional<sip::Flow> Core::Impl::flow_to(const mobility::Path& path, const Hop& hop,
                                             TimePoint now) {
  // What begins now would be told of a port that may be another one in a moment.
  if (listeners_.is_restarting(path)) return std::nullopt;
  if (!is_stream(hop.transport)) {
    return listeners_.flow(listeners_.ensure(path, judge_.generation()), hop.remote);
  }
  return streams_.flow(streams_.ensure(path, hop, judge_.generation(), now));
}

std::optional<std::string> Core::Impl::flow_failure(const mobility::Path& path,
                                                    const Hop& hop) const {
  if (!is_stream(hop.transport)) {
    const bool failed = listeners_.has_failed(path);
    if (!failed) return std::nullopt;
    return "no SIP port of " + path.to_string() + " could be opened";
  }
  const Stream* stream = streams_.failed(path, hop);
  if (stream == nullptr) return std::nullopt;
  return no_connection(hop, stream->failure);
}

mobility::Path Core::Impl::path_of(const sip::Flow& flow) const {
  if (const Stream* stream = streams_.find(flow.listener)) return stream->path;
  if (const Listener* listener = listeners_.find(flow.listener)) return listener->path;
  mobility::Path path;
  path.local = flow.local.address;
  path.interface_index = flow.interface_index;
  for (const NetworkInterface& interface : judge_.current().interfaces) {
    if (interface.index == flow.interface_index) path.interface_name = interface.name;
  }
  return path;
}

void Core::Impl::open_listeners(const mobility::Path& path) {
  for (const auto transport : {sip::Transport::Udp, sip::Transport::Tcp, sip::Transport::Tls}) {
    // An account's own flow over UDP opens it where it is needed.
    if (transport == sip::Transport::Udp && !config_.listen_udp) continue;
    (void)listeners_.ensure(path, judge_.generation(), transport);
  }
}

Endpoint Core::Impl::reachable_at(const sip::Flow& flow) const {
  Endpoint local = flow.local;
  if (is_stream(flow.transport)) {
    const Listener* listener = listeners_.find(path_of(flow), flow.transport);
    if (listener != nullptr) local.port = listener->bound->port;
  }
  return local;
}

std::string Core::Impl::contact_for(const Account& account, const sip::Flow& flow) const {
  return account.contact(reachable_at(flow), flow.transport);
}

std::string Core::Impl::dialog_contact_for(const Account& account, const sip::Flow& flow) const {
  return account.dialog_contact(reachable_at(flow), flow.remote.address, flow.transport);
}

std::string Core::Impl::dialog_contact_for(const Call& call, const sip::Flow& flow) const {
  std::string contact = call.hidden(dialog_contact_for(way_of(call), flow));
  return call.secure && flow.transport == sip::Transport::Tls ? as_sips(std::move(contact))
                                                              : contact;
}

std::string Core::Impl::dialog_contact_for(const OtherUsage& usage, const sip::Flow& flow) const {
  std::string contact = dialog_contact_for(*accounts_.at(usage.account), flow);
  // RFC 3261 §8.1.1.8: a sips Request-URI wants a sips Contact.
  return is_sips_uri(usage.target.uri) && flow.transport == sip::Transport::Tls
             ? as_sips(std::move(contact))
             : contact;
}

Hop Core::Impl::hop_of(const Call& call) const {
  if (call.next_server) return *call.next_server;
  if (call.moved_hop) return *call.moved_hop;
  const sip::Flow& flow = call.session->flow();
  const Account& account = way_of(call);
  // The other end of a connection that a peer opened is no place to connect to.
  if (is_stream(flow.transport) && !call.outgoing && flow.remote != account.hop().remote) {
    return hop_of(sip::towards(flow, call.session->next_hop()));
  }
  return hop_of(flow);
}

bool Core::Impl::is_dead(const sip::Flow& flow) const {
  if (is_stream(flow.transport)) {
    if (const Stream* stream = streams_.find(flow.listener)) return stream->dead;
    return !is_present(path_of(flow));
  }
  const Listener* listener = listeners_.find(flow.listener);
  return listener == nullptr || listener->dead;
}

bool Core::Impl::send_on_stream(sip::Transmit transmit, TimePoint now) {
  const sip::Flow& flow = transmit.flow;
  const Stream* stream = streams_.find(flow.listener);
  ListenerId id = flow.listener;
  if (stream == nullptr || stream->failed || stream->dead || stream->hop.remote != flow.remote ||
      stream->hop.transport != flow.transport) {
    // Nothing leaves from an address that is gone: the recovery sends anew what matters.
    const mobility::Path path = path_of(flow);
    if ((stream != nullptr && stream->dead) || !is_present(path)) return true;
    // A large request of a UDP flow can do without, if need be.
    const bool tentative = stream == nullptr && listeners_.find(flow.listener) != nullptr;
    id = streams_.ensure(path, hop_of(flow), judge_.generation(), now, tentative);
  }
  if (transmit.request && id != flow.listener) transactions_.move_client(transmit.request, id);
  if (config_.sip_trace.sink) {
    sip::Flow taken = flow;
    taken.listener = id;
    trace_sent(streams_.flow(id).value_or(taken), transmit.bytes, now);
  }
  if (streams_.send(id, std::move(transmit.bytes), now)) return true;
  log_.info("ua", "there is no " + std::string(to_string(flow.transport)) + " connection to " +
                      flow.remote.to_string() + " for a message");
  if (!transmit.request) return true;
  transactions_.on_request_failed(transmit.request, now);
  return false;
}

void Core::Impl::on_stream_opened(ListenerId id, StreamInfo info, TimePoint now) {
  const Stream* stream = streams_.find(id);
  if (stream == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  log_.debug("ua", std::string(to_string(stream->hop.transport)) + " connection to " +
                       stream->hop.remote.to_string() + " is open" +
                       (info.tls_peer.empty() ? "" : ", certificate " + info.tls_peer));
  const Endpoint local = info.local;
  streams_.on_opened(id, std::move(info), now);
  // A TCP handshake anybody may answer who has the path in hand, e.g. a captive portal.
  if (stream->hop.transport == sip::Transport::Tls) health_.on_answer(stream->path, now);
  if (recovery_ && stream->generation == recovery_->generation()) {
    progress(recovery_->listener_opened(true, local, "", now));
  }
  touch_users(stream->path);
  touch_racers(id);
  settle(now);
}

std::optional<ListenerId> Core::Impl::accept_stream(ListenerId listener_id, StreamInfo info,
                                                    const Endpoint& remote, TimePoint now) {
  const Listener* listener = listeners_.find(listener_id);
  if (listener == nullptr || !is_stream(listener->transport) || listener->dead || shutting_down_) {
    ++counters_.stale_inputs;
    return std::nullopt;
  }
  ListenerId id = streams_.accept(*listener, info, remote, now);
  if (!id && evict_for(remote.address, now)) {
    id = streams_.accept(*listener, std::move(info), remote, now);
    settle(now);
  }
  if (!id) {
    ++counters_.refused_busy;
    if (const auto more = garbage_log_.admit(now)) {
      log_.info("ua",
                "refused a connection from " + remote.to_string() + ": there are too many" + *more);
    }
    return std::nullopt;
  }
  return id;
}

bool Core::Impl::evict_for(const IpAddress& source, TimePoint now) {
  const std::vector<ListenerId> quiet = streams_.quiet(source, now);
  const auto victim = std::find_if(quiet.begin(), quiet.end(), [&](ListenerId candidate) {
    return !is_used(*streams_.find(candidate));
  });
  if (victim == quiet.end()) return false;
  end_stream(*victim, "another one needs its place", now);
  return true;
}

void Core::Impl::on_stream_data(ListenerId id, const std::string& bytes, TimePoint now) {
  const auto flow = streams_.flow(id);
  if (!flow) {
    ++counters_.stale_inputs;
    return;
  }
  Streams::Received received = streams_.on_data(id, bytes, now);
  for (std::string& text : received.messages) {
    ++counters_.datagrams;
    trace_received(*flow, text, now);
    auto message = wire::Message::parse(std::move(text));
    if (message) {
      transactions_.on_message(*flow, std::move(*message), now);
      settle(now);  // Before the next one: nothing may pile up.
    } else {
      ++counters_.unparseable;
    }
  }
  if (received.lost) {
    ++counters_.unparseable;
    if (const auto more = garbage_log_.admit(now)) {
      log_.info("ua", "closed the connection with " + flow->remote.to_string() + ": " +
                          *received.lost + *more);
    }
    // RFC 3261 §18.3: nobody knows where the next message begins.
    end_stream(id, *received.lost, now);
  }
  settle(now);
}

void Core::Impl::on_stream_closed(ListenerId id, const std::string& reason, TimePoint now) {
  const Stream* stream = streams_.find(id);
  if (stream == nullptr) {
    ++counters_.stale_inputs;
    return;
  }
  const bool was_open = stream->open;
  const bool tentative = stream->tentative;
  const bool address_lives = !stream->dead && is_present(stream->path);
  const Hop hop = stream->hop;
  const mobility::Path path = stream->path;
  if (!was_open && !tentative && address_lives) {
    suspect_stream(*stream, ChangeCause::PathUnreachable, now, now);
  }
  const std::string why = reason.empty() ? "the peer closed it" : reason;
  const bool of_recovery = recovery_ && stream->generation == recovery_->generation();
  streams_.on_closed(id, reason, now);
  if (was_open) {
    log_.info("ua", std::string(to_string(hop.transport)) + " connection with " +
                        hop.remote.to_string() + " ended: " + why);
    transactions_.on_connection_lost(id, now);
    if (address_lives) lose_stream(id, why, now);
  } else if (tentative) {
    log_.info("ua",
              "no TCP connection to " + hop.remote.to_string() + " for a large request: " + reason);
    transactions_.on_flow_failed(id, now);
  } else {
    const std::string what = no_connection(hop, why);
    const bool raced = is_raced(id);
    if (raced || !uses(path)) {
      log_.info("ua", what);  // Told as one failure if no other one opens either; or of a question.
    } else {
      warn(what);
    }
    if (of_recovery && !raced) progress(recovery_->listener_opened(false, Endpoint{}, what, now));
    transactions_.on_flow_failed(id, now);
    retry_later(now);
    for (const auto& [account, state] : accounts_) {
      if (!state->wants_registration || !state->server || state->hop() != hop) continue;
      if (state->race) continue;  // Others may still open.
      if (state->registration->state() != RegistrationState::Unregistered) continue;
      if (leave_server(*state, what, std::nullopt, now)) continue;
      tell_registration(
          *state, {account, RegistrationState::Failed, 503, what, "", std::chrono::seconds(0)});
    }
  }
  touch_users(path);
  touch_racers(id);
  settle(now);
}

void Core::Impl::end_stream(ListenerId id, const std::string& reason, TimePoint now) {
  const Stream* stream = streams_.find(id);
  if (stream == nullptr) return;
  log_.debug("ua", "closing the connection with " + stream->hop.remote.to_string() + ": " + reason);
  const mobility::Path path = stream->path;
  const bool address_lives = !stream->dead && is_present(path);
  streams_.close(id);
  transactions_.on_connection_lost(id, now);
  if (address_lives) lose_stream(id, reason, now);
  touch_users(path);
}

Result<void> Core::Impl::restart_listener(TransportChoice choice, TimePoint now) {
  sip::Transport transport = sip::Transport::Udp;
  switch (choice) {
    case TransportChoice::Auto:
      return fail(ErrorCode::InvalidArgument, "one transport at a time: Udp, Tcp or Tls");
    case TransportChoice::Udp: break;
    case TransportChoice::Tcp: transport = sip::Transport::Tcp; break;
    case TransportChoice::Tls: transport = sip::Transport::Tls; break;
  }
  bool any = false;
  for (const ListenerId id : listeners_.all()) {
    const Listener* listener = listeners_.find(id);
    if (listener->transport != transport || listener->dead) continue;
    any = true;
    if (listener->by_hand) {
      listeners_.restart(id);
      continue;
    }
    if (transport == sip::Transport::Udp) {
      // What is under way moves to the new socket, and all say again where they are.
      listeners_.close(id);
      dead_listeners_.push_back(id);
      continue;
    }
    // What it accepted stays; the same port is taken again if it can be had.
    const mobility::Path path = listener->path;
    listeners_.close(id);
    (void)listeners_.ensure(path, judge_.generation(), transport);
  }
  if (!any) return fail(ErrorCode::NotFound, "there is no listener of this kind");
  if (transport == sip::Transport::Udp && judge_.has_snapshot()) refresh_all(now);
  settle(now);
  return {};
}

void Core::Impl::touch_users(const mobility::Path& path) {
  for (const auto& [account, state] : accounts_) {
    if (state->path == path) touch(account);
  }
  for (const auto& [call, state] : calls_) {
    if (state->path == path) touch(call);
  }
}

bool Core::Impl::is_used(const Stream& stream) const {
  const auto on_it = [&](const sip::Flow& flow) { return flow.listener == stream.id; };
  return std::any_of(accounts_.begin(), accounts_.end(),
                     [&](const auto& entry) {
                       const auto flow = entry.second->registration->flow();
                       return flow && on_it(*flow);
                     }) ||
         std::any_of(usages_.begin(), usages_.end(),
                     [&](const auto& entry) {
                       const auto& subscription = entry.second->subscription;
                       return subscription && subscription->flow() && on_it(*subscription->flow());
                     }) ||
         std::any_of(calls_.begin(), calls_.end(), [&](const auto& entry) {
           const Call& call = *entry.second;
           return on_it(call.session->flow()) || (call.former && on_it(call.former->flow()));
         });
}

void Core::Impl::on_stream_timeouts(TimePoint now) {
  while (const auto due = streams_.pop_due(now)) {
    const Stream* stream = streams_.find(due->stream);
    switch (due->what) {
      case Streams::Due::What::Idle:
        if (is_used(*stream)) {
          streams_.keep(due->stream, now);
        } else {
          end_stream(due->stream, "nothing uses it", now);
        }
        break;
      case Streams::Due::What::Unopened:
        outputs_.push_back(CloseStream{due->stream});
        on_stream_closed(due->stream, "no answer in time", now);
        break;
      case Streams::Due::What::Unfinished:
        ++counters_.unparseable;
        end_stream(due->stream, "a message was not finished in time", now);
        break;
      case Streams::Due::What::NoPong:
        log_.info("ua", "the peer of the connection with " + stream->hop.remote.to_string() +
                            " does not answer pings any more");
        suspect_stream(*stream, ChangeCause::KeepAliveUnanswered, now - Streams::kPongDeadline,
                       now);
        end_stream(due->stream, "no pong", now);
        break;
      case Streams::Due::What::NoProof:
        log_.info("ua", "the connection with " + stream->hop.remote.to_string() +
                            " has no other way than the network that went");
        streams_.mark_dead(due->stream);
        dead_listeners_.push_back(due->stream);
        // All that went by it is said again over a new one.
        if (judge_.has_snapshot()) refresh_all(now);
        break;
    }
  }
}

void Core::Impl::suspect_stream(const Stream& stream, ChangeCause cause, TimePoint since,
                                TimePoint now) {
  const mobility::Path path = stream.path;
  for (const auto& [id, account] : accounts_) {
    if (account->path != path || !account->server || account->hop() != stream.hop) continue;
    return suspect_path(*account, path, cause, since, false, now);  // Of all of them.
  }
}

void Core::Impl::close_unused_streams(TimePoint now) {
  for (const ListenerId id : streams_.all()) {
    const Stream* stream = streams_.find(id);
    if (stream->accepted_by || stream->failed) continue;  // Those end by their idle time.
    const auto on_path = [&](const std::optional<mobility::Path>& path) {
      return path && *path == stream->path;
    };
    const bool wanted =
        is_used(*stream) || is_raced(id) ||
        std::any_of(accounts_.begin(), accounts_.end(),
                    [&](const auto& entry) { return on_path(entry.second->path); }) ||
        std::any_of(calls_.begin(), calls_.end(),
                    [&](const auto& entry) { return on_path(entry.second->path); });
    if (!wanted) end_stream(id, "its path is not used any more", now);
  }
}

}  // namespace godwit::ua
