// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/uri.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

TEST(SipUri, ParsesItsParts) {
  struct Row {
    const char* text;
    Scheme scheme;
    const char* user;
    const char* password;
    const char* host;
    int port;  // 0: none
    const char* params;
    const char* headers;
  };
  const Row rows[] = {
      {"sip:example.com", Scheme::Sip, "", "", "example.com", 0, "", ""},
      {"SIPS:alice@example.com:5061", Scheme::Sips, "alice", "", "example.com", 5061, "", ""},
      {"sip:a:b@192.0.2.1", Scheme::Sip, "a", "b", "192.0.2.1", 0, "", ""},
      {"sip:a:@h", Scheme::Sip, "a", "", "h", 0, "", ""},
      {"sip:[2001:db8::10]:5070", Scheme::Sip, "", "", "[2001:db8::10]", 5070, "", ""},
      {"sip:[2001:db8::10:5070]", Scheme::Sip, "", "", "[2001:db8::10:5070]", 0, "", ""},
      {"sip:a@h;lr;transport=tcp", Scheme::Sip, "a", "", "h", 0, ";lr;transport=tcp", ""},
      {"sip:a@h:1;m=[::1]:2?x=y&z=", Scheme::Sip, "a", "", "h", 1, ";m=[::1]:2", "x=y&z="},
      {"sip:a;b=c?d@h", Scheme::Sip, "a;b=c?d", "", "h", 0, "", ""},
      {"sip:%61%00@h", Scheme::Sip, "%61%00", "", "h", 0, "", ""},
      {"sip:*72#@my_host", Scheme::Sip, "*72#", "", "my_host", 0, "", ""},
      {"tel:+1-(201).555;phone-context=x", Scheme::Tel, "+1-(201).555", "", "", 0,
       ";phone-context=x", ""},
      {"isbn:2983792873", Scheme::Other, "", "", "", 0, "", ""},
      {"soap.beep://192.0.2.103:3002", Scheme::Other, "", "", "", 0, "", ""},
  };
  for (const Row& row : rows) {
    const auto uri = Uri::parse(row.text);
    ASSERT_TRUE(uri) << row.text;
    EXPECT_EQ(uri->scheme, row.scheme) << row.text;
    EXPECT_EQ(uri->user, row.user) << row.text;
    EXPECT_EQ(uri->password, row.password) << row.text;
    EXPECT_EQ(uri->host, row.host) << row.text;
    EXPECT_EQ(uri->port.value_or(0), row.port) << row.text;
    EXPECT_EQ(uri->params.text(), row.params) << row.text;
    EXPECT_EQ(uri->headers, row.headers) << row.text;
    EXPECT_EQ(uri->text, row.text);
  }
}

TEST(SipUri, RefusesWhatIsNone) {
  const char* const rows[] = {
      "",
      "sip",
      "sip:",
      "sip:@h",
      "sip:a@",
      "sip:a@b@c",
      "sip: a@b",
      "sip:a@b ",
      "sip:a b@c",
      "1sip:a@b",
      "s<ip:a@b",
      ":a@b",
      "example.com",
      "sip:a@h:",
      "sip:a@h:0",
      "sip:a@h:65536",
      "sip:a@h:-1",
      "sip:a@h : 5060",
      "sip:a@h:5060x",
      "sip:a@2001:db8::10",
      "sip:[2001:db8::10",
      "sip:[192.0.2.1]",
      "sip:[2001:db8:::1]",
      "sip:[2001:db8::1]5060",
      "sip:a@h;",
      "sip:a@h;;lr",
      "sip:a@h;=x",
      "sip:a@h;x=",
      "sip:a@h;x=%4",
      "sip:a@h?",
      "sip:%4x@h",
      "sip:a%@h",
      "sip:a\"b@h",
      "sip:a@h>",
      "sip:a@h\r\nX: y",
      "tel:",
      "tel:x y",
      "http://a b",
      "http:",
  };
  for (const char* row : rows) EXPECT_FALSE(Uri::parse(row)) << row;
}

// RFC 3261 §19.1.4's own examples first, then ours.
TEST(SipUri, ComparesByTheRulesOfTheRfc) {
  struct Row {
    const char* a;
    const char* b;
    bool equal;
  };
  const Row rows[] = {
      {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
      {"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
      {"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
      {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
      {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
       "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
      {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
       "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
      {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
      {"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
      {"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
      {"sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on", false},
      {"sip:a@h", "sips:a@h", false},
      {"sip:a@h", "sip:h", false},
      {"sip:a:pw@h", "sip:a@h", false},
      {"sip:a@h;maddr=1.2.3.4", "sip:a@h", false},
      {"sip:a@h;lr", "sip:a@h", true},
      {"sip:a@h;x=1;x=2", "sip:a@h;x=1", true},  // of repeated names the first counts
      {"sip:a%40b@h", "sip:a%40B@h", false},
      {"sip:a%3bb@h", "sip:a;b@h", false},  // an escaped reserved character is another one
      {"sip:a@h?x=1", "sip:a@h?x=2", false},
      {"tel:+1-201-555", "tel:+1201555", true},
      {"tel:+1201555", "tel:1201555", false},
      {"isbn:1", "isbn:1", true},
      {"isbn:1", "isbn:2", false},
  };
  for (const Row& row : rows) {
    const auto a = Uri::parse(row.a);
    const auto b = Uri::parse(row.b);
    ASSERT_TRUE(a && b) << row.a << ' ' << row.b;
    EXPECT_EQ(equals(*a, *b), row.equal) << row.a << ' ' << row.b;
    EXPECT_EQ(equals(*b, *a), row.equal) << row.b << ' ' << row.a;
    EXPECT_TRUE(equals(*a, *a)) << row.a;
  }
}

TEST(SipUri, ComparisonOfHostileParameterListsIsBounded) {
  // 30 000 parameters: compared pair by pair this would be 9·10⁸ steps.
  std::string text = "sip:a@h";
  for (int i = 0; i < 15'000; ++i) text += ";p" + std::to_string(i % 7);
  const std::string other = text + ";q";
  const auto a = Uri::parse(text);
  const auto b = Uri::parse(other);
  ASSERT_TRUE(a && b);
  EXPECT_TRUE(equals(*a, *a));
  EXPECT_FALSE(equals(*a, *b));
}

TEST(SipParams, AreFoundByNameWithoutCase) {
  const Params params(";lr;Transport=tcp ; x = \"a;b=c\" ;y=;lr=second");
  EXPECT_EQ(params.get("LR"), "");
  EXPECT_EQ(params.get("transport"), "tcp");
  EXPECT_EQ(params.get("x"), "\"a;b=c\"");
  EXPECT_EQ(params.get("y"), "");
  EXPECT_EQ(params.get("b"), std::nullopt);
  int count = 0;
  for (const Param& param : params) {
    EXPECT_EQ(param.has_value, count == 1 || count == 2 || count == 3 || count == 4) << param.name;
    ++count;
  }
  EXPECT_EQ(count, 5);
  EXPECT_TRUE(Params("").empty());
  EXPECT_TRUE(Params(" ; ;").empty());
}

TEST(SipParams, KnowWellFormedOnes) {
  for (const char* good : {"", ";a", "a", ";a=b", "; a = b ;c", ";a=\"q\\\"q;\"", ";a=[::1]:80",
                           ";a=2001:db8::1", ";tag=_~1'+`*%!-."}) {
    EXPECT_TRUE(Params(good).well_formed()) << good;
  }
  for (const char* bad : {";", ";;", ";a;", ";a=", ";=b", ";a b", ";a=b c", ";a=\"open",
                          ";a=\"q\"x", ";a,b", ";a=<1", ";a=\"\\"}) {
    EXPECT_FALSE(Params(bad).well_formed()) << bad;
  }
}

TEST(SipText, IsEncodedAndQuotedBothWays) {
  EXPECT_EQ(percent_encode_user("alice smith@home:1%"), "alice%20smith%40home%3A1%25");
  EXPECT_EQ(percent_encode_user("+1-2;x=y"), "+1-2;x=y");
  EXPECT_EQ(percent_encode_header("a1-._@b;to-tag=x"), "a1-._%40b%3Bto-tag%3Dx");
  EXPECT_EQ(percent_decode("%41%4a%zz%4"), "AJ%zz%4");
  EXPECT_EQ(unquote("\"a \\\"b\\\\\""), "a \"b\\");
  EXPECT_EQ(unquote("plain"), "plain");
  EXPECT_EQ(unquote("\""), "\"");
  EXPECT_EQ(unquote("\"\\\""), "\\");  // unbalanced, as received
  EXPECT_EQ(quote("a \"b\\"), "\"a \\\"b\\\\\"");
  EXPECT_EQ(quote("a\r\nVia: b"), "\"a  Via: b\"");
  std::string every;
  for (int i = 1; i < 256; ++i) every += static_cast<char>(i);
  EXPECT_EQ(percent_decode(percent_encode_user(every)), every);
  const std::string encoded = "sip:" + percent_encode_user(every) + "@h";
  const auto uri = Uri::parse(encoded);
  ASSERT_TRUE(uri);
  EXPECT_EQ(percent_decode(uri->user), every);
}

}  // namespace
}  // namespace godwit::wire
