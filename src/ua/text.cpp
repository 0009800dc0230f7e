// SPDX-License-Identifier: Apache-2.0
#include "ua/text.hpp"

#include "wire/sip/uri.hpp"

namespace godwit::ua {

std::string SipAddress::host_part() const {
  const bool v6 = host.find(':') != std::string::npos;
  std::string text = v6 ? "[" + host + "]" : host;
  if (has_port) text += ":" + std::to_string(port);
  return text;
}

std::string SipAddress::domain_uri() const { return "sip:" + host_part(); }

std::string SipAddress::uri() const {
  return "sip:" + (user.empty() ? "" : wire::percent_encode_user(user) + "@") + host_part();
}

std::optional<Endpoint> SipAddress::endpoint() const {
  const auto address = IpAddress::parse(host);
  return address ? std::optional(Endpoint{*address, port}) : std::nullopt;
}

Result<SipAddress> parse_sip_address(std::string_view text, std::string_view what) {
  std::string full(text);
  if (full.find("sip:") != 0 && full.find("sips:") != 0) full.insert(0, "sip:");
  const auto uri = wire::Uri::parse(full);
  const auto complain = [&](const char* why) {
    return fail(ErrorCode::InvalidArgument,
                std::string(what) + " \"" + std::string(text) + "\" " + why);
  };
  if (!uri || uri->host.empty()) return complain("is not a SIP URI such as sip:alice@example.org");
  if (uri->scheme == wire::Scheme::Sips)
    return complain("asks for TLS, which is not available yet");
  const std::string_view transport = uri->transport();
  if (!transport.empty() && transport != "udp" && transport != "UDP") {
    return complain("asks for a transport other than UDP, which is not available yet");
  }
  SipAddress address;
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
