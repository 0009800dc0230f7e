// SPDX-License-Identifier: Apache-2.0
//
// Flows of accounts (RFC 5626 §4.2): several edge proxies, each with a registration of its own;
// what the application is told of the account as a whole; and flows that are lost while the address
// stays, with the calls that used them. How one flow is formed and kept is in core_accounts.cpp:
// to that, a further flow is an account like any other.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// Further flows are accounts from here on; the application's count from 1.
constexpr std::uint32_t kFurtherFlows = 0x1000'0000;

/// A call waits so long for its own flow to be formed anew, before it goes by another one.
constexpr Duration kFlowWait = std::chrono::seconds(4);

/// Between two refreshes of one call for lost flows: a server that closes every connection must not
/// make us send re-INVITEs without end.
constexpr Duration kFlowRest = std::chrono::seconds(10);

}  // namespace

Result<void> Core::Impl::add_further_flows(Account& main, TimePoint) {
  std::vector<std::unique_ptr<Account>> made;
  std::uint32_t reg_id = 1;
  for (const std::string& proxy : main.config.further_outbound_proxies) {
    const AccountId id{kFurtherFlows + last_flow_ + static_cast<std::uint32_t>(made.size()) + 1};
    auto flow = Account::make(id, main.further_flow(proxy), config_.user_agent, instance_id_,
                              context(), owner(OwnerKind::Registration, id.value()), ++reg_id);
    if (!flow) return tl::unexpected<Error>(flow.error());
    (*flow)->main = main.id;
    ask_contacts_of(**flow);
    made.push_back(std::move(*flow));
  }
  if (made.empty()) return {};
  last_flow_ += static_cast<std::uint32_t>(made.size());
  main.flows.push_back(main.id);
  for (auto& flow : made) {
    const AccountId id = flow->id;
    main.flows.push_back(id);
    accounts_[id] = std::move(flow);
    touch(id);
  }
  return {};
}

Account& Core::Impl::main_of(Account& flow) {
  Account* main = find_account(flow.main);
  return main == nullptr ? flow : *main;
}

std::vector<Account*> Core::Impl::flows_of(const Account& account) {
  std::vector<Account*> flows;
  for (const AccountId id : account.flows) {
    if (Account* flow = find_account(id)) flows.push_back(flow);
  }
  if (flows.empty()) flows.push_back(accounts_.at(account.id).get());
  return flows;
}

Account& Core::Impl::best_flow(Account& account) {
  if (account.flows.empty() || account.alive) return account;
  const std::vector<Account*> flows = flows_of(account);
  for (Account* flow : flows) {
    if (flow->alive) return *flow;
  }
  for (Account* flow : flows) {
    if (flow->server && flow->path && !flow->needless) return *flow;
  }
  return account;
}

bool Core::Impl::other_flow_lives(const Account& flow) const {
  const auto main = accounts_.find(flow.main);
  if (main == accounts_.end()) return false;
  const std::vector<AccountId>& flows = main->second->flows;
  return std::any_of(flows.begin(), flows.end(), [&](AccountId id) {
    const auto other = accounts_.find(id);
    return id != flow.id && other != accounts_.end() && other->second->alive;
  });
}

Account& Core::Impl::way_of(const Call& call) {
  Account* way = find_account(call.way);
  return way == nullptr ? *accounts_.at(call.account) : *way;
}

const Account& Core::Impl::way_of(const Call& call) const {
  const auto way = accounts_.find(call.way);
  return way == accounts_.end() ? *accounts_.at(call.account) : *way->second;
}

void Core::Impl::tell_registration(Account& flow, RegistrationChanged changed) {
  Account& main = main_of(flow);
  changed.account = flow.main;
  if (!main.flows.empty()) {
    if (flow.needless) return;
    const bool registered = changed.state == RegistrationState::Registered;
    const bool is_back = registered && flow.failed;
    const bool known = changed.state == main.told && (flow.is_further() || is_back);
    if (known || (!registered && other_flow_lives(flow))) return;
    main.told = changed.state;
  }
  emit(std::move(changed));
}

void Core::Impl::on_flow_formed(Account& flow, TimePoint) {
  if (std::exchange(flow.alive, true)) return;
  if (std::exchange(flow.failed, false) || !main_of(flow).flows.empty()) {
    emit(FlowChanged{flow.main, flow.reg_id, true, flow.server.value_or(Endpoint{}), ""});
  }
  for (const auto& [id, call] : calls_) {
    if (call->account == flow.main && call->flow_lost_at) touch(id);
  }
}

void Core::Impl::on_flow_failed(Account& flow, const std::string& reason, bool lost,
                                TimePoint now) {
  if (!std::exchange(flow.alive, false)) return;
  if (lost || !main_of(flow).flows.empty()) {
    flow.failed = true;
    log_.info("ua", "flow " + std::to_string(flow.reg_id) + " of account " + flow.config.aor +
                        " has failed: " + reason);
    emit(FlowChanged{flow.main, flow.reg_id, false, flow.server.value_or(Endpoint{}), reason});
  }
  const auto& registered = flow.registration->flow();
  if (!lost || !registered) return;
  for (const auto& [id, call] : calls_) {
    if (call->account == flow.main && call->session->flow().transport == registered->transport &&
        call->session->flow().remote == registered->remote) {
      lose_flow_of(*call, now);
    }
  }
}

void Core::Impl::balance_flows(Account& main, TimePoint now) {
  const std::vector<Account*> flows = flows_of(main);
  Account* first = nullptr;
  bool kept_by_registrar = false;
  for (Account* flow : flows) {
    if (!flow->alive) continue;
    if (first == nullptr) first = flow;
    kept_by_registrar = kept_by_registrar || flow->registration->grant().outbound;
  }
  const bool had_one = std::exchange(main.had_flow, first != nullptr);
  if (first == nullptr) {
    for (Account* flow : flows) {
      if (std::exchange(flow->needless, false)) {
        flow->wants_registration = true;
        flow->move_pending = flow->path.has_value();
        touch(flow->id);
      } else if (had_one && flow->registration->state() == RegistrationState::Failed) {
        // It waited at its leisure, for there was another.
        (void)flow->registration->refresh(now);
        touch(flow->id);
      }
    }
    return;
  }
  if (kept_by_registrar) return;
  // To a registrar without Outbound further flows are further Contacts, of which each would ring.
  for (Account* flow : flows) {
    if (flow == first || flow->needless || !flow->wants_registration) continue;
    flow->needless = true;
    flow->wants_registration = false;
    flow->move_pending = false;
    flow->alive = false;
    log_.info("ua", "the registrar of " + main.config.aor + " keeps no flows: one is enough");
    if (flow->registration->contact() == first->registration->contact()) {
      flow->registration->suspend(now);  // To take it out would take out the other's.
    } else {
      (void)flow->registration->stop(now);
    }
    touch(flow->id);
  }
}

void Core::Impl::lose_stream(ListenerId stream, const std::string& reason, TimePoint now) {
  for (const auto& [id, account] : accounts_) {
    const auto& flow = account->registration->flow();
    if (flow && flow->listener == stream) on_flow_failed(*account, reason, true, now);
  }
  for (const auto& [id, call] : calls_) {
    if (call->session->flow().listener == stream) lose_flow_of(*call, now);
  }
}

Account* Core::Impl::server_flow_of(const Call& call) {
  const IpAddress remote = call.session->flow().remote.address;
  for (Account* flow : flows_of(*accounts_.at(call.account))) {
    if (flow->trusts(remote)) return flow;
  }
  return nullptr;
}

void Core::Impl::lose_flow_of(Call& call, TimePoint now) {
  const bool rings_here = !call.outgoing && call.session->state() == sip::SessionState::Incoming;
  if ((call.state != CallState::Confirmed && !rings_here && !can_update_early(call)) ||
      call.ending || call.flow_lost_at) {
    return;
  }
  const sip::Flow& flow = call.session->flow();
  // A peer of our own that can connect to us needs to be told nothing.
  const bool reachable =
      is_stream(flow.transport) && listeners_.find(path_of(flow), flow.transport) != nullptr;
  if (server_flow_of(call) == nullptr && reachable) return;
  call.flow_lost_at = now;
  if (call.media && call.media->mapping.asked) ask_mapping(call, *call.media);
  if (!call.substitute) call.substitute_tried = false;
  schedule(call, CallTimer::FlowLost, now + kFlowWait);
  if (call.flow_told_at && now < *call.flow_told_at + kFlowRest) {
    schedule(call, CallTimer::Refresh, *call.flow_told_at + kFlowRest);
  }
  touch(call.id);
}

void Core::Impl::restore_flow(Call& call, TimePoint now) {
  const bool rings_here = !call.outgoing && call.session->state() == sip::SessionState::Incoming;
  if (call.substitute || call.move_pending) return;
  const Account* flow = server_flow_of(call);
  // The server has to know the flow before the peer does.
  if (flow != nullptr && flow->wants_registration && !flow->alive) return;
  if (call.flow_told_at && now < *call.flow_told_at + kFlowRest) return;
  call.flow_lost_at.reset();
  call.flow_told_at = now;
  call.wish.flow_lost = !rings_here;
  call.tells_caller = rings_here;
  call.move_pending = true;
}

void Core::Impl::on_flow_lost_timer(Call& call, TimePoint now) {
  if (!call.flow_lost_at || call.ending || call.substitute) return;
  if (call.state != CallState::Confirmed) return;
  Account* failed = server_flow_of(call);
  Account& other = best_flow(*accounts_.at(call.account));
  if (failed == nullptr || failed->alive || !other.alive || !other.path) return;
  const AccountId way = std::exchange(call.way, other.id);
  const auto path = std::exchange(call.path, other.path);
  if (begin_substitute(call, "the flow of the call has failed and another one lives", now)) return;
  // Then it waits for its own.
  call.way = way;
  call.path = path;
}

}  // namespace godwit::ua
