// SPDX-License-Identifier: Apache-2.0
//
// Accounts: where the first hop is, which path leads there, and keeping the registration on it.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {

Result<AccountId> Core::Impl::add_account(AccountConfig config, TimePoint now) {
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (accounts_.size() >= config_.max_accounts) {
    return fail(ErrorCode::Busy,
                "there are " + std::to_string(accounts_.size()) + " accounts already");
  }
  const AccountId id{last_account_ + 1};
  auto account = Account::make(id, std::move(config), config_.user_agent, context(),
                               owner(OwnerKind::Registration, id.value()));
  if (!account) return tl::unexpected<Error>(account.error());
  ++last_account_;
  accounts_[id] = std::move(*account);
  remotes_changed_ = true;
  touch(id);
  settle(now);
  return id;
}

Result<void> Core::Impl::remove_account(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Account* account = *found;
  for (const auto& [call_id, call] : calls_) {
    if (call->account == id) end_call(*call, "the account was removed", now);
  }
  forget_location(account->location);
  // It goes once its last call, which borrows its credentials, has ended and the un-REGISTER has
  // its answer.
  account->removed = true;
  end_usages_of(id, now);
  stop_registration(*account, now);
  settle(now);
  return {};
}

void Core::Impl::stop_registration(Account& account, TimePoint now) {
  account.wants_registration = false;
  account.move_pending = false;
  if (account.registration->state() != RegistrationState::Unregistered) {
    (void)account.registration->stop(now);
  }
  touch(account.id);
}

Result<void> Core::Impl::register_account(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Account* account = *found;
  account->wants_registration = true;
  if (account->registration->state() != RegistrationState::Unregistered &&
      account->registration->flow()) {
    const auto done = account->registration->refresh(now);
    settle(now);
    return done;
  }
  touch(id);
  settle(now);
  return {};
}

Result<void> Core::Impl::unregister_account(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Account* account = *found;
  stop_registration(*account, now);
  settle(now);
  return {};
}

void Core::Impl::place_account(Account& account, TimePoint now) {
  if (!account.server) {
    locate_server(account, now);
    return;
  }
  if (account.path || !judge_.has_snapshot()) return;
  // A suspended one is resumed by the judge's next change: it knows how often that may be.
  if (account.suspended && !take_reachable_server(account)) return;
  account.path = mobility::choose_path(judge_.current(), account.server->address, path_policy());
  if (!account.path && take_reachable_server(account)) {
    account.path = mobility::choose_path(judge_.current(), account.server->address, path_policy());
  }
  if (account.path) return;
  account.suspended = true;
  account.registration->suspend(now);
  if (account.wants_registration) {
    emit(RegistrationChanged{account.id, RegistrationState::Suspended, 0,
                             "no network path to " + account.server->to_string(), "",
                             std::chrono::seconds(0)});
  }
}

bool Core::Impl::is_abandoned(const Account& account) const {
  if (!account.removed || account.registration->in_flight()) return false;
  if (has_usages(account.id)) return false;  // They borrow its credentials.
  return std::none_of(calls_.begin(), calls_.end(),
                      [&](const auto& entry) { return entry.second->account == account.id; });
}

void Core::Impl::advance(Account& account, TimePoint now) {
  drain(account, now);
  if (is_abandoned(account)) {
    remotes_changed_ = true;
    accounts_.erase(account.id);
    return;
  }
  if (shutting_down_ || account.removed) return;
  place_account(account, now);
  if (!account.server || !account.path) return;
  const ListenerId listener = listeners_.ensure(*account.path, judge_.generation());
  const auto flow = listeners_.flow(listener, *account.server);
  if (!flow || !account.wants_registration) return;
  sip::Registration& registration = *account.registration;
  if (account.move_pending) {
    if (account.wait_for_answer && registration.in_flight()) return;
    account.move_pending = false;
    sip::RegistrationMove move;
    move.flow = *flow;
    move.contact = account.contact(flow->local);
    move.timers = account.recovery_timers();
    move.generation = account.generation;
    if (const auto moved = registration.move(move, now); !moved) {
      warn("account " + account.config.aor + " could not register from " + flow->local.to_string() +
           ": " + moved.error().detail);
      retry_later(now);
      account.move_pending = true;
    } else if (recovery_) {
      recovery_->registration_sent(account.id, now);
    }
  } else if (registration.state() == RegistrationState::Unregistered && !registration.in_flight()) {
    if (const auto started = registration.start(*flow, account.contact(flow->local), now);
        !started) {
      warn("account " + account.config.aor + " could not register: " + started.error().detail);
      retry_later(now);
    }
  }
  drain(account, now);
}

void Core::Impl::drain(Account& account, TimePoint now) {
  while (auto status = account.registration->poll_event()) {
    if (status->state == RegistrationState::Suspended) continue;  // Told in place_account.
    emit(RegistrationChanged{account.id, status->state, status->status, status->reason,
                             status->contact, status->expires});
    const bool final_answer = status->state == RegistrationState::Registered ||
                              status->state == RegistrationState::Failed;
    if (!recovery_ || !final_answer || status->generation != recovery_->generation()) continue;
    const bool ok = status->state == RegistrationState::Registered;
    progress(recovery_->registration_answered(account.id, ok, status->status, status->reason, now));
    // A call whose refresh was refused for want of a registration tries once more now.
    for (const auto& [id, call] : calls_) {
      if (call->account == account.id) touch(id);
    }
  }
}

}  // namespace godwit::ua
