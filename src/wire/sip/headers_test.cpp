// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/headers.hpp"

#include <gtest/gtest.h>

#include "wire/sip/auth.hpp"

namespace godwit::wire {
namespace {

using std::chrono::seconds;

TEST(SipNameAddr, ParsesBothForms) {
  struct Row {
    const char* text;
    const char* display;
    const char* uri;
    const char* params;
  };
  const Row rows[] = {
      {"<sip:a@b>", "", "sip:a@b", ""},
      {"sip:a@b", "", "sip:a@b", ""},
      {"sip:a@b;tag=1", "", "sip:a@b", ";tag=1"},
      {"sip:a@b ; tag = 1", "", "sip:a@b", "; tag = 1"},
      {"<sip:a@b;lr>;tag=1", "", "sip:a@b;lr", ";tag=1"},
      {"Alice B <sip:a@b>", "Alice B", "sip:a@b", ""},
      {"caller<sip:a@b>;tag=3", "caller", "sip:a@b", ";tag=3"},
      {"\"Alice \\\"<,;\\\" B\"  <sip:a@b> ;tag=1", "Alice \"<,;\" B", "sip:a@b", ";tag=1"},
      {"\"\"<sip:a@b>", "", "sip:a@b", ""},
      {"J\xc3\xb6rg <sip:j@b>", "J\xc3\xb6rg", "sip:j@b", ""},
      {"<sip:a@b?Route=%3Csip:c%3E>", "", "sip:a@b?Route=%3Csip:c%3E", ""},
      {"<sip:a@b>;x=\"<sip:c@d>\"", "", "sip:a@b", ";x=\"<sip:c@d>\""},
      {"sip:a@b;x=\"<y>\"", "", "sip:a@b", ";x=\"<y>\""},
      {"tel:+1-2;tag=9", "", "tel:+1-2", ";tag=9"},
  };
  for (const Row& row : rows) {
    const auto parsed = NameAddr::parse(row.text);
    ASSERT_TRUE(parsed) << row.text;
    EXPECT_EQ(parsed->display_name(), row.display) << row.text;
    EXPECT_EQ(parsed->uri.text, row.uri) << row.text;
    EXPECT_EQ(parsed->params.text(), row.params) << row.text;
    const std::string in_brackets = "<" + std::string(row.uri) + ">";
    EXPECT_EQ(parsed->bracketed, std::string_view(row.text).find(in_brackets) != std::string::npos)
        << row.text;
  }
}

TEST(SipNameAddr, RefusesWhatIsNone) {
  const char* const rows[] = {
      "",
      "<>",
      "*",
      "<sip:a@b",
      "sip:a@b>",
      "< sip:a@b >",
      "<sip:a@b>x",
      "<sip:a@b>;",
      "<sip:a@b>;=1",
      "<sip:a@b>;tag=\"1",
      "\"open <sip:a@b>",
      "\"a\" b <sip:a@b>",
      "\"a\" sip:a@b",
      "Bell, Alexander <sip:a@b>",
      "a.g.bell@example.com",
      "sip:a@b?Subject=x",
      "sip:a,b@c",
      "<t.watson@example.org>",
  };
  for (const char* row : rows) EXPECT_FALSE(NameAddr::parse(row)) << row;
}

TEST(SipNameAddr, KnowsContactParameters) {
  const auto contact = [](const char* params) {
    return NameAddr::parse(std::string_view(params)).value();
  };
  EXPECT_EQ(contact("<sip:a>;expires=60").expires(), seconds(60));
  EXPECT_EQ(contact("<sip:a>;expires=x").expires(), std::nullopt);
  EXPECT_EQ(contact("<sip:a>;expires=4294967296").expires(), std::nullopt);
  const std::pair<const char*, int> qs[] = {
      {"<sip:a>;q=1", 1000},    {"<sip:a>;q=0", 0},     {"<sip:a>;q=0.7", 700},
      {"<sip:a>;q=0.33", 330},  {"<sip:a>;q=0.005", 5}, {"<sip:a>;q=1.000", 1000},
      {"<sip:a>;q=0.", 0},      {"<sip:a>;q=1.1", -1},  {"<sip:a>;q=2", -1},
      {"<sip:a>;q=0.1234", -1}, {"<sip:a>;q=0x1", -1},  {"<sip:a>;q=.5", -1},
      {"<sip:a>", -1},          {"<sip:a>;q=0.-1", -1},
  };
  for (const auto& [text, q] : qs) {
    const auto parsed = contact(text).q();
    EXPECT_EQ(parsed ? static_cast<int>(*parsed) : -1, q) << text;
  }
}

TEST(SipVia, ParsesItsParts) {
  struct Row {
    const char* text;
    const char* transport;
    const char* host;
    int port;
    const char* branch;
  };
  const Row rows[] = {
      {"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx", "UDP", "192.0.2.1", 5060, "z9hG4bKx"},
      {"SIP/2.0/TLS-SCTP h.example.com", "TLS-SCTP", "h.example.com", 0, ""},
      {"SIP / 2.0 / UDP  192.0.2.2 : 5070 ; branch = b", "UDP", "192.0.2.2", 5070, "b"},
      {"sip/2.0/udp h;branch=b", "udp", "h", 0, "b"},
      {"SIP/2.0/UDP [2001:db8::9:1]:99;branch=b;rport", "UDP", "[2001:db8::9:1]", 99, "b"},
      {"SIP/2.0/UDP h;BRANCH=b;x=\"q;branch=c\"", "UDP", "h", 0, "b"},
  };
  for (const Row& row : rows) {
    const auto via = Via::parse(row.text);
    ASSERT_TRUE(via) << row.text;
    EXPECT_EQ(via->transport, row.transport) << row.text;
    EXPECT_EQ(via->host, row.host) << row.text;
    EXPECT_EQ(via->port.value_or(0), row.port) << row.text;
    EXPECT_EQ(via->branch(), row.branch) << row.text;
  }
  for (const char* bad : {"", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/3.0/UDP h", "HTTP/2.0/UDP h",
                          "SIP/2.0 h", "SIP/2.0/U@P h", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:x",
                          "SIP/2.0/UDP h;", "SIP/2.0/UDP h;;a", "SIP/2.0/UDP 2001:db8::1;branch=b",
                          "SIP/2.0/UDP h h2", "SIP/2.0/UDP ;branch=b", "2.0/UDP h"}) {
    EXPECT_FALSE(Via::parse(bad)) << bad;
  }
}

TEST(SipVia, KnowsWhatTheServerAdded) {
  const auto via = Via::parse(
      "SIP/2.0/UDP h;rport=5099;received=2001:db8::7;maddr=224.2.0.1;ttl=16;branch=z9hG4bK");
  ASSERT_TRUE(via);
  EXPECT_TRUE(via->has_rport());
  EXPECT_EQ(via->rport(), 5099);
  EXPECT_EQ(via->received(), IpAddress::parse("2001:db8::7"));
  EXPECT_EQ(via->maddr(), "224.2.0.1");
  EXPECT_EQ(via->ttl(), 16);
  EXPECT_FALSE(via->has_unique_branch());  // RFC 4475 §3.2.1: the cookie and nothing more
  const auto plain = Via::parse("SIP/2.0/UDP h;rport;ttl=256;received=[::1];branch=Z9HG4BK1");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->has_rport());
  EXPECT_EQ(plain->rport(), std::nullopt);
  EXPECT_EQ(plain->ttl(), std::nullopt);
  EXPECT_EQ(plain->received(), IpAddress::parse("::1"));
  EXPECT_TRUE(plain->has_unique_branch());
}

TEST(SipCSeq, HasANumberBelow31BitsAndAMethod) {
  EXPECT_EQ(CSeq::parse("1 INVITE")->method, Method::Invite);
  EXPECT_EQ(CSeq::parse("0009 \t INVITE")->number, 9U);
  EXPECT_EQ(CSeq::parse("2147483647 FOO")->method_text, "FOO");
  EXPECT_EQ(CSeq::parse("2147483647 FOO")->method, Method::Unknown);
  for (const char* bad :
       {"", "1", "INVITE", "INVITE 1", "2147483648 INVITE", "-1 INVITE",
        "36893488147419103232 REGISTER", "1 IN VITE", "1 INVITE;x", "1x INVITE"}) {
    EXPECT_FALSE(CSeq::parse(bad)) << bad;
  }
  const auto rack = RAck::parse("776656 1 INVITE");
  ASSERT_TRUE(rack);
  EXPECT_EQ(rack->response_number, 776656U);
  EXPECT_EQ(rack->cseq.number, 1U);
  EXPECT_FALSE(RAck::parse("1 INVITE"));
}

TEST(SipHeaders, ParseTheSmallOnes) {
  EXPECT_EQ(SessionExpires::parse("1800;refresher=UAC")->interval, seconds(1800));
  EXPECT_EQ(SessionExpires::parse("1800;refresher=UAC")->refresher, Refresher::Uac);
  EXPECT_EQ(SessionExpires::parse("90 ; refresher = uas")->refresher, Refresher::Uas);
  EXPECT_EQ(SessionExpires::parse("90;x=y")->refresher, Refresher::Unspecified);
  EXPECT_FALSE(SessionExpires::parse("soon"));
  EXPECT_FALSE(SessionExpires::parse(""));

  EXPECT_EQ(RetryAfter::parse("18")->delay, seconds(18));
  EXPECT_EQ(RetryAfter::parse("18 (in a (nested \\) ) meeting);duration=60")->duration,
            seconds(60));
  EXPECT_EQ(RetryAfter::parse("18;duration=60")->duration, seconds(60));
  EXPECT_EQ(RetryAfter::parse("18 (open")->delay, seconds(18));
  EXPECT_FALSE(RetryAfter::parse("949302838503028349304023988"));
  EXPECT_FALSE(RetryAfter::parse("(x)"));

  EXPECT_EQ(parse_delta_seconds("4294967295"), seconds(4294967295));
  EXPECT_EQ(parse_delta_seconds("4294967296"), std::nullopt);
  EXPECT_EQ(parse_delta_seconds(""), std::nullopt);
  EXPECT_EQ(parse_delta_seconds("1.5"), std::nullopt);

  const auto replaces = Replaces::parse("98732@sip.example.com;from-tag=r33;to-tag=ff;early-only");
  ASSERT_TRUE(replaces);
  EXPECT_EQ(replaces->call_id, "98732@sip.example.com");
  EXPECT_EQ(replaces->from_tag, "r33");
  EXPECT_EQ(replaces->to_tag, "ff");
  EXPECT_TRUE(replaces->early_only);
  EXPECT_FALSE(Replaces::parse("98732@sip.example.com;from-tag=r33"));
  EXPECT_FALSE(Replaces::parse("98732@sip.example.com;from-tag;to-tag=1"));
  EXPECT_FALSE(Replaces::parse("98732@sip.example.com;from-tag=1;to-tag="));

  const auto event = ValueWithParams::parse("presence ; id=7");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->value, "presence");
  EXPECT_EQ(event->params.get("id"), "7");
  EXPECT_FALSE(ValueWithParams::parse(";id=7"));
}

TEST(SipHeaders, AreTakenFromAMessage) {
  const auto m = Message::parse(
      "INVITE sip:a@b SIP/2.0\r\n"
      "Via: SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bK1  , SIP/2.0/TCP p\r\n"
      "f: <sip:f@h>;tag=ft\r\n"
      "t: sip:t@h;tag=tt\r\n"
      "i: id@h\r\n"
      "CSeq: 7 INVITE\r\n"
      "Contact: *, <sip:c@h>\r\n"
      "Max-Forwards: 12\r\n"
      "Allow: INVITE,ACK\r\n"
      "Allow: , BYE, FOO\r\n"
      "Supported: replaces, TIMER\r\n"
      "Min-SE: 90;x\r\n"
      "Expires: 300\r\n"
      "Min-Expires: 40\r\n"
      "Session-Expires: 1800\r\n"
      "Retry-After: 5\r\n"
      "Content-Type: application/SDP ; charset=utf-8\r\n"
      "\r\n");
  ASSERT_TRUE(m);
  EXPECT_EQ(from_tag_of(*m), "ft");
  EXPECT_EQ(to_tag_of(*m), "tt");
  EXPECT_EQ(to_of(*m)->uri.user, "t");
  EXPECT_EQ(call_id_of(*m), "id@h");
  EXPECT_EQ(cseq_of(*m)->number, 7U);
  EXPECT_EQ(top_via_text(*m), "SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bK1");
  EXPECT_EQ(top_via_of(*m)->host, "192.0.2.1");
  EXPECT_EQ(contact_of(*m)->uri.user, "c");
  EXPECT_EQ(max_forwards_of(*m), 12);
  EXPECT_EQ(allow_of(*m).to_string(), "INVITE, ACK, BYE");
  EXPECT_TRUE(has_token(*m, HeaderId::Supported, "timer"));
  EXPECT_FALSE(has_token(*m, HeaderId::Supported, "100rel"));
  EXPECT_EQ(expires_of(*m), seconds(300));
  EXPECT_EQ(min_expires_of(*m), seconds(40));
  EXPECT_EQ(min_se_of(*m), seconds(90));
  EXPECT_EQ(session_expires_of(*m)->interval, seconds(1800));
  EXPECT_EQ(retry_after_of(*m)->delay, seconds(5));
  EXPECT_TRUE(has_content_type(*m, "application/sdp"));
  EXPECT_FALSE(has_content_type(*m, "application/sd"));

  const auto bare = Message::parse("INVITE sip:a@b SIP/2.0\r\n\r\n");
  ASSERT_TRUE(bare);
  EXPECT_FALSE(from_of(*bare));
  EXPECT_EQ(from_tag_of(*bare), "");
  EXPECT_EQ(top_via_text(*bare), "");
  EXPECT_FALSE(top_via_of(*bare));
  EXPECT_FALSE(contact_of(*bare));
  EXPECT_FALSE(expires_of(*bare));
  EXPECT_FALSE(has_content_type(*bare, ""));
}

TEST(SipAuth, ParsesChallenges) {
  const auto c = Challenge::parse(
      "Digest realm=\"a, \\\"b\\\"\", qop=\"auth, auth-int\" ,nonce = \"n==\",opaque=\"\","
      "stale=TRUE,algorithm=SHA-256, domain=\"sip:x\"");
  ASSERT_TRUE(c);
  EXPECT_TRUE(c->is_digest());
  EXPECT_EQ(c->realm, "a, \\\"b\\\"");  // escapes stay: the digest is over them
  EXPECT_EQ(c->nonce, "n==");
  EXPECT_EQ(c->opaque, "");
  EXPECT_EQ(c->algorithm, "SHA-256");
  EXPECT_TRUE(c->stale);
  EXPECT_TRUE(c->offers_qop("auth"));
  EXPECT_TRUE(c->offers_qop("AUTH-INT"));
  EXPECT_FALSE(c->offers_qop("aut"));
  EXPECT_EQ(c->params.get("DOMAIN"), "sip:x");

  const auto old = Challenge::parse("digest nonce=n,realm=r");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->realm, "r");
  EXPECT_EQ(old->qop, std::nullopt);
  EXPECT_EQ(old->opaque, std::nullopt);
  EXPECT_EQ(old->algorithm, "");
  EXPECT_FALSE(old->stale);
  EXPECT_FALSE(old->offers_qop("auth"));

  EXPECT_FALSE(Challenge::parse("Digest realm=\"r\""));
  EXPECT_FALSE(Challenge::parse("Digest nonce=\"n\""));
  EXPECT_FALSE(Challenge::parse("Digest"));
  EXPECT_FALSE(Challenge::parse(""));
  EXPECT_TRUE(Challenge::parse("Basic realm=\"r\""));
  EXPECT_FALSE(Challenge::parse("Basic")->is_digest());
}

TEST(SipAuth, ParsesCredentialsAndInfo) {
  const auto c = Credentials::parse(
      "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a,b\", response=\"00ff\", "
      "cnonce=\"c\", qop=auth, nc=00000002");
  ASSERT_TRUE(c);
  EXPECT_EQ(c->username, "u");
  EXPECT_EQ(c->uri, "sip:a,b");
  EXPECT_EQ(c->response, "00ff");
  EXPECT_EQ(c->nc, "00000002");
  EXPECT_EQ(c->qop, "auth");
  EXPECT_EQ(c->opaque, std::nullopt);
  EXPECT_FALSE(Credentials::parse("Digest username=\"u\""));
  EXPECT_TRUE(Credentials::parse("NoOneKnowsThisScheme opaque-data=here"));

  const auto info = AuthInfo::parse(" nextnonce=\"q\", rspauth=\"ab\" ");
  ASSERT_TRUE(info);
  EXPECT_EQ(info->nextnonce, "q");
  EXPECT_EQ(info->rspauth, "ab");
  EXPECT_EQ(info->qop, std::nullopt);
  EXPECT_FALSE(AuthInfo::parse("x=y"));
}

}  // namespace
}  // namespace godwit::wire
