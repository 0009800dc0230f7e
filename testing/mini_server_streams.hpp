// SPDX-License-Identifier: Apache-2.0
//
// MiniServer over connections: how URIs and Vias name transports, and where messages end. Pure; for
// its own source files and for whoever gives it sockets.
#pragma once

#include <optional>
#include <string_view>

#include "testing/mini_server.hpp"
#include "testing/sip_text.hpp"
#include "wire/sip/framing.hpp"

namespace godwit::testing {

/// Cuts what comes on a connection into the messages that a MiniServer takes.
using wire::StreamFramer;

/// "UDP", "TCP", "TLS": as in Via.
const char* via_name(ServerTransport transport);
/// Of a Via value; UDP where it is none of ours.
ServerTransport transport_of_via(std::string_view via);
/// By the scheme and `;transport=`.
ServerTransport transport_of(const UriParts& uri);
/// Where a URI with an address literal leads; without `streams` always by UDP.
std::optional<ServerHop> hop_of(const UriParts& uri, bool streams);

}  // namespace godwit::testing
