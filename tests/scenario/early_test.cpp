// SPDX-License-Identifier: Apache-2.0
// Before the answer: early media in both directions, reliable provisional responses (RFC 3262),
// late offers, and an address change in the middle of it.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

Stage reliable_stage(bool reliable = true, bool insist = false, bool late_offer = false) {
  Stage stage;
  stage.peer.reliable = reliable;
  stage.peer.insist_on_reliable = insist;
  stage.peer.late_offer = late_offer;
  return stage;
}

/// The peer calls us; the call waits.
CallId called(World& world) {
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  EXPECT_TRUE(world.run_until([&] { return !world.phone.calls().empty(); }, seconds(5)));
  world.run_for(milliseconds(100));
  return world.call_id();
}

void expect_talk_and_hang_up(World& world) {
  world.run_for(seconds(1));
  ASSERT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed) << world.peer.end_reason();
  world.run_for(seconds(40));
  EXPECT_TRUE(world.confirmed()) << "64*T1 later";
  world.expect_audio(world.wifi_address());
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
  EXPECT_TRUE(world.peer.complaints().empty());
}

TEST(EarlyScenario, AnIntercomSendsEarlyMedia) {
  for (const bool reliable : {false, true}) {
    SCOPED_TRACE(reliable);
    World world(reliable_stage(reliable));
    const CallId call = called(world);
    ASSERT_TRUE(world.phone.progress(call));
    world.run_for(milliseconds(200));
    EXPECT_EQ(world.phone.state(call), CallState::EarlyMedia);
    const TimePoint from = world.now();
    world.run_for(seconds(1));
    EXPECT_GE(world.facts.sent("phone").count(from, world.now()), 48U) << "audio before the answer";
    EXPECT_EQ(world.peer.requests("PRACK").size(), 0U);
    EXPECT_EQ(world.peer.last_status("PRACK"), reliable ? 200 : 0);
    ASSERT_TRUE(world.phone.answer(call));
    expect_talk_and_hang_up(world);
    const auto answers = world.sent_sip("SIP/2.0 200 OK");
    std::size_t with_sdp = 0;
    for (const auto& sent : answers) {
      if (sent.message.cseq_method() == "INVITE" && !sent.message.body.empty()) ++with_sdp;
    }
    EXPECT_EQ(with_sdp, reliable ? 0U : 1U) << "the answer went in the reliable 183";
    const auto early = world.sent_sip("SIP/2.0 183");
    ASSERT_FALSE(early.empty());
    if (!reliable) {
      for (const auto& sent : answers) {
        if (sent.message.cseq_method() == "INVITE") {
          EXPECT_EQ(sent.message.body, early.front().message.body) << "the preview, exactly";
        }
      }
    }
  }
}

TEST(EarlyScenario, EarlyMediaWithoutAnySignOfTheCallerEndsByItself) {
  World world(reliable_stage(false));
  const CallId call = called(world);
  ASSERT_TRUE(world.phone.progress(call));
  world.run_for(seconds(40));
  const auto sent = world.facts.sent("phone").packets().size();
  world.run_for(seconds(2));
  const auto later = world.facts.sent("phone").packets().size();
  // The mock peer sends only what it has agreed on, which an unanswered INVITE has not.
  EXPECT_EQ(later, sent);
  EXPECT_TRUE(world.phone.state(call) == CallState::EarlyMedia);
}

TEST(EarlyScenario, WrongUsesOfProgressAreRefused) {
  World world(reliable_stage());
  const CallId call = called(world);
  for (const int status : {0, 100, 200, 486}) EXPECT_FALSE(world.phone.progress(call, status));
  EXPECT_FALSE(world.phone.progress(CallId{99}));
  ASSERT_TRUE(world.phone.answer(call));
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.progress(call));
}

TEST(EarlyScenario, ACallerWhoInsistsGetsReliableRingingAndAnAnswer) {
  for (const bool late_offer : {false, true}) {
    SCOPED_TRACE(late_offer);
    World world(reliable_stage(true, true, late_offer));
    const CallId call = called(world);
    ASSERT_TRUE(world.phone.ring(call));
    world.run_for(milliseconds(300));
    EXPECT_EQ(world.peer.last_status("PRACK"), 200);
    ASSERT_TRUE(world.phone.answer(call));
    expect_talk_and_hang_up(world);
  }
}

TEST(EarlyScenario, EarlyMediaRightAfterReliableRingingIsNotLost) {
  World world(reliable_stage(true, true));
  const CallId call = called(world);
  ASSERT_TRUE(world.phone.ring(call));
  world.run_for(milliseconds(1));
  ASSERT_TRUE(world.phone.progress(call)) << "the ringing is not acknowledged yet";
  world.run_for(milliseconds(300));
  EXPECT_EQ(world.phone.state(call), CallState::EarlyMedia);
  const auto early = world.sent_sip("SIP/2.0 183");
  ASSERT_FALSE(early.empty());
  EXPECT_FALSE(early.front().message.body.empty());
  ASSERT_TRUE(world.phone.answer(call));
  expect_talk_and_hang_up(world);
}

TEST(EarlyScenario, ALateOfferIsAnsweredInPrackOrAck) {
  for (const bool reliable : {false, true}) {
    SCOPED_TRACE(reliable);
    World world(reliable_stage(reliable, false, true));
    const CallId call = called(world);
    ASSERT_TRUE(world.phone.progress(call));
    world.run_for(milliseconds(300));
    EXPECT_EQ(world.phone.state(call), reliable ? CallState::EarlyMedia : CallState::Ringing);
    ASSERT_TRUE(world.phone.answer(call));
    expect_talk_and_hang_up(world);
  }
}

TEST(EarlyScenario, WithoutPrackTheCallIsGivenUp) {
  World world(reliable_stage());
  const CallId call = called(world);
  world.peer.withhold_pracks(true);
  ASSERT_TRUE(world.phone.progress(call));
  world.run_for(seconds(30));
  EXPECT_FALSE(world.phone.ended(call));
  world.run_for(seconds(5));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 504);
  EXPECT_EQ(world.peer.end_reason(), "refused with 504");
  EXPECT_EQ(world.phone.engines(), 0U);
}

TEST(EarlyScenario, AnAnswerDuringAPendingPrackWaitsForIt) {
  World world(reliable_stage());
  const CallId call = called(world);
  world.network.lose_next(
      [](const SimulatedPacket& packet) { return packet.bytes.starts_with("PRACK "); });
  ASSERT_TRUE(world.phone.progress(call));
  ASSERT_TRUE(world.phone.answer(call));
  expect_talk_and_hang_up(world);
}

TEST(EarlyScenario, TheCalleesReliable183IsAcknowledgedAndItsAudioHeard) {
  for (const bool reliable : {false, true}) {
    SCOPED_TRACE(reliable);
    World world(reliable_stage(reliable));
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.script("INVITE", {.delay = seconds(3), .early_media = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(seconds(1));
    EXPECT_EQ(world.phone.state(call), CallState::EarlyMedia);
    EXPECT_EQ(world.peer.requests("PRACK").size(), reliable ? 1U : 0U);
    EXPECT_FALSE(world.peer.awaits_prack());
    EXPECT_GE(world.down().count(world.now() - milliseconds(500), world.now()), 20U);
    world.run_for(seconds(3));
    expect_talk_and_hang_up(world);
  }
}

TEST(EarlyScenario, TheCallerChangesTheSessionBeforeTheAnswer) {
  World world(reliable_stage());
  const CallId call = called(world);
  ASSERT_TRUE(world.phone.progress(call));
  world.run_for(milliseconds(300));
  world.peer.update("sendonly");
  world.run_for(milliseconds(300));
  EXPECT_EQ(world.peer.last_status("UPDATE"), 200);
  EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_peer);
  EXPECT_EQ(world.phone.state(call), CallState::EarlyMedia);
  world.peer.update("sendrecv");
  world.run_for(milliseconds(300));
  ASSERT_TRUE(world.phone.answer(call));
  expect_talk_and_hang_up(world);
}

TEST(EarlyScenario, AnUpdateBeforeAnyAgreementIsRefused) {
  World world(reliable_stage(true, true));
  const CallId call = called(world);
  ASSERT_TRUE(world.phone.ring(call));  // Reliable, so the caller has a dialog; but no answer yet.
  world.run_for(milliseconds(300));
  world.peer.update("sendonly");
  world.run_for(milliseconds(300));
  EXPECT_EQ(world.peer.last_status("UPDATE"), 500);
  ASSERT_TRUE(world.phone.answer(call));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
}

/// The change strikes so long after progress(); the caller is 25 ms away.
class MoveWhileEarly : public ::testing::TestWithParam<int> {};

TEST_P(MoveWhileEarly, AnUnacknowledged183AndTheCallSurvive) {
  for (const bool update : {false, true}) {
    SCOPED_TRACE(update);
    Stage stage = reliable_stage();
    stage.peer.allow_update = update;
    World world(stage);
    const CallId call = called(world);
    ASSERT_TRUE(world.phone.progress(call));
    world.run_for(milliseconds(GetParam()));
    world.move_to_lte();
    world.run_for(seconds(3));
    EXPECT_EQ(world.phone.state(call), CallState::EarlyMedia);
    ASSERT_TRUE(world.phone.answer(call));
    world.run_for(seconds(40));
    ASSERT_TRUE(world.confirmed());
    EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed) << world.peer.end_reason();
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
    world.expect_audio(world.lte_address());
    EXPECT_TRUE(world.settled());
  }
}

INSTANTIATE_TEST_SUITE_P(Moments, MoveWhileEarly,
                         ::testing::Values(0, 10, 24, 26, 49, 51, 74, 76, 300));

TEST(EarlyScenario, OurPrackIsPendingWhenTheAddressChanges) {
  // The callee's 183 was ours to acknowledge; the INVITE itself is called anew (design §5).
  for (const int delay : {55, 70, 90, 120, 1000}) {
    SCOPED_TRACE(delay);
    World world(reliable_stage());
    world.phone.play_to_all(440);
    world.register_phone();
    world.peer.script("INVITE", {.delay = seconds(30), .early_media = true});
    world.peer.script("INVITE", {.delay = seconds(1), .early_media = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; },
                                seconds(20)))
        << (world.phone.ended(call) ? world.phone.ended(call)->reason : "");
    world.run_for(seconds(40));
    EXPECT_TRUE(world.confirmed());
    world.expect_audio(world.lte_address());
  }
}

}  // namespace
}  // namespace godwit::scenario
