// SPDX-License-Identifier: Apache-2.0
//
// A call whose dialog leads nowhere any more gets a new one: an INVITE with Replaces (RFC 3891) to
// the peer's GRUU, else its AOR, takes the old one's place (design §5). Two things bring that
// about: the first Route carries the token of a flow that died, so that the edge proxy sends what
// we say there to where we were (RFC 5626 §5.3); or the peer could not be reached by its Contact.
// The old dialog stays as it is until the new one is accepted.
#include "ua/core_impl.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

/// The one refresh of a dialog with a dead flow's token may take so many round trips …
constexpr int kTokenRoundTrips = 4;
/// … but for a loss not less than this, and where none was measured this.
constexpr Duration kTokenWait = std::chrono::milliseconds(200);
constexpr Duration kUnmeasuredTokenWait = std::chrono::milliseconds(800);

/// The peer's GRUU (RFC 5627 §3.1), else the AOR that it was called or called us by. A GRUU is of
/// the AOR's domain, where a proxy knows it; what calls itself one and is of another may be
/// anybody.
std::string address_of_peer(const sip::Dialog& dialog) {
  const auto target = wire::Uri::parse(dialog.remote_target);
  const auto aor = wire::NameAddr::parse(dialog.remote_party);
  if (target && target->is_sip() && target->params.has("gr") && aor &&
      wire::lex::iequals(target->host, aor->uri.host)) {
    return dialog.remote_target;
  }
  const auto party = wire::NameAddr::parse(dialog.remote_party);
  if (!party || !party->uri.is_sip()) return {};
  return std::string(party->uri.text);
}

}  // namespace

bool Core::Impl::route_has_flow_token(const Call& call) const {
  const sip::Dialog* dialog = call.session->dialog();
  if (dialog == nullptr || dialog->route_set.empty()) return false;
  const auto route = wire::NameAddr::parse(dialog->route_set.front());
  if (!route || route->uri.user.empty()) return false;
  // RFC 5626 §5.2: the user part of an edge proxy's Record-Route is the token. Others write there
  // what they like, so it must be said, or the registration be such a flow.
  return route->uri.params.has("ob") || way_of(call).registration->grant().outbound;
}

void Core::Impl::watch_refresh_by_token(Call& call, TimePoint now) {
  const bool tells = call.in_flight.recovery || call.in_flight.flow_lost;
  if (!tells || !route_has_flow_token(call)) return;
  const auto& round_trip = way_of(call).round_trip;
  const Duration wait = round_trip ? std::max<Duration>(*round_trip * kTokenRoundTrips, kTokenWait)
                                   : kUnmeasuredTokenWait;
  schedule(call, CallTimer::Substitute, now + wait);
}

void Core::Impl::on_substitute_timer(Call& call, TimePoint now) {
  const bool tells = call.in_flight.recovery || call.in_flight.flow_lost;
  if (!call.refresh_in_flight || !tells || call.ending) return;
  (void)begin_substitute(call, "the route of the call leads to the flow that died", now);
}

bool Core::Impl::begin_substitute(Call& call, const std::string& why, TimePoint now) {
  if (call.substitute) return true;
  const sip::Dialog* dialog = call.session->dialog();
  Account& account = way_of(call);
  if (call.substitute_tried || dialog == nullptr || call.state != CallState::Confirmed ||
      call.first_hop || !account.server || !call.path) {
    return false;
  }
  const std::string target = address_of_peer(*dialog);
  const MediaPath* media = call.next_media ? &*call.next_media
                           : call.media    ? &*call.media
                                           : nullptr;
  const auto flow = flow_to(*call.path, account.hop(), now);
  if (target.empty() || media == nullptr || !media->rtp || !flow) return false;

  Substitute substitute;
  substitute.why = why;
  substitute.number = ++last_session_;
  substitute.origin = {random_.next() >> 33U, call.path->local};
  substitute.session = std::make_unique<sip::InviteSession>(
      context(), owner(OwnerKind::Session, substitute.number), session_config(call),
      *accounts_.at(call.account)->digest);
  LocalAudio audio = call.local_audio(config_.media, *media);
  audio.direction = call.wanted_direction();
  substitute.offer =
      make_offer(substitute.origin, substitute.session->offer_answer().next_version(), audio);
  substitute.offered_path = media->id;

  sip::InviteRequest invite;
  invite.target = target;
  invite.offer = wire::to_string(substitute.offer);
  invite.flow = *flow;
  invite.contact = dialog_contact_for(call, *flow);
  // RFC 3891 §3: the tags as the peer has them, its own as to-tag.
  invite.replaces =
      dialog->id.call_id + ";to-tag=" + dialog->id.remote_tag + ";from-tag=" + dialog->id.local_tag;
  substitute.session->answer_challenges(account.trusts(flow->remote.address));
  // Known before it sends: what is added to a call's requests is found by the session.
  sessions_[substitute.number] = call.id;
  call.substitute = std::move(substitute);
  if (const auto sent = call.substitute->session->invite(std::move(invite), now); !sent) {
    log_.info("ua", "no INVITE with Replaces: " + sent.error().detail);
    forget_session(call.substitute->number);
    call.substitute.reset();
    return false;
  }
  log_.info("ua", "call " + std::to_string(call.id.value()) + ": INVITE with Replaces to " +
                      target + ", for " + why);
  call.substitute_tried = true;
  return true;
}

void Core::Impl::drain_substitute(Call& call, TimePoint now) {
  while (call.substitute) {
    auto event = call.substitute->session->poll_event();
    if (!event) return;
    if (const auto* added = std::get_if<sip::DialogAdded>(&*event)) {
      dialogs_[added->id] = call.substitute->number;
    } else if (const auto* removed = std::get_if<sip::DialogRemoved>(&*event)) {
      dialogs_.erase(removed->id);
    } else if (const auto* answer = std::get_if<sip::AnswerReceived>(&*event)) {
      adopt_substitute(call, answer->sdp, now);
    } else if (std::get_if<sip::AnswerMissing>(&*event) != nullptr) {
      call.substitute->session->end(now);
    } else if (const auto* ended = std::get_if<sip::Ended>(&*event)) {
      const std::string outcome = call.substitute->why +
                                  ", and the INVITE with Replaces was answered " +
                                  std::to_string(ended->status) + " " + ended->reason;
      forget_session(call.substitute->number);
      call.substitute.reset();
      log_.info("ua", "call " + std::to_string(call.id.value()) + ": " + outcome);
      // The refresh may still be answered; if it has failed as well, that was all.
      if (call.refresh_given_up) lose_on_network_change(call, outcome, now);
    }
  }
}

void Core::Impl::adopt_substitute(Call& call, const std::string& sdp, TimePoint now) {
  Substitute substitute = std::move(*call.substitute);
  call.substitute.reset();
  // RFC 3891 §4: the peer itself ends the dialog that was replaced; ours is forgotten, for nothing
  // that we said in it would arrive.
  call.session->give_up("replaced by a new dialog", now);
  forget_session(call.session_number);
  call.session = std::move(substitute.session);
  call.session_number = substitute.number;
  call.origin = substitute.origin;
  call.sent = substitute.offer;
  call.open_offer = std::move(substitute.offer);
  call.offered_path = substitute.offered_path;
  call.refresh_in_flight = false;
  call.refresh_given_up = false;
  call.in_flight = {};
  call.wish.recovery = false;
  call.wish.flow_lost = false;
  finish_by_hand(call, wire::Method::Invite, 200, "by a new dialog (Replaces)", true);
  call.flow_lost_at.reset();
  call.refresh_not_before.reset();
  call.refusals = 0;
  call.move_pending = false;
  call.detour = false;
  remotes_changed_ = true;
  if (recovery_) {
    progress(recovery_->refresh_answered(call.id, true, 200, "by a new dialog (Replaces)", now));
  }
  on_answer(call, sdp, now);
  if (recovery_ && recovery_->takes_part(call.id)) await_proof(call, now);
  touch(call.id);
}

void Core::Impl::drop_substitute(Call& call, TimePoint now) {
  call.substitute_tried = false;
  call.refresh_given_up = false;
  if (!call.substitute) return;
  // The flow that it was sent over is gone, and so is whoever could hear a CANCEL.
  call.substitute->session->give_up("the address has changed again", now);
  forget_session(call.substitute->number);
  keep_for_late_answers(call.account, call.substitute->number, std::move(call.substitute->session),
                        now);
  call.substitute.reset();
}

void Core::Impl::retire_substitute(Call& call, TimePoint now) {
  if (!call.substitute) return;
  Substitute substitute = std::move(*call.substitute);
  call.substitute.reset();
  if (call.former) {
    substitute.session->give_up("not needed any more", now);
    forget_session(substitute.number);
    keep_for_late_answers(call.account, substitute.number, std::move(substitute.session), now);
    return;
  }
  substitute.session->end(now);
  call.former = std::move(substitute.session);
  call.former_number = substitute.number;
  call.former_to_cancel = false;
  touch(call.id);
}

void Core::Impl::forget_session(std::uint32_t number) {
  sessions_.erase(number);
  std::erase_if(dialogs_, [number](const auto& entry) { return entry.second == number; });
}

void Core::Impl::lose_on_network_change(Call& call, const std::string& what, TimePoint now) {
  const std::string why = "lost on a network change: " + what;
  if (recovery_ && recovery_->takes_part(call.id)) {
    progress(recovery_->call_given_up(call.id, why, now));
  }
  if (call.session->state() == sip::SessionState::Ended || !route_has_flow_token(call)) {
    end_call(call, why, now);
    return;
  }
  // A BYE would go where the refresh went.
  call.ending = true;
  call.end_reason = why;
  retire_substitute(call, now);
  call.session->give_up(why, now);
  touch(call.id);
}

}  // namespace godwit::ua
