// SPDX-License-Identifier: Apache-2.0
//
// Every state of an InviteSession times every input, written down: what it sends, what it tells and
// where it goes. A change of behaviour shows up here as a changed line, which is to be read, not
// only copied. Each row starts a session afresh against a peer made of bytes.
#include <sstream>

#include "sip/usage_fixture.hpp"

namespace godwit::sip::test {
namespace {

using wire::Method;

/// A session, Alice's, and a peer at Bob's address that sends whatever it is told to.
struct Bench {
  World world;
  Party& alice = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& bob = world.add("bob", {"10.9.0.1:5060"});
  InviteSession* session = nullptr;
  std::uint32_t peer_cseq = 100;

  Bench() {
    bob.on_request = [](const RequestArrived&) { return true; };
  }
  Flow out(std::size_t from = 0) { return alice.flow(from, bob.endpoints[0]); }

  void call() {
    session = &alice.new_session();
    InviteRequest request;
    request.target = "sip:bob@10.9.0.1:5060";
    request.offer = sdp("a1");
    request.flow = out();
    request.contact = alice.contact();
    ASSERT_TRUE(session->invite(request, world.now));
    run();
  }
  void be_called() {
    send("INVITE sip:alice@10.1.0.2 SIP/2.0", "", "INVITE", sdp("b1"));
    session = &alice.session();
  }
  void run(Duration span = milliseconds(25)) { world.run(span); }

  void transmit(const std::string& bytes) {
    ASSERT_TRUE(bob.layer.transmit(bob.flow(0, alice.endpoints[0]), bytes));
    run();
  }

  /// The newest request of Alice's that is due a response of that method.
  void respond(int status, Method method, const std::string& body) {
    const wire::Message* to = nullptr;
    for (const auto& [from, message] : world.messages) {
      if (from == "alice" && message.is_request() && message.method() == method) to = &message;
    }
    if (to == nullptr) return;
    wire::ResponseDraft draft =
        wire::make_response(*to, status, {.to_tag = "t", .source = alice.endpoints[0]});
    draft.contact.wanted = true;
    if (!body.empty()) {
      draft.content_type = kSdpType;
      draft.body = body;
    }
    transmit(wire::serialise(draft, "<sip:bob@10.9.0.1:5060>"));
  }

  void send(const std::string& start, const std::string& to_tag, const std::string& method,
            const std::string& body, std::uint32_t cseq = 1,
            const std::string& call_id = "from-bob", const std::string& from_tag = "t",
            const std::string& branch = "") {
    transmit(start + "\r\nVia: SIP/2.0/UDP 10.9.0.1:5060;branch=z9hG4bK" +
             (branch.empty() ? method + std::to_string(cseq) : branch) +
             "\r\nFrom: <sip:bob@example.org>;tag=" + from_tag + "\r\nTo: <sip:alice@example.org>" +
             (to_tag.empty() ? "" : ";tag=" + to_tag) + "\r\nCall-ID: " + call_id +
             "\r\nCSeq: " + std::to_string(cseq) + " " + method +
             "\r\nContact: <sip:bob@10.9.0.1:5060>\r\nMax-Forwards: 70\r\n" +
             (body.empty() ? "" : "Content-Type: application/sdp\r\n") +
             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  /// A request of the peer's within the session's dialog, if there is one.
  void request(const std::string& method, const std::string& body = "") {
    const Dialog* dialog = session->dialog();
    if (dialog == nullptr) {
      const auto early = session->early_dialogs();
      if (early.empty()) return;
      dialog = early.front();
    }
    const DialogId id = dialog->id;
    // The ACK and the CANCEL carry the number of the INVITE that they are about.
    const bool about_invite = method == "ACK" || method == "CANCEL";
    const std::uint32_t cseq = about_invite ? 1 : ++peer_cseq;
    if (method == "CANCEL") {
      return send("CANCEL sip:alice@10.1.0.2 SIP/2.0", "", method, "", 1, id.call_id, id.remote_tag,
                  "INVITE1");
    }
    send(method + " sip:alice@10.1.0.2 SIP/2.0", id.local_tag, method, body, cseq, id.call_id,
         id.remote_tag);
  }

  RefreshRequest refresh(Method method, std::optional<std::string> offer) {
    RefreshRequest r;
    r.method = method;
    r.offer = std::move(offer);
    r.flow = out(1);
    r.contact = alice.contact(1);
    return r;
  }
};

struct Named {
  const char* name;
  std::function<void(Bench&)> act;
};

const std::vector<Named>& states() {
  static const std::vector<Named> all = {
      {"idle", [](Bench& b) { b.session = &b.alice.new_session(); }},
      {"calling",
       [](Bench& b) {
         b.world.drop("100 INVITE", 1000);
         b.call();
       }},
      {"ringing there",
       [](Bench& b) {
         b.call();
         b.respond(180, Method::Invite, "");
       }},
      {"incoming", [](Bench& b) { b.be_called(); }},
      {"answering",
       [](Bench& b) {
         b.be_called();
         ASSERT_TRUE(b.session->accept(sdp("a1"), b.world.now));
         b.run();
       }},
      {"confirmed",
       [](Bench& b) {
         b.call();
         b.respond(200, Method::Invite, sdp("b1"));
       }},
      {"refreshing",
       [](Bench& b) {
         b.call();
         b.respond(200, Method::Invite, sdp("b1"));
         ASSERT_TRUE(b.session->refresh(b.refresh(Method::Invite, sdp("a2", 2)), b.world.now));
         b.run();
       }},
      {"peer offers",
       [](Bench& b) {
         b.call();
         b.respond(200, Method::Invite, sdp("b1"));
         b.request("INVITE", sdp("b2"));
       }},
      {"owes the ACK",
       [](Bench& b) {
         b.call();
         b.respond(200, Method::Invite, sdp("b1"));
         ASSERT_TRUE(b.session->refresh(b.refresh(Method::Invite, std::nullopt), b.world.now));
         b.run();
         b.respond(200, Method::Invite, sdp("b2"));
       }},
      {"cancelling",
       [](Bench& b) {
         b.call();
         b.respond(180, Method::Invite, "");
         b.session->end(b.world.now);
         b.run();
       }},
      {"abandoned",
       [](Bench& b) {
         b.call();
         b.respond(180, Method::Invite, "");
         b.session->move_flow(b.out(1), b.alice.contact(1));
         b.session->abandon_pending(b.world.now);
         b.run();
       }},
      {"hanging up",
       [](Bench& b) {
         b.call();
         b.respond(200, Method::Invite, sdp("b1"));
         b.session->end(b.world.now);
         b.run();
       }},
      {"waits for the ACK to hang up",
       [](Bench& b) {
         b.be_called();
         ASSERT_TRUE(b.session->accept(sdp("a1"), b.world.now));
         b.session->end(b.world.now);
         b.run();
       }},
      {"ended",
       [](Bench& b) {
         b.call();
         b.respond(486, Method::Invite, "");
       }},
  };
  return all;
}

const std::vector<Named>& inputs() {
  static const std::vector<Named> all = {
      {"ring()", [](Bench& b) { (void)b.session->ring(b.world.now); }},
      {"accept()", [](Bench& b) { (void)b.session->accept(sdp("a9", 9), b.world.now); }},
      {"reject()", [](Bench& b) { (void)b.session->reject(486, b.world.now); }},
      {"end()", [](Bench& b) { b.session->end(b.world.now); }},
      {"give_up()", [](Bench& b) { b.session->give_up("lost", b.world.now); }},
      {"refresh(INVITE, offer)",
       [](Bench& b) {
         (void)b.session->refresh(b.refresh(Method::Invite, sdp("a9", 9)), b.world.now);
       }},
      {"refresh(UPDATE, offer)",
       [](Bench& b) {
         (void)b.session->refresh(b.refresh(Method::Update, sdp("a9", 9)), b.world.now);
       }},
      {"refresh(UPDATE)",
       [](Bench& b) {
         (void)b.session->refresh(b.refresh(Method::Update, std::nullopt), b.world.now);
       }},
      {"answer_offer()",
       [](Bench& b) { (void)b.session->answer_offer(sdp("a9", 9), b.world.now); }},
      {"reject_offer()", [](Bench& b) { (void)b.session->reject_offer(488, b.world.now); }},
      {"abandon_pending()", [](Bench& b) { b.session->abandon_pending(b.world.now); }},
      {"adopt()", [](Bench& b) { (void)b.session->adopt("t", b.world.now); }},
      {"resend_ack()", [](Bench& b) { b.session->resend_ack(b.world.now); }},
      {"confirm_without_ack()", [](Bench& b) { b.session->confirm_without_ack(b.world.now); }},
      {"flow dies",
       [](Bench& b) {
         b.alice.layer.on_flow_failed(ListenerId{1}, b.world.now);
         b.alice.layer.on_flow_failed(ListenerId{2}, b.world.now);
         b.run(seconds(3));
       }},
      {"180", [](Bench& b) { b.respond(180, Method::Invite, ""); }},
      {"200 INVITE", [](Bench& b) { b.respond(200, Method::Invite, sdp("b9")); }},
      {"486 INVITE", [](Bench& b) { b.respond(486, Method::Invite, ""); }},
      {"200 CANCEL", [](Bench& b) { b.respond(200, Method::Cancel, ""); }},
      {"481 BYE", [](Bench& b) { b.respond(481, Method::Bye, ""); }},
      {"ACK", [](Bench& b) { b.request("ACK"); }},
      {"CANCEL", [](Bench& b) { b.request("CANCEL"); }},
      {"BYE", [](Bench& b) { b.request("BYE"); }},
      {"INVITE(offer)", [](Bench& b) { b.request("INVITE", sdp("b9")); }},
      {"INVITE", [](Bench& b) { b.request("INVITE"); }},
      {"UPDATE(offer)", [](Bench& b) { b.request("UPDATE", sdp("b9")); }},
      {"UPDATE", [](Bench& b) { b.request("UPDATE"); }},
      {"OPTIONS", [](Bench& b) { b.request("OPTIONS"); }},
  };
  return all;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : ", ") + line;
  return text.empty() ? "-" : text;
}

/// The whole table as text: "input: sends | tells | new state"; what does nothing in one line.
std::string dump() {
  std::ostringstream out;
  for (const Named& state : states()) {
    bool headed = false;
    std::string nothing;
    for (const Named& input : inputs()) {
      Bench bench;
      state.act(bench);
      const SessionState before = bench.session->state();
      if (!headed) {
        out << "[" << state.name << "] " << to_string(before) << "\n";
        headed = true;
      }
      bench.run(Duration{0});
      bench.world.sent();
      bench.alice.events.clear();
      input.act(bench);
      bench.run();
      Lines sent;
      for (const std::string& line : bench.world.sent()) {
        if (line.starts_with("alice ")) sent.push_back(line.substr(6));
      }
      const SessionState after = bench.session->state();
      if (sent.empty() && bench.alice.events.empty() && after == before) {
        nothing += (nothing.empty() ? "" : ", ") + std::string(input.name);
        continue;
      }
      out << "  " << input.name << ": " << joined(sent) << " | " << joined(bench.alice.events);
      if (after != before) out << " | " << to_string(after);
      out << "\n";
    }
    out << "  nothing: " << nothing << "\n";
  }
  return out.str();
}

const char* const kGolden = R"(
[idle] Idle
  end(): - | Ended 0 by local | Ended
  give_up(): - | Ended 0 by network | Ended
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), confirm_without_ack(), flow dies, 180, 200 INVITE, 486 INVITE, 200 CANCEL, 481 BYE, ACK, CANCEL, BYE, INVITE(offer), INVITE, UPDATE(offer), UPDATE, OPTIONS
[calling] Calling
  end(): - | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  abandon_pending(): CANCEL | CancelAnswered 200 | Terminating
  flow dies: - | Ended 503 by network | Ended
  180: - | Progress 180 | Proceeding
  200 INVITE: ACK | Answered, AnswerReceived(b9) | Confirmed
  486 INVITE: ACK | Ended 486 by peer | Ended
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), adopt(), resend_ack(), confirm_without_ack(), 200 CANCEL, 481 BYE, ACK, CANCEL, BYE, INVITE(offer), INVITE, UPDATE(offer), UPDATE, OPTIONS
[ringing there] Proceeding
  end(): CANCEL | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  abandon_pending(): CANCEL, ACK | CancelAnswered 200 | Terminating
  flow dies: - | Ended 503 by network | Ended
  180: - | Progress 180
  200 INVITE: ACK | Answered, AnswerReceived(b9) | Confirmed
  486 INVITE: ACK | Ended 486 by peer | Ended
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | -
  INVITE(offer): 100 INVITE, 500 INVITE | -
  INVITE: 100 INVITE, 500 INVITE | -
  UPDATE(offer): 491 UPDATE | -
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), adopt(), resend_ack(), confirm_without_ack(), 200 CANCEL, 481 BYE, ACK
[incoming] Incoming
  ring(): 180 INVITE | -
  accept(): 200 INVITE(a9) | - | Answering
  reject(): 486 INVITE | Ended 486 by local | Ended
  end(): 603 INVITE | Ended 603 by local | Ended
  give_up(): 480 INVITE | Ended 0 by network | Ended
  refresh(UPDATE): UPDATE | -
  CANCEL: 200 CANCEL, 487 INVITE | Cancelled, Ended 487 by peer | Ended
  BYE: 200 BYE, 487 INVITE | Ended 487 by peer | Ended
  INVITE(offer): 100 INVITE, 500 INVITE | -
  INVITE: 100 INVITE, 500 INVITE | -
  UPDATE(offer): 500 UPDATE | -
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: refresh(INVITE, offer), refresh(UPDATE, offer), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), confirm_without_ack(), flow dies, 180, 200 INVITE, 486 INVITE, 200 CANCEL, 481 BYE, ACK
[answering] Answering
  end(): - | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  refresh(INVITE, offer): INVITE(a9) | -
  refresh(UPDATE, offer): UPDATE(a9) | -
  refresh(UPDATE): UPDATE | -
  confirm_without_ack(): - | AckReceived | Confirmed
  ACK: - | AckReceived | Confirmed
  CANCEL: 200 CANCEL | -
  BYE: 200 BYE | Ended 0 by peer | Ended
  INVITE(offer): 100 INVITE | AckReceived, OfferReceived re-INVITE(b9) | Confirmed
  INVITE: 100 INVITE | AckReceived, OfferRequested re-INVITE | Confirmed
  UPDATE(offer): - | OfferReceived UPDATE(b9)
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), flow dies, 180, 200 INVITE, 486 INVITE, 200 CANCEL, 481 BYE
[confirmed] Confirmed
  end(): BYE | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  refresh(INVITE, offer): INVITE(a9) | -
  refresh(UPDATE, offer): UPDATE(a9) | -
  refresh(UPDATE): UPDATE | -
  resend_ack(): ACK | -
  200 INVITE: ACK | -
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | Ended 0 by peer | Ended
  INVITE(offer): 100 INVITE | OfferReceived re-INVITE(b9)
  INVITE: 100 INVITE | OfferRequested re-INVITE
  UPDATE(offer): - | OfferReceived UPDATE(b9)
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), answer_offer(), reject_offer(), abandon_pending(), adopt(), confirm_without_ack(), flow dies, 180, 486 INVITE, 200 CANCEL, 481 BYE, ACK
[refreshing] Confirmed
  end(): BYE | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  abandon_pending(): CANCEL, ACK | CancelAnswered 200
  resend_ack(): ACK | -
  flow dies: - | RefreshFailed INVITE 503
  200 INVITE: ACK | AnswerReceived(b9), RefreshDone INVITE 200
  486 INVITE: ACK | RefreshFailed INVITE 486
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | Ended 0 by peer | Ended
  INVITE(offer): 100 INVITE, 491 INVITE | -
  INVITE: 100 INVITE, 491 INVITE | -
  UPDATE(offer): 491 UPDATE | -
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), adopt(), confirm_without_ack(), 180, 200 CANCEL, 481 BYE, ACK
[peer offers] Confirmed
  end(): 487 INVITE, BYE | - | Terminating
  give_up(): 487 INVITE | Ended 0 by network | Ended
  refresh(UPDATE): UPDATE | -
  answer_offer(): 200 INVITE(a9) | -
  reject_offer(): 488 INVITE | -
  resend_ack(): ACK | -
  200 INVITE: ACK | -
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE, 487 INVITE | Ended 0 by peer | Ended
  INVITE(offer): 100 INVITE, 500 INVITE | -
  INVITE: 100 INVITE, 500 INVITE | -
  UPDATE(offer): 500 UPDATE | -
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), abandon_pending(), adopt(), confirm_without_ack(), flow dies, 180, 486 INVITE, 200 CANCEL, 481 BYE, ACK
[owes the ACK] Confirmed
  end(): ACK, BYE | - | Terminating
  give_up(): - | Ended 0 by network | Ended
  refresh(UPDATE): UPDATE | -
  answer_offer(): ACK(a9) | -
  resend_ack(): ACK | -
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | Ended 0 by peer | Ended
  INVITE(offer): 100 INVITE, 500 INVITE | -
  INVITE: 100 INVITE, 500 INVITE | -
  UPDATE(offer): 500 UPDATE | -
  UPDATE: 200 UPDATE | -
  OPTIONS: - | InDialogRequest OPTIONS
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), reject_offer(), abandon_pending(), adopt(), confirm_without_ack(), flow dies, 180, 200 INVITE, 486 INVITE, 200 CANCEL, 481 BYE, ACK
[cancelling] Terminating
  give_up(): - | Ended 0 by network | Ended
  flow dies: - | Ended 487 by local | Ended
  200 INVITE: ACK, BYE | -
  486 INVITE: ACK | Ended 487 by local | Ended
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | -
  INVITE(offer): 100 INVITE, 481 INVITE | -
  INVITE: 100 INVITE, 481 INVITE | -
  UPDATE(offer): 481 UPDATE | -
  UPDATE: 481 UPDATE | -
  OPTIONS: 481 OPTIONS | -
  nothing: ring(), accept(), reject(), end(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), confirm_without_ack(), 180, 200 CANCEL, 481 BYE, ACK
[abandoned] Terminating
  end(): BYE | -
  give_up(): - | Ended 0 by network | Ended
  adopt(): - | - | Confirmed
  flow dies: ACK, ACK | -
  200 INVITE: ACK | LateAnswer initial | Confirmed
  486 INVITE: ACK | -
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | -
  INVITE(offer): 100 INVITE, 481 INVITE | -
  INVITE: 100 INVITE, 481 INVITE | -
  UPDATE(offer): 481 UPDATE | -
  UPDATE: 481 UPDATE | -
  OPTIONS: 481 OPTIONS | -
  nothing: ring(), accept(), reject(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), resend_ack(), confirm_without_ack(), 180, 200 CANCEL, 481 BYE, ACK
[hanging up] Terminating
  give_up(): - | Ended 0 by network | Ended
  flow dies: - | Ended 0 by local | Ended
  200 INVITE: ACK | -
  481 BYE: - | Ended 0 by local | Ended
  CANCEL: 481 CANCEL | -
  BYE: 200 BYE | Ended 0 by local | Ended
  INVITE(offer): 100 INVITE, 481 INVITE | -
  INVITE: 100 INVITE, 481 INVITE | -
  UPDATE(offer): 481 UPDATE | -
  UPDATE: 481 UPDATE | -
  OPTIONS: 481 OPTIONS | -
  nothing: ring(), accept(), reject(), end(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), confirm_without_ack(), 180, 486 INVITE, 200 CANCEL, ACK
[waits for the ACK to hang up] Terminating
  give_up(): - | Ended 0 by network | Ended
  confirm_without_ack(): BYE | AckReceived
  ACK: BYE | AckReceived
  CANCEL: 200 CANCEL | -
  BYE: 200 BYE | Ended 0 by local | Ended
  INVITE(offer): 100 INVITE, 481 INVITE | -
  INVITE: 100 INVITE, 481 INVITE | -
  UPDATE(offer): 481 UPDATE | -
  UPDATE: 481 UPDATE | -
  OPTIONS: 481 OPTIONS | -
  nothing: ring(), accept(), reject(), end(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), flow dies, 180, 200 INVITE, 486 INVITE, 200 CANCEL, 481 BYE
[ended] Ended
  486 INVITE: ACK | -
  nothing: ring(), accept(), reject(), end(), give_up(), refresh(INVITE, offer), refresh(UPDATE, offer), refresh(UPDATE), answer_offer(), reject_offer(), abandon_pending(), adopt(), resend_ack(), confirm_without_ack(), flow dies, 180, 200 INVITE, 200 CANCEL, 481 BYE, ACK, CANCEL, BYE, INVITE(offer), INVITE, UPDATE(offer), UPDATE, OPTIONS
)";

TEST(SessionStates, EveryInputInEveryState) { EXPECT_EQ("\n" + dump(), kGolden); }

}  // namespace
}  // namespace godwit::sip::test
