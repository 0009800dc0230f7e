// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>
#include <cstdio>

#include "base/bytes.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::scenario {

int failed_expectations() {
  const auto* unit = ::testing::UnitTest::GetInstance();
  const auto* info = unit->current_test_info();
  if (info == nullptr) return 0;
  int failed = 0;
  for (int i = 0; i < info->result()->total_part_count(); ++i) {
    if (info->result()->GetTestPartResult(i).failed()) ++failed;
  }
  return failed;
}

World::World(Stage chosen)
    : stage(std::move(chosen)),
      simulation(stage.seed),
      network(simulation),
      trace(network),
      facts(network),
      server_host(make_host("server", 9)),
      peer_host(make_host("peer", 7)),
      phone_host(make_phone_host()),
      server(network, server_host, server_config()),
      peer(network, peer_host, peer_config()),
      phone(network, phone_host, stage.ua, &trace, stage.timing),
      failures_before_(failed_expectations()) {
  network.observe([this](const testing::PacketEvent& event) {
    if (event.kind != testing::PacketEvent::Kind::Sent || event.from_host != "phone") return;
    if (testing::read_rtp(event.packet.bytes) || testing::is_rtcp(event.packet.bytes)) return;
    if (wire::looks_like_stun(as_bytes(event.packet.bytes))) return;
    auto message = SipText::parse(event.packet.bytes);
    if (!message) {
      ADD_FAILURE() << "the phone sent what is not SIP: " << event.packet.bytes;
      return;
    }
    sent_.push_back(SentSip{event.at, event.packet.source, std::move(*message)});
  });
  server->bind("bob", peer.uri());
  if (stage.transport == sip::Transport::Tcp) server.listen_streams({}, stage.multipath);
  if (stage.transport == sip::Transport::Tls) {
    server.listen_streams(stage.dual ? "sip.example.org" : server_address().to_string(),
                          stage.multipath);
  }
  if (stage.dual) {
    network.set_name("sip.example.org", {server_address(), other_server_address()});
  }
  phone.set_multipath(stage.multipath);
}

World::~World() {
  expect_rules();
  if (failed_expectations() == failures_before_) return;
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string stem = std::string(GODWIT_TRACE_DIR "/") + info->test_suite_name() + "." +
                     info->name() + "-" + std::to_string(stage.seed);
  std::replace(stem.begin() + sizeof GODWIT_TRACE_DIR, stem.end(), '/', '_');
  const auto written = trace.write(stem);
  std::printf("seed %llu; trace: %s.txt and .pcap%s\n", static_cast<unsigned long long>(stage.seed),
              stem.c_str(), written ? "" : (" NOT WRITTEN: " + written.error().detail).c_str());
}

Family World::lte_family() const {
  if (!stage.dual) return stage.family;
  return stage.family == Family::V4 ? Family::V6 : Family::V4;
}

IpAddress World::address(std::uint8_t network_number, std::uint8_t host) const {
  const bool server_or_peer = network_number == 9 || network_number == 7;
  if (stage.family == Family::V4 && stage.public_servers && server_or_peer) {
    return IpAddress::v4(198, 51, 100, network_number);
  }
  return address(network_number, host, stage.family);
}

IpAddress World::address(std::uint8_t network_number, std::uint8_t host, Family family) {
  if (family == Family::V4) return IpAddress::v4(10, network_number, 0, host);
  return *IpAddress::parse("2001:db8:" + std::to_string(network_number) +
                           "::" + std::to_string(host));
}

testing::Host& World::make_host(const std::string& name, std::uint8_t number) {
  testing::Host& host = network.add_host(name);
  const auto eth = host.add_interface("eth0");
  host.add_address(eth, address(number));
  host.add_default_route(stage.family, eth, 100);
  if (stage.dual) {
    host.add_address(eth, address(number, 2, lte_family()));
    host.add_default_route(lte_family(), eth, 100);
  }
  return host;
}

testing::Host& World::make_phone_host() {
  testing::Host& host = network.add_host("phone");
  const testing::LinkSettings link{
      .delay = stage.rtt / 2, .jitter = stage.jitter, .loss = stage.loss};
  wifi = host.add_interface("wlan0", link);
  lte = host.add_interface("wwan0", link);
  host.add_address(wifi, wifi_address());
  host.add_default_route(stage.family, wifi, 100);
  if (stage.both_networks) {
    host.add_address(lte, lte_address());
    host.add_default_route(lte_family(), lte, 200);
  }
  return host;
}

MiniServerConfig World::server_config() const {
  MiniServerConfig config = stage.server;
  config.locals = {server_endpoint()};
  if (stage.dual) {
    config.locals.push_back({other_server_address(), default_port(stage.transport)});
  }
  config.domains.push_back("example.org");
  config.domains.push_back("sip.example.org");
  if (stage.digest) config.users = {{"alice", "wonderland"}, {"bob", "builder"}};
  return config;
}

MockPeerConfig World::peer_config() const {
  MockPeerConfig config = stage.peer;
  config.local = {peer_address(), 5060};
  config.server = stage.peer_server.value_or(server_endpoint());
  if (stage.dual && stage.peer_has_both) config.other_address = other_peer_address();
  config.latch_after = stage.latch_after;
  config.refuse_before_ack = stage.refuse_before_ack;
  return config;
}

AccountConfig World::account_config() const {
  AccountConfig config;
  config.aor = "sip:alice@example.org";
  config.registrar = "sip:" + (stage.dual ? "sip.example.org" : server_address().to_uri_host());
  if (stage.transport == sip::Transport::Tcp) config.registrar += ";transport=tcp";
  if (stage.transport == sip::Transport::Tls) config.registrar += ";transport=tls";
  config.password = "wonderland";
  config.expires = stage.expires;
  config.ip_change = stage.ip_change;
  config.ip_change.recovery_deadline = stage.recovery_deadline;
  config.calls = stage.calls;
  config.sip_family = stage.sip_family;
  config.media_family = stage.media_family;
  return config;
}

void World::wifi_goes() {
  phone_host.remove_address(wifi, wifi_address());
  phone_host.remove_default_route(stage.family, wifi);
}
void World::wifi_comes() {
  phone_host.add_address(wifi, wifi_address());
  phone_host.add_default_route(stage.family, wifi, 100);
}
void World::lte_goes() {
  phone_host.remove_address(lte, lte_address());
  phone_host.remove_default_route(lte_family(), lte);
}
void World::lte_comes() {
  phone_host.add_address(lte, lte_address());
  phone_host.add_default_route(lte_family(), lte, 200);
}
void World::move_to_lte() {
  lte_comes();
  wifi_goes();
}
void World::move_to_wifi() {
  wifi_comes();
  lte_goes();
}
void World::prefer_lte() { phone_host.add_default_route(lte_family(), lte, 50); }
void World::prefer_wifi() { phone_host.add_default_route(lte_family(), lte, 200); }

void World::set_loss(double loss) {
  for (const std::uint32_t interface : {wifi, lte}) {
    phone_host.up_link(interface).loss = loss;
    phone_host.down_link(interface).loss = loss;
  }
}

void World::register_phone() {
  const auto added = phone.add_account(account_config());
  ASSERT_TRUE(added) << added.error().detail;
  account = *added;
  ASSERT_TRUE(run_until(
      [&] { return phone.registration(account) == RegistrationState::Registered; }, seconds(40)));
}

void World::await_call() {
  ASSERT_TRUE(run_until(
      [&] {
        return !phone.calls().empty() && confirmed() &&
               peer.state() == MockPeer::CallState::Confirmed;
      },
      seconds(40)));
  run_for(milliseconds(500));
  ASSERT_TRUE(confirmed());
}

void World::call_peer() {
  phone.play_to_all(440);
  register_phone();
  if (::testing::Test::HasFatalFailure()) return;
  const auto placed = phone.call(account, "sip:bob@example.org");
  ASSERT_TRUE(placed) << placed.error().detail;
  await_call();
}

void World::peer_calls() {
  phone.play_to_all(440);
  phone.answer_calls(milliseconds(100));
  register_phone();
  if (::testing::Test::HasFatalFailure()) return;
  peer.call("sip:alice@example.org");
  await_call();
}

CallId World::call_id() const {
  const auto calls = phone.calls();
  return calls.empty() ? CallId() : calls.back();
}

void World::expect_audio(const IpAddress& local) {
  const TimePoint from = now();
  run_for(seconds(1));
  // 50 packets in a second; what is on its way, and the loss of the links, may be missing.
  const auto least = static_cast<std::size_t>(45 * (1 - 2 * stage.loss));
  std::size_t heard_up = 0;
  std::size_t heard_down = 0;
  for (const auto& packet : up().packets()) {
    if (packet.at >= from && packet.source.address == local) ++heard_up;
  }
  for (const auto& packet : down().packets()) {
    if (packet.at >= from && packet.destination.address == local) ++heard_down;
  }
  EXPECT_GE(heard_up, least) << "audio from the phone at " << local.to_string();
  EXPECT_GE(heard_down, least) << "audio to the phone at " << local.to_string();
}

bool World::settled() const {
  return phone.all<IpChangeDetected>().size() == phone.all<IpChangeCompleted>().size();
}

std::vector<World::SentSip> World::sent_sip(const std::string& begins, TimePoint from) const {
  std::vector<SentSip> found;
  for (const SentSip& item : sent_) {
    if (item.at >= from && item.message.start_line().starts_with(begins)) found.push_back(item);
  }
  return found;
}

void World::expect_rules() {
  for (const std::string& violation : phone.violations()) ADD_FAILURE() << violation;
  for (const std::string& complaint : peer.complaints()) ADD_FAILURE() << "peer: " << complaint;
  EXPECT_EQ(peer.media().foreign_payloads(), 0U);
  // Every report's figures are ones that can be: no step ends before it began, and completion is
  // not before the last answer.
  for (const IpChangeReport& report : phone.reports()) {
    for (const IpChangeStep& step : report.steps) {
      if (step.ended) {
        EXPECT_GE(*step.ended, step.started) << to_string(step.kind);
        if (report.completed) {
          EXPECT_GE(*report.completed, *step.ended) << to_string(step.kind);
        }
      }
    }
  }
}

void World::expect_continuous_sdp() {
  const auto& sdps = peer.remote_sdps();
  for (std::size_t i = 1; i < sdps.size(); ++i) {
    EXPECT_EQ(sdps[i].session_id, sdps[0].session_id);
    EXPECT_EQ(sdps[i].origin_user, sdps[0].origin_user);
    EXPECT_EQ(sdps[i].origin_address, sdps[0].origin_address) << "o= keeps its address";
    EXPECT_EQ(sdps[i].media, sdps[0].media);
    EXPECT_GT(sdps[i].version, sdps[i - 1].version);
  }
}

}  // namespace godwit::scenario
