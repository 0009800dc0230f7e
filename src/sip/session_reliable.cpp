// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: reliable provisional responses and PRACK (RFC 3262), as caller and as callee.
#include <algorithm>
#include <utility>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

using wire::HeaderId;

// RFC 3262 §3: the response is retransmitted at T1, 2*T1, 4*T1 …, without the ceiling of T2, and
// given up after 64*T1. The peer expects RFC 3261's T1, whatever a recovery uses for itself.
constexpr Duration kT1 = std::chrono::milliseconds(500);

/// RFC 3262 §3: the first RSeq is chosen between 1 and 2**31 - 1; from the lower half there is room
/// to count on.
constexpr std::uint64_t kMaxFirstRseq = 0x3fff'ffff;

bool wants_reliable(const wire::Message& request, HeaderId header) {
  return wire::has_token(request, header, kReliableTag);
}

}  // namespace

// --- as caller ---

InviteSession::Fork* InviteSession::find_fork(std::string_view remote_tag) {
  const auto found = std::find_if(forks_.begin(), forks_.end(), [&](const Fork& fork) {
    return fork.dialog.id.remote_tag == remote_tag;
  });
  return found == forks_.end() ? nullptr : &*found;
}

Dialog* InviteSession::dialog_of_tag(std::string_view remote_tag) {
  if (dialog_ && dialog_->id.remote_tag == remote_tag) return &*dialog_;
  Fork* fork = find_fork(remote_tag);
  return fork == nullptr ? nullptr : &fork->dialog;
}

bool InviteSession::take_reliable(Fork& fork, const wire::Message& response, std::string& sdp,
                                  TimePoint now) {
  if (config_.reliable == ExtensionUse::Off || !wants_reliable(response, HeaderId::Require))
    return true;
  const auto rseq = rseq_of(response);
  if (!rseq) return true;
  // RFC 3262 §4: a response whose RSeq is not one higher than the last is no news, or comes before
  // its time: it "MUST NOT be acknowledged with a PRACK, and MUST NOT be processed further".
  if (fork.rseq && *rseq != *fork.rseq + 1) return false;
  if (pracks_.size() >= kMaxPracks) return false;
  fork.rseq = rseq;
  const std::string tag = fork.dialog.id.remote_tag;
  OfferAnswer& exchange = fork.offer_answer;
  if (!sdp.empty()) {
    if (exchange.awaits_answer()) {
      // RFC 3262 §5, RFC 6337 §2.1 pattern 2: in a reliable response this is the answer.
      static_cast<void>(exchange.answer_received(sdp));
    } else if (exchange.can_offer() && !exchange.current()) {
      // Pattern 4: the INVITE had no offer, and the answer to this one goes into the PRACK.
      static_cast<void>(exchange.offer_received(sdp));
      fork.owed_prack = rseq;
      return true;
    } else {
      sdp.clear();  // RFC 3261 §13.2.1: what follows the answer is ignored.
    }
  }
  send_prack(tag, *rseq, {}, now);
  return true;
}

void InviteSession::send_prack(const std::string& remote_tag, std::uint32_t rseq, std::string sdp,
                               TimePoint now, DigestAttempt attempt) {
  Dialog* dialog = dialog_of_tag(remote_tag);
  if (dialog == nullptr) return;
  wire::RequestDraft draft = dialog->make_request(wire::Method::Prack);
  // RFC 3262 §7.2: the RSeq, and the CSeq of what was answered.
  draft.headers.emplace_back(HeaderId::RAck,
                             std::to_string(rseq) + " " + std::to_string(seed_.cseq) + " INVITE");
  if (!config_.user_agent.empty())
    draft.headers.emplace_back(HeaderId::UserAgent, config_.user_agent);
  if (!sdp.empty()) {
    draft.content_type = kSdpType;
    draft.body = sdp;
  }
  Prack prack{{}, remote_tag, rseq, std::move(sdp), std::move(attempt)};
  auto sent = send(std::move(draft), prack.attempt, nullptr, now);
  if (!sent) {
    context_.log.warn("sip", "PRACK not sent: " + sent.error().detail);
    return;
  }
  prack.transaction = *sent;
  pracks_.push_back(std::move(prack));
}

bool InviteSession::on_prack_response(const ResponseArrived& event, TimePoint now) {
  const auto found = std::find_if(pracks_.begin(), pracks_.end(), [&](const Prack& prack) {
    return prack.transaction == event.transaction;
  });
  if (found == pracks_.end()) return false;
  const int status = event.response->status();
  if (status < 200) return true;
  Prack prack = std::move(*found);
  pracks_.erase(found);
  if ((status == 401 || status == 407) && has_new_credentials(event, prack.attempt)) {
    send_prack(prack.remote_tag, prack.rseq, std::move(prack.sdp), now, std::move(prack.attempt));
  } else if (status >= 300 && status != 481) {
    // 481: the response was acknowledged before, by a PRACK whose answer we never saw.
    context_.log.info("sip", "PRACK refused with " + std::to_string(status));
  }
  return true;
}

void InviteSession::repeat_pracks(TimePoint now) {
  // Their outcome is unknown: each again as a new transaction, with the next CSeq (design §5).
  for (Prack& prack : std::exchange(pracks_, {})) {
    context_.transactions.detach(prack.transaction, now);
    send_prack(prack.remote_tag, prack.rseq, std::move(prack.sdp), now);
  }
}

// --- as callee ---

bool InviteSession::agreed_early() const {
  return std::holds_alternative<Incoming>(state_) && offer_answer_.current().has_value();
}

bool InviteSession::progress_needs_sdp() const {
  return std::holds_alternative<Incoming>(state_) && config_.reliable != ExtensionUse::Off &&
         last_rseq_ == 0 && sdp_of(*first_invite_).empty() &&
         wants_reliable(*first_invite_, HeaderId::Require);
}

bool InviteSession::progress_is_reliable(bool with_sdp) const {
  if (!std::holds_alternative<Incoming>(state_) || config_.reliable == ExtensionUse::Off)
    return false;
  // RFC 3262 §3: "A UAS MUST send any non-100 provisional response reliably if the initial request
  // contained a Require header field with the option tag 100rel".
  if (wants_reliable(*first_invite_, HeaderId::Require)) return true;
  if (!wants_reliable(*first_invite_, HeaderId::Supported)) return false;
  // RFC 3261 §13.2.1: the first reliable response to an INVITE without an offer must bring one.
  if (!with_sdp && last_rseq_ == 0 && sdp_of(*first_invite_).empty()) return false;
  return with_sdp || config_.reliable == ExtensionUse::Required;
}

Result<void> InviteSession::send_reliable(QueuedProgress response, TimePoint now) {
  // RFC 3262 §3: "The UAS MUST NOT send a second reliable provisional response until the first is
  // acknowledged".
  if (unpracked_) {
    if (queued_progress_.size() == kMaxQueuedProgress) queued_progress_.pop_back();
    queued_progress_.push_back(std::move(response));
    return {};
  }
  const bool first = last_rseq_ == 0;
  const std::uint32_t rseq =
      first ? static_cast<std::uint32_t>(context_.random.between(1, kMaxFirstRseq))
            : last_rseq_ + 1;
  if (agreed_early()) response.sdp.clear();
  Unpracked unpracked;
  unpracked.rseq = rseq;
  unpracked.carries_offer = !response.sdp.empty() && offer_answer_.can_offer();
  unpracked.response = std::move(response);
  unpracked_ = std::move(unpracked);
  last_rseq_ = rseq;
  const std::string& sdp = unpracked_->response.sdp;
  if (!sdp.empty()) {
    static_cast<void>(unpracked_->carries_offer ? offer_answer_.offer(sdp)
                                                : offer_answer_.answer(sdp));
  }
  transmit_reliable(now);
  unpracked_->interval = kT1;
  unpracked_->retransmit = schedule(Timer::RetransmitReliable, now + kT1);
  unpracked_->deadline = schedule(Timer::PrackDeadline, now + 64 * kT1);
  return {};
}

void InviteSession::transmit_reliable(TimePoint now) {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr || !unpracked_) return;
  const PeerRequest& invite = incoming->invite;
  wire::ResponseDraft draft = draft_response(*invite.request, invite.flow,
                                             unpracked_->response.code, unpracked_->response.sdp);
  draft.headers.emplace_back(HeaderId::Require, std::string(kReliableTag));
  draft.headers.emplace_back(HeaderId::RSeq, std::to_string(unpracked_->rseq));
  dialog_->local_contact = contact_;
  // On a dead flow it is held back until that has moved; a transaction that is gone has no peer.
  static_cast<void>(context_.transactions.respond(invite.transaction, draft, contact_value(), now));
}

void InviteSession::retransmit_reliable(TimePoint now) {
  if (!unpracked_) return;
  transmit_reliable(now);
  unpracked_->interval *= 2;
  unpracked_->retransmit = schedule(Timer::RetransmitReliable, now + unpracked_->interval);
}

void InviteSession::resend_reliable(TimePoint now) {
  if (!std::holds_alternative<Incoming>(state_) || !unpracked_) return;
  context_.timers.cancel(unpracked_->retransmit);
  unpracked_->interval = kT1;
  unpracked_->moved = true;
  transmit_reliable(now);
  unpracked_->retransmit = schedule(Timer::RetransmitReliable, now + kT1);
  if (held_accept_ && !unpracked_->carries_offer && !peer_request_) {
    const std::string sdp = *std::exchange(held_accept_, std::nullopt);
    static_cast<void>(send_accept(sdp, now));
  }
}

void InviteSession::on_prack_deadline(TimePoint now) {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming == nullptr || !unpracked_) return;
  if (unpracked_->moved && !unpracked_->carries_offer) return stop_reliable();
  // RFC 3262 §3: "If a reliable provisional response is retransmitted for 64*T1 seconds without
  // reception of a corresponding PRACK, the UAS SHOULD reject the original request with a 5xx
  // response".
  const PeerRequest invite = incoming->invite;
  static_cast<void>(answer(invite, 504, {}, now));
  finish(sip::Ended{504, "a reliable response was never acknowledged", EndedBy::Network},
         "no PRACK", now);
}

void InviteSession::on_peer_prack(const RequestArrived& event, TimePoint now) {
  const auto value = event.request->first(HeaderId::RAck);
  const auto rack = value ? wire::RAck::parse(*value) : std::nullopt;
  const auto invite = first_invite_ ? wire::cseq_of(*first_invite_) : std::nullopt;
  // RFC 3262 §3: "If a PRACK request is received by the UA core that does not match any
  // unacknowledged reliable provisional response, the UAS MUST respond to the PRACK with a 481".
  if (!rack || !invite || !unpracked_ || rack->response_number != unpracked_->rseq ||
      rack->cseq.number != invite->number || rack->cseq.method != wire::Method::Invite)
    return refuse(event, 481, {}, now);
  const bool answers = unpracked_->carries_offer;
  drop_unpracked();
  std::string sdp = sdp_of(*event.request);
  const PeerRequest prack{event.transaction, event.request, event.flow};
  emit(PrackReceived{});
  if (answers) {
    static_cast<void>(answer(prack, 200, {}, now));
    if (!sdp.empty() && offer_answer_.answer_received(sdp)) {
      emit(AnswerReceived{std::move(sdp)});
    } else {
      offer_answer_.roll_back();
      emit(AnswerMissing{});
    }
  } else if (!sdp.empty()) {
    // RFC 3262 §5: a PRACK may carry a further offer, whose answer goes into its 2xx.
    if (peer_request_ || !offer_answer_.current() || !offer_answer_.offer_received(sdp)) {
      refuse(event, 488, {}, now);
    } else {
      peer_request_ = prack;
      emit(OfferReceived{OfferVia::Prack, std::move(sdp)});
    }
  } else {
    static_cast<void>(answer(prack, 200, {}, now));
  }
  after_prack(now);
}

void InviteSession::after_prack(TimePoint now) {
  if (unpracked_ || peer_request_ || !std::holds_alternative<Incoming>(state_)) return;
  if (held_accept_) {
    queued_progress_.clear();
    const std::string sdp = std::move(*held_accept_);
    held_accept_.reset();
    static_cast<void>(send_accept(sdp, now));
  } else if (!queued_progress_.empty()) {
    QueuedProgress next = std::move(queued_progress_.front());
    queued_progress_.pop_front();
    static_cast<void>(send_reliable(std::move(next), now));
  }
}

void InviteSession::stop_reliable() {
  if (!unpracked_) return;
  context_.timers.cancel(unpracked_->retransmit);
  context_.timers.cancel(unpracked_->deadline);
  unpracked_->retransmit = {};
  unpracked_->deadline = {};
}

void InviteSession::drop_unpracked() {
  stop_reliable();
  unpracked_.reset();
}

}  // namespace godwit::sip
