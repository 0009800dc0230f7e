// SPDX-License-Identifier: Apache-2.0
#include "testing/sip_text.hpp"

#include <gtest/gtest.h>

namespace godwit::testing {
namespace {

TEST(SipText, ReadsAndWritesARequest) {
  const std::string wire =
      "INVITE sip:bob@example.org SIP/2.0\r\n"
      "v: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n"
      "From: \"A, B\" <sip:a@x>;tag=1\r\n"
      "Subject: one\r\n two\r\n"
      "l: 4\r\n\r\nbodyrest";
  const auto message = SipText::parse(wire);
  ASSERT_TRUE(message) << message.error().detail;
  EXPECT_EQ(message->method, "INVITE");
  EXPECT_EQ(message->uri, "sip:bob@example.org");
  EXPECT_EQ(message->first("via"), "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1");
  EXPECT_EQ(message->first("Subject"), "one two");
  EXPECT_EQ(message->body, "body");
  EXPECT_EQ(message->values("From").size(), 1U) << "a comma in quotes separates nothing";
  const auto again = SipText::parse(message->to_string());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->headers.size(), message->headers.size());
  EXPECT_EQ(again->body, "body");
}

TEST(SipText, RefusesWhatIsNotSip) {
  for (const char* bytes :
       {"", "\r\n", "INVITE\r\n\r\n", "INVITE sip:a SIP/3.0\r\n\r\n", "SIP/2.0 20 OK\r\n\r\n",
        "SIP/2.0 700 No\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\nTo: x\r\n",
        "OPTIONS sip:a SIP/2.0\r\nno colon\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\n folded\r\n\r\n",
        "OPTIONS sip:a SIP/2.0\r\nContent-Length: 5\r\n\r\nfour",
        "OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n", "OPT IONS sip:a SIP/2.0\r\n\r\n"}) {
    EXPECT_FALSE(SipText::parse(bytes)) << bytes;
  }
  std::string many = "OPTIONS sip:a SIP/2.0\r\n";
  for (std::size_t i = 0; i <= kMaxSipTextHeaders; ++i) many += "X: y\r\n";
  EXPECT_FALSE(SipText::parse(many + "\r\n"));
}

TEST(SipText, EditsListsWherePartsStandTogether) {
  auto message = *SipText::parse(
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n\r\n");
  EXPECT_EQ(message.values("Via").size(), 3U);
  message.remove_first_value("Via");
  EXPECT_EQ(message.values("Via").front(), "SIP/2.0/UDP b");
  message.remove_first_value("Via");
  EXPECT_EQ(message.values("Via"), std::vector<std::string>{"SIP/2.0/UDP c"});
  message.prepend("Via", "SIP/2.0/UDP d");
  EXPECT_EQ(message.first("Via"), "SIP/2.0/UDP d");
}

TEST(SipText, FindsParameters) {
  const std::string contact = "\"a;b\" <sip:x@h;transport=udp>;expires=60;+sip.instance=\"<u>\";f";
  EXPECT_EQ(parameter(contact, "EXPIRES"), "60");
  EXPECT_EQ(parameter(contact, "+sip.instance"), "<u>");
  EXPECT_EQ(parameter(contact, "f"), "");
  EXPECT_FALSE(parameter(contact, "transport")) << "belongs to the URI";
  EXPECT_EQ(uri_of(contact), "sip:x@h;transport=udp");
  EXPECT_EQ(with_parameter("SIP/2.0/UDP a;rport;branch=b", "rport", "9"),
            "SIP/2.0/UDP a;rport=9;branch=b");
}

TEST(SipText, TakesUrisApart) {
  const auto uri = parse_uri("sip:bob:pw@[2001:db8::1]:5070;lr?x=y");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->user, "bob");
  EXPECT_EQ(uri->literal(), Endpoint::parse("[2001:db8::1]:5070"));
  EXPECT_EQ(uri->parameters, "lr?x=y");
  EXPECT_EQ(parse_uri("sip:Example.ORG")->host, "example.org");
  EXPECT_EQ(parse_uri("sip:bob@example.org:5070")->user, "bob");
  for (const char* bad : {"tel:1", "sip:", "sip:a:0", "sip:a:99999", "sip:[::1", "sip:a:x", ""}) {
    EXPECT_FALSE(parse_uri(bad)) << bad;
  }
}

}  // namespace
}  // namespace godwit::testing
