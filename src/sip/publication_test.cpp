// SPDX-License-Identifier: Apache-2.0
//
// Publications against a server whose answers each test writes.
#include "sip/publication.hpp"

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;

class PublicationTest : public ::testing::Test {
 protected:
  World world;
  Party& phone = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& server = world.add("server", {"10.9.0.1:5060"});
  Owner owner{77};
  std::unique_ptr<Publication> publication =
      std::make_unique<Publication>(phone.context(), owner,
                                    PublicationConfig{{"sip:alice@example.org", "", {}, "Test"},
                                                      "sip:alice@example.org",
                                                      "presence",
                                                      seconds(600)},
                                    phone.digest);
  struct Answer {
    int status = 200;
    wire::DraftHeaders headers;
  };
  std::deque<Answer> answers;  ///< The last one again and again; none: no answer.
  std::vector<wire::Message> requests;
  std::vector<PublicationStatus> statuses;

  void SetUp() override {
    phone.on_event = [this](const TransactionEvent& event) {
      if (const auto* response = std::get_if<ResponseArrived>(&event)) {
        publication->on_response(*response, world.now);
      } else if (const auto* failed = std::get_if<ClientFailed>(&event)) {
        publication->on_client_failed(*failed, world.now);
      }
      return true;
    };
    phone.on_timer = [this](const UsageTimer& timer) {
      publication->on_timer(timer.kind, world.now);
      return true;
    };
    server.on_request = [this](const RequestArrived& event) {
      requests.push_back(*event.request);
      if (answers.empty()) return true;
      const Answer answer = answers.front();
      if (answers.size() > 1) answers.pop_front();
      world.respond(server, event, answer.status, answer.headers);
      return true;
    };
    publication->set_content("application/pidf+xml", "one", world.now);
  }
  void place(std::size_t address) {
    publication->move(phone.flow(address, server.endpoints[0]), {}, world.now);
    world.run(milliseconds(50));
  }
  static Answer taken(const std::string& tag, int expires = 600) {
    Answer answer;
    answer.headers.emplace_back(HeaderId::SipETag, tag);
    answer.headers.emplace_back(HeaderId::Expires, std::to_string(expires));
    return answer;
  }
  std::string header(std::size_t request, HeaderId id) {
    return std::string(requests.at(request).first(id).value_or(""));
  }
  std::string states() {
    std::string text;
    while (auto event = publication->poll_event()) statuses.push_back(*event);
    for (const auto& status : statuses)
      text += std::string(text.empty() ? "" : " ") + to_string(status.state) +
              (status.status != 0 ? std::to_string(status.status) : "");
    return text;
  }
};

TEST_F(PublicationTest, PublishesRefreshesChangesAndTakesAway) {
  answers = {taken("t1", 100), taken("t2", 100), taken("t3", 100), taken("t4")};
  place(0);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method(), wire::Method::Publish);
  EXPECT_EQ(header(0, HeaderId::Event), "presence");
  EXPECT_EQ(header(0, HeaderId::Expires), "600");
  EXPECT_FALSE(requests[0].has(HeaderId::SipIfMatch));
  EXPECT_FALSE(requests[0].has(HeaderId::Contact));
  EXPECT_EQ(requests[0].body(), "one");
  world.run(seconds(96));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(header(1, HeaderId::SipIfMatch), "t1");
  EXPECT_TRUE(requests[1].body().empty());
  publication->set_content("application/pidf+xml", "two", world.now);
  world.run(milliseconds(50));
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(header(2, HeaderId::SipIfMatch), "t2");
  EXPECT_EQ(requests[2].body(), "two");
  publication->stop(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(header(3, HeaderId::SipIfMatch), "t3");
  EXPECT_EQ(header(3, HeaderId::Expires), "0");
  EXPECT_TRUE(requests[3].body().empty());
  EXPECT_EQ(states(), "Published200 Published200 Ended200");
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(PublicationTest, AForgottenTagIsPublishedAnew) {
  answers = {taken("t1", 100), {412, {}}, taken("t9", 100)};
  place(0);
  world.run(seconds(96));
  ASSERT_GE(requests.size(), 3U);
  EXPECT_EQ(header(1, HeaderId::SipIfMatch), "t1");
  EXPECT_FALSE(requests[2].has(HeaderId::SipIfMatch));
  EXPECT_EQ(requests[2].body(), "one");
}

TEST_F(PublicationTest, AServerThatRefusesItsOwnTagsDoesNotMakeUsSpin) {
  answers = {{412, {}}};
  place(0);
  world.run(seconds(60));
  EXPECT_LE(requests.size(), 7U);
}

TEST_F(PublicationTest, RaisesTheIntervalAndAnswersAChallenge) {
  Answer challenge{401, {}};
  challenge.headers.emplace_back(HeaderId::WwwAuthenticate, "Digest realm=\"x\", nonce=\"n\"");
  Answer brief{423, {}};
  brief.headers.emplace_back(HeaderId::MinExpires, "900");
  answers = {challenge, brief, taken("t1", 900)};
  place(0);
  world.run();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(header(2, HeaderId::Expires), "900");
  EXPECT_EQ(states(), "Published200");
}

TEST_F(PublicationTest, AFinalRefusalEndsItATemporaryOneDoesNot) {
  answers = {{503, {}}, {489, {}}};
  place(0);
  EXPECT_EQ(states(), "Failed503");
  world.run(seconds(10));
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(states(), "Failed503 Publishing Ended489");
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(PublicationTest, AnAnswerWithoutATagIsNoSuccess) {
  answers = {{200, {}}};
  place(0);
  EXPECT_EQ(publication->state(), PublicationState::Failed);
}

TEST_F(PublicationTest, WhatChangesUnderWayIsSentNext) {
  answers = {taken("t1"), taken("t2")};
  publication->move(phone.flow(0, server.endpoints[0]), {}, world.now);
  publication->set_content("application/pidf+xml", "two", world.now);
  world.run();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[1].body(), "two");
  EXPECT_EQ(header(1, HeaderId::SipIfMatch), "t1");
}

TEST_F(PublicationTest, MovesByARefreshFromTheNewFlow) {
  answers = {taken("t1"), taken("t2")};
  place(0);
  world.kill(phone, 0);
  place(1);
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(header(1, HeaderId::SipIfMatch), "t1");
  EXPECT_TRUE(requests[1].body().empty());
  EXPECT_EQ(world.all("alice", "PUBLISH").size(), 2U);
}

TEST_F(PublicationTest, AFirstOneOnADeadFlowIsRepeated) {
  world.drop("PUBLISH", 1);
  publication->move(phone.flow(0, server.endpoints[0]), {}, world.now);
  world.kill(phone, 0);
  answers = {taken("t1")};
  place(1);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].body(), "one");
  EXPECT_EQ(states(), "Published200");
}

TEST_F(PublicationTest, SuspendedItWaits) {
  answers = {taken("t1", 60), taken("t2")};
  place(0);
  publication->suspend(world.now);
  world.run(seconds(200));
  EXPECT_EQ(requests.size(), 1U);
  place(1);
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(states(), "Published200 Suspended Publishing Published200");
}

}  // namespace
}  // namespace godwit::sip::test
