// SPDX-License-Identifier: Apache-2.0
//
// What is true of the RTP in a simulation, from the packets' arrivals at hosts and not from
// anybody's own account. Owned by the test; it only watches. Reads RTP headers by itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "testing/network.hpp"

namespace godwit::testing {

struct RtpHeader {
  std::uint8_t payload_type = 0;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t ssrc = 0;
};
/// nullopt: not RTP (version, length, or an RTCP packet type, RFC 5761 §4).
std::optional<RtpHeader> read_rtp(const std::string& bytes);
bool is_rtcp(const std::string& bytes);

struct RtpArrival {
  TimePoint at;
  Endpoint source;
  Endpoint destination;
  RtpHeader header;
  std::size_t payload = 0;  ///< Bytes.
};

/// The stream of one SSRC as it was sent by one host, or as it arrived at another.
class RtpRecord {
 public:
  void add(RtpArrival arrival) { packets_.push_back(std::move(arrival)); }
  const std::vector<RtpArrival>& packets() const { return packets_; }
  std::size_t count(TimePoint from, TimePoint to) const;
  /// The first packet at or after `from`, to or from that address where one is given.
  std::optional<TimePoint> first(TimePoint from, std::optional<IpAddress> source = {},
                                 std::optional<IpAddress> destination = {}) const;
  /// The longest pause within [from, to], its ends taking part as if packets had come then if there
  /// is none before or after.
  Duration longest_pause(TimePoint from, TimePoint to) const;

 private:
  std::vector<RtpArrival> packets_;
};

class RtpFacts {
 public:
  explicit RtpFacts(Network& network);
  RtpFacts(const RtpFacts&) = delete;
  RtpFacts& operator=(const RtpFacts&) = delete;

  /// Everything of RTP that `from` sent and that arrived at a socket of `to`, all SSRCs together.
  const RtpRecord& arrived(const std::string& from, const std::string& to);
  const RtpRecord& sent(const std::string& from);
  /// Distinct sequence numbers of the SSRC sent between the two times that never arrived at `to`.
  std::size_t lost(const std::string& from, const std::string& to, TimePoint begin, TimePoint end);

 private:
  std::map<std::pair<std::string, std::string>, RtpRecord> arrived_;
  std::map<std::string, RtpRecord> sent_;
};

}  // namespace godwit::testing
