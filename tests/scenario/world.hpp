// SPDX-License-Identifier: Apache-2.0
//
// The stage of the scenarios: a mobile phone with two networks, a registrar and proxy, and the
// party at the other end, on the simulated Internet. Owned by a test, made from a seed and a
// Stage. When an expectation fails while it exists, its trace and pcap are written and named.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "testing/mock_peer.hpp"
#include "testing/network.hpp"
#include "testing/phone.hpp"
#include "testing/rtp_facts.hpp"
#include "testing/simulated_server.hpp"
#include "testing/simulation.hpp"
#include "testing/trace.hpp"

namespace godwit::scenario {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::MiniServerConfig;
using testing::Misbehaviour;
using testing::MockPeer;
using testing::MockPeerConfig;
using testing::MockReply;
using testing::MockSdp;
using testing::SimulatedPacket;
using testing::SimulatedPhone;
using testing::SipText;

constexpr Duration kPacketTime = milliseconds(20);
/// What sockets, threads and snapshots may cost on the simulated machine.
constexpr Duration kMachine = milliseconds(3);

struct Stage {
  std::uint64_t seed = 1;
  Family family = Family::V4;
  /// All but the phone have both families, and the server a name, sip.example.org; the phone's lte
  /// has the other family than its wifi.
  bool dual = false;
  bool peer_has_both = true;            ///< With `dual`: for its audio; its SIP is of `family`.
  std::optional<Endpoint> peer_server;  ///< Instead of the server: where the peer's calls go.
  FamilyPolicy sip_family = FamilyPolicy::NoPreference;
  FamilyPolicy media_family = FamilyPolicy::NoPreference;
  /// Between the phone and the server, which for TLS listens on port 5061 only.
  sip::Transport transport = sip::Transport::Udp;
  /// IPv4: server and peer have public addresses, unlike the phone.
  bool public_servers = false;
  bool multipath = false;           ///< TCP as Multipath TCP at both ends.
  Duration rtt = milliseconds(50);  ///< Between the phone and everything else.
  double loss = 0;                  ///< On the phone's links, each way.
  Duration jitter{};
  bool digest = true;
  std::chrono::seconds expires{300};
  std::uint32_t latch_after = 0;  ///< Of the peer.
  bool refuse_before_ack = false;
  bool both_networks = false;  ///< From the start; else only wifi has an address.
  Duration recovery_deadline = seconds(64);
  UserAgentConfig ua;
  MiniServerConfig server;   ///< Its addresses and users are filled in.
  MockPeerConfig peer;       ///< The same.
  CallPolicy calls;          ///< Of the phone's account.
  IpChangePolicy ip_change;  ///< The same; but for the deadline.
  testing::PhoneTiming timing;
};

class World {
 public:
  explicit World(Stage chosen = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Addresses of the family in use.
  IpAddress wifi_address() const { return address(1); }
  IpAddress lte_address() const { return address(2, 2, lte_family()); }
  Family lte_family() const;
  /// With Stage::dual.
  IpAddress other_server_address() const { return address(9, 2, lte_family()); }
  IpAddress other_peer_address() const { return address(7, 2, lte_family()); }
  IpAddress server_address() const { return address(9); }
  IpAddress peer_address() const { return address(7); }
  IpAddress address(std::uint8_t number, std::uint8_t host = 2) const;
  static IpAddress address(std::uint8_t number, std::uint8_t host, Family family);

  // What happens to the phone's networks. Each in one batch, as one snapshot.
  void wifi_goes();  ///< Address and default route.
  void wifi_comes();
  void lte_goes();
  void lte_comes();
  /// wifi -> lte: the address disappears and the default route is on lte at that moment.
  void move_to_lte();
  void move_to_wifi();
  /// Both stay; new sockets should use lte from now on.
  void prefer_lte();
  void prefer_wifi();
  void set_loss(double loss);

  // Common steps; they fail the test if they do not succeed.
  AccountConfig account_config() const;
  Endpoint server_endpoint() const { return {server_address(), default_port(stage.transport)}; }
  void register_phone();
  void call_peer();   ///< Registered, called, confirmed on both sides, 500 ms of talk.
  void peer_calls();  ///< The same the other way.
  bool run_until(const std::function<bool()>& done, Duration limit) {
    return simulation.run_until(done, limit);
  }
  void run_for(Duration duration) { simulation.run_for(duration); }
  TimePoint now() const { return simulation.now(); }

  // Facts.
  CallId call_id() const;  ///< The only or the last call.
  bool confirmed() const { return phone.state(call_id()) == CallState::Confirmed; }
  const testing::RtpRecord& up() { return facts.arrived("phone", "peer"); }
  const testing::RtpRecord& down() { return facts.arrived("peer", "phone"); }
  /// Lets a second pass and expects nearly all of its packets in both directions, at `local`.
  void expect_audio(const IpAddress& local);
  /// The phone completed or superseded every change that it detected.
  bool settled() const;
  /// SIP datagrams that the phone sent since `from` whose start line begins so.
  struct SentSip {
    TimePoint at;
    Endpoint source;
    SipText message;
  };
  std::vector<SentSip> sent_sip(const std::string& begins, TimePoint from = TimePoint()) const;
  /// Every rule that holds in any scenario; called by the destructor too.
  void expect_rules();
  /// Every offer and answer of the phone within the dialog fits the one before: origin, payload
  /// types and media lines stay, the version grows by one.
  void expect_continuous_sdp();

  Stage stage;
  testing::Simulation simulation;
  testing::Network network;
  testing::Trace trace;
  testing::RtpFacts facts;
  std::uint32_t wifi = 0;  // Before the host that sets them.
  std::uint32_t lte = 0;
  testing::Host& server_host;
  testing::Host& peer_host;
  testing::Host& phone_host;
  testing::SimulatedServer server;
  MockPeer peer;
  SimulatedPhone phone;
  AccountId account;

 private:
  testing::Host& make_host(const std::string& name, std::uint8_t network_number);
  testing::Host& make_phone_host();
  MiniServerConfig server_config() const;
  MockPeerConfig peer_config() const;
  void await_call();

  int failures_before_;
  std::vector<SentSip> sent_;
};

/// Of the program so far.
int failed_expectations();

}  // namespace godwit::scenario
