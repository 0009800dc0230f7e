// SPDX-License-Identifier: Apache-2.0
//
// The server behind `godwit serve`: the testing library's registrar and proxy on real sockets, with
// echo and tone parties as users of it. One thread of its own besides the main one, which waits for
// the signal to end; the parties are ordinary user agents that register over the sockets.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "godwit/user_agent.hpp"
#include "io/clock.hpp"
#include "io/event_loop.hpp"
#include "io/system_random.hpp"
#include "io/udp_socket.hpp"
#include "serve_settings.hpp"
#include "serve_streams.hpp"
#include "testing/mini_server.hpp"

namespace godwit::app {

/// MiniServer on sockets, on its own thread.
class ServerLoop {
 public:
  /// What the sockets brought about, told on the server's thread.
  struct Handler {
    std::function<void(const Endpoint& from, const testing::ServerCounters& before,
                       const testing::ServerCounters& after)>
        on_datagram;
    TraceConfig trace;  ///< Of its messages; the sink is called on the server's thread.
  };

  /// `log` must outlive it and be safe from any thread. `locals` become the sockets' addresses.
  /// `tls` is needed where `config.streams` has TLS.
  static Result<std::unique_ptr<ServerLoop>> start(testing::MiniServerConfig config,
                                                   const TlsConfig& tls, Log& log, Handler handler);
  ~ServerLoop();
  ServerLoop(const ServerLoop&) = delete;
  ServerLoop& operator=(const ServerLoop&) = delete;

  const std::vector<Endpoint>& locals() const { return locals_; }
  const std::vector<testing::ServerListener>& streams() const { return stream_ends_; }
  /// Ends the thread; the final counters.
  testing::ServerCounters stop();

 private:
  ServerLoop(testing::MiniServerConfig config, std::vector<io::UdpSocket> sockets,
             std::vector<StreamEnd> ends, io::DeadlineTimer timer, Log& log, Handler handler);
  void on_readable(io::UdpSocket& socket);
  void on_stream_message(const testing::ServerListener& at, const Endpoint& from,
                         std::string bytes);
  void settle();
  void trace(const testing::ServerListener& at, bool outgoing, const Endpoint& remote,
             std::string_view bytes);

  std::vector<Endpoint> locals_;
  std::vector<testing::ServerListener> stream_ends_;
  Handler handler_;
  io::SystemRandom random_;
  io::EventLoop loop_;
  io::ReceiveBuffers buffers_;
  std::map<Endpoint, io::UdpSocket> sockets_;
  io::DeadlineTimer timer_;
  testing::MiniServer server_;
  std::unique_ptr<ServeStreams> streams_;
  std::vector<std::unique_ptr<io::EventLoop::Watch>> watches_;
  std::thread thread_;
};

class Serve {
 public:
  explicit Serve(ServeSettings settings, TraceConfig trace = {});
  /// Until SIGINT or SIGTERM; the exit status.
  int run();

 private:
  class StderrLog final : public Log {
   public:
    explicit StderrLog(LogLevel lowest) : lowest_(lowest) {}
    bool enabled(Level level) const override {
      return static_cast<int>(level) >= static_cast<int>(lowest_);
    }
    void write(Level level, std::string_view component, std::string_view text) override;

   private:
    LogLevel lowest_;
  };

  void start_party(const PartySettings& party, const std::string& password);
  void wait_for_parties();
  void tell_datagram(const Endpoint& from, const testing::ServerCounters& before,
                     const testing::ServerCounters& after);
  void tell_ready();
  void tell_stopped(const testing::ServerCounters& counters);
  /// `json` must be an object; whichever the format asks for is written.
  void tell(const std::string& json, const std::string& words);

  ServeSettings settings_;
  TraceConfig trace_;
  StderrLog log_;
  std::mutex output_;
  std::mutex registered_mutex_;
  std::condition_variable registered_changed_;
  std::set<std::string> registered_;  ///< Guarded by registered_mutex_.
  std::unique_ptr<ServerLoop> server_;
  std::vector<std::unique_ptr<UserAgent>> parties_;
};

}  // namespace godwit::app
