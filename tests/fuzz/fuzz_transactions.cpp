// SPDX-License-Identifier: Apache-2.0
//
// The transaction layer driven by a sequence of operations: packets of several shapes, time, and
// every call of its interface in any order. Besides memory safety it is asserted that tables stay
// within their limits, timers lie in the future, an owner hears of its transactions in an order
// that makes sense, what leaves is well-formed, and in the end everything can be brought to an end.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "sip/transaction_layer.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/message.hpp"
#include "wire/sip/validate.hpp"

namespace {

using namespace godwit;
using namespace godwit::sip;
using std::chrono::milliseconds;

// Says which one failed, for a fuzz build has no symboliser of its own.
void require(bool condition, std::source_location where = std::source_location::current()) {
  if (condition) return;
  std::fprintf(stderr, "requirement failed at line %u\n", static_cast<unsigned>(where.line()));
  std::abort();
}

enum class Operation : std::uint8_t {
  Request,   ///< A request put together from a few choices, so that branches meet.
  Response,  ///< To something that was sent.
  Echo,      ///< Something that was sent, with one byte changed or none.
  RawBytes,
  Wait,  ///< Some milliseconds.
  NextTimeout,
  LongSleep,
  SendRequest,
  SendCancel,
  Detach,
  Respond,
  Retransmit,
  MoveServer,
  FlowFailed,
  Transmit,
  NoDrain,  ///< The next operation's output is not fetched.
  Count,
};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : byte() % limit; }
  std::string bytes(std::size_t count) {
    count = std::min(count, left_);
    std::string text(reinterpret_cast<const char*>(data_), count);
    data_ += count;
    left_ -= count;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

constexpr TransactionLimits kLimits{.max_client = 8, .max_server = 8, .max_pending = 16};
constexpr std::size_t kRemembered = 24;

constexpr const char* kMethods[] = {"INVITE", "ACK", "CANCEL", "OPTIONS", "BYE", "PING"};

class Driver {
 public:
  explicit Driver(Input input) : input_(input), layer_(random_, log_, kLimits) {}

  void run() {
    for (int step = 0; step < 300 && !input_.empty(); ++step) {
      operate(static_cast<Operation>(input_.below(static_cast<std::size_t>(Operation::Count))));
      if (drain_) drain();
      drain_ = true;
      check();
    }
    finish();
  }

 private:
  struct Client {
    bool invite = false;
    bool detached = false;
    bool failed = false;
    bool final_seen = false;
  };
  struct Server {
    ServerTransactionId id;
    MessagePtr request;
  };

  Flow flow(std::size_t choice) const {
    Flow flow;
    flow.listener = ListenerId{static_cast<std::uint32_t>(1 + choice % 3)};
    flow.local = choice % 3 == 2 ? Endpoint{IpAddress::any(Family::V6), 5060}
                                 : Endpoint{IpAddress::v4(10, 0, 0, 2), 5060};
    flow.remote = choice % 3 == 2 ? Endpoint{IpAddress::any(Family::V6), 5080}
                                  : Endpoint{IpAddress::v4(10, 0, 0, 1), 5060};
    return flow;
  }
  Flow any_flow() { return flow(input_.byte()); }

  void receive(const Flow& on, std::string text) {
    auto message = wire::Message::parse(std::move(text));
    if (message) layer_.on_message(on, std::move(*message), now_);
  }

  ClientTransactionId any_client() {
    if (clients_.empty()) return ClientTransactionId{input_.byte()};
    auto it = clients_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(input_.below(clients_.size())));
    return it->first;
  }
  Server any_server() {
    if (servers_.empty()) return {ServerTransactionId{input_.byte()}, nullptr};
    return servers_[input_.below(servers_.size())];
  }
  std::string any_sent() { return sent_.empty() ? "" : sent_[input_.below(sent_.size())]; }

  void operate(Operation operation) {
    switch (operation) {
      case Operation::Request: return request();
      case Operation::Response: return response();
      case Operation::Echo: return echo();
      case Operation::RawBytes: return receive(any_flow(), input_.bytes(input_.byte() * 4U));
      case Operation::Wait: return advance(now_ + milliseconds(input_.byte() * 10));
      case Operation::NextTimeout:
        if (const auto next = layer_.next_timeout()) advance(*next);
        return;
      case Operation::LongSleep: return advance(now_ + std::chrono::hours(1));
      case Operation::SendRequest: return send_request();
      case Operation::SendCancel: {
        const ClientTransactionId invite = any_client();
        const auto id = layer_.send_cancel(
            invite, now_, input_.byte() % 2 == 0,
            input_.byte() % 2 == 0 ? std::optional<Flow>(any_flow()) : std::nullopt);
        if (id) require(clients_.emplace(*id, Client{}).second);
        return;
      }
      case Operation::Detach: {
        const ClientTransactionId id = any_client();
        // Events that wait already are still the owner's.
        drain();
        layer_.detach(id, now_);
        if (const auto found = clients_.find(id); found != clients_.end()) {
          found->second.detached = true;
        }
        return;
      }
      case Operation::Respond: return respond();
      case Operation::Retransmit: static_cast<void>(layer_.retransmit(any_server().id)); return;
      case Operation::MoveServer: return layer_.move_server(any_server().id, any_flow());
      case Operation::FlowFailed: return layer_.on_flow_failed(any_flow().listener, now_);
      case Operation::Transmit:
        static_cast<void>(layer_.transmit(
            any_flow(), "OPTIONS sip:x SIP/2.0\r\nVia: " + layer_.make_via(any_flow()) +
                            "\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\n"
                            "CSeq: 1 OPTIONS\r\n\r\n"));
        return;
      case Operation::NoDrain: drain_ = false; return;
      case Operation::Count: return;
    }
  }

  void request() {
    const std::string method = kMethods[input_.below(std::size(kMethods))];
    const std::uint8_t choice = input_.byte();
    std::string text = method + " sip:alice@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1";
    if ((choice & 1U) != 0) text += ":5060";
    text += (choice & 2U) != 0 ? ";branch=z9hG4bK" : ";branch=";
    text += std::to_string((choice >> 2U) % 4U);
    if ((choice & 16U) != 0) text += ";rport";
    if ((choice & 32U) != 0) text += ", SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKdown";
    text += "\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>";
    if ((choice & 64U) != 0) text += ";tag=a";
    text += "\r\nCall-ID: c\r\nCSeq: 1 " + method + "\r\n";
    if ((choice & 128U) != 0) text += "Content-Length: 7\r\n";  // A defect: there is no body.
    receive(any_flow(), text + "\r\n");
  }

  void response() {
    const auto request = wire::Message::parse(any_sent());
    if (!request || !request->is_request()) return;
    constexpr int kStatuses[] = {100, 180, 200, 202, 302, 401, 487, 503, 603};
    const int status = kStatuses[input_.below(std::size(kStatuses))];
    receive(any_flow(),
            wire::serialise(wire::make_response(*request, status, {.to_tag = "t"}), {}));
  }

  void echo() {
    std::string text = any_sent();
    const std::size_t at = input_.byte() * 2U;
    const auto value = static_cast<char>(input_.byte());
    if (value != 0 && at < text.size()) text[at] = value;
    receive(any_flow(), std::move(text));
  }

  void send_request() {
    constexpr wire::Method kOwn[] = {wire::Method::Invite, wire::Method::Register,
                                     wire::Method::Bye, wire::Method::Ack};
    wire::RequestDraft draft;
    draft.method = kOwn[input_.below(std::size(kOwn))];
    draft.request_uri = "sip:bob@example.com";
    draft.headers = {{wire::HeaderId::From, "<sip:alice@example.com>;tag=a"},
                     {wire::HeaderId::To, "<sip:bob@example.com>"},
                     {wire::HeaderId::CallId, "own"},
                     {wire::HeaderId::CSeq, "1 " + std::string(wire::to_string(draft.method))}};
    TransactionTimers timers;
    timers.t1 = milliseconds(input_.byte() * 4);
    if (input_.byte() % 4 == 0) timers.timeout = milliseconds(input_.byte() * 100);
    const auto id = layer_.send_request(draft, {}, any_flow(), Owner{9}, timers, now_);
    if (!id) return;
    Client client;
    client.invite = draft.method == wire::Method::Invite;
    require(clients_.emplace(*id, client).second);
  }

  void respond() {
    const Server server = any_server();
    if (server.request == nullptr) return;
    constexpr int kStatuses[] = {100, 180, 200, 404, 487, 603};
    static_cast<void>(layer_.respond(
        server.id,
        wire::make_response(*server.request, kStatuses[input_.below(std::size(kStatuses))],
                            {.to_tag = "a"}),
        "<sip:alice@10.0.0.2>", now_));
  }

  void advance(TimePoint to) {
    now_ = std::max(now_, to);
    layer_.on_timeout(now_);
    const auto next = layer_.next_timeout();
    require(!next || *next > now_);
  }

  void drain() {
    while (const auto datagram = layer_.poll_transmit()) {
      const auto message = wire::Message::parse(datagram->bytes);
      require(message.has_value());
      // A response repeats what a defective request had; requests are our own.
      if (message->is_request()) require(!wire::validate(*message));
      require(!message->raw().empty() && datagram->bytes.size() <= 65'507);
      if (sent_.size() == kRemembered) sent_.erase(sent_.begin());
      sent_.push_back(datagram->bytes);
    }
    while (auto event = layer_.poll_event()) {
      std::visit([this](const auto& one) { on(one); }, *event);
    }
  }

  void on(const RequestArrived& event) {
    require(requests_seen_.insert(event.transaction).second);
    require(event.request->is_request() && event.request->method() != wire::Method::Ack &&
            event.request->method() != wire::Method::Cancel);
    require(!wire::validate(*event.request));
    if (servers_.size() == kRemembered) servers_.erase(servers_.begin());
    servers_.push_back({event.transaction, event.request});
  }
  void on(const AckArrived& event) { require(event.ack->method() == wire::Method::Ack); }
  void on(const CancelArrived& event) {
    require(requests_seen_.contains(event.invite));
    require(cancels_seen_.insert(event.invite).second);
  }
  Client& client(ClientTransactionId id, Owner owner) {
    require(owner == Owner{9});
    const auto found = clients_.find(id);
    require(found != clients_.end());
    return found->second;
  }
  void on(const ResponseArrived& event) {
    Client& owner = client(event.transaction, event.owner);
    require(!owner.detached && !owner.failed);
    const bool success = event.response->status() / 100 == 2;
    if (owner.final_seen) require(owner.invite && success);
    if (event.response->status() >= 200) owner.final_seen = true;
  }
  void on(const DetachedAnswerArrived& event) {
    const Client& owner = client(event.transaction, event.owner);
    require(owner.invite && (owner.detached || owner.failed));
    require(event.response->status() / 100 == 2);
  }
  void on(const ClientFailed& event) {
    Client& owner = client(event.transaction, event.owner);
    require(!owner.detached && !owner.failed && !owner.final_seen);
    owner.failed = true;
  }
  void on(const ServerFailed& event) { require(requests_seen_.contains(event.transaction)); }

  void check() {
    require(layer_.live_client() <= kLimits.max_client);
    require(layer_.live_server() <= kLimits.max_server);
  }

  /// Whatever state was reached: with nothing more to come, nothing remains.
  void finish() {
    drain();
    for (const auto& [id, unused] : clients_) layer_.detach(id, now_);
    for (auto& [id, one] : clients_) one.detached = true;
    for (const auto& server : servers_) {
      static_cast<void>(
          layer_.respond(server.id, wire::make_response(*server.request, 487), {}, now_));
    }
    drain();
    for (int i = 0; i < 10'000; ++i) {
      const auto next = layer_.next_timeout();
      if (!next) break;
      advance(*next);
      drain();
    }
    require(!layer_.next_timeout());
    require(layer_.live_client() == 0);
    // Server INVITEs that the driver has forgotten may still wait for it.
    if (requests_seen_.size() <= kRemembered) require(layer_.live_server() == 0);
  }

  Input input_;
  SeededRandom random_{1};
  NullLog log_;
  TransactionLayer layer_;
  TimePoint now_ = TimePoint{} + std::chrono::seconds(1);
  bool drain_ = true;
  std::map<ClientTransactionId, Client> clients_;
  std::vector<Server> servers_;
  std::set<ServerTransactionId> requests_seen_;
  std::set<ServerTransactionId> cancels_seen_;
  std::vector<std::string> sent_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Driver(Input(data, size)).run();
  return 0;
}
