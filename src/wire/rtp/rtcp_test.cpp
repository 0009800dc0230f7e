// SPDX-License-Identifier: Apache-2.0
#include "wire/rtp/rtcp.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(Rtcp, WhatIsBuiltIsReadBackTheSame) {
  const std::vector<RtcpReportBlock> blocks{{1, 25, -3, 70000, 12, 0x12345678, 65536},
                                            {2, 255, 0x7fffff, 1, 0, 0, 0}};
  const std::vector<std::vector<RtcpPacket>> cases{
      {RtcpSenderReport{0xcafe, 0xe0000000'80000000, 160, 10, 1600, blocks},
       RtcpSourceDescription{{{0xcafe, "abc@x"}, {7, ""}, {8, std::string(255, 'n')}}},
       RtcpBye{{0xcafe, 7}, "done"}},
      {RtcpReceiverReport{0xcafe, {}}, RtcpBye{{}, ""}},
      {RtcpReceiverReport{1, std::vector<RtcpReportBlock>(31)}},
  };
  for (const auto& packets : cases) {
    const auto bytes = build_rtcp(packets);
    ASSERT_TRUE(bytes);
    EXPECT_EQ(bytes->size() % 4, 0U);
    const auto parsed = parse_rtcp(*bytes);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(*parsed, packets);
  }
}

TEST(Rtcp, BuildsTheseExactBytes) {
  const Buffer expected{0x80, 201, 0, 1, 0, 0, 0, 5,  // RR, no blocks
                        0x81, 202, 0, 3, 0, 0, 0, 5, 1, 4, 'a', '@', 'b', 'c', 0, 0};  // SDES
  EXPECT_EQ(build_rtcp({RtcpReceiverReport{5, {}}, RtcpSourceDescription{{{5, "a@bc"}}}}),
            expected);
}

TEST(Rtcp, SkipsWhatItDoesNotKnow) {
  const Buffer bytes{0x80, 201, 0, 2, 0, 0, 0, 5, 9, 9, 9,   9,  // RR with a profile extension
                     0x81, 202, 0, 3, 0, 0, 0, 5, 2, 1, 'x', 1, 1, 'y', 0, 0,  // NAME, then CNAME
                     0x80, 204, 0, 1, 0, 0, 0, 5};                             // APP
  const auto parsed = parse_rtcp(bytes);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(*parsed, (std::vector<RtcpPacket>{RtcpReceiverReport{5, {}},
                                              RtcpSourceDescription{{{5, "y"}}}, RtcpOther{204}}));
}

TEST(Rtcp, AcceptsPaddingOnlyAtTheVeryEnd) {
  const Buffer padded_rr{0xa0, 201, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4};
  EXPECT_EQ(*parse_rtcp(padded_rr), (std::vector<RtcpPacket>{RtcpReceiverReport{5, {}}}));
  Buffer twice = padded_rr;
  twice.insert(twice.end(), padded_rr.begin(), padded_rr.end());
  EXPECT_FALSE(parse_rtcp(twice));
}

TEST(Rtcp, RefusesBrokenPackets) {
  const struct {
    Buffer bytes;
    const char* why;
  } cases[] = {
      {{}, "empty"},
      {{0x80, 201, 0}, "half a header"},
      {{0x40, 201, 0, 1, 0, 0, 0, 5}, "version 1"},
      {{0x80, 201, 0, 2, 0, 0, 0, 5}, "length passes the end"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x80}, "bytes behind the last packet"},
      {{0x81, 202, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0}, "no report first"},
      {{0x80, 201, 0, 0}, "RR without its sender"},
      {{0x81, 201, 0, 1, 0, 0, 0, 5}, "RR without its block"},
      {{0x80, 200, 0, 1, 0, 0, 0, 5}, "SR without sender information"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 202, 0, 1, 0, 0, 0, 5}, "chunk without an end"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 202, 0, 2, 0, 0, 0, 5, 1, 9, 'x', 0},
       "item passes the end"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 202, 0, 2, 0, 0, 0, 5, 1, 2, 'x', 'y'},
       "items without an end"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x82, 203, 0, 1, 0, 0, 0, 5}, "BYE without its second source"},
      {{0x80, 201, 0, 1, 0, 0, 0, 5, 0x81, 203, 0, 2, 0, 0, 0, 5, 9, 'x', 'y', 'z'},
       "reason passes the end"},
      {{0xa0, 201, 0, 1, 0, 0, 0, 3}, "padding not a multiple of four"},
      {{0xa0, 201, 0, 1, 0, 0, 0, 8}, "padding longer than the packet"},
  };
  for (const auto& c : cases) EXPECT_FALSE(parse_rtcp(c.bytes)) << c.why;
}

TEST(Rtcp, CompoundIsLimited) {
  const auto with = [](std::size_t n) {
    return build_rtcp(std::vector<RtcpPacket>(n, RtcpReceiverReport{5, {}}));
  };
  auto bytes = with(kMaxRtcpPackets);
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(parse_rtcp(*bytes));
  EXPECT_FALSE(with(kMaxRtcpPackets + 1));
  bytes->insert(bytes->end(), {0x80, 201, 0, 1, 0, 0, 0, 5});
  EXPECT_EQ(parse_rtcp(*bytes).error().code, ErrorCode::TooLarge);
}

TEST(Rtcp, RefusesToBuildWhatDoesNotFit) {
  EXPECT_FALSE(build_rtcp({}));
  EXPECT_FALSE(build_rtcp({RtcpBye{}}));
  EXPECT_FALSE(build_rtcp({RtcpReceiverReport{}, RtcpOther{204}}));
  EXPECT_FALSE(build_rtcp({RtcpReceiverReport{1, std::vector<RtcpReportBlock>(32)}}));
  EXPECT_FALSE(build_rtcp({RtcpReceiverReport{}, RtcpBye{{}, std::string(256, 'x')}}));
}

}  // namespace
}  // namespace godwit::wire
