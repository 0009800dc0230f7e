// SPDX-License-Identifier: Apache-2.0
#include "sip/routing.hpp"

#include <algorithm>

namespace godwit::sip {
namespace {

bool equals(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char c, char l) {
           return (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == l;
         });
}

}  // namespace

std::optional<Transport> transport_in(const wire::Uri& uri) {
  const std::string_view name = uri.transport();
  const bool secure = uri.scheme == wire::Scheme::Sips;
  if (equals(name, "tls")) return Transport::Tls;
  // RFC 3261 §26.2.2: with sips, transport=tcp means TLS over TCP.
  if (equals(name, "tcp")) return secure ? Transport::Tls : Transport::Tcp;
  if (secure && name.empty()) return Transport::Tls;
  if (equals(name, "udp") && !secure) return Transport::Udp;
  return std::nullopt;
}

Flow towards(Flow flow, std::string_view uri, bool secure) {
  if (!secure) return towards(std::move(flow), uri);
  const Flow next = towards(flow, uri);
  // RFC 5630 §5.1.1.2: a dialog that was begun with sips stays on TLS, whatever the peer's Contact
  // says.
  return next.transport == Transport::Tls ? next : flow;
}

Flow towards(Flow flow, std::string_view uri) {
  const auto parsed = wire::Uri::parse(uri);
  if (!parsed || !parsed->is_sip()) return flow;
  // RFC 3261 §19.1.1: maddr overrides the host, which some strict routers use.
  const auto maddr = parsed->params.get("maddr");
  const auto address = maddr ? IpAddress::parse(*maddr) : parsed->address();
  if (!address || address->family() != flow.local.address.family()) return flow;
  if (address->is_unspecified() || address->is_multicast()) return flow;
  const auto asked = transport_in(*parsed);
  const Endpoint same{*address, parsed->port.value_or(default_port(flow.transport))};
  if (same == flow.remote && asked.value_or(flow.transport) == flow.transport) return flow;
  const Transport transport = asked.value_or(Transport::Udp);
  const Endpoint remote{*address, parsed->port.value_or(default_port(transport))};
  if (transport == Transport::Tls && remote.address != flow.remote.address) {
    flow.tls_name = address->to_string();
  }
  if (transport == Transport::Tls && flow.tls_name.empty()) flow.tls_name = address->to_string();
  if (transport != Transport::Tls) flow.tls_name.clear();
  flow.transport = transport;
  flow.remote = remote;
  return flow;
}

}  // namespace godwit::sip
