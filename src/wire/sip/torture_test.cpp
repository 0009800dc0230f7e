// SPDX-License-Identifier: Apache-2.0
//
// Messages in the spirit of RFC 4475 (torture tests) and RFC 5118 (IPv6), one for each of their
// sections and named after it: what parse() and validate() make of them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.hpp"
#include "wire/sip/auth.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace godwit::wire {
namespace {

/// Text blocks stand with LF for legibility; on the wire it is CRLF.
std::string wire(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

constexpr int kDrop = -1;  // parse() fails
constexpr int kSound = 0;  // validate() finds nothing

struct Case {
  const char* name;
  int verdict;  // kDrop, kSound, or the status that validate() asks for
  std::string text;
};

/// A request that is sound but for what `changed` puts in place of, or adds to, its headers.
std::string request(std::string_view line, std::string_view headers) {
  return wire(std::string(line) + "\n" + std::string(headers) + "\n");
}

constexpr std::string_view kRest =
    "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw\n"
    "Max-Forwards: 70\n"
    "From: <sip:caller@example.net>;tag=134161461246\n"
    "To: sip:callee@example.com\n"
    "Call-ID: torture.0ha0isndaksdj@192.0.2.15\n";

std::string with_rest(std::string_view line, std::string_view more) {
  return request(line, std::string(kRest) + std::string(more));
}

/// RFC 4475 §3.1.1.1.
std::string short_tortuous_invite() {
  return wire(
      "INVITE sip:target@dest.example.com;strange SIP/2.0\n"
      "TO :\n"
      " sip:target@dest.example.com ;   tag    = 77n\n"
      "from   : \"J Caller \\\\\\\"\"       <sip:j@example.com>\n"
      "  ;\n"
      "  tag = 98x8\n"
      "mAx-FoRwArDs: 0068\n"
      "Call-ID: wsinv.godwit@192.0.2.1\n"
      "Content-Length   : 5\n"
      "cseq: 0009\n"
      "  INVITE\n"
      "Via  : SIP  /   2.0\n"
      " /UDP\n"
      "    192.0.2.2;branch=390xyz\n"
      "s :\n"
      "BrandNewHeader:   first part\n"
      " second part of it\n"
      "OddValueHeader: ;;,,;;,;\n"
      "Content-Type: application/sdp\n"
      "Route:\n"
      " <sip:services.example.com;lr;with=value;without>\n"
      "v:  SIP  / 2.0  / TCP     far.example.com   ;\n"
      "  branch  =   z9hG4bK9ikj8  ,\n"
      " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n"
      " z9hG4bK30239\n"
      "m:\"Quoted \\\"\\\"\" <sip:j@example.com> ; newparam =\n"
      "      newvalue ;\n"
      "  secondparam ; q = 0.33\n"
      "\n"
      "v=0\n");
}

/// RFC 4475 §3.1.1.2: every character that the grammar allows somewhere.
constexpr const char* kStrangeMethod = "!strange-Method0123456789_*+`.%indeed'~";
std::string wide_range_of_characters() {
  std::string text = wire(
      std::string(kStrangeMethod) +
      " sip:1_odd.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d(no)@example.com"
      " SIP/2.0\n"
      "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n"
      "To: \"BEL:\\@ NUL:\\# DEL:\\$\" <sip:1_odd.URI~(sure)&isn't+it$/crazy?,/;;*@example.com>\n"
      "From: token1~` token2'+_ token3*%!.- <sip:plain@example.com>"
      ";fromParam''~+*_!.-%=\"\xd1\x80\xd0\xb0\xd0\xb1\";tag=_tok~1'+`*%!-.\n"
      "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n"
      "CSeq: 139122385 " +
      std::string(kStrangeMethod) +
      "\n"
      "Max-Forwards: 255\n"
      "headerExtension-!.%*+_`'~:\xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb\n"
      "Content-Length: 0\n"
      "\n");
  text[text.find("\\@") + 1] = '\a';
  text[text.find("\\#") + 1] = '\0';
  text[text.find("\\$") + 1] = '\x7f';
  return text;
}

std::vector<Case> cases() {
  std::string many_vias;
  for (int i = 33; i > 0; --i) {
    many_vias += "v: SIP/2.0/TCP sip" + std::to_string(i) + ".example.com\n";
  }
  const std::string long_user(2'000, 'a');
  const std::string ack = "CSeq: 8 ACK\n";
  const std::string options = "CSeq: 8 OPTIONS\n";
  const std::string invite = "CSeq: 8 INVITE\nContact: <sip:caller@192.0.2.15>\n";
  const std::string registers = "CSeq: 8 REGISTER\n";
  const std::string sip_options = "OPTIONS sip:user@example.com SIP/2.0";
  const std::string sip_invite = "INVITE sip:user@example.com SIP/2.0";
  const std::string sip_register = "REGISTER sip:example.com SIP/2.0";
  const std::string identity =
      "From: <sip:a@example.com>;tag=1\nTo: <sip:b@example.com>\nCall-ID: c@d\n";

  return {
      // RFC 4475 §3.1.1: valid.
      {"wsinv", kSound, short_tortuous_invite()},
      {"intmeth", kSound, wide_range_of_characters()},
      {"esc01", kSound,
       with_rest(
           "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
           invite + "Contact: <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\n")},
      {"escnull", kSound,
       with_rest(sip_register, registers + "Contact: <sip:%00@host5.example.com>\n"
                                           "Contact: <sip:%00%00@host5.example.com>\n"
                                           "L:0\n")},
      {"esc02", kSound,
       with_rest("RE%47IST%45R sip:registrar.example.com SIP/2.0",
                 "CSeq: 29344 RE%47IST%45R\n"
                 "Contact: <sip:alias1@host1.example.com>\n"
                 "C%6Fntact: <sip:alias2@host2.example.com>\n"
                 "Contact: <sip:alias3@host3.example.com>\n")},
      {"lwsdisp", kSound,
       request(sip_options,
               "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nTo: sip:user@example.com\n"
               "From: caller<sip:caller@example.com>;tag=323\n"
               "Call-ID: lwsdisp.1@h\nCSeq: 60 OPTIONS\nl: 0\n")},
      {"longreq", kSound,
       request("INVITE sip:user@example.com SIP/2.0",
               "To: \"" + long_user + "\"<sip:" + long_user +
                   "@example.com>\n"
                   "F: sip:caller@example.net;tag=" +
                   long_user + ";p" + long_user + "=v;" + long_user + "=\"" + long_user +
                   "\"\n"
                   "Call-ID: longreq.one" +
                   long_user +
                   "\nCSeq: 3882340 INVITE\n"
                   "Unknown-" +
                   long_user + ": unknown-" + long_user + ";p=" + long_user + "\n" + many_vias +
                   "Via: SIP/2.0/TCP h;branch=very" + long_user +
                   "\nMax-Forwards: 70\n"
                   "Contact: <sip:" +
                   long_user + "@host5.example.net>\n")},
      {"dblreq", kSound,
       with_rest(sip_register, registers + "Content-Length: 0\n") + with_rest(sip_invite, invite)},
      {"semiuri", kSound,
       with_rest("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", options)},
      {"transports", kSound,
       request(sip_options, identity +
                                "CSeq: 60 OPTIONS\n"
                                "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n"
                                "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n"
                                "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\n"
                                "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n"
                                "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\n")},
      {"mpart01", kSound,
       with_rest("MESSAGE sip:kumiko@example.org SIP/2.0",
                 "CSeq: 1 MESSAGE\nContent-Type: multipart/mixed;boundary=7a9cbec02ceef655\n"
                 "Content-Length: 10\n") +
           std::string("--7a\0\r\n--\xff", 10)},
      {"unreason", kSound,
       request("SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe \xd1\x81\xd1\x82\xd0\xbe",
               std::string(kRest) + invite)},
      {"noreason", kSound, request("SIP/2.0 100 ", std::string(kRest) + invite)},

      // RFC 4475 §3.1.2: invalid.
      {"badinv01 (Via)", 400,
       request(sip_invite, identity + invite + "Via: SIP/2.0/UDP 192.0.2.15;;,;,,\n")},
      {"badinv01 (Contact)", 400,
       with_rest(sip_invite, "CSeq: 8 INVITE\nContact: \"\" <> ;,,,;\n")},
      {"badinv01 (Contact, half)", 400,
       with_rest(sip_invite, "CSeq: 8 INVITE\nContact: \"Joe\" <sip:joe@example.org>;;;;\n")},
      {"clerr", 400, with_rest(sip_invite, invite + "Content-Length: 9999\n") + "v=0\r\n"},
      {"ncl", 400, with_rest(sip_invite, invite + "Content-Length: -999\n")},
      {"scalar02 (CSeq)", 400, with_rest(sip_register, "CSeq: 36893488147419103232 REGISTER\n")},
      {"scalar02 (Max-Forwards)", 400,
       request(sip_register,
               identity + registers +
                   "Via: SIP/2.0/TCP h;branch=z9hG4bK342sdfoi3\nMax-Forwards: 300\n")},
      {"scalarlg", 400,
       request("SIP/2.0 503 Service Unavailable",
               "Via: SIP/2.0/TCP h;branch=z9hG4bKzzxdiwo34sw\n" + identity +
                   "CSeq: 9292394834772304023312 OPTIONS\n"
                   "Retry-After: 949302838503028349304023988\n")},
      {"quotbal", 400,
       request(sip_invite,
               "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: sip:a@b;tag=1\n"
               "To: \"Mr. J. User <sip:j.user@example.com>\nCall-ID: c\n" +
                   invite)},
      {"ltgtruri", 400, with_rest("INVITE <sip:user@example.com> SIP/2.0", invite)},
      {"lwsruri", 400, with_rest("INVITE sip:user@example.com; lr SIP/2.0", invite)},
      {"lwsstart", 400, with_rest("INVITE  sip:user@example.com  SIP/2.0", invite)},
      {"trws", 400, with_rest("OPTIONS sip:user@example.com SIP/2.0  ", options)},
      {"escruri", 400,
       with_rest("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", invite)},
      // Nothing hangs on the Date; RFC 4475 §3.1.2.12 lets one ignore a zone other than GMT.
      {"baddate", kSound, with_rest(sip_invite, invite + "Date: Fri, 01 Jan 2010 16:00:00 EST\n")},
      {"regbadct", 400,
       with_rest(sip_register,
                 registers + "Contact: sip:user@example.com?Route=%3Csip:s.com%3E\n")},
      {"badaspec", 400,
       request(sip_options,
               "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: sip:a@b;tag=1\nCall-ID: c\n"
               "To: \"Watson, Thomas\" < t.watson@example.org >\n" +
                   options)},
      {"baddn", 400,
       request(sip_options,
               "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nTo: sip:a@b\nCall-ID: c\n"
               "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43\n" +
                   options)},
      {"badvers", 505,
       request("OPTIONS sip:t.watson@example.org SIP/7.0",
               "Via: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw\n" + identity + options)},
      {"mismatch01", 400, with_rest(sip_options, "CSeq: 8 INVITE\n")},
      {"mismatch02", 400, with_rest("NEWMETHOD sip:user@example.com SIP/2.0", "CSeq: 8 INVITE\n")},
      {"bigcode", kDrop,
       request("SIP/2.0 4294967301 better not break the receiver", std::string(kRest) + invite)},

      // RFC 4475 §3.2: transaction layer. The bare cookie is not unique, but no syntax error.
      {"badbranch", kSound,
       request(sip_options, identity + options + "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\n")},

      // RFC 4475 §3.3: application layer.
      {"insuf", 400, request(sip_invite, "CSeq: 193942 INVITE\nVia: SIP/2.0/UDP 192.0.2.95\n")},
      {"unkscm", 416, with_rest("OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0", options)},
      {"novelsc", 416, with_rest("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", options)},
      {"unksm2", kSound,
       request(sip_register,
               "Via: SIP/2.0/TCP h;branch=z9hG4bK1\nTo: isbn:2983792873\n"
               "From: <http://www.example.com>;tag=3234233\nCall-ID: u@h\n" +
                   registers + "Contact: <name:John_Smith>\n")},
      {"bext01", kSound,
       with_rest(sip_options, options + "Require: nothingSupportsThis, nothingSupportsThisEither\n"
                                        "Proxy-Require: noProxiesSupportThis\n")},
      {"invut", kSound,
       with_rest(sip_invite, invite + "Content-Type: application/unknownformat\n") + "<x/>"},
      {"regaut01", kSound,
       with_rest(sip_register,
                 registers + "Authorization: NoOneKnowsThisScheme opaque-data=here\n")},
      {"multi01 (Call-ID)", 400, with_rest(sip_invite, invite + "Call-ID: other\n")},
      {"multi01 (From)", 400, with_rest(sip_invite, invite + "f: <sip:x@y>;tag=2\n")},
      {"multi01 (To)", 400, with_rest(sip_invite, invite + "t: <sip:x@y>\n")},
      {"multi01 (CSeq)", 400, with_rest(sip_invite, invite + "CSeq: 9 INVITE\n")},
      {"multi01 (Max-Forwards)", 400, with_rest(sip_invite, invite + "Max-Forwards: 5\n")},
      {"mcl01", 400,
       with_rest(sip_options, options + "Content-Length: 13\nContent-Length: 5\n") +
           "There's no way to know"},
      {"bcast", kSound,
       request("SIP/2.0 200 OK",
               "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\n"
               "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\n" +
                   identity + invite)},
      {"zeromf", kSound,
       request(sip_options,
               identity + options + "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nMax-Forwards: 0\n")},
      {"cparam01", kSound,
       with_rest(sip_register, registers + "Contact: sip:+1972@gw1.example.net;unknownparam\n")},
      {"cparam02", kSound,
       with_rest(sip_register, registers + "Contact: <sip:+1972@gw1.example.net;unknownparam>\n")},
      {"regescrt", kSound,
       with_rest(sip_register,
                 registers + "Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\n")},
      {"sdp01", kSound, with_rest(sip_invite, invite + "Accept: text/nobodyKnowsThis\n")},

      // RFC 4475 §3.4: an RFC 2543 caller. No branch, no From tag, no Max-Forwards.
      {"inv2543", kSound,
       request("INVITE sip:UserB@example.com SIP/2.0",
               "Via: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+13035551111@ift.example.com>\n"
               "Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\n"
               "To: sip:+16505552222@ss1.example.net;user=phone\nCall-ID: inv2543.17@ift\n"
               "CSeq: 56 INVITE\nContact: <sip:+1303@ift.example.com>\n")},

      // RFC 5118 §4: IPv6.
      {"ipv6 reference", kSound, with_rest("REGISTER sip:[2001:db8::10] SIP/2.0", registers)},
      {"ipv6 without brackets", 400, with_rest("REGISTER sip:2001:db8::10 SIP/2.0", registers)},
      {"ipv6 port ambiguous", kSound,
       with_rest("REGISTER sip:[2001:db8::10:5070] SIP/2.0", registers)},
      {"ipv6 port unambiguous", kSound,
       with_rest("REGISTER sip:[2001:db8::10]:5070 SIP/2.0", registers)},
      {"ipv6 received, both forms", kSound,
       request("BYE sip:[2001:db8::10] SIP/2.0",
               "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3\n"
               "Via: SIP/2.0/UDP [2001:db8::9:2];received=2001:db8::9:255;branch=z9hG4bKas4\n" +
                   identity + "CSeq: 321 BYE\n")},
      {"ipv6 in Via without brackets", 400,
       request(sip_options, identity + options + "Via: SIP/2.0/UDP 2001:db8::9;branch=z9hG4bK1\n")},
      {"ipv4-mapped", kSound,
       request(sip_options, identity + options +
                                "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19\n")},
      {"ipv6 with three colons", 400,
       with_rest("OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0", options)},

      // Further ones of the same kind.
      {"no Via", 400, request(sip_options, identity + options)},
      {"empty Via", 400, request(sip_options, "Via:\n" + identity + options)},
      {"bad second Via", 400, with_rest(sip_options, options + "Via: SIP/2.0/UDP\n")},
      {"bad Call-ID", 400,
       request(sip_options,
               "Via: SIP/2.0/UDP h\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\n"
               "Call-ID: two words\n" +
                   options)},
      {"negative CSeq", 400, with_rest(sip_options, "CSeq: -8 OPTIONS\n")},
      {"negative Max-Forwards", 400,
       request(sip_options, "Via: SIP/2.0/UDP h\nMax-Forwards: -1\n" + identity + options)},
      {"Route without brackets", 400, with_rest(sip_options, options + "Route: sip:p;lr\n")},
      {"bad Record-Route", 400, with_rest(sip_options, options + "Record-Route: <sip:p;lr>,\n")},
      {"wildcard Contact", kSound, with_rest(sip_register, registers + "Contact: *\nExpires: 0\n")},
      {"no header line", 400, with_rest(sip_options, options + "this is none\n")},
      {"bare CR", 400, with_rest(sip_options, options + "Subject: a\rVia: b\n")},
      {"response without To", 400,
       request("SIP/2.0 200 OK", "Via: SIP/2.0/UDP h\nFrom: <sip:a>;tag=1\nCall-ID: c\n" + ack)},
      {"no start line", kDrop, request("Via: SIP/2.0/UDP h", kRest)},
      {"binary", kDrop, std::string("\x80\x00\x13\x88\x00\x00\x00\xa0\n\n", 10)},
  };
}

TEST(SipTorture, EveryMessageGetsItsVerdict) {
  for (const Case& c : cases()) {
    const auto parsed = Message::parse(c.text);
    ASSERT_EQ(parsed.has_value(), c.verdict != kDrop) << c.name;
    if (!parsed) continue;
    const auto defect = validate(*parsed);
    EXPECT_EQ(defect ? defect->status : kSound, c.verdict)
        << c.name << ": " << (defect ? defect->what : "no defect");
  }
}

// RFC 4475 says "can be answered": whatever the defect, the answer must be a message that says so.
TEST(SipTorture, EveryDefectCanBeAnswered) {
  for (const Case& c : cases()) {
    const auto parsed = Message::parse(c.text);
    if (!parsed || !parsed->is_request()) continue;
    const auto defect = validate(*parsed);
    const int status = defect ? defect->status : 200;
    const auto answer = Message::parse(
        serialise(make_response(*parsed, status,
                                {.to_tag = "tag",
                                 .reason = defect ? defect->what : "",
                                 .source = Endpoint{IpAddress::v4(192, 0, 2, 15), 5060}}),
                  ""));
    ASSERT_TRUE(answer) << c.name;
    EXPECT_EQ(answer->status(), status) << c.name;
    EXPECT_EQ(answer->flaw(), ParseFlaw::None) << c.name;
    EXPECT_EQ(answer->line_count(HeaderId::Via), parsed->line_count(HeaderId::Via)) << c.name;
    EXPECT_EQ(call_id_of(*answer), call_id_of(*parsed)) << c.name;
    if (!defect) {
      EXPECT_FALSE(validate(*answer)) << c.name;
    }
  }
}

TEST(SipTorture, TheTortuousInviteIsUnderstood) {
  const auto m = Message::parse(short_tortuous_invite());
  ASSERT_TRUE(m);
  EXPECT_EQ(to_tag_of(*m), "77n");
  EXPECT_EQ(from_of(*m)->display_name(), "J Caller \\\"");
  EXPECT_EQ(from_tag_of(*m), "98x8");
  EXPECT_EQ(max_forwards_of(*m), 68);
  EXPECT_EQ(cseq_of(*m)->number, 9U);
  EXPECT_EQ(m->first(HeaderId::Subject), "");
  EXPECT_EQ(m->first_named("oddvalueheader"), ";;,,;;,;");
  EXPECT_EQ(m->body(), "v=0\r\n");
  std::vector<Via> vias;
  for (const std::string_view text : m->values(HeaderId::Via)) {
    vias.push_back(Via::parse(text).value());
  }
  ASSERT_EQ(vias.size(), 3U);
  EXPECT_EQ(vias[0].host, "192.0.2.2");
  EXPECT_EQ(vias[0].branch(), "390xyz");
  EXPECT_EQ(vias[1].transport, "TCP");
  EXPECT_EQ(vias[1].branch(), "z9hG4bK9ikj8");
  EXPECT_EQ(vias[2].branch(), "z9hG4bK30239");
  EXPECT_EQ(contact_of(*m)->display_name(), "Quoted \"\"");
  EXPECT_EQ(contact_of(*m)->params.get("newparam"), "newvalue");
  EXPECT_EQ(contact_of(*m)->q(), 330);
}

TEST(SipTorture, StrangeCharactersAreKept) {
  const auto m = Message::parse(wide_range_of_characters());
  ASSERT_TRUE(m);
  EXPECT_EQ(m->method(), Method::Unknown);
  EXPECT_EQ(m->method_text(), kStrangeMethod);
  const auto uri = Uri::parse(m->request_uri());
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->user, "1_odd.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
  EXPECT_EQ(uri->password, "&it+has=1,weird!*pas$wo~d(no)");
  EXPECT_EQ(to_of(*m)->display_name(), std::string("BEL:\a NUL:\0 DEL:\x7f", 17));
  EXPECT_EQ(from_tag_of(*m), "_tok~1'+`*%!-.");
  EXPECT_EQ(m->first_named("HEADEREXTENSION-!.%*+_`'~")->size(), 12U);
}

TEST(SipTorture, DetailsThatAPeerWouldTripOver) {
  const auto all = cases();
  const auto message = [&all](std::string_view name) {
    for (const Case& c : all) {
      if (c.name == name) return Message::parse(c.text).value();
    }
    throw std::runtime_error("no such case");
  };
  const Message esc02 = message("esc02");
  EXPECT_EQ(esc02.method(), Method::Unknown);  // no unescaping in method or header names
  EXPECT_EQ(esc02.line_count(HeaderId::Contact), 2U);
  const Message doubled = message("dblreq");
  EXPECT_EQ(doubled.method(), Method::Register);
  EXPECT_EQ(doubled.body(), "");
  const Message semicolon = message("semiuri");
  EXPECT_EQ(Uri::parse(semicolon.request_uri())->user, "user;par=u%40example.net");
  EXPECT_TRUE(Uri::parse(semicolon.request_uri())->params.empty());
  const Message escaped = message("esc01");
  EXPECT_EQ(percent_decode(Uri::parse(escaped.request_uri())->user), "sips:user@example.com");
  const Message first_form = message("cparam01");
  EXPECT_TRUE(contact_of(first_form)->params.has("unknownparam"));
  EXPECT_FALSE(contact_of(first_form)->uri.params.has("unknownparam"));
  const Message second_form = message("cparam02");
  EXPECT_FALSE(contact_of(second_form)->params.has("unknownparam"));
  EXPECT_TRUE(contact_of(second_form)->uri.params.has("unknownparam"));
  const Message parts = message("mpart01");
  EXPECT_EQ(parts.body(), std::string_view("--7a\0\r\n--\xff", 10));
  const Message ambiguous = message("ipv6 port ambiguous");
  EXPECT_EQ(Uri::parse(ambiguous.request_uri())->port, std::nullopt);
  EXPECT_EQ(Uri::parse(ambiguous.request_uri())->address(), IpAddress::parse("2001:db8::10:5070"));
  const Message v6 = message("ipv6 received, both forms");
  for (const std::string_view via : v6.values(HeaderId::Via)) {
    EXPECT_EQ(Via::parse(via)->received(), IpAddress::parse("2001:db8::9:255"));
  }
  EXPECT_FALSE(top_via_of(message("badbranch"))->has_unique_branch());
  EXPECT_FALSE(retry_after_of(message("scalarlg")));
  const Message extension = message("bext01");
  EXPECT_TRUE(has_token(extension, HeaderId::Require, "nothingSupportsThisEither"));
  const Message strange_auth = message("regaut01");
  EXPECT_FALSE(Credentials::parse(*strange_auth.first(HeaderId::Authorization))->is_digest());
}

// Cut short anywhere, and with bytes overwritten: nothing crashes, no view leaves the buffer (the
// sanitizer builds watch that), and an answer to whatever parses can be read again.
TEST(SipTorture, DamagedMessagesAreSurvived) {
  SeededRandom random(20261122);
  const auto check = [](std::string text, const char* name) {
    const auto parsed = Message::parse(std::move(text));
    if (!parsed) return;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < parsed->header_count(); ++i) {
      for (const std::string_view value : parsed->values(parsed->header(i).id)) {
        for (const char c : value) bytes += static_cast<unsigned char>(c);
        break;
      }
    }
    EXPECT_LE(parsed->raw().size(), kMaxMessageSize) << bytes;
    const auto defect = validate(*parsed);
    if (!parsed->is_request()) return;
    const auto answer = Message::parse(serialise(make_response(*parsed, 200, {.to_tag = "t"}), ""));
    ASSERT_TRUE(answer) << name;
    if (!defect) {
      EXPECT_FALSE(validate(*answer)) << name;
    }
  };
  for (const Case& c : cases()) {
    const std::size_t step = c.text.size() > 2'000 ? 97 : 1;
    for (std::size_t n = 0; n < c.text.size(); n += step) check(c.text.substr(0, n), c.name);
    for (int round = 0; round < 200; ++round) {
      std::string text = c.text;
      for (int i = 0; i < 3; ++i) {
        constexpr std::string_view kNasty("\r\n\t \"<>;:,=%\\\0@[]/?a0\xff", 23);
        text[random.between(0, text.size() - 1)] = kNasty[random.between(0, kNasty.size() - 1)];
      }
      check(std::move(text), c.name);
    }
  }
}

}  // namespace
}  // namespace godwit::wire
