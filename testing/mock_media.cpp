// SPDX-License-Identifier: Apache-2.0
#include "testing/mock_media.hpp"

#include <algorithm>

#include "testing/rtp_facts.hpp"

namespace godwit::testing {
namespace {

constexpr Duration kPacketTime = std::chrono::milliseconds(20);
constexpr std::uint32_t kSamples = 160;
/// ITU-T G.711's digital milliwatt, µ-law: 1 kHz at 0 dBm0.
constexpr char kMilliwatt[] = "\x1e\x0b\x0b\x1e\x9e\x8b\x8b\x9e";

void put(std::string& out, std::uint32_t value, unsigned bytes) {
  for (unsigned i = bytes; i > 0; --i) out += static_cast<char>((value >> (8 * (i - 1))) & 255U);
}

}  // namespace

MockMedia::MockMedia(Network& network, Host& host, const Endpoint& local, std::uint32_t latch_after)
    : network_(network),
      host_(host),
      local_(local),
      latch_after_(latch_after),
      alarm_(network.simulation(), [this] { tick(); }) {
  Random& random = network.simulation().random();
  sequence_ = static_cast<std::uint16_t>(random.between(0, 65'535));
  timestamp_ = static_cast<std::uint32_t>(random.next());
  ssrc_ = static_cast<std::uint32_t>(random.next());
  ports_.push_back(bind(local));
}

MockMedia::~MockMedia() {
  for (const Ports& ports : ports_) {
    host_.close(ports.rtp);
    host_.close(ports.rtcp);
  }
}

MockMedia::Ports MockMedia::bind(const Endpoint& local) {
  Ports ports{local, {}, {}};
  ports.rtp = *host_.bind(
      local, 0,
      [this](SocketId, const Endpoint& from, const std::string& bytes) { receive(from, bytes); });
  ports.rtcp = *host_.bind({local.address, static_cast<std::uint16_t>(local.port + 1)}, 0,
                           [this](SocketId, const Endpoint&, const std::string& bytes) {
                             if (is_rtcp(bytes)) ++rtcp_on_own_port_;
                           });
  return ports;
}

void MockMedia::listen_also_at(const IpAddress& address) {
  ports_.push_back(bind({address, local_.port}));
}

std::optional<Endpoint> MockMedia::local(Family family) const {
  for (const Ports& ports : ports_) {
    if (ports.local.address.family() == family) return ports.local;
  }
  return std::nullopt;
}

void MockMedia::send_to(std::optional<Endpoint> remote, std::uint8_t payload_type) {
  target_ = remote;
  payload_type_ = payload_type;
  candidate_.reset();
  candidate_packets_ = 0;
  if (!target_) {
    next_.reset();
  } else if (!next_) {
    next_ = network_.simulation().now();
  }
  alarm_.set(next_);
}

void MockMedia::press(std::uint8_t code, int end_packets) {
  press_ = Press{code, timestamp_, 0, end_packets};
}

void MockMedia::stop() { send_to(std::nullopt, 0); }

void MockMedia::tick() {
  if (!target_ || !next_) return;
  constexpr std::uint32_t kPressed = 800;
  const bool end = press_ && press_->duration >= kPressed;
  if (end && press_->ends_left-- <= 0) press_.reset();
  std::string packet("\x80", 1);
  if (press_) {
    if (!end) press_->duration += kSamples;
    put(packet, event_type_ | (press_->duration == kSamples ? 0x80U : 0U), 1);
  } else {
    put(packet, payload_type_, 1);
  }
  put(packet, sequence_++, 2);
  put(packet, press_ ? press_->timestamp : timestamp_, 4);
  put(packet, ssrc_, 4);
  if (press_) {
    put(packet, press_->code, 1);
    put(packet, end ? 0x8aU : 0x0aU, 1);
    put(packet, press_->duration, 2);
  } else {
    for (std::uint32_t i = 0; i < kSamples; ++i) {
      const char sample = kMilliwatt[i % 8];
      packet += payload_type_ == 8 ? static_cast<char>(sample ^ 0x2a) : sample;
    }
  }
  timestamp_ += kSamples;
  if (!muted_) {
    ++sent_;
    for (const Ports& ports : ports_) {
      if (ports.local.address.family() != target_->address.family()) continue;
      (void)host_.send(ports.rtp, *target_, packet);
    }
  }
  *next_ += kPacketTime;
  alarm_.set(next_);
}

void MockMedia::receive(const Endpoint& from, const std::string& bytes) {
  if (is_rtcp(bytes)) ++rtcp_on_rtp_port_;
  const auto header = read_rtp(bytes);
  if (!header) return;
  ++received_;
  last_received_ = network_.simulation().now();
  ssrcs_.insert(header->ssrc);
  if (event_type_ != 0 && header->payload_type == event_type_ && bytes.size() == 16) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); };
    if (events_.empty() || events_.back().timestamp != header->timestamp) {
      auto known = std::find_if(events_.begin(), events_.end(), [&](const HeardEvent& event) {
        return event.timestamp == header->timestamp;
      });
      if (known == events_.end()) {
        events_.push_back({header->timestamp, byte(12), 0, 0, 0, byte(13) & 0x3f, {}});
      } else {
        std::rotate(known, known + 1, events_.end());
      }
    }
    HeardEvent& event = events_.back();
    if ((byte(1) & 0x80U) != 0) ++event.markers;
    ++event.packets;
    if ((byte(13) & 0x80U) != 0) ++event.end_packets;
    event.durations.push_back(static_cast<std::uint16_t>(byte(14) << 8U | byte(15)));
  } else if (header->payload_type != 0 && header->payload_type != 8) {
    ++foreign_payloads_;
  }
  if (latch_after_ == 0 || !target_) return;
  // As pjproject 2.17 does (stream_imp_common.c): any packet from the present address starts the
  // count again.
  if (from == *target_) {
    candidate_.reset();
    candidate_packets_ = 0;
    return;
  }
  if (candidate_ != from) {
    candidate_ = from;
    candidate_packets_ = 0;
  }
  if (++candidate_packets_ >= latch_after_) {
    target_ = from;
    candidate_.reset();
    candidate_packets_ = 0;
  }
}

}  // namespace godwit::testing
