// SPDX-License-Identifier: Apache-2.0
#include "media/rtp_session.hpp"

#include <cassert>
#include <cmath>
#include <utility>

#include "media/audio.hpp"

namespace godwit::media {
namespace {

/// RFC 3550 §6.2: "the RECOMMENDED value for a fixed minimum interval is 5 seconds".
constexpr Duration kReportInterval = std::chrono::seconds(5);
constexpr std::size_t kCnameLength = 20;  // 100 bits; RFC 7022 §4.2 asks for 96
constexpr Duration kLongestRoundTrip = std::chrono::seconds(60);

/// RFC 3550 §6.4.1 allows a system-specific clock such as uptime where there is no wall clock: the
/// timestamps are only compared with each other.
std::uint64_t to_ntp(TimePoint at) {
  const auto since_boot = at.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
  const std::chrono::duration<double> fraction = since_boot - seconds;
  return static_cast<std::uint64_t>(seconds.count()) << 32U |
         static_cast<std::uint64_t>(fraction.count() * 4294967296.0);
}

std::uint32_t middle(std::uint64_t ntp) { return static_cast<std::uint32_t>(ntp >> 16U); }

}  // namespace

RtpSession::RtpSession(Random& random)
    : random_(random),
      ssrc_(static_cast<std::uint32_t>(random.next())),
      sequence_(static_cast<std::uint16_t>(random.next())),
      timestamp_(static_cast<std::uint32_t>(random.next())),
      cname_(random.token(kCnameLength)) {}

Buffer RtpSession::make_packet(std::uint8_t payload_type, Bytes payload, TimePoint now) {
  wire::RtpPacket packet;
  packet.marker = std::exchange(marked_, false);
  packet.payload_type = payload_type & 0x7fU;
  packet.timestamp = timestamp_;
  packet.payload = payload;
  return make(packet, false, now);
}

Buffer RtpSession::make_event_packet(std::uint8_t payload_type, Bytes payload,
                                     std::uint32_t timestamp, bool first, TimePoint now) {
  wire::RtpPacket packet;
  packet.marker = first;
  packet.payload_type = payload_type & 0x7fU;
  packet.timestamp = timestamp;
  packet.payload = payload;
  return make(packet, true, now);
}

Buffer RtpSession::make(wire::RtpPacket packet, bool event, TimePoint now) {
  packet.sequence = sequence_++;
  packet.ssrc = ssrc_;
  auto bytes = wire::build_rtp(packet);
  assert(bytes);
  ++packets_sent_;
  octets_sent_ += static_cast<std::uint32_t>(packet.payload.size());
  last_sent_ = now;
  last_sent_timestamp_ = timestamp_;
  history_.push_back({now, *bytes, event});
  if (history_.size() > kHistory) history_.pop_front();
  return std::move(*bytes);
}

std::vector<Buffer> RtpSession::sent_since(TimePoint since) const {
  std::vector<Buffer> packets;
  for (const Sent& sent : history_) {
    if (sent.at >= since && !sent.event) packets.push_back(sent.bytes);
  }
  return packets;
}

RtpSession::Received RtpSession::on_packet(const wire::RtpPacket& packet, bool timed,
                                           TimePoint now) {
  Received received;
  if (!stream_ || stream_->ssrc() != packet.ssrc) {
    const Totals totals_so_far = totals();
    past_ = totals_so_far;
    stream_.emplace(packet.ssrc, packet.sequence);
    received.new_stream = true;
  }
  received.arrival = stream_->on_packet(packet.sequence, packet.timestamp, timed, now);
  return received;
}

void RtpSession::start_reports(TimePoint now) {
  if (!next_report_) next_report_ = now + report_interval(kReportInterval / 2);
}

Duration RtpSession::report_interval(Duration base) {
  // RFC 3550 §6.2: "varied randomly over the range [0.5,1.5] times the calculated interval".
  return base / 2 + Duration(static_cast<std::int64_t>(
                        random_.between(0, static_cast<std::uint64_t>(base.count()))));
}

std::vector<wire::RtcpPacket> RtpSession::report_packets(TimePoint now) {
  std::vector<wire::RtcpReportBlock> blocks;
  if (stream_) blocks.push_back(stream_->report_block(now));
  std::vector<wire::RtcpPacket> packets;
  if (packets_sent_ > packets_reported_) {
    packets_reported_ = packets_sent_;
    wire::RtcpSenderReport report;
    report.ssrc = ssrc_;
    report.ntp_timestamp = to_ntp(now);
    const std::chrono::duration<double> since = now - *last_sent_;
    report.rtp_timestamp =
        last_sent_timestamp_ + static_cast<std::uint32_t>(std::lround(since.count() * kSampleRate));
    report.packet_count = static_cast<std::uint32_t>(packets_sent_);
    report.octet_count = octets_sent_;
    report.blocks = std::move(blocks);
    packets.emplace_back(std::move(report));
  } else {
    packets.emplace_back(wire::RtcpReceiverReport{ssrc_, std::move(blocks)});
  }
  packets.emplace_back(wire::RtcpSourceDescription{{{ssrc_, cname_}}});
  return packets;
}

Buffer RtpSession::make_report(TimePoint now) {
  next_report_ = now + report_interval(kReportInterval);
  auto bytes = wire::build_rtcp(report_packets(now));
  assert(bytes);
  return std::move(*bytes);
}

Buffer RtpSession::make_bye(TimePoint now) {
  next_report_.reset();
  auto packets = report_packets(now);
  packets.emplace_back(wire::RtcpBye{{ssrc_}, ""});
  auto bytes = wire::build_rtcp(packets);
  assert(bytes);
  return std::move(*bytes);
}

bool RtpSession::on_rtcp(const std::vector<wire::RtcpPacket>& packets, TimePoint now) {
  bool ours = false;
  const auto on_blocks = [&](const std::vector<wire::RtcpReportBlock>& blocks) {
    for (const wire::RtcpReportBlock& block : blocks) {
      if (block.ssrc != ssrc_) continue;
      ours = true;
      on_block(block, now);
    }
  };
  for (const wire::RtcpPacket& packet : packets) {
    if (const auto* sr = std::get_if<wire::RtcpSenderReport>(&packet)) {
      if (stream_ && stream_->ssrc() == sr->ssrc) {
        ours = true;
        stream_->on_sender_report(*sr, now);
      }
      on_blocks(sr->blocks);
    } else if (const auto* rr = std::get_if<wire::RtcpReceiverReport>(&packet)) {
      on_blocks(rr->blocks);
    }
  }
  return ours;
}

/// RFC 3550 §6.4.1, figure 2: now - LSR - DLSR, all in 1/65536 s modulo 2^32.
void RtpSession::on_block(const wire::RtcpReportBlock& block, TimePoint now) {
  if (block.last_sr == 0) return;
  const std::uint32_t units = middle(to_ntp(now)) - block.last_sr - block.delay_since_last_sr;
  const Duration round_trip =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(units / 65536.0));
  if (round_trip <= kLongestRoundTrip) round_trip_ = round_trip;
}

RtpSession::Totals RtpSession::totals() const {
  Totals totals = past_;
  totals.sent = packets_sent_;
  totals.round_trip = round_trip_;
  if (stream_) {
    totals.received += stream_->received();
    totals.duplicates += stream_->duplicates();
    totals.lost += stream_->lost();
    totals.jitter = to_duration(stream_->jitter_samples());
  }
  return totals;
}

}  // namespace godwit::media
