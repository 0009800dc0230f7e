// SPDX-License-Identifier: Apache-2.0
//
// The RTP session of one call (RFC 3550): what we send under one SSRC, what we receive, and the
// RTCP about both. It makes and reads packets and knows nothing of paths, addresses or audio, so a
// move to another path is nothing to it: SSRC, sequence and timestamp simply go on.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "godwit/time.hpp"
#include "media/received_stream.hpp"
#include "wire/rtp/rtcp.hpp"
#include "wire/rtp/rtp.hpp"

namespace godwit::media {

class RtpSession {
 public:
  /// Sent packets kept for repetition after a path's death: 100 ms at the usual packet time.
  static constexpr std::size_t kHistory = 5;

  /// SSRC, first sequence and timestamp, and the CNAME are random (RFC 3550 §5.1, RFC 7022).
  explicit RtpSession(Random& random);

  std::uint32_t ssrc() const { return ssrc_; }

  // Transmit side. The timestamp moves with advance(), whether or not packets are made.
  Buffer make_packet(std::uint8_t payload_type, Bytes payload, TimePoint now);
  /// A packet of an event that began at `timestamp` (RFC 4733); `first`: with the marker.
  Buffer make_event_packet(std::uint8_t payload_type, Bytes payload, std::uint32_t timestamp,
                           bool first, TimePoint now);
  void advance(std::uint32_t samples) { timestamp_ += samples; }
  std::uint32_t timestamp() const { return timestamp_; }
  /// Copies of the audio packets sent at or after `since`, oldest first. Events are no audio: they
  /// are said again by their sender.
  std::vector<Buffer> sent_since(TimePoint since) const;
  /// The next packet begins a talkspurt: its marker bit is set (RFC 3551 §4.1).
  void mark() { marked_ = true; }

  // Receive side. A packet of another SSRC than the present stream's begins a new stream.
  struct Received {
    ReceivedStream::Arrival arrival;
    bool new_stream = false;
  };
  Received on_packet(const wire::RtpPacket& packet, bool timed, TimePoint now);
  const std::optional<ReceivedStream>& stream() const { return stream_; }

  // RTCP.
  /// SR or RR, with SDES; sets the time of the next one: 5 s ± half, at random (RFC 3550 §6.2).
  Buffer make_report(TimePoint now);
  Buffer make_bye(TimePoint now);
  std::optional<TimePoint> next_report() const { return next_report_; }
  /// Starts the reports; the first one comes in half the time.
  void start_reports(TimePoint now);
  /// True if the packets speak of our stream or the one received: they are the peer's.
  bool on_rtcp(const std::vector<wire::RtcpPacket>& packets, TimePoint now);

  struct Totals {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t lost = 0;
    Duration jitter{};
    std::optional<Duration> round_trip;
  };
  Totals totals() const;

 private:
  struct Sent {
    TimePoint at;
    Buffer bytes;
    bool event = false;
  };

  Buffer make(wire::RtpPacket packet, bool event, TimePoint now);
  std::vector<wire::RtcpPacket> report_packets(TimePoint now);
  void on_block(const wire::RtcpReportBlock& block, TimePoint now);
  Duration report_interval(Duration base);

  Random& random_;
  std::uint32_t ssrc_;
  std::uint16_t sequence_;
  std::uint32_t timestamp_;
  std::string cname_;
  bool marked_ = true;
  std::deque<Sent> history_;
  std::uint64_t packets_sent_ = 0;
  std::uint32_t octets_sent_ = 0;
  std::uint64_t packets_reported_ = 0;
  std::optional<TimePoint> last_sent_;
  std::uint32_t last_sent_timestamp_ = 0;

  std::optional<ReceivedStream> stream_;
  Totals past_;  ///< Of the streams before the present one.

  std::optional<TimePoint> next_report_;
  std::optional<Duration> round_trip_;
};

}  // namespace godwit::media
