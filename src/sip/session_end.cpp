// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: how a call ends from our side.
#include "sip/invite_session.hpp"
#include "sip/session_messages.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::sip {

void InviteSession::end(TimePoint now) {
  sip::Ended outcome{0, "hung up", EndedBy::Local};
  switch (state()) {
    case SessionState::Idle: return finish(std::move(outcome), "ended before it began", now);
    case SessionState::Calling:
    case SessionState::Proceeding: {
      const ClientTransactionId invite = std::get<Outgoing>(state_).transaction;
      outcome.status = 487;
      // The layer holds the CANCEL back until a provisional response (RFC 3261 §9.1), and reports
      // a timeout if no final response follows.
      if (!context_.transactions.send_cancel(invite, now)) {
        context_.transactions.detach(invite, now);
        return finish(std::move(outcome), "cannot cancel", now);
      }
      Terminating ending;
      ending.invite = invite;
      ending.outcome = std::move(outcome);
      return enter(std::move(ending), "cancelled");
    }
    case SessionState::Incoming:
      // Fails only if the transaction is gone: then nobody is calling any more.
      if (!reject(603, now)) finish(std::move(outcome), "the INVITE is gone", now);
      return;
    case SessionState::Answering: {
      // RFC 3261 §15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has
      // received an ACK for its 2xx response or until the server transaction times out".
      Terminating ending;
      ending.outcome = std::move(outcome);
      return enter(std::move(ending), "waits for the ACK");
    }
    case SessionState::Confirmed: return send_bye(std::move(outcome), now);
    case SessionState::Terminating:
      // An abandoned INVITE: late answers are still waited for, and ended as they come.
      if (unknown_ && unknown_->initial) release_forks(now);
      return;
    case SessionState::Ended: return;
  }
}

void InviteSession::send_bye(sip::Ended outcome, TimePoint now, DigestAttempt attempt) {
  if (local_refresh_) context_.transactions.detach(local_refresh_->transaction, now);
  local_refresh_.reset();
  acks_.stop();
  drop_unacked();
  stop_session_timer();
  close_peer_request(487, now);
  if (owed_ack_) {
    // Without it the peer retransmits its 2xx; that it owes an answer does not matter any more.
    acks_.send(*dialog_, AckContent{owed_ack_->invite_cseq, {}, std::move(owed_ack_->credentials)},
               flow_, now);
    owed_ack_.reset();
  }
  // What an INVITE was given for its first server is not what a BYE may take.
  timers_.timeout = 64 * TransactionTimers{}.t1;
  Terminating ending;
  ending.attempt = std::move(attempt);
  auto sent = send(dialog_->make_request(wire::Method::Bye), ending.attempt, nullptr, now);
  if (!sent) return finish(std::move(outcome), "BYE not sent", now);
  ending.bye = *sent;
  ending.outcome = std::move(outcome);
  enter(std::move(ending), "BYE sent");
}

bool InviteSession::repeat_bye(const Flow& flow, TimePoint now) {
  const auto* ending = std::get_if<Terminating>(&state_);
  if (ending == nullptr || !ending->bye) return false;
  context_.transactions.detach(ending->bye, now);
  flow_ = flow;
  sip::Ended outcome = ending->outcome;
  send_bye(std::move(outcome), now, DigestAttempt(ending->attempt));
  return true;
}

void InviteSession::on_terminating_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  const int status = response.status();
  auto& ending = std::get<Terminating>(state_);
  if (status < 200) return;
  if (event.transaction == ending.invite) {
    ending.outcome.answer = status;
    if (status >= 300) return finish(ending.outcome, "INVITE cancelled", now);
    // The 2xx and our CANCEL have crossed (RFC 3261 §9.1): the call exists, and is ended by BYE.
    std::string preview;
    auto dialog = take_dialog(response, preview);
    if (!dialog) return finish(ending.outcome, "bad 2xx", now);
    dialog_ = std::move(*dialog);
    drop_forks(now);
    acks_.send(*dialog_, AckContent{seed_.cseq, {}, {}}, flow_, now);
    sip::Ended outcome = ending.outcome;
    outcome.status = 0;
    return send_bye(std::move(outcome), now);
  }
  if ((status == 401 || status == 407) && has_new_credentials(event, ending.attempt))
    return send_bye(ending.outcome, now, ending.attempt);
  // RFC 3261 §15.1.1: whatever the answer, 481 and 408 included, the session is over.
  ending.outcome.answer = status;
  finish(ending.outcome, "BYE answered", now);
}

void InviteSession::give_up(std::string reason, TimePoint now) {
  if (const auto* outgoing = std::get_if<Outgoing>(&state_))
    context_.transactions.detach(outgoing->transaction, now);
  if (const auto* incoming = std::get_if<Incoming>(&state_)) {
    // Not a word that would get through; but the transaction must not live on without an answer.
    static_cast<void>(answer(incoming->invite, 480, {}, now));
  }
  if (const auto* ending = std::get_if<Terminating>(&state_)) {
    context_.transactions.detach(ending->invite, now);
    context_.transactions.detach(ending->bye, now);
  }
  finish(sip::Ended{0, std::move(reason), EndedBy::Network}, "given up", now);
}

}  // namespace godwit::sip
