// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a DNS reply, read as each type: bounded, and what is said to be found is there.
#include <cstdint>
#include <cstdlib>

#include "wire/dns/dns_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace godwit;
  for (const DnsType type : {DnsType::A, DnsType::Aaaa, DnsType::Srv, DnsType::Naptr}) {
    const auto answer = wire::parse_dns_reply({data, size}, type);
    if (!answer) continue;
    if ((answer->failure == DnsFailure::None) == answer->records.empty()) std::abort();
    if (answer->records.size() > kMaxDnsRecords) std::abort();
  }
  return 0;
}
