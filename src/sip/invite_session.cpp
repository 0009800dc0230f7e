// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: its states, and which part gets which input.
#include "sip/invite_session.hpp"

#include <algorithm>

#include "wire/sip/headers.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

template <typename... Parts>
struct Overloaded : Parts... {
  using Parts::operator()...;
};
template <typename... Parts>
Overloaded(Parts...) -> Overloaded<Parts...>;

}  // namespace

const char* to_string(SessionState state) {
  switch (state) {
    case SessionState::Idle: return "Idle";
    case SessionState::Calling: return "Calling";
    case SessionState::Proceeding: return "Proceeding";
    case SessionState::Incoming: return "Incoming";
    case SessionState::Answering: return "Answering";
    case SessionState::Confirmed: return "Confirmed";
    case SessionState::Terminating: return "Terminating";
    case SessionState::Ended: return "Ended";
  }
  return "?";
}

const char* to_string(EndedBy by) {
  switch (by) {
    case EndedBy::Local: return "local";
    case EndedBy::Peer: return "peer";
    case EndedBy::Network: return "network";
  }
  return "?";
}

InviteSession::InviteSession(UsageContext context, Owner owner, SessionConfig config,
                             DigestClient& digest)
    : context_(context),
      owner_(owner),
      config_(std::move(config)),
      digest_(digest),
      state_(Idle{}),
      acks_(context, owner, static_cast<std::uint32_t>(Timer::Acks)),
      asked_interval_(config_.timer.interval) {}

InviteSession::~InviteSession() {
  drop_unacked();
  drop_limit();
  drop_unpracked();
  stop_session_timer();
}

SessionState InviteSession::state() const {
  return std::visit(Overloaded{
                        [](const Idle&) { return SessionState::Idle; },
                        [](const Outgoing& outgoing) {
                          return outgoing.provisional ? SessionState::Proceeding
                                                      : SessionState::Calling;
                        },
                        [](const Incoming&) { return SessionState::Incoming; },
                        [](const Answering&) { return SessionState::Answering; },
                        [](const Confirmed&) { return SessionState::Confirmed; },
                        [](const Terminating&) { return SessionState::Terminating; },
                        [](const Finished&) { return SessionState::Ended; },
                    },
                    state_);
}

void InviteSession::enter(State next, const char* cause) {
  const SessionState before = state();
  state_ = std::move(next);
  const SessionState after = state();
  if (after == before || !context_.log.enabled(Log::Level::Debug)) return;
  context_.log.debug("sip", "session " + std::to_string(owner_.value()) + ": " + to_string(before) +
                                " -> " + to_string(after) + " on " + cause);
}

bool InviteSession::is_over() const {
  return std::holds_alternative<Terminating>(state_) || std::holds_alternative<Finished>(state_);
}

void InviteSession::finish(sip::Ended outcome, const char* cause, TimePoint now) {
  if (std::holds_alternative<Finished>(state_)) return;
  acks_.stop();
  drop_unacked();
  drop_unpracked();
  stop_session_timer();
  queued_progress_.clear();
  held_accept_.reset();
  for (const Prack& prack : std::exchange(pracks_, {}))
    context_.transactions.detach(prack.transaction, now);
  drop_limit();
  if (local_refresh_) context_.transactions.detach(local_refresh_->transaction, now);
  local_refresh_.reset();
  drop_own_requests(now);
  close_peer_request(487, now);
  // A request that nobody will answer any more would keep the peer retransmitting.
  for (const PeerRequest& open : open_requests_) static_cast<void>(answer(open, 481, {}, now));
  open_requests_.clear();
  drop_forks(now);
  if (dialog_) emit(DialogRemoved{dialog_->id});
  enter(Finished{}, cause);
  emit(std::move(outcome));
}

TimerId InviteSession::schedule(Timer kind, TimePoint at) {
  return context_.timers.schedule(at, UsageTimer{owner_, static_cast<std::uint32_t>(kind)});
}

void InviteSession::target_may_have_moved(bool moved) {
  if (moved && dialog_) emit(PeerMoved{dialog_->remote_target});
}

std::optional<SessionEvent> InviteSession::poll_event() {
  if (events_.empty()) return std::nullopt;
  SessionEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::vector<const Dialog*> InviteSession::early_dialogs() const {
  std::vector<const Dialog*> dialogs;
  dialogs.reserve(forks_.size());
  for (const Fork& fork : forks_) dialogs.push_back(&fork.dialog);
  return dialogs;
}

std::string InviteSession::next_hop() const {
  return dialog_ ? std::string(dialog_->next_hop()) : std::string();
}

bool InviteSession::owns(ServerTransactionId transaction) const {
  const auto* incoming = std::get_if<Incoming>(&state_);
  if (incoming != nullptr && incoming->invite.transaction == transaction) return true;
  if (peer_request_ && peer_request_->transaction == transaction) return true;
  if (unacked_ && unacked_->transaction == transaction) return true;
  return std::any_of(open_requests_.begin(), open_requests_.end(),
                     [&](const PeerRequest& open) { return open.transaction == transaction; });
}

void InviteSession::on_response(const ResponseArrived& event, TimePoint now) {
  const wire::Message& response = *event.response;
  if (const auto* outgoing = std::get_if<Outgoing>(&state_);
      outgoing != nullptr && outgoing->transaction == event.transaction)
    return on_invite_response(event, now);
  if (local_refresh_ && local_refresh_->transaction == event.transaction)
    return on_refresh_response(event, now);
  if (const auto* ending = std::get_if<Terminating>(&state_);
      ending != nullptr &&
      (ending->invite == event.transaction || ending->bye == event.transaction))
    return on_terminating_response(event, now);
  if (on_own_response(event, now)) return;
  if (unknown_ && unknown_->cancel == event.transaction) return on_cancel_answered(response);
  if (on_prack_response(event, now)) return;
  if (on_fork_bye_answered(event, now)) return;
  const auto cseq = wire::cseq_of(response);
  if (cseq && cseq->method == wire::Method::Invite && response.status() / 100 == 2)
    return on_further_answer(response, now);
  // What is left are answers that change nothing: to a CANCEL.
}

void InviteSession::on_client_failed(const ClientFailed& event, TimePoint now) {
  const bool timeout = event.failure == TransactionFailure::Timeout;
  const int status = timeout ? 408 : 503;  // RFC 3261 §8.1.3.1
  const char* reason = timeout ? "no answer" : "the network path is gone";
  if (const auto* outgoing = std::get_if<Outgoing>(&state_);
      outgoing != nullptr && outgoing->transaction == event.transaction) {
    // A dead flow may be an address change that its owner has not heard of yet: it gets the time
    // to abandon_pending, before the call is lost.
    if (!timeout && !limit_) {
      limit_ = schedule(Timer::Limit, now + kTransportGrace);
      return;
    }
    return finish(sip::Ended{status, reason, EndedBy::Network}, "INVITE failed", now);
  }
  if (local_refresh_ && local_refresh_->transaction == event.transaction) {
    return fail_refresh(timeout ? RefreshFailure::Timeout : RefreshFailure::Transport, status,
                        reason, std::nullopt);
  }
  if (const auto* ending = std::get_if<Terminating>(&state_);
      ending != nullptr &&
      (ending->invite == event.transaction || ending->bye == event.transaction)) {
    return finish(ending->outcome, reason, now);
  }
  if (on_own_failed(event)) return;
  if (unknown_ && unknown_->cancel == event.transaction) emit(CancelAnswered{status});
  // A PRACK on a dead flow waits for abandon_pending; one that was never answered leaves the peer
  // to give up by itself.
  if (timeout) {
    std::erase_if(pracks_,
                  [&](const Prack& prack) { return prack.transaction == event.transaction; });
  }
}

void InviteSession::on_timer(std::uint32_t kind, TimePoint now) {
  switch (static_cast<Timer>(kind)) {
    case Timer::Retransmit2xx: return retransmit_2xx(now);
    case Timer::AckDeadline: return on_ack_deadline(now);
    case Timer::Acks: return acks_.on_timer(now);
    case Timer::Limit: limit_ = {}; return on_limit(now);
    case Timer::RetransmitReliable: return retransmit_reliable(now);
    case Timer::PrackDeadline: return on_prack_deadline(now);
    case Timer::SessionRefresh:
      refresh_due_ = {};
      if (std::holds_alternative<Confirmed>(state_)) emit(RefreshDue{});
      return;
    case Timer::SessionExpiry: return on_session_expiry(now);
  }
}

void InviteSession::on_limit(TimePoint now) {
  if (const auto* ending = std::get_if<Terminating>(&state_)) {
    release_forks(now);
    finish(ending->outcome, "time limit", now);
  } else if (std::holds_alternative<Outgoing>(state_)) {
    finish(sip::Ended{503, "the network path is gone", EndedBy::Network}, "INVITE failed", now);
  } else if (const auto* incoming = std::get_if<Incoming>(&state_)) {
    const PeerRequest invite = incoming->invite;
    static_cast<void>(answer(invite, 487, {}, now));
    finish(sip::Ended{487, "the invitation has expired", EndedBy::Peer}, "Expires", now);
  }
}

void InviteSession::drop_limit() {
  context_.timers.cancel(limit_);
  limit_ = {};
}

}  // namespace godwit::sip
