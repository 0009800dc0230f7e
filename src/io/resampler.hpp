// SPDX-License-Identifier: Apache-2.0
//
// Changes the rate of a mono stream by windowed-sinc interpolation, for sound files that are not at
// the telephone's 8 kHz. Streaming, bounded memory; not for live audio devices, whose clocks drift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace godwit::io {

class Resampler {
 public:
  /// Both in Hz, at most 1:64 apart.
  Resampler(unsigned from, unsigned to);

  /// Appends to `out` what can be told from the input so far; it lags by a few milliseconds.
  void push(std::span<const float> input, std::vector<std::int16_t>& out);
  /// Appends what the lag held back, as if silence followed.
  void finish(std::vector<std::int16_t>& out);

 private:
  float kernel(double distance) const;

  double step_;       // Input samples per output sample.
  double cutoff_;     // Of the input's Nyquist frequency.
  std::size_t half_;  // Input samples on each side of an output sample.
  std::vector<float> table_;
  std::vector<float> history_;
  double position_;  // Of the next output sample, in history_.
};

}  // namespace godwit::io
