// SPDX-License-Identifier: Apache-2.0
#include "ua/text.hpp"

#include "sip/routing.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::ua {

std::string SipAddress::host_part() const {
  const bool v6 = host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + host + "]" : host;
  if (has_port) text += ":" + std::to_string(port);
  return text;
}

std::string as_sips(std::string uri) {
  constexpr std::string_view kSip = "sip:";
  constexpr std::string_view kTls = ";transport=tls";
  if (uri.compare(0, kSip.size(), kSip) == 0) uri.insert(kSip.size() - 1, "s");
  if (const auto at = uri.find(kTls); at != std::string::npos) uri.erase(at, kTls.size());
  return uri;
}

bool is_sips_uri(std::string_view uri) {
  const auto parsed = wire::Uri::parse(uri);
  return parsed && parsed->scheme == wire::Scheme::Sips;
}

std::string SipAddress::domain_uri() const { return (sips ? "sips:" : "sip:") + host_part(); }

std::string SipAddress::uri() const {
  return (sips ? "sips:" : "sip:") + (user.empty() ? "" : wire::percent_encode_user(user) + "@") +
         host_part();
}

std::string SipAddress::transport_param() const {
  if (!transport || (sips && *transport == sip::Transport::Tls)) return {};
  switch (*transport) {
    case sip::Transport::Udp: return ";transport=udp";
    case sip::Transport::Tcp: return ";transport=tcp";
    case sip::Transport::Tls: return ";transport=tls";
  }
  return {};
}

std::optional<Endpoint> SipAddress::endpoint() const {
  const auto address = IpAddress::parse(host);
  return address ? std::optional(Endpoint{*address, port}) : std::nullopt;
}

Result<SipAddress> parse_sip_address(std::string_view text, std::string_view what) {
  std::string full(text);
  // RFC 3261 §19.1.4: schemes are compared without regard to case, and a SIPS: that were taken for
  // a user's name would be called in the clear.
  const auto begins_with = [&](std::string_view scheme) {
    return wire::lex::iequals(std::string_view(full).substr(0, scheme.size()), scheme);
  };
  if (!begins_with("sip:") && !begins_with("sips:")) full.insert(0, "sip:");
  const auto uri = wire::Uri::parse(full);
  const auto complain = [&](const char* why) {
    return fail(ErrorCode::InvalidArgument,
                std::string(what) + " \"" + std::string(text) + "\" " + why);
  };
  if (!uri || uri->host.empty()) return complain("is not a SIP URI such as sip:alice@example.org");
  SipAddress address;
  address.sips = uri->scheme == wire::Scheme::Sips;
  address.transport = sip::transport_in(*uri);
  if (!uri->transport().empty() && !address.transport) {
    return complain("asks for a transport that is not UDP, TCP or TLS, or with sips: for UDP");
  }
  address.port = default_port(address.transport.value_or(sip::Transport::Udp));
  address.user = wire::percent_decode(uri->user);
  address.host = std::string(uri->host);
  if (address.host.size() > 2 && address.host.front() == '[') {
    address.host = address.host.substr(1, address.host.size() - 2);
  }
  if (uri->port) {
    address.port = *uri->port;
    address.has_port = true;
  }
  return address;
}

}  // namespace godwit::ua
