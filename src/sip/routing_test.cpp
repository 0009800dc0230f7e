// SPDX-License-Identifier: Apache-2.0
#include "sip/routing.hpp"

#include <gtest/gtest.h>

namespace godwit::sip {
namespace {

TEST(Towards, LiteralsAreFollowedAndNothingElse) {
  Flow v4;
  v4.local = *Endpoint::parse("192.0.2.1:5060");
  v4.remote = *Endpoint::parse("198.51.100.1:5080");
  Flow v6;
  v6.local = *Endpoint::parse("[2001:db8::1]:5060");
  v6.remote = *Endpoint::parse("[2001:db8::2]:5080");
  const struct {
    const Flow& flow;
    const char* uri;
    const char* remote;
  } cases[] = {
      {v4, "sip:bob@203.0.113.7", "203.0.113.7:5060"},
      {v4, "sip:203.0.113.7:5070;lr", "203.0.113.7:5070"},
      {v4, "sip:p.example.org;lr;maddr=203.0.113.8", "203.0.113.8:5060"},
      {v4, "sip:p.example.org:5070", "198.51.100.1:5080"},
      {v4, "sip:bob@[2001:db8::7]", "198.51.100.1:5080"},
      {v6, "sip:bob@[2001:db8::7]:5070", "[2001:db8::7]:5070"},
      {v6, "sip:bob@203.0.113.7", "[2001:db8::2]:5080"},
      {v4, "sip:bob@0.0.0.0", "198.51.100.1:5080"},
      {v4, "sip:bob@224.0.1.75", "198.51.100.1:5080"},
      {v4, "tel:+123", "198.51.100.1:5080"},
      {v4, "rubbish", "198.51.100.1:5080"},
  };
  for (const auto& c : cases) {
    const Flow flow = towards(c.flow, c.uri);
    EXPECT_EQ(flow.remote, *Endpoint::parse(c.remote)) << c.uri;
    EXPECT_EQ(flow.local, c.flow.local);
    EXPECT_EQ(flow.listener, c.flow.listener);
  }
}

}  // namespace
}  // namespace godwit::sip
