// SPDX-License-Identifier: Apache-2.0
//
// Accounts: where the first hop is, which path leads there, and keeping the registration on it.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "ua/ip_change_rules.hpp"

namespace godwit::ua {

Result<AccountId> Core::Impl::add_account(AccountConfig config, TimePoint now) {
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (accounts_.size() + config.further_outbound_proxies.size() >= config_.max_accounts) {
    return fail(ErrorCode::Busy,
                "there are " + std::to_string(accounts_.size()) + " accounts already");
  }
  if (const auto ok = check_pins(config); !ok) return tl::unexpected<Error>(ok.error());
  if (auto fine = check_policy(config.ip_change); !fine) {
    return tl::unexpected<Error>(fine.error());
  }
  const AccountId id{last_account_ + 1};
  auto account = Account::make(id, std::move(config), config_.user_agent, instance_id_, context(),
                               owner(OwnerKind::Registration, id.value()));
  if (!account) return tl::unexpected<Error>(account.error());
  ++last_account_;
  Account& added = *(accounts_[id] = std::move(*account));
  ask_contacts_of(added);
  if (auto further = add_further_flows(added, now); !further) {
    accounts_.erase(id);
    return tl::unexpected<Error>(further.error());
  }
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
  end_usages_of(id, now);
  // It goes once its last call, which borrows its credentials, has ended and the un-REGISTER has
  // its answer.
  for (Account* flow : flows_of(*account)) {
    forget_location(flow->location);
    flow->removed = true;
    stop_registration(*flow, now);
  }
  settle(now);
  return {};
}

void Core::Impl::stop_registration(Account& account, TimePoint now) {
  account.wants_registration = false;
  account.needless = false;
  account.move_pending = false;
  if (account.registration->state() != RegistrationState::Unregistered) {
    (void)account.registration->stop(now);
  }
  touch(account.id);
}

Result<void> Core::Impl::register_account(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Result<void> done;
  for (Account* flow : flows_of(**found)) {
    if (flow->needless) continue;
    flow->wants_registration = true;
    touch(flow->id);
    if (waits_for_application(*flow)) {
      flow->path.reset();  // Another one is chosen now.
      flow->move_pending = flow->registration->state() != RegistrationState::Unregistered;
      continue;
    }
    if (flow->registration->state() == RegistrationState::Unregistered ||
        !flow->registration->flow()) {
      continue;
    }
    if (std::exchange(flow->reconfigured, false)) {
      flow->move_pending = true;
      continue;
    }
    auto refreshed = flow->registration->refresh(now);
    if (!flow->is_further()) done = std::move(refreshed);
  }
  settle(now);
  return done;
}

Result<void> Core::Impl::push_wake(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Account& account = **found;
  if (!account.wants_registration) {
    return fail(ErrorCode::WrongState, "account " + account.config.aor + " is not registered");
  }
  // RFC 8599 §4.1.3: the proxy holds the request that we are woken for until a REGISTER comes. One
  // on its way serves as well; one that waits for its next try, or for a path, does not.
  for (Account* flow : flows_of(account)) {
    if (flow->registration->in_flight() || flow->move_pending || flow->needless) continue;
    if (flow->registration->flow() && flow->path) {
      if (const auto sent = flow->registration->refresh(now); !sent) {
        log_.debug("ua", "push: " + sent.error().detail);
      }
    }
    touch(flow->id);
  }
  settle(now);
  return {};
}

Result<void> Core::Impl::unregister_account(AccountId id, TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  for (Account* flow : flows_of(**found)) stop_registration(*flow, now);
  settle(now);
  return {};
}

void Core::Impl::place_account(Account& account, TimePoint now) {
  if (!account.server && !leave_spare(account)) {
    locate_server(account, now);
    return;
  }
  if (account.path || !judge_.has_snapshot()) return;
  // A suspended one is resumed by the judge's next change: it knows how often that may be.
  if (account.suspended && !take_reachable_server(account)) {
    try_spare(account, now);
    return;
  }
  account.path = path_to(account, account.server->address);
  if (!account.path && take_reachable_server(account)) {
    account.path = path_to(account, account.server->address);
  }
  if (account.path) return;
  account.suspended = true;
  account.registration->suspend(now);
  if (account.wants_registration) {
    const std::string why = no_path_to(account);
    const std::string pinned =
        pin_trouble("signalling", account.config.signalling_pin, account.server->address);
    if (!pinned.empty()) warn("account " + account.config.aor + " waits: its " + pinned);
    on_flow_failed(account, why, false, now);
    tell_registration(
        account, {account.id, RegistrationState::Suspended, 0, why, "", std::chrono::seconds(0)});
  }
  try_spare(account, now);
}

bool Core::Impl::is_abandoned(const Account& account) const {
  if (!account.removed || account.registration->in_flight()) return false;
  if (has_usages(account.id)) return false;  // They borrow its credentials.
  const auto is_flow_of_it = [&](const auto& entry) {
    return entry.second->main == account.id && entry.first != account.id;
  };
  if (std::any_of(accounts_.begin(), accounts_.end(), is_flow_of_it)) return false;
  return std::none_of(calls_.begin(), calls_.end(),
                      [&](const auto& entry) { return entry.second->account == account.id; });
}

void Core::Impl::advance(Account& account, TimePoint now) {
  drain(account, now);
  if (is_abandoned(account)) {
    remotes_changed_ = true;
    // They borrow its credentials.
    std::erase_if(late_, [&](const auto& entry) { return entry.second.account == account.id; });
    if (account.is_further()) touch(account.main);
    accounts_.erase(account.id);
    return;
  }
  if (shutting_down_ || account.removed) return;
  place_account(account, now);
  if (!account.server || !account.path || waits_for_application(account)) return;
  prefer_better_server(account, now);
  open_listeners(*account.path);
  ask_sip_mapping(account, now);
  if (!account.wants_registration) return;
  sip::Registration& registration = *account.registration;
  const bool another = other_flow_lives(account);
  auto limit = patience(account, now);
  // Calls that use this flow are to know soon that they had better go by the other.
  if (!limit && another) limit = Locator::kFirstResponse;
  registration.set_patience(limit);
  registration.expect_another_flow(another);
  const bool reconnects = !account.move_pending && has_lost_connection(account);
  if (reconnects && (registration.in_flight() || !may_reconnect(account, now))) return;
  const auto flow = connect(account, now);
  if (!flow) return;
  if (reconnects) {
    account.reconnected_at = now;
    ++account.reconnects;
    account.reconfigured = false;
    const auto move = account.move_to(*flow, contact_for(account, *flow), false);
    if (const auto moved = registration.move(move, now); !moved) retry_later(now);
  } else if (account.move_pending) {
    if (account.wait_for_answer && registration.in_flight()) return;
    account.move_pending = false;
    account.reconfigured = false;
    account.forget_mapping();
    auto move = account.move_to(*flow, contact_for(account, *flow), true);
    move.timers = account.recovery_timers();
    if (const auto moved = registration.move(move, now); !moved) {
      warn("account " + account.config.aor + " could not register from " + flow->local.to_string() +
           ": " + moved.error().detail);
      retry_later(now);
      account.move_pending = true;
    } else if (recovery_) {
      recovery_->registration_sent(account.id, now);
    }
  } else if (registration.state() == RegistrationState::Unregistered && !registration.in_flight()) {
    if (const auto started = registration.start(*flow, contact_for(account, *flow), now);
        !started) {
      warn("account " + account.config.aor + " could not register: " + started.error().detail);
      retry_later(now);
    }
  }
  drain(account, now);
}

bool Core::Impl::has_lost_connection(const Account& account) const {
  const auto& flow = account.registration->flow();
  if (!flow || !is_stream(flow->transport)) return false;
  if (account.registration->state() == RegistrationState::Unregistered) return false;
  const Stream* stream = streams_.find(flow->listener);
  return stream == nullptr || stream->failed || stream->dead;
}

bool Core::Impl::may_reconnect(Account& account, TimePoint now) {
  if (!account.reconnected_at) return true;
  const Duration wait = Streams::kFirstRetry * (1 << std::min(account.reconnects, 5));
  if (now >= *account.reconnected_at + wait) return true;
  retry_later(now);
  return false;
}

void Core::Impl::on_no_connection(Account& account, const std::string& why, TimePoint now) {
  if (is_stream(account.transport) && leave_server(account, why, std::nullopt, now)) return;
  do_without_connection(account, why, now);
}

void Core::Impl::do_without_connection(Account& account, const std::string& why, TimePoint now) {
  retry_later(now);
  if (!account.move_pending || !is_stream(account.transport)) return;
  // A recovery must not wait for a server that may be away for days; the registration goes on
  // trying by itself.
  account.move_pending = false;
  if (has_lost_connection(account)) account.registration->suspend(now);
  if (recovery_) {
    progress(recovery_->registration_answered(account.id, false, 503, why, now));
  }
}

void Core::Impl::drain(Account& account, TimePoint now) {
  bool registration_told = false;
  while (auto status = account.registration->poll_event()) {
    if (status->state == RegistrationState::Registered) account.reconnects = 0;
    registration_told = true;
    const sip::RegisterForm form = account.registration->last_form();
    keep_mapping(account, *status, now);
    if (status->state == RegistrationState::Suspended) continue;  // Told in place_account.
    const bool registered = status->state == RegistrationState::Registered;
    if (status->unanswered && !recovery_ && account.path) {
      suspect_path(account, *account.path, ChangeCause::RegisterUnanswered, now, false, now);
    }
    if (status->state == RegistrationState::Failed && fail_over(account, *status, now)) continue;
    if (registered) {
      on_server_proven(account, now);
    } else if (status->state == RegistrationState::Unregistered && !account.wants_registration) {
      account.alive = false;  // As was wished: nothing has failed.
    } else if (status->state != RegistrationState::Registering) {
      on_flow_failed(account, status->reason, status->unanswered && !recovery_, now);
    }
    RegistrationChanged changed{account.id,     status->state,   status->status,
                                status->reason, status->contact, status->expires};
    if (registered) {
      const sip::RegistrationGrant& grant = account.registration->grant();
      changed.outbound = grant.outbound;
      changed.gruu = grant.pub_gruu;
      changed.push = grant.push;
    }
    tell_registration(account, std::move(changed));
    if (registered && !rewrite_contact(account, status->mapped, status->generation, now)) {
      on_flow_formed(account, now);
    }
    const bool final_answer = status->state == RegistrationState::Registered ||
                              status->state == RegistrationState::Failed;
    if (!recovery_ || !final_answer || status->generation != recovery_->generation()) continue;
    const bool ok = status->state == RegistrationState::Registered;
    const std::string request = sip::to_string(form);
    progress(recovery_->registration_answered(account.id, ok, status->status,
                                              ok ? request : request + ": " + status->reason, now));
    // A call whose refresh was refused for want of a registration tries once more now.
    touch_calls_of(account);
  }
  if (registration_told && !main_of(account).flows.empty()) balance_flows(main_of(account), now);
}

void Core::Impl::touch_calls_of(const Account& account) {
  for (const auto& [id, call] : calls_) {
    if (call->account == account.main) touch(id);
  }
}

void Core::Impl::ask_contacts_of(Account& account) {
  account.registration->ask_for_contact(
      [this, id = account.id](const Endpoint& seen, TimePoint now) {
        return contact_seen_by_challenge(id, seen, now);
      });
}

std::optional<std::string> Core::Impl::contact_seen_by_challenge(AccountId id, const Endpoint& seen,
                                                                 TimePoint now) {
  Account* account = find_account(id);
  if (account == nullptr || !account->config.contact_from_challenge) return std::nullopt;
  const sip::Flow flow = *account->registration->flow();
  const Stream* stream = streams_.find(flow.listener);
  if (stream != nullptr && stream->info.multipath) return std::nullopt;
  // A mapping that has become another one is a flow that failed: the 200 tells, and calls with it.
  if (account->has_mapping(flow.local)) return std::nullopt;
  if (account->learn_mapping(flow.local, seen, now) != Account::Mapping::Changed) {
    return std::nullopt;
  }
  log_.info("ua", "a server of " + account->config.aor + " sees " + flow.local.to_string() +
                      " as " + seen.to_string());
  return contact_for(*account, flow);
}

bool Core::Impl::rewrite_contact(Account& account, const std::optional<Endpoint>& seen,
                                 Generation generation, TimePoint now) {
  sip::Registration& registration = *account.registration;
  if (!registration.flow() || registration.in_flight()) return false;
  // With Outbound the flow itself is the way to us, whatever the Contact says (RFC 5626 §5.3).
  if (registration.grant().outbound) return false;
  const sip::Flow flow = *registration.flow();
  // A multipath connection is seen at the address that it began on, which may be long gone.
  const Stream* stream = streams_.find(flow.listener);
  if (stream != nullptr && stream->info.multipath) return false;
  // STUN may have told us already, but not the registrar.
  const bool to_tell = registers_other_than_mapped(account);
  const bool again = account.has_mapping(flow.local) && !to_tell;
  switch (seen ? account.learn_mapping(flow.local, *seen, now) : Account::Mapping::Known) {
    case Account::Mapping::Known:
      if (!to_tell) return false;
      break;
    case Account::Mapping::TooSoon:
      if (!account.mapping_timer) {
        account.mapping_timer =
            timers_.schedule(account.rewrite_again_at(),
                             Timer{owner(OwnerKind::KeepAlive, account.id.value()), kMappingTimer});
      }
      return false;
    case Account::Mapping::Changed:
      // Their peers may have been told our own address.
      touch_calls_of(account);
      break;
  }
  auto move = account.move_to(flow, contact_for(account, flow), recovery_.has_value());
  move.generation = generation;
  log_.info("ua", flow.local.to_string() + " of " + account.config.aor +
                      " is seen from outside: " + "registering " + move.contact);
  if (const auto moved = registration.move(move, now); !moved) {
    warn("account " + account.config.aor + " could not register as " + move.contact + ": " +
         moved.error().detail);
  }
  if (again && seen) {
    on_flow_failed(account, "a NAT shows it as " + seen->to_string() + " now", true, now);
  }
  return true;
}

}  // namespace godwit::ua
