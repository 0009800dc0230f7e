// SPDX-License-Identifier: Apache-2.0
//
// SIP status codes' default reason phrases (the IANA registry's), nothing more.
#pragma once

#include <string_view>

namespace godwit::wire {

/// "Busy Here" for 486; for an unregistered code that of its class, e.g. "Client Error".
std::string_view reason_phrase(int status);

}  // namespace godwit::wire
