// SPDX-License-Identifier: Apache-2.0
//
// Calls set up and ended between two real transaction layers: who sends what, and what each side is
// told, also when messages are lost or cross.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

TEST_F(CallFixture, OfferInInvite) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice INVITE(a1)", "bob 100 INVITE", "bob 180 INVITE",
                                 "bob 200 INVITE(b1)", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"Progress 180", "Answered", "AnswerReceived(b1)"}));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived INVITE(a1)", "AckReceived"}));
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b1"));
  EXPECT_EQ(bob.session().offer_answer().current()->remote, sdp("a1"));
  EXPECT_EQ(alice.session().dialog()->remote_target, bob.contact());
  EXPECT_EQ(bob.session().dialog()->remote_target, alice.contact());
  EXPECT_TRUE(alice.session().dialog()->peer_allows(wire::Method::Update));
  EXPECT_TRUE(bob.session().dialog()->peer_allows(wire::Method::Update));

  clear();
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice BYE", "bob 200 BYE"}));
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by local"}));
  EXPECT_EQ(bob.events, (Lines{"Ended 0 by peer"}));
  expect_quiet();
}

TEST_F(CallFixture, LateOffer) {
  call(std::nullopt);
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"OfferRequested INVITE"}));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Answered", "OfferReceived 2xx(b1)"}));
  EXPECT_TRUE(alice.session().owes_ack());
  ASSERT_TRUE(alice.session().answer_offer(sdp("a1"), world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE", "bob 100 INVITE", "bob 200 INVITE(b1)", "alice ACK(a1)"}));
  EXPECT_EQ(bob.events, (Lines{"OfferRequested INVITE", "AckReceived", "AnswerReceived(a1)"}));
  EXPECT_EQ(bob.session().offer_answer().current()->local, sdp("b1"));
}

TEST_F(CallFixture, UpdateWithAnOfferBeforeTheAnswerIsRefused) {
  // Found by a random walk: it used to be taken as an offer of a dialog that was none yet.
  call(std::nullopt);
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  Dialog peer = *bob.session().dialog();
  wire::RequestDraft draft = peer.make_request(wire::Method::Update);
  draft.content_type = kSdpType;
  draft.body = sdp("b0");
  ASSERT_TRUE(bob.layer.send_request(draft, "<" + bob.contact() + ">", to_alice(), Owner{999}, {},
                                     world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(world.all("alice", "500 UPDATE").size(), 1U);
  EXPECT_FALSE(alice.session().peer_request_pending());
  EXPECT_FALSE(bob.session().can_refresh(wire::Method::Update, true));
}

TEST_F(CallFixture, HangingUpInsteadOfAnsweringALateOfferStillAcknowledges) {
  call(std::nullopt);
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  world.sent();
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice ACK", "alice BYE", "bob 200 BYE"}));
  expect_quiet();
}

TEST_F(CallFixture, EarlyMediaIsThePreviewOfTheAnswer) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)"}));
  EXPECT_TRUE(alice.session().offer_answer().awaits_answer()) << "no commit by a preview";
  // RFC 6337 §3.1.1 lets the 2xx go without a body then.
  ASSERT_TRUE(bob.session().accept("", world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)", "Answered", "AnswerReceived(b1)"}));
}

TEST_F(CallFixture, AnswerWithoutBodyIsReported) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().accept("", world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Answered", "AnswerMissing"}));
  EXPECT_TRUE(alice.session().offer_answer().can_offer());
}

TEST_F(CallFixture, RejectedCall) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().reject(486, world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a1)", "bob 100 INVITE", "bob 486 INVITE", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"Ended 486 by peer"}));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived INVITE(a1)", "Ended 486 by local"}));
  expect_quiet();
}

TEST_F(CallFixture, OperationsThatDoNotFitAreRefused) {
  InviteSession& session = alice.new_session();
  EXPECT_EQ(session.accept(sdp("x"), world.now).error().code, ErrorCode::WrongState);
  EXPECT_EQ(session.ring(world.now).error().code, ErrorCode::WrongState);
  EXPECT_EQ(session.reject(486, world.now).error().code, ErrorCode::WrongState);
  EXPECT_EQ(session.answer_offer(sdp("x"), world.now).error().code, ErrorCode::WrongState);
  EXPECT_EQ(session.reject_offer(488, world.now).error().code, ErrorCode::WrongState);
  EXPECT_EQ(session.can_refresh(wire::Method::Invite, true).error().code, ErrorCode::WrongState);
  InviteRequest request;
  request.target = "tel:123";
  EXPECT_EQ(session.invite(request, world.now).error().code, ErrorCode::InvalidArgument);

  call();
  world.run(milliseconds(50));
  EXPECT_EQ(bob.session().progress(200, "", world.now).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(bob.session().reject(200, world.now).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(alice.session().invite(request, world.now).error().code, ErrorCode::WrongState);
}

// --- loss ---

TEST_F(CallFixture, LostInviteIsSentAgain) {
  world.drop("INVITE");
  call();
  world.run(seconds(1));
  EXPECT_EQ(world.sent(), (Lines{"alice INVITE(a1) [lost]", "alice INVITE(a1)", "bob 100 INVITE"}));
}

TEST_F(CallFixture, LostAnswerAndLostAckAreSentAgain) {
  call();
  world.run(milliseconds(50));
  world.sent();
  world.drop("200 INVITE");
  world.drop("ACK");
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(seconds(10));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b1) [lost]", "bob 200 INVITE(b1)",
                                 "alice ACK [lost]", "bob 200 INVITE(b1)", "alice ACK"}));
  const auto acks = world.all("alice", "ACK");
  ASSERT_EQ(acks.size(), 2U);
  EXPECT_EQ(acks[0]->raw(), acks[1]->raw()) << "RFC 3261 §13.2.2.4: the same ACK again";
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(CallFixture, AnswerWithoutAnyAckEndsTheCallAfter32Seconds) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK", 1000);
  const TimePoint answered = world.now;
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(seconds(31));
  // RFC 3261 §13.3.1.4: 0, 0.5, 1.5, 3.5, 7.5, then each 4 s.
  EXPECT_EQ(world.all("bob", "200 INVITE").size(), 10U);
  EXPECT_EQ(bob.session().state(), SessionState::Answering);
  world.run(seconds(2));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived INVITE(a1)", "AckMissing", "Ended 408 by network"}));
  EXPECT_EQ(alice.events.back(), "Ended 0 by peer");
  EXPECT_GE(world.now - answered, seconds(32));
  expect_quiet();
}

TEST_F(CallFixture, HeldAckTimeoutKeepsTheCallUntilARefreshProvesIt) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK", 1000);
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  bob.session().hold_ack_timeout(true, world.now);
  world.run(seconds(40));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived INVITE(a1)", "AckMissing"}));
  EXPECT_EQ(bob.session().state(), SessionState::Answering);
  EXPECT_EQ(world.all("bob", "200 INVITE").size(), 13U) << "also without its transaction";

  clear();
  world.drop("ACK", -1000);
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 1, sdp("b2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run();
  EXPECT_EQ(bob.events, (Lines{"AckReceived", "AnswerReceived(a2)", "RefreshDone INVITE 200"}));
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
  bob.session().hold_ack_timeout(false, world.now);
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(CallFixture, LettingGoOfAnOverdueAckEndsTheCall) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK", 1000);
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  bob.session().hold_ack_timeout(true, world.now);
  world.run(seconds(50));
  ASSERT_EQ(bob.session().state(), SessionState::Answering);
  bob.session().hold_ack_timeout(false, world.now);
  world.run();
  EXPECT_EQ(bob.events.back(), "Ended 408 by network");
  expect_quiet();
}

TEST_F(CallFixture, NobodyThere) {
  world.kill(bob, 0);
  call();
  world.run(seconds(33));
  EXPECT_EQ(alice.events, (Lines{"Ended 408 by network"}));
  expect_quiet();
}

// --- ending early ---

TEST_F(CallFixture, CancelWhileRinging) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  world.sent();
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice CANCEL", "bob 200 CANCEL", "bob 487 INVITE", "alice ACK"}));
  EXPECT_EQ(bob.events, (Lines{"OfferReceived INVITE(a1)", "Cancelled", "Ended 487 by peer"}));
  EXPECT_EQ(alice.events, (Lines{"Progress 180", "Ended 487 by local"}));
  expect_quiet();
}

TEST_F(CallFixture, CancelWaitsForAProvisionalResponse) {
  world.drop("100 INVITE");
  call();
  world.run(milliseconds(50));
  alice.session().end(world.now);
  world.run(milliseconds(100));
  EXPECT_EQ(world.sent(), (Lines{"alice INVITE(a1)", "bob 100 INVITE [lost]"}));
  world.run(seconds(1));
  EXPECT_EQ(world.sent(), (Lines{"alice INVITE(a1)", "bob 100 INVITE", "alice CANCEL",
                                 "bob 200 CANCEL", "bob 487 INVITE", "alice ACK"}));
  expect_quiet();
}

TEST_F(CallFixture, CancelAndAnswerCross) {
  call();
  world.run(milliseconds(50));
  world.sent();
  alice.session().end(world.now);
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run();
  // RFC 3261 §9.1, §15: the call that came about is acknowledged, and ended.
  EXPECT_EQ(world.sent(), (Lines{"alice CANCEL", "bob 200 INVITE(b1)", "bob 200 CANCEL",
                                 "alice ACK", "alice BYE", "bob 200 BYE"}));
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by local"}));
  EXPECT_EQ(bob.events.back(), "Ended 0 by peer");
  expect_quiet();
}

TEST_F(CallFixture, CalleeHangsUpBeforeTheAck) {
  call();
  world.run(milliseconds(50));
  world.drop("ACK");
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  world.sent();
  bob.session().end(world.now);
  world.run(milliseconds(100));
  EXPECT_EQ(world.sent(), Lines{}) << "RFC 3261 §15: no BYE before the ACK";
  world.run(seconds(1));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b1)", "alice ACK", "bob BYE", "alice 200 BYE"}));
  EXPECT_EQ(bob.events.back(), "Ended 0 by local");
  expect_quiet();
}

TEST_F(CallFixture, ByeFromBothSides) {
  establish();
  alice.session().end(world.now);
  bob.session().end(world.now);
  world.run();
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by local"}));
  EXPECT_EQ(bob.events, (Lines{"Ended 0 by local"}));
  expect_quiet();
}

TEST_F(CallFixture, ByeWithoutAnAnswerEndsAllTheSame) {
  establish();
  world.kill(bob, 0);
  alice.session().end(world.now);
  world.run(seconds(33));
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by local"}));
}

TEST_F(CallFixture, InvitationExpires) {
  // Our sessions send no Expires; a stranger's INVITE does.
  stranger_invites("expires", "Contact: <sip:x@10.1.0.2>\r\nExpires: 20\r\n");
  world.run(seconds(19));
  EXPECT_EQ(bob.session().state(), SessionState::Incoming);
  world.run(seconds(2));
  EXPECT_EQ(bob.events.back(), "Ended 487 by peer");
}

TEST_F(CallFixture, GivingUpSaysNothingToADeadPath) {
  establish();
  alice.session().give_up("no way to reach the peer", world.now);
  world.run();
  EXPECT_EQ(world.sent(), Lines{});
  EXPECT_EQ(alice.events, (Lines{"Ended 0 by network"}));
}

// --- what is refused ---

struct RefusedCase {
  const char* headers;
  const char* body;
  int status;
  const char* expected_header;
};
class RefusedInvite : public CallFixture, public ::testing::WithParamInterface<RefusedCase> {};

TEST_P(RefusedInvite, GetsTheStatusThatSaysWhy) {
  const RefusedCase& c = GetParam();
  stranger_invites("refused", c.headers, c.body);
  world.run();
  const auto responses = world.all("bob", std::to_string(c.status) + " INVITE");
  ASSERT_GE(responses.size(), 1U);
  EXPECT_NE(responses[0]->raw().find(c.expected_header), std::string::npos) << responses[0]->raw();
  EXPECT_FALSE(wire::to_tag_of(*responses[0]).empty());
  ASSERT_EQ(bob.sessions.size(), 1U);
  EXPECT_EQ(bob.session().state(), c.status < 300 ? SessionState::Incoming : SessionState::Ended);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, RefusedInvite,
    ::testing::Values(RefusedCase{"Contact: <sip:x@10.1.0.2>\r\nRequire: 100rel\r\n", "", 420,
                                  "Unsupported: 100rel\r\n"},
                      RefusedCase{"Contact: <sip:x@10.1.0.2>\r\nRequire: foo, bar\r\n", "", 420,
                                  "Unsupported: foo, bar\r\n"},
                      RefusedCase{"Contact: <sip:x@10.1.0.2>\r\nRequire: timer\r\n"
                                  "Session-Expires: 90;refresher=uas\r\n",
                                  "", 420, "Unsupported: timer\r\n"},
                      RefusedCase{"", "", 400, "SIP/2.0 400"},
                      RefusedCase{"Contact: <sip:x@10.1.0.2>\r\nContent-Type: text/plain\r\n",
                                  "hello", 415, "Accept: application/sdp\r\n"}));

TEST_F(CallFixture, OptionalBodyOfAnUnknownTypeIsIgnored) {
  stranger_invites("optional",
                   "Contact: <sip:x@10.1.0.2>\r\nContent-Type: text/plain\r\n"
                   "Content-Disposition: render;handling=optional\r\n",
                   "hello");
  world.run();
  EXPECT_EQ(bob.events, (Lines{"OfferRequested INVITE"}));
}

TEST_F(CallFixture, MergedInviteIsRecognisedAndMayJoin) {
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  const wire::Message first = *world.all("alice", "INVITE").at(0);
  std::string text(first.raw());
  const std::size_t branch = text.find("branch=z9hG4bK") + 14;
  text.replace(branch, 4, "zzzz");
  const wire::Message forked = *wire::Message::parse(text);
  EXPECT_TRUE(bob.session().is_merged(forked));

  // The same call by another branch: our side goes on ringing there, and the old one is over.
  bob.on_request = [&](const RequestArrived& event) {
    EXPECT_TRUE(bob.session().join(event, world.now));
    return true;
  };
  bob.layer.on_message(to_alice(), forked, world.now);
  bob.on_request = nullptr;
  clear();
  world.run(milliseconds(5));
  EXPECT_EQ(bob.session().state(), SessionState::Incoming);
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(5));
  const auto answers = world.all("bob", "200 INVITE");
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(wire::top_via_of(*answers[0])->branch(), wire::top_via_of(forked)->branch());
}

}  // namespace
}  // namespace godwit::sip::test
