// SPDX-License-Identifier: Apache-2.0
#include "ua/media_description.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

using enum MediaDirection;

SessionOrigin origin() { return {7, IpAddress::v4(192, 0, 2, 1)}; }

LocalAudio local_audio(MediaDirection direction = SendRecv) {
  return {{IpAddress::v4(192, 0, 2, 1), 4000}, 4001, direction, {Codec::Pcmu, Codec::Pcma}, {}};
}

wire::SessionDescription parse(const std::string& text) {
  auto parsed = wire::parse_sdp(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().detail);
  return *parsed;
}

std::string peer_sdp(const std::string& media) {
  return "v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n" + media;
}

TEST(MediaDescription, AnswerDirectionNarrowsBothWishes) {
  struct Row {
    MediaDirection offered, wanted, answer;
  };
  const Row rows[] = {
      {SendRecv, SendRecv, SendRecv}, {SendRecv, SendOnly, SendOnly},
      {SendRecv, Inactive, Inactive}, {SendOnly, SendRecv, RecvOnly},
      {SendOnly, SendOnly, Inactive}, {RecvOnly, SendRecv, SendOnly},
      {Inactive, SendRecv, Inactive}, {RecvOnly, RecvOnly, Inactive},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(answer_direction(row.offered, row.wanted), row.answer);
  }
}

TEST(MediaDescription, AnswersWithTheOfferersPreferenceAndNumbers) {
  const auto offer =
      parse(peer_sdp("m=audio 5000 RTP/AVP 96 8 0 97\r\na=rtpmap:96 opus/48000/2\r\n"
                     "a=rtpmap:97 telephone-event/8000\r\na=rtcp:5005\r\n"
                     "m=video 6000 RTP/AVP 99\r\n"));
  const auto answer = make_answer(offer, origin(), 3, local_audio());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->agreed.codec, Codec::Pcma);
  EXPECT_EQ(answer->agreed.payload_type, 8);
  EXPECT_EQ(answer->agreed.telephone_event, 97);
  EXPECT_EQ(answer->agreed.remote_rtp.to_string(), "198.51.100.9:5000");
  EXPECT_EQ(answer->agreed.remote_rtcp.port, 5005);
  ASSERT_EQ(answer->description.media.size(), 2U);
  EXPECT_EQ(answer->description.media[1].port, 0);
  EXPECT_EQ(answer->description.origin.session_version, 3U);
}

TEST(MediaDescription, RefusesWhatItCannotServe) {
  const char* offers[] = {
      "m=audio 5000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n",
      "m=audio 5000 RTP/SAVP 0\r\n",
      "m=audio 0 RTP/AVP 0\r\n",
      "m=video 5000 RTP/AVP 0\r\n",
      "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 phone.example.org\r\n",
      "m=audio 5000 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n",
  };
  for (const char* offer : offers) {
    const auto answer = make_answer(parse(peer_sdp(offer)), origin(), 1, local_audio());
    ASSERT_FALSE(answer) << offer;
    EXPECT_EQ(answer.error().code, ErrorCode::Unsupported);
  }
}

TEST(MediaDescription, HoldInBothItsForms) {
  const auto sendonly = make_answer(parse(peer_sdp("m=audio 5000 RTP/AVP 0\r\na=sendonly\r\n")),
                                    origin(), 1, local_audio());
  ASSERT_TRUE(sendonly);
  EXPECT_TRUE(sendonly->agreed.held_by_peer);
  EXPECT_EQ(sendonly->agreed.direction, RecvOnly);
  const auto old = make_answer(parse(peer_sdp("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n")),
                               origin(), 1, local_audio());
  ASSERT_TRUE(old);
  EXPECT_TRUE(old->agreed.held_by_peer);
  EXPECT_FALSE(sends(old->agreed.direction));
}

TEST(MediaDescription, ReofferChangesOnlyAddressPortVersionAndDirection) {
  const auto offer =
      parse(peer_sdp("m=audio 5000 RTP/AVP 8 97\r\na=rtpmap:97 telephone-event/8000\r\n"
                     "m=video 6000 RTP/AVP 99\r\n"));
  auto before = make_answer(offer, origin(), 1, local_audio())->description;
  const auto after = make_reoffer(before, 2, {IpAddress::v4(203, 0, 113, 5), 7000}, 7001, SendOnly);
  EXPECT_EQ(after.connection->host, "203.0.113.5");
  EXPECT_EQ(after.media[0].port, 7000);
  EXPECT_EQ(after.media[1].port, 0);
  EXPECT_EQ(after.media[0].direction, SendOnly);
  before.connection = after.connection;
  before.origin.session_version = 2;
  before.media[0].port = 7000;
  before.media[0].direction = SendOnly;
  EXPECT_EQ(before, after);
}

TEST(MediaDescription, ReadsAnAnswer) {
  const auto offer = make_offer(origin(), 1, local_audio());
  const auto agreed = read_answer(offer, parse(peer_sdp("m=audio 5000 RTP/AVP 8\r\n")));
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->codec, Codec::Pcma);
  EXPECT_EQ(agreed->receive.size(), 2U);
  EXPECT_FALSE(agreed->held_by_peer);
  EXPECT_EQ(agreed->direction, SendRecv);

  EXPECT_FALSE(read_answer(offer, parse(peer_sdp("m=audio 0 RTP/AVP 0\r\n"))));
  EXPECT_FALSE(read_answer(offer, parse(peer_sdp(""))));
  EXPECT_FALSE(read_answer(offer, parse(peer_sdp("m=audio 5000 RTP/AVP 3\r\n"))));
}

TEST(MediaDescription, OnePortForRtpAndRtcpWhereBothWantIt) {
  const std::string mux = "m=audio 5000 RTP/AVP 0\r\na=rtcp:5009\r\na=rtcp-mux\r\n";
  LocalAudio willing = local_audio();
  willing.rtcp_mux = true;
  const auto answer = make_answer(parse(peer_sdp(mux)), origin(), 1, willing);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->description.media[0].rtcp_mux);
  EXPECT_EQ(answer->agreed.remote_rtcp, answer->agreed.remote_rtp);
  const auto unwilling = make_answer(parse(peer_sdp(mux)), origin(), 1, local_audio());
  ASSERT_TRUE(unwilling);
  EXPECT_FALSE(unwilling->description.media[0].rtcp_mux);
  EXPECT_EQ(unwilling->agreed.remote_rtcp.port, 5009);
  // RFC 5761 §4: payload type 72 with the marker bit would be a sender report.
  const auto clash =
      make_answer(parse(peer_sdp("m=audio 5000 RTP/AVP 0 72\r\na=rtpmap:72 telephone-event/8000\r\n"
                                 "a=rtcp-mux\r\n")),
                  origin(), 1, willing);
  ASSERT_TRUE(clash);
  EXPECT_FALSE(clash->description.media[0].rtcp_mux);
  EXPECT_EQ(clash->agreed.remote_rtcp.port, 5001);

  const auto offer = make_offer(origin(), 1, willing);
  EXPECT_TRUE(offer.media[0].rtcp_mux);
  EXPECT_FALSE(make_offer(origin(), 1, local_audio()).media[0].rtcp_mux);
  const auto agreed = read_answer(offer, parse(peer_sdp(mux)));
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->remote_rtcp, agreed->remote_rtp);
  const auto declined = read_answer(offer, parse(peer_sdp("m=audio 5000 RTP/AVP 0\r\n")));
  ASSERT_TRUE(declined);
  EXPECT_EQ(declined->remote_rtcp.port, 5001);
  // Not asked for, so not agreed on.
  const auto unasked = read_answer(make_offer(origin(), 1, local_audio()), parse(peer_sdp(mux)));
  ASSERT_TRUE(unasked);
  EXPECT_EQ(unasked->remote_rtcp.port, 5009);
}

TEST(MediaDescription, EventsAreSentWithThePeersNumberAndTakenWithOurs) {
  const auto offer = make_offer(origin(), 1, local_audio());
  const auto agreed = read_answer(
      offer, parse(peer_sdp("m=audio 5000 RTP/AVP 0 97\r\na=rtpmap:97 telephone-event/8000\r\n")));
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->telephone_event, 97);
  EXPECT_EQ(agreed->receive_event, 101);
  const auto without = read_answer(offer, parse(peer_sdp("m=audio 5000 RTP/AVP 0\r\n")));
  ASSERT_TRUE(without);
  EXPECT_FALSE(without->telephone_event);
  EXPECT_FALSE(without->receive_event);
}

TEST(MediaDescription, OfferSurvivesItsOwnText) {
  auto audio = local_audio();
  audio.rtp.address = IpAddress::parse("2001:db8::5").value();
  audio.packet_time = std::chrono::milliseconds(20);
  const auto offer = make_offer({9, audio.rtp.address}, 4, audio);
  EXPECT_EQ(parse(to_string(offer)), offer);
}

}  // namespace
}  // namespace godwit::ua
