// SPDX-License-Identifier: Apache-2.0
//
// InviteSession as caller: the first INVITE, its forks, and the ACKs to what they answer.
#include <algorithm>

#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

/// What a refusal says, with RFC 5630 §8's word on the URI's scheme.
std::string refusal_of(const wire::Message& response) {
  std::string reason(response.reason());
  const std::string_view warning = response.first(wire::HeaderId::Warning).value_or("");
  if (warning.starts_with("380 ")) reason += ": a sips URI is not accepted there";
  if (warning.starts_with("381 ")) reason += ": only a sips URI is accepted there";
  return reason;
}

}  // namespace

Result<void> InviteSession::invite(InviteRequest request, TimePoint now) {
  if (!std::holds_alternative<Idle>(state_))
    return fail(ErrorCode::WrongState, "the session has begun already");
  const auto target = wire::Uri::parse(request.target);
  if (!target || !target->is_sip())
    return fail(ErrorCode::InvalidArgument, "no SIP URI: " + request.target);

  seed_.call_id = context_.random.token(24);
  seed_.local_tag = context_.random.token(10);
  if (!config_.display_name.empty()) seed_.local_party = wire::quote(config_.display_name) + " ";
  seed_.local_party += "<" + config_.local_uri + ">";
  seed_.remote_party = "<" + request.target + ">";
  // RFC 3261 §8.1.1.5 leaves the first number to us, below 2**31; a low one leaves room to rise.
  seed_.cseq = static_cast<std::uint32_t>(context_.random.between(1, 0xffff));
  seed_.secure = target->scheme == wire::Scheme::Sips;
  flow_ = request.flow;
  contact_ = request.contact;
  timers_ = request.timers;
  target_ = request.target;

  const std::optional<std::string> offer = request.offer;
  Outgoing outgoing;
  outgoing.request = std::move(request);
  if (auto sent = send_invite(std::move(outgoing), now); !sent) return sent;
  if (offer) static_cast<void>(offer_answer_.offer(*offer));  // Nothing can be open yet.
  return {};
}

Result<void> InviteSession::send_invite(Outgoing outgoing, TimePoint now) {
  auto sent = send(draft_invite(outgoing.request), outgoing.attempt, &outgoing.credentials, now);
  if (!sent) return tl::unexpected(sent.error());
  outgoing.transaction = *sent;
  outgoing.provisional = false;
  enter(std::move(outgoing), "INVITE sent");
  return {};
}

void InviteSession::on_invite_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const int status = response.status();
  auto& outgoing = std::get<Outgoing>(state_);
  if (status < 200) return on_provisional(response, now);
  if (status < 300) return on_answered(event, now);

  if (status == 401 || status == 407) {
    if (has_new_credentials(event, outgoing.attempt)) {
      // RFC 3261 §8.1.3.5: the same Call-ID, To and From, and the next CSeq number. Early dialogs
      // have ended with the final response.
      drop_forks(now);
      ++seed_.cseq;
      Outgoing again = std::move(outgoing);
      if (auto sent = send_invite(std::move(again), now); !sent)
        finish(sip::Ended{503, sent.error().detail, EndedBy::Local}, "INVITE not sent", now);
      return;
    }
  }
  if (status == 422 && raise_interval(response)) {
    drop_forks(now);
    ++seed_.cseq;
    Outgoing again = std::move(outgoing);
    if (auto sent = send_invite(std::move(again), now); !sent)
      finish(sip::Ended{503, sent.error().detail, EndedBy::Local}, "INVITE not sent", now);
    return;
  }
  if (status < 400) emit(Redirected{status, redirect_targets(response)});
  finish(sip::Ended{status, refusal_of(response), EndedBy::Peer}, "INVITE rejected", now);
}

void InviteSession::on_provisional(const wire::Message& response, TimePoint now) {
  auto& outgoing = std::get<Outgoing>(state_);
  if (!outgoing.provisional) {
    outgoing.provisional = true;
    context_.log.debug("sip", "session " + std::to_string(owner_.value()) +
                                  ": Calling -> Proceeding on " +
                                  std::to_string(response.status()));
  }
  if (response.status() == 100) return;

  const std::string tag(wire::to_tag_of(response));
  std::string sdp = sdp_of(response);
  if (!tag.empty()) {
    if (Fork* known = find_fork(tag)) {
      if (!take_reliable(*known, response, sdp, now)) return;
      known->dialog.refresh_target(response);
      if (!sdp.empty()) known->preview = sdp;
    } else if (forks_.size() < kMaxForks) {
      if (auto dialog = Dialog::as_uac(seed_, outgoing.request.target, response)) {
        const bool first = forks_.empty();
        emit(DialogAdded{dialog->id});
        if (!first) emit(Forked{dialog->id, false});
        forks_.push_back(Fork{std::move(*dialog), {}, offer_answer_, {}, {}});
        static_cast<void>(take_reliable(forks_.back(), response, sdp, now));
        forks_.back().preview = sdp;
      }
    }
    if (const Fork* fork = find_fork(tag); fork != nullptr && fork->owed_prack && !sdp.empty()) {
      emit(Progress{response.status(), std::string(response.reason()), tag, {}});
      return emit(OfferReceived{OfferVia::Reliable18x, std::move(sdp), tag});
    }
  }
  emit(Progress{response.status(), std::string(response.reason()), tag, std::move(sdp)});
}

Result<Dialog> InviteSession::take_dialog(const wire::Message& response, std::string& preview) {
  const std::string_view tag = wire::to_tag_of(response);
  for (auto fork = forks_.begin(); fork != forks_.end(); ++fork) {
    if (fork->dialog.id.remote_tag != tag) continue;
    Dialog dialog = std::move(fork->dialog);
    preview = std::move(fork->preview);
    // What was agreed in this early dialog is what the session begins with.
    fork->offer_answer.continue_versions(offer_answer_);
    offer_answer_ = std::move(fork->offer_answer);
    if (peer_request_ && peer_request_->fork == tag) peer_request_->fork.clear();
    forks_.erase(fork);
    dialog.confirm(response);
    return dialog;
  }
  auto dialog = Dialog::as_uac(seed_, target_, response);
  if (dialog) emit(DialogAdded{dialog->id});
  return dialog;
}

void InviteSession::on_answered(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  auto& outgoing = std::get<Outgoing>(state_);
  digest_.on_success(response, event.flow.remote);
  std::string preview;
  auto dialog = take_dialog(response, preview);
  if (!dialog) {
    return finish(
        sip::Ended{response.status(), "unusable answer: " + dialog.error().detail, EndedBy::Peer},
        "bad 2xx", now);
  }
  const bool offered = outgoing.request.offer.has_value();
  OwedAck ack{seed_.cseq, std::move(outgoing.credentials)};
  dialog_ = std::move(*dialog);
  dialog_->local_contact = contact_;
  drop_forks(now);
  drop_limit();
  enter(Confirmed{}, "2xx to INVITE");
  start_session_timer(granted_timer(response, config_.timer, asked_interval_), now);
  const bool agreed_early = offer_answer_.current().has_value();
  emit(Answered{dialog_->id.remote_tag, agreed_early});
  if (agreed_early || offer_answer_.must_answer()) {
    // RFC 3261 §13.2.1: "any session descriptions in any subsequent responses" are ignored. An
    // offer of a reliable response that still waits for us is answered in the ACK, for the peer has
    // not waited for the PRACK.
    if (!agreed_early && !peer_request_) {
      owed_ack_ = std::move(ack);
      return;
    }
    return acks_.send(*dialog_, AckContent{ack.invite_cseq, {}, std::move(ack.credentials)}, flow_,
                      now);
  }
  std::string sdp = sdp_of(response);
  // RFC 6337 §3.1.1: without a body in the 2xx, what the unreliable 18x said is the answer.
  if (sdp.empty() && offered) sdp = std::move(preview);
  take_answer(std::move(sdp), offered, std::move(ack), now);
}

void InviteSession::take_answer(std::string sdp, bool offered, OwedAck ack, TimePoint now) {
  if (!offered && !sdp.empty() && offer_answer_.offer_received(sdp)) {
    owed_ack_ = std::move(ack);
    emit(OfferReceived{OfferVia::AnswerTo2xx, std::move(sdp)});
    return;
  }
  acks_.send(*dialog_, AckContent{ack.invite_cseq, {}, std::move(ack.credentials)}, flow_, now);
  if (offered && !sdp.empty() && offer_answer_.answer_received(sdp)) {
    emit(AnswerReceived{std::move(sdp)});
    return;
  }
  offer_answer_.roll_back();
  emit(AnswerMissing{});
}

void InviteSession::on_further_answer(const wire::Message& response, TimePoint now) {
  const std::string tag(wire::to_tag_of(response));
  const auto cseq = wire::cseq_of(response);
  if (tag.empty() || !cseq) return;
  // RFC 3261 §13.2.2.4: each retransmission of a 2xx gets the same ACK.
  if (acks_.repeat(tag, cseq->number, flow_, now)) return;
  if (owed_ack_ && owed_ack_->invite_cseq == cseq->number) return;  // Our answer is still due.
  // Any other 2xx within the dialog is late: its ACK has been forgotten.
  if (seed_.call_id.empty() || cseq->number != seed_.cseq) return;
  if (dialog_ && dialog_->id.remote_tag == tag) return;
  release_fork(response, now);
}

void InviteSession::release_fork(const wire::Message& response, TimePoint now) {
  const std::string tag(wire::to_tag_of(response));
  if (std::find(lost_forks_.begin(), lost_forks_.end(), tag) != lost_forks_.end()) return;
  if (lost_forks_.size() == kMaxForks) return;
  auto dialog = Dialog::as_uac(seed_, target_, response);
  if (!dialog) return;
  lost_forks_.push_back(tag);
  // RFC 3261 §13.2.2.4: a 2xx of another fork is ACKed all the same, and then ended. Without an
  // offer of ours the ACK would owe an answer; a call about to end needs none.
  acks_.send(*dialog, AckContent{seed_.cseq, {}, {}}, flow_, now);
  send_fork_bye({{}, *dialog, {}}, now);
  // After Ended, the last event, it is done without a word.
  if (!std::holds_alternative<Finished>(state_)) emit(Forked{dialog->id, true});
}

void InviteSession::send_fork_bye(ForkBye bye, TimePoint now) {
  auto sent = send(bye.dialog.make_request(wire::Method::Bye), bye.attempt, nullptr, now);
  if (!sent) {
    context_.log.warn("sip", "BYE to a further fork not sent: " + sent.error().detail);
    return;
  }
  bye.transaction = *sent;
  fork_byes_.push_back(std::move(bye));  // One for each of lost_forks_, which is bounded.
}

bool InviteSession::on_fork_bye_answered(const ResponseArrived& event, TimePoint now) {
  const auto found = std::find_if(fork_byes_.begin(), fork_byes_.end(), [&](const ForkBye& each) {
    return each.transaction == event.transaction;
  });
  if (found == fork_byes_.end()) return false;
  const int status = event.response->status();
  if (status < 200) return true;
  ForkBye bye = std::move(*found);
  fork_byes_.erase(found);
  if ((status == 401 || status == 407) && has_new_credentials(event, bye.attempt)) {
    send_fork_bye(std::move(bye), now);
  }
  return true;
}

void InviteSession::drop_forks(TimePoint now) {
  if (peer_request_ && !peer_request_->fork.empty()) close_peer_request(481, now);
  for (const Fork& fork : forks_) emit(DialogRemoved{fork.dialog.id});
  forks_.clear();
}

}  // namespace godwit::sip
