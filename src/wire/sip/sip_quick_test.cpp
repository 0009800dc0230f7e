// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace godwit::wire {
namespace {

const char* const kInvite =
    "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport, SIP/2.0/TCP p.example.com\r\n"
    "v: SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKy\r\n"
    "Max-Forwards: 70\r\n"
    "f: \"Alice, A\" <sip:alice@atlanta.example.com>;tag=88\r\n"
    "To: Bob\r\n"
    "  <sip:bob@biloxi.example.com>\r\n"
    "Call-ID: abc@10.0.0.1\r\n"
    "CSeq: 1 INVITE\r\n"
    "Contact: <sip:alice@10.0.0.1:5060>\r\n"
    "Record-Route: <sip:p1;lr>\r\n"
    "X-Foo: bar\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 4\r\n"
    "\r\n"
    "v=0\nrest";

TEST(SipMessage, GoesThereAndBack) {
  const auto parsed = Message::parse(kInvite);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  const Message& m = *parsed;
  EXPECT_EQ(validate(m) ? validate(m)->what : "", "");
  EXPECT_EQ(m.method(), Method::Invite);
  EXPECT_EQ(m.body(), "v=0\n");
  EXPECT_EQ(m.first_named("x-foo"), "bar");
  std::vector<std::string_view> vias;
  for (const auto via : m.values(HeaderId::Via)) vias.push_back(via);
  ASSERT_EQ(vias.size(), 3U);
  EXPECT_EQ(vias[1], "SIP/2.0/TCP p.example.com");
  EXPECT_EQ(from_of(m)->display_name(), "Alice, A");
  EXPECT_EQ(from_tag_of(m), "88");
  EXPECT_EQ(to_of(m)->uri.user, "bob");

  ResponseDraft draft = make_response(
      m, 180, {.to_tag = "tt", .reason = "", .source = Endpoint{IpAddress::v4(10, 0, 0, 1), 5070}});
  draft.contact.wanted = true;
  const auto again = Message::parse(serialise(draft, "<sip:bob@10.0.0.2>"));
  ASSERT_TRUE(again);
  EXPECT_FALSE(validate(*again));
  EXPECT_EQ(again->status(), 180);
  EXPECT_EQ(again->reason(), "Ringing");
  EXPECT_EQ(to_tag_of(*again), "tt");
  EXPECT_EQ(top_via_of(*again)->rport(), 5070);
  EXPECT_EQ(top_via_of(*again)->received(), IpAddress::v4(10, 0, 0, 1));
  EXPECT_EQ(again->line_count(HeaderId::Via), 2U);
  EXPECT_EQ(again->first(HeaderId::RecordRoute), "<sip:p1;lr>");
}

}  // namespace
}  // namespace godwit::wire
