// SPDX-License-Identifier: Apache-2.0
#include "media/received_stream.hpp"

#include <gtest/gtest.h>

namespace godwit::media {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = ReceivedStream::Verdict;

class ReceivedStreamTest : public testing::Test {
 protected:
  ReceivedStream::Arrival arrive(unsigned number, Duration later = milliseconds(20)) {
    now += later;
    return stream.on_packet(static_cast<std::uint16_t>(kFirst + number), number * 160, true, now);
  }
  static constexpr unsigned kFirst = 65530;  // wraps after six packets
  TimePoint now{seconds(100)};
  ReceivedStream stream{0xabcd, kFirst};
};

TEST_F(ReceivedStreamTest, ExtendsTheSequenceOverItsWrap) {
  const auto first = arrive(0);
  for (unsigned i = 1; i < 70000; ++i) {
    const auto arrival = arrive(i);
    ASSERT_EQ(arrival.verdict, Verdict::New);
    ASSERT_EQ(arrival.sequence, first.sequence + i);
  }
  EXPECT_EQ(stream.received(), 70000U);
  EXPECT_EQ(stream.lost(), 0U);
}

TEST_F(ReceivedStreamTest, TellsGapsStragglersAndDuplicates) {
  arrive(0);
  EXPECT_EQ(arrive(4).gap, 3U);
  EXPECT_EQ(stream.lost(), 3U);
  const auto straggler = arrive(2);
  EXPECT_EQ(straggler.verdict, Verdict::New);
  EXPECT_EQ(straggler.gap, 0U);
  EXPECT_EQ(stream.lost(), 2U);
  for (const unsigned copy : {0U, 2U, 4U}) EXPECT_EQ(arrive(copy).verdict, Verdict::Duplicate);
  EXPECT_EQ(stream.duplicates(), 3U);
  EXPECT_EQ(stream.lost(), 2U);
  EXPECT_EQ(arrive(1).verdict, Verdict::New);
  EXPECT_EQ(arrive(3).verdict, Verdict::New);
  EXPECT_EQ(stream.lost(), 0U);
}

TEST_F(ReceivedStreamTest, WhatCameBeforeTheFirstIsNeitherExpectedNorLost) {
  arrive(10);
  ReceivedStream joined(1, 500);
  joined.on_packet(500, 0, true, now);
  EXPECT_EQ(joined.on_packet(490, 0, true, now).verdict, Verdict::New);
  EXPECT_EQ(joined.received(), 1U);
  EXPECT_EQ(joined.lost(), 0U);
}

TEST_F(ReceivedStreamTest, ALongPauseExplainsALongGap) {
  arrive(0);
  EXPECT_EQ(arrive(3000).gap, 2999U);
  // 64 s without network, the peer counting on at 50 packets a second: more than RFC 3550's 3 000.
  const auto after = arrive(3000 + 3200, seconds(64));
  EXPECT_EQ(after.verdict, Verdict::New);
  EXPECT_EQ(after.gap, 3199U);
}

TEST_F(ReceivedStreamTest, AnOddPacketIsDroppedAndTwoAreARestart) {
  arrive(0);
  arrive(2);
  EXPECT_EQ(arrive(20000).verdict, Verdict::Implausible);
  const auto back = arrive(3);
  EXPECT_EQ(back.verdict, Verdict::New);
  EXPECT_EQ(arrive(20001).verdict, Verdict::Implausible);
  const auto restarted = arrive(20002);
  EXPECT_EQ(restarted.verdict, Verdict::Restarted);
  EXPECT_GT(restarted.sequence, back.sequence);
  EXPECT_EQ(arrive(20003).sequence, restarted.sequence + 1);
  EXPECT_EQ(stream.lost(), 1U);  // what was lost before stays counted
  EXPECT_EQ(stream.received(), 5U);
}

TEST_F(ReceivedStreamTest, JitterFollowsRfc3550) {
  double expected = 40;  // where the estimate begins
  arrive(0);
  for (unsigned i = 1; i < 200; ++i) {
    arrive(i, milliseconds(i % 2 == 0 ? 25 : 15));
    expected += (40 - expected) / 16;  // 5 ms either way
  }
  EXPECT_NEAR(stream.jitter_samples(), expected, 1);
  for (unsigned i = 200; i < 400; ++i) arrive(i);
  EXPECT_LE(stream.jitter_samples(), 1U);
}

TEST_F(ReceivedStreamTest, APauseOfThePeerIsNotJitter) {
  for (unsigned i = 0; i < 200; ++i) arrive(i);
  arrive(200, seconds(5));  // contiguous: it stood still
  EXPECT_LE(stream.jitter_samples(), 1U);
}

TEST_F(ReceivedStreamTest, TheReportBlockIsThatOfRfc3550A3) {
  for (unsigned i = 0; i < 100; ++i) {
    if (i % 4 != 3) arrive(i);
  }
  arrive(100);
  auto block = stream.report_block(now);
  EXPECT_EQ(block.ssrc, 0xabcdU);
  EXPECT_EQ(block.cumulative_lost, 25);
  EXPECT_EQ(block.fraction_lost, 25 * 256 / 101);
  EXPECT_EQ(block.highest_sequence, 0x10000U + (kFirst + 100U - 0x10000U));
  EXPECT_EQ(block.last_sr, 0U);
  // The next interval: nothing lost, and stragglers of the last one do not make it negative.
  arrive(3);
  arrive(101);
  wire::RtcpSenderReport report;
  report.ntp_timestamp = 0x1234'56789abc'def0;
  stream.on_sender_report(report, now);
  block = stream.report_block(now + milliseconds(500));
  EXPECT_EQ(block.fraction_lost, 0);
  EXPECT_EQ(block.cumulative_lost, 24);
  EXPECT_EQ(block.last_sr, 0x56789abcU);
  EXPECT_EQ(block.delay_since_last_sr, 32768U);
}

}  // namespace
}  // namespace godwit::media
