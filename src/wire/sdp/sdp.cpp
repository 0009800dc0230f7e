// SPDX-License-Identifier: Apache-2.0
#include "wire/sdp/sdp.hpp"

#include <algorithm>

namespace godwit::wire {
namespace {

void append_line(std::string& out, std::string_view type, std::string_view value) {
  out += type;
  out += value;
  out += "\r\n";
}

std::string address_text(const SdpAddress& address) {
  return (address.family == Family::V6 ? "IN IP6 " : "IN IP4 ") + address.host;
}

const char* direction_text(MediaDirection direction) {
  switch (direction) {
    case MediaDirection::SendRecv: return "sendrecv";
    case MediaDirection::SendOnly: return "sendonly";
    case MediaDirection::RecvOnly: return "recvonly";
    case MediaDirection::Inactive: return "inactive";
  }
  return "sendrecv";
}

void append_attribute(std::string& out, const SdpAttribute& attribute) {
  append_line(out,
              "a=", attribute.value ? attribute.name + ':' + *attribute.value : attribute.name);
}

std::string media_line(const SdpMedia& media) {
  std::string line;
  switch (media.kind) {
    case SdpMediaKind::Audio: line = "audio"; break;
    case SdpMediaKind::Video: line = "video"; break;
    case SdpMediaKind::Other: line = media.kind_name; break;
  }
  line += ' ' + std::to_string(media.port);
  if (media.port_count != 1) line += '/' + std::to_string(media.port_count);
  line += ' ' + media.protocol;
  for (const std::string& format : media.formats) line += ' ' + format;
  return line;
}

void append_media(std::string& out, const SdpMedia& media) {
  append_line(out, "m=", media_line(media));
  if (media.connection) append_line(out, "c=", address_text(*media.connection));
  for (const SdpRtpMap& map : media.rtpmaps) {
    std::string value = std::to_string(map.payload_type) + ' ' + map.encoding + '/' +
                        std::to_string(map.clock_rate);
    if (!map.parameters.empty()) value += '/' + map.parameters;
    append_line(out, "a=rtpmap:", value);
  }
  for (const SdpFormatParameters& f : media.format_parameters) {
    append_line(out, "a=fmtp:", f.format + ' ' + f.parameters);
  }
  if (media.packet_time) append_line(out, "a=ptime:", std::to_string(media.packet_time->count()));
  if (media.rtcp) {
    std::string value = std::to_string(media.rtcp->port);
    if (media.rtcp->address) value += ' ' + address_text(*media.rtcp->address);
    append_line(out, "a=rtcp:", value);
  }
  if (media.rtcp_mux) append_line(out, "a=", "rtcp-mux");
  for (const SdpAttribute& attribute : media.attributes) append_attribute(out, attribute);
  if (media.direction) append_line(out, "a=", direction_text(*media.direction));
}

}  // namespace

std::optional<IpAddress> SdpAddress::literal() const {
  // Brackets are a URI's notation; SDP's grammar has none.
  if (host.empty() || host.front() == '[') return std::nullopt;
  const auto address = IpAddress::parse(host);
  if (!address || address->family() != family) return std::nullopt;
  return address;
}

const SdpRtpMap* SdpMedia::find_rtpmap(std::uint8_t payload_type) const {
  const auto it = std::find_if(rtpmaps.begin(), rtpmaps.end(), [&](const SdpRtpMap& map) {
    return map.payload_type == payload_type;
  });
  return it == rtpmaps.end() ? nullptr : &*it;
}

const SdpAddress* SessionDescription::connection_of(const SdpMedia& m) const {
  if (m.connection) return &*m.connection;
  return connection ? &*connection : nullptr;
}

MediaDirection SessionDescription::direction_of(const SdpMedia& m) const {
  return m.direction.value_or(direction.value_or(MediaDirection::SendRecv));
}

std::string to_string(const SessionDescription& description) {
  const SdpOrigin& origin = description.origin;
  std::string out;
  out.reserve(512);
  append_line(out, "v=", "0");
  append_line(out, "o=",
              origin.username + ' ' + std::to_string(origin.session_id) + ' ' +
                  std::to_string(origin.session_version) + ' ' + address_text(origin.address));
  append_line(out, "s=", description.name);
  if (description.connection) append_line(out, "c=", address_text(*description.connection));
  append_line(
      out, "t=",
      std::to_string(description.timing.start) + ' ' + std::to_string(description.timing.stop));
  for (const SdpAttribute& attribute : description.attributes) append_attribute(out, attribute);
  if (description.direction) append_line(out, "a=", direction_text(*description.direction));
  for (const SdpMedia& media : description.media) append_media(out, media);
  return out;
}

}  // namespace godwit::wire
