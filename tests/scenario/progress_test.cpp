// SPDX-License-Identifier: Apache-2.0
// Every step of a change is told as it happens, with generation, subject, result and time since the
// change; "completed" comes after the last answer.
#include "figures.hpp"
#include "testing/mock_notifier.hpp"

namespace godwit::scenario {
namespace {

using testing::MockNotifier;
using ua::Core;

constexpr const char* kOpen =
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:carol@example.org'>"
    "<tuple id='t'><status><basic>open</basic></status></tuple></presence>";

struct Watcher : World {
  explicit Watcher(Stage chosen = {})
      : World(std::move(chosen)), notifier(network, peer_host, {peer_address(), 5070}, "carol") {
    server->bind("carol", notifier.uri());
    notifier.on_subscribe("active;expires=600", "application/pidf+xml", kOpen);
  }
  SubscriptionId subscribe() {
    SubscribeRequest request;
    request.event = "presence";
    request.target = "carol";
    const auto made = phone.command(
        [&](Core& core, TimePoint now) { return core.subscribe(account, request, now); });
    EXPECT_TRUE(made);
    run_for(seconds(1));
    return made.value_or(SubscriptionId{});
  }
  IpChangeReport only_report() const {
    EXPECT_EQ(phone.reports().size(), 1U);
    return phone.reports().empty() ? IpChangeReport{} : phone.reports().back();
  }
  MockNotifier notifier;
};

IpChangeStep step_of(const IpChangeReport& report, StepKind kind) {
  const IpChangeStep* step = find_step(report, kind);
  EXPECT_NE(step, nullptr) << to_string(kind);
  return step == nullptr ? IpChangeStep{} : *step;
}

TEST(ProgressScenario, EachEventHasGenerationSubjectResultAndTimeSinceTheChange) {
  World world;
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(3));
  const auto detected = world.phone.last<IpChangeDetected>();
  ASSERT_TRUE(detected);
  const IpChangeReport report = world.phone.reports().back();
  std::size_t told = 0;
  for (const auto& recorded : world.phone.events()) {
    const auto* event = std::get_if<IpChangeProgress>(&recorded.event);
    if (event == nullptr) continue;
    ASSERT_LT(told, report.steps.size());
    const IpChangeStep& step = event->step;
    EXPECT_EQ(event->generation, detected->generation);
    EXPECT_EQ(step.kind, report.steps[told].kind) << "the report tells the same, in order";
    ASSERT_TRUE(step.ended);
    EXPECT_TRUE(step.ok);
    EXPECT_LE(step.started, *step.ended);
    const Duration late = recorded.at - report.detected_at - *step.ended;
    EXPECT_LE(late, milliseconds(1)) << to_string(step.kind);
    EXPECT_GE(late, Duration{}) << to_string(step.kind);
    const bool of_call = step.kind == StepKind::MediaMoved || step.kind == StepKind::CallAudible ||
                         step.kind == StepKind::CallRefreshed;
    EXPECT_EQ(step.call, of_call ? world.call_id() : CallId{}) << to_string(step.kind);
    const bool of_account = step.kind == StepKind::ContactUpdated;
    EXPECT_EQ(step.account, of_account ? world.account : AccountId{}) << to_string(step.kind);
    ++told;
  }
  EXPECT_EQ(told, report.steps.size());
  EXPECT_GE(told, 5U);
}

TEST(ProgressScenario, ListenerRestarted) {
  World world;
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(3));
  const IpChangeReport report = world.phone.reports().back();
  const auto step = step_of(report, StepKind::ListenerOpened);
  EXPECT_TRUE(step.ok);
  EXPECT_EQ(step.detail.substr(0, step.detail.find(':')), world.lte_address().to_string());
}

TEST(ProgressScenario, ContactUpdatedTellsCodeAndWhichRequest) {
  World world;
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(3));
  IpChangeStep step = step_of(world.phone.reports().back(), StepKind::ContactUpdated);
  EXPECT_EQ(step.status, 200);
  EXPECT_EQ(step.detail, "REGISTER with both Contacts");
  ASSERT_TRUE(world.phone.handle_ip_change());
  world.run_for(seconds(3));
  step = step_of(world.phone.reports().back(), StepKind::ContactUpdated);
  EXPECT_EQ(step.detail, "REGISTER") << "the Contact is the same";
  EXPECT_TRUE(step.ok);
}

TEST(ProgressScenario, ContactUpdateThatFailsTellsTheCode) {
  World world;
  world.call_peer();
  world.server->misbehave({.method = "REGISTER", .status = 503, .times = 1'000});
  world.move_to_lte();
  world.run_for(seconds(3));
  const auto step = step_of(world.phone.reports().back(), StepKind::ContactUpdated);
  EXPECT_FALSE(step.ok);
  EXPECT_EQ(step.status, 503);
  EXPECT_EQ(step.detail.find("REGISTER with both Contacts: "), 0U) << step.detail;
  world.expect_audio(world.lte_address());
}

TEST(ProgressScenario, CallRefreshedThatFailsTellsTheCodeAndTheCallLost) {
  World world;
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.always("re-INVITE", MockReply{.status = 481});
  world.move_to_lte();
  world.run_for(seconds(3));
  ASSERT_TRUE(world.phone.ended(call));
  const IpChangeReport report = world.phone.reports().back();
  EXPECT_FALSE(step_of(report, StepKind::CallRefreshed).ok);
  EXPECT_EQ(step_of(report, StepKind::CallRefreshed).status, 481);
  EXPECT_FALSE(step_of(report, StepKind::CallHungUp).ok);
  EXPECT_NE(step_of(report, StepKind::CallHungUp).detail.find("network change"), std::string::npos);
}

TEST(ProgressScenario, CallSuspendedAndResumed) {
  World world;
  world.call_peer();
  world.wifi_goes();
  world.run_for(seconds(3));
  world.lte_comes();
  world.run_for(seconds(3));
  ASSERT_EQ(world.phone.reports().size(), 2U);
  EXPECT_EQ(step_of(world.phone.reports()[0], StepKind::CallSuspended).call, world.call_id());
  EXPECT_EQ(step_of(world.phone.reports()[1], StepKind::CallResumed).call, world.call_id());
}

TEST(ProgressScenario, CompletedComesAfterEveryAnswer) {
  struct Case {
    const char* method;
    bool at_server;
  };
  for (const Case& slow :
       {Case{"REGISTER", true}, Case{"SUBSCRIBE", true}, Case{"re-INVITE", false}}) {
    Watcher world;
    world.call_peer();
    world.subscribe();
    if (slow.at_server) {
      world.server->misbehave({.kind = Misbehaviour::Kind::Delay,
                               .method = slow.method,
                               .delay = milliseconds(1'500),
                               .times = 1'000});
    } else {
      world.peer.script(slow.method, MockReply{.delay = milliseconds(1'500)});
    }
    world.move_to_lte();
    world.run_for(seconds(1));
    EXPECT_TRUE(world.phone.reports().empty()) << slow.method;
    world.run_for(seconds(4));
    const IpChangeReport report = world.only_report();
    ASSERT_TRUE(report.completed);
    EXPECT_GE(*report.completed, milliseconds(1'500)) << slow.method;
    for (const IpChangeStep& step : report.steps) {
      ASSERT_TRUE(step.ended);
      EXPECT_LE(*step.ended, *report.completed) << to_string(step.kind);
    }
    for (const StepKind kind : {StepKind::ContactUpdated, StepKind::CallRefreshed,
                                StepKind::CallAudible, StepKind::SubscriptionMoved}) {
      EXPECT_TRUE(step_of(report, kind).ok);
    }
  }
}

TEST(ProgressScenario, SubscriptionMoved) {
  Watcher world;
  world.register_phone();
  const SubscriptionId id = world.subscribe();
  world.move_to_lte();
  world.run_for(seconds(2));
  const auto step = step_of(world.only_report(), StepKind::SubscriptionMoved);
  EXPECT_TRUE(step.ok);
  EXPECT_EQ(step.subscription, id);
  EXPECT_EQ(step.account, world.account);
  EXPECT_EQ(step.status, 200);
  EXPECT_FALSE(step.publication);
  EXPECT_GE(*step.ended - step.started, world.stage.rtt);
}

TEST(ProgressScenario, SubscriptionThatCannotBeMoved) {
  Watcher world;
  world.register_phone();
  world.subscribe();
  world.server->misbehave({.method = "SUBSCRIBE", .status = 503, .times = 1'000});
  world.move_to_lte();
  world.run_for(seconds(5));
  const auto step = step_of(world.only_report(), StepKind::SubscriptionMoved);
  EXPECT_FALSE(step.ok);
  EXPECT_EQ(step.status, 503);
}

struct Publisher : Watcher {
  Publisher() {
    server->bind("alice", notifier.uri());
    AccountConfig config = account_config();
    config.register_on_add = false;  // Its own binding would hide the event server's.
    account = *phone.add_account(config);
    PublishRequest request;
    request.body = kOpen;
    id = *phone.command(
        [&](Core& core, TimePoint now) { return core.publish(account, request, now); });
    run_for(seconds(1));
  }
  PublicationId id;
};

TEST(ProgressScenario, PublicationMoved) {
  Publisher world;
  const auto told = world.phone.all<PublicationChanged>().size();
  world.move_to_lte();
  world.run_for(seconds(2));
  const auto step = step_of(world.only_report(), StepKind::PublicationMoved);
  EXPECT_TRUE(step.ok);
  EXPECT_EQ(step.publication, world.id);
  EXPECT_FALSE(step.subscription);
  EXPECT_EQ(step.status, 200);
  EXPECT_EQ(world.phone.all<PublicationChanged>().size(), told) << "nothing else has changed";
}

TEST(ProgressScenario, PublicationThatCannotBeMoved) {
  Publisher world;
  world.server->misbehave({.method = "PUBLISH", .status = 503, .times = 1'000});
  world.move_to_lte();
  world.run_for(seconds(5));
  const auto step = step_of(world.only_report(), StepKind::PublicationMoved);
  EXPECT_FALSE(step.ok);
  EXPECT_EQ(step.status, 503);
}

TEST(ProgressScenario, ASubscriptionEndedInTheMiddleHoldsNothingUp) {
  Watcher world;
  world.register_phone();
  const SubscriptionId id = world.subscribe();
  world.server->misbehave(
      {.kind = Misbehaviour::Kind::Ignore, .method = "SUBSCRIBE", .times = 1'000});
  world.move_to_lte();
  world.run_for(seconds(1));
  ASSERT_TRUE(
      world.phone.command([&](Core& core, TimePoint now) { return core.unsubscribe(id, now); }));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(70)));
  EXPECT_FALSE(step_of(world.only_report(), StepKind::SubscriptionMoved).ok);
}

}  // namespace
}  // namespace godwit::scenario
