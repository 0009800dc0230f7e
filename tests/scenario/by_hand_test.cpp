// SPDX-License-Identifier: Apache-2.0
// The application does what recoveries do: step by step, for one account or call, in two steps
// around an open offer.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

constexpr CallRefresh kTargetOnly{.method = RefreshMethod::Update, .offer = false, .media = false};

std::optional<CallRefreshed> result_of(const World& world, const Result<RequestId>& asked) {
  for (const CallRefreshed& event : world.phone.all<CallRefreshed>()) {
    if (asked && event.request == *asked) return event;
  }
  return std::nullopt;
}

Stage manual() {
  Stage stage;
  stage.ip_change.automatic = false;
  return stage;
}

TEST(ByHandScenario, ARefreshOutsideAnyRecovery) {
  struct Case {
    CallRefresh refresh;
    const char* method;
    bool new_media;
    bool offer;
  };
  for (const Case& each :
       {Case{{}, "INVITE", true, true},
        Case{{.method = RefreshMethod::Update}, "UPDATE", true, true},
        Case{{.media = false}, "INVITE", false, true}, Case{kTargetOnly, "UPDATE", false, false},
        Case{{.offer = false, .media = false}, "UPDATE", false, false}}) {
    World world;
    world.call_peer();
    const Endpoint before = world.peer.remote_sdps().back().rtp;
    const TimePoint start = world.now();
    const auto asked = world.phone.refresh_call(world.call_id(), each.refresh);
    ASSERT_TRUE(asked) << asked.error().detail;
    const auto busy = world.phone.refresh_call(world.call_id(), each.refresh);
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, ErrorCode::Busy);
    world.run_for(seconds(3));
    const auto sent = world.sent_sip(each.method, start);
    ASSERT_EQ(sent.size(), 1U) << each.method;
    EXPECT_EQ(!sent[0].message.body.empty(), each.offer);
    EXPECT_TRUE(world.sent_sip("REGISTER", start).empty());
    const auto result = result_of(world, asked);
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->ok);
    EXPECT_EQ(result->status, 200);
    EXPECT_EQ(result->call, world.call_id());
    EXPECT_EQ(result->method == RefreshMethod::Update, std::string(each.method) == "UPDATE");
    EXPECT_EQ(world.peer.remote_sdps().back().rtp != before, each.new_media);
    EXPECT_TRUE(world.phone.reports().empty());
    world.expect_audio(world.wifi_address());
    EXPECT_LE(world.up().longest_pause(start, world.now() - milliseconds(100)),
              kPacketTime + kMachine);
    EXPECT_LE(world.phone_host.open_sockets(), 4U) << "the old RTP sockets are closed";
  }
}

TEST(ByHandScenario, WhatCannotBeDoneIsSaid) {
  World world;
  world.call_peer();
  const CallId call = world.call_id();
  const auto code = [&](CallId id, const CallRefresh& refresh) {
    const auto asked = world.phone.refresh_call(id, refresh);
    EXPECT_FALSE(asked);
    return asked ? ErrorCode::Unsupported : asked.error().code;
  };
  EXPECT_EQ(code(CallId{99}, {}), ErrorCode::NotFound);
  EXPECT_EQ(code(call, {.offer = false}), ErrorCode::InvalidArgument);
  EXPECT_EQ(code(call, {.offer = false, .contact = false, .media = false}),
            ErrorCode::InvalidArgument);
  EXPECT_EQ(code(call, {.target = "nobody"}), ErrorCode::InvalidArgument);
  world.wifi_goes();
  world.run_for(seconds(1));
  EXPECT_EQ(code(call, {}), ErrorCode::WrongState) << "no network";
}

TEST(ByHandScenario, ACallThatRingsCannotBeRefreshed) {
  World world;
  world.register_phone();
  world.peer.always("INVITE", MockReply{.delay = seconds(5), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(1));
  ASSERT_EQ(world.phone.state(call), CallState::Ringing);
  const auto asked = world.phone.refresh_call(call);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::WrongState);
}

TEST(ByHandScenario, FailuresAreTold) {
  struct Case {
    CallRefresh refresh;
    const char* method;
    int status;
    bool survives;
    int told;
  };
  for (const Case& each :
       {Case{{}, "re-INVITE", 488, true, 488}, Case{{}, "re-INVITE", 481, false, 481},
        Case{kTargetOnly, "UPDATE", 481, true, 481},
        // UPDATE is not taken: re-INVITE asks for the peer's offer.
        Case{kTargetOnly, "UPDATE", 405, true, 200},
        Case{{.method = RefreshMethod::Update}, "UPDATE", 501, true, 200}}) {
    World world;
    world.call_peer();
    const CallId call = world.call_id();
    world.peer.always(each.method, MockReply{.status = each.status});
    const TimePoint start = world.now();
    const auto asked = world.phone.refresh_call(call, each.refresh);
    ASSERT_TRUE(asked);
    world.run_for(seconds(3));
    const auto result = result_of(world, asked);
    ASSERT_TRUE(result) << each.method << each.status;
    EXPECT_EQ(result->status, each.told) << each.method << each.status;
    EXPECT_EQ(result->ok, each.told == 200);
    EXPECT_EQ(!world.phone.ended(call), each.survives) << each.method << each.status;
    if (!each.survives) continue;
    world.expect_audio(world.wifi_address());
    EXPECT_LE(world.up().longest_pause(start, world.now() - milliseconds(100)),
              kPacketTime + kMachine);
    EXPECT_LE(world.phone_host.open_sockets(), 4U);
  }
}

TEST(ByHandScenario, ARefreshThatTheCallDoesNotOutliveIsTold) {
  World world;
  world.call_peer();
  world.peer.always("re-INVITE", MockReply{.ignore = true});
  const auto asked = world.phone.refresh_call(world.call_id());
  world.run_for(seconds(1));
  EXPECT_FALSE(result_of(world, asked));
  world.peer.bye();
  world.run_for(seconds(1));
  ASSERT_TRUE(result_of(world, asked));
  EXPECT_EQ(result_of(world, asked)->status, 487);
}

TEST(ByHandScenario, TheTargetCanBeSet) {
  World world;
  world.call_peer();
  // The same party by another of its names; requests go by the route set as before.
  const auto asked = world.phone.refresh_call(
      world.call_id(), {.method = RefreshMethod::Update,
                        .offer = false,
                        .media = false,
                        .target = "sip:bob@" + world.peer_address().to_uri_host() + ":5060;x=y"});
  ASSERT_TRUE(asked) << asked.error().detail;
  world.run_for(seconds(1));
  EXPECT_NE(world.sent_sip("UPDATE").front().message.start_line().find(";x=y"), std::string::npos)
      << world.sent_sip("UPDATE").front().message.start_line();
  EXPECT_TRUE(result_of(world, asked)->ok);
}

// The recipe for a change in the middle of a negotiation: first the target, by an UPDATE without an
// offer while ours is open; when that is answered, media.
TEST(ByHandScenario, TwoStepsAroundAnOpenOffer) {
  Stage stage = manual();
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.script("re-INVITE", MockReply{.delay = seconds(3)});
  ASSERT_TRUE(world.phone.hold(call));
  world.run_for(milliseconds(200));
  world.prefer_lte();
  world.run_for(milliseconds(300));
  const TimePoint start = world.now();
  EXPECT_TRUE(world.sent_sip("REGISTER", start - milliseconds(300)).empty())
      << "nothing happens by itself";
  const auto first = world.phone.refresh_call(call, kTargetOnly);
  ASSERT_TRUE(first) << first.error().detail;
  world.run_for(milliseconds(300));
  const auto updates = world.sent_sip("UPDATE", start);
  ASSERT_EQ(updates.size(), 1U);
  EXPECT_TRUE(updates[0].message.body.empty());
  EXPECT_EQ(updates[0].source.address, world.lte_address());
  EXPECT_NE(updates[0].message.first("Contact").find(world.lte_address().to_string()),
            std::string::npos);
  ASSERT_TRUE(result_of(world, first)) << "before the offer is answered";
  EXPECT_TRUE(result_of(world, first)->ok);
  ASSERT_TRUE(world.run_until([&] { return world.phone.last<CallMediaChanged>()->held_by_us; },
                              seconds(5)));
  const auto second = world.phone.refresh_call(call, {.method = RefreshMethod::Reinvite});
  ASSERT_TRUE(second);
  world.run_for(seconds(1));
  ASSERT_TRUE(result_of(world, second));
  EXPECT_TRUE(result_of(world, second)->ok);
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  ASSERT_TRUE(world.phone.resume(call));
  world.run_for(seconds(1));
  world.expect_audio(world.lte_address());
}

TEST(ByHandScenario, WithoutUpdateAnOpenOfferCannotBePassed) {
  Stage stage = manual();
  stage.peer.allow_update = false;
  World world(stage);
  world.call_peer();
  world.peer.script("re-INVITE", MockReply{.delay = seconds(3)});
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(milliseconds(200));
  const auto asked = world.phone.refresh_call(world.call_id(), kTargetOnly);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::WrongState);
  EXPECT_NE(asked.error().detail.find("UPDATE"), std::string::npos);
  // One with an offer waits for its turn.
  const auto waits = world.phone.refresh_call(world.call_id());
  ASSERT_TRUE(waits);
  world.run_for(seconds(1));
  EXPECT_FALSE(result_of(world, waits));
  world.run_for(seconds(4));
  ASSERT_TRUE(result_of(world, waits));
  EXPECT_TRUE(result_of(world, waits)->ok);
}

TEST(ByHandScenario, AnAccountThatIsNotAutomaticWaitsForItsApplication) {
  World world(manual());
  world.call_peer();
  const CallId call = world.call_id();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(10));
  EXPECT_TRUE(world.sent_sip("", changed).empty());
  ASSERT_EQ(world.phone.all<IpChangeDetected>().size(), 1U) << "the application is told once";
  EXPECT_NE(world.phone.last<IpChangeDetected>()->decision.find("leave"), std::string::npos);
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.settled());
  // Step by step: the registration …
  TimePoint step = world.now();
  ASSERT_TRUE(world.phone.handle_ip_change({.calls = false}));
  world.run_for(seconds(2));
  EXPECT_EQ(world.sent_sip("REGISTER", step).size(), 1U);
  EXPECT_TRUE(world.sent_sip("INVITE", step).empty());
  EXPECT_FALSE(world.up().first(step, world.lte_address(), {}));
  // … and the call.
  step = world.now();
  const auto asked = world.phone.refresh_call(call);
  ASSERT_TRUE(asked) << asked.error().detail;
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("REGISTER", step).empty());
  ASSERT_EQ(world.sent_sip("INVITE", step).size(), 1U);
  EXPECT_TRUE(result_of(world, asked)->ok);
  expect_moved(world, world.lte_address());
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.ended(call));
}

TEST(ByHandScenario, TheOtherOrderAndRegisterAccount) {
  World world(manual());
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(1));
  TimePoint step = world.now();
  ASSERT_TRUE(world.phone.handle_ip_change({.registrations = false}));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("REGISTER", step).empty());
  EXPECT_EQ(world.sent_sip("INVITE", step).size(), 1U);
  world.expect_audio(world.lte_address());
  step = world.now();
  ASSERT_TRUE(world.phone.register_account(world.account));
  world.run_for(seconds(1));
  ASSERT_EQ(world.sent_sip("REGISTER", step).size(), 1U);
  expect_moved(world, world.lte_address());
}

TEST(ByHandScenario, HandleIpChangeDoesTheWholeForThatAccountOnly) {
  World world(manual());
  world.call_peer();
  AccountConfig other = world.account_config();
  other.aor = "sip:bob@example.org";
  other.password = "builder";
  const AccountId second = *world.phone.add_account(other);
  world.run_for(seconds(1));
  world.move_to_lte();
  world.run_for(seconds(1));
  const auto lte = [&](const std::string& user) {
    std::size_t found = 0;
    for (const auto& contact : world.server.contacts(user)) {
      found += contact.find(world.lte_address().to_string()) != std::string::npos ? 1 : 0;
    }
    return found;
  };
  ASSERT_TRUE(world.phone.handle_ip_change({.accounts = {world.account}}));
  world.run_for(seconds(3));
  EXPECT_EQ(lte("alice"), 1U);
  EXPECT_EQ(lte("bob"), 0U);
  expect_moved(world, world.lte_address());
  EXPECT_FALSE(world.phone.handle_ip_change({.accounts = {AccountId{77}}}));
  ASSERT_TRUE(world.phone.handle_ip_change({.accounts = {second}}));
  world.run_for(seconds(3));
  EXPECT_EQ(lte("bob"), 1U);
  EXPECT_TRUE(world.settled());
}

TEST(ByHandScenario, WithoutForceOnlyWhatHasLostItsPathMoves) {
  World world(manual());
  world.call_peer();
  TimePoint step = world.now();
  ASSERT_TRUE(world.phone.handle_ip_change({.force = false}));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("", step).empty());
  world.move_to_lte();
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.handle_ip_change({.force = false}));
  world.run_for(seconds(3));
  expect_moved(world, world.lte_address());
}

TEST(ByHandScenario, SelectionLeavesTheOthersAloneWhileTheirPathsLive) {
  World world;
  world.call_peer();
  TimePoint step = world.now();
  ASSERT_TRUE(world.phone.handle_ip_change({.calls = false}));
  world.run_for(seconds(2));
  EXPECT_EQ(world.sent_sip("REGISTER", step).size(), 1U);
  EXPECT_TRUE(world.sent_sip("INVITE", step).empty());
  step = world.now();
  ASSERT_TRUE(world.phone.handle_ip_change({.registrations = false}));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("REGISTER", step).empty());
  EXPECT_EQ(world.sent_sip("INVITE", step).size(), 1U);
  expect_moved(world, world.wifi_address());
}

TEST(ByHandScenario, AKeptSocketWhoseAddressIsGoneIsRefused) {
  World world(manual());
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(1));
  const auto asked = world.phone.refresh_call(world.call_id(), {.media = false});
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::WrongState);
  EXPECT_NE(asked.error().detail.find("RTP"), std::string::npos);
}

TEST(ByHandScenario, AChangeInTheMiddleOfARefreshTakesItAlong) {
  World world;
  world.call_peer();
  const auto asked = world.phone.refresh_call(world.call_id());
  ASSERT_TRUE(asked);
  world.run_for(milliseconds(10));
  world.move_to_lte();
  world.run_for(seconds(5));
  ASSERT_TRUE(result_of(world, asked));
  EXPECT_TRUE(result_of(world, asked)->ok);
  expect_moved(world, world.lte_address());
}

TEST(ByHandScenario, SelectedCallsAreHungUp) {
  World world(manual());
  world.call_peer();
  const CallId call = world.call_id();
  world.move_to_lte();
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.handle_ip_change({.calls = false}));
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.hang_up(call, ReasonHeader{"SIP", 410, "the address has changed"}));
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.peer.end_reason(), "BYE received") << "the peer is told from the new address";
}

}  // namespace
}  // namespace godwit::scenario
