// SPDX-License-Identifier: Apache-2.0
//
// A forked INVITE (RFC 3261 §13.2.2.4): several early dialogs, the first 2xx wins, the others are
// acknowledged and ended. Digest challenges to the first INVITE and within the dialog.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;
using wire::Method;

/// Bob is a forking proxy here: what he answers is written by hand.
class Forks : public CallFixture {
 protected:
  void call_and_hold(std::optional<std::string> offer = sdp("a1")) {
    bob.on_request = [this](const RequestArrived& event) {
      if (event.request->method() == Method::Invite && !invite) invite = event;
      if (event.request->method() == Method::Bye) world.respond(bob, event, 200);
      return true;
    };
    call(std::move(offer));
    world.run(milliseconds(50));
    ASSERT_TRUE(invite);
  }

  void answer(int status, const std::string& tag, const std::string& body = "",
              const wire::DraftHeaders& extra = {}) {
    wire::ResponseDraft draft = wire::make_response(*invite->request, status,
                                                    {.to_tag = tag, .source = invite->flow.remote});
    for (const auto& header : extra) draft.headers.push_back(header);
    draft.contact.wanted = true;
    if (!body.empty()) {
      draft.content_type = kSdpType;
      draft.body = body;
    }
    // Beside the transaction, which would refuse a second 2xx with another tag's 1xx after it.
    ASSERT_TRUE(bob.layer.transmit(
        to_alice(),
        wire::serialise(draft, "<sip:" + (tag.empty() ? "x" : tag) + "@10.9.0.1:5060>")));
    world.run(milliseconds(50));
  }

  std::optional<RequestArrived> invite;
};

TEST_F(Forks, FirstAnswerWinsAndTheOthersAreEnded) {
  call_and_hold();
  answer(180, "f1");
  answer(183, "f2", sdp("early2"));
  EXPECT_EQ(alice.session().early_dialogs().size(), 2U);
  EXPECT_EQ(alice.session().dialog(), nullptr);
  world.sent();
  answer(200, "f2", sdp("b2"));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b2)", "alice ACK"}));
  EXPECT_EQ(alice.session().dialog()->id.remote_tag, "f2");
  EXPECT_EQ(alice.session().early_dialogs().size(), 0U);
  answer(200, "f1", sdp("b1"));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b1)", "alice ACK", "alice BYE", "bob 200 BYE"}));
  answer(200, "f3", sdp("b3"));  // Never heard of before.
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b3)", "alice ACK", "alice BYE", "bob 200 BYE"}));
  EXPECT_EQ(alice.events, (Lines{"Progress 180", "Forked", "Progress 183(early2)", "Answered",
                                 "AnswerReceived(b2)", "Forked answered", "Forked answered"}));
  // Each ACK and BYE goes to its own fork.
  const auto acks = world.all("alice", "ACK");
  const auto byes = world.all("alice", "BYE");
  ASSERT_EQ(acks.size(), 3U);
  ASSERT_EQ(byes.size(), 2U);
  EXPECT_EQ(wire::to_tag_of(*acks[1]), "f1");
  EXPECT_EQ(wire::to_tag_of(*byes[0]), "f1");
  EXPECT_EQ(byes[0]->request_uri(), "sip:f1@10.9.0.1:5060");
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);

  // Retransmitted: the same ACK, and no second BYE.
  world.sent();
  answer(200, "f1", sdp("b1"));
  answer(200, "f2", sdp("b2"));
  EXPECT_EQ(world.sent(),
            (Lines{"bob 200 INVITE(b1)", "alice ACK", "bob 200 INVITE(b2)", "alice ACK"}));
}

TEST_F(Forks, CancelledCallAnsweredByTwo) {
  call_and_hold();
  answer(180, "f1");
  alice.session().end(world.now);
  world.run(milliseconds(50));
  world.sent();
  answer(200, "f1", sdp("b1"));
  answer(200, "f2", sdp("b2"));
  EXPECT_EQ(world.all("alice", "BYE").size(), 2U);
  EXPECT_EQ(alice.events.back(), "Ended 0 by local");
}

TEST_F(Forks, AChallengedByeToALateForkIsRepeatedWithCredentialsOnce) {
  int byes = 0;
  call_and_hold();
  bob.on_request = [&](const RequestArrived& event) {
    if (event.request->method() != Method::Bye) return true;
    ++byes;
    const bool authorised = event.request->first(HeaderId::ProxyAuthorization).has_value();
    if (authorised) {
      world.respond(bob, event, 200);
    } else {
      world.respond(bob, event, 407,
                    {{HeaderId::ProxyAuthenticate, "Digest realm=\"r\", nonce=\"n\""}});
    }
    return true;
  };
  answer(200, "f1", sdp("b1"));
  answer(200, "f2", sdp("b2"));
  world.run(milliseconds(100));
  EXPECT_EQ(byes, 2);
  const auto sent = world.all("alice", "BYE");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(wire::to_tag_of(*sent[1]), "f2");
  EXPECT_EQ(wire::cseq_of(*sent[1])->number, wire::cseq_of(*sent[0])->number + 1);
  EXPECT_TRUE(sent[1]->first(HeaderId::ProxyAuthorization));
}

TEST_F(Forks, ASessionThatIsOverStillEndsWhatIsAnsweredLate) {
  call_and_hold();
  alice.session().give_up("no way", world.now);
  world.run(milliseconds(50));
  const auto events = alice.events.size();
  world.sent();
  for (const char* tag : {"f1", "f2"}) {
    answer(200, tag, sdp("b"));
    EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b)", "alice ACK", "alice BYE", "bob 200 BYE"}));
  }
  answer(200, "f1", sdp("b"));
  EXPECT_EQ(world.sent(), (Lines{"bob 200 INVITE(b)", "alice ACK"}));
  EXPECT_EQ(alice.events.size(), events) << "nothing comes after Ended";
}

TEST_F(Forks, TheirNumberIsBounded) {
  call_and_hold();
  for (int i = 0; i < 30; ++i) answer(180, "f" + std::to_string(i));
  EXPECT_EQ(alice.session().early_dialogs().size(), InviteSession::kMaxForks);
  answer(200, "f29", sdp("b"));  // One that was not kept may still win.
  EXPECT_EQ(alice.session().dialog()->id.remote_tag, "f29");
  world.messages.clear();
  for (int i = 100; i < 130; ++i) answer(200, "g" + std::to_string(i), sdp("b"));
  EXPECT_EQ(world.all("alice", "BYE").size(), InviteSession::kMaxForks);
}

TEST_F(Forks, RouteSetComesFromTheAnswer) {
  call_and_hold();
  answer(180, "f1", "", {{HeaderId::RecordRoute, "<sip:10.9.0.1;lr>, <sip:p2.example.org;lr>"}});
  answer(200, "f1", sdp("b1"),
         {{HeaderId::RecordRoute, "<sip:p3.example.org;lr>"},
          {HeaderId::RecordRoute, "<sip:10.9.0.1;lr;x=1>"}});
  EXPECT_EQ(alice.session().dialog()->route_set,
            (std::vector<std::string>{"<sip:10.9.0.1;lr;x=1>", "<sip:p3.example.org;lr>"}));
  EXPECT_EQ(alice.session().next_hop(), "sip:10.9.0.1;lr;x=1");
  const auto ack = world.all("alice", "ACK").at(0);
  EXPECT_EQ(ack->request_uri(), "sip:f1@10.9.0.1:5060");
  EXPECT_EQ(ack->line_count(HeaderId::Route), 2U);
}

TEST_F(Forks, AnswerWithoutATagCannotBeACall) {
  call_and_hold();
  answer(200, "", sdp("b1"));
  EXPECT_EQ(alice.events, (Lines{"Ended 200 by peer"}));
}

TEST_F(Forks, RedirectionIsTheOwnersBusiness) {
  call_and_hold();
  answer(302, "f1");
  EXPECT_EQ(alice.events, (Lines{"Redirected 302 sip:f1@10.9.0.1:5060", "Ended 302 by peer"}));
}

// --- digest ---

/// Bob, or a proxy before him, wants credentials for each request that brings none of this nonce.
class Challenged : public CallFixture {
 protected:
  void challenge_everything() {
    bob.on_request = [this](const RequestArrived& event) {
      const auto header = event.request->first(HeaderId::ProxyAuthorization);
      if (header && header->find("nonce=\"" + nonce + "\"") != std::string_view::npos) {
        counts.emplace_back(header->substr(header->find("nc=") + 3, 8));
        return false;
      }
      world.respond(bob, event, 407,
                    {{HeaderId::ProxyAuthenticate,
                      "Digest realm=\"r\", nonce=\"" + nonce + "\", qop=\"auth\", algorithm=MD5"}});
      return true;
    };
  }

  std::string nonce = "n1";
  std::vector<std::string> counts;
};

TEST_F(Challenged, FirstInviteIsRepeatedOnceAndLaterRequestsBringCredentialsAhead) {
  challenge_everything();
  call();
  world.run(milliseconds(100));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a1)", "bob 100 INVITE", "bob 407 INVITE", "alice ACK",
                   "alice INVITE(a1)", "bob 100 INVITE", "bob 200 INVITE(b1)", "alice ACK"}));
  const auto invites = world.all("alice", "INVITE");
  EXPECT_EQ(wire::call_id_of(*invites[0]), wire::call_id_of(*invites[1]));
  EXPECT_EQ(wire::from_tag_of(*invites[0]), wire::from_tag_of(*invites[1]));
  EXPECT_EQ(wire::cseq_of(*invites[0])->number + 1, wire::cseq_of(*invites[1])->number);
  // RFC 3261 §22.1: the ACK brings the INVITE's credentials.
  const auto acks = world.all("alice", "ACK");
  EXPECT_EQ(acks.back()->first(HeaderId::ProxyAuthorization),
            invites[1]->first(HeaderId::ProxyAuthorization));

  world.sent();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run(milliseconds(50));
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice INVITE(a2)", "bob 100 INVITE", "bob 200 INVITE(b2)",
                                 "alice ACK", "alice BYE", "bob 200 BYE"}));
  EXPECT_EQ(counts, (Lines{"00000001", "00000002", "00000003"}));
  expect_quiet();
}

TEST_F(Challenged, NewNonceWithinTheDialogIsOneSilentRetry) {
  establish();
  challenge_everything();
  ASSERT_TRUE(alice.session().refresh(refresh_of(alice, 1, sdp("a2", 2)), world.now));
  world.run(milliseconds(100));
  ASSERT_TRUE(bob.session().answer_offer(sdp("b2", 2), world.now));
  world.run();
  EXPECT_EQ(world.sent(),
            (Lines{"alice INVITE(a2)", "bob 100 INVITE", "bob 407 INVITE", "alice ACK",
                   "alice INVITE(a2)", "bob 100 INVITE", "bob 200 INVITE(b2)", "alice ACK"}));
  EXPECT_EQ(alice.events, (Lines{"AnswerReceived(b2)", "RefreshDone INVITE 200"}));
  clear();
  nonce = "n2";
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 1, std::nullopt, Method::Update), world.now));
  world.run();
  EXPECT_EQ(alice.events, (Lines{"RefreshDone UPDATE 200"}));
  nonce = "n3";
  alice.session().end(world.now);
  world.run();
  EXPECT_EQ(world.sent(), (Lines{"alice UPDATE", "bob 407 UPDATE", "alice UPDATE", "bob 200 UPDATE",
                                 "alice BYE", "bob 407 BYE", "alice BYE", "bob 200 BYE"}));
  expect_quiet();
}

TEST_F(Challenged, RefusedCredentialsAreAnEndNotALoop) {
  bob.on_request = [this](const RequestArrived& event) {
    world.respond(
        bob, event, 401,
        {{HeaderId::WwwAuthenticate,
          "Digest realm=\"r\", nonce=\"n" + std::to_string(counts.size()) + "\", qop=\"auth\""}});
    counts.emplace_back("x");
    return true;
  };
  call();
  world.run(seconds(5));
  EXPECT_EQ(alice.events, (Lines{"Ended 401 by peer"}));
  EXPECT_LE(counts.size(), 3U);
  expect_quiet();
}

TEST_F(Forks, EveryForkThatAnswersAnAbandonedInviteIsAcknowledgedAndAllButOneEnded) {
  call_and_hold();
  answer(180, "f1");
  alice.session().abandon_pending(world.now);
  world.run(milliseconds(50));
  clear();
  for (const char* tag : {"f1", "f2", "f3"}) answer(200, tag, sdp("b"));
  EXPECT_EQ(alice.session().dialog()->id.remote_tag, "f1");
  std::set<std::string> acknowledged;
  for (const auto* ack : world.all("alice", "ACK"))
    acknowledged.insert(std::string(wire::to_tag_of(*ack)));
  EXPECT_EQ(acknowledged, (std::set<std::string>{"f1", "f2", "f3"}));
  std::set<std::string> ended;
  for (const auto* bye : world.all("alice", "BYE"))
    ended.insert(std::string(wire::to_tag_of(*bye)));
  EXPECT_EQ(ended, (std::set<std::string>{"f2", "f3"}));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
}

}  // namespace
}  // namespace godwit::sip::test
