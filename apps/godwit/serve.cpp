// SPDX-License-Identifier: Apache-2.0
#include "serve.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/json_writer.hpp"
#include "commands.hpp"
#include "io/thread.hpp"
#include "line_input.hpp"
#include "testing/mini_server_streams.hpp"

namespace godwit::app {
namespace {

constexpr std::size_t kDatagramSize = 65'536;
constexpr std::size_t kBatch = 16;
constexpr std::size_t kPerWakeUp = 64;
constexpr int kReceiveBuffer = 4 * 1024 * 1024;
// On loopback it takes a millisecond; "ready" shall mean that they can be called.
constexpr Duration kPartiesStart = std::chrono::seconds(5);
constexpr Duration kPartiesEnd = std::chrono::seconds(1);

}  // namespace

Result<std::unique_ptr<ServerLoop>> ServerLoop::start(testing::MiniServerConfig config,
                                                      const TlsConfig& tls, Log& log,
                                                      Handler handler) {
  io::UdpOptions options;
  options.receive_buffer = kReceiveBuffer;
  std::vector<io::UdpSocket> sockets;
  for (Endpoint& local : config.locals) {
    auto socket = io::UdpSocket::bind(local, options);
    if (!socket) return tl::unexpected(socket.error());
    local = socket->local();
    sockets.push_back(std::move(*socket));
  }
  std::vector<StreamEnd> ends;
  for (testing::ServerListener& listener : config.streams) {
    auto end = StreamEnd::open(listener, tls);
    if (!end) return tl::unexpected(end.error());
    listener.local = end->socket.local();
    ends.push_back(std::move(*end));
  }
  auto timer = io::DeadlineTimer::open();
  if (!timer) return tl::unexpected(timer.error());
  std::unique_ptr<ServerLoop> server(new ServerLoop(std::move(config), std::move(sockets),
                                                    std::move(ends), std::move(*timer), log,
                                                    std::move(handler)));
  return server;
}

ServerLoop::ServerLoop(testing::MiniServerConfig config, std::vector<io::UdpSocket> sockets,
                       std::vector<StreamEnd> ends, io::DeadlineTimer timer, Log& log,
                       Handler handler)
    : locals_(config.locals),
      stream_ends_(config.streams),
      handler_(std::move(handler)),
      buffers_(kBatch, kDatagramSize),
      timer_(std::move(timer)),
      server_(std::move(config), random_, log) {
  for (io::UdpSocket& socket : sockets) {
    const Endpoint local = socket.local();
    sockets_.emplace(local, std::move(socket));
  }
  for (auto& [local, socket] : sockets_) {
    watches_.push_back(
        loop_.watch(socket.descriptor(), [this, &socket = socket] { on_readable(socket); }));
  }
  ServeStreams::Handler on_streams;
  on_streams.on_message = [this](const testing::ServerListener& at, const Endpoint& from,
                                 std::string bytes) {
    on_stream_message(at, from, std::move(bytes));
  };
  on_streams.on_closed = [this](const testing::ServerHop& connection) {
    server_.on_stream_closed(connection);
  };
  on_streams.on_settled = [this] { settle(); };
  streams_ = std::make_unique<ServeStreams>(loop_, log, std::move(ends), std::move(on_streams));
  watches_.push_back(loop_.watch(timer_.descriptor(), [this] {
    timer_.acknowledge();
    streams_->on_deadline(io::now());
    server_.on_timeout(io::now());
    settle();
  }));
  thread_ = std::thread([this] {
    io::name_thread("godwit-serve");
    loop_.run();
  });
}

ServerLoop::~ServerLoop() { stop(); }

testing::ServerCounters ServerLoop::stop() {
  if (thread_.joinable()) {
    loop_.stop();
    thread_.join();
  }
  return server_.counters();
}

void ServerLoop::on_readable(io::UdpSocket& socket) {
  socket.receive(buffers_, kPerWakeUp, [&](const io::Datagram& datagram) {
    trace({socket.local(), testing::ServerTransport::Udp}, false, datagram.remote,
          as_text(datagram.bytes));
    const testing::ServerCounters before = server_.counters();
    server_.on_datagram(socket.local(), datagram.remote, std::string(as_text(datagram.bytes)),
                        io::now());
    settle();
    if (handler_.on_datagram) handler_.on_datagram(datagram.remote, before, server_.counters());
  });
  // A phone that has gone: its registration runs out by itself.
  (void)socket.take_errors();
}

void ServerLoop::on_stream_message(const testing::ServerListener& at, const Endpoint& from,
                                   std::string bytes) {
  trace(at, false, from, bytes);
  const testing::ServerCounters before = server_.counters();
  server_.on_stream_message(at, from, std::move(bytes), io::now());
  settle();
  if (handler_.on_datagram) handler_.on_datagram(from, before, server_.counters());
}

void ServerLoop::settle() {
  while (const auto datagram = server_.poll_output()) {
    trace({datagram->local, datagram->transport}, true, datagram->remote, datagram->bytes);
    if (datagram->transport != testing::ServerTransport::Udp) {
      streams_->send({datagram->remote, datagram->transport}, datagram->local, datagram->bytes);
      continue;
    }
    const auto found = sockets_.find(datagram->local);
    if (found == sockets_.end()) continue;
    // What cannot be sent is lost, as on any network; the sender repeats it.
    (void)found->second.send(datagram->remote, as_bytes(datagram->bytes));
  }
  auto next = server_.next_timeout();
  if (const auto deadline = streams_->next_deadline())
    next = next ? std::min(*next, *deadline) : *deadline;
  timer_.arm(next);
}

void ServerLoop::trace(const testing::ServerListener& at, bool outgoing, const Endpoint& remote,
                       std::string_view bytes) {
  const TraceConfig& config = handler_.trace;
  if (!config.sink || config.level == TraceLevel::Off) return;
  TraceRecord record;
  record.at = io::now();
  record.outgoing = outgoing;
  record.transport = testing::via_name(at.transport);
  record.local = at.local;
  record.remote = remote;
  record.size = bytes.size();
  record.text = trace_text(bytes, config);
  config.sink(record);
}

Serve::Serve(ServeSettings settings, TraceConfig trace)
    : settings_(std::move(settings)), trace_(std::move(trace)), log_(settings_.log_level) {}

void Serve::StderrLog::write(Level level, std::string_view component, std::string_view text) {
  if (!enabled(level)) return;
  fmt::print(stderr, "{:.3f} {}: {}\n", to_ms(io::now().time_since_epoch()) / 1000.0, component,
             printable(std::string(text)));
}

int Serve::run() {
  LineInput input(false);  // Blocks the signals before there are threads.
  testing::MiniServerConfig config;
  config.locals = settings_.listen;
  for (const Endpoint& local : settings_.listen_tcp) {
    config.streams.push_back({local, testing::ServerTransport::Tcp});
  }
  for (const Endpoint& local : settings_.listen_tls) {
    config.streams.push_back({local, testing::ServerTransport::Tls});
  }
  TlsConfig tls;
  tls.certificate = settings_.tls_certificate;
  tls.private_key = settings_.tls_key;
  config.domains = settings_.domains;
  config.users = settings_.users;
  config.challenge_invites = settings_.challenge_calls;
  if (!settings_.domains.empty()) config.realm = settings_.domains.front();
  // With digest on, the built-in parties need passwords too: nobody else knows these.
  io::SystemRandom random;
  std::map<std::string, std::string> passwords;
  for (const PartySettings& party : settings_.parties) {
    if (settings_.users.contains(party.user) || passwords.contains(party.user)) {
      return usage_error("serve", "there are two users \"" + party.user + "\"");
    }
    passwords[party.user] = random.token(24);
    if (!config.users.empty()) config.users[party.user] = passwords[party.user];
  }
  ServerLoop::Handler handler;
  handler.on_datagram = [this](const auto& from, const auto& before, const auto& after) {
    tell_datagram(from, before, after);
  };
  handler.trace = trace_;
  auto server = ServerLoop::start(std::move(config), tls, log_, std::move(handler));
  if (!server) {
    fmt::print(stderr, "godwit serve: {}\n", server.error().detail);
    return kExitFailed;
  }
  server_ = std::move(*server);
  for (const PartySettings& party : settings_.parties) start_party(party, passwords[party.user]);
  wait_for_parties();
  tell_ready();
  while (!input.wait(std::nullopt, false).signalled) {
  }
  for (const auto& party : parties_) party->shutdown(kPartiesEnd);
  parties_.clear();
  tell_stopped(server_->stop());
  return kExitOk;
}

void Serve::start_party(const PartySettings& party, const std::string& password) {
  const Endpoint server = server_->locals().front();
  UserAgentConfig config;
  config.bind_addresses = {server.address};
  config.watch_network = false;
  AudioSource source;
  source.kind = party.sends;
  // The agent reaches its own handler through this slot: it is filled before any call can come, as
  // the account that makes it reachable is added last.
  auto self = std::make_shared<UserAgent*>(nullptr);
  auto agent = std::make_unique<UserAgent>(
      config,
      [this, self, source, user = party.user](const Event& event, TimePoint) {
        if (const auto* incoming = std::get_if<IncomingCall>(&event)) {
          (void)(*self)->set_source(incoming->call, source);
          (void)(*self)->answer(incoming->call);
        } else if (const auto* warning = std::get_if<Warning>(&event)) {
          log_.warn("serve", "party " + user + ": " + warning->text);
        } else if (const auto* state = std::get_if<RegistrationChanged>(&event)) {
          if (state->state == RegistrationState::Failed) {
            log_.warn("serve", "party " + user + " could not register: " + state->reason);
          } else if (state->state == RegistrationState::Registered) {
            const std::lock_guard lock(registered_mutex_);
            registered_.insert(user);
            registered_changed_.notify_all();
          }
        }
      },
      [this](LogLevel level, std::string_view component, std::string_view text) {
        log_.write(static_cast<Log::Level>(level), component, text);
      },
      settings_.log_level);
  *self = agent.get();
  AccountConfig account;
  const std::string host =
      settings_.domains.empty() ? server.address.to_uri_host() : settings_.domains.front();
  account.aor = "sip:" + party.user + "@" + host;
  account.registrar = "sip:" + server.to_string();
  account.outbound_proxy = account.registrar;
  account.password = password;
  if (const auto added = agent->add_account(account); !added) {
    log_.warn("serve", "party " + party.user + ": " + added.error().detail);
  }
  parties_.push_back(std::move(agent));
}

void Serve::wait_for_parties() {
  std::unique_lock lock(registered_mutex_);
  registered_changed_.wait_for(lock, kPartiesStart,
                               [this] { return registered_.size() >= parties_.size(); });
}

void Serve::tell_datagram(const Endpoint& from, const testing::ServerCounters& before,
                          const testing::ServerCounters& after) {
  const auto tell_one = [&](const char* event, const std::string& words) {
    JsonWriter json;
    json.begin_object().member("event", event).member("t_ms", io::now().time_since_epoch());
    tell(json.member("from", from.to_string()).end_object().take(), words + from.to_string());
  };
  if (after.registered > before.registered) tell_one("registered", "registration from ");
  if (after.challenged > before.challenged) tell_one("challenged", "credentials asked of ");
  if (after.malformed_answered > before.malformed_answered) {
    tell_one("malformed_answered", "malformed request answered to ");
  }
  if (after.malformed_dropped > before.malformed_dropped) {
    tell_one("malformed_dropped", "malformed datagram dropped from ");
  }
}

void Serve::tell_ready() {
  JsonWriter json;
  json.begin_object().member("event", "ready").member("t_ms", io::now().time_since_epoch());
  json.key("listen").begin_array();
  std::string words = "listening on";
  for (const Endpoint& local : server_->locals()) {
    json.value(local.to_string());
    words += " " + local.to_string();
  }
  for (const testing::ServerListener& end : server_->streams()) {
    const std::string text = end.local.to_string() +
                             (end.transport == testing::ServerTransport::Tls ? " (TLS)" : " (TCP)");
    json.value(text);
    words += " " + text;
  }
  json.end_array().key("domains").begin_array();
  for (const std::string& domain : settings_.domains) json.value(domain);
  json.end_array().key("users").begin_array();
  for (const auto& [user, password] : settings_.users) json.value(user);
  json.end_array().key("parties").begin_array();
  for (const PartySettings& party : settings_.parties) {
    json.value(party.user);
    words += fmt::format(", sip:{}@{} {}", party.user,
                         settings_.domains.empty() ? server_->locals().front().to_string()
                                                   : settings_.domains.front(),
                         party.sends == AudioSource::Kind::Echo ? "echoes" : "sends a tone");
  }
  tell(json.end_array().end_object().take(), words);
}

void Serve::tell_stopped(const testing::ServerCounters& counters) {
  JsonWriter json;
  json.begin_object().member("event", "stopped").member("t_ms", io::now().time_since_epoch());
  json.member("datagrams", counters.datagrams).member("registered", counters.registered);
  json.member("challenged", counters.challenged);
  json.member("malformed_answered", counters.malformed_answered);
  json.member("malformed_dropped", counters.malformed_dropped);
  json.member("forwarded_requests", counters.forwarded_requests);
  json.member("forwarded_responses", counters.forwarded_responses);
  json.member("refused", counters.refused);
  tell(json.end_object().take(),
       fmt::format("stopped: {} datagrams, {} registrations, {} requests forwarded, {} malformed",
                   counters.datagrams, counters.registered, counters.forwarded_requests,
                   counters.malformed_answered + counters.malformed_dropped));
}

void Serve::tell(const std::string& json, const std::string& words) {
  const std::lock_guard lock(output_);
  const std::string& line = settings_.events == EventFormat::Json ? json : words;
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace godwit::app
