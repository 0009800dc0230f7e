// SPDX-License-Identifier: Apache-2.0
// Sockets beyond what the paths ask for: listeners restarted at a forced change and opened by hand,
// none at all, and connections shut down though they live.
#include "world.hpp"

namespace godwit::scenario {
namespace {

constexpr std::uint16_t kUdpPort = 5062;
constexpr std::uint16_t kTcpPort = 5070;

Stage listening() {
  Stage stage;
  stage.ua.sip_port = kUdpPort;
  stage.ua.listen_tcp = kTcpPort;
  return stage;
}

Stage over_tcp() {
  Stage stage;
  stage.transport = sip::Transport::Tcp;
  return stage;
}

std::vector<IpChangeStep> steps(const IpChangeReport& report, StepKind kind) {
  std::vector<IpChangeStep> found;
  for (const IpChangeStep& step : report.steps) {
    if (step.kind == kind) found.push_back(step);
  }
  return found;
}

IpChangeOptions restart() {
  IpChangeOptions options;
  options.restart_listeners = true;
  return options;
}

/// Another program on the phone takes the port until it gives it back.
testing::SocketId take_port(World& world, std::uint16_t port) {
  const auto taken =
      world.phone_host.bind({world.wifi_address(), port}, world.wifi,
                            [](testing::SocketId, const Endpoint&, const std::string&) {});
  EXPECT_TRUE(taken) << (taken ? "" : taken.error().detail);
  return taken.value_or(testing::SocketId{});
}

void expect_all_well(World& world) {
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  world.expect_audio(world.wifi_address());
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
}

TEST(RestartListeners, OneByOneOnTheirPortsUnderACall) {
  World world(listening());
  world.call_peer();
  ASSERT_TRUE(world.phone.handle_ip_change(restart()));
  EXPECT_EQ(world.phone.listeners() + world.phone.stream_listeners().size(), 1U)
      << "the other one listens while this one is restarted";
  expect_all_well(world);
  ASSERT_EQ(world.phone.reports().size(), 1U);
  const auto opened = steps(world.phone.reports()[0], StepKind::ListenerOpened);
  ASSERT_EQ(opened.size(), 2U);
  for (const IpChangeStep& step : opened) {
    EXPECT_TRUE(step.ok);
    EXPECT_TRUE(step.detail.ends_with(":5062") || step.detail.ends_with(":5070")) << step.detail;
  }
  EXPECT_NE(world.server.contacts("alice")[0].find(":5062"), std::string::npos);
  EXPECT_EQ(world.phone.stream_listeners().at(0).port, kTcpPort);
  EXPECT_EQ(world.phone.reports()[0].calls.at(0).survived, true);
}

TEST(RestartListeners, OffByDefault) {
  World world(listening());
  world.call_peer();
  ASSERT_TRUE(world.phone.handle_ip_change());
  expect_all_well(world);
  EXPECT_TRUE(steps(world.phone.reports().at(0), StepKind::ListenerOpened).empty());
}

TEST(RestartListeners, APortThatIsNotFreeYetIsTriedAgain) {
  World world(listening());
  world.call_peer();
  ASSERT_TRUE(world.phone.handle_ip_change(restart()));
  const auto other = take_port(world, kUdpPort);
  world.run_for(milliseconds(25));
  world.phone_host.close(other);
  expect_all_well(world);
  const auto opened = steps(world.phone.reports().at(0), StepKind::ListenerOpened);
  ASSERT_EQ(opened.size(), 5U) << "three failures, ten milliseconds apart, and both listeners";
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(opened[i].ok);
    EXPECT_NE(opened[i].detail.find("it is tried again"), std::string::npos) << opened[i].detail;
  }
  EXPECT_EQ(*opened[1].ended - *opened[0].ended, milliseconds(10) + world.stage.timing.bind_delay);
  EXPECT_TRUE(opened[3].ok);
  EXPECT_NE(world.server.contacts("alice")[0].find(":5062"), std::string::npos);
  EXPECT_FALSE(world.phone.last<Warning>());
}

TEST(RestartListeners, APortThatStaysTakenIsReplacedAfterTheStatedTries) {
  World world(listening());
  world.call_peer();
  IpChangeOptions options = restart();
  options.restart_delay = milliseconds(100);
  options.restart_attempts = 2;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  take_port(world, kUdpPort);
  expect_all_well(world);
  const auto opened = steps(world.phone.reports().at(0), StepKind::ListenerOpened);
  ASSERT_EQ(opened.size(), 5U) << "three failures, another port, and the other listener";
  EXPECT_FALSE(opened[2].ok);
  EXPECT_GE(*opened[2].ended, milliseconds(200));
  EXPECT_EQ(world.server.contacts("alice")[0].find(":5062"), std::string::npos);
  ASSERT_TRUE(world.phone.last<Warning>());
  EXPECT_NE(world.phone.last<Warning>()->text.find("5062"), std::string::npos);
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended) << "the BYE came through";
}

TEST(RestartListeners, WithoutARetryAnotherPortIsTakenAtOnce) {
  World world(listening());
  world.call_peer();
  IpChangeOptions options = restart();
  options.restart_attempts = 0;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  take_port(world, kUdpPort);
  expect_all_well(world);
  EXPECT_EQ(steps(world.phone.reports().at(0), StepKind::ListenerOpened).size(), 3U);
}

TEST(RestartListeners, ARingingCallIsAnsweredAfterIt) {
  for (const bool port_lost : {false, true}) {
    SCOPED_TRACE(port_lost);
    World world(listening());
    world.peer.script("INVITE", {.delay = seconds(2), .ring = true});
    world.phone.play_to_all(440);
    world.register_phone();
    ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
    world.run_for(milliseconds(500));
    ASSERT_EQ(world.phone.state(world.call_id()), CallState::Ringing);
    ASSERT_TRUE(world.phone.handle_ip_change(restart()));
    if (port_lost) take_port(world, kUdpPort);
    ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(10)));
    world.run_for(milliseconds(500));
    expect_all_well(world);
  }
}

TEST(RestartListeners, ManyRequestsAreTwoRestarts) {
  World world(listening());
  world.call_peer();
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(world.phone.handle_ip_change(restart()));
  expect_all_well(world);
  std::size_t opened = 0;
  for (const auto& report : world.phone.reports()) {
    opened += steps(report, StepKind::ListenerOpened).size();
  }
  // The first is done at once; the others are joined into one change.
  EXPECT_EQ(opened, 4U);
}

TEST(RestartListeners, OneWhoseAddressGoesMeanwhileIsLeft) {
  World world(listening());
  world.call_peer();
  ASSERT_TRUE(world.phone.handle_ip_change(restart()));
  take_port(world, kUdpPort);
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  EXPECT_EQ(world.phone.listeners(), 1U);
}

TEST(RestartListeners, ImpossibleOptionsAreNamed) {
  World world;
  world.register_phone();
  const auto refused = [&](IpChangeOptions options) {
    const auto done = world.phone.handle_ip_change(options);
    EXPECT_FALSE(done);
    if (done) return std::string();
    EXPECT_EQ(done.error().code, ErrorCode::InvalidArgument);
    return done.error().detail.substr(0, done.error().detail.find(':'));
  };
  IpChangeOptions options = restart();
  options.restart_delay = Duration::zero();
  EXPECT_EQ(refused(options), "restart_delay");
  options.restart_delay = milliseconds(1001);
  EXPECT_EQ(refused(options), "restart_delay");
  options = restart();
  options.restart_attempts = 21;
  EXPECT_EQ(refused(options), "restart_attempts");
  options = restart();
  options.force = false;
  EXPECT_EQ(refused(options), "restart_listeners");
  options = {};
  options.force = false;
  options.shut_down_streams = StreamShutdown::All;
  EXPECT_EQ(refused(options), "shut_down_streams");
  EXPECT_TRUE(world.phone.reports().empty());
}

// --- connections ---

TEST(ShutDownStreams, OnlyDeadOnesByDefault) {
  World world(over_tcp());
  world.call_peer();
  ASSERT_TRUE(world.phone.handle_ip_change());
  expect_all_well(world);
  EXPECT_EQ(world.server.accepted_streams(), 1U);
  EXPECT_TRUE(steps(world.phone.reports().at(0), StepKind::StreamShutDown).empty());

  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 2; }, seconds(10)));
  const auto closed = steps(world.phone.reports()[1], StepKind::StreamShutDown);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_TRUE(closed[0].ok);
  EXPECT_TRUE(closed[0].detail.starts_with("TCP " + world.wifi_address().to_string() + ":"))
      << closed[0].detail;
  EXPECT_NE(
      closed[0].detail.find(" to " + world.server_endpoint().to_string() + ": its address is gone"),
      std::string::npos)
      << closed[0].detail;
  world.expect_audio(world.lte_address());
}

TEST(ShutDownStreams, TheRegistrationsOwnAlsoIfShared) {
  Stage stage = over_tcp();
  stage.digest = false;
  World world(stage);
  world.phone.play_to_all(440);
  AccountConfig config = world.account_config();
  config.ip_change.shut_down_streams = StreamShutdown::Registration;
  world.account = *world.phone.add_account(config);
  AccountConfig second = world.account_config();
  second.aor = "sip:carol@example.org";
  const AccountId sharing = *world.phone.add_account(second);
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(5)));
  world.run_for(seconds(1));
  ASSERT_EQ(world.server.accepted_streams(), 1U);
  ASSERT_TRUE(world.phone.handle_ip_change());
  expect_all_well(world);
  EXPECT_EQ(world.server.accepted_streams(), 2U) << "one new connection for both";
  EXPECT_EQ(world.server.open_streams(), 1U);
  EXPECT_EQ(world.phone.registration(sharing), RegistrationState::Registered);
  const auto closed = steps(world.phone.reports().at(0), StepKind::StreamShutDown);
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_TRUE(closed[0].detail.ends_with(": asked for")) << closed[0].detail;
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.state(world.call_id()), CallState::Ended);
}

TEST(ShutDownStreams, AllOfThemThosePeersOpenedToo) {
  Stage stage = over_tcp();
  stage.ua.listen_tcp = kTcpPort;
  World world(stage);
  world.call_peer();
  bool closed = false;
  testing::StreamClient to;
  to.local = world.peer_address();
  to.remote = {world.wifi_address(), kTcpPort};
  testing::StreamHandlers handlers;
  handlers.opened = [](const Endpoint&, const std::string&, bool) {};
  handlers.data = [](const std::string&) {};
  handlers.closed = [&](const std::string&) { closed = true; };
  ASSERT_TRUE(world.peer_host.streams().connect(to, std::move(handlers)));
  world.run_for(milliseconds(200));
  ASSERT_EQ(world.phone.streams(), 2U);

  IpChangeOptions options;
  options.shut_down_streams = StreamShutdown::Registration;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  expect_all_well(world);
  EXPECT_FALSE(closed) << "it is not the registration's";
  options.shut_down_streams = StreamShutdown::All;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  expect_all_well(world);
  EXPECT_TRUE(closed);
  EXPECT_EQ(steps(world.phone.reports().at(1), StepKind::StreamShutDown).size(), 2U);
  EXPECT_EQ(world.phone.streams(), 1U);
}

TEST(ShutDownStreams, ARingingCallIsCalledAnew) {
  World world(over_tcp());
  world.peer.script("INVITE", {.delay = seconds(2), .ring = true});
  world.phone.play_to_all(440);
  world.register_phone();
  ASSERT_TRUE(world.phone.call(world.account, "sip:bob@example.org"));
  world.run_for(milliseconds(500));
  IpChangeOptions options;
  options.shut_down_streams = StreamShutdown::All;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  ASSERT_TRUE(world.run_until([&] { return world.confirmed(); }, seconds(10)));
  world.run_for(milliseconds(500));
  expect_all_well(world);
}

TEST(ShutDownStreams, AServerThatIsNotThereAnyMoreDoesNotEndTheCall) {
  World world(over_tcp());
  world.call_peer();
  world.server.stop_listening_streams();
  IpChangeOptions options;
  options.shut_down_streams = StreamShutdown::All;
  ASSERT_TRUE(world.phone.handle_ip_change(options));
  world.run_for(seconds(5));
  EXPECT_TRUE(world.confirmed());
  world.server.listen_streams();
  world.run_for(seconds(20));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.wifi_address());
}

// --- by hand, and none ---

TEST(ListenerByHand, OpensClosesAndSaysSo) {
  World world(over_tcp());
  world.register_phone();
  ASSERT_TRUE(world.phone.open_listener(TransportChoice::Tcp, world.wifi_address(), 5080));
  world.run_for(milliseconds(10));
  auto told = world.phone.last<ListenerChanged>();
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->open);
  EXPECT_EQ(told->transport, TransportChoice::Tcp);
  EXPECT_EQ(told->local, (Endpoint{world.wifi_address(), 5080}));
  ASSERT_EQ(world.phone.stream_listeners().size(), 1U);
  const auto twice = world.phone.open_listener(TransportChoice::Tcp, world.wifi_address());
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::WrongState);

  // A change of the address does not take it away, its own address's end does.
  ASSERT_TRUE(world.phone.handle_ip_change(restart()));
  world.run_for(seconds(1));
  ASSERT_EQ(world.phone.stream_listeners().size(), 1U);
  EXPECT_NE(world.server.contacts("alice").at(0).find(":5080"), std::string::npos)
      << "it is where we can be reached";
  world.move_to_lte();
  world.run_for(seconds(2));
  told = world.phone.last<ListenerChanged>();
  EXPECT_FALSE(told->open);
  EXPECT_NE(told->reason.find("no interface has the address"), std::string::npos) << told->reason;
  EXPECT_TRUE(world.phone.stream_listeners().empty());

  ASSERT_TRUE(world.phone.open_listener(TransportChoice::Tcp, world.lte_address()));
  world.run_for(milliseconds(10));
  EXPECT_NE(world.phone.last<ListenerChanged>()->local.port, 0);
  ASSERT_TRUE(world.phone.close_listener(TransportChoice::Tcp, world.lte_address()));
  EXPECT_TRUE(world.phone.stream_listeners().empty());
  EXPECT_FALSE(world.phone.close_listener(TransportChoice::Tcp, world.lte_address()));
}

TEST(ListenerByHand, WhatCannotBeIsRefused) {
  World world(listening());
  world.register_phone();
  const auto code = [&](TransportChoice transport, const IpAddress& local) {
    const auto opened = world.phone.open_listener(transport, local);
    return opened ? ErrorCode::Io : opened.error().code;
  };
  EXPECT_EQ(code(TransportChoice::Auto, world.wifi_address()), ErrorCode::InvalidArgument);
  EXPECT_EQ(code(TransportChoice::Udp, IpAddress::v4(0, 0, 0, 0)), ErrorCode::InvalidArgument);
  EXPECT_EQ(code(TransportChoice::Udp, world.lte_address()), ErrorCode::NotFound);
  EXPECT_EQ(code(TransportChoice::Udp, world.wifi_address()), ErrorCode::WrongState);
  const auto used = world.phone.close_listener(TransportChoice::Udp, world.wifi_address());
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::WrongState) << "the account is reached there";
  EXPECT_FALSE(world.phone.close_listener(TransportChoice::Tcp, world.wifi_address()));
  EXPECT_EQ(world.phone.stream_listeners().size(), 1U);
}

TEST(ListenerByHand, ATakenPortIsSaidAndNoOtherOneTaken) {
  World world(over_tcp());
  world.lte_comes();
  world.register_phone();
  ASSERT_TRUE(world.phone_host.bind({world.lte_address(), 5080}, world.lte,
                                    [](testing::SocketId, const Endpoint&, const std::string&) {}));
  ASSERT_TRUE(world.phone.open_listener(TransportChoice::Udp, world.lte_address(), 5080));
  const std::size_t before = world.phone.listeners();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.phone.last<ListenerChanged>());
  EXPECT_FALSE(world.phone.last<ListenerChanged>()->open);
  EXPECT_FALSE(world.phone.last<ListenerChanged>()->reason.empty());
  EXPECT_EQ(world.phone.listeners(), before);
  EXPECT_TRUE(world.phone.open_listener(TransportChoice::Udp, world.lte_address(), 5081))
      << "nothing is left of it";
}

TEST(NoListener, AClientThatOnlyRegistersOutIsCalledAndMoves) {
  Stage stage = over_tcp();
  stage.ua.listen_udp = false;
  World world(stage);
  world.peer_calls();
  EXPECT_EQ(world.phone.listeners(), 0U);
  EXPECT_TRUE(world.phone.stream_listeners().empty());
  ASSERT_TRUE(world.phone.handle_ip_change(restart())) << "nothing to restart: nothing happens";
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(5)));
  EXPECT_TRUE(steps(world.phone.reports().at(0), StepKind::ListenerOpened).empty());
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.phone.reports().size() == 2; }, seconds(10)));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
  EXPECT_EQ(world.phone.listeners(), 0U);
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
}

TEST(NoListener, AnAccountOverUdpHasItsSocketAllTheSame) {
  Stage stage;
  stage.ua.listen_udp = false;
  World world(stage);
  world.call_peer();
  EXPECT_EQ(world.phone.listeners(), 1U);
  world.move_to_lte();
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  world.expect_audio(world.lte_address());
}

TEST(NoListener, WhatGoesByUdpAllTheSameOpensItThen) {
  Stage stage = over_tcp();
  stage.ua.listen_udp = false;
  stage.server.record_route = false;  // ACK and BYE go straight to the peer's UDP Contact.
  World world(stage);
  world.call_peer();
  EXPECT_EQ(world.phone.listeners(), 1U);
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.peer.state() == MockPeer::CallState::Ended);
}

TEST(NoListener, ByDefaultAUdpSocketListensBesideTheConnection) {
  World world(over_tcp());
  world.register_phone();
  EXPECT_EQ(world.phone.listeners(), 1U);
}

}  // namespace
}  // namespace godwit::scenario
