// SPDX-License-Identifier: Apache-2.0
//
// Where accounts' servers and called hosts are, and which of several places is used (RFC 3263).
#include <algorithm>

#include "ua/core_impl.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

/// After a look-up that found nothing: when the DNS is asked again, as far as its negative answers
/// are not remembered for longer.
constexpr Duration kLookupAgain = std::chrono::seconds(2);

/// INVITEs of one call that are sent on to the next server.
constexpr int kMaxServersTried = 6;

sip::ServerName server_name(const SipAddress& address) {
  sip::ServerName name;
  name.host = address.host;
  if (address.has_port) name.port = address.port;
  name.transport = address.transport;
  name.sips = address.sips;
  return name;
}

}  // namespace

sip::LocationPolicy Core::Impl::location_policy(std::optional<sip::Transport> transport,
                                                FamilyPolicy family) const {
  sip::LocationPolicy policy;
  // Where the DNS leaves it to us, UDP; its NAPTR records decide otherwise.
  policy.transports = {sip::Transport::Udp, sip::Transport::Tcp, sip::Transport::Tls};
  if (transport) policy.transports = {*transport};
  // RFC 6724 prefers IPv6, where there is any to the world; which family truly leads somewhere is
  // seen when a path is chosen.
  const bool v6 =
      mobility::choose_path(judge_.current(), mobility::somewhere(Family::V6), path_policy())
          .has_value();
  policy.first = v6 || !judge_.has_snapshot() ? Family::V6 : Family::V4;
  if (preferred(family) != Family::None) policy.first = preferred(family);
  return policy;
}

void Core::Impl::locate_server(Account& account, TimePoint now) {
  if (account.location || (account.resolve_again_at && now < *account.resolve_again_at)) return;
  sip::ServerName name = server_name(account.first_hop);
  // Our user's wish counts as the URI's; without any the DNS chooses.
  switch (account.config.transport) {
    case TransportChoice::Auto: break;
    case TransportChoice::Udp: name.transport = sip::Transport::Udp; break;
    case TransportChoice::Tcp: name.transport = sip::Transport::Tcp; break;
    case TransportChoice::Tls: name.transport = sip::Transport::Tls; break;
  }
  if (name.sips || account.aor.sips) name.transport = sip::Transport::Tls;
  const auto policy = location_policy(name.transport, account.config.sip_family);
  const auto id = locator_.locate(name, policy, now);
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
  const auto policy =
      location_policy(name.transport, accounts_.at(call.account)->config.sip_family);
  const auto id = locator_.locate(name, policy, now);
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
                                           const mobility::PathPolicy& policy,
                                           TimePoint now) const {
  const sip::Target* last_resort = nullptr;
  for (const sip::Target& target : targets) {
    if (!path_to(target.endpoint.address, policy)) continue;
    if (!locator_.is_down(target, now)) return &target;
    if (last_resort == nullptr) last_resort = &target;
  }
  // Without any network yet, the first.
  return last_resort == nullptr && !targets.empty() ? &targets.front() : last_resort;
}

void Core::Impl::on_located(Account& account, Located located, TimePoint now) {
  apply_policy(account, located);
  if (located.targets.empty()) {
    const std::string why = "the host name " + account.first_hop.host + " of account " +
                            account.config.aor + " could not be resolved: " + located.failure;
    const bool told = !std::exchange(account.lookup_failure, why).empty();
    if (!account.server) {
      for (const auto& [id, call] : calls_) {
        if (call->way == account.id && !call->started) touch(id);
      }
    }
    if (!told) {
      warn(why);
      // RFC 3261 §8.1.3.1: what cannot be sent counts as answered 503. It goes on being tried.
      if (!account.server && account.wants_registration) {
        tell_registration(account, {account.id, RegistrationState::Failed, 503, why, "",
                                    std::chrono::seconds(0)});
      }
    }
    // What was known before is better than nothing.
    account.resolve_again_at = now + kLookupAgain;
    retry_later(now);
    return;
  }
  account.lookup_failure.clear();
  account.resolve_again_at.reset();
  account.targets = located.targets;
  account.fresh_until = located.fresh_until;
  if (!account.server) {
    account.take_server(*best_target(account.targets, path_policy(account), now));
  } else if (account.current_target() == nullptr) {
    log_.info("ua", "the server " + account.server->to_string() + " of account " +
                        account.config.aor + " is no longer one of " + account.first_hop.host);
    use_server(account, *best_target(account.targets, path_policy(account), now));
  }
  remotes_changed_ = true;
  if (account.suspended && account.on_spare) uses_changed_ = true;
  touch(account.id);
}

void Core::Impl::on_located(Call& call, Located located, TimePoint now) {
  apply_policy(*accounts_.at(call.account), located);
  if (call.reroute) {
    if (located.final) on_rerouted(call, located, now);
    return;
  }
  if (call.started) {
    on_way_found(call, located);
    return;
  }
  if (located.targets.empty()) {
    end_call(call, "the called host could not be found: " + located.failure, now);
    return;
  }
  call.targets = located.targets;
  const sip::Target& best = *best_target(call.targets, path_policy(way_of(call)), now);
  take_target(call, best);
  touch(call.id);
}

void Core::Impl::take_target(Call& call, const sip::Target& target) {
  call.first_hop = target.endpoint;
  call.transport = target.transport;
  call.tls_name = target.transport == sip::Transport::Tls ? target.server_name : "";
}

bool Core::Impl::take_reachable_server(Account& account) {
  const auto reachable = [&](const Endpoint& endpoint) {
    return path_to(account, endpoint.address).has_value();
  };
  if (reachable(*account.server)) return false;
  for (const sip::Target& target : account.targets) {
    if (!reachable(target.endpoint)) continue;
    account.take_server(target);
    account.suspended = false;
    account.move_pending = account.wants_registration;
    account.generation = judge_.generation();
    remotes_changed_ = true;
    return true;
  }
  return false;
}

const sip::Target* Core::Impl::alternative(const std::vector<sip::Target>& targets,
                                           sip::Transport transport, const Endpoint& to,
                                           const mobility::PathPolicy& policy,
                                           TimePoint now) const {
  for (const sip::Target& target : targets) {
    const bool same = target.endpoint == to && target.transport == transport;
    if (same || locator_.is_down(target, now)) continue;
    if (path_to(target.endpoint.address, policy)) {
      return &target;
    }
  }
  return nullptr;
}

std::optional<Duration> Core::Impl::patience(const Account& account, TimePoint now) const {
  if (account.targets.size() < 2 || !account.server) return std::nullopt;
  const sip::Target* next =
      alternative(account.targets, account.transport, *account.server, path_policy(account), now);
  if (next == nullptr) return std::nullopt;
  const bool same_family = next->endpoint.address.family() == account.server->address.family();
  return account.round_trip || same_family ? Locator::kFirstResponse : Locator::kFirstOfFamily;
}

std::optional<Duration> Core::Impl::patience(const Call& call, const Endpoint& server,
                                             TimePoint now) const {
  const Account& account = way_of(call);
  if (!call.first_hop) {
    if (account.server != server) return std::nullopt;
    const auto limit = patience(account, now);
    // Or over the next proxy.
    return !limit && other_flow_lives(account) ? Locator::kFirstResponse : limit;
  }
  if (*call.first_hop != server ||
      alternative(call.targets, call.transport, server, path_policy(account), now) == nullptr) {
    return std::nullopt;
  }
  return Locator::kFirstResponse;
}

void Core::Impl::use_server(Account& account, const sip::Target& target) {
  account.take_server(target);
  account.wait_for_answer = false;
  account.path = path_to(account, target.endpoint.address);
  account.move_pending = account.path && account.wants_registration;
  remotes_changed_ = true;
  touch(account.id);
}

void Core::Impl::prefer_better_server(Account& account, TimePoint now) {
  if (account.targets.size() < 2 || recovery_ || account.move_pending) return;
  if (account.registration->state() != RegistrationState::Registered) return;
  const sip::Target* current = account.current_target();
  const sip::Target* best = preferred_target(account, now);
  // Among equals it stays where it is, but for the wish of the user.
  if (current == nullptr || best == nullptr) return;
  const Family wanted = preferred(account.config.sip_family);
  const bool as_wished = wanted != Family::None && best->endpoint.address.family() == wanted &&
                         current->endpoint.address.family() != wanted;
  if (best->group >= current->group && !as_wished) return;
  const auto way = path_to(account, best->endpoint.address);
  if (locator_.is_down(*best, now) || !way || path_policy(account).avoided(*way) != nullptr) return;
  log_.info("ua", "account " + account.config.aor + " returns to the better server " +
                      best->endpoint.to_string());
  use_server(account, *best);
}

void Core::Impl::on_server_proven(Account& account, TimePoint now) {
  if (const sip::Target* current = account.current_target()) {
    locator_.note_success(current->transport, current->endpoint);
  }
  // With the refreshes of the registration, so that a phone at rest asks no more often than it
  // must.
  if (account.fresh_until && *account.fresh_until <= now && !account.removed) {
    locate_server(account, now);
  }
}

bool Core::Impl::leave_server(Account& account, const std::string& why,
                              std::optional<Duration> retry_after, TimePoint now) {
  const sip::Target* current = account.current_target();
  if (current == nullptr || account.removed || shutting_down_) return false;
  const sip::Target failed = *current;
  const sip::Target* next =
      alternative(account.targets, failed.transport, failed.endpoint, path_policy(account), now);
  if (next == nullptr) return false;
  locator_.note_failure(failed, retry_after, now);
  const std::string text = why + "; trying " + next->endpoint.to_string();
  log_.info("ua", "account " + account.config.aor + ": " + text);
  use_server(account, *next);
  if (account.move_pending) {
    on_flow_failed(account, text, false, now);
    tell_registration(account, {account.id, RegistrationState::Registering, 0, text, "",
                                std::chrono::seconds(0)});
  }
  return true;
}

bool Core::Impl::fail_over(Account& account, const sip::RegistrationStatus& status, TimePoint now) {
  // RFC 3263 §4.3: a timeout or a 503 is the server's failure, any other answer is the answer. (A
  // 503 of our own stands for a flow that died with its address.)
  const bool timeout = status.unanswered && status.status == 408;
  const bool refused = !status.unanswered && status.status == 503;
  // The same status of a connection that ended while the network stayed is the server's.
  const bool broken = status.unanswered && status.status == 503 && is_stream(account.transport) &&
                      account.path && is_present(*account.path);
  if (!account.wants_registration || (!timeout && !refused && !broken)) return false;
  const std::string server = account.server->to_string();
  return leave_server(account,
                      (timeout   ? "no answer of "
                       : refused ? "a 503 of "
                                 : "a broken connection with ") +
                          server,
                      refused ? status.retry_in : std::nullopt, now);
}

void Core::Impl::on_unreachable(const Endpoint& remote, TimePoint now) {
  // RFC 3263 §4.3 counts a transport error like no answer. Where there is but one server, its
  // repetitions go on: it may be just starting.
  for (const auto& [id, account] : accounts_) {
    if (account->server != remote || account->targets.size() < 2) continue;
    if (account->registration->in_flight())
      leave_server(*account, "nobody listens at " + remote.to_string(), {}, now);
  }
  settle(now);
}

bool Core::Impl::call_next_server(Call& call, const sip::Ended& ended, TimePoint now) {
  const bool timeout = ended.by == sip::EndedBy::Network && ended.status == 408;
  const bool refused = ended.by == sip::EndedBy::Peer && ended.status == 503;
  if (!call.outgoing || call.ending || call.state != CallState::Calling || (!timeout && !refused) ||
      ++call.servers_tried > kMaxServersTried) {
    return false;
  }
  const Endpoint failed = call.session->flow().remote;
  Account& account = way_of(call);
  if (call.first_hop) {
    const sip::Target* next =
        alternative(call.targets, call.transport, failed, path_policy(way_of(call)), now);
    if (next == nullptr) return false;
    locator_.note_failure({call.transport, failed, next->server_name, 0}, std::nullopt, now);
    take_target(call, *next);
  } else if (account.server == failed &&
             !leave_server(account, (timeout ? "no answer of " : "a 503 of ") + failed.to_string(),
                           std::nullopt, now)) {
    // RFC 5626 §4.3: another flow will do.
    if (!other_flow_lives(account)) return false;
    on_flow_failed(account, timeout ? "a call was not answered" : "a call was answered 503", true,
                   now);
    (void)account.registration->refresh(now);
    touch(account.id);
  }
  // RFC 3263 §4.3: a new request with a new branch; here it is a new Call-ID too, so that a late
  // answer of the first server cannot be taken for the second's.
  leave_start(call);
  replace_session(call, now);
  call.open_offer.reset();
  call.restart_at.reset();
  touch(call.id);
  return true;
}

bool Core::Impl::look_past_server(Call& call, std::optional<Duration> retry_after, TimePoint now) {
  if (call.location || ++call.servers_tried > kMaxServersTried) return false;
  const std::string hop = call.session->next_hop();
  const auto uri = wire::Uri::parse(hop);
  if (!uri || !uri->is_sip() || uri->host.empty() || uri->address()) return false;
  const sip::Flow& flow = call.session->flow();
  sip::ServerName name{std::string(uri->host), uri->port, flow.transport, false};
  const auto policy =
      location_policy(flow.transport, accounts_.at(call.account)->config.sip_family);
  const auto id = locator_.locate(name, policy, now);
  if (!id) return false;
  locator_.note_failure({flow.transport, flow.remote, name.host, 0}, retry_after, now);
  call.location = *id;
  locations_[*id] = call.id;
  return true;
}

bool Core::Impl::reroute(Call& call, const sip::RefreshFailed& failed, const RefreshWish& carried,
                         TimePoint now) {
  const bool timeout = failed.failure == sip::RefreshFailure::Timeout;
  const bool refused = failed.failure == sip::RefreshFailure::Rejected && failed.status == 503;
  // A connection that was lost is opened anew first.
  const bool unopened = failed.failure == sip::RefreshFailure::Transport && call.refusals > 0 &&
                        is_stream(call.session->flow().transport) && !is_dead(call.session->flow());
  if ((!timeout && !refused && !unopened) || call.ending ||
      !look_past_server(call, failed.retry_after, now)) {
    return false;
  }
  call.reroute = Call::Reroute{carried, failed};
  return true;
}

void Core::Impl::on_rerouted(Call& call, const Located& located, TimePoint now) {
  const Call::Reroute reroute = *std::exchange(call.reroute, std::nullopt);
  if (call.state == CallState::Ended) return;
  sip::Flow flow = call.session->flow();
  const sip::Target* next =
      alternative(located.targets, flow.transport, flow.remote, path_policy(way_of(call)), now);
  const bool usable = next != nullptr && !is_dead(flow) &&
                      next->endpoint.address.family() == flow.remote.address.family();
  if (usable) {
    flow.remote = next->endpoint;
    log_.info("ua", "call " + std::to_string(call.id.value()) + " goes on over " +
                        next->endpoint.to_string() + " of " + next->server_name);
  }
  if (call.ending) {
    if (!usable) return;  // The first BYE may still be answered.
    // Of a connection that does not exist yet: it is opened for what is sent on it.
    if (is_stream(flow.transport)) flow.listener = {};
    if (call.session->repeat_bye(flow, now)) watch_bye(call, now);
    touch(call.id);
    return;
  }
  if (!usable) {
    call.servers_tried = kMaxServersTried;  // Then it is a failure like any other.
    call.in_flight = reroute.wish;
    on_refresh_failed(call, reroute.failed, now);
    return;
  }
  if (is_stream(flow.transport)) {
    call.next_server = hop_of(flow);  // move_session() opens the connection.
    call.move_pending = true;
    call.reroute_tried = reroute;
  } else {
    call.session->move_flow(flow, dialog_contact_for(call, flow));
    // Our credentials are for the server, which the dialog may lead past.
    call.session->answer_challenges(way_of(call).trusts(flow.remote.address));
  }
  call.wish.add(reroute.wish);
  remotes_changed_ = true;
  touch(call.id);
}

void Core::Impl::watch_bye(Call& call, TimePoint now) {
  if (call.session->state() != sip::SessionState::Terminating) return;
  const std::string hop = call.session->next_hop();
  const auto uri = wire::Uri::parse(hop);
  if (!uri || !uri->is_sip() || uri->address()) return;
  schedule(call, CallTimer::ByeUnanswered, now + Locator::kFirstResponse);
}

void Core::Impl::on_bye_timer(Call& call, TimePoint now) {
  if (!call.ending || call.state == CallState::Ended || call.reroute ||
      call.session->state() != sip::SessionState::Terminating) {
    return;
  }
  // RFC 3263 §4.3, as for any request.
  if (look_past_server(call, std::nullopt, now)) call.reroute.emplace();
}

void Core::Impl::locate_anew(TimePoint now) {
  locator_.renew(now);
  stun_servers_.look_up();
  look_for_nat64(true, now);
  for (const auto& [id, account] : accounts_) {
    if (account->first_hop.endpoint() || account->removed) continue;
    account->resolve_again_at.reset();
    locate_server(*account, now);
  }
}

}  // namespace godwit::ua
