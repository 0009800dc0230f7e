// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "media/engine_harness.hpp"
#include "media/g711.hpp"
#include "wire/rtp/rtcp.hpp"

namespace godwit::media {
namespace {

using testing::IsEmpty;

const Endpoint kPeer = *Endpoint::parse("192.0.2.9:4000");
const Endpoint kElsewhere = *Endpoint::parse("198.51.100.9:5000");
const Endpoint kStranger = *Endpoint::parse("203.0.113.66:6666");

SetParameters parameters(MediaDirection direction = MediaDirection::SendRecv, bool latch = true) {
  SetParameters p;
  p.receive = {{0, Codec::Pcmu}, {8, Codec::Pcma}};
  p.telephone_event = 101;
  p.receive_event = 101;
  p.direction = direction;
  p.latch = latch;
  return p;
}

/// µ-law of a loud level that says which packet it was; each differs by far from its neighbours.
std::uint8_t code_of(int number) { return static_cast<std::uint8_t>(0x80 + number % 60); }

class EngineReceive : public testing::Test {
 protected:
  void start(bool latch = true) {
    h.open(1);
    h.command(parameters(MediaDirection::SendRecv, latch));
    h.command(SetRecording{"rec"});
    h.remote(1, kPeer);
  }
  /// `n` packets, each 20 ms after the one before, numbered on.
  void stream(int n, unsigned path = 1, const Endpoint& from = kPeer) {
    for (int i = 0; i < n; ++i) {
      h.packet(path, from, peer.next(code_of(number++)));
      h.run_for(milliseconds(20));
    }
  }
  /// The numbers of all packets heard in the recording, in order, fades and silence left out.
  std::vector<int> heard() {
    std::vector<int> numbers;
    int run = 0;
    const auto& samples = h.files.recordings["rec"];
    for (std::size_t i = 1; i < samples.size(); ++i) {
      run = samples[i] == samples[i - 1] ? run + 1 : 0;
      if (run != 80 || samples[i] == 0) continue;
      numbers.push_back(encode_ulaw(samples[i]) - 0x80);
    }
    return numbers;
  }
  static std::vector<int> numbers(int first, int last) {
    std::vector<int> all;
    for (int i = first; i <= last; ++i) all.push_back(i % 60);
    return all;
  }
  MediaStatistics statistics() {
    h.run_for(seconds(1));
    return h.reported<MediaStatistics>().back();
  }
  Endpoint sending_to() {
    h.run_for(milliseconds(20));
    return h.sent_rtp().back().remote;
  }

  EngineHarness h;
  PeerStream peer;
  int number = 1;
};

TEST_F(EngineReceive, WhatIsSentIsHeardWholeAndInOrder) {
  start();
  stream(50);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 50));
  const auto first = h.reported<FirstReceived>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].at, EngineHarness::kStart);
  EXPECT_EQ(first[0].from, kPeer);
  EXPECT_FALSE(first[0].pause_before);
  EXPECT_THAT(h.reported<RemoteMoved>(), IsEmpty());
}

TEST_F(EngineReceive, DuplicatesAreHeardOnceAndCounted) {
  start();
  for (int i = 1; i <= 50; ++i) {
    const Buffer bytes = peer.next(code_of(i));
    h.packet(1, kPeer, bytes);
    h.packet(1, kPeer, bytes);
    h.run_for(milliseconds(20));
  }
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 50));
  const auto s = statistics();
  EXPECT_EQ(s.packets_received, 50U);
  EXPECT_EQ(s.packets_duplicate, 50U);
  EXPECT_EQ(s.packets_lost, 0U);
}

TEST_F(EngineReceive, OurNewPathIsHeardAtOnceAndTheMoveIsMeasured) {
  start();
  stream(50);
  h.open(2, 3);
  h.remote(2, kPeer, 3, h.now);
  peer.skip(4);  // went to the address that is gone
  number += 4;
  h.run_for(milliseconds(100));
  stream(50, 2);
  h.run_for(milliseconds(100));
  auto expected = numbers(1, 50);
  const auto after = numbers(55, 104);
  expected.insert(expected.end(), after.begin(), after.end());
  EXPECT_EQ(heard(), expected);
  const auto first = h.reported<FirstReceived>();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[1].path, PathId(2));
  EXPECT_EQ(first[1].generation, Generation(3));
  EXPECT_EQ(first[1].pause_before, Duration(milliseconds(120)));
  EXPECT_EQ(first[1].lost, 4U);
  EXPECT_EQ(statistics().packets_lost, 4U);
  EXPECT_THAT(h.reported<RemoteMoved>(), IsEmpty());
}

TEST_F(EngineReceive, ACopyOnTheNewPathProvesItToo) {
  start();
  stream(10);
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  const Buffer bytes = peer.next();
  h.packet(1, kPeer, bytes);
  h.run_for(milliseconds(1));
  h.packet(2, kPeer, bytes);
  const auto first = h.reported<FirstReceived>();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first.back().path, PathId(2));
  EXPECT_EQ(first.back().lost, 0U);
}

TEST_F(EngineReceive, APeerThatMovedIsHeardWithoutALostPacketAndFollowed) {
  start();
  stream(50);
  stream(50, 1, kElsewhere);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 100));
  const auto moved = h.reported<RemoteMoved>();
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].from, kElsewhere);
  EXPECT_TRUE(moved[0].redirected);
  EXPECT_EQ(moved[0].at, EngineHarness::kStart + seconds(1));  // the first packet's arrival
  EXPECT_EQ(moved[0].pause_before, Duration(milliseconds(20)));
  EXPECT_EQ(moved[0].lost, 0U);
  EXPECT_EQ(sending_to(), kElsewhere);
  // The move took three packets.
  const auto sent = h.sent_rtp();
  const auto turned =
      std::find_if(sent.begin(), sent.end(), [](const auto& s) { return s.remote == kElsewhere; });
  EXPECT_LE(turned->at, EngineHarness::kStart + seconds(1) + milliseconds(60));
}

TEST_F(EngineReceive, WithoutLatchingAMovedPeerIsHeardButNotFollowed) {
  start(false);
  stream(50);
  stream(50, 1, kElsewhere);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 100));
  ASSERT_EQ(h.reported<RemoteMoved>().size(), 1U);
  EXPECT_FALSE(h.reported<RemoteMoved>()[0].redirected);
  EXPECT_EQ(sending_to(), kPeer);
}

TEST_F(EngineReceive, ApeerThatMovedAfterASilenceIsMeasured) {
  start();
  stream(50);
  peer.skip(100);
  number += 100;
  h.run_for(seconds(2));
  stream(20, 1, kElsewhere);
  const auto moved = h.reported<RemoteMoved>();
  ASSERT_EQ(moved.size(), 1U);
  EXPECT_EQ(moved[0].pause_before, Duration(milliseconds(2020)));
  EXPECT_EQ(moved[0].lost, 100U);
}

TEST_F(EngineReceive, APeerBehindNatIsLatchedFromTheStart) {
  start();
  stream(10, 1, kElsewhere);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 10));
  EXPECT_EQ(sending_to(), kElsewhere);
  // A refresh with the same SDP does not undo it; another address does, until it is heard from.
  h.remote(1, kPeer, 1);
  EXPECT_EQ(sending_to(), kElsewhere);
  const Endpoint signalled = *Endpoint::parse("10.9.9.9:7000");
  h.remote(1, signalled, 2);
  stream(20, 1, kElsewhere);  // 400 ms: may have been in flight
  EXPECT_EQ(sending_to(), signalled);
  stream(20, 1, kElsewhere);
  EXPECT_EQ(sending_to(), kElsewhere);
}

TEST_F(EngineReceive, EarlyMediaBeforeTheAnswerIsHeardAndItsSourceLatched) {
  h.open(1);
  h.command(parameters());
  h.command(SetRecording{"rec"});
  stream(20, 1, kElsewhere);
  EXPECT_TRUE(h.sent_rtp().empty());
  EXPECT_THAT(h.reported<MediaSilent>(), IsEmpty());
  h.remote(1, kPeer);
  stream(20, 1, kElsewhere);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 40));
  EXPECT_EQ(sending_to(), kElsewhere);
}

TEST_F(EngineReceive, StrangersCannotCutIn) {
  start();
  stream(50);
  PeerStream stranger(0x6666, 100);
  for (int i = 0; i < 100; ++i) {
    h.packet(1, kStranger, stranger.next(0x00));
    h.packet(1, kPeer, stranger.next(0x00));  // with the peer's address forged
    stream(1);
  }
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 150));
  EXPECT_EQ(sending_to(), kPeer);
  EXPECT_THAT(h.reported<RemoteMoved>(), IsEmpty());
  EXPECT_EQ(statistics().packets_ignored, 100U);  // the forged ones were held, and forgotten
}

TEST_F(EngineReceive, AfterSilenceAnotherStreamMayTakeOver) {
  start();
  stream(50);
  PeerStream other(0x7777, 9);
  h.run_for(milliseconds(1900));
  for (int i = 0; i < 3; ++i) {
    h.packet(1, kElsewhere, other.next(code_of(20)));
    h.run_for(milliseconds(20));
  }
  EXPECT_THAT(h.reported<RemoteMoved>(), IsEmpty());  // the stream was heard 2 s ago at most
  h.run_for(milliseconds(100));
  for (int i = 0; i < 10; ++i) {
    h.packet(1, kElsewhere, other.next(code_of(20)));
    h.run_for(milliseconds(20));
  }
  h.run_for(milliseconds(100));
  EXPECT_EQ(h.reported<RemoteMoved>().size(), 1U);
  EXPECT_EQ(sending_to(), kElsewhere);
  EXPECT_EQ(heard().size(), 51U);  // the ten are all alike: one run
}

TEST_F(EngineReceive, TheSamePeerMayChangeItsSsrcWithinThreePackets) {
  start();
  stream(50);
  peer = PeerStream(0x4444, 17);  // another source behind the same address, as on a transfer
  stream(50);
  h.run_for(milliseconds(100));
  const auto all = heard();
  ASSERT_GE(all.size(), 97U);
  EXPECT_EQ(std::vector<int>(all.end() - 47, all.end()), numbers(54, 100));
  EXPECT_EQ(statistics().packets_lost, 0U);
}

TEST_F(EngineReceive, SilenceIsToldOnceAndItsEndToo) {
  start();
  stream(50);
  const TimePoint last = h.now - milliseconds(20);
  h.run_for(seconds(5));
  const auto silent = h.reported<MediaSilent>();
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent[0].since, last);
  stream(3);
  const auto back = h.reported<MediaHeard>();
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0].pause, Duration(milliseconds(5020)));
  h.run_for(seconds(2));
  EXPECT_EQ(h.reported<MediaSilent>().size(), 2U) << "the next silence is told again";
}

TEST_F(EngineReceive, NobodyExpectsAudioOnHold) {
  start();
  stream(50);
  h.command(parameters(MediaDirection::SendOnly));
  h.run_for(seconds(10));
  EXPECT_THAT(h.reported<MediaSilent>(), IsEmpty());
  h.command(parameters());
  h.run_for(milliseconds(190));
  EXPECT_THAT(h.reported<MediaSilent>(), IsEmpty());
  h.run_for(milliseconds(20));
  EXPECT_EQ(h.reported<MediaSilent>().size(), 1U);
}

TEST_F(EngineReceive, WhatComesOnHoldIsNotPlayed) {
  start();
  h.command(parameters(MediaDirection::SendOnly));
  stream(20);
  h.command(parameters());
  stream(20);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(21, 40));
}

TEST_F(EngineReceive, UnknownAndBrokenPacketsAreCountedAndNothingElse) {
  start();
  h.packet(1, kPeer, peer.next(0x80, 18));  // not negotiated
  h.packet(1, kPeer, Buffer{0x80, 0});      // too short
  h.packet(1, kPeer, Buffer(3000, 0x80));   // too long
  h.packet(1, kPeer, Buffer(100, 1), Channel::Rtcp);
  h.packet(9, kPeer, peer.next());  // no such path
  EXPECT_THAT(h.reported<FirstReceived>(), IsEmpty());
  EXPECT_EQ(statistics().packets_ignored, 4U);
}

TEST_F(EngineReceive, TelephoneEventsAreReceivedButNotPlayed) {
  start();
  stream(10);
  for (int i = 0; i < 5; ++i) {
    h.packet(1, kPeer, peer.next(0x80, 101));
    h.run_for(milliseconds(20));
  }
  stream(10);
  h.run_for(milliseconds(100));
  EXPECT_EQ(heard(), numbers(1, 20));
  EXPECT_EQ(statistics().packets_lost, 0U);
}

TEST_F(EngineReceive, EchoReturnsTheCallersVoice) {
  start();
  godwit::AudioSource echo;
  echo.kind = godwit::AudioSource::Kind::Echo;
  h.command(SetSource{echo});
  stream(10);
  const auto sent = h.sent_rtp();
  const auto returned = std::count_if(sent.begin(), sent.end(), [](const auto& s) {
    return s.bytes.back() >= code_of(1) && s.bytes.back() <= code_of(10);
  });
  EXPECT_GE(returned, 8);
}

TEST_F(EngineReceive, PausesOfTheLastSecondAreInItsStatistics) {
  start();
  stream(40);
  h.run_for(milliseconds(180));
  stream(1);
  h.run_until(EngineHarness::kStart + milliseconds(1000));
  auto s = h.reported<MediaStatistics>().back();
  EXPECT_EQ(s.longest_receive_pause, Duration(milliseconds(200)));
  EXPECT_EQ(s.longest_send_pause, Duration(milliseconds(20)));
  h.run_for(seconds(2));
  EXPECT_GE(h.reported<MediaStatistics>().back().longest_receive_pause, Duration(seconds(2)));
}

TEST_F(EngineReceive, LossJitterAndRoundTripAreMeasured) {
  start();
  for (int i = 0; i < 250; ++i) {
    if (i % 10 == 9) {
      peer.skip();
    } else {
      h.packet(1, kPeer, peer.next());
    }
    h.run_for(milliseconds(i % 2 == 0 ? 10 : 30));  // 10 ms early and late, in turn
  }
  const auto sr = std::find_if(h.sent.begin(), h.sent.end(),
                               [](const auto& s) { return s.channel == Channel::Rtcp; });
  ASSERT_NE(sr, h.sent.end());
  const auto ours = wire::parse_rtcp(sr->bytes);
  const auto& report = std::get<wire::RtcpSenderReport>(ours->front());
  ASSERT_EQ(report.blocks.size(), 1U);
  EXPECT_EQ(report.blocks[0].ssrc, 0xabcdU);
  EXPECT_NEAR(report.blocks[0].fraction_lost, 256 / 10, 4);
  EXPECT_NEAR(report.blocks[0].jitter, 80, 25);

  // The peer got it 40 ms ago, waited 30 ms of them, and answers: 10 ms of round trip.
  wire::RtcpReportBlock block;
  block.ssrc = report.ssrc;
  block.last_sr = static_cast<std::uint32_t>(report.ntp_timestamp >> 16U);
  block.delay_since_last_sr =
      static_cast<std::uint32_t>((to_ms(h.now - sr->at) - 10) * 65536 / 1000);
  h.packet(1, kPeer, *wire::build_rtcp({wire::RtcpReceiverReport{0xabcd, {block}}}), Channel::Rtcp);
  const auto s = statistics();
  ASSERT_TRUE(s.round_trip);
  EXPECT_NEAR(to_ms(*s.round_trip), 10, 0.1);
  EXPECT_EQ(s.packets_lost, 24U);  // the last gap is not known yet
  EXPECT_NEAR(to_ms(s.jitter), 10, 3);
}

TEST_F(EngineReceive, RtcpOnASharedPortIsToldFromRtp) {
  start();
  stream(5);
  const auto report = wire::build_rtcp({wire::RtcpReceiverReport{0xabcd, {}}});
  h.packet(1, kPeer, *report, Channel::Rtp);
  EXPECT_EQ(statistics().packets_received, 5U);
}

// Two engines and a network between them: A's path dies under way. The peer follows A's RTP to its
// new path, and no audio is lost that was not in flight towards A.
TEST(EnginePair, AMoveCostsThePeerNothing) {
  EngineHarness a(1);
  EngineHarness b(2);
  const Endpoint at_b = EngineHarness::local_of(PathId(9));
  a.open(1);
  b.open(9);
  a.command(parameters());
  b.command(parameters());
  a.remote(1, at_b);
  b.remote(9, EngineHarness::local_of(PathId(1)));

  std::size_t from_a = 0;
  std::size_t from_b = 0;
  bool first_path_dead = false;
  std::vector<std::uint16_t> at_peer;
  const auto carry = [&] {
    for (; from_a < a.sent.size(); ++from_a) {
      const auto s = a.sent[from_a];
      if (s.path == PathId(1) && first_path_dead) continue;
      if (s.channel == Channel::Rtp) at_peer.push_back(s.rtp().sequence);
      b.packet(9, EngineHarness::local_of(s.path), s.bytes, s.channel);
    }
    for (; from_b < b.sent.size(); ++from_b) {
      const auto s = b.sent[from_b];
      for (unsigned path = first_path_dead ? 2 : 1; path <= 2; ++path) {
        if (s.channel == Channel::Rtp && s.remote == EngineHarness::local_of(PathId(path))) {
          a.packet(path, at_b, s.bytes);
        }
      }
    }
  };
  const auto run = [&](Duration d) {
    for (const TimePoint end = a.now + d; a.now < end;) {
      a.run_for(milliseconds(1));
      b.run_until(a.now);
      carry();
    }
  };
  run(milliseconds(1007));
  first_path_dead = true;
  const TimePoint death = a.now;
  run(milliseconds(25));  // until it is noticed; one packet at least goes nowhere
  a.open(2, 1);
  a.remote(2, at_b, 1, death);
  carry();
  run(seconds(1));

  // Every packet of A arrived, those sent into the dead path a little later.
  std::sort(at_peer.begin(), at_peer.end(), [](auto x, auto y) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(x - y)) < 0;
  });
  at_peer.erase(std::unique(at_peer.begin(), at_peer.end()), at_peer.end());
  EXPECT_EQ(at_peer.size(), static_cast<std::uint16_t>(at_peer.back() - at_peer.front()) + 1U);
  EXPECT_EQ(b.reported<MediaStatistics>().back().packets_lost, 0U);
  // B followed within three packets, and A knows what that cost.
  ASSERT_EQ(b.reported<RemoteMoved>().size(), 1U);
  const auto back = a.reported<FirstReceived>().back();
  EXPECT_EQ(back.path, PathId(2));
  EXPECT_LE(back.at - death, milliseconds(25 + 60));
  EXPECT_LE(back.lost, 4U);
  EXPECT_LE(a.reported<FirstSent>().back().pause_before, Duration(milliseconds(25 + 20)));
}

}  // namespace
}  // namespace godwit::media
