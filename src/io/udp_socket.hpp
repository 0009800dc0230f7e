// SPDX-License-Identifier: Apache-2.0
//
// A non-blocking UDP socket bound to exactly one local address, for SIP, RTP and RTCP. Receives in
// batches with a limit per wake-up, and reports what the kernel and ICMP say about datagrams sent
// before as values. Owns its descriptor; decides nothing, retries nothing of its own.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "io/descriptor.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {

/// What became of sending, or of something sent before.
enum class SendFailure : std::uint8_t {
  WouldBlock,   ///< The socket's buffer is full: this datagram is lost, the next may pass.
  Refused,      ///< ICMP port unreachable: the host is there, nobody listens.
  Unreachable,  ///< No route, or ICMP host or network unreachable, or administratively forbidden.
  AddressGone,  ///< The local address or interface is no more: this socket will never send again.
  TooLarge,     ///< Over the path's MTU or UDP's limit.
  Other,
};
const char* to_string(SendFailure failure);

struct SendError {
  SendFailure failure;
  int system_error = 0;  ///< errno.
  std::string describe() const;
};

/// ICMP's word on a datagram sent before.
struct IcmpError {
  Endpoint remote;
  SendError error;
};

struct UdpOptions {
  /// The way out; empty: the routing table decides. Taken with SO_BINDTODEVICE, else with
  /// IP_UNICAST_IF / IPV6_UNICAST_IF, which chooses the way out but does not filter what comes in.
  std::string interface_name;
  std::uint32_t interface_index = 0;
  /// Class of service, upper six bits of the TOS octet: 46 expedited forwarding (RTP), 24 (SIP).
  std::uint8_t dscp = 0;
  /// In bytes; 0: the system's default. More than net.core.rmem_max needs CAP_NET_ADMIN; without it
  /// that much is taken.
  int receive_buffer = 0;
  /// Another socket of ours may have the address too. Only for servers that restart.
  bool reuse_address = false;
  SocketCheck check = {};  ///< Empty: none.
};

struct Datagram {
  Endpoint remote;
  Bytes bytes;     ///< Valid until the next receive with the same buffers.
  bool truncated;  ///< Longer than a buffer: `bytes` is only its beginning.
};

/// Room for one batch of datagrams; one for each thread is enough.
class ReceiveBuffers {
 public:
  /// `count` datagrams per system call, each of at most `size` bytes.
  ReceiveBuffers(std::size_t count, std::size_t size);

 private:
  friend class UdpSocket;
  void prepare();

  std::size_t size_;
  Buffer storage_;
  std::vector<iovec> vectors_;
  std::vector<sockaddr_storage> names_;
  std::vector<mmsghdr> headers_;
};

class UdpSocket {
 public:
  /// Port 0: the system chooses. `local` must have a family.
  static Result<UdpSocket> bind(const Endpoint& local, const UdpOptions& options = {});

  int descriptor() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }
  /// True if the socket is tied to the interface that was asked for, one way or the other.
  bool on_interface() const { return on_interface_; }

  /// Sends at once or not at all; never blocks.
  std::optional<SendError> send(const Endpoint& remote, Bytes bytes);

  /// One of send_batch(), by position.
  struct Unsent {
    std::size_t index;
    SendError error;
  };
  /// The same for several datagrams, in few system calls; what became of each that was not sent.
  std::vector<Unsent> send_batch(std::span<const std::pair<Endpoint, Bytes>> datagrams);

  /// Hands at most `limit` waiting datagrams to `take`; the rest stays for the next wake-up, so
  /// that one flooded socket cannot starve the others. `take` must not close this socket. Returns
  /// how many there were.
  std::size_t receive(ReceiveBuffers& buffers, std::size_t limit,
                      const std::function<void(const Datagram&)>& take);

  /// The ICMP errors that have come in; at most 16 per call, oldest first.
  std::vector<IcmpError> take_errors();

 private:
  UdpSocket(Descriptor fd, Endpoint local, bool on_interface)
      : fd_(std::move(fd)), local_(local), on_interface_(on_interface) {}

  Descriptor fd_;
  Endpoint local_;
  bool on_interface_;
  /// Read from the error queue while sending; handed out by take_errors().
  std::vector<IcmpError> errors_;
};

/// RFC 3550 §11: RTP on an even port, RTCP on the next.
struct RtpSockets {
  UdpSocket rtp;
  UdpSocket rtcp;
};

/// Tries the even ports of [port_min, port_max] from a random one on, each once. `check_rtcp` is
/// for the second socket what `options.check` is for the first.
Result<RtpSockets> bind_rtp_pair(const IpAddress& local, std::uint16_t port_min,
                                 std::uint16_t port_max, Random& random,
                                 const UdpOptions& options = {},
                                 const SocketCheck& check_rtcp = {});

}  // namespace godwit::io
