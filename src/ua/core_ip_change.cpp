// SPDX-License-Identifier: Apache-2.0
//
// What the application has to say about a change of the address: that there is one, whom it is
// about, and what its policies want done, or not done, with each use.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "ua/ip_change_rules.hpp"

namespace godwit::ua {

Result<Generation> Core::Impl::handle_ip_change(const IpChangeOptions& options, TimePoint now) {
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (auto fine = check_options(options); !fine) return tl::unexpected<Error>(fine.error());
  for (const AccountId id : options.accounts) {
    if (const auto found = require_account(id); !found) {
      return tl::unexpected<Error>(found.error());
    }
  }
  if (!judge_.has_snapshot()) {
    return fail(ErrorCode::WrongState, "the network is not known yet: no snapshot has been given");
  }
  ask(options);
  const Generation generation = judge_.force(now);
  settle(now);
  return generation;
}

void Core::Impl::ask(const IpChangeOptions& options) {
  if (!asked_) {
    asked_ = options;
    return;
  }
  // Joined into one change: what either wants is done.
  asked_->force = asked_->force || options.force;
  asked_->registrations = asked_->registrations || options.registrations;
  asked_->calls = asked_->calls || options.calls;
  if (options.restart_listeners) {
    asked_->restart_listeners = true;
    asked_->restart_delay = options.restart_delay;
    asked_->restart_attempts = options.restart_attempts;
  }
  asked_->shut_down_streams = std::max(asked_->shut_down_streams, options.shut_down_streams);
  std::vector<AccountId>& accounts = asked_->accounts;
  if (accounts.empty() || options.accounts.empty()) {
    accounts.clear();
    return;
  }
  accounts.insert(accounts.end(), options.accounts.begin(), options.accounts.end());
  std::sort(accounts.begin(), accounts.end());
  accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
}

void Core::Impl::refresh_all(TimePoint now) {
  ask({});
  judge_.force(now, true);
}

bool Core::Impl::is_asked(const IpChangeOptions* asked, AccountId main,
                          mobility::UseKind kind) const {
  if (asked == nullptr) return false;
  if (!(kind == mobility::UseKind::Call ? asked->calls : asked->registrations)) return false;
  const auto& accounts = asked->accounts;
  return accounts.empty() || std::find(accounts.begin(), accounts.end(), main) != accounts.end();
}

mobility::UsePolicy Core::Impl::policy_of(const Account& account, mobility::UseKind kind,
                                          const IpChangeOptions* asked) const {
  const IpChangePolicy& wanted = account.config.ip_change;
  const bool named = is_asked(asked, account.main, kind);
  mobility::UsePolicy policy;
  policy.movable = wanted.automatic || named;
  policy.asked = named && asked->force;
  policy.signalling = account.config.sip_family;
  policy.media = account.config.media_family;
  if (kind == mobility::UseKind::Subscription && !wanted.update_contact) policy.movable = false;
  if (kind == mobility::UseKind::Call) {
    policy.only_when_lost = wanted.hang_up_calls ? !policy.asked : !wanted.refresh_calls;
    policy.keep_media = !wanted.refresh_media || !wanted.refresh_offer;
  }
  return policy;
}

bool Core::Impl::waits_for_application(const Account& account) const {
  return !account.config.ip_change.automatic && account.path && !account.move_pending &&
         judge_.has_snapshot() && !is_present(*account.path);
}

bool Core::Impl::hang_up_at_change(Call& call, const mobility::PlanRow& row, TimePoint now) {
  const IpChangePolicy& policy = accounts_.at(call.account)->config.ip_change;
  const bool confirmed =
      call.state == CallState::Confirmed || call.session->state() == sip::SessionState::Confirmed;
  const bool lost = row.signalling == mobility::Mode::Break ||
                    row.signalling == mobility::Mode::Resume ||
                    row.signalling == mobility::Mode::Suspend;
  const UnconfirmedCalls unconfirmed =
      call.outgoing ? policy.unconfirmed_outgoing : policy.unconfirmed_incoming;
  std::string why;
  if (policy.hang_up_calls) {
    why = "calls are hung up when the address changes";
  } else if (!confirmed && lost && unconfirmed == UnconfirmedCalls::HangUp) {
    why = "calls that are not answered are hung up when the address changes";
  } else {
    return false;
  }
  const Endpoint old_local =
      call.media ? call.media->rtp.value_or(Endpoint{call.media->path.local, 0}) : Endpoint{};
  recovery_->add_hang_up(call.id, old_local);
  call.reason_to_give = ReasonHeader{"SIP", 410, "IP address changed"};
  drop_substitute(call, now);
  if (std::exchange(call.suspended, false)) timers_.cancel(call.deadline);
  touch(call.id);
  if (!row.to) {
    // Nobody can be told; the peer learns it by its session timer or its ears.
    call.ending = true;
    call.end_reason = why;
    call.session->give_up(why, now);
    return true;
  }
  if (call.outgoing && !confirmed && lost) {
    // Its CANCEL has to go out with the old Via, from the new address.
    restart_outgoing(call, row, now);
    end_call(call, why, now);
    return true;
  }
  end_on(call, *row.to, why, now);
  return true;
}

void Core::Impl::end_on(Call& call, const mobility::Path& path, const std::string& why,
                        TimePoint now) {
  call.path = path;
  begin_move(call, now);
  call.end_on_path = why;
  touch(call.id);
}

bool Core::Impl::end_from_new_path(Call& call, const std::string& why, TimePoint now) {
  if (call.state != CallState::Confirmed || call.ending || call.suspended ||
      !is_dead(call.session->flow()) || route_has_flow_token(call)) {
    return false;
  }
  const IpAddress remote = call.session->flow().remote.address;
  const auto path = path_to(*accounts_.at(call.account), remote);
  if (path) end_on(call, *path, why, now);
  return path.has_value();
}

void Core::Impl::hang_up_moved(Call& call, TimePoint now) {
  const std::string why = *std::exchange(call.end_on_path, std::nullopt);
  if (!call.outgoing && call.session->state() == sip::SessionState::Incoming) {
    call.ending = true;
    call.end_reason = why;
    // 480, for 603 would tell all our other devices that the user has declined.
    if (call.session->reject(480, now)) return;
    call.ending = false;
  }
  end_call(call, why, now);
}

void Core::Impl::note_hung_up(const Call& call, const sip::Ended& ended, TimePoint now) {
  // A rejection has a status and needs no answer; a BYE has none of its own.
  const bool told = ended.by != sip::EndedBy::Network && (ended.answer != 0 || ended.status != 0);
  const int status = ended.answer != 0 ? ended.answer : ended.status;
  const std::string why = call.end_reason.empty() ? ended.reason : call.end_reason;
  progress(recovery_->call_hung_up(call.id, told, status,
                                   told ? why : why + ", which the peer could not be told", now));
}

void Core::Impl::note_usage_answered(const OtherUsage& usage, bool ok, int status,
                                     const std::string& reason, TimePoint now) {
  if (!recovery_ || usage.generation != recovery_->generation()) return;
  progress(recovery_->usage_answered(usage.number, ok, status, reason, now));
}

}  // namespace godwit::ua
