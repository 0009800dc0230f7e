// SPDX-License-Identifier: Apache-2.0
//
// Calls that are not answered yet: early media that we send, what early dialogs of our own INVITE
// have agreed on, and telling a caller that we have moved while its call rings here.
#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// For how long early media may leave without a sign that the caller is where it said: a PRACK or
/// its audio. One forged INVITE must not make an intercom send for the minutes that it may ring;
/// many an honest caller sends no audio before the answer. 64*T1, as long as an answer would.
constexpr Duration kUnprovenEarlyAudio = std::chrono::seconds(32);

}  // namespace

Result<void> Core::Impl::progress(CallId id, int status, TimePoint now) {
  const auto found = require_call(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Call& call = **found;
  if (status <= 100 || status >= 200) {
    return fail(ErrorCode::InvalidArgument,
                "a provisional status is 101 to 199, not " + std::to_string(status));
  }
  if (call.outgoing || call.answering || call.session->state() != sip::SessionState::Incoming) {
    return fail(ErrorCode::WrongState, "call " + std::to_string(id.value()) +
                                           " is not an incoming call that waits for an answer");
  }
  call.progress_wanted = status;
  touch(id);
  settle(now);
  return {};
}

void Core::Impl::send_progress(Call& call, TimePoint now) {
  MediaPath* path = call.next_media ? &*call.next_media : &*call.media;
  if (path->failed) {
    call.progress_wanted.reset();
    warn("call " + std::to_string(call.id.value()) + ": no early media without an RTP port");
    return;
  }
  if (!path->rtp || call.move_pending || awaits_mapping(call, *path, now)) return;
  sip::InviteSession& session = *call.session;
  // RFC 3262 §5: what has to be said about media is said once the one before is acknowledged.
  if (session.awaits_prack() && !session.agreed_early() &&
      !session.offer_answer().awaits_answer()) {
    return;
  }
  const int status = *std::exchange(call.progress_wanted, std::nullopt);
  const bool reliable = session.progress_is_reliable(true);
  if (session.agreed_early() || session.awaits_prack() || (call.offer_wanted && !reliable)) {
    // Nothing new to say about media, or no way to say it.
    if (session.progress(status, {}, now) && call.state == CallState::Incoming) {
      set_state(call, CallState::Ringing, status, "ringing here");
    }
    return;
  }
  if (call.next_media) {
    instruct(call, media::ClosePath{call.media->id, {}});
    call.media = std::exchange(call.next_media, std::nullopt);
    path = &*call.media;
  }
  const std::uint64_t version = session.offer_answer().next_version();
  if (call.offer_wanted) {
    call.open_offer = make_offer(call.origin, version, call.local_audio(config_.media, *path));
    call.sent = call.open_offer;
    call.offered_path = path->id;
    if (session.progress(status, wire::to_string(*call.sent), now)) {
      set_state(call, CallState::EarlyMedia, status, "early media is offered");
    }
    return;
  }
  const auto offer = wire::parse_sdp(call.peer_offer);
  const auto answer =
      offer ? make_answer(*offer, call.origin, version, call.local_audio(config_.media, *path))
            : Result<AudioAnswer>(tl::unexpected<Error>(offer.error()));
  if (!answer) {
    (void)session.reject(488, now);
    return;
  }
  // RFC 3261 §13.2.1: an unreliable preview is repeated as it was.
  if (reliable || call.early_path != path->id || !call.sent) call.sent = answer->description;
  if (!session.progress(status, wire::to_string(*call.sent), now)) return;
  if (!reliable) call.early_path = path->id;
  apply_agreed(call, answer->agreed, path->id);
  set_state(call, CallState::EarlyMedia, status, "early media");
  schedule(call, CallTimer::Unproven, now + kUnprovenEarlyAudio);
}

bool Core::Impl::accept_early(Call& call, TimePoint now) {
  const bool offer_open = call.session->offer_answer().awaits_answer();
  if (!call.session->agreed_early() && !offer_open) return false;
  call.answering = false;
  call.progress_wanted.reset();
  // The media are agreed on, or will be by the PRACK that the 200 waits for.
  if (const auto sent = call.session->accept({}, now); !sent) {
    warn("call " + std::to_string(call.id.value()) +
         " could not be answered: " + sent.error().detail);
    return true;
  }
  set_state(call, CallState::Confirmed, 200, "answered here");
  // A move since then is still to be told.
  if (call.next_media) call.wish.recovery = true;
  return true;
}

void Core::Impl::on_answered(Call& call, const sip::Answered& answered, TimePoint now) {
  if (!answered.agreed_early) return;  // AnswerReceived or OfferReceived follows.
  call.open_offer.reset();
  const auto agreed = call.early_agreed.find(answered.remote_tag);
  if (agreed == call.early_agreed.end()) {
    end_call(call, "the peer's early answer could not be used", now);
    return;
  }
  apply_agreed(call, AgreedAudio(agreed->second), call.offered_path.value_or(call.media->id));
  commit_offered_path(call);
  set_state(call, CallState::Confirmed, 200, "answered");
}

bool Core::Impl::can_update_early(const Call& call) const {
  const sip::Dialog* dialog = call.session->dialog();
  return call.session->agreed_early() && dialog != nullptr &&
         dialog->peer_allows(wire::Method::Update);
}

void Core::Impl::tell_early_target(Call& call, TimePoint now) {
  call.session->resend_reliable(now);
  const sip::Dialog* dialog = call.session->dialog();
  // Before a provisional response the caller has no dialog to update; and an offer tells it as
  // well.
  const bool dialog_known = call.state == CallState::Ringing || call.state == CallState::EarlyMedia;
  if (dialog == nullptr || !dialog_known || call.wish.any() ||
      !dialog->peer_allows(wire::Method::Update) ||
      !call.session->can_refresh(wire::Method::Update, false)) {
    return;
  }
  const Account& account = *accounts_.at(call.account);
  sip::RefreshRequest refresh;
  refresh.method = wire::Method::Update;
  refresh.flow = call.session->flow();
  refresh.contact = dialog_contact_for(call, refresh.flow);
  refresh.timers = account.recovery_timers();
  refresh.generation = call.generation;
  call.early_update = call.session->refresh(std::move(refresh), now).has_value();
}

}  // namespace godwit::ua
