// SPDX-License-Identifier: Apache-2.0
//
// Chooses source paths within one snapshot, remembering its answers: a plan over ten thousand uses
// asks the same few questions again and again. Made for one plan and thrown away with it; the
// snapshot and the policy must outlive it.
#pragma once

#include <optional>
#include <unordered_map>

#include "godwit/network.hpp"
#include "mobility/delta.hpp"
#include "mobility/plan.hpp"

namespace godwit::mobility {

class PathChooser {
 public:
  PathChooser(const NetworkSnapshot& snapshot, const PathPolicy& policy);

  /// See choose_path().
  const std::optional<Path>& best(const IpAddress& remote);
  /// See carries(); under PathPolicy::bind_addresses being one of them, and there, is enough.
  bool carries(const Path& path, const IpAddress& remote) const;
  /// True if `path` is as good as the best one, so that moving to that would win nothing.
  bool is_good(const Path& path, const IpAddress& remote);
  /// What speaks against `path` as the way to `remote`, by PathPolicy::avoid; nullptr: nothing,
  /// also where `remote` is in the interface's own network, which works without what lies behind
  /// it.
  const AvoidedPath* avoided(const Path& path, const IpAddress& remote) const;

 private:
  std::optional<Path> choose(const IpAddress& remote) const;
  std::optional<Path> choose_bound(const IpAddress& remote) const;
  std::optional<Path> on_interface(const NetworkInterface& interface,
                                   const IpAddress& remote) const;
  bool is_allowed(const NetworkInterface& interface, const IpAddress& remote) const;
  bool is_there(const Path& path) const;
  static bool is_attached(const NetworkInterface& interface, const IpAddress& remote);
  const RouteToRemote* listed(const IpAddress& remote) const;

  const NetworkSnapshot& snapshot_;
  const PathPolicy& policy_;
  std::unordered_map<IpAddress, const RouteToRemote*> listed_;
  std::unordered_map<IpAddress, std::optional<Path>> best_;
  bool avoiding_ = false;  ///< The first look passes over what the policy wants avoided.
};

}  // namespace godwit::mobility
