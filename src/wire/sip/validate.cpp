// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/validate.hpp"

#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

std::optional<Defect> bad(std::string_view what) { return Defect{400, what}; }

std::optional<Defect> check_flaw(const Message& message) {
  switch (message.flaw()) {
    case ParseFlaw::None: return std::nullopt;
    case ParseFlaw::UnsupportedVersion: return Defect{505, "Version Not Supported"};
    case ParseFlaw::RequestLine: return bad("Bad Request-Line");
    case ParseFlaw::HeaderLine: return bad("Bad Header Line");
    case ParseFlaw::ContentLength: return bad("Bad Content-Length");
    case ParseFlaw::BodyIncomplete: return bad("Body Shorter Than Content-Length");
  }
  return std::nullopt;
}

std::optional<Defect> check_request_uri(const Message& message) {
  const auto uri = Uri::parse(message.request_uri());
  if (!uri) return bad("Bad Request-URI");
  if (uri->scheme == Scheme::Other) return Defect{416, "Unsupported URI Scheme"};
  // RFC 3261 §19.1.1: headers are not allowed in a Request-URI.
  if (!uri->headers.empty()) return bad("Headers in Request-URI");
  return std::nullopt;
}

/// Present exactly once?
std::optional<Defect> check_once(const Message& message, HeaderId id, std::string_view missing,
                                 std::string_view repeated) {
  switch (message.line_count(id)) {
    case 0: return bad(missing);
    case 1: return std::nullopt;
    default: return bad(repeated);
  }
}

std::optional<Defect> check_identity(const Message& message) {
  if (auto d = check_once(message, HeaderId::From, "Missing From", "Repeated From")) return d;
  if (auto d = check_once(message, HeaderId::To, "Missing To", "Repeated To")) return d;
  if (auto d = check_once(message, HeaderId::CallId, "Missing Call-ID", "Repeated Call-ID")) {
    return d;
  }
  if (auto d = check_once(message, HeaderId::CSeq, "Missing CSeq", "Repeated CSeq")) return d;
  if (!from_of(message)) return bad("Bad From");
  if (!to_of(message)) return bad("Bad To");
  const std::string_view call_id = call_id_of(message);
  if (call_id.empty() || !lex::all_of(call_id, lex::kWord)) return bad("Bad Call-ID");
  const auto cseq = cseq_of(message);
  if (!cseq) return bad("Bad CSeq");
  if (message.is_request() && cseq->method_text != message.method_text()) {
    return bad("CSeq Method Does Not Match");
  }
  return std::nullopt;
}

std::optional<Defect> check_routing(const Message& message) {
  if (!message.has(HeaderId::Via)) return bad("Missing Via");
  bool any = false;
  for (const std::string_view via : message.values(HeaderId::Via)) {
    if (!Via::parse(via)) return bad("Bad Via");
    any = true;
  }
  if (!any) return bad("Bad Via");
  if (message.has(HeaderId::MaxForwards)) {
    if (message.line_count(HeaderId::MaxForwards) > 1) return bad("Repeated Max-Forwards");
    if (!max_forwards_of(message)) return bad("Bad Max-Forwards");
  }
  for (const HeaderId id : {HeaderId::Route, HeaderId::RecordRoute}) {
    if (!message.has(id)) continue;
    for (const std::string_view route : message.values(id)) {
      const auto parsed = NameAddr::parse(route);
      if (!parsed || !parsed->bracketed) {
        return bad(id == HeaderId::Route ? "Bad Route" : "Bad Record-Route");
      }
    }
  }
  return std::nullopt;
}

std::optional<Defect> check_contacts(const Message& message) {
  if (!message.has(HeaderId::Contact)) return std::nullopt;
  for (const std::string_view contact : message.values(HeaderId::Contact)) {
    if (!is_wildcard(contact) && !NameAddr::parse(contact)) return bad("Bad Contact");
  }
  return std::nullopt;
}

std::optional<Defect> check_bare_cr(const Message& message) {
  for (std::size_t i = 0; i < message.header_count(); ++i) {
    if (message.header(i).value.find('\r') != std::string_view::npos) return bad("Bare CR");
  }
  return std::nullopt;
}

}  // namespace

std::optional<Defect> validate(const Message& message) {
  if (auto d = check_flaw(message)) return d;
  if (message.is_request()) {
    if (auto d = check_request_uri(message)) return d;
  }
  if (auto d = check_identity(message)) return d;
  if (auto d = check_routing(message)) return d;
  if (auto d = check_contacts(message)) return d;
  return check_bare_cr(message);
}

}  // namespace godwit::wire
