// SPDX-License-Identifier: Apache-2.0
//
// ITU-T G.711: 16-bit linear samples to and from 8 bits, in µ-law and A-law. Stateless; one sample
// is one byte (docs/adr/0003 says why this is not a library's).
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "godwit/config.hpp"

namespace godwit::media {

std::uint8_t encode_ulaw(std::int16_t sample);
std::uint8_t encode_alaw(std::int16_t sample);
std::int16_t decode_ulaw(std::uint8_t code);
std::int16_t decode_alaw(std::uint8_t code);

/// Both spans are of the same size.
void encode(Codec codec, std::span<const std::int16_t> samples, std::span<std::uint8_t> codes);
void decode(Codec codec, Bytes codes, std::span<std::int16_t> samples);

}  // namespace godwit::media
