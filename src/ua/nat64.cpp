// SPDX-License-Identifier: Apache-2.0
#include "ua/nat64.hpp"

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
  prefix_ = found.front();
  return true;
}

void Nat64::take(const Nat64Prefix& prefix) {
  query_.reset();
  unanswered_ = false;
  prefix_ = prefix;
}

Endpoint Nat64::through(const Endpoint& remote) const {
  return prefix_ ? Endpoint{prefix_->embed(remote.address), remote.port} : remote;
}

Endpoint Nat64::send_through(const Endpoint& remote) {
  const Endpoint translated = through(remote);
  if (translated == remote || sent_.contains(translated.address)) return translated;
  if (order_.size() == kMaxSent) {
    sent_.erase(order_.front());
    order_.pop_front();
  }
  sent_.emplace(translated.address, remote.address);
  order_.push_back(translated.address);
  return translated;
}

Endpoint Nat64::original(const Endpoint& remote) const {
  const auto found = sent_.find(remote.address);
  return found == sent_.end() ? remote : Endpoint{found->second, remote.port};
}

Endpoint Nat64::behind(const Endpoint& remote) const {
  const auto v4 = prefix_ ? prefix_->extract(remote.address) : std::nullopt;
  return v4 ? Endpoint{*v4, remote.port} : remote;
}

}  // namespace godwit::ua
