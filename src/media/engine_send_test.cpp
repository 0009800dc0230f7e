// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/engine_harness.hpp"
#include "media/g711.hpp"
#include "wire/rtp/rtcp.hpp"

namespace godwit::media {
namespace {

using testing::Each;
using testing::ElementsAre;

const Endpoint kPeer = *Endpoint::parse("192.0.2.9:4000");
const Endpoint kPeerMoved = *Endpoint::parse("198.51.100.9:5000");

SetParameters parameters(MediaDirection direction = MediaDirection::SendRecv) {
  SetParameters p;
  p.receive = {{0, Codec::Pcmu}, {8, Codec::Pcma}};
  p.direction = direction;
  return p;
}

class EngineSend : public testing::Test {
 protected:
  void start() {
    h.open(1);
    h.command(parameters());
    h.remote(1, kPeer);
  }
  /// Sequence and timestamp go up by one packet each from `first` on, under one SSRC.
  static void expect_continuous(const std::vector<EngineHarness::Sent>& packets) {
    for (std::size_t i = 1; i < packets.size(); ++i) {
      const auto before = packets[i - 1].rtp();
      const auto packet = packets[i].rtp();
      EXPECT_EQ(packet.ssrc, before.ssrc);
      EXPECT_EQ(packet.sequence, static_cast<std::uint16_t>(before.sequence + 1)) << i;
      EXPECT_EQ(packet.timestamp, before.timestamp + 160) << i;
    }
  }
  EngineHarness h;
};

TEST_F(EngineSend, KeepsAnExactCadence) {
  start();
  h.run_for(seconds(10));
  const auto packets = h.sent_rtp();
  ASSERT_EQ(packets.size(), 501U);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    ASSERT_EQ(packets[i].at, EngineHarness::kStart + milliseconds(20) * i);
    ASSERT_EQ(packets[i].remote, kPeer);
    ASSERT_EQ(packets[i].rtp().marker, i == 0);
  }
  expect_continuous(packets);
}

TEST_F(EngineSend, LateTimeoutsDoNotMoveTheLattice) {
  start();
  for (int i = 0; i < 100; ++i) {
    const auto next = h.engine.next_timeout();
    ASSERT_TRUE(next);
    h.stall_for(*next + milliseconds(i % 7) - h.now);  // up to 6 ms late, each time
  }
  const auto packets = h.sent_rtp();
  expect_continuous(packets);
  const Duration spent = h.now - EngineHarness::kStart;
  EXPECT_EQ(packets.size(), static_cast<std::size_t>(spent / milliseconds(20)) + 1);
}

TEST_F(EngineSend, CatchesUpWithAFewPacketsOnly) {
  start();
  h.run_for(milliseconds(100));
  h.forget();
  h.stall_for(milliseconds(70));
  EXPECT_EQ(h.sent_rtp().size(), 3U);  // due 20, 40 and 60 ms on
  expect_continuous(h.sent_rtp());
  const auto last = h.sent_rtp().back().rtp();

  h.forget();
  h.stall_for(seconds(3));
  h.run_for(milliseconds(40));
  const auto packets = h.sent_rtp();
  ASSERT_EQ(packets.size(), 3U);  // at once, then on the old lattice
  EXPECT_TRUE(packets[0].rtp().marker);
  EXPECT_EQ(packets[0].rtp().sequence, static_cast<std::uint16_t>(last.sequence + 1));
  EXPECT_EQ(packets[0].rtp().timestamp, last.timestamp + 160 * 150);  // 160 to 3 160 ms
  EXPECT_EQ((packets[1].at - EngineHarness::kStart) % milliseconds(20), Duration::zero());
}

TEST_F(EngineSend, TheFirstPacketIsReportedOnceForEachPathAndGeneration) {
  start();
  h.run_for(milliseconds(50));
  auto first = h.reported<FirstSent>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].path, PathId(1));
  EXPECT_EQ(first[0].at, EngineHarness::kStart);
  EXPECT_FALSE(first[0].pause_before);

  h.forget();
  h.remote(1, kPeerMoved);  // same path and generation: nothing to report
  h.run_for(milliseconds(50));
  EXPECT_THAT(h.reported<FirstSent>(), testing::IsEmpty());
  h.remote(1, kPeerMoved, 7);
  h.run_for(milliseconds(50));
  first = h.reported<FirstSent>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].generation, Generation(7));
  EXPECT_EQ(first[0].pause_before, Duration(milliseconds(20)));
}

TEST_F(EngineSend, ASwitchFromALivePathLosesAndRepeatsNothing) {
  start();
  h.run_for(milliseconds(105));
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  h.run_for(milliseconds(100));
  const auto packets = h.sent_rtp();
  expect_continuous(packets);
  ASSERT_EQ(packets.size(), 11U);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    EXPECT_EQ(packets[i].path, PathId(i < 6 ? 1 : 2));
    EXPECT_EQ(packets[i].at, EngineHarness::kStart + milliseconds(20) * i);
  }
  EXPECT_EQ(h.reported<FirstSent>().back().pause_before, Duration(milliseconds(20)));
}

TEST_F(EngineSend, ASwitchFromADeadPathRepeatsAtOnceWhatWasLost) {
  start();
  h.run_for(milliseconds(250));
  const auto before = h.sent_rtp();  // the last one at 240 ms
  h.forget();
  // The path died at 225 ms: the packet of 240 ms went nowhere, that of 220 ms perhaps.
  h.open(2, 1);
  h.remote(2, kPeer, 1, EngineHarness::kStart + milliseconds(225));
  const auto repeated = h.sent_rtp();
  ASSERT_EQ(repeated.size(), 2U);
  EXPECT_EQ(repeated[0].bytes, before[before.size() - 2].bytes);
  EXPECT_EQ(repeated[1].bytes, before[before.size() - 1].bytes);
  EXPECT_THAT(repeated, Each(testing::Field(&EngineHarness::Sent::path, PathId(2))));
  // The pause is counted from the last packet that could arrive.
  const auto first = h.reported<FirstSent>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].at, EngineHarness::kStart + milliseconds(250));
  EXPECT_EQ(first[0].pause_before, Duration(milliseconds(30)));

  h.run_for(milliseconds(60));  // and the cadence goes on
  const auto all = h.sent_rtp();
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[2].at, EngineHarness::kStart + milliseconds(260));
  expect_continuous({all.begin() + 1, all.end()});
  EXPECT_EQ(h.engine.next_timeout(), EngineHarness::kStart + milliseconds(320));
}

TEST_F(EngineSend, WhatTheSystemRefusedHadNoChance) {
  start();
  h.run_for(milliseconds(240));
  // The address goes just before the packet of 240 ms, and the kernel's word of it comes later.
  h.engine.on_error(PathId(1), Error{ErrorCode::Network, "address gone"}, h.now);
  h.run_for(milliseconds(5));
  h.forget();
  h.open(2, 1);
  h.remote(2, kPeer, 1, h.now);
  EXPECT_EQ(h.reported<FirstSent>().at(0).pause_before, Duration(milliseconds(25)));
  EXPECT_EQ(h.sent_rtp().size(), 2U);
}

TEST_F(EngineSend, ARefusalLongAgoIsForgotten) {
  start();
  h.run_for(milliseconds(100));
  h.engine.on_error(PathId(1), Error{ErrorCode::Network, "network unreachable"}, h.now);
  h.run_for(milliseconds(145));  // The system has taken packets again.
  h.forget();
  h.open(2, 1);
  h.remote(2, kPeer, 1, h.now);
  EXPECT_EQ(h.reported<FirstSent>().at(0).pause_before, Duration(milliseconds(5)));
}

TEST_F(EngineSend, OldAudioIsNotRepeated) {
  start();
  h.run_for(seconds(4));
  h.forget();
  h.open(2, 1);
  h.remote(2, kPeer, 1, EngineHarness::kStart + milliseconds(1010));  // dead for three seconds
  EXPECT_EQ(h.sent_rtp().size(), 4U);  // 60 ms back, and the packet of this very moment
  EXPECT_EQ(h.reported<FirstSent>().at(0).pause_before, Duration(milliseconds(3000)));
}

TEST_F(EngineSend, APeerThatIsElsewhereNowGetsTheNewestPacketAtOnce) {
  start();
  h.run_for(milliseconds(250));
  const auto before = h.sent_rtp();  // the last one at 240 ms
  h.forget();
  const Endpoint elsewhere{IpAddress::v4(10, 77, 0, 7), 4000};
  h.remote(1, elsewhere, 1);
  const auto repeated = h.sent_rtp();
  ASSERT_EQ(repeated.size(), 1U);
  EXPECT_EQ(repeated[0].bytes, before.back().bytes);
  EXPECT_EQ(repeated[0].remote, elsewhere);
  h.remote(1, elsewhere, 2);  // The same place again: nothing is missing there.
  EXPECT_EQ(h.sent_rtp().size(), 1U);
  h.run_for(milliseconds(20));  // and the cadence goes on
  EXPECT_EQ(h.sent_rtp().at(1).at, EngineHarness::kStart + milliseconds(260));
  expect_continuous(h.sent_rtp());
}

TEST_F(EngineSend, AMoveWaitsForItsPathAndTheOldOneGoesOn) {
  start();
  h.run_for(milliseconds(50));
  h.answer_sockets = false;
  h.open(2, 1);
  h.remote(2, kPeerMoved, 1);
  h.forget();
  h.run_for(milliseconds(40));
  EXPECT_THAT(h.sent_rtp(), Each(testing::Field(&EngineHarness::Sent::path, PathId(1))));
  EXPECT_THAT(h.sent_rtp(), Each(testing::Field(&EngineHarness::Sent::remote, kPeer)));
  h.engine.on_sockets(PathId(2), EngineHarness::local_of(PathId(2)), h.now);
  h.forget();
  h.run_for(milliseconds(40));
  EXPECT_EQ(h.sent_rtp().size(), 2U);
  EXPECT_THAT(h.sent_rtp(), Each(testing::Field(&EngineHarness::Sent::path, PathId(2))));
  EXPECT_THAT(h.sent_rtp(), Each(testing::Field(&EngineHarness::Sent::remote, kPeerMoved)));
}

TEST_F(EngineSend, AFailedPathIsReportedAndTheOldOneGoesOn) {
  start();
  h.answer_sockets = false;
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  h.engine.on_sockets(PathId(2), fail(ErrorCode::Network, "address in use"), h.now);
  h.run_for(milliseconds(40));
  EXPECT_EQ(h.sent_rtp().size(), 3U);
  const auto failed = h.reported<PathFailed>();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].generation, Generation(1));
  EXPECT_EQ(failed[0].error.detail, "address in use");
  h.command(ClosePath{PathId(2), {}});  // gone already: nothing to close
  EXPECT_TRUE(h.closed.empty());
}

TEST_F(EngineSend, AClosedPathSendsNothingButReceivesForAWhile) {
  start();
  PeerStream peer;
  h.run_for(milliseconds(100));
  h.command(ClosePath{PathId(1), seconds(2)});
  h.forget();
  h.run_for(milliseconds(1990));
  EXPECT_TRUE(h.sent_rtp().empty());
  h.packet(1, kPeer, peer.next());
  EXPECT_EQ(h.reported<FirstReceived>().size(), 1U);
  h.run_for(milliseconds(20));
  EXPECT_THAT(h.closed, ElementsAre(PathId(1)));
  h.forget();
  h.packet(1, kPeer, peer.next());
  h.run_for(seconds(1));
  EXPECT_TRUE(h.reported<FirstReceived>().empty());
}

TEST_F(EngineSend, AReturnToAPathThatIsClosingKeepsItOpen) {
  start();
  h.run_for(milliseconds(100));
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  h.command(ClosePath{PathId(1), seconds(2)});
  h.run_for(seconds(1));
  h.remote(1, kPeer, 2);  // the first network is back
  h.run_for(seconds(3));
  EXPECT_TRUE(h.closed.empty());
  EXPECT_EQ(h.sent_rtp().back().path, PathId(1));
  EXPECT_EQ(h.reported<FirstSent>().back().generation, Generation(2));
  expect_continuous(h.sent_rtp());
}

TEST_F(EngineSend, WithoutAPathTimeGoesOnAndSequenceDoesNot) {
  start();
  h.run_for(milliseconds(100));
  const auto last = h.sent_rtp().back().rtp();
  h.command(ClosePath{PathId(1), {}});
  h.run_for(seconds(5));
  h.forget();
  h.open(2, 1);
  h.remote(2, kPeer, 1);
  h.run_for(milliseconds(40));
  const auto packets = h.sent_rtp();
  ASSERT_GE(packets.size(), 2U);
  EXPECT_TRUE(packets[0].rtp().marker);
  EXPECT_EQ(packets[0].rtp().sequence, static_cast<std::uint16_t>(last.sequence + 1));
  EXPECT_EQ(packets[0].rtp().timestamp, last.timestamp + 160 * 250);
  EXPECT_EQ(h.reported<FirstSent>().at(0).pause_before, Duration(seconds(5)));
}

TEST_F(EngineSend, DirectionAndAddressesOfHoldAreRespected) {
  start();
  h.run_for(milliseconds(100));
  const auto last = h.sent_rtp().back().rtp();
  for (const MediaDirection direction : {MediaDirection::RecvOnly, MediaDirection::Inactive}) {
    h.command(parameters(direction));
    h.forget();
    h.run_for(milliseconds(500));
    EXPECT_TRUE(h.sent_rtp().empty());
  }
  h.command(parameters(MediaDirection::SendOnly));
  h.run_for(milliseconds(20));
  ASSERT_EQ(h.sent_rtp().size(), 1U);
  EXPECT_TRUE(h.sent_rtp()[0].rtp().marker);
  EXPECT_EQ(h.sent_rtp()[0].rtp().sequence, static_cast<std::uint16_t>(last.sequence + 1));
  EXPECT_EQ(h.sent_rtp()[0].rtp().timestamp, last.timestamp + 160 * 51);
  for (const char* hold : {"0.0.0.0:4000", "192.0.2.9:0"}) {
    h.forget();
    h.remote(1, *Endpoint::parse(hold));
    h.run_for(milliseconds(100));
    EXPECT_TRUE(h.sent.empty()) << hold;
  }
}

TEST_F(EngineSend, MutedSendsSilenceInTheNegotiatedLaw) {
  start();
  godwit::AudioSource tone;
  tone.kind = godwit::AudioSource::Kind::Tone;
  h.command(SetSource{tone});
  h.run_for(milliseconds(40));
  const auto is_silence = [&](std::uint8_t code) {
    const Buffer bytes = h.sent_rtp().back().bytes;
    return std::all_of(bytes.begin() + 12, bytes.end(), [&](std::uint8_t b) { return b == code; });
  };
  EXPECT_FALSE(is_silence(0xff));
  h.command(SetMuted{true});
  h.run_for(milliseconds(40));
  EXPECT_TRUE(is_silence(0xff));
  SetParameters alaw = parameters();
  alaw.codec = Codec::Pcma;
  alaw.payload_type = 8;
  h.command(alaw);
  h.run_for(milliseconds(20));
  EXPECT_TRUE(is_silence(0xd5));
  EXPECT_EQ(h.sent_rtp().back().rtp().payload_type, 8);
  h.command(SetMuted{false});
  h.run_for(milliseconds(40));
  EXPECT_FALSE(is_silence(0xd5));
}

TEST_F(EngineSend, PacketTimeIsWhatWasAgreed) {
  start();
  SetParameters slow = parameters();
  slow.packet_time = milliseconds(30);
  h.command(slow);
  h.run_for(milliseconds(100));
  h.forget();
  h.run_for(milliseconds(300));
  const auto packets = h.sent_rtp();
  ASSERT_EQ(packets.size(), 10U);
  EXPECT_EQ(packets[1].at - packets[0].at, milliseconds(30));
  EXPECT_EQ(packets[1].rtp().payload.size(), 240U);
  EXPECT_EQ(packets[1].rtp().timestamp, packets[0].rtp().timestamp + 240);
}

TEST_F(EngineSend, ReportsGoOutAboutEveryFiveSecondsToTheRtcpAddress) {
  start();
  h.run_for(seconds(100));
  std::vector<EngineHarness::Sent> reports;
  for (const auto& s : h.sent) {
    if (s.channel == Channel::Rtcp) reports.push_back(s);
  }
  EXPECT_GE(reports.size(), 15U);
  EXPECT_LE(reports.size(), 30U);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    EXPECT_EQ(reports[i].remote.port, kPeer.port + 1);
    const auto packets = wire::parse_rtcp(reports[i].bytes);
    ASSERT_TRUE(packets);
    const auto& sr = std::get<wire::RtcpSenderReport>((*packets)[0]);
    EXPECT_EQ(sr.ssrc, h.sent_rtp()[0].rtp().ssrc);
    EXPECT_EQ(sr.octet_count, sr.packet_count * 160);
    // RFC 3550 §6.4.1: the RTP timestamp is of the report's own instant.
    const auto first = h.sent_rtp()[0];
    const auto since =
        std::chrono::duration_cast<std::chrono::microseconds>(reports[i].at - first.at);
    EXPECT_NEAR(sr.rtp_timestamp - first.rtp().timestamp, static_cast<double>(since.count()) / 125,
                1);
    if (i > 0) {
      EXPECT_GE(reports[i].at - reports[i - 1].at, milliseconds(2500));
      EXPECT_LE(reports[i].at - reports[i - 1].at, milliseconds(7500));
    }
  }
}

TEST_F(EngineSend, MultiplexedRtcpUsesTheRtpSocket) {
  h.open(1);
  h.command(parameters());
  h.command(SetRemote{PathId(1), kPeer, kPeer, {}, {}});
  h.run_for(seconds(8));
  const auto reports = std::count_if(h.sent.begin(), h.sent.end(), [](const auto& s) {
    return s.channel == Channel::Rtp && s.remote == kPeer && wire::looks_like_rtcp(s.bytes);
  });
  EXPECT_GE(reports, 1);
  EXPECT_THAT(h.sent, Each(testing::Field(&EngineHarness::Sent::channel, Channel::Rtp)));
}

TEST_F(EngineSend, StopSaysByeClosesEverythingAndIsFinal) {
  start();
  h.open(2);
  h.run_for(milliseconds(100));
  h.forget();
  h.command(StopMedia{});
  ASSERT_EQ(h.sent.size(), 1U);
  const auto packets = wire::parse_rtcp(h.sent[0].bytes);
  ASSERT_TRUE(packets);
  EXPECT_TRUE(std::holds_alternative<wire::RtcpBye>(packets->back()));
  EXPECT_THAT(h.closed, ElementsAre(PathId(1), PathId(2)));
  EXPECT_EQ(h.reported<MediaStatistics>().at(0).packets_sent, 6U);
  h.forget();
  start();
  h.run_for(seconds(10));
  EXPECT_TRUE(h.sent.empty());
  EXPECT_FALSE(h.engine.next_timeout());
}

TEST_F(EngineSend, SocketsAreAskedForAsConfigured) {
  MediaConfig config;
  config.rtp_port_min = 30000;
  config.rtp_port_max = 30100;
  EngineHarness configured(1, config);
  configured.open(3, 5);
  ASSERT_EQ(configured.opened.size(), 1U);
  const OpenSockets& wanted = configured.opened[0];
  EXPECT_EQ(wanted.interface_index, 3U);
  EXPECT_EQ(wanted.interface_name, "if3");
  EXPECT_EQ(wanted.local, EngineHarness::local_of(PathId(3)).address);
  EXPECT_EQ(wanted.port_min, 30000);
  EXPECT_EQ(wanted.port_max, 30100);
  const auto opened = configured.reported<PathOpened>();
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].rtcp.port, opened[0].rtp.port + 1);
  EXPECT_EQ(opened[0].generation, Generation(5));
}

TEST_F(EngineSend, PathsAreLimitedAndNumbersUsedOnce) {
  for (unsigned i = 1; i <= kMaxPaths; ++i) h.open(i);
  EXPECT_EQ(h.reported<PathOpened>().size(), kMaxPaths);
  h.open(99);
  EXPECT_EQ(h.reported<PathFailed>().back().error.code, ErrorCode::Busy);
  h.open(1);
  EXPECT_EQ(h.reported<PathFailed>().back().error.code, ErrorCode::InvalidArgument);
  h.remote(77, kPeer, 3);
  EXPECT_EQ(h.reported<PathFailed>().back().error.code, ErrorCode::NotFound);
}

TEST_F(EngineSend, TroubleIsToldOnceASecond) {
  start();
  for (int i = 0; i < 100; ++i) {
    h.engine.on_error(PathId(1), Error{ErrorCode::Network, "unreachable"}, h.now);
    h.run_for(milliseconds(25));
  }
  EXPECT_EQ(h.reported<PathTrouble>().size(), 3U);
}

TEST_F(EngineSend, ASoundFileThatFailsLeavesSilence) {
  start();
  godwit::AudioSource file;
  file.kind = godwit::AudioSource::Kind::File;
  file.file = "missing.wav";
  h.command(SetSource{file});
  h.command(SetRecording{"/forbidden.wav"});
  EXPECT_EQ(h.reported<AudioFailed>().size(), 2U);
  h.run_for(milliseconds(100));
  EXPECT_EQ(h.sent_rtp().back().bytes.back(), 0xff);
}

}  // namespace
}  // namespace godwit::media
