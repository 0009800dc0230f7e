// SPDX-License-Identifier: Apache-2.0
//
// IP addresses and transport endpoints as values. Owns no socket and knows no name service: only
// literals are parsed here.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace godwit {

enum class Family : std::uint8_t { None, V4, V6 };

/// An IPv4 or IPv6 address without a zone. The default one is of no family and equals only itself.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  static IpAddress v4(const std::array<std::uint8_t, 4>& bytes);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  static IpAddress any(Family family);

  /// Parses "192.0.2.1", "2001:db8::1" or "[2001:db8::1]". No leading zeros in IPv4 parts, no zone.
  static std::optional<IpAddress> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::V4; }
  bool is_v6() const { return family_ == Family::V6; }
  /// 4 or 16 bytes in network order; empty for no family.
  std::string_view bytes() const;

  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;
  bool is_link_local() const;
  /// RFC 1918, and 100.64/10 (RFC 6598): not reachable from the public network.
  bool is_private_v4() const;
  /// fc00::/7 (RFC 4193).
  bool is_unique_local() const;
  /// 192.0.0.0/29: the CLAT side of 464XLAT (RFC 7335), never to be advertised.
  bool is_clat() const;

  /// RFC 5952 form, without brackets.
  std::string to_string() const;
  /// As a URI or Via host: IPv6 in brackets.
  std::string to_uri_host() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::None;
  std::array<std::uint8_t, 16> bytes_{};
};

/// Address and port.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  /// Parses "192.0.2.1:5060", "[2001:db8::1]:5060"; the port may be absent, then `default_port`.
  static std::optional<Endpoint> parse(std::string_view text, std::uint16_t default_port = 0);
  std::string to_string() const;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

const char* to_string(Family family);

}  // namespace godwit

template <>
struct std::hash<godwit::IpAddress> {
  std::size_t operator()(const godwit::IpAddress& a) const noexcept {
    return std::hash<std::string_view>{}(a.bytes());
  }
};

template <>
struct std::hash<godwit::Endpoint> {
  std::size_t operator()(const godwit::Endpoint& e) const noexcept {
    return std::hash<godwit::IpAddress>{}(e.address) * 31U + e.port;
  }
};
