// SPDX-License-Identifier: Apache-2.0
//
// What the layer does with input that belongs to no transaction, and at its limits.
#include "sip/transaction_layer.hpp"

#include <gtest/gtest.h>

#include <set>

#include "sip/transaction_fixture.hpp"

namespace godwit::sip {
namespace {

using wire::Method;

class TransactionLayerTest : public TransactionFixture {};

std::string without(std::string text, const std::string& line_start) {
  const auto at = text.find(line_start);
  EXPECT_NE(at, std::string::npos);
  return text.erase(at, text.find("\r\n", at) + 2 - at);
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_F(TransactionLayerTest, DefectiveRequestsAreAnsweredWithoutState) {
  const std::string good = request("OPTIONS");
  struct Case {
    std::string text;
    int status;
  };
  const std::vector<Case> cases = {
      {without(good, "From:"), 400},
      {without(good, "To:"), 400},
      {without(good, "Call-ID:"), 400},
      {without(good, "CSeq:"), 400},
      {with(good, "3 OPTIONS", "3 INVITE"), 400},
      {with(good, "3 OPTIONS", "4294967296 OPTIONS"), 400},
      {with(good, "Max-Forwards: 70", "Max-Forwards: many"), 400},
      {with(good, "Content-Length: 0", "Content-Length: 5"), 400},
      {with(good, "OPTIONS sip:", "OPTIONS http:"), 416},
      {with(good, "10.1.0.2 SIP/2.0", "10.1.0.2 SIP/3.0"), 505},
  };
  std::uint64_t answered = 0;
  for (const Case& c : cases) {
    receive(wifi_, c.text);
    const auto all = sent();
    ASSERT_EQ(all.size(), 1U) << c.text;
    const auto response = wire::Message::parse(all[0].bytes);
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status(), c.status) << c.text;
    EXPECT_EQ(all[0].flow, wifi_);
    EXPECT_TRUE(events().empty());
    EXPECT_EQ(layer_.live(), 0U);
    EXPECT_EQ(layer_.counters().bad_requests_answered, ++answered);
  }
}

TEST_F(TransactionLayerTest, DefectsThatCannotBeAnsweredAreDropped) {
  const std::string ack = request("ACK", "ACK", "10.9.0.1;branch=z9hG4bKa", "a");
  for (const std::string& text : {without(request("OPTIONS"), "Via:"), without(ack, "Call-ID:"),
                                  with(request("OPTIONS"), "SIP/2.0/UDP", "SIP/2.0")}) {
    receive(wifi_, text);
    EXPECT_EQ(output(), Lines{}) << text;
  }
  EXPECT_EQ(layer_.counters().bad_messages_dropped, 3U);
  EXPECT_EQ(layer_.counters().bad_requests_answered, 0U);
}

TEST_F(TransactionLayerTest, BranchesAreUniqueAndNotGuessable) {
  std::set<std::string> branches;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = layer_.make_via(wifi_);
    const auto via = wire::Via::parse(text);
    ASSERT_TRUE(via);
    EXPECT_TRUE(via->has_unique_branch());
    EXPECT_GE(via->branch().size(), wire::kMagicCookie.size() + 24);
    branches.insert(std::string(via->branch()));
  }
  EXPECT_EQ(branches.size(), 1000U);
}

TEST_F(TransactionLayerTest, TransmitSendsBytesAsTheyAre) {
  ASSERT_TRUE(layer_.transmit(lte_, "anything"));
  const auto all = sent();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].flow, lte_);
  EXPECT_EQ(all[0].bytes, "anything");
  EXPECT_EQ(layer_.transmit(lte_, std::string(66'000, 'x')).error().code, ErrorCode::TooLarge);
}

TEST_F(TransactionLayerTest, OurOwnRequestComingBackIsAnOrdinaryRequest) {
  send(Method::Options);
  const std::string options = sent_one();
  receive(wifi_, options);
  const auto looped = only<RequestArrived>();
  ASSERT_TRUE(respond(looped.transaction, *looped.request, 482));
  receive(wifi_, sent_one());
  // The response has our Via with received and rport, and finds the client transaction.
  EXPECT_EQ(output(), (Lines{"response 482 OPTIONS"}));
}

TEST_F(TransactionLayerTest, NonsenseTimersDoNotStopTheClock) {
  TransactionTimers zero;
  zero.t1 = zero.t2 = zero.t4 = Duration::zero();
  zero.timeout = -seconds(1);
  send(Method::Options, zero);
  TransactionTimers huge;
  huge.t1 = Duration::max();
  huge.t2 = huge.t4 = Duration::max();
  send(Method::Invite, huge);
  sent();
  run_for(seconds(10));
  EXPECT_EQ(layer_.live_client(), 1U);
  layer_.on_timeout(now_);
  EXPECT_GT(layer_.next_timeout(), now_);
}

class SmallTransactionLayerTest : public TransactionFixture {
 protected:
  SmallTransactionLayerTest()
      : TransactionFixture({.max_client = 3, .max_server = 2, .max_pending = 10}) {}

  std::string numbered(const std::string& method, int number) {
    return request(method, method, "10.9.0.1;branch=z9hG4bK" + std::to_string(number));
  }
};

TEST_F(SmallTransactionLayerTest, ClientTransactionsAreBounded) {
  const auto invite = send(Method::Invite);
  send(Method::Options);
  send(Method::Options);
  const auto refused = layer_.send_request(draft(Method::Options), "", wifi_, owner_, {}, now_);
  EXPECT_EQ(refused.error().code, ErrorCode::Busy);
  EXPECT_EQ(layer_.send_cancel(invite, now_, true).error().code, ErrorCode::Busy);
  EXPECT_EQ(layer_.live_client(), 3U);
  EXPECT_EQ(sent().size(), 3U);
  run_for(seconds(40));
  EXPECT_TRUE(layer_.send_request(draft(Method::Options), "", wifi_, owner_, {}, now_));
}

TEST_F(SmallTransactionLayerTest, ServerTransactionsAreBounded) {
  receive(wifi_, numbered("OPTIONS", 1));
  receive(wifi_, numbered("OPTIONS", 2));
  EXPECT_EQ(output(), (Lines{"request OPTIONS", "request OPTIONS"}));
  receive(wifi_, numbered("OPTIONS", 3));
  EXPECT_EQ(output(), (Lines{"send 503 OPTIONS"}));
  EXPECT_EQ(layer_.counters().refused_busy, 1U);
  EXPECT_EQ(layer_.live_server(), 2U);
  receive(wifi_, numbered("OPTIONS", 2));
  EXPECT_EQ(output(), Lines{}) << "known ones are still served";
}

class NarrowTransactionLayerTest : public TransactionFixture {
 protected:
  NarrowTransactionLayerTest()
      : TransactionFixture(
            {.max_client = 3, .max_server = 1'000, .max_pending = 10, .max_server_bytes = 4'000}) {}
};

TEST_F(NarrowTransactionLayerTest, WhatServerTransactionsRememberIsBounded) {
  const auto large = [this](int number) {
    return request(
        "OPTIONS", "OPTIONS",
        "10.9.0.1;x=" + std::string(2'000, 'x') + ";branch=z9hG4bK" + std::to_string(number));
  };
  receive(wifi_, large(1));
  receive(wifi_, large(2));
  EXPECT_EQ(output(), (Lines{"request OPTIONS", "request OPTIONS"}));
  receive(wifi_, large(3));
  EXPECT_EQ(output(), (Lines{"send 503 OPTIONS"}));
  run_for(seconds(40));
  EXPECT_EQ(layer_.live_server(), 0U);
  receive(wifi_, large(4));
  EXPECT_EQ(output(), (Lines{"request OPTIONS"})) << "the ended ones count no more";
}

TEST_F(SmallTransactionLayerTest, NobodyFetchingTheOutputStopsTheInput) {
  for (int i = 0; i < 100; ++i) {
    receive(wifi_, request("ACK", "ACK", "10.9.0.1;branch=z9hG4bKack", "a"));
  }
  EXPECT_EQ(events().size(), 10U);
  EXPECT_EQ(layer_.counters().dropped_busy, 90U);
  for (int i = 0; i < 100; ++i) receive(wifi_, request("CANCEL"));
  EXPECT_EQ(layer_.transmit(wifi_, "x").error().code, ErrorCode::Busy);
  EXPECT_EQ(sent().size(), 10U);
  EXPECT_TRUE(layer_.transmit(wifi_, "x"));
}

TEST(TransactionLayerScale, ManyTransactionsKeepTheirOwnResponsesAndEnd) {
  SeededRandom random(5);
  NullLog log;
  TransactionLayer layer(random, log);
  Flow flow;
  flow.listener = ListenerId{1};
  flow.local = *Endpoint::parse("10.1.0.2:5060");
  flow.remote = *Endpoint::parse("10.9.0.1:5060");
  TimePoint now{};
  std::vector<std::pair<ClientTransactionId, std::string>> all;
  for (int i = 0; i < 5'000; ++i) {
    wire::RequestDraft draft;
    draft.method = Method::Options;
    draft.request_uri = "sip:b@example.com";
    draft.headers = {{wire::HeaderId::From, "<sip:a@example.com>;tag=1"},
                     {wire::HeaderId::To, "<sip:b@example.com>"},
                     {wire::HeaderId::CallId, "c" + std::to_string(i)},
                     {wire::HeaderId::CSeq, "1 OPTIONS"}};
    const auto id = layer.send_request(draft, "", flow, Owner{1}, {}, now);
    ASSERT_TRUE(id);
    all.emplace_back(*id, layer.poll_transmit()->bytes);
  }
  for (std::size_t i = 0; i < all.size(); i += 2) {
    const auto request = wire::Message::parse(all[i].second);
    auto response = wire::Message::parse(wire::serialise(wire::make_response(*request, 200), ""));
    EXPECT_EQ(layer.match_response(*response), all[i].first);
    layer.on_message(flow, std::move(*response), now);
    const auto event = layer.poll_event();
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<ResponseArrived>(*event).transaction, all[i].first);
  }
  std::size_t failed = 0;
  while (const auto next = layer.next_timeout()) {
    now = *next;
    layer.on_timeout(now);
    while (layer.poll_transmit()) {
    }
    while (layer.poll_event()) ++failed;
  }
  EXPECT_EQ(failed, all.size() / 2);
  EXPECT_EQ(layer.live(), 0U);
}

}  // namespace
}  // namespace godwit::sip
