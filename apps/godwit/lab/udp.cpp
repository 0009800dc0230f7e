// SPDX-License-Identifier: Apache-2.0
#include "lab/udp.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace godwit::lab {

SocketAddress to_sockaddr(const Endpoint& e) {
  SocketAddress result;
  if (e.address.is_v6()) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(e.port);
    std::memcpy(&in6.sin6_addr, e.address.bytes().data(), 16);
    result.length = sizeof in6;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(result.storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(e.port);
    std::memcpy(&in.sin_addr, e.address.bytes().data(), 4);
    result.length = sizeof in;
  }
  return result;
}

Result<Fd> open_udp(NetNs& ns, const Endpoint& local) {
  Result<Fd> result;
  ns.run([&] {
    Fd fd{::socket(local.address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const SocketAddress at = to_sockaddr(local);
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at.storage), at.length) != 0) {
      result = system_error("UDP socket on " + local.to_string());
      return;
    }
    result = std::move(fd);
  });
  return result;
}

}  // namespace godwit::lab
