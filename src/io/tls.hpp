// SPDX-License-Identifier: Apache-2.0
//
// TLS 1.2 and 1.3 over OpenSSL, between bytes and bytes: a context (trust, own certificate, the
// sessions that can be resumed) and the sessions made from it. It touches no socket and knows no
// deadline; whoever owns a session moves its bytes (io/stream_connection.hpp). One thread at a time
// may use a context with all of its sessions. Keys and their passwords reach neither logs nor
// errors.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "godwit/config.hpp"
#include "godwit/result.hpp"

namespace godwit::io {

class TlsSession;

class TlsContext : public std::enable_shared_from_this<TlsContext> {
 public:
  /// Sessions kept for resumption, the oldest given up first.
  static constexpr std::size_t kMaxResumable = 64;

  /// Reads the files. The error names the file and what is wrong with it.
  static Result<std::shared_ptr<TlsContext>> create(const TlsConfig& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// A session with a server that has to be `server_name` (RFC 5922; also its SNI, RFC 6066 §3).
  /// `target` tells servers of that name apart (address, port): a session is resumed only with the
  /// name and target it was made with. Its first flight is ready in take_output().
  Result<TlsSession> client(const std::string& server_name, const std::string& target);
  /// A session with whoever has connected. An error if there is no certificate of our own.
  Result<TlsSession> server();

  /// How many sessions could be resumed now.
  std::size_t resumable() const;

 private:
  friend class TlsSession;
  struct Impl;
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class TlsSession {
 public:
  TlsSession(TlsSession&&) noexcept;
  TlsSession& operator=(TlsSession&&) noexcept;
  ~TlsSession();

  /// Takes bytes off the wire and appends what they say in clear to `plain`. An error ends the
  /// session; a last alert for the peer may wait in take_output(). What a certificate was refused
  /// for stands in the error, with the certificate's subject.
  Result<void> receive(Bytes wire, std::string& plain);
  /// WrongState before established().
  Result<void> send(Bytes plain);
  /// What must go onto the wire now, in order.
  std::string take_output();
  /// Says good-bye (close_notify); the peer's is not waited for.
  void close();

  /// The handshake is through: the peer is who it should be.
  bool established() const;
  /// The peer has said good-bye; whatever follows is ignored.
  bool ended() const;
  /// RFC 8446 §2.2: no certificates were exchanged, as those of an earlier session still hold.
  bool resumed() const;
  /// "TLSv1.3".
  std::string version() const;
  /// The subject of the peer's certificate; empty if it has shown none.
  std::string peer() const;

 private:
  friend class TlsContext;
  struct State;
  explicit TlsSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace godwit::io
