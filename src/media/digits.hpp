// SPDX-License-Identifier: Apache-2.0
//
// DTMF digits as telephone-events (RFC 4733): DigitSender makes the payloads that stand in for
// audio while a key is pressed, DigitReceiver makes digits of what the peer sends. Both are parts
// of a MediaEngine, which owns the RTP around them; neither knows paths, yet a digit outlives a
// move: it has one timestamp, and what may have been lost on a dead path is said again under the
// same.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "godwit/time.hpp"

namespace godwit::media {

/// One row of digits at a time, each pressed for kTone with kPause between two.
class DigitSender {
 public:
  static constexpr std::size_t kMaxDigits = 64;
  static constexpr Duration kTone = std::chrono::milliseconds(160);
  static constexpr Duration kPause = std::chrono::milliseconds(100);

  /// A payload that goes out instead of audio.
  struct Block {
    std::array<std::uint8_t, 4> payload{};
    std::uint32_t timestamp = 0;  ///< Of the event's beginning.
    bool first = false;           ///< The event's first packet: with the marker.
  };

  /// False if a row is under way, or `digits` are none, too many, or no digits (0-9, *, #, A-D).
  bool start(std::string_view digits);
  bool busy() const { return index_ < row_.size(); }
  std::size_t size() const { return row_.size(); }  ///< Digits of the row.
  /// Called once for each packet time in which something can be sent, with the timestamp that audio
  /// would have and the packet's samples. nullopt: send audio. While nothing can be sent it is not
  /// called, and the digit waits where it is.
  std::optional<Block> next(std::uint32_t timestamp, std::uint32_t samples, TimePoint now);
  /// What was sent at or after `since` reached nobody. Goes back to the first digit that this
  /// concerns, with its old timestamp: whoever heard it all the same takes it for the same.
  void rewind(TimePoint since);
  /// Gives up the row; how many digits were begun.
  std::size_t stop();

 private:
  struct Digit {
    std::uint8_t code = 0;
    std::uint32_t timestamp = 0;
    std::optional<TimePoint> began = std::nullopt;
    std::optional<TimePoint> ended = std::nullopt;  ///< Its first end packet.
  };

  std::vector<Digit> row_;
  std::size_t index_ = 0;      ///< The digit under way.
  std::uint32_t pressed_ = 0;  ///< Samples of it so far.
  int ends_left_ = 0;          ///< Its end packets to come; 0: still pressed.
  std::uint32_t pause_left_ = 0;
};

class DigitReceiver {
 public:
  /// Without a packet for so long a digit has ended, though its end packets are missing. Longer
  /// than a change of address interrupts it.
  static constexpr Duration kLost = std::chrono::milliseconds(300);
  /// Digits in a second; more are dropped.
  static constexpr int kMaxPerSecond = 25;

  struct Digit {
    char digit = '0';
    std::chrono::milliseconds duration{0};
  };

  /// An event packet of the accepted stream. Events that are no digits are ignored.
  void on_packet(Bytes payload, std::uint32_t timestamp, bool marker, TimePoint now);
  void on_timeout(TimePoint now);
  std::optional<TimePoint> deadline() const;
  /// The digits that have ended, in order.
  std::optional<Digit> poll();
  /// Another stream begins: its timestamps are others.
  void reset();

 private:
  struct Event {
    std::uint8_t code = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t before = 0;  ///< Samples of its earlier segments.
    std::uint32_t segment = 0;
    TimePoint heard;
  };
  void on_event(std::uint8_t code, bool end, std::uint32_t duration, std::uint32_t timestamp,
                bool marker, TimePoint now);
  void finish(TimePoint now);
  bool is_done(std::uint32_t timestamp) const;

  std::optional<Event> current_;
  std::array<std::optional<std::uint32_t>, 8> done_;  ///< Timestamps, the oldest overwritten.
  std::size_t next_done_ = 0;
  std::deque<Digit> ready_;
  std::optional<TimePoint> second_began_;
  int in_second_ = 0;
};

}  // namespace godwit::media
