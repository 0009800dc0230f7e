// SPDX-License-Identifier: Apache-2.0
//
// rtnetlink bytes as values, and those values as a NetworkSnapshot: the pure half of the network
// monitor, which makes no system call. Every length in the input is checked against what is there;
// a message or attribute that does not fit ends or is skipped, and nothing is read beyond it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "godwit/network.hpp"

namespace godwit::io::netlink {

struct Message {
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t port = 0;
  Bytes payload;
};

/// Takes the first message off `rest`; nullopt at the end or at the first one that does not fit.
std::optional<Message> take_message(Bytes& rest);

/// The errno of an NLMSG_ERROR (0: an acknowledgement), or of an NLMSG_DONE, which carries one too.
std::optional<int> parse_error(const Message& message);

struct Link {
  std::uint32_t index = 0;
  std::string name;
  bool up = false;
  bool carrier = false;
  bool loopback = false;
};
std::optional<Link> parse_link(const Message& message);

struct Address {
  std::uint32_t interface_index = 0;
  InterfaceAddress address;
};
std::optional<Address> parse_address(const Message& message);

struct NextHop {
  std::uint32_t interface_index = 0;
  std::optional<IpAddress> gateway;
};

struct Route {
  Family family = Family::None;
  std::uint8_t type = 0;  ///< RTN_UNICAST, RTN_LOCAL, RTN_UNREACHABLE, …
  std::uint32_t table = 0;
  std::uint8_t destination_length = 0;
  IpAddress destination;  ///< Of no family for a default route.
  std::uint32_t metric = 0;
  IpAddress preferred_source;  ///< Of no family if there is none.
  std::vector<NextHop> hops;   ///< At most kMaxNextHops.
};
constexpr std::size_t kMaxNextHops = 64;
std::optional<Route> parse_route(const Message& message);

struct Neighbour {
  std::uint32_t interface_index = 0;
  IpAddress address;
  std::string link_address;  ///< "02:00:5e:10:00:01"; empty while it is not known.
};
std::optional<Neighbour> parse_neighbour(const Message& message);

/// One PREF64 option of a router advertisement (RFC 8781 §4), which the kernel hands on.
struct Nat64Announcement {
  std::uint32_t interface_index = 0;
  AddressPrefix prefix;
  std::chrono::seconds lifetime{};  ///< 0: taken back. At most 65 528 s.
};
/// The first one in an RTM_NEWNDUSEROPT; nullopt: the message has another option.
std::optional<Nat64Announcement> parse_nat64_announcement(const Message& message);

/// All that one reading of the kernel's state brought.
struct KernelState {
  std::vector<Link> links;
  std::vector<Address> addresses;
  std::vector<Route> routes;
  std::vector<Neighbour> gateways;
  std::vector<RouteToRemote> to_remotes;
};

/// The routes that stand for "everywhere else", best first. Those of the main table, and of other
/// tables only where an interface has none there: such a one is reached by policy rules, which only
/// a lookup can tell, so it counts as the last resort. Two halves of the address space (what VPN
/// clients lay over the default route) are a default route of metric 0.
std::vector<DefaultRoute> default_routes(const std::vector<Route>& routes);

NetworkSnapshot assemble(KernelState state);

}  // namespace godwit::io::netlink
