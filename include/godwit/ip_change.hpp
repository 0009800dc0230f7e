// SPDX-License-Identifier: Apache-2.0
//
// What is done when the address changes: of each account (IpChangePolicy), and at one call of
// handle_ip_change() (IpChangeOptions). Plain values with the defaults a phone's user wants:
// everything automatic, calls kept.
#pragma once

#include <chrono>
#include <cstdint>

#include "godwit/time.hpp"

namespace godwit {

/// What one account does when the address changes. Later versions add knobs; defaults stay.
struct IpChangePolicy {
  bool update_contact = true;  ///< REGISTER again from the new path.
  bool refresh_calls = true;   ///< Target refresh with a new offer for each affected call.
  bool hang_up_calls = false;  ///< End affected calls instead of moving them.
  /// How long a call may stay without any network, or without an answer, before it is given up.
  Duration recovery_deadline = std::chrono::seconds(64);

  /// A path can go dead with its address kept (a Wi-Fi that fades). When audio that should come has
  /// not come for 200 ms, or keep-alives or a REGISTER stay unanswered, the server is asked over
  /// that path and another one at once; if it answers only there, calls and registration move. Off:
  /// only what the system says of its networks moves them.
  bool leave_dead_paths = true;
  /// While the old path works, a better one is taken only when the server has answered over it: a
  /// captive portal does not get the call. Off: it is taken at once, and left when a call's refresh
  /// is not answered.
  bool prove_new_paths = true;
};

/// What handle_ip_change() shall do beyond what the snapshots say.
struct IpChangeOptions {
  /// Refresh every registration and call even if their path looks unchanged.
  bool force = true;
};

}  // namespace godwit
