// SPDX-License-Identifier: Apache-2.0
#include "runtime/stream_table.hpp"

#include <algorithm>
#include <utility>

#include "godwit/trace.hpp"
#include "io/clock.hpp"
#include "runtime/socket_hook.hpp"

namespace godwit::runtime {
namespace {

constexpr std::string_view kComponent = "streams";

io::Multipath multipath_of(MptcpMode mode) {
  switch (mode) {
    case MptcpMode::Auto: return io::Multipath::IfOffered;
    case MptcpMode::On: return io::Multipath::Required;
    case MptcpMode::Off: return io::Multipath::Off;
  }
  return io::Multipath::Off;
}

}  // namespace

struct StreamTable::Listener {
  io::StreamListener socket;
  std::unique_ptr<io::EventLoop::Watch> watch;
  sip::Transport transport;
  std::shared_ptr<io::TlsContext> tls;
};

struct StreamTable::Connection {
  explicit Connection(io::StreamConnection made) : stream(std::move(made)) {}

  ua::StreamInfo info() const {
    ua::StreamInfo info;
    info.local = stream.socket().local();
    info.tls_peer = stream.peer();
    info.session_resumed = stream.resumed();
    info.multipath = stream.socket().multipath();
    return info;
  }

  io::StreamConnection stream;
  std::unique_ptr<io::EventLoop::Watch> watch;  // Gone before the socket.
  std::optional<TimePoint> deadline;            // While it is being opened.
  std::string early;                            // Came with the end of a stranger's handshake.
  /// What has come for the trace: a credential must not slip through where a read happened to end.
  std::optional<wire::StreamFramer> traced;
};

struct StreamTable::Stranger {
  std::unique_ptr<Connection> connection;
  ListenerId listener;
};

StreamTable::StreamTable(io::EventLoop& loop, Log& log, std::uint8_t dscp,
                         SocketHook socket_created, std::function<void()> on_reports)
    : loop_(loop),
      log_(log),
      dscp_(dscp),
      socket_created_(std::move(socket_created)),
      on_reports_(std::move(on_reports)) {}

StreamTable::~StreamTable() = default;

Result<std::shared_ptr<io::TlsContext>> StreamTable::context_of(
    const std::shared_ptr<const TlsConfig>& tls) {
  if (!tls) return godwit::fail(ErrorCode::InvalidArgument, "TLS without its settings");
  const auto found = contexts_.find(tls);
  if (found != contexts_.end()) return found->second;
  auto made = io::TlsContext::create(*tls);
  if (made) contexts_.emplace(tls, *made);
  return made;
}

void StreamTable::listen(const ua::Listen& wanted) {
  io::StreamOptions options;
  options.interface_name = wanted.interface_name;
  options.interface_index = wanted.interface_index;
  options.dscp = dscp_;
  // A plain peer is served all the same.
  options.multipath = io::Multipath::IfOffered;
  std::shared_ptr<io::TlsContext> context;
  if (wanted.transport == sip::Transport::Tls) {
    auto made = context_of(wanted.tls);
    if (made && !(*made)->server()) {
      made = godwit::fail(ErrorCode::InvalidArgument,
                          "to accept TLS connections takes a certificate and its private key");
    }
    if (!made) {
      reports_.emplace_back(StreamListening{wanted.listener, tl::unexpected(made.error())});
      return;
    }
    context = std::move(*made);
  }
  options.check = socket_check(
      socket_created_, {-1, context ? SocketPurpose::SipTlsListener : SocketPurpose::SipTcpListener,
                        wanted.local.address, wanted.interface_index, wanted.interface_name});
  auto socket = io::StreamListener::bind(wanted.local, options);
  if (!socket) {
    reports_.emplace_back(StreamListening{wanted.listener, tl::unexpected(socket.error())});
    return;
  }
  const Endpoint bound = socket->local();
  auto watch =
      loop_.watch(socket->descriptor(), [this, id = wanted.listener] { on_acceptable(id); });
  listeners_.insert_or_assign(
      wanted.listener, std::make_unique<Listener>(Listener{std::move(*socket), std::move(watch),
                                                           wanted.transport, std::move(context)}));
  reports_.emplace_back(StreamListening{wanted.listener, bound});
}

bool StreamTable::close_listener(ListenerId listener) {
  std::erase_if(strangers_, [&](const auto& entry) { return entry.second->listener == listener; });
  std::erase_if(reports_, [&](const StreamReport& report) {
    const auto* arrived = std::get_if<StreamArrived>(&report);
    const auto* listening = std::get_if<StreamListening>(&report);
    return (arrived != nullptr && arrived->listener == listener) ||
           (listening != nullptr && listening->listener == listener);
  });
  return listeners_.erase(listener) > 0;
}

Result<std::unique_ptr<StreamTable::Connection>> StreamTable::connect(
    const ua::OpenStream& wanted) {
  io::StreamOptions options;
  options.interface_name = wanted.interface_name;
  options.interface_index = wanted.interface_index;
  options.dscp = dscp_;
  options.multipath = multipath_of(wanted.mptcp);
  std::optional<io::TlsSession> session;
  if (wanted.transport == sip::Transport::Tls) {
    auto context = context_of(wanted.tls);
    if (!context) return tl::unexpected(context.error());
    auto made = (*context)->client(wanted.server_name, wanted.remote.to_string());
    if (!made) return tl::unexpected(made.error());
    session = std::move(*made);
  }
  options.check =
      socket_check(socket_created_, {-1, session ? SocketPurpose::SipTls : SocketPurpose::SipTcp,
                                     wanted.local, wanted.interface_index, wanted.interface_name});
  auto socket = io::StreamSocket::connect(wanted.local, wanted.remote, options);
  if (!socket) return tl::unexpected(socket.error());
  return std::make_unique<Connection>(
      io::StreamConnection::opening(std::move(*socket), std::move(session)));
}

void StreamTable::open(const ua::OpenStream& wanted, TimePoint now) {
  auto made = connect(wanted);
  if (!made) {
    reports_.emplace_back(StreamClosed{wanted.stream, made.error().detail});
    return;
  }
  Connection& connection = **made;
  connection.deadline = now + wanted.deadline;
  connections_.insert_or_assign(wanted.stream, std::move(*made));
  watch(connection, [this, id = wanted.stream](bool writable) { on_ready(id, writable); });
}

void StreamTable::watch(Connection& connection, std::function<void(bool writable)> on_ready) {
  auto shared = std::make_shared<std::function<void(bool)>>(std::move(on_ready));
  connection.watch = loop_.watch(
      connection.stream.socket().descriptor(), [shared] { (*shared)(false); },
      [shared] { (*shared)(true); });
  await_room(connection);
}

void StreamTable::await_room(Connection& connection) {
  if (connection.stream.wants_to_write()) connection.watch->await_writable();
}

void StreamTable::send(ListenerId stream, const std::string& bytes) {
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  trace(connection, false, bytes);
  if (const auto sent = connection.stream.send(as_bytes(bytes)); !sent) {
    fail(stream, "cannot send to " + connection.stream.socket().remote().to_string() + ": " +
                     sent.error().detail);
    return;
  }
  await_room(connection);
}

void StreamTable::close(ListenerId stream) {
  std::erase_if(reports_, [&](const StreamReport& report) {
    const auto* opened = std::get_if<StreamOpened>(&report);
    const auto* data = std::get_if<StreamData>(&report);
    const auto* closed = std::get_if<StreamClosed>(&report);
    return (opened != nullptr && opened->stream == stream) ||
           (data != nullptr && data->stream == stream) ||
           (closed != nullptr && closed->stream == stream);
  });
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  found->second->stream.close();
  connections_.erase(found);
}

void StreamTable::fail(ListenerId stream, std::string reason) {
  connections_.erase(stream);
  reports_.emplace_back(StreamClosed{stream, std::move(reason)});
}

void StreamTable::on_ready(ListenerId stream, bool writable) {
  const auto found = connections_.find(stream);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  auto progress = writable ? connection.stream.on_writable() : connection.stream.on_readable();
  if (progress.opened) {
    connection.deadline.reset();
    log_.debug(kComponent, "connected to " + connection.stream.socket().remote().to_string() +
                               (connection.stream.secured()
                                    ? ", over TLS with \"" + connection.stream.peer() + "\""
                                    : ""));
    reports_.emplace_back(StreamOpened{stream, connection.info()});
  }
  if (!progress.received.empty()) {
    trace(connection, true, progress.received);
    reports_.emplace_back(StreamData{stream, std::move(progress.received)});
  }
  if (progress.closed) {
    fail(stream, std::move(*progress.closed));
  } else {
    await_room(connection);
  }
  if (!reports_.empty()) on_reports_();
}

void StreamTable::on_acceptable(ListenerId listener) {
  for (int i = 0; i < kAcceptsPerWakeUp; ++i) {
    const auto found = listeners_.find(listener);
    if (found == listeners_.end()) break;
    auto socket = found->second->socket.accept();
    if (!socket) break;
    greet(listener, *found->second, std::move(*socket));
    // At once: who needs no handshake is no stranger for long.
    if (!reports_.empty()) on_reports_();
  }
}

void StreamTable::greet(ListenerId listener, Listener& on, io::StreamSocket socket) {
  const IpAddress source = socket.remote().address;
  const auto alike = std::count_if(strangers_.begin(), strangers_.end(), [&](const auto& entry) {
    return entry.second->connection->stream.socket().remote().address == source;
  });
  if (strangers_.size() >= kMaxStrangers ||
      static_cast<std::size_t>(alike) >= kMaxStrangersPerSource) {
    return;
  }
  std::optional<io::TlsSession> session;
  if (on.tls) {
    auto made = on.tls->server();
    if (!made) return;
    session = std::move(*made);
  }
  const StrangerId id(++last_stranger_);
  auto connection = std::make_unique<Connection>(
      io::StreamConnection::accepted(std::move(socket), std::move(session)));
  Connection& known = *connection;
  known.deadline = io::now() + kHandshakeDeadline;
  strangers_.emplace(id, std::make_unique<Stranger>(Stranger{std::move(connection), listener}));
  if (known.stream.open()) {
    reports_.emplace_back(
        StreamArrived{id, listener, known.info(), known.stream.socket().remote()});
  } else {
    watch(known, [this, id](bool writable) { on_stranger(id, writable); });
  }
}

void StreamTable::on_stranger(StrangerId stranger, bool writable) {
  const auto found = strangers_.find(stranger);
  if (found == strangers_.end()) return;
  Connection& connection = *found->second->connection;
  auto progress = writable ? connection.stream.on_writable() : connection.stream.on_readable();
  if (progress.closed) {
    log_.debug(kComponent, "a connection from " + connection.stream.socket().remote().to_string() +
                               " came to nothing: " + *progress.closed);
    strangers_.erase(found);
  } else if (progress.opened) {
    connection.watch.reset();  // Until it is admitted, it is not read.
    connection.early = std::move(progress.received);
    reports_.emplace_back(StreamArrived{stranger, found->second->listener, connection.info(),
                                        connection.stream.socket().remote()});
  } else {
    await_room(connection);
  }
  if (!reports_.empty()) on_reports_();
}

void StreamTable::admit(StrangerId stranger, ListenerId stream) {
  auto found = strangers_.find(stranger);
  if (found == strangers_.end()) return;
  auto owned = std::move(found->second->connection);
  strangers_.erase(found);
  Connection& connection = *owned;
  connection.deadline.reset();
  connections_.insert_or_assign(stream, std::move(owned));
  if (!connection.early.empty()) {
    trace(connection, true, connection.early);
    reports_.emplace_back(StreamData{stream, std::exchange(connection.early, {})});
  }
  watch(connection, [this, stream](bool writable) { on_ready(stream, writable); });
}

void StreamTable::refuse(StrangerId stranger) { strangers_.erase(stranger); }

std::vector<std::pair<ListenerId, bool>> StreamTable::multipath() const {
  std::vector<std::pair<ListenerId, bool>> found;
  for (const auto& [id, connection] : connections_) {
    const io::StreamSocket& socket = connection->stream.socket();
    if (connection->stream.open() && socket.multipath()) {
      found.emplace_back(id, socket.further_paths() > 0);
    }
  }
  return found;
}

std::optional<StreamReport> StreamTable::next_report() {
  if (reports_.empty()) return std::nullopt;
  StreamReport report = std::move(reports_.front());
  reports_.pop_front();
  return report;
}

std::optional<TimePoint> StreamTable::next_deadline() const {
  std::optional<TimePoint> earliest;
  const auto sooner = [&earliest](const Connection& connection) {
    if (connection.deadline && (!earliest || *connection.deadline < *earliest)) {
      earliest = connection.deadline;
    }
  };
  for (const auto& [id, connection] : connections_) sooner(*connection);
  for (const auto& [id, stranger] : strangers_) sooner(*stranger->connection);
  return earliest;
}

void StreamTable::on_deadline(TimePoint now) {
  std::erase_if(strangers_, [&](const auto& entry) {
    const auto& deadline = entry.second->connection->deadline;
    return deadline && *deadline <= now;
  });
  std::vector<ListenerId> late;
  for (const auto& [id, connection] : connections_) {
    if (connection->deadline && *connection->deadline <= now) late.push_back(id);
  }
  for (const ListenerId id : late) {
    const Connection& connection = *connections_.at(id);
    fail(id, connection.stream.socket().remote().to_string() +
                 (connection.stream.connecting() ? " does not answer"
                                                 : " does not finish the TLS handshake"));
  }
}

void StreamTable::trace(Connection& connection, bool incoming, const std::string& bytes) {
  if (!log_.enabled(Log::Level::Debug)) return;
  const auto show = [&](const std::string& message) {
    const io::StreamSocket& socket = connection.stream.socket();
    log_.write(Log::Level::Debug, "sip",
               socket.local().to_string() + (incoming ? " <- " : " -> ") +
                   socket.remote().to_string() +
                   (connection.stream.secured() ? " TLS, " : " TCP, ") +
                   std::to_string(message.size()) + " bytes\n" + trace_text(message));
  };
  if (!incoming) return show(bytes);
  if (!connection.traced) connection.traced.emplace();
  connection.traced->append(bytes);
  for (;;) {
    // Where the stream cannot be followed, nothing of it can be shown safely; the core closes it.
    auto message = connection.traced->next();
    if (!message || !*message) break;
    show(**message);
  }
}

}  // namespace godwit::runtime
