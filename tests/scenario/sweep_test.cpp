// SPDX-License-Identifier: Apache-2.0
// Many seeds: moves under loss, and a random life against the rules that hold in any.
#include "figures.hpp"

namespace godwit::scenario {
namespace {

struct SweepCase {
  double loss;
  Family family;
  bool make_before_break;
};
void PrintTo(const SweepCase& c, std::ostream* out) {
  *out << c.loss * 100 << " % " << (c.family == Family::V4 ? "v4" : "v6")
       << (c.make_before_break ? " make before break" : " break");
}

class MoveUnderLoss : public ::testing::TestWithParam<SweepCase> {};

TEST_P(MoveUnderLoss, TheCallAlwaysSurvives) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Stage stage;
    stage.seed = seed;
    stage.family = GetParam().family;
    stage.loss = GetParam().loss;
    stage.jitter = milliseconds(seed % 3 * 5);
    stage.both_networks = GetParam().make_before_break;
    stage.refuse_before_ack = seed % 4 == 0;
    stage.latch_after = seed % 5 == 0 ? 10 : 0;
    World world(stage);
    seed % 2 == 0 ? world.call_peer() : world.peer_calls();
    if (::testing::Test::HasFatalFailure()) return;
    GetParam().make_before_break ? world.prefer_lte() : world.move_to_lte();
    world.run_for(seconds(45));
    EXPECT_TRUE(world.settled());
    world.set_loss(0);
    world.stage.loss = 0;
    world.run_for(seconds(5));
    expect_moved(world, world.lte_address());
  }
}

INSTANTIATE_TEST_SUITE_P(Sweep, MoveUnderLoss,
                         ::testing::Values(SweepCase{0.03, Family::V4, false},
                                           SweepCase{0.10, Family::V4, false},
                                           SweepCase{0.10, Family::V6, false},
                                           SweepCase{0.10, Family::V4, true}));

/// A random life: anything at any moment. Afterwards the world calms down and must come right.
void live_randomly(std::uint64_t seed) {
  Stage stage;
  stage.seed = seed;
  stage.family = seed % 3 == 0 ? Family::V6 : Family::V4;
  stage.expires = seconds(60);
  stage.latch_after = seed % 4 == 0 ? 10 : 0;
  stage.refuse_before_ack = seed % 5 == 0;
  stage.server.challenge_invites = seed % 7 == 0;
  World world(stage);
  SeededRandom random(seed * 7919);
  world.phone.play_to_all(440);
  world.phone.answer_calls(milliseconds(200));
  world.register_phone();
  if (::testing::Test::HasFatalFailure()) return;
  bool wifi = true;
  bool lte = false;
  for (int operation = 0; operation < 60; ++operation) {
    const CallId call = world.call_id();
    switch (random.between(0, 19)) {
      case 0:
      case 1:
        wifi ? world.wifi_goes() : world.wifi_comes();
        wifi = !wifi;
        break;
      case 2:
      case 3:
        lte ? world.lte_goes() : world.lte_comes();
        lte = !lte;
        break;
      case 4:
        if (lte) world.prefer_lte();
        break;
      case 5:
        if (lte) world.prefer_wifi();
        break;
      case 6: world.set_loss(0.2); break;
      case 7: world.set_loss(0); break;
      case 8:
      case 9: (void)world.phone.call(world.account, "bob"); break;
      case 10:
        if (world.peer.state() == MockPeer::CallState::Idle ||
            world.peer.state() == MockPeer::CallState::Ended) {
          world.peer.call("sip:alice@example.org");
        }
        break;
      case 11: (void)world.phone.hang_up(call); break;
      case 12: (void)world.phone.hold(call); break;
      case 13: (void)world.phone.resume(call); break;
      case 14:
        if (world.peer.state() == MockPeer::CallState::Confirmed) world.peer.reinvite("sendrecv");
        break;
      case 15:
        if (world.peer.state() == MockPeer::CallState::Confirmed) world.peer.update("sendonly");
        break;
      case 16:
        if (world.peer.state() == MockPeer::CallState::Confirmed) world.peer.bye();
        break;
      case 17: (void)world.phone.handle_ip_change(); break;
      case 18: (void)world.phone.register_account(world.account); break;
      case 19:
        world.network.lose_next([](const SimulatedPacket&) { return true; },
                                static_cast<std::uint32_t>(random.between(1, 5)));
        break;
    }
    world.run_for(
        milliseconds(random.between(0, 3) == 0 ? random.between(0, 2000) : random.between(0, 60)));
    if (::testing::Test::HasFailure()) return;
  }

  // Calm weather: one network, no loss. Everything still alive must work within two minutes.
  world.set_loss(0);
  if (!wifi) world.wifi_comes();
  if (lte) world.lte_goes();
  world.run_for(seconds(120));
  EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  const auto contacts = world.server.contacts("alice");
  ASSERT_EQ(contacts.size(), 1U);
  EXPECT_EQ(testing::parse_uri(contacts[0])->host, world.wifi_address().to_string());
  EXPECT_TRUE(world.settled());
  std::size_t living = 0;
  for (const CallId call : world.phone.calls()) living += world.phone.ended(call) ? 0U : 1U;
  EXPECT_EQ(living, world.phone.engines());
  EXPECT_LE(living, 2U);
  // Hanging up ends all that is left, everywhere.
  for (const CallId call : world.phone.calls()) (void)world.phone.hang_up(call);
  world.run_for(seconds(70));
  EXPECT_EQ(world.phone.engines(), 0U);
  EXPECT_LE(world.phone.listeners(), 2U);
}

TEST(RandomLife, KeepsTheRules) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    live_randomly(seed);
    if (::testing::Test::HasFailure()) return;  // One trace is enough to read.
  }
}

}  // namespace
}  // namespace godwit::scenario
