// SPDX-License-Identifier: Apache-2.0
#include "base/nat64_prefix.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace godwit {
namespace {

constexpr std::size_t kMaxPrefixes = 4;
constexpr unsigned kLengths[] = {96, 64, 56, 48, 40, 32};

using V6 = std::array<std::uint8_t, 16>;

V6 bytes_of(const IpAddress& address) {
  V6 bytes{};
  std::transform(address.bytes().begin(), address.bytes().end(), bytes.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return bytes;
}

/// RFC 6052 §2.2: where the four bytes stand behind a prefix of `length` bits; byte 8 (bits 64 to
/// 71, "u") is passed over.
std::array<std::size_t, 4> places(unsigned length) {
  std::array<std::size_t, 4> found{};
  std::size_t at = length / 8;
  for (std::size_t& place : found) {
    if (at == 8) ++at;
    place = at++;
  }
  return found;
}

IpAddress v4_at(const V6& bytes, unsigned length) {
  std::array<std::uint8_t, 4> v4{};
  const auto at = places(length);
  for (std::size_t i = 0; i < 4; ++i) v4[i] = bytes[at[i]];
  return IpAddress::v4(v4);
}

bool is_well_known(const IpAddress& v4) {
  return v4 == IpAddress::v4(192, 0, 0, 170) || v4 == IpAddress::v4(192, 0, 0, 171);
}

bool is_v4_mapped(const V6& bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

bool is_nobodys(const IpAddress& address) {
  return !address.is_v6() || address.is_link_local() || address.is_multicast() ||
         address.is_loopback() || is_v4_mapped(bytes_of(address));
}

}  // namespace

std::optional<Nat64Prefix> Nat64Prefix::announced(const AddressPrefix& prefix) {
  if (is_nobodys(prefix.address) || prefix.address.is_unspecified()) return std::nullopt;
  return make(prefix.address, prefix.length);
}

std::optional<Nat64Prefix> Nat64Prefix::make(const IpAddress& address, unsigned length) {
  if (!address.is_v6() ||
      std::find(std::begin(kLengths), std::end(kLengths), length) == std::end(kLengths)) {
    return std::nullopt;
  }
  V6 bytes = bytes_of(address);
  std::fill(bytes.begin() + length / 8, bytes.end(), std::uint8_t{0});
  if (bytes[8] != 0) return std::nullopt;
  return Nat64Prefix(IpAddress::v6(bytes), length);
}

std::vector<Nat64Prefix> Nat64Prefix::from_well_known(const std::vector<IpAddress>& answers) {
  std::vector<Nat64Prefix> found;
  for (const IpAddress& answer : answers) {
    if (found.size() == kMaxPrefixes) break;
    if (is_nobodys(answer)) continue;
    std::optional<Nat64Prefix> prefix;
    int matches = 0;
    for (const unsigned length : kLengths) {
      const auto candidate = make(answer, length);
      if (!candidate || !is_well_known(v4_at(bytes_of(answer), length))) continue;
      ++matches;
      prefix = candidate;
    }
    // RFC 7050 §3: more than one place is ambiguous.
    if (matches == 1 && std::find(found.begin(), found.end(), *prefix) == found.end()) {
      found.push_back(*prefix);
    }
  }
  return found;
}

IpAddress Nat64Prefix::embed(const IpAddress& v4) const {
  if (!v4.is_v4()) return v4;
  V6 bytes = bytes_of(address_);
  const auto at = places(length_);
  for (std::size_t i = 0; i < 4; ++i) bytes[at[i]] = static_cast<std::uint8_t>(v4.bytes()[i]);
  return IpAddress::v6(bytes);
}

std::optional<IpAddress> Nat64Prefix::extract(const IpAddress& address) const {
  const auto own = make(address, length_);
  if (!own || *own != *this) return std::nullopt;
  return v4_at(bytes_of(address), length_);
}

}  // namespace godwit
