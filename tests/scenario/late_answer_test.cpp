// SPDX-License-Identifier: Apache-2.0
// Answers to INVITEs that nobody waits for any more: each gets its ACK, and what it began its BYE.
#include <algorithm>
#include <set>

#include "stranger.hpp"
#include "world.hpp"

namespace godwit::scenario {
namespace {

/// A host that is called directly and answers as the test says.
class LateAnswer : public ::testing::Test {
 protected:
  LateAnswer() : world(Stage{}) {
    world.register_phone();
    callee.emplace(world);
  }
  CallId call() {
    const auto made = world.phone.call(world.account, "sip:mallory@" + callee->address() + ":5060");
    EXPECT_TRUE(made);
    world.run_for(milliseconds(200));
    EXPECT_TRUE(callee->last("INVITE"));
    return made.value_or(CallId{});
  }
  void answer(int status, const std::string& tag) {
    const SipText invite = *callee->last("INVITE");
    SipText response = SipText::response_to(invite, status, status == 200 ? "OK" : "Ringing", tag);
    response.append("Contact", "<sip:mallory-" + tag + "@" + callee->address() + ">");
    if (status == 200) Stranger::put_sdp(response, callee->address());
    callee->send(response);
    world.run_for(milliseconds(300));
  }
  void answer_last_bye() {
    const auto bye = callee->last("BYE");
    ASSERT_TRUE(bye);
    callee->send(SipText::response_to(*bye, 200, "OK", ""));
    world.run_for(milliseconds(300));
  }
  /// Requests in the dialog with that tag; retransmissions of a BYE count once.
  std::size_t count(const std::string& method, const std::string& tag) const {
    std::set<std::uint32_t> numbers;
    std::size_t all = 0;
    for (const SipText& seen : callee->seen) {
      if (seen.method != method || testing::parameter(seen.first("To"), "tag") != tag) continue;
      ++all;
      numbers.insert(seen.cseq_number());
    }
    return method == "ACK" ? all : numbers.size();
  }

  World world;
  std::optional<Stranger> callee;
};

TEST_F(LateAnswer, OfAnotherForkAfterTheCallIsOver) {
  const CallId id = call();
  answer(180, "a");
  answer(180, "b");
  answer(200, "a");
  ASSERT_EQ(world.phone.state(id), CallState::Confirmed);
  ASSERT_TRUE(world.phone.hang_up(id));
  world.run_for(milliseconds(200));
  answer_last_bye();
  ASSERT_TRUE(world.phone.ended(id));
  EXPECT_TRUE(world.phone.idle());
  world.run_for(seconds(5));
  for (const char* tag : {"b", "c", "d"}) {
    answer(200, tag);
    EXPECT_EQ(count("ACK", tag), 1U) << tag;
    EXPECT_EQ(count("BYE", tag), 1U) << tag;
    answer_last_bye();
  }
  answer(200, "b");
  EXPECT_EQ(count("ACK", "b"), 2U) << "each copy of a 2xx";
  EXPECT_EQ(count("BYE", "b"), 1U);
  EXPECT_EQ(world.phone.all<IncomingCall>().size(), 0U);
}

TEST_F(LateAnswer, AfterWeHaveGivenUpWaiting) {
  const CallId id = call();
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(id).has_value(); }, seconds(40)));
  EXPECT_EQ(world.phone.ended(id)->status, 408);
  world.run_for(seconds(10));
  answer(200, "late");
  EXPECT_EQ(count("ACK", "late"), 1U);
  EXPECT_EQ(count("BYE", "late"), 1U);
  answer_last_bye();
  answer(200, "other");
  EXPECT_EQ(count("ACK", "other"), 1U);
  EXPECT_EQ(count("BYE", "other"), 1U);
}

TEST_F(LateAnswer, ManyForksAreBounded) {
  const CallId id = call();
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(id).has_value(); }, seconds(40)));
  for (int i = 0; i < 200; ++i) answer(200, "t" + std::to_string(i));
  std::size_t ended = 0;
  for (int i = 0; i < 200; ++i) ended += count("BYE", "t" + std::to_string(i));
  EXPECT_GE(ended, 8U);
  EXPECT_LE(ended, 64U);
}

TEST_F(LateAnswer, WhatIsForgottenIsSilent) {
  const CallId id = call();
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(id).has_value(); }, seconds(40)));
  world.run_for(seconds(120));
  answer(200, "late");
  EXPECT_EQ(count("ACK", "late"), 0U);
  EXPECT_EQ(count("BYE", "late"), 0U);
}

TEST_F(LateAnswer, AStrangersChallengeGetsNoCredentials) {
  const CallId id = call();
  ASSERT_TRUE(world.run_until([&] { return world.phone.ended(id).has_value(); }, seconds(40)));
  answer(200, "late");
  const auto bye = callee->last("BYE");
  ASSERT_TRUE(bye);
  SipText challenge = SipText::response_to(*bye, 407, "Proxy Authentication Required", "");
  challenge.append("Proxy-Authenticate", "Digest realm=\"elsewhere\", nonce=\"1\"");
  callee->send(challenge);
  world.run_for(milliseconds(300));
  // A host that is no server of the account's gets no credentials; nor does it get the BYE for
  // ever.
  EXPECT_EQ(count("BYE", "late"), 1U);
}

}  // namespace
}  // namespace godwit::scenario
