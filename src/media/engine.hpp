// SPDX-License-Identifier: Apache-2.0
//
// The media of one call: audio out on a fixed cadence, audio in through a jitter buffer, over paths
// that come and go while SSRC, sequence and timestamp go on. Owned by a driver (the runtime's media
// thread, or the simulator), told what to do by the ua core. Sans-IO: give one input, then drain
// poll_output(), then ask next_timeout(). Not thread-safe. It does not know SIP, SDP or networks
// and never decides to use another path by itself.
#pragma once

#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "godwit/config.hpp"
#include "media/audio.hpp"
#include "media/contract.hpp"

namespace godwit::media {

/// Paths open at one time; one more is a PathFailed.
inline constexpr std::size_t kMaxPaths = 8;
/// Without RTP for this long, a stream that should flow is reported silent: the earliest that is of
/// interest to the core, which knows how this peer and path behave (mobility::GapMemory).
inline constexpr Duration kSilenceLimit = std::chrono::milliseconds(200);
/// After this long without an accepted packet another SSRC may take over the stream.
inline constexpr Duration kStrangerLimit = std::chrono::seconds(2);

class MediaEngine {
 public:
  /// The references must outlive the engine.
  MediaEngine(CallId call, const MediaConfig& config, Random& random, Log& log, AudioFiles& files);
  ~MediaEngine();
  MediaEngine(const MediaEngine&) = delete;
  MediaEngine& operator=(const MediaEngine&) = delete;

  void command(const MediaCommand& command, TimePoint now);

  /// The answer to OpenSockets: the local RTP endpoint (RTCP's is the next port), or why there is
  /// none.
  void on_sockets(PathId path, Result<Endpoint> rtp_local, TimePoint now);
  void on_packet(PathId path, Channel channel, const Endpoint& from, Bytes bytes, TimePoint now);
  /// A send on `path` was refused by the system, or an ICMP error came back. Unknown paths are
  /// ignored.
  void on_error(PathId path, const Error& error, TimePoint now);
  void on_timeout(TimePoint now);

  /// When on_timeout() wants to be called; absent: not before another input.
  std::optional<TimePoint> next_timeout() const;
  std::optional<MediaOutput> poll_output();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::media
