// SPDX-License-Identifier: Apache-2.0
#include "mobility/delta.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::ip;
using test::Net;

NetworkSnapshot wlan(const char* address = "10.1.0.2/24", const char* identity = "") {
  return Net().link(2, "wlan0").address(address).gateway("10.1.0.1", 100).identity(identity);
}

TEST(Delta, table) {
  const struct {
    const char* name;
    NetworkSnapshot before;
    NetworkSnapshot after;
    const char* expected;
  } kCases[] = {
      {"nothing", wlan(), wlan(), "no change"},
      {"from nothing", Net(), wlan(), "AddressGained NetworkReturned: +wlan0 10.1.0.2"},
      {"to nothing", wlan(), Net().link(2, "wlan0"), "AddressLost NetworkLost: -wlan0 10.1.0.2"},
      {"the interface vanishes", wlan(), Net(),
       "AddressLost LinkDown NetworkLost: -wlan0 10.1.0.2"},
      {"administratively down, addresses still listed", wlan(),
       Net().link(2, "wlan0").down().address("10.1.0.2/24").gateway("10.1.0.1", 100),
       "AddressLost LinkDown NetworkLost: -wlan0 10.1.0.2"},
      {"the carrier is lost, addresses still listed", wlan(),
       Net().link(2, "wlan0").no_carrier().address("10.1.0.2/24").gateway("10.1.0.1", 100),
       "AddressLost LinkDown NetworkLost: -wlan0 10.1.0.2"},
      {"renumbered", wlan(), wlan("10.1.0.3/24"),
       "AddressLost AddressGained: -wlan0 10.1.0.2 +wlan0 10.1.0.3"},
      {"the same address on a re-created interface", wlan(),
       Net().link(7, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100),
       "AddressLost AddressGained DefaultRouteMoved LinkDown: -wlan0 10.1.0.2 +wlan0 10.1.0.2"},
      {"a second network with a worse metric", wlan(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(3, "wwan0")
           .address("10.2.0.2/24")
           .gateway("10.2.0.1", 200),
       "AddressGained: +wwan0 10.2.0.2"},
      {"a second network with a better metric", wlan(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(3, "eth0")
           .address("10.3.0.2/24")
           .gateway("10.3.0.1", 50),
       "AddressGained DefaultRouteMoved: +eth0 10.3.0.2"},
      {"another gateway on the same interface", wlan(),
       Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.254", 100),
       "DefaultRouteMoved"},
      {"the default route alone disappears", wlan(), Net().link(2, "wlan0").address("10.1.0.2/24"),
       "DefaultRouteMoved"},
      {"only the metric changes", wlan(),
       Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 700), "no change"},
      {"IPv6 comes", wlan(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .address("2001:db8::2/64")
           .gateway("fe80::1", 100),
       "AddressGained FamilyGained: +wlan0 2001:db8::2"},
      {"IPv4 goes", Net().link(2, "wlan0").address("10.1.0.2/24").address("2001:db8::2/64"),
       Net().link(2, "wlan0").address("2001:db8::2/64"), "AddressLost FamilyLost: -wlan0 10.1.0.2"},
      {"link-local is not looked at", wlan(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .address("fe80::2/64")
           .address("169.254.1.1/16"),
       "no change"},
      {"nor is the CLAT", wlan(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(4, "clat4")
           .address("192.0.0.4/32"),
       "no change"},
      {"tentative is not usable yet", Net().link(2, "wlan0"),
       Net().link(2, "wlan0").address("2001:db8::2/64", "t"), "no change"},
      {"detection done", Net().link(2, "wlan0").address("2001:db8::2/64", "t"),
       Net().link(2, "wlan0").address("2001:db8::2/64"),
       "AddressGained NetworkReturned: +wlan0 2001:db8::2"},
      {"detection failed", Net().link(2, "wlan0").address("2001:db8::2/64"),
       Net().link(2, "wlan0").address("2001:db8::2/64", "f"),
       "AddressLost NetworkLost: -wlan0 2001:db8::2"},
      {"deprecated is still there", Net().link(2, "wlan0").address("2001:db8::2/64"),
       Net().link(2, "wlan0").address("2001:db8::2/64", "d"), "no change"},
      {"a temporary address comes beside its prefix",
       Net().link(2, "wlan0").address("2001:db8::2/64"),
       Net().link(2, "wlan0").address("2001:db8::2/64").address("2001:db8::a/64", "r"),
       "no change"},
      {"temporary addresses rotate",
       Net().link(2, "wlan0").address("2001:db8::2/64").address("2001:db8::a/64", "r"),
       Net().link(2, "wlan0").address("2001:db8::2/64").address("2001:db8::b/64", "r"),
       "no change"},
      {"temporary addresses of a new prefix", Net().link(2, "wlan0").address("2001:db8::a/64", "r"),
       Net().link(2, "wlan0").address("2001:db8:0:1::a/64", "r"),
       "AddressLost AddressGained: -wlan0 2001:db8::a +wlan0 2001:db8:0:1::a"},
      {"another network with the same address", wlan("10.1.0.2/24", "gw4/10.1.0.1=02:01"),
       wlan("10.1.0.2/24", "gw4/10.1.0.1=02:02"), "SameAddressNewNetwork"},
      {"another network with another address is a plain change",
       wlan("10.1.0.2/24", "gw4/10.1.0.1=02:01"), wlan("10.1.0.3/24", "gw4/10.1.0.1=02:02"),
       "AddressLost AddressGained: -wlan0 10.1.0.2 +wlan0 10.1.0.3"},
      {"an identity that is not known yet", wlan("10.1.0.2/24", "gw4/10.1.0.1=02:01"), wlan(),
       "no change"},
      {"a remote is routed elsewhere",
       Net()
           .link(2, "a")
           .address("10.1.0.2/24")
           .link(3, "b")
           .address("10.2.0.2/24")
           .route("192.0.2.1", 2, "10.1.0.2"),
       Net()
           .link(2, "a")
           .address("10.1.0.2/24")
           .link(3, "b")
           .address("10.2.0.2/24")
           .route("192.0.2.1", 3, "10.2.0.2"),
       "RouteToRemoteMoved"},
      {"a remote becomes unreachable",
       Net().link(2, "a").address("10.1.0.2/24").route("192.0.2.1", 2, "10.1.0.2"),
       Net().link(2, "a").address("10.1.0.2/24").route("192.0.2.1", 0), "RouteToRemoteMoved"},
      {"a remote is asked for the first time", Net().link(2, "a").address("10.1.0.2/24"),
       Net().link(2, "a").address("10.1.0.2/24").route("192.0.2.1", 2, "10.1.0.2"), "no change"},
      {"IPv6 prefers another source of the same interface",
       Net()
           .link(2, "a")
           .address("2001:db8::2/64")
           .address("2001:db8::3/64")
           .route("2001:db8:9::1", 2, "2001:db8::2"),
       Net()
           .link(2, "a")
           .address("2001:db8::2/64")
           .address("2001:db8::3/64")
           .route("2001:db8:9::1", 2, "2001:db8::3"),
       "no change"},
      {"loopback addresses count as addresses, not as a network",
       Net().link(1, "lo").address("127.0.0.2/32"), Net().link(1, "lo").address("127.0.0.3/32"),
       "AddressLost AddressGained: -lo 127.0.0.2 +lo 127.0.0.3"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(compute_delta(c.before, c.after).describe(), c.expected) << c.name;
    EXPECT_TRUE(compute_delta(c.before, c.before).empty()) << c.name;
    EXPECT_TRUE(compute_delta(c.after, c.after).empty()) << c.name;
  }
}

TEST(Delta, a_long_list_stays_one_short_line) {
  NetworkInterface interface;
  interface.index = 2;
  interface.name = "eth0";
  interface.up = interface.carrier = true;
  NetworkSnapshot before;
  before.interfaces.push_back(interface);
  for (std::uint8_t i = 0; i < 100; ++i) {
    interface.addresses.push_back({IpAddress::v4(10, 0, 0, i), 24});
  }
  NetworkSnapshot after;
  after.interfaces.push_back(interface);
  const std::string line = compute_delta(before, after).describe();
  EXPECT_LT(line.size(), 250U) << line;
  EXPECT_NE(line.find(" and 92 more"), std::string::npos) << line;
}

TEST(Delta, causes_are_a_set_in_order) {
  Delta delta;
  delta.add(ChangeCause::Forced);
  delta.add(ChangeCause::AddressLost);
  delta.add(ChangeCause::Forced);
  EXPECT_EQ(delta.causes,
            (std::vector<ChangeCause>{ChangeCause::AddressLost, ChangeCause::Forced}));
  EXPECT_TRUE(delta.has(ChangeCause::Forced));
  EXPECT_FALSE(delta.has(ChangeCause::Resumed));
}

TEST(LinkIdentity, table) {
  const struct {
    const char* before;
    const char* after;
    bool other;
  } kCases[] = {
      {"", "", false},
      {"", "home", false},
      {"home", "", false},
      {"home", "home", false},
      {"home", "office", true},
      {"bssid=1;ssid=x", "ssid=x;bssid=1", false},
      {"bssid=1;ssid=x", "ssid=x", false},
      {"bssid=1;ssid=x", "ssid=y", true},
      {"gw4/10.0.0.1=a", "gw4/10.0.0.1=b", true},
      {"gw4/10.0.0.1=a", "gw4/10.0.0.1=a;gw6/fe80::1=b", false},
      {"gw6/fe80::1=b", "gw4/10.0.0.1=a", false},    // Not comparable.
      {"gw4/10.0.0.1=a", "gw4/10.0.0.254=a", true},  // All gateways of a kind replaced.
      {"gw6/fe80::1=a", "gw6/fe80::1=a;gw6/fe80::2=b", false},
      {"gw6/fe80::1=a;gw6/fe80::2=b", "gw6/fe80::2=b", false},
      {"gw6/fe80::1=a;gw6/fe80::2=b", "gw6/fe80::3=c", true},
      {"home", "gw4/10.0.0.1=a", true},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(is_other_network(c.before, c.after), c.other) << c.before << " / " << c.after;
    EXPECT_EQ(is_other_network(c.after, c.before), c.other) << c.after << " / " << c.before;
  }
}

}  // namespace
}  // namespace godwit::mobility
