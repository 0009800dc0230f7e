// SPDX-License-Identifier: Apache-2.0
//
// Says whether a message that parsed can be acted on, and if not, with which status a request is to
// be answered. Stateless; knows nothing of what this user agent supports (that is 405, 415, 420, …,
// the transaction user's).
#pragma once

#include <optional>
#include <string_view>

#include "wire/sip/message.hpp"

namespace godwit::wire {

struct Defect {
  int status;             ///< 400, 416 or 505. A response with a defect is dropped.
  std::string_view what;  ///< A static phrase that names the header; fit for the reason phrase.
};

/// The first defect found, nullopt if there is none.
///
/// Checked: the request line and version; lines that are no headers, bare CR; Content-Length; that
/// To, From, Call-ID and CSeq are there exactly once and well-formed, the CSeq number below 2³¹ and
/// its method that of the request; that there is a Via and each is well-formed; Max-Forwards 0 to
/// 255, at most once; the Request-URI (416 for a scheme other than sip, sips, tel); each Contact,
/// Route and Record-Route. Not required, for RFC 2543 peers: Max-Forwards, From tag, branch
/// (RFC 4475 §3.1.1.13, inv2543).
std::optional<Defect> validate(const Message& message);

}  // namespace godwit::wire
