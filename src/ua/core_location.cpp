// SPDX-License-Identifier: Apache-2.0
//
// Where accounts' servers and called hosts are, and which of several places is used (RFC 3263).
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// After a look-up that found nothing: when the DNS is asked again, as far as its negative answers
/// are not remembered for longer.
constexpr Duration kLookupAgain = std::chrono::seconds(2);

sip::ServerName server_name(const SipAddress& address) {
  sip::ServerName name;
  name.host = address.host;
  if (address.has_port) name.port = address.port;
  name.transport = address.transport;
  name.sips = address.sips;
  return name;
}

}  // namespace

sip::LocationPolicy Core::Impl::location_policy(std::optional<sip::Transport> transport) const {
  sip::LocationPolicy policy;
  if (transport) policy.transports = {*transport};
  // RFC 6724 prefers IPv6, where there is any to the world; which family truly leads somewhere is
  // seen when a path is chosen.
  const bool v6 =
      mobility::choose_path(judge_.current(), *IpAddress::parse("2001:db8::1"), path_policy())
          .has_value();
  policy.first = v6 || !judge_.has_snapshot() ? Family::V6 : Family::V4;
  return policy;
}

void Core::Impl::locate_server(Account& account, TimePoint now) {
  if (account.location || (account.resolve_again_at && now < *account.resolve_again_at)) return;
  sip::ServerName name = server_name(account.first_hop);
  // Our user's wish counts as the URI's; UDP is what is taken without any.
  if (account.transport != sip::Transport::Udp ||
      account.config.transport != TransportChoice::Auto) {
    name.transport = account.transport;
  }
  const auto id = locator_.locate(name, location_policy(name.transport), now);
  if (!id) {
    on_located(account, Located{{}, {}, id.error().detail, now, true}, now);
    return;
  }
  account.location = *id;
  locations_[*id] = account.id;
}

void Core::Impl::locate_callee(Call& call, const SipAddress& callee, TimePoint now) {
  sip::ServerName name = server_name(callee);
  if (name.sips) name.transport = sip::Transport::Tls;
  const auto id = locator_.locate(name, location_policy(name.transport), now);
  if (!id) {
    end_call(call, "the called host could not be found: " + id.error().detail, now);
    return;
  }
  call.location = *id;
  locations_[*id] = call.id;
}

void Core::Impl::forget_location(std::optional<LocationId>& location) {
  if (!location) return;
  locator_.cancel(*location);
  locations_.erase(*location);
  location.reset();
}

void Core::Impl::drain_locator(TimePoint now) {
  while (const auto located = locator_.poll()) {
    const auto found = locations_.find(located->id);
    if (found == locations_.end()) continue;
    const auto asker = found->second;
    if (located->final) locations_.erase(found);
    if (const auto* account_id = std::get_if<AccountId>(&asker)) {
      if (Account* account = find_account(*account_id)) {
        if (located->final) account->location.reset();
        on_located(*account, *located, now);
      }
    } else if (Call* call = find_call(std::get<CallId>(asker))) {
      if (located->final) call->location.reset();
      on_located(*call, *located, now);
    }
  }
}

const sip::Target* Core::Impl::best_target(const std::vector<sip::Target>& targets,
                                           TimePoint now) const {
  const sip::Target* last_resort = nullptr;
  for (const sip::Target& target : targets) {
    if (!mobility::choose_path(judge_.current(), target.endpoint.address, path_policy())) continue;
    if (!locator_.is_down(target, now)) return &target;
    if (last_resort == nullptr) last_resort = &target;
  }
  // Without any network yet, the first.
  return last_resort == nullptr && !targets.empty() ? &targets.front() : last_resort;
}

void Core::Impl::on_located(Account& account, const Located& located, TimePoint now) {
  if (located.targets.empty()) {
    if (!std::exchange(account.lookup_failed, true)) {
      warn("the host name " + account.first_hop.host + " of account " + account.config.aor +
           " could not be resolved: " + located.failure);
    }
    // What was known before is better than nothing.
    account.resolve_again_at = now + kLookupAgain;
    retry_later(now);
    return;
  }
  account.lookup_failed = false;
  account.resolve_again_at.reset();
  account.targets = located.targets;
  account.fresh_until = located.fresh_until;
  if (!account.server || account.current_target() == nullptr) {
    const sip::Target& best = *best_target(account.targets, now);
    account.server = best.endpoint;
    account.transport = best.transport;
  }
  remotes_changed_ = true;
  touch(account.id);
}

void Core::Impl::on_located(Call& call, const Located& located, TimePoint now) {
  if (located.targets.empty()) {
    end_call(call, "the called host could not be found: " + located.failure, now);
    return;
  }
  call.targets = located.targets;
  if (!call.started) {
    const sip::Target& best = *best_target(call.targets, now);
    call.first_hop = best.endpoint;
    call.transport = best.transport;
  }
  touch(call.id);
}

bool Core::Impl::take_reachable_server(Account& account) {
  const auto reachable = [&](const Endpoint& endpoint) {
    return mobility::choose_path(judge_.current(), endpoint.address, path_policy()).has_value();
  };
  if (reachable(*account.server)) return false;
  for (const sip::Target& target : account.targets) {
    if (!reachable(target.endpoint)) continue;
    account.server = target.endpoint;
    account.transport = target.transport;
    account.suspended = false;
    account.move_pending = account.wants_registration;
    account.generation = judge_.generation();
    account.round_trip.reset();
    remotes_changed_ = true;
    return true;
  }
  return false;
}

void Core::Impl::locate_anew(TimePoint now) {
  locator_.renew(now);
  for (const auto& [id, account] : accounts_) {
    if (account->first_hop.endpoint() || account->removed) continue;
    account->resolve_again_at.reset();
    locate_server(*account, now);
  }
}

}  // namespace godwit::ua
