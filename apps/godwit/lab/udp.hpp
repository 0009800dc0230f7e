// SPDX-License-Identifier: Apache-2.0
//
// UDP sockets of the laboratory itself, opened inside a namespace and then usable from any thread:
// for probes and tests, not for the parties of a call.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "lab/fd.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

SocketAddress to_sockaddr(const Endpoint& endpoint);
Result<Fd> open_udp(NetNs& ns, const Endpoint& local);

}  // namespace godwit::lab
