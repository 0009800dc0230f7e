// SPDX-License-Identifier: Apache-2.0
#include "ua/dns_cache.hpp"

#include <algorithm>

namespace godwit::ua {
namespace {

using std::chrono::seconds;

seconds lifetime(const DnsAnswer& answer) {
  switch (answer.failure) {
    case DnsFailure::None: break;
    case DnsFailure::NoSuchName:
    case DnsFailure::NoData:
      return std::min(answer.negative_ttl.value_or(DnsCache::kDefaultNegativeTtl),
                      DnsCache::kMaxNegativeTtl);
    case DnsFailure::Timeout:
    case DnsFailure::Other: return DnsCache::kFailureTtl;
  }
  seconds shortest = DnsCache::kMaxTtl;
  for (const DnsRecord& record : answer.records) shortest = std::min(shortest, record.ttl);
  return shortest;
}

}  // namespace

std::optional<DnsAnswer> DnsCache::find(const DnsQuestion& question, TimePoint now) const {
  const auto found = entries_.find(question);
  if (found == entries_.end() || found->second.ends <= now) return std::nullopt;
  DnsAnswer answer = found->second.answer;
  const auto age = std::chrono::duration_cast<seconds>(now - found->second.stored);
  for (DnsRecord& record : answer.records) record.ttl = std::max(record.ttl - age, seconds(0));
  if (answer.negative_ttl) answer.negative_ttl = std::max(*answer.negative_ttl - age, seconds(0));
  return answer;
}

void DnsCache::store(const DnsQuestion& question, const DnsAnswer& answer, TimePoint now) {
  entries_.erase(question);
  const seconds lives = lifetime(answer);
  if (lives <= seconds(0)) return;
  if (entries_.size() == kMaxEntries) {
    entries_.erase(std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.ends < b.second.ends; }));
  }
  entries_.emplace(question, Entry{answer, now, now + lives});
}

}  // namespace godwit::ua
