// SPDX-License-Identifier: Apache-2.0
//
// Single requests against a server whose answers each test writes.
#include "sip/request_usage.hpp"

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;

class RequestUsageTest : public ::testing::Test {
 protected:
  World world;
  Party& phone = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& server = world.add("server", {"10.9.0.1:5060"});
  Owner owner{77};
  std::unique_ptr<RequestUsage> usage = std::make_unique<RequestUsage>(
      phone.context(), owner,
      RequestIdentity{"sip:alice@example.org", "Alice", {"<sip:10.9.0.1;lr>"}, "Test"},
      phone.digest);
  struct Answer {
    int status = 200;
    wire::DraftHeaders headers;
  };
  std::deque<Answer> answers;  ///< One for each request; none: no answer.
  std::vector<wire::Message> requests;

  void SetUp() override {
    phone.on_event = [this](const TransactionEvent& event) {
      if (const auto* response = std::get_if<ResponseArrived>(&event)) {
        usage->on_response(*response, world.now);
      } else if (const auto* failed = std::get_if<ClientFailed>(&event)) {
        usage->on_client_failed(*failed, world.now);
      }
      return true;
    };
    server.on_request = [this](const RequestArrived& event) {
      requests.push_back(*event.request);
      if (answers.empty()) return true;
      world.respond(server, event, answers.front().status, answers.front().headers);
      answers.pop_front();
      return true;
    };
  }

  OutgoingRequest message(const std::string& text = "hello") {
    OutgoingRequest request;
    request.method = wire::Method::Message;
    request.target = "sip:bob@example.org";
    request.content_type = "text/plain";
    request.body = text;
    request.flow = phone.flow(0, server.endpoints[0]);
    return request;
  }
  static wire::DraftHeaders challenge(const std::string& nonce, HeaderId id) {
    wire::DraftHeaders headers;
    headers.emplace_back(id, "Digest realm=\"example.org\", nonce=\"" + nonce + "\", qop=\"auth\"");
    return headers;
  }
};

TEST_F(RequestUsageTest, SendsAndTellsTheAnswer) {
  answers.push_back({202, {}});
  ASSERT_TRUE(usage->start(message(), world.now));
  EXPECT_TRUE(usage->in_flight());
  EXPECT_FALSE(usage->start(message(), world.now)) << "one at a time";
  world.run();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method(), wire::Method::Message);
  EXPECT_EQ(requests[0].body(), "hello");
  EXPECT_TRUE(wire::has_content_type(requests[0], "text/plain"));
  EXPECT_FALSE(requests[0].has(HeaderId::Contact)) << "RFC 3428 §4";
  EXPECT_EQ(requests[0].first(HeaderId::Route), "<sip:10.9.0.1;lr>");
  EXPECT_EQ(wire::from_of(requests[0])->display_name(), "Alice");
  const auto outcome = usage->poll_outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->status, 202);
  EXPECT_FALSE(outcome->in_doubt);
  EXPECT_NE(outcome->response, nullptr);
  EXPECT_FALSE(usage->poll_outcome());
  EXPECT_TRUE(usage->start(message("again"), world.now)) << "it may be used once more";
}

TEST_F(RequestUsageTest, AnswersBothKindsOfChallengeWithTheNextCSeq) {
  answers.push_back({401, challenge("n1", HeaderId::WwwAuthenticate)});
  answers.push_back({407, challenge("n2", HeaderId::ProxyAuthenticate)});
  answers.push_back({200, {}});
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_TRUE(requests[1].has(HeaderId::Authorization));
  EXPECT_TRUE(requests[2].has(HeaderId::ProxyAuthorization));
  EXPECT_EQ(wire::cseq_of(requests[2])->number, wire::cseq_of(requests[0])->number + 2);
  EXPECT_EQ(wire::call_id_of(requests[2]), wire::call_id_of(requests[0]));
  EXPECT_EQ(requests[2].body(), "hello");
  EXPECT_EQ(usage->poll_outcome()->status, 200);
}

TEST_F(RequestUsageTest, WrongCredentialsEndIt) {
  for (const char* nonce : {"n1", "n2", "n3", "n4"})
    answers.push_back({401, challenge(nonce, HeaderId::WwwAuthenticate)});
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run();
  EXPECT_LE(requests.size(), 3U);
  const auto outcome = usage->poll_outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->status, 401);
  EXPECT_FALSE(outcome->reason.empty());
}

TEST_F(RequestUsageTest, AnswersNoChallengeOfAStranger) {
  usage->answer_challenges(false);
  answers.push_back({401, challenge("n1", HeaderId::WwwAuthenticate)});
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run();
  EXPECT_EQ(requests.size(), 1U);
  EXPECT_EQ(usage->poll_outcome()->status, 401);
}

TEST_F(RequestUsageTest, FollowsNoRedirection) {
  wire::DraftHeaders contact;
  contact.emplace_back("Contact", "<sip:evil@10.66.0.1>");
  answers.push_back({302, contact});
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run();
  EXPECT_EQ(requests.size(), 1U);
  EXPECT_EQ(usage->poll_outcome()->status, 302);
}

TEST_F(RequestUsageTest, TellsRetryAfter) {
  wire::DraftHeaders later;
  later.emplace_back(HeaderId::RetryAfter, "30");
  answers.push_back({480, later});
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run();
  EXPECT_EQ(usage->poll_outcome()->retry_after, seconds(30));
}

TEST_F(RequestUsageTest, NoAnswerIsInDoubt) {
  ASSERT_TRUE(usage->start(message(), world.now));
  world.run(seconds(31));
  EXPECT_FALSE(usage->poll_outcome());
  world.run(seconds(2));
  const auto outcome = usage->poll_outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->status, 408);
  EXPECT_TRUE(outcome->in_doubt);
  EXPECT_FALSE(outcome->flow_died);
}

TEST_F(RequestUsageTest, ADeadFlowIsTold) {
  world.kill(phone, 0);
  ASSERT_TRUE(usage->start(message(), world.now));
  phone.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run();
  const auto outcome = usage->poll_outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->status, 503);
  EXPECT_TRUE(outcome->in_doubt);
  EXPECT_TRUE(outcome->flow_died);
}

TEST_F(RequestUsageTest, ForgetsWhatIsInFlight) {
  answers.push_back({200, {}});
  ASSERT_TRUE(usage->start(message(), world.now));
  usage->forget(world.now);
  EXPECT_FALSE(usage->in_flight());
  world.run();
  EXPECT_FALSE(usage->poll_outcome());
}

class OwnRequestTest : public CallFixture {
 protected:
  OwnRequest info(std::uint32_t token = 5) {
    OwnRequest request;
    request.token = token;
    request.method = wire::Method::Info;
    request.content_type = "application/dtmf-relay";
    request.body = "Signal=5\r\nDuration=160\r\n";
    return request;
  }
};

TEST_F(OwnRequestTest, TravelsWithinTheDialogAndIsAnswered) {
  establish();
  ASSERT_TRUE(alice.session().send_request(info(), world.now));
  world.run(milliseconds(30));
  ASSERT_TRUE(bob.open_request);
  EXPECT_EQ(bob.events, Lines{"InDialogRequest INFO"});
  ASSERT_TRUE(bob.session().respond(*bob.open_request, 200, world.now));
  world.run(milliseconds(30));
  EXPECT_EQ(alice.events, Lines{"RequestAnswered INFO 200"});
}

TEST_F(OwnRequestTest, ThereIsALimit) {
  establish();
  for (std::size_t i = 0; i < InviteSession::kMaxOwnRequests; ++i)
    ASSERT_TRUE(alice.session().send_request(info(), world.now));
  const auto refused = alice.session().send_request(info(), world.now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Busy);
}

TEST_F(OwnRequestTest, NotBeforeTheCallIsConfirmed) {
  call();
  world.run(milliseconds(30));
  const auto refused = alice.session().send_request(info(), world.now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::WrongState);
}

TEST_F(OwnRequestTest, ChallengesAreAnswered) {
  establish();
  int asked = 0;
  bob.on_request = [&](const RequestArrived& event) {
    wire::DraftHeaders headers;
    headers.emplace_back(wire::HeaderId::WwwAuthenticate, "Digest realm=\"x\", nonce=\"n\"");
    const bool known = event.request->has(wire::HeaderId::Authorization);
    ++asked;
    world.respond(bob, event, known ? 200 : 401, known ? wire::DraftHeaders{} : headers);
    return true;
  };
  ASSERT_TRUE(alice.session().send_request(info(), world.now));
  world.run();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(alice.events, Lines{"RequestAnswered INFO 200"});
}

TEST_F(OwnRequestTest, WhatIsPendingOnADeadFlowIsReportedAndNotRepeated) {
  establish();
  world.drop("INFO", 100);
  ASSERT_TRUE(alice.session().send_request(info(), world.now));
  alice.session().move_flow(to_bob(1), alice.contact(1));
  alice.layer.on_flow_failed(ListenerId{1}, world.now);
  world.run(seconds(40));
  EXPECT_EQ(alice.events, Lines{"RequestAnswered INFO 503 in doubt"});
  EXPECT_EQ(world.all("alice", "INFO").size(), 1U);
}

TEST_F(OwnRequestTest, TheEndOfTheCallAnswersWhatIsPending) {
  establish();
  ASSERT_TRUE(alice.session().send_request(info(), world.now));
  alice.session().give_up("gone", world.now);
  world.run();
  EXPECT_EQ(alice.events, (Lines{"RequestAnswered INFO 487 in doubt", "Ended 0 by network"}));
}

TEST_F(OwnRequestTest, AnAnswerToReferGivesOurContact) {
  establish();
  OwnRequest refer;
  refer.method = wire::Method::Refer;
  refer.headers.emplace_back(wire::HeaderId::ReferTo, "<sip:carol@example.org>");
  ASSERT_TRUE(alice.session().send_request(std::move(refer), world.now));
  world.run(milliseconds(30));
  ASSERT_TRUE(bob.open_request);
  wire::DraftHeaders headers;
  headers.emplace_back(wire::HeaderId::ReferSub, "false");
  ASSERT_TRUE(bob.session().respond(*bob.open_request, 202, std::move(headers), world.now));
  world.run(milliseconds(30));
  const auto accepted = world.all("bob", "202 REFER");
  ASSERT_EQ(accepted.size(), 1U);
  EXPECT_TRUE(accepted[0]->has(wire::HeaderId::Contact));
  EXPECT_EQ(accepted[0]->first(wire::HeaderId::ReferSub), "false");
  EXPECT_EQ(alice.events, Lines{"RequestAnswered REFER 202"});
}

}  // namespace
}  // namespace godwit::sip::test
