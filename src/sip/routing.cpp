// SPDX-License-Identifier: Apache-2.0
#include "sip/routing.hpp"

#include "wire/sip/uri.hpp"

namespace godwit::sip {
namespace {

constexpr std::uint16_t kDefaultPort = 5060;

}  // namespace

Flow towards(Flow flow, std::string_view uri) {
  const auto parsed = wire::Uri::parse(uri);
  if (!parsed || !parsed->is_sip()) return flow;
  // RFC 3261 §19.1.1: maddr overrides the host, which some strict routers use.
  const auto maddr = parsed->params.get("maddr");
  const auto address = maddr ? IpAddress::parse(*maddr) : parsed->address();
  if (!address || address->family() != flow.local.address.family()) return flow;
  if (address->is_unspecified() || address->is_multicast()) return flow;
  flow.remote = Endpoint{*address, parsed->port.value_or(kDefaultPort)};
  return flow;
}

}  // namespace godwit::sip
