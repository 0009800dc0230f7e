// SPDX-License-Identifier: Apache-2.0
//
// The signalling thread: drives one ua::Core with real sockets, timers, names and the kernel's
// network state, and hands its events to the application. Owned by UserAgent. One input at a time:
// give it to the core, carry out what the core wants, then deliver the events. It judges nothing
// about networks, accounts or calls.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "godwit/user_agent.hpp"
#include "io/clock.hpp"
#include "io/dns_channel.hpp"
#include "io/event_loop.hpp"
#include "io/netlink_monitor.hpp"
#include "io/resolver.hpp"
#include "io/system_random.hpp"
#include "io/udp_socket.hpp"
#include "mobility/plan.hpp"
#include "runtime/file_store.hpp"
#include "runtime/log_bridge.hpp"
#include "runtime/mailbox.hpp"
#include "runtime/media_worker.hpp"
#include "runtime/network_reader.hpp"
#include "runtime/stream_table.hpp"
#include "ua/core.hpp"

namespace godwit::runtime {

class CoreDriver {
 public:
  CoreDriver(UserAgentConfig config, EventHandler on_event, LogHandler on_log, LogLevel lowest);
  /// stop() must have returned.
  ~CoreDriver();
  CoreDriver(const CoreDriver&) = delete;
  CoreDriver& operator=(const CoreDriver&) = delete;

  /// Runs `command(core, now)` on the signalling thread and returns what it returned, a Result.
  /// Inside an event handler that is at once; elsewhere the caller waits. From the log handler on
  /// the signalling thread it fails: the core is in the middle of something.
  template <typename Command>
  auto run(Command command) -> std::invoke_result_t<Command, ua::Core&, TimePoint> {
    using R = std::invoke_result_t<Command, ua::Core&, TimePoint>;
    if (loop_.runs_here()) {
      if (in_core_) return fail(ErrorCode::WrongState, "no commands from a log handler");
      return give([&](TimePoint now) { return command(core_, now); });
    }
    std::promise<R> promise;
    auto answer = promise.get_future();
    loop_.post([&] {
      auto input = [&](TimePoint now) { return command(core_, now); };
      const TimePoint now = io::now();
      note_suspend(now);
      promise.set_value(enter(input, now));
      // From here on the caller may be gone with everything captured but `this`.
      settle();
    });
    return answer.get();
  }

  Result<void> update_network(NetworkSnapshot snapshot);
  /// Ends everything in the core, and waits until nothing is outstanding or `limit` has passed.
  void shut_down(Duration limit);
  /// Ends everything without waiting for answers, and the threads. Not from an event handler.
  void stop();

 private:
  struct Listener {
    io::UdpSocket socket;
    std::unique_ptr<io::EventLoop::Watch> watch;
  };

  /// One input to the core with everything that follows from it.
  template <typename Input>
  auto give(Input input) {
    const TimePoint now = io::now();
    note_suspend(now);
    if constexpr (std::is_void_v<std::invoke_result_t<Input, TimePoint>>) {
      enter(input, now);
      settle();
    } else {
      auto result = enter(input, now);
      settle();
      return result;
    }
  }
  template <typename Input>
  auto enter(Input& input, TimePoint now) {
    const CoreScope scope(in_core_);
    return input(now);
  }
  struct CoreScope {
    explicit CoreScope(bool& flag) : in_core(flag) { in_core = true; }
    ~CoreScope() { in_core = false; }
    bool& in_core;
  };

  std::optional<ua::Output> next_output();
  void settle();
  void carry_out(ua::Output output);
  void deliver(const Event& event, TimePoint at);
  void listen(const ua::Listen& wanted);
  void send(ua::SendDatagram datagram);
  void flush();
  void on_unsent(ua::ListenerId id, const Endpoint& remote, const io::SendError& error);
  void ask(const ua::Query& query);
  void report(StreamReport report);
  void instruct(MediaWorker::Instruction instruction);
  void on_readable(ua::ListenerId id);
  void on_timer();
  void note_suspend(TimePoint now);
  void read_network(TimePoint now);
  void give_network(NetworkSnapshot snapshot, TimePoint now);
  void arm_timer();
  void trace(std::string_view direction, const Endpoint& local, const Endpoint& remote,
             std::string_view bytes);

  LogBridge log_;
  EventHandler on_event_;
  const std::uint8_t sip_dscp_;
  const SocketHook socket_created_;
  io::SystemRandom random_;
  io::EventLoop loop_;
  io::DeadlineTimer timer_;
  std::unique_ptr<io::EventLoop::Watch> timer_watch_;
  io::SuspendDetector suspend_;
  std::optional<io::WakeSignal> wake_;
  std::unique_ptr<io::EventLoop::Watch> wake_watch_;
  TimePoint next_suspend_check_{};
  bool own_dns_servers_;  ///< Named in the configuration.
  mobility::PathPolicy path_policy_;
  io::DnsChannel dns_;
  io::Resolver resolver_;  ///< For names that are none of the DNS.
  std::optional<NetworkReader> network_;
  bool watches_network_ = false;
  std::unique_ptr<io::EventLoop::Watch> network_watch_;
  io::ReceiveBuffers buffers_;
  std::vector<std::pair<Endpoint, std::string>> received_;
  std::map<ua::ListenerId, Listener> listeners_;
  /// Datagrams that leave together when the outputs so far have been carried out.
  std::vector<ua::SendDatagram> outgoing_;
  std::vector<std::pair<Endpoint, Bytes>> outgoing_views_;
  StreamTable streams_;

  std::optional<FileStore> store_;
  ua::Core core_;
  bool in_core_ = false;
  bool settling_ = false;
  bool in_batch_ = false;  ///< More received datagrams are about to be given.
  /// Inputs that came up while outputs were carried out; given once those are done.
  std::deque<std::function<void(TimePoint)>> answers_;
  std::deque<std::pair<Event, TimePoint>> events_;
  std::vector<std::shared_ptr<std::promise<void>>> waiting_for_idle_;

  Mailbox<std::pair<CallId, media::MediaReport>> reports_;
  MediaWorker media_;
  std::thread thread_;
};

}  // namespace godwit::runtime
