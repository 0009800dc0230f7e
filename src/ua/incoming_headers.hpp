// SPDX-License-Identifier: Apache-2.0
//
// What an INVITE says of who calls and how the call came here, put into the event that tells the
// application. Bounded: a stranger chooses how much there is to read. Decides nothing.
#pragma once

#include "godwit/event.hpp"
#include "wire/sip/message.hpp"

namespace godwit::ua {

/// Limits of what one event carries; more is left out.
inline constexpr std::size_t kMaxShownHeaders = 32;
inline constexpr std::size_t kMaxShownBytes = 4096;
inline constexpr std::size_t kMaxDiversions = 16;

/// From, To, Diversion (RFC 5806), History-Info (RFC 7044) and the headers that are nobody else's
/// business. P-Asserted-Identity only if `trusted`: anybody can write one (RFC 3325 §5).
void read_caller(const wire::Message& invite, bool trusted, IncomingCall& event);

}  // namespace godwit::ua
