// SPDX-License-Identifier: Apache-2.0
//
// Session descriptions (RFC 8866) as values, their parser and their text. Knows the grammar and the
// attributes that a phone's RTP audio needs; everything else is kept as it was read. Whether an
// offer can be answered, and how, is the user agent's decision.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/event.hpp"
#include "godwit/result.hpp"

namespace godwit::wire {

/// Limits of the parser; a description beyond one of them is ErrorCode::TooLarge.
inline constexpr std::size_t kMaxSdpSize = 16 * 1024;
inline constexpr std::size_t kMaxSdpLines = 512;
inline constexpr std::size_t kMaxSdpLineLength = 1024;
inline constexpr std::size_t kMaxSdpMedia = 16;
inline constexpr std::size_t kMaxSdpFormats = 64;  ///< In one m= line.

/// "IN IP4 host": a literal mostly, a name or a multicast address with its TTL seldom.
struct SdpAddress {
  Family family = Family::V4;
  std::string host;

  SdpAddress() = default;
  SdpAddress(Family f, std::string h) : family(f), host(std::move(h)) {}
  explicit SdpAddress(const IpAddress& address)
      : family(address.family()), host(address.to_string()) {}
  /// The address, unless `host` is a name, carries a TTL, or is of the other family.
  std::optional<IpAddress> literal() const;
  friend bool operator==(const SdpAddress&, const SdpAddress&) = default;
};

struct SdpOrigin {
  std::string username = "-";
  std::uint64_t session_id = 0;
  std::uint64_t session_version = 0;
  SdpAddress address;
  friend bool operator==(const SdpOrigin&, const SdpOrigin&) = default;
};

struct SdpTiming {
  std::uint64_t start = 0;
  std::uint64_t stop = 0;
  friend bool operator==(const SdpTiming&, const SdpTiming&) = default;
};

/// "a=name" or "a=name:value".
struct SdpAttribute {
  std::string name;
  std::optional<std::string> value;
  friend bool operator==(const SdpAttribute&, const SdpAttribute&) = default;
};

/// "a=rtpmap:0 PCMU/8000".
struct SdpRtpMap {
  std::uint8_t payload_type = 0;
  std::string encoding;
  std::uint32_t clock_rate = 0;
  std::string parameters;  ///< After the second slash (audio: channels); mostly empty.
  friend bool operator==(const SdpRtpMap&, const SdpRtpMap&) = default;
};

/// "a=fmtp:101 0-16".
struct SdpFormatParameters {
  std::string format;
  std::string parameters;
  friend bool operator==(const SdpFormatParameters&, const SdpFormatParameters&) = default;
};

/// "a=rtcp:53020 [IN IP4 126.16.64.4]" (RFC 3605).
struct SdpRtcp {
  std::uint16_t port = 0;
  std::optional<SdpAddress> address;
  friend bool operator==(const SdpRtcp&, const SdpRtcp&) = default;
};

enum class SdpMediaKind : std::uint8_t { Audio, Video, Other };

struct SdpMedia {
  SdpMediaKind kind = SdpMediaKind::Audio;
  std::string kind_name;   ///< Only for Other: "application", "image" …
  std::uint16_t port = 0;  ///< 0: rejected or disabled.
  std::uint16_t port_count = 1;
  std::string protocol = "RTP/AVP";
  std::vector<std::string> formats;
  std::optional<SdpAddress> connection;
  std::optional<MediaDirection> direction;  ///< Absent: the session's (see direction_of).
  std::optional<std::chrono::milliseconds> packet_time;
  std::vector<SdpRtpMap> rtpmaps;
  std::vector<SdpFormatParameters> format_parameters;
  std::optional<SdpRtcp> rtcp;
  bool rtcp_mux = false;
  std::vector<SdpAttribute> attributes;  ///< All others, in order.

  const SdpRtpMap* find_rtpmap(std::uint8_t payload_type) const;
  friend bool operator==(const SdpMedia&, const SdpMedia&) = default;
};

struct SessionDescription {
  SdpOrigin origin;
  std::string name = "-";
  std::optional<SdpAddress> connection;
  SdpTiming timing;  ///< The first t= line; a call has one.
  std::optional<MediaDirection> direction;
  std::vector<SdpAttribute> attributes;
  std::vector<SdpMedia> media;

  /// The media's own c= line, else the session's; nullptr only if neither was there (port 0).
  const SdpAddress* connection_of(const SdpMedia& m) const;
  /// The media's, else the session's, else sendrecv (RFC 8866 §6.7).
  MediaDirection direction_of(const SdpMedia& m) const;
  friend bool operator==(const SessionDescription&, const SessionDescription&) = default;
};

/// Reads one description; its time is linear in the input's size. CRLF or LF ends a line. The lines
/// i, u, e, p, b, r, z and k are checked for form and dropped.
Result<SessionDescription> parse_sdp(std::string_view text);
/// The description's text, CRLF after every line. The caller keeps line breaks out of the fields.
std::string to_string(const SessionDescription& description);

}  // namespace godwit::wire
