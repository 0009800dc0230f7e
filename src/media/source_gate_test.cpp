// SPDX-License-Identifier: Apache-2.0
#include "media/source_gate.hpp"

#include <gtest/gtest.h>

namespace godwit::media {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = SourceGate::Verdict;

const Endpoint kPeer = *Endpoint::parse("192.0.2.9:4000");
const Endpoint kMoved = *Endpoint::parse("198.51.100.9:5000");
const Endpoint kThird = *Endpoint::parse("198.51.100.9:5002");

class SourceGateTest : public testing::Test {
 protected:
  SourceGateTest() { gate.set_signalled(kPeer); }

  SourceGate::Outcome packet(const Endpoint& from, std::uint32_t ssrc, int sequence,
                             Duration later = milliseconds(20), unsigned path = 1) {
    now += later;
    const Buffer bytes{static_cast<std::uint8_t>(sequence)};
    return gate.on_packet(PathId(path), from, ssrc, static_cast<std::uint16_t>(sequence), bytes,
                          now);
  }
  Verdict verdict(const Endpoint& from, std::uint32_t ssrc, int sequence,
                  Duration later = milliseconds(20)) {
    return packet(from, ssrc, sequence, later).verdict;
  }

  TimePoint now{seconds(100)};
  SourceGate gate{seconds(2)};
};

TEST_F(SourceGateTest, TheSignalledPeerIsHeardAtOnceOnAnyPath) {
  EXPECT_EQ(packet(kPeer, 1, 10).verdict, Verdict::Accepted);
  const auto other_path = packet(kPeer, 1, 11, milliseconds(20), 2);
  EXPECT_EQ(other_path.verdict, Verdict::Accepted);
  EXPECT_FALSE(other_path.moved);
}

TEST_F(SourceGateTest, ThreeContiguousPacketsOpenAndNoneIsLost) {
  EXPECT_EQ(verdict(kMoved, 1, 65534), Verdict::Held);
  const TimePoint first = now;
  EXPECT_EQ(verdict(kMoved, 1, 65535), Verdict::Held);
  const auto third = packet(kMoved, 1, 0);
  EXPECT_EQ(third.verdict, Verdict::Accepted);
  EXPECT_TRUE(third.moved);
  ASSERT_EQ(third.released.size(), 2U);
  EXPECT_EQ(third.released[0].sequence, 65534);
  EXPECT_EQ(third.released[0].at, first);
  EXPECT_EQ(third.released[1].bytes, Buffer{255});
  EXPECT_EQ(gate.source(), kMoved);
}

TEST_F(SourceGateTest, AGapAPauseOrAnotherSsrcBeginsAgain) {
  const struct {
    std::uint32_t ssrc;
    int sequence;
    Duration later;
  } breaks[] = {{1, 13, milliseconds(20)}, {1, 12, milliseconds(1001)}, {2, 12, milliseconds(20)}};
  for (const auto& b : breaks) {
    gate = SourceGate(seconds(2));
    verdict(kMoved, 1, 10);
    verdict(kMoved, 1, 11);
    EXPECT_EQ(verdict(kMoved, b.ssrc, b.sequence, b.later), Verdict::Held);
    EXPECT_EQ(verdict(kMoved, b.ssrc, b.sequence + 1), Verdict::Held);
    const auto opened = packet(kMoved, b.ssrc, b.sequence + 2);
    EXPECT_EQ(opened.verdict, Verdict::Accepted);
    EXPECT_EQ(opened.released.size(), 2U);
  }
  // A copy of the last packet is no break.
  gate = SourceGate(seconds(2));
  verdict(kMoved, 1, 10);
  verdict(kMoved, 1, 11);
  EXPECT_EQ(verdict(kMoved, 1, 11), Verdict::Held);
  EXPECT_EQ(verdict(kMoved, 1, 12), Verdict::Accepted);
}

TEST_F(SourceGateTest, StrangersAreIgnoredWhileTheStreamLives) {
  verdict(kPeer, 1, 10);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(verdict(kMoved, 2, 100 + i), Verdict::Ignored);
    EXPECT_EQ(verdict(kMoved, 1, 5000 + i), Verdict::Ignored) << "far from the stream's sequence";
    EXPECT_EQ(verdict(kPeer, 1, 11 + i), Verdict::Accepted);
  }
  EXPECT_EQ(gate.source(), kPeer);
}

TEST_F(SourceGateTest, AForgedSsrcFromThePeersAddressNeverOpensWhileThePeerIsHeard) {
  verdict(kPeer, 1, 10);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(verdict(kPeer, 2, 100 + 2 * i), Verdict::Held);
    EXPECT_EQ(verdict(kPeer, 2, 101 + 2 * i), Verdict::Held);
    EXPECT_EQ(verdict(kPeer, 1, 11 + i), Verdict::Accepted);
  }
}

TEST_F(SourceGateTest, ThePeersNewSsrcOpensWithItsThirdPacket) {
  verdict(kPeer, 1, 10);
  verdict(kPeer, 2, 500);
  verdict(kPeer, 2, 501);
  const auto third = packet(kPeer, 2, 502);
  EXPECT_EQ(third.verdict, Verdict::Accepted);
  EXPECT_EQ(third.released.size(), 2U);
  EXPECT_FALSE(third.moved);
  EXPECT_EQ(verdict(kPeer, 1, 11), Verdict::Held) << "the old one is the stranger now";
}

TEST_F(SourceGateTest, AfterSilenceAnybodyMayBegin) {
  verdict(kPeer, 1, 10);
  EXPECT_EQ(verdict(kMoved, 2, 50, milliseconds(1999)), Verdict::Ignored);
  EXPECT_EQ(verdict(kMoved, 2, 51, milliseconds(1)), Verdict::Held);
  EXPECT_EQ(verdict(kMoved, 2, 52), Verdict::Held);
  const auto third = packet(kMoved, 2, 53);
  EXPECT_EQ(third.verdict, Verdict::Accepted);
  EXPECT_TRUE(third.moved);
}

TEST_F(SourceGateTest, ANewlySignalledPeerTakesOverWhileTheOldSourceLives) {
  verdict(kPeer, 1, 10);
  gate.set_signalled(kMoved);
  int old_sequence = 11;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(verdict(kMoved, 2, 70 + i), Verdict::Held);
    EXPECT_EQ(verdict(kPeer, 1, old_sequence++), Verdict::Accepted);
  }
  EXPECT_TRUE(packet(kMoved, 2, 72).moved);
  EXPECT_EQ(verdict(kPeer, 1, old_sequence), Verdict::Ignored);
}

TEST_F(SourceGateTest, APeerOnTwoNetworksAtOnceDoesNotMakeTheSourceFlap) {
  for (int i = 0; i < 10; ++i) verdict(kPeer, 1, i);
  int moves = 0;
  for (int i = 10; i < 200; ++i) {  // copies; now this network is quicker, now that
    const bool second_first = i % 3 == 0;
    moves += packet(second_first ? kMoved : kPeer, 1, i, milliseconds(15)).moved;
    moves += packet(second_first ? kPeer : kMoved, 1, i, milliseconds(5)).moved;
  }
  EXPECT_EQ(moves, 0);
  for (int i = 200; i < 203; ++i) moves += packet(kMoved, 1, i).moved;  // one falls away
  EXPECT_EQ(moves, 1);
  EXPECT_EQ(gate.source(), kMoved);
}

TEST_F(SourceGateTest, BackAndForthIsFollowedEachTime) {
  int sequence = 0;
  for (int round = 0; round < 3; ++round) {
    for (const Endpoint& from : {kPeer, kMoved, kThird}) {
      int heard = 0;
      for (int i = 0; i < 10; ++i) {
        const auto outcome = packet(from, 1, sequence++);
        heard += outcome.verdict == Verdict::Accepted
                     ? 1 + static_cast<int>(outcome.released.size())
                     : 0;
      }
      EXPECT_EQ(heard, 10) << "none is lost";
      EXPECT_EQ(gate.source(), from);
    }
  }
}

TEST_F(SourceGateTest, AFloodOfStrangersDoesNotKeepThePeerOut) {
  verdict(kPeer, 1, 10);
  now += seconds(3);  // silent: anybody may try
  int sequence = 11;
  for (int i = 0; i < 3; ++i) {
    for (std::uint16_t s = 0; s < 500; ++s) {
      const Endpoint stranger{IpAddress::v4(203, 0, 113, 1), s};
      EXPECT_NE(verdict(stranger, 1000U + s, i, Duration(1)), Verdict::Accepted);
    }
    const auto v = verdict(kMoved, 1, sequence++);  // the stream's own SSRC from a new place
    EXPECT_EQ(v, i < 2 ? Verdict::Held : Verdict::Accepted);
  }
  EXPECT_EQ(gate.source(), kMoved);
}

}  // namespace
}  // namespace godwit::media
