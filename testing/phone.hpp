// SPDX-License-Identifier: Apache-2.0
//
// A whole user agent on a simulated host: drives one ua::Core and the MediaEngine of each call as
// the runtime does on a real machine, carries out every output, and holds both to the rules that
// any driver relies on (violations()). Owned by the test. It judges no behaviour; what happened is
// recorded for the test to look at.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "godwit/event.hpp"
#include "testing/memory_audio.hpp"
#include "testing/network.hpp"
#include "testing/simulation.hpp"
#include "testing/trace.hpp"
#include "ua/core.hpp"

namespace godwit::testing {

/// How slow the machine around the core is.
struct PhoneTiming {
  Duration snapshot_delay = std::chrono::milliseconds(1);  ///< From a change to its snapshot.
  Duration resolve_delay = std::chrono::milliseconds(20);
  Duration resolve_timeout = std::chrono::seconds(5);    ///< Until it is told that none answers.
  Duration bind_delay = std::chrono::microseconds(200);  ///< Of any socket.
  Duration hop_delay = std::chrono::microseconds(50);    ///< Between core and media thread.
};

struct RecordedEvent {
  TimePoint at;
  Event event;
};

class SimulatedPhone {
 public:
  SimulatedPhone(Network& network, Host& host, UserAgentConfig config, Trace* trace = nullptr,
                 PhoneTiming timing = {});
  ~SimulatedPhone();
  SimulatedPhone(const SimulatedPhone&) = delete;
  SimulatedPhone& operator=(const SimulatedPhone&) = delete;

  const std::string& name() const { return host_.name(); }
  Host& host() { return host_; }
  MemoryAudio& audio() { return audio_; }

  // Commands of the application, as in ua::Core.
  Result<AccountId> add_account(AccountConfig config);
  Result<void> remove_account(AccountId account);
  Result<void> register_account(AccountId account);
  Result<void> unregister_account(AccountId account);
  Result<void> push_wake(AccountId account);
  Result<CallId> call(AccountId account, const std::string& target);
  Result<void> ring(CallId call);
  Result<void> answer(CallId call);
  Result<void> reject(CallId call, int status);
  Result<void> progress(CallId call, int status = 183);
  Result<void> follow_redirect(CallId call);
  Result<void> hang_up(CallId call);
  Result<void> hold(CallId call);
  Result<void> resume(CallId call);
  Result<CallId> call(AccountId account, const std::string& target, CallOptions options);
  Result<void> hang_up(CallId call, ReasonHeader reason);
  Result<void> play_tone(CallId call, double hz);
  Result<void> record(CallId call, const std::string& file);
  Result<void> restart_listener(TransportChoice transport);
  Result<void> open_listener(TransportChoice transport, const IpAddress& local,
                             std::uint16_t port = 0);
  Result<void> close_listener(TransportChoice transport, const IpAddress& local);
  Result<void> modify_account(AccountId account, AccountConfig config, ModifyAccount how = {});
  Result<Generation> handle_ip_change(IpChangeOptions options = {});
  Result<RequestId> refresh_call(CallId call, CallRefresh refresh = {});
  void shut_down();
  bool idle() const { return core_->idle(); }

  /// Any other command of the core's: `phone.command([&](ua::Core& core, TimePoint now) { … })`.
  template <typename Command>
  auto command(Command command) {
    return give(std::move(command));
  }

  /// Rings and answers every incoming call after so long; nullopt: leaves it to the test.
  void answer_calls(std::optional<Duration> after) { answer_after_ = after; }
  /// Every confirmed call plays this tone; 0: leaves it to the test.
  void play_to_all(double hz) { tone_hz_ = hz; }

  /// The machine sleeps: timers stand still, what arrives is lost. On waking the core is told.
  void suspend(Duration asleep);

  // Facts.
  const std::vector<RecordedEvent>& events() const { return events_; }
  /// All events of one kind, oldest first.
  template <typename Kind>
  std::vector<Kind> all() const {
    std::vector<Kind> found;
    for (const RecordedEvent& recorded : events_) {
      if (const auto* event = std::get_if<Kind>(&recorded.event)) found.push_back(*event);
    }
    return found;
  }
  template <typename Kind>
  std::optional<Kind> last() const {
    const auto found = all<Kind>();
    return found.empty() ? std::nullopt : std::optional(found.back());
  }
  std::optional<RegistrationState> registration(AccountId account) const;
  std::optional<CallState> state(CallId call) const;
  /// The CallStateChanged that ended the call.
  std::optional<CallStateChanged> ended(CallId call) const;
  std::vector<IpChangeReport> reports() const;
  /// Calls heard of, in order of their ids.
  std::vector<CallId> calls() const;
  Counters counters() const { return core_->counters(); }
  /// When the core was last given a snapshot that differed from the one before.
  std::optional<TimePoint> last_snapshot_at() const { return last_snapshot_at_; }
  /// What was asked of the DNS, in order.
  const std::vector<DnsQuestion>& questions() const { return questions_; }
  std::uint32_t resolvers_made() const { return resolver_; }
  std::size_t engines() const { return engines_.size(); }
  std::size_t listeners() const { return listeners_.size(); }
  /// Connections that the core has, and where it accepts them.
  std::size_t streams() const { return streams_.size(); }
  std::vector<Endpoint> stream_listeners() const;
  /// The kernel has Multipath TCP.
  void set_multipath(bool on) { multipath_ = on; }

  /// Broken rules, as sentences; a test that does not look at them has not passed.
  const std::vector<std::string>& violations() const { return violations_; }
  /// Checks what holds at any time; called after every input, and by tests after every step.
  void check();

 private:
  struct Path {
    SocketId rtp;
    SocketId rtcp;
    IpAddress local;
  };
  struct OpenStreamState {
    std::optional<StreamId> id;
    bool open = false;
  };
  struct Engine {
    Engine(CallId call, const MediaConfig& config, Random& random, Log& log,
           media::AudioFiles& files)
        : media(call, config, random, log, files) {}
    media::MediaEngine media;
    std::map<media::PathId, Path> paths;
    std::unique_ptr<Alarm> alarm;
    std::optional<media::PathId> sending;  ///< The path of the last new RTP packet.
    std::uint32_t aims = 0;                ///< SetRemote commands.
    std::uint32_t switches = 0;            ///< Changes of `sending`.
    std::optional<std::uint16_t> last_sequence;
    TimePoint last_wake;
    std::uint32_t wakes_now = 0;
  };

  template <typename Input>
  auto give(Input input) {
    using Outcome = decltype(input(*core_, simulation_.now()));
    if constexpr (std::is_void_v<Outcome>) {
      input(*core_, simulation_.now());
      drain();
    } else {
      Outcome outcome = input(*core_, simulation_.now());
      drain();
      return outcome;
    }
  }
  void drain();
  void carry_out(ua::Output output);
  void carry_out(const ua::Listen& listen);
  void carry_out(const ua::SendDatagram& send);
  void carry_out(const ua::Query& query);
  void carry_out(const ua::OpenStream& open);
  StreamServer stream_server(const ua::Listen& listen);
  StreamHandlers stream_handlers(ua::ListenerId id);
  void carry_out_media(CallId call, const media::MediaCommand& command);
  void record_event(const Event& event);
  void later(Duration delay, std::function<void()> input);
  void wake();
  void wake_engine(CallId call);
  void drain_engine(CallId call);
  void carry_out(CallId call, Engine& engine, media::MediaOutput output);
  void open_sockets(CallId call, const media::OpenSockets& open);
  void note_rtp(CallId call, Engine& engine, const media::SendPacket& packet);
  void network_changed();
  void violate(std::string what);

  Network& network_;
  Simulation& simulation_;
  Host& host_;
  UserAgentConfig config_;
  Trace* trace_;
  PhoneTiming timing_;
  SeededRandom random_;
  SeededRandom media_random_;
  NullLog log_;
  MemoryAudio audio_;
  MemoryStore store_;
  std::unique_ptr<ua::Core> core_;
  Alarm alarm_;
  Alarm snapshot_alarm_;
  std::map<ua::ListenerId, SocketId> listeners_;
  std::map<ua::ListenerId, Endpoint> stream_listeners_;
  std::map<ua::ListenerId, OpenStreamState> streams_;
  bool multipath_ = false;
  /// Asked for and not closed; false: it could not be opened.
  std::map<ua::ListenerId, bool> known_listeners_;
  std::vector<DnsQuestion> questions_;
  std::uint32_t resolver_ = 0;  ///< Made anew with each change of the network.
  std::map<CallId, std::unique_ptr<Engine>> engines_;
  std::vector<IpAddress> watched_;
  std::optional<NetworkSnapshot> last_snapshot_;
  std::optional<TimePoint> last_snapshot_at_;
  bool asleep_ = false;
  std::optional<Duration> answer_after_;
  double tone_hz_ = 0;
  std::vector<RecordedEvent> events_;
  std::vector<std::string> violations_;
  TimePoint last_wake_;
  std::uint32_t wakes_now_ = 0;
  bool draining_ = false;
  /// What outlives a destroyed phone in the simulation's queue asks this first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// One line for traces.
std::string describe_event(const Event& event);

}  // namespace godwit::testing
