// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/builder.hpp"

#include <gtest/gtest.h>

#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace godwit::wire {
namespace {

Message must_parse(std::string text) {
  auto parsed = Message::parse(std::move(text));
  if (!parsed) throw std::runtime_error(parsed.error().detail);
  return std::move(*parsed);
}

RequestDraft register_draft() {
  RequestDraft draft;
  draft.method = Method::Register;
  draft.request_uri = "sip:example.com";
  draft.headers = {{HeaderId::From, "<sip:a@example.com>;tag=1"},
                   {HeaderId::To, "<sip:a@example.com>"},
                   {HeaderId::CallId, "c1"},
                   {HeaderId::CSeq, "1 REGISTER"}};
  return draft;
}

TEST(SipRequestDraft, IsWrittenWithItsSlots) {
  RequestDraft draft = register_draft();
  draft.headers.emplace_back("X-Foo", "bar");
  draft.headers.emplace_back("k", "outbound");  // a known name becomes its id
  draft.contact = {true, "a b", ";ob", ";expires=60"};
  draft.content_type = "text/plain";
  draft.body = "hi";
  const Endpoint local{IpAddress::v4(192, 0, 2, 9), 5070};
  const std::string text = serialise(draft, make_via("UDP", local, "z9hG4bKq"),
                                     make_contact(draft.contact, "UDP", local));
  EXPECT_EQ(text,
            "REGISTER sip:example.com SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKq;rport\r\n"
            "Max-Forwards: 70\r\n"
            "From: <sip:a@example.com>;tag=1\r\n"
            "To: <sip:a@example.com>\r\n"
            "Call-ID: c1\r\n"
            "CSeq: 1 REGISTER\r\n"
            "X-Foo: bar\r\n"
            "Supported: outbound\r\n"
            "Contact: <sip:a%20b@192.0.2.9:5070;ob>;expires=60\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 2\r\n"
            "\r\n"
            "hi");
  EXPECT_FALSE(validate(must_parse(text)));
}

TEST(SipRequestDraft, SlotsOfEachTransport) {
  const Endpoint v6{IpAddress::parse("2001:db8::1").value(), 5061};
  EXPECT_EQ(make_via("TLS", v6, "b", false), "SIP/2.0/TLS [2001:db8::1]:5061;branch=b");
  EXPECT_EQ(make_contact({true, "", "", ""}, "TCP", v6), "<sip:[2001:db8::1]:5061;transport=tcp>");
  EXPECT_EQ(make_contact({true, "u", "", ""}, "", {v6.address, 0}), "<sip:u@[2001:db8::1]>");
}

TEST(SipRequestDraft, KeepsGivenMaxForwardsAndOwnsContentLength) {
  RequestDraft draft = register_draft();
  draft.headers.emplace_back(HeaderId::MaxForwards, "3");
  draft.headers.emplace_back(HeaderId::ContentLength, "999");
  draft.headers.emplace_back("l", "998");
  draft.headers.emplace_back(HeaderId::ContentType, "a/b");
  draft.body = "x";
  const Message without = must_parse(serialise(draft, "SIP/2.0/UDP h;branch=z9hG4bK1", "unused"));
  EXPECT_EQ(max_forwards_of(without), 3);
  EXPECT_EQ(without.line_count(HeaderId::MaxForwards), 1U);
  EXPECT_EQ(without.line_count(HeaderId::ContentLength), 1U);
  EXPECT_EQ(without.first(HeaderId::ContentType), "a/b");
  EXPECT_EQ(without.body(), "x");
  EXPECT_FALSE(without.has(HeaderId::Contact));
  draft.content_type = "c/d";
  const Message with = must_parse(serialise(draft, "", ""));
  EXPECT_EQ(with.line_count(HeaderId::ContentType), 1U);
  EXPECT_EQ(with.first(HeaderId::ContentType), "c/d");
  EXPECT_FALSE(with.has(HeaderId::Via));
}

// Whatever the application or the user gives, no header appears that was not put into the draft.
TEST(SipRequestDraft, CannotBeMadeToInjectHeaders) {
  const std::string evil = std::string("x\r\nEvil: 1\nEvil: 2\rEvil: 3") + '\0' + "\r\n\r\nbody";
  RequestDraft draft = register_draft();
  draft.headers.clear();
  draft.method = Method::Unknown;
  draft.method_text = evil;
  draft.request_uri = "sip:a@b SIP/2.0\r\nEvil: 4\r\n\r\n<>";
  draft.headers.emplace_back(HeaderId::Subject, evil);
  draft.headers.emplace_back(evil, "value");
  draft.headers.emplace_back("Bad Name", "value");
  draft.headers.emplace_back("", "value");
  draft.headers.emplace_back("X-Fine", "\r\n folded?");
  draft.contact.wanted = true;
  draft.content_type = evil;
  draft.body = "BODY";
  const std::string text = serialise(draft, evil, evil);
  EXPECT_EQ(text.substr(0, 6), "? sip:");
  EXPECT_EQ(text.find('\0'), std::string::npos);
  draft.method_text = "FOO";
  const Message m = must_parse(serialise(draft, evil, evil));
  EXPECT_EQ(m.flaw(), ParseFlaw::None);
  EXPECT_EQ(m.method_text(), "FOO");
  EXPECT_EQ(m.request_uri(), "sip:a@b%20SIP/2.0%0D%0AEvil:%204%0D%0A%0D%0A%3C%3E");
  EXPECT_EQ(m.first_named("Evil"), std::nullopt);
  EXPECT_EQ(m.header_count(), 7U);  // Via Max-Forwards Subject X-Fine Contact -Type -Length
  EXPECT_EQ(m.body(), "BODY");

  ResponseDraft response;
  response.status = 200;
  response.reason = evil;
  response.headers.emplace_back(HeaderId::Server, evil);
  response.contact.wanted = true;
  const Message r = must_parse(serialise(response, evil));
  EXPECT_EQ(r.first_named("Evil"), std::nullopt);
  EXPECT_EQ(r.header_count(), 3U);
}

TEST(SipDraftHeaders, AreCheckedWhenAddedByName) {
  DraftHeaders headers;
  EXPECT_TRUE(add_header(headers, "X-Foo", "bar"));
  EXPECT_TRUE(add_header(headers, "subject", "\xc3\xbc\tx"));
  for (const char* name : {"", "X Foo", "X:", "X\r\n", "\xc3\xbc"}) {
    const auto result = add_header(headers, name, "v");
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, ErrorCode::InvalidArgument);
  }
  for (const std::string& value :
       {std::string("a\r\nb"), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(add_header(headers, "X", value));
  }
  ASSERT_EQ(headers.size(), 2U);
  EXPECT_EQ(headers[1].id, HeaderId::Subject);

  set_header(headers, HeaderId::Subject, "new");
  set_header(headers, HeaderId::Event, "presence");
  headers.emplace_back(HeaderId::Subject, "again");
  set_header(headers, HeaderId::Subject, "only");
  EXPECT_EQ(headers.size(), 3U);
  EXPECT_EQ(*find_header(headers, HeaderId::Subject), "only");
  EXPECT_EQ(find_header(headers, HeaderId::To), nullptr);
}

const char* const kInvite =
    "INVITE sip:bob@192.0.2.4 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.1:5060 ;branch=z9hG4bKx;rport;x=\"a,b\" , SIP/2.0/TCP p1\r\n"
    "v: SIP/2.0/UDP p2;branch=z9hG4bKy\r\n"
    "Record-Route: <sip:r1;lr>, <sip:r2;lr>\r\n"
    "Record-Route: <sip:r3;lr>\r\n"
    "Route: <sip:here;lr>\r\n"
    "f: \"A, B\" <sip:alice@example.com>;tag=88\r\n"
    "To:\r\n Bob <sip:bob@example.com>\r\n"
    "Call-ID: abc@10.0.0.1\r\n"
    "CSeq: 0042 INVITE\r\n"
    "Timestamp: 54\r\n"
    "Contact: <sip:alice@10.0.0.1>\r\n"
    "X-Foo: bar\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 4\r\n"
    "\r\n"
    "bodyrest";

TEST(SipResponse, CopiesWhatTheRfcSays) {
  const Message request = must_parse(kInvite);
  ResponseDraft draft = make_response(
      request, 180,
      {.to_tag = "tt", .reason = {}, .source = Endpoint{IpAddress::v4(198, 51, 100, 7), 6000}});
  draft.contact.wanted = true;
  EXPECT_EQ(serialise(draft, "<sip:bob@192.0.2.4>"),
            "SIP/2.0 180 Ringing\r\n"
            "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport=6000;x=\"a,b\""
            ";received=198.51.100.7, SIP/2.0/TCP p1\r\n"
            "Via: SIP/2.0/UDP p2;branch=z9hG4bKy\r\n"
            "Record-Route: <sip:r1;lr>, <sip:r2;lr>\r\n"
            "Record-Route: <sip:r3;lr>\r\n"
            "From: \"A, B\" <sip:alice@example.com>;tag=88\r\n"
            "To: Bob <sip:bob@example.com>;tag=tt\r\n"
            "Call-ID: abc@10.0.0.1\r\n"
            "CSeq: 0042 INVITE\r\n"
            "Contact: <sip:bob@192.0.2.4>\r\n"
            "Content-Length: 0\r\n"
            "\r\n");
}

TEST(SipResponse, DependsOnStatusAndRequest) {
  const Message invite = must_parse(kInvite);
  const auto response = [&](int status, ResponseOptions options = {}) {
    return must_parse(serialise(make_response(invite, status, options), ""));
  };
  const Message trying = response(100, {.to_tag = "tt"});
  EXPECT_EQ(to_tag_of(trying), "");
  EXPECT_EQ(trying.first(HeaderId::Timestamp), "54");
  EXPECT_FALSE(trying.has(HeaderId::RecordRoute));
  EXPECT_EQ(top_via_text(trying), top_via_text(invite));  // no source given: untouched
  const Message busy = response(486, {.to_tag = "tt", .reason = "Not Now"});
  EXPECT_EQ(busy.reason(), "Not Now");
  EXPECT_EQ(to_tag_of(busy), "tt");
  EXPECT_FALSE(busy.has(HeaderId::RecordRoute));
  EXPECT_FALSE(busy.has(HeaderId::Timestamp));
  EXPECT_EQ(response(299).reason(), "Success");

  const Message tagged = must_parse(
      "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nRecord-Route: <sip:r;lr>\r\n"
      "From: <sip:f>;tag=1\r\nTo: <sip:t>;tag=2\r\nCall-ID: c\r\nCSeq: 2 BYE\r\n\r\n");
  const Message ok = must_parse(serialise(make_response(tagged, 200, {.to_tag = "tt"}), ""));
  EXPECT_EQ(ok.first(HeaderId::To), "<sip:t>;tag=2");
  EXPECT_FALSE(ok.has(HeaderId::RecordRoute));

  // Even where nearly everything is missing, the answer is a message.
  const Message poor = must_parse("FOO x SIP/2.0\r\nVia: garbage\r\nTo: \"open\r\n\r\n");
  const Message bad = must_parse(serialise(
      make_response(poor, 400,
                    {.to_tag = "t", .source = Endpoint{IpAddress::v4(192, 0, 2, 1), 5060}}),
      ""));
  EXPECT_EQ(bad.status(), 400);
  EXPECT_EQ(top_via_text(bad), "garbage");
}

TEST(SipVia, IsStampedWithTheSource) {
  const Endpoint v4{IpAddress::v4(192, 0, 2, 1), 4000};
  const Endpoint v6{IpAddress::parse("2001:db8::9").value(), 4001};
  struct Row {
    const char* via;
    Endpoint source;
    const char* stamped;
  };
  const Row rows[] = {
      // sent-by is the source: nothing to add
      {"SIP/2.0/UDP 192.0.2.1;branch=b", v4, "SIP/2.0/UDP 192.0.2.1;branch=b"},
      // … unless the client asked for it (RFC 3581 §4: received even if they are equal)
      {"SIP/2.0/UDP 192.0.2.1;rport;branch=b", v4,
       "SIP/2.0/UDP 192.0.2.1;rport=4000;branch=b;received=192.0.2.1"},
      {"SIP/2.0/UDP 10.0.0.1:5060;branch=b", v4,
       "SIP/2.0/UDP 10.0.0.1:5060;branch=b;received=192.0.2.1"},
      {"SIP/2.0/UDP host.example.com", v4, "SIP/2.0/UDP host.example.com;received=192.0.2.1"},
      {"SIP/2.0/UDP [2001:DB8:0::9];branch=b", v6, "SIP/2.0/UDP [2001:DB8:0::9];branch=b"},
      {"SIP/2.0/UDP [2001:db8::8];branch=b;rport", v6,
       "SIP/2.0/UDP [2001:db8::8];branch=b;rport=4001;received=2001:db8::9"},
      // what the client claims about itself does not count
      {"SIP/2.0/UDP 192.0.2.1;Received=203.0.113.1;rport=1;branch=b", v4,
       "SIP/2.0/UDP 192.0.2.1;rport=4000;branch=b;received=192.0.2.1"},
      {"SIP/2.0/UDP 192.0.2.1;received=203.0.113.1", v4, "SIP/2.0/UDP 192.0.2.1"},
      {"not a via", v4, "not a via"},
      {"", v4, ""},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(via_with_source(row.via, row.source), row.stamped) << row.via;
    EXPECT_EQ(via_with_source(row.via, row.source, 90), row.stamped) << row.via;
  }
}

TEST(BuilderTest, AnOfferOfKeepAlivesGetsItsValueOnce) {  // RFC 6223 §4.4.
  const Endpoint source{IpAddress::v4(192, 0, 2, 1), 5060};
  const std::string via = "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKa;keep";
  EXPECT_EQ(via_with_source(via, source, 90), via + "=90");
  EXPECT_EQ(via_with_source(via, source), via) << "not wanted";
  EXPECT_EQ(via_with_source(via + "=5", source, 90), via + "=5") << "another element's";
  EXPECT_EQ(via_with_source("SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKa", source, 90),
            "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKa");
}

TEST(SipCompanions, OfAnInviteRepeatItsTopVia) {
  const Message invite = must_parse(kInvite);
  const Message busy = must_parse(serialise(make_response(invite, 486, {.to_tag = "tt"}), ""));
  EXPECT_EQ(serialise(ack_for_failure(invite, busy), top_via_text(invite), ""),
            "ACK sip:bob@192.0.2.4 SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 10.0.0.1:5060 ;branch=z9hG4bKx;rport;x=\"a,b\"\r\n"
            "Route: <sip:here;lr>\r\n"
            "Max-Forwards: 70\r\n"
            "From: \"A, B\" <sip:alice@example.com>;tag=88\r\n"
            "To: Bob <sip:bob@example.com>;tag=tt\r\n"
            "Call-ID: abc@10.0.0.1\r\n"
            "CSeq: 42 ACK\r\n"
            "Content-Length: 0\r\n"
            "\r\n");
  EXPECT_EQ(serialise(cancel_for(invite), top_via_text(invite), ""),
            "CANCEL sip:bob@192.0.2.4 SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 10.0.0.1:5060 ;branch=z9hG4bKx;rport;x=\"a,b\"\r\n"
            "Route: <sip:here;lr>\r\n"
            "Max-Forwards: 70\r\n"
            "From: \"A, B\" <sip:alice@example.com>;tag=88\r\n"
            "To: Bob <sip:bob@example.com>\r\n"
            "Call-ID: abc@10.0.0.1\r\n"
            "CSeq: 42 CANCEL\r\n"
            "Content-Length: 0\r\n"
            "\r\n");
}

TEST(SipForwarding, KeepsEverythingButTheTopVia) {
  const Message request = must_parse(kInvite);
  const Message onward = must_parse(serialise(draft_from(request), "SIP/2.0/UDP me", ""));
  EXPECT_EQ(onward.header_count(), request.header_count() + 2);  // our Via and Max-Forwards
  EXPECT_EQ(onward.first(HeaderId::Via), "SIP/2.0/UDP me");
  EXPECT_EQ(onward.line_count(HeaderId::Via), 3U);
  EXPECT_EQ(onward.first_named("X-Foo"), "bar");
  EXPECT_EQ(onward.body(), "body");

  ResponseDraft ok = make_response(onward, 200, {.to_tag = "t"});
  const Message response = must_parse(serialise(ok, ""));
  const Message back = must_parse(serialise(draft_from_response(response, true), ""));
  EXPECT_EQ(top_via_text(back), top_via_text(request));
  EXPECT_EQ(back.line_count(HeaderId::Via), 2U);
  const Message further = must_parse(serialise(draft_from_response(back, true), ""));
  EXPECT_EQ(top_via_text(further), "SIP/2.0/TCP p1");
  EXPECT_EQ(further.status(), 200);
}

TEST(SipReason, IsKnownForEveryStatus) {
  EXPECT_EQ(reason_phrase(486), "Busy Here");
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(499), "Client Error");
  for (int status = 100; status < 700; ++status) EXPECT_FALSE(reason_phrase(status).empty());
}

}  // namespace
}  // namespace godwit::wire
