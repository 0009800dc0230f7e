// SPDX-License-Identifier: Apache-2.0
#include "io/stream_socket.hpp"

#include <fcntl.h>
// linux/mptcp.h needs the sockaddr types first.
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/socket_address.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {
namespace {

// The kernel's names for them, which Debian's libc headers lack.
constexpr int kProtocolMptcp = 262;
constexpr int kLevelMptcp = 284;

int domain_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

struct Opened {
  Descriptor fd;
  bool multipath = false;
};

Result<Opened> open_socket(const IpAddress& address, Multipath multipath) {
  constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  if (multipath != Multipath::Off) {
    if (multipath_offered()) {
      Descriptor fd(::socket(domain_of(address), kType, kProtocolMptcp));
      if (fd) return Opened{std::move(fd), true};
    }
    if (multipath == Multipath::Required) {
      return fail(ErrorCode::Unsupported, "this system's kernel offers no Multipath TCP");
    }
  }
  Descriptor fd(::socket(domain_of(address), kType, IPPROTO_TCP));
  if (!fd) {
    return fail(ErrorCode::Network,
                std::string("cannot make a TCP socket: ") + std::strerror(errno));
  }
  return Opened{std::move(fd), false};
}

/// What holds for a connection whichever side began it.
void set_connection_options(int fd, const StreamOptions& options) {
  const int on = 1;
  // SIP messages are written whole: there is nothing to wait for (Nagle).
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, on);
  const auto timeout = static_cast<unsigned>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.user_timeout).count());
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, timeout);
}

std::string words(int error) { return std::strerror(error); }

}  // namespace

bool multipath_offered() {
  // EPROTONOSUPPORT: built without it; ENOPROTOOPT: net.mptcp.enabled is 0.
  static const bool offered =
      static_cast<bool>(Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, kProtocolMptcp)));
  return offered;
}

Result<StreamSocket> StreamSocket::connect(const IpAddress& local, const Endpoint& remote,
                                           const StreamOptions& options) {
  const Family family = remote.address.family();
  if (family == Family::None || remote.port == 0 || remote.address.is_unspecified()) {
    return fail(ErrorCode::InvalidArgument, "no address and port to connect to");
  }
  if (local.family() != Family::None && local.family() != family) {
    return fail(ErrorCode::InvalidArgument, "cannot connect to " + remote.to_string() + " from " +
                                                local.to_string() + ": another family");
  }
  auto opened = open_socket(remote.address, options.multipath);
  if (!opened) return tl::unexpected(opened.error());
  const int fd = opened->fd.get();
  tie_to_interface(fd, family, options.interface_name, options.interface_index);
  set_dscp(fd, family, options.dscp);
  set_connection_options(fd, options);
  if (options.check && !options.check(fd)) {
    return tl::unexpected(refused_socket("a connection to " + remote.to_string()));
  }

  sockaddr_storage name;
  if (local.family() != Family::None && !local.is_unspecified()) {
    const int on = 1;
    // The port is chosen when the remote is known: ports are then as many as for each remote.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on);
    const socklen_t length = to_sockaddr({local, 0}, name);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0) {
      return tl::unexpected(bind_error({local, 0}, errno));
    }
  }
  const socklen_t length = to_sockaddr(remote, name);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0 &&
      errno != EINPROGRESS && errno != EINTR) {
    return fail(ErrorCode::Network,
                "cannot connect to " + remote.to_string() + ": " + words(errno));
  }
  const Endpoint bound = local_endpoint(fd);
  return StreamSocket(std::move(opened->fd), bound, remote, opened->multipath);
}

Result<bool> StreamSocket::connected() {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) {
    return fail(ErrorCode::Network,
                "cannot connect to " + remote_.to_string() + ": " + words(error));
  }
  sockaddr_storage name;
  length = sizeof name;
  if (::getpeername(fd_.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) return false;
  local_ = local_endpoint(fd_.get());
  return true;
}

bool StreamSocket::multipath() const {
  if (!asked_multipath_) return false;
  // A connection that fell back is served by TCP's own options, which know no such level.
  mptcp_info info{};
  socklen_t length = sizeof info;
  return ::getsockopt(fd_.get(), kLevelMptcp, MPTCP_INFO, &info, &length) == 0 &&
         (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
}

unsigned StreamSocket::further_paths() const {
  mptcp_info info{};
  socklen_t length = sizeof info;
  if (!asked_multipath_ || ::getsockopt(fd_.get(), kLevelMptcp, MPTCP_INFO, &info, &length) != 0) {
    return 0;
  }
  return info.mptcpi_subflows;
}

Result<std::size_t> StreamSocket::write(Bytes bytes) {
  for (;;) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) return std::size_t{0};
    return fail(ErrorCode::Network, words(errno));
  }
}

Result<StreamSocket::Read> StreamSocket::read(std::span<std::uint8_t> room) {
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), room.data(), room.size(), 0);
    if (got > 0) return Read{static_cast<std::size_t>(got), false};
    if (got == 0) return Read{0, !room.empty()};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Read{};
    return fail(ErrorCode::Network, words(errno));
  }
}

Result<StreamListener> StreamListener::bind(const Endpoint& local, const StreamOptions& options) {
  const Family family = local.address.family();
  if (family == Family::None) {
    return fail(ErrorCode::InvalidArgument, "no address to bind a socket to");
  }
  auto opened = open_socket(local.address, options.multipath);
  if (!opened) return tl::unexpected(opened.error());
  const int fd = opened->fd.get();
  const int on = 1;
  if (family == Family::V6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
  // Connections of an earlier run in TIME-WAIT must not keep the port from us; another listener
  // still does.
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, on);
  tie_to_interface(fd, family, options.interface_name, options.interface_index);
  set_dscp(fd, family, options.dscp);

  sockaddr_storage name;
  const socklen_t length = to_sockaddr(local, name);
  if (options.check && !options.check(fd)) {
    return tl::unexpected(refused_socket(local.to_string()));
  }
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&name), length) != 0 ||
      ::listen(fd, kBacklog) != 0) {
    return tl::unexpected(bind_error(local, errno));
  }
  const Endpoint bound = local_endpoint(fd);
  StreamListener listener(std::move(opened->fd), bound, options, opened->multipath);
  listener.reserve_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return listener;
}

std::optional<StreamSocket> StreamListener::accept() {
  // Each error but these is one connection's own; a bound all the same.
  for (int attempt = 0; attempt < kBacklog; ++attempt) {
    sockaddr_storage name{};
    socklen_t length = sizeof name;
    Descriptor fd(::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&name), &length,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      set_connection_options(fd.get(), options_);
      set_dscp(fd.get(), local_.address.family(), options_.dscp);
      const Endpoint local = local_endpoint(fd.get());
      return StreamSocket(std::move(fd), local, from_sockaddr(name), multipath_);
    }
    if (errno == EMFILE || errno == ENFILE) {
      reserve_.reset();
      Descriptor(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)).reset();
      reserve_ = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      return std::nullopt;
    }
    if (errno == EAGAIN || errno == EBADF || errno == EINVAL) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace godwit::io
