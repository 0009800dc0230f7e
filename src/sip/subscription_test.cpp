// SPDX-License-Identifier: Apache-2.0
//
// Subscriptions against a notifier that each test plays by hand.
#include "sip/subscription.hpp"

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;

class SubscriptionTest : public ::testing::Test {
 protected:
  World world;
  Party& phone = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& notifier = world.add("bob", {"10.9.0.1:5060"});
  Owner owner{77};
  std::unique_ptr<Subscription> subscription;

  struct Answer {
    int status = 200;
    wire::DraftHeaders headers;
  };
  /// Given one by one, the last one again and again; none: no answer.
  std::deque<Answer> answers;
  std::vector<wire::Message> requests;
  std::vector<int> notified;  ///< The phone's answers to NOTIFY.
  std::vector<SubscriptionStatus> statuses;
  Lines bodies;
  std::uint32_t notify_cseq = 100;

  void SetUp() override {
    make("presence");
    phone.on_event = [this](const TransactionEvent& event) {
      if (const auto* response = std::get_if<ResponseArrived>(&event)) {
        subscription->on_response(*response, world.now);
      } else if (const auto* failed = std::get_if<ClientFailed>(&event)) {
        subscription->on_client_failed(*failed, world.now);
      } else if (const auto* request = std::get_if<RequestArrived>(&event)) {
        subscription->on_notify(*request, world.now);
      }
      collect();
      return true;
    };
    phone.on_timer = [this](const UsageTimer& timer) {
      if (timer.owner == owner) subscription->on_timer(timer.kind, world.now);
      collect();
      return true;
    };
    notifier.on_event = [this](const TransactionEvent& event) {
      if (const auto* response = std::get_if<ResponseArrived>(&event)) {
        if (response->response->status() >= 200) notified.push_back(response->response->status());
        return true;
      }
      return !std::holds_alternative<RequestArrived>(event);
    };
    notifier.on_request = [this](const RequestArrived& event) {
      requests.push_back(*event.request);
      if (answers.empty()) return true;
      const Answer answer = answers.front();
      if (answers.size() > 1) answers.pop_front();
      world.respond(notifier, event, answer.status, answer.headers,
                    answer.status < 300 ? "<sip:bob@10.9.0.1:5060>" : "");
      return true;
    };
  }

  void make(const std::string& event, std::vector<std::string> accept = {}) {
    SubscriptionConfig config;
    config.identity = {"sip:alice@example.org", "", {}, "Test"};
    config.target = "sip:bob@example.org";
    config.event = event;
    config.accept = std::move(accept);
    config.expires = seconds(600);
    subscription =
        std::make_unique<Subscription>(phone.context(), owner, std::move(config), phone.digest);
  }
  void collect() {
    while (auto event = subscription->poll_event()) {
      if (const auto* status = std::get_if<SubscriptionStatus>(&*event)) {
        statuses.push_back(*status);
      } else {
        bodies.push_back(std::get<Notification>(*event).body);
      }
    }
  }
  SubscriptionMove place(std::size_t address) {
    SubscriptionMove move;
    move.flow = phone.flow(address, notifier.endpoints[0]);
    move.contact = phone.contact(address);
    move.generation = Generation{static_cast<std::uint32_t>(address)};
    return move;
  }
  void start() { ASSERT_TRUE(subscription->move(place(0), world.now)); }
  static Answer granted(int expires) {
    Answer answer;
    answer.headers.emplace_back(HeaderId::Expires, std::to_string(expires));
    return answer;
  }
  struct Notify {
    std::string state = "active;expires=600";
    std::string body = "";
    std::string event = "presence";
    std::string tag = "srv";
    std::size_t to = 0;
    std::optional<std::uint32_t> cseq = {};
  };
  void notify(const Notify& what) {
    wire::RequestDraft draft;
    draft.method = wire::Method::Notify;
    draft.request_uri = phone.contact(what.to);
    draft.headers.emplace_back(HeaderId::From, "<sip:bob@example.org>;tag=" + what.tag);
    draft.headers.emplace_back(HeaderId::To,
                               "<sip:alice@example.org>;tag=" + subscription->local_tag());
    draft.headers.emplace_back(HeaderId::CallId, subscription->call_id());
    draft.headers.emplace_back(HeaderId::CSeq,
                               std::to_string(what.cseq.value_or(++notify_cseq)) + " NOTIFY");
    if (!what.event.empty()) draft.headers.emplace_back(HeaderId::Event, what.event);
    if (!what.state.empty()) draft.headers.emplace_back(HeaderId::SubscriptionState, what.state);
    draft.contact.wanted = true;
    if (!what.body.empty()) draft.content_type = "application/pidf+xml";
    draft.body = what.body;
    ASSERT_TRUE(notifier.layer.send_request(draft, "<sip:bob@10.9.0.1:5060>",
                                            notifier.flow(0, phone.endpoints[what.to]), Owner{5},
                                            {}, world.now));
    world.run(milliseconds(50));
  }
  std::string states() {
    collect();
    std::string text;
    for (const auto& status : statuses)
      text += std::string(text.empty() ? "" : " ") + to_string(status.state) +
              (status.status != 0 ? std::to_string(status.status) : "");
    return text;
  }
  std::string expires_of(std::size_t request) {
    return std::string(requests.at(request).first(HeaderId::Expires).value_or(""));
  }
  /// Accepted and active.
  void establish(int expires = 600) {
    answers = {granted(expires)};
    start();
    world.run(milliseconds(50));
    notify({.state = "active;expires=" + std::to_string(expires)});
    ASSERT_EQ(subscription->state(), SubscriptionState::Active);
  }
};

TEST_F(SubscriptionTest, BecomesActiveByItsFirstNotification) {
  answers = {granted(300)};
  start();
  world.run(milliseconds(50));
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method(), wire::Method::Subscribe);
  EXPECT_EQ(requests[0].first(HeaderId::Event), "presence");
  EXPECT_EQ(expires_of(0), "600");
  EXPECT_TRUE(requests[0].has(HeaderId::Contact));
  EXPECT_EQ(subscription->state(), SubscriptionState::Subscribing);
  notify({.state = "pending;expires=300"});
  notify({.state = "active;expires=290", .body = "<presence/>"});
  EXPECT_EQ(states(), "Subscribing Pending Active");
  EXPECT_EQ(notified, (std::vector<int>{200, 200}));
  EXPECT_EQ(bodies, Lines{"<presence/>"});
}

TEST_F(SubscriptionTest, TheNotificationMayComeBeforeTheAnswer) {
  start();
  world.run(milliseconds(15));
  notify({.body = "x"});
  EXPECT_EQ(subscription->state(), SubscriptionState::Active);
  EXPECT_EQ(bodies, Lines{"x"});
}

TEST_F(SubscriptionTest, IsRefreshedBeforeItEndsWithinTheDialog) {
  establish(100);
  world.run(seconds(96));
  ASSERT_GE(requests.size(), 2U);
  EXPECT_EQ(requests[1].request_uri(), "sip:bob@10.9.0.1:5060");
  EXPECT_EQ(wire::to_tag_of(requests[1]), "srv");
  EXPECT_EQ(wire::call_id_of(requests[1]), wire::call_id_of(requests[0]));
  EXPECT_EQ(wire::cseq_of(requests[1])->number, wire::cseq_of(requests[0])->number + 1);
  EXPECT_EQ(states(), "Subscribing Active") << "no news";
}

TEST_F(SubscriptionTest, ANotificationMayShortenButNotProlong) {
  establish(600);
  notify({.state = "active;expires=20"});
  world.run(seconds(16));
  EXPECT_EQ(requests.size(), 2U) << "refreshed before the 20 seconds are over";
  notify({.state = "active;expires=86400"});
  world.run(seconds(596));
  EXPECT_GE(requests.size(), 3U);
}

TEST_F(SubscriptionTest, AnswersAChallengeAndRaisesTheInterval) {
  Answer challenge{401, {}};
  challenge.headers.emplace_back(HeaderId::WwwAuthenticate, "Digest realm=\"x\", nonce=\"n\"");
  Answer brief{423, {}};
  brief.headers.emplace_back(HeaderId::MinExpires, "1800");
  answers = {challenge, brief, granted(1800)};
  start();
  world.run(milliseconds(100));
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_TRUE(requests[1].has(HeaderId::Authorization));
  EXPECT_EQ(expires_of(2), "1800");
  EXPECT_EQ(wire::call_id_of(requests[2]), wire::call_id_of(requests[0]));
}

TEST_F(SubscriptionTest, ANotifierThatAlwaysWantsLongerIsLeft) {
  for (const char* least : {"700", "800", "900", "1000"}) {
    Answer brief{423, {}};
    brief.headers.emplace_back(HeaderId::MinExpires, least);
    answers.push_back(brief);
  }
  start();
  world.run(seconds(2));
  EXPECT_EQ(requests.size(), 3U);
  EXPECT_EQ(states(), "Subscribing Terminated423");
}

TEST_F(SubscriptionTest, AnUnknownPackageEndsIt) {
  answers = {{489, {}}};
  start();
  world.run(seconds(100));
  EXPECT_EQ(requests.size(), 1U);
  EXPECT_EQ(states(), "Subscribing Terminated489");
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(SubscriptionTest, ATemporaryRefusalIsTriedAgainLaterAndLater) {
  Answer busy{503, {}};
  busy.headers.emplace_back(HeaderId::RetryAfter, "0");
  answers = {busy};
  start();
  world.run(seconds(60));
  EXPECT_GE(requests.size(), 3U);
  EXPECT_LE(requests.size(), 7U) << "a Retry-After of 0 does not make us spin";
  std::set<std::string> ids;
  for (const auto& request : requests) ids.insert(std::string(wire::call_id_of(request)));
  EXPECT_EQ(ids.size(), requests.size()) << "each is a new subscription";
}

TEST_F(SubscriptionTest, WithoutANotificationTimerNEndsTheAttempt) {
  answers = {granted(600)};
  start();
  world.run(seconds(31));
  EXPECT_EQ(states(), "Subscribing");
  world.run(seconds(2));
  EXPECT_EQ(states(), "Subscribing Waiting408");
  world.run(seconds(5));
  EXPECT_EQ(requests.size(), 2U);
}

TEST_F(SubscriptionTest, FurtherNotifiersOfAForkGet481) {
  establish();
  notify({.body = "mine"});
  notify({.body = "other", .tag = "fork"});
  EXPECT_EQ(notified, (std::vector<int>{200, 200, 481}));
  EXPECT_EQ(bodies, Lines{"mine"});
}

TEST_F(SubscriptionTest, TheForkThatNotifiesFirstIsTheOne) {
  answers = {granted(600)};  // Its To tag is "srv".
  start();
  world.run(milliseconds(50));
  notify({.body = "first", .tag = "fork"});
  notify({.body = "late", .tag = "srv"});
  EXPECT_EQ(notified, (std::vector<int>{200, 481}));
  subscription->stop(world.now);
  world.run(milliseconds(50));
  EXPECT_EQ(wire::to_tag_of(requests.back()), "fork");
}

TEST_F(SubscriptionTest, NotificationsOutOfOrderChangeNothing) {
  establish();
  notify({.body = "new", .cseq = 500});
  notify({.body = "old", .cseq = 499});
  EXPECT_EQ(notified, (std::vector<int>{200, 200, 500}));
  EXPECT_EQ(bodies, Lines{"new"});
}

TEST_F(SubscriptionTest, WhatIsNoNotificationOfOursIsRefused) {
  make("presence;id=4", {"application/pidf+xml"});
  answers = {granted(600)};
  start();
  world.run(milliseconds(50));
  notify({.event = "dialog;id=4"});
  notify({.event = "presence"});
  notify({.event = ""});
  notify({.state = "", .event = "presence;id=4"});
  notify({.body = "x", .event = "presence;x=y;id=4"});
  EXPECT_EQ(notified, (std::vector<int>{489, 489, 489, 400, 200}));
  make("presence", {"text/plain"});
  start();
  world.run(milliseconds(50));
  notify({.body = "x"});
  EXPECT_EQ(notified.back(), 415);
}

TEST_F(SubscriptionTest, TheReasonOfTheEndSaysWhetherToTryAgain) {
  establish();
  notify({.state = "terminated;reason=deactivated"});
  world.run(milliseconds(50));
  EXPECT_EQ(requests.size(), 2U) << "at once";
  notify({.state = "active"});
  notify({.state = "terminated;reason=probation;retry-after=100"});
  world.run(seconds(90));
  EXPECT_EQ(requests.size(), 2U);
  world.run(seconds(15));
  EXPECT_EQ(requests.size(), 3U);
  notify({.state = "active"});
  notify({.state = "terminated;reason=noresource"});
  world.run(seconds(4000));
  EXPECT_EQ(requests.size(), 3U);
  EXPECT_EQ(subscription->state(), SubscriptionState::Terminated);
  notify({.body = "late"});
  EXPECT_EQ(notified.back(), 481);
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(SubscriptionTest, EndlessDeactivationDoesNotMakeUsSpin) {
  establish();
  for (int i = 0; i < 5; ++i) notify({.state = "terminated;reason=deactivated"});
  world.run(seconds(1));
  EXPECT_LE(requests.size(), 3U);
}

TEST_F(SubscriptionTest, ARefreshThatIsNotKnownAnyMoreBeginsAnew) {
  establish(100);
  answers = {{481, {}}, granted(100)};
  world.run(seconds(96));
  ASSERT_GE(requests.size(), 3U);
  EXPECT_TRUE(wire::to_tag_of(requests[2]).empty());
  EXPECT_NE(wire::call_id_of(requests[2]), wire::call_id_of(requests[0]));
  notify({});
  EXPECT_EQ(subscription->state(), SubscriptionState::Active);
}

TEST_F(SubscriptionTest, AFailedRefreshIsRepeatedWhileTheSubscriptionLasts) {
  establish(100);
  answers = {{500, {}}, granted(100)};
  world.run(seconds(98));
  ASSERT_GE(requests.size(), 3U);
  EXPECT_EQ(wire::call_id_of(requests[2]), wire::call_id_of(requests[0]));
  EXPECT_EQ(states(), "Subscribing Active");
}

TEST_F(SubscriptionTest, EndsWhenToldTo) {
  establish();
  subscription->stop(world.now);
  world.run(milliseconds(50));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(expires_of(1), "0");
  notify({.state = "terminated;reason=timeout", .body = "last"});
  EXPECT_EQ(states(), "Subscribing Active Terminated");
  EXPECT_EQ(bodies, Lines{"last"});
  world.run(seconds(100));
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(SubscriptionTest, EndsWithoutTheNotifiersHelpToo) {
  establish();
  subscription->stop(world.now);
  world.run(seconds(33));
  EXPECT_EQ(states(), "Subscribing Active Terminated");
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(SubscriptionTest, StoppedBeforeItBegan) {
  start();
  subscription->stop(world.now);
  EXPECT_EQ(states(), "Subscribing Terminated");
  world.run(seconds(40));
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(SubscriptionTest, MovesByATargetRefreshAndIsNotifiedThere) {
  establish();
  world.kill(phone, 0);
  ASSERT_TRUE(subscription->move(place(1), world.now));
  world.run(milliseconds(50));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(wire::contact_of(requests[1])->uri.text, phone.contact(1));
  EXPECT_EQ(wire::call_id_of(requests[1]), wire::call_id_of(requests[0]));
  EXPECT_EQ(wire::to_tag_of(requests[1]), "srv");
  collect();
  EXPECT_TRUE(statuses.back().answers_refresh);
  EXPECT_EQ(statuses.back().generation, Generation{1});
  EXPECT_EQ(statuses.back().state, SubscriptionState::Active);
  notify({.body = "here", .to = 1});
  EXPECT_EQ(notified.back(), 200);
  EXPECT_EQ(bodies, Lines{"here"});
}

TEST_F(SubscriptionTest, AFirstSubscribeOnADeadFlowIsSentAnew) {
  world.drop("SUBSCRIBE", 1);
  answers = {granted(600)};
  start();
  world.kill(phone, 0);
  ASSERT_TRUE(subscription->move(place(1), world.now));
  world.run(milliseconds(50));
  const auto sent = world.all("alice", "SUBSCRIBE");
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_NE(wire::call_id_of(*sent[0]), wire::call_id_of(*sent[1]));
  notify({.to = 1});
  EXPECT_EQ(states(), "Subscribing Active");
}

TEST_F(SubscriptionTest, AMoveThatTheNotifierDoesNotKnowBeginsAnew) {
  for (const int status : {481, 403, 408}) {
    statuses.clear();
    requests.clear();
    make("presence");
    establish();
    answers = {{status, {}}, granted(600)};
    ASSERT_TRUE(subscription->move(place(1), world.now));
    world.run(milliseconds(80));
    ASSERT_EQ(requests.size(), 3U) << status;
    EXPECT_TRUE(wire::to_tag_of(requests[2]).empty());
    notify({.to = 1});
    EXPECT_EQ(subscription->state(), SubscriptionState::Active) << status;
  }
}

TEST_F(SubscriptionTest, IsSuspendedAndGoesOn) {
  establish();
  subscription->suspend(world.now);
  EXPECT_EQ(subscription->state(), SubscriptionState::Suspended);
  world.run(seconds(100));
  EXPECT_EQ(requests.size(), 1U);
  ASSERT_TRUE(subscription->move(place(1), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(wire::to_tag_of(requests.back()), "srv") << "the dialog was not over yet";
  notify({.to = 1});
  EXPECT_EQ(states(), "Subscribing Active Suspended Subscribing Active");
}

TEST_F(SubscriptionTest, SuspendedForTooLongItBeginsAnew) {
  establish();
  subscription->suspend(world.now);
  world.run(seconds(1000));
  ASSERT_TRUE(subscription->move(place(1), world.now));
  world.run(milliseconds(50));
  EXPECT_TRUE(wire::to_tag_of(requests.back()).empty());
}

}  // namespace
}  // namespace godwit::sip::test
