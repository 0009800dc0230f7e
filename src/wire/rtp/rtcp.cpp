// SPDX-License-Identifier: Apache-2.0
#include "wire/rtp/rtcp.hpp"

#include "wire/endian.hpp"

namespace godwit::wire {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kSr = 200;
constexpr std::uint8_t kRr = 201;
constexpr std::uint8_t kSdes = 202;
constexpr std::uint8_t kBye = 203;
constexpr std::uint8_t kCname = 1;
constexpr std::size_t kHeaderSize = 4;
constexpr std::size_t kBlockSize = 24;
constexpr std::size_t kSenderInfoSize = 20;
constexpr std::size_t kMaxCount = 31;  // five bits in the header
constexpr std::size_t kMaxText = 255;

/// Sign-extends 24 bits.
std::int32_t to_signed24(std::uint32_t value) {
  const auto v = static_cast<std::int32_t>(value & 0xffffffU);
  return v >= 0x800000 ? v - 0x1000000 : v;
}

std::optional<std::vector<RtcpReportBlock>> parse_blocks(Bytes body, std::size_t count) {
  if (body.size() < count * kBlockSize) return std::nullopt;
  std::vector<RtcpReportBlock> blocks(count);
  for (RtcpReportBlock& block : blocks) {
    const std::uint32_t loss = get32(body, 4);
    block.ssrc = get32(body, 0);
    block.fraction_lost = static_cast<std::uint8_t>(loss >> 24U);
    block.cumulative_lost = to_signed24(loss);
    block.highest_sequence = get32(body, 8);
    block.jitter = get32(body, 12);
    block.last_sr = get32(body, 16);
    block.delay_since_last_sr = get32(body, 20);
    body = body.subspan(kBlockSize);
  }
  // What may follow are profile extensions (RFC 3550 §6.4.3): nothing we read.
  return blocks;
}

std::optional<RtcpPacket> parse_sr(Bytes body, std::size_t count) {
  if (body.size() < 4 + kSenderInfoSize) return std::nullopt;
  RtcpSenderReport report;
  report.ssrc = get32(body, 0);
  report.ntp_timestamp = std::uint64_t{get32(body, 4)} << 32U | get32(body, 8);
  report.rtp_timestamp = get32(body, 12);
  report.packet_count = get32(body, 16);
  report.octet_count = get32(body, 20);
  auto blocks = parse_blocks(body.subspan(4 + kSenderInfoSize), count);
  if (!blocks) return std::nullopt;
  report.blocks = std::move(*blocks);
  return report;
}

std::optional<RtcpPacket> parse_rr(Bytes body, std::size_t count) {
  if (body.size() < 4) return std::nullopt;
  auto blocks = parse_blocks(body.subspan(4), count);
  if (!blocks) return std::nullopt;
  return RtcpReceiverReport{get32(body, 0), std::move(*blocks)};
}

// RFC 3550 §6.5: each chunk is an SSRC and items, ended by one or more zero octets up to the next
// 32-bit boundary.
std::optional<RtcpPacket> parse_sdes(Bytes body, std::size_t count) {
  RtcpSourceDescription sdes;
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (body.size() - at < 8) return std::nullopt;  // the SSRC and at least one word of items
    auto& chunk = sdes.chunks.emplace_back();
    chunk.ssrc = get32(body, at);
    at += 4;
    while (true) {
      if (at == body.size()) return std::nullopt;
      const std::uint8_t type = body[at];
      if (type == 0) break;
      if (body.size() - at < 2 || body.size() - at - 2 < body[at + 1]) return std::nullopt;
      const std::size_t size = body[at + 1];
      if (type == kCname) chunk.cname = as_text(body.subspan(at + 2, size));
      at += 2 + size;
    }
    at = (at / 4 + 1) * 4;  // the packet's length is a multiple of four, so this is within it
  }
  return sdes;
}

std::optional<RtcpPacket> parse_bye(Bytes body, std::size_t count) {
  if (body.size() < count * 4) return std::nullopt;
  RtcpBye bye;
  for (std::size_t i = 0; i < count; ++i) bye.ssrcs.push_back(get32(body, i * 4));
  body = body.subspan(count * 4);
  if (!body.empty()) {
    const std::size_t size = body[0];
    if (body.size() - 1 < size) return std::nullopt;
    bye.reason = as_text(body.subspan(1, size));
  }
  return bye;
}

std::optional<RtcpPacket> parse_one(std::uint8_t type, std::size_t count, Bytes body) {
  switch (type) {
    case kSr: return parse_sr(body, count);
    case kRr: return parse_rr(body, count);
    case kSdes: return parse_sdes(body, count);
    case kBye: return parse_bye(body, count);
    default: return RtcpOther{type};
  }
}

void put_blocks(Buffer& out, const std::vector<RtcpReportBlock>& blocks) {
  for (const RtcpReportBlock& block : blocks) {
    put32(out, block.ssrc);
    put32(out, std::uint32_t{block.fraction_lost} << 24U |
                   (static_cast<std::uint32_t>(block.cumulative_lost) & 0xffffffU));
    put32(out, block.highest_sequence);
    put32(out, block.jitter);
    put32(out, block.last_sr);
    put32(out, block.delay_since_last_sr);
  }
}

/// Appends packets and sets each header's length when its body is known.
class Builder {
 public:
  Result<void> operator()(const RtcpSenderReport& report) {
    begin(kSr, report.blocks.size());
    put32(out_, report.ssrc);
    put32(out_, static_cast<std::uint32_t>(report.ntp_timestamp >> 32U));
    put32(out_, static_cast<std::uint32_t>(report.ntp_timestamp));
    put32(out_, report.rtp_timestamp);
    put32(out_, report.packet_count);
    put32(out_, report.octet_count);
    put_blocks(out_, report.blocks);
    return end(report.blocks.size());
  }
  Result<void> operator()(const RtcpReceiverReport& report) {
    begin(kRr, report.blocks.size());
    put32(out_, report.ssrc);
    put_blocks(out_, report.blocks);
    return end(report.blocks.size());
  }
  Result<void> operator()(const RtcpSourceDescription& sdes) {
    begin(kSdes, sdes.chunks.size());
    for (const auto& chunk : sdes.chunks) {
      if (chunk.cname.size() > kMaxText) return too_long();
      put32(out_, chunk.ssrc);
      out_.push_back(kCname);
      put_text(chunk.cname);
      out_.push_back(0);
      pad();
    }
    return end(sdes.chunks.size());
  }
  Result<void> operator()(const RtcpBye& bye) {
    begin(kBye, bye.ssrcs.size());
    for (const std::uint32_t ssrc : bye.ssrcs) put32(out_, ssrc);
    if (!bye.reason.empty()) {
      if (bye.reason.size() > kMaxText) return too_long();
      put_text(bye.reason);
      pad();
    }
    return end(bye.ssrcs.size());
  }
  Result<void> operator()(const RtcpOther&) {
    return fail(ErrorCode::InvalidArgument, "RTCP: a packet of another type cannot be built");
  }

  Buffer take() { return std::move(out_); }

 private:
  void begin(std::uint8_t type, std::size_t count) {
    start_ = out_.size();
    out_.push_back(static_cast<std::uint8_t>(kVersion << 6U | (count & kMaxCount)));
    out_.push_back(type);
    put16(out_, 0);
  }
  Result<void> end(std::size_t count) {
    if (count > kMaxCount) return fail(ErrorCode::InvalidArgument, "RTCP: more than 31 entries");
    // RFC 3550 §6.4.1: the length in 32-bit words minus one. 31 of the largest entries fit.
    const std::size_t words = (out_.size() - start_) / 4 - 1;
    out_[start_ + 2] = static_cast<std::uint8_t>(words >> 8U);
    out_[start_ + 3] = static_cast<std::uint8_t>(words);
    return {};
  }
  void put_text(const std::string& text) {
    out_.push_back(static_cast<std::uint8_t>(text.size()));
    out_.insert(out_.end(), text.begin(), text.end());
  }
  void pad() {
    while ((out_.size() - start_) % 4 != 0) out_.push_back(0);
  }
  static Result<void> too_long() {
    return fail(ErrorCode::InvalidArgument, "RTCP: text of more than 255 bytes");
  }

  Buffer out_;
  std::size_t start_ = 0;
};

bool is_report(const RtcpPacket& packet) {
  return std::holds_alternative<RtcpSenderReport>(packet) ||
         std::holds_alternative<RtcpReceiverReport>(packet);
}

}  // namespace

Result<std::vector<RtcpPacket>> parse_rtcp(Bytes bytes) {
  std::vector<RtcpPacket> packets;
  while (!bytes.empty()) {
    if (packets.size() == kMaxRtcpPackets)
      return fail(ErrorCode::TooLarge, "RTCP: over 32 packets");
    if (bytes.size() < kHeaderSize || bytes[0] >> 6U != kVersion) {
      return fail(ErrorCode::Malformed, "RTCP: no header of version 2");
    }
    const std::size_t size = (std::size_t{get16(bytes, 2)} + 1) * 4;
    if (size > bytes.size()) return fail(ErrorCode::Malformed, "RTCP: length passes the end");
    Bytes body = bytes.subspan(kHeaderSize, size - kHeaderSize);
    if ((bytes[0] & 0x20U) != 0) {
      // RFC 3550 §6.4.1: only the last packet of a compound may be padded, by a multiple of four.
      const std::size_t padding = body.empty() ? 0 : body.back();
      if (size != bytes.size() || padding == 0 || padding % 4 != 0 || padding > body.size()) {
        return fail(ErrorCode::Malformed, "RTCP: impossible padding");
      }
      body = body.first(body.size() - padding);
    }
    auto packet = parse_one(bytes[1], bytes[0] & 0x1fU, body);
    if (!packet) return fail(ErrorCode::Malformed, "RTCP: contents pass the packet's end");
    if (packets.empty() && !is_report(*packet)) {
      return fail(ErrorCode::Malformed, "RTCP: does not begin with a report");
    }
    packets.push_back(std::move(*packet));
    bytes = bytes.subspan(size);
  }
  if (packets.empty()) return fail(ErrorCode::Malformed, "RTCP: empty");
  return packets;
}

Result<Buffer> build_rtcp(const std::vector<RtcpPacket>& packets) {
  if (packets.empty() || packets.size() > kMaxRtcpPackets || !is_report(packets.front())) {
    return fail(ErrorCode::InvalidArgument, "RTCP: needs 1 to 32 packets, a report first");
  }
  Builder builder;
  for (const RtcpPacket& packet : packets) {
    if (auto result = std::visit(builder, packet); !result) return tl::unexpected(result.error());
  }
  return builder.take();
}

}  // namespace godwit::wire
