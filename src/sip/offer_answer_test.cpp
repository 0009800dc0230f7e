// SPDX-License-Identifier: Apache-2.0
#include "sip/offer_answer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace godwit::sip {
namespace {

std::string sdp(std::uint64_t version, const std::string& rest = "") {
  return "v=0\r\no=- 42 " + std::to_string(version) + " IN IP4 192.0.2.1\r\ns=-\r\n" + rest;
}

TEST(OfferAnswer, CommitsInBothDirections) {
  OfferAnswer state;
  ASSERT_TRUE(state.offer(sdp(1)));
  EXPECT_FALSE(state.can_offer());
  EXPECT_TRUE(state.awaits_answer());
  ASSERT_TRUE(state.answer_received("their 1"));
  EXPECT_EQ(state.current()->local, sdp(1));
  EXPECT_EQ(state.current()->remote, "their 1");

  ASSERT_TRUE(state.offer_received("their 2"));
  EXPECT_TRUE(state.must_answer());
  ASSERT_TRUE(state.answer(sdp(2)));
  EXPECT_EQ(state.current()->local, sdp(2));
  EXPECT_EQ(state.current()->remote, "their 2");
  EXPECT_TRUE(state.can_offer());
}

TEST(OfferAnswer, RefusesWhatTheExchangeForbids) {
  OfferAnswer state;
  EXPECT_FALSE(state.answer(sdp(1)));
  EXPECT_FALSE(state.answer_received("x"));
  ASSERT_TRUE(state.offer(sdp(1)));
  EXPECT_EQ(state.offer(sdp(2)).error().code, ErrorCode::WrongState);
  EXPECT_EQ(state.offer_received("x").error().code, ErrorCode::WrongState);
  EXPECT_EQ(state.answer(sdp(2)).error().code, ErrorCode::WrongState);
  state.roll_back();
  ASSERT_TRUE(state.offer_received("x"));
  EXPECT_EQ(state.answer_received("y").error().code, ErrorCode::WrongState);
  EXPECT_EQ(state.offer(sdp(2)).error().code, ErrorCode::WrongState);
}

TEST(OfferAnswer, RollBackKeepsWhatWasAgreedButNotTheVersion) {
  OfferAnswer state;
  EXPECT_EQ(state.next_version(), OfferAnswer::kFirstVersion);
  ASSERT_TRUE(state.offer(sdp(state.next_version())));
  ASSERT_TRUE(state.answer_received("their 1"));
  ASSERT_TRUE(state.offer(sdp(state.next_version())));
  state.roll_back();
  EXPECT_EQ(state.current()->local, sdp(1));
  EXPECT_EQ(state.next_version(), 3U);  // 2 has left, whatever became of it.
  EXPECT_FALSE(state.in_doubt());
}

TEST(OfferAnswer, AbandonedOfferStaysInDoubtUntilTheNextCommit) {
  OfferAnswer state;
  ASSERT_TRUE(state.offer(sdp(1)));
  ASSERT_TRUE(state.answer_received("their 1"));
  ASSERT_TRUE(state.offer(sdp(2)));
  state.abandon();
  EXPECT_EQ(state.in_doubt(), sdp(2));
  EXPECT_EQ(state.current()->local, sdp(1));

  ASSERT_TRUE(state.offer(sdp(3)));
  state.roll_back();
  EXPECT_EQ(state.in_doubt(), sdp(2)) << "a rejected offer says nothing about the one before";
  ASSERT_TRUE(state.offer(sdp(4)));
  ASSERT_TRUE(state.answer_received("their 2"));
  EXPECT_FALSE(state.in_doubt());
}

TEST(OfferAnswer, AbandoningThePeersOfferIsNoDoubtOfOurs) {
  OfferAnswer state;
  ASSERT_TRUE(state.offer_received("their"));
  state.abandon();
  EXPECT_FALSE(state.in_doubt());
  EXPECT_TRUE(state.can_offer());
}

TEST(OfferAnswer, TheSameBodySentTwiceIsOneVersion) {
  OfferAnswer state;
  ASSERT_TRUE(state.offer_received("their"));
  state.note_sent(sdp(1));  // A preview in 183.
  ASSERT_TRUE(state.answer(sdp(1)));
  EXPECT_EQ(state.next_version(), 2U);
}

TEST(OfferAnswer, ABodyWithoutReadableOriginCountsAsOne) {
  OfferAnswer state;
  ASSERT_TRUE(state.offer("v=0\r\n"));
  EXPECT_EQ(state.next_version(), 2U);
}

TEST(OriginVersion, ReadsTheThirdFieldOfTheOriginLine) {
  const struct {
    const char* body;
    std::optional<std::uint64_t> version;
  } cases[] = {
      {"v=0\r\no=- 1 7 IN IP4 192.0.2.1\r\n", 7},
      {"v=0\no=alice 1 18446744073709551615 IN IP4 192.0.2.1\n", 18446744073709551615U},
      {"v=0\r\no=- 1 18446744073709551616 IN IP4 192.0.2.1\r\n", std::nullopt},
      {"v=0\r\no=- 1\r\n", std::nullopt},
      {"v=0\r\no=- 1 7\r\n", std::nullopt},
      {"v=0\r\no=- 1 -7 IN IP4 192.0.2.1\r\n", std::nullopt},
      {"v=0\r\ns=o=- 1 7 IN\r\n", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& c : cases) EXPECT_EQ(origin_version(c.body), c.version) << c.body;
}

}  // namespace
}  // namespace godwit::sip
