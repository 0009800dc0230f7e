// SPDX-License-Identifier: Apache-2.0
//
// What the tables of client and server transactions share: the output queues, the timers' tag, the
// hash of what a message is matched by, and the address that a response goes to. Internal to the
// transaction layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/timer_queue.hpp"
#include "sip/flow.hpp"
#include "sip/keyed_hash.hpp"
#include "sip/transaction.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {

/// RFC 3261 §18.1.1: the largest UDP payload. Beyond it a datagram cannot be sent at all.
inline constexpr std::size_t kMaxDatagram = 65'507;

/// The largest message that may leave: what a datagram holds, respectively what our own kind takes
/// from a stream.
constexpr std::size_t max_message(Transport transport) {
  return is_stream(transport) ? wire::kMaxMessageSize : kMaxDatagram;
}

/// How long a peer with the RFC's timers may go on sending the same response, whatever our T1.
inline constexpr Duration kPeerPersistence = std::chrono::seconds(32);

/// Every transaction has at most one of each kind.
struct TransactionTimer {
  enum class Kind : std::uint8_t {
    Retransmit,  ///< A, E, G
    Timeout,     ///< B, F, H
    Linger,      ///< D, I, J, K, L, M
  };
  bool server = false;
  std::uint64_t transaction = 0;
  Kind kind = Kind::Retransmit;
};
using TransactionTimerQueue = TimerQueue<TransactionTimer>;

/// Events and datagrams that wait to be fetched.
class TransactionOutput {
 public:
  explicit TransactionOutput(std::size_t max_pending) : max_pending_(max_pending) {}

  void report(TransactionEvent event) { events_.push_back(std::move(event)); }
  void send(const Flow& flow, std::string bytes, ClientTransactionId request = {}) {
    datagrams_.push_back(Transmit{flow, std::move(bytes), request});
  }
  /// Nothing more is to be accepted from the network. What timers and the transaction user cause is
  /// bounded by the number of transactions and by the user's own calls.
  bool full() const { return events_.size() >= max_pending_ || datagrams_.size() >= max_pending_; }
  std::optional<TransactionEvent> poll_event() { return pop(events_); }
  std::optional<Transmit> poll_transmit() { return pop(datagrams_); }

 private:
  template <typename T>
  static std::optional<T> pop(std::deque<T>& queue) {
    if (queue.empty()) return std::nullopt;
    std::optional<T> first(std::move(queue.front()));
    queue.pop_front();
    return first;
  }

  std::size_t max_pending_;
  std::deque<TransactionEvent> events_;
  std::deque<Transmit> datagrams_;
};

/// What both tables are made with; owned by the layer.
struct TransactionContext {
  Random& random;
  Log& log;
  TransactionLimits limits;
  HashKey hash_key;
  TransactionCounters& counters;
  TransactionOutput& output;
  TransactionTimerQueue& timers;
};

/// RFC 3261 §17.1.3: branch and CSeq method; and sent-by, for §18.1.2 wants responses dropped whose
/// sent-by is not ours. `method` is its text, for extensions have no number.
Hash128 client_key(const HashKey& key, const wire::Via& via, std::string_view method);

/// RFC 3261 §17.2.3. `method` is that of the transaction looked for: INVITE for an ACK or a CANCEL.
Hash128 server_key(const HashKey& key, const wire::Message& request, const wire::Via& top_via,
                   std::string_view method);

/// RFC 3261 §18.2.2 with RFC 3581 §4: where the response to a request that came on `arrived` goes.
Flow reply_flow(const Flow& arrived, const wire::Via& top_via);

/// Values that keep deadlines in the future and 64*T1 in range, whatever the caller chose.
TransactionTimers sane(TransactionTimers timers);

}  // namespace godwit::sip
