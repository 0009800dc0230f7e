// SPDX-License-Identifier: Apache-2.0
// Transfers in every role, and the change of address that hits them.
#include "stranger.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

using ua::Core;

/// A third party, who can be called as "carol".
struct Three : World {
  explicit Three(Stage chosen = {})
      : World(std::move(chosen)), carol(network, peer_host, carol_config()) {
    server->bind("carol", carol.uri());
  }
  ~Three() {
    for (const std::string& complaint : carol.complaints()) ADD_FAILURE() << "carol: " << complaint;
  }
  MockPeerConfig carol_config() const {
    MockPeerConfig config;
    config.user = "carol";
    config.local = {peer_address(), 5070};
    config.server = {server_address(), 5060};
    config.rtp_port = 42'000;
    return config;
  }
  Result<RequestId> transfer(CallId call, const std::string& target) {
    return phone.command(
        [&](Core& core, TimePoint now) { return core.transfer(call, target, now); });
  }
  Result<RequestId> transfer(CallId call, CallId to) {
    return phone.command([&](Core& core, TimePoint now) { return core.transfer(call, to, now); });
  }
  Result<void> accept(CallId call) {
    return phone.command(
        [&](Core& core, TimePoint now) { return core.accept_transfer(call, now); });
  }
  Result<void> refuse(CallId call) {
    return phone.command(
        [&](Core& core, TimePoint now) { return core.reject_transfer(call, now); });
  }
  void bob_tells(int status, const std::string& state, const std::string& event = "refer") {
    peer.send_in_dialog("NOTIFY",
                        {{"Event", event},
                         {"Subscription-State", state},
                         {"Content-Type", "message/sipfrag;version=2.0"}},
                        "SIP/2.0 " + std::to_string(status) + " Word\r\n");
    run_for(milliseconds(500));
  }
  void bob_asks(const std::string& refer_to, std::vector<SipText::Header> more = {}) {
    more.emplace_back("Refer-To", refer_to);
    more.emplace_back("Referred-By", "<sip:bob@example.org>");
    peer.send_in_dialog("REFER", more);
    run_for(milliseconds(500));
  }
  std::vector<std::string> told() const {
    std::vector<std::string> words;
    for (const auto& seen : peer.requests("NOTIFY"))
      words.push_back(seen.message.body.substr(8, 3));
    return words;
  }

  MockPeer carol;
};

TEST(TransferScenario, BlindAndTheCallEndsWhenItHasSucceeded) {
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.status = 202});
  const CallId call = world.call_id();
  ASSERT_TRUE(world.transfer(call, "carol"));
  EXPECT_FALSE(world.transfer(call, "dave")) << "one at a time";
  world.run_for(milliseconds(500));
  ASSERT_EQ(world.peer.requests("REFER").size(), 1U);
  const auto refer = world.peer.requests("REFER")[0].message;
  EXPECT_EQ(refer.first("Refer-To"), "<sip:carol@example.org>");
  EXPECT_EQ(testing::uri_of(refer.first("Referred-By")), "sip:alice@example.org");
  EXPECT_TRUE(refer.has("Contact"));
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 202);
  world.bob_tells(100, "active;expires=60");
  world.bob_tells(180, "active;expires=60");
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 180);
  EXPECT_FALSE(world.phone.last<TransferProgress>()->finished);
  EXPECT_TRUE(world.confirmed());
  world.bob_tells(200, "terminated;reason=noresource");
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 200);
  EXPECT_TRUE(world.phone.last<TransferProgress>()->finished);
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
  EXPECT_EQ(world.phone.ended(call)->reason, "transferred");
}

TEST(TransferScenario, AStateWithBrokenParametersStillCounts) {
  // As linphone 5.1 writes it.
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.status = 202});
  ASSERT_TRUE(world.transfer(world.call_id(), "carol"));
  world.run_for(milliseconds(500));
  world.bob_tells(200, "terminated;reason=reason=noresource");
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 200);
  EXPECT_TRUE(world.phone.last<TransferProgress>()->finished);
}

TEST(TransferScenario, AFailedOneLeavesTheCallAsItWas) {
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.status = 202});
  ASSERT_TRUE(world.transfer(world.call_id(), "carol"));
  world.run_for(milliseconds(500));
  world.bob_tells(486, "terminated;reason=noresource");
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 486);
  EXPECT_TRUE(world.phone.last<TransferProgress>()->finished);
  EXPECT_TRUE(world.confirmed());
  world.bob_tells(200, "terminated");
  EXPECT_EQ(world.peer.last_status("NOTIFY"), 481) << "nobody waits for it any more";
  world.peer.script("REFER", {.status = 603});
  ASSERT_TRUE(world.transfer(world.call_id(), "carol"));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 603);
  EXPECT_TRUE(world.confirmed());
}

TEST(TransferScenario, NotificationsThatAreNoneAreRefused) {
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.status = 202});
  ASSERT_TRUE(world.transfer(world.call_id(), "carol"));
  world.run_for(milliseconds(500));
  world.bob_tells(200, "active", "presence");
  EXPECT_EQ(world.peer.last_status("NOTIFY"), 489);
  world.bob_tells(200, "active", "refer;id=99999");
  EXPECT_EQ(world.peer.last_status("NOTIFY"), 481);
  world.peer.send_in_dialog(
      "NOTIFY",
      {{"Event", "refer"}, {"Subscription-State", "active"}, {"Content-Type", "message/sipfrag"}},
      "nonsense");
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.peer.last_status("NOTIFY"), 400);
  EXPECT_FALSE(world.phone.last<TransferProgress>()->finished);
}

TEST(TransferScenario, SilenceAfterItIsAFailureInTheEnd) {
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.status = 202});
  ASSERT_TRUE(world.transfer(world.call_id(), "carol"));
  world.run_for(seconds(185));
  EXPECT_EQ(world.phone.last<TransferProgress>()->status, 408);
  EXPECT_TRUE(world.confirmed());
}

TEST(TransferScenario, AttendedNamesTheCallToReplace) {
  Three world;
  world.call_peer();
  const CallId first = world.call_id();
  const CallId second = *world.phone.call(world.account, "carol");
  ASSERT_TRUE(world.run_until([&] { return world.phone.state(second) == CallState::Confirmed; },
                              seconds(5)));
  EXPECT_FALSE(world.transfer(first, first));
  world.peer.script("REFER", {.status = 202});
  ASSERT_TRUE(world.transfer(first, second));
  world.run_for(milliseconds(500));
  const auto invite = world.carol.requests("INVITE").at(0).message;
  const std::string refer_to = world.peer.requests("REFER").at(0).message.first("Refer-To");
  EXPECT_TRUE(refer_to.starts_with("<" + world.carol.uri() + "?Replaces=")) << refer_to;
  EXPECT_NE(refer_to.find(invite.first("Call-ID") + "%3Bto-tag%3D"), std::string::npos) << refer_to;
  EXPECT_NE(refer_to.find("%3Bfrom-tag%3D" +
                          testing::parameter(invite.first("From"), "tag").value_or("?")),
            std::string::npos);
  world.bob_tells(200, "terminated;reason=noresource");
  EXPECT_TRUE(world.phone.ended(first));
  EXPECT_EQ(world.phone.state(second), CallState::Confirmed) << "it is the others' to end";
}

TEST(TransferScenario, AskedForAndAccepted) {
  Three world;
  world.call_peer();
  const CallId call = world.call_id();
  world.carol.script("INVITE", {.delay = seconds(1), .ring = true});
  world.bob_asks("<sip:carol@example.org>");
  EXPECT_EQ(world.peer.last_status("REFER"), 202);
  ASSERT_TRUE(world.phone.last<TransferRequested>());
  EXPECT_EQ(world.phone.last<TransferRequested>()->call, call);
  EXPECT_EQ(world.phone.last<TransferRequested>()->target, "sip:carol@example.org");
  EXPECT_EQ(world.phone.last<TransferRequested>()->referred_by, "sip:bob@example.org");
  EXPECT_EQ(world.told(), std::vector<std::string>{"100"});
  EXPECT_TRUE(world.carol.requests("INVITE").empty()) << "the user decides";
  ASSERT_TRUE(world.accept(call));
  EXPECT_FALSE(world.accept(call));
  world.run_for(seconds(3));
  EXPECT_EQ(world.told(), (std::vector<std::string>{"100", "180", "200"}));
  const auto last = world.peer.requests("NOTIFY").back().message;
  EXPECT_EQ(last.first("Subscription-State"), "terminated;reason=noresource");
  EXPECT_EQ(
      last.first("Event"),
      "refer;id=" + std::to_string(world.sent_sip("SIP/2.0 202").at(0).message.cseq_number()));
  EXPECT_EQ(testing::uri_of(world.carol.requests("INVITE").at(0).message.first("Referred-By")),
            "sip:bob@example.org")
      << "the transferor's own word";
  EXPECT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
}

TEST(TransferScenario, AskedForAndNotWanted) {
  Three world;
  world.call_peer();
  world.bob_asks("<sip:carol@example.org>");
  ASSERT_TRUE(world.refuse(world.call_id()));
  world.run_for(milliseconds(500));
  EXPECT_EQ(world.told(), (std::vector<std::string>{"100", "603"}));
  EXPECT_TRUE(world.confirmed());
  // Nobody decides: declined after a minute.
  world.bob_asks("<sip:carol@example.org>");
  world.run_for(seconds(61));
  EXPECT_EQ(world.told(), (std::vector<std::string>{"100", "603", "100", "603"}));
  EXPECT_TRUE(world.carol.requests("INVITE").empty());
}

TEST(TransferScenario, ATargetThatIsBusyIsTold) {
  Stage stage;
  stage.ua.transfers = TransferPolicy::Accept;
  Three world(stage);
  world.call_peer();
  world.carol.script("INVITE", {.status = 486});
  world.bob_asks("<sip:carol@example.org>");
  world.run_for(seconds(1));
  EXPECT_EQ(world.told(), (std::vector<std::string>{"100", "486"}));
  EXPECT_TRUE(world.phone.state(world.phone.calls().front()) == CallState::Confirmed);
}

TEST(TransferScenario, PolicyAndBadRequests) {
  Stage stage;
  stage.ua.transfers = TransferPolicy::Refuse;
  Three world(stage);
  world.call_peer();
  world.bob_asks("<sip:carol@example.org>");
  EXPECT_EQ(world.peer.last_status("REFER"), 603);
  for (const auto& [refer_to, status] : std::vector<std::pair<std::string, int>>{
           {"", 400}, {"<http://example.org>", 416}, {"<sip:carol@example.org;method=BYE>", 501}}) {
    world.bob_asks(refer_to);
    EXPECT_EQ(world.peer.last_status("REFER"), status) << refer_to;
  }
  world.bob_asks("<sip:a@example.org>", {{"Refer-To", "<sip:b@example.org>"}});
  EXPECT_EQ(world.peer.last_status("REFER"), 400);
  EXPECT_TRUE(world.phone.all<TransferRequested>().empty());
  EXPECT_TRUE(world.told().empty());
}

TEST(TransferScenario, WithoutASubscriptionNothingIsTold) {
  Three world;
  world.call_peer();
  world.bob_asks("<sip:carol@example.org>", {{"Refer-Sub", "false"}});
  EXPECT_EQ(world.peer.last_status("REFER"), 202);
  ASSERT_TRUE(world.accept(world.call_id()));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.told().empty());
  EXPECT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
}

TEST(TransferScenario, AChangeUnderTheReferRepeatsItOnce) {
  Three world;
  world.call_peer();
  world.peer.script("REFER", {.ignore = true});
  world.peer.script("REFER", {.status = 202});
  const CallId call = world.call_id();
  ASSERT_TRUE(world.transfer(call, "carol"));
  world.run_for(milliseconds(60));
  world.move_to_lte();
  world.run_for(seconds(3));
  ASSERT_EQ(world.peer.requests("REFER").size(), 2U);
  EXPECT_EQ(world.sent_sip("REFER").back().source.address, world.lte_address());
  EXPECT_FALSE(world.phone.last<TransferProgress>()->finished);
  world.bob_tells(200, "terminated");
  EXPECT_TRUE(world.phone.ended(call));
}

TEST(TransferScenario, AChangeWhileItIsUnderWay) {
  Three world;
  world.call_peer();
  const CallId call = world.call_id();
  world.carol.script("INVITE", {.delay = seconds(4), .ring = true});
  world.bob_asks("<sip:carol@example.org>");
  ASSERT_TRUE(world.accept(call));
  world.run_for(milliseconds(500));
  world.move_to_lte();
  world.run_for(seconds(12));
  EXPECT_EQ(world.told().back(), "200") << "from the new place";
  EXPECT_EQ(world.phone.state(call), CallState::Confirmed);
  EXPECT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
}

TEST(TransferScenario, WhatWasDeclinedWithoutANetworkStaysDeclined) {
  Three world;
  world.call_peer();
  const CallId call = world.call_id();
  world.bob_asks("<sip:carol@example.org>");
  world.wifi_goes();
  world.run_for(seconds(1));
  ASSERT_TRUE(world.refuse(call));
  EXPECT_FALSE(world.accept(call));
  world.wifi_comes();
  world.run_for(seconds(5));
  EXPECT_EQ(world.told().back(), "603");
  EXPECT_TRUE(world.carol.requests("INVITE").empty());
}

TEST(TransferScenario, ASipsTargetIsNotCalledInTheClearHoweverItIsSpelt) {
  Stage stage;
  stage.ua.transfers = TransferPolicy::Accept;
  Three world(stage);
  world.call_peer();
  const TimePoint start = world.now();
  world.bob_asks("<SIPS:carol@example.org>");
  world.run_for(seconds(1));
  EXPECT_EQ(world.told(), std::vector<std::string>{"503"});
  EXPECT_TRUE(world.sent_sip("INVITE", start).empty());
}

TEST(TransferScenario, AHiddenCallerStaysHidden) {
  Stage stage;
  stage.ua.transfers = TransferPolicy::Accept;
  Three world(stage);
  world.register_phone();
  CallOptions options;
  options.hide_identity = true;
  const CallId call = *world.phone.call(world.account, "bob", options);
  world.run_for(seconds(1));
  ASSERT_EQ(world.phone.state(call), CallState::Confirmed);
  world.bob_asks("<sip:carol@example.org>");
  world.run_for(seconds(1));
  ASSERT_EQ(world.carol.requests("INVITE").size(), 1U);
  const auto invite = world.sent_sip("INVITE").back().message;
  EXPECT_EQ(testing::uri_of(invite.first("From")), "sip:anonymous@anonymous.invalid");
  EXPECT_EQ(invite.first("Privacy"), "id");
  EXPECT_EQ(invite.first("Contact").find("alice"), std::string::npos);
  world.peer.script("REFER", {.status = 603});
  ASSERT_TRUE(world.transfer(call, "carol"));
  world.run_for(milliseconds(500));
  ASSERT_EQ(world.peer.requests("REFER").size(), 1U);
  EXPECT_FALSE(world.peer.requests("REFER")[0].message.has("Referred-By"));
}

TEST(TransferScenario, WhatThePeerAsksForIsDeclinedThoughWeAskForSomethingToo) {
  Three world;
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.script("REFER", {.status = 202});
  world.bob_asks("<sip:carol@example.org>");
  world.run_for(seconds(30));
  ASSERT_TRUE(world.transfer(call, "dave"));
  world.run_for(seconds(32));
  EXPECT_EQ(world.told(), (std::vector<std::string>{"100", "603"})) << "a minute is over";
  EXPECT_FALSE(world.phone.last<TransferProgress>()->finished) << "ours has two more";
}

TEST(TransferScenario, AServerThatClosesEveryConnectionIsNotToldWithoutEnd) {
  Stage stage;
  stage.transport = sip::Transport::Tcp;
  Three world(stage);
  world.call_peer();
  world.bob_asks("<sip:carol@example.org>");
  ASSERT_TRUE(world.refuse(world.call_id()));
  world.peer.always("OPTIONS", {.ignore = true});
  world.peer.always("NOTIFY", {.ignore = true});
  const TimePoint start = world.now();
  ASSERT_TRUE(world.phone.command(
      [&](Core& core, TimePoint now) { return core.ask_options(world.call_id(), now); }));
  for (int i = 0; i < 100; ++i) {
    world.run_for(milliseconds(80));
    world.server.close_streams();
  }
  EXPECT_LE(world.sent_sip("NOTIFY", start).size(), 3U);
  EXPECT_LE(world.sent_sip("OPTIONS", start).size(), 3U);
}

std::string replaces_of(World& world, bool early_only = false) {
  // As the peer's side of our call would name it to others: our tag is the to-tag.
  const auto invite = world.peer.requests("INVITE").at(0).message;
  std::string to_tag;
  for (const auto& sent : world.sent_sip("ACK"))
    to_tag = testing::parameter(sent.message.first("To"), "tag").value_or("");
  return invite.first("Call-ID") +
         ";to-tag=" + testing::parameter(invite.first("From"), "tag").value_or("") +
         ";from-tag=" + to_tag + (early_only ? ";early-only" : "");
}

TEST(ReplacesScenario, ACallTakesThePlaceOfAnother) {
  Three world;
  world.call_peer();
  const CallId old = world.call_id();
  world.carol.call("sip:alice@example.org",
                   {{"Replaces", replaces_of(world)}, {"Require", "replaces"}});
  world.run_for(seconds(2));
  EXPECT_EQ(world.carol.state(), MockPeer::CallState::Confirmed) << "without a ring";
  ASSERT_TRUE(world.phone.last<IncomingCall>());
  EXPECT_EQ(world.phone.last<IncomingCall>()->replaces, old);
  ASSERT_TRUE(world.phone.ended(old));
  EXPECT_NE(world.phone.ended(old)->reason.find("replaced by call"), std::string::npos);
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
}

TEST(ReplacesScenario, TheReplacedCallIsOverAtOnceThoughItsByeIsNotAnswered) {
  Three world;
  world.call_peer();
  const CallId old = world.call_id();
  world.peer.always("BYE", {.ignore = true});
  world.carol.call("sip:alice@example.org", {{"Replaces", replaces_of(world)}});
  world.run_for(seconds(1));
  ASSERT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
  ASSERT_TRUE(world.phone.ended(old));
  EXPECT_NE(world.phone.ended(old)->reason.find("replaced by call"), std::string::npos);
  EXPECT_EQ(world.phone.engines(), 1U) << "its audio has ended";
  EXPECT_GE(world.sent_sip("BYE").size(), 1U);
}

TEST(ReplacesScenario, WhatCannotBeReplacedIsRefused) {
  Three world;
  world.call_peer();
  const auto refused_with = [&](const std::string& replaces) {
    world.carol.call("sip:alice@example.org", {{"Replaces", replaces}});
    world.run_for(seconds(1));
    return world.carol.last_status("INVITE");
  };
  EXPECT_EQ(refused_with("unknown;to-tag=a;from-tag=b"), 481);
  EXPECT_EQ(refused_with("nonsense"), 400);
  EXPECT_EQ(refused_with(replaces_of(world, true)), 486);
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.phone.all<IncomingCall>().empty());
}

TEST(ReplacesScenario, OnlyOneCallAtATimeTakesAPlace) {
  Three world;
  world.call_peer();
  Stranger stranger(world);
  for (int i = 0; i < 40; ++i) {
    SipText invite = stranger.request("INVITE", "again" + std::to_string(i));
    invite.append("Replaces", replaces_of(world));  // Without an offer: answered by the ACK only.
    stranger.send(invite);
  }
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 1U);
  EXPECT_LE(world.phone.engines(), 2U);
  EXPECT_TRUE(stranger.last(486));
  EXPECT_TRUE(world.phone.state(CallId{1}) == CallState::Confirmed) << "nobody has taken over yet";
}

TEST(ReplacesScenario, AUserWhoHoldsOrIsMutedStaysSo) {
  Three world;
  world.call_peer();
  const CallId old = world.call_id();
  ASSERT_TRUE(world.phone.hold(old));
  ASSERT_TRUE(
      world.phone.command([&](Core& core, TimePoint now) { return core.mute(old, true, now); }));
  world.run_for(seconds(1));
  world.carol.call("sip:alice@example.org", {{"Replaces", replaces_of(world)}});
  world.run_for(seconds(2));
  ASSERT_EQ(world.carol.state(), MockPeer::CallState::Confirmed);
  EXPECT_TRUE(world.phone.last<CallMediaChanged>()->held_by_us);
  EXPECT_FALSE(world.carol.remote_sdps().back().wants_audio());
}

TEST(ReplacesScenario, ACallOverTlsIsNotTakenOverInTheClear) {
  Stage stage;
  stage.transport = sip::Transport::Tls;
  stage.ua.sip_port = 5090;
  World world(stage);
  world.call_peer();
  // Whoever knows the identifiers, by UDP.
  Stranger stranger(world);
  stranger.aim({world.wifi_address(), 5090});
  const SipText answer = world.peer.requests("INVITE").front().message;
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(1));
  const SipText refresh = world.peer.requests("INVITE").back().message;
  const auto tag = [](const std::string& text) { return text.substr(text.find(";tag=") + 5); };
  SipText invite = stranger.request("INVITE", "intruder");
  Stranger::put_sdp(invite, "10.66.0.2");
  invite.append("Replaces", answer.first("Call-ID") + ";to-tag=" + tag(refresh.first("From")) +
                                ";from-tag=" + tag(refresh.first("To")));
  stranger.send(invite);
  world.run_for(seconds(1));
  EXPECT_TRUE(stranger.last(403));
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(world.phone.all<IncomingCall>().empty());
}

}  // namespace
}  // namespace godwit::scenario
