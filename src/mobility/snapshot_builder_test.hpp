// SPDX-License-Identifier: Apache-2.0
//
// Snapshots in few words, for the tests of this layer. Not part of the library.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

#include "godwit/network.hpp"

namespace godwit::mobility::test {

inline IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) throw std::invalid_argument("not an address: " + std::string(text));
  return *address;
}

inline Endpoint endpoint(std::string_view text) {
  const auto parsed = Endpoint::parse(text, 5060);
  if (!parsed) throw std::invalid_argument("not an endpoint: " + std::string(text));
  return *parsed;
}

/// Sockets' view of the world, built up call by call:
/// `Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100)`.
/// address(), gateway() and what follows speak of the interface named last.
class Net {
 public:
  Net&& link(std::uint32_t index, std::string name) && {
    NetworkInterface interface;
    interface.index = index;
    interface.name = std::move(name);
    interface.up = true;
    interface.carrier = true;
    interface.loopback = interface.name == "lo";
    snapshot_.interfaces.push_back(std::move(interface));
    return std::move(*this);
  }
  Net&& down() && {
    last().up = false;
    last().carrier = false;
    return std::move(*this);
  }
  Net&& no_carrier() && {
    last().carrier = false;
    return std::move(*this);
  }
  Net&& identity(std::string text) && {
    last().link_identity = std::move(text);
    return std::move(*this);
  }
  /// Flags: t tentative, f failed, d deprecated, r temporary ("rotating").
  Net&& address(std::string_view text, std::string_view flags = "") && {
    const std::size_t slash = text.find('/');
    InterfaceAddress a;
    a.address = ip(text.substr(0, slash));
    a.prefix_length = static_cast<std::uint8_t>(std::stoi(std::string(text.substr(slash + 1))));
    a.tentative = flags.find('t') != flags.npos;
    a.dad_failed = flags.find('f') != flags.npos;
    a.deprecated = flags.find('d') != flags.npos;
    a.temporary = flags.find('r') != flags.npos;
    auto& list = last().addresses;
    list.push_back(a);
    std::sort(list.begin(), list.end(),
              [](const auto& x, const auto& y) { return x.address < y.address; });
    return std::move(*this);
  }
  /// A default route through the last interface.
  Net&& gateway(std::string_view text, std::uint32_t metric) && {
    const IpAddress address = ip(text);
    snapshot_.default_routes.push_back({address.family(), last().index, address, metric});
    std::sort(snapshot_.default_routes.begin(), snapshot_.default_routes.end(),
              [](const DefaultRoute& a, const DefaultRoute& b) {
                return a.family != b.family ? a.family < b.family : a.metric < b.metric;
              });
    return std::move(*this);
  }
  /// What the kernel answers for one remote; index 0: unreachable.
  Net&& route(std::string_view remote, std::uint32_t index, std::string_view source = "") && {
    snapshot_.routes.push_back({ip(remote), index, source.empty() ? IpAddress{} : ip(source)});
    return std::move(*this);
  }
  operator NetworkSnapshot() && { return std::move(snapshot_); }

 private:
  NetworkInterface& last() { return snapshot_.interfaces.back(); }
  NetworkSnapshot snapshot_;
};

}  // namespace godwit::mobility::test
