// SPDX-License-Identifier: Apache-2.0
// plan() between address families: other places for the next hop, media whose peer is of a lost
// family, and policies.
#include <gtest/gtest.h>

#include "mobility/plan.hpp"
#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::endpoint;
using test::ip;
using test::Net;

const Path kWlan{2, "wlan0", ip("10.1.0.2")};
const Path kWwan6{3, "wwan0", ip("2001:db8:2::2")};
const Endpoint kServer4 = endpoint("192.0.2.1");
const Endpoint kServer6 = endpoint("[2001:db8:9::1]:5060");

NetworkSnapshot only4() {
  return Net().link(2, "wlan0").address("10.1.0.2/24").gateway("10.1.0.1", 100).link(3, "wwan0");
}
NetworkSnapshot only6() {
  return Net()
      .link(2, "wlan0")
      .link(3, "wwan0")
      .address("2001:db8:2::2/64")
      .gateway("fe80::1", 100);
}
NetworkSnapshot both() {
  return Net()
      .link(2, "wlan0")
      .address("10.1.0.2/24")
      .gateway("10.1.0.1", 100)
      .link(3, "wwan0")
      .address("2001:db8:2::2/64")
      .gateway("fe80::1", 100);
}

Use call() {
  Use use;
  use.id = UseId(1);
  use.path = kWlan;
  use.remote = kServer4;
  use.others = {kServer6};
  use.media.push_back({kWlan, endpoint("192.0.2.7:4000")});
  return use;
}

std::optional<PlanRow> row(const NetworkSnapshot& before, const NetworkSnapshot& after,
                           const Use& use) {
  const RecoveryPlan made = plan(after, compute_delta(before, after), {use});
  return made.rows.empty() ? std::nullopt : std::optional(made.rows.front());
}

TEST(PlanFamilies, ALostFamilyIsLeftForTheOther) {
  const auto made = row(only4(), only6(), call());
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Break);
  EXPECT_EQ(made->to, kWwan6);
  EXPECT_EQ(made->remote, kServer6);
  EXPECT_EQ(made->cause, ChangeCause::FamilyLost);
  ASSERT_EQ(made->media.size(), 1U);
  EXPECT_EQ(made->media[0].to, kWwan6) << "the peer is asked for another address from there";
  EXPECT_EQ(made->media[0].mode, Mode::Break);
}

TEST(PlanFamilies, OncePlannedNothingIsLeftToDo) {
  Use use = call();
  use.path = kWwan6;
  use.remote = kServer6;
  use.others = {kServer4};
  use.media[0].path = kWwan6;  // Its remote is still the one of the lost family.
  EXPECT_FALSE(row(only6(), only6(), use));
}

TEST(PlanFamilies, WithoutAnotherPlaceItWaits) {
  Use use = call();
  use.others.clear();
  const auto made = row(only4(), only6(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Suspend);
  EXPECT_FALSE(made->to);
  EXPECT_FALSE(made->media[0].to);
}

TEST(PlanFamilies, AWaitingUseGoesOnInTheOtherFamily) {
  Use use = call();
  use.suspended = true;
  const auto made = row(only4(), only6(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Resume);
  EXPECT_EQ(made->remote, kServer6);
}

TEST(PlanFamilies, WhatCanStayStays) {
  EXPECT_FALSE(row(only4(), both(), call()));
  Use preferring = call();
  preferring.policy.signalling = preferring.policy.media = FamilyPolicy::Prefer6;
  EXPECT_FALSE(row(only4(), both(), preferring));
}

TEST(PlanFamilies, MediaOfALostFamilyMoveThoughTheSignallingStays) {
  Use use = call();
  use.path = kWwan6;
  use.remote = kServer6;
  const auto made = row(both(), only6(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->signalling, Mode::Leave);
  EXPECT_EQ(made->media[0].mode, Mode::Break);
  EXPECT_EQ(made->media[0].to, kWwan6);
}

TEST(PlanFamilies, OnlyOneFamilyTearsTheOtherDown) {
  Use use = call();
  use.policy.signalling = use.policy.media = FamilyPolicy::Only6;
  const auto made = row(both(), both(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::MakeBeforeBreak) << "the old one still works";
  EXPECT_EQ(made->remote, kServer6);
  EXPECT_EQ(made->media[0].to, kWwan6);
  const auto without = row(only4(), only4(), use);
  ASSERT_TRUE(without);
  EXPECT_EQ(without->mode, Mode::Suspend);
}

TEST(PlanFamilies, OnlyTheMediaMayBeConfined) {
  Use use = call();
  use.policy.media = FamilyPolicy::Only6;
  const auto made = row(both(), both(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->signalling, Mode::Leave);
  EXPECT_EQ(made->media[0].to, kWwan6);
  use.media[0].path = kWwan6;
  EXPECT_FALSE(row(both(), both(), use));
}

TEST(PlanFamilies, AForbiddenFamilyIsNoWayOut) {
  Use use = call();
  use.policy.signalling = FamilyPolicy::Only4;
  const auto made = row(only4(), only6(), use);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->mode, Mode::Suspend);
}

}  // namespace
}  // namespace godwit::mobility
