// SPDX-License-Identifier: Apache-2.0
//
// MiniServer's words for transports: how URIs and Vias name them. Pure; of its source files only.
#pragma once

#include <optional>
#include <string_view>

#include "testing/mini_server.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {

/// "UDP", "TCP", "TLS": as in Via.
const char* via_name(ServerTransport transport);
/// Of a Via value; UDP where it is none of ours.
ServerTransport transport_of_via(std::string_view via);
/// By the scheme and `;transport=`.
ServerTransport transport_of(const UriParts& uri);
/// Where a URI with an address literal leads; without `streams` always by UDP.
std::optional<ServerHop> hop_of(const UriParts& uri, bool streams);

}  // namespace godwit::testing
