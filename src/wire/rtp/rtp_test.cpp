// SPDX-License-Identifier: Apache-2.0
#include "wire/rtp/rtp.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

// Version 2, no padding, no extension, no CSRC, marker, payload type 8.
const Buffer kPlain{0x80, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, 0xd5, 0xd6};

TEST(Rtp, ReadsAPlainPacket) {
  const auto packet = parse_rtp(kPlain);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->marker);
  EXPECT_EQ(packet->payload_type, 8);
  EXPECT_EQ(packet->sequence, 0x1234);
  EXPECT_EQ(packet->timestamp, 160U);
  EXPECT_EQ(packet->ssrc, 0xdeadbeefU);
  EXPECT_EQ(Buffer(packet->payload.begin(), packet->payload.end()), (Buffer{0xd5, 0xd6}));
  EXPECT_EQ(build_rtp(*packet), kPlain);
}

TEST(Rtp, ReadsCsrcsExtensionAndPadding) {
  const Buffer bytes{0xb2, 0x00, 0,    1, 0, 0, 0, 2, 0, 0, 0, 3,  // header: P, X, two CSRCs
                     0,    0,    0,    7, 0, 0, 0, 9,              // CSRCs
                     0xbe, 0xde, 0,    1, 1, 2, 3, 4,              // extension of one word
                     0xaa, 0xbb, 0xcc, 0, 0, 3};                   // payload, padding
  const auto packet = parse_rtp(bytes);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->csrc_count, 2U);
  EXPECT_EQ(packet->csrcs[1], 9U);
  EXPECT_EQ(packet->extension->profile, 0xbede);
  EXPECT_EQ(packet->extension->data.size(), 4U);
  EXPECT_EQ(packet->payload.size(), 3U);
  // Built again: the same without its padding.
  Buffer expected(bytes.begin(), bytes.end() - 3);
  expected[0] = 0x92;
  EXPECT_EQ(build_rtp(*packet), expected);
}

TEST(Rtp, RefusesBrokenPackets) {
  const auto with = [](std::uint8_t first, Buffer tail) {
    Buffer bytes{first, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3};
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    return bytes;
  };
  const struct {
    Buffer bytes;
    const char* why;
  } cases[] = {
      {{}, "empty"},
      {Buffer(11, 0x80), "half a header"},
      {with(0x40, {}), "version 1"},
      {with(0x81, {0, 0, 0}), "CSRC passes the end"},
      {with(0x90, {}), "no room for the extension's header"},
      {with(0x90, {0, 0, 0, 2, 0, 0, 0, 0}), "extension passes the end"},
      {with(0xa0, {}), "padding without a byte for its count"},
      {with(0xa0, {1, 0}), "padding of nothing"},
      {with(0xa0, {1, 3}), "padding longer than the payload"},
      {with(0xb0, {0, 0, 0, 1, 0, 0, 0, 4}), "padding that reaches into the extension"},
  };
  for (const auto& c : cases) EXPECT_FALSE(parse_rtp(c.bytes)) << c.why;
  EXPECT_TRUE(parse_rtp(with(0xa0, {1, 2})));  // all padding: an empty payload
}

TEST(Rtp, RefusesToBuildWhatDoesNotFit) {
  const Buffer odd(6);
  RtpPacket packet;
  packet.payload_type = 128;
  EXPECT_FALSE(build_rtp(packet));
  packet.payload_type = 0;
  packet.csrc_count = 16;
  EXPECT_FALSE(build_rtp(packet));
  packet.csrc_count = 0;
  packet.extension = RtpExtension{1, odd};
  EXPECT_FALSE(build_rtp(packet));
}

TEST(Rtp, TellsRtcpOnASharedPort) {
  EXPECT_FALSE(looks_like_rtcp(kPlain));
  EXPECT_TRUE(looks_like_rtcp(Buffer{0x80, 200, 0, 1, 0, 0, 0, 1}));
  EXPECT_TRUE(looks_like_rtcp(Buffer{0x81, 206, 0, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(looks_like_rtcp(Buffer{0x00, 200, 0, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(looks_like_rtcp(Buffer{0x80, 200}));
}

}  // namespace
}  // namespace godwit::wire
