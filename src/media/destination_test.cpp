// SPDX-License-Identifier: Apache-2.0
#include "media/destination.hpp"

#include <gtest/gtest.h>

namespace godwit::media {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Endpoint kSdp = *Endpoint::parse("10.0.0.9:4000");
const Endpoint kSdpRtcp = *Endpoint::parse("10.0.0.9:4101");
const Endpoint kNat = *Endpoint::parse("198.51.100.9:5000");
constexpr TimePoint kNow{seconds(100)};

TEST(Destination, RtcpFollowsItsRtp) {
  Destination d;
  d.signal(kSdp, kSdpRtcp, Family::V4, kNow);
  EXPECT_EQ(d.rtcp(), kSdpRtcp);
  d.follow_rtcp(*Endpoint::parse("10.0.0.9:9999"));  // not latched: SDP holds
  EXPECT_EQ(d.rtcp(), kSdpRtcp);
  EXPECT_TRUE(d.follow(kNat, true, kNow));
  EXPECT_FALSE(d.follow(kNat, false, kNow)) << "there already";
  EXPECT_EQ(d.rtp(), kNat);
  EXPECT_EQ(d.rtcp(), *Endpoint::parse("198.51.100.9:5001"));
  d.follow_rtcp(*Endpoint::parse("203.0.113.1:7"));
  EXPECT_EQ(d.rtcp().port, 5001);
  d.follow_rtcp(*Endpoint::parse("198.51.100.9:61000"));
  EXPECT_EQ(d.rtcp().port, 61000);
}

TEST(Destination, MultiplexedRtcpStaysWithRtp) {
  Destination d;
  d.signal(kSdp, kSdp, Family::V4, kNow);
  d.follow(kNat, true, kNow);
  d.follow_rtcp(*Endpoint::parse("198.51.100.9:61000"));
  EXPECT_EQ(d.rtcp(), kNat);
  d.follow(kSdp, true, kNow);  // back where SDP says
  EXPECT_EQ(d.rtcp(), kSdp);
}

TEST(Destination, AnotherFamilyIsNotFollowed) {
  Destination d;
  d.signal(*Endpoint::parse("[2001:db8::1]:4000"), {}, Family::V6, kNow);
  EXPECT_FALSE(d.follow(kNat, true, kNow));
  // And what was latched in one family is nothing to a path of the other.
  d.signal(kSdp, kSdpRtcp, Family::V4, kNow);
  d.follow(kNat, true, kNow);
  d.signal(kSdp, kSdpRtcp, Family::V6, kNow);
  EXPECT_EQ(d.rtp(), kSdp);
}

TEST(Destination, WhatIsInFlightFromThePlaceThatWasLeftDoesNotPullBack) {
  Destination d;
  d.signal(kNat, kNat, Family::V4, kNow);
  d.signal(kSdp, kSdpRtcp, Family::V4, kNow);
  EXPECT_FALSE(d.follow(kNat, false, kNow + milliseconds(499)));
  EXPECT_TRUE(d.follow(kNat, false, kNow + milliseconds(500)));
}

}  // namespace
}  // namespace godwit::media
