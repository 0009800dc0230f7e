// SPDX-License-Identifier: Apache-2.0
#include "io/socket_options.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/socket_address.hpp"

namespace godwit::io {

namespace {

bool is_loopback(int fd, const std::string& name, std::uint32_t index) {
  ifreq request{};
  if (!name.empty()) {
    std::copy_n(name.data(), std::min(name.size(), sizeof request.ifr_name - 1), request.ifr_name);
  } else if (::if_indextoname(index, request.ifr_name) == nullptr) {
    return false;
  }
  return ::ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_LOOPBACK) != 0;
}

}  // namespace

bool tie_to_interface(int fd, Family family, const std::string& name, std::uint32_t index) {
  if (is_loopback(fd, name, index)) return false;
  if (!name.empty() && ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.c_str(),
                                    static_cast<socklen_t>(name.size() + 1)) == 0) {
    return true;
  }
  if (index == 0 && !name.empty()) index = ::if_nametoindex(name.c_str());
  if (index == 0) return false;
  // Both options take the index in network byte order.
  const std::uint32_t wire_index = htonl(index);
  return family == Family::V4 ? set_option(fd, IPPROTO_IP, IP_UNICAST_IF, wire_index)
                              : set_option(fd, IPPROTO_IPV6, IPV6_UNICAST_IF, wire_index);
}

void set_dscp(int fd, Family family, std::uint8_t dscp) {
  if (dscp == 0) return;
  const int tos = dscp << 2;
  if (family == Family::V4) {
    set_option(fd, IPPROTO_IP, IP_TOS, tos);
  } else {
    set_option(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
  }
}

Error refused_socket(const std::string& for_what) {
  return {ErrorCode::Rejected, "the application refused the socket for " + for_what};
}

Error bind_error(const Endpoint& local, int error) {
  std::string detail = "cannot use " + local.to_string() + ": ";
  if (error == EADDRINUSE) {
    detail += "another program has this port";
  } else if (error == EADDRNOTAVAIL) {
    detail += "no interface has this address";
  } else if (error == EACCES) {
    detail += "ports below 1024 need more rights";
  } else {
    detail += std::strerror(error);
  }
  return {error == EADDRINUSE ? ErrorCode::Busy : ErrorCode::Network, detail};
}

Endpoint local_endpoint(int fd) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return {};
  return from_sockaddr(name);
}

}  // namespace godwit::io
