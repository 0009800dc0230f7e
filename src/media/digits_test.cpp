// SPDX-License-Identifier: Apache-2.0
#include "media/digits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/engine_harness.hpp"

namespace godwit::media {
namespace {

using testing::ElementsAre;

constexpr TimePoint kStart{seconds(1000)};
const Endpoint kPeer = *Endpoint::parse("192.0.2.9:4000");
constexpr std::uint8_t kType = 101;

std::array<std::uint8_t, 4> event(std::uint8_t code, bool end, std::uint16_t duration) {
  return {code, static_cast<std::uint8_t>(end ? 0x8a : 0x0a),
          static_cast<std::uint8_t>(duration >> 8U), static_cast<std::uint8_t>(duration & 0xffU)};
}

std::string all(DigitReceiver& receiver) {
  std::string digits;
  while (const auto digit = receiver.poll()) digits += digit->digit;
  return digits;
}

TEST(DigitReceiver, OneEventIsOneDigitHoweverOftenItIsSaid) {
  DigitReceiver receiver;
  TimePoint now = kStart;
  for (std::uint16_t d = 160; d <= 800; d = static_cast<std::uint16_t>(d + 160)) {
    receiver.on_packet(event(5, false, d), 1000, d == 160, now += milliseconds(20));
    EXPECT_FALSE(receiver.poll());
  }
  for (int i = 0; i < 3; ++i) receiver.on_packet(event(5, true, 960), 1000, false, now);
  const auto digit = receiver.poll();
  ASSERT_TRUE(digit);
  EXPECT_EQ(digit->digit, '5');
  EXPECT_EQ(digit->duration, milliseconds(120));
  EXPECT_FALSE(receiver.poll());
  EXPECT_FALSE(receiver.deadline());
  // The same key again is another event.
  receiver.on_packet(event(5, true, 960), 9000, true, now);
  EXPECT_EQ(all(receiver), "5");
}

TEST(DigitReceiver, KnowsAllKeysAndNothingElse) {
  DigitReceiver receiver;
  std::string digits;
  TimePoint now = kStart;
  for (unsigned code = 0; code < 256; ++code) {
    now += milliseconds(100);
    receiver.on_packet(event(static_cast<std::uint8_t>(code), true, 800), 1000 * code, true, now);
    digits += all(receiver);
  }
  EXPECT_EQ(digits, "0123456789*#ABCD");
}

TEST(DigitReceiver, LostEndPacketsEndInSilenceOrWithTheNextDigit) {
  DigitReceiver receiver;
  receiver.on_packet(event(1, false, 160), 1000, true, kStart);
  receiver.on_packet(event(1, false, 480), 1000, false, kStart + milliseconds(40));
  ASSERT_EQ(receiver.deadline(), kStart + milliseconds(40) + DigitReceiver::kLost);
  receiver.on_timeout(kStart + milliseconds(339));
  EXPECT_FALSE(receiver.poll());
  receiver.on_timeout(kStart + milliseconds(340));
  const auto digit = receiver.poll();
  ASSERT_TRUE(digit);
  EXPECT_EQ(digit->duration, milliseconds(60));
  // What comes of it later is known already.
  receiver.on_packet(event(1, true, 1600), 1000, false, kStart + seconds(1));
  EXPECT_EQ(all(receiver), "");
  receiver.on_packet(event(2, false, 160), 5000, true, kStart + seconds(2));
  receiver.on_packet(event(3, false, 160), 7000, true, kStart + seconds(2));
  EXPECT_EQ(all(receiver), "2");
}

TEST(DigitReceiver, LongPressesAndSeveralEventsInOnePacket) {
  DigitReceiver receiver;
  receiver.on_packet(event(7, false, 0xffff), 1000, true, kStart);
  receiver.on_packet(event(7, false, 160), 1000 + 0xffff, false, kStart + milliseconds(20));
  receiver.on_packet(event(7, true, 1600), 1000 + 0xffff, false, kStart + milliseconds(200));
  const auto digit = receiver.poll();
  ASSERT_TRUE(digit);
  EXPECT_EQ(digit->duration, milliseconds((0xffff + 1600) / 8));
  receiver.on_packet(event(7, false, 0xffff), 1000, false, kStart + milliseconds(220));
  EXPECT_FALSE(receiver.deadline()) << "the first segment is done, too";

  std::vector<std::uint8_t> two;
  for (const auto& part : {event(1, true, 400), event(2, true, 400)}) {
    two.insert(two.end(), part.begin(), part.end());
  }
  receiver.on_packet(two, 500'000, true, kStart + seconds(1));
  EXPECT_EQ(all(receiver), "12");
}

TEST(DigitReceiver, AFloodIsBounded) {
  DigitReceiver receiver;
  std::size_t digits = 0;
  for (unsigned i = 0; i < 10'000; ++i) {
    receiver.on_packet(event(1, true, 160), i * 7919, true, kStart + milliseconds(i / 10));
    digits += all(receiver).size();
  }
  EXPECT_LE(digits, static_cast<std::size_t>(DigitReceiver::kMaxPerSecond));
  for (std::size_t size = 0; size < 4; ++size) {
    receiver.on_packet(std::vector<std::uint8_t>(size, 1), 5, true, kStart + seconds(5));
  }
  EXPECT_FALSE(receiver.deadline());
}

// ---- In the engine ------------------------------------------------------------------------------

class EngineDigits : public testing::Test {
 protected:
  void start() {
    h.open(1);
    h.command(parameters());
    h.remote(1, kPeer);
    h.run_for(milliseconds(95));
  }
  static SetParameters parameters(std::optional<std::uint8_t> type = kType) {
    SetParameters p;
    p.receive = {{0, Codec::Pcmu}};
    p.telephone_event = type;
    p.receive_event = type;
    return p;
  }
  std::vector<EngineHarness::Sent> events() const {
    std::vector<EngineHarness::Sent> found;
    for (const auto& sent : h.sent_rtp()) {
      if (sent.rtp().payload_type == kType) found.push_back(sent);
    }
    return found;
  }
  /// Plays what was sent from `path` on to another engine's receiver.
  std::string heard(std::optional<unsigned> lost_path = {}) const {
    DigitReceiver receiver;
    std::string digits;
    for (const auto& sent : h.sent_rtp()) {
      if (lost_path && sent.path == PathId(*lost_path) && sent.at >= dead_from) continue;
      receiver.on_timeout(sent.at);
      digits += all(receiver);
      const auto packet = sent.rtp();
      if (packet.payload_type != kType) continue;
      receiver.on_packet(packet.payload, packet.timestamp, packet.marker, sent.at);
      digits += all(receiver);
    }
    return digits;
  }
  EngineHarness h;
  TimePoint dead_from = TimePoint::max();
};

TEST_F(EngineDigits, OneDigitAsRfc4733WantsIt) {
  start();
  h.command(SendDigits{7, "5"});
  h.run_for(seconds(1));
  const auto packets = events();
  ASSERT_EQ(packets.size(), 10U) << "160 ms, its end said three times";
  const auto first = packets[0].rtp();
  EXPECT_TRUE(first.marker);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const auto packet = packets[i].rtp();
    EXPECT_EQ(packet.timestamp, first.timestamp);
    EXPECT_EQ(packet.ssrc, first.ssrc);
    EXPECT_EQ(packet.sequence, static_cast<std::uint16_t>(first.sequence + i));
    EXPECT_EQ(packet.marker, i == 0);
    ASSERT_EQ(packet.payload.size(), 4U);
    EXPECT_EQ(packet.payload[0], 5);
    EXPECT_EQ(packet.payload[1], i < 7 ? 0x0a : 0x8a);
    EXPECT_EQ(packet.payload[2] << 8U | packet.payload[3], std::min<int>(160 * (int(i) + 1), 1280));
  }
  // Sequence and cadence of the whole stream go on; audio returns where its clock stands.
  const auto stream = h.sent_rtp();
  for (std::size_t i = 1; i < stream.size(); ++i) {
    EXPECT_EQ(stream[i].rtp().sequence,
              static_cast<std::uint16_t>(stream[i - 1].rtp().sequence + 1));
    EXPECT_EQ(stream[i].at - stream[i - 1].at, milliseconds(20));
  }
  EXPECT_EQ(stream.back().rtp().timestamp - stream.front().rtp().timestamp,
            160 * (stream.size() - 1));
  const auto done = h.reported<DigitsSent>();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].token, 7U);
  EXPECT_TRUE(done[0].ok);
  EXPECT_EQ(done[0].sent, 1U);
}

TEST_F(EngineDigits, ARowInOrderWithPauses) {
  start();
  h.command(SendDigits{1, "147*#AD0"});
  h.run_for(seconds(4));
  EXPECT_EQ(heard(), "147*#AD0");
  EXPECT_EQ(h.reported<DigitsSent>().size(), 1U);
}

TEST_F(EngineDigits, WhatCannotBeSentIsSaid) {
  start();
  h.command(SendDigits{1, "12"});
  h.command(SendDigits{2, "3"});
  h.run_for(milliseconds(100));
  h.command(parameters(std::nullopt));
  h.run_for(seconds(1));
  h.command(SendDigits{3, "4"});
  const auto done = h.reported<DigitsSent>();
  ASSERT_EQ(done.size(), 3U);
  EXPECT_EQ(done[0].token, 2U) << "one row at a time";
  EXPECT_EQ(done[1].token, 1U);
  EXPECT_EQ(done[1].sent, 1U) << "the first was begun";
  EXPECT_EQ(done[2].token, 3U);
  for (const auto& each : done) EXPECT_FALSE(each.ok);
}

TEST_F(EngineDigits, OnHoldTheyWait) {
  start();
  auto held = parameters();
  held.direction = MediaDirection::RecvOnly;
  h.command(held);
  h.command(SendDigits{1, "12"});
  h.run_for(seconds(3));
  EXPECT_TRUE(events().empty());
  h.command(parameters());
  h.run_for(seconds(1));
  EXPECT_EQ(heard(), "12");
  EXPECT_EQ(h.reported<DigitsSent>().size(), 1U);
}

// The path dies at every moment of a row, and this is learnt 20, 100 or 700 ms later: the row
// arrives whole, in order, and nothing twice.
TEST_F(EngineDigits, ARowSurvivesTheDeathOfItsPathAtAnyMoment) {
  for (const int learnt_after : {20, 100, 700}) {
    for (int death = 0; death < 900; death += 10) {
      EngineDigits_ARowSurvivesTheDeathOfItsPathAtAnyMoment_Test fresh;
      fresh.start();
      fresh.h.command(SendDigits{1, "123"});
      fresh.h.run_for(milliseconds(death));
      fresh.dead_from = fresh.h.now;
      fresh.h.run_for(milliseconds(learnt_after));
      fresh.h.open(2, 1);
      fresh.h.remote(2, kPeer, 1, fresh.dead_from);
      fresh.h.run_for(seconds(3));
      EXPECT_EQ(fresh.heard(1), "123") << "dead after " << death << ", learnt " << learnt_after;
      // Nothing is lost either if the death was a mistake.
      EXPECT_EQ(fresh.heard(), "123") << "dead after " << death << ", learnt " << learnt_after;
      EXPECT_EQ(fresh.h.reported<DigitsSent>().size(), 1U);
    }
  }
}

TEST_F(EngineDigits, AMoveWithoutALossRepeatsNothing) {
  start();
  h.command(SendDigits{1, "12"});
  h.run_for(milliseconds(80));
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  h.run_for(seconds(1));
  EXPECT_EQ(heard(), "12");
  EXPECT_EQ(events().size(), 20U);
}

TEST_F(EngineDigits, HearsThePeersDigits) {
  start();
  PeerStream peer;
  const auto press = [&](std::uint8_t code) {
    wire::RtpPacket packet;
    const auto base = *wire::parse_rtp(peer.next());
    packet.payload_type = kType;
    packet.sequence = base.sequence;
    packet.timestamp = base.timestamp;
    packet.ssrc = base.ssrc;
    const auto payload = event(code, true, 800);
    packet.payload = payload;
    h.packet(1, kPeer, *wire::build_rtp(packet));
  };
  h.packet(1, kPeer, peer.next());
  press(11);
  press(0);
  const auto digits = h.reported<DigitReceived>();
  ASSERT_EQ(digits.size(), 2U);
  EXPECT_EQ(digits[0].digit, '#');
  EXPECT_EQ(digits[0].duration, milliseconds(100));
  EXPECT_EQ(digits[1].digit, '0');
  // Not ours to hear: on hold.
  auto held = parameters();
  held.direction = MediaDirection::SendOnly;
  h.command(held);
  press(3);
  EXPECT_EQ(h.reported<DigitReceived>().size(), 2U);
}

}  // namespace
}  // namespace godwit::media
