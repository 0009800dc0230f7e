// SPDX-License-Identifier: Apache-2.0
//
// Watches the Linux kernel's network state. Messages on the multicast socket only wake: what is
// handed out is always the whole state, read anew, so a message lost or sent twice does no harm.
// Owned by the runtime, which waits on descriptor(); used from one thread. Judges nothing.
#pragma once

#include <memory>
#include <span>

#include "godwit/address.hpp"
#include "godwit/network.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"

namespace godwit::io {

class NetworkMonitor {
 public:
  /// A kernel that does not answer must not stop the signalling thread. Answers take microseconds;
  /// this is for one that is in trouble.
  static constexpr Duration kReadLimit = std::chrono::milliseconds(500);

  static Result<NetworkMonitor> open();
  NetworkMonitor(NetworkMonitor&&) noexcept;
  NetworkMonitor& operator=(NetworkMonitor&&) noexcept;
  ~NetworkMonitor();

  /// Readable when something may have changed. Stays ours.
  int descriptor() const;

  /// Empties the descriptor. True if what came calls for read(); false for neighbour chatter only.
  /// An overrun (ENOBUFS) calls for it like any change.
  bool drain();

  /// Drains, then reads the whole state: interfaces, addresses, default routes, the gateways' link
  /// addresses, and what the kernel (policy rules included) would choose for each remote. Takes at
  /// most kReadLimit; on an error the last state remains true as far as anyone knows: try again at
  /// the next wake-up.
  Result<NetworkSnapshot> read(std::span<const IpAddress> remotes);

 private:
  class Impl;
  explicit NetworkMonitor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::io
