// SPDX-License-Identifier: Apache-2.0
//
// The connections of `godwit serve`: accepts TCP and TLS, cuts messages out of them and sends on
// them; opens plain TCP ones where a request must go to a peer that has none. Bounded: so many
// connections in all and of one address, so long for a handshake or a half message, so large a
// message. Owned by the server's loop and on its thread; knows nothing of SIP.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "godwit/config.hpp"
#include "io/event_loop.hpp"
#include "io/stream_connection.hpp"
#include "io/stream_socket.hpp"
#include "io/tls.hpp"
#include "testing/mini_server_streams.hpp"

namespace godwit::app {

/// A listening socket before there is a loop to watch it.
struct StreamEnd {
  testing::ServerListener listener;
  io::StreamListener socket;
  std::shared_ptr<io::TlsContext> tls;

  static Result<StreamEnd> open(const testing::ServerListener& listener, const TlsConfig& tls);
};

class ServeStreams {
 public:
  static constexpr std::size_t kMaxConnections = 512;
  static constexpr std::size_t kMaxPerSource = 64;
  /// For a handshake, a connection that we open, or the rest of a message.
  static constexpr Duration kPatience = std::chrono::seconds(10);
  /// Without a message or a ping; RFC 5626 §4.4.1 asks peers for one every two minutes.
  static constexpr Duration kIdle = std::chrono::seconds(3'700);
  static constexpr int kAcceptsPerWakeUp = 16;

  struct Handler {
    std::function<void(const testing::ServerListener& at, const Endpoint& from, std::string bytes)>
        on_message;
    std::function<void(const testing::ServerHop& connection)> on_closed;
    /// After all else that a socket brought about: next_deadline() may be another.
    std::function<void()> on_settled;
  };

  ServeStreams(io::EventLoop& loop, Log& log, std::vector<StreamEnd> ends, Handler handler);
  ~ServeStreams();
  ServeStreams(const ServeStreams&) = delete;
  ServeStreams& operator=(const ServeStreams&) = delete;

  /// On the connection with that peer, else over a new one from `local`; TLS never opens one.
  void send(const testing::ServerHop& to, const Endpoint& local, const std::string& bytes);
  std::optional<TimePoint> next_deadline() const;
  void on_deadline(TimePoint now);

 private:
  struct Listener;
  struct Connection;
  using Key = std::pair<testing::ServerTransport, Endpoint>;

  void accept(Listener& listener);
  void add(const Key& key, std::unique_ptr<Connection> connection);
  bool has_room(const IpAddress& source) const;
  void on_ready(const Key& key, bool writable);
  /// False if the connection has been given up.
  bool take_messages(const Key& key);
  void drop(const Key& key, const std::string& why);

  io::EventLoop& loop_;
  Log& log_;
  Handler handler_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<Key, std::unique_ptr<Connection>> connections_;
};

}  // namespace godwit::app
