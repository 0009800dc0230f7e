// SPDX-License-Identifier: Apache-2.0
//
// What is asked of the DNS and what comes back, as values: shared by whoever decides (sip, ua) and
// whoever asks (io). No wire format, no cache, no time.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/address.hpp"

namespace godwit {

enum class DnsType : std::uint8_t { A, Aaaa, Srv, Naptr };
const char* to_string(DnsType type);

struct DnsQuestion {
  std::string name;  ///< Without the final dot.
  DnsType type = DnsType::A;

  friend auto operator<=>(const DnsQuestion&, const DnsQuestion&) = default;
};

/// RFC 2782. A target of "" is the root: the service is decidedly not available there.
struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string target;

  friend bool operator==(const SrvRecord&, const SrvRecord&) = default;
};

/// RFC 3403 §4.1.
struct NaptrRecord {
  std::uint16_t order = 0;
  std::uint16_t preference = 0;
  std::string flags;
  std::string service;
  std::string regexp;
  std::string replacement;

  friend bool operator==(const NaptrRecord&, const NaptrRecord&) = default;
};

struct DnsRecord {
  std::variant<IpAddress, SrvRecord, NaptrRecord> data;
  std::chrono::seconds ttl{0};

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
};

enum class DnsFailure : std::uint8_t {
  None,
  NoSuchName,  ///< NXDOMAIN (RFC 2308 §2.1).
  NoData,      ///< The name exists, but has no record of the type (RFC 2308 §2.2).
  Timeout,     ///< No server answered.
  Other,       ///< Refused, unreadable, too many questions: `detail` says which.
};
const char* to_string(DnsFailure failure);

struct DnsAnswer {
  DnsFailure failure = DnsFailure::None;
  std::vector<DnsRecord> records;  ///< Of the type asked for; not empty if there is no failure.
  /// NoSuchName and NoData: for how long that may be remembered (RFC 2308 §5), if the server said.
  std::optional<std::chrono::seconds> negative_ttl = std::nullopt;
  std::string detail = {};

  friend bool operator==(const DnsAnswer&, const DnsAnswer&) = default;
};

/// Records of one answer that are looked at; the rest of a longer one is cut off.
constexpr std::size_t kMaxDnsRecords = 32;

}  // namespace godwit
