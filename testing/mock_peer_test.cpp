// SPDX-License-Identifier: Apache-2.0
#include "testing/mock_peer.hpp"

#include <gtest/gtest.h>

#include "testing/rtp_facts.hpp"
#include "testing/simulated_server.hpp"

namespace godwit::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Two mock peers and the server between them: what a scenario may rely on.
class MockPeerTest : public ::testing::Test {
 protected:
  static IpAddress address(std::uint8_t host) { return IpAddress::v4(10, 0, host, 2); }
  Host& make_host(const std::string& name, std::uint8_t number) {
    Host& host = network.add_host(name);
    const auto eth = host.add_interface("eth0", {.delay = milliseconds(5)});
    host.add_address(eth, address(number));
    host.add_default_route(Family::V4, eth, 1);
    return host;
  }
  MockPeerConfig peer_config(const std::string& user, std::uint8_t number) {
    MockPeerConfig config;
    config.user = user;
    config.local = {address(number), 5060};
    config.server = {address(1), 5060};
    return config;
  }
  static MiniServerConfig server_config() {
    MiniServerConfig config;
    config.locals = {{address(1), 5060}};
    config.domains = {"example.org"};
    return config;
  }
  void connect() {
    alice.register_at_server();
    bob.register_at_server();
    simulation.run_for(milliseconds(100));
    ASSERT_EQ(alice.last_status("REGISTER"), 200);
    alice.call("sip:bob@example.org");
    ASSERT_TRUE(simulation.run_until(
        [&] {
          return alice.state() == MockPeer::CallState::Confirmed &&
                 bob.state() == MockPeer::CallState::Confirmed;
        },
        seconds(10)));
    simulation.run_for(milliseconds(100));
  }
  void expect_clean() {
    EXPECT_TRUE(alice.complaints().empty()) << alice.complaints().front();
    EXPECT_TRUE(bob.complaints().empty()) << bob.complaints().front();
  }

  Simulation simulation{3};
  Network network{simulation};
  RtpFacts facts{network};
  Host& server_host = make_host("server", 1);
  Host& alice_host = make_host("alice", 2);
  Host& bob_host = make_host("bob", 3);
  SimulatedServer server{network, server_host, server_config()};
  MockPeer alice{network, alice_host, peer_config("alice", 2)};
  MockPeer bob{network, bob_host, peer_config("bob", 3)};
};

TEST_F(MockPeerTest, CallTalkHangUp) {
  connect();
  simulation.run_for(seconds(1));
  EXPECT_GT(facts.arrived("alice", "bob").packets().size(), 45U);
  EXPECT_GT(facts.arrived("bob", "alice").packets().size(), 45U);
  bob.bye();
  simulation.run_for(milliseconds(100));
  EXPECT_EQ(alice.end_reason(), "BYE received");
  EXPECT_EQ(bob.last_status("BYE"), 200);
  expect_clean();
}

TEST_F(MockPeerTest, SurvivesLoss) {
  for (Host* host : {&alice_host, &bob_host, &server_host}) {
    host->up_link(2).loss = 0.2;
    host->down_link(2).loss = 0.2;
  }
  alice.register_at_server();
  bob.register_at_server();
  simulation.run_for(seconds(30));
  ASSERT_EQ(server.contacts("bob").size(), 1U);
  alice.call("sip:bob@example.org");
  simulation.run_for(seconds(60));
  EXPECT_EQ(alice.state(), MockPeer::CallState::Confirmed);
  EXPECT_EQ(bob.state(), MockPeer::CallState::Confirmed);
  expect_clean();
}

TEST_F(MockPeerTest, RefusesRingsAndIsCancelled) {
  alice.register_at_server();
  bob.register_at_server();
  simulation.run_for(milliseconds(100));
  bob.script("INVITE", {.status = 603});
  bob.script("INVITE", {.delay = seconds(60), .ring = true});
  alice.call("sip:bob@example.org");
  simulation.run_for(seconds(1));
  EXPECT_EQ(alice.end_reason(), "refused with 603");
  alice.call("sip:bob@example.org");
  simulation.run_for(seconds(1));
  EXPECT_EQ(alice.state(), MockPeer::CallState::Ringing);
  alice.cancel();
  simulation.run_for(seconds(1));
  EXPECT_EQ(alice.last_status("CANCEL"), 200);
  EXPECT_EQ(alice.end_reason(), "refused with 487");
  EXPECT_EQ(bob.end_reason(), "CANCEL received");
  expect_clean();
}

TEST_F(MockPeerTest, HoldsByReinviteAndResumesByUpdate) {
  connect();
  alice.reinvite("sendonly");
  simulation.run_for(milliseconds(100));
  EXPECT_EQ(alice.last_status("INVITE"), 200);
  const auto from = simulation.now();
  simulation.run_for(seconds(1));
  EXPECT_EQ(facts.arrived("bob", "alice").count(from, simulation.now()), 0U);
  EXPECT_GT(facts.arrived("alice", "bob").count(from, simulation.now()), 45U);
  alice.update("sendrecv");
  const auto again = simulation.now();
  simulation.run_for(seconds(1));
  EXPECT_EQ(alice.last_status("UPDATE"), 200);
  EXPECT_GT(facts.arrived("bob", "alice").count(again, simulation.now()), 40U);
  const auto& sdps = bob.remote_sdps();
  ASSERT_EQ(sdps.size(), 3U);
  EXPECT_EQ(sdps[1].version, sdps[0].version + 1);
  EXPECT_EQ(sdps[2].session_id, sdps[0].session_id);
  expect_clean();
}

TEST_F(MockPeerTest, BothReinviteAtOnceIsGlare) {
  connect();
  alice.reinvite();
  bob.reinvite();
  simulation.run_for(seconds(1));
  EXPECT_EQ(alice.last_status("INVITE"), 491);
  EXPECT_EQ(bob.last_status("INVITE"), 491);
  EXPECT_EQ(alice.state(), MockPeer::CallState::Confirmed);
  expect_clean();
}

TEST_F(MockPeerTest, EndsTheCallWithoutAnAck) {
  alice.register_at_server();
  bob.register_at_server();
  simulation.run_for(milliseconds(100));
  network.lose_next([](const SimulatedPacket& p) { return p.bytes.starts_with("ACK"); }, 1000);
  alice.call("sip:bob@example.org");
  simulation.run_for(seconds(31));
  EXPECT_EQ(bob.state(), MockPeer::CallState::Confirmed);
  simulation.run_for(seconds(2));
  EXPECT_EQ(bob.end_reason(), "no ACK");
  EXPECT_EQ(alice.end_reason(), "BYE received");
}

TEST_F(MockPeerTest, LatchesOnlyWhenToldTo) {
  MockMedia deaf(network, bob_host, {address(3), 41'000}, 0);
  MockMedia keen(network, bob_host, {address(3), 41'010}, 10);
  const Endpoint silent{address(2), 9'000};
  deaf.send_to(silent, 0);
  keen.send_to(silent, 0);
  MockMedia first(network, alice_host, {address(2), 42'000}, 0);
  MockMedia second(network, alice_host, {address(2), 42'010}, 0);
  first.send_to(deaf.local(), 0);
  second.send_to(keen.local(), 0);
  simulation.run_for(seconds(1));
  EXPECT_EQ(deaf.target(), silent);
  EXPECT_EQ(keen.target(), second.local());
  EXPECT_EQ(first.received(), 0U);
  EXPECT_GT(second.received(), 30U);
}

}  // namespace
}  // namespace godwit::testing
