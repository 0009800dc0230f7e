// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/reason.hpp"

#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::wire {

std::optional<ReasonHeader> parse_reason(std::string_view text) {
  constexpr std::size_t kMaxText = 256;
  const auto parsed = ValueWithParams::parse(text);
  if (!parsed || !lex::is_token(parsed->value)) return std::nullopt;
  ReasonHeader reason;
  reason.protocol = parsed->value;
  if (const auto cause = parsed->params.get("cause")) {
    reason.cause = static_cast<int>(lex::number(*cause, 999).value_or(0));
  }
  if (const auto words = parsed->params.get("text")) {
    reason.text = unquote(*words).substr(0, kMaxText);
  }
  return reason;
}

std::optional<ReasonHeader> reason_of(const Message& message) {
  std::optional<ReasonHeader> first;
  for (const std::string_view value : message.values(HeaderId::Reason)) {
    auto reason = parse_reason(value);
    if (!reason) continue;
    if (lex::iequals(reason->protocol, "SIP")) return reason;
    if (!first) first = std::move(reason);
  }
  return first;
}

std::string to_string(const ReasonHeader& reason) {
  std::string text = reason.protocol;
  if (reason.cause != 0) text += ";cause=" + std::to_string(reason.cause);
  if (!reason.text.empty()) text += ";text=" + quote(reason.text);
  return text;
}

}  // namespace godwit::wire
