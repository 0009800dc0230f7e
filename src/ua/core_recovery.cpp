// SPDX-License-Identifier: Apache-2.0
//
// An IP change: the plan's rows become sockets, REGISTER, offers and media (design §4, act).
// Everything of one generation starts in the same tick; nothing waits for anything that it does
// not need.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

// Uses of accounts, calls, and what accounts do besides share one number space.
mobility::UseId use_of(AccountId id) { return mobility::UseId{id.value() * 3}; }
mobility::UseId use_of(CallId id) { return mobility::UseId{id.value() * 3 + 1}; }
mobility::UseId use_of(const OtherUsage& usage) { return mobility::UseId{usage.number * 3 + 2}; }

/// A 500 without Retry-After often means "your last request is still being answered" (RFC 3261
/// §14.2); it has passed by then.
constexpr Duration kServerErrorWait = std::chrono::milliseconds(500);
/// For how long the answer to the CANCEL of a given-up INVITE is awaited before the callee is
/// called anew: two slow round trips. It must not answer both.
constexpr Duration kCancelWait = std::chrono::milliseconds(500);
/// A busy so soon after calling anew is most likely our own first call (design §5).
constexpr Duration kOwnBusyWindow = std::chrono::seconds(2);
constexpr Duration kOwnBusyWait = std::chrono::milliseconds(500);
constexpr Duration kMaxServerErrorWait = std::chrono::seconds(4);
/// Refused refreshes in a row, of kinds that may pass, before one that is not for a recovery is
/// given up; a recovery has its deadline.
constexpr int kMaxRefusals = 8;

}  // namespace

std::vector<mobility::Use> Core::Impl::collect_uses(const IpChangeOptions* asked) const {
  const auto own_paths = [this](const Account& account, const PathPin& pin) {
    const bool usual = pin == PathPin{} && account.config.ip_change.leave_dead_paths;
    return usual ? std::nullopt : std::optional(paths_of(account, pin));
  };
  const auto all_through = [this](std::vector<Endpoint> ways, const PathPin& pin) {
    for (Endpoint& way : ways) way = reach(std::nullopt, way, pin);
    return ways;
  };
  std::vector<mobility::Use> uses;
  for (const auto& [id, account] : accounts_) {
    if (account->removed || !account->server) continue;
    if (!account->path && !account->suspended) continue;
    mobility::Use use;
    use.id = use_of(id);
    use.kind = mobility::UseKind::Registration;
    use.name = "account " + std::to_string(account->main.value());
    if (account->is_further()) use.name += " flow " + std::to_string(account->reg_id);
    if (account->path) use.path = *account->path;
    use.remote = reach(account->path, *account->server, account->config.signalling_pin);
    use.others = all_through(other_ways(*account), account->config.signalling_pin);
    use.suspended = account->suspended;
    use.policy = policy_of(*account, use.kind, asked);
    use.policy.paths = own_paths(*account, account->config.signalling_pin);
    uses.push_back(std::move(use));
  }
  for (const auto& [id, call] : calls_) {
    if (call->state == CallState::Ended || call->ending || !call->path) continue;
    // What is neither called nor asked about yet starts from wherever it is then.
    if (!call->started && !call->former) continue;
    const Account& account = *accounts_.at(call->account);
    mobility::Use use;
    use.id = use_of(id);
    use.kind = mobility::UseKind::Call;
    use.name = "call " + std::to_string(id.value());
    use.path = *call->path;
    const Endpoint hop = (call->started ? *call->session : *call->former).flow().remote;
    use.remote = reach(call->path, call->moved_hop ? call->moved_hop->remote : hop,
                       account.config.signalling_pin);
    use.others = all_through(other_ways(*call), account.config.signalling_pin);
    use.suspended = call->suspended;
    if (call->media) {
      const MediaPath& path = call->next_media ? *call->next_media : *call->media;
      const Endpoint remote = call->agreed ? call->agreed->remote_rtp : use.remote;
      use.media.push_back({path.path, reach(path.path, remote, account.config.media_pin),
                           own_paths(account, account.config.media_pin)});
    }
    use.policy = policy_of(account, use.kind, asked);
    use.policy.paths = own_paths(account, account.config.signalling_pin);
    uses.push_back(std::move(use));
  }
  for (const auto& [number, usage] : usages_) {
    if (usage->request || usage->finished || (!usage->path && !usage->suspended)) continue;
    const Account& account = *accounts_.at(usage->account);
    const std::optional<Endpoint> hop =
        usage->target.direct ? usage->target.direct : account.server;
    if (!hop) continue;
    mobility::Use use;
    use.id = use_of(*usage);
    use.kind = mobility::UseKind::Subscription;
    use.name = (usage->subscription ? "subscription " : "publication ") + std::to_string(number);
    if (usage->path) use.path = *usage->path;
    use.remote = reach(usage->path, *hop, account.config.signalling_pin);
    if (!usage->target.direct) {
      use.others = all_through(other_ways(account), account.config.signalling_pin);
    }
    use.suspended = usage->suspended;
    use.policy = policy_of(account, use.kind, asked);
    use.policy.paths = own_paths(account, account.config.signalling_pin);
    uses.push_back(std::move(use));
  }
  return uses;
}

void Core::Impl::progress(const std::optional<IpChangeStep>& step) {
  if (step) emit(IpChangeProgress{recovery_->generation(), *step});
}

void Core::Impl::begin_recovery(const mobility::NetworkChange& change, TimePoint now) {
  restart_races();
  const auto asked =
      change.delta.has(ChangeCause::Forced) ? std::exchange(asked_, std::nullopt) : std::nullopt;
  mobility::RecoveryPlan plan = mobility::plan(
      change.snapshot, change.delta, collect_uses(asked ? &*asked : nullptr), path_policy());
  std::erase_if(plan.rows, [&](const auto& row) {
    return was_refused(row) || awaits_proof(row, change, now);
  });
  if (plan.empty() && !change.delta.has(ChangeCause::Forced)) {
    judge_.take_back();
    return;
  }
  if (recovery_) emit(IpChangeCompleted{recovery_->finish(true, now)});
  recovery_.emplace(change, plan.decision);
  emit(IpChangeDetected{change.generation, change.delta.causes, plan.decision});
  log_.info("ua", "IP change " + std::to_string(change.generation.value()) + ": " +
                      change.delta.describe() + "; " + plan.decision);

  locate_anew(now);
  const auto dead = listeners_.mark_dead(change.snapshot);
  const auto dead_streams = streams_.mark_dead(change.snapshot);
  for (const ListenerId id : dead) {
    tell_listener(*listeners_.find(id), "no interface has the address any more");
  }
  for (const ListenerId id : dead_streams) {
    const Stream& stream = *streams_.find(id);
    if (stream.open) {
      progress(recovery_->stream_shut_down(ends_of(stream) + ": its address is gone", now));
    }
  }
  listeners_.forget_failures();
  streams_.forget_failures();
  if (asked && asked->restart_listeners) begin_restart(*asked);
  shut_down_streams(plan, asked ? asked->shut_down_streams : StreamShutdown::Dead, now);
  for (const mobility::PlanRow& row : plan.rows) {
    if (row.kind == mobility::UseKind::Call) {
      recover_call(row, change, now);
    } else if (row.kind == mobility::UseKind::Subscription) {
      recover_usage(row, now);
    } else {
      recover_registration(row);
    }
  }
  for (const auto& [id, call] : calls_) {
    // Not called yet: it starts from wherever the account is now.
    if (!call->outgoing || call->started || call->former || !call->start_retried) continue;
    leave_start(*call);
    call->restart_at = now;
  }
  // What has not been moved hears of its flow's death; what has been moved is detached or
  // elsewhere.
  for (const auto& [id, account] : accounts_) touch(id);
  for (const auto& [id, call] : calls_) touch(id);
  const auto left = leave_avoided_paths();
  dead_listeners_.insert(dead_listeners_.end(), left.begin(), left.end());
  dead_listeners_.insert(dead_listeners_.end(), dead.begin(), dead.end());
  dead_listeners_.insert(dead_listeners_.end(), dead_streams.begin(), dead_streams.end());
}

bool Core::Impl::was_refused(const mobility::PlanRow& row) const {
  // The plan proposes the better path again with each snapshot; the peer has said no to it.
  if (row.kind != mobility::UseKind::Call || row.mode != mobility::Mode::MakeBeforeBreak) {
    return false;
  }
  const auto found = calls_.find(CallId{row.use.value() / 3});
  return found != calls_.end() && row.to && found->second->refused_path == row.to;
}

void Core::Impl::recover_registration(const mobility::PlanRow& row) {
  Account* account = find_account(AccountId{row.use.value() / 3});
  if (account == nullptr) return;
  account->generation = recovery_->generation();
  if (row.mode == mobility::Mode::Leave) return;
  if (!row.to) {
    account->path.reset();
    account->move_pending = false;
    touch(account->id);  // place_account() tells of the suspension.
    return;
  }
  if (row.remote) take_way(*account, *row.remote);
  account->path = row.to;
  account->suspended = false;
  account->wait_for_answer = row.mode == mobility::Mode::MakeBeforeBreak;
  if (!account->wants_registration || !account->config.ip_change.update_contact) return;
  account->move_pending = true;
  recovery_->add_registration(account->id, account->main, account->reg_id);
}

void Core::Impl::suspend_call(Call& call, TimePoint now) {
  if (!call.suspended) {
    call.suspended = true;
    const Account& account = *accounts_.at(call.account);
    call.deadline =
        schedule(call, CallTimer::Deadline, now + account.config.ip_change.recovery_deadline);
    if (const std::string why = pin_trouble(call); !why.empty()) {
      warn("call " + std::to_string(call.id.value()) + " waits: its " + why);
    }
  }
  progress(recovery_->call_suspended(call.id, now));
}

void Core::Impl::hold_timeouts(Call& call, bool hold, TimePoint now) {
  // While we are on our way the peer cannot acknowledge or refresh; what would end the call for it
  // waits for the deadline of the recovery (design §5).
  call.session->hold_ack_timeout(hold, now);
  call.session->hold_expiry(hold, now);
  if (!hold) return;
  const Duration patience = accounts_.at(call.account)->config.ip_change.recovery_deadline;
  timers_.cancel(call.holds);
  call.holds = schedule(call, CallTimer::Holds, now + patience);
}

void Core::Impl::recover_call(const mobility::PlanRow& row, const mobility::NetworkChange& change,
                              TimePoint now) {
  Call* call = find_call(CallId{row.use.value() / 3});
  if (call == nullptr || row.mode == mobility::Mode::Leave) return;
  const IpChangePolicy& policy = accounts_.at(call->account)->config.ip_change;
  if (hang_up_at_change(*call, row, now)) return;
  const bool unanswered = call->outgoing && call->state != CallState::Confirmed &&
                          call->session->state() != sip::SessionState::Confirmed;
  if (unanswered && policy.unconfirmed_outgoing == UnconfirmedCalls::Leave) return;
  call->generation = recovery_->generation();
  const Endpoint old_local =
      call->media ? call->media->rtp.value_or(Endpoint{call->media->path.local, 0}) : Endpoint{};
  const IpAddress new_local = row.to ? row.to->local : IpAddress{};
  const bool talking = call->state == CallState::Confirmed && call->agreed.has_value();
  recovery_->add_call(call->id, old_local, new_local, talking && call->expects_audio());
  if (call->state == CallState::Confirmed) hold_timeouts(*call, true, now);
  const AccountConfig& config = accounts_.at(call->account)->config;
  const bool only_elsewhere = config.media_pin != PathPin{} ||
                              (row.to && !allows(config.media_family, row.to->local.family()));
  const bool media_waits =
      only_elsewhere && !row.media.empty() && row.media.front().mode == mobility::Mode::Suspend;
  if (!row.to || media_waits) {
    suspend_call(*call, now);
    return;
  }
  if (call->suspended) {
    call->suspended = false;
    timers_.cancel(call->deadline);
    progress(recovery_->call_resumed(call->id, now));
  }
  call->offered_differently = false;
  call->detour = false;
  if (call->moved_hop && call->moved_hop->remote.address.family() != row.to->local.family()) {
    call->moved_hop.reset();
  }
  if (row.remote) take_way(*call, *row.remote);
  if (unanswered) {
    // Its responses follow the Via of the INVITE, to an address that is gone.
    if (row.signalling == mobility::Mode::Break || row.signalling == mobility::Mode::Resume ||
        is_dead(call->session->flow())) {
      restart_outgoing(*call, row, now);
      return;
    }
    recovery_->call_moved_without_refresh(call->id);
    return;
  }
  drop_substitute(*call, now);
  call->flow_lost_at.reset();  // The move tells the peer.
  call->tells_caller = false;
  call->next_server.reset();
  call->wish.flow_lost = false;
  call->left_path = call->path;
  call->path = row.to;
  call->refused_path.reset();
  begin_move(*call, now);
  call->refresh_not_before.reset();
  call->refusals = 0;
  call->repaired = false;
  move_media(*call, row, change);
  const bool confirmed = call->state == CallState::Confirmed;
  const bool tells = policy.refresh_calls &&
                     (confirmed || policy.unconfirmed_incoming == UnconfirmedCalls::Recover);
  if (tells && (confirmed || (can_update_early(*call) && !call->session->awaits_prack()))) {
    call->wish.recovery = true;
  } else {
    // Not answered yet: the answer itself will tell where we are. Or nobody is to be told.
    recovery_->call_moved_without_refresh(call->id);
    if (call->aimed_from && call->next_media && call->aimed_from == call->next_media->id &&
        call->agreed && sends(call->agreed->direction)) {
      recovery_->await_media(call->id);
      (void)schedule(*call, CallTimer::Proof, now + 2 * kProofWait);
    }
  }
  touch(call->id);
}

void Core::Impl::restart_outgoing(Call& call, const mobility::PlanRow& row, TimePoint now) {
  recovery_->call_moved_without_refresh(call.id);
  call.path = row.to;
  if (call.media) {
    instruct(call, media::ClosePath{call.media->id, {}});
    call.media = open_media_path(
        call, row.media.empty() || !row.media.front().to ? *row.to : *row.media.front().to);
  }
  call.agreed.reset();
  call.aimed_from.reset();
  if (!call.former) {
    // A third INVITE while the first is still being cancelled: the second is given up unheard, for
    // it has hardly begun.
    call.former_origin = call.origin;
    call.former_sent = call.sent;
    call.adoption = Call::Adoption::None;
    call.adoption_answer.clear();
    call.former = std::move(call.session);
    call.former_number = call.session_number;
    call.former_to_cancel = true;
    call.former_cancelled = false;
  } else {
    call.session->give_up("the address has changed again", now);
    forget_session(call.session_number);
    keep_for_late_answers(call.account, call.session_number, std::move(call.session), now);
    // The question whether the first was answered is put, or put again, from here.
    if (call.adoption == Call::Adoption::Asked) call.adoption = Call::Adoption::Wanted;
    if (call.adoption != Call::Adoption::Refused) call.former_to_cancel = true;
  }
  make_session(call);
  call.started = false;
  touch(call.id);
}

void Core::Impl::cancel_former(Call& call, TimePoint now) {
  if (!call.former_to_cancel || !call.path) return;
  const Hop hop = former_hop(call);
  const auto flow = flow_to(*call.path, hop, now);
  if (const auto why = flow_failure(*call.path, hop)) {
    call.former_to_cancel = false;
    call.restart_at = now;
    call.former->give_up(*why, now);
    return drain_former(call, now);
  }
  if (!flow) return;
  call.former_to_cancel = false;
  call.former->move_flow(*flow, dialog_contact_for(call, *flow));
  call.former->abandon_pending(now);
  call.restart_at = now + kCancelWait;
  schedule(call, CallTimer::Refresh, *call.restart_at);
  drain_former(call, now);
  // The answer to the first CANCEL went to where we were.
  if (std::exchange(call.former_cancelled, true) && call.former) ask_former(call, now);
}

bool Core::Impl::call_again(Call& call, const sip::Ended& ended, TimePoint now) {
  const bool own_doing = ended.status == 486 || ended.status == 480 || ended.status == 482;
  if (!own_doing || !call.restart_at || call.called_again || call.ending ||
      now - *call.restart_at > kOwnBusyWindow) {
    return false;
  }
  call.called_again = true;
  replace_session(call, now);
  call.restart_at = now + kOwnBusyWait;
  schedule(call, CallTimer::Refresh, *call.restart_at);
  return true;
}

void Core::Impl::move_media(Call& call, const mobility::PlanRow& row,
                            const mobility::NetworkChange& change) {
  if (!call.media || row.media.empty()) return;
  const mobility::LegMove& leg = row.media.front();
  if (!leg.to) return;
  const bool same_path = leg.to == leg.from;
  if (same_path && leg.mode != mobility::Mode::Resume) {
    // Nothing to open; the packets from now on count as this generation's.
    const MediaPath& current = call.next_media ? *call.next_media : *call.media;
    aim_media(call, current, std::nullopt);
    return;
  }
  if (call.next_media) instruct(call, media::ClosePath{call.next_media->id, {}});
  call.next_media = open_media_path(call, *leg.to);
  if (policy_of(*accounts_.at(call.account), mobility::UseKind::Call, nullptr).keep_media) {
    recovery_->explain_media(call.id,
                             "the old address carries nothing any more, so that the RTP sockets "
                             "could not be kept");
  }
  if (leg.mode == mobility::Mode::MakeBeforeBreak) return;  // Switched when the offer is answered.
  if (call.agreed && is_gap(*call.agreed, leg.to->local)) {
    // It can only go out once the peer has told of an address of this family.
    if (!call.media_dead_since) call.media_dead_since = change.detected_at;
    return;
  }
  // The old path carries nothing: audio goes out on the new one at once, with no signalling.
  aim_media(call, *call.next_media, change.detected_at);
  call.aimed_from = call.next_media->id;
}

void Core::Impl::move_session(Call& call, TimePoint now) {
  open_listeners(*call.path);
  if (call.detour) return advance_detour(call, now);
  const Hop hop = hop_of(call);
  const auto flow = flow_to(*call.path, hop, now);
  if (!flow) {
    if (!flow_failure(*call.path, hop)) return;
    if (call.next_server) {
      // As if the refresh had not been answered there.
      locator_.note_failure({hop.transport, hop.remote, hop.tls_name, 0}, std::nullopt, now);
      Call::Reroute tried = *std::exchange(call.reroute_tried, std::nullopt);
      tried.wish.add(call.wish);  // Said meanwhile.
      call.next_server.reset();
      call.move_pending = false;
      call.wish = {};
      call.in_flight = tried.wish;
      on_refresh_failed(call, tried.failed, now);
      return;
    }
    if (call.wish.recovery || !call.wish.flow_lost) {
      retry_later(now);
    } else {
      call.move_pending = false;  // Nothing has moved; the next request shows whether it is there.
      call.wish.flow_lost = false;
    }
    return;
  }
  call.move_pending = false;
  call.moving_since.reset();
  call.next_server.reset();
  call.reroute_tried.reset();
  const sip::ListenerId old = call.session->flow().listener;
  const bool old_is_dead = is_dead(call.session->flow());
  // While the old flow works, what is pending there stays; the refresh waits for its end.
  if (!old_is_dead && call.session->refresh_pending()) {
    call.move_pending = true;
    return;
  }
  call.moved_hop.reset();
  call.session->answer_challenges(way_of(call).trusts(flow->remote.address));
  const IpChangePolicy& policy = accounts_.at(call.account)->config.ip_change;
  const bool new_contact =
      policy.refresh_contact || (call.wish.by_hand && call.by_hand && call.by_hand->what.contact);
  call.session->move_flow(*flow, told_contact(call, *flow, new_contact));
  if (std::exchange(call.tells_caller, false) && !old_is_dead) tell_early_target(call, now);
  // It may have been lost with the connection.
  if (call.wish.flow_lost && old != flow->listener && call.session->ack_is_fresh(now)) {
    call.session->resend_ack(now);
  }
  if (old_is_dead && old != flow->listener) {
    if (call.session->prack_pending() && !call.session->refresh_pending()) {
      call.session->abandon_pending(now);
    } else if (call.session->refresh_pending()) {
      call.session->abandon_pending(now);
      // Its wishes are not fulfilled; the next offer carries them too.
      call.refresh_in_flight = false;
      call.wish.hold_changed = call.wish.hold_changed || call.in_flight.hold_changed;
      call.wish.flow_lost = call.wish.flow_lost || call.in_flight.flow_lost;
      call.wish.by_hand = call.wish.by_hand || call.in_flight.by_hand;
      call.wish.family = call.wish.family || call.in_flight.family;
      call.in_flight = {};
    }
    if (call.session->ack_is_fresh(now)) call.session->resend_ack(now);
    if (!call.outgoing && call.state != CallState::Confirmed && policy.refresh_calls &&
        !call.end_on_path && policy.unconfirmed_incoming == UnconfirmedCalls::Recover) {
      tell_early_target(call, now);
    }
  }
  remotes_changed_ = true;
}

void Core::Impl::on_refresh_failed(Call& call, const sip::RefreshFailed& failed, TimePoint now) {
  if (std::exchange(call.early_update, false)) return;  // The answer will tell where we are.
  call.refresh_in_flight = false;
  call.open_offer.reset();
  const RefreshWish carried = std::exchange(call.in_flight, {});
  const bool for_recovery =
      recovery_ && carried.recovery && failed.generation == recovery_->generation();
  if (for_recovery) {
    progress(recovery_->refresh_answered(call.id, false, failed.status, failed.reason, now));
  }
  if (fall_back_to_invite(call, failed, carried)) return;
  if (reroute(call, failed, carried, now)) return;
  if (++call.refusals == 1) call.refused_since = now;
  const auto again = [&](Duration wait) {
    call.wish.add(carried);
    call.refresh_not_before = now + wait;
    schedule(call, CallTimer::Refresh, now + wait);
  };
  const std::string what = std::to_string(failed.status) + " " + failed.reason;
  const Duration patience = accounts_.at(call.account)->config.ip_change.recovery_deadline;
  const bool too_long = failed.retry_after && *failed.retry_after > patience;
  if (!too_long && may_ask_again(call, carried, now)) {
    const Duration wait =
        std::min(kServerErrorWait * (1 << std::min(call.refusals - 1, 8)), kMaxServerErrorWait);
    switch (failed.status) {
      case 491: again(failed.retry_after.value_or(kServerErrorWait)); return;
      case 500:
        // "At once" every time would make us ask as fast as the peer can refuse.
        again(std::max<Duration>(failed.retry_after.value_or(wait), kServerErrorWait));
        return;
      case 401:
      case 403:
      case 407:
        // The server ties calls to the registration: once more after the 200 to REGISTER.
        if (for_recovery && recovery_->awaits_registration(call.way)) {
          call.wish.add(carried);
          call.wait_for_registration = true;
          return;
        }
        break;
      case 503:
        if (failed.failure == sip::RefreshFailure::Transport) {
          again(kServerErrorWait);
          return;
        }
        break;
      default: break;
    }
  }
  if (call.state != CallState::Confirmed) {
    // An UPDATE of a call that is not answered yet: the refresh after the answer brings it.
    if (for_recovery) recovery_->call_moved_without_refresh(call.id);
    return;
  }
  if (carried.by_hand) {
    finish_by_hand(call, failed.method, failed.status, failed.reason, false);
    if (!carried.recovery) keep_old_media(call);
    // The application sees what it is, and says what next.
    if (failed.status == 408 && !carried.recovery && !carried.flow_lost) return;
  }
  if (!carried.recovery && carried.flow_lost && failed.status != 481) {
    const std::string why = "the peer answered the new flow with " + what;
    const bool lost = failed.status == 408 || failed.status == 430 || failed.status == 503;
    if ((lost || route_has_flow_token(call)) && begin_substitute(call, why, now)) return;
    // Audio goes on, and where it is wanted the next request shows whether the peer is there.
    if (failed.status != 408) return;
  }
  if (!carried.recovery) {
    if (carried.family && failed.status != 408 && failed.status != 481) {
      end_call(call,
               "the peer's audio cannot be reached, and it answered another offer with " + what,
               now);
      return;
    }
    // RFC 3261 §14.1: a rejected re-INVITE leaves the session as it was, but these end the dialog
    // (§12.2.1.2).
    if (failed.status == 408 || failed.status == 481) {
      end_call(call, "the peer no longer answers: " + what, now);
      return;
    }
    if (carried.hold_changed) {
      call.hold_wanted = !call.hold_wanted;
      warn("call " + std::to_string(call.id.value()) +
           (call.hold_wanted ? " could not be resumed: " : " could not be held: ") + what);
    }
    return;
  }
  if (failed.status != 481 && stay_on_old_path(call)) {
    warn("call " + std::to_string(call.id.value()) + " stays on " + call.path->to_string() +
         ": the peer answered the move with " + what);
    return;
  }
  if ((failed.status == 488 || failed.status == 606) && offer_differently(call)) {
    call.wish.add(carried);
    touch(call.id);
    return;
  }
  const std::string answered = "the peer answered the move with " + what;
  // From a dialog that leads to where we were any answer may have come from anywhere.
  const bool unreachable = failed.status == 408 || failed.status == 430 || failed.status == 503;
  if ((unreachable || route_has_flow_token(call)) && begin_substitute(call, answered, now)) {
    call.refresh_given_up = true;
    return;
  }
  lose_on_network_change(call, answered, now);
}

bool Core::Impl::may_ask_again(const Call& call, const RefreshWish& carried, TimePoint now) const {
  if (!carried.recovery) return call.refusals <= kMaxRefusals;
  return now - call.refused_since < accounts_.at(call.account)->config.ip_change.recovery_deadline;
}

bool Core::Impl::stay_on_old_path(Call& call) {
  // RFC 3261 §14.1: a refused re-INVITE leaves the session as it was, hence the peer still sends
  // to, and signals to, where we were.
  if (!call.media || !call.agreed || !call.left_path) return false;
  const PathPin& pin = accounts_.at(call.account)->config.signalling_pin;
  if (!carries_media(call, *call.media, call.agreed->remote_rtp) ||
      !carries(*call.left_path, call.session->flow().remote, pin)) {
    return false;
  }
  if (call.next_media) {
    instruct(call, media::ClosePath{call.next_media->id, {}});
    call.next_media.reset();
    call.refused_path = call.path;
  }
  if (call.aimed_from != call.media->id) {
    aim_media(call, *call.media, std::nullopt);
    call.aimed_from = call.media->id;
  }
  call.path = call.left_path;
  call.move_pending = true;
  if (recovery_) recovery_->call_stays(call.id);
  touch(call.id);
  return true;
}

void Core::Impl::on_proof_timer(Call& call, TimePoint) {
  if (!recovery_ || !recovery_->awaits_audio(call.id)) return;
  if (!call.repaired && !recovery_->awaits_media(call.id)) {
    call.repaired = true;
    doubt_mapping(call);
    call.wish.recovery = true;  // One repair offer.
    return;
  }
  recovery_->commit_unproven(call.id);
}

void Core::Impl::on_deadline(Call& call, TimePoint now) {
  if (!call.suspended || call.state == CallState::Ended) return;
  const Family theirs = call.session->flow().remote.address.family();
  const std::string pinned = pin_trouble(call);
  std::string why = "lost on a network change: ";
  if (!pinned.empty()) {
    why += "its " + pinned;
  } else if (mobility::is_online(judge_.current()) &&
             !mobility::has_family(judge_.current(), theirs)) {
    why += std::string("the call's next hop is reached only by ") + to_string(theirs) +
           ", which the network does not have";
  } else {
    why += "no network came back in time";
  }
  // Its media alone may be without a path: then the peer is told.
  const sip::Flow& flow = call.session->flow();
  if (!is_dead(flow) && is_present(path_of(flow))) return end_call(call, why, now);
  call.ending = true;
  call.session->give_up(why, now);
}

void Core::Impl::begin_move(Call& call, TimePoint now) {
  call.move_pending = true;
  call.moving_since = now;
  const Duration patience = accounts_.at(call.account)->config.ip_change.recovery_deadline;
  (void)schedule(call, CallTimer::Unreachable, now + patience);
}

void Core::Impl::on_unreachable_timer(Call& call, TimePoint now) {
  const Duration patience = accounts_.at(call.account)->config.ip_change.recovery_deadline;
  if (!call.move_pending || call.state == CallState::Ended || call.ending) return;
  if (!call.moving_since || now - *call.moving_since < patience) return;
  call.ending = true;
  call.move_pending = false;
  call.session->give_up("lost on a network change: no connection could be opened in time", now);
}

bool Core::Impl::is_moving() const {
  return std::any_of(calls_.begin(), calls_.end(),
                     [](const auto& entry) { return entry.second->move_pending; }) ||
         std::any_of(accounts_.begin(), accounts_.end(),
                     [](const auto& entry) { return entry.second->move_pending; }) ||
         std::any_of(usages_.begin(), usages_.end(), [](const auto& entry) {
           const OtherUsage& usage = *entry.second;
           return usage.move_pending && usage.moved && !usage.suspended;
         });
}

bool Core::Impl::close_dead_listeners(TimePoint now) {
  // First everything that can move leaves the flow; then what is left on it hears of its death.
  if (dead_listeners_.empty() || is_moving()) return false;
  for (const ListenerId id : std::exchange(dead_listeners_, {})) {
    transactions_.on_flow_failed(id, now);
    listeners_.close(id);
    streams_.close(id);
  }
  return true;
}

void Core::Impl::finish_recovery_if_complete(TimePoint now) {
  if (!recovery_ || !recovery_->complete() || is_moving() || is_restarting()) return;
  IpChangeReport report = recovery_->finish(false, now);
  recovery_.reset();
  close_unused_listeners();
  close_unused_streams(now);
  emit(IpChangeCompleted{std::move(report)});
  review_silence(now);
}

void Core::Impl::close_unused_listeners() {
  for (const ListenerId id : listeners_.all()) {
    const Listener& listener = *listeners_.find(id);
    if ((listener.dead || !listener.by_hand) && !is_used(listener)) listeners_.close(id);
  }
}

}  // namespace godwit::ua
