// SPDX-License-Identifier: Apache-2.0
// RTCP on RTP's port (RFC 5761), and the peer whose audio has ended for good.
#include "world.hpp"

namespace godwit::scenario {
namespace {

TEST(RtcpMuxScenario, IsOfferedAndUsedWhereThePeerCan) {
  Stage stage;
  stage.peer.rtcp_mux = true;
  World world(stage);
  world.call_peer();
  ASSERT_FALSE(world.peer.remote_sdps().empty());
  EXPECT_TRUE(world.peer.remote_sdps()[0].rtcp_mux);
  world.run_for(seconds(15));
  EXPECT_GT(world.peer.media().rtcp_on_rtp_port(), 0U);
  EXPECT_EQ(world.peer.media().rtcp_on_own_port(), 0U);
  world.move_to_lte();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  EXPECT_TRUE(world.peer.remote_sdps().back().rtcp_mux);
  const auto before = world.peer.media().rtcp_on_rtp_port();
  world.run_for(seconds(15));
  EXPECT_GT(world.peer.media().rtcp_on_rtp_port(), before);
  EXPECT_EQ(world.peer.media().rtcp_on_own_port(), 0U);
  world.expect_audio(world.lte_address());
  world.expect_continuous_sdp();
}

TEST(RtcpMuxScenario, APeerWithoutItGetsItsOwnPort) {
  World world;
  world.call_peer();
  world.run_for(seconds(15));
  EXPECT_EQ(world.peer.media().rtcp_on_rtp_port(), 0U);
  EXPECT_GT(world.peer.media().rtcp_on_own_port(), 0U);
}

TEST(RtcpMuxScenario, IsAnsweredOnlyWhereOffered) {
  for (const bool offered : {true, false}) {
    Stage stage;
    stage.peer.rtcp_mux = offered;
    World world(stage);
    world.peer_calls();
    ASSERT_FALSE(world.peer.remote_sdps().empty());
    EXPECT_EQ(world.peer.remote_sdps().back().rtcp_mux, offered);
    world.run_for(seconds(15));
    EXPECT_EQ(world.peer.media().rtcp_on_rtp_port() > 0, offered);
    EXPECT_EQ(world.peer.media().rtcp_on_own_port() > 0, !offered);
  }
}

TEST(RtcpMuxScenario, CanBeSwitchedOff) {
  Stage stage;
  stage.peer.rtcp_mux = true;
  stage.ua.media.rtcp_mux = false;
  World world(stage);
  world.call_peer();
  EXPECT_FALSE(world.peer.remote_sdps()[0].rtcp_mux);
  world.run_for(seconds(15));
  EXPECT_EQ(world.peer.media().rtcp_on_rtp_port(), 0U);
}

Stage with_timeout() {
  Stage stage;
  stage.ua.media.timeout = seconds(20);
  return stage;
}

TEST(MediaTimeoutScenario, EndsACallWhosePeerHasVanished) {
  World world(with_timeout());
  world.call_peer();
  world.run_for(seconds(30));
  ASSERT_TRUE(world.confirmed()) << "while there is audio";
  world.peer.media().mute(true);
  world.run_for(seconds(18));
  EXPECT_TRUE(world.confirmed());
  world.run_for(seconds(5));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("no audio has come from the other side for 20 s"), std::string::npos)
      << ended->reason;
  const auto byes = world.peer.requests("BYE");
  ASSERT_EQ(byes.size(), 1U);
  EXPECT_NE(byes[0].message.first("Reason").find("media timeout"), std::string::npos);
}

TEST(MediaTimeoutScenario, IsOffUnlessAskedFor) {
  World world;
  world.call_peer();
  world.peer.media().mute(true);
  world.run_for(seconds(300));
  EXPECT_TRUE(world.confirmed());
}

TEST(MediaTimeoutScenario, OnHoldNothingIsExpected) {
  World world(with_timeout());
  world.call_peer();
  world.peer.media().mute(true);
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(60));
  EXPECT_TRUE(world.confirmed());
  ASSERT_TRUE(world.phone.resume(world.call_id()));
  world.run_for(seconds(15));
  EXPECT_TRUE(world.confirmed()) << "the time begins anew";
  world.run_for(seconds(10));
  EXPECT_TRUE(world.phone.ended(world.call_id()));
}

TEST(MediaTimeoutScenario, NeverHindersARecovery) {
  World world(with_timeout());
  world.call_peer();
  world.wifi_goes();
  world.run_for(seconds(50));  // Suspended for longer than the timeout.
  EXPECT_TRUE(world.confirmed());
  world.lte_comes();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(20)));
  world.run_for(seconds(30));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
}

TEST(MediaTimeoutScenario, AMoveThatBringsNoAudioBackEndsAfterIt) {
  World world(with_timeout());
  world.call_peer();
  world.peer.media().mute(true);
  world.run_for(seconds(15));
  const TimePoint moved = world.now();
  world.move_to_lte();
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(60)));
  EXPECT_GE(world.now() - moved, seconds(20)) << "the silence before the move does not count";
}

TEST(MediaTimeoutScenario, IsOverAtOnceForTheUserThoughNobodyAnswersTheBye) {
  World world(with_timeout());
  world.call_peer();
  world.peer_host.down_link(2).black_hole = true;
  world.peer_host.up_link(2).black_hole = true;
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(25)));
  EXPECT_FALSE(world.phone.hang_up(world.call_id())) << "it is over";
  world.run_for(seconds(1));
  const std::size_t byes = world.sent_sip("BYE").size();
  EXPECT_GE(byes, 1U);
  world.run_for(seconds(2));
  EXPECT_GT(world.sent_sip("BYE").size(), byes) << "which goes on behind";
  world.run_for(seconds(70));
  EXPECT_EQ(world.phone.all<CallStateChanged>().back().state, CallState::Ended);
  std::size_t told = 0;
  for (const auto& event : world.phone.all<CallStateChanged>()) {
    told += event.state == CallState::Ended ? 1U : 0U;
  }
  EXPECT_EQ(told, 1U);
}

}  // namespace
}  // namespace godwit::scenario
