// SPDX-License-Identifier: Apache-2.0
// What an application writes into messages and reads from them: its own headers, the hook, who
// calls, why a call ended; and several calls at a time.
#include <gmock/gmock.h>

#include <algorithm>

#include "stranger.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HeadersScenario, TheCallsAndTheAccountsHeadersAreInItsInvite) {
  World world;
  world.register_phone();
  AccountConfig config = world.account_config();
  config.extra_headers = {{"X-Tenant", "7"}};
  const AccountId tenant = *world.phone.add_account(config);
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent_sip("REGISTER").back().message.first("X-Tenant"), "7");
  CallOptions options;
  options.headers = {{"X-Order", "42"}, {"Subject", "the order"}};
  const CallId call = *world.phone.call(tenant, "bob", options);
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.state(call), CallState::Confirmed);
  const auto invites = world.peer.requests("INVITE");
  ASSERT_FALSE(invites.empty());
  const SipText& invite = invites.back().message;
  EXPECT_EQ(invite.first("X-Order"), "42");
  EXPECT_EQ(invite.first("Subject"), "the order");
  EXPECT_EQ(invite.first("X-Tenant"), "7");
  ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(1));
  const SipText bye = world.peer.requests("BYE").back().message;
  EXPECT_EQ(bye.first("X-Tenant"), "7");
  EXPECT_EQ(bye.first("X-Order"), "") << "the INVITE's only";
}

TEST(HeadersScenario, HeadersThatWouldBreakMessagesAreRefusedWithAReason) {
  World world;
  world.register_phone();
  CallOptions options;
  options.headers = {{"X-Order", "42\r\nRoute: <sip:mallory@192.0.2.1>"}};
  const auto call = world.phone.call(world.account, "bob", options);
  ASSERT_FALSE(call);
  EXPECT_EQ(call.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(call.error().detail, HasSubstr("X-Order"));
  options.headers = {{"Route", "<sip:192.0.2.1;lr>"}};
  EXPECT_FALSE(world.phone.call(world.account, "bob", options));
  AccountConfig config = world.account_config();
  config.extra_headers = {{"Via", "SIP/2.0/UDP 192.0.2.1"}};
  EXPECT_FALSE(world.phone.add_account(config));
  EXPECT_TRUE(world.phone.calls().empty());
}

TEST(HeadersScenario, AHiddenCallerTellsItsNameToItsServerOnly) {  // RFC 3323, RFC 3325.
  World world;
  world.register_phone();
  CallOptions options;
  options.hide_identity = true;
  const CallId call = *world.phone.call(world.account, "bob", options);
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.state(call), CallState::Confirmed);
  const SipText invite = world.sent_sip("INVITE").front().message;
  EXPECT_THAT(invite.first("From"), HasSubstr("\"Anonymous\" <sip:anonymous@anonymous.invalid>"));
  EXPECT_THAT(invite.first("Contact"), Not(HasSubstr("@")));
  EXPECT_EQ(invite.first("Privacy"), "id");
  EXPECT_EQ(invite.first("P-Preferred-Identity"), "<sip:alice@example.org>");
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_GT(world.sent_sip("INVITE").size(), 1U);
  for (const auto& sent : world.sent_sip("INVITE")) {
    EXPECT_THAT(sent.message.first("Contact"), Not(HasSubstr("alice")));
  }
  const std::string straight_to = "sip:bob@" + world.peer_address().to_uri_host() + ":5060";
  ASSERT_TRUE(world.phone.call(world.account, straight_to, options));
  world.run_for(seconds(1));
  const SipText straight = world.sent_sip("INVITE").back().message;
  EXPECT_THAT(straight.uri, HasSubstr(world.peer_address().to_uri_host()));
  EXPECT_EQ(straight.first("P-Preferred-Identity"), "") << "the callee is no server of ours";
}

TEST(HeadersScenario, AReasonGoesWithByeAndCancel) {  // RFC 3326.
  World world;
  world.call_peer();
  ASSERT_FALSE(world.phone.hang_up(world.call_id(), ReasonHeader{"SIP", 5000, ""}));
  ASSERT_TRUE(world.phone.hang_up(world.call_id(), ReasonHeader{"Q.850", 16, "done"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.requests("BYE").back().message.first("Reason"),
            "Q.850;cause=16;text=\"done\"");
  world.peer.script("INVITE", {.status = 200, .delay = seconds(30), .ring = true});
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(1));
  ASSERT_EQ(world.phone.state(call), CallState::Ringing);
  ASSERT_TRUE(world.phone.hang_up(call, ReasonHeader{"SIP", 200, "Call completed elsewhere"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.sent_sip("CANCEL").back().message.first("Reason"),
            "SIP;cause=200;text=\"Call completed elsewhere\"");
}

TEST(HeadersScenario, ThePeersReasonIsTold) {  // RFC 3326.
  World world;
  world.register_phone();
  Stranger stranger(world);
  SipText invite = stranger.request("INVITE", "elsewhere");
  Stranger::put_sdp(invite, stranger.address());
  stranger.send(invite);
  world.run_for(milliseconds(500));
  SipText cancel = Stranger::cancel(invite);
  cancel.append("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"");
  stranger.send(cancel);
  world.run_for(seconds(1));
  const auto ended = world.phone.ended(world.call_id());
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->cause, (ReasonHeader{"SIP", 200, "Call completed elsewhere"}));
  EXPECT_THAT(ended->reason, HasSubstr("Call completed elsewhere"));
}

TEST(HeadersScenario, AnIncomingCallTellsHowItCameButAssertsNothingByItself) {
  World world;
  world.register_phone();
  // Anybody may write the headers; only the account's own server is believed in one of them.
  Stranger stranger(world);
  Stranger server(world, world.server_host, world.server_address(), 5070);
  for (Stranger* sender : {&stranger, &server}) {
    SipText invite = sender->request("INVITE", sender == &server ? "vouched" : "claimed");
    invite.append("P-Asserted-Identity", "\"Carol\" <sip:carol@example.org>, <tel:+15550100>");
    invite.append("Diversion", "<sip:desk@example.org>;reason=no-answer;counter=1");
    invite.append("Diversion", "<sip:main@example.org>;reason=\"time-of-day\"");
    invite.append("History-Info",
                  "<sip:main@example.org>;index=1, <sip:desk@example.org>;index=1.1");
    invite.append("Alert-Info", "<http://example.org/ring>");
    invite.append("X-Queue", "sales");
    for (int i = 0; i < 60; ++i) invite.append("X-Flood", std::to_string(i));
    Stranger::put_sdp(invite, sender->address());
    sender->send(invite);
    world.run_for(milliseconds(500));
  }
  const auto calls = world.phone.all<IncomingCall>();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0].asserted_identity, "");
  EXPECT_EQ(calls[1].asserted_identity, "sip:carol@example.org");
  EXPECT_EQ(calls[1].asserted_display_name, "Carol");
  for (const IncomingCall& call : calls) {
    ASSERT_EQ(call.diversions.size(), 2U);
    EXPECT_EQ(call.diversions[0].uri, "sip:desk@example.org");
    EXPECT_EQ(call.diversions[0].detail, "no-answer");
    EXPECT_EQ(call.diversions[1].detail, "time-of-day");
    ASSERT_EQ(call.history.size(), 2U);
    EXPECT_EQ(call.history[1].uri, "sip:desk@example.org");
    EXPECT_EQ(call.history[1].detail, "1.1");
    EXPECT_EQ(call.headers.size(), 32U) << "bounded";
    EXPECT_EQ(call.headers[0], (Header{"Alert-Info", "<http://example.org/ring>"}));
    EXPECT_EQ(call.headers[1], (Header{"X-Queue", "sales"}));
  }
}

TEST(HeadersScenario, TheHookSeesEveryMessageAndChangesWhatItMay) {
  std::vector<SignallingMessage> seen;
  Stage stage;
  stage.ua.message_hook = [&](const SignallingMessage& message) -> std::vector<HeaderEdit> {
    seen.push_back(message);
    if (message.method != "INVITE" || message.status != 0) return {};
    return {{"X-Trace", "abc"},
            {"User-Agent", std::nullopt},
            {"Call-ID", std::nullopt},
            {"X-Two", "a\r\nb"}};
  };
  World world(stage);
  world.call_peer();
  const SipText invite = world.sent_sip("INVITE").front().message;
  EXPECT_EQ(invite.first("X-Trace"), "abc");
  EXPECT_FALSE(invite.has("User-Agent"));
  EXPECT_FALSE(invite.has("X-Two"));
  EXPECT_TRUE(invite.has("Call-ID"));
  ASSERT_TRUE(world.phone.last<Warning>());
  EXPECT_THAT(world.phone.last<Warning>()->text, HasSubstr("Call-ID"));
  world.peer.bye();
  world.run_for(seconds(1));
  const auto has = [&](bool outgoing, const std::string& method, int status) {
    return std::any_of(seen.begin(), seen.end(), [&](const SignallingMessage& m) {
      return m.outgoing == outgoing && m.method == method && m.status == status;
    });
  };
  EXPECT_TRUE(has(true, "REGISTER", 0));
  EXPECT_TRUE(has(false, "REGISTER", 401));
  EXPECT_TRUE(has(false, "INVITE", 200));
  EXPECT_TRUE(has(false, "BYE", 0));
  EXPECT_TRUE(has(true, "BYE", 200));
  for (const SignallingMessage& message : seen) {
    if (message.method == "BYE") {
      EXPECT_EQ(message.call, world.call_id());
    } else if (message.method == "REGISTER") {
      EXPECT_EQ(message.account, world.account);
    }
  }
}

/// A second phone, registered as bob.
struct Desk {
  Desk(World& world, UserAgentConfig config)
      : host(world.network.add_host("desk")),
        phone(world.network, with_address(world, host), std::move(config), &world.trace) {
    AccountConfig account = world.account_config();
    account.aor = "sip:bob@example.org";
    account.password = "builder";
    world.server->forget("bob");
    phone.answer_calls(milliseconds(100));
    EXPECT_TRUE(phone.add_account(account));
    world.run_for(seconds(1));
  }
  static testing::Host& with_address(World& world, testing::Host& host) {
    const auto eth = host.add_interface("eth0", {.delay = milliseconds(10)});
    host.add_address(eth, world.address(5));
    host.add_default_route(Family::V4, eth, 1);
    return host;
  }
  testing::Host& host;
  SimulatedPhone phone;
};

TEST(SeveralCallsScenario, OneIsActiveWhileTheOthersAreHeldAndAllMoveWithThePhone) {
  World world;
  world.register_phone();
  Desk desk(world, UserAgentConfig{});
  std::vector<CallId> calls;
  for (int i = 0; i < 3; ++i) {
    if (!calls.empty()) {
      ASSERT_TRUE(world.phone.hold(calls.back()));
      world.run_for(seconds(1));
    }
    calls.push_back(*world.phone.call(world.account, "bob"));
    world.run_for(seconds(2));
    ASSERT_EQ(world.phone.state(calls.back()), CallState::Confirmed);
  }
  const auto held = [&](CallId call) {
    bool by_us = false;
    for (const auto& media : world.phone.all<CallMediaChanged>()) {
      if (media.call == call) by_us = media.held_by_us;
    }
    return by_us;
  };
  EXPECT_TRUE(held(calls[0]));
  EXPECT_TRUE(held(calls[1]));
  EXPECT_FALSE(held(calls[2]));
  EXPECT_EQ(desk.phone.all<IncomingCall>().size(), 3U) << "call waiting";
  world.move_to_lte();
  world.run_for(seconds(5));
  for (const CallId call : calls) EXPECT_EQ(world.phone.state(call), CallState::Confirmed);
  ASSERT_TRUE(world.phone.hold(calls[2]));
  ASSERT_TRUE(world.phone.resume(calls[0]));
  world.run_for(seconds(1));
  EXPECT_FALSE(held(calls[0]));
  EXPECT_TRUE(held(calls[2]));
  for (const CallId call : calls) ASSERT_TRUE(world.phone.hang_up(call));
  world.run_for(seconds(2));
  for (const CallId call : calls) EXPECT_TRUE(world.phone.ended(call));
  EXPECT_TRUE(desk.phone.violations().empty()) << desk.phone.violations().front();
}

TEST(SeveralCallsScenario, WithoutCallWaitingTheSecondCallerHearsBusy) {
  World world;
  world.register_phone();
  UserAgentConfig config;
  config.call_waiting = false;
  Desk desk(world, config);
  const CallId first = *world.phone.call(world.account, "bob");
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.state(first), CallState::Confirmed);
  const CallId second = *world.phone.call(world.account, "bob");
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.ended(second));
  EXPECT_EQ(world.phone.ended(second)->status, 486);
  EXPECT_EQ(desk.phone.all<IncomingCall>().size(), 1U);
  ASSERT_TRUE(world.phone.hang_up(first));
  world.run_for(seconds(2));
  const CallId third = *world.phone.call(world.account, "bob");
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.state(third), CallState::Confirmed) << "free again";
}

}  // namespace
}  // namespace godwit::scenario
