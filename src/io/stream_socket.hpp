// SPDX-License-Identifier: Apache-2.0
//
// Non-blocking TCP and Multipath TCP (RFC 8684) sockets: one connection, and a listener that
// accepts them. Each owns its descriptor. They carry bytes and say what the kernel says; queues,
// TLS, deadlines and the question what a connection is for are others' (io/stream_connection.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "io/descriptor.hpp"
#include "io/socket_options.hpp"

namespace godwit::io {

enum class Multipath : std::uint8_t {
  Off,
  IfOffered,  ///< MPTCP where this kernel has it, else TCP without a word.
  Required,   ///< An error where it has not. The peer may still fall back to TCP.
};

/// Whether this kernel makes MPTCP sockets; asked once, then remembered.
bool multipath_offered();

struct StreamOptions {
  /// The way out, as with UdpOptions; empty and 0: the routing table decides. It holds for the
  /// first path of a multipath connection; the others go by the kernel's MPTCP endpoints.
  std::string interface_name;
  std::uint32_t interface_index = 0;
  std::uint8_t dscp = 0;  ///< Upper six bits of the TOS octet.
  Multipath multipath = Multipath::Off;
  /// TCP_USER_TIMEOUT (RFC 5482): a connection whose bytes go unacknowledged for so long is dead.
  /// Well under Timer F's 32 s, so that there is time to repeat the request elsewhere. Linux has it
  /// for TCP only: with MPTCP a dead peer is for SIP's keep-alives to find.
  Duration user_timeout = std::chrono::seconds(15);
  SocketCheck check = {};  ///< Empty: none. Not asked for accepted connections.
};

/// One connection. Writing to a closed one is an error, never a signal (SIGPIPE).
class StreamSocket {
 public:
  /// Begins to connect from `local` (any port; of no family: the system chooses the address). Wait
  /// for writability, then ask connected().
  static Result<StreamSocket> connect(const IpAddress& local, const Endpoint& remote,
                                      const StreamOptions& options = {});

  int descriptor() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }
  const Endpoint& remote() const { return remote_; }
  /// False: still under way. An error says why it failed.
  Result<bool> connected();
  /// True once both sides speak MPTCP on this connection; false after a fall back to TCP.
  bool multipath() const;
  /// With MPTCP: how many paths it has besides the first, as the kernel counts them now.
  unsigned further_paths() const;

  /// How many bytes the kernel took: 0 … all.
  Result<std::size_t> write(Bytes bytes);

  struct Read {
    std::size_t bytes = 0;  ///< 0 and not `end`: nothing there now.
    bool end = false;       ///< The peer has closed its side.
  };
  Result<Read> read(std::span<std::uint8_t> room);

 private:
  friend class StreamListener;
  StreamSocket(Descriptor fd, Endpoint local, Endpoint remote, bool multipath)
      : fd_(std::move(fd)), local_(local), remote_(remote), asked_multipath_(multipath) {}

  Descriptor fd_;
  Endpoint local_;
  Endpoint remote_;
  bool asked_multipath_;
};

/// Accepts connections on one local address.
class StreamListener {
 public:
  /// What waits in the kernel for accept(); more are not answered until there is room.
  static constexpr int kBacklog = 128;

  /// Port 0: the system chooses. `local` must have a family.
  static Result<StreamListener> bind(const Endpoint& local, const StreamOptions& options = {});

  int descriptor() const { return fd_.get(); }
  const Endpoint& local() const { return local_; }

  /// The next waiting connection. When the process has no descriptor left, the connection is closed
  /// at once rather than left to wake the loop for ever.
  std::optional<StreamSocket> accept();

 private:
  StreamListener(Descriptor fd, Endpoint local, StreamOptions options, bool multipath)
      : fd_(std::move(fd)), local_(local), options_(std::move(options)), multipath_(multipath) {}

  Descriptor fd_;
  /// Given up for the moment in which a connection is accepted to be closed.
  Descriptor reserve_;
  Endpoint local_;
  StreamOptions options_;
  bool multipath_;
};

}  // namespace godwit::io
