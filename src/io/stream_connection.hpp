// SPDX-License-Identifier: Apache-2.0
//
// One connection for SIP, over TCP or TLS: connecting, handshake, bytes in, bytes out through a
// queue with a limit. Owns its socket and TLS session. It knows no deadline and no event loop:
// whoever owns it calls on_readable() and on_writable() when the descriptor is ready, and closes it
// when a handshake takes too long.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "godwit/result.hpp"
#include "io/stream_socket.hpp"
#include "io/tls.hpp"

namespace godwit::io {

class StreamConnection {
 public:
  /// What may wait for a peer that does not read: some messages of the largest size. A stream with
  /// a hole in it is worthless, so more than that is an error that ends the connection.
  static constexpr std::size_t kMaxQueued = 256 * 1024;
  /// Read at one wake-up, before timers and other sockets get their turn.
  static constexpr std::size_t kMaxRead = 64 * 1024;

  /// A connection that we open; with `tls` it is made by TlsContext::client().
  static StreamConnection opening(StreamSocket socket, std::optional<TlsSession> tls);
  /// One that was accepted; with `tls` it is made by TlsContext::server().
  static StreamConnection accepted(StreamSocket socket, std::optional<TlsSession> tls);

  /// What has happened: opened first, then bytes, then the end.
  struct Progress {
    bool opened = false;
    std::string received;
    /// The connection is over, why in a sentence for people; empty: the peer closed it.
    std::optional<std::string> closed;
  };
  Progress on_readable();
  Progress on_writable();

  /// Sends now or as soon as there is room. Errors: WrongState before it is open, Busy when the
  /// queue is full, Network; after the latter two, close it.
  Result<void> send(Bytes bytes);
  /// Says good-bye over TLS as far as the kernel takes it at once. What is queued is lost.
  void close();

  bool open() const { return state_ == State::Open; }
  bool connecting() const { return state_ == State::Connecting; }
  /// on_writable() is waited for: to connect, or to send what is queued.
  bool wants_to_write() const { return state_ == State::Connecting || !queue_.empty(); }
  std::size_t queued() const { return queue_.size(); }

  const StreamSocket& socket() const { return socket_; }
  bool secured() const { return tls_.has_value(); }
  /// The TLS peer's certificate's subject; empty if it has none.
  std::string peer() const { return tls_ ? tls_->peer() : std::string(); }
  bool resumed() const { return tls_ && tls_->resumed(); }

 private:
  enum class State { Connecting, Securing, Open, Closed };

  StreamConnection(StreamSocket socket, std::optional<TlsSession> tls, State state)
      : socket_(std::move(socket)), tls_(std::move(tls)), state_(state) {}

  void end(Progress& progress, std::string reason);
  /// Sends what is to be sent; ends the connection if that, or what went before, failed.
  void settle(Progress& progress, Result<void> result);
  void check_connected(Progress& progress);
  Result<void> flush();
  void take(Bytes wire, Progress& progress);

  StreamSocket socket_;
  std::optional<TlsSession> tls_;
  State state_;
  std::string queue_;
};

}  // namespace godwit::io
