// SPDX-License-Identifier: Apache-2.0
// Several flows of one account over several edge proxies (RFC 5626 §4.2, §4.5).
#include <algorithm>

#include "world.hpp"

namespace godwit::scenario {
namespace {

/// Two edge proxies, each with its own location service; bob is known to both, carol calls by the
/// second.
class TwoEdges {
 public:
  explicit TwoEdges(Stage chosen = outbound_stage())
      : world(std::move(chosen)),
        second_host(world.network.add_host("server2")),
        second_link(second_host.add_interface("eth0")),
        second(world.network, prepared(second_host, second_link, second_address()), config()),
        carol_host(world.network.add_host("carol")),
        carol_link(carol_host.add_interface("eth0")),
        carol(world.network, prepared(carol_host, carol_link, world.address(6)), carol_config()) {
    second->bind("bob", world.peer.uri());
    if (world.stage.transport == sip::Transport::Tcp) second.listen_streams();
  }

  static Stage outbound_stage() {
    Stage stage;
    stage.server.outbound = true;
    stage.expires = seconds(3600);
    return stage;
  }
  static Stage tcp_stage() {
    Stage stage = outbound_stage();
    stage.transport = sip::Transport::Tcp;
    return stage;
  }

  IpAddress second_address() const { return world.address(8); }
  std::string proxy(const IpAddress& address) const {
    return "sip:" + address.to_uri_host() +
           (world.stage.transport == sip::Transport::Tcp ? ";transport=tcp" : "");
  }
  AccountConfig account_config() const {
    AccountConfig config = world.account_config();
    config.registrar = "sip:example.org";
    config.outbound_proxy = proxy(world.server_address());
    config.further_outbound_proxies = {proxy(second_address())};
    return config;
  }
  void kill_first(bool dead = true) { world.server_host.down_link(2).black_hole = dead; }
  void kill_second(bool dead = true) { second_host.down_link(second_link).black_hole = dead; }

  bool flow_alive(std::uint32_t reg_id) const {
    bool alive = false;
    for (const auto& event : world.phone.all<FlowChanged>()) {
      EXPECT_EQ(event.account, world.account);
      if (event.reg_id == reg_id) alive = event.alive;
    }
    return alive;
  }
  bool registered() const {
    return world.phone.registration(world.account) == RegistrationState::Registered;
  }
  void register_phone() {
    world.run_for(milliseconds(10));
    world.account = *world.phone.add_account(account_config());
    ASSERT_TRUE(world.run_until([&] { return flow_alive(1) && flow_alive(2); }, seconds(5)));
    EXPECT_TRUE(registered());
  }
  std::vector<testing::ServerBinding> at_first() {
    return world.server->bindings("alice", world.now());
  }
  std::vector<testing::ServerBinding> at_second() { return second->bindings("alice", world.now()); }
  std::size_t told(RegistrationState state) const {
    const auto all = world.phone.all<RegistrationChanged>();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& e) { return e.state == state; }));
  }
  void expect_call_by_second() {
    const std::size_t before = world.phone.all<IncomingCall>().size();
    carol.call("sip:alice@example.org");
    world.run_for(seconds(1));
    ASSERT_EQ(world.phone.all<IncomingCall>().size(), before + 1);
    EXPECT_EQ(world.phone.all<IncomingCall>().back().account, world.account);
    ASSERT_TRUE(world.phone.answer(world.phone.all<IncomingCall>().back().call));
    ASSERT_TRUE(world.run_until([&] { return carol.state() == MockPeer::CallState::Confirmed; },
                                seconds(3)));
    carol.bye();
    world.run_for(seconds(2));
  }

  World world;
  testing::Host& second_host;
  std::uint32_t second_link;
  testing::SimulatedServer second;
  testing::Host& carol_host;
  std::uint32_t carol_link;
  MockPeer carol;

 private:
  testing::Host& prepared(testing::Host& host, std::uint32_t link, const IpAddress& address) {
    host.add_address(link, address);
    host.add_default_route(world.stage.family, link, 100);
    return host;
  }
  MiniServerConfig config() const {
    MiniServerConfig result = world.stage.server;
    result.locals = {{second_address(), 5060}};
    result.domains.push_back("example.org");
    if (world.stage.digest) {
      result.users = {{"alice", "wonderland"}, {"bob", "builder"}, {"carol", "lewis"}};
    }
    return result;
  }
  MockPeerConfig carol_config() const {
    MockPeerConfig result = world.stage.peer;
    result.user = "carol";
    result.local = {world.address(6), 5060};
    result.server = {second_address(), 5060};
    return result;
  }
};

std::string reg_id_of(const SipText& message) {
  return testing::parameter(message.first("Contact"), "reg-id").value_or("");
}

TEST(OutboundScenario, RegistersOverEachEdgeProxyWithItsOwnRegId) {
  TwoEdges edges;
  edges.register_phone();
  ASSERT_EQ(edges.at_first().size(), 1U);
  ASSERT_EQ(edges.at_second().size(), 1U);
  const std::string one = edges.at_first()[0].instance;
  const std::string two = edges.at_second()[0].instance;
  EXPECT_TRUE(one.ends_with("#1")) << one;
  EXPECT_TRUE(two.ends_with("#2")) << two;
  EXPECT_EQ(one.substr(0, one.size() - 1), two.substr(0, two.size() - 1)) << "one instance";
  EXPECT_EQ(edges.told(RegistrationState::Registered), 1U);
  EXPECT_EQ(edges.told(RegistrationState::Registering), 1U);
  edges.expect_call_by_second();
}

TEST(OutboundScenario, OverTcpEachFlowIsAConnection) {
  TwoEdges edges(TwoEdges::tcp_stage());
  edges.register_phone();
  EXPECT_EQ(edges.world.phone.streams(), 2U);
  edges.expect_call_by_second();
  const TimePoint closed = edges.world.now();
  edges.second.close_streams();
  edges.world.run_for(seconds(5));
  EXPECT_TRUE(edges.flow_alive(2));
  EXPECT_EQ(edges.world.phone.all<FlowChanged>().size(), 4U) << "lost, and formed anew";
  const auto registers = edges.world.sent_sip("REGISTER", closed);
  ASSERT_EQ(registers.size(), 1U);
  EXPECT_EQ(reg_id_of(registers[0].message), "2");
  EXPECT_EQ(edges.told(RegistrationState::Registered), 1U);
  edges.expect_call_by_second();
}

TEST(OutboundScenario, WithOneFlowDeadTheAccountStaysRegisteredAndTheFlowComesBack) {
  TwoEdges edges;
  edges.register_phone();
  edges.world.run_for(seconds(60));  // The server has answered keep-alives.
  const TimePoint killed = edges.world.now();
  edges.kill_first();
  ASSERT_TRUE(edges.world.run_until([&] { return !edges.flow_alive(1); }, seconds(80)));
  EXPECT_TRUE(edges.flow_alive(2));
  EXPECT_FALSE(edges.world.phone.last<FlowChanged>()->reason.empty());
  edges.world.run_for(seconds(40));
  EXPECT_EQ(edges.told(RegistrationState::Failed), 0U);
  EXPECT_TRUE(edges.registered());

  // Calls leave by the other one, at once.
  ASSERT_TRUE(edges.world.phone.call(edges.world.account, "bob"));
  ASSERT_TRUE(edges.world.run_until([&] { return edges.world.confirmed(); }, seconds(1)));
  ASSERT_TRUE(edges.world.phone.hang_up(edges.world.call_id()));
  edges.expect_call_by_second();

  // RFC 5626 §4.5: 90 s doubled with each failure while another flow lives.
  edges.world.run_for(seconds(600));
  std::size_t tries = 0;
  std::string last;
  for (const auto& sent : edges.world.sent_sip("REGISTER", killed)) {
    const std::string cseq = sent.message.first("CSeq") + reg_id_of(sent.message);
    if (reg_id_of(sent.message) == "1" && cseq != last) ++tries;
    if (reg_id_of(sent.message) == "1") last = cseq;
  }
  EXPECT_GE(tries, 2U);
  EXPECT_LE(tries, 6U);
  edges.kill_first(false);
  ASSERT_TRUE(edges.world.run_until([&] { return edges.flow_alive(1); }, seconds(1'800)));
  EXPECT_EQ(edges.told(RegistrationState::Registered), 1U) << "for the application nothing changed";
}

TEST(OutboundScenario, WithAllFlowsDeadTheAccountHasFailedUntilOneReturns) {
  TwoEdges edges;
  edges.register_phone();
  edges.world.run_for(seconds(60));
  edges.kill_first();
  edges.kill_second();
  ASSERT_TRUE(edges.world.run_until(
      [&] { return edges.told(RegistrationState::Failed) > 0 && !edges.flow_alive(2); },
      seconds(140)));
  EXPECT_FALSE(edges.flow_alive(1));
  edges.kill_second(false);
  ASSERT_TRUE(edges.world.run_until([&] { return edges.registered(); }, seconds(200)));
  EXPECT_TRUE(edges.flow_alive(2));
  EXPECT_FALSE(edges.flow_alive(1));
}

TEST(OutboundScenario, ACallThatTheFirstProxyDoesNotTakeGoesByTheSecond) {
  for (const bool refused : {false, true}) {
    TwoEdges edges;
    edges.register_phone();
    if (refused) {
      edges.world.server->misbehave({.method = "INVITE", .status = 503});
    } else {
      edges.kill_first();
    }
    const TimePoint start = edges.world.now();
    ASSERT_TRUE(edges.world.phone.call(edges.world.account, "bob"));
    ASSERT_TRUE(edges.world.run_until([&] { return edges.world.confirmed(); }, seconds(10)));
    EXPECT_LT(edges.world.now() - start, refused ? seconds(1) : seconds(5));
    EXPECT_TRUE(edges.registered());
    // A 503 is that call's; the flow has answered a REGISTER since.
    edges.world.run_for(seconds(1));
    EXPECT_EQ(edges.flow_alive(1), refused);
  }
}

TEST(OutboundScenario, AnAddressChangeRegistersEveryFlowInTheSameTick) {
  for (const auto& stage : {TwoEdges::outbound_stage(), TwoEdges::tcp_stage()}) {
    TwoEdges edges(stage);
    edges.register_phone();
    const TimePoint moved = edges.world.now();
    edges.world.move_to_lte();
    ASSERT_TRUE(edges.world.run_until(
        [&] { return edges.world.settled() && !edges.world.phone.reports().empty(); }, seconds(5)));
    const auto registers = edges.world.sent_sip("REGISTER", moved);
    ASSERT_EQ(registers.size(), 2U);
    EXPECT_NE(reg_id_of(registers[0].message), reg_id_of(registers[1].message));
    EXPECT_EQ(registers[0].at, registers[1].at);
    ASSERT_EQ(edges.at_first().size(), 1U);
    ASSERT_EQ(edges.at_second().size(), 1U);
    EXPECT_EQ(edges.at_first()[0].source.address, edges.world.lte_address());
    EXPECT_EQ(edges.at_second()[0].source.address, edges.world.lte_address());
    const IpChangeReport report = edges.world.phone.reports().back();
    std::vector<std::uint32_t> updated;
    for (const IpChangeStep& step : report.steps) {
      if (step.kind != StepKind::ContactUpdated) continue;
      EXPECT_EQ(step.account, edges.world.account);
      EXPECT_TRUE(step.ok);
      updated.push_back(step.reg_id);
    }
    std::sort(updated.begin(), updated.end());
    EXPECT_EQ(updated, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_NE(report.decision.find("account 1 flow 2"), std::string::npos) << report.decision;
    EXPECT_TRUE(edges.flow_alive(1));
    edges.expect_call_by_second();
  }
}

TEST(OutboundScenario, AnAddressChangeWhileOneFlowIsDeadMovesTheOther) {
  TwoEdges edges;
  edges.register_phone();
  edges.world.run_for(seconds(60));
  edges.kill_first();
  ASSERT_TRUE(edges.world.run_until([&] { return !edges.flow_alive(1); }, seconds(80)));
  edges.world.move_to_lte();
  edges.world.run_for(seconds(3));
  ASSERT_EQ(edges.at_second().size(), 1U);
  EXPECT_EQ(edges.at_second()[0].source.address, edges.world.lte_address());
  EXPECT_TRUE(edges.registered());
  edges.expect_call_by_second();
  ASSERT_TRUE(edges.world.run_until([&] { return edges.world.settled(); }, seconds(40)));
}

TEST(OutboundScenario, ARegistrarWithoutOutboundGetsOneRegistration) {
  Stage stage = TwoEdges::outbound_stage();
  stage.server.outbound = false;
  stage.expires = seconds(60);
  TwoEdges edges(stage);
  edges.world.run_for(milliseconds(10));
  edges.world.account = *edges.world.phone.add_account(edges.account_config());
  ASSERT_TRUE(edges.world.run_until([&] { return edges.registered(); }, seconds(5)));
  edges.world.run_for(seconds(100));
  EXPECT_EQ(edges.at_first().size() + edges.at_second().size(), 1U);
  EXPECT_TRUE(edges.registered());
  const bool at_first = !edges.at_first().empty();
  at_first ? edges.kill_first() : edges.kill_second();
  ASSERT_TRUE(edges.world.run_until(
      [&] { return (at_first ? edges.at_second() : edges.at_first()).size() == 1; }, seconds(200)));
  edges.world.run_for(seconds(2));
  EXPECT_TRUE(edges.registered());
}

TEST(OutboundScenario, UnregisteringAndRemovingTakeAllFlowsAlong) {
  TwoEdges edges;
  edges.register_phone();
  ASSERT_TRUE(edges.world.phone.unregister_account(edges.world.account));
  edges.world.run_for(seconds(2));
  EXPECT_EQ(edges.at_first().size() + edges.at_second().size(), 0U);
  EXPECT_EQ(edges.world.phone.registration(edges.world.account), RegistrationState::Unregistered);
  for (const auto& event : edges.world.phone.all<FlowChanged>()) {
    EXPECT_TRUE(event.alive) << "no flow has failed: " << event.reason;
  }
  ASSERT_TRUE(edges.world.phone.register_account(edges.world.account));
  edges.world.run_for(seconds(2));
  EXPECT_EQ(edges.at_first().size() + edges.at_second().size(), 2U);
  ASSERT_TRUE(edges.world.phone.remove_account(edges.world.account));
  edges.world.run_for(seconds(2));
  EXPECT_EQ(edges.at_first().size() + edges.at_second().size(), 0U);
  EXPECT_FALSE(edges.world.phone.call(edges.world.account, "bob"));
  EXPECT_TRUE(edges.world.phone.idle());
}

TEST(OutboundScenario, WhatCannotBeSeveralFlowsIsRefusedByName) {
  TwoEdges edges;
  const auto refused = [&](auto change, const std::string& why) {
    AccountConfig config = edges.account_config();
    change(config);
    const auto added = edges.world.phone.add_account(config);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
    EXPECT_NE(added.error().detail.find(why), std::string::npos) << added.error().detail;
  };
  refused([](AccountConfig& c) { c.outbound = OutboundMode::Off; }, "Outbound");
  refused([](AccountConfig& c) { c.outbound_proxy.clear(); }, "no first one");
  refused([](AccountConfig& c) { c.further_outbound_proxies = {c.outbound_proxy}; }, "twice");
  refused([](AccountConfig& c) { c.further_outbound_proxies.push_back("sip:"); }, "proxy");
  refused([](AccountConfig& c) { c.further_outbound_proxies.resize(4, "sip:192.0.2.1"); },
          "more than 3");
  EXPECT_EQ(edges.world.phone.all<RegistrationChanged>().size(), 0U);
}

// The edge proxy of a call dies: the call goes on in a new dialog over the other one.
TEST(OutboundScenario, ACallOfADeadEdgeProxyGoesOverToTheOther) {
  Stage stage = TwoEdges::tcp_stage();
  TwoEdges edges(stage);
  edges.register_phone();
  ASSERT_TRUE(edges.world.phone.call(edges.world.account, "bob"));
  ASSERT_TRUE(edges.world.run_until([&] { return edges.world.confirmed(); }, seconds(5)));
  edges.world.run_for(milliseconds(500));
  const TimePoint died = edges.world.now();
  edges.world.server.stop_listening_streams();
  edges.world.server.close_streams();
  edges.world.run_for(seconds(8));
  ASSERT_TRUE(edges.world.confirmed());
  EXPECT_TRUE(edges.registered());
  std::size_t replacing = 0;
  for (const auto& sent : edges.world.sent_sip("INVITE", died)) {
    replacing += sent.message.has("Replaces") ? 1 : 0;
  }
  EXPECT_EQ(replacing, 1U);
  edges.world.expect_audio(edges.world.wifi_address());
  edges.world.peer.bye();
  EXPECT_TRUE(edges.world.run_until(
      [&] { return edges.world.phone.ended(edges.world.call_id()).has_value(); }, seconds(3)));
}

}  // namespace
}  // namespace godwit::scenario
