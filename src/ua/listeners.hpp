// SPDX-License-Identifier: Apache-2.0
//
// The SIP sockets that the core has asked its driver for: one for each local path in use. Remembers
// which path each is for, whether it is open yet, and whether its address is still there. Owned by
// the core; it emits Listen and CloseListener and nothing else.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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
};

class Listeners {
 public:
  /// The system may run out of sockets before that, and says so in on_listen.
  static constexpr std::size_t kMaxListeners = 64;

  Listeners(std::uint16_t port, std::deque<Output>& out) : port_(port), out_(out) {}

  /// The listener for `path`, asked for now if there is none; zero if there are too many.
  ListenerId ensure(const mobility::Path& path, Generation generation);
  /// The driver's answer. Returns a sentence for people if the wanted port was not to be had (then
  /// another one is asked for) or the address cannot be used at all.
  std::optional<std::string> on_listen(ListenerId id, const Result<Endpoint>& bound);
  const Listener* find(ListenerId id) const;
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

  std::uint16_t port_;
  std::deque<Output>& out_;
  std::unordered_map<ListenerId, Listener> listeners_;
  std::uint32_t last_id_ = 0;
};

}  // namespace godwit::ua
