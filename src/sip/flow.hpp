// SPDX-License-Identifier: Apache-2.0
//
// A flow (RFC 5626): the way between one of our listeners, or one of our connections, and one
// remote address. A plain value and not an entry of a table, so that packets from strangers cost no
// state. Owns nothing; whether the listener or connection still lives is known to ua.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "godwit/address.hpp"
#include "godwit/strong_id.hpp"

namespace godwit::sip {

using ListenerId = StrongId<struct ListenerIdTag>;

enum class Transport : std::uint8_t { Udp, Tcp, Tls };

/// The name in a Via: "UDP", "TCP" or "TLS".
const char* to_string(Transport transport);
/// Reliable and in order: a connection, on which nothing is retransmitted (RFC 3261 §17).
constexpr bool is_stream(Transport transport) { return transport != Transport::Udp; }
/// Where a URI or sent-by has no port (RFC 3261 §19.1.2): 5060, with TLS 5061.
constexpr std::uint16_t default_port(Transport transport) {
  return transport == Transport::Tls ? 5061 : 5060;
}

struct Flow {
  Transport transport = Transport::Udp;
  /// UDP: the socket. Streams: the connection, which has its number out of the same series.
  ListenerId listener;
  /// What stands in Via and Contact, hence never a wildcard address.
  Endpoint local;
  Endpoint remote;
  std::uint32_t interface_index = 0;  ///< 0: whichever the system chooses.
  Generation generation;              ///< The IP change that this flow was opened for.
  /// TLS: the name that the peer's certificate must have (RFC 5922), on this connection and on any
  /// later one that takes its place. Empty on connections that the peer opened.
  std::string tls_name = {};

  friend bool operator==(const Flow&, const Flow&) = default;
};

/// "UDP 192.0.2.1:5060 -> 198.51.100.7:5060 (listener 3, generation 1)", for logs and traces.
std::string to_string(const Flow& flow);

}  // namespace godwit::sip
