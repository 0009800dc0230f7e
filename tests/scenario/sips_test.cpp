// SPDX-License-Identifier: Apache-2.0
// sips URIs (RFC 3261 §26.2, RFC 5630): TLS on every hop that is ours, or a clear refusal.
#include "stranger.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

using ua::Core;

Stage tls() {
  Stage stage;
  stage.transport = sip::Transport::Tls;
  return stage;
}

AccountConfig sips_account(const World& world) {
  AccountConfig config = world.account_config();
  config.aor = "sips:alice@example.org";
  config.registrar = "sips:" + world.server_address().to_uri_host();
  return config;
}

bool is_sips(const std::string& value) { return testing::uri_of(value).starts_with("sips:"); }

TEST(SipsScenario, AnAccountRegistersAndCallsBySipsOnly) {
  World world(tls());
  const auto account = world.phone.add_account(sips_account(world));
  ASSERT_TRUE(account);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(*account) == RegistrationState::Registered; },
      seconds(5)));
  const auto registered = world.sent_sip("REGISTER").back().message;
  EXPECT_TRUE(registered.uri.starts_with("sips:")) << registered.uri;
  EXPECT_TRUE(is_sips(registered.first("Contact"))) << registered.first("Contact");
  EXPECT_EQ(registered.first("Contact").find("transport="), std::string::npos);
  EXPECT_NE(registered.first("Via").find("SIP/2.0/TLS"), std::string::npos);

  const auto call = world.phone.call(*account, "bob");
  ASSERT_TRUE(call);
  ASSERT_TRUE(world.run_until([&] { return world.phone.state(*call) == CallState::Confirmed; },
                              seconds(5)));
  const auto invite = world.sent_sip("INVITE").back().message;
  EXPECT_EQ(invite.uri, "sips:bob@example.org");
  EXPECT_TRUE(is_sips(invite.first("Contact")));
  ASSERT_TRUE(world.phone.hang_up(*call));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.phone.ended(*call));
  for (const auto& sent : world.sent_sip("")) {
    if (sent.message.has("Via") && sent.message.status == 0) {
      EXPECT_NE(sent.message.first("Via").find("SIP/2.0/TLS"), std::string::npos);
    }
  }
}

TEST(SipsScenario, AnAccountThatCannotUseTlsIsRefused) {
  World world;
  for (const auto choice : {TransportChoice::Udp, TransportChoice::Tcp}) {
    AccountConfig config = sips_account(world);
    config.transport = choice;
    const auto added = world.phone.add_account(config);
    ASSERT_FALSE(added);
    EXPECT_NE(added.error().detail.find("TLS"), std::string::npos) << added.error().detail;
  }
  AccountConfig mixed = sips_account(world);
  mixed.outbound_proxy = "sip:" + world.server_address().to_uri_host() + ";transport=udp";
  EXPECT_FALSE(world.phone.add_account(mixed));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.sent_sip("").empty());
}

TEST(SipsScenario, ASipsCallOfASipAccountHasASipsContactAlsoAfterAMove) {
  World world(tls());
  world.phone.play_to_all(440);
  world.register_phone();
  const auto call = world.phone.call(world.account, "sips:bob@example.org");
  ASSERT_TRUE(call);
  ASSERT_TRUE(world.run_until([&] { return world.phone.state(*call) == CallState::Confirmed; },
                              seconds(5)));
  EXPECT_EQ(world.sent_sip("INVITE").back().message.uri, "sips:bob@example.org");
  EXPECT_TRUE(is_sips(world.sent_sip("INVITE").back().message.first("Contact")));
  EXPECT_FALSE(is_sips(world.sent_sip("REGISTER").back().message.first("Contact")));
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  const auto refreshes = world.sent_sip("INVITE", moved);
  ASSERT_FALSE(refreshes.empty());
  EXPECT_TRUE(is_sips(refreshes.back().message.first("Contact")));
  EXPECT_NE(refreshes.back().message.first("Via").find("SIP/2.0/TLS"), std::string::npos);
  world.expect_audio(world.lte_address());
}

TEST(SipsScenario, NothingFallsBackToAnotherTransport) {
  for (const auto transport : {sip::Transport::Udp, sip::Transport::Tcp}) {
    Stage stage;
    stage.transport = transport;
    World world(stage);
    world.register_phone();
    const TimePoint start = world.now();
    const auto called = world.phone.call(world.account, "sips:bob@example.org");
    ASSERT_FALSE(called);
    EXPECT_NE(called.error().detail.find("needs TLS"), std::string::npos);
    const auto asked = world.phone.command([&](Core& core, TimePoint now) {
      return core.ask_options(world.account, "sips:bob@example.org", now);
    });
    ASSERT_FALSE(asked);
    EXPECT_NE(asked.error().detail.find("needs TLS"), std::string::npos);
    const auto aside = world.phone.command([&](Core& core, TimePoint now) {
      return core.ask_options(
          world.account, "sip:bob@" + world.peer_address().to_uri_host() + ";transport=tls", now);
    });
    ASSERT_TRUE(aside);
    world.run_for(seconds(40));
    ASSERT_TRUE(world.phone.last<OptionsResult>());
    EXPECT_EQ(world.phone.last<OptionsResult>()->status, 408);
    EXPECT_TRUE(world.sent_sip("OPTIONS", start).empty());
    // Straight to a host that takes no TLS: not by UDP either.
    const auto direct =
        world.phone.call(world.account, "sips:bob@" + world.peer_address().to_uri_host());
    ASSERT_TRUE(direct);
    ASSERT_TRUE(
        world.run_until([&] { return world.phone.ended(*direct).has_value(); }, seconds(60)));
    EXPECT_TRUE(world.sent_sip("INVITE", start).empty());
    EXPECT_TRUE(world.peer.requests("INVITE").empty());
  }
}

TEST(SipsScenario, ASipsRequestThatCameWithoutTlsIsRefused) {
  World world;
  world.register_phone();
  Stranger stranger(world);
  for (const char* method : {"INVITE", "OPTIONS", "MESSAGE"}) {
    SipText request = stranger.request(method, std::string("s") + method);
    request.uri = "sips" + request.uri.substr(3);
    Stranger::put_sdp(request, stranger.address());
    stranger.seen.clear();
    stranger.send(request);
    world.run_for(milliseconds(500));
    const auto refused = stranger.last(480);
    ASSERT_TRUE(refused) << method;
    EXPECT_EQ(refused->first("Warning").substr(0, 4), "380 ");
    EXPECT_NE(refused->first("Warning").find("SIPS Not Allowed"), std::string::npos);
  }
  EXPECT_TRUE(world.phone.all<IncomingCall>().empty());
  EXPECT_TRUE(world.phone.all<MessageReceived>().empty());
}

TEST(SipsScenario, APeerThatInsistsOnTheOtherSchemeIsUnderstood) {
  for (const auto& [code, words] : {std::pair{"380", "is not accepted there"},
                                    std::pair{"381", "only a sips URI is accepted there"}}) {
    World world;
    world.register_phone();
    Stranger callee(world);
    const auto call = world.phone.call(world.account, "sip:mallory@" + callee.address() + ":5060");
    ASSERT_TRUE(call);
    world.run_for(milliseconds(200));
    ASSERT_TRUE(callee.last("INVITE"));
    SipText refusal =
        SipText::response_to(*callee.last("INVITE"), 480, "Temporarily Unavailable", "x");
    refusal.append("Warning", std::string(code) + " host \"SIPS\"");
    callee.send(refusal);
    world.run_for(milliseconds(200));
    const auto ended = world.phone.ended(*call);
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->status, 480);
    EXPECT_NE(ended->reason.find(words), std::string::npos) << ended->reason;
  }
}

TEST(SipsScenario, AnIncomingSipsCallIsAnsweredWithASipsContact) {
  World world(tls());
  const auto account = world.phone.add_account(sips_account(world));
  ASSERT_TRUE(account);
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(*account) == RegistrationState::Registered; },
      seconds(5)));
  world.phone.answer_calls(milliseconds(100));
  world.peer.call("sip:alice@example.org");  // The server sends it on to the sips Contact.
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  bool answered = false;
  for (const auto& sent : world.sent_sip("SIP/2.0 200")) {
    if (sent.message.first("CSeq").find("INVITE") == std::string::npos) continue;
    answered = true;
    EXPECT_TRUE(is_sips(sent.message.first("Contact"))) << sent.message.first("Contact");
  }
  EXPECT_TRUE(answered);
}

TEST(SipsScenario, MessagesAndQuestionsGoOverTheAccountsConnection) {
  World world(tls());
  world.register_phone();
  ASSERT_TRUE(world.phone.command([&](Core& core, TimePoint now) {
    return core.send_message(world.account, "sips:bob@example.org", {"text/plain", "hello"}, now);
  }));
  ASSERT_TRUE(world.phone.command([&](Core& core, TimePoint now) {
    return core.ask_options(world.account, "sips:bob@example.org", now);
  }));
  SubscribeRequest lamp;
  lamp.event = "presence";
  lamp.target = "sips:bob@example.org";
  ASSERT_TRUE(world.phone.command(
      [&](Core& core, TimePoint now) { return core.subscribe(world.account, lamp, now); }));
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.last<MessageResult>());
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 200);
  ASSERT_TRUE(world.phone.last<OptionsResult>());
  EXPECT_EQ(world.phone.last<OptionsResult>()->status, 200);
  for (const char* method : {"MESSAGE", "OPTIONS", "SUBSCRIBE"}) {
    const auto sent = world.sent_sip(method);
    ASSERT_EQ(sent.size(), 1U) << method;
    if (std::string(method) != "MESSAGE") {
      EXPECT_TRUE(is_sips(sent[0].message.first("Contact"))) << method;
    }
    EXPECT_NE(sent[0].message.first("Via").find("SIP/2.0/TLS"), std::string::npos);
  }
  EXPECT_EQ(world.server.accepted_streams(), 1U);
}

}  // namespace
}  // namespace godwit::scenario
