// SPDX-License-Identifier: Apache-2.0
//
// Registrations against a registrar whose answers each test writes: refresh, refusals, retries, and
// the move of the binding to another address.
#include "sip/registration.hpp"

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::HeaderId;

class RegistrationTest : public ::testing::Test {
 protected:
  World world;
  Party& phone = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& registrar = world.add("registrar", {"10.9.0.1:5060"});

  struct Answer {
    int status = 200;
    wire::DraftHeaders headers;
    std::string contact;  ///< Empty: none.
  };
  /// Given one by one, the last one again and again; no answer at all where there is none.
  std::deque<Answer> answers;
  std::vector<wire::Message> requests;

  void SetUp() override {
    registrar.on_request = [this](const RequestArrived& event) {
      requests.push_back(*event.request);
      if (answers.empty()) return true;
      const Answer answer = answers.front();
      if (answers.size() > 1) answers.pop_front();
      world.respond(registrar, event, answer.status, answer.headers, answer.contact);
      return true;
    };
  }

  Registration& make(const std::string& instance = "") {
    RegistrationConfig config;
    config.aor = "sip:alice@example.org";
    config.display_name = "Alice";
    config.registrar = "sip:example.org";
    config.instance_id = instance;
    phone.registration = std::make_unique<Registration>(phone.context(), phone.registration_owner,
                                                        config, phone.digest);
    return *phone.registration;
  }
  Flow flow(std::size_t from = 0) { return phone.flow(from, registrar.endpoints[0]); }
  void start() { ASSERT_TRUE(make().start(flow(), phone.contact(), world.now)); }
  static Answer granted(int seconds, const std::string& contact = "sip:alice@10.1.0.2:5060") {
    return {200, {}, "<" + contact + ">;expires=" + std::to_string(seconds)};
  }
  RegistrationMove move_to_lte() {
    RegistrationMove move;
    move.flow = flow(1);
    move.contact = phone.contact(1);
    move.generation = Generation{3};
    return move;
  }
  std::vector<std::string> contacts_of(const wire::Message& request) const {
    std::vector<std::string> all;
    for (const auto value : request.values(HeaderId::Contact)) all.emplace_back(value);
    return all;
  }
  std::string states() const {
    std::string text;
    for (const auto& status : phone.statuses)
      text += std::string(text.empty() ? "" : " ") + to_string(status.state) +
              (status.status != 0 ? std::to_string(status.status) : "");
    return text;
  }
  static const char* to_string(RegistrationState state) {
    switch (state) {
      case RegistrationState::Unregistered: return "Unregistered";
      case RegistrationState::Registering: return "Registering";
      case RegistrationState::Registered: return "Registered";
      case RegistrationState::Failed: return "Failed";
      case RegistrationState::Suspended: return "Suspended";
    }
    return "?";
  }
};

TEST_F(RegistrationTest, BindsAndRefreshesBeforeExpiry) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].request_uri(), "sip:example.org");
  EXPECT_EQ(wire::from_of(requests[0])->uri.text, "sip:alice@example.org");
  EXPECT_EQ(contacts_of(requests[0]), (Lines{"<sip:alice@10.1.0.2:5060>;expires=300"}));
  EXPECT_EQ(states(), "Registering Registered200");
  EXPECT_EQ(phone.statuses.back().expires, seconds(100));
  EXPECT_EQ(phone.statuses.back().contact, "sip:alice@10.1.0.2:5060");

  for (int i = 0; i < 20; ++i) {
    const TimePoint bound_until = *phone.registration->bound_until();
    const std::size_t before = requests.size();
    world.run(bound_until - seconds(100) + seconds(49) - world.now);
    EXPECT_EQ(requests.size(), before) << "not before half of the time";
    world.run(seconds(42));
    EXPECT_EQ(requests.size(), before + 1) << "before nine tenths of it";
  }
  EXPECT_EQ(wire::call_id_of(requests.back()), wire::call_id_of(requests.front()));
  EXPECT_EQ(wire::cseq_of(requests.back())->number, wire::cseq_of(requests.front())->number + 20);
  for (const auto& status : phone.statuses) EXPECT_NE(status.state, RegistrationState::Failed);
}

TEST_F(RegistrationTest, TimeGrantedIsThatOfOurOwnContact) {
  const struct {
    const char* what;
    Answer answer;
    seconds expected;
  } cases[] = {
      {"ours among others",
       {200,
        {{HeaderId::Contact, "<sip:alice@10.7.7.7>;expires=10"},
         {HeaderId::Contact, "<sip:ALICE@10.1.0.2:5060>;expires=20"},
         {HeaderId::Contact, "\"A, B\" <sip:alice@10.1.0.2:5060>;q=0.5;expires=77"},
         {HeaderId::Expires, "30"}},
        ""},
       seconds(77)},
      {"ours without a parameter",
       {200, {{HeaderId::Expires, "60"}}, "<sip:alice@10.1.0.2:5060>"},
       seconds(60)},
      {"only a header", {200, {{HeaderId::Expires, "61"}}, ""}, seconds(61)},
      {"nothing said", {200, {}, ""}, seconds(300)},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    phone.statuses.clear();
    answers = {c.answer};
    start();
    world.run(seconds(1));
    EXPECT_EQ(phone.statuses.back().state, RegistrationState::Registered);
    EXPECT_EQ(phone.statuses.back().expires, c.expected);
  }
}

TEST_F(RegistrationTest, GrantOfNoTimeIsAFailure) {
  answers = {granted(0)};
  start();
  world.run(seconds(1));
  EXPECT_EQ(states(), "Registering Failed200");
  EXPECT_EQ(requests.size(), 1U);
}

TEST_F(RegistrationTest, TooBriefIntervalIsRaised) {
  answers = {{423, {{HeaderId::MinExpires, "1000"}}, ""}, granted(1000)};
  start();
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(contacts_of(requests[1]), (Lines{"<sip:alice@10.1.0.2:5060>;expires=1000"}));
  EXPECT_EQ(states(), "Registering Registered200");
}

TEST_F(RegistrationTest, RegistrarThatIsNeverSatisfiedIsGivenUp) {
  const struct {
    const char* what;
    std::deque<Answer> answers;
    std::size_t requests;
  } cases[] = {
      {"rising for ever",
       {{423, {{HeaderId::MinExpires, "1000"}}, ""},
        {423, {{HeaderId::MinExpires, "2000"}}, ""},
        {423, {{HeaderId::MinExpires, "3000"}}, ""},
        {423, {{HeaderId::MinExpires, "4000"}}, ""}},
       3},
      {"less than asked for", {{423, {{HeaderId::MinExpires, "10"}}, ""}}, 1},
      {"absurd", {{423, {{HeaderId::MinExpires, "4000000000"}}, ""}}, 1},
      {"not said", {{423, {}, ""}}, 1},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    phone.statuses.clear();
    requests.clear();
    answers = c.answers;
    start();
    world.run(seconds(60));
    EXPECT_EQ(requests.size(), c.requests);
    EXPECT_EQ(states(), "Registering Failed423");
  }
}

TEST_F(RegistrationTest, FailuresThatMayPassAreRetriedAfterARisingTime) {
  for (const int status : {408, 480, 500, 503, 504}) {
    SCOPED_TRACE(status);
    phone.statuses.clear();
    requests.clear();
    answers = {{status, {}, ""}};
    start();
    world.run(seconds(1));
    ASSERT_EQ(phone.statuses.back().state, RegistrationState::Failed);
    // RFC 5626 §4.5: 30 s doubled for each failure, at most 1800 s, of which 50 to 100 %.
    double base = 60;
    for (int i = 0; i < 8; ++i) {
      const double wait = to_ms(*phone.statuses.back().retry_in) / 1000;
      EXPECT_GE(wait, base / 2);
      EXPECT_LE(wait, base);
      base = std::min(2 * base, 1800.0);
      const std::size_t before = requests.size();
      world.run(*phone.statuses.back().retry_in + seconds(1));
      EXPECT_EQ(requests.size(), before + 1);
    }
  }
}

TEST_F(RegistrationTest, SuccessForgetsEarlierFailures) {
  answers = {{500, {}, ""}, {500, {}, ""}, {500, {}, ""}, granted(100), {500, {}, ""}};
  start();
  world.run(seconds(700));
  const auto bound = std::find_if(
      phone.statuses.begin(), phone.statuses.end(),
      [](const auto& status) { return status.state == RegistrationState::Registered; });
  const auto failed = std::find_if(bound, phone.statuses.end(), [](const auto& status) {
    return status.state == RegistrationState::Failed;
  });
  ASSERT_NE(failed, phone.statuses.end());
  EXPECT_LE(*failed->retry_in, seconds(60)) << "the first failure of a new row";
}

TEST_F(RegistrationTest, SilenceIsATimeoutAndARetry) {
  start();
  world.run(seconds(33));
  EXPECT_EQ(states(), "Registering Failed408");
  answers = {granted(100)};
  world.run(seconds(62));
  EXPECT_EQ(states(), "Registering Failed408 Registering Registered200");
}

TEST_F(RegistrationTest, RetryAfterIsKeptToButCannotMakeUsSpin) {
  answers = {{503, {{HeaderId::RetryAfter, "120"}}, ""}};
  start();
  world.run(seconds(1));
  EXPECT_EQ(*phone.statuses.back().retry_in, seconds(120));
  answers = {{503, {{HeaderId::RetryAfter, "0"}}, ""}};
  world.run(seconds(121));
  EXPECT_EQ(*phone.statuses.back().retry_in, seconds(4));
  requests.clear();
  world.run(std::chrono::hours(1));
  EXPECT_LT(requests.size(), 70U);
  answers = {{503, {{HeaderId::RetryAfter, "4000000000"}}, ""}};
  world.run(seconds(200));
  EXPECT_EQ(*phone.statuses.back().retry_in, Registration::kRetryMax);
}

TEST_F(RegistrationTest, RefusalsAreNotRepeatedSoon) {
  for (const int status : {301, 400, 403, 404, 606}) {
    SCOPED_TRACE(status);
    phone.statuses.clear();
    requests.clear();
    answers = {{status, {}, ""}};
    start();
    world.run(seconds(1000));
    EXPECT_EQ(requests.size(), 1U);
    EXPECT_EQ(states(), "Registering Failed" + std::to_string(status));
    EXPECT_EQ(*phone.statuses.back().retry_in, Registration::kRetryMax);
  }
}

TEST_F(RegistrationTest, DigestIsAnsweredOnceAndSentAheadLater) {
  const Answer challenge{
      401, {{HeaderId::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n1\", qop=\"auth\""}}, ""};
  answers = {challenge, granted(100)};
  start();
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_FALSE(requests[0].has(HeaderId::Authorization));
  EXPECT_TRUE(requests[1].has(HeaderId::Authorization));
  EXPECT_EQ(wire::call_id_of(requests[0]), wire::call_id_of(requests[1]));
  EXPECT_EQ(states(), "Registering Registered200");
  // The move brings its credentials with it: one round trip.
  world.kill(phone, 0);
  answers = {granted(100, "sip:alice@10.2.0.2:5060")};
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 3U);
  const auto credentials = requests[2].first(HeaderId::Authorization);
  ASSERT_TRUE(credentials);
  EXPECT_NE(credentials->find("nc=00000002"), std::string_view::npos);
  EXPECT_EQ(states(), "Registering Registered200 Registering Registered200");
  // A nonce bound to the old address is refused with a fresh one: one silent retry.
  answers = {
      {401,
       {{HeaderId::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n2\", qop=\"auth\", stale=true"}},
       ""},
      granted(100, "sip:alice@10.2.0.2:5060")};
  ASSERT_TRUE(phone.registration->refresh(world.now));
  world.run(seconds(1));
  EXPECT_EQ(requests.size(), 5U);
  EXPECT_EQ(phone.statuses.back().state, RegistrationState::Registered);
}

TEST_F(RegistrationTest, WrongPasswordIsNoLoop) {
  answers = {
      {401, {{HeaderId::WwwAuthenticate, "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""}}, ""}};
  start();
  world.run(seconds(1000));
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(states(), "Registering Failed401");
  EXPECT_EQ(phone.statuses.back().reason.find("secret"), std::string::npos);
}

// --- moves ---

TEST_F(RegistrationTest, MoveReplacesTheBindingInOneRequest) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  world.kill(phone, 0);
  answers = {granted(100, "sip:alice@10.2.0.2:5060")};
  phone.statuses.clear();
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(contacts_of(requests[1]), (Lines{"<sip:alice@10.1.0.2:5060>;expires=0",
                                             "<sip:alice@10.2.0.2:5060>;expires=300"}));
  EXPECT_EQ(wire::call_id_of(requests[0]), wire::call_id_of(requests[1]));
  EXPECT_EQ(wire::cseq_of(requests[0])->number + 1, wire::cseq_of(requests[1])->number);
  EXPECT_EQ(states(), "Registering Registered200");
  EXPECT_EQ(phone.statuses.back().generation, Generation{3});
  EXPECT_EQ(phone.statuses.back().contact, "sip:alice@10.2.0.2:5060");
  // Once out, the old one is not taken out again.
  ASSERT_TRUE(phone.registration->refresh(world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests[2]), (Lines{"<sip:alice@10.2.0.2:5060>;expires=300"}));
}

TEST_F(RegistrationTest, MoveWithoutRemovalKeepsTheOldBinding) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  RegistrationMove move = move_to_lte();
  move.remove_old_contact = false;
  ASSERT_TRUE(phone.registration->move(move, world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests[1]), (Lines{"<sip:alice@10.2.0.2:5060>;expires=300"}));
}

TEST_F(RegistrationTest, MoveWithARequestInFlightLeavesThatBehind) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  answers.clear();
  ASSERT_TRUE(phone.registration->refresh(world.now));
  world.run(milliseconds(50));
  world.kill(phone, 0);
  answers = {granted(100, "sip:alice@10.2.0.2:5060")};
  phone.statuses.clear();
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(40));
  EXPECT_EQ(states(), "Registering Registered200") << "no word of the old request's timeout";
  EXPECT_EQ(world.all("alice", "REGISTER").size(), 3U) << "and no retransmission on a dead flow";
  EXPECT_EQ(phone.timers.size(), 1U);
  EXPECT_EQ(wire::cseq_of(requests[1])->number + 1, wire::cseq_of(requests[2])->number);
}

TEST_F(RegistrationTest, SecondMoveTakesOutEveryPlaceThatMayBeBound) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  answers.clear();  // The first move gets no answer, but may have been heard.
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(milliseconds(50));
  answers = {granted(100)};
  RegistrationMove back = move_to_lte();
  back.flow = flow(0);
  back.contact = "sip:alice@10.1.0.2:5999";
  back.generation = Generation{4};
  ASSERT_TRUE(phone.registration->move(back, world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests.back()),
            (Lines{"<sip:alice@10.1.0.2:5060>;expires=0", "<sip:alice@10.2.0.2:5060>;expires=0",
                   "<sip:alice@10.1.0.2:5999>;expires=300"}));
  // Back to a place just left: bound, not taken out.
  back.contact = phone.contact(0);
  ASSERT_TRUE(phone.registration->move(back, world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests.back()).back(), "<sip:alice@10.1.0.2:5060>;expires=300");
  for (const std::string& contact : contacts_of(requests.back()))
    EXPECT_NE(contact, "<sip:alice@10.1.0.2:5060>;expires=0");
}

TEST_F(RegistrationTest, RegistrarThatKnowsOutboundReplacesByItself) {
  answers = {{200, {{HeaderId::Require, "outbound"}}, "<sip:alice@10.1.0.2:5060>;expires=100"}};
  ASSERT_TRUE(make("urn:uuid:00000000-0000-1000-8000-000A95A0E128")
                  .start(flow(), phone.contact(), world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests[0]),
            (Lines{"<sip:alice@10.1.0.2:5060>;expires=300;+sip.instance=\"<urn:uuid:00000000-0000-"
                   "1000-8000-000A95A0E128>\";reg-id=1"}));
  EXPECT_TRUE(wire::has_token(requests[0], HeaderId::Supported, "outbound"));
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests[1]).size(), 1U);
}

TEST_F(RegistrationTest, FirstHopWithoutOutboundIsAskedAgainWithoutIt) {
  answers = {{439, {}, ""}, granted(100)};
  ASSERT_TRUE(make("urn:uuid:00000000-0000-1000-8000-000A95A0E128")
                  .start(flow(), phone.contact(), world.now));
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(contacts_of(requests[1])[0].find("reg-id"), std::string::npos);
  EXPECT_FALSE(wire::has_token(requests[1], HeaderId::Supported, "outbound"));
  EXPECT_EQ(states(), "Registering Registered200");
}

TEST_F(RegistrationTest, SuspendedUntilThereIsANetworkAgain) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  phone.registration->suspend(world.now);
  world.kill(phone, 0);
  requests.clear();
  world.run(seconds(1000));
  EXPECT_EQ(requests.size(), 0U) << "no timer fires while there is no network";
  EXPECT_EQ(phone.timers.size(), 0U);
  EXPECT_FALSE(phone.registration->refresh(world.now));
  answers = {granted(100, "sip:alice@10.2.0.2:5060")};
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(1));
  EXPECT_EQ(contacts_of(requests.at(0)).at(0), "<sip:alice@10.1.0.2:5060>;expires=0");
  EXPECT_EQ(states(), "Registering Registered200 Suspended Registering Registered200");
}

TEST_F(RegistrationTest, FailedMoveIsTriedAgainWithTheSameContacts) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  answers = {{500, {}, ""}, granted(100, "sip:alice@10.2.0.2:5060")};
  ASSERT_TRUE(phone.registration->move(move_to_lte(), world.now));
  world.run(seconds(70));
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(contacts_of(requests[1]), contacts_of(requests[2]));
}

TEST_F(RegistrationTest, MappedAddressIsReported) {
  // Behind a NAT: the registrar sees another source, and says so in Via.
  registrar.on_request = [this](const RequestArrived& event) {
    wire::ResponseDraft draft = wire::make_response(
        *event.request, 200, {.to_tag = "srv", .source = Endpoint::parse("203.0.113.9:7777")});
    draft.contact.wanted = true;
    phone.layer.on_message(
        flow(), *wire::Message::parse(wire::serialise(draft, "<sip:alice@10.1.0.2:5060>")),
        world.now);
    return true;
  };
  start();
  world.run(seconds(1));
  EXPECT_EQ(phone.statuses.back().state, RegistrationState::Registered);
  EXPECT_EQ(phone.statuses.back().mapped, *Endpoint::parse("203.0.113.9:7777"));
}

TEST_F(RegistrationTest, StopTakesTheBindingOut) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  ASSERT_TRUE(phone.registration->stop(world.now));
  world.run(seconds(1));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(contacts_of(requests[1]), (Lines{"<sip:alice@10.1.0.2:5060>;expires=0"}));
  EXPECT_EQ(*requests[1].first(HeaderId::Expires), "0");
  EXPECT_EQ(states(), "Registering Registered200 Unregistered200");
  world.run(seconds(1000));
  EXPECT_EQ(requests.size(), 2U);
  EXPECT_EQ(phone.timers.size(), 0U);
}

TEST_F(RegistrationTest, StopWithoutAnAnswerEndsAllTheSame) {
  answers = {granted(100)};
  start();
  world.run(seconds(1));
  answers.clear();
  ASSERT_TRUE(phone.registration->stop(world.now));
  world.run(seconds(33));
  EXPECT_EQ(phone.registration->state(), RegistrationState::Unregistered);
}

TEST_F(RegistrationTest, ContactMustBeAUri) {
  EXPECT_EQ(make().start(flow(), "not a uri", world.now).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(phone.registration->refresh(world.now).error().code, ErrorCode::WrongState);
}

}  // namespace
}  // namespace godwit::sip::test
