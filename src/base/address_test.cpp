// SPDX-License-Identifier: Apache-2.0
#include "godwit/address.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(IpAddress, ParsesAndPrintsCanonically) {
  struct Row {
    const char* text;
    const char* canonical;  // nullptr: not an address
  };
  const Row rows[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"256.0.0.1", nullptr},
      {"1.2.3", nullptr},
      {"1.2.3.4.5", nullptr},
      {"01.2.3.4", nullptr},
      {"1.2.3.4 ", nullptr},
      {"", nullptr},
      {"::", "::"},
      {"::1", "::1"},
      {"[::1]", "::1"},
      {"[1.2.3.4]", nullptr},
      {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"fe80::1:2", "fe80::1:2"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"1:2:3:4:5:6:7:8:9", nullptr},
      {"1::2::3", nullptr},
      {":1", nullptr},
      {"1:", nullptr},
      {"12345::", nullptr},
      {"::1%eth0", nullptr},
  };
  for (const Row& row : rows) {
    const auto parsed = IpAddress::parse(row.text);
    ASSERT_EQ(parsed.has_value(), row.canonical != nullptr) << row.text;
    if (parsed) {
      EXPECT_EQ(parsed->to_string(), row.canonical);
    }
  }
}

TEST(IpAddress, KnowsItsScope) {
  const auto address = [](const char* text) { return IpAddress::parse(text).value(); };
  EXPECT_TRUE(address("169.254.3.4").is_link_local());
  EXPECT_TRUE(address("fe80::1").is_link_local());
  EXPECT_FALSE(address("fec0::1").is_link_local());
  EXPECT_TRUE(address("172.31.0.1").is_private_v4());
  EXPECT_FALSE(address("172.32.0.1").is_private_v4());
  EXPECT_TRUE(address("100.64.0.1").is_private_v4());
  EXPECT_TRUE(address("fd00:2::2").is_unique_local());
  EXPECT_TRUE(address("192.0.0.2").is_clat());
  EXPECT_FALSE(address("192.0.0.8").is_clat());
  EXPECT_TRUE(address("127.9.9.9").is_loopback());
  EXPECT_TRUE(address("::1").is_loopback());
  EXPECT_TRUE(address("ff02::1").is_multicast());
}

TEST(Endpoint, ParsesWithAndWithoutPort) {
  EXPECT_EQ(Endpoint::parse("192.0.2.1:5070")->to_string(), "192.0.2.1:5070");
  EXPECT_EQ(Endpoint::parse("192.0.2.1", 5060)->port, 5060);
  EXPECT_EQ(Endpoint::parse("[2001:db8::1]:5070")->to_string(), "[2001:db8::1]:5070");
  EXPECT_EQ(Endpoint::parse("2001:db8::1", 5060)->to_string(), "[2001:db8::1]:5060");
  EXPECT_FALSE(Endpoint::parse("192.0.2.1:"));
  EXPECT_FALSE(Endpoint::parse("192.0.2.1:65536"));
  EXPECT_FALSE(Endpoint::parse("[2001:db8::1]5060"));
  EXPECT_FALSE(Endpoint::parse("example.org:5060"));
}

}  // namespace
}  // namespace godwit
