// SPDX-License-Identifier: Apache-2.0
#include "testing/streams.hpp"

#include <algorithm>
#include <utility>

#include "testing/network.hpp"

namespace godwit::testing {
namespace {

/// As Linux: a lost SYN is sent again after 1 s, data sooner; both double.
constexpr Duration kSynRepeat = std::chrono::seconds(1);
constexpr Duration kDataRepeat = std::chrono::milliseconds(300);
constexpr std::uint32_t kMaxRepeats = 8;

}  // namespace

Streams::Connection* Streams::find(StreamId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

Result<StreamId> Streams::connect(const StreamClient& client, StreamHandlers handlers) {
  const auto local = host_.free_port(client.local, client.interface);
  if (!local) return tl::unexpected(local.error());
  const StreamId id{++last_id_};
  Connection& connection = connections_[id];
  connection.number = simulation_.random().next();
  connection.client = true;
  connection.local = *local;
  connection.remote = client.remote;
  connection.interface = client.interface;
  connection.tls = client.tls;
  connection.multipath = client.multipath;
  connection.name = client.name;
  connection.handlers = std::move(handlers);
  enqueue(id, Segment::Kind::Syn, 0, {});
  return id;
}

Result<Endpoint> Streams::listen(const Endpoint& local, StreamServer server) {
  Endpoint bound = local;
  if (bound.port == 0) {
    const auto free = host_.free_port(local.address, 0);
    if (!free) return tl::unexpected(free.error());
    bound = *free;
  }
  if (!host_.has_address(bound.address)) {
    return godwit::fail(ErrorCode::Network, bound.to_string() + ": no interface has this address");
  }
  if (!servers_.emplace(bound, std::move(server)).second) {
    return godwit::fail(ErrorCode::Busy, bound.to_string() + ": another program has this port");
  }
  return bound;
}

void Streams::send(StreamId id, std::string bytes) {
  Connection* connection = find(id);
  if (connection == nullptr || connection->closing) return;
  if (!connection->open) {
    connection->before_open.push_back(std::move(bytes));
    return;
  }
  enqueue(id, Segment::Kind::Data, 0, std::move(bytes));
}

void Streams::close(StreamId id) {
  Connection* connection = find(id);
  if (connection == nullptr || connection->closing) return;
  connection->handlers = {};
  if (!connection->open) return reset(id);
  connection->closing = true;
  enqueue(id, Segment::Kind::Fin, 0, {});
}

void Streams::reset(StreamId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  transmit(*connection, Pending{Segment::Kind::Reset, 0, 0, {}}, false);
  erase(id);
}

void Streams::enqueue(StreamId id, Segment::Kind kind, std::uint8_t flight, std::string bytes) {
  Connection& connection = connections_.at(id);
  connection.unacknowledged.push_back(
      Pending{kind, connection.next_number++, flight, std::move(bytes)});
  transmit(connection, connection.unacknowledged.back(), false);
  if (!connection.timer) arm(id);
}

void Streams::transmit(Connection& connection, const Pending& pending, bool repeated) {
  if (connection.multipath && !host_.has_address(connection.local.address)) {
    // RFC 8684 §3.2: the connection goes on from another address.
    const auto other = host_.any_address(connection.local.address.family());
    if (other) {
      connection.local.address = *other;
      connection.interface = 0;
    }
  }
  Segment segment;
  segment.kind = pending.kind;
  segment.connection = connection.number;
  segment.from_client = connection.client;
  segment.number = pending.number;
  segment.next = connection.next_expected;
  segment.flight = pending.flight;
  segment.repeated = repeated;
  segment.multipath = connection.multipath;
  host_.send_segment(connection.local, connection.interface, connection.remote, segment,
                     pending.bytes);
}

void Streams::acknowledge(Connection& connection) {
  transmit(connection, Pending{Segment::Kind::Ack, 0, 0, {}}, false);
}

void Streams::arm(StreamId id) {
  Connection& connection = connections_.at(id);
  if (connection.timer) simulation_.cancel(std::exchange(connection.timer, TimerId{}));
  if (connection.unacknowledged.empty()) return;
  const Duration first = connection.unacknowledged.front().number == 0 ? kSynRepeat : kDataRepeat;
  connection.timer =
      simulation_.after(first * (1 << connection.repeats), [this, id] { on_repeat(id); });
}

void Streams::on_repeat(StreamId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  connection->timer = {};
  if (++connection->repeats > kMaxRepeats) return fail(id, "connection timed out");
  for (const Pending& pending : connection->unacknowledged) transmit(*connection, pending, true);
  arm(id);
}

void Streams::on_packet(const SimulatedPacket& packet) {
  const Segment& segment = *packet.segment;
  for (const auto& [id, connection] : connections_) {
    if (connection.number != segment.connection || connection.client == segment.from_client) {
      continue;
    }
    return on_segment(id, packet);
  }
  if (segment.kind == Segment::Kind::Syn) return on_syn(packet);
  if (segment.kind == Segment::Kind::Reset || segment.kind == Segment::Kind::Ack) return;
  Segment reset;
  reset.kind = Segment::Kind::Reset;
  reset.connection = segment.connection;
  reset.from_client = !segment.from_client;
  host_.send_segment(packet.destination, 0, packet.source, reset, {});
}

void Streams::on_syn(const SimulatedPacket& packet) {
  const Segment& segment = *packet.segment;
  const auto server = servers_.find(packet.destination);
  if (server == servers_.end()) {
    Segment reset;
    reset.kind = Segment::Kind::Reset;
    reset.connection = segment.connection;
    host_.send_segment(packet.destination, 0, packet.source, reset, {});
    return;
  }
  const StreamId id{++last_id_};
  Connection& connection = connections_[id];
  connection.number = segment.connection;
  connection.local = packet.destination;
  connection.remote = packet.source;
  connection.tls = server->second.tls;
  connection.multipath = server->second.multipath && segment.multipath;
  connection.name = server->second.certificate;
  connection.accept = server->second.accept;
  connection.next_expected = 1;
  enqueue(id, Segment::Kind::SynAck, 0, {});
}

void Streams::on_segment(StreamId id, const SimulatedPacket& packet) {
  Connection& connection = connections_.at(id);
  const Segment& segment = *packet.segment;
  if (segment.kind == Segment::Kind::Reset) {
    return fail(id, connection.open ? "connection reset by the peer" : "connection refused");
  }
  if (connection.multipath && packet.source != connection.remote) connection.remote = packet.source;
  while (!connection.unacknowledged.empty() &&
         connection.unacknowledged.front().number < segment.next) {
    connection.unacknowledged.pop_front();
    connection.repeats = 0;
    arm(id);
  }
  if (connection.closing && connection.unacknowledged.empty() && connection.peer_closed) {
    return erase(id);
  }
  // A plain server's connection stands with the third packet of the handshake.
  if (!connection.client && !connection.open && !connection.tls &&
      connection.unacknowledged.empty() && !open(id, {})) {
    return;
  }
  if (segment.kind == Segment::Kind::Ack) return;
  if (segment.number >= connections_.at(id).next_expected) {
    connections_.at(id).early.emplace(segment.number, std::pair(segment, packet.bytes));
  }
  for (;;) {
    Connection* still = find(id);
    if (still == nullptr) return;
    const auto next = still->early.find(still->next_expected);
    if (next == still->early.end()) break;
    const auto [arrived, bytes] = next->second;
    still->early.erase(next);
    ++still->next_expected;
    if (!take(id, arrived, bytes)) return;
  }
  if (Connection* still = find(id)) acknowledge(*still);
}

bool Streams::take(StreamId id, const Segment& segment, const std::string& bytes) {
  Connection& connection = connections_.at(id);
  switch (segment.kind) {
    case Segment::Kind::SynAck:
      connection.multipath = connection.multipath && segment.multipath;
      acknowledge(connection);
      if (!connection.tls) return open(id, {});
      enqueue(id, Segment::Kind::Data, 1, {});
      return true;
    case Segment::Kind::Data: {
      if (segment.flight != 0) return on_flight(id, segment.flight, bytes);
      if (connection.closing) return true;
      const auto handler = connection.handlers.data;
      if (handler) handler(bytes);
      return find(id) != nullptr;
    }
    case Segment::Kind::Fin: {
      connection.peer_closed = true;
      acknowledge(connection);
      const bool was_closing = std::exchange(connection.closing, true);
      const auto closed = std::exchange(connection.handlers, {}).closed;
      if (!was_closing) enqueue(id, Segment::Kind::Fin, 0, {});
      if (closed) closed("");
      Connection* still = find(id);
      if (still != nullptr && was_closing && still->unacknowledged.empty()) erase(id);
      return find(id) != nullptr;
    }
    case Segment::Kind::Syn:
    case Segment::Kind::Ack:
    case Segment::Kind::Reset: return true;
  }
  return true;
}

bool Streams::on_flight(StreamId id, std::uint8_t flight, const std::string& bytes) {
  Connection& connection = connections_.at(id);
  switch (flight) {
    case 1: enqueue(id, Segment::Kind::Data, 2, connection.name); return true;
    case 2:
      if (bytes != connection.name) {
        const std::string wanted = connection.name;
        transmit(connection, Pending{Segment::Kind::Reset, 0, 0, {}}, false);
        fail(id, "the certificate is for " + bytes + ", not for " + wanted);
        return false;
      }
      enqueue(id, Segment::Kind::Data, 3, {});
      return open(id, bytes);
    default: return open(id, {});
  }
}

bool Streams::open(StreamId id, const std::string& tls_peer) {
  Connection& connection = connections_.at(id);
  if (!connection.client) {
    auto handlers = connection.accept(id, connection.local, connection.remote);
    if (!handlers) {
      reset(id);
      return false;
    }
    connection.handlers = std::move(*handlers);
  }
  connection.open = true;
  for (std::string& bytes : std::exchange(connection.before_open, {})) {
    enqueue(id, Segment::Kind::Data, 0, std::move(bytes));
  }
  const auto opened = connection.handlers.opened;
  if (connection.client && opened) opened(connection.local, tls_peer, connection.multipath);
  return find(id) != nullptr;
}

void Streams::fail(StreamId id, const std::string& reason) {
  const auto closed = connections_.at(id).handlers.closed;
  erase(id);
  if (closed) closed(reason);
}

void Streams::erase(StreamId id) {
  Connection* connection = find(id);
  if (connection == nullptr) return;
  if (connection->timer) simulation_.cancel(connection->timer);
  connections_.erase(id);
}

}  // namespace godwit::testing
