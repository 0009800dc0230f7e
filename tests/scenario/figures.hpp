// SPDX-License-Identifier: Apache-2.0
//
// What one change of address cost, from packet arrivals at both ends, and its comparison with the
// limits of the project and with what the phone reported of itself. Used by the move scenarios.
#pragma once

#include "world.hpp"

namespace godwit::scenario {

struct MoveFigures {
  Duration silence_up{};       ///< Longest pause of arrivals at the peer …
  Duration silence_down{};     ///< … and at the phone, from just before the change on.
  std::size_t missing_up = 0;  ///< Sequence numbers that never arrived.
  std::size_t missing_down = 0;
  std::optional<Duration> first_rtp;  ///< From the snapshot to the first RTP from the new address.
  std::optional<Duration> first_register;  ///< From the snapshot, likewise.
  std::optional<Duration> first_invite;
};

/// Of a change made at `changed`; all packets until now are looked at.
MoveFigures measure_move(World& world, TimePoint changed, const IpAddress& new_address);

/// Sequence numbers missing among the packets that arrived within [from, to).
std::size_t missing(const testing::RtpRecord& record, TimePoint from, TimePoint to);

/// Between the last RTP packet that the network took from the phone before its first one from
/// `new_address`, and that one.
Duration pause_before_first_packet(World& world, TimePoint changed, const IpAddress& new_address);

const IpChangeStep* find_step(const IpChangeReport& report, StepKind kind);
bool has_cause(const IpChangeReport& report, ChangeCause cause);

/// Everything that a completed move must leave behind: the call talks at `address`, the registrar
/// knows that address and no other, and the session went on as one.
void expect_moved(World& world, const IpAddress& address);

}  // namespace godwit::scenario
