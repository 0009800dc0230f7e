// SPDX-License-Identifier: Apache-2.0
//
// Whether a network snapshot that somebody else has made can be true. A pure function, for what
// applications feed; what the kernel says is believed. It does not judge what a sound snapshot
// means.
#pragma once

#include "godwit/network.hpp"
#include "godwit/result.hpp"

namespace godwit::mobility {

// More than any machine has that runs a phone; a list without a limit would be searched for each
// use. Per snapshot, but for the addresses, which are per interface.
constexpr std::size_t kMaxInterfaces = 1'024;
constexpr std::size_t kMaxAddresses = 256;
constexpr std::size_t kMaxRoutes = 1'024;
constexpr std::size_t kMaxNameBytes = 256;  ///< Of an interface's name or a link's identity.

/// InvalidArgument, with a sentence that names the contradiction, if it is too large, if two
/// interfaces share an index, a name or a usable address, if an interface has no name or index, if
/// an address or a prefix length is none, or if a route leads over an interface that is not there,
/// or from an address that nobody has. An empty one is sound: there is no network.
Result<void> validate_snapshot(const NetworkSnapshot& snapshot);

}  // namespace godwit::mobility
