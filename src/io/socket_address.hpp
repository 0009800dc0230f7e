// SPDX-License-Identifier: Apache-2.0
//
// Endpoint to and from the kernel's sockaddr. Link-local IPv6 carries no zone here: Godwit never
// uses such addresses in SIP or media.
#pragma once

#include <sys/socket.h>

#include "godwit/address.hpp"

namespace godwit::io {

/// Fills `storage`, returns the length that counts; 0 for an endpoint of no family.
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& storage);
/// An IPv4-mapped IPv6 address comes out as IPv4; another family as the default endpoint.
Endpoint from_sockaddr(const sockaddr_storage& storage);

}  // namespace godwit::io
