// SPDX-License-Identifier: Apache-2.0
//
// Calls that are answered with 3xx: which target is called next, or whether the application is to
// say so, as the account's CallPolicy has it (RFC 3261 §8.1.3.4).
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// For how long the application may think about a redirection (RedirectPolicy::Ask).
constexpr Duration kChoiceWait = std::chrono::seconds(60);

}  // namespace

void Core::Impl::aim_call(Call& call, const SipAddress& callee, TimePoint now) {
  const Account& account = *accounts_.at(call.account);
  call.target = callee.uri() + callee.transport_param();
  call.secure = callee.sips;
  call.first_hop.reset();
  call.targets.clear();
  call.tls_name.clear();
  call.transport = sip::Transport::Udp;
  forget_location(call.location);
  if (!account.route_set.empty() || callee.host == account.aor.host) return;
  // Neither our domain nor through a proxy: straight to the host (RFC 3261 §8.1.2).
  call.transport = callee.transport.value_or(sip::Transport::Udp);
  if (call.transport == sip::Transport::Tls) call.tls_name = callee.host;
  call.first_hop = callee.endpoint().value_or(Endpoint{IpAddress{}, callee.port});
  if (!callee.endpoint()) locate_callee(call, callee, now);
}

void Core::Impl::on_redirected(Call& call, const sip::Redirected& event) {
  if (call.ending || !call.outgoing) return;
  const RedirectPolicy policy = accounts_.at(call.account)->config.calls.redirect;
  if (!call.redirection) call.redirection.emplace(call.target);
  std::vector<sip::RedirectTarget> targets = event.targets;
  // A secure call is not continued in the clear without the user's word (RFC 3261 §8.1.3.4).
  if (is_sips_uri(call.target) && policy == RedirectPolicy::Follow) {
    std::erase_if(targets, [](const auto& target) { return !is_sips_uri(target.uri); });
  }
  CallRedirected redirected;
  redirected.call = call.id;
  redirected.status = event.status;
  for (const sip::RedirectTarget& target : targets) redirected.targets.push_back(target.uri);
  // 305 names a proxy, through which a stranger would lead our calls (RFC 3261 §21.3.4), and 380
  // describes another service than a call (§21.3.5): neither is followed.
  const bool followable = event.status != 305 && event.status != 380;
  if (followable && policy != RedirectPolicy::Refuse && call.redirection->add(targets)) {
    call.choice_wanted = policy == RedirectPolicy::Ask && call.redirection->has_next();
    redirected.followed = policy == RedirectPolicy::Follow && call.redirection->has_next();
  }
  redirected.choice_wanted = call.choice_wanted;
  emit(std::move(redirected));
}

bool Core::Impl::call_next_target(Call& call, const sip::Ended& ended, TimePoint now) {
  // A 6xx speaks for the callee wherever it is (§21.6); without a status nobody refused.
  const bool elsewhere = ended.status >= 300 && ended.status < 600;
  if (!call.redirection || call.ending || !elsewhere || call.state == CallState::Confirmed ||
      !call.redirection->has_next()) {
    return false;
  }
  replace_session(call, now);
  leave_start(call);
  if (call.choice_wanted) {
    call.choice_status = ended.status;
    timers_.cancel(call.choice_limit);
    call.choice_limit = schedule(call, CallTimer::Choice, now + kChoiceWait);
  } else {
    try_next_target(call, now);
  }
  return true;
}

void Core::Impl::try_next_target(Call& call, TimePoint now) {
  call.choice_wanted = false;
  while (const auto target = call.redirection->next()) {
    if (const auto callee = parse_sip_address(*target, "redirection")) {
      aim_call(call, *callee, now);
      call.aimed_by_peer = true;
      call.target = *target;  // With its parameters, which mean something to whoever wrote them.
      log_.info("ua", "call " + std::to_string(call.id.value()) + " goes on to " + call.target);
      set_state(call, CallState::Calling, 0, "redirected to " + call.target);
      touch(call.id);
      return;
    }
  }
  end_call(call, "redirected to where no call can go", now);
}

Result<void> Core::Impl::follow_redirect(CallId id, TimePoint now) {
  const auto found = require_call(id);
  if (!found) return tl::unexpected<Error>(found.error());
  if (!(*found)->choice_wanted) {
    return fail(ErrorCode::WrongState,
                "call " + std::to_string(id.value()) + " has not been redirected");
  }
  try_next_target(**found, now);
  settle(now);
  return {};
}

void Core::Impl::on_choice_timer(Call& call) {
  if (!call.choice_wanted || call.state == CallState::Ended) return;
  call.ending = true;
  finish_call(call, call.choice_status, "redirected, and nobody chose to follow");
}

}  // namespace godwit::ua
