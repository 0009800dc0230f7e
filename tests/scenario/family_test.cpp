// SPDX-License-Identifier: Apache-2.0
// From IPv4 to IPv6 and back with no work by the application, over each transport: what is
// registered, subscribed, called, ringing or on hold goes on in the other family.
#include "testing/mock_notifier.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

Stage dual(Family from = Family::V4, sip::Transport transport = sip::Transport::Udp) {
  Stage stage;
  stage.dual = true;
  stage.family = from;
  stage.transport = transport;
  return stage;
}

struct Crossing {
  Family from;
  sip::Transport transport;
};
void PrintTo(const Crossing& c, std::ostream* out) {
  *out << "from " << to_string(c.from) << " over " << sip::to_string(c.transport);
}

class AcrossFamilies : public ::testing::TestWithParam<Crossing> {
 protected:
  AcrossFamilies() : world(dual(GetParam().from, GetParam().transport)) {}

  void cross(Duration patience = seconds(10)) {
    changed_at = world.now();
    world.move_to_lte();
    EXPECT_TRUE(world.run_until([&] { return !world.phone.reports().empty() && world.settled(); },
                                patience));
  }
  void expect_registered_at(const IpAddress& address) {
    ASSERT_TRUE(world.run_until(
        [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
        seconds(10)));
    const auto contacts = world.server.contacts("alice");
    ASSERT_EQ(contacts.size(), 1U) << "the old one is taken out with the same request";
    EXPECT_NE(contacts[0].find(address.to_uri_host()), std::string::npos) << contacts[0];
  }
  void expect_call_at(const IpAddress& address) {
    ASSERT_TRUE(world.confirmed()) << world.phone.ended(world.call_id())->reason;
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, address);
    world.expect_audio(address);
    world.expect_continuous_sdp();
  }

  World world;
  TimePoint changed_at;
};

TEST_P(AcrossFamilies, TheRegistrationFollows) {
  world.register_phone();
  cross();
  expect_registered_at(world.lte_address());
  if (GetParam().transport == sip::Transport::Udp) {
    const auto sent = world.sent_sip("REGISTER", changed_at);
    ASSERT_FALSE(sent.empty());
    EXPECT_LE(sent[0].at - changed_at, kMachine) << "nothing is waited for";
    EXPECT_NE(sent[0].message.first("Via").find(world.lte_address().to_uri_host()),
              std::string::npos);
  }
  // Incoming calls arrive in the new family; what this one offers is of the old one.
  world.peer.call("sip:alice@example.org");
  EXPECT_TRUE(world.run_until([&] { return world.peer.last_status("INVITE") == 488; }, seconds(5)));
}

TEST_P(AcrossFamilies, OurCallFollows) {
  world.call_peer();
  cross();
  expect_call_at(world.lte_address());
  expect_registered_at(world.lte_address());
  const IpChangeReport report = world.phone.reports().back();
  ASSERT_EQ(report.calls.size(), 1U);
  EXPECT_TRUE(report.calls[0].survived);
  EXPECT_EQ(report.calls[0].new_local.address, world.lte_address());
  // The round trips of the transport, one for the offer, and what is on its way.
  const int setup = GetParam().transport == sip::Transport::Udp   ? 0
                    : GetParam().transport == sip::Transport::Tcp ? 1
                                                                  : 2;
  const Duration limit = world.stage.rtt * (1 + setup) + milliseconds(42);
  ASSERT_TRUE(report.calls[0].silence_down);
  EXPECT_LE(*report.calls[0].silence_down, limit);
  ASSERT_TRUE(report.calls[0].silence_up);
  EXPECT_LE(*report.calls[0].silence_up, limit);
  EXPECT_EQ(world.peer.media().ssrcs().size(), 1U);
}

TEST_P(AcrossFamilies, APeersCallFollows) {
  world.peer_calls();
  cross();
  expect_call_at(world.lte_address());
  // The peer's requests arrive where we are.
  world.peer.reinvite();
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("INVITE"), 200);
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
}

TEST_P(AcrossFamilies, ThereAndBack) {
  world.call_peer();
  cross();
  expect_call_at(world.lte_address());
  world.move_to_wifi();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 2 && world.settled(); },
                              seconds(10)));
  expect_call_at(world.wifi_address());
  expect_registered_at(world.wifi_address());
}

TEST_P(AcrossFamilies, ACallOnHoldFollows) {
  world.call_peer();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  cross();
  ASSERT_TRUE(world.confirmed());
  EXPECT_FALSE(world.peer.remote_sdps().back().wants_audio());
  ASSERT_TRUE(world.phone.resume(world.call_id()));
  world.run_for(seconds(1));
  expect_call_at(world.lte_address());
}

TEST_P(AcrossFamilies, ACallThatThePeerHoldsFollows) {
  world.call_peer();
  world.peer.reinvite("sendonly");
  world.run_for(seconds(1));
  cross();
  ASSERT_TRUE(world.confirmed());
  world.peer.reinvite("sendrecv");
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("INVITE"), 200);
  expect_call_at(world.lte_address());
}

TEST_P(AcrossFamilies, OurRingingCallIsMadeAnew) {
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.script("INVITE", {.delay = seconds(8), .ring = true});
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.state(world.call_id()) == CallState::Ringing; }, seconds(5)));
  world.run_for(milliseconds(300));
  cross();
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(10)));
  world.run_for(milliseconds(300));
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  world.expect_audio(world.lte_address());
}

TEST_P(AcrossFamilies, ACallThatRingsHereIsAnsweredFromThere) {
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.last<IncomingCall>().has_value(); }, seconds(5)));
  ASSERT_TRUE(world.phone.ring(world.call_id()));
  world.run_for(milliseconds(300));
  cross();
  ASSERT_TRUE(world.phone.answer(world.call_id()));
  ASSERT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Confirmed; },
                              seconds(5)));
  world.run_for(seconds(2));
  ASSERT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
}

TEST_P(AcrossFamilies, AReinviteUnderWayIsMadeAnew) {
  for (const int delay_ms : {0, 10, 26, 40, 51}) {
    SCOPED_TRACE(delay_ms);
    World again(dual(GetParam().from, GetParam().transport));
    again.call_peer();
    ASSERT_TRUE(again.phone.hold(again.call_id()));
    again.run_for(milliseconds(delay_ms));
    again.move_to_lte();
    again.run_for(seconds(40));
    ASSERT_TRUE(again.confirmed());
    EXPECT_EQ(again.peer.state(), MockPeer::CallState::Confirmed) << again.peer.end_reason();
    EXPECT_EQ(again.peer.remote_sdps().back().rtp.address, again.lte_address());
    EXPECT_FALSE(again.peer.remote_sdps().back().wants_audio()) << "the hold was lost on the way";
    ASSERT_TRUE(again.phone.resume(again.call_id()));
    again.run_for(seconds(2));
    again.expect_audio(again.lte_address());
  }
}

TEST_P(AcrossFamilies, ASubscriptionFollows) {
  testing::MockNotifier notifier(world.network, world.peer_host, {world.peer_address(), 5070},
                                 "carol");
  world.server->bind("carol", notifier.uri());
  world.register_phone();
  SubscribeRequest request;
  request.event = "presence";
  request.target = "carol";
  request.expires = seconds(600);
  ASSERT_TRUE(world.phone.command(
      [&](ua::Core& core, TimePoint now) { return core.subscribe(world.account, request, now); }));
  world.run_for(seconds(1));
  ASSERT_EQ(notifier.requests("SUBSCRIBE").size(), 1U);
  cross();
  world.run_for(seconds(1));
  const auto seen = notifier.requests("SUBSCRIBE");
  ASSERT_GE(seen.size(), 2U);
  EXPECT_NE(seen.back().message.first("Contact").find(world.lte_address().to_uri_host()),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Crossings, AcrossFamilies,
                         ::testing::Values(Crossing{Family::V4, sip::Transport::Udp},
                                           Crossing{Family::V6, sip::Transport::Udp},
                                           Crossing{Family::V4, sip::Transport::Tcp},
                                           Crossing{Family::V6, sip::Transport::Tcp},
                                           Crossing{Family::V4, sip::Transport::Tls},
                                           Crossing{Family::V6, sip::Transport::Tls}));

// --- both families are there, until one goes ---

TEST(FamilyScenario, WhatWorksStaysUntilItsFamilyGoes) {
  World world(dual());
  world.call_peer();
  world.lte_comes();
  world.run_for(seconds(2));
  EXPECT_TRUE(world.phone.reports().empty());
  world.expect_audio(world.wifi_address());
  world.wifi_goes();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1; }, seconds(5)));
  world.expect_audio(world.lte_address());
}

TEST(FamilyScenario, AFamilyLostForAMomentCostsNothing) {
  // No other one is there: the address is back before anything is given up.
  World world(dual());
  world.call_peer();
  world.wifi_goes();
  world.run_for(milliseconds(100));
  world.wifi_comes();
  world.run_for(seconds(2));
  EXPECT_TRUE(world.phone.reports().empty());
  world.expect_audio(world.wifi_address());
}

TEST(FamilyScenario, ASuspendedCallGoesOnInTheOtherFamily) {
  World world(dual());
  world.call_peer();
  world.wifi_goes();
  world.run_for(seconds(5));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  world.lte_comes();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  world.run_for(seconds(1));
  world.expect_audio(world.lte_address());
}

TEST(FamilyScenario, AServerGivenAsALiteralOfTheLostFamilyIsWaitedFor) {
  // There is nothing else that it could be reached by: the call ends at its deadline, and says why.
  Stage stage = dual();
  stage.recovery_deadline = seconds(20);
  World world(stage);
  world.phone.play_to_all(440);
  AccountConfig config = world.account_config();
  config.registrar = "sip:" + world.server_address().to_uri_host();
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(milliseconds(500));
  world.move_to_lte();
  world.run_for(seconds(30));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("reached only by IPv4"), std::string::npos) << ended->reason;
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  world.move_to_wifi();
  EXPECT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
}

TEST(FamilyScenario, AProxyGivenAsALiteralIsGoneAroundByTheRegistrarsName) {
  World world(dual());
  world.phone.play_to_all(440);
  AccountConfig config = world.account_config();
  config.outbound_proxy = "sip:" + world.server_address().to_uri_host();
  world.account = *world.phone.add_account(config);
  const auto registered = [&] {
    return world.phone.registration(world.account) == RegistrationState::Registered;
  };
  ASSERT_TRUE(world.run_until(registered, seconds(5)));
  EXPECT_TRUE(world.phone.questions().empty()) << "no name is needed while there is a proxy";
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(milliseconds(500));
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_TRUE(registered());
  const auto contacts = world.server.contacts("alice");
  ASSERT_FALSE(contacts.empty());
  EXPECT_NE(contacts[0].find(world.lte_address().to_uri_host()), std::string::npos);
  const auto sent = world.sent_sip("REGISTER", moved);
  ASSERT_FALSE(sent.empty());
  EXPECT_FALSE(sent.back().message.has("Route")) << "the proxy is of the lost family";
  // The call's route names the proxy's literal, and the name leads to the same machine.
  ASSERT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  // And back: the proxy can be reached again, but the name works as well.
  world.move_to_wifi();
  world.run_for(seconds(3));
  EXPECT_TRUE(registered());
  ASSERT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
}

// --- a peer of one family ---

TEST(FamilyScenario, APeerThatCannotFollowEndsTheCallWithAReason) {
  Stage stage = dual();
  stage.peer_has_both = false;
  World world(stage);
  world.call_peer();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return !world.confirmed(); }, seconds(5)));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("only IPv4"), std::string::npos) << ended->reason;
  EXPECT_NE(ended->reason.find("no relay"), std::string::npos) << ended->reason;
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended);
  EXPECT_EQ(world.peer.end_reason(), "BYE received") << "no call is left that nobody hears";
  ASSERT_EQ(world.phone.reports().size(), 1U);
  EXPECT_FALSE(world.phone.reports()[0].calls.at(0).survived);
}

/// Both families are there, and signalling takes IPv6 (lte).
Stage both_prefer6() {
  Stage stage = dual();
  stage.both_networks = true;
  stage.sip_family = FamilyPolicy::Prefer6;
  return stage;
}

TEST(FamilyScenario, AnAnswerOfTheOtherFamilyIsFollowedByAnOfferOfIt) {
  Stage stage = both_prefer6();
  stage.peer_has_both = false;
  World world(stage);
  world.call_peer();
  world.run_for(seconds(1));
  ASSERT_TRUE(world.confirmed());
  ASSERT_EQ(world.peer.remote_sdps().size(), 2U);
  EXPECT_EQ(world.peer.remote_sdps()[0].rtp.address, world.lte_address());
  EXPECT_EQ(world.peer.remote_sdps()[1].rtp.address, world.wifi_address());
  world.expect_audio(world.wifi_address());
}

TEST(FamilyScenario, ARefusedOfferIsMadeOnceMoreInTheOtherFamily) {
  World world(both_prefer6());
  world.peer.script("INVITE", {.status = 488});
  world.call_peer();
  ASSERT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.requests("INVITE").size(), 2U);
  world.expect_audio(world.wifi_address());
}

TEST(FamilyScenario, ARefusedOfferIsMadeOnceMoreWithLessInIt) {
  World world;
  world.peer.script("INVITE", {.status = 488});
  world.call_peer();
  ASSERT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.remote_sdps().back().payload_types, std::vector<std::uint8_t>{0});
  world.expect_audio(world.wifi_address());
}

TEST(FamilyScenario, ACallRefusedTwiceHasFailed) {
  World world;
  world.peer.always("INVITE", {.status = 488});
  world.register_phone();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.state(world.call_id()) == CallState::Ended; }, seconds(10)));
  EXPECT_EQ(world.phone.ended(world.call_id())->status, 488);
  EXPECT_EQ(world.peer.requests("INVITE").size(), 2U);
}

TEST(FamilyScenario, AMoveRefusedWith488IsOfferedOnceMore) {
  World world;
  world.call_peer();
  world.peer.script("re-INVITE", {.status = 488});
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(10)));
  ASSERT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.remote_sdps().back().payload_types, std::vector<std::uint8_t>{0});
  world.expect_audio(world.lte_address());
}

TEST(FamilyScenario, AMoveRefusedWith488TwiceIsTheEnd) {
  World world;
  world.call_peer();
  world.peer.always("re-INVITE", {.status = 488});
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return !world.confirmed(); }, seconds(10)));
  EXPECT_NE(world.phone.ended(world.call_id())->reason.find("488"), std::string::npos);
}

// --- routes that are out of reach ---

/// The peer calls without any proxy between: the dialog's only hop is its IPv4 literal.
struct Direct : World {
  Direct() : World(stage()) {
    phone.play_to_all(440);
    phone.answer_calls(milliseconds(100));
    register_phone();
    peer.call("sip:alice@example.org");
    EXPECT_TRUE(run_until(
        [&] { return !phone.calls().empty() && confirmed() && peer.state() == Confirmed; },
        seconds(5)));
    run_for(milliseconds(500));
  }
  static Stage stage() {
    Stage stage = dual();
    stage.ua.sip_port = 5060;
    stage.peer_server = Endpoint{World::address(1, 2, Family::V4), 5060};
    return stage;
  }
  static constexpr auto Confirmed = MockPeer::CallState::Confirmed;
};

TEST(FamilyScenario, ARouteThatIsOutOfReachIsReplacedByANewDialog) {
  Direct world;
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  ASSERT_TRUE(world.confirmed());
  const auto invites = world.peer.requests("INVITE");
  ASSERT_EQ(invites.size(), 1U);
  EXPECT_TRUE(invites[0].message.has("Replaces"));
  world.expect_audio(world.lte_address());
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
}

TEST(FamilyScenario, ANextHopGivenByNameIsResolvedAnew) {
  // A call that came over a proxy which is none of our account's: its Record-Route names it.
  Stage stage = dual();
  stage.server.record_route_host = "edge.example.org";
  stage.server.domains.push_back("edge.example.org");
  stage.ua.sip_port = 5060;
  World world(stage);
  world.network.set_name("edge.example.org",
                         {world.server_address(), world.other_server_address()});
  // The account's own server is another one, at an address of its own.
  testing::Host& host = world.network.add_host("home");
  const auto link = host.add_interface("eth0");
  MiniServerConfig home;
  for (const Family family : {Family::V4, Family::V6}) {
    host.add_address(link, World::address(8, 2, family));
    host.add_default_route(family, link, 100);
    home.locals.push_back({World::address(8, 2, family), 5060});
  }
  home.domains = {"example.org", "sip.example.org"};
  home.users = {{"alice", "wonderland"}};
  testing::SimulatedServer server(world.network, host, home);
  world.network.set_name("sip.example.org",
                         {World::address(8, 2, Family::V4), World::address(8, 2, Family::V6)});
  world.server->bind("alice", "sip:alice@" + world.wifi_address().to_uri_host() + ":5060");
  world.phone.play_to_all(440);
  world.phone.answer_calls(milliseconds(100));
  world.account = *world.phone.add_account(world.account_config());
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until(
      [&] { return world.peer.state() == MockPeer::CallState::Confirmed && world.confirmed(); },
      seconds(5)));
  world.run_for(milliseconds(500));
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  world.run_for(milliseconds(500));
  ASSERT_TRUE(world.confirmed());
  const auto invites = world.peer.requests("INVITE");
  ASSERT_EQ(invites.size(), 1U);
  EXPECT_FALSE(invites[0].message.has("Replaces")) << "within the dialog";
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  world.expect_audio(world.lte_address());
}

TEST(FamilyScenario, WhereThatIsRefusedTheCallEndsWithAReason) {
  Direct world;
  world.peer.refuse_replaces(481);
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return !world.confirmed(); }, seconds(5)));
  const std::string reason = world.phone.ended(world.call_id())->reason;
  EXPECT_NE(reason.find("no address that this network leads to"), std::string::npos) << reason;
  EXPECT_NE(reason.find("481"), std::string::npos) << reason;
}

}  // namespace
}  // namespace godwit::scenario
