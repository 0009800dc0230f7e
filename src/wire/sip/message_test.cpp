// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/message.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.hpp"

namespace godwit::wire {
namespace {

std::vector<std::string> values_of(const Message& message, HeaderId id) {
  std::vector<std::string> out;
  for (const std::string_view value : message.values(id)) out.emplace_back(value);
  return out;
}

Message must_parse(std::string text) {
  auto parsed = Message::parse(std::move(text));
  if (!parsed) throw std::runtime_error(parsed.error().detail);
  return std::move(*parsed);
}

using Strings = std::vector<std::string>;

TEST(SipMessage, FindsThePartsOfARequest) {
  const Message m = must_parse(
      "INVITE sip:bob@example.com SIP/2.0\r\n"
      "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n"
      "X-Foo:bar\r\n"
      "x-foo: second\r\n"
      "Subject :  with space  \r\n"
      "\r\n"
      "body");
  EXPECT_TRUE(m.is_request());
  EXPECT_EQ(m.method(), Method::Invite);
  EXPECT_EQ(m.method_text(), "INVITE");
  EXPECT_EQ(m.request_uri(), "sip:bob@example.com");
  EXPECT_EQ(m.status(), 0);
  EXPECT_EQ(m.header_count(), 4U);
  EXPECT_EQ(m.header(1).name, "X-Foo");
  EXPECT_EQ(m.header(1).id, HeaderId::Unknown);
  EXPECT_EQ(m.first_named("X-FOO"), "bar");
  EXPECT_EQ(m.first_named("s"), "with space");
  EXPECT_EQ(m.first_named("X-Bar"), std::nullopt);
  EXPECT_EQ(m.first(HeaderId::To), std::nullopt);
  EXPECT_EQ(m.body(), "body");
  EXPECT_EQ(m.flaw(), ParseFlaw::None);
}

TEST(SipMessage, FindsThePartsOfAResponse) {
  struct Row {
    const char* line;
    int status;  // 0: no message
    const char* reason;
  };
  const Row rows[] = {
      {"SIP/2.0 200 OK", 200, "OK"},
      {"sip/2.0 180 Is Ringing ", 180, "Is Ringing "},
      {"SIP/2.0 699 ", 699, ""},
      {"SIP/2.0 100", 100, ""},
      {"SIP/2.0 99 Low", 0, ""},
      {"SIP/2.0 700 High", 0, ""},
      {"SIP/2.0 2000 Long", 0, ""},
      {"SIP/2.0 20 Short", 0, ""},
      {"SIP/2.0 20x No", 0, ""},
      {"SIP/2.0  200 Two spaces", 0, ""},
      {"SIP/2.0", 0, ""},
      {"SIP/3.0 200 OK", 0, ""},
      {"SIP/2.0.1 200 OK", 0, ""},
      {"SIP/ 200 OK", 0, ""},
  };
  for (const Row& row : rows) {
    const auto parsed = Message::parse(std::string(row.line) + "\r\n\r\n");
    ASSERT_EQ(parsed.has_value(), row.status != 0) << row.line;
    if (!parsed) continue;
    EXPECT_TRUE(parsed->is_response()) << row.line;
    EXPECT_EQ(parsed->status(), row.status) << row.line;
    EXPECT_EQ(parsed->reason(), row.reason) << row.line;
  }
}

TEST(SipMessage, RefusesWhatIsNoMessage) {
  const char* const rows[] = {
      "",
      "\r\n\r\n",
      "hello",
      "hello\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      "INVITE sip:a@b\r\n\r\n",
      "INVITE\r\n\r\n",
      " SIP/2.0\r\n\r\n",
      "IN\"VITE sip:a@b SIP/2.0\r\n\r\n",
      "INVITE sip:a@b SIP/two\r\n\r\n",
      "INVITE sip:a@b SIP/2.0\r\nVia: x\r\n",    // no empty line
      "INVITE sip:a@b SIP/2.0\r\nVia: x\r\n y",  // a fold that ends nowhere
      "INVITE sip:a@b SIP/2.0\r\nVia: x\r\n\r",  // half an empty line
      "INVITE sip:a@b SIP/2.0\r\nVia: x",
      "INVITE sip:a@b SIP/2.0\r\n",
  };
  for (const char* row : rows) EXPECT_FALSE(Message::parse(row)) << row;
}

TEST(SipMessage, GoesPastWhatCanStillBeAnswered) {
  struct Row {
    const char* text;
    ParseFlaw flaw;
  };
  const Row rows[] = {
      {"OPTIONS sip:a@b SIP/7.0\r\n\r\n", ParseFlaw::UnsupportedVersion},
      {"OPTIONS sip:a@b sip/2.0\r\n\r\n", ParseFlaw::None},
      {"OPTIONS  sip:a@b SIP/2.0\r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS sip:a@b  SIP/2.0\r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS sip:a@b; lr SIP/2.0\r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS sip:a@b SIP/2.0 \r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS <sip:a@b> SIP/2.0\r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS SIP/2.0\r\n\r\n", ParseFlaw::RequestLine},
      {"OPTIONS sip:a@b SIP/2.0\r\nno colon\r\n\r\n", ParseFlaw::HeaderLine},
      {"OPTIONS sip:a@b SIP/2.0\r\n: no name\r\n\r\n", ParseFlaw::HeaderLine},
      {"OPTIONS sip:a@b SIP/2.0\r\n folded start line\r\n\r\n", ParseFlaw::HeaderLine},
      {"OPTIONS sip:a@b SIP/2.0\r\nSub ject: x\r\n\r\n", ParseFlaw::HeaderLine},
  };
  for (const Row& row : rows) {
    const auto parsed = Message::parse(row.text);
    ASSERT_TRUE(parsed) << row.text;
    EXPECT_EQ(parsed->flaw(), row.flaw) << row.text;
    EXPECT_EQ(parsed->method(), Method::Options) << row.text;
  }
}

TEST(SipMessage, JoinsFoldedLinesAndAcceptsBareLineFeeds) {
  const Message m = must_parse(
      "\r\n\n\r\nOPTIONS sip:a@b SIP/2.0\n"
      "Subject: one\r\n two\n\tthree\r\n    \r\n"
      "Organization:\r\n first line empty\r\n"
      "Priority:\n"
      "\n"
      "body\n");
  EXPECT_EQ(m.first(HeaderId::Subject), "one   two \tthree");
  EXPECT_EQ(m.first(HeaderId::Organization), "first line empty");
  EXPECT_EQ(m.first(HeaderId::Priority), "");
  EXPECT_EQ(m.body(), "body\n");
  EXPECT_EQ(m.raw().substr(0, 7), "OPTIONS");
  EXPECT_EQ(m.flaw(), ParseFlaw::None);
}

TEST(SipMessage, ContentLengthDecidesTheBody) {
  struct Row {
    const char* headers;
    const char* body;
    ParseFlaw flaw;
  };
  const Row rows[] = {
      {"", "0123456789", ParseFlaw::None},
      {"Content-Length: 10\r\n", "0123456789", ParseFlaw::None},
      {"l: 4\r\n", "0123", ParseFlaw::None},
      {"Content-Length: 0000004\r\n", "0123", ParseFlaw::None},
      {"Content-Length: 4\r\nContent-Length: 4\r\n", "0123", ParseFlaw::None},
      {"Content-Length: 4\r\nl: 5\r\n", "0123456789", ParseFlaw::ContentLength},
      {"Content-Length: 11\r\n", "0123456789", ParseFlaw::BodyIncomplete},
      {"Content-Length: 65536\r\n", "0123456789", ParseFlaw::ContentLength},
      {"Content-Length: 4294967300\r\n", "0123456789", ParseFlaw::ContentLength},
      {"Content-Length: -4\r\n", "0123456789", ParseFlaw::ContentLength},
      {"Content-Length: 4, 4\r\n", "0123456789", ParseFlaw::ContentLength},
      {"Content-Length:\r\n", "0123456789", ParseFlaw::ContentLength},
  };
  for (const Row& row : rows) {
    const Message m =
        must_parse("OPTIONS sip:a@b SIP/2.0\r\n" + std::string(row.headers) + "\r\n0123456789");
    EXPECT_EQ(m.body(), row.body) << row.headers;
    EXPECT_EQ(m.flaw(), row.flaw) << row.headers;
  }
}

TEST(SipMessage, HoldsItsLimits) {
  const auto of_headers = [](std::size_t count) {
    std::string text = "OPTIONS sip:a@b SIP/2.0\r\n";
    for (std::size_t i = 0; i < count; ++i) text += "Via: x\r\n";
    return text + "\r\n";
  };
  const auto fits = Message::parse(of_headers(kMaxHeaders));
  ASSERT_TRUE(fits);
  EXPECT_EQ(fits->line_count(HeaderId::Via), kMaxHeaders);
  const auto over = Message::parse(of_headers(kMaxHeaders + 1));
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, ErrorCode::TooLarge);

  const std::string head = "OPTIONS sip:a@b SIP/2.0\r\nX: ";
  const std::string tail = "\r\nSubject: last\r\n\r\n";
  const auto of_size = [&](std::size_t size) {
    return head + std::string(size - head.size() - tail.size(), 'x') + tail;
  };
  const auto largest = Message::parse(of_size(kMaxMessageSize));
  ASSERT_TRUE(largest);
  EXPECT_EQ(largest->first(HeaderId::Subject), "last");
  EXPECT_EQ(largest->body(), "");
  EXPECT_EQ(largest->raw().size(), kMaxMessageSize);
  const auto larger = Message::parse(of_size(kMaxMessageSize + 1));
  ASSERT_FALSE(larger);
  EXPECT_EQ(larger.error().code, ErrorCode::TooLarge);
}

TEST(SipMessage, StepsThroughTheElementsOfLists) {
  struct Row {
    const char* value;
    Strings elements;
  };
  const Row rows[] = {
      {"", {}},
      {"  ", {}},
      {"a", {"a"}},
      {"a,b", {"a", "b"}},
      {" a ,\t b ", {"a", "b"}},
      {",", {"", ""}},
      {"a,,b", {"a", "", "b"}},
      {"a,", {"a", ""}},
      {"\"x, y\" <sip:a,b@c>;p=\"q,r\" , <sip:d>", {"\"x, y\" <sip:a,b@c>;p=\"q,r\"", "<sip:d>"}},
      {"\"a\\\",b\",c", {"\"a\\\",b\"", "c"}},
      {"\"open, c", {"\"open, c"}},
      {"<open, c", {"<open, c"}},
      {"a>, b", {"a>", "b"}},
      {"\"a\\", {"\"a\\"}},
  };
  for (const Row& row : rows) {
    const Message m =
        must_parse("OPTIONS sip:a@b SIP/2.0\r\nContact: " + std::string(row.value) + "\r\n\r\n");
    EXPECT_EQ(values_of(m, HeaderId::Contact), row.elements) << row.value;
  }
}

TEST(SipMessage, IteratesOverAllLinesOfAHeaderInOrder) {
  const Message m = must_parse(
      "OPTIONS sip:a@b SIP/2.0\r\n"
      "Route: <sip:1>, <sip:2>\r\n"
      "Via: v1\r\n"
      "Route:\r\n"
      "v: v2 , v3\r\n"
      "Route: <sip:3>\r\n"
      "WWW-Authenticate: Digest a=\"b\", c=d\r\n"
      "WWW-Authenticate: Basic\r\n"
      "\r\n");
  EXPECT_EQ(values_of(m, HeaderId::Route), (Strings{"<sip:1>", "<sip:2>", "<sip:3>"}));
  EXPECT_EQ(values_of(m, HeaderId::Via), (Strings{"v1", "v2", "v3"}));
  EXPECT_EQ(values_of(m, HeaderId::WwwAuthenticate), (Strings{"Digest a=\"b\", c=d", "Basic"}));
  EXPECT_EQ(values_of(m, HeaderId::Allow), Strings{});
  EXPECT_EQ(m.line_count(HeaderId::Route), 3U);
}

TEST(SipMessage, MovedAndCopiedMessagesKeepTheirViews) {
  // One so short that std::string holds it inside itself, where moving changes the address.
  for (const std::string& text :
       {std::string("A b SIP/2.0\nv:x\n\n"),
        "OPTIONS sip:a@b SIP/2.0\r\nVia: " + std::string(200, 'x') + "\r\n\r\n"}) {
    Message first = must_parse(text);
    const std::string via(*first.first(HeaderId::Via));
    Message copy = first;
    Message moved = std::move(first);
    EXPECT_EQ(moved.first(HeaderId::Via), via);
    first = std::move(moved);
    EXPECT_EQ(first.first(HeaderId::Via), via);
    EXPECT_EQ(copy.first(HeaderId::Via), via);
    EXPECT_NE(copy.first(HeaderId::Via)->data(), first.first(HeaderId::Via)->data());
  }
}

TEST(SipHeaderId, KnowsEveryNameInAnyCaseAndItsCompactForm) {
  for (std::size_t i = 1; i < kHeaderIdCount; ++i) {
    const auto id = static_cast<HeaderId>(i);
    std::string name(name_of(id));
    EXPECT_EQ(header_id(name), id) << name;
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(header_id(name), id) << name;
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(header_id(name), id) << name;
    EXPECT_EQ(header_id(name + "x"), HeaderId::Unknown) << name;
    name.back() = '_';
    EXPECT_EQ(header_id(name), HeaderId::Unknown) << name;
  }
  const std::pair<const char*, HeaderId> compact[] = {
      {"a", HeaderId::AcceptContact},
      {"b", HeaderId::ReferredBy},
      {"c", HeaderId::ContentType},
      {"d", HeaderId::RequestDisposition},
      {"e", HeaderId::ContentEncoding},
      {"f", HeaderId::From},
      {"i", HeaderId::CallId},
      {"j", HeaderId::RejectContact},
      {"k", HeaderId::Supported},
      {"l", HeaderId::ContentLength},
      {"m", HeaderId::Contact},
      {"o", HeaderId::Event},
      {"r", HeaderId::ReferTo},
      {"s", HeaderId::Subject},
      {"t", HeaderId::To},
      {"u", HeaderId::AllowEvents},
      {"v", HeaderId::Via},
      {"x", HeaderId::SessionExpires},
      {"y", HeaderId::Identity},
      {"g", HeaderId::Unknown},
      {"V", HeaderId::Via},
      {"1", HeaderId::Unknown},
  };
  for (const auto& [name, id] : compact) EXPECT_EQ(header_id(name), id) << name;
  EXPECT_EQ(header_id(""), HeaderId::Unknown);
  EXPECT_EQ(header_id("Vix"), HeaderId::Unknown);
}

TEST(SipMethod, ComparesWithCaseAndPrintsSets) {
  for (unsigned i = 0; i < static_cast<unsigned>(Method::Unknown); ++i) {
    const auto method = static_cast<Method>(i);
    EXPECT_EQ(parse_method(to_string(method)), method);
  }
  EXPECT_EQ(parse_method("invite"), Method::Unknown);
  EXPECT_EQ(parse_method(""), Method::Unknown);
  MethodSet set;
  set.insert(Method::Bye);
  set.insert(Method::Invite);
  set.insert(Method::Unknown);
  EXPECT_TRUE(set.contains(Method::Bye));
  EXPECT_FALSE(set.contains(Method::Ack));
  EXPECT_FALSE(set.contains(Method::Unknown));
  EXPECT_EQ(set.to_string(), "INVITE, BYE");
}

}  // namespace
}  // namespace godwit::wire
