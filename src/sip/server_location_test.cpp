// SPDX-License-Identifier: Apache-2.0
#include "sip/server_location.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace godwit::sip {
namespace {

using std::chrono::seconds;
using Zone = std::map<DnsQuestion, DnsAnswer>;

DnsRecord address(const char* text, int ttl = 600) {
  return {*IpAddress::parse(text), seconds(ttl)};
}
DnsRecord srv(std::uint16_t priority, std::uint16_t weight, std::uint16_t port, const char* target,
              int ttl = 600) {
  return {SrvRecord{priority, weight, port, target}, seconds(ttl)};
}
DnsRecord naptr(std::uint16_t order, std::uint16_t preference, const char* service,
                const char* replacement, const char* flags = "s", const char* regexp = "") {
  return {NaptrRecord{order, preference, flags, service, regexp, replacement}, seconds(600)};
}
DnsAnswer answer(std::vector<DnsRecord> records) { return {DnsFailure::None, std::move(records)}; }

/// Answers everything from the zone; what it does not have, with `otherwise`. Returns the
/// questions.
std::vector<std::string> run(ServerLocation& location, const Zone& zone,
                             DnsFailure otherwise = DnsFailure::NoSuchName) {
  std::vector<std::string> asked;
  while (const auto question = location.poll_question()) {
    asked.push_back(question->name + " " + to_string(question->type));
    const auto found = zone.find(*question);
    location.on_answer(*question, found == zone.end() ? DnsAnswer{otherwise, {}} : found->second);
  }
  EXPECT_TRUE(location.done());
  return asked;
}

std::string show(const std::vector<Target>& targets) {
  std::string text;
  for (const Target& target : targets) {
    text += std::to_string(target.group) + " " + to_string(target.transport) + " " +
            target.endpoint.to_string() + "\n";
  }
  return text;
}

struct Case {
  const char* what;
  ServerName name;
  std::vector<Transport> transports;
  std::vector<std::string> asked;
  std::string targets;
};

// One domain with everything: example.org.
Zone full_zone() {
  Zone zone;
  zone[{"example.org", DnsType::Naptr}] =
      answer({naptr(20, 0, "SIP+D2U", "_sip._udp.example.org"),
              naptr(10, 50, "SIP+D2T", "_sip._tcp.example.org"),
              naptr(10, 10, "SIPS+D2T", "_sips._tcp.example.org"),
              naptr(5, 0, "E2U+sip", "", "u", "!^.*$!sip:x@y!")});
  zone[{"_sips._tcp.example.org", DnsType::Srv}] = answer({srv(1, 0, 5061, "tls.example.org")});
  zone[{"_sip._tcp.example.org", DnsType::Srv}] = answer({srv(1, 0, 5060, "tcp.example.org")});
  zone[{"_sip._udp.example.org", DnsType::Srv}] =
      answer({srv(20, 0, 5070, "second.example.org"), srv(10, 0, 5060, "first.example.org")});
  zone[{"tls.example.org", DnsType::A}] = answer({address("192.0.2.3")});
  zone[{"tcp.example.org", DnsType::A}] = answer({address("192.0.2.2")});
  zone[{"first.example.org", DnsType::A}] = answer({address("192.0.2.10"), address("192.0.2.11")});
  zone[{"first.example.org", DnsType::Aaaa}] = answer({address("2001:db8::10")});
  zone[{"second.example.org", DnsType::A}] = answer({address("192.0.2.20")});
  zone[{"example.org", DnsType::A}] = answer({address("192.0.2.1")});
  zone[{"plain.example.org", DnsType::A}] = answer({address("192.0.2.99")});
  zone[{"gone.example.org", DnsType::Srv}] = answer({srv(0, 0, 0, "")});
  return zone;
}

TEST(ServerLocation, FollowsTheRulesOfRfc3263) {
  constexpr auto kUdp = Transport::Udp;
  constexpr auto kTcp = Transport::Tcp;
  constexpr auto kTls = Transport::Tls;
  const std::vector<Case> cases = {
      // §4.1, §4.2: numeric hosts.
      {"a number", {"192.0.2.7", {}, {}, false}, {kUdp}, {}, "0 UDP 192.0.2.7:5060\n"},
      {"a number in brackets",
       {"[2001:db8::7]", 5070, {}, false},
       {kUdp},
       {},
       "0 UDP [2001:db8::7]:5070\n"},
      {"a number over sips",
       {"192.0.2.7", {}, {}, true},
       {kUdp, kTls},
       {},
       "0 TLS 192.0.2.7:5061\n"},
      {"a number over TCP",
       {"192.0.2.7", {}, kTcp, false},
       {kUdp, kTcp},
       {},
       "0 TCP 192.0.2.7:5060\n"},
      // A port: no NAPTR, no SRV.
      {"a port",
       {"example.org", 5080, {}, false},
       {kTcp, kUdp},
       {"example.org AAAA", "example.org A"},
       "0 UDP 192.0.2.1:5080\n"},
      {"a port over sips",
       {"example.org", 5080, {}, true},
       {kTls},
       {"example.org AAAA", "example.org A"},
       "0 TLS 192.0.2.1:5080\n"},
      {"a port, no UDP here",
       {"example.org", 5080, {}, false},
       {kTcp},
       {"example.org AAAA", "example.org A"},
       "0 TCP 192.0.2.1:5080\n"},
      // A transport: no NAPTR.
      {"a transport",
       {"example.org", {}, kTcp, false},
       {kUdp, kTcp},
       {"_sip._tcp.example.org SRV", "tcp.example.org AAAA", "tcp.example.org A"},
       "0 TCP 192.0.2.2:5060\n"},
      {"sips with a transport",
       {"example.org", {}, kTcp, true},
       {kTls},
       {"_sips._tcp.example.org SRV", "tls.example.org AAAA", "tls.example.org A"},
       "0 TLS 192.0.2.3:5061\n"},
      // NAPTR: order and preference, only what we can do.
      {"UDP only",
       {"Example.ORG.", {}, {}, false},
       {kUdp},
       {"example.org NAPTR", "_sip._udp.example.org SRV", "first.example.org AAAA",
        "first.example.org A", "second.example.org AAAA", "second.example.org A"},
       "0 UDP [2001:db8::10]:5060\n0 UDP 192.0.2.10:5060\n0 UDP 192.0.2.11:5060\n"
       "1 UDP 192.0.2.20:5070\n"},
      {"all three",
       {"example.org", {}, {}, false},
       {kUdp, kTcp, kTls},
       {"example.org NAPTR", "_sips._tcp.example.org SRV", "_sip._tcp.example.org SRV",
        "tls.example.org AAAA", "tls.example.org A", "tcp.example.org AAAA", "tcp.example.org A"},
       "0 TLS 192.0.2.3:5061\n1 TCP 192.0.2.2:5060\n"},
      // Neither NAPTR nor SRV.
      {"addresses only",
       {"plain.example.org", {}, {}, false},
       {kUdp, kTcp},
       {"plain.example.org NAPTR", "_sip._udp.plain.example.org SRV",
        "_sip._tcp.plain.example.org SRV", "plain.example.org AAAA", "plain.example.org A"},
       "0 UDP 192.0.2.99:5060\n"},
      {"a transport without SRV",
       {"plain.example.org", {}, kTls, false},
       {kTls},
       {"_sips._tcp.plain.example.org SRV", "plain.example.org AAAA", "plain.example.org A"},
       "0 TLS 192.0.2.99:5061\n"},
      {"nothing at all",
       {"nowhere.example.org", 5060, {}, false},
       {kUdp},
       {"nowhere.example.org AAAA", "nowhere.example.org A"},
       ""},
  };
  const Zone zone = full_zone();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    SeededRandom random(1);
    auto location = ServerLocation::begin(c.name, LocationPolicy{c.transports, Family::V6}, random);
    ASSERT_TRUE(location) << location.error().detail;
    EXPECT_EQ(run(*location, zone), c.asked);
    EXPECT_EQ(show(location->targets()), c.targets);
    for (const Target& target : location->targets()) {
      EXPECT_EQ(target.server_name, location->name().host);  // RFC 5922 §4: what was asked for.
    }
  }
}

TEST(ServerLocation, RefusesWhatCannotBeReached) {
  SeededRandom random(1);
  const LocationPolicy udp{{Transport::Udp}, Family::V6};
  const std::vector<std::pair<ServerName, LocationPolicy>> cases = {
      {{"example.org", {}, Transport::Udp, true}, {{Transport::Udp, Transport::Tls}, Family::V6}},
      {{"example.org", {}, Transport::Tcp, false}, udp},
      {{"example.org", {}, {}, true}, udp},
      {{"example.org", {}, {}, false}, {{}, Family::V6}},
      {{"", {}, {}, false}, udp},
      {{"a..b", {}, {}, false}, udp},
      {{"exa mple.org", {}, {}, false}, udp},
      {{"exa\r\nmple.org", {}, {}, false}, udp},
      {{std::string(64, 'a') + ".org", {}, {}, false}, udp},
      {{std::string(300, 'a'), {}, {}, false}, udp},
  };
  for (const auto& [name, policy] : cases) {
    const auto location = ServerLocation::begin(name, policy, random);
    ASSERT_FALSE(location) << name.host;
    EXPECT_EQ(location.error().code, ErrorCode::InvalidArgument);
  }
}

TEST(ServerLocation, DrawsByWeight) {
  // RFC 2782: 3 to 1, and a weight of 0 "a very small chance".
  Zone zone;
  zone[{"_sip._udp.example.org", DnsType::Srv}] =
      answer({srv(1, 30, 5060, "a.example.org"), srv(1, 10, 5060, "b.example.org"),
              srv(1, 0, 5060, "c.example.org")});
  zone[{"a.example.org", DnsType::A}] = answer({address("192.0.2.1")});
  zone[{"b.example.org", DnsType::A}] = answer({address("192.0.2.2")});
  zone[{"c.example.org", DnsType::A}] = answer({address("192.0.2.3")});
  SeededRandom random(7);
  std::map<std::string, int> first;
  for (int i = 0; i < 4000; ++i) {
    auto location =
        ServerLocation::begin({"example.org", {}, Transport::Udp, false}, LocationPolicy{}, random);
    ASSERT_TRUE(location);
    run(*location, zone);
    ASSERT_EQ(location->targets().size(), 3U);
    ++first[location->targets()[0].endpoint.address.to_string()];
  }
  EXPECT_NEAR(first["192.0.2.1"], 4000 * 30 / 41, 150);
  EXPECT_NEAR(first["192.0.2.2"], 4000 * 10 / 41, 150);
  EXPECT_NEAR(first["192.0.2.3"], 4000 * 1 / 41, 60);
}

TEST(ServerLocation, InterleavesTheFamiliesInTheOrderWanted) {
  Zone zone;
  zone[{"example.org", DnsType::A}] =
      answer({address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3")});
  zone[{"example.org", DnsType::Aaaa}] = answer({address("2001:db8::1"), address("2001:db8::2")});
  for (const Family family : {Family::V4, Family::V6}) {
    SeededRandom random(1);
    auto location = ServerLocation::begin({"example.org", 5060, {}, false},
                                          LocationPolicy{{Transport::Udp}, family}, random);
    run(*location, zone);
    std::string order;
    for (const Target& target : location->targets()) {
      order += target.endpoint.address.is_v4() ? '4' : '6';
    }
    EXPECT_EQ(order, family == Family::V4 ? "46464" : "64644");
  }
}

TEST(ServerLocation, IsUsableWithTheFirstFamilyAndKeepsTheOtherWhenItComes) {
  SeededRandom random(1);
  auto location = ServerLocation::begin({"example.org", 5060, {}, false}, LocationPolicy{}, random);
  const auto v6 = location->poll_question();
  const auto v4 = location->poll_question();
  ASSERT_TRUE(v6 && v4);
  EXPECT_EQ(v6->type, DnsType::Aaaa);
  location->on_answer(*v4, answer({address("192.0.2.1")}));
  EXPECT_TRUE(location->usable());
  EXPECT_FALSE(location->done());
  EXPECT_EQ(show(location->targets()), "0 UDP 192.0.2.1:5060\n");
  location->on_answer(*v4, answer({address("192.0.2.66")}));  // Once is enough.
  location->on_answer(*v6, answer({address("2001:db8::1")}));
  EXPECT_TRUE(location->done());
  EXPECT_EQ(show(location->targets()), "0 UDP [2001:db8::1]:5060\n0 UDP 192.0.2.1:5060\n");
}

TEST(ServerLocation, GoesOnWithoutWhatIsNotAnswered) {
  SeededRandom random(1);
  auto location = ServerLocation::begin({"example.org", {}, {}, false}, LocationPolicy{}, random);
  ASSERT_TRUE(location->poll_question());
  EXPECT_FALSE(location->poll_question());
  location->give_up_waiting();  // NAPTR: a home router that drops what it does not know.
  ASSERT_EQ(location->poll_question()->type, DnsType::Srv);
  location->give_up_waiting();
  const auto first = location->poll_question();
  ASSERT_TRUE(first);
  location->on_answer(*first, answer({address("2001:db8::1")}));
  ASSERT_TRUE(location->poll_question());
  location->give_up_waiting();
  EXPECT_TRUE(location->done());
  EXPECT_EQ(location->targets().size(), 1U);
  EXPECT_EQ(location->ttl(), seconds(30)) << "what the DNS failed at is asked again soon";
}

TEST(ServerLocation, SaysWhyThereIsNothing) {
  const auto why = [](const Zone& zone, DnsFailure otherwise) {
    SeededRandom random(1);
    auto location = ServerLocation::begin({"example.org", {}, {}, false}, LocationPolicy{}, random);
    run(*location, zone, otherwise);
    EXPECT_TRUE(location->targets().empty());
    return location->failure();
  };
  EXPECT_EQ(why({}, DnsFailure::NoSuchName), "no address for \"example.org\"");
  EXPECT_EQ(why({}, DnsFailure::Timeout), "no DNS server answered");
  // RFC 2782: a target of "." says that the service is not there; no address is tried instead.
  Zone denied;
  denied[{"_sip._udp.example.org", DnsType::Srv}] = answer({srv(0, 0, 5060, ".")});
  denied[{"example.org", DnsType::A}] = answer({address("192.0.2.1")});
  EXPECT_EQ(why(denied, DnsFailure::NoData),
            "the domain example.org says that it offers no SIP service");
}

TEST(ServerLocation, RemembersTheShortestTime) {
  Zone zone;
  zone[{"_sip._udp.example.org", DnsType::Srv}] = answer({srv(1, 1, 5060, "a.example.org", 120)});
  zone[{"a.example.org", DnsType::A}] =
      answer({address("192.0.2.1", 300), address("192.0.2.2", 45)});
  zone[{"a.example.org", DnsType::Aaaa}] = {DnsFailure::NoData, {}, seconds(90)};
  SeededRandom random(1);
  auto location =
      ServerLocation::begin({"example.org", {}, Transport::Udp, false}, LocationPolicy{}, random);
  run(*location, zone);
  EXPECT_EQ(location->ttl(), seconds(45));
}

TEST(ServerLocation, BoundsAndChecksHostileAnswers) {
  Zone zone;
  std::vector<DnsRecord> many_naptr;
  for (int i = 0; i < 500; ++i) {
    many_naptr.push_back(
        naptr(1, 1, "SIP+D2U", ("_sip._udp.n" + std::to_string(i) + ".x").c_str()));
  }
  zone[{"example.org", DnsType::Naptr}] = answer(many_naptr);
  for (int i = 0; i < 500; ++i) {
    std::vector<DnsRecord> many;
    for (int j = 0; j < 500; ++j) {
      many.push_back(srv(1, 65535, 5060, ("h" + std::to_string(i * 500 + j) + ".x").c_str()));
    }
    zone[{"_sip._udp.n" + std::to_string(i) + ".x", DnsType::Srv}] = answer(std::move(many));
  }
  std::vector<DnsRecord> addresses;
  for (int i = 1; i < 200; ++i) addresses.push_back({IpAddress::v4(10, 0, 0, std::uint8_t(i)), {}});
  SeededRandom random(1);
  auto location = ServerLocation::begin({"example.org", {}, {}, false}, LocationPolicy{}, random);
  std::size_t asked = 0;
  while (const auto question = location->poll_question()) {
    ++asked;
    const auto found = zone.find(*question);
    location->on_answer(*question, found != zone.end() ? found->second : answer(addresses));
  }
  EXPECT_TRUE(location->done());
  EXPECT_LE(asked, 1 + ServerLocation::kMaxServices + 2 * ServerLocation::kMaxHosts);
  EXPECT_LE(location->targets().size(), ServerLocation::kMaxTargets);

  // Records that are wrong in themselves are as good as none.
  Zone wrong;
  wrong[{"example.org", DnsType::Naptr}] =
      answer({naptr(1, 1, "SIP+D2U", "bad name.x"), naptr(1, 1, "SIP+D2U", "a.x", "u"),
              naptr(1, 1, "SIP+D2U", "a.x", "s", "!^.*$!b!"), naptr(1, 1, "SIP+D2X", "a.x"),
              address("192.0.2.1")});
  wrong[{"_sip._udp.example.org", DnsType::Srv}] =
      answer({srv(1, 1, 0, "a.x"), srv(1, 1, 5060, "192.0.2.6"), srv(1, 1, 5060, "b\nc.x"),
              srv(1, 1, 5060, "a.x"), address("192.0.2.1")});
  wrong[{"a.x", DnsType::A}] =
      answer({address("0.0.0.0"), address("224.0.0.1"), address("2001:db8::1"),
              srv(1, 1, 5060, "a.x"), address("192.0.2.7"), address("192.0.2.7")});
  wrong[{"a.x", DnsType::Aaaa}] = answer({address("::"), address("ff02::1"), address("192.0.2.8")});
  location = ServerLocation::begin({"example.org", {}, {}, false}, LocationPolicy{}, random);
  run(*location, wrong);
  EXPECT_EQ(show(location->targets()), "0 UDP 192.0.2.7:5060\n");
}

}  // namespace
}  // namespace godwit::sip
