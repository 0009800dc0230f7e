// SPDX-License-Identifier: Apache-2.0
#include "wire/stun/stun.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

using testing::ElementsAre;

Buffer from_hex(std::string_view hex) {
  Buffer out;
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits += c;
    if (digits.size() == 2) {
      out.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return out;
}

constexpr StunTransactionId kVectorId{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                      0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

TEST(Stun, ReadsTheMappedAddressOfTheRfc5769Vectors) {
  // The XOR-MAPPED-ADDRESS attributes of RFC 5769 §2.2 and §2.3, without their MESSAGE-INTEGRITY.
  const Buffer v4 =
      from_hex("0101000c 2112a442 b7e7a701bc34d686fa87dfae 00200008 0001a147e112a643");
  const Buffer v6 = from_hex(
      "01010018 2112a442 b7e7a701bc34d686fa87dfae 00200014 0002a147 "
      "0113a9faa5d3f179bc25f4b5bed2b9d9");
  const auto first = parse_stun(v4);
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(first->message_class, StunClass::Success);
  EXPECT_EQ(first->transaction, kVectorId);
  EXPECT_EQ(first->mapped, Endpoint::parse("192.0.2.1:32853"));
  EXPECT_EQ(build_stun(*first), v4);
  const auto second = parse_stun(v6);
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(second->mapped, Endpoint::parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
  EXPECT_EQ(build_stun(*second), v6);
}

TEST(Stun, ChecksTheFingerprintOfTheRfc5769Request) {
  // RFC 5769 §2.1 whole: attributes that we do not understand, then FINGERPRINT.
  Buffer request = from_hex(
      "00010058 2112a442 b7e7a701bc34d686fa87dfae"
      "80220010 5354554e207465737420636c69656e74"
      "00240004 6e0001ff 80290008 932ff9b151263b36"
      "00060009 6576746a3a68367659202020"
      "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
      "80280004 e57a3bcf");
  const auto parsed = parse_stun(request);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_TRUE(parsed->fingerprint);
  EXPECT_EQ(parsed->software, "STUN test client");
  EXPECT_THAT(parsed->not_understood, ElementsAre(0x0024, 0x0006, 0x0008));
  request[30] ^= 1U;
  EXPECT_FALSE(parse_stun(request));
}

TEST(Stun, WhatIsBuiltIsReadBackTheSame) {
  SeededRandom random(7);
  StunMessage error;
  error.message_class = StunClass::Error;
  error.transaction = make_stun_transaction_id(random);
  error.error = StunError{420, "Unknown Attribute"};
  error.unknown_attributes = {0x0006, 0x0008, 0x7fff};
  error.software = "Godwit";
  error.fingerprint = true;
  StunMessage request;
  request.transaction = make_stun_transaction_id(random);
  request.fingerprint = true;
  StunMessage indication;
  indication.message_class = StunClass::Indication;
  for (const StunMessage& message : {error, request, indication}) {
    const auto bytes = build_stun(message);
    ASSERT_TRUE(bytes);
    EXPECT_TRUE(looks_like_stun(*bytes));
    const auto parsed = parse_stun(*bytes);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(*parsed, message);
  }
  EXPECT_NE(error.transaction, request.transaction);
}

TEST(Stun, RefusesBrokenMessages) {
  const char* id = "b7e7a701bc34d686fa87dfae";
  const struct {
    std::string bytes;
    const char* why;
  } cases[] = {
      {"", "empty"},
      {"01010000 2112a442 b7e7", "half a header"},
      {"01010000 2112a443" + std::string(id), "another cookie"},
      {"81010000 2112a442" + std::string(id), "RTP's version bits"},
      {"01010004 2112a442" + std::string(id), "length passes the end"},
      {"01010000 2112a442" + std::string(id) + "00000000", "bytes behind the length"},
      {"01010002 2112a442" + std::string(id) + "0000", "length not a multiple of four"},
      {"00030000 2112a442" + std::string(id), "another method (Allocate)"},
      {"01010008 2112a442" + std::string(id) + "00200008 00000000", "attribute passes the end"},
      {"0101000c 2112a442" + std::string(id) + "00200008 0003a147e112a643", "unknown family"},
      {"0101000c 2112a442" + std::string(id) + "00200008 0002a147e112a643", "v6 of four bytes"},
      {"01110008 2112a442" + std::string(id) + "00090004 00000200", "error class 2"},
      {"01110008 2112a442" + std::string(id) + "00090004 00000464", "error number 100"},
      {"01110008 2112a442" + std::string(id) + "000a0003 00060000", "half an attribute type"},
  };
  for (const auto& c : cases) EXPECT_FALSE(parse_stun(from_hex(c.bytes))) << c.why;
}

TEST(Stun, FingerprintMustBeLast) {
  StunMessage message;
  message.fingerprint = true;
  Buffer bytes = *build_stun(message);
  const Buffer software = from_hex("80220004 61616161");
  bytes.insert(bytes.end(), software.begin(), software.end());
  bytes[3] = static_cast<std::uint8_t>(bytes.size() - 20);
  EXPECT_FALSE(parse_stun(bytes));
}

TEST(Stun, AttributesAreLimited) {
  const auto with = [](std::size_t n) {
    Buffer bytes = from_hex("01010000 2112a442 b7e7a701bc34d686fa87dfae");
    for (std::size_t i = 0; i < n; ++i) {
      const Buffer one = from_hex("80220000");
      bytes.insert(bytes.end(), one.begin(), one.end());
    }
    bytes[3] = static_cast<std::uint8_t>(bytes.size() - 20);
    return bytes;
  };
  EXPECT_TRUE(parse_stun(with(kMaxStunAttributes)));
  EXPECT_EQ(parse_stun(with(kMaxStunAttributes + 1)).error().code, ErrorCode::TooLarge);
}

TEST(Stun, RefusesToBuildWhatNobodyCouldRead) {
  StunMessage message;
  message.error = StunError{200, ""};
  EXPECT_FALSE(build_stun(message));
  message.error.reset();
  message.software = std::string(764, 'x');
  EXPECT_FALSE(build_stun(message));
  message.software.clear();
  message.mapped = Endpoint{};
  EXPECT_FALSE(build_stun(message));
}

}  // namespace
}  // namespace godwit::wire
