// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "godwit/trace.hpp"

namespace godwit {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string request_with(const std::string& line) {
  return "REGISTER sip:h SIP/2.0\r\n" + line + "\r\nCall-ID: visible\r\n\r\n";
}

std::string hidden(const std::string& message) {
  TraceConfig config;
  config.redaction = TraceRedaction::Identities;
  return trace_text(message, config);
}

TEST(TraceText, ShowsTheMessageWithoutItsSecrets) {
  for (const char* line :
       {"Authorization: Digest username=\"alice\", response=\"s3cret\"",
        "AUTHORIZATION : Digest response=\"s3cret\"", "proxy-authorization\t: Basic s3cret",
        "Authorization:\r\n Digest a=b,\r\n\tresponse=\"s3cret\"", "Authorization: Digest\n s3cret",
        "Authorization:\r s3cret", "Authorization: Digest nonce=\"\\\"; s3cret",
        "Authentication-Info: rspauth=\"s3cret\", cnonce=\"s3cret\"",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret", "k=clear:s3cret", "A=ICE-PWD:s3cret",
        "a=key-mgmt:mikey s3cret"}) {
    const auto text = trace_text(request_with(line));
    EXPECT_THAT(text, Not(HasSubstr("s3cret"))) << line;
    EXPECT_THAT(text, HasSubstr("(redacted)")) << line;
    EXPECT_THAT(text, HasSubstr("REGISTER sip:h SIP/2.0\n"));
    EXPECT_THAT(text, HasSubstr("Call-ID: visible\n"));
  }
}

TEST(TraceText, HidesKeysOfMediaHoweverTheyAreIndented) {
  for (const char* lines :
       {"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cret", " a=crypto:1 inline:s3cret",
        "\t a=crypto:1 inline:s3cret", "a=crypto:1 AES\r\n inline:s3cret",
        "k=clear:\r\n\ts3cret\r\n s3cret", " k=clear:s3cret"}) {
    const std::string message = "INVITE sip:h SIP/2.0\r\nCall-ID: visible\r\n\r\nv=0\r\n" +
                                std::string(lines) + "\r\nm=audio 4000 RTP/SAVP 0\r\n b=shown\r\n";
    const auto text = trace_text(message);
    EXPECT_THAT(text, Not(HasSubstr("s3cret"))) << lines;
    EXPECT_THAT(text, HasSubstr("\nm=audio 4000 RTP/SAVP 0\n b=shown\n")) << lines;
  }
}

TEST(TraceText, HidesPushTokensAndPasswordsWhereverTheyStand) {
  for (const char* line :
       {"Contact: <sip:a@h;pn-provider=fcm;pn-prid=s3cret;ob>;expires=60",
        "m: <sip:a@h;PN-PRID=s3cret>", "Contact: <sip:a@h;%70n-pri%64=s3cret>",
        "Contact: sip:a@h;pn-prid = s3cret", "Contact: <sip:a@h;pn-prid=\r\n s3cret>",
        "Contact: <sip:a@h;pn-prid=\"x;s3cret>", "Contact: <sip:a@h;pn-prid=\"x\\\";s3cret\">",
        "Contact: <sip:a@h>;\tpn-prid=a s3cret", "X-Strange: &pn-prid=s3cret",
        "Contact: <sip:alice:s3cret@h>", "t: SIPS:alice;pn-prid=s3cret:s3cret@h",
        "Contact: sip:sip:s3cret@h", "Refer-To: <sip:b@h?Proxy-Authorization=Digest%20s3cret&X=1>",
        "r: <sip:b@h?%41uthorization=s3cret>"}) {
    const auto text = trace_text(request_with(line));
    EXPECT_THAT(text, Not(HasSubstr("s3cret"))) << text;
    EXPECT_THAT(text, HasSubstr("Call-ID: visible\n"));
  }
  const auto pushed = trace_text("INVITE sip:a@h;pn-prid=s3cret;ob SIP/2.0\r\n\r\n");
  EXPECT_EQ(pushed, "INVITE sip:a@h;pn-prid=(redacted);ob SIP/2.0\n\n");
}

TEST(TraceText, LeavesTheRestAsItIs) {
  const std::string message =
      "INVITE sip:bob@h:5060;transport=tcp SIP/2.0\r\n"
      "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1;rport\r\n"
      "From: \"A; pn\" <sip:alice@h>;tag=1\r\nSubject: a?b&c;d=e\r\n\r\nv=0\r\nc=IN IP4 h\r\n";
  std::string expected = message;
  std::erase(expected, '\r');
  EXPECT_EQ(trace_text(message), expected);
  TraceConfig everything;
  everything.redaction = TraceRedaction::Nothing;
  EXPECT_THAT(trace_text(request_with("Authorization: s3cret"), everything), HasSubstr("s3cret"));
}

TEST(TraceText, DigitsInBodiesAreSecrets) {
  EXPECT_THAT(trace_text("INFO sip:h SIP/2.0\r\nc : application/dtmf\r\n\r\n7"),
              testing::EndsWith("(body of 1 bytes)\n"));
  EXPECT_THAT(trace_text("INFO sip:h SIP/2.0\r\nContent-Type: APPLICATION/dtmf-relay\r\n\r\n"
                         "Signal=7\r\nDuration=160"),
              Not(HasSubstr("=7")));
  EXPECT_THAT(trace_text("INFO sip:h SIP/2.0\r\nContent-Type: multipart/mixed\r\n\r\n"
                         "--b\r\nSIGNAL = 7\r\nDuration=160"),
              testing::AllOf(Not(HasSubstr("= 7")), HasSubstr("Duration=160")));
}

TEST(TraceText, HeadersOnlyTellsTheBodysSize) {
  TraceConfig config;
  config.level = TraceLevel::Headers;
  EXPECT_EQ(trace_text("MESSAGE sip:h SIP/2.0\r\nCSeq: 1 MESSAGE\r\n\r\nhello\r\nyou", config),
            "MESSAGE sip:h SIP/2.0\nCSeq: 1 MESSAGE\n\n(body of 10 bytes)\n");
}

TEST(TraceText, HidesWhoTalksToWhom) {
  for (const char* line :
       {"From: \"Al1ce\" <sip:al1ce@h>;tag=1", "f: Al1ce Smith <sip:al1ce@h>",
        "From: \"Bob <sip:x@y> Al1ce\" <sip:al1ce@h>", "From: \"Al1ce <sip:al1ce@h>",
        "t: sip:al1ce:pw@h;tag=9", "TO : <tel:+1-al1ce;phone-context=h>", "Contact: Al1ce",
        "m: \"x\" <sip:ok@h>, \"Al1ce\"\r\n <SIPS:al1ce@h>;q=1;x=\"al1ce\"", "Subject: al1ce",
        "s: al1ce", "X-Caller: al1ce", "Call-Info: <http://h/al1ce>",
        "Refer-To: <sip:b@h?From=al1ce%40h>", "r: <sip:b@h;x?y=al1ce", "broken al1ce",
        "P-Asserted-Identity: Al1ce sip:al1ce@h", "Route: <sip:al1ce@proxy;lr>",
        "Diversion: \"al1ce", "History-Info: <sip:al1ce@h?Reason=al1ce>;index=1"}) {
    std::string text = hidden(request_with(line));
    EXPECT_THAT(text, HasSubstr("Call-ID: visible\n")) << text;
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return static_cast<char>(std::tolower(c)); });
    EXPECT_THAT(text, Not(HasSubstr("al1ce"))) << text;
  }
  EXPECT_EQ(hidden("MESSAGE sip:al1ce@h;ob SIP/2.0\r\nFrom: \"A\" <sip:a@h>;tag=1\r\n"
                   "Contact: *\r\nVia: SIP/2.0/UDP h;branch=z\r\n\r\nsee you"),
            "MESSAGE sip:(hidden)@h;ob SIP/2.0\nFrom: <sip:(hidden)@h>;tag=1\nContact: *\n"
            "Via: SIP/2.0/UDP h;branch=z\n\n(body of 7 bytes)\n");
}

TEST(TraceText, NeutralisesControlCharactersAndBoundsTheLength) {
  EXPECT_EQ(trace_text(std::string("OPTIONS \x1b[2J\x00\x7f", 14) + "\r\n"), "OPTIONS .[2J..\n");
  const auto cut = trace_text(std::string(100'000, 'x'));
  EXPECT_LT(cut.size(), TraceConfig{}.max_text + 64);
  EXPECT_THAT(cut, HasSubstr("(91808 more bytes)"));
  TraceConfig tiny;
  tiny.max_text = 0;
  EXPECT_THAT(trace_text(std::string(1'000, 'x'), tiny), HasSubstr("(744 more bytes)"));
  EXPECT_EQ(trace_text(""), "");
}

TEST(TraceText, ASecretCutOffByTheLimitStaysHidden) {
  for (const char* secret : {"\r\nAuthorization: Digest response=\"s3cret\"", ";pn-prid=s3cret",
                             "sip:alice:s3cret@example.org"}) {
    for (std::size_t room = 0; room < 60; ++room) {
      std::string message = "REGISTER sip:h SIP/2.0\r\nX: ";
      message += std::string(TraceConfig{}.max_text - message.size() - room, 'y');
      EXPECT_THAT(trace_text(message + secret + "\r\n\r\n"), Not(HasSubstr("s3c"))) << room;
    }
  }
}

TEST(TraceText, WritesARecordForPeople) {
  TraceRecord record;
  record.outgoing = true;
  record.transport = "TLS";
  record.local = {IpAddress::v4(192, 0, 2, 1), 5061};
  record.remote = {IpAddress::v4(192, 0, 2, 2), 5061};
  record.flow = 3;
  record.generation = Generation{2};
  record.size = 17;
  record.text = "BYE\n";
  EXPECT_EQ(to_string(record),
            "192.0.2.1:5061 -> 192.0.2.2:5061 TLS, flow 3, generation 2, 17 bytes\nBYE\n");
}

}  // namespace
}  // namespace godwit
