// SPDX-License-Identifier: Apache-2.0
//
// Just as much SDP as a mock peer and the assertions of scenarios need: the lines of one session
// with audio. Independent of src/wire/sdp. It negotiates nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "godwit/address.hpp"

namespace godwit::testing {

/// One session description as somebody sent it.
struct MockSdp {
  std::string origin_user;
  std::string session_id;
  std::uint64_t version = 0;
  std::string origin_address;      ///< "IN IP4 192.0.2.1"
  std::vector<std::string> media;  ///< Each m= line's first word: "audio", "video".
  // Of the first audio:
  Endpoint rtp;
  std::vector<std::uint8_t> payload_types;
  std::string direction = "sendrecv";
  bool rtcp_mux = false;

  /// The audio is on hold or absent: it asks us for nothing.
  bool wants_audio() const { return direction == "sendrecv" || direction == "recvonly"; }
  bool sends_audio() const { return direction == "sendrecv" || direction == "sendonly"; }
};

/// What cannot be read stays empty.
MockSdp read_sdp(const std::string& text);
std::string write_sdp(const MockSdp& sdp);

/// The answering direction to an offered one (RFC 3264 §6.1), given what we are ready to do.
std::string answer_direction(const std::string& offered, const std::string& ours);

}  // namespace godwit::testing
