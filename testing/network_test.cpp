// SPDX-License-Identifier: Apache-2.0
#include "testing/network.hpp"

#include <gtest/gtest.h>

#include "testing/rtp_facts.hpp"
#include "testing/trace.hpp"

namespace godwit::testing {
namespace {

using std::chrono::milliseconds;

const IpAddress kWifi = IpAddress::v4(10, 1, 0, 2);
const IpAddress kLte = IpAddress::v4(10, 2, 0, 2);
const IpAddress kPeer = IpAddress::v4(192, 0, 2, 1);

class NetworkTest : public ::testing::Test {
 protected:
  NetworkTest() {
    wifi = phone.add_interface("wlan0", {.delay = milliseconds(10)});
    lte = phone.add_interface("wwan0", {.delay = milliseconds(10)});
    phone.add_address(wifi, kWifi);
    phone.add_address(lte, kLte);
    phone.add_default_route(Family::V4, wifi, 100);
    phone.add_default_route(Family::V4, lte, 200);
    const auto eth = peer.add_interface("eth0", {.delay = milliseconds(5)});
    peer.add_address(eth, kPeer);
    peer.add_default_route(Family::V4, eth, 100);
    peer_socket = *peer.bind({kPeer, 5060}, 0, [this](SocketId, const Endpoint& from, auto& text) {
      arrivals.push_back({simulation.elapsed(), from, text});
    });
  }
  SocketId open(const IpAddress& local, std::uint32_t interface) {
    return *phone.bind({local, 4000}, interface,
                       [this](SocketId, const Endpoint&, auto& text) { received.push_back(text); });
  }

  struct Arrival {
    Duration at;
    Endpoint from;
    std::string text;
  };
  Simulation simulation{7};
  Network network{simulation};
  Host& phone = network.add_host("phone");
  Host& peer = network.add_host("peer");
  std::uint32_t wifi = 0, lte = 0;
  SocketId peer_socket;
  std::vector<Arrival> arrivals;
  std::vector<std::string> received;
};

TEST_F(NetworkTest, DeliversAfterBothLinks) {
  const SocketId socket = open(kWifi, 0);
  EXPECT_FALSE(phone.send(socket, {kPeer, 5060}, "a"));
  simulation.run_for(milliseconds(14));
  EXPECT_TRUE(arrivals.empty());
  simulation.run_for(milliseconds(1));
  ASSERT_EQ(arrivals.size(), 1U);
  EXPECT_EQ(arrivals[0].from, (Endpoint{kWifi, 4000}));
  peer.send(peer_socket, arrivals[0].from, "b");
  simulation.run_for(milliseconds(15));
  EXPECT_EQ(received, std::vector<std::string>{"b"});
}

TEST_F(NetworkTest, ASourceAddressAloneDoesNotChooseTheWayOut) {
  const SocketId untied = open(kLte, 0);
  phone.send(untied, {kPeer, 5060}, "by wifi with the address of lte");
  simulation.run_for(milliseconds(50));
  EXPECT_TRUE(arrivals.empty()) << "dropped as a foreign source";
  phone.close(untied);
  const SocketId tied = open(kLte, lte);
  phone.send(tied, {kPeer, 5060}, "x");
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(arrivals.size(), 1U);
}

TEST_F(NetworkTest, AVanishedAddressSendsNothingAndReceivesNothing) {
  const SocketId socket = open(kWifi, wifi);
  phone.send(socket, {kPeer, 5060}, "on its way before");
  peer.send(peer_socket, {kWifi, 4000}, "arrives after");
  phone.remove_address(wifi, kWifi);
  EXPECT_EQ(phone.send(socket, {kPeer, 5060}, "x"), SendRefusal::AddressGone);
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(arrivals.size(), 1U);
  EXPECT_TRUE(received.empty());
  phone.add_address(wifi, kWifi);
  EXPECT_FALSE(phone.send(socket, {kPeer, 5060}, "again"));
  phone.remove_default_route(Family::V4, wifi);
  EXPECT_EQ(phone.send(socket, {kPeer, 5060}, "x"), SendRefusal::Unreachable);
}

TEST_F(NetworkTest, ACutLinkLosesWhatIsOnIt) {
  const SocketId socket = open(kWifi, wifi);
  phone.send(socket, {kPeer, 5060}, "x");
  peer.send(peer_socket, {kWifi, 4000}, "y");
  simulation.run_for(milliseconds(6));
  phone.set_carrier(wifi, false);
  phone.set_carrier(wifi, true);
  simulation.run_for(milliseconds(50));
  EXPECT_TRUE(arrivals.empty());
  EXPECT_TRUE(received.empty());
}

TEST_F(NetworkTest, LosesAboutWhatItIsToldToAndReordersOnlyOnDemand) {
  const SocketId socket = open(kWifi, wifi);
  phone.up_link(wifi) = {.delay = milliseconds(10), .jitter = milliseconds(40), .loss = 0.1};
  for (int i = 0; i < 1000; ++i) {
    phone.send(socket, {kPeer, 5060}, std::to_string(i));
    simulation.run_for(milliseconds(1));
  }
  simulation.run_for(milliseconds(100));
  EXPECT_GT(arrivals.size(), 860U);
  EXPECT_LT(arrivals.size(), 940U);
  const auto ordered = [&] {
    for (std::size_t i = 1; i < arrivals.size(); ++i) {
      if (std::stoi(arrivals[i].text) < std::stoi(arrivals[i - 1].text)) return false;
    }
    return true;
  };
  EXPECT_TRUE(ordered());
  arrivals.clear();
  phone.up_link(wifi) = {.delay = milliseconds(10), .reorder = 0.1};
  for (int i = 0; i < 100; ++i) {
    phone.send(socket, {kPeer, 5060}, std::to_string(i));
    simulation.run_for(milliseconds(1));
  }
  simulation.run_for(milliseconds(100));
  EXPECT_EQ(arrivals.size(), 100U);
  EXPECT_FALSE(ordered());
}

TEST_F(NetworkTest, ShowsItselfInSnapshots) {
  int changes = 0;
  phone.on_change([&] { ++changes; });
  NetworkSnapshot before = phone.snapshot({kPeer});
  ASSERT_EQ(before.routes.size(), 1U);
  EXPECT_EQ(before.routes[0].source, kWifi);
  phone.remove_address(wifi, kWifi);
  phone.remove_default_route(Family::V4, wifi);
  EXPECT_EQ(changes, 2);
  const NetworkSnapshot after = phone.snapshot({kPeer});
  EXPECT_EQ(after.routes[0].source, kLte);
  EXPECT_EQ(after.routes[0].interface_index, lte);
}

TEST_F(NetworkTest, TellsOfAClosedPort) {
  std::vector<Endpoint> refused;
  const SocketId socket = *phone.bind(
      {kWifi, 0}, wifi, [](SocketId, const Endpoint&, auto&) {},
      [&](SocketId, const Endpoint& remote) { refused.push_back(remote); });
  phone.send(socket, {kPeer, 9}, "x");
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(refused, (std::vector<Endpoint>{{kPeer, 9}}));
}

TEST_F(NetworkTest, PassesNats) {
  const IpAddress outside = IpAddress::v4(203, 0, 113, 1);
  Nat& nat = network.add_nat(
      outside, {.filtering = NatDependence::AddressAndPort, .timeout = std::chrono::seconds(30)});
  phone.attach_nat(wifi, &nat);
  const SocketId socket = open(kWifi, wifi);
  phone.send(socket, {kPeer, 5060}, "x");
  simulation.run_for(milliseconds(50));
  ASSERT_EQ(arrivals.size(), 1U);
  const Endpoint hole = arrivals[0].from;
  EXPECT_EQ(hole.address, outside);
  const SocketId other = *peer.bind({kPeer, 7}, 0, [](SocketId, const Endpoint&, auto&) {});
  peer.send(peer_socket, hole, "answer");
  peer.send(other, hole, "stranger");
  peer.send(peer_socket, {kWifi, 4000}, "to a private address");
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(received, std::vector<std::string>{"answer"});
  nat.rebind();
  peer.send(peer_socket, hole, "too late");
  phone.send(socket, {kPeer, 5060}, "y");
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(received.size(), 1U);
  EXPECT_NE(arrivals[1].from, hole);
  simulation.run_for(std::chrono::seconds(31));
  peer.send(peer_socket, arrivals[1].from, "timed out");
  simulation.run_for(milliseconds(50));
  EXPECT_EQ(received.size(), 1U);
}

TEST_F(NetworkTest, IsTheSameRunForTheSameSeed) {
  const auto run = [](std::uint64_t seed) {
    Simulation sim(seed);
    Network net(sim);
    Host& a = net.add_host("a");
    const auto i = a.add_interface(
        "e", {.delay = milliseconds(1), .jitter = milliseconds(50), .loss = 0.3, .reorder = 0.3});
    a.add_address(i, kWifi);
    a.add_default_route(Family::V4, i, 1);
    Host& b = net.add_host("b");
    const auto j = b.add_interface("e");
    b.add_address(j, kPeer);
    std::string log;
    (void)*b.bind({kPeer, 1}, 0, [&](SocketId, const Endpoint&, auto& text) {
      log += text + "@" + std::to_string(sim.elapsed().count()) + " ";
    });
    const SocketId s = *a.bind({kWifi, 1}, i, [](SocketId, const Endpoint&, auto&) {});
    for (int n = 0; n < 50; ++n) a.send(s, {kPeer, 1}, std::to_string(n));
    sim.run_for(std::chrono::seconds(1));
    return log;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

std::string rtp(std::uint16_t sequence) {
  std::string bytes("\x80\x00\0\0\0\0\0\0\0\0\0\x07", 12);
  bytes[2] = static_cast<char>(sequence >> 8U);
  bytes[3] = static_cast<char>(sequence & 255U);
  return bytes + std::string(160, 'a');
}

TEST_F(NetworkTest, CountsSilenceAndLossFromArrivals) {
  RtpFacts facts(network);
  Trace trace(network);
  const SocketId socket = open(kWifi, wifi);
  const TimePoint start = simulation.now();
  for (std::uint16_t n = 0; n < 50; ++n) {
    phone.up_link(wifi).black_hole = n >= 10 && n < 15;
    phone.send(socket, {kPeer, 5060}, rtp(n));
    simulation.run_for(milliseconds(20));
  }
  const RtpRecord& record = facts.arrived("phone", "peer");
  EXPECT_EQ(record.packets().size(), 45U);
  EXPECT_EQ(record.longest_pause(start + milliseconds(20), simulation.now()), milliseconds(120));
  EXPECT_EQ(record.longest_pause(start + milliseconds(500), simulation.now() + milliseconds(300)),
            milliseconds(305));
  EXPECT_EQ(facts.lost("phone", "peer", start, simulation.now()), 5U);
  trace.note("phone", "an event");
  const std::string ladder = trace.ladder();
  EXPECT_NE(ladder.find("lost (up link) x5"), std::string::npos) << ladder;
  EXPECT_NE(ladder.find("phone: an event"), std::string::npos) << ladder;
  EXPECT_EQ(trace.pcap().size(), 24U + 50U * (16U + 28U + 172U));
}

TEST(SimulationTest, RunsEventsInOrderOfTimeThenOfCreation) {
  Simulation simulation(1);
  EXPECT_NE(simulation.now(), TimePoint());
  std::string order;
  simulation.after(milliseconds(2), [&] { order += 'c'; });
  simulation.after(milliseconds(1), [&] {
    order += 'a';
    simulation.at(simulation.now() - milliseconds(5), [&] { order += 'b'; });
  });
  const TimerId never = simulation.after(milliseconds(1), [&] { order += '!'; });
  simulation.cancel(never);
  int checks = 0;
  simulation.after_each_step([&] { ++checks; });
  EXPECT_TRUE(simulation.run_until([&] { return order == "ab"; }, milliseconds(5)));
  EXPECT_EQ(simulation.elapsed(), milliseconds(1));
  EXPECT_FALSE(simulation.run_until([&] { return order == "x"; }, milliseconds(5)));
  EXPECT_EQ(simulation.elapsed(), milliseconds(6));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(checks, 3);
}

TEST(SimulationTest, AnAlarmRingsOnceAtItsLastDeadline) {
  Simulation simulation(1);
  int rings = 0;
  Alarm alarm(simulation, [&] { ++rings; });
  alarm.set(simulation.now() + milliseconds(5));
  alarm.set(simulation.now() + milliseconds(9));
  simulation.run_for(milliseconds(8));
  EXPECT_EQ(rings, 0);
  simulation.run_for(milliseconds(20));
  EXPECT_EQ(rings, 1);
  alarm.set(simulation.now() + milliseconds(1));
  alarm.set(std::nullopt);
  simulation.run_for(milliseconds(20));
  EXPECT_EQ(rings, 1);
}

}  // namespace
}  // namespace godwit::testing
