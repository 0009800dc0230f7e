// SPDX-License-Identifier: Apache-2.0
// What a stranger who knows the phone's address can make it do: nothing that its user did not ask
// for, and nothing for long.
#include "stranger.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

using testing::parameter;
using testing::uri_of;

TEST(HostileScenario, ARingingPhoneSendsNoAudioWhateverItsCallerOffers) {
  World world;
  world.register_phone();
  Stranger stranger(world);
  stranger.send(stranger.request("INVITE", "spy"));  // Without an offer: none is open.
  world.run_for(milliseconds(200));
  const CallId call = world.call_id();
  ASSERT_TRUE(world.phone.play_tone(call, 440));
  ASSERT_TRUE(world.phone.ring(call));
  world.run_for(milliseconds(200));
  const auto ringing = stranger.last(180);
  ASSERT_TRUE(ringing);
  SipText update = stranger.within(*ringing, "UPDATE");
  Stranger::put_sdp(update, stranger.address());
  stranger.send(update);
  world.run_for(seconds(2));
  EXPECT_TRUE(stranger.last(500)) << "RFC 3311 §5.2, with Retry-After";
  EXPECT_EQ(world.facts.sent("phone").packets().size(), 0U) << "nobody has answered";
  // The call itself is none the worse for it.
  EXPECT_EQ(world.phone.state(call), CallState::Ringing);
  ASSERT_TRUE(world.phone.answer(call));
  world.run_for(milliseconds(200));
  ASSERT_TRUE(stranger.last(200));
  EXPECT_NE(stranger.last(200)->body, "") << "our offer";
}

TEST(HostileScenario, CallsThatNobodyAnswersDoNotKeepOthersOut) {
  Stage stage;
  stage.ua.max_unanswered_per_source = stage.ua.max_calls;  // As if each came from elsewhere.
  World world(stage);
  world.register_phone();
  Stranger stranger(world);
  for (std::uint32_t i = 0; i < world.stage.ua.max_calls; ++i) {
    SipText invite = stranger.request("INVITE", "flood" + std::to_string(i));
    Stranger::put_sdp(invite, stranger.address());
    stranger.send(invite);
  }
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), world.stage.ua.max_calls);
  world.run_for(seconds(240));
  EXPECT_TRUE(world.phone.idle()) << "they have rung out";
  EXPECT_EQ(world.phone.engines(), 0U);
  world.phone.answer_calls(milliseconds(10));
  world.peer.call("sip:alice@example.org");
  EXPECT_TRUE(world.run_until([&] { return world.peer.state() == MockPeer::CallState::Confirmed; },
                              seconds(5)));
}

TEST(HostileScenario, OneStrangerGetsFewOfThePlaces) {
  Stage stage;
  stage.ua.max_unanswered_per_source = 3;
  World world(stage);
  world.register_phone();
  Stranger stranger(world);
  for (int i = 0; i < 6; ++i) {
    SipText invite = stranger.request("INVITE", "many" + std::to_string(i));
    Stranger::put_sdp(invite, stranger.address());
    stranger.send(invite);
  }
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 3U);
  EXPECT_TRUE(stranger.last(486));
  world.peer.call("sip:alice@example.org");
  world.run_for(seconds(1));
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 4U) << "others are not kept out";
}

TEST(HostileScenario, RefusedCallsAndOptionsCostOneAnswerEach) {
  World world;
  world.register_phone();
  Stranger stranger(world);
  SipText invite = stranger.request("INVITE", "wrong");
  invite.uri = "sip:nobody@" + world.address(1).to_string();
  Stranger::put_sdp(invite, stranger.address());
  stranger.send(invite);
  world.run_for(seconds(40));
  ASSERT_EQ(stranger.seen.size(), 1U) << "no 100, and nothing is repeated for want of an ACK";
  EXPECT_EQ(stranger.seen[0].status, 404);
  const SipText options = stranger.request("OPTIONS", "what");
  stranger.send(options);
  stranger.send(options);
  world.run_for(seconds(40));
  ASSERT_EQ(stranger.seen.size(), 3U);
  EXPECT_EQ(stranger.seen[1].status, 200);
  EXPECT_NE(stranger.seen[1].first("Allow"), "");
  EXPECT_EQ(stranger.seen[1].to_string(), stranger.seen[2].to_string());
}

TEST(HostileScenario, TheCallersExpiresEndsItsCall) {
  World world;
  world.register_phone();
  Stranger stranger(world);
  SipText invite = stranger.request("INVITE", "short");
  invite.append("Expires", "5");
  stranger.send(invite);
  world.run_for(seconds(4));
  EXPECT_FALSE(stranger.last(487));
  world.run_for(seconds(2));
  EXPECT_TRUE(stranger.last(487)) << "RFC 3261 §13.3.1";
  EXPECT_TRUE(world.phone.ended(world.call_id()));
}

TEST(HostileScenario, AStrangersChallengeGetsNoDigestOfThePassword) {
  World world;
  world.register_phone();
  world.phone.answer_calls(milliseconds(10));
  Stranger stranger(world);
  SipText invite = stranger.request("INVITE", "leak");
  Stranger::put_sdp(invite, stranger.address());
  stranger.send(invite);
  world.run_for(milliseconds(500));
  const auto answered = stranger.last(200);
  ASSERT_TRUE(answered);
  SipText ack = stranger.within(*answered, "ACK");
  stranger.send(ack);
  world.run_for(milliseconds(200));
  ASSERT_TRUE(world.phone.hang_up(world.call_id()));
  world.run_for(milliseconds(200));
  const auto bye = stranger.last("BYE");
  ASSERT_TRUE(bye);
  SipText challenge = SipText::response_to(*bye, 407, "Proxy Authentication Required");
  challenge.append("Proxy-Authenticate",
                   "Digest realm=\"godwit\", nonce=\"from the real registrar\", qop=\"auth\"");
  stranger.send(challenge);
  world.run_for(seconds(2));
  for (const SipText& message : stranger.seen) {
    EXPECT_FALSE(message.has("Proxy-Authorization")) << message.to_string();
  }
  EXPECT_TRUE(world.phone.ended(world.call_id()));
}

TEST(HostileScenario, APeerBehindOurServerGetsNoDigestEither) {
  for (const bool called : {false, true}) {
    Stage stage;
    stage.server.record_route = false;  // What is said within the dialog goes straight to the peer.
    World world(stage);
    called ? world.peer_calls() : world.call_peer();
    world.peer.always("BYE", {.status = 407,
                              .headers = {{"Proxy-Authenticate",
                                           "Digest realm=\"godwit\", nonce=\"from the real "
                                           "registrar\", qop=\"auth\""}}});
    const TimePoint start = world.now();
    ASSERT_TRUE(world.phone.hang_up(world.call_id()));
    world.run_for(seconds(2));
    ASSERT_FALSE(world.peer.requests("BYE").empty());
    for (const auto& sent : world.sent_sip("BYE", start)) {
      EXPECT_FALSE(sent.message.has("Proxy-Authorization")) << sent.message.to_string();
    }
  }
}

TEST(HostileScenario, AnAckThatGoesStraightToThePeerTellsItNoCredentials) {
  Stage stage;
  stage.server.challenge_invites = true;
  stage.server.record_route = false;
  World world(stage);
  world.call_peer();
  std::size_t acks = 0;
  for (const auto& seen : world.peer.seen()) {
    if (seen.message.method != "ACK") continue;
    ++acks;
    EXPECT_FALSE(seen.message.has("Proxy-Authorization")) << seen.message.to_string();
    EXPECT_FALSE(seen.message.has("Authorization"));
  }
  EXPECT_GE(acks, 1U);
}

TEST(HostileScenario, NoAudioToAddressesThatCannotBeThePeers) {
  World world;
  world.register_phone();
  world.phone.answer_calls(milliseconds(10));
  Stranger stranger(world);
  for (const char* address : {"127.0.0.1", "255.255.255.255", "224.0.0.1"}) {
    SCOPED_TRACE(address);
    stranger.seen.clear();
    SipText invite = stranger.request("INVITE", std::string("to") + address);
    Stranger::put_sdp(invite, address);
    stranger.send(invite);
    world.run_for(seconds(1));
    EXPECT_TRUE(stranger.last(488));
  }
  EXPECT_EQ(world.facts.sent("phone").packets().size(), 0U);
}

TEST(HostileScenario, AnAnswerThatNobodyAcknowledgesIsNoSourceOfAudio) {
  World world;
  world.register_phone();
  world.phone.answer_calls(milliseconds(10));
  Stranger stranger(world);
  SipText invite = stranger.request("INVITE", "spoofed");
  Stranger::put_sdp(invite, world.peer_address().to_string());  // The victim.
  stranger.send(invite);
  world.run_for(seconds(70));  // 32 s without an ACK, and as long without an answer to the BYE.
  EXPECT_LE(world.facts.sent("phone").packets().size(), 150U) << "of 1 600 until the BYE";
  EXPECT_TRUE(world.phone.ended(world.call_id()));
}

}  // namespace
}  // namespace godwit::scenario
