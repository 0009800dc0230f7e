// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: requests of its owner's within the dialog, and answers to such requests of the
// peer's.
#include "sip/session_requests.hpp"

#include <algorithm>

#include "sip/invite_session.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {

Result<void> InviteSession::send_request(OwnRequest request, TimePoint now) {
  if (!dialog_ || is_over() || dialog_->phase == Dialog::Phase::Early)
    return fail(ErrorCode::WrongState, "there is no established dialog");
  if (own_requests_.size() >= kMaxOwnRequests)
    return fail(ErrorCode::Busy, "too many requests wait for an answer");
  LocalRequest local;
  local.request = std::move(request);
  return send_own(std::move(local), now);
}

Result<void> InviteSession::tell_target(std::uint32_t token, TimePoint now) {
  OwnRequest update;
  update.token = token;
  update.method = wire::Method::Update;
  // RFC 3311 §5.1: without an offer it may be sent while one is open.
  return send_request(std::move(update), now);
}

Result<void> InviteSession::set_target(const std::string& uri) {
  if (!dialog_ || is_over()) return fail(ErrorCode::WrongState, "there is no dialog");
  dialog_->remote_target = uri;
  target_may_have_moved(true);
  return {};
}

Result<void> InviteSession::send_own(LocalRequest local, TimePoint now) {
  const bool update = local.request.method == wire::Method::Update;
  wire::RequestDraft draft = update ? draft_refresh({.method = wire::Method::Update,
                                                     .offer = std::nullopt,
                                                     .flow = flow_,
                                                     .contact = contact_,
                                                     .timers = timers_,
                                                     .generation = {}})
                                    : dialog_->make_request(local.request.method);
  if (update) dialog_->local_contact = contact_;  // As good as told.
  local.cseq = dialog_->local_cseq;
  for (const wire::DraftHeader& header : local.request.headers) draft.headers.push_back(header);
  if (!config_.user_agent.empty() && !update)
    draft.headers.emplace_back(wire::HeaderId::UserAgent, config_.user_agent);
  draft.content_type = local.request.content_type;
  draft.body = local.request.body;
  auto sent = send(std::move(draft), local.attempt, nullptr, now);
  if (!sent) return tl::unexpected(sent.error());
  local.transaction = *sent;
  own_requests_.push_back(std::move(local));
  return {};
}

InviteSession::LocalRequest* InviteSession::find_own(ClientTransactionId transaction) {
  const auto found =
      std::find_if(own_requests_.begin(), own_requests_.end(),
                   [&](const LocalRequest& local) { return local.transaction == transaction; });
  return found == own_requests_.end() ? nullptr : &*found;
}

void InviteSession::close_own(ClientTransactionId transaction, RequestAnswered answered) {
  const LocalRequest* local = find_own(transaction);
  answered.token = local->request.token;
  answered.method = local->request.method;
  answered.cseq = local->cseq;
  std::erase_if(own_requests_,
                [&](const LocalRequest& other) { return other.transaction == transaction; });
  emit(std::move(answered));
}

bool InviteSession::on_own_response(const ResponseArrived& event, TimePoint now) {
  LocalRequest* local = find_own(event.transaction);
  if (local == nullptr) return false;
  const wire::Message& response = *event.response;
  const int status = response.status();
  if (status < 200) return true;
  if ((status == 401 || status == 407) && !is_over() &&
      has_new_credentials(event, local->attempt)) {
    LocalRequest again = std::move(*local);
    std::erase_if(own_requests_, [&](const LocalRequest& other) {
      return other.transaction == event.transaction;
    });
    if (const auto sent = send_own(again, now); sent) return true;
    RequestAnswered failed;
    failed.token = again.request.token;
    failed.method = again.request.method;
    failed.cseq = again.cseq;
    failed.status = status;
    failed.reason = "the request could not be sent again with credentials";
    emit(std::move(failed));
    return true;
  }
  const bool update = local->request.method == wire::Method::Update;
  // RFC 3261 §12.2.1.2: a 2xx to a target refresh request, as REFER is one, brings the new target.
  if (status < 300 && dialog_ && (update || local->request.method == wire::Method::Refer))
    target_may_have_moved(dialog_->refresh_target(response));
  // RFC 4028 §10: it refreshes the session, too.
  if (status < 300 && update && !is_over())
    start_session_timer(granted_timer(response, config_.timer, asked_interval_), now);
  RequestAnswered answered;
  answered.status = status;
  answered.reason = std::string(response.reason());
  answered.response = event.response;
  close_own(event.transaction, std::move(answered));
  return true;
}

bool InviteSession::on_own_failed(const ClientFailed& event) {
  if (find_own(event.transaction) == nullptr) return false;
  const bool timeout = event.failure == TransactionFailure::Timeout;
  RequestAnswered answered;
  answered.status = timeout ? 408 : 503;  // RFC 3261 §8.1.3.1
  answered.reason = timeout ? "no answer" : "the network path is gone";
  answered.in_doubt = true;
  answered.flow_died = !timeout;
  close_own(event.transaction, std::move(answered));
  return true;
}

void InviteSession::drop_own_requests(TimePoint now) {
  for (const LocalRequest& local : std::exchange(own_requests_, {})) {
    context_.transactions.detach(local.transaction, now);
    RequestAnswered answered;
    answered.token = local.request.token;
    answered.method = local.request.method;
    answered.cseq = local.cseq;
    answered.status = 487;
    answered.reason = "the call has ended";
    answered.in_doubt = true;
    emit(std::move(answered));
  }
}

Result<void> InviteSession::respond(ServerTransactionId transaction, int code,
                                    wire::DraftHeaders extra, TimePoint now) {
  const auto open =
      std::find_if(open_requests_.begin(), open_requests_.end(),
                   [&](const PeerRequest& r) { return r.transaction == transaction; });
  if (open == open_requests_.end()) return fail(ErrorCode::NotFound, "no such request");
  if (code < 200 || code > 699)
    return fail(ErrorCode::InvalidArgument, "no final response: " + std::to_string(code));
  const PeerRequest request = std::move(*open);
  open_requests_.erase(open);
  wire::ResponseDraft draft = draft_response(*request.request, request.flow, code, {});
  const wire::Method method = request.request->method();
  const bool targets = method == wire::Method::Refer || method == wire::Method::Notify ||
                       method == wire::Method::Subscribe;
  if (targets && code < 300) {
    // RFC 6665 §4.2.1 and RFC 3515 §2.2: these refresh both targets.
    draft.contact.wanted = true;
    if (dialog_) target_may_have_moved(dialog_->refresh_target(*request.request));
  }
  for (wire::DraftHeader& header : extra) draft.headers.push_back(std::move(header));
  return context_.transactions.respond(request.transaction, draft, contact_value(), now);
}

}  // namespace godwit::sip
