// SPDX-License-Identifier: Apache-2.0
//
// Bytes as a Linux 6.18 kernel sent them (recorded in a network namespace), and what can go wrong
// with them.
#include "io/netlink_messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "base/random.hpp"

namespace godwit::io::netlink {
namespace {

Buffer from_hex(std::string_view hex) {
  Buffer out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

// Only the head and the name of the 1128 bytes; the length is adapted.
constexpr std::string_view kWlan0 =
    "2c00000010000200070000001e700000000001000300000043100100000000000a000300776c616e30000000";
constexpr std::string_view kLoopback =
    "2800000010000200070000001e7000000000040301000000"
    "4900010000000000"
    "070003006c6f0000";
constexpr std::string_view kAddress4 =
    "5000000014000200070000001e7000000218800003000000080001000a010002080002000a0100020a000300776c61"
    "6e30000000080008008000000014000600ffffffffffffffff6ff402006ff40200";
constexpr std::string_view kAddressPointToPoint =
    "5000000014000200070000001e7000000220800003000000080001000a090009080002000a0900010a000300776c61"
    "6e30000000080008008000000014000600ffffffffffffffff6ff402006ff40200";
constexpr std::string_view kAddress6TentativeDeprecated =
    "4800000014000200070000001e7000000a406000030000001400010020010db80001000000000000000000021400"
    "060000000000e803000070f4020070f402000800080060000000";
constexpr std::string_view kRouteTwoGateways =
    "5000000018000200070000001e70000002000000fe0300010000000008000f00fe000000080006006400000024000"
    "9001000000003000000080005000a0100011000000003000000080005000a0100fe";
constexpr std::string_view kRouteTable1000 =
    "3400000018000200070000001e70000002000000fc0300010000000008000f00e8030000080005000a0100010800"
    "040003000000";
constexpr std::string_view kRoute6 =
    "7400000018000200070000001e7000000a000000fe0300010000000008000f00fe000000080006002c01000014000"
    "500fe800000000000000000000000000001080004000300000024000c000000000000000000000000000000000000"
    "0000000000000000000000000000000500140000000000";
constexpr std::string_view kNeighbour =
    "4c0000001c000200070000001e700000020000000300000002000001080001000a0100010a000200020000000001"
    "000008000400000000001400030019000000190000001900000001000000";
constexpr std::string_view kHostUnreachable =
    "3800000002000000090000001e7000008fffffff240000001a000100090000000000000002200000000000000000"
    "000008000100cb007109";

constexpr std::string_view kAll[] = {kWlan0,
                                     kLoopback,
                                     kAddress4,
                                     kAddressPointToPoint,
                                     kAddress6TentativeDeprecated,
                                     kRouteTwoGateways,
                                     kRouteTable1000,
                                     kRoute6,
                                     kNeighbour,
                                     kHostUnreachable};

// The message in `bytes`, which must outlive it.
Message only_message(const Buffer& bytes) {
  Bytes rest = bytes;
  const auto message = take_message(rest);
  EXPECT_TRUE(message) << bytes.size();
  EXPECT_TRUE(rest.empty());
  return message.value_or(Message{});
}

TEST(NetlinkMessages, header) {
  const Buffer bytes = from_hex(kNeighbour);
  const Message message = only_message(bytes);
  EXPECT_EQ(message.type, RTM_NEWNEIGH);
  EXPECT_EQ(message.flags, NLM_F_MULTI);
  EXPECT_EQ(message.sequence, 7U);
  EXPECT_EQ(message.port, 0x701eU);
}

TEST(NetlinkMessages, links) {
  const Buffer wlan = from_hex(kWlan0);
  const auto link = parse_link(only_message(wlan));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->index, 3U);
  EXPECT_EQ(link->name, "wlan0");
  EXPECT_TRUE(link->up);
  EXPECT_TRUE(link->carrier);
  EXPECT_FALSE(link->loopback);

  const Buffer lo = from_hex(kLoopback);
  EXPECT_TRUE(parse_link(only_message(lo))->loopback);

  // Up, associated, but not let in yet: LOWER_UP without RUNNING.
  Buffer dormant = wlan;
  dormant[24] = static_cast<std::uint8_t>(dormant[24] & ~0x40U);
  EXPECT_TRUE(parse_link(only_message(dormant))->up);
  EXPECT_FALSE(parse_link(only_message(dormant))->carrier);
}

TEST(NetlinkMessages, addresses) {
  const Buffer v4 = from_hex(kAddress4);
  const auto plain = parse_address(only_message(v4));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->interface_index, 3U);
  EXPECT_EQ(plain->address, (InterfaceAddress{ip("10.1.0.2"), 24, false, false, false, false}));

  const Buffer peer = from_hex(kAddressPointToPoint);
  EXPECT_EQ(parse_address(only_message(peer))->address.address, ip("10.9.0.1"));

  Buffer v6 = from_hex(kAddress6TentativeDeprecated);
  EXPECT_EQ(parse_address(only_message(v6))->address,
            (InterfaceAddress{ip("2001:db8:1::2"), 64, true, false, true, false}));
  // IFA_FLAGS is the last attribute: 0x60 tentative + deprecated.
  const auto with_flags = [&](std::uint8_t flags) {
    v6[v6.size() - 4] = flags;
    return parse_address(only_message(v6))->address;
  };
  EXPECT_FALSE(with_flags(IFA_F_TENTATIVE | IFA_F_OPTIMISTIC).tentative);
  EXPECT_TRUE(with_flags(IFA_F_TENTATIVE | IFA_F_DADFAILED).dad_failed);
  EXPECT_TRUE(with_flags(IFA_F_TEMPORARY).temporary);

  v6[17] = 129;
  EXPECT_FALSE(parse_address(only_message(v6))) << "a prefix longer than the address";
}

TEST(NetlinkMessages, routes) {
  const Buffer two = from_hex(kRouteTwoGateways);
  const auto route = parse_route(only_message(two));
  ASSERT_TRUE(route);
  EXPECT_EQ(route->family, Family::V4);
  EXPECT_EQ(route->type, RTN_UNICAST);
  EXPECT_EQ(route->metric, 100U);
  ASSERT_EQ(route->hops.size(), 2U);
  EXPECT_EQ(route->hops[0].gateway, ip("10.1.0.1"));
  EXPECT_EQ(route->hops[1].gateway, ip("10.1.0.254"));
  EXPECT_EQ(route->hops[1].interface_index, 3U);

  const Buffer table = from_hex(kRouteTable1000);
  EXPECT_EQ(parse_route(only_message(table))->table, 1000U);

  const Buffer v6 = from_hex(kRoute6);
  const auto six = parse_route(only_message(v6));
  ASSERT_TRUE(six);
  ASSERT_EQ(six->hops.size(), 1U);
  EXPECT_EQ(six->hops[0].gateway, ip("fe80::1"));
  EXPECT_EQ(six->metric, 300U);
}

TEST(NetlinkMessages, neighbours) {
  Buffer bytes = from_hex(kNeighbour);
  const auto neighbour = parse_neighbour(only_message(bytes));
  ASSERT_TRUE(neighbour);
  EXPECT_EQ(neighbour->interface_index, 3U);
  EXPECT_EQ(neighbour->address, ip("10.1.0.1"));
  EXPECT_EQ(neighbour->link_address, "02:00:00:00:00:01");
  bytes[24] = 0x20;  // NUD_FAILED: what stands there is no longer believed.
  EXPECT_EQ(parse_neighbour(only_message(bytes))->link_address, "");
}

TEST(NetlinkMessages, errors) {
  const Buffer bytes = from_hex(kHostUnreachable);
  EXPECT_EQ(parse_error(only_message(bytes)), 113);
  Message done;
  done.type = NLMSG_DONE;
  EXPECT_EQ(parse_error(done), 0);
  Message error;
  error.type = NLMSG_ERROR;
  EXPECT_EQ(parse_error(error), std::nullopt);
}

// Reads everything of whatever stands there; the sanitizers watch.
std::size_t read_all(Bytes rest) {
  std::size_t understood = 0;
  while (const auto message = take_message(rest)) {
    understood += parse_error(*message).has_value() ? 1 : 0;
    understood += parse_link(*message).has_value() ? 1 : 0;
    understood += parse_address(*message).has_value() ? 1 : 0;
    understood += parse_neighbour(*message).has_value() ? 1 : 0;
    const auto route = parse_route(*message);
    EXPECT_TRUE(!route || route->hops.size() <= kMaxNextHops);
    understood += route.has_value() ? 1 : 0;
  }
  return understood;
}

TEST(NetlinkMessages, a_cut_message_is_none) {
  for (const std::string_view hex : kAll) {
    const Buffer whole = from_hex(hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      Bytes rest = cut;
      EXPECT_FALSE(take_message(rest)) << hex << " cut to " << size;
      if (size < 4) continue;
      // The same with a length that says so: attributes end early, or the fixed part is missing.
      Buffer shorter = cut;
      shorter[0] = static_cast<std::uint8_t>(size);
      shorter[1] = 0;
      read_all(shorter);
    }
    EXPECT_GE(read_all(whole), 1U);
  }
}

TEST(NetlinkMessages, survives_random_damage) {
  SeededRandom random(20240229);
  for (int round = 0; round < 20'000; ++round) {
    Buffer bytes;
    for (int part = 0; part < 2; ++part) {
      const Buffer one = from_hex(kAll[random.between(0, std::size(kAll) - 1)]);
      bytes.insert(bytes.end(), one.begin(), one.end());
    }
    for (std::uint64_t n = random.between(1, 6); n > 0; --n) {
      bytes[random.between(0, bytes.size() - 1)] = static_cast<std::uint8_t>(random.next());
    }
    read_all(bytes);
  }
}

TEST(NetlinkMessages, default_routes_are_those_for_everywhere_else_best_first) {
  const auto route = [](std::string_view gateway, std::uint32_t interface, std::uint32_t metric,
                        std::uint32_t table = RT_TABLE_MAIN, std::uint8_t length = 0) {
    Route out;
    const IpAddress address = ip(gateway);
    out.family = address.family();
    out.type = RTN_UNICAST;
    out.table = table;
    out.metric = metric;
    out.destination_length = length;
    out.hops.push_back({interface, address});
    return out;
  };
  Route unreachable = route("10.9.0.1", 9, 0);
  unreachable.type = RTN_UNREACHABLE;
  const std::vector<Route> routes{
      route("10.2.0.1", 3, 600),
      route("10.1.0.1", 2, 100),
      route("10.1.0.1", 2, 0, 101),  // Interface 2 has one in the main table.
      route("10.5.0.1", 5, 0, 102),  // Interface 5 can only be reached by a rule.
      route("10.8.0.1", 8, 50, RT_TABLE_MAIN, 1),
      route("10.8.0.1", 8, 50, RT_TABLE_MAIN, 1),  // The other half.
      route("10.7.0.1", 7, 0, RT_TABLE_MAIN, 8),   // 10/8 is not everywhere.
      unreachable,
      route("fe80::1", 2, 1024),
  };
  const std::vector<DefaultRoute> expected{
      {Family::V4, 8, ip("10.8.0.1"), 0},   {Family::V4, 2, ip("10.1.0.1"), 100},
      {Family::V4, 3, ip("10.2.0.1"), 600}, {Family::V4, 5, ip("10.5.0.1"), 0xffffffff},
      {Family::V6, 2, ip("fe80::1"), 1024},
  };
  EXPECT_EQ(default_routes(routes), expected);
}

TEST(NetlinkMessages, assemble_sorts_and_names_the_network) {
  KernelState state;
  state.links = {{3, "wwan0", true, true, false}, {2, "wlan0", true, true, false}};
  state.addresses = {{2, {ip("2001:db8::2"), 64}},
                     {2, {ip("10.1.0.2"), 24}},
                     {99, {ip("10.99.0.2"), 24}}};  // Its interface came later.
  state.gateways = {{2, ip("fe80::1"), "02:00:00:00:00:06"},
                    {2, ip("10.1.0.1"), "02:00:00:00:00:04"},
                    {3, ip("10.2.0.1"), ""}};
  const NetworkSnapshot seen = assemble(state);
  ASSERT_EQ(seen.interfaces.size(), 2U);
  EXPECT_EQ(seen.interfaces[0].name, "wlan0");
  ASSERT_EQ(seen.interfaces[0].addresses.size(), 2U);
  EXPECT_EQ(seen.interfaces[0].addresses[0].address, ip("10.1.0.2"));
  EXPECT_EQ(seen.interfaces[0].link_identity,
            "gw4/10.1.0.1=02:00:00:00:00:04;gw6/fe80::1=02:00:00:00:00:06");
  EXPECT_EQ(seen.interfaces[1].link_identity, "");
}

// An RTM_NEWNDUSEROPT, as the kernel makes one of each user option in an advertisement.
Buffer user_option(std::uint8_t icmp_type, std::string_view options, std::uint16_t said) {
  Buffer bytes(16 + 16, 0);
  const Buffer tail = from_hex(options);
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &size, sizeof size);
  const std::uint16_t type = RTM_NEWNDUSEROPT;
  std::memcpy(bytes.data() + 4, &type, sizeof type);
  bytes[16] = AF_INET6;
  std::memcpy(bytes.data() + 18, &said, sizeof said);
  bytes[20] = 7;
  bytes[24] = icmp_type;
  return bytes;
}

std::optional<Nat64Announcement> announced(const Buffer& bytes) {
  Bytes rest(bytes);
  const auto message = take_message(rest);
  return message ? parse_nat64_announcement(*message) : std::nullopt;
}

constexpr std::string_view kPref64 = "2602025820010db80064000000000000";

TEST(NetlinkMessages, a_nat64_prefix_of_a_router) {
  const auto found = announced(user_option(134, kPref64, 16));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->interface_index, 7U);
  EXPECT_EQ(found->prefix, (AddressPrefix{ip("2001:db8:64::"), 96}));
  EXPECT_EQ(found->lifetime, std::chrono::seconds(600));
  // RFC 8781 §4: the codes 0 to 5 are lengths, 6 and 7 none.
  const std::array<int, 8> lengths{96, 64, 56, 48, 40, 32, 0, 0};
  for (std::size_t code = 0; code < lengths.size(); ++code) {
    std::string option(kPref64);
    option[7] = "89abcdef"[code];
    const auto one = announced(user_option(134, option, 16));
    ASSERT_EQ(one.has_value(), lengths[code] != 0) << code;
    if (one) {
      EXPECT_EQ(one->prefix.length, lengths[code]);
    }
  }
  // Behind another option, e.g. of a DNS server.
  const std::string behind =
      "19030000000000000000000000000000000000000000aaaa" + std::string(kPref64);
  EXPECT_TRUE(announced(user_option(134, behind, 40)));
}

TEST(NetlinkMessages, what_is_no_nat64_prefix) {
  EXPECT_FALSE(announced(user_option(137, kPref64, 16))) << "a redirect";
  EXPECT_FALSE(announced(user_option(134, kPref64, 8))) << "more than is said to be there";
  EXPECT_FALSE(announced(user_option(134, kPref64, 0)));
  EXPECT_FALSE(announced(user_option(134, "2602025820010db8", 16))) << "cut off";
  EXPECT_FALSE(announced(user_option(134, "2600025820010db80064000000000000", 16))) << "of no size";
  EXPECT_FALSE(announced(user_option(134, "26ff025820010db80064000000000000", 16))) << "too large";
  EXPECT_FALSE(announced(user_option(134, "1902025820010db80064000000000000", 16))) << "another";
  const Buffer whole = user_option(134, kPref64, 16);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(
        announced(Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
  }
}

}  // namespace
}  // namespace godwit::io::netlink
