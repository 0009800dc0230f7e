// SPDX-License-Identifier: Apache-2.0
// In which request, and with what in it, a call's peer is told of a change of the address; each
// option of IpChangePolicy in both positions, and what happens where it cannot be done.
#include <functional>

#include "figures.hpp"

namespace godwit::scenario {
namespace {

std::string local_of(const SipText& message) {
  const std::string contact = message.first("Contact");
  const auto at = contact.find('@');
  return contact.substr(at + 1, contact.find_first_of(":>", at) - at - 1);
}

Stage with(const std::function<void(IpChangePolicy&)>& choose) {
  Stage stage;
  choose(stage.ip_change);
  return stage;
}

std::string detail_of(const World& world, StepKind kind) {
  for (const IpChangeReport& report : world.phone.reports()) {
    if (const IpChangeStep* step = find_step(report, kind)) return step->detail;
  }
  return "no step";
}

TEST(RefreshMethodScenario, UpdateWithAnOfferWherePeersAllowIt) {
  World world(with([](auto& p) { p.refresh_method = RefreshMethod::Update; }));
  world.call_peer();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  ASSERT_EQ(world.sent_sip("UPDATE", changed).size(), 1U);
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  const auto update = world.sent_sip("UPDATE", changed).front();
  EXPECT_EQ(local_of(update.message), world.lte_address().to_string());
  EXPECT_EQ(update.source.address, world.lte_address());
  EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
  const MoveFigures figures = measure_move(world, changed, world.lte_address());
  EXPECT_LE(figures.silence_down, world.stage.rtt + 2 * kPacketTime + kMachine);
  expect_moved(world, world.lte_address());
}

TEST(RefreshMethodScenario, ReinviteIsTheDefaultAndServesPeersWithoutUpdate) {
  for (const bool wanted : {false, true}) {
    Stage stage;
    stage.peer.allow_update = !wanted;
    if (wanted) stage.ip_change.refresh_method = RefreshMethod::Update;
    World world(stage);
    world.call_peer();
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    EXPECT_TRUE(world.sent_sip("UPDATE", changed).empty());
    EXPECT_EQ(world.sent_sip("INVITE", changed).size(), 1U);
    expect_moved(world, world.lte_address());
  }
}

TEST(RefreshMethodScenario, ARefusedUpdateIsFollowedByAReinviteAtOnce) {
  for (const int status : {405, 488, 500, 501, 403}) {
    World world(with([](auto& p) { p.refresh_method = RefreshMethod::Update; }));
    world.call_peer();
    world.peer.always("UPDATE", MockReply{.status = status});
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    EXPECT_EQ(world.sent_sip("UPDATE", changed).size(), 1U) << status;
    ASSERT_EQ(world.sent_sip("INVITE", changed).size(), 1U) << status;
    EXPECT_LE(world.sent_sip("INVITE", changed).front().at - changed,
              world.stage.rtt + milliseconds(10));
    expect_moved(world, world.lte_address());
    // It is not tried again.
    const TimePoint back = world.now();
    world.move_to_wifi();
    world.run_for(seconds(3));
    EXPECT_TRUE(world.sent_sip("UPDATE", back).empty());
    expect_moved(world, world.wifi_address());
  }
}

TEST(RefreshMethodScenario, AnIgnoredUpdateIsFollowedByAReinviteAfterFourSeconds) {
  World world(with([](auto& p) { p.refresh_method = RefreshMethod::Update; }));
  world.call_peer();
  world.peer.always("UPDATE", MockReply{.ignore = true});
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(6));
  ASSERT_EQ(world.sent_sip("INVITE", changed).size(), 1U);
  EXPECT_LE(world.sent_sip("INVITE", changed).front().at - changed, milliseconds(4'100));
  expect_moved(world, world.lte_address());
}

TEST(RefreshMethodScenario, AnUpdateToADialogThatIsGoneEndsTheCall) {
  World world(with([](auto& p) { p.refresh_method = RefreshMethod::Update; }));
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.always("UPDATE", MockReply{.status = 481});
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.phone.ended(call));
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  EXPECT_TRUE(world.settled());
}

TEST(RefreshMethodScenario, UpdateGlareIsTriedAgainAsUpdate) {
  World world(with([](auto& p) { p.refresh_method = RefreshMethod::Update; }));
  world.call_peer();
  world.peer.script("UPDATE", MockReply{.status = 491});
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(8));
  EXPECT_EQ(world.sent_sip("UPDATE", changed).size(), 2U);
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  expect_moved(world, world.lte_address());
}

TEST(RefreshContactScenario, OffKeepsTheContactThatThePeerKnows) {
  for (const bool on : {true, false}) {
    World world(with([&](auto& p) { p.refresh_contact = on; }));
    world.call_peer();
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    const auto invites = world.sent_sip("INVITE", changed);
    ASSERT_EQ(invites.size(), 1U);
    EXPECT_EQ(local_of(invites[0].message),
              (on ? world.lte_address() : world.wifi_address()).to_string());
    // Via always names the flow, and so do offer and registration.
    EXPECT_NE(invites[0].message.first("Via").find(world.lte_address().to_string()),
              std::string::npos);
    EXPECT_EQ(world.peer.remote_sdps().back().rtp.address, world.lte_address());
    EXPECT_NE(world.server.contacts("alice").front().find(world.lte_address().to_string()),
              std::string::npos);
    EXPECT_TRUE(world.confirmed());
    world.expect_audio(world.lte_address());
    // A later request keeps it, too.
    const TimePoint later = world.now();
    ASSERT_TRUE(world.phone.hold(world.call_id()));
    world.run_for(seconds(1));
    const auto hold = world.sent_sip("INVITE", later);
    ASSERT_EQ(hold.size(), 1U);
    EXPECT_EQ(local_of(hold[0].message),
              (on ? world.lte_address() : world.wifi_address()).to_string());
  }
}

TEST(RefreshMediaScenario, OffKeepsTheSocketsWhileTheirAddressLives) {
  for (const bool on : {true, false}) {
    Stage stage = with([&](auto& p) { p.refresh_media = on; });
    stage.both_networks = true;
    World world(stage);
    world.call_peer();
    const Endpoint before = world.peer.remote_sdps().back().rtp;
    const TimePoint changed = world.now();
    world.prefer_lte();
    world.run_for(seconds(3));
    const auto invites = world.sent_sip("INVITE", changed);
    ASSERT_EQ(invites.size(), 1U);
    EXPECT_EQ(local_of(invites[0].message), world.lte_address().to_string());
    const Endpoint after = world.peer.remote_sdps().back().rtp;
    EXPECT_EQ(after == before, !on);
    EXPECT_EQ(after.address, on ? world.lte_address() : world.wifi_address());
    EXPECT_TRUE(world.settled());
    world.expect_audio(after.address);
    EXPECT_EQ(world.phone.reports().size(), 1U);
  }
}

TEST(RefreshMediaScenario, OffCannotKeepAnAddressThatIsGoneAndSaysSo) {
  World world(with([](auto& p) { p.refresh_media = false; }));
  world.call_peer();
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_NE(detail_of(world, StepKind::MediaMoved).find("could not be kept"), std::string::npos)
      << detail_of(world, StepKind::MediaMoved);
  expect_moved(world, world.lte_address());
}

TEST(RefreshOfferScenario, OffMovesTheTargetAloneByUpdate) {
  World world(with([](auto& p) { p.refresh_offer = false; }));
  world.call_peer();
  const auto sdps = world.peer.remote_sdps().size();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  const auto updates = world.sent_sip("UPDATE", changed);
  ASSERT_EQ(updates.size(), 1U);
  EXPECT_TRUE(updates[0].message.body.empty());
  EXPECT_EQ(local_of(updates[0].message), world.lte_address().to_string());
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  EXPECT_EQ(world.peer.remote_sdps().size(), sdps);
  EXPECT_TRUE(world.settled());
  EXPECT_TRUE(world.confirmed());
  // Audio goes out from the new address, and where the peer's goes is the application's business.
  EXPECT_TRUE(world.up().first(changed, world.lte_address(), {}));
  world.peer.bye();
  world.run_for(seconds(1));
  EXPECT_EQ(world.peer.last_status("BYE"), 200);
}

TEST(RefreshOfferScenario, OffAsksAPeerWithoutUpdateForItsOffer) {
  Stage stage = with([](auto& p) { p.refresh_offer = false; });
  stage.peer.allow_update = false;
  World world(stage);
  world.call_peer();
  const TimePoint changed = world.now();
  world.move_to_lte();
  world.run_for(seconds(3));
  const auto invites = world.sent_sip("INVITE", changed);
  ASSERT_EQ(invites.size(), 1U);
  EXPECT_TRUE(invites[0].message.body.empty());
  EXPECT_TRUE(world.settled());
  EXPECT_TRUE(world.confirmed());
  world.expect_audio(world.lte_address());
}

TEST(RefreshCallsScenario, OffSaysNothingButAudioAndByeLeaveFromTheNewAddress) {
  for (const bool latches : {false, true}) {
    Stage stage = with([](auto& p) { p.refresh_calls = false; });
    stage.latch_after = latches ? 10 : 0;
    World world(stage);
    world.call_peer();
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(3));
    EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
    EXPECT_TRUE(world.sent_sip("UPDATE", changed).empty());
    EXPECT_EQ(world.sent_sip("REGISTER", changed).size(), 1U);
    ASSERT_TRUE(world.settled());
    ASSERT_EQ(world.phone.reports().size(), 1U);
    const IpChangeReport report = world.phone.reports().front();
    EXPECT_NE(find_step(report, StepKind::MediaMoved), nullptr);
    EXPECT_EQ(find_step(report, StepKind::CallRefreshed), nullptr);
    EXPECT_TRUE(world.up().first(changed, world.lte_address(), {}));
    if (latches) world.expect_audio(world.lte_address());
    ASSERT_TRUE(world.phone.hang_up(world.call_id()));
    world.run_for(seconds(1));
    EXPECT_EQ(world.peer.end_reason(), "BYE received");
    EXPECT_EQ(world.sent_sip("BYE").front().source.address, world.lte_address());
  }
}

TEST(RefreshCallsScenario, OffLeavesACallWhoseOldPathLives) {
  Stage stage = with([](auto& p) { p.refresh_calls = false; });
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  const TimePoint changed = world.now();
  world.prefer_lte();
  world.run_for(seconds(20));
  EXPECT_EQ(world.sent_sip("REGISTER", changed).size(), 1U);
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  EXPECT_TRUE(world.phone.handle_ip_change());
  world.run_for(seconds(3));
  EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
  EXPECT_TRUE(world.settled());
  world.expect_audio(world.wifi_address());
}

TEST(HangUpScenario, OnEndsEveryLostCallWithByeAndReasonFromTheNewAddress) {
  for (const bool incoming : {false, true}) {
    World world(with([](auto& p) { p.hang_up_calls = true; }));
    incoming ? world.peer_calls() : world.call_peer();
    const CallId call = world.call_id();
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(2));
    ASSERT_TRUE(world.phone.ended(call));
    EXPECT_NE(world.phone.ended(call)->reason.find("address changes"), std::string::npos);
    const auto byes = world.sent_sip("BYE", changed);
    ASSERT_EQ(byes.size(), 1U);
    EXPECT_EQ(byes[0].source.address, world.lte_address());
    EXPECT_EQ(byes[0].message.first("Reason"), "SIP;cause=410;text=\"IP address changed\"");
    EXPECT_EQ(world.peer.end_reason(), "BYE received");
    EXPECT_TRUE(world.sent_sip("INVITE", changed).empty());
    ASSERT_EQ(world.phone.reports().size(), 1U);
    const IpChangeReport report = world.phone.reports().front();
    const IpChangeStep* step = find_step(report, StepKind::CallHungUp);
    ASSERT_NE(step, nullptr);
    EXPECT_TRUE(step->ok);
    EXPECT_EQ(step->status, 200);
    EXPECT_EQ(step->call, call);
    EXPECT_GE(*step->ended, world.stage.rtt) << "the BYE is answered first";
    EXPECT_FALSE(report.calls.front().survived);
    EXPECT_EQ(world.phone.engines(), 0U);
  }
}

TEST(HangUpScenario, WithoutAnyNetworkTheCallEndsHereAndTheStepSaysThatNobodyWasTold) {
  World world(with([](auto& p) { p.hang_up_calls = true; }));
  world.call_peer();
  const CallId call = world.call_id();
  world.wifi_goes();
  world.run_for(seconds(2));
  ASSERT_TRUE(world.phone.ended(call));
  ASSERT_FALSE(world.phone.reports().empty());
  const IpChangeReport report = world.phone.reports().front();
  const IpChangeStep* step = find_step(report, StepKind::CallHungUp);
  ASSERT_NE(step, nullptr);
  EXPECT_FALSE(step->ok);
  EXPECT_NE(step->detail.find("could not be told"), std::string::npos) << step->detail;
}

TEST(HangUpScenario, APeerThatDoesNotAnswerTheByeHoldsNothingUpForEver) {
  World world(with([](auto& p) { p.hang_up_calls = true; }));
  world.call_peer();
  const CallId call = world.call_id();
  world.peer.always("BYE", MockReply{.ignore = true});
  world.move_to_lte();
  world.run_for(seconds(20));
  EXPECT_FALSE(world.settled()) << "its answer is waited for";
  world.run_for(seconds(20));
  EXPECT_TRUE(world.settled());
  ASSERT_TRUE(world.phone.ended(call));
  const IpChangeReport report = world.phone.reports().front();
  EXPECT_FALSE(find_step(report, StepKind::CallHungUp)->ok);
}

TEST(HangUpScenario, OnlyTheCallsOfThatAccount) {
  Stage stage;
  World world(stage);
  world.call_peer();  // Of the account that keeps its calls.
  const CallId kept = world.call_id();
  AccountConfig other = world.account_config();
  other.aor = "sip:bob@example.org";
  other.password = "builder";
  other.register_on_add = false;
  other.ip_change.hang_up_calls = true;
  const AccountId second = *world.phone.add_account(other);
  testing::Host& host = world.network.add_host("third");
  const auto eth = host.add_interface("eth0");
  host.add_address(eth, world.address(8));
  host.add_default_route(world.stage.family, eth, 100);
  MockPeerConfig config;
  config.user = "carol";
  config.local = {world.address(8), 5060};
  config.server = world.server_endpoint();
  MockPeer carol(world.network, host, config);
  world.server->bind("carol", carol.uri());
  const CallId dropped = *world.phone.call(second, "sip:carol@example.org");
  world.run_for(seconds(1));
  ASSERT_EQ(world.phone.state(dropped), CallState::Confirmed);
  world.move_to_lte();
  world.run_for(seconds(3));
  EXPECT_TRUE(world.phone.ended(dropped));
  EXPECT_EQ(carol.end_reason(), "BYE received");
  EXPECT_EQ(world.phone.state(kept), CallState::Confirmed);
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed);
  EXPECT_TRUE(world.settled());
}

TEST(HangUpScenario, ABetterNetworkEndsNothingButTheApplicationsWordDoes) {
  Stage stage = with([](auto& p) { p.hang_up_calls = true; });
  stage.both_networks = true;
  World world(stage);
  world.call_peer();
  const CallId call = world.call_id();
  world.prefer_lte();
  world.run_for(seconds(5));
  EXPECT_FALSE(world.phone.ended(call));
  ASSERT_TRUE(world.phone.handle_ip_change());
  world.run_for(seconds(2));
  EXPECT_TRUE(world.phone.ended(call));
  EXPECT_EQ(world.peer.end_reason(), "BYE received");
}

TEST(UnconfirmedScenario, AnOutgoingCallThatRings) {
  for (const UnconfirmedCalls wish :
       {UnconfirmedCalls::Recover, UnconfirmedCalls::HangUp, UnconfirmedCalls::Leave}) {
    SCOPED_TRACE(static_cast<int>(wish));
    World world(with([&](auto& p) { p.unconfirmed_outgoing = wish; }));
    world.register_phone();
    world.peer.always("INVITE", MockReply{.delay = seconds(30), .ring = true});
    const CallId call = *world.phone.call(world.account, "bob");
    world.run_for(seconds(1));
    ASSERT_EQ(world.phone.state(call), CallState::Ringing);
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(4));
    const bool again = !world.sent_sip("INVITE", changed).empty();
    EXPECT_EQ(again, wish == UnconfirmedCalls::Recover);
    EXPECT_EQ(world.phone.ended(call).has_value(), !again);
    const auto cancels = world.sent_sip("CANCEL", changed);
    EXPECT_EQ(cancels.empty(), wish == UnconfirmedCalls::Leave);
    EXPECT_TRUE(world.settled());
    if (wish != UnconfirmedCalls::HangUp) continue;
    EXPECT_EQ(cancels[0].source.address, world.lte_address());
    EXPECT_EQ(cancels[0].message.first("Reason"), "SIP;cause=410;text=\"IP address changed\"");
    EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended) << "it rings no more";
    ASSERT_EQ(world.phone.reports().size(), 1U);
    const IpChangeReport report = world.phone.reports().front();
    const IpChangeStep* step = find_step(report, StepKind::CallHungUp);
    ASSERT_NE(step, nullptr);
    EXPECT_TRUE(step->ok) << step->detail;
    EXPECT_EQ(step->status, 200) << "of the CANCEL";
    EXPECT_NE(world.phone.ended(call)->reason.find("not answered"), std::string::npos);
  }
}

TEST(UnconfirmedScenario, AnIncomingCallThatRings) {
  for (const UnconfirmedCalls wish :
       {UnconfirmedCalls::Recover, UnconfirmedCalls::HangUp, UnconfirmedCalls::Leave}) {
    SCOPED_TRACE(static_cast<int>(wish));
    World world(with([&](auto& p) { p.unconfirmed_incoming = wish; }));
    world.register_phone();
    world.peer.call("sip:alice@example.org");
    world.run_for(milliseconds(200));
    ASSERT_EQ(world.phone.calls().size(), 1U);
    const CallId call = world.call_id();
    ASSERT_TRUE(world.phone.ring(call));
    world.run_for(seconds(1));
    const TimePoint changed = world.now();
    world.move_to_lte();
    world.run_for(seconds(2));
    EXPECT_EQ(world.sent_sip("UPDATE", changed).empty(), wish != UnconfirmedCalls::Recover);
    EXPECT_TRUE(world.settled());
    if (wish == UnconfirmedCalls::HangUp) {
      ASSERT_TRUE(world.phone.ended(call));
      EXPECT_EQ(world.peer.state(), MockPeer::CallState::Ended);
      EXPECT_EQ(world.peer.last_status("INVITE"), 480);
      const IpChangeReport report = world.phone.reports().front();
      ASSERT_NE(find_step(report, StepKind::CallHungUp), nullptr);
      EXPECT_TRUE(find_step(report, StepKind::CallHungUp)->ok);
      continue;
    }
    // It goes on ringing, and can be answered from the new address.
    EXPECT_FALSE(world.phone.ended(call));
    ASSERT_TRUE(world.phone.answer(call));
    world.run_for(seconds(2));
    EXPECT_EQ(world.phone.state(call), CallState::Confirmed);
    world.expect_audio(world.lte_address());
  }
}

TEST(PolicyRulesScenario, ImpossibleOptionsAreRefused) {
  World world;
  AccountConfig config = world.account_config();
  config.ip_change.recovery_deadline = {};
  const auto added = world.phone.add_account(config);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::InvalidArgument);
  EXPECT_NE(added.error().detail.find("deadline"), std::string::npos);
}

}  // namespace
}  // namespace godwit::scenario
