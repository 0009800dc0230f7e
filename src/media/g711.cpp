// SPDX-License-Identifier: Apache-2.0
#include "media/g711.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

namespace godwit::media {
namespace {

// Both laws: a sign, a segment of three bits (each twice as wide as the one before) and four bits
// within it. Decoded values are the middle of the coded interval.

// G.711 Table 2: 14-bit magnitudes, biased by 33 so that each segment begins at a power of two;
// here in 16 bits, so the bias is 132. All bits are sent inverted.
constexpr int kUlawBias = 132;
constexpr int kUlawClip = 32635;

constexpr std::int16_t ulaw_value(std::uint8_t code) {
  const unsigned bits = ~static_cast<unsigned>(code) & 0xffU;
  const unsigned segment = bits >> 4U & 7U;
  const int magnitude = static_cast<int>(((bits & 0xfU) << 3U | 0x84U) << segment) - kUlawBias;
  return static_cast<std::int16_t>((bits & 0x80U) != 0 ? -magnitude : magnitude);
}

// G.711 Table 1: 13-bit magnitudes, the first two segments equally wide. Even bits are sent
// inverted.
constexpr unsigned kAlawInversion = 0x55;

constexpr std::int16_t alaw_value(std::uint8_t code) {
  const unsigned bits = code ^ kAlawInversion;
  const unsigned segment = bits >> 4U & 7U;
  unsigned magnitude = (bits & 0xfU) << 4U | 8U;
  if (segment > 0) magnitude = (magnitude | 0x100U) << (segment - 1);
  const int value = static_cast<int>(magnitude);
  return static_cast<std::int16_t>((bits & 0x80U) != 0 ? value : -value);
}

template <auto kFunction>
constexpr std::array<std::int16_t, 256> make_table() {
  std::array<std::int16_t, 256> table{};
  for (unsigned i = 0; i < table.size(); ++i) table[i] = kFunction(static_cast<std::uint8_t>(i));
  return table;
}

constexpr auto kUlawTable = make_table<ulaw_value>();
constexpr auto kAlawTable = make_table<alaw_value>();

}  // namespace

std::uint8_t encode_ulaw(std::int16_t sample) {
  const unsigned sign = sample < 0 ? 0x80U : 0U;
  const int clipped = std::min(sample < 0 ? -static_cast<int>(sample) : sample, kUlawClip);
  const auto magnitude = static_cast<unsigned>(clipped + kUlawBias);
  const auto segment = static_cast<unsigned>(std::bit_width(magnitude)) - 8U;  // 0x84… to 0x7fff
  const unsigned step = magnitude >> (segment + 3U) & 0xfU;
  return static_cast<std::uint8_t>(~(sign | segment << 4U | step));
}

std::uint8_t encode_alaw(std::int16_t sample) {
  // Two's complement: -1 … -16 is the first negative interval, hence ~ in place of -.
  const unsigned sign = sample < 0 ? 0U : 0x80U;
  const auto magnitude = static_cast<unsigned>(sample < 0 ? ~static_cast<int>(sample) : sample);
  const auto width = static_cast<unsigned>(std::bit_width(magnitude));
  const unsigned segment = width > 8U ? width - 8U : 0U;
  const unsigned step = magnitude >> (segment > 0 ? segment + 3U : 4U) & 0xfU;
  return static_cast<std::uint8_t>((sign | segment << 4U | step) ^ kAlawInversion);
}

std::int16_t decode_ulaw(std::uint8_t code) { return kUlawTable[code]; }
std::int16_t decode_alaw(std::uint8_t code) { return kAlawTable[code]; }

void encode(Codec codec, std::span<const std::int16_t> samples, std::span<std::uint8_t> codes) {
  assert(samples.size() == codes.size());
  const auto function = codec == Codec::Pcmu ? encode_ulaw : encode_alaw;
  std::transform(samples.begin(), samples.end(), codes.begin(), function);
}

void decode(Codec codec, Bytes codes, std::span<std::int16_t> samples) {
  assert(samples.size() == codes.size());
  const auto& table = codec == Codec::Pcmu ? kUlawTable : kAlawTable;
  std::transform(codes.begin(), codes.end(), samples.begin(),
                 [&](std::uint8_t code) { return table[code]; });
}

}  // namespace godwit::media
