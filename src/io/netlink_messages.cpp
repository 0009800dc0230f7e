// SPDX-License-Identifier: Apache-2.0
#include "io/netlink_messages.hpp"

#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace godwit::io::netlink {
namespace {

template <typename T>
std::optional<T> take(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);  // Input need not be aligned.
  return value;
}

// A length as netlink pads it, but never more than there is.
std::size_t padded(std::size_t length, std::size_t available) {
  return std::min((length + 3) & ~std::size_t{3}, available);
}

struct Attribute {
  std::uint16_t type = 0;
  Bytes value;
};

std::optional<Attribute> take_attribute(Bytes& rest) {
  const auto header = take<rtattr>(rest);
  if (!header || header->rta_len < sizeof *header || header->rta_len > rest.size()) {
    return std::nullopt;
  }
  Attribute out;
  out.type = header->rta_type & NLA_TYPE_MASK;
  out.value = rest.subspan(sizeof *header, header->rta_len - sizeof *header);
  rest = rest.subspan(padded(header->rta_len, rest.size()));
  return out;
}

// The attributes behind a fixed header of type T.
template <typename T>
Bytes attributes_of(const Message& message) {
  return message.payload.subspan(padded(sizeof(T), message.payload.size()));
}

Family family_of(unsigned char family) {
  return family == AF_INET ? Family::V4 : family == AF_INET6 ? Family::V6 : Family::None;
}

std::optional<IpAddress> to_address(Family family, Bytes value) {
  if (family == Family::V4 && value.size() == 4) {
    return IpAddress::v4(value[0], value[1], value[2], value[3]);
  }
  if (family == Family::V6 && value.size() == 16) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy(value.begin(), value.end(), bytes.begin());
    return IpAddress::v6(bytes);
  }
  return std::nullopt;
}

// RTA_VIA: a gateway of another family than the route's (RFC 5549).
std::optional<IpAddress> to_via(Bytes value) {
  const auto family = take<std::uint16_t>(value);
  if (!family) return std::nullopt;
  return to_address(family_of(static_cast<unsigned char>(*family)), value.subspan(2));
}

std::string to_mac(Bytes value) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t byte : value.first(std::min<std::size_t>(value.size(), 32))) {
    if (!out.empty()) out += ':';
    out += kHex[byte >> 4U];
    out += kHex[byte & 0xfU];
  }
  return out;
}

void read_hop(const Attribute& attribute, Family family, NextHop& hop) {
  if (attribute.type == RTA_GATEWAY) {
    hop.gateway = to_address(family, attribute.value);
  } else if (attribute.type == RTA_VIA) {
    hop.gateway = to_via(attribute.value);
  }
}

std::vector<NextHop> to_hops(Family family, Bytes rest) {
  std::vector<NextHop> out;
  while (out.size() < kMaxNextHops) {
    const auto header = take<rtnexthop>(rest);
    if (!header || header->rtnh_len < sizeof *header || header->rtnh_len > rest.size()) break;
    if ((header->rtnh_flags & RTNH_F_DEAD) == 0 && header->rtnh_ifindex > 0) {
      NextHop hop;
      hop.interface_index = static_cast<std::uint32_t>(header->rtnh_ifindex);
      Bytes attributes = rest.subspan(sizeof *header, header->rtnh_len - sizeof *header);
      while (const auto attribute = take_attribute(attributes)) read_hop(*attribute, family, hop);
      out.push_back(hop);
    }
    rest = rest.subspan(padded(header->rtnh_len, rest.size()));
  }
  return out;
}

}  // namespace

std::optional<Message> take_message(Bytes& rest) {
  const auto header = take<nlmsghdr>(rest);
  if (!header || header->nlmsg_len < sizeof *header || header->nlmsg_len > rest.size()) {
    return std::nullopt;
  }
  Message out;
  out.type = header->nlmsg_type;
  out.flags = header->nlmsg_flags;
  out.sequence = header->nlmsg_seq;
  out.port = header->nlmsg_pid;
  out.payload = rest.subspan(sizeof *header, header->nlmsg_len - sizeof *header);
  rest = rest.subspan(padded(header->nlmsg_len, rest.size()));
  return out;
}

std::optional<int> parse_error(const Message& message) {
  const auto code = take<std::int32_t>(message.payload);
  // A bare NLMSG_DONE is a success. Codes are negative errno values.
  if (!code) return message.type == NLMSG_DONE ? std::optional(0) : std::nullopt;
  if (*code > 0 || *code < -4095) return std::nullopt;
  return -*code;
}

std::optional<Link> parse_link(const Message& message) {
  const auto header = take<ifinfomsg>(message.payload);
  if (!header || header->ifi_index <= 0) return std::nullopt;
  Link out;
  out.index = static_cast<std::uint32_t>(header->ifi_index);
  out.up = (header->ifi_flags & IFF_UP) != 0;
  // LOWER_UP is the carrier; RUNNING (RFC 2863 operational state) is missing from a wireless link
  // that is associated but not yet let in by 802.1X.
  constexpr unsigned kCarrier = IFF_LOWER_UP | IFF_RUNNING;
  out.carrier = (header->ifi_flags & kCarrier) == kCarrier;
  out.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  Bytes rest = attributes_of<ifinfomsg>(message);
  while (const auto attribute = take_attribute(rest)) {
    if (attribute->type != IFLA_IFNAME) continue;
    const std::string_view text = as_text(attribute->value);
    out.name = std::string(text.substr(0, std::min(text.find('\0'), std::size_t{IFNAMSIZ})));
  }
  return out;
}

std::optional<Address> parse_address(const Message& message) {
  const auto header = take<ifaddrmsg>(message.payload);
  if (!header) return std::nullopt;
  const Family family = family_of(header->ifa_family);
  std::optional<IpAddress> address;
  std::optional<IpAddress> local;
  std::uint32_t flags = header->ifa_flags;
  Bytes rest = attributes_of<ifaddrmsg>(message);
  while (const auto attribute = take_attribute(rest)) {
    if (attribute->type == IFA_ADDRESS) address = to_address(family, attribute->value);
    if (attribute->type == IFA_LOCAL) local = to_address(family, attribute->value);
    if (attribute->type == IFA_FLAGS) {
      flags = take<std::uint32_t>(attribute->value).value_or(flags);
    }
  }
  if (local) address = local;  // On a point-to-point link IFA_ADDRESS is the peer's.
  if (!address || header->ifa_prefixlen > address->bytes().size() * 8) return std::nullopt;
  Address out;
  out.interface_index = header->ifa_index;
  out.address.address = *address;
  out.address.prefix_length = header->ifa_prefixlen;
  // RFC 4429: an optimistic address may be used while detection goes on.
  out.address.tentative = (flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0;
  out.address.dad_failed = (flags & IFA_F_DADFAILED) != 0;
  out.address.deprecated = (flags & IFA_F_DEPRECATED) != 0;
  // The same bit says "secondary" of an IPv4 address.
  out.address.temporary = family == Family::V6 && (flags & IFA_F_TEMPORARY) != 0;
  return out;
}

std::optional<Route> parse_route(const Message& message) {
  const auto header = take<rtmsg>(message.payload);
  if (!header) return std::nullopt;
  Route out;
  out.family = family_of(header->rtm_family);
  if (out.family == Family::None) return std::nullopt;
  out.type = header->rtm_type;
  out.table = header->rtm_table;
  out.destination_length = header->rtm_dst_len;
  NextHop single;
  std::vector<NextHop> multiple;
  Bytes rest = attributes_of<rtmsg>(message);
  while (const auto attribute = take_attribute(rest)) {
    switch (attribute->type) {
      case RTA_DST:
        out.destination = to_address(out.family, attribute->value).value_or(IpAddress{});
        break;
      case RTA_PREFSRC:
        out.preferred_source = to_address(out.family, attribute->value).value_or(IpAddress{});
        break;
      case RTA_PRIORITY: out.metric = take<std::uint32_t>(attribute->value).value_or(0); break;
      case RTA_TABLE: out.table = take<std::uint32_t>(attribute->value).value_or(out.table); break;
      case RTA_OIF:
        single.interface_index = take<std::uint32_t>(attribute->value).value_or(0);
        break;
      case RTA_MULTIPATH: multiple = to_hops(out.family, attribute->value); break;
      default: read_hop(*attribute, out.family, single);
    }
  }
  out.hops = std::move(multiple);
  if (out.hops.empty() && single.interface_index != 0 && (header->rtm_flags & RTNH_F_DEAD) == 0) {
    out.hops.push_back(single);
  }
  return out;
}

std::optional<Neighbour> parse_neighbour(const Message& message) {
  const auto header = take<ndmsg>(message.payload);
  if (!header || header->ndm_ifindex <= 0) return std::nullopt;
  const Family family = family_of(header->ndm_family);
  Neighbour out;
  out.interface_index = static_cast<std::uint32_t>(header->ndm_ifindex);
  constexpr unsigned kKnown = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
  Bytes rest = attributes_of<ndmsg>(message);
  while (const auto attribute = take_attribute(rest)) {
    if (attribute->type == NDA_DST) {
      out.address = to_address(family, attribute->value).value_or(IpAddress{});
    }
    if (attribute->type == NDA_LLADDR && (header->ndm_state & kKnown) != 0) {
      out.link_address = to_mac(attribute->value);
    }
  }
  if (out.address.family() == Family::None) return std::nullopt;
  return out;
}

std::optional<Nat64Announcement> parse_nat64_announcement(const Message& message) {
  constexpr std::uint8_t kRouterAdvertisement = 134;
  constexpr std::uint8_t kPref64 = 38;
  constexpr std::array<std::uint8_t, 6> kLengths = {96, 64, 56, 48, 40, 32};
  const auto header = take<nduseroptmsg>(message.payload);
  if (!header || header->nduseropt_family != AF_INET6 || header->nduseropt_ifindex <= 0 ||
      header->nduseropt_icmp_type != kRouterAdvertisement) {
    return std::nullopt;
  }
  Bytes options = message.payload.subspan(sizeof *header);
  options = options.first(std::min<std::size_t>(options.size(), header->nduseropt_opts_len));
  while (options.size() >= 8) {
    // RFC 4861 §4.6: in units of eight bytes, and never 0.
    const std::size_t size = std::size_t{options[1]} * 8;
    if (size == 0 || size > options.size()) return std::nullopt;
    if (options[0] == kPref64 && size == 16) {
      // RFC 8781 §4: 13 bits of lifetime in units of 8 s, 3 of the prefix length's code, 96 of it.
      const unsigned word = static_cast<unsigned>(options[2] << 8) | options[3];
      const unsigned code = word & 7U;
      if (code >= kLengths.size()) return std::nullopt;  // RFC 8781 §4: to be ignored.
      std::array<std::uint8_t, 16> bytes{};
      std::copy_n(options.begin() + 4, 12, bytes.begin());
      Nat64Announcement out;
      out.interface_index = static_cast<std::uint32_t>(header->nduseropt_ifindex);
      out.prefix = {IpAddress::v6(bytes), kLengths[code]};
      out.lifetime = std::chrono::seconds(word & ~7U);
      return out;
    }
    options = options.subspan(size);
  }
  return std::nullopt;
}

std::vector<DefaultRoute> default_routes(const std::vector<Route>& routes) {
  const auto is_default = [](const Route& route) {
    if (route.type != RTN_UNICAST || route.table == RT_TABLE_LOCAL) return false;
    // 0.0.0.0/1 + 128.0.0.0/1, ::/1 + 8000::/1, or 2000::/3: as OpenVPN lays them over a default.
    return route.destination_length <= (route.family == Family::V6 ? 3 : 1);
  };
  const auto is_main = [](const Route& route) {
    return route.table == RT_TABLE_MAIN || route.table == RT_TABLE_DEFAULT;
  };
  std::vector<std::pair<Family, std::uint32_t>> has_main;
  for (const Route& route : routes) {
    if (!is_default(route) || !is_main(route)) continue;
    for (const NextHop& hop : route.hops) has_main.emplace_back(route.family, hop.interface_index);
  }
  std::vector<DefaultRoute> out;
  for (const Route& route : routes) {
    if (!is_default(route)) continue;
    for (const NextHop& hop : route.hops) {
      std::uint32_t metric = route.destination_length > 0 ? 0 : route.metric;
      if (!is_main(route)) {
        const std::pair key{route.family, hop.interface_index};
        if (std::find(has_main.begin(), has_main.end(), key) != has_main.end()) continue;
        metric = std::numeric_limits<std::uint32_t>::max();
      }
      out.push_back(DefaultRoute{route.family, hop.interface_index, hop.gateway, metric});
    }
  }
  // What the kernel lists first among equal metrics is an accident; a fixed order keeps two
  // readings of one state equal.
  std::sort(out.begin(), out.end(), [](const DefaultRoute& a, const DefaultRoute& b) {
    return std::tie(a.family, a.metric, a.interface_index, a.gateway) <
           std::tie(b.family, b.metric, b.interface_index, b.gateway);
  });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

NetworkSnapshot assemble(KernelState state) {
  NetworkSnapshot out;
  for (Link& link : state.links) {
    NetworkInterface interface;
    interface.index = link.index;
    interface.name = std::move(link.name);
    interface.up = link.up;
    interface.carrier = link.carrier;
    interface.loopback = link.loopback;
    out.interfaces.push_back(std::move(interface));
  }
  std::sort(out.interfaces.begin(), out.interfaces.end(),
            [](const auto& a, const auto& b) { return a.index < b.index; });
  const auto find = [&](std::uint32_t index) -> NetworkInterface* {
    const auto found =
        std::lower_bound(out.interfaces.begin(), out.interfaces.end(), index,
                         [](const NetworkInterface& i, std::uint32_t n) { return i.index < n; });
    return found != out.interfaces.end() && found->index == index ? &*found : nullptr;
  };
  for (const Address& address : state.addresses) {
    // An interface that came up between the two dumps: its message will wake us again.
    if (NetworkInterface* interface = find(address.interface_index)) {
      interface->addresses.push_back(address.address);
    }
  }
  for (NetworkInterface& interface : out.interfaces) {
    std::sort(interface.addresses.begin(), interface.addresses.end(),
              [](const auto& a, const auto& b) { return a.address < b.address; });
  }
  out.default_routes = default_routes(state.routes);

  // "gw4/10.1.0.1=02:…;gw6/fe80::1=02:…", see mobility::is_other_network.
  std::sort(state.gateways.begin(), state.gateways.end(), [](const auto& a, const auto& b) {
    return std::tie(a.interface_index, a.address) < std::tie(b.interface_index, b.address);
  });
  for (const Neighbour& gateway : state.gateways) {
    NetworkInterface* interface = find(gateway.interface_index);
    if (interface == nullptr || gateway.link_address.empty()) continue;
    std::string& identity = interface->link_identity;
    if (!identity.empty()) identity += ';';
    identity += gateway.address.is_v4() ? "gw4/" : "gw6/";
    identity += gateway.address.to_string() + '=' + gateway.link_address;
  }
  out.routes = std::move(state.to_remotes);
  return out;
}

}  // namespace godwit::io::netlink
