// SPDX-License-Identifier: Apache-2.0
#include "media/g711.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

namespace godwit::media {
namespace {

TEST(G711, KnownValues) {
  // Decoder outputs of ITU-T G.711 Tables 1 and 2, scaled to 16 bits: the ends of each law, of the
  // first segments, and silence.
  const struct {
    std::uint8_t code;
    std::int16_t ulaw;
    std::int16_t alaw;
  } cases[] = {
      {0x00, -32124, -5504}, {0x80, 32124, 5504}, {0x7f, 0, -848},  {0xff, 0, 848},
      {0x0f, -16764, -6784}, {0xd5, 716, 8},      {0x55, -716, -8}, {0xaa, 5372, 32256},
      {0x2a, -5372, -32256}, {0xfe, 8, 880},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(decode_ulaw(c.code), c.ulaw) << std::hex << int{c.code};
    EXPECT_EQ(decode_alaw(c.code), c.alaw) << std::hex << int{c.code};
  }
  EXPECT_EQ(encode_ulaw(0), 0xff);
  EXPECT_EQ(encode_alaw(0), 0xd5);
  EXPECT_EQ(encode_ulaw(32767), 0x80);
  EXPECT_EQ(encode_ulaw(-32768), 0x00);
  EXPECT_EQ(encode_alaw(32767), 0xaa);
  EXPECT_EQ(encode_alaw(-32768), 0x2a);
}

TEST(G711, EveryCodeSurvivesARoundTrip) {
  for (int i = 0; i < 256; ++i) {
    const auto code = static_cast<std::uint8_t>(i);
    EXPECT_EQ(encode_alaw(decode_alaw(code)), code);
    // µ-law has two zeros; the negative one is never produced.
    if (code != 0x7f) {
      EXPECT_EQ(encode_ulaw(decode_ulaw(code)), code);
    }
  }
}

TEST(G711, TheErrorIsAtMostHalfAStep) {
  for (int i = -32768; i <= 32767; ++i) {
    const auto sample = static_cast<std::int16_t>(i);
    const int magnitude = std::min(std::abs(i), 32635);
    // A segment's step is 1/32 of where the (biased) segment begins, at least 8 or 16.
    const int ulaw_half_step = std::max((magnitude + 132) / 32, 4);
    const int alaw_half_step = std::max(magnitude / 32, 8);
    const int clipping = std::abs(i) - magnitude;
    EXPECT_LE(std::abs(decode_ulaw(encode_ulaw(sample)) - i), ulaw_half_step + clipping) << i;
    EXPECT_LE(std::abs(decode_alaw(encode_alaw(sample)) - i), alaw_half_step + clipping + 1) << i;
  }
}

TEST(G711, WholePacketsGoThroughTheNamedLaw) {
  const std::array<std::int16_t, 3> samples{0, 1000, -1000};
  std::array<std::uint8_t, 3> codes{};
  std::array<std::int16_t, 3> back{};
  for (const Codec codec : {Codec::Pcmu, Codec::Pcma}) {
    encode(codec, samples, codes);
    EXPECT_EQ(codes[0], codec == Codec::Pcmu ? 0xff : 0xd5);
    decode(codec, codes, back);
    EXPECT_NEAR(back[1], 1000, 32);
    EXPECT_NEAR(back[2], -1000, 32);
  }
}

}  // namespace
}  // namespace godwit::media
