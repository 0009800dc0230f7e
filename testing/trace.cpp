// SPDX-License-Identifier: Apache-2.0
#include "testing/trace.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include "testing/rtp_facts.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {
namespace {

std::string milliseconds(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  std::string fraction = std::to_string(us % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  std::string text = std::to_string(us / 1000) + "." + fraction;
  if (text.size() < 11) text.insert(0, 11 - text.size(), ' ');
  return text;
}

void put16(std::string& out, std::size_t value) {
  out += static_cast<char>((value >> 8U) & 255U);
  out += static_cast<char>(value & 255U);
}

void put32_little(std::string& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out += static_cast<char>((value >> shift) & 255U);
  }
}

/// An IP and UDP header in front of the payload; without checksums, which readers do not miss.
std::string ip_packet(const SimulatedPacket& packet) {
  std::string udp;
  put16(udp, packet.source.port);
  put16(udp, packet.destination.port);
  put16(udp, packet.bytes.size() + 8);
  put16(udp, 0);
  udp += packet.bytes;
  std::string ip;
  if (packet.source.address.is_v4()) {
    ip += std::string("\x45\0", 2);
    put16(ip, udp.size() + 20);
    ip += std::string("\0\0\0\0\x40\x11\0\0", 8);
  } else {
    ip += std::string("\x60\0\0\0", 4);
    put16(ip, udp.size());
    ip += std::string("\x11\x40", 2);
  }
  ip += packet.source.address.bytes();
  ip += packet.destination.address.bytes();
  return ip + udp;
}

}  // namespace

std::string describe_packet(const std::string& bytes) {
  if (const auto rtp = read_rtp(bytes)) {
    return "RTP seq " + std::to_string(rtp->sequence) + " pt " + std::to_string(rtp->payload_type);
  }
  if (is_rtcp(bytes)) return "RTCP";
  if (bytes.size() >= 20 && (static_cast<unsigned char>(bytes[0]) & 0xc0U) == 0 &&
      bytes.substr(4, 4) == "\x21\x12\xa4\x42") {
    return "STUN";
  }
  const auto message = SipText::parse(bytes);
  if (!message) return "? " + std::to_string(bytes.size()) + " bytes";
  std::string text = message->start_line();
  if (const std::size_t version = text.rfind(" SIP/2.0"); version != std::string::npos) {
    text.erase(version);
  }
  text += "  [" + message->first("CSeq") + "]";
  if (!message->body.empty()) {
    const std::size_t connection = message->body.find("c=IN ");
    const std::size_t media = message->body.find("m=audio ");
    text += " sdp";
    if (connection != std::string::npos) {
      text += " " +
              message->body.substr(
                  connection + 9, message->body.find_first_of("\r\n", connection) - connection - 9);
    }
    if (media != std::string::npos) {
      text += " " + message->body.substr(media + 8, message->body.find(' ', media + 8) - media - 8);
    }
  }
  return text;
}

Trace::Trace(Network& network) : network_(network), start_(network.simulation().now()) {
  network.observe([this](const PacketEvent& event) {
    add(Entry{event.at, event.kind, event.from_host, event.to_host, event.packet, event.why});
  });
}

void Trace::add(Entry entry) {
  if (entries_.size() == kMaxEntries) entries_.pop_front();
  entries_.push_back(std::move(entry));
}

void Trace::note(const std::string& who, const std::string& text) {
  add(Entry{network_.simulation().now(), std::nullopt, who, "", {}, text});
}

std::string Trace::ladder() const {
  std::string out = "times in ms; seed " + std::to_string(network_.simulation().seed()) + "\n";
  std::map<std::string, std::uint64_t> quiet;  // Media since the last line, by way and fate.
  const auto flush = [&] {
    for (const auto& [way, count] : quiet) {
      out += "            ·  " + way + " x" + std::to_string(count) + "\n";
    }
    quiet.clear();
  };
  for (const Entry& entry : entries_) {
    const std::string time = milliseconds(entry.at - start_);
    if (!entry.kind) {
      flush();
      out += time + "  " + entry.from + ": " + entry.text + "\n";
      continue;
    }
    const std::string way =
        entry.packet.source.to_string() + " -> " + entry.packet.destination.to_string();
    std::string fate = to_string(*entry.kind);
    if (!entry.text.empty()) fate += " (" + entry.text + ")";
    if (read_rtp(entry.packet.bytes) || is_rtcp(entry.packet.bytes)) {
      ++quiet[entry.from + " media " + way + " " + fate];
      continue;
    }
    flush();
    out += time + "  " + entry.from + (entry.to.empty() ? "" : " => " + entry.to) + "  " + way +
           "  " + fate + "  " + describe_packet(entry.packet.bytes) + "\n";
  }
  flush();
  return out;
}

std::string Trace::pcap() const {
  std::string out;
  put32_little(out, 0xa1b23c4d);  // Nanoseconds.
  put32_little(out, 4U << 16U | 2U);
  put32_little(out, 0);
  put32_little(out, 0);
  put32_little(out, 65'535);
  put32_little(out, 101);  // LINKTYPE_RAW
  for (const Entry& entry : entries_) {
    if (entry.kind != PacketEvent::Kind::Sent) continue;
    const std::string packet = ip_packet(entry.packet);
    const auto at = entry.at.time_since_epoch().count();
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(packet.size(), 65'535));
    put32_little(out, static_cast<std::uint32_t>(at / 1'000'000'000));
    put32_little(out, static_cast<std::uint32_t>(at % 1'000'000'000));
    put32_little(out, size);
    put32_little(out, static_cast<std::uint32_t>(packet.size()));
    out.append(packet, 0, size);
  }
  return out;
}

Result<void> Trace::write(const std::string& stem) const {
  const std::pair<const char*, std::string> files[] = {{".txt", ladder()}, {".pcap", pcap()}};
  for (const auto& [suffix, content] : files) {
    std::ofstream file(stem + suffix, std::ios::binary);
    file << content;
    if (!file.flush()) return fail(ErrorCode::Io, "cannot write " + stem + suffix);
  }
  return {};
}

}  // namespace godwit::testing
