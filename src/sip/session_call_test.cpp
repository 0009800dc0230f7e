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

}  // namespace
}  // namespace godwit::sip::test
