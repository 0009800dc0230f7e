// SPDX-License-Identifier: Apache-2.0
//
// All client transactions: their messages, flows and timers around the machines of
// client_machine.hpp. Internal to the transaction layer, which documents the behaviour.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/result.hpp"
#include "sip/client_machine.hpp"
#include "sip/hash_index.hpp"
#include "sip/slab.hpp"
#include "sip/transaction_common.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::sip {

class ClientTransactions {
 public:
  explicit ClientTransactions(TransactionContext context) : context_(context) {}

  Result<ClientTransactionId> send_request(const wire::RequestDraft& draft,
                                           const std::string& contact_value, const Flow& flow,
                                           Owner owner, const TransactionTimers& timers,
                                           TimePoint now);
  Result<ClientTransactionId> send_cancel(ClientTransactionId invite, TimePoint now,
                                          bool even_without_provisional,
                                          const std::optional<Flow>& other_flow);
  void detach(ClientTransactionId id, TimePoint now);
  std::optional<Flow> flow_of(ClientTransactionId id) const;

  void on_response(const Flow& flow, const MessagePtr& response, TimePoint now);
  void on_timer(const TransactionTimer& timer, TimePoint now);
  void on_flow_failed(ListenerId listener, TimePoint now);
  void on_request_failed(ClientTransactionId id, TimePoint now);
  void move(ClientTransactionId id, ListenerId connection);

  std::optional<ClientTransactionId> match(const wire::Message& response) const;
  std::size_t size() const { return transactions_.size(); }

  /// A branch that names no live transaction.
  std::string new_branch();

  void shape_requests(std::function<void(Owner, wire::RequestDraft&)> shape) {
    shape_ = std::move(shape);
  }

 private:
  struct Transaction {
    ClientTransactionId id;
    Owner owner;
    Hash128 key;
    Flow flow;
    bool invite = false;
    ClientState state = ClientState::Terminated;
    TransactionTimers timers;
    std::string bytes;  ///< Of the request, as sent.
    std::string ack;    ///< To a failure response; made when the first one arrives.
    Duration interval{};
    TimerId retransmit_timer;
    TimerId end_timer;  ///< Timeout or linger.
    TimePoint end_at{};
    std::optional<TimePoint> sent_at;  ///< Until the first response or retransmission.
    bool detached = false;
    /// INVITE: its CANCEL, waiting for a provisional response or sent.
    ClientTransactionId cancel;
    /// INVITE whose CANCEL has left: no longer waited for than this.
    std::optional<TimePoint> cancelled_until;
    /// A request that is too large for a datagram goes by TCP; if that fails before any response,
    /// it goes as what it was.
    struct Datagram {
      wire::RequestDraft draft;
      std::string contact_value;
      Flow flow;
    };
    std::unique_ptr<Datagram> datagram;
    /// CANCEL that waits for a provisional response to its INVITE.
    bool held = false;
  };

  /// Takes it in under the key of its Via and method; `begin` makes it findable and sends it.
  Result<Transaction*> add(std::unique_ptr<Transaction> transaction, std::string_view via,
                           std::string_view method);
  void fall_back(Transaction& transaction, TimePoint now);
  void begin(Transaction& transaction, TimePoint now);
  void feed(Transaction& transaction, ClientInput input, const Flow* flow,
            const MessagePtr& response, TimePoint now);
  /// Changes the state and sets the timers that belong to the new one. False if `transaction` is no
  /// more.
  void enter(Transaction& transaction, ClientState next, ClientInput cause, TimePoint now);
  void arm(Transaction& transaction, TransactionTimer::Kind kind, TimePoint at);
  void disarm(TimerId& timer);
  void on_retransmit(Transaction& transaction, TimePoint now);
  void pass_up(Transaction& transaction, const Flow& flow, const MessagePtr& response,
               TimePoint now);
  void send_ack(Transaction& transaction, const Flow& arrived, const wire::Message& response);
  void release_cancel(Transaction& invite, TimePoint now);
  void erase(Transaction& transaction);

  TransactionContext context_;
  std::function<void(Owner, wire::RequestDraft&)> shape_;
  Slab<Transaction, ClientTransactionId> transactions_;
  HashIndex index_;
};

}  // namespace godwit::sip
