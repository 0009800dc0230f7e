// SPDX-License-Identifier: Apache-2.0
//
// What happened in a simulation, for people and for Wireshark: every packet and every note, as a
// text ladder and as a pcap file. Owned by the test; it only watches. Holds at most kMaxEntries,
// then forgets the oldest.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "testing/network.hpp"

namespace godwit::testing {

class Trace {
 public:
  static constexpr std::size_t kMaxEntries = 400'000;

  explicit Trace(Network& network);
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// An event or a remark, e.g. what a phone reported to its application.
  void note(const std::string& who, const std::string& text);

  /// One line for each SIP message and note; RTP and RTCP are summed up between them.
  std::string ladder() const;
  /// Raw IP packets (LINKTYPE_RAW) as they were sent, in libpcap's format with nanoseconds.
  std::string pcap() const;
  /// Writes `stem`.txt and `stem`.pcap; fails with the name of the file it could not write.
  Result<void> write(const std::string& stem) const;

 private:
  struct Entry {
    TimePoint at;
    std::optional<PacketEvent::Kind> kind;  ///< Absent: a note.
    std::string from;
    std::string to;
    SimulatedPacket packet;
    std::string text;  ///< The note, or why a packet was lost.
  };
  void add(Entry entry);

  Network& network_;
  TimePoint start_;
  std::deque<Entry> entries_;
};

/// "INVITE sip:… (CSeq 2 INVITE)", "RTP 4711 …", "STUN", or "? n bytes".
std::string describe_packet(const std::string& bytes);

}  // namespace godwit::testing
