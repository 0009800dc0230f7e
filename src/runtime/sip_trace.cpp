// SPDX-License-Identifier: Apache-2.0
#include "runtime/sip_trace.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace godwit::runtime {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char a, char b) { return a == lower(b); });
}

/// How much of a line may be shown if the rest is a secret; npos: all of it.
std::size_t public_part(std::string_view line) {
  static constexpr std::array<std::string_view, 2> kHeaders{"authorization", "proxy-authorization"};
  for (const std::string_view name : kHeaders) {
    if (!starts_with_ignoring_case(line, name)) continue;
    // RFC 3261 §25.1: blanks may stand before the colon.
    const std::size_t colon = line.find_first_not_of(" \t", name.size());
    if (colon != std::string_view::npos && line[colon] == ':') return colon + 1;
  }
  static constexpr std::array<std::string_view, 2> kSdpKeys{"a=crypto:", "k="};
  for (const std::string_view prefix : kSdpKeys) {
    if (starts_with_ignoring_case(line, prefix)) return prefix.size();
  }
  return std::string_view::npos;
}

void append_visible(std::string& out, std::string_view line) {
  for (const char c : line) {
    const auto code = static_cast<std::uint8_t>(c);
    out += (code < 0x20 && c != '\t') || code == 0x7f ? '.' : c;
  }
}

}  // namespace

std::string redacted_trace(std::string_view message) {
  std::string out;
  const std::size_t whole = message.size();
  message = message.substr(0, kMaxTrace);
  out.reserve(message.size() + 32);
  bool in_secret = false;
  while (!message.empty()) {
    // A lone CR or LF ends a line too: a parser somewhere takes it so, and a secret must not pass.
    const std::size_t end = std::min(message.find_first_of("\r\n"), message.size());
    const std::string_view line = message.substr(0, end);
    const bool folded = !line.empty() && (line[0] == ' ' || line[0] == '\t');
    if (!(in_secret && folded)) {
      const std::size_t shown = public_part(line);
      in_secret = shown != std::string_view::npos;
      append_visible(out, line.substr(0, shown));
      if (in_secret) out += " (redacted)";
      out += '\n';
    }
    const bool crlf = message.substr(end, 2) == "\r\n";
    message.remove_prefix(std::min(message.size(), end + (crlf ? 2U : 1U)));
  }
  if (whole > kMaxTrace) {
    out += "(" + std::to_string(whole - kMaxTrace) + " more bytes)\n";
  }
  return out;
}

}  // namespace godwit::runtime
