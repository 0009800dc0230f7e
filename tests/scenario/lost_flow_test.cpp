// SPDX-License-Identifier: Apache-2.0
// Flows that are lost while the address stays, and the calls whose signalling used them.
#include <set>

#include "world.hpp"

namespace godwit::scenario {
namespace {

Stage tcp() {
  Stage stage;
  stage.transport = sip::Transport::Tcp;
  return stage;
}

std::size_t reinvites(const World& world, TimePoint from) {
  std::set<std::string> all;
  for (const auto& sent : world.sent_sip("INVITE", from)) {
    all.insert(sent.message.first("Call-ID") + sent.message.first("CSeq"));
  }
  return all.size();
}

std::size_t flows_failed(const World& world) {
  std::size_t failed = 0;
  for (const auto& event : world.phone.all<FlowChanged>()) failed += event.alive ? 0 : 1;
  return failed;
}

void expect_bye_arrives(World& world) {
  world.peer.bye();
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(3)))
      << "the peer's requests do not find us";
}

TEST(LostFlowScenario, AClosedConnectionIsToldToThePeersOfItsCalls) {
  for (const bool called : {false, true}) {
    World world(tcp());
    called ? world.peer_calls() : world.call_peer();
    const TimePoint closed = world.now();
    world.server.close_streams();
    world.run_for(seconds(3));
    ASSERT_EQ(reinvites(world, closed), 1U);
    const auto sent = world.sent_sip("INVITE", closed).front();
    EXPECT_NE(sent.message.first("Contact").find(":" + std::to_string(sent.source.port)),
              std::string::npos)
        << "the new connection";
    EXPECT_EQ(world.peer.remote_sdps().back().version, world.peer.remote_sdps().front().version)
        << "the description is the same";
    EXPECT_EQ(flows_failed(world), 1U);
    EXPECT_TRUE(world.phone.last<FlowChanged>()->alive);
    EXPECT_EQ(world.phone.reports().size(), 0U) << "no change of address";
    EXPECT_TRUE(world.confirmed());
    world.expect_audio(world.wifi_address());
    expect_bye_arrives(world);
  }
}

TEST(LostFlowScenario, AConnectionWithoutPongsIsReplacedAndTold) {
  World world(tcp());
  world.call_peer();
  world.run_for(seconds(150));
  const TimePoint silent = world.now();
  world.server.answer_pings(false);
  ASSERT_TRUE(world.run_until([&] { return reinvites(world, silent) == 1; }, seconds(140)));
  world.run_for(seconds(1));
  EXPECT_EQ(flows_failed(world), 1U);
  EXPECT_TRUE(world.confirmed());
  expect_bye_arrives(world);
}

TEST(LostFlowScenario, AServerThatClosesEveryConnectionGetsFewRefreshes) {
  World world(tcp());
  world.call_peer();
  const TimePoint start = world.now();
  for (int i = 0; i < 85; ++i) {
    world.run_for(milliseconds(700));
    world.server.close_streams();
  }
  EXPECT_GE(reinvites(world, start), 2U);
  EXPECT_LE(reinvites(world, start), 12U) << "in a minute";
  world.run_for(seconds(40));
  EXPECT_TRUE(world.confirmed());
  expect_bye_arrives(world);
}

TEST(LostFlowScenario, WhileTheServerIsAwayTheCallWaitsAndIsToldLater) {
  World world(tcp());
  world.call_peer();
  const TimePoint closed = world.now();
  world.server.stop_listening_streams();
  world.server.close_streams();
  world.run_for(seconds(90));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(reinvites(world, closed), 0U);
  world.server.listen_streams();
  ASSERT_TRUE(world.run_until([&] { return reinvites(world, closed) == 1; }, seconds(70)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  expect_bye_arrives(world);
}

TEST(LostFlowScenario, WhatThePeerAnswersDecides) {
  struct Case {
    int status;
    bool survives;
  };
  for (const Case& each : {Case{488, true}, Case{500, true}, Case{491, true}, Case{481, false}}) {
    World world(tcp());
    world.call_peer();
    world.peer.script("re-INVITE", MockReply{.status = each.status});
    const TimePoint closed = world.now();
    world.server.close_streams();
    world.run_for(seconds(8));
    EXPECT_EQ(world.confirmed(), each.survives) << each.status;
    EXPECT_LE(reinvites(world, closed), 2U);
    if (each.survives) world.expect_audio(world.wifi_address());
  }
}

TEST(LostFlowScenario, ACallThatRingsIsToldToo) {
  Stage stage = tcp();
  stage.peer.reliable = true;
  World world(stage);
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until([&] { return !world.phone.calls().empty(); }, seconds(5)));
  const CallId call = world.call_id();
  ASSERT_TRUE(world.phone.progress(call));  // Early media are agreed on: there is a dialog to move.
  world.run_for(seconds(1));
  const TimePoint closed = world.now();
  world.server.close_streams();
  world.run_for(seconds(3));
  ASSERT_EQ(world.sent_sip("UPDATE", closed).size(), 1U);
  const auto sent = world.sent_sip("UPDATE", closed).front();
  EXPECT_NE(sent.message.first("Contact").find(":" + std::to_string(sent.source.port)),
            std::string::npos)
      << "the new connection";
  ASSERT_TRUE(world.phone.answer(call));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(3)));
  world.run_for(seconds(1));
  expect_bye_arrives(world);
}

TEST(LostFlowScenario, AnAddressChangeRightAfterMakesOneRefreshOfBoth) {
  World world(tcp());
  world.call_peer();
  const TimePoint closed = world.now();
  world.server.close_streams();
  world.run_for(milliseconds(30));
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(10)));
  EXPECT_LE(reinvites(world, closed), 2U);
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  expect_bye_arrives(world);
}

// RFC 5626 §5.3: behind an edge proxy the old flow's token leads nowhere.
TEST(LostFlowScenario, ACallWhoseRouteNamesTheLostFlowGetsANewDialog) {
  Stage stage = tcp();
  stage.server.outbound = true;
  stage.server.gruu = true;
  stage.server.flow_tokens = true;
  for (const bool called : {false, true}) {
    World world(stage);
    called ? world.peer_calls() : world.call_peer();
    const TimePoint closed = world.now();
    world.server.close_streams();
    world.run_for(seconds(4));
    EXPECT_TRUE(world.confirmed());
    std::set<std::string> replacing;
    for (const auto& sent : world.sent_sip("INVITE", closed)) {
      if (sent.message.has("Replaces")) replacing.insert(sent.message.first("Call-ID"));
    }
    EXPECT_EQ(replacing.size(), 1U);
    world.expect_audio(world.wifi_address());
    expect_bye_arrives(world);
  }
}

class CallBehindNat : public ::testing::Test {
 protected:
  static Stage stage() {
    Stage stage;
    stage.expires = seconds(3600);
    return stage;
  }
  CallBehindNat()
      : world_(stage()), nat_(world_.network.add_nat(IpAddress::v4(203, 0, 113, 5), {})) {
    world_.phone_host.attach_nat(world_.wifi, &nat_);
  }
  bool registered_there() {
    const auto bindings = world_.server->bindings("alice", world_.now());
    return bindings.size() == 1 &&
           bindings[0].contact == "sip:alice@" + bindings[0].source.to_string();
  }

  World world_;
  testing::Nat& nat_;
};

TEST_F(CallBehindNat, ANewMappingIsToldToThePeer) {
  world_.call_peer();
  world_.run_for(seconds(60));
  const TimePoint rebound = world_.now();
  nat_.rebind();
  world_.run_for(seconds(32));
  ASSERT_EQ(reinvites(world_, rebound), 1U);
  EXPECT_TRUE(registered_there());
  EXPECT_EQ(flows_failed(world_), 1U);
  const auto bindings = world_.server->bindings("alice", world_.now());
  EXPECT_NE(
      world_.sent_sip("INVITE", rebound).front().message.first("Contact").find(bindings[0].contact),
      std::string::npos);
  expect_bye_arrives(world_);
}

TEST_F(CallBehindNat, AServerWhoseKeepAlivesStopButAnswersRegisterIsStillThere) {
  world_.call_peer();
  world_.run_for(seconds(60));
  const TimePoint silent = world_.now();
  world_.server.answer_pings(false);
  world_.run_for(seconds(75));
  EXPECT_EQ(flows_failed(world_), 1U);
  EXPECT_TRUE(world_.phone.last<FlowChanged>()->alive);
  EXPECT_EQ(reinvites(world_, silent), 1U);
  EXPECT_TRUE(world_.confirmed());
}

TEST_F(CallBehindNat, EveryNewMappingIsFollowedHoweverMany) {
  world_.register_phone();
  world_.run_for(seconds(60));
  for (int i = 0; i < 8; ++i) {
    nat_.rebind();
    world_.run_for(seconds(35));
    EXPECT_TRUE(registered_there()) << i;
  }
}

TEST_F(CallBehindNat, ManyMappingsAtOnceAreFollowedLater) {
  world_.register_phone();
  world_.run_for(seconds(60));
  const TimePoint begin = world_.now();
  // Each is noticed by the answer to the REGISTER for the one before.
  for (int i = 0; i < 200; ++i) {
    nat_.rebind();
    world_.run_for(milliseconds(300));
  }
  EXPECT_LE(world_.sent_sip("REGISTER", begin).size(), 20U) << "in a minute";
  world_.run_for(seconds(150));
  EXPECT_TRUE(registered_there());
}

// A call that rings here is answered over the new connection, and its caller knows the new Contact.
TEST(LostFlowScenario, ACallThatRingsHereFollowsToTheNewConnection) {
  World world(tcp());
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.call("sip:alice@example.org");
  world.run_for(milliseconds(300));
  ASSERT_EQ(world.phone.calls().size(), 1U);
  const CallId call = world.call_id();
  ASSERT_TRUE(world.phone.ring(call));
  world.run_for(milliseconds(300));
  const TimePoint closed = world.now();
  world.server.close_streams();
  world.run_for(seconds(2));
  const auto updates = world.sent_sip("UPDATE", closed);
  ASSERT_EQ(updates.size(), 1U);
  EXPECT_NE(updates[0].message.first("Contact").find(":" + std::to_string(updates[0].source.port)),
            std::string::npos)
      << "the new connection";
  EXPECT_TRUE(updates[0].message.body.empty());
  ASSERT_TRUE(world.phone.answer(call));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed);
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.phone.reports().size(), 0U);
  expect_bye_arrives(world);
}

}  // namespace
}  // namespace godwit::scenario
