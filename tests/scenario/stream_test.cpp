// SPDX-License-Identifier: Apache-2.0
// SIP over TCP and TLS: the ordinary life, address changes, connections that end, and peers that
// misuse them.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

using sip::Transport;

struct StreamCase {
  Transport transport = Transport::Tcp;
  Family family = Family::V4;
};

std::string name_of(const ::testing::TestParamInfo<StreamCase>& info) {
  return std::string(sip::to_string(info.param.transport)) +
         (info.param.family == Family::V4 ? "v4" : "v6");
}

Stage stage_of(const StreamCase& chosen) {
  Stage stage;
  stage.transport = chosen.transport;
  stage.family = chosen.family;
  return stage;
}

Stage tcp() { return stage_of({}); }

class OverStreams : public ::testing::TestWithParam<StreamCase> {};

TEST_P(OverStreams, RegistersCallsAndIsCalledOnOneConnection) {
  World world(stage_of(GetParam()));
  world.call_peer();
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.server.accepted_streams(), 1U);
  EXPECT_EQ(world.phone.streams(), 1U);
  const auto registers = world.sent_sip("REGISTER");
  EXPECT_EQ(registers.size(), 2U) << "a challenge, and nothing is sent twice";
  const std::string name = sip::to_string(GetParam().transport);
  EXPECT_NE(registers[0].message.first("Via").find("SIP/2.0/" + name + " "), std::string::npos);
  EXPECT_NE(registers[0].message.first("Contact").find(
                GetParam().transport == Transport::Tls ? ";transport=tls" : ";transport=tcp"),
            std::string::npos);
  EXPECT_EQ(world.sent_sip("INVITE").size(), 1U);
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
  EXPECT_EQ(world.sent_sip("BYE").size(), 1U);

  world.phone.answer_calls(milliseconds(200));
  world.peer.call("sip:alice@example.org");
  ASSERT_TRUE(world.run_until(
      [&] { return world.confirmed() && world.peer.state() == MockPeer::CallState::Confirmed; },
      seconds(10)));
  world.run_for(milliseconds(500));
  world.expect_audio(world.wifi_address());
  EXPECT_EQ(world.server.accepted_streams(), 1U);
  world.phone.shut_down();
  world.run_for(seconds(5));
  EXPECT_TRUE(world.phone.idle());
  EXPECT_TRUE(world.server.contacts("alice").empty());
}

TEST_P(OverStreams, ACallMovesWithItsConnection) {
  World world(stage_of(GetParam()));
  world.call_peer();
  const TimePoint changed = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1; }, seconds(10)));
  world.expect_audio(world.lte_address());
  // The new connection is asked for in the tick of the change; what follows waits only for its
  // handshake: one round trip, with TLS two.
  const Duration handshake = world.stage.rtt * (GetParam().transport == Transport::Tls ? 2 : 1);
  const auto registers = world.sent_sip("REGISTER", changed);
  const auto invites = world.sent_sip("INVITE", changed);
  ASSERT_EQ(registers.size(), 1U);
  ASSERT_EQ(invites.size(), 1U);
  EXPECT_LE(registers[0].at - changed, handshake + kMachine);
  EXPECT_LE(invites[0].at - changed, handshake + kMachine);
  EXPECT_EQ(registers[0].source.address, world.lte_address());
  EXPECT_EQ(world.server.accepted_streams(), 2U);
  EXPECT_EQ(world.phone.streams(), 1U) << "that of the dead path is closed";
  const IpChangeReport report = world.phone.reports().front();
  for (const StepKind kind : {StepKind::MediaMoved, StepKind::ContactUpdated,
                              StepKind::CallRefreshed, StepKind::CallAudible}) {
    const IpChangeStep* step = find_step(report, kind);
    ASSERT_NE(step, nullptr) << to_string(kind);
    EXPECT_TRUE(step->ok) << to_string(kind);
  }
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
}

TEST_P(OverStreams, ABetterNetworkIsTakenBeforeTheOldOneIsLeft) {
  Stage stage = stage_of(GetParam());
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  world.prefer_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 1; }, seconds(10)));
  world.expect_audio(world.lte_address());
  EXPECT_EQ(world.server.accepted_streams(), 2U);
  world.run_for(seconds(5));
  EXPECT_EQ(world.phone.streams(), 1U) << "the old one is closed when nothing uses it";
  EXPECT_EQ(world.server.open_streams(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Streams, OverStreams,
                         ::testing::Values(StreamCase{Transport::Tcp, Family::V4},
                                           StreamCase{Transport::Tcp, Family::V6},
                                           StreamCase{Transport::Tls, Family::V4},
                                           StreamCase{Transport::Tls, Family::V6}),
                         name_of);

TEST(StreamScenario, LossIsRepairedByTheTransportAlone) {
  Stage stage = tcp();
  stage.loss = 0.1;
  World world(stage);
  world.call_peer();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(30)));
  world.expect_audio(world.lte_address());
}

TEST(StreamScenario, AConnectionThatThePeerClosesIsReplacedAndTheCallStays) {
  for (const bool silently : {false, true}) {
    World world(tcp());
    world.call_peer();
    const TimePoint closed = world.now();
    if (silently) {
      // Nobody tells the phone: its next request is answered by a reset.
      world.server.lose_streams();
      ASSERT_TRUE(world.phone.hold(world.call_id()));
    } else {
      world.server.close_streams();
    }
    ASSERT_TRUE(world.run_until([&] { return world.server.accepted_streams() == 2; }, seconds(5)));
    world.run_for(seconds(2));
    EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
    EXPECT_EQ(world.sent_sip("REGISTER", closed).size(), 1U);
    ASSERT_EQ(world.server.contacts("alice").size(), 1U) << "the old binding is taken out";
    EXPECT_TRUE(world.confirmed());
    ASSERT_TRUE(world.phone.hang_up(world.call_id()));
    world.run_for(seconds(2));
    EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
    EXPECT_EQ(world.server.accepted_streams(), 2U) << "one for both";
  }
}

TEST(StreamScenario, AServerThatClosesEveryConnectionIsNotAskedForEver) {
  World world(tcp());
  world.register_phone();
  const auto before = world.server.accepted_streams();
  for (int i = 0; i < 600; ++i) {
    world.run_for(milliseconds(100));
    world.server.close_streams();
  }
  EXPECT_GE(world.server.accepted_streams() - before, 2U);
  EXPECT_LE(world.server.accepted_streams() - before, 40U) << "in a minute";
}

TEST(StreamScenario, ARefusedConnectionIsTriedAgainAndSaidSo) {
  World world(tcp());
  world.server.stop_listening_streams();
  const auto added = world.phone.add_account(world.account_config());
  ASSERT_TRUE(added);
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.registration(*added), RegistrationState::Failed);
  ASSERT_TRUE(world.phone.last<Warning>());
  EXPECT_NE(world.phone.last<Warning>()->text.find("connection refused"), std::string::npos);
  const auto placed = world.phone.call(*added, "sip:bob@example.org");
  ASSERT_TRUE(placed);
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.ended(*placed));
  EXPECT_NE(world.phone.ended(*placed)->reason.find("connection refused"), std::string::npos);
  world.server.listen_streams();
  ASSERT_TRUE(world.run_until(
      [&] { return world.phone.registration(*added) == RegistrationState::Registered; },
      seconds(70)));
}

TEST(StreamScenario, ACertificateForAnotherNameStopsTheConnection) {
  Stage stage = stage_of({Transport::Tls, Family::V4});
  World world(stage);
  world.server.stop_listening_streams();
  world.server.listen_streams("evil.example.net");
  const auto added = world.phone.add_account(world.account_config());
  ASSERT_TRUE(added);
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.registration(*added), RegistrationState::Failed);
  EXPECT_TRUE(world.sent_sip("REGISTER").empty());
  ASSERT_TRUE(world.phone.last<Warning>());
  EXPECT_NE(world.phone.last<Warning>()->text.find("evil.example.net"), std::string::npos);
}

TEST(StreamScenario, TheNameOfTheServerIsVerifiedAgainAfterAChange) {
  World world(stage_of({Transport::Tls, Family::V4}));
  world.network.set_name("sip.example.org", {world.server_address()});
  world.server.stop_listening_streams();
  world.server.listen_streams("sip.example.org");
  AccountConfig config = world.account_config();
  config.registrar = "sip:sip.example.org;transport=tls";
  const auto added = world.phone.add_account(config);
  ASSERT_TRUE(added);
  world.run_for(seconds(2));
  ASSERT_EQ(world.phone.registration(*added), RegistrationState::Registered);
  ASSERT_TRUE(world.phone.call(*added, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(seconds(1));
  // Whoever answers at that address now has another certificate: neither the registration nor the
  // call may go there.
  world.server.stop_listening_streams();
  world.server.listen_streams("evil.example.net");
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(5));
  EXPECT_TRUE(world.sent_sip("", changed).empty());
  world.server.stop_listening_streams();
  world.server.listen_streams("sip.example.org");
  world.run_for(seconds(70));
  EXPECT_EQ(world.phone.registration(*added), RegistrationState::Registered);
}

TEST(StreamScenario, AServerThatNeverAnswersEndsTheCallByItsDeadline) {
  Stage stage = tcp();
  stage.recovery_deadline = seconds(20);
  World world(stage);
  world.call_peer();
  world.phone_host.up_link(world.lte).black_hole = true;
  world.move_to_lte();
  world.run_for(seconds(30));
  ASSERT_TRUE(world.phone.ended(world.call_id()));
  EXPECT_TRUE(world.settled());
}

TEST(StreamScenario, PongsThatStayAwayEndTheConnection) {
  World world(tcp());
  world.register_phone();
  world.run_for(seconds(150));
  EXPECT_EQ(world.server.accepted_streams(), 1U);
  world.server.answer_pings(false);
  // The connection looks well, but whatever answered the pings is not there any more.
  ASSERT_TRUE(world.run_until([&] { return world.server.accepted_streams() == 2; }, seconds(140)));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
}

TEST(StreamScenario, RubbishOnAConnectionCostsThatConnectionOnly) {
  World world(tcp());
  world.call_peer();
  world.server.send_raw(
      "OPTIONS sip:alice@example.org SIP/2.0\r\nContent-Length: 99999999\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return world.server.accepted_streams() == 2; }, seconds(5)));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  // Half a message: the same, after a while.
  world.server.send_raw("OPTIONS sip:alice@example.org SIP/2.0\r\nVia:");
  world.run_for(seconds(9));
  EXPECT_EQ(world.server.accepted_streams(), 2U);
  ASSERT_TRUE(world.run_until([&] { return world.server.accepted_streams() == 3; }, seconds(3)));
  EXPECT_TRUE(world.confirmed());
}

TEST(StreamScenario, ALargeRequestTakesTcpWhereTheServerHasItAndUdpElsewhere) {
  for (const bool has_tcp : {true, false}) {
    World world;
    if (has_tcp) world.server.listen_streams();
    world.register_phone();
    const auto before = world.server.stream_messages();
    ASSERT_TRUE(world.phone.call(world.account, "sip:" + std::string(900, 'b') + "@example.org"));
    world.run_for(seconds(3));
    const auto invites = world.sent_sip("INVITE");
    ASSERT_FALSE(invites.empty());
    const std::string name = has_tcp ? "SIP/2.0/TCP " : "SIP/2.0/UDP ";
    EXPECT_NE(invites.back().message.first("Via").find(name), std::string::npos);
    EXPECT_EQ(world.server.stream_messages() > before, has_tcp);
    ASSERT_TRUE(world.phone.ended(world.call_id())) << "404";
    EXPECT_EQ(world.phone.ended(world.call_id())->status, 404);
    for (const Warning& warning : world.phone.all<Warning>()) ADD_FAILURE() << warning.text;
  }
}

TEST(StreamScenario, WhereTcpIsSwallowedALargeRequestIsTwoSecondsLate) {
  World world;
  world.network.add_filter([](const SimulatedPacket& packet) -> std::optional<Duration> {
    if (packet.segment) return std::nullopt;
    return Duration::zero();
  });
  world.register_phone();
  const TimePoint placed = world.now();
  ASSERT_TRUE(world.phone.call(world.account, "sip:" + std::string(900, 'b') + "@example.org"));
  world.run_for(seconds(4));
  ASSERT_FALSE(world.sent_sip("INVITE").empty());
  EXPECT_GE(world.sent_sip("INVITE")[0].at - placed, seconds(2));
  EXPECT_EQ(world.phone.ended(world.call_id())->status, 404);
}

TEST(StreamScenario, ARecoveryDoesNotWaitForTcpThatTheServerHasRefused) {
  Stage stage;
  stage.ua.user_agent = std::string(600, 'x');
  World world(stage);
  world.call_peer();  // Its INVITE is large, too.
  world.run_for(seconds(30));
  const TimePoint moved = world.now();
  world.move_to_lte();
  world.run_for(seconds(2));
  const auto invites = world.sent_sip("INVITE", moved);
  ASSERT_FALSE(invites.empty());
  EXPECT_NE(invites[0].message.first("Via").find("SIP/2.0/UDP "), std::string::npos);
  EXPECT_LE(invites[0].at - moved, milliseconds(10)) << "with the REGISTER";
  EXPECT_GT(invites[0].message.to_string().size(), 1'300U);
}

/// A stranger who connects to the phone's own listener.
class StreamListener : public ::testing::Test {
 protected:
  static Stage listening() {
    Stage stage = tcp();
    stage.ua.listen_tcp = 5070;
    return stage;
  }
  StreamListener() : world_(listening()) {
    world_.register_phone();
    world_.run_for(seconds(1));
  }

  struct Client {
    testing::StreamId id;
    std::string received;
    bool open = false;
    bool closed = false;
  };
  std::shared_ptr<Client> connect() {
    auto client = std::make_shared<Client>();
    testing::StreamClient to;
    to.local = world_.peer_address();
    to.remote = {world_.wifi_address(), 5070};
    testing::StreamHandlers handlers;
    handlers.opened = [client](const Endpoint&, const std::string&, bool) { client->open = true; };
    handlers.data = [client](const std::string& bytes) { client->received += bytes; };
    handlers.closed = [client](const std::string&) { client->closed = true; };
    client->id = *world_.peer_host.streams().connect(to, std::move(handlers));
    return client;
  }
  void send(const std::shared_ptr<Client>& client, const std::string& bytes) {
    world_.peer_host.streams().send(client->id, bytes);
  }
  static std::string options() {
    return "OPTIONS sip:alice@10.1.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.7.0.2;branch=z9hG4bKx\r\n"
           "From: <sip:eve@example.net>;tag=e\r\nTo: <sip:alice@example.org>\r\nCall-ID: e\r\n"
           "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
  }

  World world_;
};

TEST_F(StreamListener, AnswersOnTheConnectionAndPings) {
  const auto client = connect();
  send(client, options() + "\r\n\r\n");
  world_.run_for(seconds(1));
  EXPECT_NE(client->received.find("SIP/2.0 200 OK"), std::string::npos);
  // The pong may overtake the answer, which leaves at the end of the input.
  EXPECT_TRUE(client->received.starts_with("\r\nSIP/2.0 ") ||
              client->received.ends_with("\r\n\r\n\r\n"))
      << client->received;
  // Where there is a listener, the Contact names it.
  EXPECT_NE(world_.server.contacts("alice")[0].find(":5070;transport=tcp"), std::string::npos);
}

TEST_F(StreamListener, BoundsItsConnectionsAndWhatEachMayCost) {
  std::vector<std::shared_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(connect());
  world_.run_for(seconds(1));
  std::size_t refused = 0;
  for (const auto& client : clients) refused += client->closed ? 1U : 0U;
  EXPECT_EQ(refused, 4U) << "sixteen of one address";
  send(clients[0], "INVITE sip:alice@10.1.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.7.0.2;bra");
  send(clients[1], options());
  send(clients[2], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world_.run_for(seconds(2));
  EXPECT_TRUE(clients[2]->closed) << "no SIP";
  EXPECT_FALSE(clients[0]->closed);
  world_.run_for(seconds(10));
  EXPECT_TRUE(clients[0]->closed) << "a half message";
  EXPECT_TRUE(clients[3]->closed) << "none at all";
  EXPECT_FALSE(clients[1]->closed);
  world_.run_for(seconds(121));
  EXPECT_TRUE(clients[1]->closed) << "idle";
  EXPECT_EQ(world_.phone.streams(), 1U);
  EXPECT_EQ(world_.phone.registration(world_.account), RegistrationState::Registered);
}

TEST_F(StreamListener, RestartsAlone) {
  world_.phone.play_to_all(440);
  ASSERT_TRUE(world_.phone.call(world_.account, "sip:bob@example.org"));
  ASSERT_TRUE(world_.run_until([&] { return world_.confirmed(); }, seconds(5)));
  const auto before = world_.server.accepted_streams();
  const auto client = connect();
  send(client, options());
  world_.run_for(seconds(1));
  ASSERT_TRUE(world_.phone.restart_listener(TransportChoice::Tcp));
  world_.run_for(seconds(1));
  ASSERT_EQ(world_.phone.stream_listeners().size(), 1U);
  EXPECT_EQ(world_.phone.stream_listeners()[0].port, 5070);
  EXPECT_FALSE(client->closed);
  EXPECT_TRUE(world_.confirmed());
  EXPECT_EQ(world_.server.accepted_streams(), before);
  const auto next = connect();
  send(next, options());
  world_.run_for(seconds(1));
  EXPECT_FALSE(next->received.empty());
  EXPECT_FALSE(world_.phone.restart_listener(TransportChoice::Tls)) << "there is none";
  EXPECT_FALSE(world_.phone.restart_listener(TransportChoice::Auto));
  ASSERT_TRUE(world_.phone.restart_listener(TransportChoice::Udp));
  world_.run_for(seconds(2));
  EXPECT_TRUE(world_.confirmed());
  EXPECT_EQ(world_.phone.listeners(), 1U);
}

TEST(StreamScenario, AUdpListenerRestartsUnderACall) {
  Stage stage;
  stage.ua.sip_port = 5060;
  World world(stage);
  world.call_peer();
  ASSERT_TRUE(world.phone.restart_listener(TransportChoice::Udp));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(":5060"), std::string::npos) << "same port";
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
}

TEST(StreamScenario, AMultipathConnectionOutlivesTheAddress) {
  Stage stage = tcp();
  stage.multipath = true;
  World world(stage);
  world.call_peer();
  const TimePoint changed = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.expect_audio(world.lte_address());
  EXPECT_EQ(world.server.accepted_streams(), 1U) << "the signalling connection stays up";
  // Contact and media move as ever.
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
  const auto registers = world.sent_sip("REGISTER", changed);
  ASSERT_EQ(registers.size(), 1U);
  EXPECT_LE(registers[0].at - changed, kMachine) << "no handshake to wait for";
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
}

TEST(StreamScenario, AMultipathConnectionWithoutAnotherPathIsReplacedAtOnce) {
  Stage stage = tcp();
  stage.multipath = true;
  World world(stage);
  world.call_peer();
  world.phone.command([&](ua::Core& core, TimePoint) {
    for (std::uint32_t id = 1; id < 100; ++id) core.on_stream_paths(ua::ListenerId(id), false);
  });
  const TimePoint changed = world.now();
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return !world.phone.reports().empty(); }, seconds(10)));
  EXPECT_EQ(world.server.accepted_streams(), 2U);
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  const auto registers = world.sent_sip("REGISTER", changed);
  ASSERT_EQ(registers.size(), 1U);
  EXPECT_LE(registers[0].at - changed, stage.rtt + milliseconds(10) + kMachine)
      << "after one handshake";
}

TEST(StreamScenario, AMultipathConnectionThatIsNotHeardOfIsReplacedAndTheCallMoves) {
  Stage stage = tcp();
  stage.multipath = true;
  World world(stage);
  world.call_peer();
  // As if no other path carried it: nobody hears what the phone says first.
  for (const char* method : {"REGISTER", "INVITE", "ACK"}) {
    Misbehaviour lost;
    lost.kind = Misbehaviour::Kind::Ignore;
    lost.method = method;
    world.server->misbehave(lost);
  }
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() >= 2; }, seconds(10)));
  EXPECT_TRUE(world.phone.reports().front().superseded);
  EXPECT_EQ(world.server.accepted_streams(), 2U);
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(2));
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
}

TEST_F(StreamListener, AQuietConnectionGivesItsPlaceToANewOne) {
  std::vector<std::shared_ptr<Client>> clients;
  for (int i = 0; i < 16; ++i) {
    clients.push_back(connect());
    send(clients.back(), options());
    world_.run_for(milliseconds(100));
  }
  const auto too_soon = connect();
  world_.run_for(seconds(5));
  EXPECT_TRUE(too_soon->closed) << "all of them may still have something to say";
  send(clients[0], options());
  send(clients[2], "INVITE sip:alice@10.1.0.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.7.0.2;bra");
  world_.run_for(seconds(7));
  const auto next = connect();
  send(next, options());
  world_.run_for(seconds(1));
  EXPECT_FALSE(next->closed);
  EXPECT_NE(next->received.find("SIP/2.0 200 OK"), std::string::npos);
  EXPECT_FALSE(clients[0]->closed) << "heard of lately";
  EXPECT_TRUE(clients[1]->closed) << "the quietest";
  for (std::size_t i = 2; i < 16; ++i) EXPECT_FALSE(clients[i]->closed) << i;
}

}  // namespace
}  // namespace godwit::scenario
