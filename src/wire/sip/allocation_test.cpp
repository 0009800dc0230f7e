// SPDX-License-Identifier: Apache-2.0
//
// Parsing allocates nothing beyond the receive buffer, and no typed header allocates at all. The
// operators below count for the whole test program; they only count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "wire/sip/auth.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace {
std::size_t allocations = 0;
}  // namespace

// Not inlined: the compiler would see free() meet a new that it takes for the library's.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { operator delete(p); }
void operator delete(void* p, std::size_t) noexcept { operator delete(p); }
void operator delete[](void* p, std::size_t) noexcept { operator delete(p); }

namespace godwit::wire {
namespace {

constexpr std::string_view kInvite =
    "INVITE sip:bob@192.168.1.30:5062;ob SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK5d1f;rport, SIP/2.0/UDP "
    "10.0.0.1;branch=z9hG4bKx\r\n"
    "Route: <sip:203.0.113.5;lr>, <sip:203.0.113.6;lr>\r\n"
    "Max-Forwards: 69\r\n"
    "From: \"Alice \\\"A\\\" Liddell\" <sip:alice@example.com>;tag=9fxced76sl\r\n"
    "To: <sip:bob@example.com>;tag=a-tag-that-is-longer-than-a-small-string\r\n"
    "Contact: <sip:alice@198.51.100.7:5061;ob>;expires=3600\r\n"
    "Call-ID: 3848276298220188511@atlanta.example.com\r\n"
    "CSeq: 31862 INVITE\r\n"
    "Allow: INVITE, ACK, BYE\r\n"
    "Supported: replaces,\r\n 100rel\r\n"
    "Session-Expires: 1800;refresher=uac\r\n"
    "Proxy-Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", "
    "response=\"0\"\r\n"
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\"\r\n"
    "X-Unknown: something\r\n"
    "Content-Length: 4\r\n"
    "\r\n"
    "v=0\n";

TEST(SipAllocation, ParsingAndReadingTakesNone) {
  std::string buffer(kInvite);
  const std::size_t before = allocations;
  auto parsed = Message::parse(std::move(buffer));
  ASSERT_EQ(allocations - before, 0U) << "parse";
  ASSERT_TRUE(parsed);
  const Message message = std::move(*parsed);

  const std::size_t parsed_at = allocations;
  bool ok = !validate(message);
  std::size_t seen = 0;
  for (std::size_t i = 0; i < message.header_count(); ++i) {
    for (const std::string_view value : message.values(message.header(i).id)) seen += value.size();
  }
  ok = ok && seen > 0 && message.first_named("x-unknown") && from_of(message) && to_of(message) &&
       top_via_of(message) && cseq_of(message) && contact_of(message)->expires() &&
       session_expires_of(message) && allow_of(message).contains(Method::Bye) &&
       has_token(message, HeaderId::Supported, "100rel") && max_forwards_of(message) &&
       Credentials::parse(*message.first(HeaderId::ProxyAuthorization)) &&
       Challenge::parse(*message.first(HeaderId::WwwAuthenticate))->offers_qop("auth") &&
       equals(from_of(message)->uri, from_of(message)->uri) &&
       !equals(from_of(message)->uri, to_of(message)->uri) && !to_tag_of(message).empty();
  const std::size_t read_at = allocations;
  EXPECT_TRUE(ok);
  EXPECT_EQ(read_at - parsed_at, 0U) << "typed headers";

  // The counter itself counts.
  const std::string copy(kInvite);
  EXPECT_GT(allocations, read_at);
}

}  // namespace
}  // namespace godwit::wire
