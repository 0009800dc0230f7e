// SPDX-License-Identifier: Apache-2.0
//
// The media thread: one MediaEngine for each call with its RTP and RTCP sockets, driven by one
// timer and one event loop apart from signalling, so that a burst of SIP never stalls audio. Owned
// by the core's driver; instructions come in and reports go out in order, through bounded queues.
// It decides nothing about calls or paths.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "godwit/config.hpp"
#include "io/clock.hpp"
#include "io/event_loop.hpp"
#include "io/sound_files.hpp"
#include "io/system_random.hpp"
#include "io/thread.hpp"
#include "io/udp_socket.hpp"
#include "media/engine.hpp"
#include "runtime/mailbox.hpp"
#include "ua/driver.hpp"

namespace godwit::runtime {

class MediaWorker {
 public:
  using Instruction = std::variant<ua::CreateMedia, ua::MediaInstruction, ua::DestroyMedia>;
  using Instructions = Mailbox<Instruction>;
  /// Called on the media thread; must not block.
  using ReportHandler = std::function<void(CallId, media::MediaReport)>;

  /// Far above what all calls of a user agent can have outstanding; a full queue means that the
  /// media thread hangs.
  static constexpr std::size_t kMaxInstructions = 16'384;

  /// `log` must outlive the worker and be safe to call from any thread.
  MediaWorker(const MediaConfig& config, SocketHook socket_created, Log& log,
              ReportHandler on_report);
  /// Carries out what was instructed before, then ends the thread.
  ~MediaWorker();
  MediaWorker(const MediaWorker&) = delete;
  MediaWorker& operator=(const MediaWorker&) = delete;

  /// From any thread.
  Instructions::Pushed instruct(Instruction instruction) {
    return instructions_.push(std::move(instruction));
  }

 private:
  struct Path;
  struct Session;

  void handle(Instruction instruction);
  void create(CallId call);
  void on_readable(Session& session, media::PathId path, media::Channel channel);
  void on_timer();
  /// Carries out everything the engine wants and takes note of its next deadline.
  void settle(Session& session);
  void carry_out(Session& session, media::MediaOutput output);
  void open(Session& session, const media::OpenSockets& wanted);
  void send(Session& session, const media::SendPacket& packet);
  void arm_timer();

  MediaConfig config_;
  SocketHook socket_created_;
  Log& log_;
  ReportHandler on_report_;
  io::SystemRandom random_;
  io::SoundFiles files_;
  io::EventLoop loop_;
  io::DeadlineTimer timer_;
  std::unique_ptr<io::EventLoop::Watch> timer_watch_;
  io::ReceiveBuffers buffers_;
  std::map<CallId, std::unique_ptr<Session>> sessions_;
  /// Closed paths whose sockets may still be in use further up the stack.
  std::vector<std::unique_ptr<Path>> closed_;
  io::RealTimeGuard guard_;
  Instructions instructions_;
  std::thread thread_;
};

}  // namespace godwit::runtime
