// SPDX-License-Identifier: Apache-2.0
//
// How a call's peer is told our place: as re-INVITE or UPDATE, with or without an offer and a new
// Contact, as the account's policy says or the application by hand. When it is told otherwise is
// the recovery's business.
#include "ua/core_impl.hpp"
#include "ua/ip_change_rules.hpp"

namespace godwit::ua {

RefreshShape Core::Impl::shape_of(const Call& call, const IpChangePolicy& policy) {
  const RefreshWish& wish = call.wish;
  const sip::Dialog* dialog = call.session->dialog();
  RefreshShape shape;
  shape.contact = policy.refresh_contact;
  if (call.state != CallState::Confirmed) {
    shape.method = wire::Method::Update;  // RFC 3311 §5.1: nothing else in an early dialog.
    shape.offer = policy.refresh_offer;
    return shape;
  }
  const bool can_update =
      !call.update_refused && dialog != nullptr && dialog->peer_allows(wire::Method::Update);
  bool update = false;
  if (wish.hold_changed || wish.flow_lost || wish.family || wish.mapping) {
    // It needs the offer, or proves the new flow.
  } else if (wish.recovery) {
    shape.offer = policy.refresh_offer;
    update = !shape.offer || policy.refresh_method == RefreshMethod::Update;
  } else if (wish.by_hand && call.by_hand) {
    shape.offer = call.by_hand->what.offer;
    update = call.by_hand->what.method == RefreshMethod::Update;
  } else if (wish.timer && can_update) {
    // RFC 4028 §7.4 recommends UPDATE, without an offer, for what only the session timer wants.
    shape.offer = false;
    update = true;
  }
  if (wish.by_hand && call.by_hand) {
    shape.offer = shape.offer || call.by_hand->what.offer;
    shape.contact = call.by_hand->what.contact || (wish.recovery && policy.refresh_contact);
  }
  if (update && can_update) shape.method = wire::Method::Update;
  return shape;
}

std::string Core::Impl::told_contact(const Call& call, const sip::Flow& flow, bool refresh) const {
  if (!refresh && call.state == CallState::Confirmed && !call.session->contact().empty()) {
    return call.session->contact();
  }
  return dialog_contact_for(call, flow);
}

bool Core::Impl::fall_back_to_invite(Call& call, const sip::RefreshFailed& failed,
                                     const RefreshWish& carried) {
  if (failed.method != wire::Method::Update || call.state != CallState::Confirmed) return false;
  if (!carried.recovery && !carried.by_hand && !carried.timer) return false;
  switch (failed.failure) {
    case sip::RefreshFailure::Transport: return false;
    case sip::RefreshFailure::Timeout:
      // Some peers and proxies ignore what they do not know. Of the session timer's it is the end.
      if (!carried.recovery && !carried.by_hand) return false;
      break;
    case sip::RefreshFailure::Rejected:
      // RFC 3311 §5.2: 491, and 500 with Retry-After, say "not now".
      if (failed.status == 481 || failed.status == 408 || failed.status == 491) return false;
      if (failed.status == 500 && failed.retry_after) return false;
      if ((failed.status == 401 || failed.status == 403 || failed.status == 407) && recovery_ &&
          carried.recovery && recovery_->awaits_registration(call.way)) {
        return false;
      }
      break;
  }
  log_.info("ua", "call " + std::to_string(call.id.value()) + ": UPDATE was answered " +
                      std::to_string(failed.status) + "; re-INVITE from now on");
  call.update_refused = true;
  call.wish.add(carried);
  touch(call.id);
  return true;
}

Result<RequestId> Core::Impl::refresh_call(CallId id, const CallRefresh& what, TimePoint now) {
  const auto found = require_call(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Call& call = **found;
  if (auto fine = check_refresh(what); !fine) return tl::unexpected<Error>(fine.error());
  if (shutting_down_ || call.state != CallState::Confirmed || call.ending || call.end_on_path) {
    return fail(ErrorCode::WrongState, "only an established call can be refreshed");
  }
  if (call.by_hand) {
    return fail(ErrorCode::Busy, "a refresh of call " + std::to_string(id.value()) +
                                     " that was asked for is under way");
  }
  if (auto ready = prepare_by_hand(call, what, now); !ready) {
    return tl::unexpected<Error>(ready.error());
  }
  const RequestId request{++last_request_};
  call.by_hand->request = request;
  touch(id);
  settle(now);
  return request;
}

Result<void> Core::Impl::prepare_by_hand(Call& call, const CallRefresh& what, TimePoint now) {
  const sip::Dialog* dialog = call.session->dialog();
  const bool can_update =
      dialog != nullptr && dialog->peer_allows(wire::Method::Update) && !call.update_refused;
  const bool open = call.session->refresh_pending() ||
                    !call.session->can_refresh(wire::Method::Invite, false).has_value();
  if (!what.offer && open && !can_update) {
    return fail(ErrorCode::WrongState,
                "an offer is open, and the peer takes no UPDATE that could go beside it");
  }
  const Account& account = *accounts_.at(call.account);
  const IpAddress remote = call.session->flow().remote.address;
  const auto path = path_to(account, remote);
  if (!path) {
    return fail(ErrorCode::WrongState, "there is no network path to " + remote.to_string());
  }
  const Endpoint heard = call.agreed ? call.agreed->remote_rtp : call.session->flow().remote;
  const bool media_lives = call.media && carries_media(call, *call.media, heard);
  if (what.offer && !what.media && !media_lives) {
    return fail(ErrorCode::WrongState,
                "the address of the call's RTP socket is gone, so that it cannot be kept");
  }
  if (!what.target.empty()) {
    if (auto set = call.session->set_target(what.target); !set) return set;
    remotes_changed_ = true;
  }
  call.by_hand = ByHandRefresh{{}, what, !what.offer && can_update, false};
  if (call.suspended) {
    call.suspended = false;
    timers_.cancel(call.deadline);
  }
  call.refresh_not_before.reset();
  call.refusals = 0;
  if (!call.path || *call.path != *path) {
    drop_substitute(call, now);
    call.left_path = call.path;
    call.path = path;
    call.refused_path.reset();
    if (!call.by_hand->alone) begin_move(call, now);
  }
  if (what.media) {
    const auto to = media_path_to(account, heard.address);
    if (call.next_media) instruct(call, media::ClosePath{call.next_media->id, {}});
    call.next_media = open_media_path(call, to ? *to : *path);
    if (!media_lives) {
      aim_media(call, *call.next_media, now);
      call.aimed_from = call.next_media->id;
    }
  }
  if (!call.by_hand->alone) call.wish.by_hand = true;
  return {};
}

void Core::Impl::advance_by_hand(Call& call, TimePoint now) {
  ByHandRefresh& by_hand = *call.by_hand;
  if (!by_hand.alone || by_hand.sent || call.state != CallState::Confirmed) return;
  open_listeners(*call.path);
  const Hop hop = hop_of(call);
  const auto flow = flow_to(*call.path, hop, now);
  if (!flow) {
    if (const auto why = flow_failure(*call.path, hop)) {
      finish_by_hand(call, wire::Method::Update, 503, *why, false);
    }
    return;
  }
  // What is pending keeps its own flow and its Via; whatever is sent from now on takes this one.
  call.session->move_flow(*flow, told_contact(call, *flow, by_hand.what.contact));
  call.session->answer_challenges(way_of(call).trusts(flow->remote.address));
  remotes_changed_ = true;
  const auto sent = call.session->tell_target(by_hand.request.value(), now);
  by_hand.sent = sent.has_value();
  if (!sent) finish_by_hand(call, wire::Method::Update, 0, sent.error().detail, false);
}

void Core::Impl::on_target_told(Call& call, const sip::RequestAnswered& answered, TimePoint) {
  if (!call.by_hand || call.by_hand->request.value() != answered.token) return;
  const bool refused = answered.status >= 400 && answered.status != 481 && answered.status != 487 &&
                       answered.status != 491 && !answered.flow_died;
  if (refused && !call.ending &&
      call.session->can_refresh(wire::Method::Invite, false).has_value()) {
    call.update_refused = true;
    call.by_hand->alone = false;
    call.wish.by_hand = true;
    touch(call.id);
    return;
  }
  finish_by_hand(call, wire::Method::Update, answered.status, answered.reason,
                 answered.status / 100 == 2);
}

void Core::Impl::finish_by_hand(Call& call, wire::Method method, int status,
                                const std::string& reason, bool ok) {
  if (!call.by_hand) return;
  const ByHandRefresh done = *std::exchange(call.by_hand, std::nullopt);
  call.wish.by_hand = false;
  emit(CallRefreshed{
      done.request, call.id,
      method == wire::Method::Update ? RefreshMethod::Update : RefreshMethod::Reinvite, status,
      reason, ok});
}

void Core::Impl::keep_old_media(Call& call) {
  if (!call.next_media || !call.media || !call.agreed) return;
  // RFC 3261 §14.1: refused, the session is as it was.
  if (!carries_media(call, *call.media, call.agreed->remote_rtp)) return;
  instruct(call, media::ClosePath{call.next_media->id, {}});
  call.next_media.reset();
  if (call.aimed_from == call.media->id) return;
  aim_media(call, *call.media, std::nullopt);
  call.aimed_from = call.media->id;
}

}  // namespace godwit::ua
