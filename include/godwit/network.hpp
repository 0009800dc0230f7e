// SPDX-License-Identifier: Apache-2.0
//
// What the machine's network looks like at one moment: an immutable value, read whole each time.
// On Linux the runtime makes it from netlink; elsewhere the application feeds it from its system's
// own API (UserAgent::update_network). Comparing two of them is mobility's work, not done here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/address.hpp"

namespace godwit {

/// An address of an interface, with the flags that decide whether it may carry a call.
struct InterfaceAddress {
  IpAddress address;
  std::uint8_t prefix_length = 0;
  bool tentative = false;   ///< Duplicate address detection not finished (and not optimistic).
  bool dad_failed = false;  ///< Another host has this address.
  bool deprecated = false;  ///< Keeps its uses, gets no new ones (RFC 4862 §5.5.4).
  bool temporary = false;   ///< RFC 8981 privacy address.
  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

/// The first `length` bits of `address`.
struct AddressPrefix {
  IpAddress address;
  std::uint8_t length = 0;
  friend bool operator==(const AddressPrefix&, const AddressPrefix&) = default;
};

struct NetworkInterface {
  std::uint32_t index = 0;
  std::string name;
  bool up = false;       ///< Administratively up.
  bool carrier = false;  ///< Link present.
  bool loopback = false;
  std::vector<InterfaceAddress> addresses;  ///< Sorted by address.
  /// What tells two networks with the same addresses apart: an SSID/BSSID or the gateway's MAC.
  std::string link_identity;
  /// Of the network's NAT64 (RFC 6052), as a router announces it (RFC 8781) or the system knows it.
  /// Absent: where it is needed, the DNS is asked (RFC 7050).
  std::optional<AddressPrefix> nat64_prefix = std::nullopt;
  friend bool operator==(const NetworkInterface&, const NetworkInterface&) = default;
};

struct DefaultRoute {
  Family family = Family::None;
  std::uint32_t interface_index = 0;
  std::optional<IpAddress> gateway;
  std::uint32_t metric = 0;
  friend bool operator==(const DefaultRoute&, const DefaultRoute&) = default;
};

/// The path that the system would choose for one remote that matters to us.
struct RouteToRemote {
  IpAddress remote;
  std::uint32_t interface_index = 0;  ///< 0: no route.
  IpAddress source;                   ///< Of no family when there is no route.
  friend bool operator==(const RouteToRemote&, const RouteToRemote&) = default;
};

struct NetworkSnapshot {
  std::vector<NetworkInterface> interfaces;  ///< Sorted by index.
  std::vector<DefaultRoute> default_routes;  ///< Sorted by family, then metric.
  /// One for each remote that was asked for. A remote not listed is judged by the default routes.
  std::vector<RouteToRemote> routes;

  const NetworkInterface* find_interface(std::uint32_t index) const;
  const NetworkInterface* find_interface(const std::string& name) const;
  /// The interface that holds `address` as a usable one, or nullptr.
  const NetworkInterface* owner_of(const IpAddress& address) const;
  /// The path to `remote`: the listed route, else the best default route with a usable source.
  RouteToRemote route_to(const IpAddress& remote) const;
  friend bool operator==(const NetworkSnapshot&, const NetworkSnapshot&) = default;
};

/// Not tentative, not failed, not link-local, not unspecified: may be a source address.
bool is_usable(const InterfaceAddress& address);

}  // namespace godwit
