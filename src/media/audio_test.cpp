// SPDX-License-Identifier: Apache-2.0
#include "media/audio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace godwit::media {
namespace {

using testing::Each;
using testing::ElementsAre;

TEST(Audio, ToneHasItsFrequencyAndLevelAcrossReads) {
  ToneSource tone(440);
  std::array<std::int16_t, 160> packet{};
  int crossings = 0;
  double energy = 0;
  std::int16_t last = 0;
  for (int i = 0; i < 50; ++i) {  // one second
    ASSERT_EQ(tone.read(packet), packet.size());
    for (const std::int16_t sample : packet) {
      if (last < 0 && sample >= 0) ++crossings;
      EXPECT_LE(std::abs(sample - last), 8230 * 0.35);  // no click between two packets
      energy += sample * sample;
      last = sample;
    }
  }
  EXPECT_NEAR(crossings, 440, 1);
  EXPECT_NEAR(20 * std::log10(std::sqrt(energy / 8000) / 32768), -15.0, 0.1);  // RMS of a sine
}

TEST(Audio, EchoReturnsWhatItHeardThenSilence) {
  EchoLoop echo;
  echo.write(std::array<std::int16_t, 3>{1, 2, 3});
  std::array<std::int16_t, 2> out{};
  EXPECT_EQ(echo.read(out), 2U);
  EXPECT_THAT(out, ElementsAre(1, 2));
  EXPECT_EQ(echo.read(out), 2U);
  EXPECT_THAT(out, ElementsAre(3, 0));
}

TEST(Audio, EchoKeepsOnlyTheNewest) {
  EchoLoop echo;
  const std::vector<std::int16_t> old(EchoLoop::kCapacity, 1);
  const std::vector<std::int16_t> fresh(EchoLoop::kCapacity, 2);
  echo.write(old);
  echo.write(fresh);
  std::vector<std::int16_t> out(EchoLoop::kCapacity + 1);
  echo.read(out);
  EXPECT_EQ(out.back(), 0);
  out.pop_back();
  EXPECT_THAT(out, Each(2));
}

TEST(Audio, WithoutFilesEveryOpeningFailsByName) {
  NoAudioFiles files;
  EXPECT_THAT(files.open_source("a.wav", false).error().detail, testing::HasSubstr("a.wav"));
  EXPECT_FALSE(files.open_sink("b.wav"));
}

}  // namespace
}  // namespace godwit::media
