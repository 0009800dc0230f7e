// SPDX-License-Identifier: Apache-2.0
#include "godwit/network.hpp"

#include <algorithm>

#include "mobility/delta.hpp"
#include "mobility/prefix.hpp"

namespace godwit {
namespace {

using mobility::is_running;

// What the kernel would take on `interface` towards `remote`, in the spirit of RFC 6724 §5: scope
// that fits, then not deprecated, then the longest common prefix; the first of equals.
const InterfaceAddress* best_source(const NetworkInterface& interface, const IpAddress& remote) {
  const auto rank = [&](const InterfaceAddress& a) {
    const unsigned scope = a.address.is_unique_local() == remote.is_unique_local() ? 1 : 0;
    const unsigned fresh = a.deprecated ? 0 : 1;
    return scope * 1024 + fresh * 512 + mobility::common_prefix(a.address, remote);
  };
  const InterfaceAddress* best = nullptr;
  for (const InterfaceAddress& a : interface.addresses) {
    if (!is_usable(a) || a.address.family() != remote.family()) continue;
    if (a.address.is_loopback() != remote.is_loopback()) continue;
    if (best == nullptr || rank(a) > rank(*best)) best = &a;
  }
  return best;
}

}  // namespace

bool is_usable(const InterfaceAddress& address) {
  const IpAddress& a = address.address;
  return !address.tentative && !address.dad_failed && a.family() != Family::None &&
         !a.is_unspecified() && !a.is_link_local() && !a.is_multicast();
}

const NetworkInterface* NetworkSnapshot::find_interface(std::uint32_t index) const {
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const NetworkInterface& i) { return i.index == index; });
  return found == interfaces.end() ? nullptr : &*found;
}

const NetworkInterface* NetworkSnapshot::find_interface(const std::string& name) const {
  const auto found = std::find_if(interfaces.begin(), interfaces.end(),
                                  [&](const NetworkInterface& i) { return i.name == name; });
  return found == interfaces.end() ? nullptr : &*found;
}

const NetworkInterface* NetworkSnapshot::owner_of(const IpAddress& address) const {
  for (const NetworkInterface& interface : interfaces) {
    if (!is_running(interface)) continue;
    for (const InterfaceAddress& a : interface.addresses) {
      if (a.address == address && is_usable(a)) return &interface;
    }
  }
  return nullptr;
}

RouteToRemote NetworkSnapshot::route_to(const IpAddress& remote) const {
  for (const RouteToRemote& route : routes) {
    if (route.remote == remote) return route;
  }
  const auto through = [&](const NetworkInterface& interface) -> std::optional<RouteToRemote> {
    if (!is_running(interface)) return std::nullopt;
    const InterfaceAddress* source = best_source(interface, remote);
    if (source == nullptr) return std::nullopt;
    return RouteToRemote{remote, interface.index, source->address};
  };

  // A connected network is a more specific route than any default.
  const NetworkInterface* connected = nullptr;
  unsigned longest = 0;
  for (const NetworkInterface& interface : interfaces) {
    if (!is_running(interface)) continue;
    for (const InterfaceAddress& a : interface.addresses) {
      if (is_usable(a) && a.prefix_length > longest && mobility::on_link(a, remote)) {
        connected = &interface;
        longest = a.prefix_length;
      }
    }
  }
  if (connected != nullptr) {
    if (const auto route = through(*connected)) return *route;
  }
  for (const DefaultRoute& route : default_routes) {
    if (route.family != remote.family()) continue;
    const NetworkInterface* interface = find_interface(route.interface_index);
    if (interface == nullptr) continue;
    if (const auto found = through(*interface)) return *found;
  }
  return RouteToRemote{remote, 0, IpAddress{}};
}

}  // namespace godwit
