// SPDX-License-Identifier: Apache-2.0
//
// What becomes of an INVITE of ours that an address change cut off (design §5, "outgoing, not
// confirmed"): was it answered after all, then its dialog is adopted by a re-INVITE and becomes the
// call; if not, the callee is called anew.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// For how long, at least, the re-INVITE that asks may stay without an answer before the callee is
/// called anew.
constexpr Duration kAdoptionWait = std::chrono::seconds(1);

}  // namespace

void Core::Impl::ask_former(Call& call, TimePoint now) {
  // Only a callee that rang has a dialog that could have been answered; which one of several is
  // unknown, and the first is as good as any.
  if (call.adoption == Call::Adoption::Wanted || call.adoption == Call::Adoption::Asked) return;
  if (call.adoption == Call::Adoption::Refused || call.ending) return call.former->end(now);
  if (call.former->state() != sip::SessionState::Confirmed) {
    const auto early = call.former->early_dialogs();
    const std::string tag = early.empty() ? std::string() : early.front()->id.remote_tag;
    if (tag.empty() || !call.former->adopt(tag, now)) {
      call.restart_at = now;
      return call.former->end(now);
    }
  }
  call.adoption = Call::Adoption::Wanted;
  const Duration round_trip = accounts_.at(call.account)->round_trip.value_or(Duration{});
  call.restart_at = now + std::max(kAdoptionWait, 4 * round_trip);
  schedule(call, CallTimer::Refresh, *call.restart_at);
  send_adoption(call, now);
}

void Core::Impl::send_adoption(Call& call, TimePoint now) {
  if (call.adoption != Call::Adoption::Wanted || !call.former) return;
  if (!call.media || !call.media->rtp || !call.former_sent) return;  // PathOpened comes back here.
  if (awaits_mapping(call, *call.media, now)) return;
  sip::RefreshRequest refresh;
  refresh.flow = call.former->flow();
  refresh.contact = dialog_contact_for(call, refresh.flow);
  refresh.timers = accounts_.at(call.account)->recovery_timers();
  refresh.generation = call.generation;
  call.adoption_offer =
      make_reoffer(*call.former_sent, call.former->offer_answer().next_version(),
                   call.media->told_rtp(), call.media->told_rtcp_port(), call.wanted_direction());
  refresh.offer = wire::to_string(*call.adoption_offer);
  if (call.former->refresh(std::move(refresh), now)) {
    call.adoption = Call::Adoption::Asked;
  } else {
    refuse_adoption(call, now);
  }
}

void Core::Impl::refuse_adoption(Call& call, TimePoint now) {
  if (call.adoption == Call::Adoption::None) return;
  call.adoption = Call::Adoption::Refused;
  call.restart_at = now;
  call.former->end(now);
  touch(call.id);
}

void Core::Impl::adopt_former(Call& call, const std::string& answer, TimePoint now) {
  forget_session(call.session_number);
  call.session = std::move(call.former);
  call.session_number = std::exchange(call.former_number, 0);
  call.origin = call.former_origin;
  call.adoption = Call::Adoption::None;
  call.restart_at.reset();
  call.started = true;
  call.open_offer = std::exchange(call.adoption_offer, std::nullopt);
  call.sent = call.open_offer;
  call.offered_path = call.media->id;
  remotes_changed_ = true;
  log_.info("ua", "call " + std::to_string(call.id.value()) +
                      " had been answered when the address changed");
  on_answer(call, answer, now);
}

}  // namespace godwit::ua
