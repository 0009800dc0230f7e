// SPDX-License-Identifier: Apache-2.0
// STUN over UDP through a NAT (RFC 5626 §4.4.2): the mapping is kept, and its change is noticed.
#include "world.hpp"

namespace godwit::scenario {
namespace {

class BehindNat : public ::testing::Test {
 protected:
  static Stage stage() {
    Stage stage;
    stage.expires = seconds(3600);
    stage.server.send_to_source = true;
    return stage;
  }
  BehindNat() : world_(stage()), nat_(world_.network.add_nat(world_.address(8), {})) {
    world_.phone_host.attach_nat(world_.wifi, &nat_);
    world_.register_phone();
  }
  void expect_reachable() {
    const auto before = world_.phone.all<IncomingCall>().size();
    world_.peer.call("sip:alice@example.org");
    world_.run_for(seconds(1));
    EXPECT_EQ(world_.phone.all<IncomingCall>().size(), before + 1);
  }

  World world_;
  testing::Nat& nat_;
};

TEST_F(BehindNat, TheMappingIsKeptBetweenRegistrations) {
  const auto registers = world_.sent_sip("REGISTER").size();
  world_.run_for(seconds(600));
  EXPECT_EQ(world_.sent_sip("REGISTER").size(), registers) << "STUN alone keeps it";
  EXPECT_GE(world_.server.stun_requests(), 600U / 29U);
  EXPECT_LE(world_.server.stun_requests(), 600U / 23U + 1U);
  expect_reachable();
}

TEST_F(BehindNat, ANewMappingIsRegisteredAtOnce) {
  world_.run_for(seconds(60));
  const auto registers = world_.sent_sip("REGISTER").size();
  nat_.rebind();
  world_.run_for(seconds(31));
  EXPECT_EQ(world_.sent_sip("REGISTER").size(), registers + 1);
  expect_reachable();
}

TEST_F(BehindNat, ASilentServerIsAskedByRegister) {
  world_.run_for(seconds(60));
  const auto registers = world_.sent_sip("REGISTER").size();
  world_.server.answer_pings(false);
  world_.run_for(seconds(75));
  EXPECT_EQ(world_.sent_sip("REGISTER").size(), registers + 1);
  EXPECT_EQ(world_.phone.registration(world_.account), RegistrationState::Registered);
}

TEST(KeepAlive, WithoutANatNothingIsSent) {
  World world;
  world.register_phone();
  world.run_for(seconds(200));
  EXPECT_EQ(world.server.stun_requests(), 0U);
}

TEST(KeepAlive, CanBeTurnedOff) {
  Stage stage;
  stage.ua.udp_keep_alive = seconds(0);
  World world(stage);
  testing::Nat& nat = world.network.add_nat(world.address(8), {});
  world.phone_host.attach_nat(world.wifi, &nat);
  world.register_phone();
  world.run_for(seconds(200));
  EXPECT_EQ(world.server.stun_requests(), 0U);
}

TEST(KeepAlive, AreSentAsOftenAsTheRegistrarWantsThem) {  // RFC 6223 §4.4.
  Stage stage;
  stage.expires = seconds(3600);
  stage.server.keep = 20;
  stage.ua.udp_keep_alive = seconds(0);  // Not by itself, but where it is asked for.
  World world(stage);
  world.register_phone();
  EXPECT_NE(world.sent_sip("REGISTER").back().message.first("Via").find(";keep"),
            std::string::npos);
  world.run_for(seconds(200));
  EXPECT_GE(world.server.stun_requests(), 10U);
  EXPECT_LE(world.server.stun_requests(), 13U);
}

TEST(KeepAlive, WhatARegistrarWantsIsBounded) {
  Stage stage;
  stage.expires = seconds(3600);
  stage.server.keep = 1;
  World world(stage);
  world.register_phone();
  world.run_for(seconds(100));
  EXPECT_LE(world.server.stun_requests(), 13U) << "10 s at least";
}

TEST(KeepAlive, PingsOnAConnectionFollowTheRegistrarToo) {
  for (const unsigned keep : {0U, 20U}) {
    Stage stage;
    stage.expires = seconds(3600);
    stage.transport = sip::Transport::Tcp;
    stage.server.keep = keep;
    World world(stage);
    world.register_phone();
    world.run_for(seconds(130));  // At least one ping has been answered.
    world.server.answer_pings(false);
    world.run_for(seconds(40));
    EXPECT_EQ(world.phone.all<FlowChanged>().empty(), keep == 0);
    EXPECT_EQ(world.phone.registration(world.account), RegistrationState::Registered);
  }
}

TEST(KeepAlive, WithOutboundTheyAreNotNegotiated) {
  Stage stage;
  stage.expires = seconds(30);
  stage.server.outbound = true;
  World world(stage);
  world.register_phone();
  world.run_for(seconds(40));
  ASSERT_GE(world.sent_sip("REGISTER").size(), 2U);
  EXPECT_EQ(world.sent_sip("REGISTER").back().message.first("Via").find(";keep"),
            std::string::npos);
}

}  // namespace
}  // namespace godwit::scenario
