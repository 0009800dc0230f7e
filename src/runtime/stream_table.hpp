// SPDX-License-Identifier: Apache-2.0
//
// The core's connections as real sockets: opens, accepts, secures, feeds and closes them, and keeps
// their deadlines. Owned by the driver, on the signalling thread. What happens is pulled as
// reports, in order; it gives the core nothing itself and decides nothing but what a stranger may
// cost before the core knows of him.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "io/event_loop.hpp"
#include "io/stream_connection.hpp"
#include "io/stream_socket.hpp"
#include "io/tls.hpp"
#include "ua/driver.hpp"
#include "wire/sip/framing.hpp"

namespace godwit::runtime {

using ua::ListenerId;

/// An accepted connection until the core has given it its number.
using StrangerId = StrongId<struct StrangerIdTag>;

struct StreamListening {
  ListenerId listener;
  Result<Endpoint> bound;
};
struct StreamOpened {
  ListenerId stream;
  ua::StreamInfo info;
};
/// To be answered with StreamTable::admit() or refuse().
struct StreamArrived {
  StrangerId stranger;
  ListenerId listener;
  ua::StreamInfo info;
  Endpoint remote;
};
struct StreamData {
  ListenerId stream;
  std::string bytes;
};
struct StreamClosed {
  ListenerId stream;
  std::string reason;
};
using StreamReport =
    std::variant<StreamListening, StreamOpened, StreamArrived, StreamData, StreamClosed>;

class StreamTable {
 public:
  /// Accepted connections in the TLS handshake, of all and of one address; more are closed at once.
  static constexpr std::size_t kMaxStrangers = 64;
  static constexpr std::size_t kMaxStrangersPerSource = 8;
  /// For an accepted connection's TLS handshake.
  static constexpr Duration kHandshakeDeadline = std::chrono::seconds(10);
  /// Accepted at one wake-up, before other sockets get their turn.
  static constexpr int kAcceptsPerWakeUp = 16;

  /// `on_reports` is called from the loop when there is something to pull. Not from within a member
  /// called by the owner: he looks himself.
  StreamTable(io::EventLoop& loop, Log& log, std::uint8_t dscp, SocketHook socket_created,
              std::function<void()> on_reports);
  ~StreamTable();
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  void listen(const ua::Listen& wanted);
  void open(const ua::OpenStream& wanted, TimePoint now);
  void send(ListenerId stream, const std::string& bytes);
  /// Of a connection. Nothing is reported of it any more.
  void close(ListenerId stream);
  /// Of a listener; what it has accepted stays. False if there is no such stream listener.
  bool close_listener(ListenerId listener);

  /// The stranger is a connection of the core from now on.
  void admit(StrangerId stranger, ListenerId stream);
  void refuse(StrangerId stranger);

  /// Each open connection that is multipath, and whether it has more paths than the first.
  std::vector<std::pair<ListenerId, bool>> multipath() const;

  std::optional<StreamReport> next_report();
  std::optional<TimePoint> next_deadline() const;
  void on_deadline(TimePoint now);

 private:
  struct Listener;
  struct Connection;
  struct Stranger;

  Result<std::shared_ptr<io::TlsContext>> context_of(const std::shared_ptr<const TlsConfig>& tls);
  Result<std::unique_ptr<Connection>> connect(const ua::OpenStream& wanted);
  void on_acceptable(ListenerId listener);
  void greet(ListenerId listener, Listener& on, io::StreamSocket socket);
  void on_stranger(StrangerId stranger, bool writable);
  void on_ready(ListenerId stream, bool writable);
  void fail(ListenerId stream, std::string reason);
  void watch(Connection& connection, std::function<void(bool writable)> on_ready);
  void await_room(Connection& connection);
  void trace(Connection& connection, bool incoming, const std::string& bytes);

  io::EventLoop& loop_;
  Log& log_;
  std::uint8_t dscp_;
  SocketHook socket_created_;
  std::function<void()> on_reports_;
  std::map<ListenerId, std::unique_ptr<Listener>> listeners_;
  std::map<ListenerId, std::unique_ptr<Connection>> connections_;
  std::map<StrangerId, std::unique_ptr<Stranger>> strangers_;
  std::uint32_t last_stranger_ = 0;
  /// One for each configuration of the core, which keep them alive; they hold the sessions to be
  /// resumed.
  std::map<std::shared_ptr<const TlsConfig>, std::shared_ptr<io::TlsContext>> contexts_;
  std::deque<StreamReport> reports_;
};

}  // namespace godwit::runtime
