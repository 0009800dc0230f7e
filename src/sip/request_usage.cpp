// SPDX-License-Identifier: Apache-2.0
#include "sip/request_usage.hpp"

#include <utility>

#include "wire/sip/headers.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {

using wire::HeaderId;

RequestUsage::RequestUsage(UsageContext context, Owner owner, RequestIdentity identity,
                           DigestClient& digest)
    : context_(context), owner_(owner), identity_(std::move(identity)), digest_(digest) {}

RequestUsage::~RequestUsage() = default;

Result<void> RequestUsage::start(OutgoingRequest request, TimePoint now) {
  if (pending_) return fail(ErrorCode::WrongState, "a request is in flight");
  Pending pending;
  pending.request = std::move(request);
  pending.call_id = context_.random.token(24);
  pending.from_tag = context_.random.token(10);
  pending.cseq = static_cast<std::uint32_t>(context_.random.between(1, 0xffff));
  return send(std::move(pending), now);
}

Result<void> RequestUsage::send(Pending pending, TimePoint now) {
  const OutgoingRequest& request = pending.request;
  wire::RequestDraft draft;
  draft.method = request.method;
  draft.request_uri = request.target;
  for (const std::string& route : identity_.route_set)
    draft.headers.emplace_back(HeaderId::Route, route);
  std::string from;
  if (!identity_.display_name.empty()) from = wire::quote(identity_.display_name) + " ";
  from += "<" + identity_.local_uri + ">;tag=" + pending.from_tag;
  draft.headers.emplace_back(HeaderId::From, std::move(from));
  draft.headers.emplace_back(HeaderId::To, "<" + request.target + ">");
  draft.headers.emplace_back(HeaderId::CallId, pending.call_id);
  draft.headers.emplace_back(HeaderId::CSeq, std::to_string(pending.cseq) + " " +
                                                 std::string(wire::to_string(request.method)));
  for (const wire::DraftHeader& header : request.headers) draft.headers.push_back(header);
  if (!identity_.user_agent.empty())
    draft.headers.emplace_back(HeaderId::UserAgent, identity_.user_agent);
  for (AuthorizationHeader& header : digest_.authorization(
           wire::to_string(draft.method), draft.request_uri, request.flow.remote, pending.attempt))
    draft.headers.emplace_back(header.name, std::move(header.value));
  draft.contact.wanted = !request.contact.empty();
  draft.content_type = request.content_type;
  draft.body = request.body;
  auto sent = context_.transactions.send_request(draft, "<" + request.contact + ">", request.flow,
                                                 owner_, request.timers, now);
  if (!sent) return tl::unexpected(sent.error());
  pending.transaction = *sent;
  flow_ = request.flow;
  pending_ = std::move(pending);
  return {};
}

void RequestUsage::forget(TimePoint now) {
  if (pending_) context_.transactions.detach(pending_->transaction, now);
  pending_.reset();
}

void RequestUsage::finish(RequestOutcome outcome) {
  pending_.reset();
  outcome_ = std::move(outcome);
}

void RequestUsage::on_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const int status = response.status();
  if (!pending_ || pending_->transaction != event.transaction || status < 200) return;
  RequestOutcome outcome;
  outcome.status = status;
  outcome.reason = std::string(response.reason());
  outcome.response = event.response;
  if (status < 300) digest_.on_success(response, flow_.remote);
  if ((status == 401 || status == 407) && answers_challenges_) {
    const ChallengeOutcome verdict =
        digest_.on_challenge(response, flow_.remote, pending_->attempt);
    if (verdict.verdict == ChallengeVerdict::Retry) {
      // RFC 3261 §22.2: the same request again, with the next CSeq.
      Pending again = std::move(*pending_);
      pending_.reset();
      ++again.cseq;
      if (const auto sent = send(std::move(again), now); sent) return;
      outcome.reason = "the request could not be sent again with credentials";
    } else {
      outcome.reason = verdict.detail;
    }
  }
  if (const auto retry_after = wire::retry_after_of(response))
    outcome.retry_after = retry_after->delay;
  finish(std::move(outcome));
}

void RequestUsage::on_client_failed(const ClientFailed& event, TimePoint) {
  if (!pending_ || pending_->transaction != event.transaction) return;
  const bool timeout = event.failure == TransactionFailure::Timeout;
  RequestOutcome outcome;
  outcome.status = timeout ? 408 : 503;  // RFC 3261 §8.1.3.1
  outcome.reason = timeout ? "no answer" : "the network path is gone";
  outcome.in_doubt = true;
  outcome.flow_died = !timeout;
  finish(std::move(outcome));
}

std::optional<RequestOutcome> RequestUsage::poll_outcome() {
  return std::exchange(outcome_, std::nullopt);
}

}  // namespace godwit::sip
