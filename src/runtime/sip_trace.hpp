// SPDX-License-Identifier: Apache-2.0
//
// SIP messages as text for the log: without what must stay secret and without what could steer the
// terminal it is shown on. Takes any bytes, valid SIP or not.
#pragma once

#include <string>
#include <string_view>

namespace godwit::runtime {

/// Longer messages are cut here, and the text says so.
inline constexpr std::size_t kMaxTrace = 4096;

/// The values of Authorization and Proxy-Authorization and SDP's inline keys (a=crypto, k=) become
/// "(redacted)"; line ends become '\n', other control characters '.'.
std::string redacted_trace(std::string_view message);

}  // namespace godwit::runtime
