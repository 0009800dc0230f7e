// SPDX-License-Identifier: Apache-2.0
//
// What an application may not ask for around a change of the address. Pure functions; owned by
// nobody. Whether it can be done at this moment is the core's to say.
#pragma once

#include "godwit/ip_change.hpp"
#include "godwit/result.hpp"

namespace godwit::ua {

/// InvalidArgument: a deadline out of range, or a refresh that would tell the peer nothing.
Result<void> check_policy(const IpChangePolicy& policy);
/// InvalidArgument: nothing is to be done, or more accounts are named than anybody has.
Result<void> check_options(const IpChangeOptions& options);
/// InvalidArgument: it would tell nothing, new media would not be offered, or `target` is no SIP
/// URI.
Result<void> check_refresh(const CallRefresh& refresh);

}  // namespace godwit::ua
