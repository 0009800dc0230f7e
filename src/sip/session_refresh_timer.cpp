// SPDX-License-Identifier: Apache-2.0
//
// InviteSession: the session timer (RFC 4028) of its dialog. When a refresh is due its owner is
// told and sends it; without one the session ends.
#include "sip/invite_session.hpp"

namespace godwit::sip {

void InviteSession::start_session_timer(std::optional<SessionTimer> timer, TimePoint now) {
  stop_session_timer();
  session_timer_ = timer;
  if (!timer) return;
  context_.log.debug("sip", "session " + std::to_string(owner_.value()) + ": timer of " +
                                std::to_string(timer->interval.count()) + " s, refreshed by " +
                                (timer->we_refresh ? "us" : "the peer"));
  if (timer->we_refresh)
    refresh_due_ = schedule(Timer::SessionRefresh, now + timer->refresh_after());
  session_end_ = schedule(Timer::SessionExpiry, now + timer->expires_after());
}

void InviteSession::stop_session_timer() {
  context_.timers.cancel(refresh_due_);
  context_.timers.cancel(session_end_);
  refresh_due_ = {};
  session_end_ = {};
  expiry_overdue_ = false;
}

void InviteSession::on_session_expiry(TimePoint now) {
  session_end_ = {};
  if (is_over() || !dialog_) return;
  if (hold_expiry_) {
    expiry_overdue_ = true;
    return;
  }
  // RFC 4028 §10: who waits in vain for a refresh sends BYE before the interval is over; so does
  // the refresher whose refreshes had no 2xx.
  send_bye(sip::Ended{408, "the session has expired: the peer no longer answers", EndedBy::Network},
           now);
}

void InviteSession::hold_expiry(bool hold, TimePoint now) {
  hold_expiry_ = hold;
  if (!hold && expiry_overdue_) on_session_expiry(now);
}

}  // namespace godwit::sip
