// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as RTP and as RTCP: what is read can be built, and reads back as the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "wire/rtp/rtcp.hpp"
#include "wire/rtp/rtp.hpp"

namespace {

using namespace godwit;

void check(bool holds) {
  if (!holds) std::abort();
}

void rtp(Bytes bytes) {
  const auto packet = wire::parse_rtp(bytes);
  if (!packet) return;
  const auto built = wire::build_rtp(*packet);
  check(built.has_value() && built->size() <= bytes.size());
  const auto again = wire::parse_rtp(*built);
  check(again && again->sequence == packet->sequence && again->timestamp == packet->timestamp &&
        again->ssrc == packet->ssrc && again->marker == packet->marker &&
        again->payload_type == packet->payload_type && again->csrcs == packet->csrcs &&
        again->extension.has_value() == packet->extension.has_value() &&
        std::equal(again->payload.begin(), again->payload.end(), packet->payload.begin(),
                   packet->payload.end()));
}

void rtcp(Bytes bytes) {
  const auto packets = wire::parse_rtcp(bytes);
  if (!packets) return;
  check(!packets->empty() && packets->size() <= wire::kMaxRtcpPackets);
  auto known = *packets;
  std::erase_if(known, [](const auto& p) { return std::holds_alternative<wire::RtcpOther>(p); });
  const auto built = wire::build_rtcp(known);
  check(built.has_value());
  const auto again = wire::parse_rtcp(*built);
  check(again && *again == known);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  rtp(bytes);
  rtcp(bytes);
  static_cast<void>(wire::looks_like_rtcp(bytes));
  return 0;
}
