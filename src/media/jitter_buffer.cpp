// SPDX-License-Identifier: Apache-2.0
#include "media/jitter_buffer.hpp"

#include <algorithm>

namespace godwit::media {
namespace {

constexpr std::size_t kHistory = kSampleRate / 50;

}  // namespace

std::int32_t JitterBuffer::target() const {
  return std::min(packet_samples_ + 3 * jitter_, kMaxTarget);
}

/// Samples from the play position to `timestamp`; negative: it has passed. Timestamps wrap.
std::int32_t JitterBuffer::until(std::uint32_t timestamp) const {
  return static_cast<std::int32_t>(timestamp - position_);
}

std::int32_t JitterBuffer::buffered() const {
  return packets_.empty() ? 0 : std::max(until(packets_.rbegin()->second.end()), 0);
}

void JitterBuffer::insert(std::int64_t sequence, std::uint32_t timestamp,
                          std::span<const std::int16_t> samples, std::int32_t jitter) {
  if (samples.empty() || packets_.contains(sequence)) return;
  if (played_ && sequence <= last_played_) {
    ++counters_.late;
    return;
  }
  jitter_ = std::clamp(jitter, 0, kMaxTarget);
  packet_samples_ = std::min(static_cast<std::int32_t>(samples.size()), kMaxTarget);
  const bool newest = packets_.empty() || sequence > packets_.rbegin()->first;
  packets_.emplace(sequence, Packet{timestamp, {samples.begin(), samples.end()}});

  if (!started_) {
    started_ = true;
    position_ = timestamp - static_cast<std::uint32_t>(target());
    return;
  }
  const std::int32_t slack = until(timestamp);
  if (dry_ && (slack < 0 || slack > kMaxDelay)) {
    // Nothing was being played, so nothing is lost by starting anew from this packet.
    position_ = timestamp - static_cast<std::uint32_t>(target());
    smallest_slack_ = kMaxDelay;
  } else if (newest) {
    adapt(slack);
  }
  dry_ = false;

  if (packets_.size() > kMaxPackets || queued() > kMaxDelay) cut();
}

/// Samples held, whatever their timestamps say.
std::int32_t JitterBuffer::queued() const {
  std::size_t sum = 0;
  for (const auto& [sequence, packet] : packets_) sum += packet.samples.size();
  return static_cast<std::int32_t>(sum);
}

/// Skips ahead when a whole window of packets came with more time to spare than the target.
void JitterBuffer::adapt(std::int32_t slack) {
  smallest_slack_ = std::min(smallest_slack_, slack);
  if (--window_left_ > 0) return;
  const std::int32_t excess = smallest_slack_ - target();
  if (excess >= kShrinkStep && !packets_.empty()) {
    position_ += static_cast<std::uint32_t>(excess > kLargeExcess ? excess : kShrinkStep);
    fade_in_ = kFadeIn;
    faded_ = 0;
    while (packets_.size() > 1 && until(packets_.begin()->second.end()) <= 0) {
      packets_.erase(packets_.begin());
      ++counters_.discarded;
    }
  }
  window_left_ = kWindow;
  smallest_slack_ = kMaxDelay;
}

/// Gives up the oldest packets until the target is left, and plays on from there.
void JitterBuffer::cut() {
  while (packets_.size() > 1 && (queued() > target() || packets_.size() > kMaxPackets)) {
    packets_.erase(packets_.begin());
    ++counters_.discarded;
  }
  position_ = packets_.begin()->second.timestamp;
  fade_in_ = kFadeIn;
}

void JitterBuffer::read(std::span<std::int16_t> out) {
  while (!out.empty()) {
    if (packets_.empty()) {
      dry_ = started_;
      conceal(out);
      return;
    }
    const auto front = packets_.begin();
    const Packet& packet = front->second;
    const std::int32_t gap = until(packet.timestamp);
    if (gap > kMaxDelay || gap < -kMaxDelay) {
      position_ = packet.timestamp;  // the peer's timestamps jumped
    } else if (gap > 0) {
      const auto missing = std::min(static_cast<std::size_t>(gap), out.size());
      conceal(out.first(missing));
      out = out.subspan(missing);
    } else if (until(packet.end()) <= 0) {
      ++counters_.late;
      packets_.erase(front);
    } else {
      const auto offset = static_cast<std::size_t>(-gap);
      const std::size_t count = std::min(packet.samples.size() - offset, out.size());
      std::copy_n(packet.samples.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
      play(out.first(count));
      out = out.subspan(count);
      last_played_ = front->first;
      played_ = true;
      if (offset + count == packet.samples.size()) packets_.erase(front);
    }
  }
}

void JitterBuffer::reset() {
  const Counters counters = counters_;
  auto history = std::move(history_);
  const std::size_t faded = faded_;
  *this = JitterBuffer();
  counters_ = counters;
  history_ = std::move(history);
  faded_ = faded;
}

/// `out` holds real samples: blends them with the concealment that they follow, and remembers them.
void JitterBuffer::play(std::span<std::int16_t> out) {
  for (std::size_t i = 0; i < out.size() && fade_in_ > 0; ++i, --fade_in_) {
    const auto rest = static_cast<std::int32_t>(fade_in_);
    const auto full = static_cast<std::int32_t>(kFadeIn);
    out[i] = static_cast<std::int16_t>((out[i] * (full - rest) + next_concealed() * rest) / full);
  }
  if (fade_in_ == 0) faded_ = 0;
  history_.insert(history_.end(), out.begin(), out.end());
  if (history_.size() > kHistory) {
    history_.erase(history_.begin(), history_.end() - static_cast<std::ptrdiff_t>(kHistory));
  }
  position_ += static_cast<std::uint32_t>(out.size());
}

void JitterBuffer::conceal(std::span<std::int16_t> out) {
  for (std::int16_t& sample : out) sample = next_concealed();
  if (played_) counters_.concealed += out.size();
  fade_in_ = kFadeIn;
  position_ += static_cast<std::uint32_t>(out.size());
}

std::int16_t JitterBuffer::next_concealed() {
  if (faded_ >= kFadeOut || history_.empty()) return 0;
  const auto left = static_cast<std::int32_t>(kFadeOut - faded_);
  const std::int16_t sample = history_[faded_ % history_.size()];
  ++faded_;
  return static_cast<std::int16_t>(sample * left / static_cast<std::int32_t>(kFadeOut));
}

}  // namespace godwit::media
