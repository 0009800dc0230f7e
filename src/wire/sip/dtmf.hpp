// SPDX-License-Identifier: Apache-2.0
//
// DTMF digits in the body of an INFO, the legacy usage that RFC 6086 Appendix A speaks of: the two
// content types that are in use everywhere, and were never standardised. Values only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::wire {

struct DtmfSignal {
  char digit = '0';                         ///< 0-9, *, #, A-D.
  std::chrono::milliseconds duration{250};  ///< 1 to 5 000 ms.
};

/// 0-9, *, #, A-D (also in lower case, given back as upper case); else nullopt.
std::optional<char> dtmf_digit(char text);

/// application/dtmf-relay: "Signal=5" and "Duration=160" in lines of their own. A duration outside
/// its range is brought into it. The digit may be its number of RFC 4733 (10 is *, 11 is #).
std::optional<DtmfSignal> parse_dtmf_relay(std::string_view body);
std::string to_dtmf_relay(const DtmfSignal& signal);
/// application/dtmf: the digit alone.
std::optional<DtmfSignal> parse_dtmf(std::string_view body);

}  // namespace godwit::wire
