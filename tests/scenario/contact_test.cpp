// SPDX-License-Identifier: Apache-2.0
// How the registrar is told of another Contact: when the one that it sees is taken, in how many
// requests, and how a REGISTER of a change that fails is repeated.
#include "world.hpp"

namespace godwit::scenario {
namespace {

const IpAddress kPublic = IpAddress::v4(203, 0, 113, 5);
const IpAddress kPrivate = IpAddress::v4(192, 168, 7, 7);
const IpAddress kOwnPublic = IpAddress::v4(198, 51, 100, 2);

bool registered(World& world, Duration limit = seconds(5)) {
  return world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      limit);
}

/// The host of alice's only Contact, on a phone at `own` whose NAT shows it as `outside`.
std::string contact_host(const IpAddress& own, const IpAddress& outside, ContactRewrite rewrite) {
  World world;
  world.phone_host.add_address(world.wifi, own);
  if (own != world.wifi_address())
    world.phone_host.remove_address(world.wifi, world.wifi_address());
  testing::Nat& nat = world.network.add_nat(outside, {});
  world.phone_host.attach_nat(world.wifi, &nat);
  world.run_for(milliseconds(50));
  AccountConfig config = world.account_config();
  config.contact_rewrite = rewrite;
  world.account = *world.phone.add_account(config);
  EXPECT_TRUE(registered(world));
  world.run_for(seconds(1));
  const auto contacts = world.server.contacts("alice");
  if (contacts.size() != 1) return "not one contact";
  const std::string& uri = contacts[0];
  const auto at = uri.find('@') + 1;
  return uri.substr(at, uri.find(':', at) - at);
}

TEST(ContactRewriting, Off) {
  EXPECT_EQ(contact_host(IpAddress::v4(10, 1, 0, 2), kPublic, ContactRewrite::Off), "10.1.0.2");
}

TEST(ContactRewriting, OnUnlessItWouldReplaceAPublicAddressByAPrivateOne) {
  EXPECT_EQ(contact_host(IpAddress::v4(10, 1, 0, 2), kPublic, ContactRewrite::Auto),
            kPublic.to_string());
  EXPECT_EQ(contact_host(IpAddress::v4(10, 1, 0, 2), kPrivate, ContactRewrite::Auto),
            kPrivate.to_string());
  EXPECT_EQ(contact_host(kOwnPublic, kPublic, ContactRewrite::Auto), kPublic.to_string());
  EXPECT_EQ(contact_host(kOwnPublic, kPrivate, ContactRewrite::Auto), kOwnPublic.to_string());
}

TEST(ContactRewriting, Always) {
  EXPECT_EQ(contact_host(kOwnPublic, kPrivate, ContactRewrite::Always), kPrivate.to_string());
}

TEST(ContactFromAChallenge, SavesARegister) {
  for (const bool on : {true, false}) {
    SCOPED_TRACE(on);
    World world;
    testing::Nat& nat = world.network.add_nat(kPublic, {});
    world.phone_host.attach_nat(world.wifi, &nat);
    AccountConfig config = world.account_config();
    config.contact_from_challenge = on;
    world.account = *world.phone.add_account(config);
    ASSERT_TRUE(registered(world));
    world.run_for(seconds(1));
    EXPECT_EQ(world.sent_sip("REGISTER").size(), on ? 2U : 3U);
    ASSERT_EQ(world.server.contacts("alice").size(), 1U);
    EXPECT_TRUE(world.server.contacts("alice")[0].starts_with("sip:alice@203.0.113.5:"));
    EXPECT_EQ(world.sent_sip("REGISTER").back().message.values("Contact").size(), on ? 1U : 2U);
  }
}

TEST(ContactFromAChallenge, IsNotTakenWhereRewritingIsOff) {
  World world;
  testing::Nat& nat = world.network.add_nat(kPublic, {});
  world.phone_host.attach_nat(world.wifi, &nat);
  AccountConfig config = world.account_config();
  config.contact_rewrite = ContactRewrite::Off;
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  EXPECT_NE(world.server.contacts("alice").at(0).find("10.1.0.2"), std::string::npos);
}

// --- which requests ---

AccountConfig with_method(const World& world, ContactMethod method) {
  AccountConfig config = world.account_config();
  config.ip_change.contact_method = method;
  return config;
}

std::vector<World::SentSip> registers_of_a_move(World& world) {
  EXPECT_TRUE(registered(world));
  world.run_for(seconds(1));
  const TimePoint moved = world.now();
  world.move_to_lte();
  EXPECT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1 && world.settled(); },
                              seconds(60)));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  const auto contacts = world.server.contacts("alice");
  EXPECT_EQ(contacts.size(), 1U);
  if (contacts.size() == 1) {
    EXPECT_NE(contacts[0].find(world.lte_address().to_string()), std::string::npos) << contacts[0];
  }
  return world.sent_sip("REGISTER", moved);
}

TEST(ContactMethodOfAMove, ReplaceIsOneRequestWithBoth) {
  World world;
  world.account = *world.phone.add_account(with_method(world, ContactMethod::Replace));
  const auto sent = registers_of_a_move(world);
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].message.values("Contact").size(), 2U);
}

TEST(ContactMethodOfAMove, UnregisterFirstIsTwo) {
  World world;
  world.account = *world.phone.add_account(with_method(world, ContactMethod::UnregisterFirst));
  const auto sent = registers_of_a_move(world);
  ASSERT_EQ(sent.size(), 2U);
  const auto first = sent[0].message.values("Contact");
  ASSERT_EQ(first.size(), 1U);
  EXPECT_NE(first[0].find(world.wifi_address().to_string()), std::string::npos);
  EXPECT_EQ(testing::parameter(first[0], "expires"), "0");
  const auto second = sent[1].message.values("Contact");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].find(world.lte_address().to_string()), std::string::npos);
  EXPECT_EQ(sent[1].message.cseq_number(), sent[0].message.cseq_number() + 1);
}

TEST(ContactMethodOfAMove, UnregisterFirstAnswersAChallenge) {
  Stage stage;
  stage.server.bind_nonce_to_source = true;
  World world(stage);
  world.account = *world.phone.add_account(with_method(world, ContactMethod::UnregisterFirst));
  const auto sent = registers_of_a_move(world);
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(sent[1].message.values("Contact").size(), 1U);
  EXPECT_EQ(testing::parameter(sent[1].message.first("Contact"), "expires"), "0");
}

TEST(ContactMethodOfAMove, UnregisterFirstThatIsRefusedOrLostDoesNotStopTheRegister) {
  for (const auto kind : {Misbehaviour::Kind::Answer, Misbehaviour::Kind::Ignore}) {
    World world;
    world.account = *world.phone.add_account(with_method(world, ContactMethod::UnregisterFirst));
    ASSERT_TRUE(registered(world));
    world.server->misbehave({.kind = kind,
                             .method = "REGISTER",
                             .status = 500,
                             .times = kind == Misbehaviour::Kind::Answer ? 1U : 30U});
    if (kind == Misbehaviour::Kind::Ignore) {
      // Until the un-REGISTER has timed out.
      world.run_for(seconds(1));
      world.move_to_lte();
      world.run_for(seconds(33));
      const auto sent = world.sent_sip("REGISTER");
      EXPECT_NE(sent.back().message.values("Contact").back().find(world.lte_address().to_string()),
                std::string::npos)
          << "the register follows";
      continue;
    }
    const auto sent = registers_of_a_move(world);
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[1].message.values("Contact").size(), 2U) << "the old one is still to go";
  }
}

// --- when it fails ---

struct Failing {
  std::uint32_t times = 2;
  std::optional<seconds> retry_after = {};
  RegisterRetry retry = {};
};

/// From the change to the 200, with the registrar refusing as told.
std::optional<Duration> until_registered(const Failing& failing, IpChangeReport* report = nullptr) {
  World world;
  AccountConfig config = world.account_config();
  config.ip_change.register_retry = failing.retry;
  world.account = *world.phone.add_account(config);
  EXPECT_TRUE(registered(world));
  world.server->misbehave({.method = "REGISTER",
                           .status = 503,
                           .retry_after = failing.retry_after,
                           .times = failing.times});
  world.move_to_lte();
  const TimePoint moved = world.now();
  world.run_for(seconds(1));
  EXPECT_TRUE(world.run_until(
      [&] {
        return world.server.contacts("alice").size() == 1 &&
               world.server.contacts("alice")[0].find(world.lte_address().to_string()) !=
                   std::string::npos;
      },
      seconds(600)));
  if (report != nullptr) *report = world.phone.reports().at(0);
  return world.now() - moved;
}

TEST(RegisterRetryOfAChange, DoublesFromItsFirstDelay) {
  IpChangeReport report;
  const auto took = until_registered({.times = 2, .retry = {4, seconds(1), seconds(16)}}, &report);
  EXPECT_GE(*took, milliseconds(1500)) << "half of 1 s and of 2 s at least";
  EXPECT_LE(*took, milliseconds(3500));
  ASSERT_FALSE(report.steps.empty());
  const IpChangeStep& step = report.steps.back();
  EXPECT_EQ(step.kind, StepKind::ContactUpdated);
  EXPECT_EQ(step.status, 503);
  EXPECT_FALSE(step.ok);
}

TEST(RegisterRetryOfAChange, NeverPassesItsLongestDelay) {
  const auto took = until_registered({.times = 6, .retry = {10, milliseconds(500), seconds(1)}});
  EXPECT_GE(*took, milliseconds(2750));
  EXPECT_LE(*took, seconds(7));
}

TEST(RegisterRetryOfAChange, OffIsTheOrdinarySchedule) {
  const auto took = until_registered({.times = 1, .retry = {0, seconds(1), seconds(16)}});
  EXPECT_GE(*took, seconds(30)) << "RFC 5626 §4.5: half of 60 s";
  EXPECT_LE(*took, seconds(62));
}

TEST(RegisterRetryOfAChange, EndsInTheOrdinarySchedule) {
  const auto took = until_registered({.times = 3, .retry = {2, seconds(1), seconds(16)}});
  EXPECT_GE(*took, seconds(31));
  EXPECT_LE(*took, seconds(65));
}

TEST(RegisterRetryOfAChange, HonoursRetryAfter) {
  const auto took = until_registered(
      {.times = 1, .retry_after = seconds(9), .retry = {4, seconds(1), seconds(2)}});
  EXPECT_GE(*took, seconds(9));
  EXPECT_LE(*took, seconds(11));
}

TEST(RegisterRetryOfAChange, IsNotForTheOrdinaryRegistration) {
  World world;
  world.server->misbehave({.method = "REGISTER", .status = 503, .times = 1});
  world.account = *world.phone.add_account(world.account_config());
  world.run_for(seconds(20));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Failed);
}

TEST(RegisterRetryOfAChange, ImpossibleValuesAreNamed) {
  World world;
  for (const RegisterRetry wrong :
       {RegisterRetry{21, seconds(1), seconds(2)}, RegisterRetry{1, milliseconds(99), seconds(2)},
        RegisterRetry{1, seconds(3), seconds(2)},
        RegisterRetry{1, seconds(3), std::chrono::hours(2)}}) {
    AccountConfig config = world.account_config();
    config.ip_change.register_retry = wrong;
    const auto added = world.phone.add_account(config);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
    EXPECT_NE(added.error().detail.find("register_retry"), std::string::npos);
  }
}

}  // namespace
}  // namespace godwit::scenario
