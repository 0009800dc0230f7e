// SPDX-License-Identifier: Apache-2.0
//
// What a DNS server knows, for tests: records by name and type, answered as values (the simulated
// network) or as bytes (a mock server on a real socket). Owned by the test; no sockets here.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/dns.hpp"

namespace godwit::testing {

class DnsZone {
 public:
  static constexpr std::chrono::seconds kTtl{300};

  void add_address(const std::string& name, const IpAddress& address,
                   std::chrono::seconds ttl = kTtl);
  void add_srv(const std::string& name, SrvRecord record, std::chrono::seconds ttl = kTtl);
  void add_naptr(const std::string& name, NaptrRecord record, std::chrono::seconds ttl = kTtl);
  /// Replaces all records of the name.
  void set_addresses(const std::string& name, const std::vector<IpAddress>& addresses,
                     std::chrono::seconds ttl = kTtl);
  void remove(const std::string& name);
  void clear() { names_.clear(); }
  /// Everything about that name fails so; Timeout: is not answered at all.
  void set_failure(const std::string& name, DnsFailure failure) { failures_[name] = failure; }
  void set_negative_ttl(std::chrono::seconds ttl) { negative_ttl_ = ttl; }

  /// NoSuchName for a name without any record.
  DnsAnswer answer(const DnsQuestion& question) const;
  /// The reply to the bytes of a query; nullopt: none is sent.
  std::optional<Buffer> reply(Bytes query) const;

 private:
  std::map<std::string, std::map<DnsType, std::vector<DnsRecord>>> names_;
  std::map<std::string, DnsFailure> failures_;
  std::chrono::seconds negative_ttl_{60};
};

/// A name in the wire format, without compression.
void put_dns_name(Buffer& out, const std::string& name);
/// A query, as a resolver would send it.
Buffer make_dns_query(std::uint16_t id, const DnsQuestion& question);
/// The reply to `query` (whose header and question it repeats) that brings this answer.
Buffer make_dns_reply(Bytes query, const DnsQuestion& question, const DnsAnswer& answer);

}  // namespace godwit::testing
