// SPDX-License-Identifier: Apache-2.0
#include "media/rtp_session.hpp"

#include <gtest/gtest.h>

namespace godwit::media {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kNow{seconds(100)};
const Buffer kPayload(160, 0xff);

wire::RtpPacket received(std::uint32_t ssrc, std::uint16_t sequence) {
  wire::RtpPacket packet;
  packet.ssrc = ssrc;
  packet.sequence = sequence;
  return packet;
}

TEST(RtpSession, ItsNumbersBeginAtRandomAndGoUp) {
  SeededRandom random(5);
  RtpSession one(random);
  RtpSession two(random);
  EXPECT_NE(one.ssrc(), two.ssrc());
  const Buffer first = one.make_packet(0, kPayload, kNow);
  one.advance(160);
  one.advance(160);  // nothing sent in this one
  one.mark();
  const Buffer second = one.make_packet(0, kPayload, kNow + milliseconds(40));
  const auto a = *wire::parse_rtp(first);
  const auto b = *wire::parse_rtp(second);
  EXPECT_EQ(b.sequence, static_cast<std::uint16_t>(a.sequence + 1));
  EXPECT_EQ(b.timestamp, a.timestamp + 320);
  EXPECT_TRUE(a.marker && b.marker);
}

TEST(RtpSession, KeepsTheLastPacketsForRepetition) {
  SeededRandom random(5);
  RtpSession session(random);
  std::vector<Buffer> made;
  for (int i = 0; i < 8; ++i) {
    made.push_back(session.make_packet(0, kPayload, kNow + milliseconds(20) * i));
    session.advance(160);
  }
  EXPECT_EQ(session.sent_since(kNow + milliseconds(120)),
            std::vector<Buffer>(made.begin() + 6, made.end()));
  EXPECT_EQ(session.sent_since(kNow).size(), RtpSession::kHistory);
  EXPECT_TRUE(session.sent_since(kNow + seconds(1)).empty());
}

TEST(RtpSession, ReportsAsReceiverUntilItSends) {
  SeededRandom random(5);
  RtpSession session(random);
  EXPECT_FALSE(session.next_report());
  session.start_reports(kNow);
  const auto parse = [](const Buffer& bytes) { return *wire::parse_rtcp(bytes); };
  auto packets = parse(session.make_report(kNow));
  EXPECT_TRUE(std::get<wire::RtcpReceiverReport>(packets[0]).blocks.empty());
  const auto cname = std::get<wire::RtcpSourceDescription>(packets[1]).chunks.at(0).cname;
  EXPECT_EQ(cname.size(), 20U);

  session.make_packet(0, kPayload, kNow);
  session.on_packet(received(7, 1), true, kNow);
  packets = parse(session.make_report(kNow + seconds(1)));
  EXPECT_EQ(std::get<wire::RtcpSenderReport>(packets[0]).blocks.at(0).ssrc, 7U);
  EXPECT_EQ(std::get<wire::RtcpSourceDescription>(packets[1]).chunks.at(0).cname, cname);
  // Nothing sent since: a receiver again (RFC 3550 §6.4).
  packets = parse(session.make_report(kNow + seconds(6)));
  EXPECT_TRUE(std::holds_alternative<wire::RtcpReceiverReport>(packets[0]));
}

TEST(RtpSession, CountsOverStreams) {
  SeededRandom random(5);
  RtpSession session(random);
  EXPECT_TRUE(session.on_packet(received(7, 1), true, kNow).new_stream);
  EXPECT_FALSE(session.on_packet(received(7, 4), true, kNow).new_stream);
  EXPECT_TRUE(session.on_packet(received(8, 900), true, kNow).new_stream);
  session.on_packet(received(8, 900), true, kNow);
  const auto totals = session.totals();
  EXPECT_EQ(totals.received, 3U);
  EXPECT_EQ(totals.lost, 2U);
  EXPECT_EQ(totals.duplicates, 1U);
}

TEST(RtpSession, RtcpOfOthersIsNotOurs) {
  SeededRandom random(5);
  RtpSession session(random);
  session.on_packet(received(7, 1), true, kNow);
  wire::RtcpReportBlock about_us;
  about_us.ssrc = session.ssrc();
  about_us.last_sr = 1;  // never sent by us: an absurd round trip is not believed
  EXPECT_FALSE(session.on_rtcp({wire::RtcpReceiverReport{9, {}}}, kNow));
  EXPECT_FALSE(session.on_rtcp({wire::RtcpSenderReport{9, 1, 1, 1, 1, {}}}, kNow));
  EXPECT_TRUE(session.on_rtcp({wire::RtcpSenderReport{7, 1, 1, 1, 1, {}}}, kNow));
  EXPECT_TRUE(session.on_rtcp({wire::RtcpReceiverReport{9, {about_us}}}, kNow));
  EXPECT_FALSE(session.totals().round_trip);
}

}  // namespace
}  // namespace godwit::media
