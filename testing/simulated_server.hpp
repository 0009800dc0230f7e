// SPDX-License-Identifier: Apache-2.0
//
// A MiniServer on a simulated host: binds its sockets, carries its datagrams and keeps its time. It
// takes the messages of connections for datagrams of the peer's endpoint, and answers and forwards
// on a connection where there is one. Owned by the test.
#pragma once

#include <map>

#include "testing/mini_server.hpp"
#include "testing/network.hpp"
#include "testing/simulation.hpp"
#include "wire/sip/framing.hpp"

namespace godwit::testing {

class SimulatedServer {
 public:
  /// The host must have all addresses of `config.locals`.
  SimulatedServer(Network& network, Host& host, MiniServerConfig config);
  ~SimulatedServer();
  SimulatedServer(const SimulatedServer&) = delete;
  SimulatedServer& operator=(const SimulatedServer&) = delete;

  MiniServer& operator*() { return server_; }
  MiniServer* operator->() { return &server_; }
  /// Accepts connections on each of `config.locals`; with a certificate of this name TLS.
  void listen_streams(const std::string& tls_certificate = {}, bool multipath = false);
  void stop_listening_streams();
  void close_streams();
  /// All connections end without a word, as when the machine loses its power and comes back.
  void lose_streams();
  /// Pings and STUN are answered (RFC 5626 §4.4); off: swallowed.
  void answer_pings(bool on) { answers_pings_ = on; }
  std::size_t open_streams() const { return streams_.size(); }
  /// How many were ever accepted, and messages that came on them.
  std::uint64_t accepted_streams() const { return accepted_; }
  std::uint64_t stream_messages() const { return stream_messages_; }
  std::uint64_t stun_requests() const { return stun_requests_; }
  /// Sends these bytes, whatever they are, on every connection.
  void send_raw(const std::string& bytes);
  /// The contact URIs bound to a user now, the newest first.
  std::vector<std::string> contacts(const std::string& user) const;

 private:
  struct Connection {
    StreamId id;
    wire::StreamFramer framer;
  };
  void drain();
  void answer_stun(SocketId socket, const Endpoint& from, const std::string& bytes);
  void on_stream_bytes(const Endpoint& local, const Endpoint& remote, const std::string& bytes);

  Network& network_;
  Host& host_;
  SeededRandom random_;
  NullLog log_;
  MiniServer server_;
  std::map<Endpoint, SocketId> sockets_;
  std::map<Endpoint, Connection> streams_;  ///< By the peer.
  bool answers_pings_ = true;
  std::uint64_t accepted_ = 0;
  std::uint64_t stream_messages_ = 0;
  std::uint64_t stun_requests_ = 0;
  Alarm alarm_;
};

}  // namespace godwit::testing
