// SPDX-License-Identifier: Apache-2.0
//
// Address prefixes: which remotes an interface address reaches without a router.
#pragma once

#include "godwit/network.hpp"

namespace godwit::mobility {

/// Leading bits that two addresses of one family share; 0 for different families.
unsigned common_prefix(const IpAddress& a, const IpAddress& b);

/// Whether `remote` is in the subnet of `local`. A prefix of 0 or of all bits names no subnet,
/// except that an address always reaches itself.
bool on_link(const InterfaceAddress& local, const IpAddress& remote);

}  // namespace godwit::mobility
