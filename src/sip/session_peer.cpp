// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: the peer's requests within the dialog, and our answers to its offers.
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

using wire::HeaderId;
using wire::Method;

wire::DraftHeaders one_header(HeaderId id, std::string value) {
  wire::DraftHeaders headers;
  headers.emplace_back(id, std::move(value));
  return headers;
}

}  // namespace

Dialog* InviteSession::find_dialog(const DialogId& id) {
  if (dialog_ && dialog_->id == id) return &*dialog_;
  for (Fork& fork : forks_) {
    if (fork.dialog.id == id) return &fork.dialog;
  }
  return nullptr;
}

void InviteSession::on_request(const RequestArrived& event, TimePoint now) {
  const wire::Message& request = *event.request;
  const auto id = dialog_id_of_request(request);
  Dialog* dialog = id ? find_dialog(*id) : nullptr;
  const auto cseq = wire::cseq_of(request);
  if (dialog == nullptr || !cseq || std::holds_alternative<Finished>(state_))
    return refuse(event, 481, {}, now);
  // RFC 3261 §12.2.2: "If the remote sequence number was not empty, but the sequence number of the
  // request is lower than the remote sequence number, the request is out of order and MUST be
  // rejected with a 500".
  if (dialog->check_request_cseq(cseq->number) == Dialog::Order::OutOfOrder)
    return refuse(event, 500, {}, now);
  const Method method = request.method();
  if (method == Method::Bye) return on_peer_bye(event, *dialog, now);
  if (is_over()) return refuse(event, 481, {}, now);
  if (auto why_not = objection(request))
    return refuse(event, why_not->first, std::move(why_not->second), now);
  if (method == Method::Invite) return on_peer_invite(event, *dialog, now);
  if (method == Method::Update) return on_peer_update(event, *dialog, now);
  if (method == Method::Prack) return on_peer_prack(event, now);
  if (!config_.allow.contains(method)) return refuse(event, 405, {}, now);
  if (open_requests_.size() == kMaxOpenRequests) return refuse(event, 503, {}, now);
  open_requests_.push_back(PeerRequest{event.transaction, event.request, event.flow});
  emit(InDialogRequest{event.transaction, event.request});
}

void InviteSession::refuse_for_now(const RequestArrived& event, TimePoint now) {
  // RFC 3261 §14.2, RFC 3311 §5.2: 500 with a Retry-After of "a randomly chosen value between 0 and
  // 10 seconds".
  refuse(event, 500,
         one_header(HeaderId::RetryAfter, std::to_string(context_.random.between(0, 10))), now);
}

void InviteSession::on_peer_invite(const RequestArrived& event, Dialog& dialog, TimePoint now) {
  if (dialog.phase == Dialog::Phase::Early) return refuse_for_now(event, now);
  // RFC 3261 §14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that
  // dialog is in progress MUST return a 491".
  if (local_refresh_ && local_refresh_->request.method == Method::Invite)
    return refuse(event, 491, {}, now);
  if (peer_request_ || owed_ack_) return refuse_for_now(event, now);
  // Whoever sends a re-INVITE has our 2xx: only its ACK was lost.
  confirm_without_ack(now);
  take_offer(event, dialog, OfferVia::ReInvite, now);
}

void InviteSession::on_peer_update(const RequestArrived& event, Dialog& dialog, TimePoint now) {
  if (sdp_of(*event.request).empty()) {
    // A mere target refresh, which needs no decision (RFC 3311 §5.2).
    const PeerRequest update{event.transaction, event.request, event.flow};
    if (!answer(update, 200, {}, now)) return;
    const bool moved = dialog.refresh_target(*event.request);
    if (moved) emit(PeerMoved{dialog.remote_target});
    return;
  }
  const OfferAnswer& exchange = exchange_in(dialog);
  if (dialog.phase == Dialog::Phase::Early && !exchange.current()) {
    // RFC 3311 §5.1: the exchange that the INVITE began comes first, and without reliable
    // provisional responses it cannot be complete before the 2xx. Nor must an INVITE that nobody
    // has answered become a session behind the user's back.
    return exchange.awaits_answer() ? refuse(event, 491, {}, now) : refuse_for_now(event, now);
  }
  if (peer_request_ || owed_ack_) return refuse_for_now(event, now);
  take_offer(event, dialog, OfferVia::Update, now);
}

OfferAnswer& InviteSession::exchange_in(const Dialog& dialog) {
  for (Fork& fork : forks_) {
    if (&fork.dialog == &dialog) return fork.offer_answer;
  }
  return offer_answer_;
}

void InviteSession::take_offer(const RequestArrived& event, Dialog& dialog, OfferVia via,
                               TimePoint now) {
  std::string sdp = sdp_of(*event.request);
  OfferAnswer& exchange = exchange_in(dialog);
  const std::string tag = &exchange == &offer_answer_ ? std::string() : dialog.id.remote_tag;
  // RFC 3311 §5.2 and RFC 6337 §4: 491 while an offer of ours is open, 500 while one of the peer's.
  if (exchange.awaits_answer()) return refuse(event, 491, {}, now);
  if (exchange.must_answer()) return refuse_for_now(event, now);
  peer_request_ = PeerRequest{event.transaction, event.request, event.flow, tag};
  if (!sdp.empty() && exchange.offer_received(sdp)) {
    emit(OfferReceived{via, std::move(sdp), tag});
  } else {
    emit(OfferRequested{via});
  }
}

Result<void> InviteSession::answer_offer(std::string sdp, TimePoint now,
                                         const std::string& early_tag) {
  if (Fork* fork = early_tag.empty() ? nullptr : find_fork(early_tag);
      fork != nullptr && fork->owed_prack) {
    const std::uint32_t rseq = *fork->owed_prack;
    fork->owed_prack.reset();
    send_prack(early_tag, rseq, sdp, now);
    offer_answer_.note_sent(sdp);
    return fork->offer_answer.answer(std::move(sdp));
  }
  if (owed_ack_) {
    OwedAck owed = std::move(*owed_ack_);
    owed_ack_.reset();
    acks_.send(*dialog_, AckContent{owed.invite_cseq, sdp, std::move(owed.credentials)}, flow_,
               now);
    return offer_answer_.answer(std::move(sdp));
  }
  if (!peer_request_) return fail(ErrorCode::WrongState, "no offer of the peer's is open");
  const PeerRequest request = std::move(*peer_request_);
  peer_request_.reset();
  Fork* fork = request.fork.empty() ? nullptr : find_fork(request.fork);
  OfferAnswer& exchange = fork == nullptr ? offer_answer_ : fork->offer_answer;
  const bool offers = !exchange.must_answer();
  if (auto sent = answer(request, 200, sdp, now); !sent) {
    exchange.roll_back();
    return sent;
  }
  if (fork != nullptr) offer_answer_.note_sent(sdp);
  static_cast<void>(offers ? exchange.offer(std::move(sdp)) : exchange.answer(std::move(sdp)));
  // RFC 6141 §4.6: the remote target moves when the request is accepted, not before.
  if (fork != nullptr) {
    fork->dialog.refresh_target(*request.request);
  } else if (request.request->method() != Method::Prack) {
    target_may_have_moved(dialog_->refresh_target(*request.request));
  }
  if (request.request->method() == Method::Invite) await_ack(request, offers, now);
  after_prack(now);
  return {};
}

Result<void> InviteSession::reject_offer(int code, TimePoint now) {
  if (!peer_request_) return fail(ErrorCode::WrongState, "no request of the peer's is open");
  if (code < 300 || code > 699)
    return fail(ErrorCode::InvalidArgument, "no failure response: " + std::to_string(code));
  close_peer_request(code, now);
  after_prack(now);
  return {};
}

void InviteSession::close_peer_request(int code, TimePoint now) {
  if (!peer_request_) return;
  const PeerRequest request = std::move(*peer_request_);
  peer_request_.reset();
  Fork* fork = request.fork.empty() ? nullptr : find_fork(request.fork);
  OfferAnswer& exchange = fork == nullptr ? offer_answer_ : fork->offer_answer;
  if (exchange.must_answer()) exchange.roll_back();
  static_cast<void>(answer(request, code, {}, now));
}

Result<void> InviteSession::respond(ServerTransactionId transaction, int code, TimePoint now) {
  return respond(transaction, code, {}, now);
}

void InviteSession::on_peer_bye(const RequestArrived& event, Dialog& dialog, TimePoint now) {
  refuse(event, 200, {}, now);
  if (&dialog != (dialog_ ? &*dialog_ : nullptr)) {
    // Only this fork; RFC 3261 §15 has callees reject instead, but the meaning is plain.
    const DialogId id = dialog.id;
    std::erase_if(forks_, [&](const Fork& fork) { return fork.dialog.id == id; });
    return emit(DialogRemoved{id});
  }
  if (const auto* ending = std::get_if<Terminating>(&state_))
    return finish(ending->outcome, "BYE from both sides", now);
  sip::Ended outcome = ended_by_peer(0, "the peer hung up", *event.request);
  if (const auto* incoming = std::get_if<Incoming>(&state_)) {
    // RFC 3261 §15.1.2: "The UAS MUST still respond to any pending requests received for that
    // dialog", with 487.
    static_cast<void>(answer(incoming->invite, 487, {}, now));
    outcome.status = 487;
  }
  finish(std::move(outcome), "BYE", now);
}

void InviteSession::on_cancel(const CancelArrived& event, TimePoint now) {
  if (const auto* incoming = std::get_if<Incoming>(&state_);
      incoming != nullptr && incoming->invite.transaction == event.invite) {
    const PeerRequest invite = incoming->invite;
    static_cast<void>(answer(invite, 487, {}, now));
    emit(Cancelled{});
    return finish(ended_by_peer(487, "the caller gave up", *event.cancel), "CANCEL", now);
  }
  if (peer_request_ && peer_request_->transaction == event.invite) {
    close_peer_request(487, now);
    emit(OfferWithdrawn{});
  }
  // After our final response a CANCEL has no effect (RFC 3261 §9.2).
}

void InviteSession::on_server_failed(const ServerFailed& event, TimePoint) {
  if (event.failure != TransactionFailure::Timeout) return;  // Waits for move_flow.
  std::erase_if(open_requests_,
                [&](const PeerRequest& r) { return r.transaction == event.transaction; });
}

}  // namespace godwit::sip
