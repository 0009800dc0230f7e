// SPDX-License-Identifier: Apache-2.0
// A network with IPv6 only, and servers and peers with IPv4 only: its NAT64 (RFC 6052), found by
// the DNS (RFC 7050), and STUN through it for what a v4 peer is told.
#include "figures.hpp"
#include "testing/stun_server.hpp"

namespace godwit::scenario {
namespace {

const IpAddress kOutside = IpAddress::v4(203, 0, 113, 64);
const IpAddress kMobile = *IpAddress::parse("2001:db8:2::2");
const Endpoint kStun{IpAddress::v4(192, 0, 2, 20), 3478};

Stage nat64_stage() {
  Stage stage;
  stage.public_servers = true;
  stage.server.send_to_source = true;
  stage.ua.stun_servers = {kStun.to_string()};
  return stage;
}

/// wifi with IPv4 as ever, and lte with IPv6 only.
class Nat64World {
 public:
  explicit Nat64World(Stage chosen = nat64_stage(), unsigned length = 96)
      : world(std::move(chosen)),
        prefix(*Nat64Prefix::make(*IpAddress::parse("2001:db9:64::"), length)),
        nat(world.network.add_nat64(prefix, kOutside, {})),
        stun(world.network, add_host(), kStun) {
    publish(prefix);
  }
  void publish(const Nat64Prefix& shown) {
    world.network.set_name(kNat64WellKnownName, {shown.embed(IpAddress::v4(192, 0, 0, 170)),
                                                 shown.embed(IpAddress::v4(192, 0, 0, 171))});
  }
  void lte_comes() {
    world.phone_host.add_address(world.lte, kMobile);
    world.phone_host.add_default_route(Family::V6, world.lte, 200);
  }
  void lte_goes() {
    world.phone_host.remove_address(world.lte, kMobile);
    world.phone_host.remove_default_route(Family::V6, world.lte);
  }
  void expect_audio(const IpAddress& seen, const IpAddress& local) {
    const TimePoint from = world.now();
    world.run_for(seconds(1));
    std::size_t heard_up = 0;
    std::size_t heard_down = 0;
    for (const auto& packet : world.up().packets()) {
      heard_up += packet.at >= from && packet.source.address == seen ? 1U : 0U;
    }
    for (const auto& packet : world.down().packets()) {
      heard_down += packet.at >= from && packet.destination.address == local ? 1U : 0U;
    }
    EXPECT_GE(heard_up, 45U) << "audio from the phone, seen at " << seen.to_string();
    EXPECT_GE(heard_down, 45U) << "audio to the phone at " << local.to_string();
  }

 private:
  testing::Host& add_host() {
    testing::Host& host = world.network.add_host("stun");
    const auto eth = host.add_interface("eth0");
    host.add_address(eth, kStun.address);
    host.add_default_route(Family::V4, eth, 100);
    return host;
  }

 public:
  World world;
  Nat64Prefix prefix;
  testing::Nat& nat;
  testing::StunServer stun;
};

TEST(Nat64, RegistersAndCallsThroughIt) {
  for (const unsigned length : {32U, 40U, 48U, 56U, 64U, 96U}) {
    Nat64World net(nat64_stage(), length);
    World& world = net.world;
    world.wifi_goes();
    net.lte_comes();
    world.call_peer();
    if (::testing::Test::HasFatalFailure()) return;
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, kOutside) << "what the peer can use";
    net.expect_audio(kOutside, kMobile);
    const auto bindings = world.server->bindings("alice", world.now());
    ASSERT_EQ(bindings.size(), 1U);
    EXPECT_EQ(bindings[0].contact, "sip:alice@" + bindings[0].source.to_string());
    EXPECT_EQ(bindings[0].source.address, kOutside);
  }
}

TEST(Nat64, ARoutersAnnouncementSavesTheQuestion) {
  Nat64World net;
  World& world = net.world;
  world.call_peer();
  // What the DNS would show leads nowhere; the router's word (RFC 8781) goes before it.
  net.publish(*Nat64Prefix::make(*IpAddress::parse("2001:db9:dead::"), 96));
  world.phone_host.announce_nat64(world.lte, AddressPrefix{net.prefix.address(), 96});
  const TimePoint changed = world.now();
  net.lte_comes();
  world.wifi_goes();
  world.run_for(seconds(4));
  EXPECT_TRUE(world.settled());
  net.expect_audio(kOutside, kMobile);
  // Nothing waits for an answer of the DNS: the first packet leaves in the tick of the change.
  EXPECT_FALSE(world.sent_sip("REGISTER", changed).empty());
  EXPECT_LE(world.sent_sip("REGISTER", changed).front().at, changed + kMachine);
}

TEST(Nat64, AnImpossibleAnnouncementIsNone) {
  Nat64World net;
  World& world = net.world;
  world.phone_host.announce_nat64(world.lte, AddressPrefix{*IpAddress::parse("ff02::"), 96});
  world.wifi_goes();
  net.lte_comes();
  world.call_peer();
  net.expect_audio(kOutside, kMobile);
}

TEST(Nat64, IsCalledThroughIt) {
  Nat64World net;
  net.world.wifi_goes();
  net.lte_comes();
  net.world.peer_calls();
  net.expect_audio(kOutside, kMobile);
}

TEST(Nat64, ACallMovesThereAndBack) {
  for (const bool incoming : {false, true}) {
    Nat64World net;
    World& world = net.world;
    incoming ? world.peer_calls() : world.call_peer();
    net.lte_comes();
    world.wifi_goes();
    world.run_for(seconds(4));
    EXPECT_TRUE(world.settled());
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, kOutside);
    net.expect_audio(kOutside, kMobile);
    world.wifi_comes();
    net.lte_goes();
    world.run_for(seconds(4));
    EXPECT_TRUE(world.settled());
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.wifi_address());
    net.expect_audio(world.wifi_address(), world.wifi_address());
    world.expect_continuous_sdp();
  }
}

TEST(Nat64, ACallStaysThereWhileItCan) {
  Nat64World net;
  World& world = net.world;
  world.wifi_goes();
  net.lte_comes();
  world.call_peer();
  const TimePoint back = world.now();
  world.wifi_comes();
  world.run_for(seconds(2));
  if (!world.sent_sip("INVITE", back).empty()) {
    // The better network is moved to without a break, or not at all.
    net.expect_audio(world.wifi_address(), world.wifi_address());
  } else {
    net.expect_audio(kOutside, kMobile);
  }
  net.lte_goes();
  world.run_for(seconds(3));
  net.expect_audio(world.wifi_address(), world.wifi_address());
}

TEST(Nat64, APeerThatPausesKeepsWhatItWasTold) {
  Nat64World net;
  World& world = net.world;
  world.wifi_goes();
  net.lte_comes();
  world.call_peer();
  net.expect_audio(kOutside, kMobile);
  const TimePoint from = world.now();
  world.peer.media().mute(true);
  world.run_for(seconds(3));
  world.peer.media().mute(false);
  world.run_for(seconds(1));
  EXPECT_TRUE(world.sent_sip("INVITE", from).empty());
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, kOutside);
  net.expect_audio(kOutside, kMobile);
}

TEST(Nat64, TurnedOffThereIsNoWay) {
  Stage stage = nat64_stage();
  stage.ua.nat64 = false;
  Nat64World net(stage);
  World& world = net.world;
  world.call_peer();
  net.lte_comes();
  world.wifi_goes();
  world.run_for(seconds(4));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  for (const auto& question : world.phone.questions()) {
    EXPECT_NE(question.name, kNat64WellKnownName);
  }
  net.lte_goes();
  world.wifi_comes();
  world.run_for(seconds(4));
  EXPECT_TRUE(world.confirmed());
}

TEST(Nat64, ANetworkWithoutOneSuspends) {
  Nat64World net;
  World& world = net.world;
  world.network.set_name(kNat64WellKnownName, {IpAddress::v4(192, 0, 0, 170)});
  world.call_peer();
  net.lte_comes();
  world.wifi_goes();
  world.run_for(seconds(4));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  EXPECT_TRUE(world.confirmed()) << "until the recovery deadline";
}

TEST(Nat64, WithIpv4NobodyIsAskedForAPrefix) {
  Nat64World net;
  net.world.call_peer();
  net.world.move_to_lte();
  net.world.run_for(seconds(2));
  for (const auto& question : net.world.phone.questions()) {
    EXPECT_NE(question.name, kNat64WellKnownName);
  }
}

TEST(Nat64, WithoutStunThePeerIsToldIpv6) {
  Stage stage = nat64_stage();
  stage.ua.stun_servers.clear();
  Nat64World net(stage);
  net.world.wifi_goes();
  net.lte_comes();
  net.world.call_peer();
  EXPECT_EQ(net.world.peer.remote_sdps().back().rtp.address, kMobile) << "the stated limitation";
}

}  // namespace
}  // namespace godwit::scenario
