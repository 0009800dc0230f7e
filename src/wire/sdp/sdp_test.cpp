// SPDX-License-Identifier: Apache-2.0
#include "wire/sdp/sdp.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// As phones write them: session-level connection, bandwidth, two codecs, DTMF, RTCP elsewhere.
constexpr std::string_view kOffer =
    "v=0\r\n"
    "o=alice 2890844526 2890844527 IN IP4 host.example.com\r\n"
    "s=A call\r\n"
    "i=ignored\r\n"
    "c=IN IP4 192.0.2.10\r\n"
    "b=AS:64\r\n"
    "t=0 0\r\n"
    "a=group:BUNDLE audio\r\n"
    "a=sendrecv\r\n"
    "m=audio 49170 RTP/AVP 0 8 101\r\n"
    "b=RS:0\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000/1\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16, 66\r\n"
    "a=ptime:20\r\n"
    "a=rtcp:53020 IN IP6 2001:db8::1\r\n"
    "a=rtcp-mux\r\n"
    "a=label:x:y\r\n"
    "a=sendonly\r\n"
    "m=video 0/2 RTP/SAVPF 99\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    "c=IN IP6 ::\r\n";

TEST(Sdp, ReadsEveryFieldOfAnOffer) {
  const auto parsed = parse_sdp(kOffer);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  const SessionDescription& sdp = *parsed;
  EXPECT_EQ(sdp.origin, (SdpOrigin{"alice", 2890844526, 2890844527,
                                   SdpAddress(Family::V4, "host.example.com")}));
  EXPECT_FALSE(sdp.origin.address.literal());
  EXPECT_EQ(sdp.name, "A call");
  EXPECT_EQ(sdp.connection->literal(), IpAddress::v4(192, 0, 2, 10));
  EXPECT_THAT(sdp.attributes, ElementsAre(SdpAttribute{"group", "BUNDLE audio"}));
  ASSERT_EQ(sdp.media.size(), 3U);

  const SdpMedia& audio = sdp.media[0];
  EXPECT_EQ(audio.kind, SdpMediaKind::Audio);
  EXPECT_EQ(audio.port, 49170);
  EXPECT_EQ(audio.protocol, "RTP/AVP");
  EXPECT_THAT(audio.formats, ElementsAre("0", "8", "101"));
  EXPECT_THAT(audio.rtpmaps,
              ElementsAre(SdpRtpMap{0, "PCMU", 8000, ""}, SdpRtpMap{8, "PCMA", 8000, "1"},
                          SdpRtpMap{101, "telephone-event", 8000, ""}));
  EXPECT_EQ(audio.find_rtpmap(8)->encoding, "PCMA");
  EXPECT_EQ(audio.find_rtpmap(9), nullptr);
  EXPECT_THAT(audio.format_parameters, ElementsAre(SdpFormatParameters{"101", "0-16, 66"}));
  EXPECT_EQ(audio.packet_time, std::chrono::milliseconds(20));
  EXPECT_EQ(audio.rtcp, (SdpRtcp{53020, SdpAddress(Family::V6, "2001:db8::1")}));
  EXPECT_TRUE(audio.rtcp_mux);
  EXPECT_THAT(audio.attributes, ElementsAre(SdpAttribute{"label", "x:y"}));
  EXPECT_EQ(sdp.direction_of(audio), MediaDirection::SendOnly);
  EXPECT_EQ(sdp.connection_of(audio), &*sdp.connection);

  EXPECT_EQ(sdp.media[1].kind, SdpMediaKind::Video);
  EXPECT_EQ(sdp.media[1].port, 0);
  EXPECT_EQ(sdp.media[1].port_count, 2);
  EXPECT_EQ(sdp.direction_of(sdp.media[1]), MediaDirection::SendRecv);
  EXPECT_EQ(sdp.media[2].kind_name, "application");
  EXPECT_EQ(sdp.connection_of(sdp.media[2])->family, Family::V6);
}

TEST(Sdp, WhatIsWrittenIsReadBackTheSame) {
  const auto parsed = parse_sdp(kOffer);
  ASSERT_TRUE(parsed);
  const std::string text = to_string(*parsed);
  const auto again = parse_sdp(text);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(*again, *parsed);
  EXPECT_EQ(to_string(*again), text);
}

TEST(Sdp, WritesThisExactText) {
  SessionDescription sdp;
  sdp.origin = {"-", 1, 2, SdpAddress(*IpAddress::parse("2001:db8::5"))};
  sdp.connection = SdpAddress(IpAddress::v4(192, 0, 2, 1));
  SdpMedia& audio = sdp.media.emplace_back();
  audio.port = 4000;
  audio.formats = {"0", "101"};
  audio.rtpmaps = {{0, "PCMU", 8000, ""}};
  audio.format_parameters = {{"101", "0-16"}};
  audio.packet_time = std::chrono::milliseconds(20);
  audio.rtcp = SdpRtcp{4001, std::nullopt};
  audio.direction = MediaDirection::RecvOnly;
  EXPECT_EQ(to_string(sdp),
            "v=0\r\no=- 1 2 IN IP6 2001:db8::5\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
            "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=fmtp:101 0-16\r\n"
            "a=ptime:20\r\na=rtcp:4001\r\na=recvonly\r\n");
}

std::string with_media(const std::string& media) {
  return "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n" + media;
}

TEST(Sdp, ToleratesWhatDeployedDevicesWrite) {
  const std::string cases[] = {
      with_media("m=audio 4000 RTP/AVP 0\n"),      // bare LF
      with_media("m=audio 4000 RTP/AVP 0"),        // no end of the last line
      with_media("m=audio 4000  RTP/AVP 0 \r\n"),  // more spaces than one
      with_media("m=audio 4000 RTP/AVP 0\na=ptime:20.0\n"),
      with_media("m=audio 4000 RTP/AVP 0\na=ptime:soon\n"),
      with_media("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\nc=IN IP4 224.2.1.2/127\n"),
      with_media("a=sendrecv\na=sendrecv\n"),
      with_media("m=audio 4000 RTP/AVP 0\n\r\n"),  // an empty last line
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\na=x\r\nt=0 0\r\nc=IN IP4 192.0.2.1\r\n",  // order
      "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n",  // rejected: no
                                                                                    // c=
  };
  for (const std::string& text : cases) {
    const auto parsed = parse_sdp(text);
    EXPECT_TRUE(parsed) << text << "\n" << parsed.error().detail;
  }
}

TEST(Sdp, RefusesWhatCannotBeTrusted) {
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"", "ends before"},
      {"v=1\r\n", "v=0"},
      {"o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n", "v=0"},
      {"v=0\r\ns=-\r\n", "o="},
      {"v=0\r\no=- 1 IN IP4 192.0.2.1\r\n", "o= line"},
      {"v=0\r\no=- 1 99999999999999999999 IN IP4 192.0.2.1\r\n", "o= line"},
      {"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nt=0 0\r\n", "no s="},
      {"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n", "no t="},
      {with_media("junk\r\n"), "<type>"},
      {"\r\n", "<type>"},
      {with_media("\r\nm=audio 4000 RTP/AVP 0\r\n"), "after an empty line"},
      {with_media("x=1\r\n"), "unknown type"},
      {with_media("v=0\r\n"), "unknown type"},
      {with_media("s=again\r\n"), "second s="},
      {with_media("c=IN IP4 192.0.2.2\r\n"), "second c="},
      {with_media(std::string("a=nul\0x\r\n", 9)), "control"},
      {with_media("a=c\rr\r\n"), "control"},
      {with_media("a=\r\n"), "a= line"},
      {with_media("a=sendonly\r\na=recvonly\r\n"), "two directions"},
      {with_media("m=audio 65536 RTP/AVP 0\r\n"), "m= line"},
      {with_media("m=audio -1 RTP/AVP 0\r\n"), "m= line"},
      {with_media("m=audio 4000/0 RTP/AVP 0\r\n"), "m= line"},
      {with_media("m=audio 4000 RTP/AVP\r\n"), "without formats"},
      {with_media("m=audio\r\n"), "m= line"},
      {with_media("m=audio 4000 RTP/AVP 0\r\nt=0 0\r\n"), "not allowed"},
      {with_media("m=audio 4000 RTP/AVP 0\r\nc=IN IP5 1\r\n"), "c= line"},
      {with_media("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1 x\r\n"), "c= line"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtpmap:128 PCMU/8000\r\n"), "rtpmap"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU\r\n"), "rtpmap"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/0\r\n"), "rtpmap"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000/\r\n"), "rtpmap"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtpmap\r\n"), "rtpmap"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=fmtp:101\r\n"), "fmtp"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtcp:70000\r\n"), "rtcp"},
      {with_media("m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4\r\n"), "rtcp"},
      {"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n",
       "without a c="},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_sdp(c.text);
    ASSERT_FALSE(parsed) << c.text;
    EXPECT_EQ(parsed.error().code, ErrorCode::Malformed) << c.text;
    EXPECT_THAT(parsed.error().detail, HasSubstr(c.says)) << c.text;
  }
}

TEST(Sdp, LimitsAreLimits) {
  const auto media_lines = [](std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += "m=audio 0 RTP/AVP 0\n";
    return with_media(text);
  };
  const auto formats = [](std::size_t n) {
    std::string line = "m=audio 4000 RTP/AVP";
    for (std::size_t i = 0; i < n; ++i) line += " 0";
    return with_media(line);
  };
  const auto lines = [](std::size_t n) {  // with_media() itself has five
    std::string text;
    for (std::size_t i = 5; i < n; ++i) text += "a=x\n";
    return with_media(text);
  };
  const struct {
    std::string fits;
    std::string too_large;
  } cases[] = {
      {media_lines(kMaxSdpMedia), media_lines(kMaxSdpMedia + 1)},
      {formats(kMaxSdpFormats), formats(kMaxSdpFormats + 1)},
      {lines(kMaxSdpLines), lines(kMaxSdpLines + 1)},
      {with_media("a=" + std::string(kMaxSdpLineLength - 2, 'x')),
       with_media("a=" + std::string(kMaxSdpLineLength - 1, 'x'))},
      {lines(kMaxSdpLines), std::string(kMaxSdpSize + 1, 'x')},
  };
  for (const auto& c : cases) {
    EXPECT_TRUE(parse_sdp(c.fits)) << c.fits.size();
    const auto parsed = parse_sdp(c.too_large);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ErrorCode::TooLarge) << parsed.error().detail;
  }
}

TEST(Sdp, AddressLiteralsAreOfTheNamedFamily) {
  EXPECT_TRUE(SdpAddress(Family::V6, "2001:db8::1").literal());
  EXPECT_FALSE(SdpAddress(Family::V6, "[2001:db8::1]").literal());
  EXPECT_FALSE(SdpAddress(Family::V6, "192.0.2.1").literal());
  EXPECT_FALSE(SdpAddress(Family::V4, "224.2.1.1/127").literal());
}

}  // namespace
}  // namespace godwit::wire
