// SPDX-License-Identifier: Apache-2.0
//
// The vocabulary of the transaction layer (RFC 3261 §17, RFC 6026) for those above it: identities,
// timers, limits, events and counters. No behaviour.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"
#include "sip/flow.hpp"

namespace godwit::wire {
class Message;
}

namespace godwit::sip {

/// Ids are never used twice while the layer lives: that of an ended transaction names nothing.
using ClientTransactionId = StrongId<struct ClientTransactionIdTag, std::uint64_t>;
using ServerTransactionId = StrongId<struct ServerTransactionIdTag, std::uint64_t>;
/// Which usage (registration, session) gets a client transaction's events. The layer only hands it
/// back.
using Owner = StrongId<struct OwnerTag, std::uint64_t>;

/// The shared form of an arrived message: events and usages keep it without copying.
using MessagePtr = std::shared_ptr<const wire::Message>;

/// RFC 3261 §17.1.1.1 and Table 4. A recovery request takes a T1 from the measured round trip.
struct TransactionTimers {
  Duration t1 = std::chrono::milliseconds(500);
  Duration t2 = std::chrono::seconds(4);
  Duration t4 = std::chrono::seconds(5);
  /// Instead of timers B and F (64*T1): how long a request waits for its first, respectively its
  /// final, response.
  std::optional<Duration> timeout;

  /// The RFC's values, but a T1 of `rtt`, within [kMinT1, 500 ms]: one below the true round trip
  /// only adds load, and round trips are estimated.
  static TransactionTimers from_rtt(Duration rtt);
  static constexpr Duration kMinT1 = std::chrono::milliseconds(100);
};

struct TransactionLimits {
  std::size_t max_client = 100'000;
  std::size_t max_server = 100'000;
  /// With so many events, or datagrams, not yet fetched, arriving messages are dropped and counted.
  std::size_t max_pending = 4'096;
  /// Larger requests to be sent by UDP go by TCP, and by UDP only if that fails (RFC 3261 §18.1.1,
  /// for a path whose MTU is not known). 0: never.
  std::size_t max_datagram_request = 1'300;
  /// What server transactions remember of requests and responses, which others choose the size of.
  std::size_t max_server_bytes = 64U * 1024 * 1024;
};

/// A request that is no retransmission. Answer it with TransactionLayer::respond. For an INVITE the
/// layer has sent 100 already. Without a transaction (see answer_statelessly) it may be a
/// retransmission too, and is answered with TransactionLayer::respond_statelessly.
struct RequestArrived {
  ServerTransactionId transaction;  ///< Zero: none was made.
  Flow flow;                        ///< The one that it came on; its remote is the packet's source.
  MessagePtr request;
};

/// An ACK that belongs to no live rejected INVITE: one to a 2xx, for the session that sent it.
struct AckArrived {
  Flow flow;
  MessagePtr ack;
};

/// The CANCEL itself has its answer already; an INVITE still without a final response is due a 487
/// (RFC 3261 §9.2).
struct CancelArrived {
  ServerTransactionId invite;
  MessagePtr cancel;
};

/// Any response, 100 included, to a request that its owner still cares about.
struct ResponseArrived {
  ClientTransactionId transaction;
  Owner owner;
  Flow flow;  ///< The one that the response came on: after a change not the one we sent on.
  MessagePtr response;
  /// From the request to this, its first response. Absent for later ones, and once the request has
  /// been retransmitted: nobody knows which copy was answered (Karn's rule).
  std::optional<Duration> round_trip = std::nullopt;
};

/// A 2xx to an INVITE that was detached (or whose owner was told of a failure): the peer has a call
/// or an answered offer that nobody expects; it is due an ACK.
struct DetachedAnswerArrived {
  ClientTransactionId transaction;
  Owner owner;
  Flow flow;
  MessagePtr response;
};

enum class TransactionFailure : std::uint8_t {
  Timeout,    ///< Client: timer B or F; treat as 408 (RFC 3261 §8.1.3.1). Server: timer H, no ACK.
  Transport,  ///< Its flow died. Client: treat as 503.
};
const char* to_string(TransactionFailure failure);

struct ClientFailed {
  ClientTransactionId transaction;
  Owner owner;
  TransactionFailure failure;
};

/// Timeout: ended. Transport: the transaction waits for TransactionLayer::move_server (RFC 6026
/// §8.7: a transport error does not end it).
struct ServerFailed {
  ServerTransactionId transaction;
  TransactionFailure failure;
};

using TransactionEvent = std::variant<RequestArrived, AckArrived, CancelArrived, ResponseArrived,
                                      DetachedAnswerArrived, ClientFailed, ServerFailed>;

/// A message to be sent.
struct Transmit {
  Flow flow;
  std::string bytes;
  /// The client transaction whose request this is; zero: none. For streams: it moves along if the
  /// request takes another connection than `flow` (TransactionLayer::move_client).
  ClientTransactionId request = {};
};

/// What arrived and went nowhere, and what it cost. Only ever grows.
struct TransactionCounters {
  std::uint64_t requests_received = 0;
  std::uint64_t responses_received = 0;
  std::uint64_t retransmissions_absorbed = 0;  ///< Requests answered by replay, or silently.
  std::uint64_t retransmissions_sent = 0;      ///< By timers A, E and G.
  std::uint64_t bad_requests_answered = 0;     ///< With 400.
  std::uint64_t bad_messages_dropped = 0;      ///< Could not be answered.
  std::uint64_t stray_responses = 0;           ///< Matched no transaction, or had not our Via.
  std::uint64_t stray_acks = 0;
  std::uint64_t refused_busy = 0;  ///< Requests over the limit, answered with 503.
  std::uint64_t dropped_busy = 0;  ///< Messages dropped because nobody fetched the output.
  std::uint64_t client_timeouts = 0;
  std::uint64_t server_timeouts = 0;
};

}  // namespace godwit::sip
