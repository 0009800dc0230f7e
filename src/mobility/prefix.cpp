// SPDX-License-Identifier: Apache-2.0
#include "mobility/prefix.hpp"

#include <bit>
#include <cstdint>

namespace godwit::mobility {

unsigned common_prefix(const IpAddress& a, const IpAddress& b) {
  if (a.family() != b.family()) return 0;
  const std::string_view left = a.bytes();
  const std::string_view right = b.bytes();
  unsigned bits = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto differ = static_cast<std::uint8_t>(left[i] ^ right[i]);
    if (differ != 0) return bits + static_cast<unsigned>(std::countl_zero(differ));
    bits += 8;
  }
  return bits;
}

bool on_link(const InterfaceAddress& local, const IpAddress& remote) {
  if (local.address == remote) return true;
  if (local.address.family() != remote.family() || local.prefix_length == 0) return false;
  return common_prefix(local.address, remote) >= local.prefix_length;
}

}  // namespace godwit::mobility
