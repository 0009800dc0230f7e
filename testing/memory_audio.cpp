// SPDX-License-Identifier: Apache-2.0
#include "testing/memory_audio.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace godwit::testing {
namespace {

class MemorySource final : public media::AudioSource {
 public:
  MemorySource(const std::vector<std::int16_t>& samples, bool loop)
      : samples_(samples), loop_(loop) {}
  std::size_t read(std::span<std::int16_t> out) override {
    std::size_t count = 0;
    while (count < out.size()) {
      if (position_ == samples_.size()) {
        if (!loop_ || samples_.empty()) break;
        position_ = 0;
      }
      out[count++] = samples_[position_++];
    }
    return count;
  }

 private:
  std::vector<std::int16_t> samples_;
  bool loop_;
  std::size_t position_ = 0;
};

class MemorySink final : public media::AudioSink {
 public:
  explicit MemorySink(std::shared_ptr<std::vector<std::int16_t>> out) : out_(std::move(out)) {}
  void write(std::span<const std::int16_t> samples) override {
    out_->insert(out_->end(), samples.begin(), samples.end());
  }

 private:
  std::shared_ptr<std::vector<std::int16_t>> out_;
};

const std::vector<std::int16_t> kNothing;

}  // namespace

void MemoryAudio::provide(const std::string& file, std::vector<std::int16_t> samples) {
  sources_[file] = std::move(samples);
}

const std::vector<std::int16_t>& MemoryAudio::recording(const std::string& file) const {
  const auto found = recordings_.find(file);
  return found == recordings_.end() ? kNothing : *found->second;
}

Result<std::unique_ptr<media::AudioSource>> MemoryAudio::open_source(const std::string& file,
                                                                     bool loop) {
  const auto found = sources_.find(file);
  if (found == sources_.end()) return fail(ErrorCode::NotFound, "no such sound: " + file);
  return std::make_unique<MemorySource>(found->second, loop);
}

Result<std::unique_ptr<media::AudioSink>> MemoryAudio::open_sink(const std::string& file) {
  auto& samples = recordings_[file];
  samples = std::make_shared<std::vector<std::int16_t>>();
  return std::make_unique<MemorySink>(samples);
}

double loudness(const std::vector<std::int16_t>& samples, std::size_t begin, std::size_t end) {
  end = std::min(end, samples.size());
  if (begin >= end) return 0;
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) {
    sum += static_cast<double>(samples[i]) * static_cast<double>(samples[i]);
  }
  return std::sqrt(sum / static_cast<double>(end - begin));
}

double tone_share(const std::vector<std::int16_t>& samples, std::size_t begin, std::size_t end,
                  double hz) {
  end = std::min(end, samples.size());
  const double level = loudness(samples, begin, end);
  if (level == 0) return 0;
  const double step = 2 * std::numbers::pi * hz / media::kSampleRate;
  double sine = 0;
  double cosine = 0;
  for (std::size_t i = begin; i < end; ++i) {
    const double angle = step * static_cast<double>(i - begin);
    sine += samples[i] * std::sin(angle);
    cosine += samples[i] * std::cos(angle);
  }
  const auto count = static_cast<double>(end - begin);
  return 2 * (sine * sine + cosine * cosine) / (count * count * level * level);
}

}  // namespace godwit::testing
