// SPDX-License-Identifier: Apache-2.0
//
// Puts received audio back in order and in time. Fed with decoded packets as they arrive, read at
// the pace of playing; it owns the play position in the stream's timestamps, its distance from what
// arrives (the delay), and the concealment of what is missing. One stream at a time: SSRC,
// duplicates and sequence restarts are judged before it (rtp_session.hpp). It knows no time: one
// sample read is 1/8000 s passed.
//
// Order is by sequence, spacing by timestamp. The delay follows the network:
//  - a start or restart waits target() samples, one packet and three times the measured jitter;
//  - when the buffer ran dry and the next packet is too late for its place, the play position moves
//    back to it: the delay grows by that much;
//  - when for kWindow packets each came earlier than needed, the position skips ahead: a little, or
//    all of it if it is much;
//  - more than kMaxDelay queued (a burst after a stall) is cut down to target() at once, and a
//    timestamp jump beyond kMaxDelay is followed at once: a pause of seconds, whatever the peer
//    counted meanwhile, never turns into lasting delay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "media/audio.hpp"

namespace godwit::media {

class JitterBuffer {
 public:
  static constexpr std::int32_t kMaxDelay = kSampleRate / 5;   ///< 200 ms, in samples.
  static constexpr std::int32_t kMaxTarget = kSampleRate / 8;  ///< 125 ms.
  static constexpr std::size_t kMaxPackets = 64;               ///< Held at a time.
  static constexpr std::int32_t kWindow = 50;                  ///< Packets between two shrinkings.
  static constexpr std::int32_t kShrinkStep = kSampleRate / 100;  ///< 10 ms at most in one of them.
  static constexpr std::int32_t kLargeExcess = kSampleRate * 6 / 100;  ///< 60 ms: skipped at once.
  static constexpr std::size_t kFadeOut =
      kSampleRate * 6 / 100;                                 ///< Concealment dies out in 60 ms.
  static constexpr std::size_t kFadeIn = kSampleRate / 200;  ///< 5 ms back to real audio.

  struct Counters {
    std::uint64_t late = 0;       ///< Packets that came after their time.
    std::uint64_t discarded = 0;  ///< Packets thrown away to keep the delay bounded.
    std::uint64_t concealed = 0;  ///< Samples made up while playing.
  };

  /// `sequence` is extended: it does not wrap and grows through the stream. `jitter` is the
  /// stream's present interarrival jitter in samples. Empty packets are ignored.
  void insert(std::int64_t sequence, std::uint32_t timestamp, std::span<const std::int16_t> samples,
              std::int32_t jitter);
  /// Fills `out`, with real or concealed audio, and moves the play position by as much.
  void read(std::span<std::int16_t> out);
  /// Another stream begins. The counters go on.
  void reset();

  /// Samples queued from the play position to the newest packet's end.
  std::int32_t buffered() const;
  const Counters& counters() const { return counters_; }

 private:
  struct Packet {
    std::uint32_t timestamp;
    std::vector<std::int16_t> samples;
    std::uint32_t end() const { return timestamp + static_cast<std::uint32_t>(samples.size()); }
  };

  std::int32_t target() const;
  std::int32_t until(std::uint32_t timestamp) const;
  void adapt(std::int32_t slack);
  void cut();
  std::int32_t queued() const;
  void play(std::span<std::int16_t> out);
  void conceal(std::span<std::int16_t> out);
  std::int16_t next_concealed();

  std::map<std::int64_t, Packet> packets_;
  bool started_ = false;
  bool dry_ = false;              ///< The last read ended with nothing left to play.
  std::uint32_t position_ = 0;    ///< Timestamp of the next sample to be read.
  std::int64_t last_played_ = 0;  ///< Sequence; valid once something was played.
  bool played_ = false;
  std::int32_t packet_samples_ = 160;
  std::int32_t jitter_ = kSampleRate / 200;  ///< 5 ms until measured.
  std::int32_t window_left_ = kWindow;
  std::int32_t smallest_slack_ = kMaxDelay;
  std::vector<std::int16_t> history_;  ///< The last 20 ms played, repeated when concealing.
  std::size_t faded_ = kFadeOut;       ///< Samples concealed in a row.
  std::size_t fade_in_ = 0;            ///< Samples of real audio still to be blended in.
  Counters counters_;
};

}  // namespace godwit::media
