// SPDX-License-Identifier: Apache-2.0
//
// InviteSession as callee: the peer's first INVITE, and the ACK that every 2xx of ours, the first
// one's or a re-INVITE's, waits for.
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

// RFC 3261 §13.3.1.4: the interval of the 2xx starts at T1, doubles up to T2, and ends at 64*T1.
// These are the peer's to expect, so never those of a recovery with a shorter T1.
constexpr Duration kT1 = std::chrono::milliseconds(500);
constexpr Duration kT2 = std::chrono::seconds(4);

/// Bounds to an INVITE's Expires: nobody answers within less. Without one, or with a longer one, it
/// lapses after what proxies allow at most by themselves (timer C, RFC 3261 §16.6 step 11), for a
/// caller that vanished, or never was where it said, sends no CANCEL.
constexpr std::chrono::seconds kMinInvitation{1};
constexpr std::chrono::seconds kMaxInvitation{180};

}  // namespace

void InviteSession::incoming(const RequestArrived& event, const std::string& contact,
                             TimePoint now) {
  if (!std::holds_alternative<Idle>(state_)) return;
  flow_ = event.flow;
  contact_ = contact;
  seed_.local_tag = context_.random.token(10);
  auto dialog = Dialog::as_uas(*event.request, seed_.local_tag);
  if (!dialog) {
    refuse(event, 400, {}, now);
    return finish(sip::Ended{400, dialog.error().detail, EndedBy::Peer}, "bad INVITE", now);
  }
  if (auto why_not = objection(*event.request)) {
    const int code = why_not->first;
    refuse(event, code, std::move(why_not->second), now);
    return finish(sip::Ended{code, "the INVITE asks for what we do not do", EndedBy::Peer},
                  "INVITE refused", now);
  }
  dialog_ = std::move(*dialog);
  first_invite_ = event.request;
  emit(DialogAdded{dialog_->id});
  enter(Incoming{PeerRequest{event.transaction, event.request, event.flow}}, "INVITE");
  // RFC 3261 §13.3.1: with an Expires the invitation lapses by itself.
  const auto expires = wire::expires_of(*event.request).value_or(kMaxInvitation);
  limit_ = schedule(Timer::Limit, now + std::clamp(expires, kMinInvitation, kMaxInvitation));
  std::string sdp = sdp_of(*event.request);
  if (!sdp.empty() && offer_answer_.offer_received(sdp)) {
    emit(OfferReceived{OfferVia::Invite, std::move(sdp)});
  } else {
    emit(OfferRequested{OfferVia::Invite});
  }
}

Result<void> InviteSession::progress(int code, const std::string& sdp, TimePoint now) {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr) return fail(ErrorCode::WrongState, "no unanswered call");
  if (code <= 100 || code >= 200)
    return fail(ErrorCode::InvalidArgument, "no provisional response: " + std::to_string(code));
  if (sdp.empty() && progress_needs_sdp())
    return fail(ErrorCode::WrongState, "the provisional response must bring our offer");
  const std::string body = agreed_early() ? std::string() : sdp;
  if (progress_is_reliable(!body.empty())) return send_reliable(QueuedProgress{code, body}, now);
  if (!body.empty() && !offer_answer_.must_answer())
    return fail(ErrorCode::WrongState, "an offer needs a reliable response");  // RFC 3261 §13.2.1
  if (auto sent = answer(incoming->invite, code, body, now); !sent) return sent;
  if (!body.empty()) offer_answer_.note_sent(body);
  return {};
}

Result<void> InviteSession::accept(std::string sdp, TimePoint now) {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr) return fail(ErrorCode::WrongState, "no unanswered call");
  // RFC 3262 §3: with a session description in a reliable response without PRACK the UAS "MUST NOT
  // send a 2xx"; nor while an offer of a PRACK or UPDATE waits.
  const bool waits = unpracked_ && !unpracked_->response.sdp.empty() &&
                     (!unpracked_->moved || unpracked_->carries_offer);
  if (peer_request_ || waits) {
    held_accept_ = std::move(sdp);
    return {};
  }
  return send_accept(std::move(sdp), now);
}

Result<void> InviteSession::send_accept(std::string sdp, TimePoint now) {
  const PeerRequest invite = std::get<Incoming>(state_).invite;
  const bool agreed = agreed_early();
  const bool offers = !agreed && !offer_answer_.must_answer();
  // RFC 6337 §2.1: after the answer in a reliable response the 2xx brings none.
  // Did the caller get it, though? After a move that is unknown, and exactly the same is repeated.
  if (agreed) sdp = unpracked_ && unpracked_->moved ? unpracked_->response.sdp : std::string();
  if (auto sent = answer(invite, 200, sdp, now); !sent) return sent;
  if (!agreed) {
    static_cast<void>(offers ? offer_answer_.offer(std::move(sdp))
                             : offer_answer_.answer(std::move(sdp)));
  }
  stop_reliable();
  queued_progress_.clear();
  dialog_->phase = Dialog::Phase::Confirmed;
  drop_limit();
  enter(Answering{}, "2xx sent");
  await_ack(invite, offers, now);
  return {};
}

Result<void> InviteSession::reject(int code, TimePoint now) {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr) return fail(ErrorCode::WrongState, "no unanswered call");
  if (code < 300 || code > 699)
    return fail(ErrorCode::InvalidArgument, "no failure response: " + std::to_string(code));
  const PeerRequest invite = incoming->invite;
  if (auto sent = answer(invite, code, {}, now); !sent) return sent;
  finish(sip::Ended{code, "rejected", EndedBy::Local}, "rejected", now);
  return {};
}

bool InviteSession::is_merged(const wire::Message& invite) const {
  if (first_invite_ == nullptr || !wire::to_tag_of(invite).empty()) return false;
  const auto ours = wire::cseq_of(*first_invite_);
  const auto other = wire::cseq_of(invite);
  return ours && other && ours->number == other->number &&
         wire::call_id_of(*first_invite_) == wire::call_id_of(invite) &&
         wire::from_tag_of(*first_invite_) == wire::from_tag_of(invite);
}

Result<void> InviteSession::join(const RequestArrived& event, TimePoint now) {
  auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr) return fail(ErrorCode::WrongState, "no unanswered call");
  if (!is_merged(*event.request)) return fail(ErrorCode::InvalidArgument, "another INVITE");
  const PeerRequest old = incoming->invite;
  incoming->invite = PeerRequest{event.transaction, event.request, event.flow};
  static_cast<void>(answer(old, 487, {}, now));
  // The same dialog, but perhaps by another way: this branch's Record-Route counts (§12.1.1).
  if (auto again = Dialog::as_uas(*event.request, dialog_->id.local_tag)) {
    again->local_cseq = dialog_->local_cseq;
    dialog_ = std::move(*again);
  }
  return {};
}

void InviteSession::await_ack(const PeerRequest& invite, bool carries_offer, TimePoint now) {
  drop_unacked();
  const auto cseq = wire::cseq_of(*invite.request);
  Unacked unacked;
  unacked.transaction = invite.transaction;
  unacked.cseq = cseq ? cseq->number : 0;
  unacked.interval = kT1;
  unacked.retransmit = schedule(Timer::Retransmit2xx, now + kT1);
  unacked.deadline = schedule(Timer::AckDeadline, now + 64 * kT1);
  unacked.carries_offer = carries_offer;
  unacked.response = context_.transactions.last_response(invite.transaction);
  unacked_ = std::move(unacked);
}

void InviteSession::drop_unacked() {
  if (!unacked_) return;
  context_.timers.cancel(unacked_->retransmit);
  context_.timers.cancel(unacked_->deadline);
  unacked_.reset();
}

void InviteSession::retransmit_2xx(TimePoint now) {
  if (!unacked_) return;
  // The transaction ends 64*T1 after the 2xx (timer L); under hold_ack_timeout we go on without it.
  if (!context_.transactions.retransmit(unacked_->transaction) && unacked_->response) {
    static_cast<void>(
        context_.transactions.transmit(unacked_->response->flow, unacked_->response->bytes));
  }
  unacked_->interval = std::min(2 * unacked_->interval, kT2);
  unacked_->retransmit = schedule(Timer::Retransmit2xx, now + unacked_->interval);
}

void InviteSession::on_ack(const AckArrived& event, TimePoint now) {
  const auto cseq = wire::cseq_of(*event.ack);
  if (unacked_ && cseq && cseq->number == unacked_->cseq) acknowledged(event.ack.get(), now);
}

void InviteSession::acknowledged(const wire::Message* ack, TimePoint now) {
  const bool carries_offer = unacked_->carries_offer;
  drop_unacked();
  if (std::holds_alternative<Answering>(state_)) enter(Confirmed{}, "ACK");
  emit(AckReceived{});
  if (carries_offer) {
    std::string sdp = ack != nullptr ? sdp_of(*ack) : std::string();
    if (!sdp.empty() && offer_answer_.answer_received(sdp)) {
      emit(AnswerReceived{std::move(sdp)});
    } else {
      // Without the ACK itself the peer has an offer whose answer we never saw.
      ack != nullptr ? offer_answer_.roll_back() : offer_answer_.abandon();
      emit(AnswerMissing{});
    }
  }
  // RFC 3261 §15: the BYE of a callee has waited for this.
  if (auto* ending = std::get_if<Terminating>(&state_);
      ending != nullptr && !ending->bye && !ending->invite)
    send_bye(ending->outcome, now);
}

void InviteSession::confirm_without_ack(TimePoint now) {
  if (unacked_) acknowledged(nullptr, now);
}

void InviteSession::on_ack_deadline(TimePoint now) {
  if (!unacked_) return;
  unacked_->deadline = {};
  unacked_->overdue = true;
  emit(AckMissing{});
  if (!hold_ack_timeout_) end_without_ack(now);
}

void InviteSession::end_without_ack(TimePoint now) {
  // RFC 3261 §13.3.1.4: "If the server retransmits the 2xx response for 64*T1 seconds without
  // receiving an ACK, the dialog is confirmed, but the session SHOULD be terminated", by BYE.
  const auto* ending = std::get_if<Terminating>(&state_);
  send_bye(ending != nullptr
               ? ending->outcome
               : sip::Ended{408, "the answer was never acknowledged", EndedBy::Network},
           now);
}

void InviteSession::hold_ack_timeout(bool hold, TimePoint now) {
  hold_ack_timeout_ = hold;
  if (!hold && unacked_ && unacked_->overdue) end_without_ack(now);
}

}  // namespace godwit::sip
