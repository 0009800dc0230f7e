// SPDX-License-Identifier: Apache-2.0
#include "testing/phone.hpp"

#include <algorithm>

#include "testing/rtp_facts.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::testing {
namespace {

/// Outputs of one input. One input may start a recovery of all calls; more is a loop.
constexpr std::size_t kMaxOutputs = 10'000;
/// Timeouts at one point in time without the clock moving on.
constexpr std::uint32_t kMaxWakes = 200;

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <typename... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

SimulatedPhone::SimulatedPhone(Network& network, Host& host, UserAgentConfig config, Trace* trace,
                               PhoneTiming timing)
    : network_(network),
      simulation_(network.simulation()),
      host_(host),
      config_(std::move(config)),
      trace_(trace),
      timing_(timing),
      random_(simulation_.fork_random()),
      media_random_(simulation_.fork_random()),
      core_(std::make_unique<ua::Core>(config_, random_, log_, &store_)),
      alarm_(simulation_, [this] { wake(); }),
      snapshot_alarm_(simulation_, [this] { network_changed(); }) {
  host_.on_change([this] { snapshot_alarm_.set(simulation_.now() + timing_.snapshot_delay); });
  network_changed();
}

SimulatedPhone::~SimulatedPhone() {
  *alive_ = false;
  host_.on_change({});
  for (const auto& [id, socket] : listeners_) host_.close(socket);
  for (const auto& [id, local] : stream_listeners_) host_.streams().stop_listening(local);
  for (const auto& [id, stream] : streams_) {
    if (stream.id) host_.streams().close(*stream.id);
  }
  for (const auto& [id, engine] : engines_) {
    for (const auto& [path, sockets] : engine->paths) {
      host_.close(sockets.rtp);
      host_.close(sockets.rtcp);
    }
  }
}

void SimulatedPhone::violate(std::string what) {
  if (trace_ != nullptr) trace_->note(name(), "VIOLATION " + what);
  if (violations_.size() < 100) {
    violations_.push_back("at " + std::to_string(to_ms(simulation_.elapsed())) + " ms: " + what);
  }
}

// ---- Inputs ---------------------------------------------------------------------------------

void SimulatedPhone::later(Duration delay, std::function<void()> input) {
  simulation_.after(delay, [alive = alive_, input = std::move(input)] {
    if (*alive) input();
  });
}

Result<AccountId> SimulatedPhone::add_account(AccountConfig account) {
  return give([&](ua::Core& core, TimePoint now) { return core.add_account(account, now); });
}
Result<void> SimulatedPhone::remove_account(AccountId account) {
  return give([&](ua::Core& core, TimePoint now) { return core.remove_account(account, now); });
}
Result<void> SimulatedPhone::register_account(AccountId account) {
  return give([&](ua::Core& core, TimePoint now) { return core.register_account(account, now); });
}
Result<void> SimulatedPhone::push_wake(AccountId account) {
  return give([&](ua::Core& core, TimePoint now) { return core.push_wake(account, now); });
}
Result<void> SimulatedPhone::unregister_account(AccountId account) {
  return give([&](ua::Core& core, TimePoint now) { return core.unregister_account(account, now); });
}
Result<CallId> SimulatedPhone::call(AccountId account, const std::string& target) {
  return give([&](ua::Core& core, TimePoint now) { return core.call(account, target, now); });
}
Result<CallId> SimulatedPhone::call(AccountId account, const std::string& target,
                                    CallOptions options) {
  return give([&](ua::Core& core, TimePoint now) {
    return core.call(account, target, std::move(options), now);
  });
}

Result<void> SimulatedPhone::hang_up(CallId call, ReasonHeader reason) {
  return give(
      [&](ua::Core& core, TimePoint now) { return core.hang_up(call, std::move(reason), now); });
}

Result<void> SimulatedPhone::ring(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.ring(call, now); });
}
Result<void> SimulatedPhone::answer(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.answer(call, now); });
}
Result<void> SimulatedPhone::progress(CallId call, int status) {
  return give([&](ua::Core& core, TimePoint now) { return core.progress(call, status, now); });
}
Result<void> SimulatedPhone::follow_redirect(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.follow_redirect(call, now); });
}
Result<void> SimulatedPhone::reject(CallId call, int status) {
  return give([&](ua::Core& core, TimePoint now) { return core.reject(call, status, now); });
}
Result<void> SimulatedPhone::hang_up(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.hang_up(call, now); });
}
Result<void> SimulatedPhone::hold(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.hold(call, now); });
}
Result<void> SimulatedPhone::resume(CallId call) {
  return give([&](ua::Core& core, TimePoint now) { return core.resume(call, now); });
}
Result<void> SimulatedPhone::play_tone(CallId call, double hz) {
  AudioSource source;
  source.kind = AudioSource::Kind::Tone;
  source.tone_hz = hz;
  return give([&](ua::Core& core, TimePoint now) { return core.set_source(call, source, now); });
}
Result<void> SimulatedPhone::record(CallId call, const std::string& file) {
  return give([&](ua::Core& core, TimePoint now) { return core.record(call, file, now); });
}
Result<void> SimulatedPhone::restart_listener(TransportChoice transport) {
  return give([&](ua::Core& core, TimePoint now) { return core.restart_listener(transport, now); });
}
Result<void> SimulatedPhone::open_listener(TransportChoice transport, const IpAddress& local,
                                           std::uint16_t port) {
  return give([&](ua::Core& core, TimePoint now) {
    return core.open_listener(transport, local, port, now);
  });
}
Result<void> SimulatedPhone::close_listener(TransportChoice transport, const IpAddress& local) {
  return give(
      [&](ua::Core& core, TimePoint now) { return core.close_listener(transport, local, now); });
}
Result<void> SimulatedPhone::modify_account(AccountId account, AccountConfig config,
                                            ModifyAccount how) {
  return give([&](ua::Core& core, TimePoint now) {
    return core.modify_account(account, std::move(config), how, now);
  });
}
std::vector<Endpoint> SimulatedPhone::stream_listeners() const {
  std::vector<Endpoint> all;
  for (const auto& [id, local] : stream_listeners_) all.push_back(local);
  return all;
}
Result<RequestId> SimulatedPhone::refresh_call(CallId call, CallRefresh refresh) {
  return give([&](ua::Core& core, TimePoint now) { return core.refresh_call(call, refresh, now); });
}
Result<Generation> SimulatedPhone::handle_ip_change(IpChangeOptions options) {
  return give([&](ua::Core& core, TimePoint now) { return core.handle_ip_change(options, now); });
}
void SimulatedPhone::shut_down() {
  give([](ua::Core& core, TimePoint now) { core.shut_down(now); });
}

void SimulatedPhone::wake() {
  if (asleep_) return;
  const TimePoint now = simulation_.now();
  wakes_now_ = now == last_wake_ ? wakes_now_ + 1 : 0;
  last_wake_ = now;
  if (wakes_now_ == kMaxWakes) {
    violate("next_timeout() does not move on");
    return;  // The alarm stays silent, or the simulation would stand still for ever.
  }
  give([](ua::Core& core, TimePoint at) { core.on_timeout(at); });
}

void SimulatedPhone::suspend(Duration asleep) {
  asleep_ = true;
  host_.set_asleep(true);
  later(asleep, [this, asleep] {
    asleep_ = false;
    host_.set_asleep(false);
    if (last_snapshot_ != host_.snapshot(watched_)) network_changed();
    give([&](ua::Core& core, TimePoint now) { core.on_resumed(asleep, now); });
    wake();
    std::vector<CallId> ids;
    for (const auto& [id, engine] : engines_) ids.push_back(id);
    for (const CallId id : ids) wake_engine(id);
  });
}

void SimulatedPhone::network_changed() {
  if (asleep_) return;
  NetworkSnapshot snapshot = host_.snapshot(watched_);
  if (last_snapshot_ == snapshot) return;
  last_snapshot_ = snapshot;
  last_snapshot_at_ = simulation_.now();
  if (trace_ != nullptr) {
    std::string text = "network:";
    for (const NetworkInterface& interface : snapshot.interfaces) {
      text += " " + interface.name + (interface.carrier ? "" : "(no carrier)");
      for (const InterfaceAddress& own : interface.addresses) text += " " + own.address.to_string();
    }
    for (const DefaultRoute& route : snapshot.default_routes) {
      text += std::string(" default-") + to_string(route.family) + " via " +
              std::to_string(route.interface_index);
    }
    trace_->note(name(), text);
  }
  give([&](ua::Core& core, TimePoint now) { core.on_network(std::move(snapshot), now); });
}

// ---- Outputs of the core ------------------------------------------------------------------------

void SimulatedPhone::drain() {
  if (draining_) {
    violate("the driver gave an input while it was draining");
    return;
  }
  draining_ = true;
  std::size_t count = 0;
  while (auto output = core_->poll_output()) {
    if (++count > kMaxOutputs) {
      violate("more than " + std::to_string(kMaxOutputs) + " outputs for one input");
      break;
    }
    carry_out(std::move(*output));
  }
  draining_ = false;
  if (!asleep_) alarm_.set(core_->next_timeout());
  check();
}

void SimulatedPhone::carry_out(ua::Output output) {
  std::visit(
      Overloaded{
          [this](const ua::Listen& listen) { carry_out(listen); },
          [this](const ua::CloseListener& close) {
            if (known_listeners_.erase(close.listener) == 0) violate("closes an unknown listener");
            if (const auto found = stream_listeners_.find(close.listener);
                found != stream_listeners_.end()) {
              host_.streams().stop_listening(found->second);
              stream_listeners_.erase(found);
            }
            if (const auto found = listeners_.find(close.listener); found != listeners_.end()) {
              host_.close(found->second);
              listeners_.erase(found);
            }
          },
          [this](const ua::SendDatagram& send) { carry_out(send); },
          [this](const ua::Query& query) { carry_out(query); },
          [this](const ua::RenewResolver&) {
            ++resolver_;
            if (trace_ != nullptr) trace_->note(name(), "new resolver");
          },
          [this](const ua::CreateMedia& create) {
            if (engines_.contains(create.call)) violate("creates the media of a call twice");
            auto engine =
                std::make_unique<Engine>(create.call, config_.media, media_random_, log_, audio_);
            engine->alarm = std::make_unique<Alarm>(
                simulation_, [this, call = create.call] { wake_engine(call); });
            engines_[create.call] = std::move(engine);
          },
          [this](const ua::MediaInstruction& instruction) {
            if (!engines_.contains(instruction.call)) {
              violate("instructs media that does not exist");
              return;
            }
            later(timing_.hop_delay,
                  [this, instruction] { carry_out_media(instruction.call, instruction.command); });
          },
          [this](const ua::DestroyMedia& destroy) {
            if (!engines_.contains(destroy.call)) violate("destroys media that does not exist");
            later(timing_.hop_delay, [this, call = destroy.call] {
              const auto found = engines_.find(call);
              if (found == engines_.end()) return;
              for (const auto& [path, sockets] : found->second->paths) {
                host_.close(sockets.rtp);
                host_.close(sockets.rtcp);
              }
              engines_.erase(found);
            });
          },
          [this](const ua::WatchRemotes& watch) {
            watched_ = watch.remotes;
            snapshot_alarm_.set(simulation_.now() + timing_.snapshot_delay);
          },
          [this](const ua::EmitEvent& emit) { record_event(emit.event); },
          [this](const ua::OpenStream& open) { carry_out(open); },
          [this](const ua::SendStream& send) {
            const auto found = streams_.find(send.stream);
            if (found == streams_.end() || !found->second.open) {
              violate("sends on a connection that is not open: " + describe_packet(send.bytes));
            } else {
              host_.streams().send(*found->second.id, send.bytes);
            }
          },
          [this](const ua::CloseStream& close) {
            const auto found = streams_.find(close.stream);
            if (found == streams_.end()) return violate("closes an unknown connection");
            if (found->second.id) host_.streams().close(*found->second.id);
            streams_.erase(found);
          },
      },
      output);
}

void SimulatedPhone::carry_out(const ua::Listen& listen) {
  if (std::exchange(known_listeners_[listen.listener], true)) violate("a listener id comes twice");
  later(timing_.bind_delay, [this, listen] {
    if (!known_listeners_.contains(listen.listener)) return;  // Closed meanwhile.
    const ua::ListenerId id = listen.listener;
    if (is_stream(listen.transport)) {
      auto bound = host_.streams().listen(listen.local, stream_server(listen));
      if (bound) stream_listeners_[id] = *bound;
      known_listeners_[id] = bound.has_value();
      give([&](ua::Core& core, TimePoint now) { core.on_listen(id, std::move(bound), now); });
      return;
    }
    auto socket = host_.bind(
        listen.local, listen.interface_index,
        [this, id](SocketId, const Endpoint& from, const std::string& bytes) {
          give([&](ua::Core& core, TimePoint now) { core.on_datagram(id, from, bytes, now); });
        },
        [this, id](SocketId, const Endpoint& remote) {
          give([&](ua::Core& core, TimePoint now) {
            core.on_send_error(id, remote, false, "port unreachable", now);
          });
        });
    Result<Endpoint> bound = tl::unexpected(Error{ErrorCode::Network, "not bound"});
    if (socket) {
      listeners_[id] = *socket;
      bound = host_.local(*socket);
    } else {
      bound = tl::unexpected(socket.error());
      known_listeners_[id] = false;
    }
    give([&](ua::Core& core, TimePoint now) { core.on_listen(id, std::move(bound), now); });
  });
}

void SimulatedPhone::carry_out(const ua::Query& query) {
  questions_.push_back(query.question);
  DnsAnswer answer = network_.dns().answer(query.question);
  if (trace_ != nullptr) {
    trace_->note(name(), "DNS " + query.question.name + " " + to_string(query.question.type) +
                             ": " + std::to_string(answer.records.size()) + " records, " +
                             to_string(answer.failure));
  }
  const bool unanswered = answer.failure == DnsFailure::Timeout;
  later(unanswered ? timing_.resolve_timeout : timing_.resolve_delay,
        [this, query = query.query, answer = std::move(answer), asked_of = resolver_] {
          if (asked_of != resolver_) return;  // Forgotten with its resolver.
          give([&](ua::Core& core, TimePoint now) { core.on_resolved(query, answer, now); });
        });
}

StreamServer SimulatedPhone::stream_server(const ua::Listen& listen) {
  StreamServer server;
  server.tls = listen.transport == sip::Transport::Tls;
  server.certificate = name();
  server.accept = [this, listener = listen.listener](
                      StreamId stream, const Endpoint& local,
                      const Endpoint& remote) -> std::optional<StreamHandlers> {
    const auto id = give([&](ua::Core& core, TimePoint now) {
      ua::StreamInfo info;
      info.local = local;
      return core.accept_stream(listener, info, remote, now);
    });
    if (!id) return std::nullopt;
    streams_[*id] = OpenStreamState{stream, true};
    return stream_handlers(*id);
  };
  return server;
}

StreamHandlers SimulatedPhone::stream_handlers(ua::ListenerId id) {
  StreamHandlers handlers;
  handlers.data = [this, id](const std::string& bytes) {
    if (asleep_) return;
    give([&](ua::Core& core, TimePoint now) { core.on_stream_data(id, bytes, now); });
  };
  handlers.closed = [this, id](const std::string& reason) {
    if (streams_.erase(id) == 0) return;
    give([&](ua::Core& core, TimePoint now) { core.on_stream_closed(id, reason, now); });
  };
  return handlers;
}

void SimulatedPhone::carry_out(const ua::OpenStream& open) {
  if (!streams_.emplace(open.stream, OpenStreamState{}).second) {
    return violate("a connection id comes twice");
  }
  if (open.transport == sip::Transport::Tls && open.server_name.empty()) {
    violate("opens TLS to " + open.remote.to_string() + " without a name to verify");
  }
  const ua::ListenerId id = open.stream;
  StreamClient client;
  client.local = open.local;
  client.interface = open.interface_index;
  client.remote = open.remote;
  client.tls = open.transport == sip::Transport::Tls;
  client.name = open.server_name;
  client.multipath = multipath_ && open.mptcp != MptcpMode::Off;
  StreamHandlers handlers = stream_handlers(id);
  handlers.opened = [this, id](const Endpoint& local, const std::string& tls_peer, bool multipath) {
    streams_[id].open = true;
    ua::StreamInfo info;
    info.local = local;
    info.tls_peer = tls_peer;
    info.multipath = multipath;
    give([&](ua::Core& core, TimePoint now) { core.on_stream_opened(id, info, now); });
  };
  auto connected = host_.streams().connect(client, std::move(handlers));
  if (connected) {
    streams_[id].id = *connected;
    later(open.deadline, [this, id] {
      const auto found = streams_.find(id);
      if (found == streams_.end() || found->second.open) return;
      host_.streams().close(*found->second.id);
      streams_.erase(found);
      give([&](ua::Core& core, TimePoint now) {
        core.on_stream_closed(id, "no answer in time", now);
      });
    });
  } else {
    later(timing_.bind_delay, [this, id, reason = connected.error().detail] {
      if (streams_.erase(id) == 0) return;
      give([&](ua::Core& core, TimePoint now) { core.on_stream_closed(id, reason, now); });
    });
  }
}

void SimulatedPhone::carry_out(const ua::SendDatagram& send) {
  const auto found = listeners_.find(send.listener);
  if (found == listeners_.end()) {
    violate("sends on a listener that is not open: " + describe_packet(send.bytes));
    return;
  }
  const Endpoint local = host_.local(found->second);
  if (last_snapshot_ && last_snapshot_->owner_of(local.address) == nullptr) {
    violate("sends from " + local.to_string() +
            ", which the last snapshot does not have: " + describe_packet(send.bytes));
  }
  const auto refusal = host_.send(found->second, send.remote, send.bytes);
  if (!refusal) return;
  later(Duration::zero(), [this, send, refusal = *refusal] {
    give([&](ua::Core& core, TimePoint now) {
      core.on_send_error(send.listener, send.remote, refusal == SendRefusal::AddressGone,
                         to_string(refusal), now);
    });
  });
}

void SimulatedPhone::record_event(const Event& event) {
  events_.push_back(RecordedEvent{simulation_.now(), event});
  if (trace_ != nullptr && !std::holds_alternative<CallStatistics>(event)) {
    trace_->note(name(), describe_event(event));
  }
  if (const auto* incoming = std::get_if<IncomingCall>(&event); incoming && answer_after_) {
    later(Duration::zero(), [this, call = incoming->call] { (void)ring(call); });
    later(*answer_after_, [this, call = incoming->call] { (void)answer(call); });
  }
  if (const auto* changed = std::get_if<CallStateChanged>(&event);
      changed && changed->state == CallState::Confirmed && tone_hz_ > 0) {
    later(Duration::zero(), [this, call = changed->call] {
      (void)play_tone(call, tone_hz_);
      (void)record(call, "call " + std::to_string(call.value()));
    });
  }
}

// ---- Media --------------------------------------------------------------------------------------

void SimulatedPhone::carry_out_media(CallId call, const media::MediaCommand& command) {
  const auto found = engines_.find(call);
  if (found == engines_.end()) return;
  if (std::holds_alternative<media::SetRemote>(command)) ++found->second->aims;
  found->second->media.command(command, simulation_.now());
  drain_engine(call);
}

void SimulatedPhone::wake_engine(CallId call) {
  const auto found = engines_.find(call);
  if (found == engines_.end() || asleep_) return;
  Engine& engine = *found->second;
  const TimePoint now = simulation_.now();
  engine.wakes_now = now == engine.last_wake ? engine.wakes_now + 1 : 0;
  engine.last_wake = now;
  if (engine.wakes_now == kMaxWakes) {
    violate("the media engine's next_timeout() does not move on");
    return;
  }
  engine.media.on_timeout(now);
  drain_engine(call);
}

void SimulatedPhone::drain_engine(CallId call) {
  const auto found = engines_.find(call);
  if (found == engines_.end()) return;
  Engine& engine = *found->second;
  std::size_t count = 0;
  while (auto output = engine.media.poll_output()) {
    if (++count > kMaxOutputs) {
      violate("the media engine does not stop");
      break;
    }
    carry_out(call, engine, std::move(*output));
  }
  if (!asleep_) engine.alarm->set(engine.media.next_timeout());
}

void SimulatedPhone::carry_out(CallId call, Engine& engine, media::MediaOutput output) {
  std::visit(Overloaded{
                 [&](const media::OpenSockets& open) {
                   later(timing_.bind_delay, [this, call, open] { open_sockets(call, open); });
                 },
                 [&](const media::CloseSockets& close) {
                   const auto path = engine.paths.find(close.path);
                   if (path == engine.paths.end()) return;
                   host_.close(path->second.rtp);
                   host_.close(path->second.rtcp);
                   engine.paths.erase(path);
                 },
                 [&](const media::SendPacket& packet) {
                   const auto path = engine.paths.find(packet.path);
                   if (path == engine.paths.end()) {
                     violate("media is sent on a path that is not open");
                     return;
                   }
                   if (packet.channel == media::Channel::Rtp) note_rtp(call, engine, packet);
                   const SocketId socket =
                       packet.channel == media::Channel::Rtp ? path->second.rtp : path->second.rtcp;
                   const auto refusal =
                       host_.send(socket, packet.remote,
                                  std::string(packet.bytes.begin(), packet.bytes.end()));
                   if (!refusal) return;
                   later(Duration::zero(), [this, call, id = packet.path, refusal = *refusal] {
                     const auto found = engines_.find(call);
                     if (found == engines_.end()) return;
                     found->second->media.on_error(
                         id, Error{ErrorCode::Network, to_string(refusal)}, simulation_.now());
                     drain_engine(call);
                   });
                 },
                 [&](const media::MediaReport& report) {
                   later(timing_.hop_delay, [this, call, report] {
                     give([&](ua::Core& core, TimePoint now) { core.on_media(call, report, now); });
                   });
                 },
             },
             output);
}

void SimulatedPhone::open_sockets(CallId call, const media::OpenSockets& open) {
  const auto found = engines_.find(call);
  if (found == engines_.end()) return;
  const auto receiver = [this, call, path = open.path](media::Channel channel) {
    return [this, call, path, channel](SocketId, const Endpoint& from, const std::string& bytes) {
      const auto engine = engines_.find(call);
      if (engine == engines_.end()) return;
      engine->second->media.on_packet(path, channel, from, as_bytes(bytes), simulation_.now());
      drain_engine(call);
    };
  };
  const auto answer = [&](Result<Endpoint> bound) {
    found->second->media.on_sockets(open.path, std::move(bound), simulation_.now());
    drain_engine(call);
  };
  const std::uint64_t low = open.port_min == 0 ? 16'384 : open.port_min;
  const std::uint64_t high = open.port_max == 0 ? 32'766 : open.port_max;
  std::string why = "no free pair of ports";
  for (int attempt = 0; attempt < 64; ++attempt) {
    const auto port =
        static_cast<std::uint16_t>(media_random_.between((low + 1) / 2, (high - 1) / 2) * 2);
    auto rtp = host_.bind({open.local, port}, open.interface_index, receiver(media::Channel::Rtp));
    if (!rtp) {
      why = rtp.error().detail;
      continue;
    }
    auto rtcp = host_.bind({open.local, static_cast<std::uint16_t>(port + 1)}, open.interface_index,
                           receiver(media::Channel::Rtcp));
    if (!rtcp) {
      host_.close(*rtp);
      continue;
    }
    found->second->paths[open.path] = Path{*rtp, *rtcp, open.local};
    answer(Endpoint{open.local, port});
    return;
  }
  answer(fail(ErrorCode::Network, why));
}

void SimulatedPhone::note_rtp(CallId call, Engine& engine, const media::SendPacket& packet) {
  const std::string bytes(packet.bytes.begin(), packet.bytes.end());
  // On RTP's port, too (RFC 5761, RFC 7983).
  if (is_rtcp(bytes) || wire::looks_like_stun(packet.bytes)) return;
  const auto header = read_rtp(bytes);
  if (!header) {
    violate("an RTP packet that is none");
    return;
  }
  // A repetition of what was sent before the old path's death is not a new packet.
  const bool repeated = engine.last_sequence &&
                        static_cast<std::int16_t>(header->sequence - *engine.last_sequence) <= 0;
  if (repeated) return;
  engine.last_sequence = header->sequence;
  if (engine.sending == packet.path) return;
  if (engine.sending) ++engine.switches;
  engine.sending = packet.path;
  // One active transmit path: it changes when it is told to and at no other time.
  if (engine.switches > engine.aims) {
    violate("call " + std::to_string(call.value()) + " sends on two paths");
  }
}

// ---- Facts --------------------------------------------------------------------------------------

void SimulatedPhone::check() {
  if (listeners_.size() > 16) violate("too many listeners: " + std::to_string(listeners_.size()));
  for (const auto& [call, engine] : engines_) {
    if (engine->paths.size() > media::kMaxPaths) violate("too many media paths");
  }
}

std::optional<RegistrationState> SimulatedPhone::registration(AccountId account) const {
  std::optional<RegistrationState> state;
  for (const auto& event : all<RegistrationChanged>()) {
    if (event.account == account) state = event.state;
  }
  return state;
}

std::optional<CallState> SimulatedPhone::state(CallId call) const {
  std::optional<CallState> state;
  for (const RecordedEvent& recorded : events_) {
    if (const auto* changed = std::get_if<CallStateChanged>(&recorded.event)) {
      if (changed->call == call) state = changed->state;
    } else if (const auto* incoming = std::get_if<IncomingCall>(&recorded.event)) {
      if (incoming->call == call) state = CallState::Incoming;
    }
  }
  return state;
}

std::optional<CallStateChanged> SimulatedPhone::ended(CallId call) const {
  for (const auto& event : all<CallStateChanged>()) {
    if (event.call == call && event.state == CallState::Ended) return event;
  }
  return std::nullopt;
}

std::vector<IpChangeReport> SimulatedPhone::reports() const {
  std::vector<IpChangeReport> found;
  for (const auto& event : all<IpChangeCompleted>()) found.push_back(event.report);
  return found;
}

std::vector<CallId> SimulatedPhone::calls() const {
  std::vector<CallId> found;
  for (const RecordedEvent& recorded : events_) {
    CallId id;
    if (const auto* changed = std::get_if<CallStateChanged>(&recorded.event)) id = changed->call;
    if (const auto* incoming = std::get_if<IncomingCall>(&recorded.event)) id = incoming->call;
    if (id && std::find(found.begin(), found.end(), id) == found.end()) found.push_back(id);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string describe_event(const Event& event) {
  const auto call = [](CallId id) { return "call " + std::to_string(id.value()) + " "; };
  return std::visit(
      Overloaded{
          [&](const RegistrationChanged& e) {
            return "account " + std::to_string(e.account.value()) + " " + to_string(e.state) + " " +
                   std::to_string(e.status) + " " + e.reason + " " + e.contact;
          },
          [&](const IncomingCall& e) { return call(e.call) + "incoming from " + e.from; },
          [&](const CallStateChanged& e) {
            return call(e.call) + to_string(e.state) + " " + std::to_string(e.status) + " " +
                   e.reason;
          },
          [&](const CallMediaChanged& e) {
            return call(e.call) + "media " + e.local.to_string() + " -> " + e.remote.to_string() +
                   " " + to_string(e.direction);
          },
          [&](const CallStatistics& e) {
            return call(e.call) + "sent " + std::to_string(e.packets_sent) + " received " +
                   std::to_string(e.packets_received);
          },
          [&](const NetworkAvailability& e) {
            return std::string(e.available ? "network available" : "no network");
          },
          [&](const IpChangeDetected& e) {
            return "change " + std::to_string(e.generation.value()) + " detected: " + e.decision;
          },
          [&](const IpChangeProgress& e) {
            return "change " + std::to_string(e.generation.value()) + " " + to_string(e.step.kind) +
                   (e.step.ok ? " ok " : " failed ") + std::to_string(e.step.status) + " " +
                   e.step.detail;
          },
          [&](const IpChangeCompleted& e) {
            return "change " + std::to_string(e.report.generation.value()) +
                   (e.report.superseded ? " superseded" : " completed");
          },
          [&](const Warning& e) { return "warning: " + e.text; },
          [&](const MessageResult& e) {
            return "message " + std::to_string(e.request.value()) + " " + std::to_string(e.status) +
                   " " + e.reason + (e.in_doubt ? " (in doubt)" : "");
          },
          [&](const MessageReceived& e) { return "message from " + e.from; },
          [&](const OptionsResult& e) {
            return "options " + std::to_string(e.status) + " " + e.reason;
          },
          [&](const DtmfResult& e) {
            return call(e.call) + "digits " + (e.ok ? "sent" : "not sent: " + e.reason);
          },
          [&](const SubscriptionChanged& e) {
            return "subscription " + std::to_string(e.subscription.value()) + " " +
                   to_string(e.state) + " " + std::to_string(e.status) + " " + e.reason;
          },
          [&](const Notified& e) { return "notified of " + e.event; },
          [&](const MessagesWaiting& e) {
            return std::string(e.waiting ? "messages waiting" : "no messages waiting");
          },
          [&](const PresenceChanged& e) { return e.entity + (e.open ? " open" : " closed"); },
          [&](const RemoteCallsChanged& e) {
            return e.entity + " has " + std::to_string(e.calls.size()) + " calls";
          },
          [&](const FlowChanged& e) {
            return "account " + std::to_string(e.account.value()) + " flow " +
                   std::to_string(e.reg_id) + (e.alive ? " is up" : " failed: " + e.reason);
          },
          [&](const ListenerChanged& e) {
            return "listener " + e.local.to_string() + (e.open ? " is open" : ": " + e.reason);
          },
          [&](const PublicationChanged& e) {
            return "publication " + std::to_string(e.publication.value()) + " " +
                   to_string(e.state) + " " + std::to_string(e.status) + " " + e.reason;
          },
          [&](const TransferProgress& e) {
            return call(e.call) + "transfer " + std::to_string(e.status) + " " + e.reason +
                   (e.finished ? " (over)" : "");
          },
          [&](const TransferRequested& e) {
            return call(e.call) + "transfer to " + e.target + " requested";
          },
          [&](const DtmfReceived& e) { return call(e.call) + "digit " + e.digit; },
          [&](const CallRedirected& e) {
            return "call " + std::to_string(e.call.value()) + " redirected with " +
                   std::to_string(e.status);
          },
          [&](const CallRefreshed& e) {
            return "call " + std::to_string(e.call.value()) + " refresh " +
                   (e.ok ? "answered " : "failed ") + std::to_string(e.status) + " " + e.reason;
          },
      },
      event);
}

}  // namespace godwit::testing
