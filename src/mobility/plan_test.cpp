// SPDX-License-Identifier: Apache-2.0
#include "mobility/plan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::endpoint;
using test::ip;
using test::Net;

// One row as "ID mode FROM -> TO cause", a moved stream of media behind it in brackets.
std::string show(const RecoveryPlan& plan) {
  std::string out;
  const auto to_text = [](const std::optional<Path>& path) {
    return path ? path->to_string() : std::string("none");
  };
  for (const PlanRow& row : plan.rows) {
    if (!out.empty()) out += "; ";
    out += std::to_string(row.use.value()) + ' ' + to_string(row.mode) + ' ' +
           row.from.to_string() + " -> " + to_text(row.to) + ' ' + godwit::to_string(row.cause);
    for (const LegMove& leg : row.media) {
      if (leg.mode == row.signalling && leg.from == row.from && leg.to == row.to) continue;
      out += std::string(" [") + to_string(leg.mode) + ' ' + to_text(leg.to) + ']';
    }
  }
  return out.empty() ? "nothing" : out;
}

Use use(std::uint32_t id, UseKind kind, Path path, std::string_view remote) {
  Use out;
  out.id = UseId(id);
  out.kind = kind;
  out.path = std::move(path);
  out.remote = endpoint(remote);
  return out;
}

Use call(const Path& path, std::string_view remote = "192.0.2.1") {
  Use out = use(1, UseKind::Call, path, remote);
  out.media.push_back({path, endpoint(remote)});
  return out;
}

Use suspended(Use out) {
  out.suspended = true;
  return out;
}

const Path kWlan{2, "wlan0", ip("10.1.0.2")};
const Path kWwan{3, "wwan0", ip("10.2.0.2")};
const Path kWlan6{2, "wlan0", ip("2001:db8:1::2")};

NetworkSnapshot both(std::uint32_t wlan_metric = 100) {
  return Net()
      .link(2, "wlan0")
      .address("10.1.0.2/24")
      .gateway("10.1.0.1", wlan_metric)
      .link(3, "wwan0")
      .address("10.2.0.2/24")
      .gateway("10.2.0.1", 200);
}
NetworkSnapshot only_wlan() {
  return Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100).link(3, "wwan0");
}
NetworkSnapshot only_wwan() {
  return Net().link(2, "wlan0").link(3, "wwan0").address("10.2.0.2/24").gateway("10.2.0.1", 200);
}
NetworkSnapshot none() { return Net().link(2, "wlan0").link(3, "wwan0"); }
NetworkSnapshot wlan6(const char* address = "2001:db8:1::2/64", const char* flags = "") {
  return Net().link(2, "wlan0").address(address, flags).gateway("fe80::1", 100);
}

TEST(Plan, table) {
  const struct {
    const char* name;
    NetworkSnapshot before;
    NetworkSnapshot after;
    std::vector<Use> uses;
    const char* expected;
  } kCases[] = {
      {"nothing happened", both(), both(), {call(kWlan)}, "nothing"},
      {"another interface goes", both(), only_wlan(), {call(kWlan)}, "nothing"},
      {"another interface comes, worse", only_wlan(), both(), {call(kWlan)}, "nothing"},
      {"address gone, the other network takes over",
       both(),
       only_wwan(),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 AddressLost"},
      {"interface gone",
       both(),
       Net().link(3, "wwan0").address("10.2.0.2/24").gateway("10.2.0.1", 200),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 LinkDown"},
      {"carrier gone, address and routes still listed",
       both(),
       Net()
           .link(2, "wlan0")
           .no_carrier()
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(3, "wwan0")
           .address("10.2.0.2/24")
           .gateway("10.2.0.1", 200),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 LinkDown"},
      {"the better network returns while the other lives",
       only_wwan(),
       both(),
       {call(kWwan)},
       "1 make-before-break wwan0 10.2.0.2 -> wlan0 10.1.0.2 DefaultRouteMoved"},
      {"metrics swap",
       both(),
       both(300),
       {call(kWlan)},
       "1 make-before-break wlan0 10.1.0.2 -> wwan0 10.2.0.2 DefaultRouteMoved"},
      {"renumbered on the same interface",
       only_wlan(),
       Net().link(2, "wlan0").address("10.1.0.9/24").gateway("10.1.0.1", 100),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.9 AddressLost"},
      {"a re-created interface with the same address",
       only_wlan(),
       Net().link(9, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.2 LinkDown"},
      {"nothing left",
       both(),
       none(),
       {call(kWlan)},
       "1 suspend wlan0 10.1.0.2 -> none NetworkLost"},
      {"the address stays but every route is gone",
       only_wlan(),
       Net().link(2, "wlan0").address("10.1.0.2/24"),
       {call(kWlan)},
       "1 suspend wlan0 10.1.0.2 -> none DefaultRouteMoved"},
      {"the address stays, its route is gone, the other network has one",
       both(),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .link(3, "wwan0")
           .address("10.2.0.2/24")
           .gateway("10.2.0.1", 200),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 DefaultRouteMoved"},
      {"a peer on the link needs no default route",
       only_wlan(),
       Net().link(2, "wlan0").address("10.1.0.2/24"),
       {call(kWlan, "10.1.0.77")},
       "nothing"},
      {"a suspended one waits on", none(), none(), {suspended(call(kWlan))}, "nothing"},
      {"a suspended one resumes where it was",
       none(),
       only_wlan(),
       {suspended(call(kWlan))},
       "1 resume wlan0 10.1.0.2 -> wlan0 10.1.0.2 NetworkReturned"},
      {"a suspended one resumes elsewhere",
       none(),
       only_wwan(),
       {suspended(call(kWlan))},
       "1 resume wlan0 10.1.0.2 -> wwan0 10.2.0.2 NetworkReturned"},
      {"one that never had a path",
       none(),
       only_wlan(),
       {suspended(call(Path{}))},
       "1 resume - -> wlan0 10.1.0.2 NetworkReturned"},

      {"IPv6: renumbered",
       wlan6(),
       wlan6("2001:db8:2::2/64"),
       {call(kWlan6, "2001:db8:9::1")},
       "1 break wlan0 2001:db8:1::2 -> wlan0 2001:db8:2::2 AddressLost"},
      {"IPv6: deprecated keeps its uses",
       wlan6(),
       Net()
           .link(2, "wlan0")
           .address("2001:db8:1::2/64", "d")
           .address("2001:db8:2::2/64")
           .gateway("fe80::1", 100),
       {call(kWlan6, "2001:db8:9::1")},
       "nothing"},
      {"IPv6: rotation of temporary addresses",
       Net()
           .link(2, "wlan0")
           .address("2001:db8:1::2/64", "r")
           .gateway("fe80::1", 100)
           .route("2001:db8:9::1", 2, "2001:db8:1::2"),
       Net()
           .link(2, "wlan0")
           .address("2001:db8:1::2/64", "rd")
           .address("2001:db8:1::3/64", "r")
           .gateway("fe80::1", 100)
           .route("2001:db8:9::1", 2, "2001:db8:1::3"),
       {call(kWlan6, "2001:db8:9::1")},
       "nothing"},
      {"IPv6: the temporary address of this call ends",
       Net()
           .link(2, "wlan0")
           .address("2001:db8:1::2/64", "rd")
           .address("2001:db8:1::3/64", "r")
           .gateway("fe80::1", 100),
       Net().link(2, "wlan0").address("2001:db8:1::3/64", "r").gateway("fe80::1", 100),
       {call(kWlan6, "2001:db8:9::1")},
       "1 break wlan0 2001:db8:1::2 -> wlan0 2001:db8:1::3 AddressLost"},
      {"IPv6: detection of the new address is not done",
       wlan6(),
       wlan6("2001:db8:2::2/64", "t"),
       {call(kWlan6, "2001:db8:9::1")},
       "1 suspend wlan0 2001:db8:1::2 -> none NetworkLost"},
      {"IPv6 goes, IPv4 stays: no path in the peer's family",
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .address("2001:db8:1::2/64")
           .gateway("10.1.0.1", 1)
           .gateway("fe80::1", 1),
       only_wlan(),
       {call(kWlan6, "2001:db8:9::1")},
       "1 suspend wlan0 2001:db8:1::2 -> none FamilyLost"},
      {"IPv6: unique local is no way to a global peer",
       wlan6(),
       wlan6("fd00:1::2/64"),
       {call(kWlan6, "2001:db8:9::1")},
       "1 suspend wlan0 2001:db8:1::2 -> none AddressLost"},
      {"IPv6: unique local to unique local",
       wlan6("fd00:1::2/64"),
       wlan6("fd00:2::2/64"),
       {call(Path{2, "wlan0", ip("fd00:1::2")}, "fd00:9::1")},
       "1 break wlan0 fd00:1::2 -> wlan0 fd00:2::2 AddressLost"},
      {"link-local is never chosen",
       only_wlan(),
       Net().link(2, "wlan0").address("169.254.7.7/16").gateway("169.254.1.1", 100),
       {call(kWlan)},
       "1 suspend wlan0 10.1.0.2 -> none NetworkLost"},
      {"nor is the CLAT",
       only_wlan(),
       Net().link(2, "wlan0").link(8, "clat4").address("192.0.0.4/32").gateway("192.0.0.1", 100),
       {call(kWlan)},
       "1 suspend wlan0 10.1.0.2 -> none NetworkLost"},

      {"a VPN takes one remote, the others stay",
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .route("192.0.2.1", 2, "10.1.0.2")
           .route("198.51.100.1", 2, "10.1.0.2"),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(5, "tun0")
           .address("10.8.0.2/32")
           .route("192.0.2.1", 2, "10.1.0.2")
           .route("198.51.100.1", 5, "10.8.0.2"),
       {call(kWlan), use(2, UseKind::Registration, kWlan, "198.51.100.1")},
       "2 make-before-break wlan0 10.1.0.2 -> tun0 10.8.0.2 RouteToRemoteMoved"},
      {"the VPN ends",
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(5, "tun0")
           .address("10.8.0.2/32")
           .route("198.51.100.1", 5, "10.8.0.2"),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .route("198.51.100.1", 2, "10.1.0.2"),
       {use(2, UseKind::Registration, Path{5, "tun0", ip("10.8.0.2")}, "198.51.100.1")},
       "2 break tun0 10.8.0.2 -> wlan0 10.1.0.2 LinkDown"},
      {"the kernel calls a remote unreachable, whatever the default route says",
       only_wlan(),
       Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100).route("192.0.2.1", 0),
       {call(kWlan)},
       "1 suspend wlan0 10.1.0.2 -> none RouteToRemoteMoved"},
      {"IPv4: the route's source was changed on purpose",
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .address("10.1.0.3/24")
           .route("192.0.2.1", 2, "10.1.0.2"),
       Net()
           .link(2, "wlan0")
           .address("10.1.0.2/24")
           .address("10.1.0.3/24")
           .route("192.0.2.1", 2, "10.1.0.3"),
       {call(kWlan)},
       "1 make-before-break wlan0 10.1.0.2 -> wlan0 10.1.0.3 RouteToRemoteMoved"},
      {"the source lives on the loopback interface",
       Net(),
       Net()
           .link(1, "lo")
           .address("10.255.0.1/32")
           .link(2, "eth0")
           .address("10.1.0.2/24")
           .route("192.0.2.1", 2, "10.255.0.1"),
       {call(Path{2, "eth0", ip("10.255.0.1")})},
       "nothing"},

      {"the same address in another network",
       Net().link(2, "wlan0").identity("home").address("10.1.0.2/24").gateway("10.1.0.1", 100),
       Net().link(2, "wlan0").identity("cafe").address("10.1.0.2/24").gateway("10.1.0.1", 100),
       {call(kWlan)},
       "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.2 SameAddressNewNetwork"},
      {"another interface is in another network",
       Net()
           .link(2, "wlan0")
           .identity("home")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(3, "eth0")
           .identity("a")
           .address("10.3.0.2/24"),
       Net()
           .link(2, "wlan0")
           .identity("home")
           .address("10.1.0.2/24")
           .gateway("10.1.0.1", 100)
           .link(3, "eth0")
           .identity("b")
           .address("10.3.0.2/24"),
       {call(kWlan)},
       "nothing"},

      {"loopback: an alias goes, another stands in (the demo without namespaces)",
       Net().link(1, "lo").address("127.0.0.2/32").address("127.0.0.3/32"),
       Net().link(1, "lo").address("127.0.0.3/32"),
       {call(Path{1, "lo", ip("127.0.0.2")}, "127.0.0.1")},
       "1 break lo 127.0.0.2 -> lo 127.0.0.3 AddressLost"},
      {"loopback: every address of 127/8 is there",
       Net(),
       Net().link(1, "lo").address("127.0.0.1/8"),
       {call(Path{1, "lo", ip("127.0.0.2")}, "127.0.0.1")},
       "1 make-before-break lo 127.0.0.2 -> lo 127.0.0.1 AddressGained"},
      {"loopback goes on without any network",
       both(),
       Net().link(1, "lo").address("127.0.0.1/8"),
       {call(Path{1, "lo", ip("127.0.0.1")}, "127.0.0.1")},
       "nothing"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(show(plan(c.after, compute_delta(c.before, c.after), c.uses)), c.expected) << c.name;
  }
}

TEST(Plan, forced_and_resumed_refresh_in_place_and_move_what_must_move) {
  for (const ChangeCause cause : {ChangeCause::Forced, ChangeCause::Resumed}) {
    Delta delta = compute_delta(both(), both());
    delta.add(cause);
    const std::vector<Use> uses{call(kWlan), use(2, UseKind::Registration, kWlan, "192.0.2.1"),
                                suspended(use(3, UseKind::Call, kWlan, "2001:db8::1"))};
    const RecoveryPlan result = plan(both(), delta, uses);
    ASSERT_EQ(result.rows.size(), 2U);  // What is suspended and has no path waits on.
    for (const PlanRow& row : result.rows) {
      EXPECT_EQ(row.mode, Mode::Refresh);
      EXPECT_EQ(row.to, row.from);
      EXPECT_EQ(row.cause, cause);
    }
    EXPECT_EQ(result.rows[0].media[0].mode, Mode::Refresh);

    Delta moved = compute_delta(both(), only_wwan());
    moved.add(cause);
    EXPECT_EQ(show(plan(only_wwan(), moved, {call(kWlan)})),
              "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 AddressLost");
  }
}

TEST(Plan, calls_come_first_and_the_decision_is_one_line) {
  std::vector<Use> uses;
  for (std::uint32_t i = 1; i <= 50; ++i) {
    uses.push_back(use(i, UseKind::Registration, kWlan, "192.0.2.1"));
  }
  uses.push_back(use(51, UseKind::Call, kWlan, "192.0.2.1"));
  uses.back().name = "call to bob";
  const RecoveryPlan result = plan(only_wwan(), compute_delta(both(), only_wwan()), uses);
  ASSERT_EQ(result.rows.size(), 51U);
  EXPECT_EQ(result.rows[0].use, UseId(51));
  EXPECT_EQ(result.rows[0].urgency, Urgency::Immediate);
  EXPECT_EQ(result.rows[1].use, UseId(1));
  EXPECT_EQ(result.rows[1].urgency, Urgency::Prompt);
  EXPECT_EQ(result.find(UseId(7))->use, UseId(7));
  EXPECT_EQ(result.find(UseId(77)), nullptr);
  EXPECT_EQ(result.decision.find("call to bob: wlan0 10.1.0.2 -> wwan0 10.2.0.2, break "
                                 "(AddressLost); registration 1: "),
            0U)
      << result.decision;
  EXPECT_NE(result.decision.find("; and 45 more"), std::string::npos) << result.decision;
  EXPECT_EQ(plan(both(), Delta{}, uses).decision, "nothing affected");
}

// A server on the Internet and a peer in the house: the two legs part.
TEST(Plan, media_may_take_another_path_than_signalling) {
  Use mixed = use(1, UseKind::Call, kWlan, "192.0.2.1");
  mixed.media.push_back({Path{4, "eth0", ip("10.3.0.2")}, endpoint("10.3.0.77:4000")});
  const NetworkSnapshot before = Net()
                                     .link(2, "wlan0")
                                     .address("10.1.0.2/24")
                                     .gateway("10.1.0.1", 100)
                                     .link(4, "eth0")
                                     .address("10.3.0.2/24");
  EXPECT_EQ(show(plan(before, Delta{}, {mixed})), "nothing");

  const NetworkSnapshot no_eth = only_wlan();
  const RecoveryPlan media_moves = plan(no_eth, compute_delta(before, no_eth), {mixed});
  EXPECT_EQ(show(media_moves),
            "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.2 LinkDown [break wlan0 10.1.0.2]");
  EXPECT_EQ(media_moves.rows[0].signalling, Mode::Leave);
  EXPECT_EQ(media_moves.decision,
            "call 1: media eth0 10.3.0.2 -> wlan0 10.1.0.2, break (LinkDown)");

  const NetworkSnapshot no_wlan = Net().link(4, "eth0").address("10.3.0.2/24");
  const RecoveryPlan cut = plan(no_wlan, compute_delta(before, no_wlan), {mixed});
  EXPECT_EQ(show(cut), "1 suspend wlan0 10.1.0.2 -> none LinkDown [leave eth0 10.3.0.2]");

  // The peer's family is gone, the server's is not: over the server the peer is asked for another.
  Use dual = use(1, UseKind::Call, kWlan, "192.0.2.1");
  dual.media.push_back({kWlan6, endpoint("[2001:db8:9::1]:4000")});
  EXPECT_EQ(show(plan(only_wlan(), Delta{}, {dual})),
            "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.2 FamilyLost [break wlan0 10.1.0.2]");
  EXPECT_EQ(show(plan(only_wlan(), Delta{}, {suspended(dual)})),
            "1 resume wlan0 10.1.0.2 -> wlan0 10.1.0.2 RouteToRemoteMoved [resume wlan0 10.1.0.2]");
}

TEST(Plan, a_stream_without_an_address_of_its_own_follows_the_signalling) {
  Use held = use(1, UseKind::Call, kWlan, "192.0.2.1");
  held.media.push_back({kWlan, Endpoint{}});
  held.media.push_back({kWlan, endpoint("0.0.0.0:4000")});
  const RecoveryPlan result = plan(only_wwan(), compute_delta(both(), only_wwan()), {held});
  ASSERT_EQ(result.rows.size(), 1U);
  ASSERT_EQ(result.rows[0].media.size(), 2U);
  EXPECT_EQ(result.rows[0].media[0].to, kWwan);
  EXPECT_EQ(result.rows[0].media[1].to, kWwan);
}

TEST(Plan, a_use_that_must_not_be_moved_is_named_and_left) {
  Use pinned = call(kWlan);
  pinned.policy.movable = false;
  const RecoveryPlan result = plan(only_wwan(), compute_delta(both(), only_wwan()), {pinned});
  EXPECT_EQ(show(result), "1 leave wlan0 10.1.0.2 -> none AddressLost");
  EXPECT_FALSE(result.has_replacement());
  EXPECT_EQ(show(plan(both(), compute_delta(both(), both()), {pinned})), "nothing");
}

TEST(Plan, an_unknown_remote_moves_nothing) {
  Use unresolved = call(kWlan);
  unresolved.remote = Endpoint{};
  unresolved.media.clear();
  EXPECT_EQ(show(plan(only_wwan(), compute_delta(both(), only_wwan()), {unresolved})), "nothing");
}

TEST(ChoosePath, table) {
  const NetworkSnapshot net =
      Net()
          .link(1, "lo")
          .address("127.0.0.1/8")
          .address("::1/128")
          .link(2, "wlan0")
          .address("10.1.0.2/24")
          .gateway("10.1.0.1", 100)
          .address("2001:db8:1::2/64", "d")
          .address("2001:db8:1::3/64")
          .address("fd00:1::2/64")
          .gateway("fe80::1", 100)
          .link(3, "wwan0")
          .address("10.2.0.2/24")
          .gateway("10.2.0.1", 200)
          .address("2001:db8:2::2/64")
          .gateway("fe80::2", 200)
          .route("192.0.2.9", 0)                       // Unreachable.
          .route("2001:db8:9::9", 2, "2001:db8:1::2")  // The kernel's source is deprecated.
          .route("10.1.0.2", 1, "10.1.0.2");           // One of our own.
  const struct {
    const char* remote;
    PathPolicy policy;
    const char* expected;
  } kCases[] = {
      {"192.0.2.1", {}, "wlan0 10.1.0.2"},
      {"192.0.2.9", {}, "none"},
      {"192.0.2.9", {{"wwan0"}, {}}, "none"},
      {"2001:db8:9::1", {}, "wlan0 2001:db8:1::3"},
      {"2001:db8:9::9", {}, "wlan0 2001:db8:1::3"},
      {"fd00:2::1", {}, "wlan0 fd00:1::2"},
      {"10.1.0.2", {}, "lo 10.1.0.2"},
      {"127.0.0.1", {}, "lo 127.0.0.1"},
      {"::1", {}, "lo ::1"},
      {"192.0.2.1", {{"wwan0"}, {}}, "wwan0 10.2.0.2"},
      {"2001:db8:9::9", {{"wwan0"}, {}}, "wwan0 2001:db8:2::2"},
      {"127.0.0.1", {{"wwan0"}, {}}, "lo 127.0.0.1"},
      {"192.0.2.1", {{"eth7"}, {}}, "none"},
      {"192.0.2.1", {{}, {ip("10.2.0.2")}}, "wwan0 10.2.0.2"},
      {"192.0.2.1", {{}, {ip("10.9.9.9"), ip("10.2.0.2")}}, "wwan0 10.2.0.2"},
      {"192.0.2.1", {{}, {ip("10.9.9.9")}}, "none"},
      {"192.0.2.1", {{"wlan0"}, {ip("10.2.0.2")}}, "none"},
      {"192.0.2.1", {{}, {ip("127.0.0.5")}}, "none"},
      {"127.0.0.1", {{}, {ip("10.2.0.2"), ip("127.0.0.5")}}, "lo 127.0.0.5"},
  };
  for (const auto& c : kCases) {
    const auto path = choose_path(net, ip(c.remote), c.policy);
    EXPECT_EQ(path ? path->to_string() : "none", c.expected) << c.remote;
  }
}

TEST(Plan, any_of_the_bound_addresses_is_good_while_it_lasts) {
  const PathPolicy bound{{}, {ip("10.1.0.2"), ip("10.2.0.2")}};
  EXPECT_EQ(show(plan(both(), compute_delta(only_wwan(), both()), {call(kWwan)}, bound)),
            "nothing");
  EXPECT_EQ(show(plan(only_wlan(), compute_delta(both(), only_wlan()), {call(kWwan)}, bound)),
            "1 break wwan0 10.2.0.2 -> wlan0 10.1.0.2 AddressLost");
}

PathPolicy only(const std::string& interface) { return {{interface}, {}}; }
PathPolicy exactly(const char* address) { return {{}, {ip(address)}}; }

Use pinned(Use out, const PathPolicy& signalling, const PathPolicy& media) {
  out.policy.paths = signalling;
  for (MediaLeg& leg : out.media) leg.paths = media;
  return out;
}

TEST(PlanOfPinnedUses, EachHasItsOwnPaths) {
  // The routes prefer wlan0.
  const auto show_plan = [](const NetworkSnapshot& after, const Use& use) {
    return show(plan(after, Delta{}, {use}));
  };
  const PathPolicy lte = only("wwan0");
  const PathPolicy wifi = only("wlan0");
  EXPECT_EQ(show_plan(both(), pinned(call(kWwan), lte, lte)), "nothing");
  EXPECT_EQ(show_plan(both(), pinned(call(kWlan), lte, lte)),
            "1 break wlan0 10.1.0.2 -> wwan0 10.2.0.2 RouteToRemoteMoved")
      << "where it may not be it is not left";
  EXPECT_EQ(show_plan(only_wlan(), pinned(call(kWwan), lte, lte)),
            "1 suspend wwan0 10.2.0.2 -> none AddressLost");
  EXPECT_EQ(show_plan(only_wlan(), suspended(pinned(call(kWwan), lte, lte))), "nothing");
  EXPECT_EQ(show_plan(both(), suspended(pinned(call(kWwan), lte, lte))),
            "1 resume wwan0 10.2.0.2 -> wwan0 10.2.0.2 RouteToRemoteMoved");
  Use media_elsewhere = pinned(call(kWlan), wifi, lte);
  media_elsewhere.media[0].path = kWwan;
  EXPECT_EQ(show_plan(both(), media_elsewhere), "nothing");
  EXPECT_EQ(show_plan(only_wlan(), media_elsewhere),
            "1 suspend wlan0 10.1.0.2 -> wlan0 10.1.0.2 AddressLost [suspend none]");
}

TEST(PlanOfPinnedUses, AnAddressIsNotReplacedByItsNeighbour) {
  const NetworkSnapshot other =
      Net().link(2, "wlan0").address("10.1.0.3/24").gateway("10.1.0.1", 100);
  const Use use = pinned(call(kWlan), exactly("10.1.0.2"), exactly("10.1.0.2"));
  EXPECT_EQ(show(plan(other, Delta{}, {use})), "1 suspend wlan0 10.1.0.2 -> none AddressLost");
  const Use by_name = pinned(call(kWlan), only("wlan0"), only("wlan0"));
  EXPECT_EQ(show(plan(other, Delta{}, {by_name})),
            "1 break wlan0 10.1.0.2 -> wlan0 10.1.0.3 AddressLost");
}

TEST(PlanOfPinnedUses, OthersFollowTheRoutesBesideThem) {
  const Use held = pinned(call(kWwan), only("wwan0"), only("wwan0"));
  Use free = call(kWwan);
  free.id = UseId(2);
  EXPECT_EQ(show(plan(both(), Delta{}, {held, free})),
            "2 make-before-break wwan0 10.2.0.2 -> wlan0 10.1.0.2 RouteToRemoteMoved");
}

}  // namespace
}  // namespace godwit::mobility
