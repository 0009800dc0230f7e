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

  /// Tell the addresses that UserAgentConfig::stun_servers see, in Contact and SDP, to servers and
  /// peers beyond a NAT; after a change as at the beginning of a call. An offer from a private
  /// address waits for them up to one and a half round trips, 150 ms at the most; what comes later
  /// is told by one more offer. Off: this account tells our own addresses, and what its registrar
  /// sees.
  bool use_stun = true;
};

/// What handle_ip_change() shall do beyond what the snapshots say.
struct IpChangeOptions {
  /// Refresh every registration and call even if their path looks unchanged.
  bool force = true;
};

}  // namespace godwit
