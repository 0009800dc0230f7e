// SPDX-License-Identifier: Apache-2.0
// handle_ip_change() and snapshots as no application should use them: a clear error or one joined
// recovery; never a lost call, and outputs that stay bounded.
#include <set>

#include "figures.hpp"

namespace godwit::scenario {
namespace {

using ua::Core;

struct Count {
  std::size_t registers = 0;
  std::size_t invites = 0;
  std::size_t events = 0;
};

Count since(const World& world, TimePoint from) {
  Count count;
  count.registers = world.sent_sip("REGISTER", from).size();
  count.invites = world.sent_sip("INVITE", from).size();
  for (const auto& recorded : world.phone.events()) {
    const bool tick = std::holds_alternative<CallStatistics>(recorded.event);
    if (recorded.at >= from && !tick) ++count.events;
  }
  return count;
}

TEST(AbuseScenario, AThousandInOneMomentCostTwoRecoveries) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  std::set<std::uint32_t> generations;
  for (int i = 0; i < 1'000; ++i) {
    const auto generation = world.phone.handle_ip_change();
    ASSERT_TRUE(generation);
    generations.insert(generation->value());
  }
  EXPECT_EQ(generations.size(), 2U) << "one at once, one that the rest is joined into";
  world.run_for(seconds(10));
  const Count count = since(world, start);
  EXPECT_EQ(count.registers, 2U);
  EXPECT_EQ(count.invites, 2U);
  EXPECT_LE(count.events, 40U);
  EXPECT_EQ(world.phone.reports().size(), 2U);
  EXPECT_TRUE(world.settled());
  EXPECT_LE(world.up().longest_pause(start, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  expect_moved(world, world.wifi_address());
}

TEST(AbuseScenario, AThousandSpreadOverASecondCostThreeRecoveries) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(world.phone.handle_ip_change());
    world.run_for(milliseconds(1));
  }
  world.run_for(seconds(10));
  const Count count = since(world, start);
  EXPECT_LE(count.registers, 3U);
  EXPECT_LE(count.invites, 3U);
  EXPECT_TRUE(world.settled());
  EXPECT_LE(world.phone_host.open_sockets(), 4U);
  expect_moved(world, world.wifi_address());
}

TEST(AbuseScenario, AThousandWhileTheAddressMoves) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  for (int i = 0; i < 1'000; ++i) {
    if (i == 300) world.move_to_lte();
    ASSERT_TRUE(world.phone.handle_ip_change());
    world.run_for(milliseconds(1));
  }
  world.run_for(seconds(10));
  const Count count = since(world, start);
  EXPECT_LE(count.registers, 4U);
  EXPECT_LE(count.invites, 5U);
  EXPECT_TRUE(world.settled());
  expect_moved(world, world.lte_address());
}

TEST(AbuseScenario, BeforeTheFirstSnapshotItIsAnError) {
  testing::Simulation simulation(1);
  SeededRandom random(1);
  NullLog log;
  Core core({}, random, log);
  const auto early = core.handle_ip_change({}, simulation.now());
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::WrongState);
  EXPECT_NE(early.error().detail.find("snapshot"), std::string::npos);
  // An error leaves nothing behind: the first snapshot begins no change.
  core.on_network({}, simulation.now());
  while (const auto output = core.poll_output()) {
    const auto* event = std::get_if<ua::EmitEvent>(&*output);
    EXPECT_FALSE(event != nullptr && std::holds_alternative<IpChangeDetected>(event->event));
  }
}

TEST(AbuseScenario, AfterShutdownItIsAnError) {
  World world;
  world.call_peer();
  world.phone.shut_down();
  const auto late = world.phone.handle_ip_change();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::WrongState);
  const auto refresh = world.phone.refresh_call(world.call_id());
  EXPECT_FALSE(refresh);
  world.run_for(seconds(2));
  EXPECT_TRUE(world.phone.idle());
}

TEST(AbuseScenario, WithoutANetworkNothingIsSentAndTheCallWaits) {
  World world;
  world.call_peer();
  world.wifi_goes();
  world.run_for(seconds(2));
  const TimePoint start = world.now();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(world.phone.handle_ip_change());
    world.run_for(milliseconds(20));
  }
  EXPECT_TRUE(world.sent_sip("", start).empty());
  EXPECT_LE(world.phone.all<IpChangeDetected>().size(), 6U);
  EXPECT_TRUE(world.confirmed());
  world.run_for(seconds(5));
  world.lte_comes();
  world.run_for(seconds(12));
  EXPECT_TRUE(world.settled());
  expect_moved(world, world.lte_address());
}

TEST(AbuseScenario, ImpossibleOptionsAreRefusedAndChangeNothing) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  const auto nothing = world.phone.handle_ip_change({.registrations = false, .calls = false});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::InvalidArgument);
  const auto unknown = world.phone.handle_ip_change({.accounts = {world.account, AccountId{9}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::NotFound);
  world.run_for(seconds(3));
  EXPECT_TRUE(world.sent_sip("", start).empty());
  EXPECT_TRUE(world.phone.all<IpChangeDetected>().empty());
}

TEST(AbuseScenario, SnapshotsWithoutEndOfANetworkThatDoesNotChange) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  const NetworkSnapshot same = world.phone_host.snapshot({});
  for (int i = 0; i < 1'000; ++i) {
    world.phone.command([&](Core& core, TimePoint now) { core.on_network(same, now); });
  }
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("", start).empty());
  EXPECT_TRUE(world.phone.all<IpChangeDetected>().empty());
  expect_moved(world, world.wifi_address());
}

TEST(AbuseScenario, AnEmptySnapshotAndBackAThousandTimes) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  const NetworkSnapshot whole = world.phone_host.snapshot({});
  for (int i = 0; i < 1'000; ++i) {
    world.phone.command([&](Core& core, TimePoint now) {
      core.on_network(i % 2 == 0 ? NetworkSnapshot{} : whole, now);
    });
    world.run_for(milliseconds(5));
  }
  world.run_for(seconds(30));
  const Count count = since(world, start);
  EXPECT_LE(count.registers, 8U);
  EXPECT_LE(count.invites, 8U);
  EXPECT_TRUE(world.settled());
  EXPECT_LE(world.phone_host.open_sockets(), 4U);
  expect_moved(world, world.wifi_address());
}

}  // namespace
}  // namespace godwit::scenario
