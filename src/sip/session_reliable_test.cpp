// SPDX-License-Identifier: Apache-2.0
//
// Reliable provisional responses (RFC 3262) and what they allow in early dialogs: answers and
// offers in 18x and PRACK, UPDATE before the call is answered.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;
using wire::Method;

class Reliable : public CallFixture {
 protected:
  Reliable() {
    use(alice, ExtensionUse::Supported);
    use(bob, ExtensionUse::Supported);
  }
  static void use(Party& party, ExtensionUse reliable) {
    party.adjust = [reliable](SessionConfig& config) { config.reliable = reliable; };
  }
  void ring_there(std::optional<std::string> offer = sdp("a1")) {
    call(std::move(offer));
    world.run(milliseconds(50));
    ASSERT_EQ(bob.sessions.size(), 1U);
    clear();
  }
  std::string header(const std::string& sender, const std::string& what, HeaderId id) {
    const auto found = world.all(sender, what);
    return found.empty() ? "" : std::string(found.back()->first(id).value_or(""));
  }
};

TEST_F(Reliable, TheAnswerTravelsInThe183AndThe200BringsNone) {
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(100));
  EXPECT_EQ(world.sent(), (Lines{"bob 183 INVITE(b1)", "alice PRACK", "bob 200 PRACK"}));
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)"}));
  EXPECT_EQ(bob.events, (Lines{"PrackReceived"}));
  EXPECT_EQ(header("bob", "183", HeaderId::Require), "100rel");
  EXPECT_EQ(header("alice", "PRACK", HeaderId::RAck),
            header("bob", "183", HeaderId::RSeq) + " " + header("bob", "183", HeaderId::CSeq));
  EXPECT_TRUE(bob.session().agreed_early());
  clear();
  ASSERT_TRUE(bob.session().accept(sdp("b2"), world.now));
  world.run(milliseconds(100));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"Answered, agreed early"}));
  ASSERT_TRUE(alice.session().offer_answer().current());
  EXPECT_EQ(sdp_name(alice.session().offer_answer().current()->remote), "b1");
  EXPECT_EQ(sdp_name(bob.session().offer_answer().current()->local), "b1");
  alice.session().end(world.now);
  expect_quiet();
}

TEST_F(Reliable, ResponsesWithoutSdpAreReliableOnlyOnDemand) {
  ring_there();
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"bob 180 INVITE"}));
  use(alice, ExtensionUse::Required);
  call();
  world.run(milliseconds(50));
  EXPECT_EQ(header("alice", "INVITE", HeaderId::Require), "100rel");
  ASSERT_TRUE(bob.session().ring(world.now));
  world.sent();
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"bob 180 INVITE", "alice PRACK", "bob 200 PRACK"}));
}

TEST_F(Reliable, NobodyIsForcedWhoDoesNotKnowIt) {
  use(alice, ExtensionUse::Off);
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(), (Lines{"bob 183 INVITE(b1)"}));
  EXPECT_EQ(header("bob", "183", HeaderId::RSeq), "");
  EXPECT_FALSE(bob.session().agreed_early()) << "a preview";
}

TEST_F(Reliable, WhoInsistsRefusesThoseWithout) {
  use(alice, ExtensionUse::Off);
  use(bob, ExtensionUse::Required);
  call();
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Ended 421 by peer"}));
  EXPECT_EQ(header("bob", "421", HeaderId::Require), "100rel");
  use(alice, ExtensionUse::Required);
  use(bob, ExtensionUse::Off);
  alice.events.clear();
  call();
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Ended 420 by peer"}));
  EXPECT_EQ(header("bob", "420", HeaderId::Unsupported), "100rel");
  expect_quiet();
}

TEST_F(Reliable, IsRetransmittedUntilThePrackComesAndThePeerHearsItOnce) {
  ring_there();
  world.drop("PRACK", 2);
  world.drop("183 INVITE", 1);
  const TimePoint from = world.now;
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(seconds(5));
  EXPECT_LT(from, world.now);
  // 183 at 0 (lost) and 0.5 s; its PRACK is lost twice (0.51 and 1.01 s) and gets through at 2.01
  // s.
  EXPECT_EQ(world.all("bob", "183").size(), 3U) << "0, 0.5 and 1.5 s: the intervals double";
  EXPECT_EQ(world.all("alice", "PRACK").size(), 3U);
  EXPECT_EQ(world.all("bob", "200 PRACK").size(), 1U);
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)"}));
  EXPECT_FALSE(bob.session().awaits_prack());
}

TEST_F(Reliable, IsGivenUpAfter64T1) {
  ring_there();
  world.drop("PRACK", 100);
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(seconds(31));
  EXPECT_EQ(bob.session().state(), SessionState::Incoming);
  world.run(seconds(2));
  EXPECT_EQ(bob.events, (Lines{"Ended 504 by network"}));
  EXPECT_EQ(alice.events.back(), "Ended 504 by peer");
  // 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s.
  EXPECT_EQ(world.all("bob", "183").size(), 7U);
  expect_quiet();
}

TEST_F(Reliable, TheNextOneWaitsForThePrackOfTheLast) {
  use(alice, ExtensionUse::Required);
  ring_there();
  world.drop("PRACK", 1);
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  ASSERT_TRUE(bob.session().progress(180, sdp("b1"), world.now));
  world.run(milliseconds(400));
  EXPECT_EQ(world.all("bob", "180").size(), 0U);
  world.run(seconds(1));
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)", "Progress 180"})) << "the answer goes once";
}

TEST_F(Reliable, NumbersRiseByOneWhereTheCallerInsists) {
  use(alice, ExtensionUse::Required);
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(bob.session().progress(180 + (i % 3), {}, world.now));
  world.run(seconds(1));
  // Four wait at most; what came later has replaced the last of them.
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)", "Progress 180", "Progress 181", "Progress 182",
                                 "Progress 182"}));
  std::uint32_t last = *rseq_of(*world.all("bob", "183")[0]);
  for (const auto* response : world.all("bob", "18")) {
    if (describe(*response) == "183 INVITE(b1)") continue;
    EXPECT_EQ(rseq_of(*response), ++last);
  }
}

TEST_F(Reliable, The200WaitsForThePrackOfAnAnswer) {
  ring_there();
  world.drop("PRACK", 1);
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(400));
  EXPECT_EQ(world.all("bob", "200 INVITE").size(), 0U);
  world.run(milliseconds(500));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(bob.session().state(), SessionState::Confirmed);
}

TEST_F(Reliable, The200DoesNotWaitForThePrackOfAMereRinging) {
  use(alice, ExtensionUse::Required);
  ring_there();
  world.drop("PRACK", 1);
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(15));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(seconds(2));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(world.all("bob", "180").size(), 1U) << "no more of it after the final response";
  EXPECT_EQ(world.all("bob", "200 PRACK").size(), 1U) << "but its PRACK is answered";
}

TEST_F(Reliable, ALateOfferIsAnsweredInThePrack) {
  ring_there(std::nullopt);
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Progress 183", "OfferReceived 18x(b1)"}));
  EXPECT_EQ(world.all("alice", "PRACK").size(), 0U) << "it waits for the answer";
  const std::string tag = alice.session().early_dialogs().at(0)->id.remote_tag;
  ASSERT_TRUE(alice.session().answer_offer(sdp("a1"), world.now, tag));
  world.run(milliseconds(50));
  EXPECT_EQ(world.all("alice", "PRACK(a1)").size(), 1U);
  EXPECT_EQ(bob.events, (Lines{"PrackReceived", "AnswerReceived(a1)"}));
  ASSERT_TRUE(bob.session().accept({}, world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "Answered, agreed early");
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b1"));
  EXPECT_EQ(bob.session().offer_answer().current()->remote, sdp("a1"));
  EXPECT_TRUE(world.all("alice", "ACK")[0]->body().empty());
}

TEST_F(Reliable, AnOfferlessCallerWhoInsistsGetsTheOfferInTheFirstResponse) {
  use(alice, ExtensionUse::Required);
  ring_there(std::nullopt);
  EXPECT_TRUE(bob.session().progress_needs_sdp());
  EXPECT_FALSE(bob.session().ring(world.now));
  ASSERT_TRUE(bob.session().progress(180, sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events.back(), "OfferReceived 18x(b1)");
}

TEST_F(Reliable, AnOfferIsNeverSentUnreliably) {
  use(alice, ExtensionUse::Off);
  ring_there(std::nullopt);
  EXPECT_FALSE(bob.session().progress(183, sdp("b1"), world.now));
  EXPECT_TRUE(bob.session().ring(world.now));
}

TEST_F(Reliable, UpdateChangesAnEarlySession) {
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  clear();
  // RFC 3311 §5.1: the exchange is complete, so the callee may offer anew.
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2), Method::Update), world.now));
  world.run(milliseconds(15));
  EXPECT_EQ(alice.events, (Lines{"OfferReceived UPDATE(b2)"}));
  const std::string tag = alice.session().early_dialogs().at(0)->id.remote_tag;
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now, tag));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.events, (Lines{"AnswerReceived(a2)", "RefreshDone UPDATE 200"}));
  clear();
  ASSERT_TRUE(bob.session().accept({}, world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.events, (Lines{"Answered, agreed early"}));
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b2", 2));
  EXPECT_EQ(alice.session().offer_answer().current()->local, sdp("a2", 2));
  EXPECT_EQ(alice.session().offer_answer().next_version(), 3U);
}

TEST_F(Reliable, AnUpdateWhoseForkLosesIsAnswered) {
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2), Method::Update), world.now));
  world.run(milliseconds(15));
  ASSERT_TRUE(bob.session().reject(486, world.now));
  world.run(milliseconds(100));
  EXPECT_EQ(alice.events.back(), "Ended 486 by peer");
  EXPECT_EQ(world.all("alice", "487 UPDATE").size(), 1U);
  expect_quiet();
}

TEST_F(Reliable, AnUnmatchedPrackGets481) {
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(50));
  const wire::Message& good = *world.all("alice", "PRACK")[0];
  const std::string again(*good.first(HeaderId::RAck));
  int number = 100;
  for (const std::string& rack : {again, std::string("0 1 INVITE"), std::string("x")}) {
    SCOPED_TRACE(rack);
    const std::string id = std::to_string(++number);
    std::string text =
        "PRACK sip:bob@10.9.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
        "10.1.0.2:5060;branch=z9hG4bKp" +
        id + "\r\nFrom: " + std::string(*good.first(HeaderId::From)) +
        "\r\nTo: " + std::string(*good.first(HeaderId::To)) +
        "\r\nCall-ID: " + std::string(*good.first(HeaderId::CallId)) + "\r\nCSeq: 99" + id +
        " PRACK\r\nRAck: " + rack + "\r\nContent-Length: 0\r\n\r\n";
    bob.layer.on_message(to_alice(), *wire::Message::parse(text), world.now);
    world.run(milliseconds(50));
    EXPECT_EQ(describe(*world.all("bob", "481 PRACK").back()), "481 PRACK");
  }
  EXPECT_EQ(world.all("bob", "481 PRACK").size(), 3U);
  EXPECT_EQ(bob.session().state(), SessionState::Incoming);
}

TEST_F(Reliable, AnOfferInAPrackIsAnsweredInIts200) {
  ring_there();
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.drop("PRACK", 1);
  world.run(milliseconds(50));
  const wire::Message& lost = *world.all("alice", "PRACK")[0];
  const std::string body = sdp("a2", 2);
  std::string text =
      "PRACK sip:bob@10.9.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP "
      "10.1.0.2:5060;branch=z9hG4bKoffer\r\nFrom: " +
      std::string(*lost.first(HeaderId::From)) +
      "\r\nTo: " + std::string(*lost.first(HeaderId::To)) +
      "\r\nCall-ID: " + std::string(*lost.first(HeaderId::CallId)) +
      "\r\nCSeq: 77777777 PRACK\r\nRAck: " + std::string(*lost.first(HeaderId::RAck)) +
      "\r\nContent-Type: application/sdp\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\n\r\n" + body;
  bob.layer.on_message(to_alice(), *wire::Message::parse(text), world.now);
  ASSERT_TRUE(bob.session().accept({}, world.now)) << "held back";
  world.run(milliseconds(15));
  EXPECT_EQ(bob.events, (Lines{"PrackReceived", "OfferReceived PRACK(a2)"}));
  EXPECT_EQ(world.all("bob", "200 INVITE").size(), 0U);
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(15));
  EXPECT_EQ(world.all("bob", "200 PRACK(b2)").size(), 1U);
  EXPECT_EQ(world.all("bob", "200 INVITE").size(), 1U);
}

TEST_F(Reliable, APendingPrackIsRepeatedAfterAnAddressChange) {
  use(alice, ExtensionUse::Required);
  ring_there();
  world.drop("PRACK", 100);
  ASSERT_TRUE(bob.session().ring(world.now));
  world.run(milliseconds(25));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  ASSERT_EQ(alice.session().state(), SessionState::Confirmed);
  ASSERT_TRUE(alice.session().prack_pending());
  world.drop("PRACK", -100 + static_cast<int>(world.all("alice", "PRACK").size()));
  world.kill(alice, 0);
  alice.layer.on_flow_failed(alice.flow(0, bob.endpoints[0]).listener, world.now);
  world.run(milliseconds(5));
  const auto first = wire::cseq_of(*world.all("alice", "PRACK").back());
  alice.session().move_flow(to_bob(1), alice.contact(1));
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  const auto second = wire::cseq_of(*world.all("alice", "PRACK").back());
  EXPECT_EQ(second->number, first->number + 1);
  EXPECT_FALSE(alice.session().prack_pending());
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
}

TEST_F(Reliable, AnUnacknowledged183MovesWithTheCallee) {
  ring_there();
  world.drop("183 INVITE", 1);
  ASSERT_TRUE(bob.session().progress(183, sdp("b1"), world.now));
  world.run(milliseconds(100));
  world.kill(bob, 0);
  bob.session().move_flow(to_alice(1), bob.contact(1));
  bob.session().resend_reliable(world.now);
  world.run(milliseconds(100));
  EXPECT_EQ(alice.events, (Lines{"Progress 183(b1)"}));
  EXPECT_FALSE(bob.session().awaits_prack()) << "the PRACK has come to the new Contact";
}

/// A callee that is written by hand: many responses, any order.
class ReliableFromAStranger : public Reliable {
 protected:
  void call_by_hand(std::optional<std::string> offer = sdp("a1")) {
    bob.on_request = [this](const RequestArrived& event) {
      if (event.request->method() == Method::Invite && !invite) invite = event;
      if (event.request->method() != Method::Invite && answer_others)
        world.respond(bob, event, 200);
      return true;
    };
    call(std::move(offer));
    world.run(milliseconds(50));
    ASSERT_TRUE(invite);
    clear();
  }
  void respond(int status, const std::string& tag, std::uint32_t rseq,
               const std::string& body = "") {
    wire::ResponseDraft draft = wire::make_response(*invite->request, status,
                                                    {.to_tag = tag, .source = invite->flow.remote});
    if (rseq != 0) {
      draft.headers.emplace_back(HeaderId::Require, "100rel");
      draft.headers.emplace_back(HeaderId::RSeq, std::to_string(rseq));
    }
    draft.contact.wanted = true;
    if (!body.empty()) {
      draft.content_type = kSdpType;
      draft.body = body;
    }
    ASSERT_TRUE(
        bob.layer.transmit(to_alice(), wire::serialise(draft, "<sip:" + tag + "@10.9.0.1:5060>")));
    world.run(milliseconds(50));
  }
  std::optional<RequestArrived> invite;
  bool answer_others = true;
};

TEST_F(ReliableFromAStranger, OutOfOrderIsDroppedUntilItsTurn) {
  call_by_hand();
  respond(180, "f", 10);
  respond(183, "f", 12, sdp("b1"));  // Before 11.
  respond(180, "f", 9);
  respond(180, "f", 10);  // A copy.
  EXPECT_EQ(alice.events, (Lines{"Progress 180"}));
  EXPECT_EQ(world.all("alice", "PRACK").size(), 1U);
  respond(182, "f", 11);
  respond(183, "f", 12, sdp("b1"));
  EXPECT_EQ(alice.events, (Lines{"Progress 180", "Progress 182", "Progress 183(b1)"}));
  EXPECT_EQ(world.all("alice", "PRACK").size(), 3U);
}

TEST_F(ReliableFromAStranger, EachForkHasItsOwnNumbersAnswersAndCSeq) {
  call_by_hand();
  respond(183, "f1", 10, sdp("b1"));
  respond(183, "f2", 500, sdp("b2"));
  respond(180, "f1", 11);
  EXPECT_EQ(alice.events,
            (Lines{"Progress 183(b1)", "Forked", "Progress 183(b2)", "Progress 180"}));
  ASSERT_EQ(world.all("alice", "PRACK").size(), 3U);
  const auto number = [&](std::size_t i) {
    return wire::cseq_of(*world.all("alice", "PRACK")[i])->number;
  };
  EXPECT_EQ(number(1), number(0)) << "of its own dialog";
  EXPECT_EQ(number(2), number(0) + 1);
  respond(200, "f2", 0);
  EXPECT_EQ(alice.events.back(), "Answered, agreed early");
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b2"));
  respond(200, "f1", 0);
  EXPECT_EQ(alice.events.back(), "Forked answered");
  EXPECT_EQ(world.all("alice", "ACK").size(), 2U);
  EXPECT_EQ(world.all("alice", "BYE").size(), 1U);
}

TEST_F(ReliableFromAStranger, AnotherAnswerInThe200IsIgnored) {
  call_by_hand();
  respond(183, "f", 10, sdp("b1"));
  respond(200, "f", 0, sdp("other"));
  EXPECT_EQ(alice.session().offer_answer().current()->remote, sdp("b1"));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
}

TEST_F(ReliableFromAStranger, AFloodCostsABoundedNumberOfPracks) {
  answer_others = false;
  call_by_hand();
  for (std::uint32_t i = 0; i < 40; ++i) respond(180, "f", 10 + i);
  std::set<std::string> different;
  for (const auto* prack : world.all("alice", "PRACK"))
    different.insert(std::string(*prack->first(HeaderId::RAck)));
  EXPECT_EQ(different.size(), InviteSession::kMaxPracks);
  alice.session().end(world.now);
  world.run(seconds(70));
  EXPECT_EQ(alice.session().state(), SessionState::Ended);
  EXPECT_EQ(alice.layer.live_client(), 0U);
}

TEST_F(ReliableFromAStranger, A200ThatDoesNotWaitForTheAnswerGetsItInTheAck) {
  call_by_hand(std::nullopt);
  respond(183, "f", 10, sdp("b1"));
  EXPECT_EQ(alice.events.back(), "OfferReceived 18x(b1)");
  respond(200, "f", 0);
  EXPECT_EQ(world.all("alice", "ACK").size(), 0U);
  ASSERT_TRUE(alice.session().answer_offer(sdp("a1"), world.now, "f"));
  world.run(milliseconds(50));
  EXPECT_EQ(world.all("alice", "ACK(a1)").size(), 1U);
}

}  // namespace
}  // namespace godwit::sip::test
