// SPDX-License-Identifier: Apache-2.0
// The moments of design §5: the address changes while something is under way.
#include <set>

#include "figures.hpp"

namespace godwit::scenario {
namespace {

/// Lets the peer's 64·T1 pass: a call that only seems to live is ended by it in that time.
void outlive_the_peers_patience(World& world) {
  world.run_for(seconds(40));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed) << world.peer.end_reason();
  EXPECT_TRUE(world.settled());
}

bool is_ack(const SimulatedPacket& packet) { return packet.bytes.starts_with("ACK "); }

struct PendingCase {
  int delay_ms;  ///< From the request to the change; the peer is 25 ms away.
  bool strict;   ///< The peer refuses a re-INVITE before the ACK to its last 2xx.
};
void PrintTo(const PendingCase& c, std::ostream* out) {
  *out << c.delay_ms << " ms" << (c.strict ? ", strict" : "");
}

class OurReinvitePending : public ::testing::TestWithParam<PendingCase> {};

TEST_P(OurReinvitePending, SurvivesWithItsWish) {
  Stage stage;
  stage.refuse_before_ack = GetParam().strict;
  World world(stage);
  world.call_peer();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(milliseconds(GetParam().delay_ms));
  world.move_to_lte();
  outlive_the_peers_patience(world);
  const MockSdp& last = world.peer.remote_sdps().back();
  EXPECT_EQ(last.rtp.address, world.lte_address());
  EXPECT_FALSE(last.wants_audio()) << "the hold was lost on the way";
  EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_us);
  ASSERT_TRUE(world.phone.resume(world.call_id()));
  world.run_for(seconds(2));
  expect_moved(world, world.lte_address());
}

INSTANTIATE_TEST_SUITE_P(Moments, OurReinvitePending,
                         ::testing::Values(PendingCase{0, false}, PendingCase{10, false},
                                           PendingCase{24, false}, PendingCase{26, false},
                                           PendingCase{35, false}, PendingCase{49, false},
                                           PendingCase{51, false}, PendingCase{10, true},
                                           PendingCase{26, true}, PendingCase{35, true},
                                           PendingCase{49, true}, PendingCase{51, true}));

TEST(PendingScenario, OurReinviteUnansweredByASlowPeer) {
  // The peer thinks for 3 s; the change comes after 1 s and cancels what it has not answered.
  World world;
  world.call_peer();
  world.peer.script("re-INVITE", {.delay = seconds(3)});
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  world.move_to_lte();
  outlive_the_peers_patience(world);
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  EXPECT_FALSE(world.peer.remote_sdps().back().wants_audio());
}

class PeersReinvitePending : public ::testing::TestWithParam<PendingCase> {};

TEST_P(PeersReinvitePending, Survives) {
  World world;
  world.call_peer();
  world.peer.reinvite("sendonly");
  world.run_for(milliseconds(GetParam().delay_ms));
  world.move_to_lte();
  outlive_the_peers_patience(world);
  // Whoever won, the peer knows where we are; its hold may have to be asked for again.
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  world.peer.reinvite("sendrecv");
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.last_status("INVITE"), 200);
  expect_moved(world, world.lte_address());
}

INSTANTIATE_TEST_SUITE_P(Moments, PeersReinvitePending,
                         ::testing::Values(PendingCase{5, false}, PendingCase{24, false},
                                           PendingCase{26, false}, PendingCase{40, false},
                                           PendingCase{51, false}, PendingCase{60, false},
                                           PendingCase{74, false}, PendingCase{76, false}));

TEST(PendingScenario, PeersUpdatePending) {
  for (const int delay : {5, 26, 40, 51}) {
    SCOPED_TRACE(delay);
    World world;
    world.call_peer();
    world.peer.update("sendonly");
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    outlive_the_peers_patience(world);
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  }
}

TEST(PendingScenario, TheAckIsLostJustBeforeTheChange) {
  for (const int delay : {0, 5, 30, 300}) {
    for (const bool strict : {false, true}) {
      SCOPED_TRACE(delay);
      SCOPED_TRACE(strict);
      Stage stage;
      stage.refuse_before_ack = strict;
      World world(stage);
      world.phone.play_to_all(440);
      world.register_phone();
      world.network.lose_next(is_ack);
      ASSERT_TRUE(world.phone.call(world.account, "bob"));
      ASSERT_TRUE(world.run_until(
          [&] { return world.phone.state(world.call_id()) == CallState::Confirmed; }, seconds(5)));
      world.run_for(milliseconds(delay));
      world.move_to_lte();
      outlive_the_peers_patience(world);
      expect_moved(world, world.lte_address());
    }
  }
}

TEST(PendingScenario, OurAnswerWaitsForItsAck) {
  // We are called, answer, and move before the peer's ACK is here; it goes to the old address.
  for (const int delay : {0, 10, 26, 40, 49, 51}) {
    SCOPED_TRACE(delay);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.call("sip:alice@example.org");
    world.run_for(milliseconds(100));
    ASSERT_TRUE(world.phone.answer(world.call_id()));
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    outlive_the_peers_patience(world);
    expect_moved(world, world.lte_address());
  }
}

TEST(PendingScenario, ARegistrationIsInFlight) {
  for (const int delay : {0, 10, 26, 49, 51}) {
    for (const bool first : {false, true}) {
      SCOPED_TRACE(delay);
      SCOPED_TRACE(first);
      World world;
      if (first) {
        world.account = *world.phone.add_account(world.account_config());
      } else {
        world.register_phone();
        world.run_for(seconds(1));
        ASSERT_TRUE(world.phone.register_account(world.account));
      }
      world.run_for(milliseconds(delay));
      world.move_to_lte();
      world.run_for(seconds(3));
      EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
      const auto contacts = world.server.contacts("alice");
      ASSERT_EQ(contacts.size(), 1U);
      EXPECT_NE(contacts[0].find(world.lte_address().to_string()), std::string::npos);
      world.run_for(seconds(40));
      EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered)
          << "the dead request's timeout is nobody's business any more";
      EXPECT_TRUE(world.settled());
    }
  }
}

TEST(PendingScenario, OurByeIsInFlight) {
  for (const int delay : {0, 10, 26, 49}) {
    SCOPED_TRACE(delay);
    World world;
    world.call_peer();
    const CallId call = world.call_id();
    ASSERT_TRUE(world.phone.hang_up(call));
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    world.run_for(seconds(40));
    EXPECT_TRUE(world.phone.ended(call));
    EXPECT_EQ(world.peer.end_reason(), "BYE received");
    EXPECT_EQ(world.phone.engines(), 0U);
    EXPECT_TRUE(world.settled());
  }
}

TEST(PendingScenario, ACallIsRingingHere) {
  for (const int answer_after : {20, 500, 5000}) {
    SCOPED_TRACE(answer_after);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.call("sip:alice@example.org");
    world.run_for(milliseconds(100));
    ASSERT_TRUE(world.phone.ring(world.call_id()));
    world.run_for(seconds(1));
    world.move_to_lte();
    world.run_for(milliseconds(answer_after));
    ASSERT_TRUE(world.phone.answer(world.call_id()));
    outlive_the_peers_patience(world);
    expect_moved(world, world.lte_address());
  }
}

TEST(PendingScenario, ACallIsRingingThere) {
  for (const int delay : {10, 60, 1000}) {
    SCOPED_TRACE(delay);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.script("INVITE", {.delay = seconds(60), .ring = true});
    world.peer.script("INVITE", {.delay = seconds(3), .ring = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; },
                                seconds(20)))
        << (world.phone.ended(call) ? world.phone.ended(call)->reason : "");
    outlive_the_peers_patience(world);
    EXPECT_EQ(world.call_id(), call) << "one call to our user";
    expect_moved(world, world.lte_address());
  }
}

TEST(PendingScenario, ACallIsPlacedInTheInstantTheAddressGoes) {
  // The kernel refuses the INVITE before the snapshot that explains why has been read.
  World world;
  world.phone.play_to_all(440);
  world.register_phone();
  world.move_to_lte();
  const CallId call = *world.phone.call(world.account, "bob");
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; }, seconds(5)))
      << (world.phone.ended(call) ? world.phone.ended(call)->reason : "");
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
}

TEST(PendingScenario, ALostRequestOfARecoveryIsSentAgainAfterTwoRoundTrips) {
  // RTT 50 ms: T1 is 100 ms instead of 500 (docs/adr/0004).
  World world;
  world.call_peer();
  world.network.lose_next(
      [](const SimulatedPacket& packet) { return packet.bytes.starts_with("INVITE "); });
  const TimePoint moved_at = world.now();
  world.move_to_lte();
  world.run_for(seconds(2));
  const auto invites = world.sent_sip("INVITE ", moved_at);
  ASSERT_GE(invites.size(), 2U);
  EXPECT_NEAR(to_ms(invites[1].at - invites[0].at), 100, 15);
  const IpChangeReport report = world.phone.last<IpChangeCompleted>()->report;
  ASSERT_EQ(report.calls.size(), 1U);
  EXPECT_LE(*report.calls[0].silence_down, milliseconds(200));
  expect_moved(world, world.lte_address());
}

TEST(PendingScenario, TheAnswerToOurCallIsLost) {
  // The callee answers at the moment of the change: its 200 goes to the old address, and the CANCEL
  // comes too late. As it rang before we know its tag, and a re-INVITE makes that dialog the call.
  for (const int delay : {1026, 1030, 1049}) {
    SCOPED_TRACE(delay);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.script("INVITE", {.delay = seconds(1), .ring = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; },
                                seconds(10)));
    outlive_the_peers_patience(world);
    EXPECT_EQ(world.call_id(), call) << "one call to our user";
    EXPECT_EQ(world.peer.requests("BYE").size(), 0U);
    std::set<std::string> dialogs;
    for (const auto& invite : world.peer.requests("INVITE"))
      dialogs.insert(invite.message.first("Call-ID"));
    EXPECT_EQ(dialogs.size(), 1U) << "the callee saw one call";
    expect_moved(world, world.lte_address());
    ASSERT_TRUE(world.phone.hang_up(call));
    world.run_for(seconds(1));
    EXPECT_EQ(world.peer.end_reason(), "BYE received");
  }
}

TEST(PendingScenario, ASecondChangeWhileItIsAskedWhetherItWasAnswered) {
  for (const int second : {10, 40, 60, 90, 130}) {
    SCOPED_TRACE(second);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.script("INVITE", {.delay = seconds(1), .ring = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(milliseconds(1030));
    world.move_to_lte();
    world.run_for(milliseconds(second));
    world.move_to_wifi();
    ASSERT_TRUE(world.run_until(
        [&] { return world.phone.state(call) == CallState::Confirmed || world.phone.ended(call); },
        seconds(20)));
    EXPECT_FALSE(world.phone.ended(call)) << world.phone.ended(call)->reason;
    outlive_the_peers_patience(world);
    world.expect_audio(world.wifi_address());
  }
}

TEST(PendingScenario, TheUserHangsUpWhileItIsAskedWhetherItWasAnswered) {
  World world;
  world.register_phone();
  world.peer.script("INVITE", {.delay = seconds(1), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(milliseconds(1030));
  world.move_to_lte();
  world.run_for(milliseconds(60));
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(40));
  EXPECT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended) << "the callee is told";
  EXPECT_EQ(world.phone.engines(), 0U);
  EXPECT_TRUE(world.phone.idle());
}

TEST(PendingScenario, BothSidesHoldAtOnce) {
  // 491 on both sides (RFC 3261 §14.1): each waits its own time, and both get through.
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    Stage stage;
    stage.seed = seed;
    World world(stage);
    world.call_peer();
    ASSERT_TRUE(world.phone.hold(world.call_id()));
    world.peer.reinvite("sendrecv");
    world.run_for(milliseconds(200));
    EXPECT_EQ(world.peer.last_status("INVITE"), 491);
    world.run_for(seconds(5));
    EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_us);
    EXPECT_FALSE(world.peer.remote_sdps().back().wants_audio());
    world.peer.reinvite("sendrecv");
    world.run_for(seconds(1));
    EXPECT_EQ(world.peer.last_status("INVITE"), 200);
    ASSERT_TRUE(world.phone.resume(world.call_id()));
    world.run_for(seconds(2));
    world.expect_audio(world.wifi_address());
  }
}

TEST(PendingScenario, TheAnswerIsLostAndNeverRang) {
  // Nothing tells us the tag of the callee's 200. It is called anew; a phone with one line is busy
  // with us until it has waited 32 s for our ACK.
  World world;
  world.register_phone();
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(milliseconds(30));
  world.move_to_lte();
  world.run_for(seconds(10));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 486);
  EXPECT_EQ(world.phone.engines(), 0U);
  world.run_for(seconds(60));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended);
  EXPECT_TRUE(world.settled());
}

TEST(PendingScenario, ThePeerRefusesTheMove) {
  struct Refusal {
    int status;
    std::uint32_t times;
  };
  for (const Refusal refusal : {Refusal{491, 3}, Refusal{500, 3}}) {
    SCOPED_TRACE(refusal.status);
    World world;
    world.call_peer();
    for (std::uint32_t i = 0; i < refusal.times; ++i) {
      world.peer.script("re-INVITE", {.status = refusal.status});
    }
    world.move_to_lte();
    outlive_the_peers_patience(world);
    expect_moved(world, world.lte_address());
  }
}

TEST(PendingScenario, ThePeerRefusesForGood) {
  for (const int status : {403, 481, 488, 603}) {
    SCOPED_TRACE(status);
    World world;
    world.call_peer();
    const CallId call = world.call_id();
    world.peer.always("re-INVITE", {.status = status});
    world.move_to_lte();
    world.run_for(seconds(40));
    ASSERT_TRUE(world.phone.ended(call)) << "neither audio nor an end";
    EXPECT_NE(world.phone.ended(call)->reason.find("network change"), std::string::npos)
        << world.phone.ended(call)->reason;
    EXPECT_TRUE(world.settled());
    EXPECT_FALSE(world.phone.reports().back().calls.front().survived);
  }
}

TEST(PendingScenario, ARefusedMoveLeavesTheLivingOldPath) {
  // Make-before-break: 488 to the offer from the new path; the old one still carries the call.
  Stage stage;
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  world.peer.always("re-INVITE", {.status = 488});
  world.prefer_lte();
  world.run_for(seconds(10));
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.settled());
  world.expect_audio(world.wifi_address());
}

TEST(PendingScenario, ThePeerNeverAnswersTheMove) {
  World world;
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.always("re-INVITE", {.ignore = true});
  world.move_to_lte();
  world.run_for(seconds(120));
  // A new dialog takes the call over (RFC 3891): it has audio, or an end.
  EXPECT_FALSE(world.phone.ended(call));
  world.expect_audio(world.lte_address());
  EXPECT_TRUE(world.settled());
}

}  // namespace
}  // namespace godwit::scenario
