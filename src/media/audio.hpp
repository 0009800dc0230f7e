// SPDX-License-Identifier: Apache-2.0
//
// Where a call's audio comes from and goes to: 16-bit samples, 8 kHz, one channel. The interfaces
// that io implements with sound files, and the sources that need no file. No pacing here: the
// engine asks for exactly the samples of the packet that is due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "godwit/result.hpp"
#include "godwit/time.hpp"

namespace godwit::media {

inline constexpr unsigned kSampleRate = 8000;

/// How long so many samples last.
constexpr Duration to_duration(std::int64_t samples) {
  return samples * Duration(std::chrono::seconds(1)) / std::int64_t{kSampleRate};
}

class AudioSource {
 public:
  virtual ~AudioSource() = default;
  /// Fills the front of `samples` and returns how many; fewer than asked for: the end was reached
  /// (silence is played from there, and the source may be asked again). Must not block for long.
  virtual std::size_t read(std::span<std::int16_t> samples) = 0;
};

class AudioSink {
 public:
  virtual ~AudioSink() = default;
  virtual void write(std::span<const std::int16_t> samples) = 0;
};

/// Opens sound files; injected, as the core opens none itself.
class AudioFiles {
 public:
  virtual ~AudioFiles() = default;
  /// The first channel, resampled to 8 kHz. `loop`: starts again at the end.
  virtual Result<std::unique_ptr<AudioSource>> open_source(const std::string& file, bool loop) = 0;
  virtual Result<std::unique_ptr<AudioSink>> open_sink(const std::string& file) = 0;
};

/// Fails for every file: for tests and programs that use none.
class NoAudioFiles final : public AudioFiles {
 public:
  Result<std::unique_ptr<AudioSource>> open_source(const std::string& file, bool loop) override;
  Result<std::unique_ptr<AudioSink>> open_sink(const std::string& file) override;
};

class SilenceSource final : public AudioSource {
 public:
  std::size_t read(std::span<std::int16_t> samples) override;
};

/// A sine at -12 dBFS, continuous from read to read.
class ToneSource final : public AudioSource {
 public:
  /// `hz` is clamped to 20 … 3 900.
  explicit ToneSource(double hz);
  std::size_t read(std::span<std::int16_t> samples) override;

 private:
  double step_;
  double phase_ = 0;
};

/// Plays back what is written to it, oldest first. Holds at most kCapacity samples; when that is
/// passed the oldest go, so that the echo's delay is bounded. An empty one reads as silence.
class EchoLoop final : public AudioSource, public AudioSink {
 public:
  static constexpr std::size_t kCapacity = kSampleRate / 5;  ///< 200 ms.
  std::size_t read(std::span<std::int16_t> samples) override;
  void write(std::span<const std::int16_t> samples) override;

 private:
  std::vector<std::int16_t> held_;
};

}  // namespace godwit::media
