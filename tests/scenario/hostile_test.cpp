// SPDX-License-Identifier: Apache-2.0
// What a stranger who knows the phone's address can make it do: nothing that its user did not ask
// for, and nothing for long.
#include "world.hpp"

namespace godwit::scenario {
namespace {

using testing::parameter;
using testing::uri_of;

/// A host that sends what it likes to the phone.
class Stranger {
 public:
  explicit Stranger(World& world) : world_(world), host_(world.network.add_host("mallory")) {
    const auto eth = host_.add_interface("eth0");
    host_.add_address(eth, world.address(66));
    host_.add_default_route(world.stage.family, eth, 100);
    socket_ = *host_.bind({world.address(66), 5060}, 0,
                          [this](testing::SocketId, const Endpoint&, const std::string& bytes) {
                            if (auto message = SipText::parse(bytes)) seen.push_back(*message);
                          });
    target_ = world.sent_sip("REGISTER").back().source;
  }

  SipText request(const std::string& method, const std::string& call_id) {
    SipText r = SipText::request(method, "sip:alice@" + target_.to_string());
    const std::string here = Endpoint{world_.address(66), 5060}.to_string();
    r.append("Via", "SIP/2.0/UDP " + here + ";rport;branch=z9hG4bK" + std::to_string(++branches_));
    r.append("Max-Forwards", "70");
    r.append("From", "<sip:mallory@" + here + ">;tag=m");
    r.append("To", "<sip:alice@example.org>");
    r.append("Call-ID", call_id);
    r.append("CSeq", std::to_string(++cseq_) + " " + method);
    r.append("Contact", "<sip:mallory@" + here + ">");
    return r;
  }
  /// In the dialog that the phone's answer to the INVITE began.
  SipText within(const SipText& answer, const std::string& method) {
    SipText r = request(method, answer.first("Call-ID"));
    r.set("To", answer.first("To"));
    if (method == "ACK") r.set("CSeq", std::to_string(answer.cseq_number()) + " ACK");
    return r;
  }
  static void put_sdp(SipText& message, const std::string& address) {
    message.append("Content-Type", "application/sdp");
    message.body = "v=0\r\no=- 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address +
                   "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
  }
  void send(const SipText& message) {
    ASSERT_FALSE(host_.send(socket_, target_, message.to_string()));
  }
  std::optional<SipText> last(int status) const {
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
      if (it->status == status) return *it;
    }
    return std::nullopt;
  }
  std::optional<SipText> last(const std::string& method) const {
    for (auto it = seen.rbegin(); it != seen.rend(); ++it) {
      if (it->method == method) return *it;
    }
    return std::nullopt;
  }
  std::string address() const { return world_.address(66).to_string(); }

  std::vector<SipText> seen;

 private:
  World& world_;
  testing::Host& host_;
  testing::SocketId socket_;
  Endpoint target_;
  int branches_ = 0;
  int cseq_ = 0;
};

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
