// SPDX-License-Identifier: Apache-2.0
// Subscriptions and publications, and the change of address that hits them.
#include "testing/mock_notifier.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

using testing::MockNotifier;
using ua::Core;

struct Events : World {
  explicit Events(Stage chosen = {})
      : World(std::move(chosen)), notifier(network, peer_host, {peer_address(), 5070}, "carol") {
    server->bind("carol", notifier.uri());
    server->bind("alice-state", notifier.uri());
  }
  SubscriptionId subscribe(const std::string& event = "presence",
                           const std::string& target = "carol") {
    SubscribeRequest request;
    request.event = event;
    request.target = target;
    request.expires = seconds(600);
    const auto made = phone.command(
        [&](Core& core, TimePoint now) { return core.subscribe(account, request, now); });
    EXPECT_TRUE(made) << (made ? "" : made.error().detail);
    return made.value_or(SubscriptionId{});
  }
  Result<void> unsubscribe(SubscriptionId id) {
    return phone.command([&](Core& core, TimePoint now) { return core.unsubscribe(id, now); });
  }
  std::optional<SubscriptionState> state() const {
    const auto last = phone.last<SubscriptionChanged>();
    return last ? std::optional(last->state) : std::nullopt;
  }
  bool await(SubscriptionState wanted, Duration limit = seconds(5)) {
    return run_until([&] { return state() == wanted; }, limit);
  }
  std::vector<MockNotifier::Seen> subscribes() const { return notifier.requests("SUBSCRIBE"); }

  MockNotifier notifier;
};

constexpr const char* kOpen =
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:carol@example.org'>"
    "<tuple id='t'><status><basic>open</basic></status><note>here</note></tuple></presence>";
constexpr const char* kClosed =
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:carol@example.org'>"
    "<tuple id='t'><status><basic>closed</basic></status></tuple></presence>";

TEST(SubscriptionScenario, PresenceIsToldAndEnds) {
  Events world;
  world.notifier.on_subscribe("active;expires=600", "application/pidf+xml", kOpen);
  world.register_phone();
  const auto id = world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  ASSERT_EQ(world.subscribes().size(), 1U);
  EXPECT_EQ(world.subscribes()[0].message.first("Accept"), "application/pidf+xml");
  ASSERT_TRUE(world.phone.last<PresenceChanged>());
  EXPECT_TRUE(world.phone.last<PresenceChanged>()->open);
  EXPECT_EQ(world.phone.last<PresenceChanged>()->entity, "pres:carol@example.org");
  EXPECT_EQ(world.phone.last<PresenceChanged>()->note, "here");
  EXPECT_EQ(world.phone.last<Notified>()->subscription, id);
  EXPECT_EQ(world.phone.last<Notified>()->body, kOpen);
  world.notifier.notify("active;expires=500", "application/pidf+xml", kClosed);
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.last<PresenceChanged>()->open);
  ASSERT_TRUE(world.unsubscribe(id));
  ASSERT_TRUE(world.await(SubscriptionState::Terminated));
  EXPECT_EQ(world.subscribes().back().message.first("Expires"), "0");
  world.run_for(seconds(1));
  EXPECT_FALSE(world.unsubscribe(id)) << "it is forgotten";
  for (const int answer : world.notifier.answers()) EXPECT_EQ(answer, 200);
}

TEST(SubscriptionScenario, MessagesWaiting) {
  Events world;
  world.server->bind("alice", world.notifier.uri());
  world.notifier.on_subscribe("active;expires=600", "application/simple-message-summary",
                              "Messages-Waiting: yes\r\nMessage-Account: sip:vm@example.org\r\n"
                              "Voice-Message: 2/8 (0/2)\r\n");
  world.register_phone();
  world.subscribe("message-summary", "carol");
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  const auto waiting = world.phone.last<MessagesWaiting>();
  ASSERT_TRUE(waiting);
  EXPECT_TRUE(waiting->waiting);
  EXPECT_EQ(waiting->mailbox, "sip:vm@example.org");
  EXPECT_EQ(waiting->fresh_voice, 2U);
  EXPECT_EQ(waiting->old_voice, 8U);
}

TEST(SubscriptionScenario, LampsOfASwitchboard) {
  Events world;
  const auto document = [](int version, const std::string& state, const std::string& dialogs) {
    return "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='" +
           std::to_string(version) + "' state='" + state + "' entity='sip:carol@example.org'>" +
           dialogs + "</dialog-info>";
  };
  world.notifier.on_subscribe("active;expires=600", "application/dialog-info+xml",
                              document(0, "full", "<dialog id='a'><state>early</state></dialog>"));
  world.register_phone();
  world.subscribe("dialog");
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  ASSERT_TRUE(world.phone.last<RemoteCallsChanged>());
  ASSERT_EQ(world.phone.last<RemoteCallsChanged>()->calls.size(), 1U);
  EXPECT_EQ(world.phone.last<RemoteCallsChanged>()->calls[0].state, RemoteCall::State::Ringing);
  world.notifier.notify("active", "application/dialog-info+xml",
                        document(1, "partial", "<dialog id='a'><state>confirmed</state></dialog>"));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.phone.last<RemoteCallsChanged>()->calls[0].state, RemoteCall::State::Confirmed);
  // A version is missed: the whole is asked for.
  const auto before = world.subscribes().size();
  world.notifier.on_subscribe("", {}, {});
  world.notifier.notify("active", "application/dialog-info+xml",
                        document(5, "partial", "<dialog id='b'><state>early</state></dialog>"));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.subscribes().size(), before + 1);
}

TEST(SubscriptionScenario, WhatCannotBeReadIsStillHandedOut) {
  Events world;
  world.notifier.on_subscribe("active;expires=600", "application/pidf+xml",
                              "<!DOCTYPE x [<!ENTITY a 'b'>]><presence>&a;</presence>");
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  EXPECT_TRUE(world.phone.last<Notified>());
  EXPECT_FALSE(world.phone.last<PresenceChanged>());
}

TEST(SubscriptionScenario, RefusedAndUnknown) {
  Events world;
  world.register_phone();
  world.notifier.script(489);
  world.subscribe("weather");
  ASSERT_TRUE(world.await(SubscriptionState::Terminated));
  EXPECT_EQ(world.phone.last<SubscriptionChanged>()->status, 489);
  world.subscribe("presence", "nobody");
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.last<SubscriptionChanged>()->status, 404);
  SubscribeRequest bad;
  for (const char* event : {"", "a b", "x\r\nY: z"}) {
    bad.event = event;
    EXPECT_FALSE(world.phone.command(
        [&](Core& core, TimePoint now) { return core.subscribe(world.account, bad, now); }));
  }
}

TEST(SubscriptionScenario, AStrangersNotificationGets481) {
  Events world;
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  world.peer.send_outside("NOTIFY", "sip:alice@example.org",
                          {{"Event", "presence"}, {"Subscription-State", "active"}});
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("NOTIFY"), 481);
}

class SubscriptionOver : public ::testing::TestWithParam<sip::Transport> {};

INSTANTIATE_TEST_SUITE_P(AllTransports, SubscriptionOver,
                         ::testing::Values(sip::Transport::Udp, sip::Transport::Tcp,
                                           sip::Transport::Tls),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

TEST_P(SubscriptionOver, AnActiveOneMovesWithTheAddress) {
  Stage stage;
  stage.transport = GetParam();
  Events world(stage);
  world.notifier.on_subscribe("active;expires=600", "application/pidf+xml", kOpen);
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  const auto changes = world.phone.all<SubscriptionChanged>().size();
  world.move_to_lte();
  world.run_for(seconds(2));
  ASSERT_EQ(world.subscribes().size(), 2U);
  const auto moved = world.subscribes()[1].message;
  EXPECT_TRUE(testing::parameter(moved.first("To"), "tag")) << "within the dialog";
  EXPECT_EQ(moved.first("Call-ID"), world.subscribes()[0].message.first("Call-ID"));
  EXPECT_NE(testing::uri_of(moved.first("Contact")).find(world.lte_address().to_uri_host()),
            std::string::npos);
  EXPECT_EQ(world.phone.all<SubscriptionChanged>().size(), changes) << "no news for the user";
  world.notifier.notify("active;expires=500", "application/pidf+xml", kClosed);
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.last<PresenceChanged>()->open);
  EXPECT_EQ(world.notifier.answers().back(), 200);
  const auto answers = world.sent_sip("SIP/2.0 200");
  EXPECT_EQ(answers.back().source.address, world.lte_address()) << "answered from the new flow";
  for (const auto& sent : world.sent_sip("SUBSCRIBE")) {
    EXPECT_NE(sent.message.first("Via").find(std::string("SIP/2.0/") + to_string(GetParam())),
              std::string::npos);
  }
}

TEST(SubscriptionScenario, AChangeUnderTheFirstSubscribe) {
  Events world;
  world.register_phone();
  world.notifier.script(0);
  world.subscribe();
  world.run_for(milliseconds(60));
  ASSERT_EQ(world.subscribes().size(), 1U);
  world.move_to_lte();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  ASSERT_EQ(world.subscribes().size(), 2U);
  EXPECT_NE(world.subscribes()[1].message.first("Call-ID"),
            world.subscribes()[0].message.first("Call-ID"));
}

TEST(SubscriptionScenario, WithoutANetworkItIsSuspendedAndComesBack) {
  Events world;
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  world.wifi_goes();
  ASSERT_TRUE(world.await(SubscriptionState::Suspended));
  world.run_for(seconds(20));
  world.wifi_comes();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  EXPECT_EQ(world.subscribes().size(), 2U);
}

TEST(SubscriptionScenario, ANotifierThatHasForgottenIsAskedAnew) {
  Events world;
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  world.notifier.forget();
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_EQ(world.state(), SubscriptionState::Active);
  EXPECT_EQ(world.subscribes().size(), 3U);
}

TEST(SubscriptionScenario, EndsWithTheAccountAndTheUserAgent) {
  Events world;
  world.register_phone();
  world.subscribe();
  ASSERT_TRUE(world.await(SubscriptionState::Active));
  world.phone.shut_down();
  world.run_for(seconds(2));
  EXPECT_EQ(world.state(), SubscriptionState::Terminated);
  EXPECT_EQ(world.subscribes().back().message.first("Expires"), "0");
  EXPECT_TRUE(world.phone.idle());
}

struct Publisher : Events {
  Publisher() {
    server->bind("alice", notifier.uri());
    AccountConfig config = account_config();
    config.register_on_add = false;  // Its own binding would hide the event server's.
    account = *phone.add_account(config);
  }
  PublicationId publish(const std::string& body) {
    PublishRequest request;
    request.body = body;
    const auto made = phone.command(
        [&](Core& core, TimePoint now) { return core.publish(account, request, now); });
    EXPECT_TRUE(made) << (made ? "" : made.error().detail);
    run_for(seconds(1));
    return made.value_or(PublicationId{});
  }
  std::vector<MockNotifier::Seen> publishes() const { return notifier.requests("PUBLISH"); }
};

TEST(PublicationScenario, IsPublishedChangedAndTakenAway) {
  Publisher world;
  const auto id = world.publish(kOpen);
  ASSERT_TRUE(world.phone.last<PublicationChanged>());
  EXPECT_EQ(world.phone.last<PublicationChanged>()->state, PublicationState::Published);
  ASSERT_TRUE(world.phone.command([&](Core& core, TimePoint now) {
    return core.publish(id, MessageContent{"application/pidf+xml", kClosed}, now);
  }));
  world.run_for(seconds(1));
  ASSERT_EQ(world.publishes().size(), 2U);
  EXPECT_EQ(world.publishes()[1].message.body, kClosed);
  EXPECT_TRUE(world.publishes()[1].message.has("SIP-If-Match"));
  ASSERT_TRUE(
      world.phone.command([&](Core& core, TimePoint now) { return core.unpublish(id, now); }));
  world.run_for(seconds(1));
  EXPECT_EQ(world.publishes().back().message.first("Expires"), "0");
  EXPECT_EQ(world.phone.last<PublicationChanged>()->state, PublicationState::Ended);
}

TEST(PublicationScenario, MovesByARefresh) {
  Publisher world;
  world.publish(kOpen);
  ASSERT_EQ(world.publishes().size(), 1U);
  world.move_to_lte();
  world.run_for(seconds(2));
  ASSERT_EQ(world.publishes().size(), 2U);
  EXPECT_TRUE(world.publishes()[1].message.has("SIP-If-Match"));
  EXPECT_TRUE(world.publishes()[1].message.body.empty());
  EXPECT_EQ(world.sent_sip("PUBLISH").back().source.address, world.lte_address());
}

TEST(PublicationScenario, AChangeUnderThePublishRepeatsIt) {
  Publisher world;
  world.notifier.script(0);
  PublishRequest request;
  request.body = kOpen;
  ASSERT_TRUE(world.phone.command(
      [&](Core& core, TimePoint now) { return core.publish(world.account, request, now); }));
  world.run_for(milliseconds(60));
  world.move_to_lte();
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.last<PublicationChanged>()->state, PublicationState::Published);
  EXPECT_EQ(world.publishes().back().message.body, kOpen);
}

}  // namespace
}  // namespace godwit::scenario
