// SPDX-License-Identifier: Apache-2.0
//
// The body by which a transfer's progress is told (RFC 3420 message/sipfrag, as RFC 3515 §2.4.5
// uses it): a status line, of which nothing but that is read. Values only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace godwit::wire {

struct SipfragStatus {
  int status = 0;  ///< 100 to 699.
  std::string reason;
};

/// The status line at the beginning of the body; nullopt if there is none. The reason is cut at 128
/// bytes.
std::optional<SipfragStatus> parse_sipfrag(std::string_view body);
/// "SIP/2.0 200 OK" and a line end.
std::string to_sipfrag(int status, std::string_view reason = {});

}  // namespace godwit::wire
