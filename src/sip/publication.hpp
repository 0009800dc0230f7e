// SPDX-License-Identifier: Apache-2.0
//
// One publication of event state (RFC 3903): publishes a body, keeps it fresh, changes it, takes it
// away. Owned by ua. Bodies are opaque. There is no dialog and no Contact, so that a change of
// address needs nothing but the next request from the new flow; a request whose outcome the change
// left open is repeated, for the entity-tag tells the server what it stands on (§4.1).
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "godwit/usages.hpp"
#include "sip/request_usage.hpp"
#include "sip/usage.hpp"

namespace godwit::sip {

struct PublicationConfig {
  RequestIdentity identity;
  std::string target;                  ///< Whose state: "sip:alice@example.org".
  std::string event;                   ///< "presence".
  std::chrono::seconds expires{3600};  ///< Asked for.
};

struct PublicationStatus {
  PublicationState state = PublicationState::Publishing;
  int status = 0;  ///< Of the answer behind it; 0 none.
  std::string reason;
  std::chrono::seconds expires{0};  ///< As granted; 0 unless Published.
  bool answers_move = false;        ///< The first answer since `move`.
  bool unchanged = false;           ///< Told for that alone.
};

class Publication {
 public:
  /// `digest` outlives the publication.
  Publication(UsageContext context, Owner owner, PublicationConfig config, DigestClient& digest);
  ~Publication();
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;

  /// What shall be known from now on; sent when the request in flight is answered, or at once.
  void set_content(std::string content_type, std::string body, TimePoint now);
  /// From now on from this flow: refreshes at once, or publishes what is not known yet.
  void move(const Flow& flow, const TransactionTimers& timers, TimePoint now);
  /// Takes it away (Expires: 0); Ended follows, at the latest 64*T1 later.
  void stop(TimePoint now);
  void suspend(TimePoint now);
  void answer_challenges(bool answer) { request_.answer_challenges(answer); }

  void on_response(const ResponseArrived& event, TimePoint now);
  void on_client_failed(const ClientFailed& event, TimePoint now);
  void on_timer(std::uint32_t kind, TimePoint now);

  std::optional<PublicationStatus> poll_event();
  PublicationState state() const { return state_; }

  static constexpr Duration kRetryBase = std::chrono::seconds(4);
  static constexpr Duration kRetryMax = std::chrono::seconds(1800);

 private:
  void send(TimePoint now);
  void take_outcome(TimePoint now);
  void tell(PublicationState state, int status, std::string reason);
  void retry_later(int status, std::string reason, std::optional<Duration> retry_after,
                   TimePoint now);
  void schedule(TimePoint at);
  void cancel_timer();

  UsageContext context_;
  Owner owner_;
  PublicationConfig config_;
  RequestUsage request_;
  PublicationState state_ = PublicationState::Publishing;
  std::deque<PublicationStatus> events_;
  std::optional<Flow> flow_;
  TransactionTimers timers_;
  std::string content_type_;
  std::string body_;
  std::string etag_;        ///< RFC 3903 §4.1; empty: the server knows nothing of ours.
  bool unknown_ = true;     ///< The body has not been accepted yet.
  bool sent_body_ = false;  ///< The request in flight carries it …
  bool changed_ = false;    ///< … and another one came meanwhile.
  bool stopping_ = false;
  std::chrono::seconds asked_expires_;
  std::chrono::seconds granted_{0};
  int interval_raises_ = 0;
  bool moved_ = false;  ///< And not answered since.
  int failures_ = 0;    ///< In a row, since the last 2xx.
  TimerId timer_;       ///< The next refresh, or the next try.
};

}  // namespace godwit::sip
