// SPDX-License-Identifier: Apache-2.0
#include "testing/rtp_facts.hpp"

#include <algorithm>
#include <set>

namespace godwit::testing {
namespace {

std::uint8_t byte(const std::string& bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}
std::uint32_t read32(const std::string& bytes, std::size_t i) {
  return static_cast<std::uint32_t>(byte(bytes, i)) << 24U |
         static_cast<std::uint32_t>(byte(bytes, i + 1)) << 16U |
         static_cast<std::uint32_t>(byte(bytes, i + 2)) << 8U | byte(bytes, i + 3);
}

bool earlier(const RtpArrival& packet, TimePoint at) { return packet.at < at; }

}  // namespace

bool is_rtcp(const std::string& bytes) {
  return bytes.size() >= 8 && (byte(bytes, 0) & 0xc0U) == 0x80U && byte(bytes, 1) >= 192 &&
         byte(bytes, 1) <= 223;
}

std::optional<RtpHeader> read_rtp(const std::string& bytes) {
  if (bytes.size() < 12 || (byte(bytes, 0) & 0xc0U) != 0x80U || is_rtcp(bytes)) {
    return std::nullopt;
  }
  RtpHeader header;
  header.payload_type = byte(bytes, 1) & 0x7fU;
  header.sequence = static_cast<std::uint16_t>(byte(bytes, 2) << 8U | byte(bytes, 3));
  header.timestamp = read32(bytes, 4);
  header.ssrc = read32(bytes, 8);
  return header;
}

std::size_t RtpRecord::count(TimePoint from, TimePoint to) const {
  const auto begin = std::lower_bound(packets_.begin(), packets_.end(), from, earlier);
  const auto end = std::lower_bound(begin, packets_.end(), to, earlier);
  return static_cast<std::size_t>(end - begin);
}

std::optional<TimePoint> RtpRecord::first(TimePoint from, std::optional<IpAddress> source,
                                          std::optional<IpAddress> destination) const {
  auto packet = std::lower_bound(packets_.begin(), packets_.end(), from, earlier);
  for (; packet != packets_.end(); ++packet) {
    if (source && packet->source.address != *source) continue;
    if (destination && packet->destination.address != *destination) continue;
    return packet->at;
  }
  return std::nullopt;
}

Duration RtpRecord::longest_pause(TimePoint from, TimePoint to) const {
  TimePoint last = from;
  Duration longest{};
  const auto begin = std::lower_bound(packets_.begin(), packets_.end(), from, earlier);
  if (begin != packets_.begin()) last = std::prev(begin)->at;
  for (auto packet = begin; packet != packets_.end(); ++packet) {
    longest = std::max(longest, packet->at - last);
    last = packet->at;
    if (packet->at > to) return longest;
  }
  return std::max(longest, to - last);
}

RtpFacts::RtpFacts(Network& network) {
  network.observe([this](const PacketEvent& event) {
    if (event.kind == PacketEvent::Kind::Lost) return;
    if (event.kind == PacketEvent::Kind::Refused) return;
    const auto header = read_rtp(event.packet.bytes);
    if (!header) return;
    RtpArrival arrival{event.at, event.packet.source, event.packet.destination, *header,
                       event.packet.bytes.size() - 12};
    if (event.kind == PacketEvent::Kind::Sent) {
      sent_[event.from_host].add(std::move(arrival));
    } else {
      arrived_[{event.from_host, event.to_host}].add(std::move(arrival));
    }
  });
}

const RtpRecord& RtpFacts::arrived(const std::string& from, const std::string& to) {
  return arrived_[{from, to}];
}

const RtpRecord& RtpFacts::sent(const std::string& from) { return sent_[from]; }

std::size_t RtpFacts::lost(const std::string& from, const std::string& to, TimePoint begin,
                           TimePoint end) {
  std::set<std::pair<std::uint32_t, std::uint16_t>> missing;
  for (const RtpArrival& packet : sent_[from].packets()) {
    if (packet.at < begin || packet.at >= end) continue;
    missing.emplace(packet.header.ssrc, packet.header.sequence);
  }
  for (const RtpArrival& packet : arrived_[{from, to}].packets()) {
    missing.erase({packet.header.ssrc, packet.header.sequence});
  }
  return missing.size();
}

}  // namespace godwit::testing
