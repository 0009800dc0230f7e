// SPDX-License-Identifier: Apache-2.0
#include "mobility/plan.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "mobility/paths.hpp"

namespace godwit::mobility {
namespace {

// The decision is one line in a log and a report; ten thousand accounts shall not make it a page.
constexpr std::size_t kMaxNamedRows = 6;

struct Verdict {
  std::optional<Path> to;
  Mode mode = Mode::Leave;
  ChangeCause cause = ChangeCause::Forced;
};

class Planner {
 public:
  Planner(const NetworkSnapshot& after, const Delta& delta, const PathPolicy& policy)
      : after_(after),
        delta_(delta),
        moved_remotes_(delta.moved_remotes.begin(), delta.moved_remotes.end()),
        policy_(policy) {}

  std::optional<PlanRow> row(const Use& use) {
    PlanRow out;
    const Verdict signalling = judge_signalling(use, out.remote);
    out.use = use.id;
    out.kind = use.kind;
    out.from = use.path;
    out.to = signalling.to;
    out.signalling = signalling.mode;
    out.mode = signalling.mode;
    out.cause = signalling.cause;
    for (const MediaLeg& leg : use.media) {
      const Verdict media = judge_media(use, leg, signalling, out.remote);
      out.media.push_back(LegMove{leg.path, media.to, media.mode});
      if (media.mode > out.mode) {
        out.mode = media.mode;
        out.cause = media.cause;
      }
    }
    if (out.mode == Mode::Leave) return std::nullopt;
    if (out.mode == Mode::Suspend && use.suspended) return std::nullopt;  // It already waits.
    if (!use.policy.movable) forbid(out);
    out.urgency = urgency(out);
    return out;
  }

 private:
  PathChooser& chooser(const std::optional<PathPolicy>& own) {
    const auto [entry, fresh] = choosers_.try_emplace(own ? *own : policy_);
    if (fresh) entry->second = std::make_unique<PathChooser>(after_, entry->first);
    return *entry->second;
  }

  Verdict judge_signalling(const Use& use, std::optional<Endpoint>& next) {
    PathChooser& paths = chooser(use.policy.paths);
    const Family family = use.remote.address.family();
    const bool allowed = family == Family::None || allows(use.policy.signalling, family);
    Verdict verdict{std::nullopt, Mode::Suspend, ChangeCause::FamilyLost};
    if (allowed) {
      verdict = judge(use, use.path, use.remote.address, use.policy.only_when_lost, paths);
    }
    const AvoidedPath* dead = dead_end(verdict, use.remote.address, paths);
    if (verdict.mode != Mode::Suspend && dead == nullptr) return verdict;
    for (const Endpoint& other : use.others) {
      if (other == use.remote || !allows(use.policy.signalling, other.address.family())) continue;
      const std::optional<Path>& best = paths.best(other.address);
      if (!best || (dead != nullptr && paths.avoided(*best, other.address) != nullptr)) continue;
      next = other;
      return Verdict{best, departure(use, use.path, use.remote.address, paths),
                     dead != nullptr ? dead->cause : verdict.cause};
    }
    return verdict;
  }

  Verdict judge_media(const Use& use, const MediaLeg& leg, const Verdict& signalling,
                      const std::optional<Endpoint>& next) {
    PathChooser& paths = chooser(leg.paths);
    // A stream on hold or not yet answered has no address of its own: it will go where SIP goes.
    const IpAddress& own = leg.remote.address;
    const bool known = own.family() != Family::None && !own.is_unspecified();
    const IpAddress& towards = known ? own : next ? next->address : use.remote.address;
    Verdict verdict{std::nullopt, Mode::Suspend, ChangeCause::FamilyLost};
    if (towards.family() == Family::None || allows(use.policy.media, towards.family())) {
      const bool waits = use.policy.only_when_lost || use.policy.keep_media;
      verdict = judge(use, leg.path, towards, waits, paths);
      const AvoidedPath* dead = dead_end(verdict, towards, paths);
      if (verdict.mode != Mode::Suspend && dead == nullptr) return verdict;
      if (dead != nullptr) {
        const IpAddress& hop = next ? next->address : use.remote.address;
        if (dead_end(signalling, hop, chooser(use.policy.paths)) != nullptr) return verdict;
        verdict.cause = dead->cause;
      }
    }
    // Nothing of ours reaches an address of that family, or nothing may: the peer is to be asked
    // for one of another, from where the signalling goes.
    if (!signalling.to) return verdict;
    std::optional<Path> out = signalling.to;
    if (leg.paths) out = way_out(out->local.family(), paths);
    if (!out || !allows(use.policy.media, out->local.family())) {
      out = way_out(preferred(use.policy.media), paths);
    }
    if (!out || out->local.family() == towards.family()) return verdict;
    if (out->local.is_loopback() != towards.is_loopback()) return verdict;
    if (*out != leg.path || use.suspended) {
      return Verdict{out, departure(use, leg.path, towards, paths), verdict.cause};
    }
    // It is there already, and waits for the peer's address.
    return Verdict{out, *out == signalling.to ? signalling.mode : Mode::Leave, signalling.cause};
  }

  /// There is no better way to that remote than one that is to be avoided.
  static const AvoidedPath* dead_end(const Verdict& verdict, const IpAddress& remote,
                                     const PathChooser& paths) {
    return verdict.to ? paths.avoided(*verdict.to, remote) : nullptr;
  }

  /// How a use leaves a remote for another one.
  static Mode departure(const Use& use, const Path& path, const IpAddress& remote,
                        PathChooser& paths) {
    if (use.suspended) return Mode::Resume;
    if (paths.avoided(path, remote) != nullptr) return Mode::Break;
    return paths.carries(path, remote) ? Mode::MakeBeforeBreak : Mode::Break;
  }

  static std::optional<Path> way_out(Family family, PathChooser& paths) {
    return family == Family::None ? std::nullopt : paths.best(somewhere(family));
  }

  /// `waits`: until the path carries nothing any more.
  Verdict judge(const Use& use, const Path& path, const IpAddress& remote, bool waits,
                PathChooser& chooser) {
    if (remote.family() == Family::None) return Verdict{path, Mode::Leave, ChangeCause::Forced};
    const std::optional<Path>& best = chooser.best(remote);
    if (use.suspended) {
      if (!best) return Verdict{std::nullopt, Mode::Suspend, why_none(path, remote)};
      return Verdict{best, Mode::Resume, why_returned()};
    }
    if (!chooser.carries(path, remote)) {
      if (!best) return Verdict{std::nullopt, Mode::Suspend, why_none(path, remote)};
      return Verdict{best, Mode::Break, why_dead(path)};
    }
    if (const AvoidedPath* avoided = chooser.avoided(path, remote)) {
      // With nothing better it stays: what is sent may get through after all.
      if (best && chooser.avoided(*best, remote) == nullptr)
        return Verdict{best, Mode::Break, avoided->cause};
      return in_place(use, path);
    }
    if (is_on_new_network(path)) {
      return Verdict{best ? best : path, Mode::Break, ChangeCause::SameAddressNewNetwork};
    }
    if (waits) return Verdict{path, Mode::Leave, ChangeCause::Forced};
    if (!chooser.is_good(path, remote)) {
      return Verdict{best, Mode::MakeBeforeBreak, why_moved(remote)};
    }
    return in_place(use, path);
  }

  Verdict in_place(const Use& use, const Path& path) const {
    if (delta_.has(ChangeCause::Forced) && use.policy.asked) {
      return Verdict{path, Mode::Refresh, ChangeCause::Forced};
    }
    if (delta_.has(ChangeCause::Resumed)) return Verdict{path, Mode::Refresh, ChangeCause::Resumed};
    return Verdict{path, Mode::Leave, ChangeCause::Forced};
  }

  bool is_on_new_network(const Path& path) const {
    return std::find(delta_.new_network_on.begin(), delta_.new_network_on.end(),
                     path.interface_index) != delta_.new_network_on.end();
  }

  ChangeCause why_dead(const Path& path) const {
    const NetworkInterface* interface = after_.find_interface(path.interface_index);
    if (interface == nullptr || !is_running(*interface)) return ChangeCause::LinkDown;
    const bool there = std::any_of(
        interface->addresses.begin(), interface->addresses.end(),
        [&](const InterfaceAddress& a) { return a.address == path.local && is_usable(a); });
    if (!there) return ChangeCause::AddressLost;
    return delta_.has(ChangeCause::DefaultRouteMoved) ? ChangeCause::DefaultRouteMoved
                                                      : ChangeCause::RouteToRemoteMoved;
  }

  ChangeCause why_none(const Path& path, const IpAddress& remote) const {
    if (remote.is_loopback()) return why_dead(path);
    if (!is_online(after_)) return ChangeCause::NetworkLost;
    if (!has_family(after_, remote.family())) return ChangeCause::FamilyLost;
    return why_dead(path);
  }

  ChangeCause why_moved(const IpAddress& remote) const {
    if (delta_.has(ChangeCause::PathReturned)) return ChangeCause::PathReturned;
    if (delta_.has(ChangeCause::DefaultRouteMoved)) return ChangeCause::DefaultRouteMoved;
    if (moved_remotes_.contains(remote)) return ChangeCause::RouteToRemoteMoved;
    return delta_.has(ChangeCause::AddressGained) ? ChangeCause::AddressGained
                                                  : ChangeCause::RouteToRemoteMoved;
  }

  ChangeCause why_returned() const {
    for (const ChangeCause cause : {ChangeCause::NetworkReturned, ChangeCause::FamilyGained,
                                    ChangeCause::AddressGained, ChangeCause::DefaultRouteMoved}) {
      if (delta_.has(cause)) return cause;
    }
    return ChangeCause::RouteToRemoteMoved;
  }

  static void forbid(PlanRow& row) {
    row.mode = Mode::Leave;
    row.signalling = Mode::Leave;
    row.to.reset();
    for (LegMove& leg : row.media) {
      leg.mode = Mode::Leave;
      leg.to.reset();
    }
  }

  static Urgency urgency(const PlanRow& row) {
    switch (row.mode) {
      case Mode::Leave:
      case Mode::Refresh:
      case Mode::MakeBeforeBreak: return Urgency::Relaxed;
      case Mode::Resume:
      case Mode::Break:
      case Mode::Suspend: break;
    }
    return row.kind == UseKind::Call ? Urgency::Immediate : Urgency::Prompt;
  }

  const NetworkSnapshot& after_;
  const Delta& delta_;
  std::unordered_set<IpAddress> moved_remotes_;
  const PathPolicy& policy_;
  std::map<PathPolicy, std::unique_ptr<PathChooser>> choosers_;
};

std::string name_of(const Use& use) {
  return use.name.empty() ? std::string(to_string(use.kind)) + ' ' + std::to_string(use.id.value())
                          : use.name;
}

// "wlan0 10.1.0.2 -> wwan0 10.2.0.2", or where it stays.
std::string describe_move(const Path& from, const std::optional<Path>& to) {
  if (!to) return from.to_string();
  return *to == from ? from.to_string() : from.to_string() + " -> " + to->to_string();
}

std::string describe_row(const Use& use, const PlanRow& row) {
  std::string out = name_of(use) + ": ";
  const LegMove* moved_media = nullptr;
  for (const LegMove& leg : row.media) {
    if (leg.mode != Mode::Leave && moved_media == nullptr) moved_media = &leg;
  }
  if (row.signalling == Mode::Leave && moved_media != nullptr) {
    out += "media " + describe_move(moved_media->from, moved_media->to);
  } else {
    out += describe_move(row.from, row.to);
  }
  out += ", ";
  out += to_string(row.mode);
  out += " (";
  out += godwit::to_string(row.cause);
  out += ')';
  return out;
}

}  // namespace

const char* to_string(UseKind kind) {
  switch (kind) {
    case UseKind::Registration: return "registration";
    case UseKind::Call: return "call";
    case UseKind::Subscription: return "subscription";
  }
  return "?";
}

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::Leave: return "leave";
    case Mode::Refresh: return "refresh";
    case Mode::MakeBeforeBreak: return "make-before-break";
    case Mode::Resume: return "resume";
    case Mode::Break: return "break";
    case Mode::Suspend: return "suspend";
  }
  return "?";
}

const char* to_string(Urgency urgency) {
  switch (urgency) {
    case Urgency::Immediate: return "immediate";
    case Urgency::Prompt: return "prompt";
    case Urgency::Relaxed: return "relaxed";
  }
  return "?";
}

const IpAddress& somewhere(Family family) {
  static const IpAddress kSomewhere4 = IpAddress::v4(192, 0, 2, 1);
  static const IpAddress kSomewhere6 = *IpAddress::parse("2001:db8::1");
  return family == Family::V6 ? kSomewhere6 : kSomewhere4;
}

const AvoidedPath* PathPolicy::avoided(const Path& path) const {
  const auto found = std::find_if(avoid.begin(), avoid.end(), [&](const AvoidedPath& a) {
    return a.interface_index == path.interface_index && a.family == path.local.family();
  });
  return found == avoid.end() ? nullptr : &*found;
}

const PlanRow* RecoveryPlan::find(UseId use) const {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const PlanRow& row) { return row.use == use; });
  return found == rows.end() ? nullptr : &*found;
}

bool RecoveryPlan::acts() const {
  return std::any_of(rows.begin(), rows.end(),
                     [](const PlanRow& row) { return row.mode != Mode::Leave; });
}

bool RecoveryPlan::has_replacement() const {
  return std::any_of(rows.begin(), rows.end(), [](const PlanRow& row) {
    return row.mode != Mode::Suspend && row.mode != Mode::Leave;
  });
}

RecoveryPlan plan(const NetworkSnapshot& after, const Delta& delta, const std::vector<Use>& uses,
                  const PathPolicy& policy) {
  struct Entry {
    PlanRow row;
    const Use* use;
  };
  std::vector<Entry> entries;
  Planner planner(after, delta, policy);
  for (const Use& use : uses) {
    if (auto row = planner.row(use)) entries.push_back(Entry{std::move(*row), &use});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    if (a.row.urgency != b.row.urgency) return a.row.urgency < b.row.urgency;
    return (a.row.kind == UseKind::Call) > (b.row.kind == UseKind::Call);
  });

  RecoveryPlan out;
  out.rows.reserve(entries.size());
  for (Entry& entry : entries) {
    if (out.rows.size() < kMaxNamedRows) {
      if (!out.decision.empty()) out.decision += "; ";
      out.decision += describe_row(*entry.use, entry.row);
    }
    out.rows.push_back(std::move(entry.row));
  }
  if (out.rows.size() > kMaxNamedRows) {
    out.decision += "; and " + std::to_string(out.rows.size() - kMaxNamedRows) + " more";
  }
  if (out.rows.empty()) out.decision = "nothing affected";
  return out;
}

std::optional<Path> choose_path(const NetworkSnapshot& snapshot, const IpAddress& remote,
                                const PathPolicy& policy) {
  return PathChooser(snapshot, policy).best(remote);
}

bool carries(const NetworkSnapshot& snapshot, const Path& path, const IpAddress& remote,
             const PathPolicy& policy) {
  return PathChooser(snapshot, policy).carries(path, remote);
}

bool permits(const PathPolicy& policy, const Path& path, const IpAddress& remote) {
  const auto contains = [](const auto& list, const auto& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  if (!policy.bind_addresses.empty() && !contains(policy.bind_addresses, path.local)) return false;
  if (policy.interfaces.empty() || contains(policy.interfaces, path.interface_name)) return true;
  return path.local.is_loopback() && remote.is_loopback();
}

}  // namespace godwit::mobility
