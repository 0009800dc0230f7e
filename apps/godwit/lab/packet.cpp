// SPDX-License-Identifier: Apache-2.0
#include "lab/packet.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace godwit::lab {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::size_t kMaxMessages = 16;  ///< In one TCP segment.
constexpr std::uint8_t kFragment6 = 44;

std::uint16_t be16(Bytes b, std::size_t at) {
  return static_cast<std::uint16_t>((b[at] << 8) | b[at + 1]);
}
std::uint32_t be32(Bytes b, std::size_t at) {
  return (std::uint32_t{be16(b, at)} << 16) | be16(b, at + 2);
}

struct Datagram {
  bool tcp = false;
  bool opens = false;  ///< TCP: SYN.
  Endpoint source;
  Endpoint destination;
  Bytes payload;
};

std::optional<Datagram> datagram_in(Bytes ip) {
  Datagram d;
  Bytes rest;
  std::uint8_t protocol = 0;
  if (ip.size() >= 20 && ip[0] >> 4 == 4) {
    const std::size_t header = std::size_t{ip[0] & 0x0fU} * 4;
    if (header < 20 || ip.size() < header) return {};
    protocol = ip[9];
    if ((be16(ip, 6) & 0x1fff) != 0) return {};
    d.source.address = IpAddress::v4(ip[12], ip[13], ip[14], ip[15]);
    d.destination.address = IpAddress::v4(ip[16], ip[17], ip[18], ip[19]);
    // The length field bounds the payload where the capture carries link padding.
    const std::size_t length = be16(ip, 2);
    const bool padded = length >= header && length < ip.size();
    rest = ip.subspan(header, (padded ? length : ip.size()) - header);
  } else if (ip.size() >= 40 && ip[0] >> 4 == 6) {
    std::array<std::uint8_t, 16> from{};
    std::array<std::uint8_t, 16> to{};
    std::copy_n(ip.begin() + 8, 16, from.begin());
    std::copy_n(ip.begin() + 24, 16, to.begin());
    d.source.address = IpAddress::v6(from);
    d.destination.address = IpAddress::v6(to);
    protocol = ip[6];
    rest = ip.subspan(40);
    if (protocol == kFragment6) {
      if (rest.size() < 8 || (be16(rest, 2) & 0xfff8) != 0) return {};
      protocol = rest[0];
      rest = rest.subspan(8);
    }
  } else {
    return {};
  }
  d.tcp = protocol == kTcp;
  if ((!d.tcp && protocol != kUdp) || rest.size() < (d.tcp ? 20U : 8U)) return {};
  d.source.port = be16(rest, 0);
  d.destination.port = be16(rest, 2);
  if (d.tcp) {
    const std::size_t header = std::size_t{rest[12]} / 16 * 4;
    if (header < 20 || rest.size() < header) return {};
    d.opens = (rest[13] & 0x02U) != 0;
    d.payload = rest.subspan(header);
    return d;
  }
  const std::size_t length = be16(rest, 4);
  d.payload = rest.subspan(8, std::min(rest.size(), std::max<std::size_t>(length, 8)) - 8);
  return d;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\r')) s.remove_suffix(1);
  return s;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? x + 32 : x) == (y >= 'A' && y <= 'Z' ? y + 32 : y);
  });
}

template <typename T>
std::string_view parse_number(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  if (error != std::errc{}) return text;
  return text.substr(static_cast<std::size_t>(end - text.data()));
}

/// `body`: the length that the message gives for it.
void note_header(std::string_view name, std::string_view value, SipInfo* sip, std::size_t* body) {
  if (same_name(name, "CSeq")) {
    sip->method = trim(parse_number(value, &sip->cseq));
  } else if (same_name(name, "Call-ID") || same_name(name, "i")) {
    sip->call_id = value;
  } else if (same_name(name, "Contact") || same_name(name, "m")) {
    if (!sip->contact.empty()) sip->contact += ", ";
    sip->contact += value;
  } else if (same_name(name, "To") || same_name(name, "t")) {
    sip->in_dialog = value.find(";tag=") != std::string_view::npos;
  } else if (same_name(name, "Content-Length") || same_name(name, "l")) {
    parse_number(value, body);
  }
}

/// The message that `bytes` begins with; takes it away, as far as it is there.
std::optional<SipInfo> take_sip(std::string_view* bytes) {
  std::string_view& text = *bytes;
  auto next_line = [&text] {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return trim(line);
  };
  constexpr std::string_view kVersion = "SIP/2.0";
  const std::string_view start = next_line();
  SipInfo sip;
  std::size_t body = 0;
  if (start.starts_with(kVersion)) {
    parse_number(trim(start.substr(kVersion.size())), &sip.status);
    if (sip.status < 100 || sip.status > 699) return {};
  } else if (start.ends_with(kVersion)) {
    sip.request = true;
  } else {
    return {};
  }
  while (!text.empty()) {
    const std::string_view line = next_line();
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    note_header(trim(line.substr(0, colon)), trim(line.substr(colon + 1)), &sip, &body);
  }
  text.remove_prefix(std::min(body, text.size()));
  if (sip.method.empty()) return {};
  return sip;
}

std::optional<RtpInfo> rtp_in(const Datagram& d) {
  const Bytes p = d.payload;
  if (p.size() < 12 || p[0] >> 6 != 2) return {};
  const std::uint8_t type = p[1] & 0x7fU;
  // RFC 5761 §4: 64 to 95 would be RTCP packet types.
  if (type >= 64 && type <= 95) return {};
  if (d.source.port < 1024 || d.destination.port < 1024) return {};
  return RtpInfo{be32(p, 8), be16(p, 2), type};
}

}  // namespace

std::vector<CapturedPacket> parse_packet(Bytes ip_packet) {
  std::vector<CapturedPacket> found;
  const auto datagram = datagram_in(ip_packet);
  if (!datagram) return found;
  CapturedPacket packet;
  packet.source = datagram->source;
  packet.destination = datagram->destination;
  if (const auto rtp = datagram->tcp ? std::nullopt : rtp_in(*datagram)) {
    packet.content = *rtp;
    found.push_back(std::move(packet));
    return found;
  }
  if (datagram->opens) {
    packet.content = TcpSyn{};
    found.push_back(packet);
  }
  std::string_view text{reinterpret_cast<const char*>(datagram->payload.data()),
                        datagram->payload.size()};
  while (found.size() < (datagram->tcp ? kMaxMessages : 1)) {
    auto sip = take_sip(&text);
    if (!sip) break;
    packet.content = std::move(*sip);
    found.push_back(packet);
  }
  return found;
}

}  // namespace godwit::lab
