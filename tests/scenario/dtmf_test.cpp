// SPDX-License-Identifier: Apache-2.0
// Digits in RTP (RFC 4733), both ways, and the change of address in the middle of them.
#include "world.hpp"

namespace godwit::scenario {
namespace {

using ua::Core;

Stage with_events(std::uint8_t type = 101) {
  Stage stage;
  stage.peer.telephone_event = type;
  return stage;
}

Result<RequestId> dtmf(World& world, const std::string& digits,
                       DtmfMethod method = DtmfMethod::Auto) {
  return world.phone.command([&](Core& core, TimePoint now) {
    return core.send_dtmf(world.call_id(), digits, method, now);
  });
}

/// The keys that the peer heard pressed.
std::string heard(World& world) {
  std::string digits;
  for (const auto& event : world.peer.media().events()) digits += "0123456789*#ABCD"[event.code];
  return digits;
}

TEST(DtmfInRtpScenario, GoesToAPeerThatTakesIt) {
  World world(with_events());
  world.call_peer();
  const auto row = dtmf(world, "42#");
  ASSERT_TRUE(row) << row.error().detail;
  ASSERT_TRUE(dtmf(world, "7", DtmfMethod::Rtp));
  world.run_for(seconds(2));
  EXPECT_EQ(heard(world), "42#7");
  for (const auto& event : world.peer.media().events()) {
    EXPECT_EQ(event.markers, 1);
    EXPECT_EQ(event.end_packets, 3);
    EXPECT_EQ(event.durations.front(), 160);
    EXPECT_EQ(event.durations.back(), 1280);
    EXPECT_TRUE(std::is_sorted(event.durations.begin(), event.durations.end()));
  }
  EXPECT_EQ(world.peer.media().ssrcs().size(), 1U);
  EXPECT_TRUE(world.peer.requests("INFO").empty());
  const auto results = world.phone.all<DtmfResult>();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].request, *row);
  EXPECT_TRUE(results[0].ok);
  EXPECT_TRUE(results[1].ok);
  world.expect_audio(world.wifi_address());
}

TEST(DtmfInRtpScenario, APeerWithoutItGetsInfoOrARefusal) {
  World world;
  world.call_peer();
  const auto refused = dtmf(world, "1", DtmfMethod::Rtp);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
  ASSERT_TRUE(dtmf(world, "1"));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.requests("INFO").size(), 1U);
}

TEST(DtmfInRtpScenario, InfoIsTakenWhereItIsAskedFor) {
  World world(with_events());
  world.call_peer();
  ASSERT_TRUE(dtmf(world, "1", DtmfMethod::Info));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.requests("INFO").size(), 1U);
  EXPECT_TRUE(world.peer.media().events().empty());
}

TEST(DtmfInRtpScenario, HearsThePeerWhoCalledWithAnotherPayloadType) {
  World world(with_events(97));
  world.peer_calls();
  for (const std::uint8_t code : std::vector<std::uint8_t>{1, 11, 1}) {
    world.peer.media().press(code);
    world.run_for(milliseconds(400));
  }
  world.peer.media().press(4, 0);  // No end packet arrives.
  world.run_for(seconds(1));
  const auto digits = world.phone.all<DtmfReceived>();
  ASSERT_EQ(digits.size(), 4U);
  EXPECT_EQ(digits[0].digit, '1');
  EXPECT_EQ(digits[1].digit, '#');
  EXPECT_EQ(digits[2].digit, '1');
  EXPECT_EQ(digits[3].digit, '4');
  for (const auto& digit : digits) {
    EXPECT_EQ(digit.method, DtmfMethod::Rtp);
    EXPECT_EQ(digit.duration, milliseconds(100));
  }
  ASSERT_TRUE(dtmf(world, "9", DtmfMethod::Rtp));
  world.run_for(seconds(1));
  EXPECT_EQ(heard(world), "9");
}

TEST(DtmfInRtpScenario, ALossyNetworkLosesNoDigit) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Stage stage = with_events();
    stage.seed = seed;
    World world(stage);
    world.call_peer();
    world.set_loss(0.15);
    ASSERT_TRUE(dtmf(world, "0123456789"));
    world.run_for(seconds(4));
    world.set_loss(0);
    EXPECT_EQ(heard(world), "0123456789") << seed;
  }
}

// The address changes at every moment of a row.
TEST(DtmfInRtpScenario, OurDigitsSurviveAMoveAtAnyMoment) {
  for (int moment = 0; moment <= 600; moment += 50) {
    World world(with_events());
    world.call_peer();
    ASSERT_TRUE(dtmf(world, "12"));
    world.run_for(milliseconds(moment));
    world.move_to_lte();
    world.run_for(milliseconds(100));
    ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
    world.run_for(seconds(2));
    EXPECT_EQ(heard(world), "12") << moment;
    EXPECT_EQ(world.peer.media().ssrcs().size(), 1U);
    ASSERT_EQ(world.phone.all<DtmfResult>().size(), 1U);
    EXPECT_TRUE(world.phone.last<DtmfResult>()->ok);
    world.expect_audio(world.lte_address());
  }
}

TEST(DtmfInRtpScenario, DigitsWaitForANetworkAndAreHeardThen) {
  World world(with_events());
  world.call_peer();
  ASSERT_TRUE(dtmf(world, "12"));
  world.run_for(milliseconds(80));
  world.wifi_goes();
  world.run_for(milliseconds(400));
  ASSERT_TRUE(dtmf(world, "3"));
  world.run_for(seconds(5));
  world.lte_comes();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(20)));
  world.run_for(seconds(3));
  EXPECT_EQ(heard(world), "123");
  EXPECT_EQ(world.phone.all<DtmfResult>().size(), 2U);
}

TEST(DtmfInRtpScenario, ThePeersDigitIsHeardOnceAcrossAMove) {
  for (int moment = 0; moment <= 160; moment += 20) {
    World world(with_events());
    world.call_peer();
    world.peer.media().press(6);
    world.run_for(milliseconds(moment));
    world.move_to_lte();
    world.run_for(milliseconds(100));
    ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
    world.run_for(seconds(1));
    const auto digits = world.phone.all<DtmfReceived>();
    // A key pressed and released while nothing reached us is lost as any sound would be.
    EXPECT_LE(digits.size(), 1U) << moment;
    if (moment == 0 || moment >= 60) {
      EXPECT_EQ(digits.size(), 1U) << moment;
    }
    world.peer.media().press(6);
    world.run_for(seconds(1));
    EXPECT_EQ(world.phone.all<DtmfReceived>().size(), digits.size() + 1);
  }
}

TEST(DtmfInRtpScenario, TheEndOfTheCallEndsTheRows) {
  World world(with_events());
  world.call_peer();
  ASSERT_TRUE(dtmf(world, "123456"));
  ASSERT_TRUE(dtmf(world, "7"));
  world.run_for(milliseconds(300));
  world.peer.bye();
  world.run_for(seconds(2));
  const auto results = world.phone.all<DtmfResult>();
  ASSERT_EQ(results.size(), 2U);
  for (const auto& result : results) {
    EXPECT_FALSE(result.ok);
    EXPECT_EQ(result.reason, "the call has ended");
  }
}

TEST(DtmfInRtpScenario, AnUnboundedNumberOfRowsIsRefused) {
  World world(with_events());
  world.call_peer();
  int taken = 0;
  while (taken < 100 && dtmf(world, "1")) ++taken;
  EXPECT_EQ(taken, 8);
  EXPECT_EQ(dtmf(world, "1").error().code, ErrorCode::Busy);
}

TEST(DtmfInRtpScenario, OnHoldTheDigitsWait) {
  World world(with_events());
  world.call_peer();
  world.peer.reinvite("sendonly");
  world.run_for(seconds(1));
  ASSERT_TRUE(dtmf(world, "5"));
  world.run_for(seconds(1));
  EXPECT_EQ(heard(world), "");
  world.peer.reinvite("sendrecv");
  world.run_for(seconds(2));
  EXPECT_EQ(heard(world), "5");
}

}  // namespace
}  // namespace godwit::scenario
