// SPDX-License-Identifier: Apache-2.0
//
// Where a request leaves to when its next hop is an address literal, which needs no name service:
// everything else is resolved by ua. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "sip/flow.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {

/// `flow` with the remote endpoint and transport that the URI names, if that is a literal of the
/// flow's family; else unchanged. RFC 3263 §4: without `transport=` or `sips:` it is UDP, but the
/// flow's own transport if that leads to the same endpoint; the port is the transport's own where
/// the URI has none. TLS to another host has the address as the name to be proven.
Flow towards(Flow flow, std::string_view uri);
/// The same, but with `secure` never away from TLS.
Flow towards(Flow flow, std::string_view uri, bool secure);

/// What the URI itself says: `transport=`, or TLS for `sips:` (RFC 3261 §26.2.2). nullopt: nothing,
/// or a transport that we do not have.
std::optional<Transport> transport_in(const wire::Uri& uri);

}  // namespace godwit::sip
