// SPDX-License-Identifier: Apache-2.0
#include "sip/subscription.hpp"

#include <algorithm>
#include <utility>

#include "sip/routing.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::sip {
namespace {

using std::chrono::seconds;
using wire::HeaderId;

constexpr int kMaxIntervalRaises = 2;
constexpr seconds kMaxExpires = std::chrono::hours(24 * 7);
/// A refresh leaves at least this long before the end, where the time granted allows it.
constexpr seconds kRefreshMargin{5};

/// Failures that another try may mend; of the others the next one would be the same.
bool is_temporary(int status) {
  return status == 408 || status == 429 || status == 430 || status == 480 || status == 481 ||
         status / 100 == 5;
}

std::string_view id_of(const wire::ValueWithParams& event) {
  return event.params.get("id").value_or("");
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace

Subscription::Subscription(UsageContext context, Owner owner, SubscriptionConfig config,
                           DigestClient& digest)
    : context_(context),
      owner_(owner),
      config_(std::move(config)),
      digest_(digest),
      asked_expires_(config_.expires) {
  begin_anew();
}

Subscription::~Subscription() { cancel_timers(); }

void Subscription::begin_anew() {
  dialog_.reset();
  notified_ = false;
  ends_at_.reset();
  call_id_ = context_.random.token(24);
  local_tag_ = context_.random.token(12);
  cseq_ = static_cast<std::uint32_t>(context_.random.between(1, 0xffff));
}

void Subscription::schedule(TimerId& timer, Timer kind, TimePoint at) {
  cancel(timer);
  timer = context_.timers.schedule(at, UsageTimer{owner_, static_cast<std::uint32_t>(kind)});
}

void Subscription::cancel(TimerId& timer) {
  if (timer) context_.timers.cancel(timer);
  timer = {};
}

void Subscription::cancel_timers() {
  for (TimerId* timer : {&refresh_, &expiry_, &timer_n_, &retry_}) cancel(*timer);
}

void Subscription::drop_request(TimePoint now) {
  if (request_) context_.transactions.detach(request_->transaction, now);
  request_.reset();
}

void Subscription::tell(SubscriptionState state, int status, std::string reason,
                        std::optional<Duration> retry_in, bool answers_refresh) {
  state_ = state;
  SubscriptionStatus told;
  told.state = state;
  told.status = status;
  told.reason = std::move(reason);
  told.retry_in = retry_in;
  told.generation = generation_;
  told.answers_refresh = answers_refresh;
  if (state == SubscriptionState::Active || state == SubscriptionState::Pending)
    told.expires = asked_expires_;
  events_.emplace_back(std::move(told));
}

std::optional<SubscriptionEvent> Subscription::poll_event() {
  if (events_.empty()) return std::nullopt;
  SubscriptionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

// --- operations ---

Result<void> Subscription::move(const SubscriptionMove& move, TimePoint now) {
  if (state_ == SubscriptionState::Terminated)
    return fail(ErrorCode::WrongState, "the subscription has ended");
  const bool had_place = flow_.has_value();
  drop_request(now);
  cancel(retry_);
  cancel(timer_n_);
  flow_ = move.flow;
  contact_ = move.contact;
  transaction_timers_ = move.timers;
  generation_ = move.generation;
  moving_ = had_place;
  failures_ = 0;  // Of the old place.
  if (had_place && !dialog_) begin_anew();
  if (!had_place || state_ == SubscriptionState::Suspended)
    tell(SubscriptionState::Subscribing, 0, "SUBSCRIBE sent");
  return subscribe({}, 0, stopping_, now);
}

void Subscription::stop(TimePoint now) {
  if (state_ == SubscriptionState::Terminated || stopping_) return;
  stopping_ = true;
  drop_request(now);
  cancel(retry_);
  cancel(refresh_);
  if (!dialog_ || !flow_ || state_ == SubscriptionState::Suspended)
    return terminate(0, "unsubscribed");
  static_cast<void>(subscribe({}, 0, true, now));
}

void Subscription::refresh(TimePoint now) {
  const bool established =
      state_ == SubscriptionState::Active || state_ == SubscriptionState::Pending;
  if (!established || !dialog_ || request_ || stopping_) return;
  static_cast<void>(subscribe({}, 0, false, now));
}

void Subscription::suspend(TimePoint now) {
  if (state_ == SubscriptionState::Terminated || state_ == SubscriptionState::Suspended) return;
  drop_request(now);
  cancel_timers();
  if (stopping_) return terminate(0, "unsubscribed without a network");
  if (ends_at_) schedule(expiry_, Timer::Expiry, *ends_at_);
  tell(SubscriptionState::Suspended, 0, "no network");
}

Result<void> Subscription::subscribe(DigestAttempt attempt, int interval_raises, bool ends,
                                     TimePoint now) {
  const bool initial = !dialog_;
  wire::RequestDraft draft;
  if (dialog_) {
    draft = dialog_->make_request(wire::Method::Subscribe);
  } else {
    draft.method = wire::Method::Subscribe;
    draft.request_uri = config_.target;
    for (const std::string& route : config_.identity.route_set)
      draft.headers.emplace_back(HeaderId::Route, route);
    std::string from;
    if (!config_.identity.display_name.empty())
      from = wire::quote(config_.identity.display_name) + " ";
    from += "<" + config_.identity.local_uri + ">;tag=" + local_tag_;
    draft.headers.emplace_back(HeaderId::From, std::move(from));
    draft.headers.emplace_back(HeaderId::To, "<" + config_.target + ">");
    draft.headers.emplace_back(HeaderId::CallId, call_id_);
    draft.headers.emplace_back(HeaderId::CSeq, std::to_string(++cseq_) + " SUBSCRIBE");
  }
  draft.contact.wanted = true;
  draft.headers.emplace_back(HeaderId::Event, config_.event);
  draft.headers.emplace_back(HeaderId::Expires,
                             ends ? "0" : std::to_string(asked_expires_.count()));
  if (!config_.accept.empty()) draft.headers.emplace_back(HeaderId::Accept, joined(config_.accept));
  draft.headers.emplace_back(HeaderId::Allow, "NOTIFY");
  if (!config_.identity.user_agent.empty())
    draft.headers.emplace_back(HeaderId::UserAgent, config_.identity.user_agent);
  const Flow flow = dialog_ ? towards(*flow_, dialog_->next_hop(), dialog_->secure) : *flow_;
  for (AuthorizationHeader& header :
       digest_.authorization("SUBSCRIBE", draft.request_uri, flow.remote, attempt))
    draft.headers.emplace_back(header.name, std::move(header.value));
  auto sent = context_.transactions.send_request(draft, "<" + contact_ + ">", flow, owner_,
                                                 transaction_timers_, now);
  if (!sent) {
    Request failed;
    failed.initial = initial;
    failed.ends = ends;
    on_refused(failed, 503, sent.error().detail, std::nullopt, now);
    return tl::unexpected(sent.error());
  }
  request_ = Request{*sent, std::move(attempt), interval_raises, initial, ends};
  // RFC 6665 §4.1.2.4: "Timer N is started when a SUBSCRIBE request is sent" and runs 64*T1; every
  // SUBSCRIBE, refreshes too, is to be followed by a NOTIFY.
  schedule(timer_n_, Timer::N, now + kTimerN);
  return {};
}

// --- answers to our SUBSCRIBE ---

void Subscription::on_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const int status = response.status();
  if (!request_ || request_->transaction != event.transaction || status < 200) return;
  const Endpoint server =
      context_.transactions.client_flow(event.transaction).value_or(*flow_).remote;
  Request request = std::move(*request_);
  request_.reset();
  if (status < 300) {
    digest_.on_success(response, server);
    return on_accepted(response, request.initial, now);
  }
  std::string reason(response.reason());
  if ((status == 401 || status == 407) && answers_challenges_) {
    const ChallengeOutcome outcome = digest_.on_challenge(response, server, request.attempt);
    if (outcome.verdict == ChallengeVerdict::Retry) {
      static_cast<void>(
          subscribe(std::move(request.attempt), request.interval_raises, request.ends, now));
      return;
    }
    reason = outcome.detail;
  }
  if (status == 423 && request.interval_raises < kMaxIntervalRaises && !request.ends) {
    // RFC 6665 §4.1.2.1: a longer duration, as Min-Expires names it.
    const auto minimum = wire::min_expires_of(response);
    if (minimum && *minimum > asked_expires_ && *minimum <= kMaxExpires) {
      asked_expires_ = *minimum;
      static_cast<void>(
          subscribe(std::move(request.attempt), request.interval_raises + 1, false, now));
      return;
    }
  }
  const auto retry_after = wire::retry_after_of(response);
  on_refused(request, status, std::move(reason),
             retry_after ? std::optional<Duration>(retry_after->delay) : std::nullopt, now);
}

void Subscription::on_accepted(const wire::Message& response, bool initial, TimePoint now) {
  transaction_timers_ = {};
  if (stopping_) return;  // The NOTIFY that says terminated follows, or timer N.
  if (initial && !dialog_) {
    // RFC 6665 §4.4.1: it is the NOTIFY that creates the dialog; until then the 2xx tells where a
    // refresh would go. A fork that notifies first takes its place (on_notify).
    Dialog::Seed seed;
    seed.call_id = call_id_;
    seed.local_tag = local_tag_;
    seed.local_party = "<" + config_.identity.local_uri + ">";
    seed.remote_party = "<" + config_.target + ">";
    seed.cseq = cseq_;
    if (auto dialog = Dialog::as_uac(seed, config_.target, response)) dialog_ = std::move(*dialog);
  } else if (dialog_ && dialog_->id.remote_tag == wire::to_tag_of(response)) {
    dialog_->refresh_target(response);
  }
  const auto granted = wire::expires_of(response).value_or(asked_expires_);
  keep_until(std::min(granted, asked_expires_), now);
  if (std::exchange(moving_, false) &&
      (state_ == SubscriptionState::Active || state_ == SubscriptionState::Pending)) {
    tell(state_, response.status(), std::string(response.reason()), {}, true);
  }
}

void Subscription::keep_until(seconds expires, TimePoint now) {
  const seconds granted = std::clamp(expires, seconds(0), kMaxExpires);
  ends_at_ = now + granted;
  schedule(expiry_, Timer::Expiry, *ends_at_);
  const Duration whole = granted;
  const auto percent = static_cast<int>(context_.random.between(50, 90));
  Duration wait = whole / 100 * percent;
  if (whole - wait < kRefreshMargin) wait = std::max<Duration>(whole - kRefreshMargin, whole / 2);
  schedule(refresh_, Timer::Refresh, now + std::max<Duration>(wait, seconds(1)));
}

void Subscription::on_client_failed(const ClientFailed& event, TimePoint now) {
  if (!request_ || request_->transaction != event.transaction) return;
  const Request request = std::move(*request_);
  request_.reset();
  const bool timeout = event.failure == TransactionFailure::Timeout;
  // RFC 3261 §8.1.3.1
  on_refused(request, timeout ? 408 : 503, timeout ? "no answer" : "the network path is gone",
             std::nullopt, now);
}

void Subscription::on_refused(const Request& request, int status, std::string reason,
                              std::optional<Duration> retry_after, TimePoint now) {
  transaction_timers_ = {};
  cancel(timer_n_);
  if (request.ends || stopping_) return terminate(status, std::move(reason));
  const bool after_move = std::exchange(moving_, false);
  if (!request.initial && status != 481 && !after_move && ends_at_ && *ends_at_ > now) {
    // RFC 6665 §4.1.2.2: "If a SUBSCRIBE request to refresh a subscription receives a non-481
    // failure, the original subscription is still considered valid for the duration of its
    // Expires". It is tried once more before that.
    const Duration left = *ends_at_ - now;
    Duration wait = left / 2;
    if (retry_after) wait = std::clamp(*retry_after, wait, std::max<Duration>(left, wait));
    return schedule(refresh_, Timer::Refresh, now + std::max<Duration>(wait, seconds(1)));
  }
  if (!is_temporary(status) && !after_move) return terminate(status, std::move(reason));
  // The notifier does not know the dialog any more, or cannot be reached in it: a new one.
  if (!request.initial) {
    begin_anew();
    cancel(expiry_);
    cancel(refresh_);
    if (++failures_ == 1 && !retry_after) {
      tell(SubscriptionState::Subscribing, status, std::move(reason));
      static_cast<void>(subscribe({}, 0, false, now));
      return;
    }
    --failures_;
  }
  retry_later(status, std::move(reason), retry_after, now);
}

void Subscription::retry_later(int status, std::string reason, std::optional<Duration> retry_after,
                               TimePoint now) {
  begin_anew();
  cancel_timers();
  ++failures_;
  const Duration base = std::min(kRetryBase * (1 << std::min(failures_ - 1, 9)), kRetryMax);
  Duration wait = base / 100 * static_cast<int>(context_.random.between(50, 100));
  // The notifier knows better; but one that always says "at once" must not make us spin.
  if (retry_after) wait = std::clamp<Duration>(*retry_after, wait, std::max(kRetryMax, wait));
  schedule(retry_, Timer::Retry, now + wait);
  tell(SubscriptionState::Waiting, status, std::move(reason), wait);
}

void Subscription::terminate(int status, std::string reason) {
  cancel_timers();
  dialog_.reset();
  tell(SubscriptionState::Terminated, status, std::move(reason));
}

// --- notifications ---

bool Subscription::is_our_event(const wire::Message& notify) const {
  const auto header = notify.first(HeaderId::Event);
  const auto theirs = header ? wire::ValueWithParams::parse(*header) : std::nullopt;
  const auto ours = wire::ValueWithParams::parse(config_.event);
  // RFC 6665 §8.2.1: the event type byte by byte, and the "id" parameter; others do not matter.
  return theirs && ours && theirs->value == ours->value && id_of(*theirs) == id_of(*ours);
}

void Subscription::answer(const RequestArrived& event, int status, wire::DraftHeaders extra,
                          TimePoint now) {
  wire::ResponseDraft draft = wire::make_response(*event.request, status, {.to_tag = local_tag_});
  draft.contact.wanted = status < 300;
  for (wire::DraftHeader& header : extra) draft.headers.push_back(std::move(header));
  if (!config_.identity.user_agent.empty())
    draft.headers.emplace_back(HeaderId::Server, config_.identity.user_agent);
  // The transaction may have ended meanwhile; then nobody waits for this.
  static_cast<void>(
      context_.transactions.respond(event.transaction, draft, "<" + contact_ + ">", now));
}

void Subscription::on_notify(const RequestArrived& event, TimePoint now) {
  const wire::Message& notify = *event.request;
  const auto cseq = wire::cseq_of(notify);
  if (state_ == SubscriptionState::Terminated || !cseq) return answer(event, 481, {}, now);
  // RFC 6665 §4.1.3: a NOTIFY for a subscription that we do not have gets 481, an event we cannot
  // take 489.
  if (!is_our_event(notify)) {
    wire::DraftHeaders headers;
    const auto ours = wire::ValueWithParams::parse(config_.event);
    headers.emplace_back(HeaderId::AllowEvents, std::string(ours ? ours->value : ""));
    return answer(event, 489, std::move(headers), now);
  }
  const std::string_view tag = wire::from_tag_of(notify);
  if (dialog_ && dialog_->id.remote_tag != tag && notified_) {
    // RFC 6665 §4.4.1: a further notifier of a forked SUBSCRIBE, which we do not want.
    return answer(event, 481, {}, now);
  }
  const auto header = notify.first(HeaderId::SubscriptionState);
  const auto value = header ? wire::ValueWithParams::parse(*header) : std::nullopt;
  if (!value) return answer(event, 400, {}, now);
  if (notify.body().size() > kMaxBody) return answer(event, 413, {}, now);
  if (!notify.body().empty() && !config_.accept.empty() &&
      std::none_of(config_.accept.begin(), config_.accept.end(),
                   [&](const std::string& type) { return wire::has_content_type(notify, type); })) {
    wire::DraftHeaders headers;
    headers.emplace_back(HeaderId::Accept, joined(config_.accept));
    return answer(event, 415, std::move(headers), now);
  }
  if (!dialog_ || dialog_->id.remote_tag != tag) {
    auto dialog = Dialog::as_uas(notify, local_tag_);
    if (!dialog) return answer(event, 400, {}, now);
    dialog->local_cseq = dialog_ ? dialog_->local_cseq : cseq_;
    dialog->phase = Dialog::Phase::Confirmed;
    dialog_ = std::move(*dialog);
  } else {
    // RFC 3261 §12.2.2: what is older than what we have seen changes nothing.
    if (dialog_->check_request_cseq(cseq->number) == Dialog::Order::OutOfOrder)
      return answer(event, 500, {}, now);
    dialog_->refresh_target(notify);
  }
  notified_ = true;
  cancel(timer_n_);
  answer(event, 200, {}, now);
  if (!notify.body().empty()) {
    Notification told;
    told.content_type = std::string(notify.first(HeaderId::ContentType).value_or(""));
    told.body = std::string(notify.body());
    events_.emplace_back(std::move(told));
  }
  const auto seconds_of = [&](std::string_view name) -> std::optional<seconds> {
    const auto text = value->params.get(name);
    return text ? wire::parse_delta_seconds(*text) : std::nullopt;
  };
  if (wire::lex::iequals(value->value, "terminated")) {
    const auto retry_after = seconds_of("retry-after");
    return on_terminated_by_notifier(
        value->params.get("reason").value_or(""),
        retry_after ? std::optional<Duration>(*retry_after) : std::nullopt, now);
  }
  failures_ = 0;
  if (stopping_) return;
  // RFC 6665 §4.1.3: active, pending; an extension counts as pending, for it promises nothing.
  const bool active = wire::lex::iequals(value->value, "active");
  if (const auto expires = seconds_of("expires")) {
    // It may only shorten what the 2xx granted.
    if (!ends_at_ || now + *expires < *ends_at_) keep_until(*expires, now);
  } else if (!ends_at_) {
    keep_until(asked_expires_, now);
  }
  const auto next = active ? SubscriptionState::Active : SubscriptionState::Pending;
  // Without a request in flight a move that was going on is answered by this.
  const bool moved = moving_ && !request_;
  if (moved) moving_ = false;
  if (next != state_ || moved) tell(next, 0, "", {}, moved);
}

void Subscription::on_terminated_by_notifier(std::string_view reason,
                                             std::optional<Duration> retry_after, TimePoint now) {
  if (request_) drop_request(now);
  const std::string text = reason.empty() ? "ended by the notifier" : std::string(reason);
  if (stopping_) return terminate(0, text);
  cancel_timers();
  // RFC 6665 §4.1.3: what each reason says about another try.
  const bool at_once =
      wire::lex::iequals(reason, "deactivated") || wire::lex::iequals(reason, "timeout");
  const bool later = reason.empty() || wire::lex::iequals(reason, "probation") ||
                     wire::lex::iequals(reason, "giveup");
  const bool never = wire::lex::iequals(reason, "rejected") ||
                     wire::lex::iequals(reason, "noresource") ||
                     wire::lex::iequals(reason, "invariant");
  if (never) return terminate(0, text);
  if (at_once && failures_ == 0 && !retry_after) {
    ++failures_;  // Until it is granted: one that is deactivated at once again waits.
    begin_anew();
    tell(SubscriptionState::Subscribing, 0, text);
    static_cast<void>(subscribe({}, 0, false, now));
    return;
  }
  if (at_once || later) return retry_later(0, text, retry_after, now);
  terminate(0, text);
}

void Subscription::on_timer(std::uint32_t kind, TimePoint now) {
  switch (static_cast<Timer>(kind)) {
    case Timer::Refresh:
      refresh_ = {};
      if (!request_ && dialog_ && state_ != SubscriptionState::Suspended)
        static_cast<void>(subscribe({}, 0, false, now));
      return;
    case Timer::Expiry:
      expiry_ = {};
      // RFC 6665 §4.4.1: without a refresh it is over, whether or not the notifier says so.
      drop_request(now);
      if (state_ == SubscriptionState::Suspended) return begin_anew();
      if (stopping_) return terminate(0, "unsubscribed");
      return retry_later(0, "the subscription has expired", std::nullopt, now);
    case Timer::N:
      timer_n_ = {};
      if (stopping_) {
        drop_request(now);
        return terminate(0, "unsubscribed");
      }
      if (request_) return;  // Its own failure comes.
      // A notifier that refreshes in silence, against §4.2.1.2, does no harm: only the first
      // NOTIFY is missed, for without it there is nothing to know.
      if (notified_) {
        if (std::exchange(moving_, false)) tell(state_, 200, "", {}, true);
        return;
      }
      return retry_later(408, "no notification came", std::nullopt, now);
    case Timer::Retry:
      retry_ = {};
      if (state_ != SubscriptionState::Waiting) return;
      tell(SubscriptionState::Subscribing, 0, "trying again");
      static_cast<void>(subscribe({}, 0, false, now));
      return;
  }
}

}  // namespace godwit::sip
