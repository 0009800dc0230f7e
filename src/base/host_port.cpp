// SPDX-License-Identifier: Apache-2.0
#include "base/host_port.hpp"

#include <algorithm>
#include <charconv>

namespace godwit {
namespace {

constexpr std::size_t kMaxName = 253;  // RFC 1035 §2.3.4.

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const auto wrong = [&](const char* what) {
    const bool printable =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c != 0x7f; });
    return fail(ErrorCode::InvalidArgument,
                "\"" + (printable ? std::string(text.substr(0, kMaxName)) : "?") + "\": " + what);
  };
  HostPort parsed;
  if (const auto address = IpAddress::parse(text)) {
    parsed.address = *address;
    return parsed;
  }
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  std::string_view host = text;
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = text.substr(0, colon);
    parsed.port = parse_port(text.substr(colon + 1));
    if (!parsed.port) return wrong("the port must be a number from 1 to 65535");
  }
  parsed.address = IpAddress::parse(host);
  if (parsed.address) {
    // "2001:db8::1:3478" is an address as a whole.
    if (parsed.address->is_v6() && !host.starts_with('[')) return wrong("brackets are missing");
    return parsed;
  }
  if (host.empty() || host.size() > kMaxName) return wrong("a host name or address is needed");
  if (!std::all_of(host.begin(), host.end(), is_name_character)) {
    return wrong("that is no host name");
  }
  parsed.host = std::string(host);
  return parsed;
}

}  // namespace godwit
