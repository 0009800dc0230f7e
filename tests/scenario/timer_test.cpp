// SPDX-License-Identifier: Apache-2.0
// Session timers (RFC 4028) in whole calls: who refreshes and how, what a vanished peer costs, and
// an address change around the refresh.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

Stage timer_stage(std::chrono::seconds peer_interval, const std::string& refresher,
                  std::chrono::seconds ours = seconds(90)) {
  Stage stage;
  stage.peer.session_expires = peer_interval;
  stage.peer.refresher = refresher;
  stage.calls.session_expires = ours;
  return stage;
}

TEST(TimerScenario, WeRefreshByUpdateOrReinvite) {
  for (const bool update : {true, false}) {
    SCOPED_TRACE(update);
    Stage stage = timer_stage(seconds(90), "uac");
    stage.peer.allow_update = update;
    World world(stage);
    world.call_peer();
    const std::size_t invites = world.peer.requests("INVITE").size();
    world.run_for(seconds(200));
    ASSERT_TRUE(world.confirmed());
    EXPECT_EQ(world.peer.requests("UPDATE").size(), update ? 4U : 0U) << "every 45 s";
    EXPECT_EQ(world.peer.requests("INVITE").size() - invites, update ? 0U : 4U);
    if (update) {
      const SipText request = world.peer.requests("UPDATE").front().message;
      EXPECT_TRUE(request.body.empty());
      EXPECT_EQ(request.first("Session-Expires"), "90;refresher=uac");
    }
    world.expect_audio(world.wifi_address());
  }
}

TEST(TimerScenario, AnUpdateThatIsRefusedIsFollowedByAReinvite) {
  World world(timer_stage(seconds(90), "uac"));
  world.call_peer();
  world.peer.always("UPDATE", {.status = 501});
  const std::size_t invites = world.peer.requests("INVITE").size();
  world.run_for(seconds(100));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.requests("UPDATE").size(), 1U);
  EXPECT_EQ(world.peer.requests("INVITE").size() - invites, 2U);
}

TEST(TimerScenario, AVanishedPeerEndsTheCall) {
  for (const bool we_refresh : {true, false}) {
    SCOPED_TRACE(we_refresh);
    World world(timer_stage(seconds(90), we_refresh ? "uac" : "uas"));
    world.call_peer();
    const CallId call = world.call_id();
    for (const char* method : {"UPDATE", "re-INVITE", "BYE"}) {
      world.peer.always(method, {.ignore = true});
    }
    world.run_for(seconds(we_refresh ? 40 : 55));
    EXPECT_TRUE(world.confirmed());
    world.run_for(seconds(60));
    ASSERT_TRUE(world.phone.ended(call)) << "a peer that is gone keeps no call";
    EXPECT_EQ(world.phone.engines(), 0U);
    EXPECT_FALSE(world.sent_sip("BYE ").empty());
  }
}

TEST(TimerScenario, ThePeerRefreshes) {
  World world(timer_stage(seconds(90), "uac"));
  world.peer_calls();
  for (int i = 0; i < 4; ++i) {
    world.run_for(seconds(45));
    i % 2 == 0 ? world.peer.update() : world.peer.reinvite();
    world.run_for(seconds(1));
  }
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.sent_sip("UPDATE ").empty());
  // Then it does no longer.
  const CallId call = world.call_id();
  world.run_for(seconds(55));
  EXPECT_TRUE(world.confirmed());
  world.run_for(seconds(10));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_NE(world.phone.ended(call)->reason.find("expired"), std::string::npos)
      << world.phone.ended(call)->reason;
}

TEST(TimerScenario, ALongerIntervalIsAskedForAfter422) {
  World world(timer_stage(seconds(90), "uac"));
  world.phone.play_to_all(440);
  world.register_phone();
  world.peer.script("INVITE", {.status = 422, .headers = {{"Min-SE", "120"}}});
  const CallId call = *world.phone.call(world.account, "bob");
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; }, seconds(5)));
  EXPECT_EQ(world.peer.requests("INVITE").back().message.first("Session-Expires"), "120");
}

/// The change strikes so long before or after our refresh leaves, 45 s into the call.
class MoveAroundARefresh : public ::testing::TestWithParam<int> {};

TEST_P(MoveAroundARefresh, KeepsCallAndTimer) {
  World world(timer_stage(seconds(90), "uac"));
  world.call_peer();
  ASSERT_TRUE(world.run_until([&] { return !world.sent_sip("UPDATE ").empty(); }, seconds(50)));
  world.run_for(milliseconds(GetParam()));
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.settled());
  const auto moves = world.sent_sip("INVITE sip:bob");
  ASSERT_FALSE(moves.empty());
  EXPECT_EQ(moves.back().message.first("Session-Expires"), "90;refresher=uac")
      << "the recovery keeps interval and refresher";
  world.run_for(seconds(200));
  ASSERT_TRUE(world.confirmed());
  EXPECT_GE(world.peer.requests("UPDATE").size(), 4U);
  world.expect_audio(world.lte_address());
}

INSTANTIATE_TEST_SUITE_P(Moments, MoveAroundARefresh, ::testing::Values(0, 10, 24, 26, 49, 51, 90));

TEST(TimerScenario, TheSessionDoesNotExpireWhileThereIsNoNetwork) {
  // 25 s without any network around the end of the session: the recovery's deadline counts instead.
  World world(timer_stage(seconds(90), "uas"));
  world.call_peer();
  world.run_for(seconds(50));
  world.wifi_goes();
  world.run_for(seconds(25));
  EXPECT_TRUE(world.confirmed()) << "60 s after the last refresh, but suspended";
  world.lte_comes();
  world.run_for(seconds(5));
  ASSERT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  // The recovery's re-INVITE has renewed the session.
  world.run_for(seconds(40));
  EXPECT_TRUE(world.confirmed());
}

TEST(TimerScenario, OffMeansNothingIsAskedOrGranted) {
  Stage stage = timer_stage(seconds(90), "uac");
  stage.calls.session_timer = ExtensionUse::Off;
  World world(stage);
  world.call_peer();
  EXPECT_EQ(world.peer.requests("INVITE").back().message.first("Session-Expires"), "");
  world.run_for(seconds(120));
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.peer.requests("UPDATE").empty());
}

}  // namespace
}  // namespace godwit::scenario
