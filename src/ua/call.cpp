// SPDX-License-Identifier: Apache-2.0
#include "ua/call.hpp"

namespace godwit::ua {

std::string Call::hidden(std::string contact) const {
  const std::size_t at = contact.find('@');
  const std::size_t colon = contact.find(':');
  if (options.hide_identity && at != std::string::npos && colon < at) {
    contact.erase(colon + 1, at - colon);
  }
  return contact;
}

MediaDirection Call::wanted_direction() const {
  const bool held_by_peer = agreed && agreed->held_by_peer;
  return make_direction(!held_by_peer, !hold_wanted);
}

LocalAudio Call::local_audio(const MediaConfig& config, const MediaPath& from) const {
  LocalAudio audio;
  audio.rtp = from.told_rtp();
  audio.rtcp_port = from.told_rtcp_port();
  audio.direction = make_direction(true, !hold_wanted);
  audio.codecs = config.codecs;
  audio.packet_time = config.packet_time;
  audio.rtcp_mux = config.rtcp_mux;
  return audio;
}

wire::SessionDescription Call::next_offer(const MediaConfig& config, const MediaPath& from) {
  const std::uint64_t version = session->offer_answer().next_version();
  wire::SessionDescription offer = sent ? make_reoffer(*sent, version, from.told_rtp(),
                                                       from.told_rtcp_port(), wanted_direction())
                                        : make_offer(origin, version, local_audio(config, from));
  if (plain_offers) {
    make_plain(offer, agreed                  ? agreed->codec
                      : config.codecs.empty() ? Codec::Pcmu
                                              : config.codecs.front());
  }
  return offer;
}

}  // namespace godwit::ua
