// SPDX-License-Identifier: Apache-2.0
//
// A server as people write it: "stun.example.org", "stun.example.org:3478", "192.0.2.1:3478",
// "[2001:db8::1]:3478". A value and its parser; it looks nothing up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/address.hpp"
#include "godwit/result.hpp"

namespace godwit {

struct HostPort {
  std::string host;                  ///< A name; empty if `address` is given.
  std::optional<IpAddress> address;  ///< A literal.
  std::optional<std::uint16_t> port;

  friend bool operator==(const HostPort&, const HostPort&) = default;
};

/// InvalidArgument, with a sentence for people: no host, characters that no name has, a name over
/// 253 bytes, or a port that is not from 1 to 65535.
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace godwit
