// SPDX-License-Identifier: Apache-2.0
//
// The RTP of a mock peer: a 1 kHz tone in µ-law every 20 ms to one address, and a count of what
// comes back. Independent of src/media. It follows SDP alone, or also the source of what it hears
// as PJSIP does. Owned by MockPeer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "testing/network.hpp"
#include "testing/simulation.hpp"

namespace godwit::testing {

class MockMedia {
 public:
  /// Binds `local` and the port after it. `latch_after`: packets from a new source before the
  /// peer sends there; 0: never.
  MockMedia(Network& network, Host& host, const Endpoint& local, std::uint32_t latch_after);
  /// Binds the same ports of this address, of the other family, too.
  void listen_also_at(const IpAddress& address);
  ~MockMedia();
  MockMedia(const MockMedia&) = delete;
  MockMedia& operator=(const MockMedia&) = delete;

  const Endpoint& local() const { return local_; }
  /// Where audio of that family comes to; nullopt: nowhere.
  std::optional<Endpoint> local(Family family) const;
  /// Where SDP says that we shall send; nullopt: nowhere.
  void send_to(std::optional<Endpoint> remote, std::uint8_t payload_type);
  void stop();
  /// Telephone-events (RFC 4733) have this payload type; 0: there are none.
  void know_events(std::uint8_t payload_type) { event_type_ = payload_type; }
  /// Presses the key with that event code for 100 ms, then sends so many end packets.
  void press(std::uint8_t code, int end_packets = 3);
  /// No audio, but the clock goes on.
  void mute(bool muted) { muted_ = muted; }

  const std::optional<Endpoint>& target() const { return target_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  std::optional<TimePoint> last_received() const { return last_received_; }
  /// RTCP, and on which of the two ports it came.
  std::uint64_t rtcp_on_rtp_port() const { return rtcp_on_rtp_port_; }
  std::uint64_t rtcp_on_own_port() const { return rtcp_on_own_port_; }
  /// What arrived as one telephone-event, in order of their first packets.
  struct HeardEvent {
    std::uint32_t timestamp = 0;
    std::uint8_t code = 0;
    int markers = 0;
    int packets = 0;
    int end_packets = 0;
    int volume = 0;
    std::vector<std::uint16_t> durations;
  };
  const std::vector<HeardEvent>& events() const { return events_; }
  /// Received with a payload type that was not offered or answered by us.
  std::uint64_t foreign_payloads() const { return foreign_payloads_; }
  /// Every SSRC heard: a move of the other side must not change it.
  const std::set<std::uint32_t>& ssrcs() const { return ssrcs_; }

 private:
  struct Ports {
    Endpoint local;
    SocketId rtp;
    SocketId rtcp;
  };
  Ports bind(const Endpoint& local);
  void tick();
  void receive(const Endpoint& from, const std::string& bytes);

  Network& network_;
  Host& host_;
  Endpoint local_;
  std::uint32_t latch_after_;
  std::vector<Ports> ports_;  ///< One of each family.
  std::optional<Endpoint> target_;
  std::uint8_t payload_type_ = 0;
  std::optional<Endpoint> candidate_;
  std::uint32_t candidate_packets_ = 0;
  std::uint16_t sequence_;
  std::uint32_t timestamp_;
  std::uint32_t ssrc_;
  std::optional<TimePoint> next_;
  Alarm alarm_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t foreign_payloads_ = 0;
  std::optional<TimePoint> last_received_;
  std::set<std::uint32_t> ssrcs_;
  std::uint8_t event_type_ = 0;
  bool muted_ = false;
  struct Press {
    std::uint8_t code = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t duration = 0;
    int ends_left = 0;
  };
  std::optional<Press> press_;
  std::vector<HeardEvent> events_;
  std::uint64_t rtcp_on_rtp_port_ = 0;
  std::uint64_t rtcp_on_own_port_ = 0;
};

}  // namespace godwit::testing
