// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/reason.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(Reason, IsReadAndWritten) {  // RFC 3326 §2.
  const auto reason = parse_reason("SIP ;cause=200 ;text=\"Call completed \\\"elsewhere\\\"\"");
  ASSERT_TRUE(reason);
  EXPECT_EQ(*reason, (ReasonHeader{"SIP", 200, "Call completed \"elsewhere\""}));
  EXPECT_EQ(to_string(*reason), "SIP;cause=200;text=\"Call completed \\\"elsewhere\\\"\"");
  EXPECT_EQ(parse_reason(to_string(*reason)), reason);
  EXPECT_EQ(to_string(ReasonHeader{"Q.850", 16, ""}), "Q.850;cause=16");
}

TEST(Reason, OddOnesAreReadAsFarAsTheyMakeSense) {
  EXPECT_FALSE(parse_reason(""));
  EXPECT_FALSE(parse_reason(";cause=200"));
  EXPECT_EQ(parse_reason("SIP;cause=many")->cause, 0);
  EXPECT_EQ(parse_reason("SIP;cause=4294967296")->cause, 0);
  EXPECT_EQ(parse_reason("SIP;text=\"" + std::string(5000, 'x') + "\"")->text.size(), 256U);
}

TEST(Reason, OfTheProtocolSipComesFirst) {
  const auto message = Message::parse(
      "BYE sip:a@example.org SIP/2.0\r\nReason: Q.850;cause=16;text=\"Terminated\", "
      "SIP;cause=600\r\n\r\n");
  ASSERT_TRUE(message);
  EXPECT_EQ(reason_of(*message)->cause, 600);
  const auto none = Message::parse("BYE sip:a@example.org SIP/2.0\r\nReason: ;;\r\n\r\n");
  ASSERT_TRUE(none);
  EXPECT_FALSE(reason_of(*none));
}

}  // namespace
}  // namespace godwit::wire
