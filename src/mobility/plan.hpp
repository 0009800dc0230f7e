// SPDX-License-Identifier: Apache-2.0
//
// Decides what a network change means for everything that rides on a path: a pure function from a
// snapshot and the present uses to one row for each use that must do something. It knows paths and
// uses, not SIP: how a use moves, and in which messages, is the recovery's work in ua.
//
// plan() is level-triggered: it compares where each use is with where it should be in this
// snapshot. Carrying out its rows and planning again yields nothing, whatever was missed between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/family.hpp"
#include "godwit/network.hpp"
#include "godwit/report.hpp"
#include "godwit/strong_id.hpp"
#include "mobility/delta.hpp"

namespace godwit::mobility {

/// Chosen by the owner of the uses; only handed back.
using UseId = StrongId<struct UseIdTag>;

enum class UseKind : std::uint8_t { Registration, Call, Subscription };
const char* to_string(UseKind kind);

/// One family of one interface that has been found to carry nothing, though the system shows it as
/// usable (PathHealth). Taken only where there is nothing else.
struct AvoidedPath {
  std::uint32_t interface_index = 0;
  Family family = Family::None;
  ChangeCause cause = ChangeCause::MediaSilent;  ///< What uses leave it for.
  friend auto operator<=>(const AvoidedPath&, const AvoidedPath&) = default;
};

/// Which paths may be used: what UserAgentConfig says for the whole user agent and what has been
/// found out, or that narrowed down for one use.
struct PathPolicy {
  std::vector<std::string> interfaces = {};    ///< Only these by name; empty: all.
  std::vector<IpAddress> bind_addresses = {};  ///< Exactly these instead of following routes.
  std::vector<AvoidedPath> avoid = {};
  friend auto operator<=>(const PathPolicy&, const PathPolicy&) = default;

  /// Nullptr: it is not avoided.
  const AvoidedPath* avoided(const Path& path) const;
};

struct UsePolicy {
  /// False: the owner does not want this use moved; when affected, its row says Leave.
  bool movable = true;
  std::optional<PathPolicy> paths = {};  ///< Of its signalling; absent: the user agent's.
  /// It moves once its path carries nothing any more, and not for a better one or to be refreshed.
  bool only_when_lost = false;
  /// The same of its media alone.
  bool keep_media = false;
  /// Whether ChangeCause::Forced is meant for it.
  bool asked = true;
  FamilyPolicy signalling = FamilyPolicy::NoPreference;
  FamilyPolicy media = FamilyPolicy::NoPreference;
};

/// A stream of media, which may take another path than the signalling does.
struct MediaLeg {
  Path path;
  Endpoint remote;
  std::optional<PathPolicy> paths = {};  ///< Absent: the user agent's.
};

/// Whatever rides on a path and should survive its end.
struct Use {
  UseId id;
  UseKind kind = UseKind::Call;
  std::string name;  ///< For people, e.g. "call 1"; empty: made from kind and id.
  Path path;         ///< Of the signalling; of a suspended use, the one it had (or none).
  Endpoint remote;   ///< The next hop of the signalling.
  /// Where its work can be done too, e.g. the same server's address of the other family, the best
  /// first; looked at when nothing leads to `remote` or its family is not allowed.
  std::vector<Endpoint> others = {};
  std::vector<MediaLeg> media;
  bool suspended = false;  ///< Waits for a network; nothing is sent.
  UsePolicy policy;
};

enum class Mode : std::uint8_t {
  Leave,            ///< Affected, but its policy forbids to move it.
  Refresh,          ///< Same path, and it should still work: repeat what the peers know of us.
  MakeBeforeBreak,  ///< The old path can still carry: keep it until the new one is proven.
  Resume,           ///< Was suspended; a path is there again (perhaps the very one it had).
  Break,            ///< The old path carries nothing any more: everything goes to the new one now.
  Suspend,          ///< No path: wait.
};
const char* to_string(Mode mode);

/// What to do first. All of one plan starts at once; this is the order when there is much to do.
enum class Urgency : std::uint8_t {
  Immediate,  ///< Someone hears silence.
  Prompt,     ///< Nobody can reach us.
  Relaxed,    ///< The old path still works.
};
const char* to_string(Urgency urgency);

struct LegMove {
  Path from;
  std::optional<Path> to;  ///< Absent: no path for this leg (Suspend), or not to be moved (Leave).
  Mode mode = Mode::Leave;
};

struct PlanRow {
  UseId use;
  UseKind kind = UseKind::Call;
  Path from;               ///< Of the signalling.
  std::optional<Path> to;  ///< Of the signalling. Equal to `from` if only media moves, or in place.
                           ///< Its family may differ from that of `from`. Absent: no path.
  ChangeCause cause = ChangeCause::Forced;
  Urgency urgency = Urgency::Immediate;
  Mode mode = Mode::Leave;  ///< Of the use as a whole: the gravest of its legs, in Mode's order.
  Mode signalling = Mode::Leave;  ///< Of the signalling alone; Leave: it may stay as it is.
  /// The next hop from now on, one of the use's `others`; absent: it stays.
  std::optional<Endpoint> remote = std::nullopt;
  std::vector<LegMove> media;  ///< One for each of the use's legs, in their order.
};

struct RecoveryPlan {
  std::vector<PlanRow> rows;  ///< Most urgent first; calls before others.
  std::string decision;       ///< One line for people; names the first few rows.

  bool empty() const { return rows.empty(); }
  const PlanRow* find(UseId use) const;
  /// True if a row moves its use to a path, now or later: anything but Suspend and Leave.
  bool has_replacement() const;
  /// True if a row does anything at all.
  bool acts() const;
};

/// What each use has to do in `after`. Uses that are well where they are have no row. The causes
/// Forced, Resumed and SameAddressNewNetwork are read from the delta; the rest from the snapshot.
/// `policy` is for the uses and legs that have none of their own.
RecoveryPlan plan(const NetworkSnapshot& after, const Delta& delta, const std::vector<Use>& uses,
                  const PathPolicy& policy = {});

/// Stands for that family's world beyond our own networks, in the question whether there is a way
/// there at all: a documentation address (RFC 5737, RFC 3849).
const IpAddress& somewhere(Family family);

/// The path that a new use towards `remote` shall take: the kernel's choice where it may be
/// advertised, else the best address that may. Never a link-local, CLAT, tentative or deprecated
/// one; unique local (RFC 4193) only towards unique local; loopback only towards loopback, and to
/// loopback nothing else.
std::optional<Path> choose_path(const NetworkSnapshot& snapshot, const IpAddress& remote,
                                const PathPolicy& policy = {});

/// Whether a socket on `path` can still send to `remote`: the address is there (deprecated or not),
/// the interface runs, some route to `remote` leads through it, and `policy` permits it.
bool carries(const NetworkSnapshot& snapshot, const Path& path, const IpAddress& remote,
             const PathPolicy& policy = {});

/// Whether the policy lets a use towards `remote` be on `path`, whatever the network is like.
bool permits(const PathPolicy& policy, const Path& path, const IpAddress& remote);

}  // namespace godwit::mobility
