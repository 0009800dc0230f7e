// SPDX-License-Identifier: Apache-2.0
//
// The Reason header (RFC 3326): text to value and back. Judges no cause.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "godwit/header.hpp"
#include "wire/sip/message.hpp"

namespace godwit::wire {

/// RFC 3326 §2: `SIP;cause=200;text="Call completed elsewhere"`. A cause that is no number up to
/// 999 counts as none; text is cut after 256 bytes.
std::optional<ReasonHeader> parse_reason(std::string_view text);
/// The first of protocol SIP, else the first that there is.
std::optional<ReasonHeader> reason_of(const Message& message);
std::string to_string(const ReasonHeader& reason);

}  // namespace godwit::wire
