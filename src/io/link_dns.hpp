// SPDX-License-Identifier: Apache-2.0
//
// The DNS servers that belong to one link, as systemd's daemons keep them in files: what was
// learned or configured for it by networkd, or given to resolved by others. Reads them, each time
// anew; who asks these servers, and whom else if they are silent, is decided elsewhere
// (docs/adr/0006).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/address.hpp"

namespace godwit::io {

/// Of one link; what is beyond is not asked: each one that is silent costs a second.
inline constexpr std::size_t kMaxLinkServers = 2;

/// `folder`: "/run/systemd". Empty where there are no such files, or they cannot be read.
std::vector<Endpoint> link_dns_servers(const std::string& folder, std::uint32_t interface_index);

/// The servers in the line `key`=… of such a file, at most kMaxLinkServers: "192.0.2.53",
/// "[2001:db8::1]:5353", with "%wlan0" and "#name" left out. Link-local ones are passed over.
std::vector<Endpoint> parse_link_servers(std::string_view file, std::string_view key);

}  // namespace godwit::io
