// SPDX-License-Identifier: Apache-2.0
//
// What is different between two snapshots, in words: named causes and the addresses behind them.
// A pure comparison; whether a difference matters to anyone is plan()'s question, and when to act
// on it the Judge's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/network.hpp"
#include "godwit/report.hpp"

namespace godwit::mobility {

/// One interface as it was or is, with one of its addresses: what a socket can be bound to.
struct Path {
  std::uint32_t interface_index = 0;
  std::string interface_name;
  IpAddress local;

  /// "wlan0 10.1.0.2"
  std::string to_string() const;
  /// The name is for people; a re-created interface has another index, and sockets bound to the old
  /// one are dead.
  friend bool operator==(const Path& a, const Path& b) {
    return a.interface_index == b.interface_index && a.local == b.local;
  }
};

struct Delta {
  std::vector<ChangeCause> causes;       ///< Without repetition, in the enumeration's order.
  std::vector<Path> lost;                ///< Addresses that could be used before and cannot now.
  std::vector<Path> gained;              ///< Addresses that can be used now and could not before.
  std::vector<IpAddress> moved_remotes;  ///< Listed in both, routed differently.
  std::vector<std::uint32_t> new_network_on;  ///< Interfaces behind SameAddressNewNetwork.

  bool empty() const { return causes.empty(); }
  bool has(ChangeCause cause) const;
  void add(ChangeCause cause);
  /// One line: "AddressLost DefaultRouteMoved: -wlan0 10.1.0.2 +wwan0 10.2.0.2".
  std::string describe() const;
};

/// Link-local and CLAT addresses are not looked at, nor is the rotation of a temporary address
/// (RFC 8981) whose prefix stays usable; becoming deprecated is no loss.
Delta compute_delta(const NetworkSnapshot& before, const NetworkSnapshot& after);

/// Some address other than loopback that SIP could use. The application's "is there a network".
bool is_online(const NetworkSnapshot& snapshot);
bool has_family(const NetworkSnapshot& snapshot, Family family);

/// Up, and with carrier; of loopback only the former is asked.
bool is_running(const NetworkInterface& interface);

/// Whether two link identities contradict each other. An unknown (empty) one contradicts nothing.
/// An identity is any text, or has parts "kind=value" or "kind/name=value" with ';' between them,
/// as in "gw4/10.1.0.1=02:00:…;gw6/fe80::1=02:00:…". Two of those differ if a part of one name has
/// two values, or if both have parts of a kind but none of the same name: one router of several may
/// be known later, but not all be replaced.
bool is_other_network(std::string_view before, std::string_view after);

}  // namespace godwit::mobility
