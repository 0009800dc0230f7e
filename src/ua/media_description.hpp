// SPDX-License-Identifier: Apache-2.0
//
// Offers and answers for one audio stream (RFC 3264, RFC 6337): pure functions from what we can do
// and what the peer said to the next description and to what was agreed on. A refresh changes
// nothing but where we are reached: payload types, the order of media lines and `o=` except its
// version stay as they were (design §5a). Keeps no state; the offer/answer machine is sip's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/config.hpp"
#include "godwit/event.hpp"
#include "godwit/result.hpp"
#include "media/contract.hpp"
#include "wire/sdp/sdp.hpp"

namespace godwit::ua {

/// RFC 3264 §8: username, session id and address of `o=` never change during a session.
struct SessionOrigin {
  std::uint64_t session_id = 0;
  IpAddress address;
};

/// What we want and where we listen.
struct LocalAudio {
  Endpoint rtp;
  std::uint16_t rtcp_port = 0;
  MediaDirection direction = MediaDirection::SendRecv;
  std::vector<Codec> codecs;
  std::chrono::milliseconds packet_time{20};
  bool rtcp_mux = false;  ///< RTCP may share RTP's port (RFC 5761).
};

/// What both sides have settled.
struct AgreedAudio {
  Endpoint remote_rtp;
  Endpoint remote_rtcp;
  Codec codec = Codec::Pcmu;
  std::uint8_t payload_type = 0;
  std::vector<media::PayloadMapping> receive;
  std::optional<std::uint8_t> telephone_event;          ///< That we send …
  std::optional<std::uint8_t> receive_event;            ///< … and that we take.
  MediaDirection direction = MediaDirection::SendRecv;  ///< As we see it.
  bool held_by_peer = false;
  std::chrono::milliseconds packet_time{20};
};

wire::SessionDescription make_offer(const SessionOrigin& origin, std::uint64_t version,
                                    const LocalAudio& audio);

/// The same session from another address or in another direction. `previous` is the last
/// description that we sent.
wire::SessionDescription make_reoffer(const wire::SessionDescription& previous,
                                      std::uint64_t version, const Endpoint& rtp,
                                      std::uint16_t rtcp_port, MediaDirection direction);

/// Leaves of an offer's audio what no peer can object to: one codec, and nothing besides.
void make_plain(wire::SessionDescription& offer, Codec codec);

struct AudioAnswer {
  wire::SessionDescription description;
  AgreedAudio agreed;
};
/// Accepts the first audio line we can serve, refuses the others with port 0. Unsupported (say 488)
/// if there is none. `audio.direction` is what we would like; the answer narrows it to what the
/// offer allows.
Result<AudioAnswer> make_answer(const wire::SessionDescription& offer, const SessionOrigin& origin,
                                std::uint64_t version, const LocalAudio& audio);

/// What the answer to `our_offer` settles. Malformed or Unsupported if it is no legal answer or
/// refuses the audio.
Result<AgreedAudio> read_answer(const wire::SessionDescription& our_offer,
                                const wire::SessionDescription& answer);

/// The direction of an answer: what `wanted` allows of what `offered` (as the offerer sees it)
/// asks.
MediaDirection answer_direction(MediaDirection offered, MediaDirection wanted);
bool sends(MediaDirection direction);
bool receives(MediaDirection direction);
MediaDirection make_direction(bool send, bool receive);

}  // namespace godwit::ua
