// SPDX-License-Identifier: Apache-2.0
// Behind NATs (RFC 8489): which address Contact and SDP tell, at the beginning of a call, after a
// change of the address, and when the NAT forgets. The peer does not latch, and no relay helps.
#include "figures.hpp"
#include "testing/stun_server.hpp"

namespace godwit::scenario {
namespace {

const IpAddress kOutsideWifi = IpAddress::v4(203, 0, 113, 1);
const IpAddress kOutsideLte = IpAddress::v4(203, 0, 113, 2);
const Endpoint kStun{IpAddress::v4(192, 0, 2, 20), 3478};
const Endpoint kSecondStun{IpAddress::v4(192, 0, 2, 21), 3478};

Stage nat_stage() {
  Stage stage;
  stage.public_servers = true;
  stage.server.send_to_source = true;
  stage.expires = seconds(3600);
  stage.ua.stun_servers = {kStun.to_string()};
  return stage;
}

/// Two networks, each behind a NAT of its own, and a STUN server in the world.
class NatWorld {
 public:
  explicit NatWorld(Stage chosen = nat_stage(), testing::NatSettings nat = {})
      : world(std::move(chosen)),
        wifi_nat(world.network.add_nat(kOutsideWifi, nat)),
        lte_nat(world.network.add_nat(kOutsideLte, nat)),
        stun(world.network, add_host("stun", kStun.address), kStun) {
    world.phone_host.attach_nat(world.wifi, &wifi_nat);
    world.phone_host.attach_nat(world.lte, &lte_nat);
  }
  testing::Host& add_host(const std::string& name, const IpAddress& address) {
    testing::Host& host = world.network.add_host(name);
    const auto eth = host.add_interface("eth0");
    host.add_address(eth, address);
    host.add_default_route(Family::V4, eth, 100);
    return host;
  }
  void expect_told(const IpAddress& address) {
    ASSERT_FALSE(world.peer.remote_sdps().empty());
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, address);
  }
  /// Nearly all of a second's packets in both directions, ours from `outside`.
  void expect_audio(const IpAddress& outside) {
    const TimePoint from = world.now();
    world.run_for(seconds(1));
    std::size_t heard_up = 0;
    for (const auto& packet : world.up().packets()) {
      if (packet.at >= from && packet.source.address == outside) ++heard_up;
    }
    EXPECT_GE(heard_up, 45U) << "audio from the phone at " << outside.to_string();
    EXPECT_GE(heard_since(from), 45U) << "audio to the phone at " << outside.to_string();
  }
  /// Delays what leaves the next network's socket for SIP, which is the first to send there.
  void delay_sip(Duration by, bool (*meant)(const SimulatedPacket&)) {
    world.network.add_filter([this, by, meant, sip = std::optional<Endpoint>()](
                                 const SimulatedPacket& packet) mutable -> std::optional<Duration> {
      if (packet.source.address != world.lte_address()) return Duration{};
      if (!sip) sip = packet.source;
      return packet.source == *sip && meant(packet) ? by : Duration{};
    });
  }
  bool registered_at(const IpAddress& outside) {
    const auto bindings = world.server->bindings("alice", world.now());
    return bindings.size() == 1 &&
           bindings[0].contact.find(outside.to_string()) != std::string::npos &&
           bindings[0].contact == "sip:alice@" + bindings[0].source.to_string();
  }
  std::size_t invites_since(TimePoint from) { return world.sent_sip("INVITE", from).size(); }
  std::size_t heard_since(TimePoint from) {
    std::size_t heard = 0;
    for (const auto& packet : world.down().packets()) heard += packet.at >= from ? 1U : 0U;
    return heard;
  }

  World world;
  testing::Nat& wifi_nat;
  testing::Nat& lte_nat;
  testing::StunServer stun;
};

TEST(StunCall, AFirstCallTellsTheMapping) {
  for (const bool incoming : {false, true}) {
    NatWorld nat;
    incoming ? nat.world.peer_calls() : nat.world.call_peer();
    nat.expect_told(kOutsideWifi);
    nat.expect_audio(kOutsideWifi);
    EXPECT_TRUE(nat.registered_at(kOutsideWifi));
    if (!incoming) {
      const auto invites = nat.world.sent_sip("INVITE");
      EXPECT_EQ(invites.size(), 1U) << "right at once";
      EXPECT_NE(invites[0].message.first("Contact").find(kOutsideWifi.to_string()),
                std::string::npos);
    }
  }
}

TEST(StunCall, MovesFromOneNatToAnother) {
  for (const bool incoming : {false, true}) {
    NatWorld nat;
    World& world = nat.world;
    incoming ? world.peer_calls() : world.call_peer();
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    nat.expect_told(kOutsideLte);
    EXPECT_EQ(nat.invites_since(changed), 1U);
    EXPECT_TRUE(nat.registered_at(kOutsideLte));
    EXPECT_TRUE(world.settled());
    nat.expect_audio(kOutsideLte);
    world.expect_continuous_sdp();
    const MoveFigures figures = measure_move(world, changed, world.lte_address());
    EXPECT_LE(figures.silence_up, 2 * kPacketTime);
    // One round trip for the mapping, one for the offer.
    EXPECT_LE(figures.silence_down, 2 * world.stage.rtt + 2 * kPacketTime + kMachine);
    EXPECT_LE(*figures.first_register, kMachine) << "REGISTER does not wait";
  }
}

/// What the peer sends within the call goes to the Contact given last.
TEST(StunCall, AContactTooEarlyForItsMappingIsCorrected) {
  for (const bool incoming : {false, true}) {
    NatWorld nat;
    World& world = nat.world;
    incoming ? world.peer_calls() : world.call_peer();
    // Neither STUN nor the registrar answers SIP's socket before the offer has to go.
    nat.delay_sip(milliseconds(400), [](const SimulatedPacket& packet) {
      return packet.destination == kStun || packet.bytes.starts_with("REGISTER");
    });
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    const auto invites = world.sent_sip("INVITE", changed);
    ASSERT_EQ(invites.size(), 2U);
    EXPECT_EQ(invites[0].message.first("Contact").find(kOutsideLte.to_string()), std::string::npos);
    EXPECT_NE(invites[1].message.first("Contact").find(kOutsideLte.to_string()), std::string::npos);
    nat.expect_told(kOutsideLte);
    nat.expect_audio(kOutsideLte);
    world.peer.bye();
    world.run_for(seconds(1));
    EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
  }
}

TEST(StunCall, TheOfferWaitsForWhatStunSaysOfSip) {
  NatWorld nat;
  World& world = nat.world;
  world.call_peer();
  nat.delay_sip(milliseconds(5),
                [](const SimulatedPacket& packet) { return packet.destination == kStun; });
  nat.delay_sip(milliseconds(400),
                [](const SimulatedPacket& packet) { return packet.bytes.starts_with("REGISTER"); });
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  const auto invites = world.sent_sip("INVITE", changed);
  ASSERT_EQ(invites.size(), 1U);
  EXPECT_NE(invites[0].message.first("Contact").find(kOutsideLte.to_string()), std::string::npos);
}

TEST(StunCall, WithoutServersSdpStaysLocal) {
  Stage stage = nat_stage();
  stage.ua.stun_servers.clear();
  NatWorld nat(stage);
  nat.world.call_peer();
  nat.expect_told(nat.world.wifi_address());
  EXPECT_EQ(nat.stun.requests(), 0U);
  EXPECT_TRUE(nat.registered_at(kOutsideWifi)) << "the Contact follows what the registrar sees";
  EXPECT_EQ(nat.world.down().packets().size(), 0U);
}

TEST(StunCall, AnAccountCanDoWithoutIt) {
  NatWorld nat;
  AccountConfig config = nat.world.account_config();
  config.ip_change.use_stun = false;
  const auto account = nat.world.phone.add_account(config);
  ASSERT_TRUE(account);
  nat.world.run_for(seconds(1));
  ASSERT_TRUE(nat.world.phone.call(*account, "sip:bob@example.org"));
  nat.world.run_for(seconds(1));
  nat.expect_told(nat.world.wifi_address());
  EXPECT_EQ(nat.stun.requests(), 0U);
}

TEST(StunCall, AServerInOurOwnNetworkIsToldOurOwnAddress) {
  Stage stage = nat_stage();
  stage.public_servers = false;
  World world(stage);
  world.call_peer();
  for (const auto& sdp : world.peer.remote_sdps()) {
    EXPECT_EQ(sdp.rtp.address, world.wifi_address());
  }
  world.expect_audio(world.wifi_address());
}

TEST(StunCall, ASilentServerDelaysTheOfferNoLongerThanItMay) {
  NatWorld nat;
  nat.stun.behave({.silent = true});
  nat.world.call_peer();
  const TimePoint changed = nat.world.now();
  nat.world.move_to_lte();
  nat.world.run_for(seconds(30));
  const auto invites = nat.world.sent_sip("INVITE", changed);
  ASSERT_GE(invites.size(), 1U);
  EXPECT_LE(invites[0].at - changed, milliseconds(150) + kMachine);
  EXPECT_LE(invites.size(), 2U) << "a repair offer at most";
  nat.expect_told(nat.world.lte_address());
  EXPECT_TRUE(nat.world.confirmed());
  EXPECT_TRUE(nat.world.settled());
}

TEST(StunCall, ALateAnswerIsToldByOneMoreOffer) {
  NatWorld nat;
  nat.world.call_peer();
  nat.stun.behave({.delay = milliseconds(300)});
  const TimePoint changed = nat.world.now();
  nat.world.move_to_lte();
  nat.world.run_for(seconds(1));
  const auto& sdps = nat.world.peer.remote_sdps();
  ASSERT_GE(sdps.size(), 3U);
  EXPECT_EQ(sdps[sdps.size() - 2].rtp.address, nat.world.lte_address());
  nat.expect_told(kOutsideLte);
  EXPECT_EQ(nat.invites_since(changed), 2U);
  nat.expect_audio(kOutsideLte);
  nat.world.expect_continuous_sdp();
}

TEST(StunCall, ALateAnswerToAFirstCallIsToldByOneMoreOffer) {
  NatWorld nat;
  nat.stun.behave({.delay = milliseconds(400)});
  nat.world.call_peer();
  nat.world.run_for(seconds(1));
  nat.expect_told(kOutsideWifi);
  EXPECT_EQ(nat.world.sent_sip("INVITE").size(), 2U);
  nat.expect_audio(kOutsideWifi);
}

TEST(StunCall, ImpossibleOrForeignAnswersAreNoAnswers) {
  const testing::StunServer::Behaviour lies[] = {
      {.lie = Endpoint{IpAddress::v4(224, 0, 0, 1), 4000}},
      {.lie = Endpoint{IpAddress::v4(192, 0, 2, 1), 0}},
      {.lie = Endpoint{*IpAddress::parse("2001:db8::1"), 4000}},
      {.other_transaction = true},
  };
  for (const auto& lie : lies) {
    NatWorld nat;
    nat.stun.behave(lie);
    nat.world.call_peer();
    nat.expect_told(nat.world.wifi_address());
    EXPECT_TRUE(nat.world.confirmed());
  }
}

TEST(StunCall, ALieToAPhoneWithoutNatIsFoundOut) {
  Stage stage = nat_stage();
  stage.family = Family::V6;
  const Endpoint stun{*IpAddress::parse("2001:db8:20::2"), 3478};
  stage.ua.stun_servers = {stun.to_string()};
  World world(stage);
  testing::Host& host = world.network.add_host("stun");
  const auto eth = host.add_interface("eth0");
  host.add_address(eth, stun.address);
  host.add_default_route(Family::V6, eth, 100);
  testing::StunServer server(world.network, host, stun);
  world.call_peer();
  world.expect_audio(world.wifi_address());
  server.behave({.lie = Endpoint{*IpAddress::parse("2001:db8:66::6"), 4000}});
  world.move_to_lte();
  world.run_for(seconds(6));
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  world.expect_audio(world.lte_address());
}

TEST(StunCall, AMappingThatIsDroppedUnderACallIsRepaired) {
  for (const bool incoming : {false, true}) {
    NatWorld nat;
    World& world = nat.world;
    incoming ? world.peer_calls() : world.call_peer();
    world.run_for(seconds(20));
    const TimePoint dropped = world.now();
    nat.wifi_nat.rebind();
    world.run_for(seconds(4));
    EXPECT_GE(nat.invites_since(dropped), 1U);
    EXPECT_LE(nat.invites_since(dropped), 2U);
    EXPECT_TRUE(nat.registered_at(kOutsideWifi)) << "SIP too, at once";
    nat.expect_audio(kOutsideWifi);
    world.expect_continuous_sdp();
    EXPECT_TRUE(world.confirmed());
  }
}

TEST(StunCall, OnHoldTheMappingIsKept) {
  NatWorld nat;
  World& world = nat.world;
  world.call_peer();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.peer.media().mute(true);
  world.run_for(seconds(1));
  const auto before = nat.stun.requests();
  world.run_for(seconds(300));
  const auto asked = nat.stun.requests() - before;
  EXPECT_LE(asked, 300U / 15U + 1U);
  const TimePoint resumed = world.now();
  world.peer.media().mute(false);
  ASSERT_TRUE(world.phone.resume(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_EQ(nat.invites_since(resumed), 1U) << "nothing to correct";
  nat.expect_audio(kOutsideWifi);
}

TEST(StunCall, AMappingLostOnHoldIsTold) {
  NatWorld nat;
  World& world = nat.world;
  world.peer_calls();
  world.peer.reinvite("inactive");
  world.run_for(seconds(1));
  const auto told = world.peer.remote_sdps().back().rtp;
  nat.wifi_nat.rebind();
  world.run_for(seconds(60));
  EXPECT_NE(world.peer.remote_sdps().back().rtp, told);
  nat.expect_told(kOutsideWifi);
  EXPECT_TRUE(nat.registered_at(kOutsideWifi));
}

/// The honest limitation: where every remote sees another mapping, none can be told.
TEST(StunCall, ASymmetricNatIsReported) {
  testing::NatSettings symmetric;
  symmetric.mapping = testing::NatDependence::AddressAndPort;
  for (const std::uint32_t latch_after : {0U, 10U}) {
    Stage stage = nat_stage();
    stage.latch_after = latch_after;
    stage.ua.stun_servers.push_back(kSecondStun.to_string());
    NatWorld nat(stage, symmetric);
    testing::StunServer second(nat.world.network, nat.add_host("stun2", kSecondStun.address),
                               kSecondStun);
    nat.world.call_peer();
    const auto warnings = nat.world.phone.all<Warning>();
    EXPECT_TRUE(std::any_of(warnings.begin(), warnings.end(), [](const Warning& warning) {
      return warning.text.find("every remote another address") != std::string::npos;
    }));
    const TimePoint from = nat.world.now();
    nat.world.run_for(seconds(1));
    EXPECT_EQ(nat.heard_since(from) >= 45U, latch_after != 0) << "only if the peer latches";
    EXPECT_TRUE(nat.registered_at(kOutsideWifi)) << "the registrar's view counts";
  }
}

TEST(StunCall, ServersAreFoundByName) {
  Stage stage = nat_stage();
  stage.ua.stun_servers = {"stun.example.org"};
  NatWorld nat(stage);
  nat.world.network.set_name("stun.example.org", {kStun.address});
  nat.world.call_peer();
  nat.expect_told(kOutsideWifi);
  nat.world.move_to_lte();
  nat.world.run_for(seconds(2));
  nat.expect_told(kOutsideLte);
  nat.expect_audio(kOutsideLte);
}

TEST(StunCall, WhatIsNoServerIsSaid) {
  Stage stage = nat_stage();
  stage.ua.stun_servers = {"not a server"};
  NatWorld nat(stage);
  nat.world.call_peer();
  EXPECT_FALSE(nat.world.phone.all<Warning>().empty());
  nat.expect_told(nat.world.wifi_address());
}

TEST(StunCall, ACallStraightToAPeerTellsTheMappingToo) {
  NatWorld nat;
  AccountConfig config = nat.world.account_config();
  config.register_on_add = false;
  const auto account = nat.world.phone.add_account(config);
  ASSERT_TRUE(account);
  nat.world.phone.play_to_all(440);
  nat.world.run_for(seconds(1));
  ASSERT_TRUE(nat.world.phone.call(*account, nat.world.peer.uri()));
  nat.world.run_for(seconds(1));
  ASSERT_TRUE(nat.world.confirmed());
  nat.expect_told(kOutsideWifi);
  EXPECT_NE(nat.world.sent_sip("INVITE")[0].message.first("Contact").find(kOutsideWifi.to_string()),
            std::string::npos);
  nat.world.peer.bye();
  nat.world.run_for(seconds(1));
  EXPECT_EQ(nat.world.phone.state(nat.world.call_id()), CallState::Ended);
}

}  // namespace
}  // namespace godwit::scenario
