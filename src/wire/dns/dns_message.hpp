// SPDX-License-Identifier: Apache-2.0
//
// DNS replies (RFC 1035 §4) as bytes to values: A, AAAA, SRV and NAPTR, with their times to live,
// aliases followed, and how long "nothing there" may be remembered. Anybody may have sent the
// bytes: pointers only lead backwards, counts are bounded, the work is linear. Asks nothing itself.
#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "base/dns.hpp"
#include "godwit/result.hpp"

namespace godwit::wire {

/// Resource records read of one message, CNAMEs followed from its question, and characters of a
/// name.
constexpr std::size_t kMaxDnsMessageRecords = 256;
constexpr std::size_t kMaxDnsAliases = 8;
constexpr std::size_t kMaxDnsName = 255;

/// The reply to one question of `type`, for whichever name its question section has: whoever asked
/// has matched that already. Malformed: the bytes are no such reply. A negative answer, or a
/// server's refusal, is a DnsAnswer like any other.
Result<DnsAnswer> parse_dns_reply(Bytes message, DnsType type);

/// TYPE of RFC 1035 §3.2.2, RFC 3596, RFC 2782, RFC 3403.
std::uint16_t dns_type_number(DnsType type);

}  // namespace godwit::wire
