// SPDX-License-Identifier: Apache-2.0
#include "base/dns.hpp"

namespace godwit {

const char* to_string(DnsType type) {
  switch (type) {
    case DnsType::A: return "A";
    case DnsType::Aaaa: return "AAAA";
    case DnsType::Srv: return "SRV";
    case DnsType::Naptr: return "NAPTR";
  }
  return "?";
}

const char* to_string(DnsFailure failure) {
  switch (failure) {
    case DnsFailure::None: return "no failure";
    case DnsFailure::NoSuchName: return "no such name";
    case DnsFailure::NoData: return "no such record";
    case DnsFailure::Timeout: return "no DNS server answered";
    case DnsFailure::Other: return "the DNS failed";
  }
  return "?";
}

}  // namespace godwit
