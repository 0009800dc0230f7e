// SPDX-License-Identifier: Apache-2.0
//
// The SIP sockets that the core has asked its driver for: one UDP socket for each local path in
// use, and where the configuration wants them one that accepts TCP, one TLS. Remembers which path
// each is for, whether it is open yet, and whether its address is still there. Owned by the core;
// it emits Listen and CloseListener and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "godwit/network.hpp"
#include "godwit/result.hpp"
#include "mobility/delta.hpp"
#include "sip/flow.hpp"
#include "ua/driver.hpp"

namespace godwit::ua {

struct Listener {
  ListenerId id;
  mobility::Path path;
  Generation generation;
  std::optional<Endpoint> bound;
  bool any_port = false;  ///< The configured port was not to be had.
  bool failed = false;
  /// The address is gone: nothing is sent any more, and it is closed once all uses have left it.
  bool dead = false;
  sip::Transport transport = sip::Transport::Udp;
  /// Is to be closed and opened anew, or was just closed for that: no new flow begins on it.
  bool restarts = false;
  std::uint16_t restart_port = 0;  ///< That it had, and takes again.
  bool by_hand = false;            ///< The application opened it, and closes it.
  std::uint16_t own_port = 0;      ///< By hand: the one asked for.
};

/// What to listen on.
struct ListenPorts {
  std::uint16_t udp = 0;
  std::optional<std::uint16_t> tcp;
  std::optional<std::uint16_t> tls;
  std::shared_ptr<const TlsConfig> tls_config;
};

class Listeners {
 public:
  /// The system may run out of sockets before that, and says so in on_listen.
  static constexpr std::size_t kMaxListeners = 64;

  Listeners(ListenPorts ports, std::deque<Output>& out) : ports_(std::move(ports)), out_(out) {}

  /// A number for a listener or a connection: both come out of one series.
  ListenerId next_id() { return ListenerId{++last_id_}; }

  /// The listener for `path`, asked for now if there is none; zero if there are too many, or if the
  /// configuration wants none of this transport.
  ListenerId ensure(const mobility::Path& path, Generation generation,
                    sip::Transport transport = sip::Transport::Udp);
  /// The driver's answer. Returns a sentence for people if the wanted port was not to be had (then
  /// another one is asked for) or the address cannot be used at all.
  std::optional<std::string> on_listen(ListenerId id, const Result<Endpoint>& bound);
  /// Opens one on `path` for the application, whatever the configuration says; zero: too many.
  ListenerId open_by_hand(const mobility::Path& path, Generation generation,
                          sip::Transport transport, std::uint16_t port);
  /// In place of one that could not have its port: on any port. Keeps whose it is.
  ListenerId replace(ListenerId id, Generation generation);
  /// Holds new flows back until restart().
  void announce_restart(ListenerId id);
  /// Closes it and asks for the same number, address and port again: flows on it stay valid.
  void restart(ListenerId id);
  /// The port was still taken: asks again.
  void ask_again(ListenerId id);
  /// It is open again, where it was.
  void restarted(ListenerId id, const Endpoint& bound);
  /// Some listener on `path` waits for its restart, or is being restarted.
  bool is_restarting(const mobility::Path& path) const;
  const Listener* find(ListenerId id) const;
  /// The open one of this kind on `path`.
  const Listener* find(const mobility::Path& path, sip::Transport transport) const;
  /// No UDP socket could be opened on `path`, and none is being opened.
  bool has_failed(const mobility::Path& path) const;
  /// A flow to `remote`, if the listener is open and alive.
  std::optional<sip::Flow> flow(ListenerId id, const Endpoint& remote) const;

  /// Marks those whose address `snapshot` no longer has; returns the newly dead.
  std::vector<ListenerId> mark_dead(const NetworkSnapshot& snapshot);
  void mark_dead(ListenerId id);
  void close(ListenerId id);
  /// Forgets failures, so that the next ensure() tries again.
  void forget_failures();
  std::vector<ListenerId> all() const;

 private:
  void request(const Listener& listener, std::uint16_t port);
  std::optional<std::uint16_t> port_of(sip::Transport transport) const;

  ListenPorts ports_;
  std::deque<Output>& out_;
  std::unordered_map<ListenerId, Listener> listeners_;
  std::uint32_t last_id_ = 0;
};

}  // namespace godwit::ua
