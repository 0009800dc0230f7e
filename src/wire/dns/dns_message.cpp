// SPDX-License-Identifier: Apache-2.0
#include "wire/dns/dns_message.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/endian.hpp"

namespace godwit::wire {
namespace {

using std::chrono::seconds;

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kInternet = 1;
constexpr std::uint16_t kCname = 5;
constexpr std::uint16_t kSoa = 6;
constexpr unsigned kNameError = 3;
constexpr int kMaxJumps = 32;  // Pointers in one name; a server needs one.

/// The bytes from `at` on; every read says whether there was enough.
struct Cursor {
  Bytes message;
  std::size_t at = 0;

  bool has(std::size_t count) const { return at <= message.size() && count <= message.size() - at; }
  std::optional<std::uint16_t> u16() {
    if (!has(2)) return std::nullopt;
    at += 2;
    return get16(message, at - 2);
  }
  std::optional<std::uint32_t> u32() {
    if (!has(4)) return std::nullopt;
    at += 4;
    return get32(message, at - 4);
  }
  /// A <character-string>: RFC 1035 §3.3.
  std::optional<std::string> text() {
    if (!has(1) || !has(1U + message[at])) return std::nullopt;
    const std::size_t length = message[at];
    std::string value(as_text(message.subspan(at + 1, length)));
    at += 1 + length;
    return value;
  }
  std::optional<std::string> name();
};

std::optional<std::string> Cursor::name() {
  std::string text;
  std::size_t from = at;
  std::size_t barrier = at;  // A pointer must lead before the place that we came from last.
  int jumps = 0;
  for (;;) {
    if (from >= message.size()) return std::nullopt;
    const unsigned length = message[from];
    if ((length & 0xc0U) == 0xc0U) {
      // RFC 1035 §4.1.4: "a pointer to a prior occurrence of the same name".
      if (from + 1 >= message.size()) return std::nullopt;
      const std::size_t target = (length & 0x3fU) << 8U | message[from + 1];
      if (jumps == 0) at = from + 2;
      if (target >= barrier || ++jumps > kMaxJumps) return std::nullopt;
      barrier = target;
      from = target;
      continue;
    }
    if ((length & 0xc0U) != 0) return std::nullopt;
    if (length == 0) {
      if (jumps == 0) at = from + 1;
      return text;
    }
    if (from + 1 + length > message.size()) return std::nullopt;
    if (text.size() + length + 1 > kMaxDnsName) return std::nullopt;
    if (!text.empty()) text += '.';
    for (const std::uint8_t byte : message.subspan(from + 1, length)) {
      // What no host name has becomes what no host name has, so that it can neither forge a dot nor
      // a line of a log.
      const bool plain = byte > 0x20 && byte < 0x7f && byte != '.' && byte != '\\';
      text += plain ? static_cast<char>(std::tolower(byte)) : '?';
    }
    from += 1 + length;
  }
}

struct Resource {
  std::string owner;
  std::uint16_t type = 0;
  std::uint16_t class_number = 0;
  seconds ttl{0};
  Cursor data;  ///< At the record's data, within the whole message, for pointers.
  std::size_t data_end = 0;
};

std::optional<Resource> read_resource(Cursor& cursor) {
  Resource resource;
  auto owner = cursor.name();
  const auto type = cursor.u16();
  const auto class_number = cursor.u16();
  const auto ttl = cursor.u32();
  const auto length = cursor.u16();
  if (!owner || !type || !class_number || !ttl || !length || !cursor.has(*length)) {
    return std::nullopt;
  }
  resource.owner = std::move(*owner);
  resource.type = *type;
  resource.class_number = *class_number;
  // RFC 2181 §8: with the highest bit set, as if it were zero.
  resource.ttl = seconds((*ttl & 0x8000'0000U) != 0 ? 0U : *ttl);
  resource.data = cursor;
  cursor.at += *length;
  resource.data_end = cursor.at;
  return resource;
}

std::optional<IpAddress> read_address(const Resource& resource, std::size_t size) {
  if (resource.data_end - resource.data.at != size) return std::nullopt;
  const Bytes bytes = resource.data.message.subspan(resource.data.at, size);
  if (size == 4) return IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3]);
  std::array<std::uint8_t, 16> v6{};
  std::copy(bytes.begin(), bytes.end(), v6.begin());
  return IpAddress::v6(v6);
}

std::optional<DnsRecord> read_record(const Resource& resource, DnsType type) {
  Cursor data = resource.data;
  DnsRecord record;
  record.ttl = resource.ttl;
  switch (type) {
    case DnsType::A:
    case DnsType::Aaaa: {
      const auto address = read_address(resource, type == DnsType::A ? 4 : 16);
      if (!address) return std::nullopt;
      record.data = *address;
      return record;
    }
    case DnsType::Srv: {
      const auto priority = data.u16();
      const auto weight = data.u16();
      const auto port = data.u16();
      auto target = data.name();
      if (!priority || !weight || !port || !target || data.at > resource.data_end) {
        return std::nullopt;
      }
      record.data = SrvRecord{*priority, *weight, *port, std::move(*target)};
      return record;
    }
    case DnsType::Naptr: {
      const auto order = data.u16();
      const auto preference = data.u16();
      auto flags = data.text();
      auto service = data.text();
      auto regexp = data.text();
      auto replacement = data.name();
      if (!order || !preference || !flags || !service || !regexp || !replacement ||
          data.at > resource.data_end) {
        return std::nullopt;
      }
      record.data = NaptrRecord{*order,
                                *preference,
                                std::move(*flags),
                                std::move(*service),
                                std::move(*regexp),
                                std::move(*replacement)};
      return record;
    }
  }
  return std::nullopt;
}

/// RFC 2308 §5: the smaller of the SOA's own time and its MINIMUM field, its last four bytes.
std::optional<seconds> negative_ttl(const Resource& soa) {
  if (soa.data_end - soa.data.at < 22) return std::nullopt;
  const std::uint32_t minimum = get32(soa.data.message, soa.data_end - 4);
  return std::min(soa.ttl, seconds((minimum & 0x8000'0000U) != 0 ? 0U : minimum));
}

DnsAnswer negative(DnsFailure failure, std::optional<seconds> ttl) {
  return DnsAnswer{failure, {}, ttl, {}};
}

}  // namespace

std::uint16_t dns_type_number(DnsType type) {
  switch (type) {
    case DnsType::A: return 1;
    case DnsType::Aaaa: return 28;
    case DnsType::Srv: return 33;
    case DnsType::Naptr: return 35;
  }
  return 0;
}

Result<DnsAnswer> parse_dns_reply(Bytes message, DnsType type) {
  const auto malformed = [](const char* why) {
    return fail(ErrorCode::Malformed, std::string("a DNS reply ") + why);
  };
  if (message.size() < kHeader) return malformed("is shorter than its header");
  const std::uint16_t flags = get16(message, 2);
  if ((flags & 0x8000U) == 0) return malformed("is a question");
  if (get16(message, 4) != 1) return malformed("does not repeat one question");
  const unsigned rcode = flags & 0xfU;
  const std::size_t answers = get16(message, 6);
  const std::size_t authorities = get16(message, 8);

  Cursor cursor{message, kHeader};
  auto wanted = cursor.name();
  const auto asked_type = cursor.u16();
  if (!wanted || !asked_type || !cursor.u16()) return malformed("has a broken question");
  if (*asked_type != dns_type_number(type)) return malformed("answers another question");
  if (rcode != 0 && rcode != kNameError) {
    return DnsAnswer{DnsFailure::Other,
                     {},
                     std::nullopt,
                     "the DNS server refused with code " + std::to_string(rcode)};
  }

  std::vector<std::pair<std::string, std::pair<std::string, seconds>>> aliases;
  std::vector<std::pair<std::string, DnsRecord>> records;
  std::optional<seconds> negative_time;
  const std::size_t count = std::min(answers + authorities, kMaxDnsMessageRecords);
  for (std::size_t i = 0; i < count; ++i) {
    const auto resource = read_resource(cursor);
    // Cut short (a truncated datagram): what was whole counts.
    if (!resource) break;
    if (resource->class_number != kInternet) continue;
    if (i >= answers) {
      if (resource->type == kSoa && !negative_time) negative_time = negative_ttl(*resource);
    } else if (resource->type == kCname) {
      Cursor data = resource->data;
      auto target = data.name();
      if (target && aliases.size() < kMaxDnsAliases * 2) {
        aliases.push_back({resource->owner, {std::move(*target), resource->ttl}});
      }
    } else if (resource->type == dns_type_number(type)) {
      if (auto record = read_record(*resource, type)) {
        records.emplace_back(resource->owner, std::move(*record));
      }
    }
  }

  seconds ttl = seconds::max();
  for (std::size_t i = 0; i < kMaxDnsAliases; ++i) {
    const auto alias = std::find_if(aliases.begin(), aliases.end(),
                                    [&](const auto& a) { return a.first == *wanted; });
    if (alias == aliases.end()) break;
    wanted = alias->second.first;
    ttl = std::min(ttl, alias->second.second);
  }
  DnsAnswer answer;
  for (auto& [owner, record] : records) {
    if (owner != *wanted || answer.records.size() == kMaxDnsRecords) continue;
    record.ttl = std::min(record.ttl, ttl);
    answer.records.push_back(std::move(record));
  }
  if (!answer.records.empty()) return answer;
  return negative(rcode == kNameError ? DnsFailure::NoSuchName : DnsFailure::NoData, negative_time);
}

}  // namespace godwit::wire
