// SPDX-License-Identifier: Apache-2.0
// AccountConfig::sip_family and media_family: each position, and what cannot be met.
#include "world.hpp"

namespace godwit::scenario {
namespace {

Stage dual(FamilyPolicy sip, FamilyPolicy media = FamilyPolicy::NoPreference, bool both = true) {
  Stage stage;
  stage.dual = true;  // wifi has IPv4, lte IPv6.
  stage.both_networks = both;
  stage.sip_family = sip;
  stage.media_family = media;
  return stage;
}

bool is_registered_at(World& world, const IpAddress& address) {
  const auto contacts = world.server.contacts("alice");
  return contacts.size() == 1 && contacts[0].find(address.to_uri_host()) != std::string::npos;
}

struct PolicyCase {
  FamilyPolicy policy;
  Family taken;  ///< Where both are there.
};
void PrintTo(const PolicyCase& c, std::ostream* out) { *out << to_string(c.policy); }

class WithBothFamilies : public ::testing::TestWithParam<PolicyCase> {};

TEST_P(WithBothFamilies, SignallingTakesTheWantedOne) {
  World world(dual(GetParam().policy));
  world.run_for(milliseconds(10));
  world.register_phone();
  const bool v4 = GetParam().taken == Family::V4;
  EXPECT_TRUE(is_registered_at(world, v4 ? world.wifi_address() : world.lte_address()));
}

TEST_P(WithBothFamilies, AudioTakesTheWantedOne) {
  if (GetParam().policy == FamilyPolicy::NoPreference) {
    // Where SIP goes.
    World world(dual(FamilyPolicy::Only4));
    world.call_peer();
    world.expect_audio(world.wifi_address());
    return;
  }
  const bool v4 = GetParam().taken == Family::V4;
  World world(dual(v4 ? FamilyPolicy::Only6 : FamilyPolicy::Only4, GetParam().policy));
  world.call_peer();
  EXPECT_TRUE(is_registered_at(world, v4 ? world.lte_address() : world.wifi_address()));
  world.expect_audio(v4 ? world.wifi_address() : world.lte_address());
}

INSTANTIATE_TEST_SUITE_P(Policies, WithBothFamilies,
                         ::testing::Values(PolicyCase{FamilyPolicy::NoPreference, Family::V6},
                                           PolicyCase{FamilyPolicy::Prefer4, Family::V4},
                                           PolicyCase{FamilyPolicy::Prefer6, Family::V6},
                                           PolicyCase{FamilyPolicy::Only4, Family::V4},
                                           PolicyCase{FamilyPolicy::Only6, Family::V6}));

TEST(FamilyPolicyScenario, APreferenceMovesTheRegistrationButNoCall) {
  World world(dual(FamilyPolicy::Prefer6, FamilyPolicy::NoPreference, false));
  world.call_peer();
  EXPECT_TRUE(is_registered_at(world, world.wifi_address())) << "what there is will do";
  world.lte_comes();
  world.run_for(seconds(2));
  EXPECT_TRUE(is_registered_at(world, world.lte_address()));
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.peer.requests("INVITE").size(), 1U);
  world.wifi_goes();
  ASSERT_TRUE(world.run_until([&] { return world.settled() && !world.phone.reports().empty(); },
                              seconds(5)));
  world.expect_audio(world.lte_address());
}

TEST(FamilyPolicyScenario, WithoutAPreferenceNothingMoves) {
  World world(dual(FamilyPolicy::NoPreference, FamilyPolicy::NoPreference, false));
  world.register_phone();
  world.lte_comes();
  world.run_for(seconds(2));
  EXPECT_TRUE(is_registered_at(world, world.wifi_address()));
}

TEST(FamilyPolicyScenario, APreferredFamilyThatLeadsNowhereIsLeftAgain) {
  World world(dual(FamilyPolicy::Prefer6, FamilyPolicy::NoPreference, false));
  world.register_phone();
  world.phone_host.up_link(world.lte).black_hole = true;
  world.lte_comes();
  world.run_for(seconds(15));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  EXPECT_TRUE(is_registered_at(world, world.wifi_address()));
}

TEST(FamilyPolicyScenario, AnOnlyFamilyThatTheNetworkHasNotIsNamed) {
  World world(dual(FamilyPolicy::Only6, FamilyPolicy::NoPreference, false));
  world.account = *world.phone.add_account(world.account_config());
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  const std::string reason = world.phone.last<RegistrationChanged>()->reason;
  EXPECT_NE(reason.find("sip_family is \"only IPv6\""), std::string::npos) << reason;
  world.lte_comes();
  EXPECT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
  EXPECT_TRUE(is_registered_at(world, world.lte_address()));
}

TEST(FamilyPolicyScenario, AnOnlyFamilyThatTheServerHasNotIsNamed) {
  World world(dual(FamilyPolicy::Only6));
  world.network.set_name("sip.example.org", {world.server_address()});
  world.account = *world.phone.add_account(world.account_config());
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.last<Warning>());
  const std::string text = world.phone.last<Warning>()->text;
  EXPECT_NE(text.find("sip_family is \"only IPv6\""), std::string::npos) << text;
}

TEST(FamilyPolicyScenario, ALiteralServerOfTheOtherFamilyIsRefused) {
  World world(dual(FamilyPolicy::Only6));
  AccountConfig config = world.account_config();
  config.registrar = "sip:" + world.server_address().to_uri_host();
  const auto added = world.phone.add_account(config);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
  EXPECT_NE(added.error().detail.find("sip_family"), std::string::npos) << added.error().detail;
}

TEST(FamilyPolicyScenario, AnOnlyFamilyForAudioThatTheNetworkHasNotFailsTheCall) {
  World world(dual(FamilyPolicy::NoPreference, FamilyPolicy::Only6, false));
  world.register_phone();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  world.run_for(seconds(1));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_NE(ended->reason.find("media_family is \"only IPv6\""), std::string::npos)
      << ended->reason;
}

TEST(FamilyPolicyScenario, APreferenceForAudioDoesWithoutWhereItMust) {
  World world(dual(FamilyPolicy::NoPreference, FamilyPolicy::Prefer6, false));
  world.call_peer();
  world.expect_audio(world.wifi_address());
}

TEST(FamilyPolicyScenario, AnOfferOfAForbiddenFamilyGets488) {
  World world(dual(FamilyPolicy::Only4, FamilyPolicy::Only6));
  world.register_phone();
  world.peer.call("sip:alice@example.org");  // Offers IPv4.
  world.run_for(seconds(2));
  EXPECT_EQ(world.peer.last_status("INVITE"), 488);
  EXPECT_FALSE(world.phone.last<IncomingCall>());
}

TEST(FamilyPolicyScenario, AnAnswerOfAForbiddenFamilyEndsTheCall) {
  Stage stage = dual(FamilyPolicy::Only4, FamilyPolicy::Only6);
  stage.peer_has_both = false;
  World world(stage);
  world.register_phone();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.state(world.call_id()) == CallState::Ended; }, seconds(5)));
  const std::string reason = world.phone.ended(world.call_id())->reason;
  EXPECT_NE(reason.find("media_family is \"only IPv6\""), std::string::npos) << reason;
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
}

}  // namespace
}  // namespace godwit::scenario
