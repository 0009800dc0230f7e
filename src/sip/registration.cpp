// SPDX-License-Identifier: Apache-2.0
#include "sip/registration.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

using std::chrono::seconds;
using wire::HeaderId;

/// A registrar may raise the interval; one that does so again and again gets no third request.
constexpr int kMaxIntervalRaises = 2;
/// What a Min-Expires may raise us to; beyond that it is a fault, or a trap.
constexpr seconds kMaxExpires = std::chrono::hours(24 * 7);
/// A refresh leaves at least this long before the binding ends, where the time granted allows it.
constexpr seconds kRefreshMargin{5};

bool same_uri(std::string_view a, std::string_view b) {
  const auto left = wire::Uri::parse(a);
  const auto right = wire::Uri::parse(b);
  return left && right && wire::equals(*left, *right);
}

/// What RFC 8599 §4.1 wants escaped; the rest of a parameter's characters (RFC 3261 §25.1).
std::string parameter_text(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-_.!~*'()[]/:&+$").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4U], kHex[byte & 0xfU]};
    }
  }
  return out;
}

std::string push_uri_parameters(const PushParameters& push) {
  std::string text = ";pn-provider=" + parameter_text(push.provider);
  if (!push.param.empty()) text += ";pn-param=" + parameter_text(push.param);
  if (!push.prid.empty()) text += ";pn-prid=" + parameter_text(push.prid);
  return text;
}

std::optional<wire::NameAddr> find_contact(const wire::Message& response, std::string_view uri) {
  for (const std::string_view element : response.values(HeaderId::Contact)) {
    const auto contact = wire::NameAddr::parse(element);
    if (contact && same_uri(contact->uri.text, uri)) return contact;
  }
  return std::nullopt;
}

/// Failures that another try may mend; of the others the next one would be the same.
bool is_temporary(int status) {
  return status == 408 || status == 429 || status == 430 || status == 480 || status / 100 == 5;
}

std::optional<Endpoint> mapped_endpoint(const wire::Message& response, const Endpoint& sent_by) {
  const auto via = wire::top_via_of(response);
  if (!via || (!via->received() && !via->rport())) return std::nullopt;
  return Endpoint{via->received().value_or(sent_by.address), via->rport().value_or(sent_by.port)};
}

}  // namespace

Registration::Registration(UsageContext context, Owner owner, RegistrationConfig config,
                           DigestClient& digest)
    : context_(context),
      owner_(owner),
      config_(std::move(config)),
      digest_(digest),
      state_(Unregistered{}),
      call_id_(context.random.token(24)),
      from_tag_(context.random.token(10)),
      cseq_(static_cast<std::uint32_t>(context.random.between(1, 0xffff))),
      asked_expires_(config_.expires) {}

Registration::~Registration() { cancel_timer(); }

RegistrationState Registration::state() const {
  if (std::holds_alternative<Unregistered>(state_)) return RegistrationState::Unregistered;
  if (std::holds_alternative<Registered>(state_)) return RegistrationState::Registered;
  if (std::holds_alternative<WaitingRetry>(state_)) return RegistrationState::Failed;
  if (std::holds_alternative<Suspended>(state_)) return RegistrationState::Suspended;
  return RegistrationState::Registering;
}

bool Registration::in_flight() const {
  return std::holds_alternative<Registering>(state_) ||
         std::holds_alternative<Unregistering>(state_);
}

void Registration::enter(State next, const Cause& cause) {
  const RegistrationState before = state();
  const bool silent = std::holds_alternative<Registering>(next) && cause.reason.empty();
  state_ = std::move(next);
  if (context_.log.enabled(Log::Level::Debug)) {
    context_.log.debug("sip", std::string("registration ") + config_.aor + ": " +
                                  to_string(before) + " -> " + to_string(state()) + " (" +
                                  std::to_string(cause.status) + " " + cause.reason + ")");
  }
  if (silent || std::holds_alternative<Unregistering>(state_)) return;
  RegistrationStatus status;
  status.state = state();
  status.status = cause.status;
  status.reason = cause.reason;
  status.contact = contact_;
  if (std::holds_alternative<Registered>(state_)) status.expires = granted_expires_;
  status.generation = generation_;
  status.mapped = mapped_;
  status.retry_in = cause.retry_in;
  status.unanswered = cause.unanswered;
  events_.push_back(std::move(status));
}

std::optional<RegistrationStatus> Registration::poll_event() {
  if (events_.empty()) return std::nullopt;
  RegistrationStatus event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Registration::cancel_timer() {
  if (const auto* registered = std::get_if<Registered>(&state_))
    context_.timers.cancel(registered->refresh);
  if (const auto* waiting = std::get_if<WaitingRetry>(&state_))
    context_.timers.cancel(waiting->retry);
}

void Registration::drop_in_flight(TimePoint now) {
  cancel_timer();
  if (const auto* sending = std::get_if<Registering>(&state_))
    context_.transactions.detach(sending->transaction, now);
  if (const auto* sending = std::get_if<Unregistering>(&state_))
    context_.transactions.detach(sending->transaction, now);
}

void Registration::set_place(const Flow& flow, const std::string& contact,
                             bool remove_old_contact) {
  if (!contact_.empty() && !same_uri(contact_, contact) && remove_old_contact) {
    if (stale_contacts_.size() == kMaxStaleContacts) stale_contacts_.erase(stale_contacts_.begin());
    stale_contacts_.push_back(contact_);
  }
  // Back at an address that was left a moment ago: it must not be taken out by the same request.
  std::erase_if(stale_contacts_, [&](const std::string& old) { return same_uri(old, contact); });
  flow_ = flow;
  contact_ = contact;
}

void Registration::reconfigure(RegistrationConfig config) {
  if (config.expires != config_.expires) asked_expires_ = config.expires;
  if (config.outbound != config_.outbound) outbound_refused_ = false;
  if (config.push.provider != config_.push.provider) push_refused_ = false;
  config_ = std::move(config);
}

const char* to_string(RegisterForm form) {
  switch (form) {
    case RegisterForm::Plain: return "REGISTER";
    case RegisterForm::BothContacts: return "REGISTER with both Contacts";
    case RegisterForm::Unregister: return "un-REGISTER";
  }
  return "?";
}

Result<void> Registration::start(const Flow& flow, const std::string& contact, TimePoint now) {
  return move(RegistrationMove{flow, contact, {}, generation_, true}, now);
}

Result<void> Registration::move(const RegistrationMove& move, TimePoint now) {
  const auto uri = wire::Uri::parse(move.contact);
  if (!uri || !uri->is_sip())
    return fail(ErrorCode::InvalidArgument, "no SIP URI: " + move.contact);
  drop_in_flight(now);
  generation_ = move.generation;
  transaction_timers_ = move.timers;
  mapped_.reset();
  failures_ = 0;  // Of the old place; the new one has not failed yet.
  retry_ = move.retry;
  set_place(move.flow, move.contact, move.remove_old_contact);
  // With outbound in use there is nothing to clear: the registrar replaces by instance and reg-id.
  if (move.unregister_first && !stale_contacts_.empty() && !grant_.outbound) {
    return clear_now({}, now);
  }
  return register_now({}, 0, "REGISTER sent", now);
}

Result<void> Registration::clear_now(DigestAttempt attempt, TimePoint now) {
  auto sent = send(seconds(0), attempt, now, true);
  if (!sent) return register_now({}, 0, "REGISTER sent", now);
  enter(Registering{*sent, std::move(attempt), 0, true}, Cause{0, "REGISTER sent", {}});
  return {};
}

void Registration::on_cleared(const wire::Message& response, TimePoint now) {
  Registering& sending = std::get<Registering>(state_);
  const int status = response.status();
  take_mapping(response, status == 401 || status == 407, now);
  if ((status == 401 || status == 407) &&
      digest_.on_challenge(response, flow_->remote, sending.attempt).verdict ==
          ChallengeVerdict::Retry) {
    static_cast<void>(clear_now(std::move(sending.attempt), now));
    return;
  }
  if (status / 100 == 2) {
    digest_.on_success(response, flow_->remote);
    std::erase_if(stale_contacts_,
                  [&](const std::string& old) { return !find_contact(response, old); });
  }
  // Whatever it was, the new Contact is what matters; what is still old goes along with it.
  static_cast<void>(register_now({}, 0, "", now));
}

void Registration::take_mapping(const wire::Message& response, bool challenged, TimePoint now) {
  const auto mapped = mapped_endpoint(response, flow_->local);
  if (!mapped) return;
  mapped_ = mapped;
  if (!challenged || !ask_for_contact_ || grant_.outbound) return;
  if (const auto contact = ask_for_contact_(*mapped, now)) {
    // Before the first 200 nothing is bound that would have to be taken out.
    set_place(*flow_, *contact, bound_until_.has_value());
  }
}

Result<void> Registration::refresh(TimePoint now) {
  if (!flow_ || std::holds_alternative<Unregistered>(state_) ||
      std::holds_alternative<Unregistering>(state_) || std::holds_alternative<Suspended>(state_))
    return fail(ErrorCode::WrongState, "not registered");
  if (in_flight()) return fail(ErrorCode::WrongState, "a REGISTER is in flight");
  cancel_timer();
  return register_now({}, 0, "", now);
}

Result<void> Registration::stop(TimePoint now) {
  drop_in_flight(now);
  const bool bound = flow_ && !contact_.empty() && !std::holds_alternative<Unregistered>(state_) &&
                     !std::holds_alternative<Suspended>(state_);
  if (!bound) {
    enter(Unregistered{}, Cause{0, "stopped", {}});
    return {};
  }
  return unregister_now({}, now);
}

void Registration::suspend(TimePoint now) {
  if (std::holds_alternative<Unregistered>(state_) || std::holds_alternative<Suspended>(state_))
    return;
  drop_in_flight(now);
  if (std::holds_alternative<Unregistering>(state_))
    return enter(Unregistered{}, Cause{0, "no network", {}});
  enter(Suspended{}, Cause{0, "no network", {}});
}

Result<void> Registration::register_now(DigestAttempt attempt, int interval_raises,
                                        const char* reason, TimePoint now) {
  auto sent = send(asked_expires_, attempt, now);
  if (!sent) {
    on_failed(503, sent.error().detail, std::nullopt, now);
    return tl::unexpected(sent.error());
  }
  enter(Registering{*sent, std::move(attempt), interval_raises}, Cause{0, reason, {}});
  return {};
}

Result<void> Registration::unregister_now(DigestAttempt attempt, TimePoint now) {
  auto sent = send(seconds(0), attempt, now);
  if (!sent) {
    unbound(503, sent.error().detail);
    return tl::unexpected(sent.error());
  }
  enter(Unregistering{*sent, std::move(attempt)}, Cause{0, "un-REGISTER sent", {}});
  return {};
}

std::string Registration::contact_value(const std::string& uri, seconds expires) const {
  std::string value = "<" + uri;
  if (asks_push()) value += push_uri_parameters(config_.push);
  value += ">;expires=" + std::to_string(expires.count());
  if (!config_.instance_id.empty()) {
    value += ";+sip.instance=\"<" + config_.instance_id + ">\"";
    // RFC 5626 §4.2: reg-id asks for outbound; after a 439 without it.
    if (asks_outbound()) value += ";reg-id=" + std::to_string(config_.reg_id);
  }
  return value;
}

bool Registration::asks_outbound() const {
  return config_.outbound != Outbound::Off && !config_.instance_id.empty() && !outbound_refused_;
}

bool Registration::asks_push() const { return !config_.push.provider.empty() && !push_refused_; }

Result<ClientTransactionId> Registration::send(seconds expires, DigestAttempt& attempt,
                                               TimePoint now, bool clears) {
  wire::RequestDraft draft;
  draft.method = wire::Method::Register;
  draft.request_uri = config_.registrar;
  for (const std::string& route : config_.route_set)
    draft.headers.emplace_back(HeaderId::Route, route);
  std::string party;
  if (!config_.display_name.empty()) party = wire::quote(config_.display_name) + " ";
  party += "<" + config_.aor + ">";
  draft.headers.emplace_back(HeaderId::From, party + ";tag=" + from_tag_);
  draft.headers.emplace_back(HeaderId::To, party);
  draft.headers.emplace_back(HeaderId::CallId, call_id_);
  draft.headers.emplace_back(HeaderId::CSeq, std::to_string(++cseq_) + " REGISTER");
  draft.headers.emplace_back(HeaderId::Expires, std::to_string(expires.count()));
  add_extensions(draft);
  if (!config_.user_agent.empty())
    draft.headers.emplace_back(HeaderId::UserAgent, config_.user_agent);
  draft.contact.wanted = true;
  draft.ask_keep = config_.ask_keep && !grant_.outbound;
  form_ = expires.count() == 0                         ? RegisterForm::Unregister
          : stale_contacts_.empty() || grant_.outbound ? RegisterForm::Plain
                                                       : RegisterForm::BothContacts;
  // With outbound in use the registrar replaces by instance and reg-id (RFC 5626 §6).
  std::string contact = contact_value(contact_, expires);
  if (!grant_.outbound) {
    for (const std::string& old : stale_contacts_) {
      std::string removed = "<" + old + ">;expires=0";
      if (clears && &old == &stale_contacts_.front()) {
        contact = std::move(removed);
      } else {
        draft.headers.emplace_back(HeaderId::Contact, std::move(removed));
      }
    }
  }
  for (AuthorizationHeader& header : digest_.authorization(
           wire::to_string(draft.method), draft.request_uri, flow_->remote, attempt))
    draft.headers.emplace_back(header.name, std::move(header.value));
  TransactionTimers timers = transaction_timers_;
  if (patience_) timers.timeout = patience_;
  return context_.transactions.send_request(draft, contact, *flow_, owner_, timers, now);
}

void Registration::on_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  if (response.status() < 200) return;
  if (const auto* sending = std::get_if<Registering>(&state_);
      sending != nullptr && sending->transaction == event.transaction)
    return on_register_answered(response, now);
  if (const auto* sending = std::get_if<Unregistering>(&state_);
      sending != nullptr && sending->transaction == event.transaction)
    return on_unregister_answered(response, now);
}

void Registration::on_register_answered(const wire::Message& response, TimePoint now) {
  Registering& sending = std::get<Registering>(state_);
  if (sending.clears) return on_cleared(response, now);
  const int status = response.status();
  take_mapping(response, status == 401 || status == 407, now);
  if (status < 300) return on_registered(response, now);

  const std::string reason(response.reason());
  if (status == 401 || status == 407) {
    const ChallengeOutcome outcome = digest_.on_challenge(response, flow_->remote, sending.attempt);
    if (outcome.verdict == ChallengeVerdict::Retry) {
      const int raises = sending.interval_raises;
      static_cast<void>(register_now(std::move(sending.attempt), raises, "", now));
      return;
    }
    return on_failed(status, outcome.detail, std::nullopt, now);
  }
  if (status == 423 && sending.interval_raises < kMaxIntervalRaises) {
    // RFC 3261 §10.2.8: again, with the interval that Min-Expires names, or a longer one.
    const auto minimum = wire::min_expires_of(response);
    if (minimum && *minimum > asked_expires_ && *minimum <= kMaxExpires) {
      asked_expires_ = *minimum;
      static_cast<void>(
          register_now(std::move(sending.attempt), sending.interval_raises + 1, "", now));
      return;
    }
  }
  if (status == 439 && asks_outbound() && config_.outbound == Outbound::Ask) {
    // RFC 5626 §11.6, First Hop Lacks Outbound Support: then without it.
    outbound_refused_ = true;
    static_cast<void>(register_now(std::move(sending.attempt), sending.interval_raises, "", now));
    return;
  }
  if (status == 555 && asks_push()) {
    // RFC 8599 §4.1.1, Push Notification Service Not Supported: not asked for again. A binding
    // without push is better than none.
    push_refused_ = true;
    context_.log.warn("sip", "the proxy of " + config_.aor + " cannot send push notifications");
    static_cast<void>(register_now(std::move(sending.attempt), sending.interval_raises, "", now));
    return;
  }
  const auto retry_after = wire::retry_after_of(response);
  on_failed(status, reason,
            retry_after ? std::optional<Duration>(retry_after->delay) : std::nullopt, now);
}

void Registration::on_registered(const wire::Message& response, TimePoint now) {
  digest_.on_success(response, flow_->remote);
  // RFC 3261 §10.2.4: the time granted stands with our own Contact; old registrars give it in
  // Expires only, and a NAT-mending proxy may have changed the Contact beyond recognition.
  const auto ours = find_contact(response, contact_);
  const auto header = wire::expires_of(response);
  const seconds granted =
      ours && ours->expires() ? *ours->expires() : header.value_or(asked_expires_);
  if (granted <= seconds(0))
    return on_failed(response.status(), "the registrar granted no time", std::nullopt, now);
  granted_expires_ = std::min(granted, kMaxExpires);
  bound_until_ = now + granted_expires_;
  take_grant(response);
  std::erase_if(stale_contacts_,
                [&](const std::string& old) { return !find_contact(response, old); });
  failures_ = 0;
  retry_ = {};
  transaction_timers_ = {};

  const Duration whole = granted_expires_;
  const auto percent =
      static_cast<int>(context_.random.between(kRefreshPercentMin, kRefreshPercentMax));
  Duration wait = whole / 100 * percent;
  if (whole - wait < kRefreshMargin) wait = std::max<Duration>(whole - kRefreshMargin, whole / 2);
  const TimerId refresh = context_.timers.schedule(now + wait, UsageTimer{owner_, kRefreshTimer});
  enter(Registered{refresh}, Cause{response.status(), std::string(response.reason()), {}});
}

void Registration::on_unregister_answered(const wire::Message& response, TimePoint now) {
  Unregistering& sending = std::get<Unregistering>(state_);
  const int status = response.status();
  if ((status == 401 || status == 407) &&
      digest_.on_challenge(response, flow_->remote, sending.attempt).verdict ==
          ChallengeVerdict::Retry) {
    static_cast<void>(unregister_now(std::move(sending.attempt), now));
    return;
  }
  unbound(status, std::string(response.reason()));
}

void Registration::unbound(int status, std::string reason) {
  bound_until_.reset();
  grant_ = {};
  stale_contacts_.clear();
  enter(Unregistered{}, Cause{status, std::move(reason), {}});
}

void Registration::on_client_failed(const ClientFailed& event, TimePoint now) {
  const bool timeout = event.failure == TransactionFailure::Timeout;
  const int status = timeout ? 408 : 503;  // RFC 3261 §8.1.3.1
  const char* reason = timeout ? "no answer from the registrar" : "the network path is gone";
  if (const auto* sending = std::get_if<Registering>(&state_);
      sending != nullptr && sending->transaction == event.transaction) {
    if (sending->clears) return static_cast<void>(register_now({}, 0, "", now));
    return on_failed(status, reason, std::nullopt, now, true);
  }
  if (const auto* sending = std::get_if<Unregistering>(&state_);
      sending != nullptr && sending->transaction == event.transaction)
    return unbound(status, reason);
}

void Registration::on_failed(int status, std::string reason, std::optional<Duration> retry_after,
                             TimePoint now, bool unanswered) {
  ++failures_;
  transaction_timers_ = {};
  Duration wait = kRetryMax;
  if (is_temporary(status)) {
    // RFC 5626 §4.5: base-time * 2^failures up to max-time, of which 50 to 100 % at random.
    const int doublings = std::min(failures_, 6);
    Duration backoff = std::min(retry_base_ * (1 << doublings), kRetryMax);
    if (retry_.attempts > 0) {
      failures_ = 0;  // The ordinary schedule begins after it.
      backoff = std::min(retry_.first, retry_.max);
      retry_.first = std::min(2 * retry_.first, retry_.max);
      --retry_.attempts;
    }
    wait = backoff / 100 * static_cast<int>(context_.random.between(50, 100));
    // The server knows better; but one that always says "at once" must not make us spin.
    if (retry_after) {
      const Duration floor = seconds(1 << doublings);
      wait = std::clamp(*retry_after, floor, std::max<Duration>(kRetryMax, floor));
    }
  }
  const TimerId retry = context_.timers.schedule(now + wait, UsageTimer{owner_, kRetryTimer});
  enter(WaitingRetry{retry}, Cause{status, std::move(reason), wait, unanswered});
}

void Registration::on_timer(std::uint32_t kind, TimePoint now) {
  if (kind == kRefreshTimer && std::holds_alternative<Registered>(state_)) {
    static_cast<void>(register_now({}, 0, "", now));
  } else if (kind == kRetryTimer && std::holds_alternative<WaitingRetry>(state_)) {
    static_cast<void>(register_now({}, 0, "trying again", now));
  }
}

}  // namespace godwit::sip
