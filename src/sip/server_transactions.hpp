// SPDX-License-Identifier: Apache-2.0
//
// All server transactions: their messages, flows and timers around the machines of
// server_machine.hpp, and the answers that need no transaction. Internal to the transaction layer,
// which documents the behaviour.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/result.hpp"
#include "sip/hash_index.hpp"
#include "sip/server_machine.hpp"
#include "sip/slab.hpp"
#include "sip/transaction_common.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::sip {

class ServerTransactions {
 public:
  explicit ServerTransactions(TransactionContext context) : context_(context) {}

  Result<void> respond(ServerTransactionId id, wire::ResponseDraft draft,
                       const std::string& contact_value, TimePoint now);
  Result<void> retransmit(ServerTransactionId id);
  void move(ServerTransactionId id, const Flow& flow);
  std::optional<Transmit> last_response(ServerTransactionId id) const;
  std::optional<Flow> flow_of(ServerTransactionId id) const;

  /// A valid request.
  void on_request(const Flow& flow, const MessagePtr& request, TimePoint now);
  /// Answers without a transaction (RFC 3261 §8.2.7). Nothing is sent for an ACK, or when the
  /// request has no Via to answer by.
  bool respond_statelessly(const Flow& flow, const wire::Message& request, int status,
                           std::string_view reason, wire::DraftHeaders headers = {});
  void answer_statelessly(std::function<bool(const Flow&, const wire::Message&)> decide) {
    is_stateless_ = std::move(decide);
  }
  void on_timer(const TransactionTimer& timer, TimePoint now);
  void on_flow_failed(ListenerId listener, TimePoint now);
  void on_connection_lost(ListenerId connection);

  void shape_responses(std::function<void(ServerTransactionId, wire::ResponseDraft&)> shape) {
    shape_ = std::move(shape);
  }

  std::optional<ServerTransactionId> match(const wire::Message& request) const;
  std::size_t size() const { return transactions_.size(); }

 private:
  struct Transaction {
    ServerTransactionId id;
    Hash128 key;
    Flow flow;         ///< Where responses go.
    Endpoint source;   ///< Where the request came from.
    Endpoint sent_by;  ///< Where a new connection goes to if that one is gone.
    bool invite = false;
    ServerState state = ServerState::Terminated;
    std::string top_via;   ///< Of the request, with received and rport.
    std::string to_tag;    ///< That we gave the request in a response.
    std::string response;  ///< The last one, as sent.
    Duration interval{};
    TimerId retransmit_timer;
    TimerId end_timer;  ///< Timeout or linger.
    TimePoint end_at{};
    bool cancelled = false;
    bool flow_dead = false;  ///< Nothing leaves until `move`.
    bool withheld = false;   ///< Something should have left meanwhile.
  };

  void create(const Flow& flow, const MessagePtr& request, const wire::Via& top_via,
              const Hash128& key, TimePoint now);
  void on_cancel(const Flow& flow, const MessagePtr& cancel, Transaction* invite);
  ServerStep step(const Transaction& transaction, ServerInput input) const;
  void feed(Transaction& transaction, ServerInput input, TimePoint now);
  void apply(Transaction& transaction, const ServerStep& step, ServerInput cause, TimePoint now);
  void enter(Transaction& transaction, ServerState next, ServerInput cause, TimePoint now);
  void send(Transaction& transaction);
  void arm(Transaction& transaction, TransactionTimer::Kind kind, TimePoint at);
  void disarm(TimerId& timer);
  void erase(Transaction& transaction);
  std::string stateless_tag(const wire::Message& request) const;

  TransactionContext context_;
  /// Server transactions keep the RFC's values: what we retransmit depends on the peer's patience.
  TransactionTimers timers_;
  Slab<Transaction, ServerTransactionId> transactions_;
  HashIndex index_;
  std::function<bool(const Flow&, const wire::Message&)> is_stateless_;
  std::function<void(ServerTransactionId, wire::ResponseDraft&)> shape_;
  std::size_t bytes_ = 0;  ///< Of all transactions' texts.
};

}  // namespace godwit::sip
