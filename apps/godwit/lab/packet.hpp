// SPDX-License-Identifier: Apache-2.0
//
// What the laboratory notes of one captured IP packet. Parsed here, apart from the library's wire
// layer, so that an error there cannot hide itself from the measurement. Pure. TCP streams are not
// put together: a SIP message is seen where it begins a segment or follows another one that it
// holds whole; one that is missed makes a figure worse, never better. What TLS hides is not seen.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/time.hpp"

namespace godwit::lab {

enum class Place : std::uint8_t { Phone, Far };

struct RtpInfo {
  std::uint32_t ssrc = 0;
  std::uint16_t sequence = 0;
  std::uint8_t payload_type = 0;
};

struct SipInfo {
  bool request = false;
  std::string method;  ///< Of the request, or of the CSeq that a response answers.
  int status = 0;      ///< Responses only.
  std::uint32_t cseq = 0;
  std::string call_id;
  std::string contact;     ///< All Contact values, joined by commas; empty if none.
  bool in_dialog = false;  ///< To has a tag.
};

/// The first packet of a connection.
struct TcpSyn {};

struct CapturedPacket {
  TimePoint at;
  Place place = Place::Phone;
  bool outgoing = false;  ///< Sent by that namespace's kernel; else arrived.
  Endpoint source;
  Endpoint destination;
  std::variant<RtpInfo, SipInfo, TcpSyn> content;
};

/// The UDP datagram in an IP packet if it looks like RTP or SIP, or the SIP messages in its TCP
/// segment, at most 16, or the SYN that it is; `at`, `place` and `outgoing` are left to the caller.
/// First fragments count, later ones do not.
std::vector<CapturedPacket> parse_packet(std::span<const std::uint8_t> ip_packet);

}  // namespace godwit::lab
