// SPDX-License-Identifier: Apache-2.0
#include "lab/device.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>

namespace godwit::lab {
namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

Result<Fd> open_tun(const std::string& name) {
  Fd fd{::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  if (!fd) return system_error("/dev/net/tun");
  ifreq request = request_for(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) return system_error("TUNSETIFF " + name);
  return fd;
}

/// A veth leaves checksums and segmentation to hardware that is not there; we read the packets
/// before anybody would have made up for it.
Result<void> switch_offloads_off(int socket, const std::string& name) {
  for (const std::uint32_t what : {ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO}) {
    ethtool_value value{what, 0};
    ifreq request = request_for(name);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (::ioctl(socket, SIOCETHTOOL, &request) != 0) return system_error("ethtool " + name);
  }
  return {};
}

Result<Fd> open_packet_socket(const std::string& end) {
  Fd fd{::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return system_error("packet socket");
  const int on = 1;
  const int buffer = 4 << 20;
  ::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = htons(ETH_P_ALL);
  local.sll_ifindex = static_cast<int>(::if_nametoindex(end.c_str()));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) {
    return system_error("packet socket on " + end);
  }
  return fd;
}

}  // namespace

Result<Device> Device::create(NetNs& ns, const std::string& name) {
  auto tun = create(ns, name, Kind::Tun);
  if (tun) return tun;
  auto veth = create(ns, name, Kind::Veth);
  if (veth) return veth;
  return fail(ErrorCode::Io, tun.error().detail + "; " + veth.error().detail);
}

Result<Device> Device::create(NetNs& ns, const std::string& name, Kind kind) {
  Device device;
  if (kind == Kind::Tun) {
    Result<Fd> fd;
    ns.run([&] { fd = open_tun(name); });
    if (!fd) return tl::unexpected(fd.error());
    device.fd_ = std::move(*fd);
    return device;
  }

  const std::string end = name + kLinkEndSuffix;
  if (auto r = ns.ip_batch(fmt::format("link add name {0} type veth peer name {1}\n"
                                       "link set {0} arp off\nlink set {1} arp off up\n",
                                       name, end));
      !r) {
    return tl::unexpected(r.error());
  }
  Result<Fd> fd;
  sockaddr_ll peer{};
  ns.run([&] {
    fd = open_packet_socket(end);
    if (!fd) return;
    if (auto r = switch_offloads_off(fd->get(), name); !r) {
      fd = tl::unexpected(r.error());
      return;
    }
    ifreq request = request_for(name);
    if (::ioctl(fd->get(), SIOCGIFHWADDR, &request) != 0) {
      fd = system_error("hardware address of " + name);
      return;
    }
    peer.sll_family = AF_PACKET;
    peer.sll_ifindex = static_cast<int>(::if_nametoindex(end.c_str()));
    peer.sll_halen = ETH_ALEN;
    std::memcpy(peer.sll_addr, request.ifr_hwaddr.sa_data, ETH_ALEN);
  });
  if (!fd) return tl::unexpected(fd.error());
  device.fd_ = std::move(*fd);
  device.peer_ = peer;
  return device;
}

std::size_t Device::read(std::span<std::uint8_t> buffer) const {
  const ssize_t length = ::read(fd_.get(), buffer.data(), buffer.size());
  return length > 0 ? static_cast<std::size_t>(length) : 0;
}

void Device::write(std::span<const std::uint8_t> packet) const {
  if (packet.empty()) return;
  if (!peer_) {
    const ssize_t ignored = ::write(fd_.get(), packet.data(), packet.size());
    static_cast<void>(ignored);
    return;
  }
  sockaddr_ll to = *peer_;
  to.sll_protocol = htons(packet[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP);
  ::sendto(fd_.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to),
           sizeof to);
}

}  // namespace godwit::lab
