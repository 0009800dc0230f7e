// SPDX-License-Identifier: Apache-2.0
//
// Whether a UserAgentConfig can be used as it is: numbers within their ranges, texts that can stand
// in a header. Pure; whether the system gives the ports and files is seen when they are opened.
#pragma once

#include "godwit/config.hpp"
#include "godwit/result.hpp"

namespace godwit::ua {

/// InvalidArgument names the setting as the structure does ("media.dscp"), what it may be and what
/// it was.
Result<void> check_config(const UserAgentConfig& config);

}  // namespace godwit::ua
