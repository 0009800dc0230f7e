// SPDX-License-Identifier: Apache-2.0
// Calls through an edge proxy of RFC 5626, whose Record-Route names the flow that has died.
#include <set>

#include "world.hpp"

namespace godwit::scenario {
namespace {

Stage edge_stage() {
  Stage stage;
  stage.server.outbound = true;
  stage.server.gruu = true;
  stage.server.flow_tokens = true;
  return stage;
}

bool has(const World::SentSip& sent, const char* header) { return sent.message.has(header); }

std::size_t replacing(const World& world, TimePoint from) {
  std::set<std::string> calls;
  for (const auto& sent : world.sent_sip("INVITE", from)) {
    if (has(sent, "Replaces")) calls.insert(sent.message.first("Call-ID"));
  }
  return calls.size();
}

TEST(FlowTokenScenario, AnOutgoingCallIsReplacedAndGoesOn) {
  World world(edge_stage());
  world.call_peer();
  ASSERT_TRUE(has(world.sent_sip("ACK").back(), "Route"));
  const TimePoint moved = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  EXPECT_EQ(replacing(world, moved), 1U);
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed);
  world.expect_audio(world.lte_address());
  // One refresh, four round trips, and two more for the new INVITE.
  EXPECT_LT(*world.phone.reports().back().completed, seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 0U);
  EXPECT_EQ(world.phone.calls().size(), 1U);
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  EXPECT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Ended; },
                              seconds(2)));
}

TEST(FlowTokenScenario, AnIncomingCallIsReplacedAndGoesOn) {
  World world(edge_stage());
  world.peer_calls();
  const TimePoint moved = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  EXPECT_EQ(replacing(world, moved), 1U);
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed);
  world.expect_audio(world.lte_address());
  EXPECT_LT(*world.phone.reports().back().completed, seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 1U);
  EXPECT_EQ(world.phone.calls().size(), 1U);
  // Both ways: the caller hangs up where the new dialog is.
  world.peer.bye();
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(2)));
}

TEST(FlowTokenScenario, AnIncomingCallWhoseCallerCannotBeCalledEndsWithTheReason) {
  for (const int status : {404, 481, 603}) {
    World world(edge_stage());
    world.peer_calls();
    world.peer.refuse_replaces(status);
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); },
                                seconds(64)));
    const auto ended = world.phone.ended(world.call_id());
    EXPECT_TRUE(ended->reason.starts_with("lost on a network change")) << ended->reason;
  }
}

TEST(FlowTokenScenario, ARingingCallIsAnsweredFromWhereItHasMovedTo) {
  World world(edge_stage());
  world.phone.answer_calls(std::nullopt);
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until([&] { return !world.phone.calls().empty(); }, seconds(2)));
  ASSERT_TRUE(world.phone.ring(world.call_id()));
  world.run_for(milliseconds(200));
  world.move_to_lte();
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.answer(world.call_id()));
  ASSERT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Confirmed; },
                              seconds(5)));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
}

TEST(FlowTokenScenario, AHiddenCallerStaysHiddenInTheNewDialog) {  // RFC 3323, RFC 3325.
  World world(edge_stage());
  world.register_phone();
  CallOptions options;
  options.hide_identity = true;
  ASSERT_TRUE(world.phone.call(world.account, "bob", options));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  ASSERT_EQ(replacing(world, moved), 1U);
  EXPECT_TRUE(world.confirmed());
  for (const auto& sent : world.sent_sip("INVITE", moved)) {
    EXPECT_EQ(sent.message.first("From").find("alice"), std::string::npos);
    if (!has(sent, "Replaces")) continue;
    EXPECT_EQ(sent.message.first("Privacy"), "id");
  }
}

TEST(FlowTokenScenario, HoldStaysHoldInTheNewDialog) {
  World world(edge_stage());
  world.call_peer();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  world.move_to_lte();
  world.run_for(seconds(3));
  ASSERT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.remote_sdps().back().direction, "sendonly");
}

TEST(FlowTokenScenario, APeerWithoutReplacesEndsTheCallWithTheReason) {
  for (const int status : {420, 481}) {
    World world(edge_stage());
    world.call_peer();
    world.peer.refuse_replaces(status);
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); },
                                seconds(64)));
    const auto ended = world.phone.ended(world.call_id());
    EXPECT_TRUE(ended->reason.starts_with("lost on a network change")) << ended->reason;
    ASSERT_FALSE(world.phone.reports().empty());
    EXPECT_FALSE(world.phone.reports().back().calls.at(0).survived);
  }
}

// Without a token the refresh has all its time.
TEST(FlowTokenScenario, WithoutATokenASlowAnswerIsAwaited) {
  World world;
  world.call_peer();
  world.peer.script("re-INVITE", MockReply{.delay = seconds(3)});
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(seconds(6));
  EXPECT_EQ(replacing(world, moved), 0U);
  EXPECT_TRUE(world.confirmed());
}

// Design §5: 408, 430 and 503 to the refresh.
TEST(FlowTokenScenario, APeerThatCannotBeReachedInTheDialogIsReachedByItsAddress) {
  for (const int status : {430, 408}) {
    World world;
    world.call_peer();
    world.peer.script("re-INVITE", MockReply{.status = status});
    const TimePoint moved = world.now();
    world.move_to_lte();
    world.run_for(seconds(6));
    EXPECT_EQ(replacing(world, moved), 1U);
    EXPECT_TRUE(world.confirmed());
    world.expect_audio(world.lte_address());
  }
}

TEST(FlowTokenScenario, HangingUpWhileTheSubstituteIsUnderWayLeavesNothing) {
  World world(edge_stage());
  world.call_peer();
  world.peer.always("INVITE", MockReply{.delay = seconds(20), .ring = true});
  world.move_to_lte();
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(40));
  EXPECT_TRUE(world.phone.ended(world.call_id()));
  EXPECT_EQ(world.phone.engines(), 0U);
  world.phone.shut_down();
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.idle());
}

TEST(FlowTokenScenario, AGruuOfAnotherDomainIsNotCalled) {
  // A Contact that calls itself a GRUU, of a domain that is not the peer's, may be anybody's.
  World world(edge_stage());
  world.register_phone();
  world.peer.script("INVITE",
                    {.headers = {{"Contact", "<sip:bob@" + world.peer_address().to_uri_host() +
                                                 ":5060;gr=urn:uuid:1>"}}});
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(milliseconds(500));
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(5));
  for (const auto& sent : world.sent_sip("INVITE", changed)) {
    if (!has(sent, "Replaces")) continue;
    EXPECT_TRUE(sent.message.uri.ends_with("@example.org")) << sent.message.uri;
  }
  EXPECT_EQ(replacing(world, changed), 1U);
}

}  // namespace
}  // namespace godwit::scenario
