// SPDX-License-Identifier: Apache-2.0
// plan() where paths are to be avoided that the system shows as usable (PathPolicy::avoid).
#include <gtest/gtest.h>

#include "mobility/plan.hpp"
#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::endpoint;
using test::ip;
using test::Net;

const Path kWlan{2, "wlan0", ip("10.1.0.2")};
const Path kWwan{3, "wwan0", ip("10.2.0.2")};
const Path kWwan6{3, "wwan0", ip("2001:db8:2::2")};

Net both() {
  return Net()
      .link(2, "wlan0")
      .address("10.1.0.2/24")
      .gateway("10.1.0.1", 100)
      .link(3, "wwan0")
      .address("10.2.0.2/24")
      .gateway("10.2.0.1", 200);
}

PathPolicy avoiding_wlan() { return {{}, {}, {{2, Family::V4, ChangeCause::MediaSilent}}}; }

Use call_to(std::string_view server) {
  Use use;
  use.id = UseId(1);
  use.path = kWlan;
  use.remote = endpoint(server);
  use.media.push_back({kWlan, endpoint("192.0.2.7:4000")});
  return use;
}

std::optional<PlanRow> row(const NetworkSnapshot& network, const Use& use,
                           const PathPolicy& policy = avoiding_wlan()) {
  const RecoveryPlan made = plan(network, Delta{}, {use}, policy);
  return made.rows.empty() ? std::nullopt : std::optional(made.rows.front());
}

TEST(PlanAvoid, ADeadPathIsLeftForAnother) {
  const auto made = row(both(), call_to("192.0.2.1"));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Break);
  EXPECT_EQ(made->to, kWwan);
  EXPECT_EQ(made->cause, ChangeCause::MediaSilent);
  EXPECT_EQ(made->media.at(0).to, kWwan);
}

TEST(PlanAvoid, WhatIsInItsOwnNetworkStays) {
  Use use = call_to("10.1.0.9");
  use.media[0].remote = endpoint("10.1.0.9:4000");
  use.others = {endpoint("192.0.2.1")};
  EXPECT_FALSE(row(both(), use)) << "only what lies behind the network is dead";
}

TEST(PlanAvoid, WithNothingBetterItStays) {
  EXPECT_FALSE(row(Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100),
                   call_to("192.0.2.1")));
}

TEST(PlanAvoid, ANetworkOfTheOtherFamilyIsBetter) {
  const NetworkSnapshot network = Net()
                                      .link(2, "wlan0")
                                      .address("10.1.0.2/24")
                                      .gateway("10.1.0.1", 100)
                                      .link(3, "wwan0")
                                      .address("2001:db8:2::2/64")
                                      .gateway("fe80::1", 200);
  Use use = call_to("192.0.2.1");
  EXPECT_FALSE(row(network, use)) << "its server has no address there";
  use.others = {endpoint("[2001:db8:9::1]:5060")};
  const auto made = row(network, use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Break);
  EXPECT_EQ(made->to, kWwan6);
  EXPECT_EQ(made->remote, use.others[0]);
  EXPECT_EQ(made->media.at(0).to, kWwan6) << "the peer is asked for another address from there";
  PathPolicy all_dead = avoiding_wlan();
  all_dead.avoid.push_back({3, Family::V6, ChangeCause::MediaSilent});
  EXPECT_FALSE(row(network, use, all_dead));
}

TEST(PlanAvoid, AUseThatLeavesNoDeadPathsStays) {
  Use use = call_to("192.0.2.1");
  use.policy.paths = PathPolicy{};
  use.media[0].paths = PathPolicy{};
  EXPECT_FALSE(row(both(), use));
}

}  // namespace
}  // namespace godwit::mobility
