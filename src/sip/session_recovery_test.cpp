// SPDX-License-Identifier: Apache-2.0
//
// The operations of a recovery, in the moments that design §5 names: a re-INVITE, an ACK, a 2xx or
// a first INVITE is under way when Alice's first address dies.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::Method;

class Recovery : public CallFixture {
 protected:
  void lose_address() { world.kill(alice, 0); }
  void move(InviteSession& session) { session.move_flow(to_bob(1), alice.contact(1)); }
};

TEST_F(Recovery, IdleCall) {
  establish();
  lose_address();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run();
  EXPECT_EQ(alice.events, (Lines{"AnswerReceived(b2)", "RefreshDone INVITE 200"}));
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a2)", "bob 100 INVITE", "bob 200 INVITE(b2)", "alice ACK"}));
}

TEST_F(Recovery, OurReInviteHadBeenAnswered) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(12));
  lose_address();  // Bob has the re-INVITE; his answer does not arrive.
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(100));
  EXPECT_EQ(bob.session().awaits_ack(), true);
  clear();

  move(alice.session());
  alice.session().abandon_pending(world.now);
  EXPECT_FALSE(alice.session().refresh_pending());
  EXPECT_EQ(alice.session().offer_answer().in_doubt(), sdp("a2", 2));
  world.run(milliseconds(50));
  // The blind ACK is what keeps Bob from ending the call 64*T1 after his 2xx.
  EXPECT_EQ(bob.events, (Lines{"AckReceived"}));
  EXPECT_EQ(world.sent(), (Lines{"alice CANCEL", "alice ACK", "bob 200 CANCEL"}));
  const auto ack = world.all("alice", "ACK").at(0);
  EXPECT_NE(ack->raw().find("10.2.0.2"), std::string::npos) << "a Via of the new place";
  const auto cancel = world.all("alice", "CANCEL").at(0);
  EXPECT_NE(wire::top_via_text(*cancel).find("10.1.0.2"), std::string::npos) << "the frozen Via";

  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a3", 3)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b3", 3), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events,
            (Lines{"CancelAnswered 200", "AnswerReceived(b3)", "RefreshDone INVITE 200"}));
  EXPECT_FALSE(alice.session().offer_answer().in_doubt());
  clear();
  world.run(seconds(60));
  EXPECT_EQ(world.sent(), Lines{}) << "an answered refresh ends the blind ACK";
  EXPECT_EQ(alice.events, Lines{}) << "nor is the dialog told of the abandoned INVITE's end";
}

TEST_F(Recovery, OurReInviteWaitsForItsAnswer) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"OfferWithdrawn"}));
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a3", 3)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b3", 3), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "RefreshDone INVITE 200");
  EXPECT_EQ(alice.session().offer_answer().current()->local, sdp("a3", 3));
}

TEST_F(Recovery, OurReInviteWasLost) {
  establish();
  world.drop("INVITE");
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"CancelAnswered 481"}));
  EXPECT_EQ(bob.events, Lines{}) << "a blind ACK means nothing to a peer that sent no 2xx";
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a3", 3)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b3", 3), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "RefreshDone INVITE 200");
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(Recovery, BlindAckFollowsItsScheduleTo32Seconds) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  world.kill(bob, 0);
  clear();
  alice.session().abandon_pending(world.now);
  const TimePoint start = world.now;
  std::vector<double> times;
  for (int step = 0; step < 400; ++step) {
    const std::size_t before = world.all("alice", "ACK").size();
    world.run(milliseconds(100));
    if (world.all("alice", "ACK").size() != before)
      times.push_back(to_ms(world.now - start) / 1000);
  }
  EXPECT_EQ(times,
            (std::vector<double>{0.1, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}));
}

TEST_F(Recovery, BlindAckGoesAlongWithASecondMove) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(12));
  world.drop("200 INVITE", 100);
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  lose_address();
  move(alice.session());
  world.kill(alice, 1);  // Gone again before anything could leave …
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(100));
  EXPECT_TRUE(bob.session().awaits_ack());
  alice.dead[0] = false;  // … and the first one is back.
  alice.session().move_flow(to_bob(0), alice.contact(0));
  world.run(seconds(1));
  EXPECT_FALSE(bob.session().awaits_ack());
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(Recovery, AnswerAfterAMoveToTheOtherFamilyGoesWhereRequestsGo) {
  Party& server = world.add("server", {"[2001:db8::53]:5060"});
  stranger_invites("six", "Contact: <sip:x@10.1.0.2>\r\n");
  world.run(milliseconds(1));
  InviteSession& session = bob.session();
  Flow v6;
  v6.listener = ListenerId{2};
  v6.local = *Endpoint::parse("[2001:db8::9]:5060");
  v6.remote = server.endpoints[0];
  session.move_flow(v6, "sip:bob@[2001:db8::9]:5060");
  ASSERT_TRUE(session.accept(sdp("b1"), world.now));
  std::optional<Transmit> last;
  while (auto out = bob.layer.poll_transmit()) last = out;
  ASSERT_TRUE(last);
  EXPECT_EQ(last->flow.remote, server.endpoints[0]) << "not to the Via, which is IPv4";
  EXPECT_EQ(last->flow.local, v6.local);
  EXPECT_NE(last->bytes.find("Contact: <sip:bob@[2001:db8::9]:5060>"), std::string::npos);
}

TEST_F(Recovery, NoBlindAckForAReInviteWithoutOffer) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, std::nullopt), world.now));
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(100));
  EXPECT_EQ(world.all("alice", "ACK").size(), 0U) << "it would owe an answer";
  EXPECT_EQ(world.all("alice", "CANCEL").size(), 1U);
}

TEST_F(Recovery, LateAnswerToAnAbandonedReInviteIsAcknowledged) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, std::nullopt), world.now));
  world.run(milliseconds(50));
  world.drop("CANCEL", 100);
  alice.session().abandon_pending(world.now);  // The old flow lives after all, and so its answer
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));  // arrives.
  world.run();
  EXPECT_EQ(alice.events, (Lines{"LateAnswer"}));
  EXPECT_EQ(world.all("alice", "ACK").size(), 1U);
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_TRUE(alice.session().can_refresh(Method::Invite, true));
}

TEST_F(Recovery, OurUpdatePending) {
  establish();
  world.drop("UPDATE");
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2), Method::Update), world.now));
  const std::uint32_t first = alice.session().dialog()->local_cseq;
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 1, sdp("a3", 3), Method::Update), world.now));
  EXPECT_EQ(alice.session().dialog()->local_cseq, first + 1);
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b3", 3), world.now));
  world.run(seconds(40));
  EXPECT_EQ(alice.events, (Lines{"AnswerReceived(b3)", "RefreshDone UPDATE 200"}));
}

TEST_F(Recovery, RefreshThatFailedWithItsFlowIsCaughtUpWith) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(12));
  lose_address();
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  alice.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 503"}));
  EXPECT_EQ(alice.session().offer_answer().in_doubt(), sdp("a2", 2));
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events.back(), "AckReceived");
}

TEST_F(Recovery, AckLostWithItsFlow) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK");
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  ASSERT_EQ(alice.session().state(), SessionState::Confirmed);
  ASSERT_EQ(bob.session().state(), SessionState::Answering);
  lose_address();
  clear();
  EXPECT_TRUE(alice.session().ack_is_fresh(world.now));
  move(alice.session());
  alice.session().resend_ack(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  EXPECT_EQ(world.all("alice", "ACK").size(), 1U);
  EXPECT_NE(world.all("alice", "ACK")[0]->raw().find("10.2.0.2"), std::string::npos);
  world.run(seconds(40));
  EXPECT_FALSE(alice.session().ack_is_fresh(world.now));
  clear();
  alice.session().resend_ack(world.now);
  world.run();
  EXPECT_EQ(world.sent(), Lines{}) << "too old to matter";
}

TEST_F(Recovery, AckWithAnAnswerIsSentAgainWithItsBody) {
  call(std::nullopt);
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  world.drop("ACK");
  ASSERT_TRUE(alice.session().answer_offer(sdp("a1"), world.now));
  world.run(milliseconds(5));
  lose_address();
  clear();
  move(alice.session());
  alice.session().resend_ack(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"AckReceived", "AnswerReceived(a1)"}));
}

TEST_F(Recovery, PeersReInviteIsAnsweredFromTheNewPlace) {
  establish();
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2)), world.now));
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"PeerMoved", "AnswerReceived(a2)", "RefreshDone INVITE 200"}));
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact(1));
  EXPECT_EQ(alice.events, (Lines{"AckReceived"}));
}

TEST_F(Recovery, AnsweredCallMovesBeforeTheAck) {
  // Bob answers; his 2xx is lost with his address.
  call();
  world.run(milliseconds(50));
  world.drop("200 INVITE");
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  world.kill(bob, 0);
  bob.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run(milliseconds(50));
  clear();
  bob.session().move_flow(to_alice(1), bob.contact(1));
  bob.session().hold_ack_timeout(true, world.now);
  world.run(seconds(1));
  // Alice gets the identical 2xx from the new address; her ACK goes to the Contact in it, which is
  // the old one, so that a refresh must follow.
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(bob.session().state(), SessionState::Answering);
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 1, sdp("b2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"AckReceived", "AnswerReceived(a2)", "RefreshDone INVITE 200"}));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  world.run(seconds(60));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(Recovery, AuthenticatedMediaCountsAsTheAck) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK", 100);
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  bob.session().confirm_without_ack(world.now);
  world.run(seconds(60));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  EXPECT_EQ(bob.events.back(), "AckReceived");
}

// --- the first INVITE ---

TEST_F(Recovery, RingingCallIsCancelledWithTheFrozenVia) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  lose_address();
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"alice CANCEL", "alice ACK", "bob 200 CANCEL", "bob 487 INVITE"}));
  EXPECT_EQ(alice.events, (Lines{"CancelAnswered 200"}));
  EXPECT_EQ(bob.events, (Lines{"Cancelled", "Ended 487 by peer"}));
  EXPECT_EQ(alice.session().state(), SessionState::Terminating);
  world.run(seconds(33));
  EXPECT_EQ(alice.events.back(), "Ended 0 by network");
  expect_quiet();
}

TEST_F(Recovery, CallAnsweredInThatMomentIsAdopted) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  lose_address();
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  clear();
  move(alice.session());
  const std::string tag = alice.session().early_dialogs().at(0)->id.remote_tag;
  alice.session().abandon_pending(world.now);
  EXPECT_FALSE(alice.session().adopt("unknown", world.now));
  ASSERT_TRUE(alice.session().adopt(tag, world.now));
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "RefreshDone INVITE 200");
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  world.run(seconds(60));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(Recovery, CallAnsweredInThatMomentIsEndedIfNobodyWantsIt) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  lose_address();
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  clear();
  move(alice.session());
  alice.session().abandon_pending(world.now);
  alice.session().end(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"AckReceived", "Ended 0 by peer"}));
  expect_quiet();
}

TEST_F(Recovery, LateFirstAnswerIsACallThatTheOwnerMayKeep) {
  call();
  world.run(milliseconds(50));
  world.drop("CANCEL", 100);
  alice.session().abandon_pending(world.now);  // The flow lives after all.
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run();
  EXPECT_EQ(alice.events, (Lines{"LateAnswer initial"}));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(bob.events.back(), "Ended 0 by peer");
  expect_quiet();
}

TEST_F(Recovery, DeadFlowOfAFirstInviteIsNotTheEndForTwoSeconds) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  lose_address();
  alice.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run(milliseconds(150));
  EXPECT_EQ(alice.events, (Lines{"Progress 180"}));
  move(alice.session());
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "CancelAnswered 200");
}

TEST_F(Recovery, DeadFlowThatNobodyReplacesEndsTheCall) {
  call();
  world.run(milliseconds(50));
  lose_address();
  alice.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run(seconds(3));
  EXPECT_EQ(alice.events, (Lines{"Ended 503 by network"}));
}

}  // namespace
}  // namespace godwit::sip::test
