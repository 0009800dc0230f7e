// SPDX-License-Identifier: Apache-2.0
//
// Network byte order, for the binary formats of this layer. The caller has checked the sizes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace godwit::wire {

inline std::uint16_t get16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8U | bytes[at + 1]);
}
inline std::uint32_t get32(Bytes bytes, std::size_t at) {
  return std::uint32_t{get16(bytes, at)} << 16U | get16(bytes, at + 2);
}
inline void put16(Buffer& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}
inline void put32(Buffer& out, std::uint32_t value) {
  put16(out, static_cast<std::uint16_t>(value >> 16U));
  put16(out, static_cast<std::uint16_t>(value));
}

}  // namespace godwit::wire
