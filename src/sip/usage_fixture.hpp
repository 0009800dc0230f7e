// SPDX-License-Identifier: Apache-2.0
//
// For tests only: parties with real transaction layers and usages, and a wire between them, in
// simulated time. A party has one or more addresses, each of which may die; datagrams take a fixed
// time and can be dropped by what they are ("200 INVITE"). What travels and what the usages tell is
// written down as lines that tests compare.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/timer_queue.hpp"
#include "sip/digest.hpp"
#include "sip/invite_session.hpp"
#include "sip/registration.hpp"
#include "sip/request_usage.hpp"
#include "sip/session_messages.hpp"
#include "sip/transaction_layer.hpp"
#include "sip/usage.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip::test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Lines = std::vector<std::string>;

/// A body that looks like SDP to whoever needs its version; `name` tells it from others.
inline std::string sdp(const std::string& name, std::uint64_t version = 1) {
  return "v=0\r\no=- 1 " + std::to_string(version) + " IN IP4 192.0.2.1\r\ns=" + name + "\r\n";
}
inline std::string sdp_name(const std::string& body) {
  const std::size_t at = body.find("s=");
  if (at == std::string::npos) return body.empty() ? "-" : "?";
  return body.substr(at + 2, body.find('\r', at) - at - 2);
}

/// "INVITE" or "180 INVITE"; with "(name)" of its SDP.
inline std::string describe(const wire::Message& message) {
  std::string text;
  if (message.is_request()) {
    text = std::string(message.method_text());
  } else {
    const auto cseq = wire::cseq_of(message);
    text = std::to_string(message.status()) + " " + std::string(cseq ? cseq->method_text : "?");
  }
  const std::string body = sdp_of(message);
  return body.empty() ? text : text + "(" + sdp_name(body) + ")";
}

inline std::string describe(const SessionEvent& event) {
  struct Visitor {
    static std::string via(OfferVia v) {
      switch (v) {
        case OfferVia::Invite: return "INVITE";
        case OfferVia::ReInvite: return "re-INVITE";
        case OfferVia::Update: return "UPDATE";
        case OfferVia::AnswerTo2xx: return "2xx";
        case OfferVia::Reliable18x: return "18x";
        case OfferVia::Prack: return "PRACK";
      }
      return "?";
    }
    std::string operator()(const DialogAdded&) const { return "DialogAdded"; }
    std::string operator()(const DialogRemoved&) const { return "DialogRemoved"; }
    std::string operator()(const Progress& e) const {
      return "Progress " + std::to_string(e.code) +
             (e.sdp.empty() ? "" : "(" + sdp_name(e.sdp) + ")");
    }
    std::string operator()(const Answered& e) const {
      return e.agreed_early ? "Answered, agreed early" : "Answered";
    }
    std::string operator()(const Forked& e) const {
      return e.answered ? "Forked answered" : "Forked";
    }
    std::string operator()(const OfferReceived& e) const {
      return "OfferReceived " + via(e.via) + "(" + sdp_name(e.sdp) + ")";
    }
    std::string operator()(const OfferRequested& e) const { return "OfferRequested " + via(e.via); }
    std::string operator()(const OfferWithdrawn&) const { return "OfferWithdrawn"; }
    std::string operator()(const AnswerReceived& e) const {
      return "AnswerReceived(" + sdp_name(e.sdp) + ")";
    }
    std::string operator()(const AnswerMissing&) const { return "AnswerMissing"; }
    std::string operator()(const AckReceived&) const { return "AckReceived"; }
    std::string operator()(const AckMissing&) const { return "AckMissing"; }
    std::string operator()(const RefreshDone& e) const {
      return "RefreshDone " + std::string(wire::to_string(e.method)) + " " +
             std::to_string(e.status);
    }
    std::string operator()(const RefreshFailed& e) const {
      return "RefreshFailed " + std::string(wire::to_string(e.method)) + " " +
             std::to_string(e.status);
    }
    std::string operator()(const CancelAnswered& e) const {
      return "CancelAnswered " + std::to_string(e.status);
    }
    std::string operator()(const LateAnswer& e) const {
      return std::string("LateAnswer") + (e.initial ? " initial" : "");
    }
    std::string operator()(const PeerMoved&) const { return "PeerMoved"; }
    std::string operator()(const InDialogRequest& e) const {
      return "InDialogRequest " + std::string(e.request->method_text());
    }
    std::string operator()(const RequestAnswered& e) const {
      return "RequestAnswered " + std::string(wire::to_string(e.method)) + " " +
             std::to_string(e.status) + (e.in_doubt ? " in doubt" : "");
    }
    std::string operator()(const Cancelled&) const { return "Cancelled"; }
    std::string operator()(const PrackReceived&) const { return "PrackReceived"; }
    std::string operator()(const RefreshDue&) const { return "RefreshDue"; }
    std::string operator()(const Redirected& e) const {
      std::string text = "Redirected " + std::to_string(e.status);
      for (const RedirectTarget& target : e.targets) text += " " + target.uri;
      return text;
    }
    std::string operator()(const Ended& e) const {
      return "Ended " + std::to_string(e.status) + " by " + to_string(e.by);
    }
  };
  return std::visit(Visitor{}, event);
}

struct RecordingLog final : Log {
  bool enabled(Level) const override { return false; }
  void write(Level, std::string_view, std::string_view) override {}
};

/// One end: a transaction layer, timers, a digest client, sessions, perhaps a registration.
class Party {
 public:
  Party(std::string party_name, std::uint64_t seed, const std::vector<std::string>& addresses)
      : name(std::move(party_name)),
        random(seed),
        layer(random, log),
        digest(random, log, {{"", name, "secret", "", DigestAlgorithm::Md5}}) {
    for (const std::string& address : addresses) {
      endpoints.push_back(*Endpoint::parse(address));
      dead.push_back(false);
    }
  }

  Flow flow(std::size_t from, const Endpoint& to) const {
    Flow f;
    f.listener = ListenerId{static_cast<std::uint32_t>(from + 1)};
    f.local = endpoints[from];
    f.remote = to;
    return f;
  }
  std::string contact(std::size_t at = 0) const {
    return "sip:" + name + "@" + endpoints[at].to_string();
  }
  UsageContext context() { return {layer, timers, random, log}; }
  SessionConfig session_config() const {
    SessionConfig config;
    config.local_uri = "sip:" + name + "@example.org";
    config.user_agent = "Test";
    if (adjust) adjust(config);
    return config;
  }

  InviteSession& new_session() {
    const Owner owner{++last_owner};
    return *sessions
                .emplace(owner, std::make_unique<InviteSession>(context(), owner, session_config(),
                                                                digest))
                .first->second;
  }
  /// The session that came last.
  InviteSession& session() { return *sessions.rbegin()->second; }

  std::string name;
  /// What new sessions are given beyond the usual.
  std::function<void(SessionConfig&)> adjust;
  SeededRandom random;
  RecordingLog log;
  TransactionLayer layer;
  TimerQueue<UsageTimer> timers;
  DigestClient digest;
  std::vector<Endpoint> endpoints;
  std::vector<bool> dead;
  std::uint64_t last_owner = 0;
  std::map<Owner, std::unique_ptr<InviteSession>> sessions;
  std::unique_ptr<Registration> registration;
  Owner registration_owner{1'000'000};
  /// Every request (other than ACK and CANCEL) is shown here first; true: it has been dealt with.
  std::function<bool(const RequestArrived&)> on_request;
  /// The same for every other event, and for timers: how tests add usages of their own.
  std::function<bool(const TransactionEvent&)> on_event;
  std::function<bool(const UsageTimer&)> on_timer;
  /// What the sessions told: "Progress 180".
  Lines events;
  std::vector<RegistrationStatus> statuses;
  std::optional<RefreshFailed> refresh_failed;
  std::optional<ServerTransactionId> open_request;
};

class World {
 public:
  static constexpr Duration kDelay = milliseconds(10);

  Party& add(const std::string& name, const std::vector<std::string>& addresses) {
    parties.push_back(std::make_unique<Party>(name, parties.size() + 1, addresses));
    return *parties.back();
  }

  /// The next `count` datagrams that look like this ("INVITE", "200 INVITE") are lost.
  void drop(const std::string& what, int count = 1) { drops[what] += count; }

  void respond(Party& party, const RequestArrived& to, int status,
               const wire::DraftHeaders& extra = {}, const std::string& contact = {}) {
    wire::ResponseDraft draft = wire::make_response(
        *to.request, status, {.to_tag = "srv", .reason = {}, .source = to.flow.remote});
    for (const wire::DraftHeader& header : extra) draft.headers.push_back(header);
    draft.contact.wanted = !contact.empty();
    ASSERT_TRUE(party.layer.respond(to.transaction, draft, contact, now));
  }

  /// Delivers and fires whatever is due until nothing is left or `span` has passed.
  void run(Duration span = milliseconds(200)) {
    const TimePoint end = now + span;
    drain();
    while (true) {
      std::optional<TimePoint> next;
      const auto consider = [&](std::optional<TimePoint> at) {
        if (at && (!next || *at < *next)) next = at;
      };
      if (!in_flight.empty()) consider(in_flight.begin()->first);
      for (auto& party : parties) {
        consider(party->layer.next_timeout());
        consider(party->timers.next());
      }
      if (!next || *next > end) break;
      ASSERT_LT(++steps, 100'000) << "the parties do not come to rest";
      now = std::max(now, *next);
      deliver();
      for (auto& party : parties) {
        party->layer.on_timeout(now);
        while (auto timer = party->timers.pop_due(now)) fire(*party, *timer);
      }
      drain();
    }
    now = end;
  }

  /// What has travelled since the last call: "alice INVITE(a1)", in order of sending.
  Lines sent() { return std::exchange(wire, {}); }

  bool no_dialogs_left() const {
    return std::all_of(party_dialogs.begin(), party_dialogs.end(),
                       [](const auto& entry) { return entry.second.empty(); });
  }

  bool nothing_in_flight() const { return in_flight.empty(); }

  /// The party's address is gone, with all that is on its way to or from it.
  void kill(Party& party, std::size_t address) { party.dead[address] = true; }

  std::vector<std::unique_ptr<Party>> parties;
  TimePoint now = TimePoint{} + seconds(1000);
  /// All that travelled; a deque, for tests hold on to them.
  std::deque<std::pair<std::string, wire::Message>> messages;

  std::vector<const wire::Message*> all(const std::string& sender, const std::string& what) const {
    std::vector<const wire::Message*> found;
    for (const auto& [from, message] : messages) {
      if (from == sender && describe(message).starts_with(what)) found.push_back(&message);
    }
    return found;
  }

 private:
  struct Datagram {
    Endpoint from;
    Endpoint to;
    std::string bytes;
  };

  static void fire(Party& party, const UsageTimer& timer, TimePoint at) {
    if (party.on_timer && party.on_timer(timer)) return;
    if (party.registration && timer.owner == party.registration_owner)
      return party.registration->on_timer(timer.kind, at);
    const auto session = party.sessions.find(timer.owner);
    if (session != party.sessions.end()) session->second->on_timer(timer.kind, at);
  }
  void fire(Party& party, const UsageTimer& timer) { fire(party, timer, now); }

  std::pair<Party*, std::size_t> owner_of(const Endpoint& endpoint) {
    for (auto& party : parties) {
      for (std::size_t i = 0; i < party->endpoints.size(); ++i) {
        if (party->endpoints[i] == endpoint) return {party.get(), i};
      }
    }
    return {nullptr, 0};
  }

  void drain() {
    for (auto& party : parties) {
      bool again = true;
      while (again) {
        again = false;
        while (auto event = party->layer.poll_event()) {
          dispatch(*party, *event);
          again = true;
        }
        collect(*party);
      }
      while (auto out = party->layer.poll_transmit()) send(*party, *out);
    }
  }

  void send(Party& party, const Transmit& out) {
    auto message = wire::Message::parse(out.bytes);
    ASSERT_TRUE(message) << out.bytes;
    const std::string what = describe(*message);
    const bool from_dead = party.dead[out.flow.listener.value() - 1];
    const std::string kind = what.substr(0, what.find('('));
    bool lost = false;
    if (auto drop = drops.find(kind); drop != drops.end() && drop->second > 0) {
      --drop->second;
      lost = true;
    }
    wire.push_back(party.name + " " + what + (from_dead ? " [dead]" : lost ? " [lost]" : ""));
    messages.emplace_back(party.name, std::move(*message));
    if (from_dead || lost) return;
    in_flight.emplace(now + kDelay, Datagram{out.flow.local, out.flow.remote, out.bytes});
  }

  void deliver() {
    while (!in_flight.empty() && in_flight.begin()->first <= now) {
      const Datagram datagram = std::move(in_flight.extract(in_flight.begin()).mapped());
      const auto [party, at] = owner_of(datagram.to);
      if (party == nullptr || party->dead[at]) continue;
      auto message = wire::Message::parse(datagram.bytes);
      ASSERT_TRUE(message);
      party->layer.on_message(party->flow(at, datagram.from), std::move(*message), now);
      drain();
    }
  }

  InviteSession* by_dialog(Party& party, const wire::Message& request) {
    const auto id = dialog_id_of_request(request);
    const auto found = id ? party_dialogs[&party].find(*id) : party_dialogs[&party].end();
    return found == party_dialogs[&party].end() ? nullptr : found->second;
  }

  void dispatch(Party& party, const TransactionEvent& event) {
    if (party.on_event && party.on_event(event)) return;
    if (const auto* e = std::get_if<RequestArrived>(&event)) {
      if (party.on_request && party.on_request(*e)) return;
      if (InviteSession* session = by_dialog(party, *e->request)) {
        session->on_request(*e, now);
      } else if (e->request->method() == wire::Method::Invite &&
                 wire::to_tag_of(*e->request).empty()) {
        std::size_t at = e->flow.listener.value() - 1;
        party.new_session().incoming(*e, party.contact(at), now);
      } else {
        respond(party, *e, 481);
      }
    } else if (const auto* ack = std::get_if<AckArrived>(&event)) {
      if (InviteSession* session = by_dialog(party, *ack->ack)) session->on_ack(*ack, now);
    } else if (const auto* cancel = std::get_if<CancelArrived>(&event)) {
      for (auto& [owner, session] : party.sessions) {
        if (session->owns(cancel->invite)) session->on_cancel(*cancel, now);
      }
    } else if (const auto* response = std::get_if<ResponseArrived>(&event)) {
      if (response->owner == party.registration_owner) {
        party.registration->on_response(*response, now);
      } else if (party.sessions.contains(response->owner)) {
        party.sessions[response->owner]->on_response(*response, now);
      }
    } else if (const auto* late = std::get_if<DetachedAnswerArrived>(&event)) {
      if (party.sessions.contains(late->owner))
        party.sessions[late->owner]->on_detached_answer(*late, now);
    } else if (const auto* failed = std::get_if<ClientFailed>(&event)) {
      if (failed->owner == party.registration_owner) {
        party.registration->on_client_failed(*failed, now);
      } else if (party.sessions.contains(failed->owner)) {
        party.sessions[failed->owner]->on_client_failed(*failed, now);
      }
    } else if (const auto* gone = std::get_if<ServerFailed>(&event)) {
      for (auto& [owner, session] : party.sessions) {
        if (session->owns(gone->transaction)) session->on_server_failed(*gone, now);
      }
    }
  }

  void collect(Party& party) {
    for (auto& [owner, session] : party.sessions) {
      while (auto event = session->poll_event()) {
        auto& dialogs = party_dialogs[&party];
        if (const auto* added = std::get_if<DialogAdded>(&*event)) {
          EXPECT_TRUE(dialogs.emplace(added->id, session.get()).second) << "added twice";
          continue;
        }
        if (const auto* removed = std::get_if<DialogRemoved>(&*event)) {
          EXPECT_EQ(dialogs.erase(removed->id), 1U) << "removed, but never added";
          continue;
        }
        if (const auto* request = std::get_if<InDialogRequest>(&*event))
          party.open_request = request->transaction;
        if (const auto* refused = std::get_if<RefreshFailed>(&*event))
          party.refresh_failed = *refused;
        party.events.push_back(describe(*event));
      }
    }
    while (party.registration) {
      auto status = party.registration->poll_event();
      if (!status) break;
      party.statuses.push_back(std::move(*status));
    }
  }

  std::multimap<TimePoint, Datagram> in_flight;
  std::map<std::string, int> drops;
  Lines wire;
  std::map<Party*, std::unordered_map<DialogId, InviteSession*>> party_dialogs;
  int steps = 0;
};

/// Alice, with two addresses, and Bob, with two, and what they do in nearly every test.
class CallFixture : public ::testing::Test {
 protected:
  World world;
  Party& alice = world.add("alice", {"10.1.0.2:5060", "10.2.0.2:5060"});
  Party& bob = world.add("bob", {"10.9.0.1:5060", "10.9.0.2:5060"});

  Flow to_bob(std::size_t from = 0) const { return alice.flow(from, bob.endpoints[0]); }
  Flow to_alice(std::size_t from = 0) const { return bob.flow(from, alice.endpoints[0]); }

  InviteSession& call(std::optional<std::string> offer = sdp("a1")) {
    InviteSession& session = alice.new_session();
    InviteRequest request;
    request.target = "sip:bob@10.9.0.1:5060";
    request.offer = std::move(offer);
    request.flow = to_bob();
    request.contact = alice.contact();
    EXPECT_TRUE(session.invite(std::move(request), world.now));
    return session;
  }

  /// A confirmed call, with nothing left in the notes.
  void establish() {
    call();
    world.run(milliseconds(50));
    ASSERT_EQ(bob.sessions.size(), 1U);
    ASSERT_TRUE(bob.session().accept(sdp("b1"), world.now));
    world.run(milliseconds(50));
    ASSERT_EQ(alice.session().state(), SessionState::Confirmed);
    ASSERT_EQ(bob.session().state(), SessionState::Confirmed);
    clear();
  }

  /// An INVITE from somebody who is no session of ours, at Alice's first address.
  void stranger_invites(const std::string& id, const std::string& headers,
                        const std::string& body = "") {
    const std::string text =
        "INVITE sip:bob@10.9.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bK" + id +
        "\r\nFrom: <sip:x@example.org>;tag=x\r\nTo: <sip:bob@example.org>\r\nCall-ID: " + id +
        "\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n" + headers +
        "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    bob.layer.on_message(to_alice(), *wire::Message::parse(text), world.now);
  }

  void clear() {
    world.sent();
    world.messages.clear();
    alice.events.clear();
    bob.events.clear();
  }

  RefreshRequest refresh_of(Party& party, std::size_t address, std::optional<std::string> offer,
                            wire::Method method = wire::Method::Invite) {
    RefreshRequest request;
    request.method = method;
    request.offer = std::move(offer);
    request.flow = &party == &alice ? to_bob(address) : to_alice(address);
    request.contact = party.contact(address);
    request.generation = Generation{7};
    return request;
  }

  /// Both sides have let go of everything: what must hold after any call.
  void expect_quiet() {
    world.run(seconds(200));
    for (Party* party : {&alice, &bob}) {
      EXPECT_EQ(party->layer.live(), 0U) << party->name;
      EXPECT_EQ(party->timers.size(), 0U) << party->name;
      for (auto& [owner, session] : party->sessions)
        EXPECT_EQ(session->state(), SessionState::Ended) << party->name;
    }
  }
};

}  // namespace godwit::sip::test
