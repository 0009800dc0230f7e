// SPDX-License-Identifier: Apache-2.0
#include "media/jitter_buffer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>

namespace godwit::media {
namespace {

constexpr std::uint32_t kPacket = 160;

/// Every packet is filled with a value of its own, 100 times its number (1 to 300, round and
/// round), so that what is played says which packet it is; fades only touch the edges.
std::array<std::int16_t, kPacket> audio(int number) {
  std::array<std::int16_t, kPacket> samples{};
  samples.fill(static_cast<std::int16_t>(((number - 1) % 300 + 1) * 100));
  return samples;
}

class JitterBufferTest : public testing::Test {
 protected:
  void insert(int number, std::int32_t jitter = 0) {
    buffer.insert(1000 + number, timestamp(number), audio(number), jitter);
  }
  static std::uint32_t timestamp(int number) {
    return 0xffffff00U + static_cast<std::uint32_t>(number) * kPacket;  // wraps at once
  }
  /// One tick of playing: the number of the packet played at its end (past any fade-in); 0 if made
  /// up.
  int tick() {
    std::array<std::int16_t, kPacket> out{};
    const auto concealed = buffer.counters().concealed;
    buffer.read(out);
    return buffer.counters().concealed != concealed ? 0 : out[kPacket - 1] / 100;
  }
  std::vector<int> ticks(int n) {
    std::vector<int> played;
    for (int i = 0; i < n; ++i) played.push_back(tick());
    return played;
  }
  /// Packets `first` … `last`, each followed by a tick, as in a call without jitter.
  std::vector<int> steady(int first, int last) {
    std::vector<int> played;
    for (int i = first; i <= last; ++i) {
      insert(i);
      played.push_back(tick());
    }
    return played;
  }

  JitterBuffer buffer;
};

TEST_F(JitterBufferTest, SteadyStreamIsPlayedWholeAndInOrder) {
  // One packet time of target: each is played one tick after it came.
  EXPECT_EQ(steady(1, 6), (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(buffer.counters().late, 0U);
  EXPECT_EQ(buffer.counters().concealed, 0U);  // waiting for the first packet is not a loss
}

TEST_F(JitterBufferTest, ReorderedPacketsAreSorted) {
  insert(1);
  insert(3);
  tick();
  insert(2);
  insert(4);
  EXPECT_EQ(ticks(4), (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(JitterBufferTest, AnOlderPacketThatComesBeforePlayingIsPlayedFirst) {
  insert(2, 80);
  insert(1, 80);
  EXPECT_EQ(ticks(4), (std::vector<int>{0, 1, 2, 0}));
}

TEST_F(JitterBufferTest, DuplicatesChangeNothing) {
  insert(1);
  insert(1);
  tick();
  EXPECT_EQ(tick(), 1);
  insert(1);  // after it was played
  insert(2);
  EXPECT_EQ(tick(), 2);
  EXPECT_EQ(buffer.counters().late, 1U);
}

TEST_F(JitterBufferTest, ALostPacketIsConcealedAndAStragglerCounted) {
  steady(1, 4);  // 3 played
  insert(6);
  EXPECT_EQ(tick(), 4);
  insert(7);
  EXPECT_EQ(tick(), 0);  // 5 is missing
  insert(5);             // too late, 6 is next
  EXPECT_EQ(tick(), 6);
  EXPECT_EQ(buffer.counters().late, 1U);
  EXPECT_EQ(buffer.counters().concealed, kPacket);
}

TEST_F(JitterBufferTest, ConcealmentRepeatsWhatWasHeardAndFadesOut) {
  steady(1, 12);
  std::array<std::int16_t, kPacket> out{};
  buffer.read(out);  // 12
  std::int16_t last = out.back();
  EXPECT_EQ(last, 1200);
  for (int i = 0; i < 4; ++i) {
    buffer.read(out);
    for (const std::int16_t sample : out) {
      EXPECT_LE(sample, last);
      last = sample;
    }
  }
  EXPECT_EQ(last, 0);
}

TEST_F(JitterBufferTest, RealAudioFadesInAfterConcealment) {
  insert(30);
  std::array<std::int16_t, kPacket> out{};
  buffer.read(out);
  buffer.read(out);
  EXPECT_LT(out[0], 200);
  EXPECT_EQ(out[JitterBuffer::kFadeIn], 3000);
  EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
}

// The pause that mobility makes. Before it packets came in time; after it the peer has either
// counted on (its packets were lost), stood still, or begun elsewhere, and may deliver what a dead
// network held back in one burst. In each case audio is back within two ticks and the delay is as
// before.
struct Pause {
  const char* name;
  int next;   ///< Number of the first packet after the pause; 1 + the last means contiguous.
  int burst;  ///< Packets that arrive at once.
};

class JitterBufferPause : public JitterBufferTest, public testing::WithParamInterface<Pause> {};

TEST_P(JitterBufferPause, ResumesAtOnceWithoutLastingDelay) {
  steady(1, 20);
  ticks(150);  // 3 s
  const Pause& pause = GetParam();
  int number = pause.next;
  for (int i = 0; i < pause.burst; ++i) insert(number++);
  int waited = 0;
  while (tick() == 0) {
    insert(number++);
    ++waited;
    ASSERT_LT(waited, 3);
  }
  insert(number++);
  EXPECT_LE(buffer.buffered(), JitterBuffer::kMaxDelay + 160);
  for (int i = 0; i < 3 * JitterBuffer::kWindow; ++i) {
    insert(number++);
    tick();
  }
  EXPECT_LE(buffer.buffered(), 4 * 160) << "delay that stays";
  EXPECT_EQ(buffer.counters().late, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, JitterBufferPause,
    testing::Values(Pause{"PeerCountedOn", 171, 1}, Pause{"PeerCountedOnThenBurst", 171, 8},
                    Pause{"PeerStoodStill", 21, 1}, Pause{"HeldBackAndReleased", 21, 150},
                    Pause{"ShortBurst", 21, 10}, Pause{"JumpedFarAhead", 250000, 1}),
    [](const auto& param) { return param.param.name; });

TEST_F(JitterBufferTest, TimestampJumpIsFollowedAtOnceAndLosesNothing) {
  steady(1, 10);  // 10 is still held
  for (const std::uint32_t jump : {123456789U, 0U - 123456789U}) {
    buffer.reset();
    buffer.insert(1, 0, audio(1), 0);
    buffer.insert(2, 160, audio(2), 0);
    tick();
    buffer.insert(3, 320 + jump, audio(3), 0);
    buffer.insert(4, 480 + jump, audio(4), 0);
    EXPECT_EQ(ticks(4), (std::vector<int>{1, 2, 3, 4})) << jump;
  }
}

TEST_F(JitterBufferTest, SilenceSuppressionKeepsItsLength) {
  steady(1, 10);
  ticks(5);  // 10, then four packets missing; 16 is the next one sent
  buffer.insert(1011, timestamp(16), audio(16), 0);
  EXPECT_EQ(ticks(2), (std::vector<int>{0, 16}));
}

TEST_F(JitterBufferTest, ASlowerPathAddsItsDelayOnce) {
  // The new path is 50 ms slower, that is between two and three ticks, for good.
  steady(1, 20);
  ticks(3);
  int silent = 0;
  for (int i = 21; i < 120; ++i) {
    insert(i);
    if (tick() == 0) ++silent;
  }
  EXPECT_LE(silent, 1);
  EXPECT_EQ(buffer.counters().late, 0U);
}

TEST_F(JitterBufferTest, AFasterPathTakesTheDelayBack) {
  steady(1, 20);
  insert(21);
  insert(22);
  insert(23);  // 60 ms sooner from now on
  const std::int32_t before = buffer.buffered();
  for (int i = 24; i < 24 + 8 * JitterBuffer::kWindow; ++i) {
    insert(i);
    tick();
  }
  EXPECT_LT(buffer.buffered(), before - 2 * 160);
  EXPECT_EQ(buffer.counters().late, 0U);
}

TEST_F(JitterBufferTest, JitterRaisesTheDelayUntilNothingIsLate) {
  // Pairs of packets every 40 ms: 20 ms of jitter. After the first second nothing is concealed.
  int number = 1;
  for (int i = 0; i < 25; ++i) {
    insert(number++, 80);
    insert(number++, 80);
    ticks(2);
  }
  const auto concealed = buffer.counters().concealed;
  for (int i = 0; i < 100; ++i) {
    insert(number++, 80);
    insert(number++, 80);
    ticks(2);
  }
  EXPECT_EQ(buffer.counters().concealed, concealed);
}

TEST_F(JitterBufferTest, ANewStreamStartsAfresh) {
  steady(500, 510);
  buffer.reset();
  buffer.insert(1, 77, audio(7), 0);  // a lower sequence, another timestamp
  tick();
  EXPECT_EQ(tick(), 7);
  EXPECT_EQ(buffer.counters().late, 0U);
}

TEST_F(JitterBufferTest, AFloodStaysWithinItsBounds) {
  const std::array<std::int16_t, 1> tiny{1};
  for (int i = 0; i < 100000; ++i) {
    buffer.insert(i * 7LL, static_cast<std::uint32_t>(i) * 77777U, tiny, 1 << 30);
    if (i % 3 == 0) tick();
    ASSERT_LE(buffer.counters().discarded + buffer.counters().late, static_cast<unsigned>(i) + 1U);
  }
  int drained = 0;
  std::array<std::int16_t, 1> one{};
  while (buffer.buffered() > 0 && drained < 100000) {
    buffer.read(one);
    ++drained;
  }
  EXPECT_LE(drained, static_cast<int>(JitterBuffer::kMaxPackets) * JitterBuffer::kMaxDelay);
}

}  // namespace
}  // namespace godwit::media
