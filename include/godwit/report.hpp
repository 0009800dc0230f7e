// SPDX-License-Identifier: Apache-2.0
//
// The evidence of one IP change: what was seen, what was decided and why, each step with its start
// and end, and each call's silence. A value; made by the recovery, handed out with the
// IpChangeCompleted event. All times are since `detected_at` unless said otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit {

/// Why a change was recognised; several may hold at once.
enum class ChangeCause : std::uint8_t {
  AddressLost,
  AddressGained,
  DefaultRouteMoved,
  RouteToRemoteMoved,
  LinkDown,
  FamilyLost,
  FamilyGained,
  NetworkLost,
  NetworkReturned,
  SameAddressNewNetwork,
  Resumed,
  Forced,
  // Of the health of a path whose address stays; see mobility/path_health.hpp.
  MediaSilent,          ///< No audio came, and the server answered over another path only.
  KeepAliveUnanswered,  ///< The same of keep-alives (RFC 5626 §4.4) …
  RegisterUnanswered,   ///< … of REGISTER …
  PathUnreachable,      ///< … and of ICMP errors or refusals to send.
  NothingCarried,       ///< A new network has an address, but no answer comes through it.
  PathReturned,         ///< A path that was given up for one of these answers again.
};
const char* to_string(ChangeCause cause);

enum class StepKind : std::uint8_t {
  ListenerOpened,
  MediaMoved,      ///< First RTP packet handed to the new path.
  ContactUpdated,  ///< REGISTER answered.
  CallRefreshed,   ///< Target refresh answered.
  CallAudible,     ///< First RTP packet received on the new path.
  CallHungUp,      ///< `ok`: as its policy says, and the peer knows; else it was lost.
  CallSuspended,
  CallResumed,
  StreamShutDown,     ///< A TCP or TLS connection was closed; `detail` has its two ends, and why.
  SubscriptionMoved,  ///< SUBSCRIBE answered.
  PublicationMoved,   ///< PUBLISH answered.
};
const char* to_string(StepKind kind);

struct IpChangeStep {
  StepKind kind;
  AccountId account;  ///< 0 where it does not apply.
  CallId call;        ///< 0 where it does not apply.
  Duration started{};
  std::optional<Duration> ended;  ///< Absent: never finished.
  bool ok = false;
  int status = 0;            ///< SIP status code, 0 where none.
  std::string detail;        ///< Why it failed, or what was chosen; empty when plain.
  std::uint32_t reg_id = 0;  ///< ContactUpdated: by which of the account's flows; 0 elsewhere.
  SubscriptionId subscription = {};  ///< 0 where it does not apply.
  PublicationId publication = {};    ///< 0 where it does not apply.
};

/// What one call went through.
struct CallImpact {
  CallId call;
  Endpoint old_local;  ///< Media path before.
  Endpoint new_local;  ///< Media path after.
  bool survived = false;
  /// Longest pause between two received RTP packets across the change; absent: none expected.
  std::optional<Duration> silence_down;
  /// Longest pause between two sent RTP packets across the change; absent: none sent.
  std::optional<Duration> silence_up;
  std::uint32_t lost_down = 0;  ///< Gap in the received RTP sequence numbers.
};

struct IpChangeReport {
  Generation generation;
  TimePoint detected_at;
  std::vector<ChangeCause> causes;
  std::string
      decision;  ///< The plan in one line, e.g. "call 1: wlan0 10.1.0.2 -> wwan0 10.2.0.2, break".
  std::vector<IpChangeStep> steps;
  std::vector<CallImpact> calls;
  std::optional<Duration> completed;  ///< Every use committed or given up.
  bool superseded = false;            ///< A newer change took over.

  /// One JSON object; durations in milliseconds.
  std::string to_json() const;
};

}  // namespace godwit
