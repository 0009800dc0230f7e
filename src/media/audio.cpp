// SPDX-License-Identifier: Apache-2.0
#include "media/audio.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace godwit::media {

Result<std::unique_ptr<AudioSource>> NoAudioFiles::open_source(const std::string& file, bool) {
  return fail(ErrorCode::Unsupported, file + ": sound files are not available here");
}

Result<std::unique_ptr<AudioSink>> NoAudioFiles::open_sink(const std::string& file) {
  return fail(ErrorCode::Unsupported, file + ": sound files are not available here");
}

std::size_t SilenceSource::read(std::span<std::int16_t> samples) {
  std::fill(samples.begin(), samples.end(), std::int16_t{0});
  return samples.size();
}

ToneSource::ToneSource(double hz)
    : step_(2.0 * std::numbers::pi * std::clamp(hz, 20.0, 3900.0) / kSampleRate) {}

std::size_t ToneSource::read(std::span<std::int16_t> samples) {
  constexpr double kAmplitude = 8230;  // -12 dB of full scale
  for (std::int16_t& sample : samples) {
    sample = static_cast<std::int16_t>(std::lround(kAmplitude * std::sin(phase_)));
    phase_ += step_;
    if (phase_ >= 2.0 * std::numbers::pi) phase_ -= 2.0 * std::numbers::pi;
  }
  return samples.size();
}

std::size_t EchoLoop::read(std::span<std::int16_t> samples) {
  const std::size_t held = std::min(samples.size(), held_.size());
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(held);
  std::fill(std::copy(held_.begin(), end, samples.begin()), samples.end(), std::int16_t{0});
  held_.erase(held_.begin(), end);
  return samples.size();
}

void EchoLoop::write(std::span<const std::int16_t> samples) {
  held_.insert(held_.end(), samples.begin(), samples.end());
  if (held_.size() > kCapacity) {
    held_.erase(held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(kCapacity));
  }
}

}  // namespace godwit::media
