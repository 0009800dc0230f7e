// SPDX-License-Identifier: Apache-2.0
#include "testing/mock_sdp.hpp"

#include <algorithm>
#include <charconv>

namespace godwit::testing {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::vector<std::string> found;
  std::size_t begin = 0;
  while (begin < line.size()) {
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    if (end > begin) found.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return found;
}

template <typename Number>
Number number(const std::string& text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

MockSdp read_sdp(const std::string& text) {
  MockSdp sdp;
  bool in_other_media = false;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    while (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.size() < 2 || line[1] != '=') continue;
    const std::string value = line.substr(2);
    const auto parts = words(value);
    if (line[0] == 'o' && parts.size() == 6) {
      sdp.origin_user = parts[0];
      sdp.session_id = parts[1];
      sdp.version = number<std::uint64_t>(parts[2]);
      sdp.origin_address = parts[3] + " " + parts[4] + " " + parts[5];
    } else if (line[0] == 'm' && parts.size() >= 4) {
      in_other_media = parts[0] != "audio" || !sdp.payload_types.empty();
      sdp.media.push_back(parts[0]);
      if (in_other_media) continue;
      sdp.rtp.port = number<std::uint16_t>(parts[1]);
      for (std::size_t i = 3; i < parts.size(); ++i) {
        sdp.payload_types.push_back(number<std::uint8_t>(parts[i]));
      }
    } else if (line[0] == 'c' && parts.size() == 3 && !in_other_media) {
      sdp.rtp.address = IpAddress::parse(parts[2]).value_or(IpAddress());
    } else if (line[0] == 'a' && !in_other_media &&
               (value == "sendrecv" || value == "sendonly" || value == "recvonly" ||
                value == "inactive")) {
      sdp.direction = value;
    } else if (line[0] == 'a' && !in_other_media && value == "rtcp-mux") {
      sdp.rtcp_mux = true;
    }
  }
  return sdp;
}

std::string write_sdp(const MockSdp& sdp) {
  const std::string connection = std::string("IN ") + (sdp.rtp.address.is_v4() ? "IP4 " : "IP6 ") +
                                 sdp.rtp.address.to_string();
  std::string text = "v=0\r\no=" + sdp.origin_user + " " + sdp.session_id + " " +
                     std::to_string(sdp.version) + " " + sdp.origin_address +
                     "\r\ns=-\r\nc=" + connection + "\r\nt=0 0\r\nm=audio " +
                     std::to_string(sdp.rtp.port) + " RTP/AVP";
  for (const std::uint8_t type : sdp.payload_types) text += " " + std::to_string(type);
  text += "\r\n";
  for (const std::uint8_t type : sdp.payload_types) {
    if (type == 0) text += "a=rtpmap:0 PCMU/8000\r\n";
    if (type == 8) text += "a=rtpmap:8 PCMA/8000\r\n";
    if (type >= 96) text += "a=rtpmap:" + std::to_string(type) + " telephone-event/8000\r\n";
  }
  if (sdp.rtcp_mux) text += "a=rtcp-mux\r\n";
  return text + "a=" + sdp.direction + "\r\n";
}

std::string answer_direction(const std::string& offered, const std::string& ours) {
  const bool they_send = offered == "sendrecv" || offered == "sendonly";
  const bool they_receive = offered == "sendrecv" || offered == "recvonly";
  const bool we_send = (ours == "sendrecv" || ours == "sendonly") && they_receive;
  const bool we_receive = (ours == "sendrecv" || ours == "recvonly") && they_send;
  return we_send ? (we_receive ? "sendrecv" : "sendonly") : (we_receive ? "recvonly" : "inactive");
}

}  // namespace godwit::testing
