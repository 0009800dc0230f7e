// SPDX-License-Identifier: Apache-2.0
//
// Server transactions through the layer, in simulated time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sip/transaction_fixture.hpp"

namespace godwit::sip {
namespace {

class ServerTransactionTest : public TransactionFixture {
 protected:
  /// A new request of that method, its RequestArrived; 100 and events fetched.
  RequestArrived arrive(const std::string& method) {
    receive(wifi_, request(method));
    sent();
    return only<RequestArrived>();
  }
};

TEST_F(ServerTransactionTest, AnInviteIsAnswered100AtOnceAndReportedOnce) {
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(output(), (Lines{"send 100 INVITE", "request INVITE"}));
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(output(), (Lines{"send 100 INVITE"}));
  EXPECT_EQ(layer_.counters().retransmissions_absorbed, 1U);
  EXPECT_EQ(layer_.live_server(), 1U);
  EXPECT_EQ(run_for(seconds(300)), Lines{}) << "the user answers when it likes";
}

TEST_F(ServerTransactionTest, TheLastProvisionalResponseIsReplayed) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 180));
  EXPECT_EQ(output(), (Lines{"send 180 INVITE"}));
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 183));
  sent();
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(output(), (Lines{"send 183 INVITE"}));
}

TEST_F(ServerTransactionTest, AFailureIsRetransmittedByTimerGUntilTheAck) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 486));
  EXPECT_EQ(run_for(milliseconds(12'000)),
            (Lines{"0 send 486 INVITE", "500 send 486 INVITE", "1500 send 486 INVITE",
                   "3500 send 486 INVITE", "7500 send 486 INVITE", "11500 send 486 INVITE"}));
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(output(), (Lines{"send 486 INVITE"}));
  receive(wifi_, request("ACK"));
  receive(wifi_, request("ACK"));
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(run_for(milliseconds(4'999)), Lines{}) << "Confirmed absorbs";
  EXPECT_EQ(layer_.live_server(), 1U);
  run_for(milliseconds(1));
  EXPECT_EQ(layer_.live_server(), 0U) << "timer I";
  EXPECT_EQ(layer_.counters().stray_acks, 0U);
}

TEST_F(ServerTransactionTest, OnAStreamNothingIsRetransmittedAndNothingLingers) {
  Flow tcp = wifi_;
  tcp.transport = Transport::Tcp;
  receive(tcp, request("INVITE"));
  sent();
  const auto invite = only<RequestArrived>();
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 486));
  EXPECT_EQ(run_for(seconds(30)), Lines{"0 send 486 INVITE"}) << "no timer G";
  receive(tcp, request("ACK"));
  EXPECT_EQ(layer_.live_server(), 0U) << "timer I";
  receive(tcp, request("OPTIONS"));
  const auto options = only<RequestArrived>();
  ASSERT_TRUE(respond(options.transaction, *options.request, 200));
  EXPECT_EQ(output(), Lines{"send 200 OPTIONS"});
  EXPECT_EQ(layer_.live_server(), 0U) << "timer J";
}

TEST_F(ServerTransactionTest, AResponseGoesOnItsConnectionAndAfterItsEndToSentBy) {
  Flow tcp = flow_on(1, "10.1.0.2:5060", "10.9.0.1:43210");
  tcp.transport = Transport::Tcp;
  receive(tcp, request("INVITE", "INVITE", "10.9.0.9:5080;branch=z9hG4bKpeer"));
  const auto hundred = sent();
  ASSERT_EQ(hundred.size(), 1U);
  EXPECT_EQ(hundred[0].flow.remote, tcp.remote);
  const auto invite = only<RequestArrived>();
  layer_.on_connection_lost(ListenerId{1}, now_);
  EXPECT_EQ(output(), Lines{}) << "not a failure: a new connection will do";
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 180));
  const auto ringing = sent();
  ASSERT_EQ(ringing.size(), 1U);
  EXPECT_EQ(ringing[0].flow.transport, Transport::Tcp);
  EXPECT_EQ(ringing[0].flow.remote, *Endpoint::parse("10.9.0.1:5080"));
}

TEST_F(ServerTransactionTest, TimerHReportsAMissingAck) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 603));
  const auto lines = run_for(seconds(100));
  EXPECT_EQ(lines, (Lines{"0 send 603 INVITE", "500 send 603 INVITE", "1500 send 603 INVITE",
                          "3500 send 603 INVITE", "7500 send 603 INVITE", "11500 send 603 INVITE",
                          "15500 send 603 INVITE", "19500 send 603 INVITE", "23500 send 603 INVITE",
                          "27500 send 603 INVITE", "31500 send 603 INVITE",
                          "32000 server failed Timeout"}));
  EXPECT_EQ(layer_.live(), 0U);
  EXPECT_EQ(respond(invite.transaction, *invite.request, 486).error().code, ErrorCode::NotFound);
}

TEST_F(ServerTransactionTest, AcceptedAbsorbsTheInviteAndLeavesThe2xxToTheUser) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 200));
  const std::string ok = sent_one();
  receive(wifi_, request("INVITE"));
  EXPECT_EQ(run_for(seconds(10)), Lines{}) << "no retransmission by the layer";
  ASSERT_TRUE(layer_.retransmit(invite.transaction));
  EXPECT_EQ(sent_one(), ok);
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 200));
  EXPECT_EQ(sent_one(), ok);
  EXPECT_EQ(respond(invite.transaction, *invite.request, 180).error().code, ErrorCode::WrongState);
  EXPECT_EQ(respond(invite.transaction, *invite.request, 486).error().code, ErrorCode::WrongState);
  EXPECT_EQ(layer_.last_response(invite.transaction)->bytes, ok);
  // RFC 6026 §7.1: an ACK with the INVITE's branch is the user's too.
  receive(wifi_, request("ACK", "ACK", "10.9.0.1:5060;branch=z9hG4bKpeer;rport", "a"));
  EXPECT_EQ(output(), (Lines{"ack"}));
  EXPECT_EQ(run_for(milliseconds(21'999)), Lines{});
  EXPECT_EQ(layer_.live_server(), 1U);
  run_for(milliseconds(1));
  EXPECT_EQ(layer_.live_server(), 0U) << "timer L";
  EXPECT_EQ(layer_.retransmit(invite.transaction).error().code, ErrorCode::NotFound);
  EXPECT_EQ(layer_.last_response(invite.transaction), std::nullopt);
}

TEST_F(ServerTransactionTest, OthersAbsorbReplayAndEndByTimerJ) {
  const auto options = arrive("OPTIONS");
  receive(wifi_, request("OPTIONS"));
  EXPECT_EQ(output(), Lines{}) << "nothing to answer with in Trying";
  EXPECT_EQ(layer_.retransmit(options.transaction).error().code, ErrorCode::WrongState);
  ASSERT_TRUE(respond(options.transaction, *options.request, 100));
  sent();
  receive(wifi_, request("OPTIONS"));
  EXPECT_EQ(output(), (Lines{"send 100 OPTIONS"}));
  ASSERT_TRUE(respond(options.transaction, *options.request, 200));
  EXPECT_EQ(output(), (Lines{"send 200 OPTIONS"}));
  receive(wifi_, request("OPTIONS"));
  EXPECT_EQ(output(), (Lines{"send 200 OPTIONS"}));
  EXPECT_EQ(respond(options.transaction, *options.request, 404).error().code,
            ErrorCode::WrongState);
  EXPECT_EQ(run_for(milliseconds(31'999)), Lines{});
  EXPECT_EQ(layer_.live_server(), 1U);
  run_for(milliseconds(1));
  EXPECT_EQ(layer_.live_server(), 0U);
}

TEST_F(ServerTransactionTest, AnUnansweredRequestIsForgottenWhenItsClientHasGivenUp) {
  const auto info = arrive("INFO");
  EXPECT_EQ(run_for(seconds(32)), Lines{});
  EXPECT_EQ(layer_.live_server(), 0U);
  EXPECT_EQ(respond(info.transaction, *info.request, 200).error().code, ErrorCode::NotFound);
}

TEST_F(ServerTransactionTest, RespondRefusesWhatIsNoStatus) {
  const auto options = arrive("OPTIONS");
  for (const int status : {0, 99, 700}) {
    wire::ResponseDraft draft = wire::make_response(*options.request, 200);
    draft.status = status;
    EXPECT_EQ(layer_.respond(options.transaction, draft, "", now_).error().code,
              ErrorCode::InvalidArgument);
  }
  wire::ResponseDraft large = wire::make_response(*options.request, 200);
  large.body.assign(66'000, 'x');
  EXPECT_EQ(layer_.respond(options.transaction, large, "", now_).error().code, ErrorCode::TooLarge);
  EXPECT_TRUE(respond(options.transaction, *options.request, 200)) << "nothing has happened yet";
}

// --- where responses go ---

TEST_F(ServerTransactionTest, ResponsesGoByRportReceivedAndSentBy) {
  struct Case {
    const char* via;
    const char* remote;
    const char* stamped;
  };
  const Flow natted = flow_on(1, "10.1.0.2:5060", "203.0.113.9:40001");
  const std::vector<Case> cases = {
      {"192.168.1.5:5062;branch=z9hG4bKa;rport", "203.0.113.9:40001",
       "192.168.1.5:5062;branch=z9hG4bKa;rport=40001;received=203.0.113.9"},
      {"192.168.1.5:5062;branch=z9hG4bKb", "203.0.113.9:5062",
       "192.168.1.5:5062;branch=z9hG4bKb;received=203.0.113.9"},
      {"phone.example.com;branch=z9hG4bKc", "203.0.113.9:5060",
       "phone.example.com;branch=z9hG4bKc;received=203.0.113.9"},
      {"203.0.113.9:5062;branch=z9hG4bKd", "203.0.113.9:5062", "203.0.113.9:5062;branch=z9hG4bKd"},
      {"203.0.113.9;branch=z9hG4bKe;maddr=198.51.100.1;received=198.51.100.2", "203.0.113.9:5060",
       "203.0.113.9;branch=z9hG4bKe;maddr=198.51.100.1"},
  };
  for (const Case& c : cases) {
    receive(natted, request("OPTIONS", "OPTIONS", c.via));
    const auto arrived = only<RequestArrived>();
    EXPECT_EQ(arrived.flow, natted);
    ASSERT_TRUE(respond(arrived.transaction, *arrived.request, 200));
    const auto all = sent();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].flow.remote, Endpoint::parse(c.remote)) << c.via;
    EXPECT_EQ(all[0].flow.local, natted.local);
    const auto response = wire::Message::parse(all[0].bytes);
    EXPECT_EQ(wire::top_via_text(*response), std::string("SIP/2.0/UDP ") + c.stamped);
  }
}

TEST_F(ServerTransactionTest, TheViasBelowTheTopAreKept) {
  for (const char* below : {"\r\nVia: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2",
                            ", SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2"}) {
    receive(wifi_,
            request("OPTIONS", "OPTIONS", std::string("10.9.0.1;branch=z9hG4bKtop") + below));
    const auto arrived = only<RequestArrived>();
    ASSERT_TRUE(respond(arrived.transaction, *arrived.request, 200));
    const auto response = wire::Message::parse(sent_one());
    std::vector<std::string> vias;
    for (const auto via : response->values(wire::HeaderId::Via)) vias.emplace_back(via);
    ASSERT_EQ(vias.size(), 2U);
    EXPECT_EQ(vias[1], "SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2");
    run_for(seconds(40));
  }
}

// --- CANCEL ---

TEST_F(ServerTransactionTest, CancelIsAnsweredAndReportedOnce) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 180));
  sent();
  receive(wifi_, request("CANCEL"));
  const auto all = sent();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(describe(all[0]), "send 200 CANCEL");
  // RFC 3261 §9.2: the same To tag as in the INVITE's responses.
  EXPECT_EQ(wire::to_tag_of(*wire::Message::parse(all[0].bytes)), "a");
  EXPECT_EQ(only<CancelArrived>().invite, invite.transaction);
  receive(wifi_, request("CANCEL"));
  EXPECT_EQ(output(), (Lines{"send 200 CANCEL"}));
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 487));
  EXPECT_EQ(output(), (Lines{"send 487 INVITE"}));
}

TEST_F(ServerTransactionTest, CancelAfterTheFinalResponseChangesNothing) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 200));
  sent();
  receive(wifi_, request("CANCEL"));
  EXPECT_EQ(output(), (Lines{"send 200 CANCEL"}));
}

TEST_F(ServerTransactionTest, ACancelOfNothingGets481) {
  receive(wifi_, request("CANCEL"));
  const std::string first = sent_one();
  EXPECT_EQ(wire::Message::parse(first)->status(), 481);
  EXPECT_FALSE(wire::to_tag_of(*wire::Message::parse(first)).empty());
  receive(wifi_, request("CANCEL"));
  EXPECT_EQ(sent_one(), first) << "the same answer without any state";
  EXPECT_EQ(layer_.live(), 0U);

  arrive("INVITE");
  for (const char* via : {"10.9.0.1:5061;branch=z9hG4bKpeer", "10.9.0.2:5060;branch=z9hG4bKpeer",
                          "10.9.0.1:5060;branch=z9hG4bKother"}) {
    receive(wifi_, request("CANCEL", "CANCEL", via));
    EXPECT_EQ(output(), (Lines{"send 481 CANCEL"})) << via;
  }
  // Another source with the same Via is the same client (design §5: after its address changed).
  receive(flow_on(1, "10.1.0.2:5060", "198.51.100.99:1024"), request("CANCEL"));
  EXPECT_EQ(output(), (Lines{"send 200 CANCEL", "cancel"}));
}

// --- ACK ---

TEST_F(ServerTransactionTest, AnAckToA2xxIsTheSessions) {
  receive(wifi_, request("ACK", "ACK", "10.9.0.1;branch=z9hG4bKack", "a"));
  const auto event = only<AckArrived>();
  EXPECT_EQ(event.flow, wifi_);
  EXPECT_EQ(event.ack->method(), wire::Method::Ack);
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ServerTransactionTest, StrayAcksAreDroppedAndCounted) {
  receive(wifi_, request("ACK", "ACK", "10.9.0.1;branch=z9hG4bKack"));
  EXPECT_EQ(output(), Lines{}) << "no To tag: no dialog of ours";
  arrive("INVITE");
  receive(wifi_, request("ACK"));
  EXPECT_EQ(output(), Lines{}) << "nothing final was sent";
  EXPECT_EQ(layer_.counters().stray_acks, 2U);
}

// --- matching ---

TEST_F(ServerTransactionTest, BranchSentByAndMethodTellRequestsApart) {
  struct Case {
    const char* method;
    const char* via;
    bool is_new;
  };
  const std::vector<Case> cases = {
      {"OPTIONS", "10.9.0.1:5060;branch=z9hG4bKx", true},
      {"OPTIONS", "10.9.0.1;branch=z9hG4bKx;rport", false},  // 5060 is the default port.
      {"INFO", "10.9.0.1:5060;branch=z9hG4bKx", true},
      {"OPTIONS", "10.9.0.1:5061;branch=z9hG4bKx", true},
      {"OPTIONS", "10.9.0.2:5060;branch=z9hG4bKx", true},
      {"OPTIONS", "10.9.0.1:5060;branch=z9hG4bKX", true},
      {"OPTIONS", "Host.Example.com;branch=z9hG4bKx", true},
      {"OPTIONS", "host.example.COM;branch=z9hG4bKx", false},
  };
  for (const Case& c : cases) {
    receive(wifi_, request(c.method, c.method, c.via));
    EXPECT_EQ(output().size(), c.is_new ? 1U : 0U) << c.method << ' ' << c.via;
  }
}

TEST_F(ServerTransactionTest, PeersWithoutTheCookieAreMatchedByTheRest) {
  const std::string via = "10.9.0.1:5060;branch=1";
  receive(wifi_, request("INVITE", "INVITE", via));
  EXPECT_EQ(output(), (Lines{"send 100 INVITE", "request INVITE"}));
  receive(wifi_, request("INVITE", "INVITE", via));
  EXPECT_EQ(output(), (Lines{"send 100 INVITE"}));
  std::string other = request("INVITE", "INVITE", via);
  other.replace(other.find("CSeq: 3"), 7, "CSeq: 4");
  receive(wifi_, other);
  const auto second = events();
  ASSERT_EQ(second.size(), 1U);
  const auto arrived = std::get<RequestArrived>(second[0]);
  sent();
  ASSERT_TRUE(respond(arrived.transaction, *arrived.request, 486));
  sent();
  // The ACK has the To tag of the response, which the INVITE had not.
  std::string ack = request("ACK", "ACK", via, "a");
  ack.replace(ack.find("CSeq: 3"), 7, "CSeq: 4");
  receive(wifi_, ack);
  EXPECT_EQ(run_for(seconds(10)), Lines{}) << "acknowledged";
  EXPECT_EQ(layer_.live_server(), 1U);
  receive(wifi_, request("CANCEL", "CANCEL", via));
  EXPECT_EQ(output(), (Lines{"send 200 CANCEL", "cancel"}));
}

// --- without a transaction ---

TEST_F(ServerTransactionTest, AStatelessAnswerLeavesNothingBehindAndIsTheSameForEveryCopy) {
  layer_.answer_statelessly(
      [](const Flow&, const wire::Message& r) { return r.method() == wire::Method::Invite; });
  std::vector<std::string> answers;
  for (int copy = 0; copy < 2; ++copy) {
    receive(wifi_, request("INVITE"));
    EXPECT_TRUE(sent().empty()) << "RFC 3261 §8.2.7: no provisional response";
    const auto event = only<RequestArrived>();
    EXPECT_FALSE(event.transaction);
    ASSERT_TRUE(layer_.respond_statelessly(event, 404, {{wire::HeaderId::Server, "Godwit"}}));
    answers.push_back(sent_one());
  }
  EXPECT_EQ(answers[0], answers[1]);
  const auto answer = wire::Message::parse(answers[0]);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 404);
  EXPECT_NE(wire::to_tag_of(*answer), "");
  EXPECT_EQ(answer->first(wire::HeaderId::Server), "Godwit");
  EXPECT_THAT(std::string(wire::top_via_text(*answer)), testing::HasSubstr("received=10.9.0.1"));
  EXPECT_EQ(layer_.live_server(), 0U);
  receive(wifi_, request("ACK", "ACK", "10.9.0.1:5060;branch=z9hG4bKpeer;rport",
                         std::string(wire::to_tag_of(*answer))));
  only<AckArrived>();
  EXPECT_EQ(run_for(seconds(64)), Lines{}) << "nothing is repeated";
}

TEST_F(ServerTransactionTest, OthersAreNotAskedAboutAndStatelessAnswersAreFinal) {
  layer_.answer_statelessly([](const Flow&, const wire::Message& r) {
    EXPECT_NE(r.method(), wire::Method::Ack);
    EXPECT_NE(r.method(), wire::Method::Cancel);
    return r.method() == wire::Method::Options;
  });
  const auto invite = arrive("INVITE");
  EXPECT_TRUE(invite.transaction);
  receive(wifi_, request("CANCEL"));
  receive(wifi_, request("ACK"));
  output();
  receive(wifi_, request("OPTIONS"));
  const auto options = only<RequestArrived>();
  EXPECT_FALSE(layer_.respond_statelessly(options, 180, {}));
  EXPECT_FALSE(layer_.respond_statelessly(options, 700, {}));
  EXPECT_FALSE(layer_.respond_statelessly(options, 200,
                                          {{wire::HeaderId::Server, std::string(70'000, 'x')}}));
  EXPECT_FALSE(respond(options.transaction, *options.request, 200)) << "there is none";
  EXPECT_EQ(output(), Lines{});
}

// --- flows that die ---

TEST_F(ServerTransactionTest, ResponsesOnADeadFlowWaitForTheNewOne) {
  const auto invite = arrive("INVITE");
  layer_.on_flow_failed(wifi_.listener, now_);
  layer_.on_flow_failed(wifi_.listener, now_);
  EXPECT_EQ(output(), (Lines{"server failed Transport"})) << "once";
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 180));
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 200));
  EXPECT_EQ(run_for(seconds(1)), Lines{}) << "nothing may leave on a dead flow";
  layer_.move_server(invite.transaction, lte_);
  EXPECT_EQ(output(), (Lines{"send 200 INVITE on 2"}));
  EXPECT_EQ(layer_.server_flow(invite.transaction), lte_);
  ASSERT_TRUE(layer_.retransmit(invite.transaction));
  EXPECT_EQ(output(), (Lines{"send 200 INVITE on 2"}));
  layer_.move_server(invite.transaction, wifi_);
  EXPECT_EQ(output(), Lines{}) << "nothing was withheld";
}

TEST_F(ServerTransactionTest, TimerGFollowsTheMove) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 486));
  sent();
  layer_.on_flow_failed(wifi_.listener, now_);
  EXPECT_EQ(run_for(milliseconds(600)), (Lines{"0 server failed Transport"}));
  layer_.move_server(invite.transaction, lte_);
  EXPECT_EQ(run_for(milliseconds(1000)),
            (Lines{"600 send 486 INVITE on 2", "1500 send 486 INVITE on 2"}));
}

TEST_F(ServerTransactionTest, AnsweredRequestsDoNotReportADeadFlow) {
  const auto options = arrive("OPTIONS");
  ASSERT_TRUE(respond(options.transaction, *options.request, 200));
  const auto waiting = [this] {
    receive(wifi_, request("INFO"));
    return only<RequestArrived>();
  }();
  sent();
  layer_.on_flow_failed(wifi_.listener, now_);
  EXPECT_EQ(only<ServerFailed>().transaction, waiting.transaction);
  layer_.move_server(ServerTransactionId{12345}, lte_);
}

TEST_F(ServerTransactionTest, AfterALongSleepTimerHWinsOverTimerG) {
  const auto invite = arrive("INVITE");
  ASSERT_TRUE(respond(invite.transaction, *invite.request, 486));
  sent();
  now_ += std::chrono::hours(8);
  layer_.on_timeout(now_);
  EXPECT_EQ(output(), (Lines{"server failed Timeout"}));
}

}  // namespace
}  // namespace godwit::sip
