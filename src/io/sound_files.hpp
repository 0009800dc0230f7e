// SPDX-License-Identifier: Apache-2.0
//
// Sound files as the media engines see them: whatever libsndfile reads comes in as 8 kHz mono (the
// first channel), what is heard goes out as 8 kHz mono WAV. One worker thread does the reading
// ahead and the writing behind, so that a slow disk never stalls the media thread; only opening a
// file and reading its first half second happens in the caller's thread. Knows no calls and no
// pacing.
#pragma once

#include <memory>
#include <string>

#include "base/log.hpp"
#include "godwit/result.hpp"
#include "media/audio.hpp"

namespace godwit::io {

class SoundFiles final : public media::AudioFiles {
 public:
  /// Sample rates of files that are read.
  static constexpr unsigned kLowestRate = 4'000;
  static constexpr unsigned kHighestRate = 192'000;

  /// `log` must outlive it and be safe to call from any thread.
  explicit SoundFiles(Log& log);
  /// Writes out what open sinks still hold. Sources and sinks may outlive it and are then at their
  /// end.
  ~SoundFiles() override;

  Result<std::unique_ptr<media::AudioSource>> open_source(const std::string& file,
                                                          bool loop) override;
  /// The file is made anew; it is complete a moment after the sink is destroyed. What a disk too
  /// slow by 4 s of audio cannot take is dropped, and logged.
  Result<std::unique_ptr<media::AudioSink>> open_sink(const std::string& file) override;

  /// Whether open_source would succeed; from any thread.
  static Result<void> check_source(const std::string& file);

 private:
  class Worker;
  std::shared_ptr<Worker> worker_;
};

}  // namespace godwit::io
