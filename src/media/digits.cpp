// SPDX-License-Identifier: Apache-2.0
#include "media/digits.hpp"

#include <algorithm>
#include <utility>

#include "media/audio.hpp"

namespace godwit::media {
namespace {

/// RFC 4733 §3.2, table 3: the event codes 0 to 15.
constexpr std::string_view kDigits = "0123456789*#ABCD";
/// -10 dBm0: as loud as a telephone's keys (ITU-T Q.24 wants more than -25).
constexpr std::uint8_t kVolume = 10;
constexpr std::uint8_t kEndBit = 0x80;
/// RFC 4733 §2.5.1.4: the final packet "a total of three times".
constexpr int kEndPackets = 3;
constexpr std::uint32_t kLongestSegment = 0xffff;
constexpr std::size_t kBlock = 4;
constexpr std::size_t kMaxBlocks = 8;

constexpr std::uint32_t in_samples(Duration duration) {
  return static_cast<std::uint32_t>(duration / std::chrono::milliseconds(1)) * (kSampleRate / 1000);
}

}  // namespace

// ---- DigitSender --------------------------------------------------------------------------------

bool DigitSender::start(std::string_view digits) {
  if (busy() || digits.empty() || digits.size() > kMaxDigits) return false;
  std::vector<Digit> row;
  for (const char digit : digits) {
    const auto code = kDigits.find(digit);
    if (code == std::string_view::npos) return false;
    row.push_back({static_cast<std::uint8_t>(code)});
  }
  row_ = std::move(row);
  index_ = 0;
  pressed_ = 0;
  ends_left_ = 0;
  return true;
}

std::optional<DigitSender::Block> DigitSender::next(std::uint32_t timestamp, std::uint32_t samples,
                                                    TimePoint now) {
  if (pause_left_ > 0) {
    pause_left_ -= std::min(pause_left_, samples);
    return std::nullopt;
  }
  if (!busy()) return std::nullopt;
  Digit& digit = row_[index_];
  Block block;
  if (ends_left_ == 0) {
    block.first = pressed_ == 0;
    if (!digit.began) {
      digit.began = now;
      digit.timestamp = timestamp;
    }
    pressed_ = std::min(pressed_ + samples, kLongestSegment);
    if (pressed_ >= in_samples(kTone)) ends_left_ = kEndPackets;
  }
  if (ends_left_ > 0 && !digit.ended) digit.ended = now;
  // RFC 4733 §2.3: event, E and R bits with the volume, duration.
  block.payload = {digit.code, static_cast<std::uint8_t>(kVolume | (ends_left_ > 0 ? kEndBit : 0U)),
                   static_cast<std::uint8_t>(pressed_ >> 8U),
                   static_cast<std::uint8_t>(pressed_ & 0xffU)};
  block.timestamp = digit.timestamp;
  if (ends_left_ > 0 && --ends_left_ == 0) {
    ++index_;
    pressed_ = 0;
    pause_left_ = in_samples(kPause);
  }
  return block;
}

void DigitSender::rewind(TimePoint since) {
  const auto lost = std::find_if(row_.begin(), row_.end(), [&](const Digit& digit) {
    return digit.began && (!digit.ended || *digit.ended >= since);
  });
  if (lost == row_.end()) return;
  const bool begun_before = *lost->began < since;
  if (!lost->ended && begun_before) return;  // Goes on, and is heard again.
  index_ = static_cast<std::size_t>(lost - row_.begin());
  pause_left_ = 0;
  if (begun_before) {
    // Only its end is missing; a shorter duration than was heard would make no sense.
    pressed_ = std::max(pressed_, in_samples(kTone));
    ends_left_ = kEndPackets;
  } else {
    pressed_ = 0;
    ends_left_ = 0;
  }
  for (auto digit = lost; digit != row_.end(); ++digit) digit->ended.reset();
}

std::size_t DigitSender::stop() {
  const auto begun = static_cast<std::size_t>(std::count_if(
      row_.begin(), row_.end(), [](const Digit& digit) { return digit.began.has_value(); }));
  row_.clear();
  index_ = 0;
  pressed_ = 0;
  ends_left_ = 0;
  return begun;
}

// ---- DigitReceiver ------------------------------------------------------------------------------

void DigitReceiver::on_packet(Bytes payload, std::uint32_t timestamp, bool marker, TimePoint now) {
  // RFC 4733 §2.5.1.5: several events in one packet follow each other without a pause.
  for (std::size_t i = 0; i < kMaxBlocks && payload.size() >= kBlock; ++i) {
    const std::uint32_t duration = static_cast<std::uint32_t>(payload[2]) << 8U | payload[3];
    on_event(payload[0], (payload[1] & kEndBit) != 0, duration, timestamp, marker, now);
    timestamp += duration;
    payload = payload.subspan(kBlock);
  }
}

void DigitReceiver::on_event(std::uint8_t code, bool end, std::uint32_t duration,
                             std::uint32_t timestamp, bool marker, TimePoint now) {
  if (code >= kDigits.size() || is_done(timestamp)) return;
  if (current_ && current_->timestamp == timestamp && current_->code == code) {
    current_->segment = std::max(current_->segment, duration);
    current_->heard = now;
  } else if (current_ && !marker && current_->code == code &&
             current_->segment == kLongestSegment &&
             timestamp == current_->timestamp + kLongestSegment) {
    // RFC 4733 §2.5.1.3: a long press goes on in another segment.
    done_[next_done_++ % done_.size()] = current_->timestamp;
    current_ = Event{code, timestamp, current_->before + kLongestSegment, duration, now};
  } else {
    finish(now);
    current_ = Event{code, timestamp, 0, duration, now};
  }
  if (end) finish(now);
}

bool DigitReceiver::is_done(std::uint32_t timestamp) const {
  return std::find(done_.begin(), done_.end(), timestamp) != done_.end();
}

void DigitReceiver::finish(TimePoint now) {
  if (!current_) return;
  const Event event = *std::exchange(current_, std::nullopt);
  done_[next_done_++ % done_.size()] = event.timestamp;
  if (!second_began_ || now - *second_began_ >= std::chrono::seconds(1)) {
    second_began_ = now;
    in_second_ = 0;
  }
  if (++in_second_ > kMaxPerSecond) return;
  const std::uint32_t samples = event.before + event.segment;
  ready_.push_back(
      {kDigits[event.code], std::chrono::milliseconds(samples / (kSampleRate / 1000))});
}

void DigitReceiver::on_timeout(TimePoint now) {
  if (const auto due = deadline(); due && *due <= now) finish(now);
}

std::optional<TimePoint> DigitReceiver::deadline() const {
  return current_ ? std::optional(current_->heard + kLost) : std::nullopt;
}

std::optional<DigitReceiver::Digit> DigitReceiver::poll() {
  if (ready_.empty()) return std::nullopt;
  const Digit digit = ready_.front();
  ready_.pop_front();
  return digit;
}

void DigitReceiver::reset() {
  current_.reset();
  done_ = {};
}

}  // namespace godwit::media
