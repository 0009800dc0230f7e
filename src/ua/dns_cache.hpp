// SPDX-License-Identifier: Apache-2.0
//
// What the DNS has said lately, also that there is nothing (RFC 2308). Owned by the Locator. Knows
// time only as an argument, and asks nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>

#include "base/dns.hpp"
#include "godwit/time.hpp"

namespace godwit::ua {

class DnsCache {
 public:
  /// With so many entries the one that ends first makes room.
  static constexpr std::size_t kMaxEntries = 256;
  /// However long a server says, a record is asked for again after a day …
  static constexpr std::chrono::seconds kMaxTtl = std::chrono::hours(24);
  /// … and "there is nothing" after five minutes: people mend their zones while users wait.
  static constexpr std::chrono::seconds kMaxNegativeTtl{300};
  /// Where the server did not say (RFC 2308 §5 wants the SOA's; not all send it).
  static constexpr std::chrono::seconds kDefaultNegativeTtl{30};
  /// RFC 2308 §7: a failure of the servers is remembered, but briefly.
  static constexpr std::chrono::seconds kFailureTtl{5};

  /// The answer with what is left of its times, or nothing.
  std::optional<DnsAnswer> find(const DnsQuestion& question, TimePoint now) const;
  void store(const DnsQuestion& question, const DnsAnswer& answer, TimePoint now);
  void clear() { entries_.clear(); }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    DnsAnswer answer;
    TimePoint stored;
    TimePoint ends;
  };
  std::map<DnsQuestion, Entry> entries_;
};

}  // namespace godwit::ua
