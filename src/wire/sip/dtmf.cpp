// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/dtmf.hpp"

#include <algorithm>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::size_t kMaxBody = 256;
constexpr std::uint32_t kMaxDuration = 5'000;
constexpr std::string_view kDigits = "0123456789*#ABCD";  // In the order of RFC 4733 §3.2.

std::string_view trim(std::string_view text) {
  while (!text.empty() && (lex::is_space(text.back()) || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return lex::trim_left(text);
}

std::optional<char> digit_of(std::string_view text) {
  if (text.size() == 1) return dtmf_digit(text.front());
  const auto number = lex::number(text, 15);
  if (text.size() != 2 || !number) return std::nullopt;
  return kDigits[*number];
}

}  // namespace

std::optional<char> dtmf_digit(char text) {
  const char upper = text >= 'a' && text <= 'd' ? static_cast<char>(text - 'a' + 'A') : text;
  if (kDigits.find(upper) == std::string_view::npos) return std::nullopt;
  return upper;
}

std::optional<DtmfSignal> parse_dtmf_relay(std::string_view body) {
  if (body.size() > kMaxBody) return std::nullopt;
  DtmfSignal signal;
  bool found = false;
  while (!body.empty()) {
    const std::size_t end = lex::find_or_end(body, '\n');
    const std::string_view line = trim(body.substr(0, end));
    body.remove_prefix(std::min(end + 1, body.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = trim(line.substr(0, equals));
    const std::string_view value = trim(line.substr(equals + 1));
    if (lex::iequals(name, "Signal")) {
      const auto digit = digit_of(value);
      if (!digit || found) return std::nullopt;
      signal.digit = *digit;
      found = true;
    } else if (lex::iequals(name, "Duration")) {
      const auto number = lex::number(value, 0xffffffff);
      if (!number) return std::nullopt;
      signal.duration = std::chrono::milliseconds(std::clamp(*number, 1U, kMaxDuration));
    }
  }
  if (!found) return std::nullopt;
  return signal;
}

std::string to_dtmf_relay(const DtmfSignal& signal) {
  return std::string("Signal=") + signal.digit +
         "\r\nDuration=" + std::to_string(signal.duration.count()) + "\r\n";
}

std::optional<DtmfSignal> parse_dtmf(std::string_view body) {
  if (body.size() > kMaxBody) return std::nullopt;
  while (!body.empty() && body.back() == '\n') body.remove_suffix(1);
  const auto digit = digit_of(trim(body));
  if (!digit) return std::nullopt;
  return DtmfSignal{*digit};
}

}  // namespace godwit::wire
