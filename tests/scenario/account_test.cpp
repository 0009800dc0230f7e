// SPDX-License-Identifier: Apache-2.0
// What an account asks of its registrar beyond a binding: credentials by realm, SIP Outbound, GRUU,
// Service-Route, push, and the Contact behind a NAT.
#include <set>

#include "testing/nat.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

std::string contact_of(const World::SentSip& sent) { return sent.message.first("Contact"); }

bool registered(World& world) {
  return world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Registered; },
      seconds(10));
}

TEST(AccountScenario, AnswersEachRealmWithItsOwnCredentials) {
  Stage stage;
  stage.server.challenge_invites = true;
  World world(stage);
  AccountConfig config = world.account_config();
  config.password = "of-another-realm";
  config.credentials = {{"godwit", "", "wonderland", "", DigestHash::Md5}};
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  // 407 to the INVITE, with the same credentials.
  ASSERT_TRUE(world.phone.call(world.account, "bob"));
  EXPECT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  for (const auto& sent : world.sent_sip("REGISTER")) {
    EXPECT_EQ(sent.message.to_string().find("wonderland"), std::string::npos);
  }
}

TEST(AccountScenario, APasswordHashServesInsteadOfThePassword) {
  Stage stage;
  World world(stage);
  AccountConfig config = world.account_config();
  config.password.clear();
  // printf 'alice:godwit:wonderland' | md5sum
  config.credentials = {
      {"godwit", "alice", "", "fe851348e131d382b5b4cfe9f4cc80b0", DigestHash::Md5}};
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world)) << "the server offers SHA-256 first, which the hash cannot answer";
  EXPECT_NE(world.sent_sip("REGISTER").back().message.first("Authorization").find("algorithm=MD5"),
            std::string::npos);
}

TEST(AccountScenario, CredentialsForAnotherRealmOnlyAreNamedInTheFailure) {
  World world;
  AccountConfig config = world.account_config();
  config.password.clear();
  config.credentials = {{"elsewhere", "alice", "wonderland", "", DigestHash::Md5}};
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
      seconds(5)));
  const auto event = world.phone.last<RegistrationChanged>();
  EXPECT_EQ(event->status, 401);
  EXPECT_NE(event->reason.find("no credentials for realm \"godwit\""), std::string::npos)
      << event->reason;
  EXPECT_EQ(world.sent_sip("REGISTER").size(), 1U);
}

TEST(AccountScenario, CredentialsThatCannotBeUsedAreRefusedByName) {
  World world;
  const struct {
    AccountCredentials given;
    const char* reason;
  } cases[] = {
      {{"r", "", "", "", DigestHash::Md5}, "either a password or its hash"},
      {{"r", "", "x", std::string(32, 'a'), DigestHash::Md5}, "either a password or its hash"},
      {{"r", "", "", std::string(31, 'a'), DigestHash::Md5}, "32 hex digits"},
      {{"r", "", "", std::string(32, 'a'), DigestHash::Sha256}, "64 hex digits"},
      {{"r", "", "", std::string(32, 'X'), DigestHash::Md5}, "hex digits"},
      {{"", "", "", std::string(32, 'a'), DigestHash::Md5}, "for one realm"},
      {{"r\n", "", "s3cret", "", DigestHash::Md5}, "control characters"},
  };
  for (const auto& c : cases) {
    AccountConfig config = world.account_config();
    config.credentials = {c.given};
    const auto added = world.phone.add_account(config);
    ASSERT_FALSE(added) << c.reason;
    EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
    EXPECT_NE(added.error().detail.find(c.reason), std::string::npos) << added.error().detail;
    EXPECT_EQ(added.error().detail.find("s3cret"), std::string::npos);
  }
  AccountConfig many = world.account_config();
  many.credentials.resize(17, {"r", "", "x", "", DigestHash::Md5});
  EXPECT_FALSE(world.phone.add_account(many));
}

// RFC 5626 §4.1 and §4.2
TEST(AccountScenario, OneInstanceIdNamesUsInEveryRegistration) {
  World world;
  world.register_phone();
  world.move_to_lte();
  world.run_for(seconds(2));
  std::set<std::string> instances;
  for (const auto& sent : world.sent_sip("REGISTER")) {
    const auto contacts = sent.message.values("Contact");
    const auto instance = testing::parameter(contacts.back(), "+sip.instance");
    ASSERT_TRUE(instance) << contacts.back();
    instances.insert(*instance);
    EXPECT_EQ(testing::parameter(contacts.back(), "reg-id"), "1");
  }
  ASSERT_EQ(instances.size(), 1U);
  EXPECT_TRUE(instances.begin()->starts_with("<urn:uuid:"));
}

// RFC 5626 §6: the registrar replaces the binding by itself.
TEST(AccountScenario, WithOutboundTheOldContactNeedsNoRemoval) {
  Stage stage;
  stage.server.outbound = true;
  stage.server.flow_timer = seconds(90);
  World world(stage);
  world.register_phone();
  EXPECT_TRUE(world.phone.last<RegistrationChanged>()->outbound);
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(seconds(2));
  for (const auto& sent : world.sent_sip("REGISTER", moved)) {
    EXPECT_EQ(sent.message.values("Contact").size(), 1U);
  }
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
}

TEST(AccountScenario, OutboundIsDoneWithoutAfterA439AndAFailureWhereItIsRequired) {
  for (const bool required : {false, true}) {
    World world;
    world.server->misbehave({.method = "REGISTER", .status = 439});
    AccountConfig config = world.account_config();
    if (required) config.outbound = OutboundMode::Required;
    world.account = *world.phone.add_account(config);
    if (required) {
      ASSERT_TRUE(world.run_until(
          [&] { return world.phone.registration(world.account) == RegistrationState::Failed; },
          seconds(5)));
      EXPECT_EQ(world.phone.last<RegistrationChanged>()->status, 439);
      EXPECT_EQ(world.sent_sip("REGISTER")[0].message.first("Require"), "outbound");
      continue;
    }
    ASSERT_TRUE(registered(world));
    EXPECT_EQ(contact_of(world.sent_sip("REGISTER").back()).find("reg-id"), std::string::npos);
    EXPECT_FALSE(world.phone.last<RegistrationChanged>()->outbound);
  }
}

// RFC 5627: with a GRUU as Contact one REGISTER moves what the peer sends.
TEST(AccountScenario, APeersRequestsFollowTheGruuToTheNewAddress) {
  Stage stage;
  stage.server.outbound = true;
  stage.server.gruu = true;
  stage.server.record_route = false;
  World world(stage);
  world.call_peer();
  const std::string gruu = world.phone.last<RegistrationChanged>()->gruu;
  ASSERT_NE(gruu.find(";gr=urn:uuid:"), std::string::npos) << gruu;
  EXPECT_EQ(contact_of(world.sent_sip("INVITE").back()), "<" + gruu + ">");
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  world.peer.bye();
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(2)));
}

TEST(AccountScenario, AGruuWithoutOutboundIsUsedOnlyWhenToldSo) {
  for (const bool always : {false, true}) {
    Stage stage;
    stage.server.gruu = true;
    World world(stage);
    AccountConfig config = world.account_config();
    if (always) config.gruu = GruuMode::Always;
    world.account = *world.phone.add_account(config);
    ASSERT_TRUE(registered(world));
    EXPECT_NE(world.phone.last<RegistrationChanged>()->gruu, "");
    ASSERT_TRUE(world.phone.call(world.account, "bob"));
    ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
    EXPECT_EQ(contact_of(world.sent_sip("INVITE").back()).find(";gr=") != std::string::npos,
              always);
    ASSERT_TRUE(world.phone.hang_up(world.call_id()));
    world.run_for(seconds(1));
  }
}

// RFC 3608 §5
TEST(AccountScenario, RequestsTakeTheServiceRoute) {
  Stage stage;
  stage.server.domains = {"home.example.org"};
  stage.server.service_route = {"<sip:orig@home.example.org;lr>"};
  World world(stage);
  world.register_phone();
  ASSERT_TRUE(world.phone.call(world.account, "bob"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  EXPECT_EQ(world.sent_sip("INVITE").back().message.first("Route"),
            "<sip:orig@home.example.org;lr>");
  for (const auto& sent : world.sent_sip("REGISTER")) EXPECT_FALSE(sent.message.has("Route"));
}

TEST(AccountScenario, AnAbsurdServiceRouteIsNotFollowed) {
  for (const auto& route :
       {std::vector<std::string>(100, "<sip:192.0.2.1;lr>"), std::vector<std::string>{"<sip:x>"},
        std::vector<std::string>{"<sip:" + std::string(2'000, 'x') + ";lr>"}}) {
    Stage stage;
    stage.server.service_route = route;
    World world(stage);
    world.register_phone();
    ASSERT_TRUE(world.phone.call(world.account, "bob"));
    ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
    EXPECT_FALSE(world.sent_sip("INVITE").front().message.has("Route"));
  }
}

// RFC 8599 §4.1
TEST(AccountScenario, APushWakesTheRegistrationForTheCallThatWaits) {
  Stage stage;
  stage.server.push = true;
  World world(stage);
  AccountConfig config = world.account_config();
  config.push = {"webpush", "https://push.example.net/a;b?c", "p1"};
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  EXPECT_TRUE(world.phone.last<RegistrationChanged>()->push);
  EXPECT_NE(
      contact_of(world.sent_sip("REGISTER").back())
          .find(";pn-provider=webpush;pn-param=p1;pn-prid=https://push.example.net/a%3Bb%3Fc>"),
      std::string::npos)
      << contact_of(world.sent_sip("REGISTER").back());

  // The proxy has lost the binding, or holds the call back; the push comes, and REGISTER at once.
  world.server->forget("alice");
  world.phone.answer_calls(milliseconds(10));
  const TimePoint woken = world.now();
  ASSERT_TRUE(world.phone.push_wake(world.account));
  ASSERT_TRUE(world.phone.push_wake(world.account)) << "a second one changes nothing";
  EXPECT_EQ(world.sent_sip("REGISTER", woken).size(), 1U);
  ASSERT_TRUE(world.run_until([&] { return !world.server.contacts("alice").empty(); }, seconds(1)));
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Confirmed; },
                              seconds(2)));
  EXPECT_EQ(contact_of(world.sent_sip("SIP/2.0 200").back()).find("pn-"), std::string::npos)
      << "a peer has no business with it";

  ASSERT_TRUE(world.phone.unregister_account(world.account));
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.push_wake(world.account));
  EXPECT_FALSE(world.phone.push_wake(AccountId{99}));
}

TEST(AccountScenario, WhereNobodyCanPushTheRegistrationStandsWithout) {
  Stage stage;
  stage.server.refuse_push = true;
  World world(stage);
  AccountConfig config = world.account_config();
  config.push = {"webpush", "token", ""};
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  EXPECT_FALSE(world.phone.last<RegistrationChanged>()->push);
  EXPECT_EQ(contact_of(world.sent_sip("REGISTER").back()).find("pn-"), std::string::npos);
}

// RFC 3581 §4: behind a NAT the registrar sees another address than ours.
TEST(AccountScenario, BehindANatTheMappedAddressBecomesTheContact) {
  Stage stage;
  stage.expires = seconds(30);
  World world(stage);
  testing::Nat& nat = world.network.add_nat(IpAddress::v4(203, 0, 113, 5), {});
  world.phone_host.attach_nat(world.wifi, &nat);
  world.phone.answer_calls(milliseconds(10));
  AccountConfig config = world.account_config();
  config.contact_from_challenge = false;  // What the 200 shows is enough.
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  ASSERT_TRUE(world.run_until(
      [&] {
        const auto contacts = world.server.contacts("alice");
        return contacts.size() == 1 && contacts[0].starts_with("sip:alice@203.0.113.5:");
      },
      seconds(2)));
  const auto first = world.server.contacts("alice");
  // Both Contacts in one request, the old one taken out.
  const auto contacts = world.sent_sip("REGISTER").back().message.values("Contact");
  ASSERT_EQ(contacts.size(), 2U);
  EXPECT_EQ(testing::parameter(contacts[0], "expires"), "0");
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Confirmed; },
                              seconds(2)));
  world.peer.bye();
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(2)))
      << "the BYE came through the NAT, for the Contact of the dialog is the mapped one";

  nat.rebind();
  world.run_for(seconds(30));
  EXPECT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice"), first) << "the refresh has noticed the new mapping";
}

TEST(AccountScenario, TheContactStaysOursWhereToldSo) {
  World world;
  testing::Nat& nat = world.network.add_nat(IpAddress::v4(203, 0, 113, 5), {});
  world.phone_host.attach_nat(world.wifi, &nat);
  AccountConfig config = world.account_config();
  config.contact_rewrite = ContactRewrite::Off;
  world.account = *world.phone.add_account(config);
  ASSERT_TRUE(registered(world));
  world.run_for(seconds(1));
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.wifi_address().to_string()),
            std::string::npos);
}

// A NAT that maps each packet anew must not make us register for ever.
TEST(AccountScenario, AMappingThatNeverHoldsStillEndsTheRewriting) {
  World world;
  testing::Nat& nat = world.network.add_nat(IpAddress::v4(203, 0, 113, 5), {});
  world.phone_host.attach_nat(world.wifi, &nat);
  world.account = *world.phone.add_account(world.account_config());
  for (int i = 0; i < 500; ++i) {
    nat.rebind();
    world.run_for(milliseconds(70));
  }
  EXPECT_LE(world.sent_sip("REGISTER").size(), 40U);
}

}  // namespace
}  // namespace godwit::scenario
