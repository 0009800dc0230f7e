// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/sipfrag.hpp"

#include "wire/sip/lex.hpp"
#include "wire/sip/status.hpp"

namespace godwit::wire {

std::optional<SipfragStatus> parse_sipfrag(std::string_view body) {
  constexpr std::string_view kVersion = "SIP/2.0 ";
  constexpr std::size_t kMaxReason = 128;
  std::string_view line = body.substr(0, lex::find_or_end(body.substr(0, 512), '\n'));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.size() < kVersion.size() + 3 || !lex::iequals(line.substr(0, kVersion.size()), kVersion))
    return std::nullopt;
  line.remove_prefix(kVersion.size());
  const auto status = lex::number(line.substr(0, 3), 699);
  if (!status || *status < 100) return std::nullopt;
  line.remove_prefix(3);
  if (!line.empty() && line.front() != ' ') return std::nullopt;
  SipfragStatus found;
  found.status = static_cast<int>(*status);
  found.reason = std::string(lex::trim(line).substr(0, kMaxReason));
  return found;
}

std::string to_sipfrag(int status, std::string_view reason) {
  const std::string_view phrase = reason.empty() ? reason_phrase(status) : reason;
  return "SIP/2.0 " + std::to_string(status) + " " + std::string(phrase) + "\r\n";
}

}  // namespace godwit::wire
