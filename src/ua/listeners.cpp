// SPDX-License-Identifier: Apache-2.0
#include "ua/listeners.hpp"

#include <algorithm>

namespace godwit::ua {

void Listeners::request(const Listener& listener, std::uint16_t port) {
  out_.push_back(Listen{listener.id,
                        {listener.path.local, port},
                        listener.path.interface_index,
                        listener.path.interface_name,
                        listener.generation,
                        listener.transport,
                        listener.transport == sip::Transport::Tls ? ports_.tls_config : nullptr});
}

std::optional<std::uint16_t> Listeners::port_of(sip::Transport transport) const {
  switch (transport) {
    case sip::Transport::Udp: return ports_.udp;
    case sip::Transport::Tcp: return ports_.tcp;
    case sip::Transport::Tls: return ports_.tls;
  }
  return std::nullopt;
}

ListenerId Listeners::ensure(const mobility::Path& path, Generation generation,
                             sip::Transport transport) {
  for (const auto& [id, listener] : listeners_) {
    if (listener.transport != transport || listener.path != path) continue;
    if (!listener.dead && !listener.failed) return id;
  }
  const auto port = port_of(transport);
  if (!port) return {};
  if (listeners_.size() >= kMaxListeners) return {};
  const ListenerId id = next_id();
  Listener& listener = listeners_[id];
  listener.id = id;
  listener.path = path;
  listener.generation = generation;
  listener.transport = transport;
  request(listener, *port);
  return id;
}

ListenerId Listeners::open_by_hand(const mobility::Path& path, Generation generation,
                                   sip::Transport transport, std::uint16_t port) {
  if (listeners_.size() >= kMaxListeners) return {};
  const ListenerId id = next_id();
  Listener& listener = listeners_[id];
  listener.id = id;
  listener.path = path;
  listener.generation = generation;
  listener.transport = transport;
  listener.by_hand = true;
  listener.own_port = port;
  // Its application asked for this port and no other.
  listener.any_port = true;
  request(listener, port);
  return id;
}

ListenerId Listeners::replace(ListenerId id, Generation generation) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return {};
  Listener listener = found->second;
  close(id);
  listener.id = next_id();
  listener.generation = generation;
  listener.bound.reset();
  listener.any_port = true;
  listener.restarts = false;
  listener.failed = false;
  listeners_[listener.id] = listener;
  request(listener, 0);
  return listener.id;
}

void Listeners::announce_restart(ListenerId id) {
  if (const auto found = listeners_.find(id); found != listeners_.end()) {
    found->second.restarts = true;
  }
}

void Listeners::restart(ListenerId id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end() || !found->second.bound) return;
  Listener& listener = found->second;
  listener.restarts = true;
  listener.restart_port = listener.bound->port;
  listener.bound.reset();
  out_.push_back(CloseListener{id});
  request(listener, listener.restart_port);
}

void Listeners::ask_again(ListenerId id) {
  if (const auto found = listeners_.find(id); found != listeners_.end()) {
    request(found->second, found->second.restart_port);
  }
}

void Listeners::restarted(ListenerId id, const Endpoint& bound) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  found->second.bound = bound;
  found->second.restarts = false;
}

bool Listeners::is_restarting(const mobility::Path& path) const {
  return std::any_of(listeners_.begin(), listeners_.end(), [&](const auto& entry) {
    return entry.second.restarts && !entry.second.dead && entry.second.path == path;
  });
}

std::optional<std::string> Listeners::on_listen(ListenerId id, const Result<Endpoint>& bound) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return std::nullopt;
  Listener& listener = found->second;
  listener.restarts = false;
  if (bound) {
    listener.bound = *bound;
    return std::nullopt;
  }
  const std::string where = listener.path.local.to_uri_host();
  const std::string what = is_stream(listener.transport)
                               ? std::string(" for ") + to_string(listener.transport)
                               : std::string();
  const std::uint16_t port =
      listener.by_hand ? listener.own_port : port_of(listener.transport).value_or(0);
  if (port != 0 && !listener.any_port) {
    // A phone without its favourite port is better than no phone.
    listener.any_port = true;
    request(listener, 0);
    return "SIP port " + std::to_string(port) + what + " of " + where + " could not be opened (" +
           bound.error().detail + "); another one is used";
  }
  listener.failed = true;
  return "no SIP port" + what + " of " + where + " could be opened: " + bound.error().detail;
}

const Listener* Listeners::find(ListenerId id) const {
  const auto found = listeners_.find(id);
  return found == listeners_.end() ? nullptr : &found->second;
}

const Listener* Listeners::find(const mobility::Path& path, sip::Transport transport) const {
  for (const auto& [id, listener] : listeners_) {
    if (listener.transport == transport && listener.path == path && listener.bound &&
        !listener.dead) {
      return &listener;
    }
  }
  return nullptr;
}

bool Listeners::has_failed(const mobility::Path& path) const {
  bool failed = false;
  for (const auto& [id, listener] : listeners_) {
    if (listener.transport != sip::Transport::Udp || listener.path != path || listener.dead)
      continue;
    if (!listener.failed) return false;
    failed = true;
  }
  return failed;
}

std::optional<sip::Flow> Listeners::flow(ListenerId id, const Endpoint& remote) const {
  const Listener* listener = find(id);
  if (listener == nullptr || !listener->bound || listener->dead) return std::nullopt;
  return sip::Flow{
      sip::Transport::Udp, id, *listener->bound, remote, listener->path.interface_index,
      listener->generation};
}

std::vector<ListenerId> Listeners::mark_dead(const NetworkSnapshot& snapshot) {
  std::vector<ListenerId> dead;
  for (auto& [id, listener] : listeners_) {
    if (listener.dead) continue;
    // All of 127/8 belongs to loopback, whichever of it the interface lists.
    if (listener.path.local.is_loopback()) continue;
    const NetworkInterface* owner = snapshot.owner_of(listener.path.local);
    const bool alive = owner != nullptr && owner->index == listener.path.interface_index;
    if (alive) continue;
    listener.dead = true;
    dead.push_back(id);
  }
  std::sort(dead.begin(), dead.end());
  return dead;
}

void Listeners::mark_dead(ListenerId id) {
  if (const auto found = listeners_.find(id); found != listeners_.end()) found->second.dead = true;
}

void Listeners::close(ListenerId id) {
  if (listeners_.erase(id) > 0) out_.push_back(CloseListener{id});
}

void Listeners::forget_failures() {
  std::erase_if(listeners_, [](const auto& entry) { return entry.second.failed; });
}

std::vector<ListenerId> Listeners::all() const {
  std::vector<ListenerId> ids;
  for (const auto& entry : listeners_) ids.push_back(entry.first);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace godwit::ua
