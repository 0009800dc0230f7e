// SPDX-License-Identifier: Apache-2.0
#include "serve_streams.hpp"

#include <algorithm>
#include <string_view>

#include "io/clock.hpp"

namespace godwit::app {
namespace {

constexpr std::string_view kComponent = "serve";

}  // namespace

struct ServeStreams::Listener {
  StreamEnd end;
  std::unique_ptr<io::EventLoop::Watch> watch;
};

struct ServeStreams::Connection {
  Connection(io::StreamConnection made, testing::ServerListener listener, TimePoint until)
      : stream(std::move(made)), at(listener), deadline(until) {}

  io::StreamConnection stream;
  testing::ServerListener at;
  TimePoint deadline;
  testing::StreamFramer framer;
  bool half = false;                            ///< `deadline` is for the rest of a message.
  std::string waiting;                          ///< To be sent once it is open.
  std::unique_ptr<io::EventLoop::Watch> watch;  // Gone before the socket.
};

Result<StreamEnd> StreamEnd::open(const testing::ServerListener& listener, const TlsConfig& tls) {
  std::shared_ptr<io::TlsContext> context;
  if (listener.transport == testing::ServerTransport::Tls) {
    auto made = io::TlsContext::create(tls);
    if (!made) return tl::unexpected(made.error());
    context = std::move(*made);
  }
  io::StreamOptions options;
  options.multipath = io::Multipath::IfOffered;
  auto socket = io::StreamListener::bind(listener.local, options);
  if (!socket) return tl::unexpected(socket.error());
  return StreamEnd{listener, std::move(*socket), std::move(context)};
}

ServeStreams::ServeStreams(io::EventLoop& loop, Log& log, std::vector<StreamEnd> ends,
                           Handler handler)
    : loop_(loop), log_(log), handler_(std::move(handler)) {
  for (StreamEnd& end : ends) {
    end.listener.local = end.socket.local();
    listeners_.push_back(std::make_unique<Listener>(Listener{std::move(end), nullptr}));
    Listener& listener = *listeners_.back();
    listener.watch =
        loop_.watch(listener.end.socket.descriptor(), [this, &listener] { accept(listener); });
  }
}

ServeStreams::~ServeStreams() = default;

bool ServeStreams::has_room(const IpAddress& source) const {
  const auto alike =
      std::count_if(connections_.begin(), connections_.end(),
                    [&](const auto& entry) { return entry.first.second.address == source; });
  return connections_.size() < kMaxConnections && static_cast<std::size_t>(alike) < kMaxPerSource;
}

void ServeStreams::accept(Listener& listener) {
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    auto socket = listener.end.socket.accept();
    if (!socket) return;
    const Endpoint remote = socket->remote();
    if (!has_room(remote.address)) continue;  // Closed with the socket.
    std::optional<io::TlsSession> session;
    if (listener.end.tls) {
      auto made = listener.end.tls->server();
      if (!made) continue;
      session = std::move(*made);
    }
    add({listener.end.listener.transport, remote},
        std::make_unique<Connection>(
            io::StreamConnection::accepted(std::move(*socket), std::move(session)),
            listener.end.listener, io::now() + kPatience));
  }
}

void ServeStreams::add(const Key& key, std::unique_ptr<Connection> connection) {
  Connection& added = *connection;
  connections_.insert_or_assign(key, std::move(connection));
  const auto ready = [this, key](bool writable) {
    on_ready(key, writable);
    handler_.on_settled();
  };
  added.watch = loop_.watch(
      added.stream.socket().descriptor(), [ready] { ready(false); }, [ready] { ready(true); });
  if (added.stream.wants_to_write()) added.watch->await_writable();
}

void ServeStreams::on_ready(const Key& ready, bool writable) {
  const Key key = ready;  // The caller's goes with the watch.
  const auto found = connections_.find(key);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  auto progress = writable ? connection.stream.on_writable() : connection.stream.on_readable();
  if (progress.opened) {
    connection.deadline = io::now() + kIdle;
    const std::string waiting = std::exchange(connection.waiting, {});
    if (!waiting.empty() && !connection.stream.send(as_bytes(waiting))) {
      drop(key, "cannot send");
      return;
    }
  }
  connection.framer.append(progress.received);
  if (!progress.received.empty() && !take_messages(key)) return;
  if (progress.closed) {
    drop(key, *progress.closed);
  } else if (connections_.contains(key) && connection.stream.wants_to_write()) {
    connection.watch->await_writable();
  }
}

bool ServeStreams::take_messages(const Key& key) {
  for (;;) {
    const auto found = connections_.find(key);
    if (found == connections_.end()) return false;
    Connection& connection = *found->second;
    auto message = connection.framer.next();
    // RFC 5626 §4.4.1: a CRLF for each ping.
    for (auto pings = connection.framer.take_keep_alives().pings; pings > 0; --pings)
      (void)connection.stream.send(as_bytes("\r\n"));
    if (!message) {
      drop(key, message.error().detail);
      return false;
    }
    // Half a message has so long in all; between messages there is time.
    const bool half = !*message && connection.framer.buffered() > 0;
    if (!half || !connection.half) connection.deadline = io::now() + (half ? kPatience : kIdle);
    connection.half = half;
    if (!*message) return true;
    const testing::ServerListener at = connection.at;
    handler_.on_message(at, key.second, std::move(**message));
  }
}

void ServeStreams::send(const testing::ServerHop& to, const Endpoint& local,
                        const std::string& bytes) {
  const Key key{to.transport, to.remote};
  if (!connections_.contains(key)) {
    if (to.transport != testing::ServerTransport::Tcp || !has_room(to.remote.address)) {
      log_.info(kComponent, "no connection with " + to.remote.to_string());
      return;
    }
    auto socket = io::StreamSocket::connect(local.address, to.remote);
    if (!socket) {
      log_.info(kComponent, socket.error().detail);
      return;
    }
    add(key, std::make_unique<Connection>(
                 io::StreamConnection::opening(std::move(*socket), std::nullopt),
                 testing::ServerListener{local, to.transport}, io::now() + kPatience));
  }
  Connection& connection = *connections_.at(key);
  if (!connection.stream.open()) {
    if (connection.waiting.size() + bytes.size() <= io::StreamConnection::kMaxQueued) {
      connection.waiting += bytes;
    }
    return;
  }
  // What goes wrong is told by the socket's next wake-up: dropped here, it could be in use above.
  (void)connection.stream.send(as_bytes(bytes));
  if (connection.stream.wants_to_write()) connection.watch->await_writable();
}

void ServeStreams::drop(const Key& gone, const std::string& why) {
  const Key key = gone;
  log_.debug(kComponent, "connection with " + key.second.to_string() + " ended: " + why);
  connections_.erase(key);
  handler_.on_closed({key.second, key.first});
}

std::optional<TimePoint> ServeStreams::next_deadline() const {
  std::optional<TimePoint> next;
  for (const auto& [key, connection] : connections_) {
    next = next ? std::min(*next, connection->deadline) : connection->deadline;
  }
  return next;
}

void ServeStreams::on_deadline(TimePoint now) {
  std::vector<Key> late;
  for (const auto& [key, connection] : connections_) {
    if (connection->deadline <= now) late.push_back(key);
  }
  for (const Key& key : late) drop(key, "nothing came for too long");
}

}  // namespace godwit::app
