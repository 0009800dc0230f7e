// SPDX-License-Identifier: Apache-2.0
#include "ua/media_description.hpp"

#include <algorithm>
#include <charconv>

namespace godwit::ua {
namespace {

using wire::SdpMedia;
using wire::SessionDescription;

constexpr std::uint8_t kPcmuType = 0;  // RFC 3551 §6, static types.
constexpr std::uint8_t kPcmaType = 8;
constexpr std::uint8_t kTelephoneEventType = 101;  // Ours; in answers the offerer's number is used.

std::uint8_t static_type(Codec codec) { return codec == Codec::Pcmu ? kPcmuType : kPcmaType; }

std::optional<std::uint8_t> payload_number(const std::string& format) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(format.data(), format.data() + format.size(), value);
  if (error != std::errc{} || end != format.data() + format.size() || value > 127) {
    return std::nullopt;
  }
  return static_cast<std::uint8_t>(value);
}

bool same_name(const std::string& a, const char* b) {
  return std::equal(a.begin(), a.end(), b, b + std::char_traits<char>::length(b),
                    [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::optional<Codec> codec_of(const SdpMedia& media, std::uint8_t type) {
  const wire::SdpRtpMap* map = media.find_rtpmap(type);
  if (map == nullptr) {
    // RFC 3551: a static type needs no rtpmap.
    if (type == kPcmuType) return Codec::Pcmu;
    if (type == kPcmaType) return Codec::Pcma;
    return std::nullopt;
  }
  if (map->clock_rate != 8000) return std::nullopt;
  if (!map->parameters.empty() && map->parameters != "1") return std::nullopt;
  if (same_name(map->encoding, "PCMU")) return Codec::Pcmu;
  if (same_name(map->encoding, "PCMA")) return Codec::Pcma;
  return std::nullopt;
}

bool is_telephone_event(const SdpMedia& media, std::uint8_t type) {
  const wire::SdpRtpMap* map = media.find_rtpmap(type);
  return map != nullptr && same_name(map->encoding, "telephone-event") && map->clock_rate == 8000;
}

std::vector<media::PayloadMapping> known_codecs(const SdpMedia& media) {
  std::vector<media::PayloadMapping> known;
  for (const std::string& format : media.formats) {
    const auto type = payload_number(format);
    if (!type) continue;
    const auto codec = codec_of(media, *type);
    if (codec && known.size() < 8) known.push_back({*type, *codec});
  }
  return known;
}

std::optional<std::uint8_t> telephone_event_type(const SdpMedia& media) {
  for (const std::string& format : media.formats) {
    const auto type = payload_number(format);
    if (type && is_telephone_event(media, *type)) return type;
  }
  return std::nullopt;
}

void add_codec(SdpMedia& media, std::uint8_t type, Codec codec) {
  media.formats.push_back(std::to_string(type));
  media.rtpmaps.push_back({type, codec == Codec::Pcmu ? "PCMU" : "PCMA", 8000, ""});
}

void add_telephone_event(SdpMedia& media, std::uint8_t type) {
  media.formats.push_back(std::to_string(type));
  media.rtpmaps.push_back({type, "telephone-event", 8000, ""});
  media.format_parameters.push_back({std::to_string(type), "0-16"});
}

// RFC 3605: said only where it is not the port that everyone would guess.
void set_ports(SdpMedia& media, std::uint16_t rtp, std::uint16_t rtcp) {
  media.port = rtp;
  media.rtcp.reset();
  if (rtcp != 0 && rtcp != rtp + 1) media.rtcp = wire::SdpRtcp{rtcp, std::nullopt};
}

/// RFC 5761 §4: on a shared port these payload types, with the marker bit, look like RTCP.
bool is_like_rtcp(std::uint8_t type) { return type >= 64 && type <= 95; }

bool can_share_port(const AgreedAudio& agreed) {
  return !is_like_rtcp(agreed.payload_type) &&
         !(agreed.telephone_event && is_like_rtcp(*agreed.telephone_event)) &&
         std::none_of(agreed.receive.begin(), agreed.receive.end(),
                      [](const auto& mapping) { return is_like_rtcp(mapping.payload_type); });
}

struct Remote {
  Endpoint rtp;
  Endpoint rtcp;
  bool on_hold_address = false;
};

/// Where a packet would reach the peer, if anybody: not a group, and not ourselves, where other
/// programs take our audio for a neighbour's request.
bool is_possible_peer(const IpAddress& remote, const IpAddress& local) {
  static const IpAddress kBroadcast = IpAddress::v4(255, 255, 255, 255);
  return !remote.is_multicast() && remote != kBroadcast &&
         (!remote.is_loopback() || local.is_loopback());
}

Result<Remote> remote_of(const SessionDescription& description, const SdpMedia& media,
                         const IpAddress& local) {
  const wire::SdpAddress* connection = description.connection_of(media);
  if (connection == nullptr) return fail(ErrorCode::Malformed, "SDP without a c= line");
  const auto address = connection->literal();
  if (!address) {
    return fail(ErrorCode::Unsupported,
                "SDP connection address is no IP literal: " + connection->host);
  }
  if (!is_possible_peer(*address, local)) {
    return fail(ErrorCode::Unsupported,
                "SDP connection address cannot be the peer's: " + address->to_string());
  }
  Remote remote;
  remote.rtp = {*address, media.port};
  remote.rtcp = {*address, static_cast<std::uint16_t>(media.port + 1)};
  if (media.rtcp) {
    remote.rtcp.port = media.rtcp->port;
    if (media.rtcp->address) {
      const auto own = media.rtcp->address->literal();
      if (own && is_possible_peer(*own, local)) remote.rtcp.address = *own;
    }
  }
  // RFC 2543's hold, still sent by old phones (RFC 3264 §8.4).
  remote.on_hold_address = address->is_unspecified();
  return remote;
}

std::chrono::milliseconds packet_time_of(const SdpMedia& media) {
  using std::chrono::milliseconds;
  if (!media.packet_time) return milliseconds(20);
  const auto tens = std::clamp<long>(media.packet_time->count() / 10, 1, 6);
  return milliseconds(tens * 10);
}

}  // namespace

bool sends(MediaDirection direction) {
  return direction == MediaDirection::SendRecv || direction == MediaDirection::SendOnly;
}

bool receives(MediaDirection direction) {
  return direction == MediaDirection::SendRecv || direction == MediaDirection::RecvOnly;
}

MediaDirection make_direction(bool send, bool receive) {
  if (send) return receive ? MediaDirection::SendRecv : MediaDirection::SendOnly;
  return receive ? MediaDirection::RecvOnly : MediaDirection::Inactive;
}

MediaDirection answer_direction(MediaDirection offered, MediaDirection wanted) {
  return make_direction(receives(offered) && sends(wanted), sends(offered) && receives(wanted));
}

SessionDescription make_offer(const SessionOrigin& origin, std::uint64_t version,
                              const LocalAudio& audio) {
  SessionDescription description;
  description.origin = {"-", origin.session_id, version, wire::SdpAddress(origin.address)};
  description.connection = wire::SdpAddress(audio.rtp.address);
  SdpMedia media;
  set_ports(media, audio.rtp.port, audio.rtcp_port);
  for (const Codec codec : audio.codecs) add_codec(media, static_type(codec), codec);
  add_telephone_event(media, kTelephoneEventType);
  media.packet_time = audio.packet_time;
  media.direction = audio.direction;
  media.rtcp_mux = audio.rtcp_mux;
  description.media.push_back(std::move(media));
  return description;
}

SessionDescription make_reoffer(const SessionDescription& previous, std::uint64_t version,
                                const Endpoint& rtp, std::uint16_t rtcp_port,
                                MediaDirection direction) {
  SessionDescription description = previous;
  description.origin.session_version = version;
  description.connection = wire::SdpAddress(rtp.address);
  for (SdpMedia& media : description.media) {
    media.connection.reset();
    if (media.kind != wire::SdpMediaKind::Audio || media.port == 0) continue;
    set_ports(media, rtp.port, rtcp_port);
    media.direction = direction;
  }
  return description;
}

void make_plain(SessionDescription& offer, Codec codec) {
  for (SdpMedia& media : offer.media) {
    if (media.kind != wire::SdpMediaKind::Audio || media.port == 0) continue;
    std::erase_if(media.formats, [&](const std::string& format) {
      const auto type = payload_number(format);
      return !type || codec_of(media, *type) != codec;
    });
    if (media.formats.empty()) media.formats.push_back(std::to_string(static_type(codec)));
    media.rtpmaps.clear();
    media.format_parameters.clear();
    media.formats.resize(1);
    if (const auto type = payload_number(media.formats.front())) {
      media.rtpmaps.push_back({*type, codec == Codec::Pcmu ? "PCMU" : "PCMA", 8000, ""});
    }
    media.rtcp_mux = false;
  }
}

Result<AudioAnswer> make_answer(const SessionDescription& offer, const SessionOrigin& origin,
                                std::uint64_t version, const LocalAudio& audio) {
  AudioAnswer answer;
  answer.description.origin = {"-", origin.session_id, version, wire::SdpAddress(origin.address)};
  answer.description.connection = wire::SdpAddress(audio.rtp.address);
  answer.description.timing = offer.timing;
  bool accepted = false;
  std::string why = "the offer has no RTP audio line";
  for (const SdpMedia& offered : offer.media) {
    SdpMedia media;
    media.kind = offered.kind;
    media.kind_name = offered.kind_name;
    media.protocol = offered.protocol;
    const auto codecs = known_codecs(offered);
    const bool usable = offered.kind == wire::SdpMediaKind::Audio && offered.port != 0 &&
                        (offered.protocol == "RTP/AVP" || offered.protocol == "RTP/AVPF");
    // The offerer's order of preference counts; ours only narrows it (RFC 3264 §6.1).
    const auto choice = std::find_if(codecs.begin(), codecs.end(), [&](const auto& mapping) {
      return std::find(audio.codecs.begin(), audio.codecs.end(), mapping.codec) !=
             audio.codecs.end();
    });
    const auto remote =
        usable ? remote_of(offer, offered, audio.rtp.address) : Result<Remote>(Remote{});
    if (accepted || !usable || choice == codecs.end() || !remote) {
      if (!remote) why = remote.error().detail;
      if (usable && choice == codecs.end()) why = "the offer has no codec in common with us";
      media.port = 0;
      media.formats = offered.formats;  // RFC 3264 §6: ignored, but one is required.
      answer.description.media.push_back(std::move(media));
      continue;
    }
    accepted = true;
    AgreedAudio& agreed = answer.agreed;
    agreed.remote_rtp = remote->rtp;
    agreed.remote_rtcp = remote->rtcp;
    agreed.codec = choice->codec;
    agreed.payload_type = choice->payload_type;
    agreed.receive = {*choice};
    agreed.telephone_event = telephone_event_type(offered);
    agreed.receive_event = agreed.telephone_event;
    agreed.packet_time = packet_time_of(offered);
    // RFC 5761 §5.1.1: only what was offered may be answered.
    media.rtcp_mux = offered.rtcp_mux && audio.rtcp_mux && can_share_port(agreed);
    if (media.rtcp_mux) agreed.remote_rtcp = agreed.remote_rtp;
    const MediaDirection asked = offer.direction_of(offered);
    agreed.direction = answer_direction(asked, audio.direction);
    agreed.held_by_peer = !receives(asked) || remote->on_hold_address;
    add_codec(media, choice->payload_type, choice->codec);
    if (agreed.telephone_event) add_telephone_event(media, *agreed.telephone_event);
    set_ports(media, audio.rtp.port, audio.rtcp_port);
    media.packet_time = audio.packet_time;
    media.direction = agreed.direction;
    if (remote->on_hold_address) {
      agreed.direction = make_direction(false, receives(agreed.direction));
    }
    answer.description.media.push_back(std::move(media));
  }
  if (!accepted) return fail(ErrorCode::Unsupported, why);
  return answer;
}

Result<AgreedAudio> read_answer(const SessionDescription& our_offer,
                                const SessionDescription& answer) {
  if (answer.media.size() != our_offer.media.size()) {
    return fail(ErrorCode::Malformed, "the SDP answer has " + std::to_string(answer.media.size()) +
                                          " media lines to our " +
                                          std::to_string(our_offer.media.size()));
  }
  for (std::size_t i = 0; i < our_offer.media.size(); ++i) {
    const SdpMedia& offered = our_offer.media[i];
    const SdpMedia& answered = answer.media[i];
    if (offered.kind != wire::SdpMediaKind::Audio || offered.port == 0) continue;
    if (answered.port == 0) return fail(ErrorCode::Unsupported, "the peer refused our audio");
    const auto* ours = our_offer.connection_of(offered);
    const auto local = ours != nullptr ? ours->literal() : std::nullopt;
    const auto remote = remote_of(answer, answered, local.value_or(IpAddress{}));
    if (!remote) return tl::unexpected<Error>(remote.error());
    const auto codecs = known_codecs(answered);
    if (codecs.empty()) return fail(ErrorCode::Unsupported, "the SDP answer has no known codec");
    AgreedAudio agreed;
    agreed.remote_rtp = remote->rtp;
    agreed.remote_rtcp = remote->rtcp;
    agreed.codec = codecs.front().codec;
    agreed.payload_type = codecs.front().payload_type;
    agreed.receive = known_codecs(offered);  // Whatever we offered may come (RFC 3264 §7).
    agreed.telephone_event = telephone_event_type(answered);
    if (agreed.telephone_event) agreed.receive_event = telephone_event_type(offered);
    if (offered.rtcp_mux && answered.rtcp_mux) agreed.remote_rtcp = agreed.remote_rtp;
    agreed.packet_time = packet_time_of(answered);
    const MediaDirection theirs = answer.direction_of(answered);
    agreed.direction = answer_direction(theirs, our_offer.direction_of(offered));
    agreed.held_by_peer = !receives(theirs) && sends(our_offer.direction_of(offered));
    if (remote->on_hold_address) {
      agreed.held_by_peer = true;
      agreed.direction = make_direction(false, receives(agreed.direction));
    }
    return agreed;
  }
  return fail(ErrorCode::Malformed, "the answered offer had no audio");
}

}  // namespace godwit::ua
