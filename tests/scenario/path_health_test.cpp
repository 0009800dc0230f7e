// SPDX-License-Identifier: Apache-2.0
//
// Paths that go dead with their address kept, networks that carry nothing, peers that pause: what
// the system says nothing of, or what only looks like it.
#include <algorithm>

#include "figures.hpp"
#include "two_servers.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

/// Of the issue: "silence ≤ 400 ms + 2 RTT".
constexpr Duration kSilenceGoal = milliseconds(400);

Stage two_networks(std::uint64_t seed = 1) {
  Stage stage;
  stage.seed = seed;
  stage.both_networks = true;
  return stage;
}

void darken(World& world, std::uint32_t interface, bool dark = true) {
  world.phone_host.up_link(interface).black_hole = dark;
  world.phone_host.down_link(interface).black_hole = dark;
}

std::size_t probes(const World& world, TimePoint from = TimePoint()) {
  return world.sent_sip("OPTIONS", from).size();
}

std::size_t generations(const World& world) { return world.phone.all<IpChangeDetected>().size(); }

TEST(FadingWifi, TheCallAndTheRegistrationLeaveIt) {
  for (const Family family : {Family::V4, Family::V6}) {
    Stage stage = two_networks();
    stage.family = family;
    World world(stage);
    world.call_peer();
    const TimePoint changed = world.now();
    darken(world, world.wifi);
    world.run_for(seconds(3));
    ASSERT_EQ(world.phone.reports().size(), 1U);
    const IpChangeReport report = world.phone.reports().front();
    EXPECT_TRUE(has_cause(report, ChangeCause::MediaSilent));
    EXPECT_NE(report.decision.find("break (MediaSilent)"), std::string::npos) << report.decision;
    EXPECT_TRUE(report.completed);
    const MoveFigures figures = measure_move(world, changed, world.lte_address());
    EXPECT_LE(figures.silence_down, kSilenceGoal + 2 * stage.rtt);
    EXPECT_LE(figures.silence_up, kSilenceGoal + 2 * stage.rtt);
    expect_moved(world, world.lte_address());
  }
}

TEST(FadingWifi, TheSilenceIsShortInEveryPhaseAndOverEveryTransport) {
  for (const auto transport : {sip::Transport::Udp, sip::Transport::Tcp, sip::Transport::Tls}) {
    std::vector<Duration> silences;
    for (int move = 0; move < 12; ++move) {
      Stage stage = two_networks(static_cast<std::uint64_t>(move) + 1);
      stage.transport = transport;
      World world(stage);
      world.call_peer();
      world.run_for(milliseconds(7 * move));
      const TimePoint changed = world.now();
      darken(world, world.wifi);
      world.run_for(seconds(3));
      ASSERT_EQ(world.phone.reports().size(), 1U);
      silences.push_back(measure_move(world, changed, world.lte_address()).silence_down);
      expect_moved(world, world.lte_address());
    }
    std::sort(silences.begin(), silences.end());
    const double median = to_ms(silences[silences.size() / 2]);
    std::printf("%s: silence of 12 moves from a dead path: median %.1f ms, longest %.1f ms\n",
                to_string(transport), median, to_ms(silences.back()));
    // A connection and its handshake cost one, with TLS two round trips more.
    const int more = transport == sip::Transport::Udp   ? 0
                     : transport == sip::Transport::Tcp ? 1
                                                        : 2;
    EXPECT_LE(silences.back(), kSilenceGoal + (2 + more) * milliseconds(50));
  }
}

TEST(FadingWifi, ANetworkOfTheOtherFamilyTakesTheCall) {
  for (const auto transport : {sip::Transport::Udp, sip::Transport::Tls}) {
    for (const Family family : {Family::V4, Family::V6}) {
      Stage stage;
      stage.dual = true;
      stage.family = family;
      stage.transport = transport;
      World world(stage);
      world.call_peer();
      world.lte_comes();
      world.run_for(seconds(2));
      ASSERT_EQ(generations(world), 0U) << "what works stays";
      const TimePoint changed = world.now();
      darken(world, world.wifi);
      world.run_for(seconds(4));
      ASSERT_EQ(world.phone.reports().size(), 1U);
      EXPECT_TRUE(has_cause(world.phone.reports().front(), ChangeCause::MediaSilent));
      expect_moved(world, world.lte_address());
      // A connection, its handshake, and the peer's address by its answer.
      EXPECT_LE(measure_move(world, changed, world.lte_address()).silence_down,
                kSilenceGoal + 6 * stage.rtt);
    }
  }
}

TEST(FadingWifi, AnIdlePhoneLeavesItWhenItsConnectionIsNotAnsweredAnyMore) {
  Stage stage = two_networks();
  stage.transport = sip::Transport::Tcp;
  stage.expires = seconds(3600);
  World world(stage);
  world.register_phone();
  world.run_for(seconds(130));  // One ping (RFC 5626 §3.5.1) has been answered.
  darken(world, world.wifi);
  // The next comes after 96 to 120 s, and has 10 s for its answer.
  world.run_for(seconds(140));
  ASSERT_EQ(world.phone.reports().size(), 1U);
  EXPECT_TRUE(has_cause(world.phone.reports().front(), ChangeCause::KeepAliveUnanswered) ||
              has_cause(world.phone.reports().front(), ChangeCause::PathUnreachable));
  const auto contacts = world.server.contacts("alice");
  ASSERT_EQ(contacts.size(), 1U);
  EXPECT_NE(contacts[0].find(world.lte_address().to_string()), std::string::npos) << contacts[0];
}

TEST(FadingWifi, StaysLeftUntilItAnswersThreeTimesThenCallsReturn) {
  World world(two_networks());
  world.call_peer();
  darken(world, world.wifi);
  world.run_for(seconds(4));
  ASSERT_EQ(generations(world), 1U);
  // Any other news of the networks does not lead back to it.
  world.phone_host.add_address(world.lte, world.address(2, 77));
  world.run_for(seconds(20));
  EXPECT_EQ(generations(world), 1U);
  world.expect_audio(world.lte_address());
  darken(world, world.wifi, false);
  const TimePoint back = world.now();
  world.run_for(seconds(50));
  ASSERT_EQ(world.phone.reports().size(), 2U);
  EXPECT_TRUE(has_cause(world.phone.reports()[1], ChangeCause::PathReturned));
  // Make before break: nothing is lost.
  EXPECT_LE(world.down().longest_pause(back, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  expect_moved(world, world.wifi_address());
}

TEST(FadingWifi, NothingHappensWhenItIsTurnedOff) {
  Stage stage = two_networks();
  stage.ip_change.leave_dead_paths = false;
  World world(stage);
  world.call_peer();
  ASSERT_TRUE(world.confirmed());
  darken(world, world.wifi);
  world.run_for(seconds(20));
  EXPECT_EQ(generations(world), 0U);
  EXPECT_EQ(probes(world), 0U);
}

TEST(FadingWifi, BothDeadTheCallStaysAndIsAskedAboutLessAndLessOften) {
  World world(two_networks());
  world.call_peer();
  darken(world, world.wifi);
  darken(world, world.lte);
  const TimePoint from = world.now();
  world.run_for(seconds(100));
  EXPECT_EQ(generations(world), 0U) << "moving would win nothing";
  EXPECT_TRUE(world.confirmed());
  // Rounds after 0.2, 6, 17, 38 and 79 s, of two requests with a few repetitions.
  EXPECT_LE(probes(world, from), 60U);
  EXPECT_GE(probes(world, from), 10U);
  darken(world, world.lte, false);
  world.run_for(seconds(125));
  EXPECT_EQ(generations(world), 1U);
  expect_moved(world, world.lte_address());
}

TEST(FadingWifi, ASecondNetworkThatComesLaterIsTakenAtOnce) {
  World world;
  world.call_peer();
  darken(world, world.wifi);
  world.run_for(seconds(20));
  EXPECT_EQ(generations(world), 0U) << "nowhere to go";
  EXPECT_EQ(probes(world), 0U);
  const TimePoint changed = world.now();
  world.lte_comes();
  world.run_for(milliseconds(600));
  EXPECT_GE(generations(world), 1U);
  const auto& heard = world.up().packets();
  const auto first = std::find_if(heard.begin(), heard.end(), [&](const auto& packet) {
    return packet.source.address == world.lte_address();
  });
  ASSERT_NE(first, heard.end());
  EXPECT_LE(first->at - changed, milliseconds(400));
  world.run_for(seconds(3));
  expect_moved(world, world.lte_address());
}

TEST(FadingWifi, AnotherNetworkOnItIsAnotherChance) {
  World world(two_networks());
  world.call_peer();
  darken(world, world.wifi);
  world.run_for(seconds(4));
  world.expect_audio(world.lte_address());
  world.wifi_goes();
  world.run_for(seconds(1));
  darken(world, world.wifi, false);
  world.wifi_comes();
  world.run_for(seconds(3));
  expect_moved(world, world.wifi_address());
}

// --- what only looks like it ---

TEST(FalseAlarm, NoneMovesACallInAnHourOfLossAndJitter) {
  Stage stage = two_networks(42);
  stage.expires = seconds(3600);
  World world(stage);
  world.call_peer();
  world.set_loss(0.05);
  for (const std::uint32_t interface : {world.wifi, world.lte}) {
    world.phone_host.up_link(interface).jitter = milliseconds(150);
    world.phone_host.down_link(interface).jitter = milliseconds(150);
  }
  const TimePoint from = world.now();
  world.run_for(std::chrono::hours(1));
  EXPECT_EQ(generations(world), 0U);
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.sent_sip("INVITE", from).empty());
  std::printf("an hour at 5 %% loss and 150 ms jitter: %zu OPTIONS, no switch\n",
              probes(world, from));
  EXPECT_LE(probes(world, from), 1'000U);
}

TEST(FalseAlarm, GapsOfARadioThatScansMoveNothing) {
  World world(two_networks(3));
  world.call_peer();
  const TimePoint from = world.now();
  for (int scan = 0; scan < 60; ++scan) {
    world.run_for(seconds(4));
    darken(world, world.wifi);
    world.run_for(milliseconds(180 + scan));
    darken(world, world.wifi, false);
  }
  EXPECT_EQ(generations(world), 0U);
  EXPECT_TRUE(world.sent_sip("INVITE", from).empty());
}

TEST(FalseAlarm, APeerThatSuppressesSilenceCostsFewQuestionsAndNoMove) {
  for (const double loss : {0.0, 0.05}) {
    World world(two_networks(7));
    world.call_peer();
    world.set_loss(loss);
    const TimePoint from = world.now();
    for (int word = 0; word < 300; ++word) {
      world.peer.media().mute(word % 2 == 0);
      world.run_for(milliseconds(300 + 370 * (word % 7)));
    }
    EXPECT_EQ(generations(world), 0U);
    EXPECT_TRUE(world.sent_sip("INVITE", from).empty());
    // 400 s of talk. Each round is two requests, with repetitions where some are lost.
    EXPECT_LE(probes(world, from), 300U);
  }
}

TEST(FalseAlarm, APeerThatIsSilentForGoodIsAskedAboutLessAndLessOften) {
  World world(two_networks());
  world.call_peer();
  const TimePoint from = world.now();
  world.peer.media().mute(true);
  world.run_for(seconds(600));
  EXPECT_EQ(generations(world), 0U);
  EXPECT_LE(probes(world, from), 80U);
  // And a path that dies meanwhile is still found out.
  darken(world, world.wifi);
  world.run_for(seconds(40));
  EXPECT_EQ(generations(world), 1U);
}

TEST(FalseAlarm, OnHoldNothingIsExpected) {
  World world(two_networks());
  world.call_peer();
  world.peer.reinvite("sendonly");
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  const TimePoint from = world.now();
  world.peer.media().mute(true);
  world.run_for(seconds(60));
  EXPECT_EQ(probes(world, from), 0U);
  EXPECT_EQ(generations(world), 0U);
}

TEST(FalseAlarm, AServerThatShutsUsOutOfOneNetworkMovesNobodyElse) {
  Stage stage = two_networks();
  TwoServers two(stage, 5060, {"second.example"});
  World& world = two.world;
  AccountConfig other = world.account_config();
  other.aor = "sip:alice@second.example";
  other.registrar = "sip:" + two.second_address().to_uri_host();
  const AccountId second = *world.phone.add_account(other);
  world.call_peer();
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(second) == RegistrationState::Registered; },
      seconds(5)));
  // From wifi it is deaf, e.g. because it has blocked that address; from lte it answers.
  world.network.add_filter([&](const SimulatedPacket& packet) -> std::optional<Duration> {
    const bool blocked = packet.destination.address == two.second_address() &&
                         packet.source.address == world.wifi_address();
    return blocked ? std::nullopt : std::optional(Duration::zero());
  });
  world.run_for(seconds(120));
  EXPECT_EQ(generations(world), 0U);
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
}

TEST(FalseAlarm, AServerThatIsAwayIsNoReasonToMove) {
  // The peer's audio comes straight from it, but it pauses; the server answers nobody.
  World world(two_networks());
  world.call_peer();
  world.server->misbehave(
      {.kind = Misbehaviour::Kind::Ignore, .method = "OPTIONS", .times = 1'000});
  world.peer.media().mute(true);
  world.run_for(seconds(3));
  world.peer.media().mute(false);
  world.run_for(seconds(30));
  EXPECT_EQ(generations(world), 0U);
  world.expect_audio(world.wifi_address());
}

TEST(FalseAlarm, ACallThatIsHeardShowsThatThePathIsWell) {
  World world(two_networks());
  world.call_peer();
  const CallId first = world.call_id();
  (void)first;
  const TimePoint from = world.now();
  world.peer.media().mute(true);
  world.run_for(milliseconds(150));
  world.peer.media().mute(false);
  world.run_for(seconds(2));
  EXPECT_EQ(probes(world, from), 0U) << "shorter than what a Wi-Fi does in passing";
}

// --- a better network that is none ---

TEST(CaptivePortal, IsAskedFirstAndTakenWhenItCarries) {
  World world(two_networks());
  world.call_peer();
  darken(world, world.lte);
  const TimePoint changed = world.now();
  world.prefer_lte();
  world.run_for(seconds(20));
  EXPECT_EQ(generations(world), 0U);
  EXPECT_TRUE(world.sent_sip("REGISTER", changed).empty());
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty()) << "the peer is not troubled with it";
  EXPECT_LE(world.down().longest_pause(changed, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  const auto warnings = world.phone.all<Warning>();
  EXPECT_TRUE(std::any_of(warnings.begin(), warnings.end(), [](const Warning& warning) {
    return warning.text.find("is not taken") != std::string::npos;
  }));
  // Asked again after 5, 10, 20 … s; the user has logged in meanwhile.
  darken(world, world.lte, false);
  world.run_for(seconds(30));
  ASSERT_EQ(world.phone.reports().size(), 1U);
  EXPECT_TRUE(has_cause(world.phone.reports()[0], ChangeCause::PathReturned));
  EXPECT_LE(world.down().longest_pause(changed, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  expect_moved(world, world.lte_address());
}

TEST(CaptivePortal, WhenTheOldNetworkGoesItIsAllThereIs) {
  World world(two_networks());
  world.call_peer();
  darken(world, world.lte);
  world.prefer_lte();
  world.run_for(seconds(5));
  EXPECT_EQ(generations(world), 0U);
  darken(world, world.lte, false);
  world.wifi_goes();
  world.run_for(seconds(3));
  expect_moved(world, world.lte_address());
}

TEST(CaptivePortal, WithoutProofTheCallIsOfferedThereAtOnce) {
  Stage stage = two_networks();
  stage.ip_change.prove_new_paths = false;
  World world(stage);
  world.call_peer();
  const TimePoint changed = world.now();
  world.prefer_lte();
  world.run_for(milliseconds(20));
  EXPECT_EQ(world.sent_sip("INVITE", changed).size(), 1U);
  EXPECT_EQ(probes(world), 0U);
  world.run_for(seconds(3));
  expect_moved(world, world.lte_address());
}

}  // namespace
}  // namespace godwit::scenario
