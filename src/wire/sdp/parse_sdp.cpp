// SPDX-License-Identifier: Apache-2.0
//
// One pass over the lines. Strict where a lax reading could send audio somewhere unintended
// (origin, connection, media and their attributes); tolerant of the order of lines within a
// section, which deployed devices get wrong without being misunderstood.
#include <algorithm>
#include <charconv>

#include "wire/sdp/sdp.hpp"

namespace godwit::wire {
namespace {

/// The first error; later ones are consequences. Empty: none.
using Problem = std::optional<Error>;

Problem malformed(std::string_view what, std::string_view line) {
  constexpr std::size_t kQuoted = 60;
  return Error{ErrorCode::Malformed, std::string("SDP ") + std::string(what) + ": " +
                                         std::string(line.substr(0, kQuoted))};
}

Problem too_large(std::string_view what) {
  return Error{ErrorCode::TooLarge, "SDP: more than the limit of " + std::string(what)};
}

template <typename T>
std::optional<T> parse_number(std::string_view text, T limit = std::numeric_limits<T>::max()) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end || value > limit) return std::nullopt;
  return value;
}

/// Cuts the next space-separated word off `rest`. RFC 8866 §5 allows one space between fields; more
/// are skipped, they cannot be misread.
std::string_view take_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

bool at_end(std::string_view rest) { return rest.find_first_not_of(' ') == std::string_view::npos; }

/// RFC 8866 §9 "token".
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("\"(),/:;<=>?@[\\]").find(c) == std::string_view::npos;
  });
}

/// "IN IP4 host", and nothing behind it.
std::optional<SdpAddress> parse_address(std::string_view rest) {
  if (take_word(rest) != "IN") return std::nullopt;
  const std::string_view type = take_word(rest);
  if (type != "IP4" && type != "IP6") return std::nullopt;
  const std::string_view host = take_word(rest);
  if (host.empty() || !at_end(rest)) return std::nullopt;
  return SdpAddress(type == "IP4" ? Family::V4 : Family::V6, std::string(host));
}

std::optional<SdpOrigin> parse_origin(std::string_view rest) {
  SdpOrigin origin;
  origin.username = take_word(rest);
  const auto id = parse_number<std::uint64_t>(take_word(rest));
  const auto version = parse_number<std::uint64_t>(take_word(rest));
  auto address = parse_address(rest);
  if (origin.username.empty() || !id || !version || !address) return std::nullopt;
  origin.session_id = *id;
  origin.session_version = *version;
  origin.address = std::move(*address);
  return origin;
}

std::optional<SdpTiming> parse_timing(std::string_view rest) {
  const auto start = parse_number<std::uint64_t>(take_word(rest));
  const auto stop = parse_number<std::uint64_t>(take_word(rest));
  if (!start || !stop || !at_end(rest)) return std::nullopt;
  return SdpTiming{*start, *stop};
}

std::optional<MediaDirection> parse_direction(std::string_view name) {
  if (name == "sendrecv") return MediaDirection::SendRecv;
  if (name == "sendonly") return MediaDirection::SendOnly;
  if (name == "recvonly") return MediaDirection::RecvOnly;
  if (name == "inactive") return MediaDirection::Inactive;
  return std::nullopt;
}

std::optional<SdpRtpMap> parse_rtpmap(std::string_view rest) {
  SdpRtpMap map;
  const auto type = parse_number<std::uint8_t>(take_word(rest), 127);
  std::string_view codec = take_word(rest);
  if (!type || !at_end(rest)) return std::nullopt;
  map.payload_type = *type;
  const std::size_t slash = codec.find('/');
  map.encoding = codec.substr(0, slash);
  if (slash == std::string_view::npos || !is_token(map.encoding)) return std::nullopt;
  codec.remove_prefix(slash + 1);
  const std::string_view rate = codec.substr(0, codec.find('/'));
  const auto clock = parse_number<std::uint32_t>(rate);
  if (!clock || *clock == 0) return std::nullopt;
  map.clock_rate = *clock;
  if (rate.size() < codec.size()) {
    map.parameters = codec.substr(rate.size() + 1);
    if (!is_token(map.parameters)) return std::nullopt;
  }
  return map;
}

std::optional<SdpRtcp> parse_rtcp_attribute(std::string_view rest) {
  SdpRtcp rtcp;
  const auto port = parse_number<std::uint16_t>(take_word(rest));
  if (!port) return std::nullopt;
  rtcp.port = *port;
  if (!at_end(rest)) {
    rtcp.address = parse_address(rest);
    if (!rtcp.address) return std::nullopt;
  }
  return rtcp;
}

/// "20", and the "20.0" that some devices write.
std::optional<std::chrono::milliseconds> parse_packet_time(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot != std::string_view::npos &&
      text.substr(dot + 1).find_first_not_of('0') != std::string_view::npos) {
    return std::nullopt;
  }
  const auto value = parse_number<std::uint16_t>(text.substr(0, dot));
  if (!value || *value == 0) return std::nullopt;
  return std::chrono::milliseconds(*value);
}

class Parser {
 public:
  Result<SessionDescription> parse(std::string_view text) {
    if (text.size() > kMaxSdpSize) return tl::unexpected(*too_large("16 KiB"));
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (auto problem = on_line(line)) return tl::unexpected(std::move(*problem));
    }
    if (auto problem = on_end()) return tl::unexpected(std::move(*problem));
    return std::move(description_);
  }

 private:
  Problem on_line(std::string_view line) {
    if (++lines_ > kMaxSdpLines) return too_large("512 lines");
    // Some devices end the body with an empty line; nothing may follow it.
    if (line.empty() && lines_ > 2) ended_ = true;
    if (ended_) return line.empty() ? Problem{} : malformed("goes on after an empty line", line);
    if (line.size() > kMaxSdpLineLength) return too_large("1024 bytes in a line");
    if (line.size() < 2 || line[1] != '=') return malformed("line is not <type>=<value>", line);
    // RFC 8866 §9: byte-string excludes NUL, CR and LF. LF ended the line.
    if (line.find('\0') != std::string_view::npos || line.find('\r') != std::string_view::npos) {
      return malformed("control character in line", line.substr(0, 1));
    }
    const char type = line[0];
    const std::string_view value = line.substr(2);
    if (lines_ == 1) {
      return line == "v=0" ? Problem{} : malformed("does not begin with v=0", line);
    }
    if (lines_ == 2) return type == 'o' ? on_origin(value) : malformed("lacks o= in line 2", line);
    if (type == 'm') return on_media(value);
    return description_.media.empty() ? on_session_line(type, value)
                                      : on_media_line(type, value, description_.media.back());
  }

  Problem on_origin(std::string_view value) {
    auto origin = parse_origin(value);
    if (!origin) return malformed("o= line", value);
    description_.origin = std::move(*origin);
    return {};
  }

  Problem on_session_line(char type, std::string_view value) {
    switch (type) {
      case 's':
        if (has_name_) return malformed("has a second s= line", value);
        has_name_ = true;
        description_.name = value;
        return {};
      case 'c': return on_connection(value, description_.connection);
      case 't': {
        const auto timing = parse_timing(value);
        if (!timing) return malformed("t= line", value);
        if (!has_timing_) description_.timing = *timing;
        has_timing_ = true;
        return {};
      }
      case 'a': return on_attribute(value, nullptr);
      case 'i':
      case 'u':
      case 'e':
      case 'p':
      case 'b':
      case 'r':
      case 'z':
      case 'k': return {};
      default: return malformed("line of unknown type", std::string_view(&type, 1));
    }
  }

  Problem on_media_line(char type, std::string_view value, SdpMedia& media) {
    switch (type) {
      case 'c': {
        // More than one gives layered multicast its addresses (RFC 8866 §5.7); we take the first.
        if (!media.connection) return on_connection(value, media.connection);
        return parse_address(value) ? Problem{} : malformed("c= line", value);
      }
      case 'a': return on_attribute(value, &media);
      case 'i':
      case 'b':
      case 'k': return {};
      default: return malformed("line not allowed in a media section", std::string_view(&type, 1));
    }
  }

  Problem on_connection(std::string_view value, std::optional<SdpAddress>& connection) {
    if (connection) return malformed("has a second c= line", value);
    connection = parse_address(value);
    return connection ? Problem{} : malformed("c= line", value);
  }

  Problem on_media(std::string_view value) {
    if (description_.media.size() == kMaxSdpMedia) return too_large("16 media");
    std::string_view rest = value;
    SdpMedia media;
    const std::string_view kind = take_word(rest);
    if (kind == "audio") {
      media.kind = SdpMediaKind::Audio;
    } else if (kind == "video") {
      media.kind = SdpMediaKind::Video;
    } else {
      media.kind = SdpMediaKind::Other;
      media.kind_name = kind;
    }
    const std::string_view ports = take_word(rest);
    const std::size_t slash = ports.find('/');
    const auto port = parse_number<std::uint16_t>(ports.substr(0, slash));
    const auto count = slash == std::string_view::npos
                           ? std::optional<std::uint16_t>(1)
                           : parse_number<std::uint16_t>(ports.substr(slash + 1));
    media.protocol = take_word(rest);
    if (!is_token(kind) || !port || !count || *count == 0 || media.protocol.empty()) {
      return malformed("m= line", value);
    }
    media.port = *port;
    media.port_count = *count;
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
      if (media.formats.size() == kMaxSdpFormats) return too_large("64 formats in an m= line");
      media.formats.emplace_back(word);
    }
    if (media.formats.empty()) return malformed("m= line without formats", value);
    description_.media.push_back(std::move(media));
    return {};
  }

  /// `media` is null for a session-level attribute.
  Problem on_attribute(std::string_view text, SdpMedia* media) {
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    if (!is_token(name)) return malformed("a= line", text);
    std::optional<std::string_view> value;
    if (colon != std::string_view::npos) value = text.substr(colon + 1);

    if (const auto direction = value ? std::nullopt : parse_direction(name)) {
      auto& slot = media ? media->direction : description_.direction;
      if (slot && *slot != *direction) return malformed("has two directions", text);
      slot = direction;
      return {};
    }
    if (media) {
      bool taken = false;
      if (auto problem = on_media_attribute(name, value, *media, taken)) return problem;
      if (taken) return {};
    }
    auto& others = media ? media->attributes : description_.attributes;
    others.push_back(
        {std::string(name), value ? std::optional(std::string(*value)) : std::nullopt});
    return {};
  }

  Problem on_media_attribute(std::string_view name, std::optional<std::string_view> value,
                             SdpMedia& media, bool& taken) {
    taken = true;
    if (name == "rtpmap") {
      auto map = parse_rtpmap(value.value_or(""));
      if (!map) return malformed("a=rtpmap", value.value_or(""));
      media.rtpmaps.push_back(std::move(*map));
    } else if (name == "fmtp") {
      std::string_view rest = value.value_or("");
      const std::string_view format = take_word(rest);
      rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
      if (format.empty() || rest.empty()) return malformed("a=fmtp", value.value_or(""));
      media.format_parameters.push_back({std::string(format), std::string(rest)});
    } else if (name == "rtcp" && !media.rtcp) {
      media.rtcp = parse_rtcp_attribute(value.value_or(""));
      if (!media.rtcp) return malformed("a=rtcp", value.value_or(""));
    } else if (name == "rtcp-mux" && !value) {
      media.rtcp_mux = true;
    } else if (name == "ptime" && !media.packet_time) {
      // A ptime we cannot use is kept as text and does not end a call.
      media.packet_time = parse_packet_time(value.value_or(""));
      taken = media.packet_time.has_value();
    } else {
      taken = false;
    }
    return {};
  }

  Problem on_end() const {
    if (lines_ < 2) return malformed("ends before its o= line", "");
    if (!has_name_) return malformed("has no s= line", "");
    if (!has_timing_) return malformed("has no t= line", "");
    for (const SdpMedia& media : description_.media) {
      // RFC 8866 §5.7: a c= line in each media description or at the session level. A rejected
      // medium (port 0) needs none to be understood.
      if (media.port != 0 && !description_.connection_of(media)) {
        return malformed("has a medium without a c= line", media.protocol);
      }
    }
    return {};
  }

  SessionDescription description_;
  std::size_t lines_ = 0;
  bool has_name_ = false;
  bool has_timing_ = false;
  bool ended_ = false;
};

}  // namespace

Result<SessionDescription> parse_sdp(std::string_view text) { return Parser().parse(text); }

}  // namespace godwit::wire
