// SPDX-License-Identifier: Apache-2.0
//
// One RTP packet (RFC 3550 §5.1): a validated view of received bytes, and the builder. No state:
// which stream a packet belongs to and what it carries is media's work.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "godwit/result.hpp"

namespace godwit::wire {

inline constexpr std::size_t kRtpHeaderSize = 12;
inline constexpr std::size_t kMaxRtpCsrcs = 15;

/// RFC 3550 §5.3.1: what the extension means is up to `profile`.
struct RtpExtension {
  std::uint16_t profile = 0;
  Bytes data;  ///< A multiple of four bytes.
};

/// What the parser found; the spans point into the parsed bytes.
struct RtpPacket {
  bool marker = false;
  std::uint8_t payload_type = 0;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
  std::size_t csrc_count = 0;
  std::array<std::uint32_t, kMaxRtpCsrcs> csrcs{};
  std::optional<RtpExtension> extension;
  Bytes payload;  ///< Without padding.
};

Result<RtpPacket> parse_rtp(Bytes bytes);
/// The packet's bytes, without padding. Fails if a field is out of its range.
Result<Buffer> build_rtp(const RtpPacket& packet);

/// RFC 5761 §4: on a port shared by both, does this look like RTCP rather than RTP?
bool looks_like_rtcp(Bytes bytes);

}  // namespace godwit::wire
