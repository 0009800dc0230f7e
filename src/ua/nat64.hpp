// SPDX-License-Identifier: Apache-2.0
//
// The NAT64 of a network with IPv6 only: finds its prefix (RFC 7050) and says by which address an
// IPv4 one is reached through it (RFC 6052). Owned by the core, in which remotes are IPv4 all the
// same: they are translated where packets leave and come in (core_nat64.cpp).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/dns.hpp"
#include "base/nat64_prefix.hpp"
#include "ua/driver.hpp"

namespace godwit::ua {

class Nat64 {
 public:
  /// Destinations by which answers are known, also late ones of earlier networks.
  static constexpr std::size_t kMaxSent = 256;

  explicit Nat64(std::deque<Output>& outputs) : outputs_(outputs) {}

  /// The network is (another) one with IPv6 only: asks for its prefix.
  void look_up();
  /// What a router announces goes before what the DNS says (RFC 8781 §5.1).
  void take(const Nat64Prefix& prefix);
  /// The network has IPv4.
  void forget();
  bool is_asking() const { return query_.has_value(); }
  /// The last question is over, and the DNS has said neither yes nor no.
  bool unanswered() const { return !query_ && unanswered_; }
  /// False: the question was somebody else's.
  bool on_answer(QueryId query, const DnsAnswer& answer);

  const std::optional<Nat64Prefix>& prefix() const { return prefix_; }
  /// The address to send to from IPv6; `remote` itself if that is IPv6, or there is no NAT64.
  Endpoint through(const Endpoint& remote) const;
  /// The same for what is sent now: original() knows it from here on.
  Endpoint send_through(const Endpoint& remote);
  /// The IPv4 endpoint of what comes from where something was sent through; anything else as it is,
  /// for a network can claim any prefix.
  Endpoint original(const Endpoint& remote) const;
  /// The IPv4 endpoint that this network's prefix makes of it; anything else as it is.
  Endpoint behind(const Endpoint& remote) const;

 private:
  std::deque<Output>& outputs_;
  std::optional<Nat64Prefix> prefix_;
  std::unordered_map<IpAddress, IpAddress> sent_;  ///< IPv6 to IPv4 …
  std::deque<IpAddress> order_;                    ///< … the oldest first.
  std::optional<QueryId> query_;
  bool unanswered_ = false;
  std::uint32_t last_query_ = 0xc000'0000;  ///< The locator's count from 1, STUN's from 2^31.
};

}  // namespace godwit::ua
