// SPDX-License-Identifier: Apache-2.0
//
// One run of the demo: network, server, callee and phone are started, a call is made, the phone
// moves a number of times while audio flows both ways, and what the capture saw is turned into
// figures. `godwit demo` shows one run, `godwit lab` several.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "lab/analysis.hpp"
#include "lab/network.hpp"

namespace godwit::lab {

enum class ServerKind : std::uint8_t { Embedded, Kamailio };
const char* to_string(ServerKind kind);
/// "4", "6", or of a change between them "4-6".
std::string to_string(const Families& families);

struct ScenarioOptions {
  ServerKind server = ServerKind::Embedded;
  Signalling signalling = Signalling::Udp;  ///< Of the phone.
  Families families;
  Trigger trigger = Trigger::AddressLost;
  Duration rtt = std::chrono::milliseconds(50);
  Duration jitter{};
  double loss = 0;
  Duration slack{};  ///< Added to the limits: for machines that have other work.
  int moves = 2;
  bool hold_each_move = false;  ///< To the limits of silence, not only the median.
  std::uint64_t seed = 1;
  std::string pcap_directory;  ///< Empty: no files.
};

/// How a run tells what happens meanwhile; called on the thread that runs it.
struct ScenarioObserver {
  /// `line`: something happened, `since_start` ago measured from the run's start.
  std::function<void(Duration since_start, const std::string& line)> happened;
  /// Called a few times a second with packets per second arriving in each direction.
  std::function<void(Duration since_start, double down, double up)> audio;
  /// True: give up as soon as possible, e.g. after Ctrl-C.
  std::function<bool()> interrupted;
};

struct MoveResult {
  Move move;
  MoveFigures figures;
  std::vector<std::string> failures;
  Duration kernel_notice{};  ///< T0 to the kernel's own message about the deleted address.
  Duration link_lateness{};  ///< Most that the link itself was late: the machine's doing.
};

/// A link later than this says that the machine was too busy to measure on.
inline constexpr Duration kTrustedLateness = std::chrono::milliseconds(3);

struct Outcome {
  ScenarioOptions options;
  Limits limits;
  Duration measured_rtt{};
  std::string link;  ///< "tun" or "veth".
  std::vector<MoveResult> moves;
  Summary summary;
  std::vector<std::string> failures;  ///< Of the run as a whole; empty and no move failed: PASS.
  std::string log_directory;          ///< Kept if the run failed, else empty.
  bool passed() const;
};

/// One outcome for each direction, where the moves change the family; else the outcome as it is.
std::vector<Outcome> by_direction(const Outcome& outcome);

/// Fails only where there is no run at all: ErrorCode::Unsupported if namespaces or devices are not
/// to be had (the degraded demo is possible), else something else. NetNs::prepare_process() first.
Result<Outcome> run_scenario(const ScenarioOptions& options, const ScenarioObserver& observer);

}  // namespace godwit::lab
