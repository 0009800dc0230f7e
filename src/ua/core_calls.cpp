// SPDX-License-Identifier: Apache-2.0
//
// Calls as the application sees them: its commands, the states it is told of, and the refreshes
// that hold and recovery ask for.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "ua/header_rules.hpp"

namespace godwit::ua {
namespace {

/// For how long an answer sends audio before its ACK: a lost one is asked for after 500 ms. One
/// forged datagram must not make a phone that answers by itself send for the 32 s until its BYE.
constexpr Duration kUnprovenAudio = std::chrono::seconds(1);

/// RFC 3311 §5.2 has an UPDATE answered promptly. Of one that tells our place three retransmissions
/// are lost by then, or it is ignored, and a re-INVITE may still save the call.
constexpr Duration kUpdateWait = std::chrono::seconds(4);

}  // namespace

Call& Core::Impl::make_call(AccountId account, bool outgoing, CallOptions options) {
  const CallId id{++last_call_};
  auto call = std::make_unique<Call>();
  call->id = id;
  call->account = call->way = account;
  call->outgoing = outgoing;
  call->options = std::move(options);
  make_session(*call);
  return *(calls_[id] = std::move(call));
}

sip::SessionConfig Core::Impl::session_config(const Call& call) const {
  const Account& account = *accounts_.at(call.account);
  sip::SessionConfig session;
  session.local_uri = account.aor.uri();
  session.display_name = account.config.display_name;
  if (call.options.hide_identity) {  // RFC 3323 §4.1.1.3.
    session.local_uri = "sip:anonymous@anonymous.invalid";
    session.display_name = "Anonymous";
  }
  session.route_set = way_of(call).routes();
  session.user_agent = config_.user_agent;
  session.supported = supported_tags();
  return session;
}

void Core::Impl::make_session(Call& call) {
  Account& account = *accounts_.at(call.account);
  if (call.outgoing) call.way = best_flow(account).id;
  // A dialog of its own is an SDP session of its own, whose versions start anew.
  call.origin.session_id = random_.next() >> 33U;  // RFC 8866 §5.2: a number that many can read.
  call.sent.reset();
  call.early_agreed.clear();
  sip::SessionConfig session = session_config(call);
  session.reliable = account.config.calls.reliable_provisional;
  session.timer = {account.config.calls.session_timer, account.config.calls.session_expires,
                   account.config.calls.min_session_expires};
  call.session_number = ++last_session_;
  sessions_[call.session_number] = call.id;
  call.session = std::make_unique<sip::InviteSession>(
      context(), owner(OwnerKind::Session, call.session_number), std::move(session),
      *account.digest);
}

void Core::Impl::replace_session(Call& call, TimePoint now) {
  forget_session(call.session_number);
  keep_for_late_answers(call.account, call.session_number, std::move(call.session), now);
  make_session(call);
  call.started = false;
}

Result<CallId> Core::Impl::call(AccountId account, const std::string& target, TimePoint now,
                                CallOptions options) {
  const auto placed = place_call(account, target, now, std::move(options));
  settle(now);
  return placed;
}

Result<CallId> Core::Impl::place_call(AccountId account_id, const std::string& target,
                                      TimePoint now, CallOptions options, TransferOrigin origin) {
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  Account* account = find_account(account_id);
  if (account == nullptr || account->removed || account->is_further()) {
    return fail(ErrorCode::NotFound, "there is no account " + std::to_string(account_id.value()));
  }
  if (calls_.size() >= config_.max_calls) {
    return fail(ErrorCode::Busy, "there are " + std::to_string(calls_.size()) + " calls already");
  }
  if (const auto ok = check_headers(options.headers); !ok) {
    return tl::unexpected<Error>(ok.error());
  }
  SipAddress callee;
  const bool bare_name = target.find('@') == std::string::npos && target.find(':') == target.npos;
  if (bare_name && !target.empty()) {
    callee = account->aor;
    callee.user = target;
  } else {
    const auto parsed = parse_sip_address(target, "call target");
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    callee = *parsed;
  }
  const bool by_account = !account->route_set.empty() || callee.host == account->aor.host;
  if (callee.sips && by_account && account->server && account->transport != sip::Transport::Tls) {
    // RFC 3261 §26.2.2. Where the server is still looked up, start_outgoing() sees to it.
    return fail(ErrorCode::InvalidArgument,
                "call target \"" + target + "\" needs TLS, which the account does not use");
  }
  Call& call = make_call(account_id, true, std::move(options));
  call.ordered = std::move(origin);
  call.aimed_by_peer = static_cast<bool>(call.ordered.by);
  aim_call(call, callee, now);
  outputs_.push_back(CreateMedia{call.id});
  set_state(call, CallState::Calling, 0, "calling " + call.target);
  touch(call.id);
  return call.id;
}

Result<void> Core::Impl::ring(CallId id, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if ((*call)->state != CallState::Incoming) {
    return fail(ErrorCode::WrongState, "only an incoming call can be made to ring");
  }
  if ((*call)->session->progress_needs_sdp()) {
    // The caller wants our offer in the first response (RFC 3262 with an INVITE that had none).
    (*call)->progress_wanted = 180;
    touch(id);
    settle(now);
    return {};
  }
  const auto rung = (*call)->session->ring(now);
  if (rung) set_state(**call, CallState::Ringing, 180, "ringing here");
  settle(now);
  return rung;
}

Result<void> Core::Impl::answer(CallId id, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if ((*call)->outgoing || (*call)->state == CallState::Confirmed || (*call)->answering) {
    return fail(ErrorCode::WrongState, "call " + std::to_string(id.value()) +
                                           " is not an incoming call that waits for an answer");
  }
  (*call)->answering = true;
  touch(id);
  settle(now);
  return {};
}

Result<void> Core::Impl::reject(CallId id, int status, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if (status < 400 || status > 699) {
    return fail(ErrorCode::InvalidArgument,
                "a call is declined with a status of 400 to 699, not " + std::to_string(status));
  }
  const auto rejected = (*call)->session->reject(status, now);
  touch(id);
  settle(now);
  return rejected;
}

Result<void> Core::Impl::hang_up(CallId id, TimePoint now, std::optional<ReasonHeader> reason) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if (reason) {
    if (auto ok = check_reason(*reason); !ok) return ok;
    (*call)->reason_to_give = std::move(reason);
  }
  if (!end_from_new_path(**call, "hung up here", now)) end_call(**call, "hung up here", now);
  settle(now);
  return {};
}

Result<void> Core::Impl::set_hold(CallId id, bool hold, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if ((*call)->state != CallState::Confirmed) {
    return fail(ErrorCode::WrongState, "only an established call can be held or resumed");
  }
  if ((*call)->hold_wanted == hold) return {};
  (*call)->hold_wanted = hold;
  (*call)->wish.hold_changed = true;
  touch(id);
  settle(now);
  return {};
}

Result<void> Core::Impl::media_command(CallId id, media::MediaCommand command, TimePoint now) {
  const auto call = require_call(id);
  if (!call) return tl::unexpected<Error>(call.error());
  if (const auto* mute = std::get_if<media::SetMuted>(&command)) (*call)->muted = mute->muted;
  instruct(**call, std::move(command));
  settle(now);
  return {};
}

void Core::Impl::shut_down(TimePoint now) {
  shutting_down_ = true;
  for (const auto& [id, call] : calls_) {
    if (call->state == CallState::Ended) continue;
    const std::string why = "the user agent shuts down";
    end_call(*call, why, now);
    // The application may be gone before a silent peer has had its time to answer.
    if (call->state != CallState::Ended) tell_end(*call, 0, why);
  }
  for (const auto& [id, account] : accounts_) {
    end_usages_of(id, now);
    stop_registration(*account, now);
  }
  settle(now);
}

bool Core::Impl::idle() const {
  return calls_.empty() && std::none_of(accounts_.begin(), accounts_.end(), [](const auto& entry) {
           return entry.second->registration->in_flight();
         });
}

void Core::Impl::set_state(Call& call, CallState state, int status, const std::string& reason) {
  if (call.state == state && call.announced) return;
  call.state = state;
  call.announced = true;
  emit(CallStateChanged{call.id, state, status, reason,
                        state == CallState::Ended ? call.end_cause : std::nullopt});
  if (call.ordered.by) note_transferred_state(call, state, status);
  if (state == CallState::Confirmed && call.replaces) {
    if (Call* replaced = find_call(call.replaces)) {
      replaced->replaced_by = call.id;
      touch(replaced->id);
    }
  }
}

void Core::Impl::end_call(Call& call, const std::string& why, TimePoint now) {
  if (call.ending || call.state == CallState::Ended) return;
  call.ending = true;
  call.end_reason = why;
  retire_substitute(call, now);
  if (call.session->state() == sip::SessionState::Ended) {
    finish_call(call, 0, why);
    touch(call.id);
    return;
  }
  if (call.former && call.adoption != Call::Adoption::None) refuse_adoption(call, now);
  if (call.outgoing && !call.started) {
    finish_call(call, 0, why);
    touch(call.id);
    return;
  }
  if (is_dead(call.session->flow())) {
    call.session->give_up(why, now);
  } else {
    call.session->end(now);
    watch_bye(call, now);
  }
  touch(call.id);
}

void Core::Impl::finish_call(Call& call, int status, const std::string& reason) {
  if (call.state != CallState::Ended || !call.announced) tell_end(call, status, reason);
  finished_calls_.push_back(call.id);
}

void Core::Impl::tell_end(Call& call, int status, const std::string& reason) {
  forget_location(call.location);
  finish_by_hand(call, wire::Method::Invite, 487, "the call has ended", false);
  set_state(call, CallState::Ended, status, reason);
  for (const DtmfRow& row : std::exchange(call.dtmf, {})) {
    emit(DtmfResult{row.request, call.id, 0, "the call has ended", false});
  }
  instruct(call, media::StopMedia{});
  outputs_.push_back(DestroyMedia{call.id});
}

void Core::Impl::advance(Call& call, TimePoint now) {
  drain(call, now);
  if (call.state != CallState::Ended && !call.ending) advance_transfers(call, now);
  if (call.former) {
    cancel_former(call, now);
    send_adoption(call, now);
  }
  if (call.state == CallState::Ended || call.ending || call.suspended) return;
  if (call.outgoing && !call.started) {
    start_outgoing(call, now);
  } else {
    if (call.waiting_offer && (!call.next_media || call.next_media->rtp)) {
      const sip::OfferReceived offer = *std::exchange(call.waiting_offer, std::nullopt);
      on_offer(call, offer, now, false);
    }
    if (call.flow_lost_at) restore_flow(call, now);
    if (call.move_pending) move_session(call, now);
    if (call.end_on_path && !call.move_pending) {
      hang_up_moved(call, now);
      return drain(call, now);
    }
    if (call.by_hand) advance_by_hand(call, now);
    if (call.progress_wanted) send_progress(call, now);
    if (call.answering) answer_incoming(call, now);
    tell_mapping(call, now);
    if (call.wish.any()) refresh_if_wanted(call, now);
    if (!call.dtmf.empty()) send_next_digit(call, now);
  }
  drain(call, now);
}

void Core::Impl::start_outgoing(Call& call, TimePoint now) {
  if (call.former_to_cancel || call.choice_wanted) return;
  if (call.restart_at && now < *call.restart_at) return;
  if (call.former &&
      (call.adoption == Call::Adoption::Wanted || call.adoption == Call::Adoption::Asked)) {
    refuse_adoption(call, now);  // It has had its time.
  }
  if (!call.first_hop && best_flow(*accounts_.at(call.account)).id != call.way) {
    // Since the call was asked for the flow that it was to take has failed.
    leave_start(call);
    replace_session(call, now);
  }
  Account& account = way_of(call);
  const std::optional<Endpoint> hop = call.first_hop ? call.first_hop : account.server;
  if (!hop && !account.lookup_failure.empty()) {
    end_call(call, account.lookup_failure, now);
    return;
  }
  if (!hop || hop->address.family() == Family::None || !judge_.has_snapshot()) return;
  // The account has gone on to a server of the other family meanwhile.
  if (!call.first_hop && call.path && !can_send(call.path->local, *hop)) leave_start(call);
  if (!call.path) {
    call.path = call.first_hop ? path_to(account, hop->address) : account.path;
    if (!call.path || !is_present(*call.path)) {
      const std::string why =
          pin_trouble("signalling", account.config.signalling_pin, hop->address);
      end_call(call,
               "there is no network path to " + hop->to_string() + (why.empty() ? "" : ": " + why),
               now);
      return;
    }
  }
  if (!call.media) {
    const auto path = first_media_path(account, *call.path, hop->address, true);
    if (!path) {
      end_call(call, no_media_path_to(account, hop->address), now);
      return;
    }
    call.media = open_media_path(call, *path);
  }
  open_listeners(*call.path);
  const Hop way = call.first_hop ? Hop{call.transport, *hop, call.tls_name} : account.hop();
  if (call.secure && way.transport != sip::Transport::Tls) {
    end_call(call, "the called sips: address needs TLS, which the server is not reached by", now);
    return;
  }
  std::optional<sip::Flow> flow;
  std::optional<std::string> why;
  if (call.first_hop) {
    flow = connect(call, way, why, now);
  } else if (call.path == account.path && is_stream(way.transport)) {
    flow = connect(account, now);
    if (!flow && !account.race && account.hop() == way) why = flow_failure(*call.path, way);
  } else {
    flow = flow_to(*call.path, way, now);
    why = flow_failure(*call.path, way);
  }
  if (why) {
    start_later(call, *why, now);
    return;
  }
  if (flow && (call.first_hop ? call.first_hop != hop : account.hop() != way)) {
    touch(call.id);  // Another place was the first to open: from there, then.
    return;
  }
  if (call.media->failed) {
    start_later(call, "no RTP port of " + call.media->path.to_string() + " could be opened", now);
    return;
  }
  if (!flow || !call.media->rtp || awaits_mapping(call, *call.media, now)) return;
  if (!call.sent) call.origin.address = call.path->local;
  call.started = true;
  call.open_offer = call.next_offer(config_.media, *call.media);
  call.sent = call.open_offer;
  call.offered_path = call.media->id;
  sip::InviteRequest invite;
  invite.target = call.target;
  invite.offer = wire::to_string(*call.open_offer);
  invite.flow = *flow;
  invite.replaces = call.ordered.replaces;
  invite.referred_by = call.ordered.referred_by;
  invite.contact = dialog_contact_for(call, *flow);
  invite.timers.timeout = patience(call, *hop, now);
  call.session->answer_challenges(account.trusts(hop->address));
  remotes_changed_ = true;
  call.moved_hop.reset();
  if (const auto sent = call.session->invite(std::move(invite), now); !sent) {
    finish_call(call, 0, "the call could not be placed: " + sent.error().detail);
  }
}

void Core::Impl::start_later(Call& call, const std::string& why, TimePoint now) {
  if (std::exchange(call.start_retried, true)) {
    end_call(call, why, now);
    return;
  }
  // Perhaps the address has just gone, and the snapshot that says so is a moment away.
  constexpr Duration kWait = std::chrono::milliseconds(500);
  call.restart_at = now + kWait;
  schedule(call, CallTimer::Refresh, *call.restart_at);
  leave_start(call);
}

void Core::Impl::leave_start(Call& call) {
  if (call.media) instruct(call, media::ClosePath{call.media->id, {}});
  call.media.reset();
  call.path.reset();
}

void Core::Impl::answer_incoming(Call& call, TimePoint now) {
  if (accept_early(call, now)) return;
  // A move under way brings another path to put into the answer.
  MediaPath* path = call.next_media ? &*call.next_media : &*call.media;
  if (path->failed) {
    (void)call.session->reject(500, now);
    call.answering = false;
    return;
  }
  if (!path->rtp || call.move_pending || awaits_mapping(call, *path, now)) return;
  call.answering = false;
  if (call.next_media) {
    instruct(call, media::ClosePath{call.media->id, {}});
    call.media = std::exchange(call.next_media, std::nullopt);
    path = &*call.media;
  }
  if (call.early_path == path->id && call.sent && call.agreed) {
    // RFC 3261 §13.2.1: what the unreliable response previewed must be exactly the answer.
    if (call.session->accept(wire::to_string(*call.sent), now)) {
      set_state(call, CallState::Confirmed, 200, "answered here");
      schedule(call, CallTimer::Unproven, now + kUnprovenAudio);
    }
    return;
  }
  const std::uint64_t version = call.session->offer_answer().next_version();
  if (call.offer_wanted) {
    call.open_offer = make_offer(call.origin, version, call.local_audio(config_.media, *path));
    call.sent = call.open_offer;
    call.offered_path = path->id;
    if (const auto sent = call.session->accept(wire::to_string(*call.sent), now); !sent) {
      warn("call " + std::to_string(call.id.value()) +
           " could not be answered: " + sent.error().detail);
    }
    return;
  }
  const auto offer = wire::parse_sdp(call.peer_offer);
  const auto answer =
      offer ? make_answer(*offer, call.origin, version, call.local_audio(config_.media, *path))
            : Result<AudioAnswer>(tl::unexpected<Error>(offer.error()));
  if (!answer) {
    (void)call.session->reject(488, now);
    return;
  }
  call.sent = answer->description;
  if (const auto sent = call.session->accept(wire::to_string(*call.sent), now); !sent) {
    warn("call " + std::to_string(call.id.value()) +
         " could not be answered: " + sent.error().detail);
    return;
  }
  apply_agreed(call, answer->agreed, path->id);
  // The network has changed while it rang, and nothing leads to what was offered: asked anew.
  if (is_gap(answer->agreed, path->path.local)) call.wish.family = call.offered_differently = true;
  set_state(call, CallState::Confirmed, 200, "answered here");
  schedule(call, CallTimer::Unproven, now + kUnprovenAudio);
}

void Core::Impl::refresh_if_wanted(Call& call, TimePoint now) {
  const bool early = call.state != CallState::Confirmed;
  if (call.refresh_in_flight || call.move_pending || (early && !can_update_early(call))) return;
  if (call.refresh_not_before) {
    if (now < *call.refresh_not_before) return;
    call.refresh_not_before.reset();
  }
  if (call.wait_for_registration) {
    if (recovery_ && recovery_->awaits_registration(call.way)) return;
    call.wait_for_registration = false;
  }
  if (call.reroute || call.detour) return;  // Another way is being looked up, or taken.
  MediaPath* path = call.next_media ? &*call.next_media : &*call.media;
  if (!path->rtp) return;  // PathOpened or PathFailed brings us back here.
  if (awaits_mapping(call, *path, now)) return;
  const RefreshShape shape = shape_of(call, accounts_.at(call.account)->config.ip_change);
  if (!call.session->can_refresh(shape.method, shape.offer)) return;
  const Account& account = way_of(call);
  sip::RefreshRequest refresh;
  refresh.method = shape.method;
  refresh.flow = call.session->flow();
  refresh.contact = told_contact(call, refresh.flow, shape.contact);
  if (call.wish.recovery) refresh.timers = account.recovery_timers();
  if (const auto limit = patience(call, refresh.flow.remote, now)) refresh.timers.timeout = limit;
  const bool tells_place = call.wish.recovery || call.wish.by_hand;
  if (shape.method == wire::Method::Update && !early && tells_place) {
    refresh.timers.timeout = std::min(refresh.timers.timeout.value_or(kUpdateWait), kUpdateWait);
  }
  refresh.generation = call.generation;
  if (shape.offer) {
    const bool changes =
        call.wish.recovery || call.wish.hold_changed || call.wish.by_hand || call.wish.family;
    const auto said = call.sent;
    call.open_offer = call.next_offer(config_.media, *path);
    // RFC 3264 §8: what is said again without a change keeps its version.
    if (!changes && said) {
      wire::SessionDescription same = *call.open_offer;
      same.origin.session_version = said->origin.session_version;
      if (same == *said) call.open_offer = std::move(same);
    }
    call.sent = call.open_offer;
    call.offered_path = path->id;
    refresh.offer = wire::to_string(*call.open_offer);
  }
  if (const auto sent = call.session->refresh(std::move(refresh), now); !sent) {
    log_.info("ua", "refresh put off: " + sent.error().detail);
    return;
  }
  call.refresh_in_flight = true;
  call.shape = shape;
  call.in_flight = std::exchange(call.wish, {});
  if (recovery_ && call.in_flight.recovery) recovery_->refresh_sent(call.id, now);
  watch_refresh_by_token(call, now);
}

}  // namespace godwit::ua
