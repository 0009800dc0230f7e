// SPDX-License-Identifier: Apache-2.0
//
// What UDP and TCP sockets ask of the kernel in the same words: the way out, the class of service,
// and why an address cannot be used. Functions on a descriptor that somebody else owns.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>

#include "godwit/address.hpp"
#include "godwit/result.hpp"

namespace godwit::io {

/// Sees a new socket before it is bound or connected; false: it may not be used. Must not throw.
using SocketCheck = std::function<bool(int descriptor)>;
/// What a refused socket is refused with.
Error refused_socket(const std::string& for_what);

template <typename Value>
bool set_option(int fd, int level, int name, const Value& value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// Ties the socket to the interface: with SO_BINDTODEVICE, else with IP_UNICAST_IF /
/// IPV6_UNICAST_IF, which chooses the way out but does not filter what comes in. False if neither
/// works, or neither a name nor an index is given. The loopback interface ties nothing: with a
/// server on this host it is the way to the server, but not to the peers that the same socket must
/// reach.
bool tie_to_interface(int fd, Family family, const std::string& name, std::uint32_t index);

/// `dscp` is the upper six bits of the TOS octet, 0 … 63; 0 leaves the system's default.
void set_dscp(int fd, Family family, std::uint8_t dscp);

/// Why `local` cannot be bound, by errno, in words for a person.
Error bind_error(const Endpoint& local, int error);

/// The address that the socket has now; the default endpoint if it has none.
Endpoint local_endpoint(int fd);

}  // namespace godwit::io
