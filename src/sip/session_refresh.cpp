// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: our own re-INVITE and UPDATE within the dialog.
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {

Result<void> InviteSession::can_refresh(wire::Method method, bool with_offer) const {
  const bool invite = method == wire::Method::Invite;
  if (!invite && method != wire::Method::Update)
    return fail(ErrorCode::InvalidArgument, "a refresh is a re-INVITE or an UPDATE");
  if (!dialog_ || is_over()) return fail(ErrorCode::WrongState, "no dialog");
  if (local_refresh_) return fail(ErrorCode::WrongState, "our own refresh is pending");
  // RFC 3261 §14.1, RFC 3311 §5.1: an early dialog has an INVITE pending by its nature, and the
  // exchange that it began.
  if (dialog_->phase == Dialog::Phase::Early &&
      (invite || (with_offer && (!offer_answer_.current() || unpracked_))))
    return fail(ErrorCode::WrongState, "the call is not answered yet");
  if (invite) {
    if (owed_ack_) return fail(ErrorCode::WrongState, "an offer of the peer's waits for us");
    if (peer_request_ && peer_request_->request->method() == wire::Method::Invite)
      return fail(ErrorCode::WrongState, "the peer's re-INVITE waits for us");
  }
  if (with_offer && (peer_request_ || owed_ack_))
    return fail(ErrorCode::WrongState, "the peer's exchange comes first");
  // RFC 3264 §4; a re-INVITE without an offer opens an exchange too.
  if ((with_offer || invite) && !offer_answer_.can_offer())
    return fail(ErrorCode::WrongState, "an offer is open");
  return {};
}

Result<void> InviteSession::refresh(RefreshRequest request, TimePoint now) {
  if (auto possible = can_refresh(request.method, request.offer.has_value()); !possible)
    return possible;
  flow_ = request.flow;
  contact_ = request.contact;
  timers_ = request.timers;
  acks_.move(flow_);
  unknown_.reset();

  LocalRefresh refresh;
  refresh.request = std::move(request);
  if (auto sent = send_refresh(std::move(refresh), now); !sent) return sent;
  if (const auto& offer = local_refresh_->request.offer)
    static_cast<void>(offer_answer_.offer(*offer));  // can_refresh has seen that none is open.
  return {};
}

Result<void> InviteSession::send_refresh(LocalRefresh refresh, TimePoint now) {
  auto sent = send(draft_refresh(refresh.request), refresh.attempt, &refresh.credentials, now);
  if (!sent) return tl::unexpected(sent.error());
  refresh.transaction = *sent;
  refresh.cseq = dialog_->local_cseq;
  dialog_->local_contact = contact_;  // As good as told: the peer may have got it.
  local_refresh_ = std::move(refresh);
  return {};
}

void InviteSession::on_refresh_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const int status = response.status();
  if (status < 200) return;
  if (status < 300) {
    digest_.on_success(response, event.flow.remote);
    return on_refresh_answered(response, now);
  }
  if (status == 401 || status == 407) {
    if (has_new_credentials(event, local_refresh_->attempt)) {
      LocalRefresh again = std::move(*local_refresh_);
      local_refresh_ = again;  // For fail_refresh, should the second sending be impossible.
      if (auto sent = send_refresh(std::move(again), now); !sent)
        fail_refresh(RefreshFailure::Transport, 503, sent.error().detail, std::nullopt);
      return;
    }
  }
  if (status == 422 && raise_interval(response)) {
    LocalRefresh again = *local_refresh_;
    if (send_refresh(std::move(again), now)) return;
  }
  std::optional<Duration> retry_after;
  if (status == 491) {
    retry_after = glare_wait();
  } else if (const auto header = wire::retry_after_of(response)) {
    retry_after = header->delay;
  }
  fail_refresh(RefreshFailure::Rejected, status, std::string(response.reason()), retry_after);
}

void InviteSession::on_refresh_answered(const wire::Message& response, TimePoint now) {
  LocalRefresh refresh = std::move(*local_refresh_);
  local_refresh_.reset();
  const bool offered = refresh.request.offer.has_value();
  target_may_have_moved(dialog_->refresh_target(response));
  // An answered refresh proves that the peer has all that came before: our 2xx, our ACK.
  acks_.stop();
  if (dialog_->phase == Dialog::Phase::Confirmed) {
    confirm_without_ack(now);
    // RFC 4028 §10: every 2xx to a re-INVITE or UPDATE refreshes the session.
    start_session_timer(granted_timer(response, config_.timer, asked_interval_), now);
  }

  std::string sdp = sdp_of(response);
  if (refresh.request.method == wire::Method::Invite) {
    take_answer(std::move(sdp), offered, OwedAck{refresh.cseq, std::move(refresh.credentials)},
                now);
  } else if (offered) {
    if (!sdp.empty() && offer_answer_.answer_received(sdp)) {
      emit(AnswerReceived{std::move(sdp)});
    } else {
      offer_answer_.roll_back();
      emit(AnswerMissing{});
    }
  }
  emit(RefreshDone{refresh.request.method, response.status(), refresh.request.generation});
}

void InviteSession::fail_refresh(RefreshFailure failure, int status, std::string reason,
                                 std::optional<Duration> retry_after) {
  LocalRefresh refresh = std::move(*local_refresh_);
  local_refresh_.reset();
  const bool offered = refresh.request.offer.has_value();
  const bool rejected = failure == RefreshFailure::Rejected;
  if (rejected) {
    if (offered) offer_answer_.roll_back();
  } else {
    // The answer may have been given and lost.
    if (offered) offer_answer_.abandon();
    if (refresh.request.method == wire::Method::Invite) {
      unknown_ = Unknown{
          refresh.transaction, {}, refresh.cseq, std::move(refresh.credentials), offered, false};
    }
  }
  emit(RefreshFailed{refresh.request.method, failure, status, std::move(reason), retry_after,
                     rejected && offered, refresh.request.generation});
}

Duration InviteSession::glare_wait() {
  // RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other side 0 to 2 s, both in
  // units of 10 ms.
  const bool owner = dialog_->role == Dialog::Role::Uac;
  const std::uint64_t units =
      owner ? context_.random.between(210, 400) : context_.random.between(0, 200);
  return std::chrono::milliseconds(10 * units);
}

}  // namespace godwit::sip
