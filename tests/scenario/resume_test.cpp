// SPDX-License-Identifier: Apache-2.0
//
// The machine sleeps and wakes: what was under way, what has expired meanwhile, and where the
// network is by then.
#include "figures.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

void sleep(World& world, Duration asleep) {
  world.phone.suspend(asleep);
  world.run_for(asleep);
}

TEST(ResumeScenario, ACallAndItsRegistrationAreSaidAnew) {
  World world;
  world.call_peer();
  sleep(world, seconds(100));
  const TimePoint woken = world.now();
  world.run_for(seconds(3));
  EXPECT_EQ(world.sent_sip("REGISTER", woken).size(), 1U);
  EXPECT_EQ(world.sent_sip("INVITE", woken).size(), 1U);
  ASSERT_EQ(world.phone.reports().size(), 1U);
  EXPECT_TRUE(has_cause(world.phone.reports()[0], ChangeCause::Resumed));
  expect_moved(world, world.wifi_address());
}

TEST(ResumeScenario, ElsewhereAfterwards) {
  World world;
  world.call_peer();
  world.phone.suspend(seconds(100));
  world.run_for(seconds(50));
  world.move_to_lte();
  world.run_for(seconds(53));
  EXPECT_TRUE(world.settled());
  expect_moved(world, world.lte_address());
}

TEST(ResumeScenario, AHoldThatTheSleepCutOffIsSaidAgain) {
  for (const int asleep : {5, 20, 31, 33, 600}) {
    SCOPED_TRACE(asleep);
    World world;
    world.call_peer();
    const CallId call = world.call_id();
    world.set_loss(1);
    ASSERT_TRUE(world.phone.hold(call));
    world.run_for(milliseconds(10));
    sleep(world, seconds(asleep));
    world.set_loss(0);
    world.run_for(seconds(40));
    ASSERT_TRUE(world.confirmed()) << "a request that could not be answered ends nothing";
    EXPECT_FALSE(world.peer.remote_sdps().back().wants_audio());
    ASSERT_TRUE(world.phone.resume(call));
    world.run_for(seconds(2));
    world.expect_audio(world.wifi_address());
  }
}

TEST(ResumeScenario, ARegisterThatTheSleepCutOffIsSentAnew) {
  World world;
  world.register_phone();
  world.server->misbehave({.kind = Misbehaviour::Kind::Ignore, .method = "REGISTER"});
  ASSERT_TRUE(world.phone.register_account(world.account));
  world.run_for(milliseconds(10));
  sleep(world, seconds(40));
  const TimePoint woken = world.now();
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent_sip("REGISTER", woken).size(), 1U);
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
}

TEST(ResumeScenario, ADialogPastItsSessionExpiresIsAskedAndGoesOn) {
  Stage stage;
  stage.peer.session_expires = seconds(90);
  stage.peer.refresher = "uas";  // The peer would have refreshed, while we could not hear it.
  stage.calls.session_expires = seconds(90);
  World world(stage);
  world.call_peer();
  sleep(world, seconds(300));
  const TimePoint woken = world.now();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.sent_sip("BYE", woken).empty());
  EXPECT_EQ(world.sent_sip("INVITE", woken).size(), 1U);
  expect_moved(world, world.wifi_address());
}

TEST(ResumeScenario, ADialogThatThePeerHasForgottenEnds) {
  Stage stage;
  stage.peer.session_expires = seconds(90);
  stage.peer.refresher = "uas";
  stage.calls.session_expires = seconds(90);
  World world(stage);
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.always("re-INVITE", {.status = 481});
  sleep(world, seconds(300));
  world.run_for(seconds(3));
  const auto ended = world.phone.ended(call);
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("481"), std::string::npos) << ended->reason;
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
}

TEST(ResumeScenario, WithoutANetworkItWaitsForOne) {
  World world;
  world.call_peer();
  world.phone.suspend(seconds(100));
  world.run_for(seconds(50));
  world.wifi_goes();
  world.run_for(seconds(60));
  EXPECT_TRUE(world.confirmed());
  world.lte_comes();
  world.run_for(seconds(3));
  expect_moved(world, world.lte_address());
}

}  // namespace
}  // namespace godwit::scenario
