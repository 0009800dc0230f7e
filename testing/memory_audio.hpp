// SPDX-License-Identifier: Apache-2.0
//
// Sound files that live in memory: what a simulated phone plays from and records to. Owned by the
// phone; recordings outlive their calls.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "media/audio.hpp"

namespace godwit::testing {

class MemoryAudio final : public media::AudioFiles {
 public:
  /// What open_source() of that name will play.
  void provide(const std::string& file, std::vector<std::int16_t> samples);
  /// What was recorded under that name so far; empty if nothing.
  const std::vector<std::int16_t>& recording(const std::string& file) const;

  Result<std::unique_ptr<media::AudioSource>> open_source(const std::string& file,
                                                          bool loop) override;
  Result<std::unique_ptr<media::AudioSink>> open_sink(const std::string& file) override;

 private:
  std::map<std::string, std::vector<std::int16_t>> sources_;
  std::map<std::string, std::shared_ptr<std::vector<std::int16_t>>> recordings_;
};

/// The part of the samples' energy that lies at `hz` (Goertzel), 0 … 1; 0 for silence.
double tone_share(const std::vector<std::int16_t>& samples, std::size_t begin, std::size_t end,
                  double hz);
/// Root mean square of the samples in [begin, end).
double loudness(const std::vector<std::int16_t>& samples, std::size_t begin, std::size_t end);

}  // namespace godwit::testing
