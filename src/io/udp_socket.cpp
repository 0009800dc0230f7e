// SPDX-License-Identifier: Apache-2.0
#include "io/udp_socket.hpp"

// linux/errqueue.h needs struct timespec first.
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/socket_address.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {
namespace {

SendError classify(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM: return {SendFailure::WouldBlock, error};
    case ECONNREFUSED: return {SendFailure::Refused, error};
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EACCES:
    case EPERM: return {SendFailure::Unreachable, error};
    case EADDRNOTAVAIL:
    case ENODEV:
    case ENXIO: return {SendFailure::AddressGone, error};
    case EMSGSIZE: return {SendFailure::TooLarge, error};
    default: return {SendFailure::Other, error};
  }
}

/// Linux answers EINVAL when the source address of an IPv4 socket is no longer on any interface,
/// but also, e.g., for a way from loopback to elsewhere. Only asking for the address again tells.
bool address_is_gone(const IpAddress& address) {
  sockaddr_storage name;
  const socklen_t length = to_sockaddr({address, 0}, name);
  const Descriptor probe(::socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
  return probe && ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0 &&
         errno == EADDRNOTAVAIL;
}

/// An ICMP error of an earlier datagram makes the next system call on the socket fail once.
bool may_be_pending(int error) {
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case EACCES:
    case EMSGSIZE:
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP: return true;
    default: return false;
  }
}

}  // namespace

const char* to_string(SendFailure failure) {
  switch (failure) {
    case SendFailure::WouldBlock: return "would_block";
    case SendFailure::Refused: return "refused";
    case SendFailure::Unreachable: return "unreachable";
    case SendFailure::AddressGone: return "address_gone";
    case SendFailure::TooLarge: return "too_large";
    case SendFailure::Other: return "other";
  }
  return "?";
}

std::string SendError::describe() const {
  return std::string(to_string(failure)) + " (" + std::strerror(system_error) + ")";
}

ReceiveBuffers::ReceiveBuffers(std::size_t count, std::size_t size)
    : size_(size), storage_(count * size), vectors_(count), names_(count), headers_(count) {}

void ReceiveBuffers::prepare() {
  for (std::size_t i = 0; i < headers_.size(); ++i) {
    vectors_[i] = {storage_.data() + i * size_, size_};
    headers_[i] = {};
    headers_[i].msg_hdr.msg_name = &names_[i];
    headers_[i].msg_hdr.msg_namelen = sizeof names_[i];
    headers_[i].msg_hdr.msg_iov = &vectors_[i];
    headers_[i].msg_hdr.msg_iovlen = 1;
  }
}

Result<UdpSocket> UdpSocket::bind(const Endpoint& local, const UdpOptions& options) {
  const Family family = local.address.family();
  if (family == Family::None) {
    return fail(ErrorCode::InvalidArgument, "no address to bind a socket to");
  }
  const int domain = family == Family::V4 ? AF_INET : AF_INET6;
  Descriptor fd(::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!fd) return tl::unexpected(bind_error(local, errno));

  const int on = 1;
  if (family == Family::V6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, on);
  if (options.reuse_address) set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, on);
  // Without IP_RECVERR an unconnected UDP socket never hears of ICMP errors.
  if (family == Family::V4) {
    set_option(fd.get(), IPPROTO_IP, IP_RECVERR, on);
  } else {
    set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVERR, on);
  }
  set_dscp(fd.get(), family, options.dscp);
  // Beyond net.core.rmem_max only with CAP_NET_ADMIN; else the kernel gives what it may.
  if (options.receive_buffer > 0 &&
      !set_option(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, options.receive_buffer)) {
    set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  }
  const bool wants_interface = !options.interface_name.empty() || options.interface_index != 0;
  const bool on_interface =
      wants_interface &&
      tie_to_interface(fd.get(), family, options.interface_name, options.interface_index);

  sockaddr_storage name;
  const socklen_t length = to_sockaddr(local, name);
  if (options.check && !options.check(fd.get())) {
    return tl::unexpected(refused_socket(local.to_string()));
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), length) != 0) {
    return tl::unexpected(bind_error(local, errno));
  }
  const Endpoint bound = local_endpoint(fd.get());
  return UdpSocket(std::move(fd), bound, on_interface);
}

std::optional<SendError> UdpSocket::send(const Endpoint& remote, Bytes bytes) {
  // To the kernel 0.0.0.0 is this host, and port 0 an invalid argument; a peer that names them in
  // SDP means nothing by it.
  if (remote.port == 0 || remote.address.is_unspecified()) {
    return SendError{SendFailure::Unreachable, EDESTADDRREQ};
  }
  sockaddr_storage name;
  const socklen_t length = to_sockaddr(remote, name);
  if (length == 0) return SendError{SendFailure::Unreachable, EAFNOSUPPORT};
  for (int attempt = 0;; ++attempt) {
    const ssize_t sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL,
                                  reinterpret_cast<const sockaddr*>(&name), length);
    if (sent >= 0) return std::nullopt;
    const int error = errno;
    if (error == EINTR) continue;  // Without a count of its own: signals are rare.
    // It may be an earlier datagram's error, to another remote even: it is noted for take_errors(),
    // and this datagram gets its own chance. One more may be pending behind it, hence two tries.
    if (attempt >= 2 || !may_be_pending(error)) {
      if (error == EINVAL && address_is_gone(local_.address)) {
        return SendError{SendFailure::AddressGone, EADDRNOTAVAIL};
      }
      return classify(error);
    }
    errors_ = take_errors();
  }
}

std::vector<UdpSocket::Unsent> UdpSocket::send_batch(
    std::span<const std::pair<Endpoint, Bytes>> datagrams) {
  constexpr std::size_t kAtOnce = 64;
  std::array<sockaddr_storage, kAtOnce> names;
  std::array<iovec, kAtOnce> vectors;
  std::array<mmsghdr, kAtOnce> headers;
  std::vector<Unsent> unsent;
  for (std::size_t at = 0; at < datagrams.size();) {
    const std::size_t room = std::min(datagrams.size() - at, kAtOnce);
    std::size_t count = 0;
    for (; count < room; ++count) {
      const auto& [remote, bytes] = datagrams[at + count];
      if (remote.port == 0 || remote.address.is_unspecified()) break;  // As in send().
      const socklen_t length = to_sockaddr(remote, names[count]);
      if (length == 0) break;
      // The kernel only reads them, but its interface knows no const.
      vectors[count] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
      headers[count] = {};
      headers[count].msg_hdr.msg_name = &names[count];
      headers[count].msg_hdr.msg_namelen = length;
      headers[count].msg_hdr.msg_iov = &vectors[count];
      headers[count].msg_hdr.msg_iovlen = 1;
    }
    const int sent = count == 0 ? 0
                                : ::sendmmsg(fd_.get(), headers.data(),
                                             static_cast<unsigned>(count), MSG_NOSIGNAL);
    if (sent > 0) at += static_cast<std::size_t>(sent);
    // The one that stopped it gets send()'s care: it may suffer for an earlier one's ICMP error.
    if (sent < static_cast<int>(room) && at < datagrams.size()) {
      if (const auto error = send(datagrams[at].first, datagrams[at].second)) {
        unsent.push_back({at, *error});
      }
      ++at;
    }
  }
  return unsent;
}

std::size_t UdpSocket::receive(ReceiveBuffers& buffers, std::size_t limit,
                               const std::function<void(const Datagram&)>& take) {
  std::size_t total = 0;
  int failures = 0;
  while (total < limit) {
    buffers.prepare();
    const auto room = static_cast<unsigned>(std::min(buffers.headers_.size(), limit - total));
    const int got = ::recvmmsg(fd_.get(), buffers.headers_.data(), room, MSG_DONTWAIT, nullptr);
    if (got < 0) {
      // A pending ICMP error is reported once and cleared by that; take_errors() has the details.
      if (errno == EAGAIN || ++failures > 4) break;
      continue;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      const mmsghdr& header = buffers.headers_[i];
      const std::size_t length = std::min<std::size_t>(header.msg_len, buffers.size_);
      take({from_sockaddr(buffers.names_[i]),
            Bytes(buffers.storage_.data() + i * buffers.size_, length),
            (header.msg_hdr.msg_flags & MSG_TRUNC) != 0});
    }
    total += static_cast<std::size_t>(got);
    if (static_cast<unsigned>(got) < room) break;
  }
  return total;
}

std::vector<IcmpError> UdpSocket::take_errors() {
  constexpr std::size_t kAtOnce = 16;
  std::vector<IcmpError> taken = std::exchange(errors_, {});
  while (taken.size() < kAtOnce) {
    sockaddr_storage name{};
    std::array<std::uint8_t, 1> payload{};
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    iovec vector{payload.data(), payload.size()};
    msghdr header{};
    header.msg_name = &name;
    header.msg_namelen = sizeof name;
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    if (::recvmsg(fd_.get(), &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) break;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
      const bool ours = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                        (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
      if (!ours) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(part), sizeof error);
      taken.push_back({from_sockaddr(name), classify(static_cast<int>(error.ee_errno))});
    }
  }
  return taken;
}

Result<RtpSockets> bind_rtp_pair(const IpAddress& local, std::uint16_t port_min,
                                 std::uint16_t port_max, Random& random, const UdpOptions& options,
                                 const SocketCheck& check_rtcp) {
  UdpOptions rtcp_options = options;
  rtcp_options.check = check_rtcp;
  const std::uint32_t first = (std::uint32_t{port_min} + 1U) & ~1U;
  if (first == 0 || first + 1 > port_max) {
    return fail(ErrorCode::InvalidArgument, "no even RTP port with its odd RTCP port from " +
                                                std::to_string(port_min) + " to " +
                                                std::to_string(port_max));
  }
  const std::uint32_t pairs = (port_max + 1U - first) / 2U;
  const auto start = static_cast<std::uint32_t>(random.between(0, pairs - 1));
  for (std::uint32_t i = 0; i < pairs; ++i) {
    const auto port = static_cast<std::uint16_t>(first + 2U * ((start + i) % pairs));
    auto rtp = UdpSocket::bind({local, port}, options);
    if (!rtp) {
      // Only a taken port is a reason to try the next one.
      if (rtp.error().code == ErrorCode::Busy) continue;
      return tl::unexpected(rtp.error());
    }
    auto rtcp = UdpSocket::bind({local, static_cast<std::uint16_t>(port + 1)}, rtcp_options);
    if (rtcp) return RtpSockets{std::move(*rtp), std::move(*rtcp)};
    if (rtcp.error().code != ErrorCode::Busy) return tl::unexpected(rtcp.error());
  }
  return fail(ErrorCode::Busy, "every RTP port from " + std::to_string(port_min) + " to " +
                                   std::to_string(port_max) + " on " + local.to_string() +
                                   " is taken");
}

}  // namespace godwit::io
