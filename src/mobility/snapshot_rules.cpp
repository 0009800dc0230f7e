// SPDX-License-Identifier: Apache-2.0
#include "mobility/snapshot_rules.hpp"

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "base/nat64_prefix.hpp"

namespace godwit::mobility {
namespace {

Result<void> wrong(std::string what) {
  return fail(ErrorCode::InvalidArgument, "the network snapshot: " + std::move(what));
}

std::string interface_text(std::uint32_t index) { return "interface " + std::to_string(index); }

/// Link-local addresses are of one link; loopback's is everywhere the same.
bool is_unique(const InterfaceAddress& address) {
  return is_usable(address) && !address.address.is_loopback();
}

Result<void> check_address(const NetworkInterface& interface, const InterfaceAddress& address) {
  const IpAddress& ip = address.address;
  if (ip.family() == Family::None || ip.is_unspecified() || ip.is_multicast()) {
    return wrong(interface.name + " cannot have the address " + ip.to_string());
  }
  const unsigned bits = ip.is_v4() ? 32 : 128;
  if (address.prefix_length > bits) {
    return wrong(ip.to_string() + " cannot have a prefix of " +
                 std::to_string(address.prefix_length) + " bits");
  }
  return {};
}

Result<void> check_sizes(const NetworkSnapshot& snapshot) {
  if (snapshot.interfaces.size() > kMaxInterfaces) {
    return wrong(std::to_string(snapshot.interfaces.size()) + " interfaces are too many");
  }
  if (snapshot.routes.size() > kMaxRoutes || snapshot.default_routes.size() > kMaxRoutes) {
    return wrong("more than " + std::to_string(kMaxRoutes) + " routes are too many");
  }
  for (const NetworkInterface& interface : snapshot.interfaces) {
    if (interface.addresses.size() > kMaxAddresses) {
      return wrong(interface_text(interface.index) + " has too many addresses");
    }
    if (interface.name.size() > kMaxNameBytes || interface.link_identity.size() > kMaxNameBytes) {
      return wrong(interface_text(interface.index) + " has too long a name or link identity");
    }
  }
  return {};
}

}  // namespace

Result<void> validate_snapshot(const NetworkSnapshot& snapshot) {
  if (auto fine = check_sizes(snapshot); !fine) return fine;
  std::unordered_set<std::uint32_t> indexes;
  std::unordered_set<std::string> names;
  std::unordered_map<IpAddress, const NetworkInterface*> owners;
  std::unordered_set<IpAddress> all;
  for (const NetworkInterface& interface : snapshot.interfaces) {
    if (interface.index == 0) return wrong("an interface has the index 0");
    if (interface.name.empty()) return wrong(interface_text(interface.index) + " has no name");
    if (!indexes.insert(interface.index).second) {
      return wrong("two interfaces have the index " + std::to_string(interface.index));
    }
    if (!names.insert(interface.name).second) {
      return wrong("two interfaces are called " + interface.name);
    }
    if (interface.nat64_prefix && !Nat64Prefix::announced(*interface.nat64_prefix)) {
      return wrong(interface_text(interface.index) +
                   " has an impossible NAT64 prefix (RFC 6052): " +
                   interface.nat64_prefix->address.to_string() + "/" +
                   std::to_string(interface.nat64_prefix->length));
    }
    for (const InterfaceAddress& address : interface.addresses) {
      if (auto fine = check_address(interface, address); !fine) return fine;
      all.insert(address.address);
      if (!is_unique(address)) continue;
      const auto [owner, added] = owners.emplace(address.address, &interface);
      if (!added) {
        return wrong(address.address.to_string() + " is an address of both " + owner->second->name +
                     " and " + interface.name);
      }
    }
  }
  for (const DefaultRoute& route : snapshot.default_routes) {
    if (route.family == Family::None) return wrong("a default route is of no family");
    if (!indexes.contains(route.interface_index)) {
      return wrong("a default route leads over " + interface_text(route.interface_index) +
                   ", which is not there");
    }
    if (route.gateway && route.gateway->family() != route.family) {
      return wrong("a default route has a gateway of another family: " +
                   route.gateway->to_string());
    }
  }
  std::unordered_set<IpAddress> remotes;
  for (const RouteToRemote& route : snapshot.routes) {
    const std::string to = "the route to " + route.remote.to_string();
    if (route.remote.family() == Family::None) return wrong("a route leads nowhere");
    if (!remotes.insert(route.remote).second) return wrong(to + " is told twice");
    if (route.interface_index == 0) {
      if (route.source.family() == Family::None) continue;  // There is no route.
      return wrong(to + " has a source address, but no interface");
    }
    if (!indexes.contains(route.interface_index)) {
      return wrong(to + " leads over " + interface_text(route.interface_index) +
                   ", which is not there");
    }
    if (route.source.family() != route.remote.family()) {
      return wrong(to + " begins at an address of another family or none");
    }
    if (!all.contains(route.source)) {
      return wrong(to + " begins at " + route.source.to_string() + ", which no interface has");
    }
  }
  return {};
}

}  // namespace godwit::mobility
