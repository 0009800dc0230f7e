// SPDX-License-Identifier: Apache-2.0
#include "media/audio_port.hpp"

#include <algorithm>
#include <utility>

namespace godwit::media {

AudioPort::AudioPort(AudioFiles& files)
    : files_(files), source_(std::make_unique<SilenceSource>()) {}

Result<void> AudioPort::set_source(const godwit::AudioSource& source) {
  using Kind = godwit::AudioSource::Kind;
  echo_ = nullptr;
  switch (source.kind) {
    case Kind::Silence: break;
    case Kind::Tone: source_ = std::make_unique<ToneSource>(source.tone_hz); return {};
    case Kind::Echo: {
      auto echo = std::make_unique<EchoLoop>();
      echo_ = echo.get();
      source_ = std::move(echo);
      return {};
    }
    case Kind::File: {
      auto opened = files_.open_source(source.file, source.loop);
      if (opened) {
        source_ = std::move(*opened);
        return {};
      }
      source_ = std::make_unique<SilenceSource>();
      return tl::unexpected(std::move(opened.error()));
    }
  }
  source_ = std::make_unique<SilenceSource>();
  return {};
}

Result<void> AudioPort::set_recording(const std::string& file) {
  recording_.reset();
  if (file.empty()) return {};
  auto opened = files_.open_sink(file);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  recording_ = std::move(*opened);
  return {};
}

void AudioPort::play(std::span<const std::int16_t> frame) {
  if (recording_) recording_->write(frame);
  if (echo_ != nullptr) echo_->write(frame);
}

void AudioPort::capture(std::span<std::int16_t> frame) {
  const std::size_t filled = std::min(source_->read(frame), frame.size());
  const auto silence = muted_ ? frame : frame.subspan(filled);
  std::fill(silence.begin(), silence.end(), std::int16_t{0});
}

}  // namespace godwit::media
