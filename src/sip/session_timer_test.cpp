// SPDX-License-Identifier: Apache-2.0
//
// Session timers (RFC 4028): what is asked and granted, the refresh at half the interval, the BYE
// without one, 422, and how a recovery holds the end back.
#include "sip/session_timer.hpp"

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;
using wire::Method;

class Timers : public CallFixture {
 protected:
  Timers() {
    use(alice, {ExtensionUse::Supported, seconds(1800), seconds(90)});
    use(bob, {ExtensionUse::Supported, seconds(1800), seconds(90)});
  }
  static void use(Party& party, SessionTimerConfig timer) {
    party.adjust = [timer](SessionConfig& config) { config.timer = timer; };
  }
  std::string header(const std::string& sender, const std::string& what, HeaderId id) {
    const auto found = world.all(sender, what);
    return found.empty() ? "" : std::string(found.back()->first(id).value_or(""));
  }
};

TEST_F(Timers, AreAgreedOnAndTheCallerRefreshes) {
  call();
  world.run(milliseconds(50));
  EXPECT_EQ(header("alice", "INVITE", HeaderId::SessionExpires), "1800");
  EXPECT_EQ(header("alice", "INVITE", HeaderId::MinSE), "") << "90 s is understood";
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(header("bob", "200 INVITE", HeaderId::SessionExpires), "1800;refresher=uac");
  EXPECT_EQ(header("bob", "200 INVITE", HeaderId::Require), "timer");
  EXPECT_EQ(alice.session().session_timer(), (SessionTimer{seconds(1800), true}));
  EXPECT_EQ(bob.session().session_timer(), (SessionTimer{seconds(1800), false}));
  clear();
  world.run(seconds(899));
  EXPECT_EQ(alice.events, Lines{});
  world.run(seconds(2));
  EXPECT_EQ(alice.events, (Lines{"RefreshDue"}));
  ASSERT_TRUE(
      alice.session().refresh(refresh_of(alice, 0, std::nullopt, Method::Update), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(header("alice", "UPDATE", HeaderId::SessionExpires), "1800;refresher=uac");
  EXPECT_EQ(header("bob", "200 UPDATE", HeaderId::SessionExpires), "1800;refresher=uac");
  clear();
  world.run(seconds(1700));  // Beyond the first end; the refresh has moved it.
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  EXPECT_EQ(alice.events, (Lines{"RefreshDue"}));
  world.run(seconds(100));
  // Nobody refreshed again: both end it 32 s before the interval is over.
  EXPECT_EQ(alice.session().state(), SessionState::Ended);
  EXPECT_EQ(bob.session().state(), SessionState::Ended);
  expect_quiet();
}

TEST_F(Timers, ABareUpdateAndAReinviteOfTheCalleeKeepTheRefresher) {
  establish();
  ASSERT_TRUE(bob.session().refresh(refresh_of(bob, 0, sdp("b2", 2)), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(header("bob", "INVITE", HeaderId::SessionExpires), "1800;refresher=uas")
      << "the one who does not send this request";
  ASSERT_TRUE(alice.session().answer_offer(sdp("a2", 2), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(header("alice", "200 INVITE", HeaderId::SessionExpires), "1800;refresher=uas");
  EXPECT_TRUE(alice.session().session_timer()->we_refresh);
  EXPECT_FALSE(bob.session().session_timer()->we_refresh);
}

TEST_F(Timers, TooShortAnIntervalIsAskedAgainAsTheCalleeDemands) {
  use(alice, {ExtensionUse::Supported, seconds(100), seconds(90)});
  use(bob, {ExtensionUse::Supported, seconds(1800), seconds(600)});
  call();
  world.run(milliseconds(100));
  EXPECT_EQ(header("bob", "422", HeaderId::MinSE), "600");
  const auto invites = world.all("alice", "INVITE");
  ASSERT_EQ(invites.size(), 2U);
  EXPECT_EQ(invites[0]->first(HeaderId::CallId), invites[1]->first(HeaderId::CallId));
  EXPECT_EQ(wire::cseq_of(*invites[1])->number, wire::cseq_of(*invites[0])->number + 1);
  EXPECT_EQ(header("alice", "INVITE", HeaderId::SessionExpires), "600");
  EXPECT_EQ(header("alice", "INVITE", HeaderId::MinSE), "600");
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(alice.session().session_timer()->interval, seconds(600));
}

TEST_F(Timers, AnEndless422IsNotFollowedForEver) {
  int asked = 0;
  bob.on_request = [&](const RequestArrived& event) {
    ++asked;
    wire::DraftHeaders headers;
    headers.emplace_back(HeaderId::MinSE, std::to_string(2000 + 100 * asked));
    world.respond(bob, event, 422, headers);
    return true;
  };
  call();
  world.run(seconds(1));
  EXPECT_EQ(asked, 1 + InviteSession::kMaxIntervalRaises);
  EXPECT_EQ(alice.events, (Lines{"Ended 422 by peer"}));
}

TEST_F(Timers, A422ThatDemandsNothingMoreEndsTheAttempt) {
  for (const char* min : {"90", "1800", "4294967295", "x"}) {
    SCOPED_TRACE(min);
    int asked = 0;
    bob.on_request = [&](const RequestArrived& event) {
      ++asked;
      wire::DraftHeaders headers;
      headers.emplace_back(HeaderId::MinSE, min);
      world.respond(bob, event, 422, headers);
      return true;
    };
    alice.events.clear();
    call();
    world.run(seconds(1));
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(alice.events, (Lines{"Ended 422 by peer"}));
  }
}

/// Whether we refresh.
class VanishedPeer : public Timers, public testing::WithParamInterface<bool> {};

TEST_P(VanishedPeer, EndsTheCall) {
  establish();
  Party& left = GetParam() ? alice : bob;
  world.kill(GetParam() ? bob : alice, 0);
  world.run(seconds(1767));
  EXPECT_EQ(left.session().state(), SessionState::Confirmed);
  world.run(seconds(2));
  EXPECT_NE(left.session().state(), SessionState::Confirmed);
  world.run(seconds(40));
  EXPECT_EQ(left.events.back(), "Ended 408 by network");
}

INSTANTIATE_TEST_SUITE_P(BothRoles, VanishedPeer, testing::Bool());

TEST_F(Timers, ARecoveryHoldsTheEndBackAndNoLonger) {
  establish();
  world.kill(bob, 0);
  alice.session().hold_expiry(true, world.now);
  world.run(seconds(1790));
  EXPECT_EQ(alice.session().state(), SessionState::Confirmed);
  // As far as Alice knows, her refresh may still find Bob.
  alice.session().hold_expiry(false, world.now);
  EXPECT_NE(alice.session().state(), SessionState::Confirmed) << "at once: it is overdue";
  world.run(seconds(40));
  EXPECT_EQ(alice.session().state(), SessionState::Ended);
}

TEST_F(Timers, NoneComesAboutWithAPeerWithoutSupport) {
  use(bob, {});
  establish();
  EXPECT_FALSE(alice.session().session_timer());
  EXPECT_FALSE(bob.session().session_timer());
}

TEST_F(Timers, RequiredTheCallerRefreshesAlone) {
  use(bob, {});
  use(alice, {ExtensionUse::Required, seconds(600), seconds(90)});
  establish();
  EXPECT_EQ(alice.session().session_timer(), (SessionTimer{seconds(600), true}));
  EXPECT_FALSE(bob.session().session_timer());
}

TEST_F(Timers, RequiredTheCalleeRefreshesAlone) {
  use(alice, {});
  use(bob, {ExtensionUse::Required, seconds(600), seconds(90)});
  call();
  world.run(milliseconds(50));
  ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
  world.run(milliseconds(50));
  EXPECT_EQ(bob.session().session_timer(), (SessionTimer{seconds(600), true}));
  EXPECT_EQ(header("bob", "200 INVITE", HeaderId::SessionExpires), "600;refresher=uas");
  EXPECT_EQ(header("bob", "200 INVITE", HeaderId::Require), "");
}

TEST_F(Timers, WhatACalleeGrants) {
  const struct {
    const char* headers;
    const char* expected;  // Empty: no timer in the 2xx.
    bool required;         // "Require: timer" in the 2xx.
  } cases[] = {
      {"Supported: timer\r\nSession-Expires: 1800\r\n", "1800;refresher=uac", true},
      {"Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", "90;refresher=uac", true},
      {"Require: timer\r\nSession-Expires: 90;refresher=uas\r\n", "90;refresher=uas", false},
      {"Supported: timer\r\n", "1800;refresher=uac", true},
      {"Supported: timer\r\nMin-SE: 3600\r\n", "3600;refresher=uac", true},
      {"Supported: timer\r\nSession-Expires: 7200\r\n", "1800;refresher=uac", true},
      {"Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", "3600;refresher=uac", true},
      // A proxy asks for it on behalf of a caller that does not know it.
      {"Session-Expires: 1800\r\n", "1800;refresher=uas", false},
      {"Session-Expires: 4294967295\r\nMin-SE: 4294967295\r\n", "86400;refresher=uas", false},
      {"", "", false},
  };
  int number = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.headers);
    stranger_invites("grant" + std::to_string(++number),
                     std::string("Contact: <sip:x@10.1.0.2>\r\n") + c.headers);
    world.run();
    world.messages.clear();
    ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
    world.run();
    EXPECT_EQ(header("bob", "200 INVITE", HeaderId::SessionExpires), c.expected);
    EXPECT_EQ(header("bob", "200 INVITE", HeaderId::Require) == "timer", c.required);
    bob.session().give_up("test", world.now);
  }
}

TEST_F(Timers, TooShortIsRefusedOnlyWhereThePeerCanLearn) {
  stranger_invites("brief",
                   "Contact: <sip:x@10.1.0.2>\r\nSupported: timer\r\nSession-Expires: 60\r\n");
  world.run();
  EXPECT_EQ(header("bob", "422 INVITE", HeaderId::MinSE), "90");
  stranger_invites("old", "Contact: <sip:x@10.1.0.2>\r\nSession-Expires: 60\r\n");
  world.run();
  EXPECT_EQ(bob.session().state(), SessionState::Incoming);
}

TEST(SessionTimerRules, ATinyGrantIsRaised) {
  const auto response = wire::Message::parse(
      "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
      "To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nSession-Expires: 1;refresher=uac\r\n"
      "Content-Length: 0\r\n\r\n");
  ASSERT_TRUE(response);
  const SessionTimerConfig config{ExtensionUse::Supported, seconds(1800), seconds(90)};
  EXPECT_EQ(granted_timer(*response, config, seconds(1800)), (SessionTimer{seconds(90), true}));
  EXPECT_EQ(granted_timer(*response, {}, seconds(1800)), std::nullopt) << "off";
}

TEST(SessionTimerRules, EndsBeforeTheInterval) {
  EXPECT_EQ((SessionTimer{seconds(90), true}).expires_after(), seconds(60));
  EXPECT_EQ((SessionTimer{seconds(1800), true}).expires_after(), seconds(1768));
  EXPECT_EQ((SessionTimer{seconds(1800), true}).refresh_after(), seconds(900));
}

}  // namespace
}  // namespace godwit::sip::test
