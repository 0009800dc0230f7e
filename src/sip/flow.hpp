// SPDX-License-Identifier: Apache-2.0
//
// A flow (RFC 5626): the way between one of our listeners and one remote address. A plain value and
// not an entry of a table, so that packets from strangers cost no state. Owns nothing; whether the
// listener still lives is known to whoever drives the core.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "godwit/address.hpp"
#include "godwit/strong_id.hpp"

namespace godwit::sip {

using ListenerId = StrongId<struct ListenerIdTag>;

enum class Transport : std::uint8_t { Udp, Tcp, Tls };

/// The name in a Via: "UDP".
const char* to_string(Transport transport);

struct Flow {
  Transport transport = Transport::Udp;
  ListenerId listener;
  /// What stands in Via and Contact, hence never a wildcard address.
  Endpoint local;
  Endpoint remote;
  std::uint32_t interface_index = 0;  ///< 0: whichever the system chooses.
  Generation generation;              ///< The IP change that this flow was opened for.

  friend bool operator==(const Flow&, const Flow&) = default;
};

/// "UDP 192.0.2.1:5060 -> 198.51.100.7:5060 (listener 3, generation 1)", for logs and traces.
std::string to_string(const Flow& flow);

}  // namespace godwit::sip
