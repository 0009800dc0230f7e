// SPDX-License-Identifier: Apache-2.0
//
// Where a request leaves to when its next hop is an address literal, which needs no name service:
// everything else is resolved by ua. Pure.
#pragma once

#include <string_view>

#include "sip/flow.hpp"

namespace godwit::sip {

/// `flow` with the remote endpoint that the URI names, if that is a literal of the flow's family;
/// else unchanged. RFC 3263 §4: the port is 5060 where the URI has none.
Flow towards(Flow flow, std::string_view uri);

}  // namespace godwit::sip
