// SPDX-License-Identifier: Apache-2.0
//
// Character classes and small scans that every SIP parser here shares (RFC 3261 §25.1). Internal to
// wire/sip; knows nothing of messages.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace godwit::wire::lex {

enum Class : std::uint16_t {
  kToken = 1U << 0U,   ///< token
  kHost = 1U << 1U,    ///< hostname, IPv4; '_' too, for it is common in private DNS
  kUser = 1U << 2U,    ///< user or password, without '%'
  kParam = 1U << 3U,   ///< uri-parameter name or value, without '%'
  kHeader = 1U << 4U,  ///< headers of a URI, without '%'
  kDigit = 1U << 5U,
  kAlpha = 1U << 6U,
  kWord = 1U << 7U,      ///< word, as in Call-ID, plus '@'
  kValue = 1U << 8U,     ///< unquoted value of a header's parameter: token, host, a URI's leniency
  kListStop = 1U << 9U,  ///< where a scan over list elements must look: , " <
  kParamStop = 1U << 10U,  ///< the same over parameters: ; "
};

namespace detail {
constexpr std::array<std::uint16_t, 256> make_classes() {
  std::array<std::uint16_t, 256> table{};
  const auto add = [&table](std::string_view chars, unsigned bits) {
    for (const char c : chars) {
      auto& entry = table[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint16_t>(entry | bits);
    }
  };
  constexpr std::string_view alpha = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::string_view digits = "0123456789";
  constexpr std::string_view mark = "-_.!~*'()";
  constexpr unsigned everywhere = kToken | kHost | kUser | kParam | kHeader | kWord | kValue;
  add(alpha, everywhere | kAlpha);
  add(digits, everywhere | kDigit);
  add("-.!%*_+`'~", kToken | kValue);
  add("-._", kHost);
  add(mark, kUser | kParam | kHeader);
  add("&=+$,;?/:", kUser);  // ':' separates user and password; the first one wins.
  add("#", kUser);          // Common in dial strings ("*72#") although not in the grammar.
  add("[]/:&+$", kParam | kValue);
  add("()@", kValue);
  add(",\"<", kListStop);
  add(";\"", kParamStop);
  add("[]/?:+$&=", kHeader);
  add("-.!%*_+`'~()<>:\\\"/[]?{}@", kWord);
  return table;
}
inline constexpr std::array<std::uint16_t, 256> kClasses = make_classes();
}  // namespace detail

constexpr bool is(char c, Class what) {
  return (detail::kClasses[static_cast<unsigned char>(c)] & what) != 0;
}
constexpr bool is_space(char c) { return c == ' ' || c == '\t'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

constexpr bool all_of(std::string_view text, Class what) {
  for (const char c : text) {
    if (!is(c, what)) return false;
  }
  return true;
}
constexpr bool is_token(std::string_view text) { return !text.empty() && all_of(text, kToken); }

constexpr bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

constexpr std::string_view trim_left(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && is_space(text[i])) ++i;
  return text.substr(i);
}
constexpr std::string_view trim_right(std::string_view text) {
  std::size_t n = text.size();
  while (n > 0 && is_space(text[n - 1])) --n;
  return text.substr(0, n);
}
constexpr std::string_view trim(std::string_view text) { return trim_right(trim_left(text)); }

/// 1*DIGIT up to `max`. Leading zeros are fine (RFC 4475 §3.1.1.1), signs and overflow are not.
constexpr std::optional<std::uint32_t> number(std::string_view text, std::uint32_t max) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is(c, kDigit)) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
    if (value > max) return std::nullopt;
  }
  return static_cast<std::uint32_t>(value);
}

/// The position of the first white space, or of `c`, or text.size(). Plain loops: what is scanned
/// here is short, and string_view::find_first_of calls memchr for each character.
constexpr std::size_t find_space(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size() && !is_space(text[i])) ++i;
  return i;
}
constexpr std::size_t find_or_end(std::string_view text, char c) {
  std::size_t i = 0;
  while (i < text.size() && text[i] != c) ++i;
  return i;
}

/// With text[at] == '"': the position after the closing quote, or npos if there is none.
constexpr std::size_t skip_quoted(std::string_view text, std::size_t at) {
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace godwit::wire::lex
