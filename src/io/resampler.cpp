// SPDX-License-Identifier: Apache-2.0
#include "io/resampler.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace godwit::io {
namespace {

// Zero crossings of the sinc on each side, and table entries for each: errors stay below 16 bits'
// quantisation in the middle of the telephone band.
constexpr std::size_t kCrossings = 16;
constexpr std::size_t kResolution = 256;
// The transition band of a kernel this long is some 8 % wide.
constexpr double kPassband = 0.92;

}  // namespace

Resampler::Resampler(unsigned from, unsigned to)
    : step_(static_cast<double>(from) / to),
      cutoff_(kPassband * std::min(1.0, static_cast<double>(to) / from)),
      half_(static_cast<std::size_t>(std::ceil(kCrossings / cutoff_))),
      // The first output sample lies on the first input sample, with silence before it.
      history_(half_, 0.0F),
      position_(static_cast<double>(half_)) {
  table_.reserve(kCrossings * kResolution + 2);
  for (std::size_t i = 0; i <= kCrossings * kResolution + 1; ++i) {
    const double x = static_cast<double>(i) / kResolution;
    const double sinc = i == 0 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
    const double window = 0.5 + 0.5 * std::cos(std::numbers::pi * std::min(x / kCrossings, 1.0));
    table_.push_back(static_cast<float>(sinc * window));
  }
}

float Resampler::kernel(double distance) const {
  const double at = std::abs(distance) * cutoff_ * kResolution;
  const auto index = static_cast<std::size_t>(at);
  if (index >= kCrossings * kResolution) return 0.0F;
  const auto fraction = static_cast<float>(at - static_cast<double>(index));
  return table_[index] + fraction * (table_[index + 1] - table_[index]);
}

void Resampler::push(std::span<const float> input, std::vector<std::int16_t>& out) {
  history_.insert(history_.end(), input.begin(), input.end());
  while (position_ + static_cast<double>(half_) < static_cast<double>(history_.size())) {
    const auto centre = static_cast<std::size_t>(position_);
    const std::size_t first = centre + 1 >= half_ ? centre + 1 - half_ : 0;
    const std::size_t last = std::min(centre + half_, history_.size() - 1);
    float sum = 0;
    for (std::size_t i = first; i <= last; ++i) {
      sum += history_[i] * kernel(static_cast<double>(i) - position_);
    }
    const float scaled = sum * static_cast<float>(cutoff_) * 32768.0F;
    out.push_back(static_cast<std::int16_t>(std::lrintf(std::clamp(scaled, -32768.0F, 32767.0F))));
    position_ += step_;
  }
  const auto behind = static_cast<std::size_t>(position_);
  if (behind > half_) {
    const std::size_t drop = std::min(behind - half_, history_.size());
    history_.erase(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(drop));
    position_ -= static_cast<double>(drop);
  }
}

void Resampler::finish(std::vector<std::int16_t>& out) {
  const std::vector<float> silence(half_, 0.0F);
  push(silence, out);
}

}  // namespace godwit::io
