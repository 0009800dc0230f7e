// SPDX-License-Identifier: Apache-2.0
// The ordinary life of a registration.
#include "world.hpp"

namespace godwit::scenario {
namespace {

TEST(RegistrationScenario, RegistersWithDigestAndSaysWhere) {
  World world;
  world.register_phone();
  const auto event = world.phone.last<RegistrationChanged>();
  EXPECT_EQ(event->status, 200);
  EXPECT_EQ(event->expires, seconds(300));
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_EQ(world.server.contacts("alice")[0], event->contact);
  EXPECT_NE(event->contact.find(world.wifi_address().to_string()), std::string::npos);
  EXPECT_EQ(world.server->counters().challenged, 1U);
  EXPECT_EQ(world.sent_sip("REGISTER").size(), 2U);
}

TEST(RegistrationScenario, SpeaksBothAlgorithmsAndIpv6) {
  for (const auto algorithm : {testing::ServerDigest::Md5, testing::ServerDigest::Sha256}) {
    Stage stage;
    stage.family = Family::V6;
    stage.server.algorithms = {algorithm};
    World world(stage);
    world.register_phone();
    EXPECT_EQ(world.server.contacts("alice").size(), 1U);
  }
}

TEST(RegistrationScenario, RefreshesBeforeItExpiresWithTheNonceSentAhead) {
  Stage stage;
  stage.expires = seconds(60);
  stage.server.strict_nonce_count = true;
  World world(stage);
  world.register_phone();
  const auto before = world.sent_sip("REGISTER").size();
  for (int i = 0; i < 300; ++i) {
    world.run_for(seconds(1));
    ASSERT_EQ(world.server.contacts("alice").size(), 1U) << "gap after " << i << " s";
  }
  EXPECT_EQ(world.server->counters().challenged, 1U);
  const auto refreshes = world.sent_sip("REGISTER").size() - before;
  EXPECT_GE(refreshes, 5U);
  EXPECT_LE(refreshes, 12U);
  // One Call-ID, growing CSeq (RFC 3261 §10.2.4).
  const auto sent = world.sent_sip("REGISTER");
  for (std::size_t i = 1; i < sent.size(); ++i) {
    EXPECT_EQ(sent[i].message.first("Call-ID"), sent[0].message.first("Call-ID"));
    EXPECT_EQ(sent[i].message.cseq_number(), sent[i - 1].message.cseq_number() + 1);
  }
}

TEST(RegistrationScenario, AStaleNonceIsOneSilentRetry) {
  Stage stage;
  stage.expires = seconds(60);
  World world(stage);
  world.register_phone();
  world.server->expire_nonces();
  world.run_for(seconds(70));
  EXPECT_EQ(world.server->counters().challenged, 2U);
  EXPECT_EQ(world.server.contacts("alice").size(), 1U);
  for (const auto& event : world.phone.all<RegistrationChanged>()) {
    EXPECT_NE(event.state, RegistrationState::Failed) << event.reason;
  }
}

TEST(RegistrationScenario, AsksForLongerWhenTheIntervalIsTooBrief) {
  Stage stage;
  stage.expires = seconds(10);
  stage.server.min_expires = seconds(90);
  World world(stage);
  world.register_phone();
  EXPECT_GE(world.phone.last<RegistrationChanged>()->expires, seconds(90));
}

TEST(RegistrationScenario, ObeysRetryAfter) {
  World world;
  world.server->misbehave({.method = "REGISTER", .status = 503, .retry_after = seconds(20)});
  const TimePoint start = world.now();
  world.account = *world.phone.add_account(world.account_config());
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
      seconds(2)));
  EXPECT_EQ(world.phone.last<RegistrationChanged>()->status, 503);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(60)));
  EXPECT_GE(world.now() - start, seconds(20));
  EXPECT_LE(world.now() - start, seconds(32));
}

TEST(RegistrationScenario, OutlivesAServerThatDoesNotAnswer) {
  World world;
  world.server_host.down_link(2).black_hole = true;
  world.account = *world.phone.add_account(world.account_config());
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
      seconds(40)));
  // RFC 3261 §17.1.2.2: 64·T1, and no more than 11 datagrams meanwhile.
  EXPECT_LE(world.sent_sip("REGISTER").size(), 11U);
  world.server_host.down_link(2).black_hole = false;
  EXPECT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(120)));
}

TEST(RegistrationScenario, AWrongPasswordIsToldAndNotHammered) {
  World world;
  AccountConfig config = world.account_config();
  config.password = "looking-glass";
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
      seconds(10)));
  world.run_for(seconds(60));
  EXPECT_LE(world.sent_sip("REGISTER").size(), 8U);
  EXPECT_TRUE(world.server.contacts("alice").empty());
}

TEST(RegistrationScenario, UnregistersAndGoesQuiet) {
  World world;
  world.register_phone();
  ASSERT_TRUE(world.phone.unregister_account(world.account));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.server.contacts("alice").empty());
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Unregistered);
  const auto sent = world.sent_sip("REGISTER").size();
  world.run_for(seconds(600));
  EXPECT_EQ(world.sent_sip("REGISTER").size(), sent);
  ASSERT_TRUE(world.phone.register_account(world.account));
  world.run_for(seconds(1));
  EXPECT_EQ(world.server.contacts("alice").size(), 1U);
}

TEST(RegistrationScenario, RemovalAndShutdownLeaveNothingBehind) {
  World world;
  world.register_phone();
  ASSERT_TRUE(world.phone.remove_account(world.account));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.server.contacts("alice").empty());
  EXPECT_FALSE(world.phone.remove_account(world.account)) << "it is gone";
  world.register_phone();
  world.phone.shut_down();
  EXPECT_FALSE(world.phone.idle());
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.idle());
  EXPECT_TRUE(world.server.contacts("alice").empty());
}

TEST(RegistrationScenario, ResolvesTheNameOfTheServer) {
  Stage stage;
  stage.server.domains = {"sip.example.org"};
  World world(stage);
  world.network.set_name("sip.example.org", {world.server_address()});
  AccountConfig config = world.account_config();
  config.registrar = "sip:example.org";
  config.outbound_proxy = "sip:sip.example.org";
  world.account = *world.phone.add_account(config);
  EXPECT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(5)));
}

TEST(RegistrationScenario, RegistersUnderLoss) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Stage stage;
    stage.seed = seed;
    stage.loss = 0.1;
    stage.expires = seconds(30);
    World world(stage);
    world.register_phone();
    world.run_for(seconds(120));
    EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
    EXPECT_EQ(world.server.contacts("alice").size(), 1U);
  }
}

}  // namespace
}  // namespace godwit::scenario
