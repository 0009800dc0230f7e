// SPDX-License-Identifier: Apache-2.0
//
// Client transactions through the layer, in simulated time.
#include <gtest/gtest.h>

#include "sip/transaction_fixture.hpp"

namespace godwit::sip {
namespace {

using wire::Method;

class ClientTransactionTest : public TransactionFixture {};

std::string_view top_via(const wire::Message& message) { return wire::top_via_text(message); }

TEST_F(ClientTransactionTest, InviteIsRetransmittedByTimerAUntilTimerB) {
  const auto id = send(Method::Invite);
  EXPECT_EQ(run_for(seconds(100)),
            (Lines{"0 send INVITE", "500 send INVITE", "1500 send INVITE", "3500 send INVITE",
                   "7500 send INVITE", "15500 send INVITE", "31500 send INVITE",
                   "32000 client failed Timeout"}));
  EXPECT_EQ(layer_.live(), 0U);
  EXPECT_EQ(layer_.client_flow(id), std::nullopt);
  EXPECT_EQ(layer_.counters().retransmissions_sent, 6U);
  EXPECT_EQ(layer_.counters().client_timeouts, 1U);
}

TEST_F(ClientTransactionTest, OnAStreamNothingIsRetransmittedAndNothingLingers) {
  Flow tcp = wifi_;
  tcp.transport = Transport::Tcp;
  const auto send_on_tcp = [&](Method method) {
    return *layer_.send_request(draft(method), "<sip:alice@10.1.0.2>", tcp, owner_, {}, now_);
  };
  send_on_tcp(Method::Invite);
  const std::string invite = sent_one();
  EXPECT_NE(invite.find("Via: SIP/2.0/TCP 10.1.0.2:5060;"), std::string::npos) << invite;
  receive(tcp, response_to(invite, 486));
  EXPECT_EQ(output(), (Lines{"send ACK", "response 486 INVITE"}));
  EXPECT_EQ(layer_.live(), 0U) << "timer D";

  send_on_tcp(Method::Register);
  receive(tcp, response_to(sent_one(), 200));
  EXPECT_EQ(output(), Lines{"response 200 REGISTER"});
  EXPECT_EQ(layer_.live(), 0U) << "timer K";

  send_on_tcp(Method::Invite);
  send_on_tcp(Method::Options);
  EXPECT_EQ(run_for(seconds(100)),
            (Lines{"0 send INVITE", "0 send OPTIONS", "32000 client failed Timeout",
                   "32000 client failed Timeout"}));
}

TEST_F(ClientTransactionTest, ALargeRequestGoesByTcpAndFallsBack) {
  wire::RequestDraft large = draft(Method::Invite);
  large.body = std::string(1'300, 'x');
  const auto send_large = [&] {
    const auto id = *layer_.send_request(large, "<sip:alice@10.1.0.2>", wifi_, owner_, {}, now_);
    return id;
  };
  const auto id = send_large();
  const auto by_tcp = sent();
  ASSERT_EQ(by_tcp.size(), 1U);
  EXPECT_EQ(by_tcp[0].flow.transport, Transport::Tcp);
  EXPECT_NE(by_tcp[0].bytes.find("Via: SIP/2.0/TCP "), std::string::npos);
  layer_.move_client(id, ListenerId{9});
  layer_.on_flow_failed(ListenerId{9}, now_);
  const auto by_udp = sent();
  ASSERT_EQ(by_udp.size(), 1U);
  EXPECT_EQ(by_udp[0].flow, wifi_);
  EXPECT_NE(by_udp[0].bytes.find("Via: SIP/2.0/UDP "), std::string::npos);
  EXPECT_TRUE(events().empty());
  receive(wifi_, response_to(by_tcp[0].bytes, 180));
  EXPECT_EQ(output(), Lines{}) << "the branch of the first attempt is over";
  EXPECT_EQ(run_for(milliseconds(500)), Lines{"500 send INVITE"}) << "by UDP there is timer A";
  receive(wifi_, response_to(by_udp[0].bytes, 486));
  EXPECT_EQ(output(), (Lines{"send ACK", "response 486 INVITE"}));

  // Once there was a response there is nothing to fall back to.
  const auto answered = send_large();
  layer_.move_client(answered, ListenerId{9});
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 180));
  output();
  layer_.on_connection_lost(ListenerId{9}, now_);
  EXPECT_EQ(output(), Lines{"client failed Transport"});
}

TEST_F(ClientTransactionTest, ARequestFailsWithTheConnectionThatItMovedTo) {
  Flow tcp = wifi_;
  tcp.transport = Transport::Tcp;
  const auto id =
      *layer_.send_request(draft(Method::Options), "<sip:alice@10.1.0.2>", tcp, owner_, {}, now_);
  const auto transmits = sent();
  ASSERT_EQ(transmits.size(), 1U);
  EXPECT_EQ(transmits[0].request, id);
  layer_.move_client(id, ListenerId{9});
  layer_.on_connection_lost(ListenerId{1}, now_);
  EXPECT_EQ(output(), Lines{});
  layer_.on_connection_lost(ListenerId{9}, now_);
  EXPECT_EQ(output(), Lines{"client failed Transport"});
  const auto other =
      *layer_.send_request(draft(Method::Options), "<sip:alice@10.1.0.2>", tcp, owner_, {}, now_);
  sent();
  layer_.on_request_failed(other, now_);
  EXPECT_EQ(output(), Lines{"client failed Transport"});
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ClientTransactionTest, OthersAreRetransmittedByTimerEUpToT2UntilTimerF) {
  send(Method::Register);
  EXPECT_EQ(run_for(seconds(100)),
            (Lines{"0 send REGISTER", "500 send REGISTER", "1500 send REGISTER",
                   "3500 send REGISTER", "7500 send REGISTER", "11500 send REGISTER",
                   "15500 send REGISTER", "19500 send REGISTER", "23500 send REGISTER",
                   "27500 send REGISTER", "31500 send REGISTER", "32000 client failed Timeout"}));
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ClientTransactionTest, ARecoveryRequestTakesItsPaceFromTheRoundTrip) {
  send(Method::Register, TransactionTimers::from_rtt(milliseconds(10)));
  auto lines = run_for(seconds(2));
  EXPECT_EQ(lines, (Lines{"0 send REGISTER", "100 send REGISTER", "300 send REGISTER",
                          "700 send REGISTER", "1500 send REGISTER"}));
  EXPECT_EQ(TransactionTimers::from_rtt(milliseconds(200)).t1, milliseconds(200));
  EXPECT_EQ(TransactionTimers::from_rtt(seconds(3)).t1, milliseconds(500));
}

TEST_F(ClientTransactionTest, TheCallerMayBoundTheWait) {
  TransactionTimers timers;
  timers.timeout = milliseconds(1200);
  send(Method::Update, timers);
  EXPECT_EQ(run_for(seconds(40)),
            (Lines{"0 send UPDATE", "500 send UPDATE", "1200 client failed Timeout"}));
}

TEST_F(ClientTransactionTest, AfterALongSleepATransactionEndsWithoutAnotherPacket) {
  send(Method::Invite);
  send(Method::Options);
  sent();
  now_ += std::chrono::hours(8);
  layer_.on_timeout(now_);
  EXPECT_EQ(output(), (Lines{"client failed Timeout", "client failed Timeout"}));
}

TEST_F(ClientTransactionTest, AProvisionalResponseStopsTimersAAndB) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 100));
  receive(wifi_, response_to(invite, 180));
  EXPECT_EQ(run_for(seconds(300)), (Lines{"0 response 100 INVITE", "0 response 180 INVITE"}));
  EXPECT_EQ(layer_.live_client(), 1U);
  receive(wifi_, response_to(invite, 200));
  const auto event = only<ResponseArrived>();
  EXPECT_EQ(event.transaction, id);
  EXPECT_EQ(event.owner, owner_);
  EXPECT_EQ(event.response->status(), 200);
  EXPECT_EQ(event.flow, wifi_);
}

TEST_F(ClientTransactionTest, AProvisionalResponseSlowsTimerEToT2ButTimerFGoesOn) {
  send(Method::Options);
  const std::string options = sent_one();
  EXPECT_EQ(run_for(milliseconds(600)), (Lines{"500 send OPTIONS"}));
  receive(wifi_, response_to(options, 100));
  EXPECT_EQ(
      run_for(seconds(40)),
      (Lines{"600 response 100 OPTIONS", "1500 send OPTIONS", "5500 send OPTIONS",
             "9500 send OPTIONS", "13500 send OPTIONS", "17500 send OPTIONS", "21500 send OPTIONS",
             "25500 send OPTIONS", "29500 send OPTIONS", "32000 client failed Timeout"}));
}

TEST_F(ClientTransactionTest, AFinalResponseIsPassedUpOnceAndAbsorbedForTimerK) {
  send(Method::Register);
  const std::string request = sent_one();
  receive(wifi_, response_to(request, 200));
  receive(wifi_, response_to(request, 200));
  receive(wifi_, response_to(request, 404));
  EXPECT_EQ(run_for(milliseconds(4999)), (Lines{"0 response 200 REGISTER"}));
  EXPECT_EQ(layer_.live_client(), 1U);
  EXPECT_EQ(run_for(milliseconds(1)), Lines{});
  EXPECT_EQ(layer_.live_client(), 0U);
  EXPECT_EQ(layer_.counters().stray_responses, 0U);
  receive(wifi_, response_to(request, 200));
  EXPECT_EQ(layer_.counters().stray_responses, 1U);
  EXPECT_EQ(layer_.next_timeout(), std::nullopt);
}

TEST_F(ClientTransactionTest, AFailureResponseIsAcknowledgedEachTimeForTimerD) {
  send(Method::Invite);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 486, "busy"));
  const auto lines = sent();
  ASSERT_EQ(lines.size(), 1U);
  const auto sent_invite = wire::Message::parse(invite);
  const auto ack = wire::Message::parse(lines[0].bytes);
  ASSERT_TRUE(ack);
  // RFC 3261 §17.1.1.3.
  EXPECT_EQ(ack->method(), Method::Ack);
  EXPECT_EQ(top_via(*ack), top_via(*sent_invite));
  EXPECT_EQ(ack->line_count(wire::HeaderId::Via), 1U);
  EXPECT_EQ(ack->request_uri(), "sip:bob@example.com");
  EXPECT_EQ(wire::call_id_of(*ack), "call-1");
  EXPECT_EQ(ack->first(wire::HeaderId::CSeq), "7 ACK");
  EXPECT_EQ(wire::to_tag_of(*ack), "busy");
  EXPECT_EQ(wire::from_tag_of(*ack), "a");
  EXPECT_EQ(ack->first(wire::HeaderId::Route), "<sip:10.9.0.1;lr>");
  EXPECT_EQ(lines[0].flow, wifi_);
  EXPECT_EQ(output(), (Lines{"response 486 INVITE"}));

  receive(wifi_, response_to(invite, 486, "busy"));
  EXPECT_EQ(output(), (Lines{"send ACK"}));
  EXPECT_EQ(run_for(milliseconds(31'999)), Lines{});
  EXPECT_EQ(layer_.live_client(), 1U);
  run_for(milliseconds(1));
  EXPECT_EQ(layer_.live_client(), 0U);
}

TEST_F(ClientTransactionTest, AcceptedPassesEvery2xxUpForTimerM) {
  send(Method::Invite, TransactionTimers::from_rtt(milliseconds(100)));
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 200, "b"));
  receive(wifi_, response_to(invite, 180, "c"));
  receive(wifi_, response_to(invite, 200, "b"));
  receive(wifi_, response_to(invite, 200, "forked"));
  receive(wifi_, response_to(invite, 486, "c"));
  EXPECT_EQ(output(), (Lines{"response 200 INVITE", "response 200 INVITE", "response 200 INVITE"}));
  // The peer retransmits by its own T1: ours of 100 ms must not shorten the wait.
  EXPECT_EQ(run_for(milliseconds(31'999)), Lines{});
  receive(wifi_, response_to(invite, 200, "b"));
  EXPECT_EQ(output(), (Lines{"response 200 INVITE"}));
  run_for(milliseconds(1));
  EXPECT_EQ(layer_.live_client(), 0U);
}

TEST_F(ClientTransactionTest, ViaAndContactAreFilledAndFrozen) {
  send(Method::Invite);
  now_ += milliseconds(500);
  layer_.on_timeout(now_);
  const auto copies = sent();
  ASSERT_EQ(copies.size(), 2U);
  EXPECT_EQ(copies[0].bytes, copies[1].bytes);
  const auto message = wire::Message::parse(copies[0].bytes);
  const auto via = wire::top_via_of(*message);
  ASSERT_TRUE(via);
  EXPECT_EQ(via->transport, "UDP");
  EXPECT_EQ(via->host, "10.1.0.2");
  EXPECT_EQ(via->port, 5060);
  EXPECT_TRUE(via->has_rport());
  EXPECT_TRUE(via->has_unique_branch());
  EXPECT_EQ(message->first(wire::HeaderId::Contact), "<sip:alice@10.1.0.2>");
}

// --- CANCEL ---

TEST_F(ClientTransactionTest, CancelCopiesTheFrozenVia) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 180));
  const auto cancel_id = layer_.send_cancel(id, now_);
  ASSERT_TRUE(cancel_id);
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  const auto cancel = wire::Message::parse(datagrams[0].bytes);
  const auto original = wire::Message::parse(invite);
  EXPECT_EQ(cancel->method(), Method::Cancel);
  EXPECT_EQ(top_via(*cancel), top_via(*original));
  EXPECT_EQ(cancel->request_uri(), original->request_uri());
  EXPECT_EQ(cancel->first(wire::HeaderId::CSeq), "7 CANCEL");
  EXPECT_EQ(cancel->first(wire::HeaderId::To), original->first(wire::HeaderId::To));
  EXPECT_EQ(cancel->first(wire::HeaderId::Route), "<sip:10.9.0.1;lr>");
  EXPECT_EQ(datagrams[0].flow, wifi_);
  events();

  receive(wifi_, response_to(datagrams[0].bytes, 200));
  const auto answered = only<ResponseArrived>();
  EXPECT_EQ(answered.transaction, *cancel_id);
  EXPECT_EQ(answered.owner, owner_);
  receive(wifi_, response_to(invite, 487));
  EXPECT_EQ(output(), (Lines{"send ACK", "response 487 INVITE"}));
}

TEST_F(ClientTransactionTest, CancelWaitsForAProvisionalResponse) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  ASSERT_TRUE(layer_.send_cancel(id, now_));
  EXPECT_EQ(output(), Lines{});
  receive(wifi_, response_to(invite, 100));
  EXPECT_EQ(output(), (Lines{"send CANCEL", "response 100 INVITE"}));
  EXPECT_FALSE(layer_.send_cancel(id, now_)) << "one CANCEL is enough";
}

TEST_F(ClientTransactionTest, AWaitingCancelIsForgottenAfterAFinalResponse) {
  for (const int status : {200, 486}) {
    const auto id = send(Method::Invite);
    const std::string invite = sent_one();
    ASSERT_TRUE(layer_.send_cancel(id, now_));
    receive(wifi_, response_to(invite, status));
    events();
    sent();
    EXPECT_EQ(layer_.live_client(), 1U);
    EXPECT_EQ(layer_.send_cancel(id, now_).error().code, ErrorCode::WrongState);
    run_for(seconds(40));
    EXPECT_EQ(layer_.live_client(), 0U);
  }
}

TEST_F(ClientTransactionTest, AWaitingCancelEndsWithItsInvite) {
  const auto id = send(Method::Invite);
  ASSERT_TRUE(layer_.send_cancel(id, now_));
  const auto lines = run_for(seconds(40));
  EXPECT_EQ(lines.back(), "32000 client failed Timeout");
  // Both wait for what may still come of the INVITE.
  EXPECT_EQ(layer_.live(), 2U);
  run_for(seconds(25));
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ClientTransactionTest, A2xxAfterTimerBIsToldToWhoeverGaveUp) {
  send(Method::Invite);
  const std::string invite = sent_one();
  run_for(seconds(33));
  events();
  receive(wifi_, response_to(invite, 404));
  EXPECT_TRUE(events().empty()) << "a refusal is acknowledged, and of no interest";
  EXPECT_EQ(sent().size(), 1U);
  send(Method::Invite);
  const std::string second = sent_one();
  run_for(seconds(33));
  events();
  receive(wifi_, response_to(second, 200));
  const auto told = events();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<DetachedAnswerArrived>(told[0]));
}

TEST_F(ClientTransactionTest, RecoveryCancelsFromAnotherFlowWithTheSameVia) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  ASSERT_TRUE(layer_.send_cancel(id, now_));  // Waits, and is replaced.
  const auto cancel_id = layer_.send_cancel(id, now_, true, lte_);
  ASSERT_TRUE(cancel_id);
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].flow, lte_);
  const auto cancel = wire::Message::parse(datagrams[0].bytes);
  const auto original = wire::Message::parse(invite);
  EXPECT_EQ(top_via(*cancel), top_via(*original));
  EXPECT_EQ(layer_.client_flow(*cancel_id), lte_);
  // Its 200 arrives at the new address, with the old sent-by.
  receive(lte_, response_to(datagrams[0].bytes, 200));
  EXPECT_EQ(only<ResponseArrived>().transaction, *cancel_id);
}

TEST_F(ClientTransactionTest, ACancelledInviteIsWaitedForNoLongerThan64T1) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 180));
  events();
  run_for(seconds(60));
  ASSERT_TRUE(layer_.send_cancel(id, now_));
  receive(wifi_, response_to(sent_one(), 200));
  EXPECT_EQ(run_for(seconds(100)),
            (Lines{"60000 response 200 CANCEL", "92000 client failed Timeout"}));
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ClientTransactionTest, ACancelSentBeforeAnyResponseBoundsTheWaitAsWell) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  ASSERT_TRUE(layer_.send_cancel(id, now_, true));
  sent();
  now_ += milliseconds(400);
  receive(wifi_, response_to(invite, 180));
  const auto lines = run_for(seconds(100));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "32000 client failed Timeout"), 2)
      << "the INVITE and the CANCEL";
  EXPECT_EQ(layer_.live(), 0U);
}

TEST_F(ClientTransactionTest, OnlyAnInviteCanBeCancelled) {
  const auto id = send(Method::Register);
  EXPECT_EQ(layer_.send_cancel(id, now_).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(layer_.send_cancel(ClientTransactionId{99}, now_).error().code, ErrorCode::NotFound);
  for (const Method method : {Method::Ack, Method::Cancel}) {
    EXPECT_FALSE(layer_.send_request(draft(method), "", wifi_, owner_, {}, now_));
  }
}

// --- flows that die, owners that leave ---

TEST_F(ClientTransactionTest, ADeadFlowFailsItsTransactionsOnly) {
  const auto on_wifi = send(Method::Register);
  const auto on_lte = layer_.send_request(draft(Method::Register), "", lte_, owner_, {}, now_);
  sent();
  layer_.on_flow_failed(wifi_.listener, now_);
  const auto failed = only<ClientFailed>();
  EXPECT_EQ(failed.transaction, on_wifi);
  EXPECT_EQ(failed.owner, owner_);
  EXPECT_EQ(failed.failure, TransactionFailure::Transport);
  EXPECT_EQ(layer_.client_flow(on_wifi), std::nullopt);
  EXPECT_EQ(layer_.client_flow(*on_lte), lte_);
  layer_.on_flow_failed(wifi_.listener, now_);
  EXPECT_EQ(output(), Lines{});
}

TEST_F(ClientTransactionTest, AnInviteOnADeadFlowIsSilentButItsLateAnswerIsNotLost) {
  for (const bool rang : {false, true}) {
    const auto id = send(Method::Invite);
    const std::string invite = sent_one();
    if (rang) receive(wifi_, response_to(invite, 180));
    events();
    layer_.on_flow_failed(wifi_.listener, now_);
    EXPECT_EQ(output(), (Lines{"client failed Transport"}));
    EXPECT_EQ(run_for(seconds(10)), Lines{}) << "nothing may leave on a dead flow";
    receive(lte_, response_to(invite, 180));
    EXPECT_EQ(output(), Lines{});
    receive(lte_, response_to(invite, 200));
    const auto late = only<DetachedAnswerArrived>();
    EXPECT_EQ(late.transaction, id);
    EXPECT_EQ(late.owner, owner_);
    EXPECT_EQ(late.flow, lte_);
    run_for(seconds(40));
    EXPECT_EQ(layer_.live(), 0U);
  }
}

TEST_F(ClientTransactionTest, ADetachedTransactionReportsNothingAndEnds) {
  struct Case {
    Method method;
    bool provisional;
  };
  for (const Case& c : {Case{Method::Invite, false}, Case{Method::Invite, true},
                        Case{Method::Register, false}, Case{Method::Register, true}}) {
    const auto id = send(c.method);
    const std::string request = sent_one();
    if (c.provisional) receive(wifi_, response_to(request, 100));
    events();
    layer_.detach(id, now_);
    layer_.detach(id, now_);
    layer_.on_flow_failed(wifi_.listener, now_);
    EXPECT_EQ(run_for(milliseconds(31'999)), Lines{});
    EXPECT_EQ(layer_.live_client(), 1U);
    run_for(milliseconds(1));
    EXPECT_EQ(layer_.live_client(), 0U);
  }
}

TEST_F(ClientTransactionTest, AProvisionalResponseDoesNotProlongADetachedTransaction) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  layer_.detach(id, now_);
  now_ += seconds(1);
  receive(wifi_, response_to(invite, 180));
  EXPECT_EQ(run_for(seconds(31)), Lines{});
  EXPECT_EQ(layer_.live_client(), 0U);
}

TEST_F(ClientTransactionTest, ADetachedCancelStillLeavesWhenItMay) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  const auto cancel = layer_.send_cancel(id, now_);
  layer_.detach(*cancel, now_);
  layer_.detach(id, now_);
  receive(wifi_, response_to(invite, 180));
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(describe(datagrams[0]), "send CANCEL");
  receive(wifi_, response_to(datagrams[0].bytes, 200));
  receive(wifi_, response_to(invite, 487));
  EXPECT_EQ(output(), (Lines{"send ACK"}));
  EXPECT_EQ(run_for(seconds(40)), Lines{});
  EXPECT_EQ(layer_.live_client(), 0U);
}

TEST_F(ClientTransactionTest, ACancelHasTheFullWaitWhateverItsInviteHad) {
  TransactionTimers timers;
  timers.timeout = seconds(2);
  const auto id = send(Method::Invite, timers);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 180));
  events();
  ASSERT_TRUE(layer_.send_cancel(id, now_));
  EXPECT_EQ(run_for(milliseconds(4'000)),
            (Lines{"0 send CANCEL", "500 send CANCEL", "1500 send CANCEL", "3500 send CANCEL"}));
}

TEST_F(ClientTransactionTest, ADetachedTransactionAbsorbsLateResponses) {
  const auto reg = send(Method::Register);
  const std::string register_bytes = sent_one();
  layer_.detach(reg, now_);
  receive(wifi_, response_to(register_bytes, 408));
  EXPECT_EQ(output(), Lines{});

  const auto rejected = send(Method::Invite);
  const std::string first = sent_one();
  layer_.detach(rejected, now_);
  receive(wifi_, response_to(first, 503));
  EXPECT_EQ(output(), (Lines{"send ACK"})) << "a failure response is due an ACK all the same";

  const auto answered = send(Method::Invite);
  const std::string second = sent_one();
  layer_.detach(answered, now_);
  receive(wifi_, response_to(second, 200));
  receive(wifi_, response_to(second, 200));
  EXPECT_EQ(output(), (Lines{"detached answer 200 INVITE", "detached answer 200 INVITE"}));
  EXPECT_EQ(layer_.counters().stray_responses, 0U);
}

TEST_F(ClientTransactionTest, DetachingAfterTheAnswerKeepsRetransmissionsVisible) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  receive(wifi_, response_to(invite, 200));
  events();
  layer_.detach(id, now_);
  receive(wifi_, response_to(invite, 200));
  EXPECT_EQ(output(), (Lines{"detached answer 200 INVITE"}));
}

TEST_F(ClientTransactionTest, ADetachedInviteCanStillBeCancelled) {
  const auto id = send(Method::Invite);
  const std::string invite = sent_one();
  layer_.detach(id, now_);
  ASSERT_TRUE(layer_.send_cancel(id, now_, true, lte_));
  EXPECT_EQ(output(), (Lines{"send CANCEL on 2"}));
  // The 487 goes to the old address as a rule; should it reach the new one, its ACK leaves there.
  receive(lte_, response_to(invite, 487));
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(describe(datagrams[0]), "send ACK on 2");
  EXPECT_EQ(datagrams[0].flow.remote, wifi_.remote);
  EXPECT_EQ(events().size(), 0U);
}

TEST_F(ClientTransactionTest, AnAckGoesToTheInvitesServerWhoeverSentTheResponse) {
  send(Method::Invite);
  const std::string invite = sent_one();
  receive(flow_on(2, "10.2.0.2:5060", "198.51.100.66:5099"), response_to(invite, 500));
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].flow, lte_);
}

TEST_F(ClientTransactionTest, AnAckAcrossFamiliesGoesWhereTheResponseCameFrom) {
  send(Method::Invite);
  const std::string invite = sent_one();
  const Flow v6 = flow_on(3, "[2001:db8::2]:5060", "[2001:db8::1]:5080");
  receive(v6, response_to(invite, 500));
  const auto datagrams = sent();
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].flow, v6);
}

// --- who may answer ---

TEST_F(ClientTransactionTest, ResponsesThatAreNotOursAreDropped) {
  send(Method::Invite);
  const std::string invite = sent_one();
  const std::string good = response_to(invite, 200);
  const auto changed = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::string via = "Via: SIP/2.0/UDP 10.1.0.2:5060";
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"a branch nobody has", changed("z9hG4bK", "z9hG4bKx")},
      {"another sent-by host", changed(via, "Via: SIP/2.0/UDP 10.1.0.3:5060")},
      {"another sent-by port", changed(via, "Via: SIP/2.0/UDP 10.1.0.2:5061")},
      {"a host name as sent-by", changed(via, "Via: SIP/2.0/UDP phone.example.com:5060")},
      {"another method", changed("7 INVITE", "7 OPTIONS")},
      {"a second Via line", changed(via, "Via: SIP/2.0/UDP 10.9.0.1\r\n" + via)},
      {"a second Via below", changed("From:", "Via: SIP/2.0/UDP 10.9.0.1\r\nFrom:")},
      {"a second Via in the line", changed(";rport", ";rport, SIP/2.0/UDP 10.9.0.1")},
      {"two more Via elements", changed("From:", "v: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nFrom:")},
  };
  std::uint64_t strays = 0;
  for (const auto& [what, text] : cases) {
    receive(wifi_, text);
    EXPECT_EQ(output(), Lines{}) << what;
    EXPECT_EQ(layer_.counters().stray_responses, ++strays) << what;
  }
  receive(wifi_, good);
  EXPECT_EQ(output(), (Lines{"response 200 INVITE"}));
}

TEST_F(ClientTransactionTest, AMalformedResponseIsDropped) {
  send(Method::Options);
  std::string response = response_to(sent_one(), 200);
  const auto at = response.find("Call-ID");
  response.replace(at, 7, "X-Call-");
  receive(wifi_, response);
  EXPECT_EQ(output(), Lines{});
  EXPECT_EQ(layer_.counters().bad_messages_dropped, 1U);
}

TEST_F(ClientTransactionTest, ExtensionMethodsAreMatchedByTheirName) {
  auto publish = draft(Method::Unknown);
  publish.method_text = "PING";
  wire::set_header(publish.headers, wire::HeaderId::CSeq, "1 PING");
  ASSERT_TRUE(layer_.send_request(publish, "", wifi_, owner_, {}, now_));
  receive(wifi_, response_to(sent_one(), 501));
  EXPECT_EQ(output(), (Lines{"response 501 PING"}));
}

TEST_F(ClientTransactionTest, ARequestTooLargeForADatagramIsRefused) {
  auto large = draft(Method::Message);
  large.body.assign(66'000, 'x');
  EXPECT_EQ(layer_.send_request(large, "", wifi_, owner_, {}, now_).error().code,
            ErrorCode::TooLarge);
  EXPECT_EQ(layer_.live(), 0U);
}

}  // namespace
}  // namespace godwit::sip
