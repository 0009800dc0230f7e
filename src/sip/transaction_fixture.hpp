// SPDX-License-Identifier: Apache-2.0
//
// For tests only: a TransactionLayer in simulated time, and short ways to make messages for it.
// What happens is written down as lines ("500 ms: send INVITE"), which tests compare as a whole.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "sip/transaction_layer.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TransactionFixture : public ::testing::Test {
 protected:
  static Flow flow_on(std::uint32_t listener, const char* local, const char* remote) {
    Flow flow;
    flow.listener = ListenerId{listener};
    flow.local = *Endpoint::parse(local);
    flow.remote = *Endpoint::parse(remote);
    return flow;
  }

  explicit TransactionFixture(TransactionLimits limits = {}) : layer_(random_, log_, limits) {}

  const Flow wifi_ = flow_on(1, "10.1.0.2:5060", "10.9.0.1:5060");
  const Flow lte_ = flow_on(2, "10.2.0.2:5060", "10.9.0.1:5060");
  const Owner owner_{77};

  // --- client side ---

  static wire::RequestDraft draft(wire::Method method) {
    wire::RequestDraft draft;
    draft.method = method;
    draft.request_uri = "sip:bob@example.com";
    draft.headers = {{wire::HeaderId::Route, "<sip:10.9.0.1;lr>"},
                     {wire::HeaderId::From, "<sip:alice@example.com>;tag=a"},
                     {wire::HeaderId::To, "<sip:bob@example.com>"},
                     {wire::HeaderId::CallId, "call-1"},
                     {wire::HeaderId::CSeq, "7 " + std::string(wire::to_string(method))}};
    draft.contact.wanted = true;
    return draft;
  }

  ClientTransactionId send(wire::Method method, const TransactionTimers& timers = {}) {
    const auto id =
        layer_.send_request(draft(method), "<sip:alice@10.1.0.2>", wifi_, owner_, timers, now_);
    EXPECT_TRUE(id) << id.error().detail;
    return id.value_or(ClientTransactionId{});
  }

  /// A response to what was sent, from the network's side.
  static std::string response_to(const std::string& request, int status,
                                 const std::string& to_tag = "b") {
    const auto parsed = wire::Message::parse(request);
    EXPECT_TRUE(parsed);
    return wire::serialise(
        wire::make_response(*parsed, status, {.to_tag = to_tag, .reason = {}, .source = {}}), "");
  }

  // --- server side ---

  /// A request from the network; `via` without the transport.
  static std::string request(const std::string& method, const std::string& cseq_method,
                             const std::string& via = "10.9.0.1:5060;branch=z9hG4bKpeer;rport",
                             const std::string& to_tag = "") {
    return method + " sip:alice@10.1.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP " + via +
           "\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>" +
           (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: call-2\r\nCSeq: 3 " +
           cseq_method + "\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
  }
  static std::string request(const std::string& method) { return request(method, method); }

  Result<void> respond(ServerTransactionId id, const wire::Message& to, int status) {
    return layer_.respond(
        id, wire::make_response(to, status, {.to_tag = "a", .reason = {}, .source = {}}), "", now_);
  }

  // --- both ---

  void receive(const Flow& flow, const std::string& text) {
    auto message = wire::Message::parse(text);
    ASSERT_TRUE(message) << message.error().detail;
    layer_.on_message(flow, std::move(*message), now_);
  }

  std::vector<Transmit> sent() {
    std::vector<Transmit> all;
    while (auto one = layer_.poll_transmit()) all.push_back(std::move(*one));
    return all;
  }
  std::string sent_one() {
    auto all = sent();
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? std::string() : all.front().bytes;
  }
  std::vector<TransactionEvent> events() {
    std::vector<TransactionEvent> all;
    while (auto one = layer_.poll_event()) all.push_back(std::move(*one));
    return all;
  }
  /// The one event there is, which must be of this kind.
  template <typename T>
  T only() {
    auto all = events();
    EXPECT_EQ(all.size(), 1U);
    if (all.size() == 1 && std::holds_alternative<T>(all.front())) return std::get<T>(all.front());
    ADD_FAILURE() << "not the expected event";
    return T{};
  }

  /// "INVITE" or "180 INVITE", and the listener if it is not the first one.
  static std::string describe(const wire::Message& message) {
    if (message.is_request()) return std::string(message.method_text());
    const auto cseq = wire::cseq_of(message);
    return std::to_string(message.status()) + " " + std::string(cseq ? cseq->method_text : "?");
  }
  static std::string describe(const Transmit& transmit) {
    const auto message = wire::Message::parse(transmit.bytes);
    std::string text = message ? describe(*message) : "rubbish";
    if (transmit.flow.listener != ListenerId{1}) {
      text += " on " + std::to_string(transmit.flow.listener.value());
    }
    return "send " + text;
  }
  static std::string describe(const TransactionEvent& event) {
    struct Visitor {
      std::string operator()(const RequestArrived& e) const {
        return "request " + describe(*e.request);
      }
      std::string operator()(const AckArrived&) const { return "ack"; }
      std::string operator()(const CancelArrived&) const { return "cancel"; }
      std::string operator()(const ResponseArrived& e) const {
        return "response " + describe(*e.response);
      }
      std::string operator()(const DetachedAnswerArrived& e) const {
        return "detached answer " + describe(*e.response);
      }
      std::string operator()(const ClientFailed& e) const {
        return std::string("client failed ") + to_string(e.failure);
      }
      std::string operator()(const ServerFailed& e) const {
        return std::string("server failed ") + to_string(e.failure);
      }
    };
    return std::visit(Visitor{}, event);
  }

  /// What came out since the last call: datagrams, then events.
  std::vector<std::string> output() {
    std::vector<std::string> lines;
    for (const Transmit& one : sent()) lines.push_back(describe(one));
    for (const TransactionEvent& one : events()) lines.push_back(describe(one));
    return lines;
  }

  /// Fires timers one by one for `span`; each line begins with the milliseconds since the test
  /// began.
  std::vector<std::string> run_for(Duration span) {
    std::vector<std::string> lines;
    const auto note = [this, &lines] {
      for (const std::string& line : output()) {
        lines.push_back(std::to_string(static_cast<long>(to_ms(now_ - start_))) + " " + line);
      }
    };
    note();
    const TimePoint end = now_ + span;
    for (auto next = layer_.next_timeout(); next && *next <= end; next = layer_.next_timeout()) {
      EXPECT_GT(*next, now_) << "a timer is due in the past";
      now_ = *next;
      layer_.on_timeout(now_);
      note();
    }
    now_ = end;
    return lines;
  }

  SeededRandom random_{42};
  NullLog log_;
  TransactionLayer layer_;
  const TimePoint start_ = TimePoint{} + seconds(1000);
  TimePoint now_ = start_;
};

using Lines = std::vector<std::string>;

}  // namespace godwit::sip
