// SPDX-License-Identifier: Apache-2.0
// Servers with several addresses over TCP and TLS: their connections are raced (RFC 8305).
#include <algorithm>

#include "two_servers.hpp"

namespace godwit::scenario {
namespace {

using sip::Transport;

constexpr Duration kStagger = milliseconds(250);

Stage over(Transport transport) {
  Stage stage;
  stage.transport = transport;
  return stage;
}

/// Two servers over streams; one name stands for both.
class Places : public TwoServers {
 public:
  explicit Places(const Stage& chosen = over(Transport::Tcp))
      : TwoServers(chosen, default_port(chosen.transport), {"example.org", "sip.example.org"}) {
    if (chosen.transport == Transport::Tls) {
      world.server.stop_listening_streams();
      world.server.listen_streams("sip.example.org");
    }
    listen_second();
    publish({first_address(), second_address()});
    world.run_for(milliseconds(10));  // The phone knows its network.
  }

  void publish(const std::vector<IpAddress>& addresses) {
    world.network.set_name("sip.example.org", addresses);
  }
  /// As two servers of which the first is the better one.
  void publish_in_order() {
    auto& dns = world.network.dns();
    dns.add_srv("_sip._tcp.example.org", {10, 1, 5060, "a.example.org"});
    dns.add_srv("_sip._tcp.example.org", {20, 1, 5060, "b.example.org"});
    dns.set_addresses("a.example.org", {first_address()});
    dns.set_addresses("b.example.org", {second_address()});
  }
  void listen_second() {
    if (world.stage.transport == Transport::Tls) {
      second.listen_streams("sip.example.org");
    } else {
      second.listen_streams();
    }
  }
  void silence_second(bool dead = true) { second_host.down_link(second_link).black_hole = dead; }
  /// Both families, of which only IPv4 leads anywhere.
  void break_v6() {
    world.phone_host.add_address(world.wifi, *IpAddress::parse("2001:db8:1::2"));
    world.phone_host.add_default_route(Family::V6, world.wifi, 100);
    world.run_for(seconds(1));
  }

  AccountConfig config_of(const std::string& registrar) const {
    AccountConfig wanted = world.account_config();
    wanted.registrar = registrar;
    wanted.transport = TransportChoice::Auto;
    return wanted;
  }
  void add_account(const std::string& registrar = {}) {
    start = world.now();
    const bool tls = world.stage.transport == Transport::Tls;
    world.account = *world.phone.add_account(
        config_of(!registrar.empty()
                      ? registrar
                      : std::string("sip:sip.example.org;transport=") + (tls ? "tls" : "tcp")));
  }
  Duration first_sent(const std::string& what) const {
    const auto sent = world.sent_sip(what, start);
    return sent.empty() ? seconds(999) : sent.front().at - start;
  }
  /// From the beginning of a race that its runner number `i` (from 0) wins to the first message:
  /// the look-up's round trip, the stagger, the handshake.
  Duration after(int i) const {
    return i * kStagger + world.stage.rtt * (world.stage.transport == Transport::Tls ? 3 : 2) +
           2 * kMachine;
  }

  TimePoint start;
};

class RaceScenario : public ::testing::TestWithParam<Transport> {};

TEST_P(RaceScenario, ASilentServerCostsAQuarterOfASecondAndIsGivenUp) {
  Places places(over(GetParam()));
  places.kill_first();
  places.add_account();
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(2)));
  EXPECT_TRUE(places.at_second());
  EXPECT_GE(places.first_sent("REGISTER"), kStagger);
  EXPECT_LE(places.first_sent("REGISTER"), places.after(1));
  EXPECT_EQ(places.failures_told(), 0U);
  EXPECT_TRUE(places.world.phone.all<Warning>().empty()) << "the user has missed nothing";
  EXPECT_EQ(places.world.phone.streams(), 1U);
  // TCP would say SYN again: but the loser is closed.
  places.kill_first(false);
  places.world.run_for(seconds(20));
  EXPECT_EQ(places.world.server.accepted_streams(), 0U);
  EXPECT_TRUE(places.at_second());
}

TEST_P(RaceScenario, ALivingServerIsTheOnlyOneAsked) {
  Places places(over(GetParam()));
  places.add_account();
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(2)));
  EXPECT_LE(places.first_sent("REGISTER"), places.after(0));
  places.world.run_for(seconds(5));
  EXPECT_TRUE(places.at_first());
  EXPECT_EQ(places.second.accepted_streams(), 0U);
}

TEST_P(RaceScenario, AfterAChangeTheServerThatAnswersFirstIsTaken) {
  Places places(over(GetParam()));
  places.add_account();
  World& world = places.world;
  ASSERT_TRUE(
      world.run_until([&] { return places.at_first() && places.registered(); }, seconds(2)));
  places.kill_first();
  places.start = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1; }, seconds(5)));
  EXPECT_TRUE(places.at_second());
  EXPECT_GE(places.first_sent("REGISTER"), kStagger);
  EXPECT_LE(places.first_sent("REGISTER"), places.after(1));
  const IpChangeReport report = world.phone.reports().front();
  const auto updated = std::find_if(report.steps.begin(), report.steps.end(), [](const auto& step) {
    return step.kind == StepKind::ContactUpdated;
  });
  ASSERT_NE(updated, report.steps.end());
  EXPECT_TRUE(updated->ok);
  EXPECT_NE(places.second.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Streams, RaceScenario, ::testing::Values(Transport::Tcp, Transport::Tls),
                         [](const auto& chosen) { return sip::to_string(chosen.param); });

TEST(Race, AFamilyThatLeadsNowhereCostsAQuarterOfASecond) {
  Places places;
  places.break_v6();
  places.publish({*IpAddress::parse("2001:db8:9::2"), *IpAddress::parse("2001:db8:9::3"),
                  places.first_address()});
  places.add_account();
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(2)));
  EXPECT_TRUE(places.at_first());
  EXPECT_GE(places.first_sent("REGISTER"), kStagger) << "IPv6 has its start";
  EXPECT_LE(places.first_sent("REGISTER"), places.after(1)) << "and the families take turns";
}

TEST(Race, ARefusalStartsTheNextOneAtOnce) {
  Places places;
  places.world.server.stop_listening_streams();
  places.add_account();
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(2)));
  EXPECT_TRUE(places.at_second());
  EXPECT_LE(places.first_sent("REGISTER"), places.after(0) + places.world.stage.rtt);
}

TEST(Race, WhenAllFailItIsOneFailureThatNamesThem) {
  for (const bool refused : {true, false}) {
    Places places;
    if (refused) {
      places.world.server.stop_listening_streams();
      places.second.stop_listening_streams();
    } else {
      places.kill_first();
      places.silence_second();
    }
    places.add_account();
    places.world.run_for(seconds(refused ? 1 : 11));
    ASSERT_EQ(places.failures_told(), 1U);
    ASSERT_EQ(places.world.phone.all<Warning>().size(), 1U);
    const std::string text = places.world.phone.last<Warning>()->text;
    for (const IpAddress& address : {places.first_address(), places.second_address()}) {
      EXPECT_NE(text.find(address.to_string()), std::string::npos) << text;
    }
    // It goes on trying, with growing pauses, and finds the one that comes back.
    places.world.run_for(seconds(60));
    EXPECT_LE(places.failures_told(), 8U);
    if (refused) {
      places.listen_second();
    } else {
      places.silence_second(false);
    }
    ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(80)));
    EXPECT_TRUE(places.at_second());
  }
}

TEST(Race, WhileAllFailOthersGoOnSending) {
  Places places;
  World& world = places.world;
  world.server.stop_listening_streams();
  places.second.stop_listening_streams();
  places.add_account();
  world.run_for(seconds(1));
  ASSERT_EQ(places.failures_told(), 1U);
  const TimePoint asked = world.now();
  const std::string peer = "sip:bob@" + world.peer_address().to_string() + ":5060;transport=udp";
  ASSERT_TRUE(world.phone.command(
      [&](ua::Core& core, TimePoint now) { return core.ask_options(world.account, peer, now); }));
  world.run_for(milliseconds(100));
  EXPECT_EQ(world.sent_sip("OPTIONS", asked).size(), 1U);
}

TEST(Race, AChangeRestartsIt) {
  Places places;
  places.kill_first();
  places.silence_second();
  places.add_account();
  World& world = places.world;
  world.run_for(milliseconds(350));  // Both are being tried.
  EXPECT_EQ(world.phone.streams(), 2U);
  places.silence_second(false);
  places.start = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return places.registered(); }, seconds(2)));
  EXPECT_TRUE(places.at_second());
  EXPECT_GE(places.first_sent("REGISTER"), kStagger) << "from the first server on";
  EXPECT_LE(places.first_sent("REGISTER"), places.after(1));
  EXPECT_NE(places.second.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
  world.run_for(seconds(10));
  EXPECT_EQ(world.phone.streams(), 1U);
}

TEST(Race, ASlowServerIsNotLeftForAWorseOne) {
  Stage stage = over(Transport::Tcp);
  stage.rtt = milliseconds(600);
  Places places(stage);
  places.publish_in_order();
  places.add_account("sip:example.org;transport=tcp");
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(10)));
  EXPECT_TRUE(places.at_first());
  EXPECT_EQ(places.second.accepted_streams(), 0U);
}

TEST(Race, ASilentServerIsLeftForAWorseOneAfterTwoSecondsAndReturnedTo) {
  Places places;
  places.publish_in_order();
  places.kill_first();
  places.add_account("sip:example.org;transport=tcp");
  ASSERT_TRUE(places.world.run_until([&] { return places.registered(); }, seconds(5)));
  EXPECT_TRUE(places.at_second());
  EXPECT_GE(places.first_sent("REGISTER"), seconds(2));
  EXPECT_LE(places.first_sent("REGISTER"), seconds(2) + places.after(0) + places.world.stage.rtt);
  places.world.run_for(seconds(10));
  EXPECT_TRUE(places.at_second()) << "it is passed over for a while";
  places.kill_first(false);
  EXPECT_TRUE(places.world.run_until([&] { return places.at_first() && places.registered(); },
                                     seconds(130)));
}

TEST(Race, ACallOfAnAccountThatDoesNotRegister) {
  Places places;
  places.kill_first();
  AccountConfig wanted = places.config_of("sip:sip.example.org;transport=tcp");
  wanted.register_on_add = false;
  World& world = places.world;
  world.account = *world.phone.add_account(wanted);
  world.run_for(seconds(1));
  places.start = world.now();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(3)));
  EXPECT_LE(places.first_sent("INVITE"), places.after(1));
  world.run_for(milliseconds(500));
  world.expect_audio(world.wifi_address());
}

TEST(Race, ACallStraightToAHost) {
  Places places;
  World& world = places.world;
  world.register_phone();
  const IpAddress nobody = world.address(77);
  world.network.set_name("far.example.net", {nobody, places.second_address()});
  places.start = world.now();
  const auto call = world.phone.call(world.account, "sip:bob@far.example.net;transport=tcp");
  ASSERT_TRUE(call);
  ASSERT_TRUE(world.run_until([&] { return !world.sent_sip("INVITE").empty(); }, seconds(2)));
  EXPECT_GE(places.first_sent("INVITE"), kStagger);
  EXPECT_LE(places.first_sent("INVITE"), places.after(1));
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(*call).has_value(); }, seconds(2)))
      << "that server does not know the domain";
  EXPECT_EQ(places.second.accepted_streams(), 1U);

  // Both families, of which the first leads nowhere: the path and the audio's place follow.
  places.break_v6();
  world.network.set_name("both.example.net",
                         {*IpAddress::parse("2001:db8:9::2"), places.second_address()});
  places.start = world.now();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@both.example.net;transport=tcp"));
  ASSERT_TRUE(
      world.run_until([&] { return !world.sent_sip("INVITE", places.start).empty(); }, seconds(2)));
  const auto invite = world.sent_sip("INVITE", places.start).front();
  EXPECT_EQ(invite.source.address, world.wifi_address());
  EXPECT_NE(invite.message.body.find("c=IN IP4 " + world.wifi_address().to_string()),
            std::string::npos);
}

TEST(Race, ACallStraightToAHostThatNobodyAnswersEndsWithOneReason) {
  Places places;
  World& world = places.world;
  world.register_phone();
  world.network.set_name("far.example.net", {world.address(76), world.address(77)});
  const auto call = world.phone.call(world.account, "sip:bob@far.example.net;transport=tcp");
  ASSERT_TRUE(call);
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(*call).has_value(); }, seconds(12)));
  const std::string reason = world.phone.ended(*call)->reason;
  for (const std::uint8_t network : {std::uint8_t{76}, std::uint8_t{77}}) {
    EXPECT_NE(reason.find(world.address(network).to_string()), std::string::npos) << reason;
  }
  world.run_for(seconds(130));
  EXPECT_EQ(world.phone.streams(), 1U) << "only the registration's";
}

}  // namespace
}  // namespace godwit::scenario
