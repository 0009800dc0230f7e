// SPDX-License-Identifier: Apache-2.0
// Calls that are answered with 3xx.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

/// A second party, at another port of the peer's host.
struct Carol {
  explicit Carol(World& world, const std::string& user = "carol", std::uint16_t port = 5070)
      : peer(world.network, world.peer_host, config(world, user, port)) {}
  static MockPeerConfig config(World& world, const std::string& user, std::uint16_t port) {
    MockPeerConfig config;
    config.user = user;
    config.local = {world.peer_address(), port};
    config.server = {world.server_address(), 5060};
    config.rtp_port = static_cast<std::uint16_t>(port + 35'000);
    return config;
  }
  MockPeer peer;
};

MockReply moved(std::vector<std::string> contacts, int status = 302) {
  MockReply reply{.status = status};
  for (std::string& contact : contacts) reply.headers.emplace_back("Contact", std::move(contact));
  return reply;
}

TEST(RedirectScenario, FollowsToTheBestContact) {
  World world;
  world.phone.play_to_all(440);
  world.register_phone();
  Carol carol(world);
  Carol dave(world, "dave", 5080);
  world.peer.script("INVITE",
                    moved({"<" + carol.peer.uri() + ">;q=0.3", "<" + dave.peer.uri() + ">;q=0.8"}));
  const CallId call = *world.phone.call(world.account, "bob");
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; }, seconds(5)))
      << (world.phone.ended(call) ? world.phone.ended(call)->reason : "");
  EXPECT_EQ(dave.peer.state(), MockPeer::CallState::Confirmed);
  EXPECT_EQ(carol.peer.state(), MockPeer::CallState::Idle);
  const auto events = world.phone.all<CallRedirected>();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].status, 302);
  EXPECT_TRUE(events[0].followed);
  EXPECT_EQ(events[0].targets, (std::vector<std::string>{dave.peer.uri(), carol.peer.uri()}));
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(1));
  EXPECT_EQ(dave.peer.end_reason(), "BYE received");
}

TEST(RedirectScenario, TriesTheNextContactAfterARefusal) {
  World world;
  world.register_phone();
  Carol carol(world);
  Carol dave(world, "dave", 5080);
  dave.peer.script("INVITE", {.status = 486});
  world.peer.script("INVITE",
                    moved({"<" + dave.peer.uri() + ">", "<" + carol.peer.uri() + ">;q=0.3"}));
  const CallId call = *world.phone.call(world.account, "bob");
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; }, seconds(5)));
  EXPECT_EQ(carol.peer.state(), MockPeer::CallState::Confirmed);
  EXPECT_EQ(dave.peer.requests("INVITE").size(), 1U);
}

TEST(RedirectScenario, ADeclineEverywhereEndsIt) {
  World world;
  world.register_phone();
  Carol carol(world);
  Carol dave(world, "dave", 5080);
  dave.peer.script("INVITE", {.status = 603});
  world.peer.script("INVITE",
                    moved({"<" + dave.peer.uri() + ">", "<" + carol.peer.uri() + ">;q=0.3"}));
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 603);
  EXPECT_EQ(carol.peer.state(), MockPeer::CallState::Idle);
}

TEST(RedirectScenario, LoopsEnd) {
  World world;
  world.register_phone();
  Carol carol(world);
  world.peer.always("INVITE", moved({"<" + carol.peer.uri() + ">"}));
  carol.peer.always("INVITE", moved({"<" + world.peer.uri() + ">", "<" + carol.peer.uri() + ">"}));
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(5));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 302);
  EXPECT_LE(world.sent_sip("INVITE ").size(), 12U);
  EXPECT_EQ(carol.peer.requests("INVITE").size(), 1U);
  EXPECT_EQ(world.phone.engines(), 0U);
}

TEST(RedirectScenario, AskLetsTheApplicationChoose) {
  for (const bool follow : {true, false}) {
    SCOPED_TRACE(follow);
    Stage stage;
    stage.calls.redirect = RedirectPolicy::Ask;
    World world(stage);
    world.register_phone();
    Carol carol(world);
    world.peer.script("INVITE", moved({"<" + carol.peer.uri() + ">"}));
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(seconds(2));
    ASSERT_EQ(world.phone.all<CallRedirected>().size(), 1U);
    EXPECT_TRUE(world.phone.last<CallRedirected>()->choice_wanted);
    EXPECT_FALSE(world.phone.ended(call));
    EXPECT_EQ(carol.peer.state(), MockPeer::CallState::Idle);
    if (follow) {
      ASSERT_TRUE(world.phone.follow_redirect(call));
      world.run_for(seconds(2));
      EXPECT_EQ(world.phone.state(call), CallState::Confirmed);
      EXPECT_FALSE(world.phone.follow_redirect(call));
    } else {
      ASSERT_TRUE(world.phone.hang_up(call));
      world.run_for(seconds(2));
      EXPECT_TRUE(world.phone.ended(call));
    }
  }
}

TEST(RedirectScenario, WithoutAChoiceTheCallEnds) {
  Stage stage;
  stage.calls.redirect = RedirectPolicy::Ask;
  World world(stage);
  world.register_phone();
  world.peer.script("INVITE", moved({"<sip:carol@example.org>"}));
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(65));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 302);
  EXPECT_EQ(world.phone.engines(), 0U);
}

TEST(RedirectScenario, NotFollowed) {
  struct Case {
    int status;
    const char* contact;
    RedirectPolicy policy;
  };
  for (const Case& c : {Case{302, "<sip:carol@example.org>", RedirectPolicy::Refuse},
                        Case{305, "<sip:proxy.example.net>", RedirectPolicy::Follow},
                        Case{380, "<sip:carol@example.org>", RedirectPolicy::Follow},
                        Case{302, "<mailto:bob@example.org>", RedirectPolicy::Follow}}) {
    SCOPED_TRACE(c.status);
    Stage stage;
    stage.calls.redirect = c.policy;
    World world(stage);
    world.register_phone();
    world.peer.script("INVITE", moved({c.contact}, c.status));
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(seconds(2));
    ASSERT_TRUE(world.phone.ended(call));
    EXPECT_EQ(world.phone.ended(call)->status, c.status);
    ASSERT_EQ(world.phone.all<CallRedirected>().size(), 1U);
    EXPECT_FALSE(world.phone.last<CallRedirected>()->followed);
  }
}

TEST(RedirectScenario, CredentialsAreNotShownToStrangers) {
  World world;
  world.register_phone();
  Carol carol(world);
  carol.peer.script("INVITE",
                    {.status = 407,
                     .headers = {{"Proxy-Authenticate",
                                  "Digest realm=\"example.org\", nonce=\"x\", algorithm=MD5"}}});
  world.peer.script("INVITE", moved({"<" + carol.peer.uri() + ">"}));
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(3));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.phone.ended(call)->status, 407);
  for (const auto& seen : carol.peer.seen()) {
    EXPECT_FALSE(seen.message.has("Proxy-Authorization"));
    EXPECT_FALSE(seen.message.has("Authorization"));
  }
}

TEST(RedirectScenario, TheAddressChangesDuringIt) {
  for (const int delay : {20, 55, 80, 110, 400}) {
    SCOPED_TRACE(delay);
    World world;
    world.phone.play_to_all(440);
    world.register_phone();
    Carol carol(world);
    carol.peer.always("INVITE", {.delay = milliseconds(200), .ring = true});
    world.peer.always("INVITE", moved({"<" + carol.peer.uri() + ">"}));
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(milliseconds(delay));
    world.move_to_lte();
    ASSERT_TRUE(world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; },
                                seconds(20)))
        << (world.phone.ended(call) ? world.phone.ended(call)->reason : "");
    world.run_for(seconds(40));
    EXPECT_TRUE(world.confirmed());
    EXPECT_EQ(carol.peer.state(), MockPeer::CallState::Confirmed) << carol.peer.end_reason();
    EXPECT_TRUE(world.settled());
  }
}

TEST(RedirectScenario, WhatIsSaidToThoseWeKnowIsNotSaidToStrangers) {
  World world;
  world.register_phone();
  Carol carol(world);
  AccountConfig config = world.account_config();
  config.extra_headers = {{"X-Tenant", "7"}};
  world.account = *world.phone.add_account(config);
  world.run_for(seconds(1));
  CallOptions options;
  options.headers = {{"X-Order", "42"}};
  for (const bool elsewhere : {true, false}) {
    if (!elsewhere) world.server->bind("carol", carol.peer.uri());
    const std::string contact = elsewhere ? carol.peer.uri() : "sip:carol@example.org";
    const std::size_t before = carol.peer.requests("INVITE").size();
    world.peer.script("INVITE", moved({"<" + contact + ">"}));
    const CallId call = *world.phone.call(world.account, "bob", options);
    ASSERT_TRUE(world.run_until([&] { return world.phone.state(call) == CallState::Confirmed; },
                                seconds(5)));
    ASSERT_TRUE(world.phone.hang_up(call));
    world.run_for(seconds(1));
    ASSERT_EQ(carol.peer.requests("INVITE").size(), before + 1);
    const SipText invite = carol.peer.requests("INVITE").back().message;
    const SipText bye = carol.peer.requests("BYE").back().message;
    EXPECT_EQ(invite.has("X-Tenant"), !elsewhere);
    EXPECT_EQ(invite.has("X-Order"), !elsewhere);
    EXPECT_EQ(bye.has("X-Tenant"), !elsewhere);
    EXPECT_EQ(world.peer.requests("INVITE").back().message.first("X-Tenant"), "7");
  }
}

}  // namespace
}  // namespace godwit::scenario
