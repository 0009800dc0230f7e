// SPDX-License-Identifier: Apache-2.0
//
// What the SIP session of a call reports, turned into media, call states and next steps.
#include "ua/core_impl.hpp"
#include "wire/sip/headers.hpp"

namespace godwit::ua {

void Core::Impl::drain(Call& call, TimePoint now) {
  while (auto event = call.session->poll_event()) on_session_event(call, *event, now);
  if (call.former) drain_former(call, now);
  drain_substitute(call, now);
}

void Core::Impl::drain_former(Call& call, TimePoint now) {
  while (auto event = call.former->poll_event()) {
    if (const auto* added = std::get_if<sip::DialogAdded>(&*event)) {
      dialogs_[added->id] = call.former_number;
    } else if (const auto* removed = std::get_if<sip::DialogRemoved>(&*event)) {
      dialogs_.erase(removed->id);
    } else if (const auto* cancelled = std::get_if<sip::CancelAnswered>(&*event)) {
      if (recovery_ && recovery_->hangs_up(call.id) && cancelled->status / 100 == 2) {
        progress(recovery_->call_hung_up(call.id, true, cancelled->status, call.end_reason, now));
      }
      ask_former(call, now);
    } else if (std::get_if<sip::LateAnswer>(&*event) != nullptr) {
      ask_former(call, now);
    } else if (const auto* answer = std::get_if<sip::AnswerReceived>(&*event)) {
      call.adoption_answer = answer->sdp;
    } else if (std::get_if<sip::RefreshDone>(&*event) != nullptr) {
      if (call.adoption == Call::Adoption::Asked && !call.ending && !call.adoption_answer.empty()) {
        return adopt_former(call, call.adoption_answer, now);
      }
    } else if (std::get_if<sip::RefreshFailed>(&*event) != nullptr) {
      refuse_adoption(call, now);
    } else if (const auto* request = std::get_if<sip::InDialogRequest>(&*event)) {
      (void)call.former->respond(request->transaction, 481, now);
    } else if (const auto* over = std::get_if<sip::Ended>(&*event)) {
      if (recovery_ && recovery_->hangs_up(call.id)) note_hung_up(call, *over, now);
      if (call.restart_at && *call.restart_at > now) call.restart_at = now;
      forget_session(call.former_number);
      keep_for_late_answers(call.account, call.former_number, std::move(call.former), now);
      call.former.reset();
      call.adoption = Call::Adoption::None;
      if (call.state == CallState::Ended) finished_calls_.push_back(call.id);
      return;
    }
  }
}

void Core::Impl::on_session_event(Call& call, const sip::SessionEvent& event, TimePoint now) {
  if (const auto* added = std::get_if<sip::DialogAdded>(&event)) {
    dialogs_[added->id] = call.session_number;
  } else if (const auto* removed = std::get_if<sip::DialogRemoved>(&event)) {
    dialogs_.erase(removed->id);
  } else if (const auto* progress_event = std::get_if<sip::Progress>(&event)) {
    on_progress(call, *progress_event);
  } else if (const auto* answer = std::get_if<sip::AnswerReceived>(&event)) {
    on_answer(call, answer->sdp, now);
  } else if (std::get_if<sip::AnswerMissing>(&event) != nullptr) {
    call.open_offer.reset();
    if (call.state != CallState::Confirmed) {
      end_call(call, "the peer answered the call without saying where to send audio", now);
    }
  } else if (const auto* offer = std::get_if<sip::OfferReceived>(&event)) {
    on_offer(call, *offer, now);
  } else if (const auto* requested = std::get_if<sip::OfferRequested>(&event)) {
    if (requested->via == sip::OfferVia::Invite) {
      call.offer_wanted = true;
    } else if (call.media) {
      const MediaPath& path =
          call.next_media && call.next_media->rtp ? *call.next_media : *call.media;
      call.open_offer = call.next_offer(config_.media, path);
      call.sent = call.open_offer;
      call.offered_path = path.id;
      (void)call.session->answer_offer(wire::to_string(*call.sent), now);
    }
  } else if (const auto* done = std::get_if<sip::RefreshDone>(&event)) {
    on_refresh_done(call, *done, now);
  } else if (const auto* failed = std::get_if<sip::RefreshFailed>(&event)) {
    on_refresh_failed(call, *failed, now);
  } else if (const auto* request = std::get_if<sip::InDialogRequest>(&event)) {
    on_in_dialog_request(call, *request, now);
  } else if (const auto* own = std::get_if<sip::RequestAnswered>(&event)) {
    on_own_request_answered(call, *own, now);
  } else if (std::get_if<sip::AckReceived>(&event) != nullptr ||
             std::get_if<sip::PrackReceived>(&event) != nullptr) {
    on_peer_proven(call);
  } else if (std::get_if<sip::RefreshDue>(&event) != nullptr) {
    call.wish.timer = true;
  } else if (const auto* redirected = std::get_if<sip::Redirected>(&event)) {
    on_redirected(call, *redirected);
  } else if (std::get_if<sip::PeerMoved>(&event) != nullptr) {
    remotes_changed_ = true;
  } else if (const auto* ended = std::get_if<sip::Ended>(&event)) {
    if (call.substitute && !call.ending) {
      // Most likely the peer's BYE to the dialog that it has just replaced (RFC 3891 §4).
      call.refresh_given_up = true;
      return;
    }
    if (recovery_ && recovery_->hangs_up(call.id)) {
      note_hung_up(call, *ended, now);
    } else if (recovery_ && recovery_->takes_part(call.id)) {
      progress(recovery_->call_given_up(call.id, ended->reason, now));
    }
    call.end_cause = ended->cause;
    const bool ours = ended->by != sip::EndedBy::Peer && !call.end_reason.empty();
    if (!call_again(call, *ended, now) && !call_differently(call, *ended, now) &&
        !call_next_server(call, *ended, now) && !call_next_target(call, *ended, now)) {
      finish_call(call, ended->status, ours ? call.end_reason : ended->reason);
    }
  } else if (const auto* answered = std::get_if<sip::Answered>(&event)) {
    remotes_changed_ = true;  // The dialog's next hop may be another one.
    on_answered(call, *answered, now);
  }
  // AckMissing, Forked, CancelAnswered, LateAnswer and Cancelled need nothing here:
  // the session acts on them itself, and Ended follows where the call is over.
}

void Core::Impl::on_progress(Call& call, const sip::Progress& event) {
  if (!event.sdp.empty() && call.open_offer) {
    const auto answer = wire::parse_sdp(event.sdp);
    const auto agreed = answer ? read_answer(*call.open_offer, *answer)
                               : Result<AgreedAudio>(tl::unexpected<Error>(answer.error()));
    if (agreed) {
      call.early_agreed[event.remote_tag] = *agreed;  // The session tells of kMaxForks at most.
      apply_agreed(call, *agreed, call.media->id);
      set_state(call, CallState::EarlyMedia, event.code, event.reason);
      return;
    }
  }
  if (event.code == 180) set_state(call, CallState::Ringing, event.code, event.reason);
}

void Core::Impl::on_answer(Call& call, const std::string& sdp, TimePoint now) {
  const auto answer = wire::parse_sdp(sdp);
  const auto agreed = !call.open_offer ? fail(ErrorCode::WrongState, "no offer is open")
                      : answer         ? read_answer(*call.open_offer, *answer)
                                       : Result<AgreedAudio>(tl::unexpected<Error>(answer.error()));
  call.open_offer.reset();
  if (!agreed) {
    if (call.state != CallState::Confirmed) {
      end_call(call, "the peer's answer cannot be used: " + agreed.error().detail, now);
    } else {
      warn("call " + std::to_string(call.id.value()) +
           ": the peer's answer cannot be used, audio stays as it was: " + agreed.error().detail);
    }
    return;
  }
  if (bridge_gap(call, *agreed, now)) return;
  apply_agreed(call, *agreed, call.offered_path.value_or(call.media->id));
  commit_offered_path(call);
  // The answer to an offer of ours in a reliable 18x: the call itself is not answered yet.
  if (!call.outgoing && call.session->state() == sip::SessionState::Incoming) return;
  if (call.state != CallState::Confirmed) {
    set_state(call, CallState::Confirmed, 200, call.outgoing ? "answered" : "answered here");
  }
}

void Core::Impl::on_offer(Call& call, const sip::OfferReceived& offer, TimePoint now,
                          bool may_wait) {
  if (offer.via == sip::OfferVia::Invite) {
    call.peer_offer = offer.sdp;
    return;
  }
  if (may_wait && await_media_of(call, offer)) return;
  const auto parsed = wire::parse_sdp(offer.sdp);
  const MediaPath& path = call.next_media && call.next_media->rtp ? *call.next_media : *call.media;
  const std::uint64_t version = call.session->offer_answer().next_version();
  const auto answer =
      parsed ? make_answer(*parsed, call.origin, version, call.local_audio(config_.media, path))
             : Result<AudioAnswer>(tl::unexpected<Error>(parsed.error()));
  if (!answer || is_gap(answer->agreed, path.path.local)) {
    if (offer.via == sip::OfferVia::AnswerTo2xx) {
      const std::string why =
          answer ? "there is no way to " + answer->agreed.remote_rtp.address.to_string() + " here"
                 : answer.error().detail;
      end_call(call, "the peer's offer cannot be used: " + why, now);
    } else {
      (void)call.session->reject_offer(488, now);
    }
    return;
  }
  if (const auto sent =
          call.session->answer_offer(wire::to_string(answer->description), now, offer.remote_tag);
      !sent) {
    log_.warn("ua", "an offer could not be answered: " + sent.error().detail);
    return;
  }
  if (!offer.remote_tag.empty()) call.early_agreed[offer.remote_tag] = answer->agreed;
  call.sent = answer->description;
  call.offered_path = path.id;
  apply_agreed(call, answer->agreed, path.id);
  commit_offered_path(call);
}

void Core::Impl::on_refresh_done(Call& call, const sip::RefreshDone& done, TimePoint now) {
  if (std::exchange(call.early_update, false)) return;
  call.refresh_in_flight = false;
  const RefreshWish carried = std::exchange(call.in_flight, {});
  if (call.ending) return;  // What it was answered with was of no use.
  const bool for_recovery = carried.recovery;
  call.refusals = 0;
  call.servers_tried = 0;
  retire_substitute(call, now);
  hold_timeouts(call, false, now);
  if (carried.by_hand) finish_by_hand(call, done.method, done.status, "", true);
  if (!recovery_ || !for_recovery || done.generation != recovery_->generation()) return;
  progress(recovery_->refresh_answered(call.id, true, done.status, "", now));
  // The peer was not told where its audio should go.
  if (!call.shape.offer && done.method == wire::Method::Update) {
    recovery_->commit_unproven(call.id);
  }
  await_proof(call, now);
}

void Core::Impl::await_proof(const Call& call, TimePoint now) {
  if (!call.expects_audio()) recovery_->commit_unproven(call.id);
  if (recovery_->awaits_audio(call.id)) {
    schedule(call, CallTimer::Proof, now + kProofWait);
  }
}

}  // namespace godwit::ua
