// SPDX-License-Identifier: Apache-2.0
#include "mobility/delta.hpp"

#include <algorithm>
#include <unordered_map>

#include "mobility/prefix.hpp"

namespace godwit::mobility {
namespace {

// What a description names before it says "and N more": one line stays one line.
constexpr std::size_t kMaxNamed = 8;

bool may_matter(const InterfaceAddress& a) { return is_usable(a) && !a.address.is_clat(); }

bool has_usable_address(const NetworkInterface& interface) {
  return is_running(interface) &&
         std::any_of(interface.addresses.begin(), interface.addresses.end(), may_matter);
}

bool holds(const NetworkSnapshot& snapshot, std::uint32_t index, const IpAddress& address) {
  const NetworkInterface* interface = snapshot.find_interface(index);
  return interface != nullptr && is_running(*interface) &&
         std::any_of(interface->addresses.begin(), interface->addresses.end(),
                     [&](const auto& a) { return a.address == address && may_matter(a); });
}

// RFC 8981 §3.4: temporary addresses of one prefix follow each other. As long as the prefix is
// usable on the interface, coming and going of one of them says nothing about the network.
bool is_rotation(const InterfaceAddress& address, std::uint32_t index,
                 const NetworkSnapshot& other) {
  if (!address.temporary) return false;
  const NetworkInterface* interface = other.find_interface(index);
  return interface != nullptr && is_running(*interface) &&
         std::any_of(interface->addresses.begin(), interface->addresses.end(), [&](const auto& a) {
           return may_matter(a) && a.prefix_length == address.prefix_length &&
                  common_prefix(a.address, address.address) >= address.prefix_length;
         });
}

// Addresses that `from` can use and `to` cannot.
std::vector<Path> missing(const NetworkSnapshot& from, const NetworkSnapshot& to) {
  std::vector<Path> out;
  for (const NetworkInterface& interface : from.interfaces) {
    if (!is_running(interface)) continue;
    for (const InterfaceAddress& a : interface.addresses) {
      if (!may_matter(a) || holds(to, interface.index, a.address)) continue;
      if (is_rotation(a, interface.index, to)) continue;
      out.push_back(Path{interface.index, interface.name, a.address});
    }
  }
  return out;
}

const DefaultRoute* best_default(const NetworkSnapshot& snapshot, Family family) {
  for (const DefaultRoute& route : snapshot.default_routes) {
    if (route.family != family) continue;
    const NetworkInterface* interface = snapshot.find_interface(route.interface_index);
    if (interface != nullptr && is_running(*interface)) return &route;
  }
  return nullptr;
}

bool default_moved(const NetworkSnapshot& before, const NetworkSnapshot& after, Family family) {
  // A family that comes or goes whole has its own causes.
  if (!has_family(before, family) || !has_family(after, family)) return false;
  const DefaultRoute* old_route = best_default(before, family);
  const DefaultRoute* new_route = best_default(after, family);
  if (old_route == nullptr || new_route == nullptr) return old_route != new_route;
  return old_route->interface_index != new_route->interface_index ||
         old_route->gateway != new_route->gateway;
}

void compare_routes(const NetworkSnapshot& before, const NetworkSnapshot& after, Delta& delta) {
  std::unordered_map<IpAddress, const RouteToRemote*> old_routes;
  for (const RouteToRemote& route : before.routes) old_routes.emplace(route.remote, &route);
  for (const RouteToRemote& route : after.routes) {
    const auto found = old_routes.find(route.remote);
    if (found == old_routes.end()) continue;
    const RouteToRemote& old_route = *found->second;
    if (old_route.interface_index == route.interface_index) {
      if (old_route.source == route.source) continue;
      // The kernel prefers another address of the same interface: with IPv6 that happens at each
      // rotation and deprecation, and the old one still works.
      if (route.source.is_v6() && holds(after, route.interface_index, old_route.source)) continue;
    }
    delta.moved_remotes.push_back(route.remote);
    delta.add(ChangeCause::RouteToRemoteMoved);
  }
}

void compare_links(const NetworkSnapshot& before, const NetworkSnapshot& after, Delta& delta) {
  for (const NetworkInterface& old_interface : before.interfaces) {
    if (old_interface.loopback || !has_usable_address(old_interface)) continue;
    const NetworkInterface* interface = after.find_interface(old_interface.index);
    if (interface == nullptr || !is_running(*interface)) {
      delta.add(ChangeCause::LinkDown);
      continue;
    }
    if (!is_other_network(old_interface.link_identity, interface->link_identity)) continue;
    const bool kept_address = std::any_of(
        old_interface.addresses.begin(), old_interface.addresses.end(),
        [&](const auto& a) { return may_matter(a) && holds(after, interface->index, a.address); });
    if (kept_address) {
      delta.new_network_on.push_back(interface->index);
      delta.add(ChangeCause::SameAddressNewNetwork);
    }
  }
}

// "gw4/10.1.0.1=02:…": kind "gw4", name "gw4/10.1.0.1".
struct IdentityPart {
  std::string_view kind;
  std::string_view name;
  std::string_view value;
};

std::vector<IdentityPart> identity_parts(std::string_view identity) {
  std::vector<IdentityPart> out;
  while (!identity.empty()) {
    const std::string_view part = identity.substr(0, identity.find(';'));
    const std::string_view name = part.substr(0, part.find('='));
    if (name.size() < part.size()) {
      out.push_back({name.substr(0, name.find('/')), name, part.substr(name.size() + 1)});
    }
    identity.remove_prefix(std::min(identity.size(), part.size() + 1));
  }
  return out;
}

}  // namespace

bool is_running(const NetworkInterface& interface) {
  return interface.up && (interface.carrier || interface.loopback);
}

bool has_family(const NetworkSnapshot& snapshot, Family family) {
  return std::any_of(
      snapshot.interfaces.begin(), snapshot.interfaces.end(), [&](const NetworkInterface& i) {
        return is_running(i) && !i.loopback &&
               std::any_of(i.addresses.begin(), i.addresses.end(), [&](const auto& a) {
                 return may_matter(a) && a.address.family() == family;
               });
      });
}

bool is_online(const NetworkSnapshot& snapshot) {
  return has_family(snapshot, Family::V4) || has_family(snapshot, Family::V6);
}

bool is_other_network(std::string_view before, std::string_view after) {
  if (before.empty() || after.empty()) return false;
  const std::vector<IdentityPart> old_parts = identity_parts(before);
  const std::vector<IdentityPart> new_parts = identity_parts(after);
  if (old_parts.empty() || new_parts.empty()) return before != after;
  for (const IdentityPart& old_part : old_parts) {
    bool same_kind = false;
    bool same_name = false;
    for (const IdentityPart& part : new_parts) {
      if (part.kind != old_part.kind) continue;
      same_kind = true;
      // One of several routers may leave and another come; but none may become another machine.
      const bool kept = std::any_of(old_parts.begin(), old_parts.end(),
                                    [&](const auto& o) { return o.name == part.name; });
      same_name = same_name || kept;
      if (part.name == old_part.name && part.value != old_part.value) return true;
    }
    if (same_kind && !same_name) return true;
  }
  return false;
}

std::string Path::to_string() const {
  const std::string address = local.family() == Family::None ? "-" : local.to_string();
  return interface_name.empty() ? address : interface_name + ' ' + address;
}

bool Delta::has(ChangeCause cause) const {
  return std::find(causes.begin(), causes.end(), cause) != causes.end();
}

void Delta::add(ChangeCause cause) {
  const auto place = std::lower_bound(causes.begin(), causes.end(), cause);
  if (place == causes.end() || *place != cause) causes.insert(place, cause);
}

std::string Delta::describe() const {
  if (empty()) return "no change";
  std::string out;
  for (const ChangeCause cause : causes) {
    if (!out.empty()) out += ' ';
    out += godwit::to_string(cause);
  }
  std::size_t named = 0;
  const auto list = [&](const std::vector<Path>& paths, std::string_view sign) {
    for (const Path& path : paths) {
      if (++named > kMaxNamed) continue;
      out += named == 1 ? ": " : " ";
      out += sign;
      out += path.to_string();
    }
  };
  list(lost, "-");
  list(gained, "+");
  if (named > kMaxNamed) out += " and " + std::to_string(named - kMaxNamed) + " more";
  return out;
}

Delta compute_delta(const NetworkSnapshot& before, const NetworkSnapshot& after) {
  Delta delta;
  delta.lost = missing(before, after);
  delta.gained = missing(after, before);
  if (!delta.lost.empty()) delta.add(ChangeCause::AddressLost);
  if (!delta.gained.empty()) delta.add(ChangeCause::AddressGained);
  compare_links(before, after, delta);
  compare_routes(before, after, delta);
  const bool was_online = is_online(before);
  const bool now_online = is_online(after);
  if (was_online && !now_online) delta.add(ChangeCause::NetworkLost);
  if (!was_online && now_online) delta.add(ChangeCause::NetworkReturned);
  for (const Family family : {Family::V4, Family::V6}) {
    if (default_moved(before, after, family)) delta.add(ChangeCause::DefaultRouteMoved);
    if (!was_online || !now_online) continue;
    if (has_family(before, family) && !has_family(after, family)) {
      delta.add(ChangeCause::FamilyLost);
    }
    if (!has_family(before, family) && has_family(after, family)) {
      delta.add(ChangeCause::FamilyGained);
    }
  }
  return delta;
}

}  // namespace godwit::mobility
