// SPDX-License-Identifier: Apache-2.0
//
// One received RTP stream, that is one SSRC: extends its sequence numbers, tells duplicates, and
// keeps the statistics of RFC 3550 §6.4.1 and appendix A. Which packets belong to the stream is
// decided before (source_gate.hpp); playing them is the jitter buffer's.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>

#include "godwit/time.hpp"
#include "wire/rtp/rtcp.hpp"

namespace godwit::media {

class ReceivedStream {
 public:
  /// How far behind the newest a packet may be and still be told from a duplicate.
  static constexpr std::int64_t kReorderWindow = 1024;

  enum class Verdict : std::uint8_t {
    New,
    Duplicate,
    Implausible,  ///< A jump nothing explains: dropped; the next packet decides whether it is a
                  ///< restart.
    Restarted,    ///< New, after the sender began its sequence anew.
  };
  struct Arrival {
    Verdict verdict = Verdict::New;
    std::int64_t sequence = 0;  ///< Extended, growing even over a restart.
    std::uint32_t gap = 0;  ///< Packets missing right before this one; 0 when it came out of order.
  };

  /// The first packet's fields; on_packet() is called for it too.
  ReceivedStream(std::uint32_t ssrc, std::uint16_t first_sequence);

  /// `timed`: its timestamp is that of its sending, as audio's is (and a telephone-event's is not).
  Arrival on_packet(std::uint16_t sequence, std::uint32_t timestamp, bool timed, TimePoint now);

  std::uint32_t ssrc() const { return ssrc_; }
  std::uint64_t received() const { return received_; }  ///< Without duplicates.
  std::uint64_t duplicates() const { return duplicates_; }
  std::uint64_t lost() const;
  /// Of the 8 kHz clock.
  std::uint32_t jitter_samples() const { return static_cast<std::uint32_t>(jitter_); }

  /// The block about this stream for the next report; begins a new interval of its "fraction lost".
  wire::RtcpReportBlock report_block(TimePoint now);
  void on_sender_report(const wire::RtcpSenderReport& report, TimePoint now);

 private:
  bool plausible(std::int64_t ahead, TimePoint now) const;
  void advance_to(std::int64_t sequence);
  void measure_jitter(std::uint32_t timestamp, TimePoint now);
  std::uint64_t expected() const { return static_cast<std::uint64_t>(highest_ - base_ + 1); }

  std::uint32_t ssrc_;
  std::int64_t highest_;
  std::int64_t base_;
  std::bitset<kReorderWindow> seen_;
  std::optional<std::uint16_t> restart_at_;  ///< The packet that would confirm a restart.
  std::optional<TimePoint> last_arrival_;
  std::uint64_t received_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t lost_before_restart_ = 0;
  std::uint64_t counted_since_restart_ = 0;
  std::optional<double> last_transit_;
  double jitter_ = 40;  ///< 5 ms until measured.
  std::uint64_t reported_expected_ = 0;
  std::uint64_t reported_received_ = 0;
  struct LastReport {
    std::uint32_t middle_ntp;
    TimePoint at;
  };
  std::optional<LastReport> last_report_;
};

}  // namespace godwit::media
