// SPDX-License-Identifier: Apache-2.0
//
// Refreshes within a call: offers by re-INVITE and UPDATE from either side, glare, rejection, and
// the moves of an address.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::Method;

TEST_F(CallFixture, ReInviteWithOffer) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived re-INVITE(a2)"}));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a2)", "bob 100 INVITE", "bob 200 INVITE(b2)", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"AnswerReceived(b2)", "RefreshDone INVITE 200"}));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived re-INVITE(a2)", "PeerMoved", "AckReceived"}));
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact(1));
  EXPECT_EQ(alice.session().dialog()->local_contact, alice.contact(1));
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b2", 2));
  EXPECT_EQ(alice.session().offer_answer().next_version(), 3U);

  // What comes next goes to the new place, though the old one is gone.
  world.kill(alice, 0);
  clear();
  bob.session().end(world.now);
  world.run();
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by peer"}));
}

TEST_F(CallFixture, ReInviteWithoutOfferAsksForOne) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, std::nullopt), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"OfferRequested re-INVITE"}));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"OfferReceived 2xx(b2)", "RefreshDone INVITE 200"}));
  EXPECT_FALSE(alice.session().can_refresh(Method::Invite, true));
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE", "bob 100 INVITE", "bob 200 INVITE(b2)", "alice ACK(a2)"}));
  EXPECT_EQ(bob.events,
            (Lines{"OfferRequested re-INVITE", "PeerMoved", "AckReceived", "AnswerReceived(a2)"}));
  EXPECT_EQ(bob.session().offer_answer().current()->remote, sdp("a2", 2));
}

TEST_F(CallFixture, UpdateWithOffer) {
  establish();
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 1, sdp("b2", 2), Method::Update), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"bob UPDATE(b2)", "alice 200 UPDATE(a2)"}));
  EXPECT_EQ(bob.events, (Lines{"AnswerReceived(a2)", "RefreshDone UPDATE 200"}));
  EXPECT_EQ(alice.events, (Lines{"OfferReceived UPDATE(b2)", "PeerMoved"}));
}

TEST_F(CallFixture, UpdateWithoutOfferMovesTheTargetAndNothingElse) {
  establish();
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 1, std::nullopt, Method::Update), world.now));
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice UPDATE", "bob 200 UPDATE"}));
  EXPECT_EQ(alice.events, (Lines{"RefreshDone UPDATE 200"}));
  EXPECT_EQ(bob.events, (Lines{"PeerMoved"}));
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact(1));
}

TEST_F(CallFixture, CalleeMovesBeforeItAnswers) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  clear();
  EXPECT_FALSE(bob.session().can_refresh(Method::Invite, false));
  EXPECT_FALSE(bob.session().can_refresh(Method::Update, true)) << "Alice's offer is open";
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 1, std::nullopt, Method::Update), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"bob UPDATE", "alice 200 UPDATE"}));
  EXPECT_EQ(alice.events, (Lines{"PeerMoved"}));
  EXPECT_EQ(alice.session().early_dialogs().at(0)->remote_target, bob.contact(1));

  // The response leaves from the new place, and says so.
  world.kill(bob, 0);
  bob.session().move_flow(to_alice(1), bob.contact(1));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b1)", "alice ACK"}));
  EXPECT_EQ(alice.session().dialog()->remote_target, bob.contact(1));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(CallFixture, RejectedReInviteKeepsWhatWasAgreed) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().reject_offer(488, world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a2)", "bob 100 INVITE", "bob 488 INVITE", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 488"}));
  EXPECT_TRUE(alice.refresh_failed->offer_rolled_back);
  EXPECT_EQ(alice.refresh_failed->generation, Generation{7});
  EXPECT_EQ(alice.session().offer_answer().current()->local, sdp("a1"));
  EXPECT_EQ(alice.session().offer_answer().next_version(), 3U) << "2 has been sent";
  EXPECT_EQ(bob.session().offer_answer().current()->remote, sdp("a1"));
  // RFC 6141 §4.6: a rejected request does not move the target.
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact(0));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  ASSERT_TRUE(alice.session().can_refresh(Method::Invite, true));
}

TEST_F(CallFixture, NothingThatFailsARefreshEndsTheCall) {
  for (const int status : {403, 408, 430, 481, 500, 503, 603}) {
    SCOPED_TRACE(status);
    alice.sessions.clear();
    bob.sessions.clear();
    establish();
    ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
    world.run(milliseconds(50));
    ASSERT_TRUE(bob.session().reject_offer(status, world.now));
    world.run(seconds(10));
    EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE " + std::to_string(status)}));
    EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  }
}

TEST_F(CallFixture, RefreshWithoutAnAnswerTimesOut) {
  establish();
  world.kill(bob, 0);
  RefreshRequest request = refresh_of(alice, 1, sdp("a2", 2));
  request.timers.timeout = seconds(2);
  ASSERT_TRUE(alice.session().refresh(request, world.now));
  world.run(seconds(3));
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 408"}));
  EXPECT_EQ(alice.refresh_failed->failure, RefreshFailure::Timeout);
  EXPECT_EQ(alice.session().offer_answer().in_doubt(), sdp("a2", 2)) << "the 200 may be lost";
  EXPECT_TRUE(alice.session().offer_answer().can_offer());
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
}

TEST_F(CallFixture, GlareOfTwoReInvites) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2)), world.now));
  world.run();
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 491"}));
  EXPECT_EQ(bob.events, (Lines{"RefreshFailed INVITE 491"}));
  // RFC 3261 §14.1: the owner of the Call-ID waits longer, so the next try does not collide.
  EXPECT_GE(*alice.refresh_failed->retry_after, milliseconds(2100));
  EXPECT_LE(*alice.refresh_failed->retry_after, milliseconds(4000));
  EXPECT_GE(*bob.refresh_failed->retry_after, milliseconds(0));
  EXPECT_LE(*bob.refresh_failed->retry_after, milliseconds(2000));
  for (Party* party : {&alice, &bob}) {
    EXPECT_EQ(*party->refresh_failed->retry_after % milliseconds(10), Duration{0});
    EXPECT_TRUE(party->session().offer_answer().can_offer());
  }
}

TEST_F(CallFixture, GlareOfReInviteAndUpdate) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2), Method::Update), world.now));
  world.run();
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 491"}));
  EXPECT_EQ(bob.events, (Lines{"RefreshFailed UPDATE 491"}));
}

TEST_F(CallFixture, SecondOfferWhileTheFirstWaitsForUs) {
  establish();
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2), Method::Update), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.session().can_refresh(Method::Update, true).error().code, ErrorCode::WrongState);
  EXPECT_TRUE(bob.session().can_refresh(Method::Update, false));
  // A peer that does not keep to RFC 3311 §5.1 and offers again.
  wire::RequestDraft draft;
  {
    Dialog dialog = *alice.session().dialog();
    dialog.local_cseq += 10;
    draft = dialog.make_request(Method::Update);
  }
  draft.content_type = kSdpType;
  draft.body = sdp("a3", 3);
  ASSERT_TRUE(alice.layer.send_request(draft, "<" + alice.contact() + ">", to_bob(), Owner{999}, {},
                                       world.now));
  world.run(milliseconds(50));
  const auto refused = world.all("bob", "500 UPDATE");
  ASSERT_EQ(refused.size(), 1U);
  const auto retry = wire::retry_after_of(*refused[0]);
  ASSERT_TRUE(retry);
  EXPECT_LE(retry->delay, seconds(10));  // RFC 3311 §5.2
  EXPECT_EQ(bob.session().offer_answer().pending()->offer, sdp("a2", 2));
}

TEST_F(CallFixture, RequestsOutOfOrderAreRefused) {
  establish();
  Dialog stale = *alice.session().dialog();
  stale.local_cseq -= 1;
  ASSERT_TRUE(alice.layer.send_request(stale.make_request(Method::Update),
                                       "<" + alice.contact(1) + ">", to_bob(), Owner{999}, {},
                                       world.now));
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice UPDATE", "bob 500 UPDATE"}));
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact(0));
}

TEST_F(CallFixture, PeerWithdrawsItsOffer) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived re-INVITE(a2)", "OfferWithdrawn"}));
  EXPECT_TRUE(bob.session().offer_answer().can_offer());
  EXPECT_EQ(bob.session().offer_answer().current()->remote, sdp("a1"));
  EXPECT_FALSE(bob.session().answer_offer(sdp("b2", 2), world.now));
}

TEST_F(CallFixture, HangingUpWithARequestOfThePeersInHand) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  world.sent();
  bob.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"bob 487 INVITE", "bob BYE", "alice ACK", "alice 200 BYE"}));
  EXPECT_EQ(alice.events, (Lines{"RefreshFailed INVITE 487", "Ended 0 by peer"}));
  expect_quiet();
}

TEST_F(CallFixture, HangingUpBeforeTheAckToAReInviteStopsItsRetransmissions) {
  establish();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 0, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  world.drop("ACK", 100);
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(50));
  world.drop("200 BYE");  // So that the session waits, and could go on retransmitting.
  world.sent();
  bob.session().end(world.now);
  world.run(milliseconds(490));
  EXPECT_EQ(world.sent(), (Lines{"bob BYE", "alice 200 BYE [lost]"}));
  EXPECT_FALSE(bob.session().awaits_ack());
}

TEST_F(CallFixture, OtherRequestsAreTheOwnersToAnswer) {
  establish();
  Dialog dialog = *alice.session().dialog();
  const auto ask = [&](Method method) {
    ASSERT_TRUE(alice.layer.send_request(dialog.make_request(method), "", to_bob(), Owner{999}, {},
                                         world.now));
    world.run(milliseconds(50));
  };
  ask(Method::Info);
  EXPECT_EQ(bob.events, (Lines{"InDialogRequest INFO"}));
  ASSERT_TRUE(bob.session().respond(*bob.open_request, 415, world.now));
  EXPECT_FALSE(bob.session().respond(*bob.open_request, 200, world.now)) << "once only";
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"alice INFO", "bob 415 INFO"}));
  ask(Method::Prack);
  ask(Method::Publish);
  EXPECT_EQ(world.sent(),
            (Lines{"alice PRACK", "bob 481 PRACK", "alice PUBLISH", "bob 405 PUBLISH"}));
  EXPECT_TRUE(world.all("bob", "405")[0]->has(wire::HeaderId::Allow));
  for (std::size_t i = 0; i < InviteSession::kMaxOpenRequests; ++i) ask(Method::Options);
  world.sent();
  ask(Method::Options);
  EXPECT_EQ(world.sent(), (Lines{"alice OPTIONS", "bob 503 OPTIONS"})) << "bounded";
}

}  // namespace
}  // namespace godwit::sip::test
