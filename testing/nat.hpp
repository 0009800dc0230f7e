// SPDX-License-Identifier: Apache-2.0
//
// A network address translator for UDP (RFC 4787): mappings with their timeout, and the filter for
// what comes in. Owned by the test, used by Network for every packet that passes; it sends nothing
// itself. IPv4 in spirit, but translates any family.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "godwit/address.hpp"
#include "godwit/time.hpp"

namespace godwit::testing {

/// RFC 4787 §4.1 and §5: what a mapping or a filter depends on.
enum class NatDependence : std::uint8_t { EndpointIndependent, AddressDependent, AddressAndPort };

struct NatSettings {
  NatDependence mapping = NatDependence::EndpointIndependent;
  NatDependence filtering = NatDependence::AddressAndPort;
  /// RFC 4787 REQ-5 says two minutes at least; many home routers have 30 s.
  Duration timeout = std::chrono::seconds(30);
};

class Nat {
 public:
  Nat(IpAddress outside, NatSettings settings) : outside_(outside), settings_(settings) {}

  const IpAddress& outside() const { return outside_; }
  /// The source that the world sees; makes or refreshes the mapping.
  Endpoint outbound(const Endpoint& inside, const Endpoint& remote, TimePoint now);
  /// Where a packet from `remote` to our `mapped` endpoint goes; nullopt: filtered or unmapped.
  std::optional<Endpoint> inbound(const Endpoint& mapped, const Endpoint& remote, TimePoint now);

  /// Forgets all mappings and goes on with other ports, as after a reboot.
  void rebind();
  std::size_t mappings() const { return mappings_.size(); }

 private:
  struct Mapping {
    Endpoint inside;
    TimePoint last_used;
    std::map<Endpoint, TimePoint> permitted;  ///< Who was sent to, port 0 where it does not matter.
  };
  Endpoint key(NatDependence dependence, const Endpoint& remote) const;

  IpAddress outside_;
  NatSettings settings_;
  std::uint16_t next_port_ = 40'000;
  std::map<std::uint16_t, Mapping> mappings_;                         ///< By outside port.
  std::map<std::pair<Endpoint, Endpoint>, std::uint16_t> by_inside_;  ///< (inside, key) -> port.
};

}  // namespace godwit::testing
