// SPDX-License-Identifier: Apache-2.0
#include "media/received_stream.hpp"

#include <algorithm>
#include <cmath>

#include "media/audio.hpp"

namespace godwit::media {
namespace {

/// RFC 3550 A.1 MAX_DROPOUT: a gap this long needs no explanation.
constexpr std::int64_t kMaxDropout = 3000;
/// The shortest packet time in use is 10 ms; a pause explains a gap of that many packets.
constexpr auto kShortestPacketTime = std::chrono::milliseconds(10);
/// A step in transit time beyond this is a new time base of the sender, not the network's jitter.
constexpr double kTransitStep = kSampleRate / 2.0;

double to_samples(TimePoint at) {
  return std::chrono::duration<double>(at.time_since_epoch()).count() * kSampleRate;
}

std::size_t slot(std::int64_t sequence) {
  return static_cast<std::size_t>(sequence % ReceivedStream::kReorderWindow);
}

}  // namespace

// The extended numbers begin one cycle up, so that what was sent before the first packet but comes
// after it is positive too.
ReceivedStream::ReceivedStream(std::uint32_t ssrc, std::uint16_t first_sequence)
    : ssrc_(ssrc), highest_(0x10000 + first_sequence - 1), base_(highest_ + 1) {}

ReceivedStream::Arrival ReceivedStream::on_packet(std::uint16_t sequence, std::uint32_t timestamp,
                                                  bool timed, TimePoint now) {
  Arrival arrival;
  const auto step = static_cast<std::int16_t>(
      static_cast<std::uint16_t>(sequence - static_cast<std::uint16_t>(highest_)));
  arrival.sequence = highest_ + step;
  if (!plausible(step, now)) {
    // RFC 3550 A.1: two in a row from elsewhere and the sender has started again.
    if (restart_at_ != sequence) {
      restart_at_ = static_cast<std::uint16_t>(sequence + 1);
      arrival.verdict = Verdict::Implausible;
      return arrival;
    }
    lost_before_restart_ = lost();
    counted_since_restart_ = 0;
    reported_expected_ = reported_received_ = 0;
    arrival.sequence = (highest_ / 0x10000 + 2) * 0x10000 + sequence;  // beyond all seen so far
    highest_ = arrival.sequence - 1;
    base_ = arrival.sequence;
    seen_.reset();
    last_transit_.reset();
    arrival.verdict = Verdict::Restarted;
  }
  restart_at_.reset();

  if (arrival.sequence > highest_) {
    arrival.gap = static_cast<std::uint32_t>(arrival.sequence - highest_ - 1);
    advance_to(arrival.sequence);
    if (timed) measure_jitter(timestamp, now);
  } else if (seen_[slot(arrival.sequence)]) {
    ++duplicates_;
    arrival.verdict = Verdict::Duplicate;
    return arrival;
  }
  seen_.set(slot(arrival.sequence));
  // From before the stream's beginning, as RFC 3550 A.1 draws it: played if in time, but not
  // expected and so not counted.
  if (arrival.sequence < base_) return arrival;
  ++received_;
  ++counted_since_restart_;
  last_arrival_ = now;
  return arrival;
}

/// Within the reorder window, or ahead by no more than the peer can have sent since the last
/// packet.
bool ReceivedStream::plausible(std::int64_t ahead, TimePoint now) const {
  if (ahead <= 0) return ahead > -kReorderWindow;
  return ahead <= kMaxDropout ||
         (last_arrival_ && ahead <= kMaxDropout + (now - *last_arrival_) / kShortestPacketTime);
}

void ReceivedStream::advance_to(std::int64_t sequence) {
  const std::int64_t first = std::max(highest_ + 1, sequence - kReorderWindow + 1);
  for (std::int64_t s = first; s <= sequence; ++s) seen_.reset(slot(s));
  highest_ = sequence;
}

// RFC 3550 A.8, in packets' order only: a straggler's transit says nothing about the stream's pace.
void ReceivedStream::measure_jitter(std::uint32_t timestamp, TimePoint now) {
  const double transit = to_samples(now) - timestamp;
  if (last_transit_) {
    const double change = std::abs(transit - *last_transit_);
    if (change < kTransitStep) jitter_ += (change - jitter_) / 16;
  }
  last_transit_ = transit;
}

std::uint64_t ReceivedStream::lost() const {
  return lost_before_restart_ + expected() - counted_since_restart_;
}

wire::RtcpReportBlock ReceivedStream::report_block(TimePoint now) {
  wire::RtcpReportBlock block;
  block.ssrc = ssrc_;
  // RFC 3550 A.3. Duplicates are not counted as received, so nothing here can be negative but the
  // interval's loss, when stragglers of the one before came in.
  const std::uint64_t expected_now = expected() - reported_expected_;
  const std::uint64_t received_now = counted_since_restart_ - reported_received_;
  reported_expected_ = expected();
  reported_received_ = counted_since_restart_;
  if (expected_now > received_now) {
    const std::uint64_t fraction = (expected_now - received_now) * 256 / expected_now;
    block.fraction_lost = static_cast<std::uint8_t>(std::min<std::uint64_t>(fraction, 255));
  }
  block.cumulative_lost = static_cast<std::int32_t>(std::min<std::uint64_t>(lost(), 0x7fffff));
  block.highest_sequence = static_cast<std::uint32_t>(highest_ - 0x10000);
  block.jitter = jitter_samples();
  if (last_report_) {
    const auto delay = std::chrono::duration<double>(now - last_report_->at).count() * 65536;
    block.last_sr = last_report_->middle_ntp;
    block.delay_since_last_sr = static_cast<std::uint32_t>(std::min(delay, 4294967295.0));
  }
  return block;
}

void ReceivedStream::on_sender_report(const wire::RtcpSenderReport& report, TimePoint now) {
  last_report_ = LastReport{static_cast<std::uint32_t>(report.ntp_timestamp >> 16U), now};
}

}  // namespace godwit::media
