// SPDX-License-Identifier: Apache-2.0
// Messages, questions and digits, and the change of address that hits them.
#include "world.hpp"

namespace godwit::scenario {
namespace {

using ua::Core;

Result<RequestId> send_message(World& world, const std::string& to, MessageContent content) {
  return world.phone.command([&](Core& core, TimePoint now) {
    return core.send_message(world.account, to, content, now);
  });
}
Result<RequestId> send_in_call(World& world, MessageContent content) {
  return world.phone.command(
      [&](Core& core, TimePoint now) { return core.send_message(world.call_id(), content, now); });
}
Result<RequestId> ask(World& world, const std::string& target) {
  return world.phone.command(
      [&](Core& core, TimePoint now) { return core.ask_options(world.account, target, now); });
}
Result<RequestId> ask_in_call(World& world) {
  return world.phone.command(
      [&](Core& core, TimePoint now) { return core.ask_options(world.call_id(), now); });
}
Result<RequestId> dtmf(World& world, const std::string& digits,
                       DtmfMethod method = DtmfMethod::Auto) {
  return world.phone.command([&](Core& core, TimePoint now) {
    return core.send_dtmf(world.call_id(), digits, method, now);
  });
}
std::string digits_of(const World& world) {
  std::string digits;
  for (const auto& event : world.phone.all<DtmfReceived>()) digits += event.digit;
  return digits;
}

TEST(MessageScenario, IsDelivered) {
  World world;
  world.register_phone();
  const auto sent = send_message(world, "bob", {"text/plain;charset=utf-8", "Grüße"});
  ASSERT_TRUE(sent) << sent.error().detail;
  world.run_for(seconds(1));
  const auto result = world.phone.last<MessageResult>();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->request, *sent);
  EXPECT_EQ(result->status, 200);
  EXPECT_FALSE(result->in_doubt);
  const auto arrived = world.peer.requests("MESSAGE");
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_EQ(arrived[0].message.body, "Grüße");
  EXPECT_EQ(arrived[0].message.first("Content-Type"), "text/plain;charset=utf-8");
  EXPECT_FALSE(arrived[0].message.has("Contact"));
  EXPECT_EQ(testing::uri_of(arrived[0].message.first("From")), "sip:alice@example.org");
}

TEST(MessageScenario, RefusalsAndSilenceAreTold) {
  World world;
  world.register_phone();
  world.peer.script("MESSAGE", {.status = 415});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "one"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 415);
  EXPECT_FALSE(world.phone.last<MessageResult>()->in_doubt);
  ASSERT_TRUE(send_message(world, "carol", {"text/plain", "two"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 404);
  world.peer.script("MESSAGE", {.ignore = true});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "three"}));
  world.run_for(seconds(40));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 408);
  EXPECT_TRUE(world.phone.last<MessageResult>()->in_doubt);
}

TEST(MessageScenario, WhatIsNoMessageIsRefusedAtOnce) {
  World world;
  world.register_phone();
  EXPECT_FALSE(send_message(world, "bob", {"text/plain", std::string(16'385, 'x')}));
  for (const char* type : {"", "text", "text/plain\r\nX: y", "te xt/plain", "text/"}) {
    EXPECT_FALSE(send_message(world, "bob", {type, "x"})) << type;
  }
  EXPECT_FALSE(send_message(world, "sip:", {"text/plain", "x"}));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.sent_sip("MESSAGE").empty());
}

TEST(MessageScenario, TheServersOwnRefusalIsTold) {
  World world;
  world.register_phone();
  world.server->misbehave({.kind = Misbehaviour::Kind::Answer, .method = "MESSAGE", .status = 500});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "x"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 500);
}

TEST(MessageScenario, ComesInAndIsAnsweredOnce) {
  World world;
  world.register_phone();
  world.peer.send_outside("MESSAGE", "sip:alice@example.org", {{"Content-Type", "text/plain"}},
                          "Are you there?");
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("MESSAGE"), 200);
  const auto received = world.phone.all<MessageReceived>();
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].account, world.account);
  EXPECT_EQ(received[0].from, "sip:bob@example.org");
  EXPECT_EQ(received[0].content_type, "text/plain");
  EXPECT_EQ(received[0].body, "Are you there?");
  for (const auto& answer : world.sent_sip("SIP/2.0 200")) {
    if (answer.message.cseq_method() == "MESSAGE") {
      EXPECT_FALSE(answer.message.has("Contact"));
    }
  }
}

TEST(MessageScenario, WhatCannotBeShownIsRefused) {
  World world;
  world.register_phone();
  world.peer.send_outside("MESSAGE", "sip:alice@example.org", {}, "no type");
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("MESSAGE"), 400);
  world.peer.send_outside("MESSAGE", "sip:alice@example.org",
                          {{"Content-Type", "text/plain"}, {"Content-Encoding", "gzip"}}, "x");
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("MESSAGE"), 415);
  world.peer.send_outside("MESSAGE", "sip:alice@example.org", {{"Content-Type", "text/plain"}},
                          std::string(20'000, 'x'));
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("MESSAGE"), 413);
  EXPECT_TRUE(world.phone.all<MessageReceived>().empty());
}

TEST(MessageScenario, TravelsWithinACallBothWays) {
  World world;
  world.call_peer();
  ASSERT_TRUE(send_in_call(world, {"text/plain", "the link: …"}));
  world.peer.send_in_dialog("MESSAGE", {{"Content-Type", "text/plain"}}, "thanks");
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 200);
  EXPECT_EQ(world.phone.last<MessageResult>()->call, world.call_id());
  EXPECT_EQ(world.peer.requests("MESSAGE")[0].message.body, "the link: …");
  EXPECT_EQ(world.phone.last<MessageReceived>()->body, "thanks");
  EXPECT_EQ(world.phone.last<MessageReceived>()->call, world.call_id());
  EXPECT_EQ(world.peer.last_status("MESSAGE"), 200);
  ASSERT_TRUE(world.confirmed());
}

TEST(MessageScenario, AChangeUnderAMessageIsReportedAndTheMessageNotRepeated) {
  World world;
  world.call_peer();
  world.peer.always("MESSAGE", {.ignore = true});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "outside"}));
  ASSERT_TRUE(send_in_call(world, {"text/plain", "inside"}));
  world.run_for(milliseconds(20));  // On its way to the server when the network goes.
  world.move_to_lte();
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.all<MessageResult>().size() == 2; }, seconds(3)));
  for (const auto& result : world.phone.all<MessageResult>()) {
    EXPECT_EQ(result.status, 503);
    EXPECT_TRUE(result.in_doubt);
  }
  world.run_for(seconds(40));
  EXPECT_EQ(world.sent_sip("MESSAGE").size(), 2U);
  EXPECT_TRUE(world.confirmed());
  // And the next one goes out from the new place.
  world.peer.always("MESSAGE", {});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "again"}));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 200);
  EXPECT_EQ(world.sent_sip("MESSAGE").back().source.address, world.lte_address());
}

TEST(MessageScenario, EndsWithTheAccount) {
  World world;
  world.register_phone();
  world.peer.always("MESSAGE", {.ignore = true});
  ASSERT_TRUE(send_message(world, "bob", {"text/plain", "x"}));
  world.run_for(milliseconds(200));
  ASSERT_TRUE(world.phone.remove_account(world.account));
  EXPECT_EQ(world.phone.last<MessageResult>()->status, 487);
  world.run_for(seconds(1));
  EXPECT_FALSE(world.phone.register_account(world.account)) << "it is forgotten";
}

TEST(OptionsScenario, AsksTheServerAndAPeer) {
  World world;
  world.register_phone();
  ASSERT_TRUE(ask(world, ""));
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.last<OptionsResult>());
  EXPECT_EQ(world.phone.last<OptionsResult>()->status, 200);
  world.peer.script(
      "OPTIONS", {.headers = {{"Allow", "INVITE, ACK"}, {"Allow", "BYE"}, {"Supported", "timer"}}});
  ASSERT_TRUE(ask(world, "bob"));
  world.run_for(seconds(1));
  const auto answer = *world.phone.last<OptionsResult>();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.allow, "INVITE, ACK, BYE");
  EXPECT_EQ(answer.supported, "timer");
}

TEST(OptionsScenario, StraightToAHostGoesAsTheUriSays) {
  for (const auto transport : {sip::Transport::Tcp, sip::Transport::Tls}) {
    World world;
    world.register_phone();
    const bool tls = transport == sip::Transport::Tls;
    const std::string host = world.server_address().to_uri_host();
    world.server.listen_streams(tls ? world.server_address().to_string() : "");
    ASSERT_TRUE(ask(world, "sip:" + host + ":5060" + (tls ? ";transport=tls" : ";transport=tcp")));
    world.run_for(seconds(1));
    ASSERT_TRUE(world.phone.last<OptionsResult>());
    EXPECT_EQ(world.phone.last<OptionsResult>()->status, 200);
    EXPECT_EQ(world.server.stream_messages(), 1U);
    const auto sent = world.sent_sip("OPTIONS");
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_NE(sent[0].message.first("Via").find(tls ? "SIP/2.0/TLS" : "SIP/2.0/TCP"),
              std::string::npos);
  }
}

TEST(OptionsScenario, OurAnswerSaysWhatWeCan) {  // RFC 3261 §11.2.
  World world;
  world.register_phone();
  world.peer.send_outside("OPTIONS", "sip:alice@example.org", {});
  world.run_for(seconds(1));
  ASSERT_EQ(world.peer.last_status("OPTIONS"), 200);
  const SipText answer = world.peer.seen().back().message;
  for (const char* tag : {"replaces", "norefersub", "timer"}) {
    EXPECT_NE(answer.first("Supported").find(tag), std::string::npos) << tag;
  }
  for (const char* method : {"INVITE", "PRACK", "UPDATE", "REFER", "NOTIFY", "MESSAGE", "INFO"}) {
    EXPECT_NE(answer.first("Allow").find(method), std::string::npos) << method;
  }
}

TEST(OptionsScenario, IsAskedAgainWhenTheAddressChangesUnderIt) {
  World world;
  world.call_peer();
  world.peer.script("OPTIONS", {.ignore = true});
  world.peer.script("OPTIONS", {.ignore = true});
  ASSERT_TRUE(ask(world, "bob"));
  ASSERT_TRUE(ask_in_call(world));
  world.run_for(milliseconds(60));
  world.move_to_lte();
  ASSERT_TRUE(
      world.run_until([&] { return world.phone.all<OptionsResult>().size() == 2; }, seconds(5)));
  for (const auto& result : world.phone.all<OptionsResult>()) EXPECT_EQ(result.status, 200);
  EXPECT_EQ(world.sent_sip("OPTIONS").back().source.address, world.lte_address());
  EXPECT_TRUE(world.confirmed());
}

TEST(OptionsScenario, WithinACall) {
  World world;
  world.call_peer();
  ASSERT_TRUE(ask_in_call(world));
  world.peer.send_in_dialog("OPTIONS", {});
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<OptionsResult>()->status, 200);
  EXPECT_EQ(world.phone.last<OptionsResult>()->call, world.call_id());
  EXPECT_EQ(world.peer.last_status("OPTIONS"), 200);
  world.peer.script("OPTIONS", {.status = 481});
  ASSERT_TRUE(ask_in_call(world));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.last<OptionsResult>()->status, 481);
}

TEST(DtmfScenario, DigitsArriveInOrder) {
  World world;
  world.call_peer();
  const auto first = dtmf(world, "12*#a");
  ASSERT_TRUE(first);
  ASSERT_TRUE(dtmf(world, "9", DtmfMethod::Info));
  world.run_for(seconds(3));
  std::string digits;
  for (const auto& info : world.peer.requests("INFO")) {
    EXPECT_EQ(info.message.first("Content-Type"), "application/dtmf-relay");
    digits += info.message.body.substr(7, 1);
  }
  EXPECT_EQ(digits, "12*#A9");
  const auto results = world.phone.all<DtmfResult>();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].request, *first);
  EXPECT_TRUE(results[0].ok);
  EXPECT_TRUE(results[1].ok);
}

TEST(DtmfScenario, ARefusalEndsTheRow) {
  World world;
  world.call_peer();
  world.peer.script("INFO", {});
  world.peer.script("INFO", {.status = 415});
  ASSERT_TRUE(dtmf(world, "123"));
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.last<DtmfResult>());
  EXPECT_FALSE(world.phone.last<DtmfResult>()->ok);
  EXPECT_EQ(world.phone.last<DtmfResult>()->status, 415);
  EXPECT_EQ(world.peer.requests("INFO").size(), 2U);
}

TEST(DtmfScenario, AChangeUnderADigitIsReported) {
  World world;
  world.call_peer();
  world.peer.script("INFO", {.ignore = true});
  ASSERT_TRUE(dtmf(world, "12"));
  ASSERT_TRUE(dtmf(world, "3"));
  world.run_for(milliseconds(60));
  world.move_to_lte();
  world.run_for(seconds(5));
  const auto results = world.phone.all<DtmfResult>();
  ASSERT_EQ(results.size(), 2U);
  EXPECT_FALSE(results[0].ok);
  EXPECT_EQ(results[0].status, 503);
  EXPECT_NE(results[0].reason.find("may have arrived"), std::string::npos);
  EXPECT_TRUE(results[1].ok) << "the next row goes out from the new place";
  EXPECT_TRUE(world.confirmed());
}

TEST(DtmfScenario, WhatIsNoDigitIsRefused) {
  World world;
  world.call_peer();
  EXPECT_FALSE(dtmf(world, ""));
  EXPECT_FALSE(dtmf(world, "12x"));
  EXPECT_FALSE(dtmf(world, std::string(65, '1')));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.peer.requests("INFO").empty());
}

TEST(DtmfScenario, HearsThePeersDigitsInBothForms) {
  World world;
  world.peer_calls();
  const auto press = [&](const std::string& type, const std::string& body) {
    world.peer.send_in_dialog("INFO", {{"Content-Type", type}}, body);
    world.run_for(milliseconds(500));
    return world.peer.last_status("INFO");
  };
  EXPECT_EQ(press("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"), 200);
  EXPECT_EQ(press("application/dtmf", "#"), 200);
  EXPECT_EQ(digits_of(world), "5#");
  EXPECT_EQ(world.phone.all<DtmfReceived>()[0].duration, milliseconds(160));
  EXPECT_EQ(press("application/dtmf-relay", "Signal=boo"), 400);
  EXPECT_EQ(press("application/xml", "<x/>"), 415);
  world.peer.send_in_dialog("INFO", {{"Info-Package", "nothing"}});
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.peer.last_status("INFO"), 469);
  world.peer.send_in_dialog("INFO", {});
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.peer.last_status("INFO"), 200);
  EXPECT_EQ(digits_of(world), "5#");
}

}  // namespace
}  // namespace godwit::scenario
