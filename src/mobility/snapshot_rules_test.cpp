// SPDX-License-Identifier: Apache-2.0
#include "mobility/snapshot_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace godwit::mobility {
namespace {

using ::testing::HasSubstr;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

NetworkInterface interface(std::uint32_t index, const char* name,
                           std::initializer_list<const char*> addresses) {
  NetworkInterface made;
  made.index = index;
  made.name = name;
  made.up = made.carrier = true;
  for (const char* each : addresses) {
    const IpAddress address = ip(each);
    InterfaceAddress held;
    held.address = address;
    held.prefix_length = address.is_v4() ? 24 : 64;
    made.addresses.push_back(held);
  }
  return made;
}

NetworkSnapshot sound() {
  NetworkSnapshot snapshot;
  snapshot.interfaces = {interface(1, "lo", {"127.0.0.1", "::1"}),
                         interface(2, "wlan0", {"10.1.0.2", "fe80::1", "2001:db8:1::2"}),
                         interface(3, "wwan0", {"10.2.0.2", "fe80::1"})};
  snapshot.interfaces[0].loopback = true;
  snapshot.default_routes = {{Family::V4, 2, ip("10.1.0.1"), 100},
                             {Family::V4, 3, std::nullopt, 200},
                             {Family::V6, 2, ip("fe80::99"), 100}};
  snapshot.routes = {{ip("10.9.0.2"), 2, ip("10.1.0.2")},
                     {ip("2001:db8:9::2"), 0, IpAddress{}},
                     {ip("10.8.0.2"), 3, ip("10.2.0.2")}};
  return snapshot;
}

TEST(SnapshotRules, ASoundOneAndAnEmptyOneAreTaken) {
  EXPECT_TRUE(validate_snapshot(sound())) << validate_snapshot(sound()).error().detail;
  EXPECT_TRUE(validate_snapshot({}));
  // The same address twice, but only once usable: it moves from one interface to the other.
  NetworkSnapshot moving = sound();
  moving.interfaces[2].addresses.push_back({ip("10.1.0.2"), 24, true});
  EXPECT_TRUE(validate_snapshot(moving));
}

TEST(SnapshotRules, EachContradictionIsNamed) {
  struct Case {
    const char* says;
    std::function<void(NetworkSnapshot&)> spoil;
  };
  const std::vector<Case> cases{
      {"default route leads over interface 7",
       [](auto& s) { s.default_routes[0].interface_index = 7; }},
      {"default route leads over interface 0",
       [](auto& s) { s.default_routes[0].interface_index = 0; }},
      {"default route is of no family", [](auto& s) { s.default_routes[0].family = Family::None; }},
      {"gateway of another family", [](auto& s) { s.default_routes[0].gateway = ip("fe80::1"); }},
      {"two interfaces have the index 2", [](auto& s) { s.interfaces[2].index = 2; }},
      {"two interfaces are called wlan0", [](auto& s) { s.interfaces[2].name = "wlan0"; }},
      {"has no name", [](auto& s) { s.interfaces[1].name.clear(); }},
      {"the index 0", [](auto& s) { s.interfaces[1].index = 0; }},
      {"10.1.0.2 is an address of both wlan0 and wwan0",
       [](auto& s) { s.interfaces[2].addresses[0].address = ip("10.1.0.2"); }},
      {"cannot have the address 0.0.0.0",
       [](auto& s) { s.interfaces[1].addresses[0].address = ip("0.0.0.0"); }},
      {"cannot have the address 224.0.0.1",
       [](auto& s) { s.interfaces[1].addresses[0].address = ip("224.0.0.1"); }},
      {"cannot have the address", [](auto& s) { s.interfaces[1].addresses[0].address = {}; }},
      {"a prefix of 33 bits", [](auto& s) { s.interfaces[1].addresses[0].prefix_length = 33; }},
      {"a prefix of 129 bits", [](auto& s) { s.interfaces[1].addresses[2].prefix_length = 129; }},
      {"the route to 10.9.0.2 leads over interface 9",
       [](auto& s) { s.routes[0].interface_index = 9; }},
      {"but no interface", [](auto& s) { s.routes[0].interface_index = 0; }},
      {"another family or none", [](auto& s) { s.routes[0].source = ip("2001:db8:1::2"); }},
      {"another family or none", [](auto& s) { s.routes[0].source = {}; }},
      {"begins at 10.7.0.2, which no interface has",
       [](auto& s) { s.routes[0].source = ip("10.7.0.2"); }},
      {"10.9.0.2 is told twice", [](auto& s) { s.routes.push_back(s.routes[0]); }},
      {"a route leads nowhere", [](auto& s) { s.routes[0].remote = {}; }},
      {"an impossible NAT64 prefix",
       [](auto& s) {
         s.interfaces[1].nat64_prefix = AddressPrefix{ip("64:ff9b::"), 97};
       }},
      {"an impossible NAT64 prefix",
       [](auto& s) {
         s.interfaces[1].nat64_prefix = AddressPrefix{ip("fe80::"), 96};
       }},
      {"1025 interfaces are too many", [](auto& s) { s.interfaces.resize(1'025); }},
      {"too many addresses", [](auto& s) { s.interfaces[1].addresses.resize(257); }},
      {"too long a name", [](auto& s) { s.interfaces[1].name = std::string(257, 'x'); }},
      {"too long a name", [](auto& s) { s.interfaces[1].link_identity = std::string(257, 'x'); }},
      {"routes are too many", [](auto& s) { s.routes.resize(1'025); }},
      {"routes are too many", [](auto& s) { s.default_routes.resize(1'025); }},
  };
  for (const Case& each : cases) {
    NetworkSnapshot snapshot = sound();
    each.spoil(snapshot);
    const auto judged = validate_snapshot(snapshot);
    ASSERT_FALSE(judged) << each.says;
    EXPECT_EQ(judged.error().code, ErrorCode::InvalidArgument);
    EXPECT_THAT(judged.error().detail, HasSubstr(each.says));
  }
}

}  // namespace
}  // namespace godwit::mobility
