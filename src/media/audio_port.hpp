// SPDX-License-Identifier: Apache-2.0
//
// A call's near end: where the sent audio comes from (source, mute) and where the received goes
// (recording, echo). Owned by the engine, which asks for a frame at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "media/audio.hpp"

namespace godwit::media {

class AudioPort {
 public:
  explicit AudioPort(AudioFiles& files);

  /// On failure the source is silence.
  Result<void> set_source(const godwit::AudioSource& source);
  /// Ends the present recording; starts none if `file` is empty.
  Result<void> set_recording(const std::string& file);
  /// Silence goes out; the source runs on.
  void set_muted(bool muted) { muted_ = muted; }

  /// A frame of received audio.
  void play(std::span<const std::int16_t> frame);
  /// Fills a frame to be sent.
  void capture(std::span<std::int16_t> frame);

 private:
  AudioFiles& files_;
  std::unique_ptr<AudioSource> source_;
  EchoLoop* echo_ = nullptr;  ///< `source_`, if it is one.
  std::unique_ptr<AudioSink> recording_;
  bool muted_ = false;
};

}  // namespace godwit::media
