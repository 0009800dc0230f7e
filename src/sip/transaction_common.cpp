// SPDX-License-Identifier: Apache-2.0
#include "sip/transaction_common.hpp"

#include <algorithm>
#include <chrono>

namespace godwit::sip {

namespace {

/// RFC 3261 §18.1.1, §19.1.2: what a sent-by without a port means, other than for TLS.
constexpr std::uint16_t kDefaultPort = 5060;

/// Separates the two ways of matching, so that no request of one kind finds one of the other.
enum class MatchedBy : std::uint64_t { Branch = 1, Rfc2543 = 2 };

}  // namespace

const char* to_string(TransactionFailure failure) {
  switch (failure) {
    case TransactionFailure::Timeout: return "Timeout";
    case TransactionFailure::Transport: return "Transport";
  }
  return "?";
}

TransactionTimers TransactionTimers::from_rtt(Duration rtt) {
  TransactionTimers timers;
  timers.t1 = std::clamp(rtt, kMinT1, timers.t1);
  return timers;
}

TransactionTimers sane(TransactionTimers timers) {
  constexpr Duration low = std::chrono::milliseconds(1);
  constexpr Duration high = std::chrono::minutes(5);
  timers.t1 = std::clamp(timers.t1, low, high);
  timers.t2 = std::clamp(timers.t2, timers.t1, high);
  timers.t4 = std::clamp(timers.t4, low, high);
  if (timers.timeout) timers.timeout = std::clamp(*timers.timeout, low, 64 * high);
  return timers;
}

Hash128 client_key(const HashKey& key, const wire::Via& via, std::string_view method) {
  KeyedHasher hasher(key);
  hasher.add(via.branch());
  hasher.add_caseless(via.host);
  hasher.add(via.port.value_or(kDefaultPort));
  hasher.add(method);
  return hasher.finish();
}

Hash128 server_key(const HashKey& key, const wire::Message& request, const wire::Via& top_via,
                   std::string_view method) {
  KeyedHasher hasher(key);
  if (top_via.has_unique_branch()) {
    hasher.add(static_cast<std::uint64_t>(MatchedBy::Branch));
    hasher.add(top_via.branch());
    hasher.add_caseless(top_via.host);
    hasher.add(top_via.port.value_or(kDefaultPort));
  } else {
    // RFC 2543 peers. The To tag is left out, for an ACK has one that its INVITE had not; the rest
    // tells requests apart, for a re-INVITE has another CSeq number.
    hasher.add(static_cast<std::uint64_t>(MatchedBy::Rfc2543));
    hasher.add(request.request_uri());
    hasher.add(wire::from_tag_of(request));
    hasher.add(wire::call_id_of(request));
    const auto cseq = wire::cseq_of(request);
    hasher.add(cseq ? cseq->number : 0);
    hasher.add(top_via.text);
  }
  hasher.add(method);
  return hasher.finish();
}

Flow reply_flow(const Flow& arrived, const wire::Via& top_via) {
  Flow flow = arrived;
  if (is_stream(arrived.transport)) return flow;  // On the connection that it came on.
  // Without rport the port is that of sent-by, at the address that the packet came from (there
  // `received` says nothing else). maddr is not followed: it is for multicast, which we do not do,
  // and would let anybody aim our responses at a third party.
  if (!top_via.has_rport()) flow.remote.port = top_via.port.value_or(kDefaultPort);
  return flow;
}

}  // namespace godwit::sip
