// SPDX-License-Identifier: Apache-2.0
//
// The transaction layer: pairs requests and responses, retransmits over unreliable transports,
// absorbs retransmissions (RFC 3261 §17 with the Accepted states of RFC 6026). Owned by the core;
// one thread; no I/O and no clock. Each input is followed by draining `poll_transmit` and
// `poll_event`; nothing is called back, so there is no re-entrancy.
//
// A client transaction's Via and Contact are filled at its first transmission and then frozen: its
// CANCEL and its ACK to a failure copy the Via byte for byte. What is sent anew after an address
// change is the recovery's decision: nothing here retries a request or chooses a flow.
// Not done here: dialogs, the ACK to a 2xx, retransmission of a 2xx (both are the session's, see
// `transmit` and `retransmit`), merged requests (482), authentication.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "godwit/result.hpp"
#include "sip/flow.hpp"
#include "sip/transaction.hpp"

namespace godwit::wire {
class Message;
struct DraftHeader;
struct RequestDraft;
struct ResponseDraft;
}  // namespace godwit::wire

namespace godwit::sip {

class TransactionLayer {
 public:
  TransactionLayer(Random& random, Log& log, TransactionLimits limits = {});
  ~TransactionLayer();
  TransactionLayer(const TransactionLayer&) = delete;
  TransactionLayer& operator=(const TransactionLayer&) = delete;

  // --- client ---

  /// Sends a request other than ACK and CANCEL in a new transaction on `flow`. `contact_value`
  /// fills the draft's Contact slot, if it has one. Busy when the limit is reached.
  Result<ClientTransactionId> send_request(const wire::RequestDraft& draft,
                                           const std::string& contact_value, const Flow& flow,
                                           Owner owner, const TransactionTimers& timers,
                                           TimePoint now);

  /// Cancels an INVITE (RFC 3261 §9.1). Without a provisional response so far the CANCEL waits for
  /// one, and is never sent if a final response comes first; `even_without_provisional` sends it
  /// at once (design §5: the responses may be lost on a dead flow). `other_flow` carries the same
  /// frozen Via to the same server from a new socket. The INVITE ends as a Timeout when 64*T1 after
  /// the CANCEL there is still no final response. WrongState after a final response, NotFound for
  /// an ended or unknown transaction. The CANCEL's events go to the INVITE's owner under the
  /// returned id.
  Result<ClientTransactionId> send_cancel(ClientTransactionId invite, TimePoint now,
                                          bool even_without_provisional = false,
                                          const std::optional<Flow>& other_flow = std::nullopt);

  /// The owner no longer wants to hear of it: no response, no timer, no transport failure is
  /// reported, and no retransmission leaves. Responses of the next 64*T1 are still absorbed, a
  /// failure response to an INVITE is still ACKed, and a 2xx to an INVITE comes as
  /// DetachedAnswerArrived. A CANCEL that waits for a provisional response is still sent then.
  /// Unknown ids are ignored.
  void detach(ClientTransactionId transaction, TimePoint now);

  /// The flow that a live client transaction sends on.
  std::optional<Flow> client_flow(ClientTransactionId transaction) const;

  // --- server ---

  /// Sends a response made by wire::make_response; `received` and `rport` of its top Via are filled
  /// in here. A provisional one replaces what retransmissions of the request are answered with. A
  /// further 2xx to an INVITE in Accepted is sent as it is (RFC 6026 §8.7). WrongState after a
  /// final one, NotFound once the transaction has ended.
  Result<void> respond(ServerTransactionId transaction, const wire::ResponseDraft& draft,
                       const std::string& contact_value, TimePoint now);
  /// Sends the last response again as it was, e.g. a 2xx without an ACK. WrongState if there is
  /// none.
  Result<void> retransmit(ServerTransactionId transaction);
  /// From now on responses leave on `flow`, whatever the request's Via says (design §5: after a
  /// change the registered flow instead of the dead one). What was held back while the flow was
  /// dead is sent. Unknown ids are ignored.
  void move_server(ServerTransactionId transaction, const Flow& flow);
  /// What `retransmit` would send, for sessions that go on after the transaction has ended.
  std::optional<Transmit> last_response(ServerTransactionId transaction) const;
  /// The flow that responses leave on.
  std::optional<Flow> server_flow(ServerTransactionId transaction) const;

  // --- without a transaction ---

  /// Which new requests are to be answered without a transaction (RFC 3261 §8.2.7): those for which
  /// `decide` says so. They cost no memory, no timer and no retransmission, so that a flood of them
  /// leaves nothing behind; what their answer says must follow from the request alone, as each copy
  /// gets its own. `decide` must not call the layer. Never asked for ACK and CANCEL.
  void answer_statelessly(
      std::function<bool(const Flow& flow, const wire::Message& request)> decide);
  /// The final answer to a request that came without a transaction: `status` with the To tag that
  /// every copy of the request gets, and `headers` behind the usual ones.
  Result<void> respond_statelessly(const RequestArrived& event, int status,
                                   std::vector<wire::DraftHeader> headers);

  /// Queues bytes as they are: the ACK to a 2xx and its retransmissions. Busy if nobody drains.
  Result<void> transmit(const Flow& flow, std::string bytes);
  /// The value of a Via with a new branch, for that ACK.
  std::string make_via(const Flow& flow);

  // --- drafts ---

  /// Each is given every draft before it is frozen: requests but ACKs (a CANCEL with the owner of
  /// its INVITE), and responses but 100 and those to malformed requests, with the transaction that
  /// they belong to, zero for one without. They may change headers that no layer depends on, and
  /// must not call the layer.
  struct DraftShapers {
    std::function<void(Owner, wire::RequestDraft&)> request;
    std::function<void(ServerTransactionId, wire::ResponseDraft&)> response;
  };
  void shape_drafts(DraftShapers shapers);

  // --- input ---

  /// A parsed message from the network. A defective request gets a 400 where it can be answered.
  void on_message(const Flow& flow, wire::Message message, TimePoint now);
  /// A send error, or the socket is gone. Client transactions on it fail with Transport; server
  /// transactions keep their responses until moved.
  void on_flow_failed(ListenerId listener, TimePoint now);
  /// A connection has ended, but its local address still works: as on_flow_failed for client
  /// transactions; responses leave on a new connection to the sender's sent-by (RFC 3261 §18.2.2).
  void on_connection_lost(ListenerId connection, TimePoint now);
  /// The request went out on another connection than its flow says: with it the transaction lives
  /// and fails. Unknown ids are ignored.
  void move_client(ClientTransactionId transaction, ListenerId connection);
  /// The request could not be sent at all: its transaction fails with Transport.
  void on_request_failed(ClientTransactionId transaction, TimePoint now);
  /// Fires every timer due at `now`.
  void on_timeout(TimePoint now);
  std::optional<TimePoint> next_timeout();

  // --- output ---

  std::optional<TransactionEvent> poll_event();
  std::optional<Transmit> poll_transmit();

  /// The live transaction that a message belongs to, as `on_message` finds it (RFC 3261 §17.1.3,
  /// §17.2.3): one look-up, whatever their number. An ACK or CANCEL belongs to its INVITE here.
  std::optional<ClientTransactionId> match_response(const wire::Message& response) const;
  std::optional<ServerTransactionId> match_request(const wire::Message& request) const;

  std::size_t live_client() const;
  std::size_t live_server() const;
  std::size_t live() const { return live_client() + live_server(); }
  const TransactionCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::sip
