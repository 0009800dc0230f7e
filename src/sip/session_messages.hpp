// SPDX-License-Identifier: Apache-2.0
//
// Small questions about messages that the parts of InviteSession share. Internal to sip.
#pragma once

#include <string>
#include <string_view>

#include "wire/sip/message.hpp"

namespace godwit::sip {

inline constexpr std::string_view kSdpType = "application/sdp";

/// The body if it is SDP by its Content-Type, else empty.
std::string sdp_of(const wire::Message& message);

}  // namespace godwit::sip
