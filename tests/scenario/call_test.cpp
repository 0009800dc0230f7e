// SPDX-License-Identifier: Apache-2.0
// The ordinary life of calls.
#include "world.hpp"

namespace godwit::scenario {
namespace {

/// The share of the tone in the last second of what the phone recorded.
double heard_tone(World& world, double hz) {
  const auto& samples =
      world.phone.audio().recording("call " + std::to_string(world.call_id().value()));
  const std::size_t begin = samples.size() > 8000 ? samples.size() - 8000 : 0;
  if (testing::loudness(samples, begin, samples.size()) < 100) return 0;
  return testing::tone_share(samples, begin, samples.size(), hz);
}

std::vector<CallState> states(const World& world, CallId call) {
  std::vector<CallState> found;
  for (const auto& event : world.phone.all<CallStateChanged>()) {
    if (event.call == call) found.push_back(event.state);
  }
  return found;
}

TEST(CallScenario, CallsTalksAndHangsUp) {
  World world;
  world.call_peer();
  world.run_for(seconds(2));
  EXPECT_GT(heard_tone(world, 1000), 0.8) << "the peer's milliwatt";
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(states(world, world.call_id()),
            (std::vector<CallState>{CallState::Calling, CallState::Confirmed}));
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
  EXPECT_TRUE(world.phone.ended(world.call_id()));
  EXPECT_EQ(world.phone.engines(), 0U);
  const auto sent = world.facts.sent("phone").packets().size();
  world.run_for(seconds(1));
  EXPECT_EQ(world.facts.sent("phone").packets().size(), sent) << "audio after the end";
  EXPECT_TRUE(world.phone.reports().empty());
}

TEST(CallScenario, TheCadenceIsOnePacketEvery20Milliseconds) {
  World world;
  world.call_peer();
  world.run_for(seconds(5));
  const TimePoint from = world.now() - seconds(4);
  EXPECT_EQ(world.facts.sent("phone").count(from, from + seconds(4)), 200U);
  EXPECT_LE(world.up().longest_pause(from, world.now() - milliseconds(50)), milliseconds(21));
  EXPECT_EQ(world.peer.media().ssrcs().size(), 1U);
}

TEST(CallScenario, IsCalledAnswersAndIsHungUpOn) {
  World world;
  world.peer_calls();
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 1U);
  EXPECT_EQ(world.phone.last<IncomingCall>()->from, "sip:bob@example.org");
  EXPECT_EQ(states(world, world.call_id()),
            (std::vector<CallState>{CallState::Ringing, CallState::Confirmed}));
  world.expect_audio(world.wifi_address());
  EXPECT_GT(heard_tone(world, 1000), 0.8);
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("BYE"), 200);
  ASSERT_TRUE(world.phone.ended(world.call_id()));
  EXPECT_FALSE(world.phone.ended(world.call_id())->reason.empty());
  EXPECT_EQ(world.phone.engines(), 0U);
}

TEST(CallScenario, TellsWhyACallWasRefused) {
  for (const int status : {404, 480, 486, 500, 603}) {
    SCOPED_TRACE(status);
    World world;
    world.register_phone();
    world.peer.script("INVITE", {.status = status, .delay = milliseconds(200), .ring = true});
    const CallId call = *world.phone.call(world.account, "bob");
    ASSERT_TRUE(world.run_until([&] { return world.phone.ended(call).has_value(); }, seconds(10)));
    EXPECT_EQ(world.phone.ended(call)->status, status);
    EXPECT_EQ(states(world, call),
              (std::vector<CallState>{CallState::Calling, CallState::Ringing, CallState::Ended}));
    world.run_for(seconds(40));
    EXPECT_EQ(world.sent_sip("ACK").size(), 1U);
    EXPECT_EQ(world.phone.engines(), 0U);
  }
}

TEST(CallScenario, NobodyThere) {
  World world;
  world.register_phone();
  const CallId unknown = *world.phone.call(world.account, "carol");
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.ended(unknown));
  EXPECT_EQ(world.phone.ended(unknown)->status, 404);
  world.peer.script("INVITE", {.ignore = true});
  const CallId silent = *world.phone.call(world.account, "bob");
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(silent).has_value(); }, seconds(40)));
  EXPECT_EQ(world.phone.ended(silent)->status, 408);
}

TEST(CallScenario, CancelsWhatRings) {
  World world;
  world.register_phone();
  world.peer.script("INVITE", {.delay = seconds(60), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.state(call), CallState::Ringing);
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.end_reason(), "CANCEL received");
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.engines(), 0U);
}

TEST(CallScenario, CancelsBeforeAnyAnswer) {
  // RFC 3261 §9.1: the CANCEL waits for a provisional response.
  World world;
  world.register_phone();
  world.peer.script("INVITE", {.delay = seconds(60), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(milliseconds(10));
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(3));
  EXPECT_EQ(world.peer.end_reason(), "CANCEL received");
  EXPECT_TRUE(world.phone.ended(call));
}

TEST(CallScenario, AnAnswerThatCrossesTheCancelIsEndedWithBye) {
  World world;
  world.register_phone();
  world.peer.script("INVITE", {.delay = milliseconds(300), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(milliseconds(320));  // The 200 is on its way.
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(3));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
  EXPECT_TRUE(world.phone.ended(call));
}

TEST(CallScenario, DeclinesAndIsCancelled) {
  World world;
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  world.run_for(milliseconds(500));
  ASSERT_EQ(world.phone.state(world.call_id()), CallState::Incoming);
  ASSERT_TRUE(world.phone.reject(world.call_id(), 486));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.peer.end_reason(), "refused with 486");
  EXPECT_TRUE(world.phone.ended(world.call_id()));

  world.peer.call("sip:alice@example.org");
  world.run_for(milliseconds(500));
  ASSERT_TRUE(world.phone.ring(world.call_id()));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ringing);
  world.peer.cancel();
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("CANCEL"), 200);
  EXPECT_EQ(world.peer.end_reason(), "refused with 487");
  EXPECT_TRUE(world.phone.ended(world.call_id()));
}

TEST(CallScenario, OneMoreThanAllowedIsBusy) {
  Stage stage;
  stage.ua.max_calls = 1;
  World world(stage);
  world.call_peer();
  MockPeerConfig config;
  config.user = "carol";
  config.local = {world.peer_address(), 5070};
  config.server = {world.server_address(), 5060};
  config.rtp_port = 50'000;
  MockPeer carol(world.network, world.peer_host, config);
  carol.call("sip:alice@example.org");
  world.run_for(seconds(1));
  EXPECT_EQ(carol.end_reason(), "refused with 486");
  EXPECT_FALSE(world.phone.call(world.account, "bob"));
  EXPECT_TRUE(world.confirmed());
}

TEST(CallScenario, HoldsAndResumes) {
  World world;
  world.call_peer();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(milliseconds(200));
  const auto held = world.phone.last<CallMediaChanged>();
  EXPECT_TRUE(held->held_by_us);
  TimePoint from = world.now();
  world.run_for(seconds(1));
  EXPECT_EQ(world.down().count(from, world.now()), 0U) << "the peer talks to a held phone";
  ASSERT_TRUE(world.phone.resume(world.call_id()));
  world.run_for(milliseconds(200));
  EXPECT_FALSE(world.phone.last<CallMediaChanged>()->held_by_us);
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.peer.requests("INVITE").size(), 3U);
  world.expect_continuous_sdp();
}

TEST(CallScenario, IsHeldAndResumedByReinviteAndByUpdate) {
  for (const bool update : {false, true}) {
    SCOPED_TRACE(update);
    World world;
    world.call_peer();
    const auto change = [&](const std::string& direction) {
      update ? world.peer.update(direction) : world.peer.reinvite(direction);
      world.run_for(milliseconds(200));
      EXPECT_EQ(world.peer.last_status(update ? "UPDATE" : "INVITE"), 200);
    };
    change("sendonly");
    EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_peer);
    const TimePoint from = world.now();
    world.run_for(seconds(1));
    EXPECT_EQ(world.up().count(from + milliseconds(30), world.now()), 0U);
    EXPECT_GE(world.down().count(from, world.now()), 45U) << "music on hold";
    change("inactive");
    const TimePoint quiet = world.now();
    world.run_for(seconds(1));
    EXPECT_EQ(world.up().count(quiet, world.now()) + world.down().count(quiet, world.now()), 0U);
    change("sendrecv");
    EXPECT_FALSE(world.phone.last<CallMediaChanged>()->held_by_peer);
    world.expect_audio(world.wifi_address());
    world.expect_continuous_sdp();
  }
}

TEST(CallScenario, BothChangingTheSessionAtOnceComesRight) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Stage stage;
    stage.seed = seed;
    World world(stage);
    world.call_peer();
    ASSERT_TRUE(world.phone.hold(world.call_id()));
    world.peer.reinvite("sendrecv");
    world.run_for(seconds(10));
    EXPECT_TRUE(world.confirmed());
    EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_us);
    ASSERT_FALSE(world.peer.remote_sdps().empty());
    EXPECT_FALSE(world.peer.remote_sdps().back().wants_audio()) << "the hold got through";
  }
}

TEST(CallScenario, AnswersAChallengeToTheInvite) {
  Stage stage;
  stage.server.challenge_invites = true;
  World world(stage);
  world.call_peer();
  world.expect_audio(world.wifi_address());
}

TEST(CallScenario, CallsUnderLoss) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Stage stage;
    stage.seed = seed;
    stage.loss = 0.1;
    World world(stage);
    seed % 2 == 0 ? world.call_peer() : world.peer_calls();
    world.expect_audio(world.wifi_address());
    ASSERT_TRUE(world.phone.hang_up(world.call_id()));
    world.run_for(seconds(40));
    EXPECT_EQ(world.peer.end_reason(), "BYE received");
    EXPECT_TRUE(world.phone.ended(world.call_id()));
  }
}

TEST(CallScenario, RefusesOffersItCannotMeetAndKeepsTheCall) {
  World world;
  world.call_peer();
  world.peer.always("re-INVITE", {.status = 488});
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  EXPECT_FALSE(world.phone.last<Warning>()->text.empty());
  world.expect_audio(world.wifi_address());
}

TEST(CallScenario, TwoPhonesTalkToEachOther) {
  World world;
  world.phone.play_to_all(440);
  world.register_phone();
  testing::Host& host = world.network.add_host("desk");
  const auto eth = host.add_interface("eth0", {.delay = milliseconds(10)});
  host.add_address(eth, world.address(5));
  host.add_default_route(Family::V4, eth, 1);
  SimulatedPhone desk(world.network, host, UserAgentConfig{}, &world.trace);
  AccountConfig config = world.account_config();
  config.aor = "sip:bob@example.org";
  config.password = "builder";
  world.server->forget("bob");
  desk.answer_calls(milliseconds(300));
  desk.play_to_all(600);
  const AccountId bob = *desk.add_account(config);
  world.run_for(seconds(1));
  ASSERT_EQ(desk.registration(bob), RegistrationState::Registered);
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(3));
  ASSERT_EQ(world.phone.state(call), CallState::Confirmed);
  EXPECT_GT(heard_tone(world, 600), 0.8);
  const auto& heard = desk.audio().recording("call 1");
  EXPECT_GT(testing::tone_share(heard, heard.size() - 8000, heard.size(), 440), 0.8);
  ASSERT_TRUE(desk.hang_up(desk.calls().back()));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.ended(call));
  EXPECT_TRUE(desk.ended(desk.calls().back()));
  EXPECT_TRUE(desk.violations().empty()) << desk.violations().front();
}

TEST(CallScenario, AHoldThatIsPutOffForYearsIsRefused) {
  World world;
  world.call_peer();
  world.peer.script("re-INVITE",
                    {.status = 500, .retry_after = std::chrono::seconds(4'000'000'000)});
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  ASSERT_TRUE(world.run_until([&] { return world.phone.last<Warning>().has_value(); }, seconds(5)));
  EXPECT_NE(world.phone.last<Warning>()->text.find("could not be held"), std::string::npos);
  ASSERT_TRUE(world.phone.hold(world.call_id())) << "it can be tried again";
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_us);
}

TEST(CallScenario, QuittingWhileASilentHostIsCalledTellsTheEnd) {
  World world;
  world.register_phone();
  const CallId call =
      *world.phone.call(world.account, "sip:bob@" + world.address(77).to_uri_host());
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.ended(call));
  world.phone.shut_down();
  world.run_for(milliseconds(10));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->reason, "the user agent shuts down");
  world.run_for(seconds(70));
  EXPECT_TRUE(world.phone.idle());
}

}  // namespace
}  // namespace godwit::scenario
