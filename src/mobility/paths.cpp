// SPDX-License-Identifier: Apache-2.0
#include "mobility/paths.hpp"

#include <algorithm>
#include <utility>

#include "mobility/prefix.hpp"

namespace godwit::mobility {
namespace {

// May a new path towards `remote` start from this address, and be told to others?
bool is_presentable(const InterfaceAddress& a, const IpAddress& remote) {
  if (!is_usable(a) || a.deprecated || a.address.is_clat()) return false;
  if (a.address.family() != remote.family()) return false;
  if (a.address.is_loopback() != remote.is_loopback()) return false;
  return !a.address.is_unique_local() || remote.is_unique_local();
}

const InterfaceAddress* find_address(const NetworkInterface& interface, const IpAddress& address) {
  const auto found = std::find_if(interface.addresses.begin(), interface.addresses.end(),
                                  [&](const InterfaceAddress& a) { return a.address == address; });
  return found == interface.addresses.end() ? nullptr : &*found;
}

// 127.0.0.1/8 on the loopback interface makes every address of 127/8 one of ours.
bool covers_loopback(const NetworkInterface& interface, const IpAddress& address) {
  return interface.loopback && address.is_loopback() &&
         std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [&](const InterfaceAddress& a) {
                       return a.address.is_loopback() && on_link(a, address);
                     });
}

}  // namespace

PathChooser::PathChooser(const NetworkSnapshot& snapshot, const PathPolicy& policy)
    : snapshot_(snapshot), policy_(policy) {
  listed_.reserve(snapshot.routes.size());
  for (const RouteToRemote& route : snapshot.routes) listed_.emplace(route.remote, &route);
}

const RouteToRemote* PathChooser::listed(const IpAddress& remote) const {
  const auto found = listed_.find(remote);
  return found == listed_.end() ? nullptr : found->second;
}

bool PathChooser::is_attached(const NetworkInterface& interface, const IpAddress& remote) {
  return std::any_of(interface.addresses.begin(), interface.addresses.end(),
                     [&](const auto& a) { return is_usable(a) && on_link(a, remote); });
}

const AvoidedPath* PathChooser::avoided(const Path& path, const IpAddress& remote) const {
  const AvoidedPath* found = policy_.avoided(path);
  if (found == nullptr) return nullptr;
  const NetworkInterface* interface = snapshot_.find_interface(path.interface_index);
  return interface != nullptr && is_attached(*interface, remote) ? nullptr : found;
}

bool PathChooser::is_allowed(const NetworkInterface& interface, const IpAddress& remote) const {
  if (!is_running(interface)) return false;
  if (avoiding_ && avoided({interface.index, {}, remote}, remote) != nullptr) return false;
  if (policy_.interfaces.empty()) return true;
  if (interface.loopback && remote.is_loopback()) return true;
  return std::find(policy_.interfaces.begin(), policy_.interfaces.end(), interface.name) !=
         policy_.interfaces.end();
}

const std::optional<Path>& PathChooser::best(const IpAddress& remote) {
  const auto found = best_.find(remote);
  if (found != best_.end()) return found->second;
  const auto look = [&] {
    return policy_.bind_addresses.empty() ? choose(remote) : choose_bound(remote);
  };
  avoiding_ = !policy_.avoid.empty();
  std::optional<Path> path = look();
  if (!path && std::exchange(avoiding_, false)) path = look();
  return best_.emplace(remote, std::move(path)).first->second;
}

std::optional<Path> PathChooser::choose_bound(const IpAddress& remote) const {
  for (const IpAddress& address : policy_.bind_addresses) {
    if (address.family() != remote.family()) continue;
    if (address.is_loopback() != remote.is_loopback()) continue;
    for (const NetworkInterface& interface : snapshot_.interfaces) {
      const Path path{interface.index, interface.name, address};
      if (is_allowed(interface, remote) && is_there(path)) return path;
    }
  }
  return std::nullopt;
}

std::optional<Path> PathChooser::on_interface(const NetworkInterface& interface,
                                              const IpAddress& remote) const {
  if (!is_allowed(interface, remote)) return std::nullopt;
  const InterfaceAddress* best = nullptr;
  const auto rank = [&](const InterfaceAddress& a) {
    const unsigned scope = a.address.is_unique_local() == remote.is_unique_local() ? 512 : 0;
    return scope + common_prefix(a.address, remote);
  };
  for (const InterfaceAddress& a : interface.addresses) {
    if (!is_presentable(a, remote)) continue;
    if (best == nullptr || rank(a) > rank(*best)) best = &a;
  }
  if (best == nullptr) return std::nullopt;
  return Path{interface.index, interface.name, best->address};
}

std::optional<Path> PathChooser::choose(const IpAddress& remote) const {
  const RouteToRemote* known = listed(remote);
  const RouteToRemote route = known != nullptr ? *known : snapshot_.route_to(remote);
  if (known != nullptr && known->interface_index == 0) return std::nullopt;  // The kernel's word.

  if (const NetworkInterface* interface = snapshot_.find_interface(route.interface_index);
      interface != nullptr && is_allowed(*interface, remote)) {
    // A preferred source may live on another interface (a dummy, the loopback), and a remote of our
    // own is reached over loopback from any address.
    const InterfaceAddress* source = find_address(*interface, route.source);
    if (source == nullptr) {
      const NetworkInterface* owner = snapshot_.owner_of(route.source);
      if (owner != nullptr) source = find_address(*owner, route.source);
    }
    if (source != nullptr && is_presentable(*source, remote)) {
      return Path{interface->index, interface->name, source->address};
    }
    if (auto path = on_interface(*interface, remote)) return path;
  }
  // The kernel's choice is not ours to take: look where else a route leads.
  for (const NetworkInterface& interface : snapshot_.interfaces) {
    const bool connected =
        std::any_of(interface.addresses.begin(), interface.addresses.end(),
                    [&](const InterfaceAddress& a) { return is_usable(a) && on_link(a, remote); });
    if (!connected) continue;
    if (auto path = on_interface(interface, remote)) return path;
  }
  for (const DefaultRoute& candidate : snapshot_.default_routes) {
    if (candidate.family != remote.family()) continue;
    const NetworkInterface* interface = snapshot_.find_interface(candidate.interface_index);
    if (interface == nullptr) continue;
    if (auto path = on_interface(*interface, remote)) return path;
  }
  if (remote.is_loopback()) {  // Every address of ours reaches it; no route says so.
    for (const NetworkInterface& interface : snapshot_.interfaces) {
      if (auto path = on_interface(interface, remote)) return path;
    }
  }
  return std::nullopt;
}

bool PathChooser::is_there(const Path& path) const {
  const NetworkInterface* interface = snapshot_.find_interface(path.interface_index);
  if (interface == nullptr || !is_running(*interface)) return false;
  const InterfaceAddress* address = find_address(*interface, path.local);
  return (address != nullptr && is_usable(*address)) || covers_loopback(*interface, path.local);
}

bool PathChooser::carries(const Path& path, const IpAddress& remote) const {
  if (path.local.family() != remote.family()) return false;
  if (!permits(policy_, path, remote)) return false;
  // The lookup did not ask for this source, and rules may look at it: routes say nothing here.
  if (!policy_.bind_addresses.empty()) return is_there(path);
  const RouteToRemote* known = listed(remote);
  if (known != nullptr && known->interface_index == 0) return false;
  if (known != nullptr && known->interface_index == path.interface_index &&
      known->source == path.local) {
    const NetworkInterface* interface = snapshot_.find_interface(path.interface_index);
    if (interface != nullptr && is_running(*interface) &&
        snapshot_.owner_of(path.local) != nullptr) {
      return true;
    }
  }
  if (!is_there(path)) return false;
  if (path.local.is_loopback() || remote.is_loopback()) {
    return path.local.is_loopback() == remote.is_loopback();
  }
  if (known != nullptr && known->interface_index == path.interface_index) return true;
  const NetworkInterface& interface = *snapshot_.find_interface(path.interface_index);
  if (is_attached(interface, remote)) return true;
  return std::any_of(snapshot_.default_routes.begin(), snapshot_.default_routes.end(),
                     [&](const DefaultRoute& route) {
                       return route.family == remote.family() &&
                              route.interface_index == path.interface_index;
                     });
}

bool PathChooser::is_good(const Path& path, const IpAddress& remote) {
  const std::optional<Path>& target = best(remote);
  if (!target || *target == path) return true;
  // Of the bound addresses any that works is as good as another.
  const std::vector<IpAddress>& bound = policy_.bind_addresses;
  if (std::find(bound.begin(), bound.end(), path.local) != bound.end()) return true;
  // Within one interface IPv6 prefers another source at each rotation and deprecation; the old
  // address keeps its uses. IPv4 does so only when somebody changed the route on purpose.
  return target->interface_index == path.interface_index && path.local.is_v6();
}

}  // namespace godwit::mobility
