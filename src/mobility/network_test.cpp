// SPDX-License-Identifier: Apache-2.0
#include "godwit/network.hpp"

#include <gtest/gtest.h>

#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::ip;
using test::Net;

TEST(Network, usable_addresses) {
  const struct {
    const char* address;
    bool usable;
  } kCases[] = {
      {"10.0.0.1", true},   {"192.0.2.1", true},    {"127.0.0.1", true}, {"2001:db8::1", true},
      {"fd00::1", true},    {"169.254.1.1", false}, {"fe80::1", false},  {"0.0.0.0", false},
      {"224.0.0.1", false}, {"ff02::1", false},     {"::", false},
  };
  for (const auto& c : kCases) {
    InterfaceAddress a{ip(c.address), 24};
    EXPECT_EQ(is_usable(a), c.usable) << c.address;
    a.deprecated = a.temporary = true;
    EXPECT_EQ(is_usable(a), c.usable) << c.address;
    a.tentative = true;
    EXPECT_FALSE(is_usable(a)) << c.address;
    a.tentative = false;
    a.dad_failed = true;
    EXPECT_FALSE(is_usable(a)) << c.address;
  }
  EXPECT_FALSE(is_usable(InterfaceAddress{}));
}

TEST(Network, find_and_owner) {
  const NetworkSnapshot net = Net()
                                  .link(2, "wlan0")
                                  .address("10.1.0.2/24")
                                  .link(3, "wwan0")
                                  .address("10.2.0.2/24", "t")
                                  .link(4, "eth0")
                                  .no_carrier()
                                  .address("10.3.0.2/24");
  EXPECT_EQ(net.find_interface(3)->name, "wwan0");
  EXPECT_EQ(net.find_interface("eth0")->index, 4U);
  EXPECT_EQ(net.find_interface(9), nullptr);
  EXPECT_EQ(net.find_interface("wlan1"), nullptr);
  EXPECT_EQ(net.owner_of(ip("10.1.0.2")), net.find_interface(2));
  EXPECT_EQ(net.owner_of(ip("10.2.0.2")), nullptr);  // Tentative.
  EXPECT_EQ(net.owner_of(ip("10.3.0.2")), nullptr);  // No carrier.
}

TEST(Network, route_to) {
  const NetworkSnapshot net = Net()
                                  .link(1, "lo")
                                  .address("127.0.0.1/8")
                                  .address("::1/128")
                                  .link(2, "wlan0")
                                  .address("10.1.0.2/24")
                                  .address("2001:db8:1::2/64")
                                  .address("2001:db8:1::9/64", "d")
                                  .address("fd00:1::2/64")
                                  .gateway("10.1.0.1", 600)
                                  .gateway("fe80::1", 600)
                                  .link(3, "wwan0")
                                  .address("10.2.0.2/24")
                                  .gateway("10.2.0.1", 700)
                                  .link(4, "eth0")
                                  .no_carrier()
                                  .address("10.4.0.2/24")
                                  .gateway("10.4.0.1", 100)
                                  .link(5, "tun0")
                                  .address("10.8.0.2/16")
                                  .route("198.51.100.7", 5, "10.8.0.2")
                                  .route("198.51.100.8", 0);
  const struct {
    const char* remote;
    std::uint32_t index;
    const char* source;
  } kCases[] = {
      {"192.0.2.1", 2, "10.1.0.2"},     // The best default route that runs.
      {"198.51.100.7", 5, "10.8.0.2"},  // Listed.
      {"198.51.100.8", 0, ""},          // Listed as unreachable.
      {"10.2.0.77", 3, "10.2.0.2"},     // A connected network is more specific.
      {"10.8.9.9", 5, "10.8.0.2"},
      {"127.0.0.9", 1, "127.0.0.1"},
      {"::1", 1, "::1"},
      {"2001:db8:9::1", 2, "2001:db8:1::2"},  // Not the deprecated, not the unique local one.
      {"fd00:7::1", 2, "fd00:1::2"},
  };
  for (const auto& c : kCases) {
    const RouteToRemote route = net.route_to(ip(c.remote));
    EXPECT_EQ(route.remote, ip(c.remote));
    EXPECT_EQ(route.interface_index, c.index) << c.remote;
    EXPECT_EQ(route.source, *c.source != '\0' ? ip(c.source) : IpAddress{}) << c.remote;
  }
  EXPECT_EQ(NetworkSnapshot{}.route_to(ip("192.0.2.1")).interface_index, 0U);
}

}  // namespace
}  // namespace godwit::mobility
