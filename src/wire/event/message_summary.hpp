// SPDX-License-Identifier: Apache-2.0
//
// The body of a message-summary notification (RFC 3842 §5.2, application/simple-message-summary):
// is anything in the mailbox, and how much of which kind. A value; reads and judges nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/result.hpp"

namespace godwit::wire {

struct MessageSummary {
  bool waiting = false;
  std::string account;  ///< Message-Account: a URI; empty: not said.
  /// Of one message class, e.g. "voice-message", in lower case.
  struct Count {
    std::string kind;
    std::uint32_t fresh = 0;
    std::uint32_t old = 0;
    std::uint32_t urgent_fresh = 0;
    std::uint32_t urgent_old = 0;
  };
  std::vector<Count> counts;
};

/// Kinds in one summary; RFC 3458 registers five. More are left out.
inline constexpr std::size_t kMaxMessageKinds = 16;

/// Malformed without a Messages-Waiting line that says yes or no, or with a count that is none.
/// What follows the empty line (headers of single messages) is not read.
Result<MessageSummary> parse_message_summary(std::string_view body);

}  // namespace godwit::wire
