// SPDX-License-Identifier: Apache-2.0
#include "base/host_port.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(HostPort, NamesAndLiteralsWithAndWithoutPort) {
  const auto name = parse_host_port("stun.example.org");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host, "stun.example.org");
  EXPECT_FALSE(name->port || name->address);
  const auto with_port = parse_host_port("stun.example.org:3479");
  ASSERT_TRUE(with_port);
  EXPECT_EQ(with_port->host, "stun.example.org");
  EXPECT_EQ(with_port->port, 3479);
  const auto v4 = parse_host_port("192.0.2.1:3478");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->address, IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(v4->port, 3478);
  for (const char* text : {"2001:db8::1", "[2001:db8::1]"}) {
    const auto v6 = parse_host_port(text);
    ASSERT_TRUE(v6) << text;
    EXPECT_EQ(v6->address, IpAddress::parse("2001:db8::1"));
    EXPECT_FALSE(v6->port);
  }
  const auto v6_port = parse_host_port("[2001:db8::1]:1");
  ASSERT_TRUE(v6_port);
  EXPECT_EQ(v6_port->port, 1);
}

TEST(HostPort, WhatIsNoServerIsRefused) {
  const std::string long_name(254, 'a');
  for (const std::string& text :
       {std::string(), std::string(":3478"), std::string("a:0"), std::string("a:65536"),
        std::string("a:"), std::string("a:1x"), std::string("stun example"), std::string("a/b"),
        std::string("stun\r\n.org"), std::string("[2001:db8::1"), long_name}) {
    const auto parsed = parse_host_port(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(parsed.error().detail.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace godwit
