// SPDX-License-Identifier: Apache-2.0
//
// Random walks: two parties do whatever the interface allows, in any order, while messages are lost
// and addresses die and return. Whatever happened, a few things hold at every step, and in the end
// nothing is left over. A failing walk is repeated by its seed.
#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::Method;

class Walk {
 public:
  Walk(std::uint64_t seed, std::set<std::string>& seen) : random_(seed), seen_(seen) {}

  void run() {
    for (int i = 0; i < 60 && !::testing::Test::HasFailure(); ++i) {
      step();
      world_.run(milliseconds(random_.between(0, 3) == 0 ? random_.between(1, 20'000)
                                                         : random_.between(1, 60)));
      check();
    }
    settle();
  }

 private:
  Party& party() { return random_.between(0, 1) == 0 ? alice_ : bob_; }
  bool chance(std::uint64_t percent) { return random_.between(1, 100) <= percent; }
  std::size_t place(const Party& p) { return p.dead[0] ? 1 : 0; }
  Flow flow(Party& p, std::size_t from) {
    Party& other = &p == &alice_ ? bob_ : alice_;
    return p.flow(from, other.endpoints[place(other)]);
  }

  void step() {
    Party& p = party();
    if (p.sessions.empty() || chance(5)) {
      call(alice_);
      return;
    }
    auto at = p.sessions.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_.between(0, p.sessions.size() - 1)));
    InviteSession& session = *at->second;
    const TimePoint now = world_.now;
    switch (random_.between(0, 17)) {
      case 0: (void)session.ring(now); break;
      case 1:
      case 2: (void)session.accept(body(session), now); break;
      case 3:
        if (chance(20)) (void)session.reject(486, now);
        break;
      case 4:
        if (chance(20)) session.end(now);
        break;
      case 5:
      case 6:
      case 7: refresh(p, session); break;
      case 8:
      case 9:
      case 10: (void)session.answer_offer(body(session), now); break;
      case 11: (void)session.reject_offer(488, now); break;
      case 12: move(p, session); break;
      case 13: session.resend_ack(now); break;
      case 14: session.hold_ack_timeout(chance(50), now); break;
      case 15: world_.drop(kDroppable[random_.between(0, 6)], 1); break;
      case 16:
        if (chance(10)) session.confirm_without_ack(now);
        break;
      case 17:
        if (chance(5)) session.give_up("walk", now);
        break;
      default: break;
    }
  }

  /// Both ends of one call at rest: they have agreed on the same thing.
  void check_agreement() {
    for (auto& [owner, ours] : alice_.sessions) {
      if (!at_rest(*ours)) continue;
      for (auto& [other, theirs] : bob_.sessions) {
        if (!at_rest(*theirs)) continue;
        const DialogId& id = ours->dialog()->id;
        if (theirs->dialog()->id != DialogId{id.call_id, id.remote_tag, id.local_tag}) continue;
        const auto& here = ours->offer_answer().current();
        const auto& there = theirs->offer_answer().current();
        ASSERT_EQ(here.has_value(), there.has_value());
        if (!here) continue;
        ++agreements_;
        EXPECT_EQ(here->local, there->remote);
        EXPECT_EQ(here->remote, there->local);
      }
    }
  }
  static bool at_rest(const InviteSession& session) {
    return session.state() == SessionState::Confirmed && !session.refresh_pending() &&
           !session.peer_request_pending() && !session.awaits_ack() && !session.owes_ack() &&
           session.offer_answer().can_offer() && !session.offer_answer().in_doubt();
  }

  static constexpr const char* kDroppable[] = {"INVITE", "200 INVITE", "ACK",       "CANCEL",
                                               "BYE",    "200 UPDATE", "487 INVITE"};

  std::string body(const InviteSession& session) {
    return sdp("s" + std::to_string(++bodies_), session.offer_answer().next_version());
  }

  void call(Party& p) {
    if (p.sessions.size() > 4) return;
    InviteSession& session = p.new_session();
    InviteRequest request;
    request.target = "sip:bob@10.9.0.1:5060";
    if (chance(70)) request.offer = body(session);
    request.flow = flow(p, place(p));
    request.contact = p.contact(place(p));
    EXPECT_TRUE(session.invite(request, world_.now));
  }

  void refresh(Party& p, InviteSession& session) {
    RefreshRequest request;
    request.method = chance(50) ? Method::Invite : Method::Update;
    if (chance(70)) request.offer = body(session);
    request.flow = flow(p, place(p));
    request.contact = p.contact(place(p));
    if (chance(30)) request.timers.timeout = seconds(2);
    const bool possible =
        session.can_refresh(request.method, request.offer.has_value()).has_value();
    EXPECT_EQ(session.refresh(request, world_.now).has_value(), possible);
  }

  /// The address in use dies, or the dead one returns; the session goes along, or notices later.
  void move(Party& p, InviteSession& session) {
    p.dead[0] = !p.dead[0];
    if (chance(50)) p.layer.on_flow_failed(ListenerId{p.dead[0] ? 1U : 2U}, world_.now);
    if (chance(80)) session.move_flow(flow(p, place(p)), p.contact(place(p)));
    if (chance(70)) session.abandon_pending(world_.now);
    if (chance(30)) session.resend_ack(world_.now);
    if (chance(20) && !session.early_dialogs().empty())
      (void)session.adopt(session.early_dialogs()[0]->id.remote_tag, world_.now);
  }

  void check() {
    // CSeq numbers of new requests within one dialog and direction only rise.
    for (; checked_ < world_.messages.size(); ++checked_) {
      const wire::Message& message = world_.messages[checked_].second;
      if (!message.is_request() || message.method() == Method::Ack ||
          message.method() == Method::Cancel)
        continue;
      const std::string branch(wire::top_via_of(message)->branch());
      if (!branches_.insert(branch).second) continue;
      // A fork that was never told apart has its own sequence: To belongs to the name.
      const std::string stream = std::string(wire::call_id_of(message)) + "/" +
                                 std::string(wire::from_tag_of(message)) + "/" +
                                 std::string(wire::to_tag_of(message));
      const std::uint32_t number = wire::cseq_of(message)->number;
      const auto [last, is_new] = sequence_.emplace(stream, number);
      if (is_new) continue;
      EXPECT_GT(number, last->second) << message.raw();
      last->second = number;
    }
    if (world_.nothing_in_flight()) check_agreement();
    for (Party* p : {&alice_, &bob_}) {
      for (auto& [owner, session] : p->sessions) {
        const SessionState state = session->state();
        const bool up = state == SessionState::Confirmed || state == SessionState::Answering;
        EXPECT_TRUE(!up || session->dialog() != nullptr);
        if (state == SessionState::Ended) {
          EXPECT_FALSE(session->refresh_pending());
          EXPECT_FALSE(session->awaits_ack());
          EXPECT_FALSE(session->peer_request_pending());
        }
      }
    }
  }

  void settle() {
    for (Party* p : {&alice_, &bob_}) {
      for (auto& [owner, session] : p->sessions) {
        session->hold_ack_timeout(false, world_.now);
        session->end(world_.now);
      }
    }
    world_.run(seconds(200));
    for (Party* p : {&alice_, &bob_}) {
      for (auto& [owner, session] : p->sessions)
        EXPECT_EQ(session->state(), SessionState::Ended) << p->name;
      EXPECT_EQ(p->timers.size(), 0U) << p->name << " has timers left";
      EXPECT_EQ(p->layer.live(), 0U) << p->name << " has transactions left";
      const auto ended = std::count_if(p->events.begin(), p->events.end(),
                                       [](const auto& line) { return line.starts_with("Ended"); });
      EXPECT_EQ(static_cast<std::size_t>(ended), p->sessions.size()) << p->name;
    }
    EXPECT_TRUE(world_.no_dialogs_left());
    for (const Party* p : {&alice_, &bob_}) {
      for (const std::string& event : p->events) seen_.insert(event.substr(0, event.find('(')));
    }
    if (agreements_ > 0) seen_.insert("agreement");
  }

  SeededRandom random_;
  World world_;
  Party& alice_ = world_.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& bob_ = world_.add("bob", {"10.9.0.1:5060", "10.9.0.2:5060"});
  std::size_t checked_ = 0;
  std::set<std::string> branches_;
  std::map<std::string, std::uint32_t> sequence_;
  int bodies_ = 0;
  int agreements_ = 0;
  std::set<std::string>& seen_;
};

TEST(SessionWalk, HoldsTogether) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 400 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk(seed, seen).run();
  }
  // Walks that go nowhere prove nothing: these are the corners that they must have reached.
  for (const char* corner :
       {"agreement", "AckMissing", "AnswerMissing", "Cancelled", "LateAnswer", "LateAnswer initial",
        "OfferReceived 2xx", "OfferWithdrawn", "PeerMoved", "RefreshDone INVITE 200",
        "RefreshDone UPDATE 200", "RefreshFailed INVITE 491", "RefreshFailed INVITE 500",
        "RefreshFailed INVITE 503", "RefreshFailed UPDATE 408", "CancelAnswered 481"}) {
    EXPECT_TRUE(seen.contains(corner)) << corner;
  }
}

}  // namespace
}  // namespace godwit::sip::test
