// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/sipfrag.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(Sipfrag, ReadsStatusLines) {
  EXPECT_EQ(parse_sipfrag("SIP/2.0 200 OK\r\n")->status, 200);
  EXPECT_EQ(parse_sipfrag("SIP/2.0 200 OK\r\n")->reason, "OK");
  EXPECT_EQ(parse_sipfrag("SIP/2.0 100 Trying\r\nVia: x\r\n")->status, 100);
  EXPECT_EQ(parse_sipfrag("sip/2.0 603 No, not now")->reason, "No, not now");
  EXPECT_EQ(parse_sipfrag("SIP/2.0 486")->status, 486);
  EXPECT_EQ(parse_sipfrag("SIP/2.0 486 ")->reason, "");
  EXPECT_EQ(parse_sipfrag("SIP/2.0 200 " + std::string(300, 'x'))->reason.size(), 128U);
  EXPECT_EQ(parse_sipfrag(to_sipfrag(180))->reason, "Ringing");
  EXPECT_EQ(to_sipfrag(603, "Decline"), "SIP/2.0 603 Decline\r\n");
}

TEST(Sipfrag, RefusesTheRest) {
  for (const char* body : {"", "SIP/2.0", "SIP/2.0 20", "SIP/2.0 2000 x", "SIP/2.0 099 x",
                           "SIP/2.0 700 x", "HTTP/1.1 200 OK", " SIP/2.0 200 OK", "SIP/2.0 -1 x"}) {
    EXPECT_FALSE(parse_sipfrag(body)) << body;
  }
}

}  // namespace
}  // namespace godwit::wire
