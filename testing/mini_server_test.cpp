// SPDX-License-Identifier: Apache-2.0
#include "testing/mini_server.hpp"

#include <gtest/gtest.h>

#include <ctime>

#include "testing/digest_guard.hpp"
#include "testing/sip_text.hpp"

namespace godwit::testing {
namespace {

using std::chrono::seconds;

class MiniServerTest : public ::testing::Test {
 protected:
  static MiniServerConfig default_config() {
    MiniServerConfig config;
    config.locals = {kServer};
    config.domains = {"example.org"};
    return config;
  }
  void restart(MiniServerConfig config) { server_.emplace(std::move(config), random_, log_); }

  void send(const Endpoint& from, const std::string& bytes) {
    server_->on_datagram(kServer, from, bytes, now_);
  }
  /// What the server sends next, nullopt if nothing.
  std::optional<std::pair<Endpoint, SipText>> next() {
    const auto datagram = server_->poll_output();
    if (!datagram) return std::nullopt;
    return std::pair(datagram->remote, *SipText::parse(datagram->bytes));
  }
  SipText request(const std::string& method, const std::string& uri, const Endpoint& from,
                  std::string branch = {}) {
    if (branch.empty()) branch = "z9hG4bK" + random_.token(12);
    SipText r = SipText::request(method, uri);
    r.append("Via", "SIP/2.0/UDP " + from.to_string() + ";rport;branch=" + branch);
    r.append("Max-Forwards", "70");
    r.append("From", "<sip:alice@example.org>;tag=a");
    r.append("To", method == "REGISTER" ? "<sip:alice@example.org>" : "<sip:bob@example.org>");
    r.append("Call-ID", "c1");
    r.append("CSeq", std::to_string(++cseq_) + " " + method);
    return r;
  }
  /// Registers and returns the answer.
  SipText registers(const Endpoint& from, const std::string& contact, const std::string& expires) {
    SipText r = request("REGISTER", "sip:example.org", from);
    if (!contact.empty()) r.append("Contact", contact);
    if (!expires.empty()) r.append("Expires", expires);
    send(from, r.to_string());
    return next()->second;
  }
  void register_bob() {
    SipText r = request("REGISTER", "sip:example.org", kBob);
    r.set("To", "<sip:bob@example.org>");
    r.append("Contact", "<sip:bob@10.0.0.3:5060>");
    send(kBob, r.to_string());
    ASSERT_EQ(next()->second.status, 200);
  }

  inline static const Endpoint kServer = *Endpoint::parse("10.0.0.1:5060");
  inline static const Endpoint kAlice = *Endpoint::parse("10.0.0.2:5060");
  inline static const Endpoint kBob = *Endpoint::parse("10.0.0.3:5060");
  SeededRandom random_{1};
  NullLog log_;
  TimePoint now_ = TimePoint(seconds(100));
  std::uint32_t cseq_ = 0;
  std::optional<MiniServer> server_{std::in_place, default_config(), random_, log_};
};

TEST_F(MiniServerTest, RegistersRefreshesAndForgets) {
  EXPECT_EQ(registers(kAlice, "<sip:alice@10.0.0.2>", "60").status, 200);
  ASSERT_EQ(server_->bindings("alice", now_).size(), 1U);
  now_ += seconds(30);
  registers(kAlice, "<sip:alice@10.0.0.2>;expires=60", "");
  now_ += seconds(45);
  ASSERT_EQ(server_->bindings("alice", now_).size(), 1U);
  const SipText answer = registers(kAlice, "", "");
  EXPECT_EQ(answer.values("Contact"), std::vector<std::string>{"<sip:alice@10.0.0.2>;expires=15"});
  now_ += seconds(16);
  EXPECT_TRUE(server_->bindings("alice", now_).empty());
}

TEST_F(MiniServerTest, ReplacesByInstanceAndRemovesOnDemand) {
  registers(kAlice, "<sip:alice@10.0.0.2>;+sip.instance=\"<urn:uuid:1>\"", "60");
  registers(kAlice, "<sip:alice@10.9.0.2>;+sip.instance=\"<urn:uuid:1>\"", "60");
  auto bindings = server_->bindings("alice", now_);
  ASSERT_EQ(bindings.size(), 1U);
  EXPECT_EQ(bindings[0].contact, "sip:alice@10.9.0.2");
  registers(kAlice, "<sip:alice@10.0.0.2>, <sip:alice@10.9.0.2>;expires=0", "60");
  bindings = server_->bindings("alice", now_);
  ASSERT_EQ(bindings.size(), 1U);
  EXPECT_EQ(bindings[0].contact, "sip:alice@10.0.0.2");
  EXPECT_EQ(registers(kAlice, "*", "60").status, 400);
  EXPECT_EQ(registers(kAlice, "*", "0").status, 200);
  EXPECT_TRUE(server_->bindings("alice", now_).empty());
}

TEST_F(MiniServerTest, RefusesBriefIntervalsAndOldCseq) {
  const SipText brief = registers(kAlice, "<sip:alice@10.0.0.2>", "3");
  EXPECT_EQ(brief.status, 423);
  EXPECT_EQ(brief.first("Min-Expires"), "10");
  registers(kAlice, "<sip:alice@10.0.0.2>", "60");
  cseq_ = 0;
  EXPECT_EQ(registers(kAlice, "<sip:alice@10.0.0.2>", "60").status, 500);
}

TEST_F(MiniServerTest, AnswersARepeatedRegisterAgain) {
  SipText r = request("REGISTER", "sip:example.org", kAlice, "z9hG4bKrepeated");
  r.append("Contact", "<sip:alice@10.0.0.2>");
  send(kAlice, r.to_string());
  const SipText answer = next()->second;
  EXPECT_EQ(answer.status, 200);
  send(kAlice, r.to_string());
  EXPECT_EQ(next()->second.to_string(), answer.to_string());
  EXPECT_EQ(server_->counters().registered, 1U);
}

TEST_F(MiniServerTest, ChecksDigestOfBothAlgorithms) {
  MiniServerConfig config = default_config();
  config.users = {{"alice", "secret"}};
  restart(config);
  for (const ServerDigest algorithm : {ServerDigest::Md5, ServerDigest::Sha256}) {
    const std::string name = algorithm == ServerDigest::Md5 ? "MD5" : "SHA-256";
    const SipText challenge = registers(kAlice, "<sip:alice@10.0.0.2>", "60");
    ASSERT_EQ(challenge.status, 401);
    ASSERT_EQ(challenge.lines("WWW-Authenticate").size(), 2U);
    const auto fields = parse_digest(challenge.lines("WWW-Authenticate")[0]);
    const auto credentials = [&](const std::string& password, const std::string& nc) {
      const std::string ha1 = hash_hex(algorithm, "alice:godwit:" + password);
      const std::string ha2 = hash_hex(algorithm, "REGISTER:sip:example.org");
      const std::string response =
          hash_hex(algorithm, ha1 + ":" + fields.at("nonce") + ":" + nc + ":xyz:auth:" + ha2);
      return "Digest username=\"alice\", realm=\"godwit\", nonce=\"" + fields.at("nonce") +
             "\", uri=\"sip:example.org\", response=\"" + response + "\", algorithm=" + name +
             ", cnonce=\"xyz\", qop=auth, nc=" + nc;
    };
    const auto attempt = [&](const std::string& value) {
      SipText r = request("REGISTER", "sip:example.org", kAlice);
      r.append("Contact", "<sip:alice@10.0.0.2>");
      r.append("Authorization", value);
      send(kAlice, r.to_string());
      return next()->second;
    };
    EXPECT_EQ(attempt(credentials("wrong", "00000001")).status, 401);
    EXPECT_EQ(attempt(credentials("secret", "00000001")).status, 200);
    EXPECT_EQ(attempt(credentials("secret", "00000002")).status, 200) << "the nonce is kept";
    server_->expire_nonces();
    const SipText stale = attempt(credentials("secret", "00000003"));
    EXPECT_EQ(stale.status, 401);
    EXPECT_NE(stale.lines("WWW-Authenticate")[0].find("stale=true"), std::string::npos);
  }
}

TEST_F(MiniServerTest, HashesAsRfc7616Says) {
  // RFC 7616 §3.9.1.
  const std::string ha1 =
      hash_hex(ServerDigest::Md5, "Mufasa:http-auth@example.org:Circle of Life");
  const std::string ha2 = hash_hex(ServerDigest::Md5, "GET:/dir/index.html");
  EXPECT_EQ(
      hash_hex(ServerDigest::Md5, ha1 +
                                      ":7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:"
                                      "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth:" +
                                      ha2),
      "8ca523f5e9506fed4657c9700eebdbec");
}

TEST_F(MiniServerTest, ForwardsACallAndItsAnswer) {
  register_bob();
  SipText invite = request("INVITE", "sip:bob@example.org", kAlice, "z9hG4bKinv");
  send(kAlice, invite.to_string());
  auto [to_bob, forwarded] = *next();
  EXPECT_EQ(to_bob, kBob);
  EXPECT_EQ(forwarded.uri, "sip:bob@10.0.0.3:5060");
  EXPECT_EQ(forwarded.first("Max-Forwards"), "69");
  EXPECT_EQ(forwarded.first("Record-Route"), "<sip:10.0.0.1:5060;lr>");
  ASSERT_EQ(forwarded.values("Via").size(), 2U);
  EXPECT_EQ(parameter(forwarded.values("Via")[1], "received"), "10.0.0.2");

  const auto [to_alice, answer] = [&] {
    send(kBob, SipText::response_to(forwarded, 200, "OK", "b").to_string());
    return *next();
  }();
  EXPECT_EQ(to_alice, kAlice);
  EXPECT_EQ(answer.values("Via").size(), 1U);

  // In-dialog: our Route comes off, the Request-URI decides.
  SipText bye = request("BYE", "sip:bob@10.0.0.3:5060", kAlice, "z9hG4bKbye");
  bye.set("To", "<sip:bob@example.org>;tag=b");
  bye.append("Route", "<sip:10.0.0.1:5060;lr>");
  send(kAlice, bye.to_string());
  auto [target, out] = *next();
  EXPECT_EQ(target, kBob);
  EXPECT_FALSE(out.has("Route"));
}

TEST_F(MiniServerTest, CancelFollowsItsInviteAlthoughTheBindingMoved) {
  register_bob();
  SipText invite = request("INVITE", "sip:bob@example.org", kAlice, "z9hG4bKinv");
  send(kAlice, invite.to_string());
  const auto forwarded = next()->second;
  server_->forget("bob");
  SipText cancel = invite;
  cancel.method = "CANCEL";
  cancel.set("CSeq", std::to_string(cseq_) + " CANCEL");
  const Endpoint moved = *Endpoint::parse("10.7.0.2:5060");
  send(moved, cancel.to_string());  // Same frozen Via, other source.
  auto [target, out] = *next();
  EXPECT_EQ(target, kBob);
  EXPECT_EQ(parameter(out.first("Via"), "branch"), parameter(forwarded.first("Via"), "branch"));
  // With another sent-by it is another transaction.
  cancel.set("Via", "SIP/2.0/UDP 10.7.0.2:5060;rport;branch=z9hG4bKinv");
  send(moved, cancel.to_string());
  EXPECT_EQ(next()->second.status, 481);
}

TEST_F(MiniServerTest, AnswersWhatItCannotRoute) {
  const auto status = [&](const SipText& r) {
    send(kAlice, r.to_string());
    const auto answer = next();
    return answer ? answer->second.status : 0;
  };
  EXPECT_EQ(status(request("INVITE", "sip:nobody@example.org", kAlice)), 404);
  registers(kAlice, "<sip:alice@10.0.0.2>", "0");
  EXPECT_EQ(status(request("INVITE", "sip:alice@example.org", kAlice)), 480);
  EXPECT_EQ(status(request("INVITE", "sip:x@192.0.2.7", kAlice)), 403);
  EXPECT_EQ(status(request("OPTIONS", "sip:example.org", kAlice)), 200);
  EXPECT_EQ(status(request("PUBLISH", "sip:example.org", kAlice)), 405);
  EXPECT_EQ(status(request("INVITE", "tel:123", kAlice)), 416);
  EXPECT_EQ(status(request("ACK", "sip:nobody@example.org", kAlice)), 0);
  SipText tired = request("INVITE", "sip:alice@example.org", kAlice);
  tired.set("Max-Forwards", "0");
  EXPECT_EQ(status(tired), 483);
}

TEST_F(MiniServerTest, AnswersMalformedRequestsOnlyWhereItCan) {
  SipText headless = request("OPTIONS", "sip:example.org", kAlice);
  std::string bytes = headless.to_string();
  bytes.replace(bytes.find("Content-Length: 0"), 17, "Content-Length: 9");
  send(kAlice, bytes);
  EXPECT_EQ(next()->second.status, 400);
  headless.remove("Call-ID");
  send(kAlice, headless.to_string());
  EXPECT_EQ(next()->second.status, 400);
  headless.remove("Via");
  for (const std::string& junk :
       {std::string("\0\1\2", 3), std::string("hello\r\n\r\n"), std::string(70'000, 'a'),
        std::string("OPTIONS sip:a SIP/2.0\r\n\r\n"), headless.to_string()}) {
    send(kAlice, junk);
    EXPECT_FALSE(server_->poll_output());
  }
  EXPECT_EQ(server_->counters().malformed_answered, 2U);
  EXPECT_EQ(server_->counters().malformed_dropped, 5U);
}

TEST_F(MiniServerTest, PlaysFaults) {
  server_->misbehave({.method = "REGISTER", .status = 503, .retry_after = seconds(7)});
  server_->misbehave({.kind = Misbehaviour::Kind::Ignore, .method = "REGISTER"});
  server_->misbehave(
      {.kind = Misbehaviour::Kind::Delay, .method = "REGISTER", .delay = seconds(2)});
  const SipText busy = registers(kAlice, "<sip:alice@10.0.0.2>", "60");
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.first("Retry-After"), "7");
  SipText r = request("REGISTER", "sip:example.org", kAlice);
  send(kAlice, r.to_string());
  EXPECT_FALSE(next());
  send(kAlice, r.to_string());
  EXPECT_FALSE(next());
  ASSERT_EQ(server_->next_timeout(), now_ + seconds(2));
  now_ += seconds(2);
  server_->on_timeout(now_);
  EXPECT_EQ(next()->second.status, 200);
  EXPECT_FALSE(server_->next_timeout());
}

TEST_F(MiniServerTest, TiesCallsToRegistrations) {
  register_bob();
  server_->set_tie_calls_to_registration(true);
  send(kAlice, request("INVITE", "sip:bob@example.org", kAlice).to_string());
  EXPECT_EQ(next()->second.status, 403);
  registers(kAlice, "<sip:alice@10.0.0.2>", "60");
  send(kAlice, request("INVITE", "sip:bob@example.org", kAlice).to_string());
  EXPECT_EQ(next()->second.method, "INVITE");
}

TEST_F(MiniServerTest, BridgesFamiliesWithTwoRecordRoutes) {
  MiniServerConfig config = default_config();
  const Endpoint six = *Endpoint::parse("[fd00::1]:5060");
  config.locals.push_back(six);
  restart(config);
  server_->bind("bob", "sip:bob@[fd00::3]:5060");
  send(kAlice, request("INVITE", "sip:bob@example.org", kAlice).to_string());
  const auto datagram = *server_->poll_output();
  EXPECT_EQ(datagram.local, six);
  EXPECT_EQ(datagram.remote, *Endpoint::parse("[fd00::3]:5060"));
  const SipText out = *SipText::parse(datagram.bytes);
  EXPECT_EQ(out.values("Record-Route"),
            (std::vector<std::string>{"<sip:[fd00::1]:5060;lr>", "<sip:10.0.0.1:5060;lr>"}));
  server_->on_datagram(six, datagram.remote,
                       SipText::response_to(out, 180, "Ringing", "b").to_string(), now_);
  const auto back = *server_->poll_output();
  EXPECT_EQ(back.local, kServer);
  EXPECT_EQ(back.remote, kAlice);
}

TEST_F(MiniServerTest, SendsToTheSourceOfTheRegistrationBehindANat) {
  MiniServerConfig config = default_config();
  config.send_to_source = true;
  restart(config);
  const Endpoint hole = *Endpoint::parse("203.0.113.9:40000");
  SipText r = request("REGISTER", "sip:example.org", kAlice);
  r.append("Contact", "<sip:alice@10.0.0.2>");
  send(hole, r.to_string());
  auto [to, answer] = *next();
  EXPECT_EQ(to, hole);
  EXPECT_EQ(parameter(answer.first("Via"), "rport"), "40000");
  send(kBob, request("INVITE", "sip:alice@example.org", kBob).to_string());
  EXPECT_EQ(next()->first, hole);
}

// ---- Those who mean harm ----

TEST_F(MiniServerTest, AnAnswerOfTooManyLinesIsNotRepeatedButHarmless) {
  restart(default_config());
  for (const char* user : {"a", "b", "c", "d"}) {
    registers(kAlice, std::string("<sip:") + user + "@10.0.0.2>", "");
  }
  SipText r = request("REGISTER", "sip:example.org", kAlice);
  for (int i = 0; i < 249; ++i) r.append("Via", "x y");
  ASSERT_LE(r.headers.size(), kMaxSipTextHeaders);
  const std::string first = r.to_string();
  send(kAlice, first);
  while (server_->poll_output()) {
  }
  send(kAlice, first);  // Our own answer to the first one is beyond what we parse.
  while (server_->poll_output()) {
  }
  EXPECT_EQ(registers(kAlice, "<sip:alice@10.0.0.2>", "").status, 200);
}

TEST_F(MiniServerTest, AnswersNobodyButTheSender) {
  restart(default_config());
  SipText r = request("OPTIONS", "sip:example.org", kAlice);
  r.set("Via", "SIP/2.0/UDP " + kAlice.to_string() + ";branch=z9hG4bKvictim;received=203.0.113.66");
  send(kAlice, r.to_string());
  EXPECT_EQ(next()->first, kAlice);
}

TEST_F(MiniServerTest, ForwardsToNobodysRouteOutsideADialog) {
  restart(default_config());
  SipText r = request("MESSAGE", "sip:bob@example.org", kAlice);
  r.append("Route", "<sip:10.0.0.1:5060;lr>, <sip:203.0.113.66;lr>");
  send(kAlice, r.to_string());
  const auto [to, answer] = *next();
  EXPECT_EQ(to, kAlice);
  EXPECT_EQ(answer.status, 403);
}

TEST_F(MiniServerTest, RoutesThatNameUsAreTakenOffInOnePass) {
  restart(default_config());
  register_bob();
  SipText r = request("INVITE", "sip:bob@example.org", kAlice);
  std::string routes = "<sip:example.org>";
  while (routes.size() < 60'000) routes += ",<sip:example.org>";
  r.append("Route", routes);
  const auto begin = std::clock();
  send(kAlice, r.to_string());
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 2) << "processor time for one datagram";
  const auto [to, out] = *next();
  EXPECT_EQ(to, kBob);
  EXPECT_FALSE(out.has("Route"));
}

TEST_F(MiniServerTest, NamesOfThePastDoNotKeepOthersOut) {
  MiniServerConfig config = default_config();
  config.max_users = 8;
  restart(config);
  for (int i = 0; i < 8; ++i) {
    SipText r = request("REGISTER", "sip:example.org", kAlice);
    r.set("To", "<sip:user" + std::to_string(i) + "@example.org>");  // A mere question.
    send(kAlice, r.to_string());
    EXPECT_EQ(next()->second.status, 200);
  }
  EXPECT_EQ(registers(kAlice, "<sip:alice@10.0.0.2>", "60").status, 200);
}

TEST_F(MiniServerTest, KeepsNoRegistrationsOfAbsurdSize) {
  restart(default_config());
  const std::string contact = "<sip:" + std::string(5'000, 'a') + "@10.0.0.2>";
  EXPECT_EQ(registers(kAlice, contact, "").status, 513);
  EXPECT_TRUE(server_->bindings("alice", now_).empty());
}

}  // namespace
}  // namespace godwit::testing
