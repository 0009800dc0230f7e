// SPDX-License-Identifier: Apache-2.0
// The heart of the project: a confirmed call while the address changes. Times are taken from packet
// arrivals, the phone's own report is held to them.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

struct MoveCase {
  Family family = Family::V4;
  bool incoming = false;
  bool both_networks = false;
  Duration phase{};  ///< Of the change within a packet time.
};

class AddressLost : public ::testing::TestWithParam<MoveCase> {};

TEST_P(AddressLost, MovesTheCallWithinTheLimits) {
  Stage stage;
  stage.family = GetParam().family;
  stage.both_networks = GetParam().both_networks;
  World world(stage);
  GetParam().incoming ? world.peer_calls() : world.call_peer();
  const auto challenged = world.server->counters().challenged;
  const auto sdps = world.peer.remote_sdps().size();
  world.run_for(GetParam().phase);

  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));

  // The limits (RTT 50 ms, a peer that does not latch).
  const MoveFigures figures = measure_move(world, changed, world.lte_address());
  EXPECT_LE(figures.silence_up, 2 * kPacketTime);
  EXPECT_LE(figures.silence_down, stage.rtt + 2 * kPacketTime + kMachine);
  EXPECT_EQ(figures.missing_up, 0U) << "what the dead path took is sent again";
  ASSERT_TRUE(figures.first_rtp && figures.first_register && figures.first_invite);
  EXPECT_LE(*figures.first_rtp, kPacketTime);
  EXPECT_LE(*figures.first_register, kMachine);
  EXPECT_LE(*figures.first_invite - *figures.first_register, milliseconds(1))
      << "in parallel, not one by one; only the RTP socket may be opened between them";

  // One offer, one REGISTER, credentials ahead of any challenge.
  EXPECT_EQ(world.sent_sip("INVITE", changed).size(), 1U);
  EXPECT_EQ(world.sent_sip("REGISTER", changed).size(), 1U);
  EXPECT_EQ(world.server->counters().challenged, challenged);
  ASSERT_EQ(world.peer.remote_sdps().size(), sdps + 1);
  const MockSdp& before = world.peer.remote_sdps()[sdps - 1];
  const MockSdp& after = world.peer.remote_sdps()[sdps];
  EXPECT_EQ(after.version, before.version + 1);
  EXPECT_EQ(after.payload_types, before.payload_types);
  EXPECT_EQ(after.direction, before.direction);
  EXPECT_EQ(after.rtp.address, world.lte_address());
  EXPECT_EQ(after.origin_address, before.origin_address);

  // And the application is told where audio goes on.
  EXPECT_EQ(world.phone.last<CallMediaChanged>()->local.address, world.lte_address());

  // What is pinned in the dialog.
  const auto invites = world.sent_sip("INVITE", changed);
  const auto acks = world.sent_sip("ACK", changed);
  ASSERT_FALSE(acks.empty());
  EXPECT_EQ(acks.front().message.first("Route"), invites.front().message.first("Route"));
  EXPECT_EQ(invites.front().message.first("Route"),
            "<sip:" + world.server_address().to_uri_host() + ":5060;lr>");

  // The report.
  ASSERT_EQ(world.phone.reports().size(), 1U);
  const IpChangeReport report = world.phone.reports().front();
  EXPECT_TRUE(has_cause(report, ChangeCause::AddressLost));
  EXPECT_FALSE(report.superseded);
  EXPECT_EQ(report.detected_at, *world.phone.last_snapshot_at());
  EXPECT_FALSE(report.decision.empty());
  for (const StepKind kind :
       {StepKind::ListenerOpened, StepKind::MediaMoved, StepKind::ContactUpdated,
        StepKind::CallRefreshed, StepKind::CallAudible}) {
    const IpChangeStep* step = find_step(report, kind);
    ASSERT_NE(step, nullptr) << to_string(kind);
    EXPECT_TRUE(step->ok) << to_string(kind);
    ASSERT_TRUE(step->ended) << to_string(kind);
  }
  EXPECT_EQ(find_step(report, StepKind::CallRefreshed)->status, 200);
  EXPECT_GE(*find_step(report, StepKind::CallRefreshed)->ended, stage.rtt);
  EXPECT_GE(*find_step(report, StepKind::ContactUpdated)->ended, stage.rtt);
  ASSERT_EQ(report.calls.size(), 1U);
  const CallImpact& impact = report.calls.front();
  EXPECT_TRUE(impact.survived);
  EXPECT_EQ(impact.old_local.address, world.wifi_address());
  EXPECT_EQ(impact.new_local, after.rtp);
  ASSERT_TRUE(impact.silence_down && impact.silence_up);
  const auto near = [](Duration a, Duration b) {
    return std::max(a - b, b - a) <= milliseconds(2);
  };
  EXPECT_TRUE(near(*impact.silence_down, figures.silence_down))
      << to_ms(*impact.silence_down) << " reported, " << to_ms(figures.silence_down) << " true";
  const Duration sent_pause = pause_before_first_packet(world, changed, world.lte_address());
  EXPECT_TRUE(near(*impact.silence_up, sent_pause))
      << to_ms(*impact.silence_up) << " reported, " << to_ms(sent_pause) << " true";
  EXPECT_EQ(impact.lost_down, figures.missing_down);
  const auto first_down = world.down().first(changed, {}, world.lte_address());
  ASSERT_TRUE(first_down);
  EXPECT_TRUE(
      near(*find_step(report, StepKind::CallAudible)->ended, *first_down - report.detected_at));

  expect_moved(world, world.lte_address());
}

std::vector<MoveCase> move_cases() {
  std::vector<MoveCase> cases;
  for (const Family family : {Family::V4, Family::V6}) {
    for (const bool incoming : {false, true}) {
      for (const bool both : {false, true}) {
        for (int phase = 0; phase < 20; phase += 4) {
          cases.push_back({family, incoming, both, milliseconds(phase)});
        }
      }
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Moves, AddressLost, ::testing::ValuesIn(move_cases()),
                         [](const auto& chosen) {
                           const MoveCase& c = chosen.param;
                           return std::string(c.family == Family::V4 ? "V4" : "V6") +
                                  (c.incoming ? "Callee" : "Caller") +
                                  (c.both_networks ? "Spare" : "New") +
                                  std::to_string(c.phase / milliseconds(1));
                         });

TEST(MoveScenario, ThereAndBackAgainManyTimes) {
  World world;
  world.call_peer();
  for (int round = 0; round < 6; ++round) {
    const bool to_lte = round % 2 == 0;
    to_lte ? world.move_to_lte() : world.move_to_wifi();
    world.run_for(seconds(15));
    expect_moved(world, to_lte ? world.lte_address() : world.wifi_address());
  }
  EXPECT_EQ(world.phone.reports().size(), 6U);
  EXPECT_LE(world.phone.listeners(), 2U) << "old sockets are closed in the end";
  EXPECT_LE(world.phone_host.open_sockets(), 4U);
}

TEST(MoveScenario, LosesNothingWhileTheOldPathLives) {
  for (const Family family : {Family::V4, Family::V6}) {
    for (int phase = 0; phase < 20; phase += 4) {
      SCOPED_TRACE(phase);
      Stage stage;
      stage.family = family;
      stage.both_networks = true;
      World world(stage);
      world.call_peer();
      world.run_for(milliseconds(phase));
      const TimePoint changed = world.now();
      world.prefer_lte();
      world.run_for(seconds(3));
      const MoveFigures figures = measure_move(world, changed, world.lte_address());
      EXPECT_EQ(figures.missing_up, 0U);
      EXPECT_EQ(figures.missing_down, 0U);
      EXPECT_LE(figures.silence_up, kPacketTime + kMachine);
      EXPECT_LE(figures.silence_down, kPacketTime + kMachine);
      ASSERT_EQ(world.phone.reports().size(), 1U);
      EXPECT_TRUE(has_cause(world.phone.reports().front(), ChangeCause::DefaultRouteMoved));
      expect_moved(world, world.lte_address());
      // The old network may go now: nobody rides on it any more.
      const TimePoint gone = world.now();
      world.wifi_goes();
      world.run_for(seconds(2));
      EXPECT_TRUE(world.sent_sip("", gone).empty());
      EXPECT_LE(world.up().longest_pause(gone, world.now() - milliseconds(100)),
                kPacketTime + kMachine);
    }
  }
}

TEST(MoveScenario, AnAddressThatComesBackAtOnceIsNoChange) {
  for (const int gap : {20, 60, 120, 140}) {
    SCOPED_TRACE(gap);
    World world;
    world.call_peer();
    const TimePoint changed = world.now();
    world.wifi_goes();
    world.run_for(milliseconds(gap));
    world.wifi_comes();
    world.run_for(seconds(5));
    EXPECT_TRUE(world.sent_sip("", changed).empty());
    EXPECT_TRUE(world.phone.all<IpChangeDetected>().empty());
    EXPECT_LE(world.up().longest_pause(changed, world.now() - milliseconds(100)),
              milliseconds(gap) + 2 * kPacketTime);
    expect_moved(world, world.wifi_address());
  }
}

TEST(MoveScenario, WaitsForANetworkAndGoesOn) {
  for (const bool elsewhere : {false, true}) {
    SCOPED_TRACE(elsewhere);
    World world;
    world.call_peer();
    world.wifi_goes();
    world.run_for(seconds(5));
    EXPECT_TRUE(world.confirmed());
    EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
    ASSERT_TRUE(world.phone.last<NetworkAvailability>());
    EXPECT_FALSE(world.phone.last<NetworkAvailability>()->available);
    ASSERT_FALSE(world.phone.reports().empty());
    EXPECT_NE(find_step(world.phone.reports().front(), StepKind::CallSuspended), nullptr);
    const TimePoint back = world.now();
    elsewhere ? world.lte_comes() : world.wifi_comes();
    world.run_for(seconds(2));
    EXPECT_TRUE(world.phone.last<NetworkAvailability>()->available);
    const IpAddress address = elsewhere ? world.lte_address() : world.wifi_address();
    const MoveFigures figures = measure_move(world, back, address);
    ASSERT_TRUE(figures.first_register && figures.first_invite && figures.first_rtp);
    EXPECT_LE(*figures.first_register, kMachine);
    EXPECT_LE(*figures.first_invite - *figures.first_register, milliseconds(1));
    EXPECT_LE(*figures.first_rtp, kPacketTime);
    const auto audible = world.down().first(back);
    ASSERT_TRUE(audible);
    EXPECT_LE(*audible - back, world.stage.rtt + kPacketTime + kMachine);
    const IpChangeReport report = world.phone.reports().back();
    EXPECT_TRUE(has_cause(report, ChangeCause::NetworkReturned));
    EXPECT_NE(find_step(report, StepKind::CallResumed), nullptr);
    expect_moved(world, address);
  }
}

TEST(MoveScenario, StartsWithoutANetwork) {
  World world;
  world.wifi_goes();
  world.run_for(seconds(1));
  world.account = *world.phone.add_account(world.account_config());
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Suspended);
  const CallId call = *world.phone.call(world.account, "bob");
  world.run_for(seconds(1));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_NE(world.phone.ended(call)->reason.find("no network"), std::string::npos)
      << world.phone.ended(call)->reason;
  world.lte_comes();
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  EXPECT_TRUE(world.settled());
}

TEST(MoveScenario, ANetworkThatCarriesNothingDoesNotTakeTheCall) {
  // A captive portal: it has an address and the default route, and loses everything.
  Stage stage;
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  world.phone_host.up_link(world.lte).black_hole = true;
  world.phone_host.down_link(world.lte).black_hole = true;
  const TimePoint changed = world.now();
  world.prefer_lte();
  world.run_for(seconds(60));
  EXPECT_TRUE(world.settled());
  EXPECT_TRUE(world.confirmed());
  EXPECT_LE(world.up().longest_pause(changed, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  EXPECT_LE(world.down().longest_pause(changed, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  // The peer can still reach us on the old path.
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("BYE"), 200);
}

TEST(MoveScenario, GivesACallUpWhenNoNetworkComesBack) {
  Stage stage;
  stage.recovery_deadline = seconds(10);
  World world(stage);
  world.call_peer();
  const CallId call = world.call_id();
  world.wifi_goes();
  world.run_for(seconds(9));
  EXPECT_FALSE(world.phone.ended(call));
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.ended(call));
  EXPECT_NE(world.phone.ended(call)->reason.find("network"), std::string::npos);
  EXPECT_EQ(world.phone.engines(), 0U);
  world.lte_comes();
  world.run_for(seconds(2));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  EXPECT_EQ(world.server.contacts("alice").size(), 1U);
}

TEST(MoveScenario, FlappingIsBoundedAndTheCallSurvives) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  for (int flap = 0; flap < 10; ++flap) {
    flap % 2 == 0 ? world.move_to_lte() : world.move_to_wifi();
    world.run_for(milliseconds(500));
  }
  EXPECT_LE(world.phone.all<IpChangeDetected>().size(), 4U) << "in the first 5 s";
  world.run_for(seconds(15));
  EXPECT_LE(world.phone.all<IpChangeDetected>().size(), 6U);
  EXPECT_LE(world.sent_sip("REGISTER", start).size(), 12U);
  EXPECT_LE(world.sent_sip("INVITE", start).size(), 12U);
  EXPECT_TRUE(world.settled());
  expect_moved(world, world.wifi_address());
}

TEST(MoveScenario, ASecondChangeTakesOver) {
  for (const int after : {2, 10, 26, 40, 51, 55, 80}) {
    SCOPED_TRACE(after);
    World world;
    world.call_peer();
    world.move_to_lte();
    world.run_for(milliseconds(after));
    world.move_to_wifi();
    world.run_for(seconds(40));
    EXPECT_TRUE(world.settled());
    ASSERT_EQ(world.phone.reports().size(), 2U);
    EXPECT_EQ(world.phone.reports()[1].generation.value(),
              world.phone.reports()[0].generation.value() + 1);
    EXPECT_FALSE(world.phone.reports()[1].superseded);
    EXPECT_TRUE(world.phone.reports()[0].superseded || after > 50);
    expect_moved(world, world.wifi_address());
  }
}

TEST(MoveScenario, LeavesUnaffectedUsesAlone) {
  Stage stage;
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  const TimePoint start = world.now();
  world.lte_goes();
  world.run_for(seconds(1));
  world.lte_comes();
  world.run_for(seconds(1));
  world.phone_host.add_address(world.lte, world.address(3, 77));
  world.run_for(seconds(1));
  EXPECT_TRUE(world.sent_sip("", start).empty());
  EXPECT_LE(world.up().longest_pause(start, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  expect_moved(world, world.wifi_address());
}

TEST(MoveScenario, ALatchingPeerHearsNoDifference) {
  Stage stage;
  stage.latch_after = 10;
  World world(stage);
  world.call_peer();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  const MoveFigures figures = measure_move(world, changed, world.lte_address());
  EXPECT_LE(figures.silence_up, 2 * kPacketTime);
  EXPECT_LE(figures.silence_down, stage.rtt + 2 * kPacketTime + kMachine);
  expect_moved(world, world.lte_address());
}

TEST(MoveScenario, ALatchingPeerIsHeardWithoutAnySignalling) {
  Stage stage;
  stage.latch_after = 10;
  World world(stage);
  world.call_peer();
  world.server_host.down_link(2).black_hole = true;
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(1));
  const MoveFigures figures = measure_move(world, changed, world.lte_address());
  // Ten packets to convince it, one of ours on the way and one of its own back.
  EXPECT_LE(figures.silence_down, world.stage.rtt + 13 * kPacketTime);
  world.server_host.down_link(2).black_hole = false;
  world.run_for(seconds(10));
  expect_moved(world, world.lte_address());
}

TEST(MoveScenario, HoldStaysHold) {
  for (const bool by_peer : {false, true}) {
    SCOPED_TRACE(by_peer);
    World world;
    world.call_peer();
    if (by_peer) {
      world.peer.reinvite("sendonly");
    } else {
      ASSERT_TRUE(world.phone.hold(world.call_id()));
    }
    world.run_for(seconds(1));
    world.move_to_lte();
    world.run_for(seconds(5));
    EXPECT_TRUE(world.settled());
    EXPECT_TRUE(world.confirmed());
    const MockSdp& last = world.peer.remote_sdps().back();
    EXPECT_EQ(last.rtp.address, world.lte_address());
    EXPECT_EQ(last.sends_audio(), !by_peer);
    EXPECT_EQ(last.wants_audio(), by_peer);
    if (by_peer) {
      world.peer.reinvite("sendrecv");
    } else {
      ASSERT_TRUE(world.phone.resume(world.call_id()));
    }
    world.run_for(seconds(1));
    expect_moved(world, world.lte_address());
  }
}

TEST(MoveScenario, TriesAgainWhenTheServerTiesCallsToRegistrations) {
  World world;
  world.call_peer();
  world.server->set_tie_calls_to_registration(true);
  // The REGISTER is slower than the INVITE.
  world.server->misbehave(
      {.kind = Misbehaviour::Kind::Delay, .method = "REGISTER", .delay = milliseconds(200)});
  world.move_to_lte();
  world.run_for(seconds(5));
  EXPECT_TRUE(world.settled());
  expect_moved(world, world.lte_address());
}

TEST(MoveScenario, ForcedChangeRefreshesEverythingWithoutAGap) {
  World world;
  world.call_peer();
  const TimePoint start = world.now();
  const auto generation = world.phone.handle_ip_change();
  ASSERT_TRUE(generation) << generation.error().detail;
  world.run_for(seconds(3));
  EXPECT_EQ(world.sent_sip("REGISTER", start).size(), 1U);
  EXPECT_EQ(world.sent_sip("INVITE", start).size(), 1U);
  ASSERT_EQ(world.phone.reports().size(), 1U);
  EXPECT_EQ(world.phone.reports()[0].generation, *generation);
  EXPECT_TRUE(has_cause(world.phone.reports()[0], ChangeCause::Forced));
  ASSERT_EQ(world.phone.reports()[0].calls.size(), 1U);
  const CallImpact impact = world.phone.reports()[0].calls.front();
  EXPECT_EQ(impact.new_local, impact.old_local);
  EXPECT_TRUE(world.phone.reports()[0].completed);
  EXPECT_LE(world.up().longest_pause(start, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  EXPECT_LE(world.down().longest_pause(start, world.now() - milliseconds(100)),
            kPacketTime + kMachine);
  expect_moved(world, world.wifi_address());
}

TEST(MoveScenario, PoliciesSwitchStepsOff) {
  enum class Off { Contact, Refresh, Calls };
  for (const Off off : {Off::Contact, Off::Refresh, Off::Calls}) {
    SCOPED_TRACE(static_cast<int>(off));
    World world;
    AccountConfig config = world.account_config();
    config.ip_change.update_contact = off != Off::Contact;
    config.ip_change.refresh_calls = off == Off::Contact;
    config.ip_change.hang_up_calls = off == Off::Calls;
    world.account = *world.phone.add_account(config);
    world.run_for(seconds(1));
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(seconds(1));
    ASSERT_EQ(world.phone.state(call), CallState::Confirmed);
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    EXPECT_EQ(world.sent_sip("REGISTER", changed).empty(), off == Off::Contact);
    EXPECT_EQ(world.sent_sip("INVITE", changed).empty(), off != Off::Contact);
    EXPECT_EQ(world.phone.ended(call).has_value(), off == Off::Calls);
    EXPECT_TRUE(world.settled());
  }
}

TEST(MoveScenario, WakesFromALongSleep) {
  World world;
  world.register_phone();
  world.phone.suspend(std::chrono::minutes(10));
  world.run_for(std::chrono::minutes(10) - seconds(1));
  EXPECT_TRUE(world.server.contacts("alice").empty()) << "the binding has expired";
  world.run_for(seconds(2));
  EXPECT_EQ(world.server.contacts("alice").size(), 1U) << "registered at once after waking";
}

TEST(MoveScenario, RegistersFromTheNewAddressWithoutACall) {
  World world;
  world.register_phone();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(2));
  EXPECT_EQ(world.sent_sip("REGISTER", changed).size(), 1U);
  ASSERT_EQ(world.server.contacts("alice").size(), 1U);
  EXPECT_NE(world.server.contacts("alice")[0].find(world.lte_address().to_string()),
            std::string::npos);
  EXPECT_EQ(world.phone.reports().size(), 1U);
  world.peer.call("sip:alice@example.org");
  world.run_for(milliseconds(200));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 1U) << "reachable at the new address";
}

}  // namespace
}  // namespace godwit::scenario
