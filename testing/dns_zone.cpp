// SPDX-License-Identifier: Apache-2.0
#include "testing/dns_zone.hpp"

#include <algorithm>

#include "wire/dns/dns_message.hpp"
#include "wire/endian.hpp"

namespace godwit::testing {
namespace {

using wire::put16;
using wire::put32;

constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kSoa = 6;

void put_text(Buffer& out, const std::string& text) {
  out.push_back(static_cast<std::uint8_t>(text.size()));
  out.insert(out.end(), text.begin(), text.end());
}

Buffer record_data(const DnsRecord& record) {
  Buffer data;
  if (const auto* address = std::get_if<IpAddress>(&record.data)) {
    const Bytes bytes = as_bytes(address->bytes());
    data.assign(bytes.begin(), bytes.end());
  } else if (const auto* srv = std::get_if<SrvRecord>(&record.data)) {
    put16(data, srv->priority);
    put16(data, srv->weight);
    put16(data, srv->port);
    put_dns_name(data, srv->target);
  } else if (const auto* naptr = std::get_if<NaptrRecord>(&record.data)) {
    put16(data, naptr->order);
    put16(data, naptr->preference);
    put_text(data, naptr->flags);
    put_text(data, naptr->service);
    put_text(data, naptr->regexp);
    put_dns_name(data, naptr->replacement);
  }
  return data;
}

void put_resource(Buffer& out, const std::string& owner, std::uint16_t type,
                  std::chrono::seconds ttl, const Buffer& data) {
  put_dns_name(out, owner);
  put16(out, type);
  put16(out, kInternet);
  put32(out, static_cast<std::uint32_t>(ttl.count()));
  put16(out, static_cast<std::uint16_t>(data.size()));
  out.insert(out.end(), data.begin(), data.end());
}

Buffer soa_data(std::chrono::seconds minimum) {
  Buffer data;
  put_dns_name(data, "ns");
  put_dns_name(data, "hostmaster");
  for (const std::uint32_t value : {1U, 3600U, 600U, 86400U}) put32(data, value);
  put32(data, static_cast<std::uint32_t>(minimum.count()));
  return data;
}

}  // namespace

void put_dns_name(Buffer& out, const std::string& name) {
  std::size_t from = 0;
  while (from < name.size()) {
    const std::size_t dot = std::min(name.find('.', from), name.size());
    put_text(out, name.substr(from, dot - from));
    from = dot + 1;
  }
  out.push_back(0);
}

Buffer make_dns_query(std::uint16_t id, const DnsQuestion& question) {
  Buffer out;
  put16(out, id);
  put16(out, 0x0100);  // Recursion desired.
  put16(out, 1);
  for (int i = 0; i < 3; ++i) put16(out, 0);
  put_dns_name(out, question.name);
  put16(out, wire::dns_type_number(question.type));
  put16(out, kInternet);
  return out;
}

Buffer make_dns_reply(Bytes query, const DnsQuestion& question, const DnsAnswer& answer) {
  unsigned rcode = 0;
  switch (answer.failure) {
    case DnsFailure::None:
    case DnsFailure::NoData: break;
    case DnsFailure::NoSuchName: rcode = 3; break;
    case DnsFailure::Timeout:
    case DnsFailure::Other: rcode = 2; break;
  }
  Buffer out;
  put16(out, wire::get16(query, 0));
  put16(out, static_cast<std::uint16_t>(0x8180U | rcode));
  put16(out, 1);
  put16(out, static_cast<std::uint16_t>(answer.records.size()));
  put16(out, answer.negative_ttl ? 1 : 0);
  put16(out, 0);
  put_dns_name(out, question.name);
  put16(out, wire::dns_type_number(question.type));
  put16(out, kInternet);
  for (const DnsRecord& record : answer.records) {
    put_resource(out, question.name, wire::dns_type_number(question.type), record.ttl,
                 record_data(record));
  }
  if (answer.negative_ttl) {
    put_resource(out, "example", kSoa, *answer.negative_ttl, soa_data(*answer.negative_ttl));
  }
  return out;
}

void DnsZone::add_address(const std::string& name, const IpAddress& address,
                          std::chrono::seconds ttl) {
  names_[name][address.is_v4() ? DnsType::A : DnsType::Aaaa].push_back({address, ttl});
}

void DnsZone::add_srv(const std::string& name, SrvRecord record, std::chrono::seconds ttl) {
  DnsRecord& made = names_[name][DnsType::Srv].emplace_back();
  made.data = std::move(record);
  made.ttl = ttl;
}

void DnsZone::add_naptr(const std::string& name, NaptrRecord record, std::chrono::seconds ttl) {
  DnsRecord& made = names_[name][DnsType::Naptr].emplace_back();
  made.data = std::move(record);
  made.ttl = ttl;
}

void DnsZone::set_addresses(const std::string& name, const std::vector<IpAddress>& addresses,
                            std::chrono::seconds ttl) {
  names_.erase(name);
  names_[name];
  for (const IpAddress& address : addresses) add_address(name, address, ttl);
}

void DnsZone::remove(const std::string& name) { names_.erase(name); }

DnsAnswer DnsZone::answer(const DnsQuestion& question) const {
  const auto failing = failures_.find(question.name);
  if (failing != failures_.end() && failing->second != DnsFailure::None) {
    return DnsAnswer{failing->second, {}, std::nullopt, {}};
  }
  const auto found = names_.find(question.name);
  if (found == names_.end()) return DnsAnswer{DnsFailure::NoSuchName, {}, negative_ttl_, {}};
  const auto records = found->second.find(question.type);
  if (records == found->second.end()) return DnsAnswer{DnsFailure::NoData, {}, negative_ttl_, {}};
  return DnsAnswer{DnsFailure::None, records->second, std::nullopt, {}};
}

std::optional<Buffer> DnsZone::reply(Bytes query) const {
  constexpr std::size_t kHeader = 12;
  if (query.size() < kHeader) return std::nullopt;
  DnsQuestion question;
  std::size_t at = kHeader;
  while (at < query.size() && query[at] != 0) {
    const std::size_t length = query[at];
    if (at + 1 + length > query.size()) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    question.name += as_text(query.subspan(at + 1, length));
    at += 1 + length;
  }
  if (at + 5 > query.size()) return std::nullopt;
  const std::uint16_t number = wire::get16(query, at + 1);
  for (const DnsType type : {DnsType::A, DnsType::Aaaa, DnsType::Srv, DnsType::Naptr}) {
    if (wire::dns_type_number(type) != number) continue;
    question.type = type;
    const DnsAnswer found = answer(question);
    if (found.failure == DnsFailure::Timeout) return std::nullopt;
    return make_dns_reply(query, question, found);
  }
  return std::nullopt;
}

}  // namespace godwit::testing
