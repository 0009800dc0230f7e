// SPDX-License-Identifier: Apache-2.0
//
// One request outside any dialog that neither begins one nor is a registration (MESSAGE, OPTIONS,
// PUBLISH): sends it, answers digest challenges and tells how it ended. Owned by ua, or by a usage
// that sends such requests one after the other; may be used again once it has ended. A redirection
// (3xx) is not followed but told. It repeats nothing by itself but after a challenge: whether a
// request whose flow died may be sent twice is its owner's decision.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "sip/digest.hpp"
#include "sip/flow.hpp"
#include "sip/transaction.hpp"
#include "sip/usage.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::sip {

/// Who sends, and through which proxies.
struct RequestIdentity {
  std::string local_uri;               ///< From: "sip:alice@example.org".
  std::string display_name;            ///< In From; may be empty.
  std::vector<std::string> route_set;  ///< Outbound proxies, each as "<sip:…;lr>".
  std::string user_agent;
};

struct OutgoingRequest {
  wire::Method method = wire::Method::Options;
  std::string target;          ///< Request-URI and To: "sip:bob@example.org".
  wire::DraftHeaders headers;  ///< Beyond what every request has.
  std::string content_type;    ///< Of `body`; empty: none.
  std::string body;
  Flow flow;
  std::string contact;  ///< A URI; empty: the request has no Contact, as MESSAGE must not.
  TransactionTimers timers;
};

struct RequestOutcome {
  int status = 0;      ///< The final status; 408 a timeout, 503 a dead flow (RFC 3261 §8.1.3.1).
  std::string reason;  ///< Reason phrase, or a sentence of ours.
  /// No answer came, so the request may have arrived all the same.
  bool in_doubt = false;
  /// The flow died under it; the same request could be sent on another one.
  bool flow_died = false;
  std::optional<Duration> retry_after;
  MessagePtr response;  ///< nullptr if there was none.
};

class RequestUsage {
 public:
  /// `digest` outlives the usage.
  RequestUsage(UsageContext context, Owner owner, RequestIdentity identity, DigestClient& digest);
  ~RequestUsage();
  RequestUsage(const RequestUsage&) = delete;
  RequestUsage& operator=(const RequestUsage&) = delete;

  /// Sends it, in a Call-ID of its own. WrongState while the one before is unanswered.
  Result<void> start(OutgoingRequest request, TimePoint now);
  /// Wants to hear no more of the request in flight.
  void forget(TimePoint now);
  /// Whether a 401 or 407 is answered; not where strangers could ask (InviteSession's member of
  /// the same name says why).
  void answer_challenges(bool answer) { answers_challenges_ = answer; }

  void on_response(const ResponseArrived& event, TimePoint now);
  void on_client_failed(const ClientFailed& event, TimePoint now);

  std::optional<RequestOutcome> poll_outcome();
  bool in_flight() const { return pending_.has_value(); }
  /// Of the request in flight, or of the last one.
  const Flow& flow() const { return flow_; }

 private:
  struct Pending {
    OutgoingRequest request;
    ClientTransactionId transaction;
    DigestAttempt attempt;
    std::string call_id;
    std::string from_tag;
    std::uint32_t cseq = 0;
  };

  Result<void> send(Pending pending, TimePoint now);
  void finish(RequestOutcome outcome);

  UsageContext context_;
  Owner owner_;
  RequestIdentity identity_;
  DigestClient& digest_;
  std::optional<Pending> pending_;
  std::optional<RequestOutcome> outcome_;
  Flow flow_;
  bool answers_challenges_ = true;
};

}  // namespace godwit::sip
