// SPDX-License-Identifier: Apache-2.0
#include "runtime/sip_trace.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace godwit::runtime {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(SipTrace, ShowsTheMessageWithoutItsSecrets) {
  for (const char* header :
       {"Authorization: Digest username=\"alice\", response=\"s3cret\"",
        "AUTHORIZATION : Digest response=\"s3cret\"", "proxy-authorization\t: Basic s3cret",
        "Authorization:\r\n Digest a=b,\r\n\tresponse=\"s3cret\"", "Authorization: Digest\n s3cret",
        "Authorization:\r s3cret", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret",
        "k=clear:s3cret"}) {
    const auto text = redacted_trace(std::string("REGISTER sip:h SIP/2.0\r\n") + header +
                                     "\r\nCall-ID: visible\r\n\r\n");
    EXPECT_THAT(text, Not(HasSubstr("s3cret"))) << header;
    EXPECT_THAT(text, HasSubstr("(redacted)")) << header;
    EXPECT_THAT(text, HasSubstr("REGISTER sip:h SIP/2.0\n"));
    EXPECT_THAT(text, HasSubstr("Call-ID: visible\n"));
  }
}

TEST(SipTrace, NeutralisesControlCharactersAndBoundsTheLength) {
  const auto text = redacted_trace(std::string("OPTIONS \x1b[2J\x00\x7f", 14) + "\r\n");
  EXPECT_EQ(text, "OPTIONS .[2J..\n");
  const auto cut = redacted_trace(std::string(100'000, 'x'));
  EXPECT_LT(cut.size(), kMaxTrace + 64);
  EXPECT_THAT(cut, HasSubstr("95904 more bytes"));
  EXPECT_EQ(redacted_trace(""), "");
}

TEST(SipTrace, ASecretCutOffByTheLimitStaysHidden) {
  std::string message = "REGISTER sip:h SIP/2.0\r\nX: ";
  message += std::string(kMaxTrace - message.size() - 30, 'y');
  message += "\r\nAuthorization: Digest response=\"s3cret\"\r\n\r\n";
  EXPECT_THAT(redacted_trace(message), Not(HasSubstr("Digest")));
}

}  // namespace
}  // namespace godwit::runtime
