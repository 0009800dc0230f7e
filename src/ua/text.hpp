// SPDX-License-Identifier: Apache-2.0
//
// SIP URIs as the core needs them from configuration, user input and dialogs: owned parts instead
// of views. No resolution, no policy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "sip/flow.hpp"

namespace godwit::ua {

struct SipAddress {
  std::string user;  ///< Decoded; may be empty.
  std::string host;  ///< IPv6 without brackets.
  std::uint16_t port = 5060;
  bool has_port = false;
  bool sips = false;
  /// What the URI itself asks for.
  std::optional<sip::Transport> transport = {};

  /// "sip:host", with the port if there was one: a Request-URI of REGISTER.
  std::string domain_uri() const;
  std::string uri() const;
  /// ";transport=tcp", if the text said so; for Request-URIs and Routes.
  std::string transport_param() const;
  std::optional<Endpoint> endpoint() const;
  std::string host_part() const;
};

/// The same URI with sips:, which says TLS by itself.
std::string as_sips(std::string uri);
/// Is it a URI of that scheme, in whatever case it is written?
bool is_sips_uri(std::string_view uri);

/// Accepts "sip:user@host:port;transport=tcp" and "sips:…", also without the scheme.
/// InvalidArgument says what is wrong and with which text. `what` names the setting.
Result<SipAddress> parse_sip_address(std::string_view text, std::string_view what);

}  // namespace godwit::ua
