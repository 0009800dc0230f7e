// SPDX-License-Identifier: Apache-2.0
//
// Small questions about messages that the parts of InviteSession share. Internal to sip.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sip/session_events.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {

inline constexpr std::string_view kSdpType = "application/sdp";

/// The option tag of RFC 3262.
inline constexpr std::string_view kReliableTag = "100rel";

/// RSeq (RFC 3262 §7.1), from 1 to 2³²-1; nullopt if missing or wrong.
std::optional<std::uint32_t> rseq_of(const wire::Message& response);

/// The body if it is SDP by its Content-Type, else empty.
std::string sdp_of(const wire::Message& message);

/// The end that the peer's BYE or CANCEL brings, with the Reason that it gives.
Ended ended_by_peer(int status, std::string what, const wire::Message& message);

}  // namespace godwit::sip
