// SPDX-License-Identifier: Apache-2.0
#include "godwit/address.hpp"

#include <algorithm>
#include <charconv>

namespace godwit {
namespace {

std::optional<std::array<std::uint8_t, 4>> parse_v4(std::string_view text) {
  std::array<std::uint8_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    std::size_t digits = 0;
    unsigned value = 0;
    while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(text[digits] - '0');
      ++digits;
    }
    if (digits == 0 || value > 255 || (digits > 1 && text[0] == '0')) return std::nullopt;
    out[i] = static_cast<std::uint8_t>(value);
    text.remove_prefix(digits);
    if (i < 3) {
      if (text.empty() || text[0] != '.') return std::nullopt;
      text.remove_prefix(1);
    }
  }
  if (!text.empty()) return std::nullopt;
  return out;
}

std::optional<unsigned> parse_hex_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// One side of a "::" (or the whole address): groups of up to 16 bits, the last may be dotted IPv4.
std::optional<std::size_t> parse_groups(std::string_view text, std::array<std::uint8_t, 16>& out) {
  std::size_t used = 0;
  if (text.empty()) return used;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    const bool last = colon == std::string_view::npos;
    if (last && group.find('.') != std::string_view::npos) {
      const auto v4 = parse_v4(group);
      if (!v4 || used > 12) return std::nullopt;
      std::copy(v4->begin(), v4->end(), out.begin() + static_cast<std::ptrdiff_t>(used));
      return used + 4;
    }
    const auto value = parse_hex_group(group);
    if (!value || used > 14) return std::nullopt;
    out[used++] = static_cast<std::uint8_t>(*value >> 8U);
    out[used++] = static_cast<std::uint8_t>(*value & 0xffU);
    if (last) return used;
    text.remove_prefix(colon + 1);
  }
}

std::optional<std::array<std::uint8_t, 16>> parse_v6(std::string_view text) {
  if (text.size() < 2 || text.size() > 45) return std::nullopt;
  std::array<std::uint8_t, 16> head{};
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    const auto used = parse_groups(text, head);
    if (!used || *used != 16) return std::nullopt;
    return head;
  }
  std::array<std::uint8_t, 16> tail{};
  const auto before = parse_groups(text.substr(0, gap), head);
  const auto after = parse_groups(text.substr(gap + 2), tail);
  if (!before || !after || *before + *after > 14) return std::nullopt;
  std::copy(tail.begin(), tail.begin() + static_cast<std::ptrdiff_t>(*after),
            head.end() - static_cast<std::ptrdiff_t>(*after));
  return head;
}

}  // namespace

IpAddress IpAddress::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return v4(std::array<std::uint8_t, 4>{a, b, c, d});
}

IpAddress IpAddress::v4(const std::array<std::uint8_t, 4>& bytes) {
  IpAddress address;
  address.family_ = Family::V4;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress address;
  address.family_ = Family::V6;
  address.bytes_ = bytes;
  return address;
}

IpAddress IpAddress::any(Family family) {
  IpAddress address;
  address.family_ = family;
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    const auto inner = parse_v6(text.substr(1, text.size() - 2));
    return inner ? std::optional(v6(*inner)) : std::nullopt;
  }
  if (const auto bytes = parse_v4(text)) return v4(*bytes);
  if (const auto bytes = parse_v6(text)) return v6(*bytes);
  return std::nullopt;
}

std::string_view IpAddress::bytes() const {
  const std::size_t size = family_ == Family::V4 ? 4 : family_ == Family::V6 ? 16 : 0;
  return {reinterpret_cast<const char*>(bytes_.data()), size};
}

bool IpAddress::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  if (!is_v6()) return false;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_multicast() const {
  return (is_v4() && (bytes_[0] & 0xf0U) == 0xe0) || (is_v6() && bytes_[0] == 0xff);
}

bool IpAddress::is_link_local() const {
  return (is_v4() && bytes_[0] == 169 && bytes_[1] == 254) ||
         (is_v6() && bytes_[0] == 0xfe && (bytes_[1] & 0xc0U) == 0x80);
}

bool IpAddress::is_private_v4() const {
  if (!is_v4()) return false;
  return bytes_[0] == 10 || (bytes_[0] == 172 && (bytes_[1] & 0xf0U) == 16) ||
         (bytes_[0] == 192 && bytes_[1] == 168) || (bytes_[0] == 100 && (bytes_[1] & 0xc0U) == 64);
}

bool IpAddress::is_unique_local() const { return is_v6() && (bytes_[0] & 0xfeU) == 0xfc; }

bool IpAddress::is_clat() const {
  return is_v4() && bytes_[0] == 192 && bytes_[1] == 0 && bytes_[2] == 0 && bytes_[3] < 8;
}

std::string IpAddress::to_string() const {
  if (is_v4()) {
    std::string text;
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) text += '.';
      text += std::to_string(bytes_[i]);
    }
    return text;
  }
  if (!is_v6()) return {};
  // RFC 5952 §4.2: the longest run of two or more zero groups becomes "::", the first if tied.
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<unsigned>(bytes_[2 * i] << 8U) | bytes_[2 * i + 1];
  }
  std::size_t best = 8;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t length = 0;
    while (i + length < 8 && groups[i + length] == 0) ++length;
    if (length > best_length) {
      best = i;
      best_length = length;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < 8;) {
    if (i == best) {
      text += "::";
      i += best_length;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 4> hex{};
    const auto end = std::to_chars(hex.data(), hex.data() + hex.size(), groups[i], 16).ptr;
    text.append(hex.data(), end);
    ++i;
  }
  return text;
}

std::string IpAddress::to_uri_host() const {
  return is_v6() ? "[" + to_string() + "]" : to_string();
}

std::optional<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (!text.empty() && text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(0, close + 1);
    std::string_view rest = text.substr(close + 1);
    if (!rest.empty()) {
      if (rest.front() != ':') return std::nullopt;
      port = rest.substr(1);
      has_port = true;
    }
  } else if (const std::size_t colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  Endpoint endpoint{*address, default_port};
  if (has_port) {
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (port.empty() || error != std::errc{} || end != port.data() + port.size()) {
      return std::nullopt;
    }
  }
  return endpoint;
}

std::string Endpoint::to_string() const {
  return address.to_uri_host() + ":" + std::to_string(port);
}

const char* to_string(Family family) {
  switch (family) {
    case Family::None: return "none";
    case Family::V4: return "IPv4";
    case Family::V6: return "IPv6";
  }
  return "?";
}

}  // namespace godwit
