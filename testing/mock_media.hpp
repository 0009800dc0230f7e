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

#include "testing/network.hpp"
#include "testing/simulation.hpp"

namespace godwit::testing {

class MockMedia {
 public:
  /// Binds `local` and the port after it. `latch_after`: packets from a new source before the
  /// peer sends there; 0: never.
  MockMedia(Network& network, Host& host, const Endpoint& local, std::uint32_t latch_after);
  ~MockMedia();
  MockMedia(const MockMedia&) = delete;
  MockMedia& operator=(const MockMedia&) = delete;

  const Endpoint& local() const { return local_; }
  /// Where SDP says that we shall send; nullopt: nowhere.
  void send_to(std::optional<Endpoint> remote, std::uint8_t payload_type);
  void stop();

  const std::optional<Endpoint>& target() const { return target_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t received() const { return received_; }
  std::optional<TimePoint> last_received() const { return last_received_; }
  /// Received with a payload type that was not offered or answered by us.
  std::uint64_t foreign_payloads() const { return foreign_payloads_; }
  /// Every SSRC heard: a move of the other side must not change it.
  const std::set<std::uint32_t>& ssrcs() const { return ssrcs_; }

 private:
  void tick();
  void receive(const Endpoint& from, const std::string& bytes);

  Network& network_;
  Host& host_;
  Endpoint local_;
  std::uint32_t latch_after_;
  SocketId rtp_;
  SocketId rtcp_;
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
};

}  // namespace godwit::testing
