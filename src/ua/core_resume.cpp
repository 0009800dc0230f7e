// SPDX-License-Identifier: Apache-2.0
//
// Waking up: what a long sleep has made of requests under way. That bindings and dialogs are said
// anew is the recovery's work (ChangeCause::Resumed).
#include "ua/core_impl.hpp"

namespace godwit::ua {

void Core::Impl::drop_slept_through(Duration asleep, TimePoint now) {
  // After 64*T1 the other side has forgotten the transaction (RFC 3261 §17): its answer cannot come
  // any more, and that it did not come says nothing about the peer. Without this a refresh that was
  // under way would fail now, and take the call with it. After half of that all repetitions but the
  // last fell into the sleep, and little time is left for an answer to that.
  if (asleep < 32 * sip::TransactionTimers{}.t1) return;
  for (const auto& [id, call] : calls_) {
    if (call->state != CallState::Confirmed || call->ending || !call->session->refresh_pending()) {
      continue;
    }
    call->session->abandon_pending(now);
    call->refresh_in_flight = false;
    // The offer that the recovery makes brings what it was for.
    call->wish.add(std::exchange(call->in_flight, {}));
    touch(id);
  }
}

}  // namespace godwit::ua
