// SPDX-License-Identifier: Apache-2.0
//
// An account is configured anew while its registration and its calls go on. The new configuration
// is tried on an account of its own first, so that a wrong one changes nothing.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "ua/ip_change_rules.hpp"

namespace godwit::ua {
namespace {

bool same_hop(const Account& a, const Account& b) {
  return a.first_hop.domain_uri() == b.first_hop.domain_uri() &&
         a.first_hop.transport_param() == b.first_hop.transport_param() &&
         a.config.transport == b.config.transport;
}

bool same_credentials(const std::vector<sip::DigestCredentials>& a,
                      const std::vector<sip::DigestCredentials>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.realm == y.realm && x.username == y.username && x.password == y.password &&
           x.ha1 == y.ha1 && x.ha1_algorithm == y.ha1_algorithm;
  });
}

}  // namespace

Result<void> Core::Impl::modify_account(AccountId id, AccountConfig config, ModifyAccount how,
                                        TimePoint now) {
  const auto found = require_account(id);
  if (!found) return tl::unexpected<Error>(found.error());
  Account& main = **found;
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (main.removed) return fail(ErrorCode::WrongState, "account " + main.config.aor + " ends");
  if (const auto aor = parse_sip_address(config.aor, "account address");
      !aor || aor->uri() != main.aor.uri()) {
    return fail(ErrorCode::InvalidArgument,
                "aor: cannot be changed from " + main.config.aor + "; add another account");
  }
  if (config.further_outbound_proxies != main.config.further_outbound_proxies) {
    return fail(ErrorCode::InvalidArgument,
                "further_outbound_proxies: cannot be changed; add another account");
  }
  if (const auto ok = check_pins(config); !ok) return ok;
  if (const auto ok = check_policy(config.ip_change); !ok) return ok;
  std::vector<std::unique_ptr<Account>> made;
  for (const Account* flow : flows_of(main)) {
    AccountConfig own = config;
    if (flow->is_further()) {
      own.outbound_proxy = flow->config.outbound_proxy;
      own.further_outbound_proxies.clear();
    }
    auto fresh =
        Account::make(flow->id, std::move(own), config_.user_agent, instance_id_, context(),
                      owner(OwnerKind::Registration, flow->id.value()), flow->reg_id);
    if (!fresh) return tl::unexpected<Error>(fresh.error());
    made.push_back(std::move(*fresh));
  }
  for (const auto& fresh : made) reconfigure(*find_account(fresh->id), *fresh, how);
  remotes_changed_ = true;
  // Whoever is now where it may not be any more moves as at a change of the network. With
  // register_now off that is left to the next one, which sends the REGISTER too.
  if (how.register_now && judge_.has_snapshot()) {
    judge_.on_snapshot(judge_.current(), collect_uses(), now);
  }
  settle(now);
  return {};
}

void Core::Impl::reconfigure(Account& account, Account& fresh, ModifyAccount how) {
  if (account.race) {
    // It may be run over paths that are not allowed any more.
    timers_.cancel(account.race->timer);
    account.race.reset();
  }
  const bool other_server = !same_hop(account, fresh);
  if (fresh.config.contact_rewrite != account.config.contact_rewrite) account.forget_mapping();
  account.config = std::move(fresh.config);
  // What is known of the servers' challenges stays good for the same credentials.
  if (!same_credentials(account.digest->credentials(), fresh.digest->credentials())) {
    account.digest->set_credentials(fresh.digest->credentials());
  }
  account.registration->reconfigure(fresh.registration->config());
  account.route_set = std::move(fresh.route_set);
  if (other_server) {
    forget_location(account.location);
    account.first_hop = fresh.first_hop;
    account.take_server({fresh.transport, fresh.server.value_or(Endpoint{}), "", 0});
    account.server = fresh.server;
    account.targets.clear();
    account.fresh_until.reset();
    account.resolve_again_at.reset();
    account.lookup_failure.clear();
  }
  if (account.wants_registration) {
    account.reconfigured = !how.register_now;
    account.move_pending = how.register_now;
    // Two REGISTERs in flight could overtake each other on the way to one server.
    account.wait_for_answer = !other_server;
  }
  if (other_server || how.register_now) {
    account.path.reset();  // place_account() finds the one there is now.
    account.suspended = false;
  }
  touch(account.id);
}

}  // namespace godwit::ua
