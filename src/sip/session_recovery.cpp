// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: the operations that a recovery uses after an address change. What is done when is
// not decided here.
#include <utility>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {

Flow InviteSession::reply_flow(const Flow& arrived) const {
  // From our new place to where the request came from; if the families differ, to where our own
  // requests go, since the Via names an address that we can no longer reach.
  Flow flow = flow_;
  if (arrived.remote.address.family() == flow_.local.address.family()) flow.remote = arrived.remote;
  return flow;
}

void InviteSession::move_flow(const Flow& flow, const std::string& contact) {
  flow_ = flow;
  contact_ = contact;
  acks_.move(flow);
  const auto move = [this](PeerRequest& request) {
    request.flow = reply_flow(request.flow);
    context_.transactions.move_server(request.transaction, request.flow);
  };
  if (auto* incoming = std::get_if<Incoming>(&state_)) move(incoming->invite);
  if (peer_request_) move(*peer_request_);
  for (PeerRequest& open : open_requests_) move(open);
  if (unacked_ && unacked_->response) {
    unacked_->response->flow = reply_flow(unacked_->response->flow);
    context_.transactions.move_server(unacked_->transaction, unacked_->response->flow);
  }
}

void InviteSession::abandon_pending(TimePoint now) {
  // In an INVITE that is given up nobody needs to hear of its provisional responses any more.
  if (!std::holds_alternative<Outgoing>(state_)) repeat_pracks(now);
  if (local_refresh_) {
    LocalRefresh refresh = std::move(*local_refresh_);
    local_refresh_.reset();
    const bool offered = refresh.request.offer.has_value();
    if (offered) offer_answer_.abandon();
    if (refresh.request.method != wire::Method::Invite)
      return context_.transactions.detach(refresh.transaction, now);
    unknown_ = Unknown{
        refresh.transaction, {}, refresh.cseq, std::move(refresh.credentials), offered, false};
    return cancel_unknown(now);
  }
  if (auto* outgoing = std::get_if<Outgoing>(&state_)) {
    const bool offered = outgoing->request.offer.has_value();
    unknown_ = Unknown{
        outgoing->transaction, {}, seed_.cseq, std::move(outgoing->credentials), offered, true};
    if (offered) {
      offer_answer_.abandon();
      for (Fork& fork : forks_) fork.offer_answer.abandon();
    }
    for (const Prack& prack : std::exchange(pracks_, {}))
      context_.transactions.detach(prack.transaction, now);
    Terminating ending;
    ending.outcome = sip::Ended{0, "abandoned on a dead path", EndedBy::Network};
    enter(std::move(ending), "abandoned");
    drop_limit();
    limit_ = schedule(Timer::Limit, now + AckSender::kLifetime);
    return cancel_unknown(now);
  }
  // One that failed by itself before its owner could abandon it is caught up with.
  if (unknown_ && !unknown_->cancel && !is_over()) cancel_unknown(now);
}

void InviteSession::cancel_unknown(TimePoint now) {
  // The CANCEL first: the layer needs the INVITE, which it forgets sooner once detached. That its
  // 1xx may be lost with the flow is why it does not wait for one (design §5).
  if (auto cancel = context_.transactions.send_cancel(unknown_->invite, now, true, flow_))
    unknown_->cancel = *cancel;
  context_.transactions.detach(unknown_->invite, now);
  // Without an offer in the INVITE the ACK would owe an answer, so none is sent.
  if (!unknown_->had_offer) return;
  const AckContent content{unknown_->cseq, {}, unknown_->credentials};
  if (dialog_) acks_.start_blind(*dialog_, content, flow_, now);
  for (const Fork& fork : forks_) acks_.start_blind(fork.dialog, content, flow_, now);
}

void InviteSession::on_cancel_answered(const wire::Message& response) {
  if (response.status() < 200) return;
  emit(CancelAnswered{response.status()});
}

void InviteSession::on_detached_answer(const DetachedAnswerArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const auto cseq = wire::cseq_of(response);
  const std::string tag(wire::to_tag_of(response));
  if (!cseq || tag.empty()) return;
  if (std::holds_alternative<Finished>(state_)) {
    // RFC 3261 §13.2.2.4: each 2xx is due its ACK, though nobody wants the call any more.
    if (!acks_.repeat(tag, cseq->number, flow_, now) && seed_.cseq == cseq->number)
      release_fork(response, now);
    return;
  }
  const bool initial = unknown_ && unknown_->initial && unknown_->cseq == cseq->number && !dialog_;
  const bool of_first_invite = !seed_.call_id.empty() && seed_.cseq == cseq->number;
  if (!initial) {
    // A re-INVITE's, or a further retransmission: the ACK is all that it is due.
    if (acks_.repeat(tag, cseq->number, flow_, now)) return;
    // RFC 3261 §13.2.2.4: a second fork has answered the INVITE that was given up, after the first.
    if (of_first_invite && dialog_ && dialog_->id.remote_tag != tag)
      return release_fork(response, now);
    if (!dialog_ || dialog_->id.remote_tag != tag) return;
    acks_.send(*dialog_, AckContent{cseq->number, {}, {}}, flow_, now);
    return emit(LateAnswer{false, sdp_of(response)});
  }
  if (const auto* ending = std::get_if<Terminating>(&state_);
      ending != nullptr && ending->released) {
    if (!acks_.repeat(tag, cseq->number, flow_, now)) release_fork(response, now);
    return;
  }
  // The peer has a call after all.
  std::string preview;
  auto dialog = take_dialog(response, preview);
  if (!dialog) return;
  acks_.send(*dialog, AckContent{cseq->number, {}, unknown_->credentials}, flow_, now);
  confirm_adopted(std::move(*dialog), "late 2xx to the abandoned INVITE", now);
  emit(LateAnswer{true, sdp_of(response)});
}

void InviteSession::confirm_adopted(Dialog dialog, const char* cause, TimePoint now) {
  release_forks(now);
  dialog_ = std::move(dialog);
  drop_limit();
  enter(Confirmed{}, cause);
}

Result<void> InviteSession::adopt(const std::string& remote_tag, TimePoint now) {
  if (!std::holds_alternative<Terminating>(state_) || !unknown_ || !unknown_->initial)
    return fail(ErrorCode::WrongState, "no abandoned INVITE");
  for (auto fork = forks_.begin(); fork != forks_.end(); ++fork) {
    if (fork->dialog.id.remote_tag != remote_tag) continue;
    Dialog dialog = std::move(fork->dialog);
    fork->offer_answer.continue_versions(offer_answer_);
    offer_answer_ = std::move(fork->offer_answer);
    forks_.erase(fork);
    dialog.phase = Dialog::Phase::Confirmed;
    confirm_adopted(std::move(dialog), "adopted", now);
    return {};
  }
  return fail(ErrorCode::NotFound, "no such early dialog");
}

void InviteSession::release_forks(TimePoint now) {
  if (auto* ending = std::get_if<Terminating>(&state_)) ending->released = true;
  if (!unknown_ || !unknown_->initial) return;
  // RFC 3261 §15: the caller may send BYE on an early dialog, too. Their answers change nothing.
  for (Fork& fork : forks_) {
    DigestAttempt attempt;
    static_cast<void>(send(fork.dialog.make_request(wire::Method::Bye), attempt, nullptr, now));
    acks_.stop(fork.dialog.id.remote_tag);
  }
  drop_forks(now);
}

void InviteSession::resend_ack(TimePoint now) {
  if (!is_over()) acks_.resend_newest(flow_, now);
}

bool InviteSession::ack_is_fresh(TimePoint now) const { return acks_.is_fresh(now); }

}  // namespace godwit::sip
