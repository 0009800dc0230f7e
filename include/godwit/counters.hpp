// SPDX-License-Identifier: Apache-2.0
//
// What a user agent has dropped or refused: for operators who wonder what its log means, and for
// tests. Values since the start; each only ever grows.
#pragma once

#include <cstdint>

namespace godwit {

struct Counters {
  std::uint64_t datagrams = 0;           ///< All that came in for SIP.
  std::uint64_t unparseable = 0;         ///< Dropped: not SIP, or beyond a limit.
  std::uint64_t malformed_answered = 0;  ///< Requests answered with 400 and the like.
  std::uint64_t malformed_dropped = 0;   ///< Responses, and requests that cannot be answered.
  std::uint64_t keepalives = 0;          ///< Empty or CRLF datagrams.
  std::uint64_t stray = 0;               ///< Responses and ACKs that belong to nothing.
  std::uint64_t refused_busy = 0;        ///< Requests beyond a limit, answered with 503.
  std::uint64_t stale_inputs = 0;        ///< The driver's answers to what was given up meanwhile.
};

}  // namespace godwit
