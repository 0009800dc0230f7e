// SPDX-License-Identifier: Apache-2.0
#include "sip/publication.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

using std::chrono::seconds;
using wire::HeaderId;

constexpr int kMaxIntervalRaises = 2;
constexpr seconds kMaxExpires = std::chrono::hours(24 * 7);
constexpr seconds kRefreshMargin{5};
/// An entity-tag is a token that we only give back; a longer one is not a server's.
constexpr std::size_t kMaxTag = 256;

bool is_temporary(int status) {
  return status == 408 || status == 412 || status == 429 || status == 480 || status / 100 == 5;
}

}  // namespace

Publication::Publication(UsageContext context, Owner owner, PublicationConfig config,
                         DigestClient& digest)
    : context_(context),
      owner_(owner),
      config_(std::move(config)),
      request_(context, owner, config_.identity, digest),
      asked_expires_(config_.expires) {}

Publication::~Publication() { cancel_timer(); }

void Publication::cancel_timer() {
  if (timer_) context_.timers.cancel(timer_);
  timer_ = {};
}

void Publication::schedule(TimePoint at) {
  cancel_timer();
  timer_ = context_.timers.schedule(at, UsageTimer{owner_, 1});
}

void Publication::tell(PublicationState state, int status, std::string reason) {
  state_ = state;
  const bool answers = state != PublicationState::Publishing && std::exchange(moved_, false) &&
                       state != PublicationState::Suspended;
  events_.push_back({state, status, std::move(reason),
                     state == PublicationState::Published ? granted_ : seconds(0), answers});
}

std::optional<PublicationStatus> Publication::poll_event() {
  if (events_.empty()) return std::nullopt;
  PublicationStatus event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Publication::set_content(std::string content_type, std::string body, TimePoint now) {
  content_type_ = std::move(content_type);
  body_ = std::move(body);
  unknown_ = true;
  changed_ = request_.in_flight();
  if (flow_ && !request_.in_flight() && !stopping_ && state_ != PublicationState::Suspended)
    send(now);
}

void Publication::move(const Flow& flow, const TransactionTimers& timers, TimePoint now) {
  if (state_ == PublicationState::Ended) return;
  if (request_.in_flight()) request_.forget(now);
  flow_ = flow;
  timers_ = timers;
  failures_ = 0;
  moved_ = true;
  send(now);
}

void Publication::stop(TimePoint now) {
  if (state_ == PublicationState::Ended || stopping_) return;
  stopping_ = true;
  request_.forget(now);
  cancel_timer();
  if (etag_.empty() || !flow_ || state_ == PublicationState::Suspended)
    return tell(PublicationState::Ended, 0, "taken away");
  send(now);
}

void Publication::suspend(TimePoint now) {
  if (state_ == PublicationState::Ended || state_ == PublicationState::Suspended) return;
  request_.forget(now);
  cancel_timer();
  if (stopping_) return tell(PublicationState::Ended, 0, "no network");
  tell(PublicationState::Suspended, 0, "no network");
}

void Publication::send(TimePoint now) {
  cancel_timer();
  OutgoingRequest request;
  request.method = wire::Method::Publish;
  request.target = config_.target;
  request.headers.emplace_back(HeaderId::Event, config_.event);
  request.headers.emplace_back(HeaderId::Expires,
                               stopping_ ? "0" : std::to_string(asked_expires_.count()));
  // RFC 3903 §4.1, Table 1: a refresh and a removal have the tag and no body, a modification both,
  // the first publication the body alone.
  if (!etag_.empty()) request.headers.emplace_back(HeaderId::SipIfMatch, etag_);
  sent_body_ = !stopping_ && (unknown_ || etag_.empty());
  if (sent_body_) {
    request.content_type = content_type_;
    request.body = body_;
  }
  changed_ = false;
  request.flow = *flow_;
  request.timers = timers_;
  if (state_ != PublicationState::Published && state_ != PublicationState::Publishing && !stopping_)
    tell(PublicationState::Publishing, 0, "PUBLISH sent");
  if (const auto sent = request_.start(std::move(request), now); !sent) {
    if (stopping_) return tell(PublicationState::Ended, 503, sent.error().detail);
    retry_later(503, sent.error().detail, std::nullopt, now);
  }
}

void Publication::on_response(const ResponseArrived& event, TimePoint now) {
  request_.on_response(event, now);
  take_outcome(now);
}

void Publication::on_client_failed(const ClientFailed& event, TimePoint now) {
  request_.on_client_failed(event, now);
  take_outcome(now);
}

void Publication::take_outcome(TimePoint now) {
  const auto outcome = request_.poll_outcome();
  if (!outcome) return;
  timers_ = {};
  const int status = outcome->status;
  if (stopping_) return tell(PublicationState::Ended, status, outcome->reason);
  if (status / 100 == 2 && outcome->response) {
    const wire::Message& response = *outcome->response;
    const auto tag = response.first(HeaderId::SipETag);
    // RFC 3903 §6: every 2xx brings a new tag. Without one it cannot be kept fresh.
    if (!tag || tag->empty() || tag->size() > kMaxTag)
      return retry_later(status, "the server gave no entity-tag", std::nullopt, now);
    etag_ = std::string(*tag);
    if (sent_body_ && !changed_) unknown_ = false;
    granted_ =
        std::clamp(wire::expires_of(response).value_or(asked_expires_), seconds(1), kMaxExpires);
    const bool first = state_ != PublicationState::Published || failures_ > 0;
    failures_ = 0;
    interval_raises_ = 0;
    if (unknown_) return send(now);  // It has changed meanwhile.
    const Duration whole = granted_;
    Duration wait = whole / 100 * static_cast<int>(context_.random.between(50, 90));
    if (whole - wait < kRefreshMargin) wait = std::max<Duration>(whole - kRefreshMargin, whole / 2);
    schedule(now + std::max<Duration>(wait, seconds(1)));
    const bool quiet = !first && !sent_body_;
    if (quiet && !moved_) return;
    tell(PublicationState::Published, status, outcome->reason);
    events_.back().unchanged = quiet;
    return;
  }
  if (status == 412 && !etag_.empty()) {
    // RFC 3903 §4.5: the server knows nothing of that tag: published anew, with the body.
    etag_.clear();
    unknown_ = true;
    return send(now);
  }
  if (status == 423 && outcome->response && interval_raises_ < kMaxIntervalRaises) {
    const auto minimum = wire::min_expires_of(*outcome->response);
    if (minimum && *minimum > asked_expires_ && *minimum <= kMaxExpires) {
      asked_expires_ = *minimum;
      ++interval_raises_;
      return send(now);
    }
  }
  if (!is_temporary(status)) {
    cancel_timer();
    return tell(PublicationState::Ended, status, outcome->reason);
  }
  retry_later(status, outcome->reason, outcome->retry_after, now);
}

void Publication::retry_later(int status, std::string reason, std::optional<Duration> retry_after,
                              TimePoint now) {
  ++failures_;
  const Duration base = std::min(kRetryBase * (1 << std::min(failures_ - 1, 9)), kRetryMax);
  Duration wait = base / 100 * static_cast<int>(context_.random.between(50, 100));
  // The server knows better; but one that always says "at once" must not make us spin.
  if (retry_after) wait = std::clamp<Duration>(*retry_after, wait, std::max(kRetryMax, wait));
  schedule(now + wait);
  tell(PublicationState::Failed, status, std::move(reason));
}

void Publication::on_timer(std::uint32_t, TimePoint now) {
  timer_ = {};
  if (state_ == PublicationState::Ended || state_ == PublicationState::Suspended) return;
  if (!request_.in_flight()) send(now);
}

}  // namespace godwit::sip
