// SPDX-License-Identifier: Apache-2.0
#include "ua/nat64.hpp"

#include <algorithm>

namespace godwit::ua {

void Nat64::look_up() {
  query_ = QueryId{++last_query_};
  outputs_.push_back(Query{*query_, {kNat64WellKnownName, DnsType::Aaaa}});
}

void Nat64::forget() {
  query_.reset();
  prefix_.reset();
  unanswered_ = false;
}

bool Nat64::on_answer(QueryId query, const DnsAnswer& answer) {
  if (query_ != query) return false;
  query_.reset();
  // Then what is known stays.
  unanswered_ = answer.failure == DnsFailure::Timeout || answer.failure == DnsFailure::Other;
  if (unanswered_) return true;
  std::vector<IpAddress> addresses;
  for (const DnsRecord& record : answer.records) {
    if (const auto* address = std::get_if<IpAddress>(&record.data)) addresses.push_back(*address);
  }
  const auto found = Nat64Prefix::from_well_known(addresses);
  prefix_.reset();
  if (found.empty()) return true;
  keep(found.front());
  return true;
}

void Nat64::take(const Nat64Prefix& prefix) {
  query_.reset();
  unanswered_ = false;
  keep(prefix);
}

void Nat64::keep(const Nat64Prefix& prefix) {
  prefix_ = prefix;
  if (std::find(known_.begin(), known_.end(), prefix) != known_.end()) return;
  if (known_.size() == kMaxKnown) known_.pop_front();
  known_.push_back(prefix);
}

Endpoint Nat64::through(const Endpoint& remote) const {
  return prefix_ ? Endpoint{prefix_->embed(remote.address), remote.port} : remote;
}

Endpoint Nat64::original(const Endpoint& remote) const {
  if (!remote.address.is_v6()) return remote;
  for (const Nat64Prefix& prefix : known_) {
    if (const auto v4 = prefix.extract(remote.address)) return {*v4, remote.port};
  }
  return remote;
}

}  // namespace godwit::ua
