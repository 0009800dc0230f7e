// SPDX-License-Identifier: Apache-2.0
//
// Sees every IP packet that enters or leaves the two namespaces, with the kernel's time stamp, and
// keeps what parse_packet() notes of it; optionally the whole packets as pcap files. Judges
// nothing: that is analysis.hpp.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "godwit/result.hpp"
#include "lab/fd.hpp"
#include "lab/netns.hpp"
#include "lab/packet.hpp"

namespace godwit::lab {

class Capture {
 public:
  Capture() = default;
  ~Capture() { stop(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  /// `pcap_directory`: where phone.pcap and far.pcap are written; empty: nowhere.
  Result<void> start(NetNs& phone, NetNs& far, const std::string& pcap_directory);
  void stop();

  /// All that was seen so far, in order of time.
  std::vector<CapturedPacket> packets() const;
  /// Packets that the kernel or our own limit left out; figures are void unless this is 0.
  std::uint64_t missed() const;
  /// RTP packets that arrived in `place` so far, for a live display.
  std::uint64_t rtp_arrived(Place place) const {
    return rtp_arrived_[static_cast<std::size_t>(place)];
  }

 private:
  struct Tap {
    Place place;
    Fd socket;
    Fd pcap;
    std::vector<int> ignored_interfaces;
  };

  Result<void> open_tap(NetNs& ns, Place place, const std::string& pcap_directory);
  void loop();
  void receive(Tap& tap);

  std::vector<Tap> taps_;
  Fd stop_event_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<CapturedPacket> packets_;
  std::atomic<std::uint64_t> missed_{0};
  std::array<std::atomic<std::uint64_t>, 2> rtp_arrived_{};
};

}  // namespace godwit::lab
