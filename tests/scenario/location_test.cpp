// SPDX-License-Identifier: Apache-2.0
// Servers found by name, and what happens when one of several does not answer.
#include "two_servers.hpp"

namespace godwit::scenario {
namespace {

class Servers : public TwoServers {
 public:
  explicit Servers(const Stage& chosen = {}) : TwoServers(chosen, 5060, domains(chosen)) {}

  testing::DnsZone& dns() { return world.network.dns(); }

  /// example.org: the first server before the second.
  void publish(std::uint16_t second_priority = 20, std::uint16_t first_weight = 1,
               std::uint16_t second_weight = 1) {
    dns().add_naptr("example.org", {10, 10, "s", "SIP+D2U", "", "_sip._udp.example.org"});
    dns().add_srv("_sip._udp.example.org", {10, first_weight, 5060, "a.example.org"});
    dns().add_srv("_sip._udp.example.org", {second_priority, second_weight, 5060, "b.example.org"});
    dns().set_addresses("a.example.org", {first_address()});
    dns().set_addresses("b.example.org", {second_address()});
  }

  void add_account() {
    world.run_for(milliseconds(10));  // The phone knows its network.
    AccountConfig wanted = world.account_config();
    wanted.registrar.clear();  // The domain of the address.
    world.account = *world.phone.add_account(wanted);
  }
  /// Adds the account and waits; returns how long it took.
  Duration register_phone(Duration limit) {
    const TimePoint start = world.now();
    add_account();
    EXPECT_TRUE(world.run_until([&] { return registered(); }, limit));
    return world.now() - start;
  }

 private:
  static std::vector<std::string> domains(const Stage& stage) {
    std::vector<std::string> all = stage.server.domains;
    all.emplace_back("example.org");
    return all;
  }
};

std::vector<std::string> names(const std::vector<DnsQuestion>& questions) {
  std::vector<std::string> result;
  for (const DnsQuestion& question : questions) {
    result.push_back(question.name + " " + to_string(question.type));
  }
  return result;
}

TEST(LocationScenario, FollowsNaptrSrvAndAddresses) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  EXPECT_TRUE(servers.at_first());
  EXPECT_FALSE(servers.at_second());
  EXPECT_EQ(
      names(servers.world.phone.questions()),
      (std::vector<std::string>{"example.org NAPTR", "_sip._udp.example.org SRV", "a.example.org A",
                                "a.example.org AAAA", "b.example.org A", "b.example.org AAAA"}));
}

TEST(LocationScenario, WeightsShareTheLoad) {
  int first = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Stage stage;
    stage.seed = seed;
    Servers servers(stage);
    servers.publish(10, 30, 10);
    servers.register_phone(seconds(2));
    EXPECT_NE(servers.at_first(), servers.at_second());
    first += servers.at_first() ? 1 : 0;
  }
  EXPECT_GE(first, 22);  // 30 expected; three standard deviations are 8.
  EXPECT_LE(first, 38);
}

TEST(LocationScenario, ASilentServerCostsFourSecondsAndIsReturnedTo) {
  Servers servers;
  servers.publish();
  servers.kill_first();
  EXPECT_LE(servers.register_phone(seconds(10)), seconds(5));
  EXPECT_TRUE(servers.at_second());
  EXPECT_EQ(servers.failures_told(), 0U) << "a failover is no failure";
  // Still dead when it is tried again: the phone stays registered where it was.
  for (int i = 0; i < 100; ++i) {
    servers.world.run_for(seconds(1));
    ASSERT_TRUE(servers.at_second()) << "gap after " << i << " s";
  }
  servers.kill_first(false);
  EXPECT_TRUE(servers.world.run_until([&] { return servers.at_first() && servers.registered(); },
                                      seconds(130)));
}

TEST(LocationScenario, A503IsPassedOverForAsLongAsItAsks) {
  Servers servers;
  servers.publish();
  servers.world.server->misbehave(
      {.method = "REGISTER", .status = 503, .retry_after = seconds(90)});
  EXPECT_LE(servers.register_phone(seconds(5)), seconds(1));
  EXPECT_TRUE(servers.at_second());
  servers.world.run_for(seconds(80));
  EXPECT_FALSE(servers.at_first());
  servers.world.run_for(seconds(60));
  EXPECT_TRUE(servers.at_first());
  EXPECT_EQ(servers.failures_told(), 0U);
}

TEST(LocationScenario, ATransportErrorIsActedOnAtOnce) {
  Servers servers;
  servers.publish();
  servers.dns().remove("_sip._udp.example.org");
  servers.dns().add_srv("_sip._udp.example.org", {10, 1, 5999, "a.example.org"});  // Nobody there.
  servers.dns().add_srv("_sip._udp.example.org", {20, 1, 5060, "b.example.org"});
  EXPECT_LE(servers.register_phone(seconds(5)), seconds(1));
  EXPECT_TRUE(servers.at_second());
}

TEST(LocationScenario, WithAllServersDeadItFailsAsEverAndComesBack) {
  Servers servers;
  servers.publish();
  servers.kill_first();
  servers.second_host.down_link(servers.second_link).black_hole = true;
  servers.add_account();
  ASSERT_TRUE(servers.world.run_until([&] { return servers.failures_told() == 1; }, seconds(60)));
  servers.second_host.down_link(servers.second_link).black_hole = false;
  EXPECT_TRUE(servers.world.run_until([&] { return servers.registered(); }, seconds(200)));
}

TEST(LocationScenario, ACallGoesToTheNextServer) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  servers.kill_first();
  World& world = servers.world;
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until(
      [&] { return world.confirmed() && world.peer.state() == MockPeer::CallState::Confirmed; },
      seconds(6)));
  EXPECT_EQ(world.peer.requests("INVITE").size(), 1U);
  world.run_for(seconds(5));
  EXPECT_TRUE(world.confirmed());
  EXPECT_TRUE(servers.at_second()) << "the registration has followed";
}

TEST(LocationScenario, WhatTheServerThatWasLeftStillAnswersIsEnded) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  World& world = servers.world;
  // The first server does all it should, but is heard six seconds later.
  world.network.add_filter([&](const SimulatedPacket& packet) -> std::optional<Duration> {
    return packet.source.address == servers.first_address() &&
                   packet.destination.address == world.wifi_address()
               ? Duration(seconds(6))
               : Duration::zero();
  });
  const auto call = world.phone.call(world.account, "sip:bob@example.org");
  ASSERT_TRUE(call);
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(*call).has_value(); }, seconds(20)))
      << "a phone with one line is busy with our own first call";
  world.run_for(seconds(8));
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended);
  EXPECT_EQ(world.peer.end_reason(), "BYE received") << "it was acknowledged, and ended";
}

TEST(LocationScenario, ACallTo503GoesToTheNextServer) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  servers.world.server->misbehave({.method = "INVITE", .status = 503});
  ASSERT_TRUE(servers.world.phone.call(servers.world.account, "sip:bob@example.org"));
  EXPECT_TRUE(servers.world.run_until([&] { return servers.world.confirmed(); }, seconds(2)));
}

/// Servers that are one name, by which they record their route.
struct Edge : Servers {
  explicit Edge(sip::Transport transport = sip::Transport::Udp) : Servers(stage(transport)) {
    world.network.set_name("edge.example.org", {first_address(), second_address()});
  }
  static Stage stage(sip::Transport transport) {
    Stage stage;
    stage.transport = transport;
    stage.server.domains = {"edge.example.org"};
    stage.server.record_route_host = "edge.example.org";
    return stage;
  }
  /// A confirmed call, found by SRV records.
  void call() {
    publish();
    register_phone(seconds(2));
    ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
    ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  }
};

TEST(LocationScenario, ARequestWithinACallGoesToTheNextPlaceOfTheSameName) {
  Edge servers;
  servers.call();
  World& world = servers.world;
  world.run_for(seconds(1));
  servers.kill_first();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  ASSERT_TRUE(
      world.run_until([&] { return world.peer.requests("INVITE").size() == 2; }, seconds(8)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  EXPECT_TRUE(
      world.run_until([&] { return world.peer.state() == MockPeer::CallState::Ended; }, seconds(2)))
      << "the BYE goes there at once";
}

TEST(LocationScenario, WhereTheNextPlaceIsNotOurServerItsChallengesAreNotAnswered) {
  Edge servers;
  World& world = servers.world;
  world.network.set_name("edge.example.org", {servers.first_address(), world.peer_address()});
  world.peer.allow_routes();
  servers.call();
  world.run_for(seconds(1));
  servers.kill_first();
  world.peer.always("re-INVITE",
                    {.status = 407,
                     .headers = {{"Proxy-Authenticate",
                                  "Digest realm=\"example.org\", nonce=\"x\", algorithm=MD5"}}});
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  ASSERT_TRUE(
      world.run_until([&] { return world.peer.requests("INVITE").size() == 2; }, seconds(8)));
  world.run_for(seconds(3));
  for (const auto& seen : world.peer.seen()) {
    EXPECT_FALSE(seen.message.has("Proxy-Authorization") && seen.message.has("Route") &&
                 seen.from.address == world.wifi_address());
  }
  EXPECT_EQ(world.peer.requests("INVITE").size(), 2U) << "no second try with credentials";
}

TEST(LocationScenario, AByeGoesToTheNextPlaceOfTheSameName) {
  Edge servers;
  servers.call();
  World& world = servers.world;
  world.run_for(seconds(1));
  servers.kill_first();
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  EXPECT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Ended; },
                              seconds(6)));
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(2)));
}

TEST(LocationScenario, AByeThatNoPlaceAnswersEndsTheCallAllTheSame) {
  Edge servers;
  servers.call();
  World& world = servers.world;
  servers.kill_first();
  servers.second_host.down_link(servers.second_link).black_hole = true;
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  EXPECT_TRUE(
      world.run_until([&] { return world.phone.ended(world.call_id()).has_value(); }, seconds(70)));
  world.run_for(seconds(70));
  EXPECT_LE(world.sent_sip("BYE").size(), 3U * 11U) << "timer F's repetitions of three at most";
}

TEST(LocationScenario, OverTcpARequestWithinACallGoesToTheNextPlaceOfTheSameName) {
  Edge servers(sip::Transport::Tcp);
  servers.second.listen_streams();
  World& world = servers.world;
  world.call_peer();
  world.server.stop_listening_streams();
  world.server.close_streams();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  ASSERT_TRUE(
      world.run_until([&] { return world.peer.requests("INVITE").size() == 2; }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.remote_sdps().back().direction, "sendonly");
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  EXPECT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Ended; },
                              seconds(2)));
}

TEST(LocationScenario, OverTcpWithNoPlaceLeftTheCallStaysAsItWas) {
  Edge servers(sip::Transport::Tcp);  // The second accepts no connections.
  World& world = servers.world;
  world.call_peer();
  world.server.stop_listening_streams();
  world.server.close_streams();
  ASSERT_TRUE(world.phone.hold(world.call_id()));
  world.run_for(seconds(60));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.requests("INVITE").size(), 1U);
}

TEST(LocationScenario, NothingFoundIsRememberedAndToldOnce) {
  Servers servers;
  servers.add_account();
  servers.world.run_for(seconds(55));
  // NAPTR, SRV of three transports, A and AAAA: the zone vouches for a minute that there are none.
  EXPECT_EQ(servers.world.phone.questions().size(), 6U);
  EXPECT_EQ(servers.world.phone.all<Warning>().size(), 1U);
  EXPECT_EQ(servers.failures_told(), 1U) << "the registration has failed, for that reason";
  const auto failed = servers.world.phone.last<RegistrationChanged>();
  EXPECT_NE(failed->reason.find("example.org"), std::string::npos) << failed->reason;
  servers.publish();
  EXPECT_TRUE(servers.world.run_until([&] { return servers.registered(); }, seconds(15)));
}

TEST(LocationScenario, ACallOverAServerThatIsNotFoundEndsAndSaysWhy) {
  Servers servers;
  servers.add_account();
  World& world = servers.world;
  const auto early = world.phone.call(world.account, "sip:bob@example.org");
  ASSERT_TRUE(early) << early.error().detail;
  world.run_for(seconds(3));
  const auto ended = world.phone.ended(*early);
  ASSERT_TRUE(ended) << "asked for before the answer";
  EXPECT_NE(ended->reason.find("could not be resolved"), std::string::npos) << ended->reason;
  const auto late = world.phone.call(world.account, "sip:bob@example.org");
  ASSERT_TRUE(late) << late.error().detail;
  world.run_for(seconds(1));
  EXPECT_TRUE(world.phone.ended(*late));
}

TEST(LocationScenario, AnotherNetworkMeansAnotherLookUp) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  World& world = servers.world;
  const std::size_t asked = world.phone.questions().size();
  // There the name stands for the other server.
  servers.dns().set_addresses("a.example.org", {servers.second_address()});
  world.move_to_lte();
  ASSERT_TRUE(world.run_until(
      [&] { return world.settled() && servers.at_second() && servers.registered(); }, seconds(5)));
  EXPECT_EQ(world.phone.resolvers_made(), 1U);
  EXPECT_EQ(world.phone.questions().size(), 2 * asked);
}

TEST(LocationScenario, AMoveDoesNotWaitForTheDns) {
  Servers servers;
  servers.publish();
  servers.register_phone(seconds(2));
  World& world = servers.world;
  for (const char* name : {"example.org", "_sip._udp.example.org", "a.example.org"}) {
    servers.dns().set_failure(name, DnsFailure::Timeout);
  }
  const TimePoint start = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1 && world.settled(); },
                              seconds(5)));
  EXPECT_LE(world.now() - start, seconds(1));
  world.run_for(seconds(60));
  EXPECT_TRUE(servers.registered()) << "what was known is kept while the DNS is dead";
}

TEST(LocationScenario, AFamilyWithoutAPathIsNotTried) {
  Servers servers;
  servers.world.network.set_name("example.org",
                                 {*IpAddress::parse("2001:db8:9::2"), servers.first_address()});
  EXPECT_LE(servers.register_phone(seconds(5)), seconds(1));
}

TEST(LocationScenario, ADeadFamilyCostsOneSecond) {
  Servers servers;
  World& world = servers.world;
  // An address and a route, but nothing behind them: the usual broken IPv6.
  world.phone_host.add_address(world.wifi, *IpAddress::parse("2001:db8:1::2"));
  world.phone_host.add_default_route(Family::V6, world.wifi, 100);
  world.network.set_name("example.org",
                         {*IpAddress::parse("2001:db8:9::2"), servers.first_address()});
  world.run_for(seconds(1));
  EXPECT_LE(servers.register_phone(seconds(10)), milliseconds(1'500));
  EXPECT_TRUE(servers.at_first());
}

TEST(LocationScenario, AResolverThatSwallowsQuestionsCostsTwoSecondsEach) {
  Servers servers;
  servers.world.network.set_name("example.org", {servers.first_address()});
  // As set_failure of "example.org" would take the addresses along, only the service is silent.
  servers.dns().set_failure("_sip._udp.example.org", DnsFailure::Timeout);
  const Duration took = servers.register_phone(seconds(10));
  EXPECT_GE(took, seconds(2));
  EXPECT_LE(took, seconds(3));
}

TEST(LocationScenario, NaptrChoosesTheTransport) {
  Stage stage;
  stage.transport = sip::Transport::Tcp;
  Servers servers(stage);
  servers.dns().add_naptr("example.org", {10, 10, "s", "SIP+D2T", "", "_sip._tcp.example.org"});
  servers.dns().add_naptr("example.org", {20, 10, "s", "SIP+D2U", "", "_sip._udp.example.org"});
  servers.dns().add_srv("_sip._tcp.example.org", {10, 1, 5060, "a.example.org"});
  servers.dns().set_addresses("a.example.org", {servers.first_address()});
  servers.register_phone(seconds(2));
  EXPECT_EQ(servers.world.server.accepted_streams(), 1U);
  ASSERT_TRUE(servers.at_first());
  EXPECT_NE(servers.world.server.contacts("alice")[0].find(";transport=tcp"), std::string::npos);
}

TEST(LocationScenario, ARefusedConnectionIsLeftForTheNextServer) {
  Servers servers;  // Which speaks UDP only.
  servers.dns().add_naptr("example.org", {10, 10, "s", "SIP+D2T", "", "_sip._tcp.example.org"});
  servers.dns().add_naptr("example.org", {10, 20, "s", "SIP+D2U", "", "_sip._udp.example.org"});
  servers.dns().add_srv("_sip._tcp.example.org", {10, 1, 5060, "a.example.org"});
  servers.dns().add_srv("_sip._udp.example.org", {10, 1, 5060, "b.example.org"});
  servers.dns().set_addresses("a.example.org", {servers.first_address()});
  servers.dns().set_addresses("b.example.org", {servers.second_address()});
  EXPECT_LE(servers.register_phone(seconds(5)), seconds(1));
  EXPECT_TRUE(servers.at_second());
  EXPECT_EQ(servers.failures_told(), 0U);
}

TEST(LocationScenario, HostileAnswersAreBounded) {
  Servers servers;
  for (int i = 0; i < 200; ++i) {
    const std::string host = "h" + std::to_string(i) + ".example.org";
    servers.dns().add_srv("_sip._udp.example.org", {10, 65535, 5060, host});
    servers.dns().set_addresses(host, {IpAddress::v4(10, 9, 1, static_cast<std::uint8_t>(i))});
  }
  servers.dns().add_srv("_sip._udp.example.org", {0, 0, 0, "a.example.org"});
  servers.dns().add_srv("_sip._udp.example.org", {0, 0, 5060, "bad\r\nname"});
  servers.add_account();
  servers.world.run_for(seconds(300));
  EXPECT_LE(servers.world.phone.questions().size(), 100U);
  EXPECT_LE(servers.world.sent_sip("REGISTER").size(), 400U) << "in five minutes of dead servers";
}

}  // namespace
}  // namespace godwit::scenario
