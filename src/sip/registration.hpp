// SPDX-License-Identifier: Apache-2.0
//
// One registration (RFC 3261 §10, RFC 5626): binds an address-of-record to our Contact, keeps the
// binding fresh, and moves it to another flow when told so. Owned by an account in ua. Which flow
// and which Contact, and when to move, is its owner's decision; what it retries by itself is what
// RFC 5626 §4.5 has any user agent retry, never for the sake of a recovery.
//
// One Call-ID and a rising CSeq for its whole life (RFC 3261 §10.2). At most one REGISTER is in
// flight; an operation that comes while one is, detaches it first.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/event.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"
#include "sip/digest.hpp"
#include "sip/flow.hpp"
#include "sip/transaction.hpp"
#include "sip/usage.hpp"
#include "wire/sip/builder.hpp"

namespace godwit::sip {

/// RFC 5626: whether the registrar is asked to keep the flow itself as the way to us.
enum class Outbound : std::uint8_t {
  Off,
  Ask,      ///< Asked for; without it where the registrar or the first hop cannot.
  Require,  ///< A registrar that cannot has failed.
};

/// What RFC 8599 puts into the Contact URI of a REGISTER, so that the proxy can wake us.
struct PushParameters {
  std::string provider;  ///< pn-provider; empty: no push.
  std::string prid;      ///< pn-prid, the address of this installation at the provider.
  std::string param;     ///< pn-param; may be empty.
};

struct RegistrationConfig {
  std::string aor;                     ///< "sip:alice@example.org": To and From.
  std::string display_name;            ///< In From and To; may be empty.
  std::string registrar;               ///< Request-URI: "sip:example.org".
  std::vector<std::string> route_set;  ///< Outbound proxies, each as "<sip:…;lr>".
  std::chrono::seconds expires{300};   ///< Asked for; the registrar may grant less, or want more.
  /// "urn:uuid:…" (RFC 5626 §4.1) without brackets; empty: neither +sip.instance nor reg-id.
  std::string instance_id;
  std::string user_agent;
  Outbound outbound = Outbound::Ask;  ///< Off without an instance-id.
  std::uint32_t reg_id = 1;           ///< RFC 5626 §4.2: one for each flow, from 1 on.
  bool ask_gruu = false;              ///< RFC 5627; needs an instance-id.
  PushParameters push;
  bool ask_keep = false;  ///< RFC 6223, unless Outbound says how the flow is kept.
};

/// What the last 200 said beyond the binding itself; texts are URIs, or Route values.
struct RegistrationGrant {
  /// The registrar keeps our flow (Require: outbound, RFC 5626 §6).
  bool outbound = false;
  std::string pub_gruu;   ///< RFC 5627 §4.2; empty: none.
  std::string temp_gruu;  ///< A new one with each REGISTER.
  /// RFC 3608: what requests of this account put into Route behind the configured proxies.
  std::vector<std::string> service_route;
  /// RFC 5626 §4.4: a flow without keepalives for longer is taken for dead by the edge proxy.
  std::optional<std::chrono::seconds> flow_timer;
  /// RFC 6223 §4.4: what the registrar, or the proxy before it, wants between our keep-alives.
  std::optional<std::chrono::seconds> keep;
  /// RFC 8599 §4.1.1: a proxy on the way will send push notifications (+sip.pns in Feature-Caps).
  bool push = false;
};

/// How a REGISTER that failed is sent again, before RFC 5626 §4.5 says: `attempts` times, `first`
/// and then twice as long each time up to `max` later, of which 50 to 100 % at random, and not
/// before the Retry-After of the answer.
struct RetrySchedule {
  std::uint32_t attempts = 0;
  Duration first{};
  Duration max{};
};

/// The new place of the binding, when the address has changed.
struct RegistrationMove {
  Flow flow;
  std::string contact;  ///< A URI: "sip:alice@192.0.2.7:5060".
  TransactionTimers timers;
  Generation generation;
  /// Take the old Contact out in the same request (`expires=0` beside the new one), unless the
  /// registrar has shown that it replaces by instance-id and reg-id itself.
  bool remove_old_contact = true;
  /// … in a REGISTER of its own before the one for the new Contact.
  bool unregister_first = false;
  RetrySchedule retry = {};  ///< Until the registrar has accepted it.
};

/// What a REGISTER says of Contacts.
enum class RegisterForm : std::uint8_t {
  Plain,         ///< Our Contact.
  BothContacts,  ///< The same, and an older one taken out (`expires=0`).
  Unregister,    ///< Our Contact taken out.
};
const char* to_string(RegisterForm form);

/// What became of it, told at each change of state and after each final answer that matters.
struct RegistrationStatus {
  RegistrationState state = RegistrationState::Unregistered;
  int status = 0;      ///< Of the answer behind it: 408 a timeout, 503 a dead flow, 0 none.
  std::string reason;  ///< Reason phrase, or a sentence of ours.
  std::string contact;
  std::chrono::seconds expires{0};  ///< As granted; 0 unless Registered.
  Generation generation;            ///< Of the last move; the one that this answers.
  /// Where the registrar says our request came from (received/rport in its Via): differs from the
  /// flow's local endpoint behind a NAT. Empty: it did not say.
  std::optional<Endpoint> mapped;
  /// Until the registration tries again by itself; empty: it does not.
  std::optional<Duration> retry_in;
  /// No response came: `status` is what RFC 3261 §8.1.3.1 makes of that.
  bool unanswered = false;
};

class Registration {
 public:
  Registration(UsageContext context, Owner owner, RegistrationConfig config, DigestClient& digest);
  ~Registration();
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // --- operations ---

  /// REGISTER now; and again, with another flow or Contact, at any time (then as `move`).
  Result<void> start(const Flow& flow, const std::string& contact, TimePoint now);
  /// Takes the binding out (`expires=0`). Ends in Unregistered whatever the registrar says.
  Result<void> stop(TimePoint now);
  /// REGISTER at once from the new place. A REGISTER in flight is detached first, which counts as
  /// its failure (RFC 3261 §8.1.3.1 and §10.2), so the order of CSeq stays right: only call it when
  /// the old flow is dead, or nothing is in flight. From any state, Suspended too.
  Result<void> move(const RegistrationMove& move, TimePoint now);
  /// No network: forgets what is in flight and all timers; `move` or `start` goes on. The binding
  /// is remembered, so that `move` can take it out.
  void suspend(TimePoint now);
  /// REGISTER again over the same flow now, e.g. to see whether the registrar can still be reached.
  Result<void> refresh(TimePoint now);
  /// Of the REGISTERs from now on; move() sends the next.
  void set_route_set(std::vector<std::string> routes) { config_.route_set = std::move(routes); }

  // --- inputs ---

  void on_response(const ResponseArrived& event, TimePoint now);
  void on_client_failed(const ClientFailed& event, TimePoint now);
  void on_timer(std::uint32_t kind, TimePoint now);

  // --- outputs ---

  std::optional<RegistrationStatus> poll_event();

  /// From the next REGISTER on: no answer within so long is a timeout, for there is another server
  /// to ask. Empty: as long as the transaction's timers say.
  void set_patience(std::optional<Duration> patience) { patience_ = patience; }

  /// From the next REGISTER on; the binding, its Call-ID and what was learnt of it stay. The AOR
  /// must be the same.
  void reconfigure(RegistrationConfig config);

  /// Asked with every place that a challenge says our REGISTER came from: the Contact to register
  /// with the credentials instead of the present one, if it is to be another. Called within
  /// on_response(); empty: never.
  using ContactQuestion =
      std::function<std::optional<std::string>(const Endpoint& mapped, TimePoint now)>;
  void ask_for_contact(ContactQuestion ask) { ask_for_contact_ = std::move(ask); }

  /// RFC 5626 §4.5: with another flow of the same address-of-record a failed one has more time.
  void expect_another_flow(bool lives) { retry_base_ = lives ? kRetryBaseOfSeveral : kRetryBase; }

  RegistrationState state() const;
  /// A REGISTER without its final answer.
  bool in_flight() const;
  const std::optional<Flow>& flow() const { return flow_; }
  /// The Contact URI last asked for; empty before the first.
  const std::string& contact() const { return contact_; }
  /// Until when the registrar keeps the binding, as far as we know.
  std::optional<TimePoint> bound_until() const { return bound_until_; }
  const RegistrationConfig& config() const { return config_; }
  /// Empty unless bound.
  const RegistrationGrant& grant() const { return grant_; }
  /// Of the last REGISTER that was sent.
  RegisterForm last_form() const { return form_; }

  /// Fraction of the granted time after which the binding is refreshed: uniform between these, so
  /// that accounts registered together drift apart, and late enough to cost little.
  static constexpr int kRefreshPercentMin = 50;
  static constexpr int kRefreshPercentMax = 90;
  /// RFC 5626 §4.5: base time doubled with each failure in a row up to the maximum, then 50 to 100
  /// %.
  static constexpr Duration kRetryBase = std::chrono::seconds(30);
  static constexpr Duration kRetryBaseOfSeveral = std::chrono::seconds(90);
  static constexpr Duration kRetryMax = std::chrono::seconds(1800);
  /// Old Contacts remembered for taking out; beyond that the oldest is left to expire.
  static constexpr std::size_t kMaxStaleContacts = 4;
  /// Of a Service-Route; a longer one is not followed, for each request would have to carry it.
  static constexpr std::size_t kMaxServiceRoutes = 8;
  static constexpr std::size_t kMaxServiceRouteBytes = 1'024;

 private:
  /// Never started, or stopped.
  struct Unregistered {};
  struct Registering {
    ClientTransactionId transaction;
    DigestAttempt attempt;
    int interval_raises = 0;  ///< 423s so far.
    bool clears = false;      ///< Only takes old Contacts out; that for the present one follows.
  };
  struct Registered {
    TimerId refresh;
  };
  struct WaitingRetry {
    TimerId retry;
  };
  struct Unregistering {
    ClientTransactionId transaction;
    DigestAttempt attempt;
  };
  struct Suspended {};
  using State =
      std::variant<Unregistered, Registering, Registered, WaitingRetry, Unregistering, Suspended>;

  /// What the status event says of the reason for the new state.
  struct Cause {
    int status = 0;
    std::string reason;
    std::optional<Duration> retry_in;
    bool unanswered = false;
  };

  static constexpr std::uint32_t kRefreshTimer = 1;
  static constexpr std::uint32_t kRetryTimer = 2;

  void enter(State next, const Cause& cause);
  void cancel_timer();
  void drop_in_flight(TimePoint now);
  void set_place(const Flow& flow, const std::string& contact, bool remove_old_contact);
  /// An empty `reason` marks a refresh, or a further round of one, of which no status tells.
  Result<void> register_now(DigestAttempt attempt, int interval_raises, const char* reason,
                            TimePoint now);
  Result<void> unregister_now(DigestAttempt attempt, TimePoint now);
  std::string contact_value(const std::string& uri, std::chrono::seconds expires) const;
  bool asks_outbound() const;
  bool asks_push() const;
  void add_extensions(wire::RequestDraft& draft) const;
  void take_grant(const wire::Message& response);
  Result<ClientTransactionId> send(std::chrono::seconds expires, DigestAttempt& attempt,
                                   TimePoint now, bool clears = false);
  Result<void> clear_now(DigestAttempt attempt, TimePoint now);
  void on_cleared(const wire::Message& response, TimePoint now);
  void take_mapping(const wire::Message& response, bool challenged, TimePoint now);
  void on_register_answered(const wire::Message& response, TimePoint now);
  void on_registered(const wire::Message& response, TimePoint now);
  void on_unregister_answered(const wire::Message& response, TimePoint now);
  void unbound(int status, std::string reason);
  void on_failed(int status, std::string reason, std::optional<Duration> retry_after, TimePoint now,
                 bool unanswered = false);

  UsageContext context_;
  Owner owner_;
  RegistrationConfig config_;
  DigestClient& digest_;

  State state_;
  std::deque<RegistrationStatus> events_;
  std::string call_id_;
  std::string from_tag_;
  std::uint32_t cseq_;
  std::optional<Flow> flow_;
  std::string contact_;
  RegisterForm form_ = RegisterForm::Plain;
  std::vector<std::string> stale_contacts_;  ///< Perhaps still bound; to be taken out.
  ContactQuestion ask_for_contact_;
  RetrySchedule retry_;  ///< What is left of it.
  std::optional<Duration> patience_;
  Duration retry_base_ = kRetryBase;
  TransactionTimers transaction_timers_;
  Generation generation_;
  std::chrono::seconds asked_expires_;
  std::chrono::seconds granted_expires_{0};
  std::optional<TimePoint> bound_until_;
  std::optional<Endpoint> mapped_;
  RegistrationGrant grant_;
  bool outbound_refused_ = false;  ///< A 439 said that the first hop cannot.
  bool push_refused_ = false;      ///< A 555 said that nobody here can.
  int failures_ = 0;               ///< In a row, since the last 200.
};

}  // namespace godwit::sip
