// SPDX-License-Identifier: Apache-2.0
#include "runtime/core_driver.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

#include "godwit/trace.hpp"
#include "io/thread.hpp"
#include "mobility/snapshot_rules.hpp"
#include "runtime/signals.hpp"
#include "runtime/socket_hook.hpp"
#include "ua/config_check.hpp"

namespace godwit::runtime {
namespace {

constexpr std::string_view kComponent = "runtime";
constexpr std::string_view kMdns = ".local";  // RFC 6762 §3.
// The largest UDP datagram, so that none is ever cut.
constexpr std::size_t kDatagramSize = 65'536;
constexpr std::size_t kBatch = 32;
// Datagrams handled per socket and wake-up before timers and other sockets get their turn.
constexpr std::size_t kPerWakeUp = 64;
// Datagrams that wait to leave together.
constexpr std::size_t kMaxOutgoing = 64;
// A burst of re-registrations after an outage must not be lost in the kernel, nor what comes in the
// tenth of a second that the system may keep us waiting for a processor.
constexpr int kReceiveBuffer = 8 * 1024 * 1024;
// What may wait from all media engines; statistics give way when it gets tight.
constexpr std::size_t kMaxReports = 16'384;
constexpr std::size_t kReservedForOthers = 12'288;
// Where the kernel does not tell of waking (WakeSignal), it is noticed within this time.
constexpr Duration kSuspendCheck = std::chrono::seconds(5);

io::DeadlineTimer open_timer() {
  auto timer = io::DeadlineTimer::open();
  if (!timer) throw std::runtime_error(timer.error().detail);
  return std::move(*timer);
}

}  // namespace

CoreDriver::CoreDriver(UserAgentConfig config, EventHandler on_event, LogHandler on_log,
                       LogLevel lowest)
    : log_(std::move(on_log), lowest),
      on_event_(std::move(on_event)),
      sip_dscp_(std::min<std::uint8_t>(config.sip_dscp, 63)),
      socket_created_(config.socket_created),
      timer_(open_timer()),
      own_dns_servers_(!config.dns_servers.empty()),
      path_policy_{config.interfaces, config.bind_addresses},
      dns_(loop_, config.dns_servers,
           socket_check(config.socket_created, {-1, SocketPurpose::Dns, {}, 0, {}})),
      resolver_(loop_),
      buffers_(kBatch, kDatagramSize),
      streams_(loop_, log_, sip_dscp_, config.socket_created,
               [this] {
                 note_suspend(io::now());
                 settle();
               }),
      store_(config.state_dir.empty() ? std::nullopt : std::optional<FileStore>(config.state_dir)),
      core_(config, random_, log_, store_ ? &*store_ : nullptr),
      reports_(loop_, kMaxReports,
               [this](std::pair<CallId, media::MediaReport> report) {
                 give([&](TimePoint now) { core_.on_media(report.first, report.second, now); });
               }),
      media_(config.media, config.socket_created, log_,
             [this](CallId call, media::MediaReport report) {
               const bool dispensable = std::holds_alternative<media::MediaStatistics>(report);
               if (reports_.push({call, std::move(report)}, dispensable ? kReservedForOthers : 0) ==
                       Mailbox<std::pair<CallId, media::MediaReport>>::Pushed::Full &&
                   !dispensable) {
                 log_.warn(kComponent,
                           "a media report is lost: the event handler blocks for too long");
               }
             }) {
  if (!on_event_) throw std::invalid_argument("godwit::UserAgent needs an event handler");
  if (const auto usable = ua::check_config(config); !usable) {
    throw std::invalid_argument("UserAgentConfig: " + usable.error().detail);
  }
  timer_watch_ = loop_.watch(timer_.descriptor(), [this] { on_timer(); });
  suspend_.check();
  if (auto wake = io::WakeSignal::open()) {
    wake_.emplace(std::move(*wake));
    wake_watch_ = loop_.watch(wake_->descriptor(), [this] {
      wake_->acknowledge();
      note_suspend(io::now());
      settle();
    });
  }
  // Told to use certain addresses, the core still has to learn which interfaces have them.
  if (config.watch_network || !config.bind_addresses.empty()) {
    if (auto monitor = io::NetworkMonitor::open()) {
      network_.emplace(std::move(*monitor));
    } else {
      log_.warn(kComponent, "the network's state is not known: " + monitor.error().detail);
    }
  }
  watches_network_ = network_ && config.watch_network;
  if (watches_network_) {
    network_watch_ = loop_.watch(network_->descriptor(), [this] {
      const TimePoint now = io::now();
      note_suspend(now);
      network_->on_readable(now);
      settle();
    });
  }
  loop_.post([this] { settle(); });  // Reads the network before any command.
  const BlockSignals no_signals_for_the_thread;
  thread_ = std::thread([this] {
    io::name_thread("godwit-sip");
    loop_.run();
  });
}

CoreDriver::~CoreDriver() = default;

Result<void> CoreDriver::update_network(NetworkSnapshot snapshot) {
  return run([&](ua::Core&, TimePoint now) -> Result<void> {
    if (watches_network_) {
      return fail(ErrorCode::WrongState, "the network is watched here: watch_network is on");
    }
    if (auto sound = mobility::validate_snapshot(snapshot); !sound) return sound;
    network_.reset();  // From now on the application knows better than the one look at the start.
    give_network(std::move(snapshot), now);
    return {};
  });
}

void CoreDriver::shut_down(Duration limit) {
  if (loop_.runs_here()) {
    if (!in_core_) give([this](TimePoint now) { core_.shut_down(now); });
    return;
  }
  // Shared, as the loop may answer after we have given up waiting.
  auto idle = std::make_shared<std::promise<void>>();
  const auto done = idle->get_future();
  loop_.post([this, idle] {
    waiting_for_idle_.push_back(idle);
    give([this](TimePoint now) { core_.shut_down(now); });
  });
  done.wait_for(limit);
}

void CoreDriver::stop() {
  if (!thread_.joinable()) return;
  if (loop_.runs_here()) {
    // Joining itself would never end; the application must learn of this in its first test.
    std::fputs("godwit: a UserAgent must not be destroyed in its own event handler\n", stderr);
    std::abort();
  }
  loop_.post([this] {
    give([this](TimePoint now) { core_.shut_down(now); });
    loop_.stop();
  });
  thread_.join();
}

std::optional<ua::Output> CoreDriver::next_output() {
  const CoreScope scope(in_core_);
  return core_.poll_output();
}

void CoreDriver::settle() {
  // A command of an event handler: its outputs are carried out when the handler has returned.
  if (settling_) return;
  settling_ = true;
  for (;;) {
    while (auto output = next_output()) carry_out(std::move(*output));
    if (!in_batch_ || !events_.empty()) flush();
    if (!answers_.empty()) {
      auto answer = std::move(answers_.front());
      answers_.pop_front();
      enter(answer, io::now());
    } else if (auto happened = streams_.next_report()) {
      report(std::move(*happened));
    } else if (network_ && network_->next_read() && *network_->next_read() <= io::now()) {
      read_network(io::now());
    } else if (!events_.empty()) {
      const auto [event, at] = std::move(events_.front());
      events_.pop_front();
      deliver(event, at);
    } else {
      break;
    }
  }
  settling_ = false;
  if (!in_batch_) arm_timer();
  if (!waiting_for_idle_.empty() && core_.idle()) {
    for (auto& waiting : std::exchange(waiting_for_idle_, {})) waiting->set_value();
  }
}

void CoreDriver::carry_out(ua::Output output) {
  if (auto* datagram = std::get_if<ua::SendDatagram>(&output)) {
    send(std::move(*datagram));
  } else if (auto* command = std::get_if<ua::MediaInstruction>(&output)) {
    instruct(std::move(*command));
  } else if (auto* event = std::get_if<ua::EmitEvent>(&output)) {
    events_.emplace_back(std::move(event->event), io::now());
  } else if (const auto* wanted = std::get_if<ua::Listen>(&output)) {
    if (sip::is_stream(wanted->transport)) {
      streams_.listen(*wanted);
    } else {
      listen(*wanted);
    }
  } else if (const auto* unwanted = std::get_if<ua::CloseListener>(&output)) {
    flush();
    if (!streams_.close_listener(unwanted->listener)) listeners_.erase(unwanted->listener);
  } else if (const auto* stream = std::get_if<ua::OpenStream>(&output)) {
    streams_.open(*stream, io::now());
  } else if (const auto* message = std::get_if<ua::SendStream>(&output)) {
    streams_.send(message->stream, message->bytes);
  } else if (const auto* left = std::get_if<ua::CloseStream>(&output)) {
    streams_.close(left->stream);
  } else if (const auto* query = std::get_if<ua::Query>(&output)) {
    ask(*query);
  } else if (std::get_if<ua::RenewResolver>(&output) != nullptr) {
    dns_.renew();
  } else if (const auto* created = std::get_if<ua::CreateMedia>(&output)) {
    instruct(*created);
  } else if (const auto* destroyed = std::get_if<ua::DestroyMedia>(&output)) {
    instruct(*destroyed);
  } else if (auto* watched = std::get_if<ua::WatchRemotes>(&output)) {
    if (network_) network_->watch(std::move(watched->remotes));
  }
}

void CoreDriver::deliver(const Event& event, TimePoint at) {
  try {
    on_event_(event, at);
  } catch (const std::exception& error) {
    log_.warn(kComponent, std::string("the event handler threw: ") + error.what());
  } catch (...) {
    log_.warn(kComponent, "the event handler threw");
  }
}

void CoreDriver::listen(const ua::Listen& wanted) {
  io::UdpOptions options;
  options.interface_name = wanted.interface_name;
  options.interface_index = wanted.interface_index;
  options.dscp = sip_dscp_;
  options.receive_buffer = kReceiveBuffer;
  options.check = socket_check(socket_created_, {-1, SocketPurpose::SipUdp, wanted.local.address,
                                                 wanted.interface_index, wanted.interface_name});
  auto socket = io::UdpSocket::bind(wanted.local, options);
  const ua::ListenerId id = wanted.listener;
  if (!socket) {
    answers_.emplace_back([this, id, error = socket.error()](TimePoint now) {
      core_.on_listen(id, tl::unexpected(error), now);
    });
    return;
  }
  const Endpoint bound = socket->local();
  log_.debug(kComponent, "listening on " + bound.to_string() +
                             (socket->on_interface() ? " of " + wanted.interface_name : ""));
  auto watch = loop_.watch(socket->descriptor(), [this, id] { on_readable(id); });
  listeners_.insert_or_assign(id, Listener{std::move(*socket), std::move(watch)});
  answers_.emplace_back([this, id, bound](TimePoint now) { core_.on_listen(id, bound, now); });
}

void CoreDriver::send(ua::SendDatagram datagram) {
  const auto found = listeners_.find(datagram.listener);
  if (found == listeners_.end()) return;
  trace("->", found->second.socket.local(), datagram.remote, datagram.bytes);
  if (outgoing_.size() >= kMaxOutgoing) flush();
  outgoing_.push_back(std::move(datagram));
}

void CoreDriver::flush() {
  // Mostly all leave by one socket; the order on each is kept.
  for (std::size_t from = 0; from < outgoing_.size();) {
    const ua::ListenerId id = outgoing_[from].listener;
    outgoing_views_.clear();
    for (std::size_t i = from; i < outgoing_.size() && outgoing_[i].listener == id; ++i) {
      outgoing_views_.emplace_back(outgoing_[i].remote, as_bytes(outgoing_[i].bytes));
    }
    if (const auto found = listeners_.find(id); found != listeners_.end()) {
      for (const auto& [index, error] : found->second.socket.send_batch(outgoing_views_)) {
        on_unsent(id, outgoing_[from + index].remote, error);
      }
    }
    from += outgoing_views_.size();
  }
  outgoing_.clear();
}

void CoreDriver::on_unsent(ua::ListenerId id, const Endpoint& remote, const io::SendError& error) {
  log_.debug(kComponent, "cannot send to " + remote.to_string() + ": " + error.describe());
  // A full socket buffer is a lost packet like any other: SIP's own repetition makes up for it.
  if (error.failure == io::SendFailure::WouldBlock) return;
  answers_.emplace_back([this, id, remote, fatal = error.failure == io::SendFailure::AddressGone,
                         reason = error.describe()](TimePoint now) {
    core_.on_send_error(id, remote, fatal, reason, now);
  });
}

void CoreDriver::ask(const ua::Query& query) {
  auto answer = [this, id = query.query](DnsAnswer found) {
    give([&](TimePoint now) { core_.on_resolved(id, std::move(found), now); });
  };
  const DnsQuestion& question = query.question;
  const bool address = question.type == DnsType::A || question.type == DnsType::Aaaa;
  // Names of the neighbourhood (mDNS, LLMNR, the machine's own) are known to the system's resolver
  // and not to the DNS.
  const bool local =
      question.name.find('.') == std::string::npos ||
      (question.name.size() > kMdns.size() &&
       question.name.compare(question.name.size() - kMdns.size(), kMdns.size(), kMdns) == 0);
  if (!address || !local || own_dns_servers_) {
    dns_.ask(question, std::move(answer));
    return;
  }
  resolver_.resolve(question.name, [type = question.type, answer](auto addresses) {
    DnsAnswer found;
    if (addresses) {
      for (const IpAddress& each : *addresses) {
        if (each.is_v4() == (type == DnsType::A)) {
          found.records.push_back({each, io::DnsChannel::kHostsTtl});
        }
      }
    } else {
      found.detail = addresses.error().detail;
    }
    if (found.records.empty()) found.failure = DnsFailure::NoData;
    answer(std::move(found));
  });
}

void CoreDriver::report(StreamReport report) {
  const auto give_core = [&](auto input) { enter(input, io::now()); };
  if (auto* data = std::get_if<StreamData>(&report)) {
    give_core(
        [&](TimePoint now) { core_.on_stream_data(data->stream, std::move(data->bytes), now); });
  } else if (auto* opened = std::get_if<StreamOpened>(&report)) {
    give_core([&](TimePoint now) {
      core_.on_stream_opened(opened->stream, std::move(opened->info), now);
    });
  } else if (auto* closed = std::get_if<StreamClosed>(&report)) {
    give_core([&](TimePoint now) {
      core_.on_stream_closed(closed->stream, std::move(closed->reason), now);
    });
  } else if (auto* bound = std::get_if<StreamListening>(&report)) {
    give_core([&](TimePoint now) { core_.on_listen(bound->listener, bound->bound, now); });
  } else if (auto* arrived = std::get_if<StreamArrived>(&report)) {
    auto ask = [&](TimePoint now) {
      return core_.accept_stream(arrived->listener, std::move(arrived->info), arrived->remote, now);
    };
    if (const auto stream = enter(ask, io::now())) {
      streams_.admit(arrived->stranger, *stream);
    } else {
      streams_.refuse(arrived->stranger);
    }
  }
}

void CoreDriver::instruct(MediaWorker::Instruction instruction) {
  if (media_.instruct(std::move(instruction)) == MediaWorker::Instructions::Pushed::Full) {
    events_.emplace_back(Warning{"the media thread hangs; an instruction to it is lost"},
                         io::now());
  }
}

void CoreDriver::on_readable(ua::ListenerId id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  const Endpoint local = found->second.socket.local();
  // Copied out first: handling one may close the socket.
  received_.clear();
  found->second.socket.receive(buffers_, kPerWakeUp, [this](const io::Datagram& datagram) {
    received_.emplace_back(datagram.remote, as_text(datagram.bytes));
  });
  const auto errors = found->second.socket.take_errors();
  // Each is an input of its own; what they make the core send leaves together, and the timer is set
  // once.
  in_batch_ = true;
  for (auto& [remote, bytes] : received_) {
    if (!listeners_.contains(id)) break;
    trace("<-", local, remote, bytes);
    give([&](TimePoint now) { core_.on_datagram(id, remote, std::move(bytes), now); });
  }
  in_batch_ = false;
  settle();
  for (const io::IcmpError& error : errors) {
    if (!listeners_.contains(id)) return;
    give([&](TimePoint now) {
      core_.on_send_error(id, error.remote, false, error.error.describe(), now);
    });
  }
}

void CoreDriver::on_timer() {
  timer_.acknowledge();
  const TimePoint now = io::now();
  note_suspend(now);
  streams_.on_deadline(now);
  const auto deadline = core_.next_timeout();
  if (deadline && *deadline <= now) {
    give([this](TimePoint then) { core_.on_timeout(then); });
  } else {
    settle();
  }
}

void CoreDriver::note_suspend(TimePoint now) {
  if (now >= next_suspend_check_) next_suspend_check_ = now + kSuspendCheck;
  const auto asleep = suspend_.check();
  if (!asleep) return;
  log_.info(kComponent, "resumed after " + std::to_string(to_ms(*asleep) / 1000.0) + " s asleep");
  // Whatever the kernel has to say about the time asleep counts before anything else is judged.
  if (network_) read_network(now);
  auto resumed = [&](TimePoint then) { core_.on_resumed(*asleep, then); };
  enter(resumed, now);
}

void CoreDriver::read_network(TimePoint now) {
  auto snapshot = network_->read(now);
  if (!snapshot) {
    log_.warn(kComponent, "the network's state cannot be read now: " + snapshot.error().detail);
    return;
  }
  auto input = [&](TimePoint then) { give_network(std::move(*snapshot), then); };
  enter(input, now);
}

void CoreDriver::give_network(NetworkSnapshot snapshot, TimePoint now) {
  for (const auto& [stream, others] : streams_.multipath()) core_.on_stream_paths(stream, others);
  if (!own_dns_servers_) {
    // Names are asked for where new sockets go: over the link that leads to the world.
    auto way = mobility::choose_path(snapshot, mobility::somewhere(Family::V4), path_policy_);
    if (!way) {
      way = mobility::choose_path(snapshot, mobility::somewhere(Family::V6), path_policy_);
    }
    dns_.use_link(way ? way->interface_index : 0, way ? way->interface_name : std::string());
  }
  core_.on_network(std::move(snapshot), now);
}

void CoreDriver::arm_timer() {
  std::optional<TimePoint> earliest = core_.next_timeout();
  const auto sooner = [&earliest](TimePoint at) {
    if (!earliest || at < *earliest) earliest = at;
  };
  sooner(next_suspend_check_);
  if (network_ && network_->next_read()) sooner(*network_->next_read());
  if (const auto deadline = streams_.next_deadline()) sooner(*deadline);
  timer_.arm(earliest);
}

void CoreDriver::trace(std::string_view direction, const Endpoint& local, const Endpoint& remote,
                       std::string_view bytes) {
  if (!log_.enabled(Log::Level::Debug)) return;
  log_.write(Log::Level::Debug, "sip",
             local.to_string() + " " + std::string(direction) + " " + remote.to_string() + ", " +
                 std::to_string(bytes.size()) + " bytes\n" + trace_text(bytes));
}

}  // namespace godwit::runtime
