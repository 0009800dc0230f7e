// SPDX-License-Identifier: Apache-2.0
//
// RTCP compound packets (RFC 3550 §6): SR, RR, SDES and BYE as values, their parser and builder.
// When to send one, and what the numbers mean, is media's work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "godwit/result.hpp"

namespace godwit::wire {

inline constexpr std::size_t kMaxRtcpPackets = 32;  ///< In one compound packet.

struct RtcpReportBlock {
  std::uint32_t ssrc = 0;
  std::uint8_t fraction_lost = 0;    ///< Of 256, since the last report.
  std::int32_t cumulative_lost = 0;  ///< 24 bits, signed.
  std::uint32_t highest_sequence = 0;
  std::uint32_t jitter = 0;  ///< In timestamp units.
  std::uint32_t last_sr = 0;
  std::uint32_t delay_since_last_sr = 0;  ///< In 1/65536 s.
  friend bool operator==(const RtcpReportBlock&, const RtcpReportBlock&) = default;
};

struct RtcpSenderReport {
  std::uint32_t ssrc = 0;
  std::uint64_t ntp_timestamp = 0;
  std::uint32_t rtp_timestamp = 0;
  std::uint32_t packet_count = 0;
  std::uint32_t octet_count = 0;
  std::vector<RtcpReportBlock> blocks;  ///< At most 31.
  friend bool operator==(const RtcpSenderReport&, const RtcpSenderReport&) = default;
};

struct RtcpReceiverReport {
  std::uint32_t ssrc = 0;
  std::vector<RtcpReportBlock> blocks;  ///< At most 31.
  friend bool operator==(const RtcpReceiverReport&, const RtcpReceiverReport&) = default;
};

/// Of all SDES items only the CNAME matters to a phone; others are skipped.
struct RtcpSourceDescription {
  struct Chunk {
    std::uint32_t ssrc = 0;
    std::string cname;  ///< At most 255 bytes.
    friend bool operator==(const Chunk&, const Chunk&) = default;
  };
  std::vector<Chunk> chunks;  ///< At most 31.
  friend bool operator==(const RtcpSourceDescription&, const RtcpSourceDescription&) = default;
};

struct RtcpBye {
  std::vector<std::uint32_t> ssrcs;  ///< At most 31.
  std::string reason;                ///< At most 255 bytes; may be empty.
  friend bool operator==(const RtcpBye&, const RtcpBye&) = default;
};

/// APP, feedback, extended reports: well-formed, but nothing we read.
struct RtcpOther {
  std::uint8_t packet_type = 0;
  friend bool operator==(const RtcpOther&, const RtcpOther&) = default;
};

using RtcpPacket =
    std::variant<RtcpSenderReport, RtcpReceiverReport, RtcpSourceDescription, RtcpBye, RtcpOther>;

/// RFC 3550 §6.1, A.2: a compound packet begins with an SR or RR and its lengths add up exactly.
Result<std::vector<RtcpPacket>> parse_rtcp(Bytes bytes);
/// Fails if the first is no report, a count or text is too long, or one is an RtcpOther.
Result<Buffer> build_rtcp(const std::vector<RtcpPacket>& packets);

}  // namespace godwit::wire
