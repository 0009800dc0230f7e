// SPDX-License-Identifier: Apache-2.0
//
// What must hold of plan() and the judge for any network and any uses, however odd: checked on
// random ones from a small world, where addresses and interfaces meet often.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "mobility/judge.hpp"
#include "mobility/plan.hpp"
#include "mobility/snapshot_builder_test.hpp"

namespace godwit::mobility {
namespace {

using test::ip;

const std::vector<std::string>& local_addresses() {
  static const std::vector<std::string> kAll{
      "10.1.0.2",  "10.1.0.3",  "10.2.0.2",      "192.0.2.77",    "169.254.3.4",   "192.0.0.4",
      "127.0.0.1", "127.0.0.2", "2001:db8:1::2", "2001:db8:1::3", "2001:db8:2::2", "fd00:1::2",
      "fe80::2",   "::1"};
  return kAll;
}
const std::vector<std::string>& remotes() {
  static const std::vector<std::string> kAll{"192.0.2.1",     "10.1.0.9",  "10.2.0.2", "127.0.0.9",
                                             "2001:db8:9::1", "fd00:9::1", "::1"};
  return kAll;
}

rc::Gen<IpAddress> pick(const std::vector<std::string>& list) {
  return rc::gen::map(rc::gen::elementOf(list), [](const std::string& text) { return ip(text); });
}
std::uint32_t draw(std::uint32_t low, std::uint32_t high) {
  return *rc::gen::resize(100, rc::gen::inRange(low, high + 1));
}
bool chance(std::uint32_t percent) { return draw(1, 100) <= percent; }

NetworkSnapshot any_snapshot() {
  NetworkSnapshot out;
  for (std::uint32_t index = 1; index <= 4; ++index) {
    if (chance(25)) continue;
    NetworkInterface interface;
    interface.index = index;
    interface.name = index == 1 ? "lo" : "net" + std::to_string(index);
    interface.loopback = index == 1;
    interface.up = chance(85);
    interface.carrier = chance(85);
    if (chance(30)) interface.link_identity = chance(50) ? "home" : "cafe";
    for (const std::string& text : local_addresses()) {
      const IpAddress address = ip(text);
      if (!chance(25)) continue;
      InterfaceAddress a{address, static_cast<std::uint8_t>(address.is_v4() ? 24 : 64)};
      a.tentative = chance(10);
      a.dad_failed = chance(5);
      a.deprecated = chance(15);
      a.temporary = address.is_v6() && chance(30);
      interface.addresses.push_back(a);
    }
    out.interfaces.push_back(interface);
  }
  for (const Family family : {Family::V4, Family::V6}) {
    for (std::uint32_t n = draw(0, 2); n > 0; --n) {
      out.default_routes.push_back(DefaultRoute{family, draw(1, 5), std::nullopt, n});
    }
  }
  for (const std::string& remote : remotes()) {
    if (!chance(30)) continue;
    if (chance(20)) {
      out.routes.push_back(RouteToRemote{ip(remote), 0, IpAddress{}});
    } else {
      const IpAddress source = *pick(local_addresses());
      if (source.family() == ip(remote).family()) {
        out.routes.push_back(RouteToRemote{ip(remote), draw(1, 5), source});
      }
    }
  }
  return out;
}

Path any_path() {
  const std::uint32_t index = draw(1, 4);
  return Path{index, "net" + std::to_string(index), *pick(local_addresses())};
}

std::vector<Use> any_uses() {
  std::vector<Use> out;
  for (std::uint32_t id = draw(0, 6); id > 0; --id) {
    Use use;
    use.id = UseId(id);
    use.kind = static_cast<UseKind>(draw(0, 2));
    use.path = any_path();
    use.remote = Endpoint{*pick(remotes()), 5060};
    use.suspended = chance(20);
    use.policy.movable = chance(90);
    for (std::uint32_t n = chance(40) ? draw(1, 2) : 0; n > 0; --n) {
      use.others.push_back(Endpoint{*pick(remotes()), 5060});
    }
    if (chance(20)) use.policy.signalling = static_cast<FamilyPolicy>(draw(0, 4));
    if (chance(20)) use.policy.media = static_cast<FamilyPolicy>(draw(0, 4));
    if (use.kind == UseKind::Call) {
      for (std::uint32_t n = draw(0, 2); n > 0; --n) {
        use.media.push_back(MediaLeg{any_path(), Endpoint{*pick(remotes()), 4000}});
      }
    }
    out.push_back(use);
  }
  return out;
}

PathPolicy any_policy() {
  PathPolicy policy;
  if (chance(20)) policy.interfaces = {"net2", "net4"};
  if (chance(20)) policy.bind_addresses = {ip("10.1.0.3"), ip("10.2.0.2"), ip("2001:db8:1::3")};
  return policy;
}

// For whoever has to understand a counterexample.
std::string show(const NetworkSnapshot& net) {
  std::string out;
  for (const NetworkInterface& i : net.interfaces) {
    out += i.name + (i.up ? " up" : " down") + (i.carrier ? " carrier" : "");
    for (const InterfaceAddress& a : i.addresses) {
      out += ' ' + a.address.to_string() + (a.tentative ? " tentative" : "") +
             (a.dad_failed ? " failed" : "") + (a.deprecated ? " deprecated" : "") +
             (a.temporary ? " temporary" : "");
    }
    out += '\n';
  }
  for (const DefaultRoute& r : net.default_routes) {
    out += std::string("default ") + to_string(r.family) + " by " +
           std::to_string(r.interface_index) + '\n';
  }
  for (const RouteToRemote& r : net.routes) {
    out += r.remote.to_string() + " by " + std::to_string(r.interface_index) + " from " +
           r.source.to_string() + '\n';
  }
  return out;
}

std::string show(const std::vector<Use>& uses) {
  std::string out;
  for (const Use& use : uses) {
    out += std::to_string(use.id.value()) + (use.suspended ? " suspended " : " ") +
           use.path.to_string() + " to " + use.remote.to_string();
    for (const MediaLeg& leg : use.media) {
      out += ", media " + leg.path.to_string() + " to " + leg.remote.to_string();
    }
    out += '\n';
  }
  return out;
}

// Everything a good recovery would do.
void carry_out(const RecoveryPlan& plan, std::vector<Use>& uses) {
  for (const PlanRow& row : plan.rows) {
    const auto use =
        std::find_if(uses.begin(), uses.end(), [&](const Use& u) { return u.id == row.use; });
    RC_ASSERT(use != uses.end());
    if (row.mode == Mode::Leave) continue;
    use->suspended = row.mode == Mode::Suspend;
    if (row.to) use->path = *row.to;
    if (row.remote) use->remote = *row.remote;
    for (std::size_t i = 0; i < row.media.size(); ++i) {
      if (row.media[i].to) use->media[i].path = *row.media[i].to;
    }
  }
}

// May `path` be given to something new that talks to `remote`? Said again, in other words.
void check_new_path(const NetworkSnapshot& net, const Path& path, const IpAddress& remote,
                    const PathPolicy& policy) {
  const NetworkInterface* interface = net.find_interface(path.interface_index);
  RC_ASSERT(interface != nullptr);
  RC_ASSERT(interface->up && (interface->carrier || interface->loopback));
  RC_ASSERT(path.local.family() == remote.family());
  RC_ASSERT(!path.local.is_link_local());
  RC_ASSERT(!path.local.is_clat());
  RC_ASSERT(path.local.is_loopback() == remote.is_loopback());
  if (!policy.interfaces.empty() && !remote.is_loopback()) {
    RC_ASSERT(interface->name == "net2" || interface->name == "net4");
  }
  bool held = false;
  for (const NetworkInterface& i : net.interfaces) {
    for (const InterfaceAddress& a : i.addresses) {
      if (a.address != path.local || a.tentative || a.dad_failed) continue;
      held = held || !a.deprecated || !policy.bind_addresses.empty();
    }
  }
  RC_ASSERT(held);
  if (policy.bind_addresses.empty()) {
    RC_ASSERT(!path.local.is_unique_local() || remote.is_unique_local());
  }
  for (const RouteToRemote& route : net.routes) {
    if (route.remote == remote && policy.bind_addresses.empty()) {
      RC_ASSERT(route.interface_index != 0);
    }
  }
}

IpAddress leg_remote(const Use& use, std::size_t leg) { return use.media[leg].remote.address; }

RC_GTEST_PROP(PlanProperty, never_moves_anything_to_an_address_it_must_not_use, ()) {
  const NetworkSnapshot before = any_snapshot();
  const NetworkSnapshot after = any_snapshot();
  const std::vector<Use> uses = any_uses();
  const PathPolicy policy = any_policy();
  const RecoveryPlan result = plan(after, compute_delta(before, after), uses, policy);
  for (const PlanRow& row : result.rows) {
    const Use& use =
        *std::find_if(uses.begin(), uses.end(), [&](const Use& u) { return u.id == row.use; });
    const Endpoint next = row.remote.value_or(use.remote);
    if (row.remote) {
      RC_ASSERT(std::find(use.others.begin(), use.others.end(), next) != use.others.end());
      RC_ASSERT(allows(use.policy.signalling, next.address.family()));
    }
    if (row.to && *row.to != use.path) check_new_path(after, *row.to, next.address, policy);
    RC_ASSERT(row.media.size() == use.media.size());
    for (std::size_t i = 0; i < row.media.size(); ++i) {
      const LegMove& leg = row.media[i];
      if (leg.to && *leg.to != leg.from) {
        RC_ASSERT(allows(use.policy.media, leg.to->local.family()));
        if (leg.to->local.family() == leg_remote(use, i).family()) {
          check_new_path(after, *leg.to, leg_remote(use, i), policy);
        } else if (leg.to == row.to) {
          // The peer is to be asked for an address of the family that the signalling has.
          RC_ASSERT(leg.to->local.family() == next.address.family());
        }
      }
      RC_ASSERT(leg.mode <= row.mode);
    }
    RC_ASSERT(row.signalling <= row.mode);
    RC_ASSERT((row.signalling == Mode::Suspend || row.mode == Mode::Leave) == !row.to.has_value());
    if (row.mode == Mode::Leave) RC_ASSERT(!use.policy.movable);
    if (!use.policy.movable) RC_ASSERT(row.mode == Mode::Leave);
    if (use.suspended && use.policy.movable) RC_ASSERT(row.mode == Mode::Resume);
    if (row.mode == Mode::Resume) RC_ASSERT(use.suspended);
  }
  RC_ASSERT(std::is_sorted(result.rows.begin(), result.rows.end(),
                           [](const auto& a, const auto& b) { return a.urgency < b.urgency; }));
  RC_ASSERT(result.decision.find('\n') == std::string::npos);
}

RC_GTEST_PROP(PlanProperty, once_carried_out_nothing_is_left_to_do, ()) {
  const NetworkSnapshot before = any_snapshot();
  const NetworkSnapshot after = any_snapshot();
  std::vector<Use> uses = any_uses();
  for (Use& use : uses) use.policy.movable = true;
  const PathPolicy policy = any_policy();
  RC_LOG() << show(after) << show(uses);
  const RecoveryPlan first = plan(after, compute_delta(before, after), uses, policy);
  carry_out(first, uses);
  const RecoveryPlan second = plan(after, compute_delta(after, after), uses, policy);
  RC_LOG() << first.decision << '\n' << second.decision << '\n';
  RC_ASSERT(second.rows.empty());
}

RC_GTEST_PROP(PlanProperty, what_is_chosen_for_a_new_use_is_left_alone_afterwards, ()) {
  const NetworkSnapshot net = any_snapshot();
  const PathPolicy policy = any_policy();
  const IpAddress remote = *pick(remotes());
  const auto path = choose_path(net, remote, policy);
  if (!path) return;
  check_new_path(net, *path, remote, policy);
  Use use;
  use.id = UseId(1);
  use.path = *path;
  use.remote = Endpoint{remote, 5060};
  RC_ASSERT(plan(net, Delta{}, {use}, policy).rows.empty());
}

RC_GTEST_PROP(PlanProperty, a_delta_says_the_same_of_both_directions, ()) {
  const NetworkSnapshot a = any_snapshot();
  const NetworkSnapshot b = any_snapshot();
  RC_ASSERT(compute_delta(a, a).empty());
  const Delta there = compute_delta(a, b);
  const Delta back = compute_delta(b, a);
  RC_ASSERT(there.lost == back.gained);
  RC_ASSERT(there.gained == back.lost);
  RC_ASSERT(there.has(ChangeCause::NetworkLost) == back.has(ChangeCause::NetworkReturned));
  RC_ASSERT(there.has(ChangeCause::FamilyLost) == back.has(ChangeCause::FamilyGained));
  RC_ASSERT(there.has(ChangeCause::DefaultRouteMoved) == back.has(ChangeCause::DefaultRouteMoved));
}

// Whatever the network does, the judge ends in the state that the last snapshot asks for, within a
// bounded time and a bounded number of changes.
RC_GTEST_PROP(JudgeProperty, ends_where_the_last_snapshot_is_and_never_storms, ()) {
  Judge judge;
  std::vector<Use> uses = any_uses();
  for (Use& use : uses) use.policy.movable = true;
  TimePoint now{std::chrono::seconds(1)};
  std::vector<TimePoint> changes;
  Generation last;
  const auto recover = [&] {
    while (const auto change = judge.poll()) {
      RC_ASSERT(change->generation > last);
      last = change->generation;
      RC_ASSERT(change->detected_at <= now);
      RC_ASSERT(!change->delta.empty());
      changes.push_back(now);
      carry_out(plan(change->snapshot, change->delta, uses), uses);
    }
  };
  const auto pass = [&](Duration duration) {
    const TimePoint end = now + duration;
    for (int i = 0; judge.next_timeout() && *judge.next_timeout() <= end; ++i) {
      RC_ASSERT(i < 100);
      now = std::max(now, *judge.next_timeout());
      judge.on_timeout(uses, now);
      recover();
    }
    now = end;
  };
  judge.on_snapshot(any_snapshot(), uses, now);
  recover();
  for (std::uint32_t n = draw(1, 30); n > 0; --n) {
    judge.on_snapshot(any_snapshot(), uses, now);
    recover();
    pass(std::chrono::milliseconds(draw(0, 300)));
  }
  pass(kFlapWindow + kReaddWait);
  RC_ASSERT(!judge.next_timeout().has_value());
  RC_ASSERT(plan(judge.current(), Delta{}, uses).rows.empty());
  for (std::size_t i = kMaxChangesInWindow; i < changes.size(); ++i) {
    RC_ASSERT(changes[i] - changes[i - kMaxChangesInWindow] >= kFlapWindow);
  }
}

}  // namespace
}  // namespace godwit::mobility
