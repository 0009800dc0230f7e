// SPDX-License-Identifier: Apache-2.0
#include "io/sound_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <thread>
#include <vector>

#include "io/resampler.hpp"

namespace godwit::io {
namespace {

using testing::HasSubstr;

class SoundFilesTest : public testing::Test {
 protected:
  SoundFilesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "godwit-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SoundFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// A sine in the left channel; the others get noise that must not be heard.
  std::string make_tone(const std::string& name, int rate, int channels, double hz,
                        double seconds) const {
    SF_INFO info{};
    info.samplerate = rate;
    info.channels = channels;
    info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    SNDFILE* file = ::sf_open(path(name).c_str(), SFM_WRITE, &info);
    EXPECT_NE(file, nullptr);
    std::vector<float> frame(static_cast<std::size_t>(channels));
    for (int i = 0; i < static_cast<int>(seconds * rate); ++i) {
      for (auto& value : frame) value = (i % 3 == 0) ? 0.9F : -0.9F;
      frame[0] = static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * hz * i / rate));
      ::sf_writef_float(file, frame.data(), 1);
    }
    ::sf_close(file);
    return path(name);
  }

  /// Reads until `count` samples came, giving the worker the time it needs.
  static std::vector<std::int16_t> read(media::AudioSource& source, std::size_t count) {
    std::vector<std::int16_t> all;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (all.size() < count && std::chrono::steady_clock::now() < limit) {
      std::array<std::int16_t, 160> packet{};
      const auto room = std::min(packet.size(), count - all.size());
      const std::size_t got = source.read(std::span(packet).first(room));
      all.insert(all.end(), packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(got));
      if (got == 0) std::this_thread::yield();
    }
    return all;
  }

  std::filesystem::path folder_;
  NullLog log_;
};

/// Part of the signal's power that lies at `hz` (Goertzel), 0 to 1.
double share_at(const std::vector<std::int16_t>& samples, double hz) {
  double re = 0;
  double im = 0;
  double power = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / media::kSampleRate;
    re += samples[i] * std::cos(angle);
    im += samples[i] * std::sin(angle);
    power += static_cast<double>(samples[i]) * samples[i];
  }
  return power == 0 ? 0 : 2 * (re * re + im * im) / (power * static_cast<double>(samples.size()));
}

TEST_F(SoundFilesTest, ReadsTheFirstChannelOfAnyRateAsEightKilohertz) {
  SoundFiles files(log_);
  for (const int rate : {8000, 11025, 16000, 44100, 48000}) {
    for (const int channels : {1, 2}) {
      auto source = files.open_source(make_tone("tone.wav", rate, channels, 1000, 1.0), false);
      ASSERT_TRUE(source) << source.error().detail;
      const auto heard = read(**source, 7900);
      ASSERT_EQ(heard.size(), 7900U) << rate;
      EXPECT_GT(share_at(heard, 1000), 0.99) << rate << " Hz, " << channels << " channels";
      EXPECT_NEAR(*std::max_element(heard.begin(), heard.end()), 16384, 400) << rate;
    }
  }
}

TEST_F(SoundFilesTest, WhatEightKilohertzCannotCarryIsNotFoldedBackIntoIt) {
  SoundFiles files(log_);
  auto source = files.open_source(make_tone("high.wav", 48000, 1, 7000, 1.0), false);
  ASSERT_TRUE(source);
  const auto heard = read(**source, 7000);
  // 7 kHz would fold to 1 kHz. The ends of the file ring; the middle is silent: below -50 dB.
  for (std::size_t i = 500; i < heard.size(); ++i) EXPECT_LT(std::abs(heard[i]), 100);
}

TEST_F(SoundFilesTest, EndsShortAndStaysThereOrStartsAgain) {
  SoundFiles files(log_);
  const auto file = make_tone("short.wav", 8000, 1, 500, 0.1);
  auto once = files.open_source(file, false);
  ASSERT_TRUE(once);
  std::vector<std::int16_t> buffer(1000);
  EXPECT_EQ((*once)->read(buffer), 800U);
  EXPECT_EQ((*once)->read(buffer), 0U);
  auto looped = files.open_source(file, true);
  ASSERT_TRUE(looped);
  const auto heard = read(**looped, 40'000);  // Fifty rounds, past what is read ahead.
  ASSERT_EQ(heard.size(), 40'000U);
  EXPECT_GT(share_at(heard, 500), 0.98);
}

TEST_F(SoundFilesTest, LoopingAFileWithoutAudioEnds) {
  SoundFiles files(log_);
  auto source = files.open_source(make_tone("empty.wav", 8000, 1, 500, 0), true);
  ASSERT_TRUE(source);
  std::vector<std::int16_t> buffer(160);
  EXPECT_EQ((*source)->read(buffer), 0U);
}

TEST_F(SoundFilesTest, RecordsWhatIsWrittenEvenWhenItEndsBeforeTheSink) {
  std::vector<std::int16_t> block(160);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::int16_t>(i * 100);
  std::unique_ptr<media::AudioSink> survivor;
  {
    SoundFiles files(log_);
    auto sink = files.open_sink(path("out.wav"));
    ASSERT_TRUE(sink);
    for (int i = 0; i < 50; ++i) (*sink)->write(block);
    survivor = std::move(*sink);
  }
  survivor->write(block);  // Harmless.
  SF_INFO info{};
  SNDFILE* file = ::sf_open(path("out.wav").c_str(), SFM_READ, &info);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(info.samplerate, 8000);
  EXPECT_EQ(info.channels, 1);
  std::vector<std::int16_t> all(static_cast<std::size_t>(info.frames));
  ::sf_readf_short(file, all.data(), info.frames);
  ::sf_close(file);
  ASSERT_EQ(all.size(), 8000U);
  EXPECT_TRUE(std::equal(block.begin(), block.end(), all.end() - 160));
}

TEST_F(SoundFilesTest, RefusalsNameTheFileAndWhatIsWrong) {
  SoundFiles files(log_);
  std::ofstream(path("text.wav")) << "no sound at all";
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  struct Case {
    std::string file;
    const char* says;
  };
  for (const Case& each : {Case{path("absent.wav"), "No such file"}, Case{path("text.wav"), "read"},
                           Case{path("fifo"), "plain file"}, Case{folder_.string(), "plain file"},
                           Case{make_tone("slow.wav", 2000, 1, 100, 0.1), "2000 Hz"}}) {
    const auto source = files.open_source(each.file, false);
    ASSERT_FALSE(source) << each.file;
    EXPECT_THAT(source.error().detail, HasSubstr(each.file));
    EXPECT_THAT(source.error().detail, HasSubstr(each.says));
    EXPECT_FALSE(SoundFiles::check_source(each.file));
  }
  EXPECT_FALSE(files.open_sink(path("fifo")));
  EXPECT_FALSE(files.open_sink(path("no/such/folder.wav")));
}

}  // namespace
}  // namespace godwit::io
