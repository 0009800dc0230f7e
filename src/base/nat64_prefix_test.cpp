// SPDX-License-Identifier: Apache-2.0
#include "base/nat64_prefix.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

struct Row {
  const char* prefix;
  unsigned length;
  const char* embedded;
};
/// RFC 6052 §2.4, tables 2 and 3: all of 192.0.2.33.
constexpr Row kTable[] = {
    {"2001:db8::", 32, "2001:db8:c000:221::"},
    {"2001:db8:100::", 40, "2001:db8:1c0:2:21::"},
    {"2001:db8:122::", 48, "2001:db8:122:c000:2:2100::"},
    {"2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::"},
    {"2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::"},
    {"2001:db8:122:344::", 96, "2001:db8:122:344::c000:221"},
    {"64:ff9b::", 96, "64:ff9b::c000:221"},
};

TEST(Nat64Prefix, EmbedsAsTheTableOfRfc6052) {
  for (const Row& row : kTable) {
    const auto prefix = Nat64Prefix::make(ip(row.prefix), row.length);
    ASSERT_TRUE(prefix) << row.prefix;
    EXPECT_EQ(prefix->embed(ip("192.0.2.33")), ip(row.embedded));
    EXPECT_EQ(prefix->extract(ip(row.embedded)), ip("192.0.2.33")) << row.embedded;
    EXPECT_EQ(prefix->extract(ip("2001:db9::1")), std::nullopt);
    EXPECT_EQ(prefix->extract(ip("192.0.2.33")), std::nullopt);
    EXPECT_EQ(prefix->embed(ip("2001:db8::7")), ip("2001:db8::7"));
  }
}

TEST(Nat64Prefix, OtherLengthsAndReservedBitsAreNoPrefix) {
  for (const unsigned length : {0U, 31U, 33U, 63U, 72U, 95U, 97U, 128U}) {
    EXPECT_FALSE(Nat64Prefix::make(ip("2001:db8::"), length)) << length;
  }
  EXPECT_FALSE(Nat64Prefix::make(ip("192.0.2.1"), 96));
  EXPECT_FALSE(Nat64Prefix::make(ip("2001:db8:1:1:ff00::"), 96)) << "bits 64 to 71";
}

TEST(Nat64Prefix, IsFoundInTheWellKnownNamesAddresses) {
  for (const Row& row : kTable) {
    const auto prefix = *Nat64Prefix::make(ip(row.prefix), row.length);
    const auto found = Nat64Prefix::from_well_known(
        {prefix.embed(ip("192.0.0.170")), prefix.embed(ip("192.0.0.171"))});
    ASSERT_EQ(found.size(), 1U) << row.prefix << "/" << row.length;
    EXPECT_EQ(found[0], prefix) << found[0].address().to_string() << "/" << found[0].length();
  }
}

TEST(Nat64Prefix, WhatShowsNoneIsPassedOver) {
  const auto good = *Nat64Prefix::make(ip("64:ff9b::"), 96);
  EXPECT_TRUE(Nat64Prefix::from_well_known({}).empty());
  for (const char* text : {"192.0.0.170", "2001:db8::1", "fe80::c000:aa", "ff02::c000:aa",
                           "::ffff:192.0.0.170", "::1", "64:ff9b::c000:ac",
                           // In two places at once.
                           "2001:db8:c000:aa::c000:aa"}) {
    const auto address = IpAddress::parse(text);
    if (!address) continue;  // The parser knows no dotted IPv6.
    EXPECT_TRUE(Nat64Prefix::from_well_known({*address}).empty()) << text;
    const auto found = Nat64Prefix::from_well_known({*address, good.embed(ip("192.0.0.171"))});
    ASSERT_EQ(found.size(), 1U) << text;
    EXPECT_EQ(found[0], good);
  }
}

TEST(Nat64Prefix, SeveralPrefixesAreFoundAndTheirNumberIsBounded) {
  std::vector<IpAddress> answers;
  for (int i = 1; i <= 9; ++i) {
    const auto prefix =
        *Nat64Prefix::make(ip(("2001:db8:" + std::to_string(i) + "::").c_str()), 96);
    answers.push_back(prefix.embed(ip("192.0.0.170")));
  }
  EXPECT_EQ(Nat64Prefix::from_well_known(answers).size(), 4U);
}

}  // namespace
}  // namespace godwit
