// SPDX-License-Identifier: Apache-2.0
//
// IPv4 addresses within IPv6 ones, as a NAT64 translates them (RFC 6052), and how the network's
// prefix is read out of what its DNS64 says (RFC 7050). Values and arithmetic; asks nobody.
#pragma once

#include <compare>
#include <optional>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/network.hpp"

namespace godwit {

/// RFC 7050 §3: the name whose AAAA records tell the prefix; its A records are 192.0.0.170 and
/// .171.
inline constexpr const char* kNat64WellKnownName = "ipv4only.arpa";

class Nat64Prefix {
 public:
  /// RFC 6052 §2.2: 32, 40, 48, 56, 64 or 96 bits of an IPv6 address, of which the rest is ignored;
  /// bits 64 to 71 must be zero. Empty: no such prefix.
  static std::optional<Nat64Prefix> make(const IpAddress& address, unsigned length);
  /// The same of one that a router or the system has announced: empty also if such addresses could
  /// be nobody's (link-local, multicast, loopback, unspecified, IPv4-mapped).
  static std::optional<Nat64Prefix> announced(const AddressPrefix& prefix);
  /// RFC 7050 §3: the prefixes that these AAAA records show, each once, in their order, at most 4.
  /// An address in which the well-known one is not found exactly once, or which could be nobody's
  /// (link-local, multicast, loopback, IPv4-mapped), shows none.
  static std::vector<Nat64Prefix> from_well_known(const std::vector<IpAddress>& answers);

  /// The address that the NAT64 translates to `v4`. Any other family: as it is.
  IpAddress embed(const IpAddress& v4) const;
  /// The IPv4 address in one of ours; empty: it is none of ours.
  std::optional<IpAddress> extract(const IpAddress& address) const;

  unsigned length() const { return length_; }
  const IpAddress& address() const { return address_; }
  friend auto operator<=>(const Nat64Prefix&, const Nat64Prefix&) = default;

 private:
  Nat64Prefix(const IpAddress& address, unsigned length) : address_(address), length_(length) {}

  IpAddress address_;
  unsigned length_;
};

}  // namespace godwit
