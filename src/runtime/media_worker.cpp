// SPDX-License-Identifier: Apache-2.0
#include "runtime/media_worker.hpp"

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime/signals.hpp"
#include "runtime/socket_hook.hpp"

namespace godwit::runtime {
namespace {

// RTP packets of any codec fit an Ethernet frame; larger ones are none of ours.
constexpr std::size_t kPacketSize = 2048;
constexpr std::size_t kBatch = 16;
// Per socket and wake-up: more than a second of one call's audio, and little enough that a flooded
// socket delays the other calls by less than a packet time.
constexpr std::size_t kPerWakeUp = 64;
// What the kernel may hold for us, e.g. while the thread waits for a processor: over a second.
constexpr int kReceiveBuffer = 256 * 1024;
// With no range given, stay out of the well-known and registered ports that services listen on.
constexpr std::uint16_t kAnyPortMin = 16'384;
constexpr std::uint16_t kAnyPortMax = 65'535;

io::DeadlineTimer open_timer() {
  auto timer = io::DeadlineTimer::open();
  if (!timer) throw std::runtime_error(timer.error().detail);
  return std::move(*timer);
}

}  // namespace

struct MediaWorker::Path {
  explicit Path(io::RtpSockets opened) : sockets(std::move(opened)) {}

  io::UdpSocket& socket(media::Channel channel) {
    return channel == media::Channel::Rtp ? sockets.rtp : sockets.rtcp;
  }

  io::RtpSockets sockets;
  // After the sockets, so that the watches go first.
  std::unique_ptr<io::EventLoop::Watch> rtp_watch;
  std::unique_ptr<io::EventLoop::Watch> rtcp_watch;
};

struct MediaWorker::Session {
  Session(CallId id, const MediaConfig& config, Random& random, Log& log, media::AudioFiles& files)
      : call(id), engine(id, config, random, log, files) {}

  CallId call;
  media::MediaEngine engine;
  std::map<media::PathId, std::unique_ptr<Path>> paths;
  std::optional<TimePoint> deadline;
  /// Inputs that came up while the engine's outputs were carried out.
  std::deque<std::function<void(TimePoint)>> answers;
};

MediaWorker::MediaWorker(const MediaConfig& config, SocketHook socket_created, Log& log,
                         ReportHandler on_report)
    : config_(config),
      socket_created_(std::move(socket_created)),
      log_(log),
      on_report_(std::move(on_report)),
      files_(log),
      timer_(open_timer()),
      buffers_(kBatch, kPacketSize),
      instructions_(loop_, kMaxInstructions,
                    [this](Instruction instruction) { handle(std::move(instruction)); }) {
  timer_watch_ = loop_.watch(timer_.descriptor(), [this] { on_timer(); });
  const BlockSignals no_signals_for_the_thread;
  thread_ = std::thread([this] {
    io::name_thread("godwit-media");
    io::prefer_real_time();
    loop_.run();
  });
}

MediaWorker::~MediaWorker() {
  loop_.post([this] { loop_.stop(); });
  thread_.join();
}

void MediaWorker::handle(Instruction instruction) {
  if (const auto* wanted = std::get_if<ua::CreateMedia>(&instruction)) {
    create(wanted->call);
  } else if (const auto* command = std::get_if<ua::MediaInstruction>(&instruction)) {
    const auto found = sessions_.find(command->call);
    if (found == sessions_.end()) return;
    found->second->engine.command(command->command, io::now());
    settle(*found->second);
  } else if (const auto* unwanted = std::get_if<ua::DestroyMedia>(&instruction)) {
    sessions_.erase(unwanted->call);
  }
  closed_.clear();
  arm_timer();
}

void MediaWorker::create(CallId call) {
  sessions_.try_emplace(call, std::make_unique<Session>(call, config_, random_, log_, files_));
}

void MediaWorker::on_readable(Session& session, media::PathId id, media::Channel channel) {
  const auto found = session.paths.find(id);
  if (found == session.paths.end()) return;
  // The path may be closed by what it receives; then it lives on in closed_ until the end of this.
  Path& path = *found->second;
  const TimePoint now = io::now();
  path.socket(channel).receive(buffers_, kPerWakeUp, [&](const io::Datagram& datagram) {
    if (datagram.truncated || !session.paths.contains(id)) return;
    session.engine.on_packet(id, channel, datagram.remote, datagram.bytes, now);
    settle(session);
  });
  for (const io::IcmpError& error : path.socket(channel).take_errors()) {
    session.engine.on_error(
        id, Error{ErrorCode::Network, error.remote.to_string() + ": " + error.error.describe()},
        now);
    settle(session);
  }
  closed_.clear();
  arm_timer();
}

void MediaWorker::on_timer() {
  timer_.acknowledge();
  if (guard_.check(io::now())) {
    log_.warn("media", "the audio of " + std::to_string(sessions_.size()) +
                           " calls takes more than half a processor: no precedence any more");
  }
  for (auto& [call, session] : sessions_) {
    const TimePoint now = io::now();
    if (!session->deadline || *session->deadline > now) continue;
    session->engine.on_timeout(now);
    settle(*session);
  }
  closed_.clear();
  arm_timer();
}

void MediaWorker::settle(Session& session) {
  for (;;) {
    while (auto output = session.engine.poll_output()) carry_out(session, std::move(*output));
    if (session.answers.empty()) break;
    const auto answer = std::move(session.answers.front());
    session.answers.pop_front();
    answer(io::now());
  }
  session.deadline = session.engine.next_timeout();
}

void MediaWorker::carry_out(Session& session, media::MediaOutput output) {
  if (const auto* packet = std::get_if<media::SendPacket>(&output)) {
    send(session, *packet);
  } else if (const auto* wanted = std::get_if<media::OpenSockets>(&output)) {
    open(session, *wanted);
  } else if (const auto* unwanted = std::get_if<media::CloseSockets>(&output)) {
    if (auto node = session.paths.extract(unwanted->path)) {
      node.mapped()->rtp_watch.reset();
      node.mapped()->rtcp_watch.reset();
      closed_.push_back(std::move(node.mapped()));
    }
  } else if (auto* report = std::get_if<media::MediaReport>(&output)) {
    on_report_(session.call, std::move(*report));
  }
}

void MediaWorker::open(Session& session, const media::OpenSockets& wanted) {
  io::UdpOptions options;
  options.interface_name = wanted.interface_name;
  options.interface_index = wanted.interface_index;
  options.dscp = std::min<std::uint8_t>(config_.dscp, 63);
  options.receive_buffer = kReceiveBuffer;
  NewSocket about{-1, SocketPurpose::Rtp, wanted.local, wanted.interface_index,
                  wanted.interface_name};
  options.check = socket_check(socket_created_, about);
  about.purpose = SocketPurpose::Rtcp;
  const bool any = wanted.port_min == 0 && wanted.port_max == 0;
  auto sockets = io::bind_rtp_pair(wanted.local, any ? kAnyPortMin : wanted.port_min,
                                   any ? kAnyPortMax : wanted.port_max, random_, options,
                                   socket_check(socket_created_, about));
  const media::PathId id = wanted.path;
  if (!sockets) {
    session.answers.emplace_back([&session, id, error = sockets.error()](TimePoint now) {
      session.engine.on_sockets(id, tl::unexpected(error), now);
    });
    return;
  }
  auto path = std::make_unique<Path>(std::move(*sockets));
  path->rtp_watch = loop_.watch(path->sockets.rtp.descriptor(), [this, &session, id] {
    on_readable(session, id, media::Channel::Rtp);
  });
  path->rtcp_watch = loop_.watch(path->sockets.rtcp.descriptor(), [this, &session, id] {
    on_readable(session, id, media::Channel::Rtcp);
  });
  session.answers.emplace_back([&session, id, local = path->sockets.rtp.local()](TimePoint now) {
    session.engine.on_sockets(id, local, now);
  });
  session.paths[id] = std::move(path);
}

void MediaWorker::send(Session& session, const media::SendPacket& packet) {
  const auto found = session.paths.find(packet.path);
  if (found == session.paths.end()) return;
  const auto error = found->second->socket(packet.channel).send(packet.remote, packet.bytes);
  // A full socket buffer is a lost packet like any other on the way.
  if (!error || error->failure == io::SendFailure::WouldBlock) return;
  session.answers.emplace_back(
      [&session, id = packet.path,
       reason = Error{ErrorCode::Network, packet.remote.to_string() + ": " + error->describe()}](
          TimePoint now) { session.engine.on_error(id, reason, now); });
}

void MediaWorker::arm_timer() {
  std::optional<TimePoint> earliest;
  for (const auto& [call, session] : sessions_) {
    if (session->deadline && (!earliest || *session->deadline < *earliest)) {
      earliest = session->deadline;
    }
  }
  timer_.arm(earliest);
}

}  // namespace godwit::runtime
