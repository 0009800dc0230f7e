// SPDX-License-Identifier: Apache-2.0
// An account configured anew under way.
#include "world.hpp"

namespace godwit::scenario {
namespace {

bool registered(World& world, Duration limit = seconds(5)) {
  return world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      limit);
}

constexpr ModifyAccount kLater{.register_now = false};

TEST(ModifyAccountScenario, ACallAndTheRegistrationGoOn) {
  World world;
  world.call_peer();
  const auto before = world.server.contacts("alice");
  AccountConfig config = world.account_config();
  config.expires = seconds(600);
  config.display_name = "Alice";
  const TimePoint modified = world.now();
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
  const auto sent = world.sent_sip("REGISTER", modified);
  ASSERT_EQ(sent.size(), 1U) << "at once, and with the nonce that is known";
  EXPECT_NE(sent[0].message.first("From").find("Alice"), std::string::npos);
  EXPECT_EQ(sent[0].message.first("Call-ID"),
            world.sent_sip("REGISTER")[0].message.first("Call-ID"));
  EXPECT_EQ(world.phone.last<RegistrationChanged>()->expires, seconds(600));
  EXPECT_EQ(world.server.contacts("alice"), before);
  EXPECT_TRUE(world.phone.reports().empty());
}

TEST(ModifyAccountScenario, RegisterNowOffSendsNothingUntilTheNextOccasion) {
  World world;
  world.call_peer();
  AccountConfig config = world.account_config();
  config.expires = seconds(600);
  const TimePoint modified = world.now();
  ASSERT_TRUE(world.phone.modify_account(world.account, config, kLater));
  world.run_for(seconds(20));
  EXPECT_TRUE(world.sent_sip("REGISTER", modified).empty());
  EXPECT_TRUE(world.confirmed());
  ASSERT_TRUE(world.phone.register_account(world.account));
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent_sip("REGISTER", modified).size(), 1U);
  EXPECT_EQ(world.phone.last<RegistrationChanged>()->expires, seconds(600));

  config.expires = seconds(900);
  ASSERT_TRUE(world.phone.modify_account(world.account, config, kLater));
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(5)));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<RegistrationChanged>()->expires, seconds(900))
      << "the change sends it";
  EXPECT_TRUE(world.confirmed());
}

TEST(ModifyAccountScenario, TheNextRefreshSendsItToo) {
  Stage stage;
  stage.expires = seconds(30);
  World world(stage);
  world.register_phone();
  AccountConfig config = world.account_config();
  config.expires = seconds(77);
  ASSERT_TRUE(world.phone.modify_account(world.account, config, kLater));
  world.run_for(seconds(29));
  EXPECT_EQ(world.phone.last<RegistrationChanged>()->expires, seconds(77));
  EXPECT_EQ(world.server.contacts("alice").size(), 1U);
}

TEST(ModifyAccountScenario, CredentialsAreReplaced) {
  World world;
  AccountConfig config = world.account_config();
  config.password = "looking-glass";
  world.account = *world.phone.add_account(config);
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.registration(world.account), RegistrationState::Failed);
  config.password = "wonderland";
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  EXPECT_TRUE(registered(world, seconds(2)));
}

TEST(ModifyAccountScenario, AnotherProxyIsRegisteredAtWhileTheCallGoesOn) {
  World world;
  world.call_peer();
  AccountConfig config = world.account_config();
  config.outbound_proxy = "sip:" + world.server_address().to_uri_host() + ":5060";
  const TimePoint modified = world.now();
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  world.run_for(seconds(1));
  const auto sent = world.sent_sip("REGISTER", modified);
  ASSERT_FALSE(sent.empty());
  EXPECT_NE(sent.back().message.first("Route").find(":5060;lr"), std::string::npos);
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());

  // One that is not there: the registration fails, and comes back with the next modification.
  config.outbound_proxy = "sip:10.9.0.77";
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
      seconds(40)));
  world.run_for(seconds(5));
  EXPECT_TRUE(world.confirmed());
  ASSERT_TRUE(world.phone.modify_account(world.account, world.account_config()));
  EXPECT_TRUE(registered(world, seconds(3)));
  EXPECT_TRUE(world.confirmed());
}

TEST(ModifyAccountScenario, APinMovesTheCallAsAChangeDoes) {
  Stage stage;
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  AccountConfig config = world.account_config();
  config.signalling_pin = {"wwan0", std::nullopt};
  config.media_pin = {"wwan0", std::nullopt};
  const TimePoint modified = world.now();
  ASSERT_TRUE(world.phone.modify_account(world.account, config, kLater));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.sent_sip("REGISTER", modified).empty());
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
  config.signalling_pin = {"wlan0", std::nullopt};
  config.media_pin = {"wlan0", std::nullopt};
  ASSERT_TRUE(world.phone.modify_account(world.account, config));
  world.run_for(seconds(3));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
  EXPECT_NE(world.server.contacts("alice").at(0).find(world.wifi_address().to_string()),
            std::string::npos);
}

TEST(ModifyAccountScenario, ThePolicyOfTheNextChangeIsTheNewOne) {
  World world;
  world.call_peer();
  AccountConfig config = world.account_config();
  config.ip_change.hang_up_calls = true;
  ASSERT_TRUE(world.phone.modify_account(world.account, config, kLater));
  world.move_to_lte();
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
}

TEST(ModifyAccountScenario, WhatCannotBeChangedChangesNothing) {
  World world;
  world.call_peer();
  const auto sent = world.sent_sip("REGISTER").size();
  const auto refused = [&](auto change) {
    AccountConfig config = world.account_config();
    change(config);
    const auto done = world.phone.modify_account(world.account, config);
    EXPECT_FALSE(done);
    return done ? std::string() : done.error().detail;
  };
  EXPECT_TRUE(refused([](AccountConfig& c) { c.aor = "sip:eve@example.org"; }).starts_with("aor:"));
  EXPECT_TRUE(refused([](AccountConfig& c) { c.aor = "nonsense"; }).starts_with("aor:"));
  EXPECT_TRUE(refused([](AccountConfig& c) {
                c.outbound_proxy = "sip:a";
                c.further_outbound_proxies = {"sip:b"};
              }).starts_with("further_outbound_proxies:"));
  EXPECT_NE(refused([](AccountConfig& c) { c.expires = seconds(1); }).find("registration time"),
            std::string::npos);
  EXPECT_NE(refused([](AccountConfig& c) {
              c.media_pin = {"a/b", std::nullopt};
            }).find("media_pin"),
            std::string::npos);
  const auto unknown = world.phone.modify_account(AccountId{99}, world.account_config());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::NotFound);
  world.run_for(seconds(2));
  EXPECT_EQ(world.sent_sip("REGISTER").size(), sent);
  EXPECT_TRUE(world.confirmed());
}

}  // namespace
}  // namespace godwit::scenario
