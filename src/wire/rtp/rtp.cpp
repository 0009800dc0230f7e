// SPDX-License-Identifier: Apache-2.0
#include "wire/rtp/rtp.hpp"

#include <limits>

#include "wire/endian.hpp"

namespace godwit::wire {
namespace {

constexpr std::uint8_t kVersion = 2;

}  // namespace

Result<RtpPacket> parse_rtp(Bytes bytes) {
  if (bytes.size() < kRtpHeaderSize)
    return fail(ErrorCode::Malformed, "RTP: shorter than a header");
  if (bytes[0] >> 6U != kVersion) return fail(ErrorCode::Malformed, "RTP: version is not 2");
  RtpPacket packet;
  packet.marker = (bytes[1] & 0x80U) != 0;
  packet.payload_type = bytes[1] & 0x7fU;
  packet.sequence = get16(bytes, 2);
  packet.timestamp = get32(bytes, 4);
  packet.ssrc = get32(bytes, 8);
  packet.csrc_count = bytes[0] & 0x0fU;
  const bool has_extension = (bytes[0] & 0x10U) != 0;
  const bool has_padding = (bytes[0] & 0x20U) != 0;

  std::size_t at = kRtpHeaderSize;
  if (bytes.size() - at < packet.csrc_count * 4) {
    return fail(ErrorCode::Malformed, "RTP: CSRC list passes the end");
  }
  for (std::size_t i = 0; i < packet.csrc_count; ++i, at += 4) packet.csrcs[i] = get32(bytes, at);

  if (has_extension) {
    if (bytes.size() - at < 4) return fail(ErrorCode::Malformed, "RTP: extension passes the end");
    const std::size_t size = std::size_t{get16(bytes, at + 2)} * 4;
    if (bytes.size() - at - 4 < size) {
      return fail(ErrorCode::Malformed, "RTP: extension passes the end");
    }
    packet.extension = RtpExtension{get16(bytes, at), bytes.subspan(at + 4, size)};
    at += 4 + size;
  }

  packet.payload = bytes.subspan(at);
  if (has_padding) {
    // RFC 3550 §5.1: the last octet counts the padding, including itself.
    const std::size_t padding = bytes.back();
    if (packet.payload.empty() || padding == 0 || padding > packet.payload.size()) {
      return fail(ErrorCode::Malformed, "RTP: impossible padding");
    }
    packet.payload = packet.payload.first(packet.payload.size() - padding);
  }
  return packet;
}

Result<Buffer> build_rtp(const RtpPacket& packet) {
  if (packet.payload_type > 127 || packet.csrc_count > kMaxRtpCsrcs) {
    return fail(ErrorCode::InvalidArgument, "RTP: payload type or CSRC count out of range");
  }
  const Bytes extension = packet.extension ? packet.extension->data : Bytes{};
  if (extension.size() % 4 != 0 ||
      extension.size() / 4 > std::numeric_limits<std::uint16_t>::max()) {
    return fail(ErrorCode::InvalidArgument, "RTP: extension is not a whole number of words");
  }
  Buffer out;
  out.reserve(kRtpHeaderSize + packet.csrc_count * 4 + extension.size() + 4 +
              packet.payload.size());
  out.push_back(static_cast<std::uint8_t>(kVersion << 6U | (packet.extension ? 0x10U : 0U) |
                                          packet.csrc_count));
  out.push_back(static_cast<std::uint8_t>((packet.marker ? 0x80U : 0U) | packet.payload_type));
  put16(out, packet.sequence);
  put32(out, packet.timestamp);
  put32(out, packet.ssrc);
  for (std::size_t i = 0; i < packet.csrc_count; ++i) put32(out, packet.csrcs[i]);
  if (packet.extension) {
    put16(out, packet.extension->profile);
    put16(out, static_cast<std::uint16_t>(extension.size() / 4));
    out.insert(out.end(), extension.begin(), extension.end());
  }
  out.insert(out.end(), packet.payload.begin(), packet.payload.end());
  return out;
}

bool looks_like_rtcp(Bytes bytes) {
  // RFC 5761 §4: RTCP packet types 192 to 223 are RTP payload types 64 to 95 with the marker set,
  // which an RTP session sharing the port does not use.
  return bytes.size() >= 8 && bytes[0] >> 6U == kVersion && bytes[1] >= 192 && bytes[1] <= 223;
}

}  // namespace godwit::wire
