// SPDX-License-Identifier: Apache-2.0
#include "testing/nat.hpp"

namespace godwit::testing {

Endpoint Nat::key(NatDependence dependence, const Endpoint& remote) const {
  switch (dependence) {
    case NatDependence::EndpointIndependent: return {};
    case NatDependence::AddressDependent: return {remote.address, 0};
    case NatDependence::AddressAndPort: return remote;
  }
  return remote;
}

Endpoint Nat::outbound(const Endpoint& inside, const Endpoint& remote, TimePoint now) {
  const auto name = std::pair(inside, key(settings_.mapping, remote));
  auto known = by_inside_.find(name);
  if (known != by_inside_.end()) {
    const auto mapping = mappings_.find(known->second);
    if (mapping == mappings_.end() || now - mapping->second.last_used > settings_.timeout) {
      mappings_.erase(known->second);
      by_inside_.erase(known);
      known = by_inside_.end();
    }
  }
  if (known == by_inside_.end()) {
    const std::uint16_t port = next_port_++;
    if (next_port_ == 0) next_port_ = 40'000;
    mappings_[port] = Mapping{inside, now, {}};
    known = by_inside_.insert_or_assign(name, port).first;
  }
  Mapping& mapping = mappings_[known->second];
  mapping.last_used = now;
  mapping.permitted[key(settings_.filtering, remote)] = now;
  return {outside_, known->second};
}

std::optional<Endpoint> Nat::inbound(const Endpoint& mapped, const Endpoint& remote,
                                     TimePoint now) {
  const auto mapping = mappings_.find(mapped.port);
  if (mapping == mappings_.end() || now - mapping->second.last_used > settings_.timeout) {
    return std::nullopt;
  }
  // RFC 4787 REQ-6: only what goes out keeps a mapping alive.
  if (!mapping->second.permitted.contains(key(settings_.filtering, remote))) return std::nullopt;
  return mapping->second.inside;
}

void Nat::rebind() {
  mappings_.clear();
  by_inside_.clear();
  next_port_ = static_cast<std::uint16_t>(next_port_ + 1'000);
}

}  // namespace godwit::testing
