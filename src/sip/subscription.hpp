// SPDX-License-Identifier: Apache-2.0
//
// One subscription to an event package, as its subscriber (RFC 6665): asks for it, keeps it fresh,
// takes its notifications in order, moves it to another flow when told so, and ends it. Owned by
// ua, which routes here what belongs to its Call-ID and local tag. It knows no event package:
// bodies are opaque and bounded. Which flow, and when to move, is its owner's decision; what it
// retries by itself is what RFC 6665 §4.1.3 and §4.4.1 have any subscriber retry.
//
// Of several notifiers that a forked SUBSCRIBE may reach, the first to notify is the one; the
// others get 481, which ends their side.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "godwit/usages.hpp"
#include "sip/dialog.hpp"
#include "sip/digest.hpp"
#include "sip/flow.hpp"
#include "sip/request_usage.hpp"
#include "sip/transaction.hpp"
#include "sip/usage.hpp"

namespace godwit::sip {

struct SubscriptionConfig {
  RequestIdentity identity;
  std::string target;                  ///< Request-URI and To: "sip:bob@example.org".
  std::string event;                   ///< Package, perhaps with an id: "presence", "dialog;id=7".
  std::vector<std::string> accept;     ///< Content types; empty: whatever the package's default is.
  std::chrono::seconds expires{3600};  ///< Asked for; the notifier may shorten it.
};

/// Where the subscription is to be kept from now on.
struct SubscriptionMove {
  Flow flow;
  std::string contact;  ///< A URI.
  TransactionTimers timers;
  Generation generation;
};

/// Told at each change of state and after each final answer that matters.
struct SubscriptionStatus {
  SubscriptionState state = SubscriptionState::Subscribing;
  int status = 0;  ///< Of the answer behind it: 408 a timeout, 503 a dead flow, 0 none.
  std::string reason;
  std::chrono::seconds expires{0};   ///< Left when told; 0 unless Pending or Active.
  std::optional<Duration> retry_in;  ///< Until it subscribes anew by itself; empty: it does not.
  Generation generation;             ///< Of the move that this answers, if it answers one.
  bool answers_refresh = false;      ///< A final answer to our SUBSCRIBE is behind it.
};

/// The body of a notification.
struct Notification {
  std::string content_type;
  std::string body;
};

using SubscriptionEvent = std::variant<SubscriptionStatus, Notification>;

class Subscription {
 public:
  /// `digest` outlives the subscription.
  Subscription(UsageContext context, Owner owner, SubscriptionConfig config, DigestClient& digest);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // --- operations ---

  /// SUBSCRIBE from there: the first one, or after suspend(), or, with a dialog, the target refresh
  /// that tells the notifier our new Contact. What is in flight is detached first. A first
  /// SUBSCRIBE whose outcome is unknown is followed by one with a new Call-ID, for its notifier
  /// cannot reach us any more.
  Result<void> move(const SubscriptionMove& move, TimePoint now);
  /// Ends it (Expires: 0); Terminated follows, at the latest 64*T1 later.
  void stop(TimePoint now);
  /// No network: forgets what is in flight and all timers but the dialog's end; `move` goes on.
  void suspend(TimePoint now);
  /// SUBSCRIBE now, within the dialog: the notifier tells its whole state again. Not while one is
  /// in flight, or without an established dialog.
  void refresh(TimePoint now);
  void answer_challenges(bool answer) { answers_challenges_ = answer; }

  // --- inputs ---

  void on_response(const ResponseArrived& event, TimePoint now);
  void on_client_failed(const ClientFailed& event, TimePoint now);
  /// A NOTIFY with our Call-ID and local tag; always answers it.
  void on_notify(const RequestArrived& event, TimePoint now);
  void on_timer(std::uint32_t kind, TimePoint now);

  // --- outputs ---

  std::optional<SubscriptionEvent> poll_event();
  SubscriptionState state() const { return state_; }
  bool in_flight() const { return request_.has_value(); }
  /// What NOTIFYs are told by. They change with each new SUBSCRIBE outside the dialog.
  const std::string& call_id() const { return call_id_; }
  const std::string& local_tag() const { return local_tag_; }
  const std::optional<Flow>& flow() const { return flow_; }
  const SubscriptionConfig& config() const { return config_; }

  /// Of one notification.
  static constexpr std::size_t kMaxBody = 65'535;
  /// Between attempts to subscribe anew: doubled with each failure in a row, 50 to 100 % of it.
  static constexpr Duration kRetryBase = std::chrono::seconds(4);
  static constexpr Duration kRetryMax = std::chrono::seconds(1800);
  /// RFC 6665 §4.1.2.4: timer N, 64*T1, from a SUBSCRIBE to its first NOTIFY.
  static constexpr Duration kTimerN = std::chrono::seconds(32);

 private:
  enum class Timer : std::uint32_t { Refresh = 1, Expiry, N, Retry };
  struct Request {
    ClientTransactionId transaction;
    DigestAttempt attempt;
    int interval_raises = 0;
    bool initial = false;  ///< Outside a dialog.
    bool ends = false;     ///< Expires: 0.
  };

  void tell(SubscriptionState state, int status, std::string reason,
            std::optional<Duration> retry_in = {}, bool answers_refresh = false);
  Result<void> subscribe(DigestAttempt attempt, int interval_raises, bool ends, TimePoint now);
  void begin_anew();
  void on_accepted(const wire::Message& response, bool initial, TimePoint now);
  void on_refused(const Request& request, int status, std::string reason,
                  std::optional<Duration> retry_after, TimePoint now);
  void on_terminated_by_notifier(std::string_view reason, std::optional<Duration> retry_after,
                                 TimePoint now);
  void retry_later(int status, std::string reason, std::optional<Duration> retry_after,
                   TimePoint now);
  void terminate(int status, std::string reason);
  void keep_until(std::chrono::seconds expires, TimePoint now);
  void answer(const RequestArrived& event, int status, wire::DraftHeaders extra, TimePoint now);
  bool is_our_event(const wire::Message& notify) const;
  void schedule(TimerId& timer, Timer kind, TimePoint at);
  void cancel(TimerId& timer);
  void cancel_timers();
  void drop_request(TimePoint now);

  UsageContext context_;
  Owner owner_;
  SubscriptionConfig config_;
  DigestClient& digest_;

  SubscriptionState state_ = SubscriptionState::Subscribing;
  std::deque<SubscriptionEvent> events_;
  std::string call_id_;
  std::string local_tag_;
  std::uint32_t cseq_ = 0;
  std::optional<Flow> flow_;
  std::string contact_;
  TransactionTimers transaction_timers_;
  Generation generation_;
  std::optional<Dialog> dialog_;
  bool notified_ = false;  ///< A NOTIFY has come in this dialog: the notifier is settled.
  bool stopping_ = false;
  bool moving_ = false;  ///< The SUBSCRIBE in flight answers a move.
  std::optional<Request> request_;
  std::chrono::seconds asked_expires_;
  std::optional<TimePoint> ends_at_;
  int failures_ = 0;  ///< In a row, since the last NOTIFY that said active or pending.
  TimerId refresh_;
  TimerId expiry_;
  TimerId timer_n_;
  TimerId retry_;
  bool answers_challenges_ = true;
};

}  // namespace godwit::sip
