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
  // PRACK acknowledges reliable provisional responses, of which we send none.
  if (method == Method::Prack) return refuse(event, 481, {}, now);
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
  take_offer(event, OfferVia::ReInvite, now);
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
  if (dialog.phase == Dialog::Phase::Early) {
    // RFC 3311 §5.1: the exchange that the INVITE began comes first, and without reliable
    // provisional responses it cannot be complete before the 2xx.
    return offer_answer_.awaits_answer() ? refuse(event, 491, {}, now) : refuse_for_now(event, now);
  }
  if (peer_request_ || owed_ack_) return refuse_for_now(event, now);
  // An INVITE that nobody has answered yet must not become a session behind the user's back: audio
  // would leave a phone that rings.
  if (std::holds_alternative<Incoming>(state_)) return refuse_for_now(event, now);
  take_offer(event, OfferVia::Update, now);
}

void InviteSession::take_offer(const RequestArrived& event, OfferVia via, TimePoint now) {
  std::string sdp = sdp_of(*event.request);
  // RFC 3311 §5.2 and RFC 6337 §4: 491 while an offer of ours is open, 500 while one of the peer's.
  if (offer_answer_.awaits_answer()) return refuse(event, 491, {}, now);
  // The answer to our first offer, which chooses the dialog, comes before anything else.
  if (offer_answer_.must_answer() || !dialog_) return refuse_for_now(event, now);
  peer_request_ = PeerRequest{event.transaction, event.request, event.flow};
  if (!sdp.empty() && offer_answer_.offer_received(sdp)) {
    emit(OfferReceived{via, std::move(sdp)});
  } else {
    emit(OfferRequested{via});
  }
}

Result<void> InviteSession::answer_offer(std::string sdp, TimePoint now) {
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
  const bool offers = !offer_answer_.must_answer();
  if (auto sent = answer(request, 200, sdp, now); !sent) {
    offer_answer_.roll_back();
    return sent;
  }
  static_cast<void>(offers ? offer_answer_.offer(std::move(sdp))
                           : offer_answer_.answer(std::move(sdp)));
  // RFC 6141 §4.6: the remote target moves when the request is accepted, not before.
  target_may_have_moved(dialog_->refresh_target(*request.request));
  if (request.request->method() == Method::Invite) await_ack(request, offers, now);
  return {};
}

Result<void> InviteSession::reject_offer(int code, TimePoint now) {
  if (!peer_request_) return fail(ErrorCode::WrongState, "no request of the peer's is open");
  if (code < 300 || code > 699)
    return fail(ErrorCode::InvalidArgument, "no failure response: " + std::to_string(code));
  close_peer_request(code, now);
  return {};
}

void InviteSession::close_peer_request(int code, TimePoint now) {
  if (!peer_request_) return;
  const PeerRequest request = std::move(*peer_request_);
  peer_request_.reset();
  if (offer_answer_.must_answer()) offer_answer_.roll_back();
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
  sip::Ended outcome{0, "the peer hung up", EndedBy::Peer};
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
    return finish(sip::Ended{487, "the caller gave up", EndedBy::Peer}, "CANCEL", now);
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
