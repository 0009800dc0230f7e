// SPDX-License-Identifier: Apache-2.0
//
// Connections on the simulated Internet: a small TCP for each host, whose segments travel as the
// packets of network.hpp do, with their delays, losses, NATs and black holes. Handshake, order,
// repetition, orderly and abrupt ends. Owned by its Host.
//
// TLS is not encrypted here: it is the two round trips of TCP and TLS 1.3 with a certificate that
// has one name, which the client compares with the one it was told. Multipath TCP is a connection
// that goes on from another address of its host when its own is gone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "testing/simulation.hpp"

namespace godwit::testing {

class Host;
struct SimulatedPacket;

using StreamId = StrongId<struct StreamIdTag>;

/// What makes a packet one of a connection. Segments are numbered one by one, not by bytes.
struct Segment {
  enum class Kind : std::uint8_t { Syn, SynAck, Data, Fin, Ack, Reset } kind = Kind::Ack;
  std::uint64_t connection = 0;  ///< The same at both ends, and after an address change.
  bool from_client = false;
  std::uint32_t number = 0;  ///< Syn, SynAck, Data, Fin.
  std::uint32_t next = 0;    ///< The number awaited in the other direction.
  std::uint8_t flight = 0;   ///< Data: of a TLS handshake; 0: the application's.
  bool repeated = false;
  bool multipath = false;
};

struct StreamHandlers {
  /// `tls_peer`: the name in the peer's certificate. `multipath`: both ends have it.
  std::function<void(const Endpoint& local, const std::string& tls_peer, bool multipath)> opened;
  std::function<void(const std::string& bytes)> data;
  /// The end, for this reason; empty: the peer closed it. Not after close() or reset().
  std::function<void(const std::string& reason)> closed;
};

struct StreamClient {
  IpAddress local;
  std::uint32_t interface = 0;
  Endpoint remote;
  bool tls = false;
  std::string name;  ///< TLS: what the certificate must say.
  bool multipath = false;
};

struct StreamServer {
  bool tls = false;
  std::string certificate;  ///< The name in it.
  bool multipath = false;
  /// Asked once the connection stands; nullopt resets it. `opened` is not called.
  std::function<std::optional<StreamHandlers>(StreamId, const Endpoint& local,
                                              const Endpoint& remote)>
      accept;
};

class Streams {
 public:
  explicit Streams(Host& host, Simulation& simulation) : host_(host), simulation_(simulation) {}
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  /// Fails at once if the host has no such address.
  Result<StreamId> connect(const StreamClient& client, StreamHandlers handlers);
  /// Port 0: some free one.
  Result<Endpoint> listen(const Endpoint& local, StreamServer server);
  void stop_listening(const Endpoint& local) { servers_.erase(local); }
  void send(StreamId id, std::string bytes);
  /// After what was sent before.
  void close(StreamId id);
  /// Now, and the peer hears of it if the network carries that.
  void reset(StreamId id);
  /// All connections end without a word, as when the machine loses its power.
  void forget_all() { connections_.clear(); }
  /// Open, opening, and closing.
  std::size_t size() const { return connections_.size(); }

  void on_packet(const SimulatedPacket& packet);

 private:
  struct Pending {
    Segment::Kind kind;
    std::uint32_t number;
    std::uint8_t flight;
    std::string bytes;
  };
  struct Connection {
    std::uint64_t number = 0;  ///< The same at both ends.
    bool client = false;
    Endpoint local;
    Endpoint remote;
    std::uint32_t interface = 0;
    bool tls = false;
    bool multipath = false;
    std::string name;  ///< Wanted by the client, shown by the server.
    bool open = false;
    bool closing = false;      ///< Fin sent or to be sent.
    bool peer_closed = false;  ///< Fin received.
    StreamHandlers handlers;
    std::function<std::optional<StreamHandlers>(StreamId, const Endpoint&, const Endpoint&)> accept;
    std::uint32_t next_number = 0;
    std::uint32_t next_expected = 0;
    std::deque<Pending> unacknowledged;
    std::map<std::uint32_t, std::pair<Segment, std::string>> early;
    std::deque<std::string> before_open;
    std::uint32_t repeats = 0;
    TimerId timer;
  };

  Connection* find(StreamId id);
  void enqueue(StreamId id, Segment::Kind kind, std::uint8_t flight, std::string bytes);
  void transmit(Connection& connection, const Pending& pending, bool repeated);
  void acknowledge(Connection& connection);
  void arm(StreamId id);
  void on_repeat(StreamId id);
  void on_syn(const SimulatedPacket& packet);
  void on_segment(StreamId id, const SimulatedPacket& packet);
  /// False if the connection is gone.
  bool take(StreamId id, const Segment& segment, const std::string& bytes);
  bool on_flight(StreamId id, std::uint8_t flight, const std::string& bytes);
  bool open(StreamId id, const std::string& tls_peer);
  void fail(StreamId id, const std::string& reason);
  void erase(StreamId id);

  Host& host_;
  Simulation& simulation_;
  std::map<Endpoint, StreamServer> servers_;
  std::map<StreamId, Connection> connections_;
  std::uint32_t last_id_ = 0;
};

}  // namespace godwit::testing
