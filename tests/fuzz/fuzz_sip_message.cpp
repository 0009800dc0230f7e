// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a SIP message: parsed, every typed header walked, an answer written and parsed
// again. What must hold besides memory safety is asserted.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <string>
#include <utility>

#include "wire/sip/auth.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/validate.hpp"

namespace {

using namespace godwit;
using namespace godwit::wire;

// Says which one failed, for a fuzz build has no symboliser of its own.
void require(bool condition, std::source_location where = std::source_location::current()) {
  if (condition) return;
  std::fprintf(stderr, "requirement failed at line %u\n", static_cast<unsigned>(where.line()));
  std::abort();
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void walk(const Params& params) {
  for (const Param& param : params) require(params.get(param.name).has_value());
  static_cast<void>(params.well_formed());
}

void walk(const Uri& uri) {
  walk(uri.params);
  static_cast<void>(uri.address());
  require(equals(uri, uri));
  require(percent_decode(percent_encode_user(uri.user)) == uri.user);
  // What is printed is read again as the same.
  const std::string copy(uri.text);
  const auto again = Uri::parse(copy);
  require(again && again->text == uri.text && again->port == uri.port && equals(uri, *again));
}

void walk_value(std::string_view value) {
  if (const auto address = NameAddr::parse(value)) {
    walk(address->uri);
    walk(address->params);
    require(unquote(quote(address->display_name())).find('\n') == std::string::npos);
    static_cast<void>(address->q());
    static_cast<void>(address->expires());
  }
  if (const auto via = Via::parse(value)) {
    walk(via->params);
    static_cast<void>(via->has_unique_branch());
    static_cast<void>(via->received());
    static_cast<void>(via->ttl());
    const Endpoint source{IpAddress::v4(192, 0, 2, 7), 5099};
    const std::string stamped = via_with_source(value, source);
    const auto again = Via::parse(stamped);
    require(again.has_value());
    require(again->branch() == via->branch());
    if (via->has_rport()) require(again->rport() == 5099 && again->received() == source.address);
  }
  static_cast<void>(CSeq::parse(value));
  static_cast<void>(RAck::parse(value));
  static_cast<void>(SessionExpires::parse(value));
  static_cast<void>(RetryAfter::parse(value));
  static_cast<void>(Replaces::parse(value));
  if (const auto parts = ValueWithParams::parse(value)) walk(parts->params);
  if (const auto challenge = Challenge::parse(value)) {
    static_cast<void>(challenge->offers_qop("auth"));
  }
  static_cast<void>(Credentials::parse(value));
  static_cast<void>(AuthInfo::parse(value));
}

void walk(const Message& message) {
  const std::string_view raw = message.raw();
  require(within(message.body(), raw));
  std::array<bool, kHeaderIdCount> seen{};
  for (std::size_t i = 0; i < message.header_count(); ++i) {
    const HeaderView header = message.header(i);
    require(within(header.name, raw) && within(header.value, raw));
    require(header.value.find('\n') == std::string_view::npos);
    require(message.first_named(header.name).has_value());
    if (std::exchange(seen[static_cast<std::size_t>(header.id)], true)) continue;
    std::size_t count = 0;
    for (const std::string_view value : message.values(header.id)) {
      require(within(value, raw));
      walk_value(value);
      ++count;
    }
    if (!is_list(header.id)) require(count == message.line_count(header.id));
  }
  static_cast<void>(contact_of(message));
  static_cast<void>(allow_of(message));
  static_cast<void>(expires_of(message));
  static_cast<void>(session_expires_of(message));
  static_cast<void>(has_token(message, HeaderId::Supported, "timer"));
  static_cast<void>(has_content_type(message, "application/sdp"));
}

void answer(const Message& request) {
  const bool sound = !validate(request);
  ResponseDraft draft = make_response(
      request, 200,
      {.to_tag = "fuzz", .reason = {}, .source = Endpoint{IpAddress::v4(192, 0, 2, 1), 5060}});
  draft.contact.wanted = true;
  draft.content_type = "text/plain";
  draft.body = "hello";
  const auto response = Message::parse(serialise(draft, "<sip:fuzz@192.0.2.2>"));
  require(response.has_value());
  require(response->status() == 200 && response->body() == "hello");
  require(response->flaw() == ParseFlaw::None);
  if (sound) {
    require(call_id_of(*response) == call_id_of(request));
    require(!validate(*response));
    require(!to_tag_of(*response).empty());
    require(from_tag_of(*response) == from_tag_of(request));
    require(cseq_of(*response)->number == cseq_of(request)->number);
  }
  for (const RequestDraft& companion : {cancel_for(request), ack_for_failure(request, *response)}) {
    const auto again = Message::parse(serialise(companion, top_via_text(request), {}));
    require(again.has_value());
    if (sound && request.method() != Method::Ack) require(!validate(*again));
    if (sound) require(top_via_text(*again) == top_via_text(request));
  }
}

void forward(const Message& request) {
  const bool sound = !validate(request);
  if (request.header_count() >= kMaxHeaders - 2) return;
  const auto again =
      Message::parse(serialise(draft_from(request), "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKf", {}));
  require(again.has_value());
  require(again->body() == request.body());
  if (sound) {
    require(!validate(*again));
    require(again->request_uri() == request.request_uri());
    require(again->method_text() == request.method_text());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = Message::parse(std::string(reinterpret_cast<const char*>(data), size));
  if (!parsed) return 0;
  walk(*parsed);
  if (parsed->is_request()) {
    answer(*parsed);
    forward(*parsed);
  } else {
    static_cast<void>(validate(*parsed));
    const auto again = Message::parse(serialise(draft_from_response(*parsed, true), {}));
    require(again.has_value() && again->status() == parsed->status());
  }
  return 0;
}
