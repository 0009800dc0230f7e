// SPDX-License-Identifier: Apache-2.0
#include "sip/digest.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.hpp"
#include "wire/sip/auth.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {
namespace {

const Endpoint kServer = *Endpoint::parse("192.0.2.1:5060");
const Endpoint kOther = *Endpoint::parse("192.0.2.2:5060");

TEST(DigestHash, AnswersTheExamplesOfTheRfcs) {
  struct Example {
    const char* where;
    DigestAlgorithm algorithm;
    const char* username;
    const char* realm;
    const char* password;
    const char* nonce;
    const char* cnonce;
    const char* uri;
    const char* response;
  };
  const std::vector<Example> examples = {
      {"RFC 2617 §3.5", DigestAlgorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life",
       "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b", "/dir/index.html",
       "6629fae49393a05397450978507c4ef1"},
      {"RFC 7616 §3.9.1", DigestAlgorithm::Md5, "Mufasa", "http-auth@example.org", "Circle of Life",
       "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
       "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
       "8ca523f5e9506fed4657c9700eebdbec"},
      {"RFC 7616 §3.9.1", DigestAlgorithm::Sha256, "Mufasa", "http-auth@example.org",
       "Circle of Life", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
       "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "/dir/index.html",
       "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
      {"RFC 7616 §3.9.2 with erratum 4897", DigestAlgorithm::Sha512_256, "J\xc3\xa4s\xc3\xb8n Doe",
       "api@example.org", "Secret, or not?", "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
       "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json",
       "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"},
  };
  for (const Example& e : examples) {
    const std::string ha1 = digest_ha1(e.algorithm, e.username, e.realm, e.password);
    EXPECT_EQ(digest_response({.algorithm = e.algorithm,
                               .ha1 = ha1,
                               .nonce = e.nonce,
                               .nonce_count = "00000001",
                               .cnonce = e.cnonce,
                               .qop = "auth",
                               .method = "GET",
                               .uri = e.uri}),
              e.response)
        << e.where;
  }
  // RFC 2069 §2.4 with its erratum: without qop.
  EXPECT_EQ(digest_response({.algorithm = DigestAlgorithm::Md5,
                             .ha1 = digest_ha1(DigestAlgorithm::Md5, "Mufasa", "testrealm@host.com",
                                               "CircleOfLife"),
                             .nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
                             .nonce_count = {},
                             .cnonce = {},
                             .qop = {},
                             .method = "GET",
                             .uri = "/dir/index.html"}),
            "1949323746fe6a43ef61f9606e7febea");
}

TEST(DigestHash, AlgorithmTokensAreCaseless) {
  EXPECT_EQ(parse_digest_algorithm(""), DigestAlgorithm::Md5);
  EXPECT_EQ(parse_digest_algorithm("md5"), DigestAlgorithm::Md5);
  EXPECT_EQ(parse_digest_algorithm("sha-512-256-SESS"), DigestAlgorithm::Sha512_256Sess);
  EXPECT_EQ(parse_digest_algorithm("SHA-1"), std::nullopt);
  EXPECT_EQ(parse_digest_algorithm("SHA-256 "), std::nullopt);
}

class Remember final : public Log {
 public:
  bool enabled(Level) const override { return true; }
  void write(Level, std::string_view, std::string_view text) override {
    all += text;
    all += '\n';
  }
  std::string all;
};

class DigestClientTest : public ::testing::Test {
 protected:
  static DigestCredentials alice(const std::string& realm = "") {
    DigestCredentials credentials;
    credentials.realm = realm;
    credentials.username = "alice";
    credentials.password = "s3cret";
    return credentials;
  }

  static wire::Message response(int status, const std::vector<std::string>& headers) {
    std::string text = "SIP/2.0 " + std::to_string(status) + " Whatever\r\n";
    for (const std::string& header : headers) text += header + "\r\n";
    return *wire::Message::parse(text + "Content-Length: 0\r\n\r\n");
  }
  static std::string www(const std::string& rest) { return "WWW-Authenticate: Digest " + rest; }
  static std::string proxy(const std::string& rest) { return "Proxy-Authenticate: Digest " + rest; }

  std::vector<AuthorizationHeader> headers() {
    return client_.authorization("REGISTER", "sip:example.com", kServer, attempt_);
  }

  /// As the server does it: recomputes the response from what the header says.
  static bool verifies(const AuthorizationHeader& header, const std::string& password = "s3cret") {
    const auto c = wire::Credentials::parse(header.value);
    if (!c || !c->is_digest()) return false;
    const auto algorithm = parse_digest_algorithm(c->algorithm);
    if (!algorithm) return false;
    const std::string name =
        c->params.get("userhash") ? std::string("alice") : std::string(c->username);
    const std::string ha1 = digest_ha1(*algorithm, name, c->realm, password);
    return c->uri == "sip:example.com" && digest_response({.algorithm = *algorithm,
                                                           .ha1 = ha1,
                                                           .nonce = c->nonce,
                                                           .nonce_count = c->nc.value_or(""),
                                                           .cnonce = c->cnonce.value_or(""),
                                                           .qop = c->qop.value_or(""),
                                                           .method = "REGISTER",
                                                           .uri = c->uri}) == c->response;
  }

  SeededRandom random_{3};
  Remember log_;
  DigestClient client_{random_, log_, {alice()}};
  DigestAttempt attempt_;
};

TEST_F(DigestClientTest, KnowsNothingBeforeTheFirstChallenge) {
  EXPECT_TRUE(headers().empty());
  EXPECT_TRUE(attempt_.sent.empty());
}

TEST_F(DigestClientTest, AnswersAChallenge) {
  const auto outcome = client_.on_challenge(
      response(401, {www(R"(realm="r", nonce="n1", opaque="o,\"x", qop="auth,auth-int", )"
                         R"(algorithm=SHA-256)")}),
      kServer, attempt_);
  EXPECT_EQ(outcome.verdict, ChallengeVerdict::Retry);
  const auto all = headers();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].name, "Authorization");
  EXPECT_TRUE(verifies(all[0])) << all[0].value;
  const auto c = wire::Credentials::parse(all[0].value);
  EXPECT_EQ(c->username, "alice");
  EXPECT_EQ(c->realm, "r");
  EXPECT_EQ(c->nonce, "n1");
  EXPECT_EQ(c->opaque, R"(o,\"x)") << "repeated byte for byte";
  EXPECT_EQ(c->algorithm, "SHA-256");
  EXPECT_EQ(c->nc, "00000001");
  EXPECT_NE(all[0].value.find("qop=auth,"), std::string::npos) << "a token, not quoted";
  EXPECT_EQ(all[0].value.find("s3cret"), std::string::npos);
}

TEST_F(DigestClientTest, EveryAlgorithmVerifies) {
  for (const char* algorithm :
       {"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"}) {
    const Endpoint server = kServer;
    DigestClient client(random_, log_, {alice()});
    DigestAttempt attempt;
    const auto challenge = response(
        401, {www(std::string(R"(realm="r", nonce="n", qop="auth", algorithm=)") + algorithm)});
    ASSERT_EQ(client.on_challenge(challenge, server, attempt).verdict, ChallengeVerdict::Retry);
    for (const char* nc : {"00000001", "00000002"}) {
      const auto all = client.authorization("REGISTER", "sip:example.com", server, attempt);
      ASSERT_EQ(all.size(), 1U);
      EXPECT_TRUE(verifies(all[0])) << algorithm;
      EXPECT_FALSE(verifies(all[0], "wrong"));
      EXPECT_EQ(wire::Credentials::parse(all[0].value)->nc, nc);
    }
  }
}

TEST_F(DigestClientTest, WithoutQopItAnswersAsRfc2069) {
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n1")")}), kServer, attempt_);
  const auto all = headers();
  ASSERT_EQ(all.size(), 1U);
  const auto c = wire::Credentials::parse(all[0].value);
  EXPECT_FALSE(c->qop);
  EXPECT_FALSE(c->cnonce);
  EXPECT_FALSE(c->nc);
  EXPECT_EQ(c->algorithm, "") << "not named by the server, so not by us";
  EXPECT_TRUE(verifies(all[0]));
}

TEST_F(DigestClientTest, TheNonceIsUsedAheadWithARisingCount) {
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n1", qop="auth")")}), kServer,
                       attempt_);
  std::string last_cnonce;
  for (const char* nc : {"00000001", "00000002", "00000003"}) {
    DigestAttempt fresh;
    const auto all = client_.authorization("REGISTER", "sip:example.com", kServer, fresh);
    ASSERT_EQ(all.size(), 1U);
    const auto c = wire::Credentials::parse(all[0].value);
    EXPECT_EQ(c->nc, nc);
    EXPECT_EQ(c->nonce, "n1");
    EXPECT_TRUE(verifies(all[0]));
    EXPECT_NE(*c->cnonce, last_cnonce);
    last_cnonce = std::string(*c->cnonce);
  }
  DigestAttempt other;
  EXPECT_TRUE(client_.authorization("REGISTER", "sip:example.com", kOther, other).empty())
      << "not to another server";
  client_.forget(kServer);
  EXPECT_TRUE(headers().empty());
}

TEST_F(DigestClientTest, TheSameChallengeTwiceDoesNotRewindTheCount) {
  const auto challenge = response(401, {www(R"(realm="r", nonce="n1", qop="auth")")});
  DigestAttempt first;
  DigestAttempt second;
  client_.on_challenge(challenge, kServer, first);
  client_.authorization("REGISTER", "sip:example.com", kServer, first);
  client_.on_challenge(challenge, kServer, second);
  const auto all = client_.authorization("REGISTER", "sip:example.com", kServer, second);
  EXPECT_EQ(wire::Credentials::parse(all.at(0).value)->nc, "00000002");
}

TEST_F(DigestClientTest, TheTopmostSupportedChallengeOfARealmCounts) {
  struct Case {
    std::vector<const char*> algorithms;
    const char* chosen;
  };
  for (const Case& c :
       {Case{{"SHA-512-256", "SHA-256", "MD5"}, "SHA-512-256"},
        Case{{"SHA-384", "SHA-256", "MD5"}, "SHA-256"}, Case{{"MD5", "SHA-256"}, "MD5"}}) {
    DigestClient client(random_, log_, {alice()});
    DigestAttempt attempt;
    std::vector<std::string> lines;
    lines.reserve(c.algorithms.size());
    for (const char* algorithm : c.algorithms) {
      lines.push_back(
          www(std::string(R"(realm="r", qop="auth", nonce="n", algorithm=)") + algorithm));
    }
    EXPECT_EQ(client.on_challenge(response(401, lines), kServer, attempt).verdict,
              ChallengeVerdict::Retry);
    const auto all = client.authorization("REGISTER", "sip:example.com", kServer, attempt);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(wire::Credentials::parse(all[0].value)->algorithm, c.chosen);
  }
}

TEST_F(DigestClientTest, ProxyAndServerAreAnsweredInOneRequest) {
  client_.on_challenge(response(407, {proxy(R"(realm="p", nonce="np", qop="auth")")}), kServer,
                       attempt_);
  EXPECT_EQ(headers().size(), 1U);
  EXPECT_EQ(client_
                .on_challenge(response(401, {www(R"(realm="r", nonce="nr", qop="auth")")}), kServer,
                              attempt_)
                .verdict,
            ChallengeVerdict::Retry);
  const auto all = headers();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "Proxy-Authorization");
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->realm, "p");
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->nc, "00000002");
  EXPECT_EQ(all[1].name, "Authorization");
  EXPECT_EQ(wire::Credentials::parse(all[1].value)->realm, "r");
  EXPECT_TRUE(verifies(all[0]));
  EXPECT_TRUE(verifies(all[1]));
}

TEST_F(DigestClientTest, CredentialsAreChosenByRealm) {
  DigestCredentials other = alice("two");
  other.username = "bob";
  client_.set_credentials({alice("one"), other});
  client_.on_challenge(response(407, {proxy(R"(realm="two", nonce="a", qop="auth")"),
                                      proxy(R"(realm="one", nonce="b", qop="auth")"),
                                      proxy(R"(realm="three", nonce="c", qop="auth")")}),
                       kServer, attempt_);
  const auto all = headers();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->username, "bob");
  EXPECT_EQ(wire::Credentials::parse(all[1].value)->username, "alice");

  DigestAttempt lone;
  const auto outcome = client_.on_challenge(
      response(401, {www(R"(realm="three", nonce="c", qop="auth")")}), kServer, lone);
  EXPECT_EQ(outcome.verdict, ChallengeVerdict::NoCredentials);
  EXPECT_NE(outcome.detail.find("\"three\""), std::string::npos);
}

TEST_F(DigestClientTest, AHa1ServesItsOwnAlgorithmOnly) {
  DigestCredentials hashed;
  hashed.username = "alice";
  hashed.ha1 = digest_ha1(DigestAlgorithm::Md5, "alice", "r", "s3cret");
  hashed.ha1_algorithm = DigestAlgorithm::Md5;
  client_.set_credentials({hashed});
  EXPECT_EQ(client_
                .on_challenge(response(401, {www(R"(realm="r", nonce="n", algorithm=SHA-256)")}),
                              kServer, attempt_)
                .verdict,
            ChallengeVerdict::NoCredentials);
  EXPECT_EQ(client_
                .on_challenge(response(401, {www(R"(realm="r", nonce="n", algorithm=SHA-256)"),
                                             www(R"(realm="r", nonce="n", algorithm=MD5)")}),
                              kServer, attempt_)
                .verdict,
            ChallengeVerdict::Retry);
  EXPECT_TRUE(verifies(headers().at(0)));
}

TEST_F(DigestClientTest, ChallengesThatWeCannotAnswerAreNamed) {
  struct Case {
    std::vector<std::string> lines;
    const char* detail;
  };
  const std::vector<Case> cases = {
      {{}, "without a challenge"},
      {{"WWW-Authenticate: Basic realm=\"r\""}, "Basic"},
      {{www(R"(realm="r", nonce="n", algorithm=SHA-1)")}, "SHA-1"},
      {{www(R"(realm="r", nonce="n", qop="auth-int")")}, "auth-int"},
      {{www(R"(realm="r", nonce="n", algorithm=MD5-sess)")}, "-sess"},
      {{www(R"(nonce="n")")}, "malformed"},
      {{www(R"(realm="r", nonce=")" + std::string(2000, 'n') + '"')}, "absurd length"},
  };
  for (const Case& c : cases) {
    DigestAttempt attempt;
    const auto outcome = client_.on_challenge(response(401, c.lines), kServer, attempt);
    EXPECT_EQ(outcome.verdict, ChallengeVerdict::Unsupported) << c.detail;
    EXPECT_NE(outcome.detail.find(c.detail), std::string::npos) << outcome.detail;
    EXPECT_TRUE(headers().empty());
  }
}

// What may follow credentials that the server has seen.
TEST_F(DigestClientTest, OneSilentRetryThenTheCredentialsAreWrong) {
  struct Case {
    const char* what;
    std::vector<const char*> challenges;  // After the first answer.
    std::vector<ChallengeVerdict> verdicts;
  };
  using V = ChallengeVerdict;
  const std::vector<Case> cases = {
      {"the same nonce again", {R"(nonce="n1")"}, {V::Rejected}},
      {"a stale nonce", {R"(nonce="n2", stale=true)"}, {V::Retry}},
      {"stale, though the nonce is the same", {R"(nonce="n1", stale=TRUE)"}, {V::Retry}},
      {"a fresh nonce", {R"(nonce="n2")"}, {V::Retry}},
      {"a fresh nonce for ever", {R"(nonce="n2")", R"(nonce="n3")"}, {V::Retry, V::Rejected}},
      {"stale for ever",
       {R"(nonce="n2", stale=true)", R"(nonce="n3", stale=true)"},
       {V::Retry, V::Rejected}},
  };
  for (const Case& c : cases) {
    DigestClient client(random_, log_, {alice()});
    DigestAttempt attempt;
    const auto challenge = [](const std::string& nonce) {
      return response(401, {www(R"(realm="r", qop="auth", )" + nonce)});
    };
    ASSERT_EQ(client.on_challenge(challenge(R"(nonce="n1")"), kServer, attempt).verdict, V::Retry);
    client.authorization("REGISTER", "sip:example.com", kServer, attempt);
    for (std::size_t i = 0; i < c.challenges.size(); ++i) {
      EXPECT_EQ(client.on_challenge(challenge(c.challenges[i]), kServer, attempt).verdict,
                c.verdicts[i])
          << c.what;
      const auto all = client.authorization("REGISTER", "sip:example.com", kServer, attempt);
      EXPECT_EQ(all.empty(), c.verdicts[i] == V::Rejected) << "rejected ones are not sent again";
    }
  }
  EXPECT_NE(log_.all.find("rejected"), std::string::npos);
  EXPECT_EQ(log_.all.find("s3cret"), std::string::npos);
}

TEST_F(DigestClientTest, AnAgedNonceSentAheadIsReplacedSilently) {
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n1", qop="auth")")}), kServer,
                       attempt_);
  headers();
  DigestAttempt later;
  client_.authorization("REGISTER", "sip:example.com", kServer, later);
  EXPECT_EQ(client_
                .on_challenge(response(401, {www(R"(realm="r", nonce="n2", qop="auth")")}), kServer,
                              later)
                .verdict,
            ChallengeVerdict::Retry);
  const auto all = client_.authorization("REGISTER", "sip:example.com", kServer, later);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->nonce, "n2");
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->nc, "00000001");
}

TEST_F(DigestClientTest, ARealmOfItsOwnForEachRoundStillEnds) {
  int rounds = 0;
  for (; rounds < 100; ++rounds) {
    const auto outcome = client_.on_challenge(
        response(401, {www("realm=\"r" + std::to_string(rounds) + "\", nonce=\"n\"")}), kServer,
        attempt_);
    if (outcome.verdict != ChallengeVerdict::Retry) break;
    headers();
  }
  EXPECT_EQ(rounds, DigestClient::kMaxChallenges);
}

TEST_F(DigestClientTest, ManyRealmsPushOutTheOneLongestUnused) {
  const auto challenge = [](const std::string& realm) {
    return response(401, {www("realm=\"" + realm + "\", nonce=\"n\"")});
  };
  for (std::size_t i = 0; i < 3 * DigestClient::kMaxRealms; ++i) {
    DigestAttempt attempt;
    client_.on_challenge(challenge("r" + std::to_string(i)), kServer, attempt);
  }
  const auto all = headers();
  EXPECT_EQ(all.size(), DigestClient::kMaxRealms);
  bool newest = false;
  for (const auto& header : all) {
    if (wire::Credentials::parse(header.value)->realm ==
        "r" + std::to_string(3 * DigestClient::kMaxRealms - 1)) {
      newest = true;
    }
  }
  EXPECT_TRUE(newest);
}

TEST_F(DigestClientTest, AResponseOfNothingButChallengesIsBounded) {
  std::vector<std::string> lines;
  lines.reserve(100);
  for (int i = 0; i < 100; ++i) {
    lines.push_back(www("realm=\"r" + std::to_string(i) + "\", nonce=\"n\""));
  }
  EXPECT_EQ(client_.on_challenge(response(401, lines), kServer, attempt_).verdict,
            ChallengeVerdict::Retry);
  EXPECT_LE(headers().size(), DigestClient::kMaxRealms);
}

TEST_F(DigestClientTest, NextnonceReplacesTheNonce) {
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n1", qop="auth")")}), kServer,
                       attempt_);
  headers();
  headers();
  client_.on_success(response(200, {R"(Authentication-Info: nextnonce="n2", qop=auth)"}), kOther);
  EXPECT_EQ(wire::Credentials::parse(headers().at(0).value)->nonce, "n1") << "another server's";
  client_.on_success(response(200, {R"(Authentication-Info: nextnonce="n2", qop=auth)"}), kServer);
  const auto all = headers();
  EXPECT_EQ(wire::Credentials::parse(all.at(0).value)->nonce, "n2");
  EXPECT_EQ(wire::Credentials::parse(all.at(0).value)->nc, "00000001");
  EXPECT_TRUE(verifies(all[0]));
  client_.on_success(response(200, {R"(Authentication-Info: nextnonce="n2")"}), kServer);
  EXPECT_EQ(wire::Credentials::parse(headers().at(0).value)->nc, "00000002") << "not rewound";
  client_.on_success(response(200, {}), kServer);
  client_.on_success(response(200, {"Authentication-Info: nextnonce=\"\""}), kServer);
  EXPECT_EQ(wire::Credentials::parse(headers().at(0).value)->nonce, "n2");
}

// RFC 7616 §3.4.4
TEST_F(DigestClientTest, TheUserNameIsHashedWhereTheServerAsksForIt) {
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n1", qop="auth", )"
                                          R"(algorithm=SHA-256, userhash=TRUE)")}),
                       kServer, attempt_);
  const auto all = headers();
  ASSERT_EQ(all.size(), 1U);
  const auto c = wire::Credentials::parse(all[0].value);
  EXPECT_EQ(c->username, digest_hash(DigestAlgorithm::Sha256, "alice:r"));
  EXPECT_EQ(c->params.get("userhash"), "true");
  EXPECT_EQ(all[0].value.find("alice"), std::string::npos);
  EXPECT_TRUE(verifies(all[0])) << "A1 is made of the name itself";

  DigestAttempt other;
  client_.on_challenge(response(401, {www(R"(realm="r", nonce="n2", qop="auth", userhash=false)")}),
                       kOther, other);
  const auto plain = client_.authorization("REGISTER", "sip:example.com", kOther, other);
  EXPECT_EQ(wire::Credentials::parse(plain.at(0).value)->username, "alice");
}

TEST_F(DigestClientTest, SeveralRealmsOfBothKindsInOneResponseAreAnsweredTogether) {
  DigestCredentials two = alice("two");
  two.username = "bob";
  client_.set_credentials({two, alice()});
  const auto outcome = client_.on_challenge(
      response(401, {www(R"(realm="one", nonce="a", qop="auth", algorithm=SHA-512-256)"),
                     www(R"(realm="one", nonce="a", qop="auth", algorithm=MD5)"),
                     proxy(R"(realm="two", nonce="b", qop="auth-int,auth")"),
                     proxy(R"(realm="three", nonce="c")")}),
      kServer, attempt_);
  EXPECT_EQ(outcome.verdict, ChallengeVerdict::Retry);
  const auto all = headers();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].name, "Authorization");
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->algorithm, "SHA-512-256");
  EXPECT_EQ(all[1].name, "Proxy-Authorization");
  EXPECT_EQ(wire::Credentials::parse(all[1].value)->username, "bob");
  EXPECT_EQ(wire::Credentials::parse(all[2].value)->username, "alice") << "for any other realm";
  for (const auto& header : all) EXPECT_TRUE(verifies(header)) << header.value;
}

TEST_F(DigestClientTest, QuotesAndLineBreaksInCredentialsCannotBreakOut) {
  DigestCredentials odd = alice();
  odd.username = "al\"ice\\\r\nEvil: yes";
  client_.set_credentials({odd});
  client_.on_challenge(response(401, {www(R"(realm="r \"q\"", nonce="n1", qop="auth")")}), kServer,
                       attempt_);
  const auto all = headers();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].value.find('\n'), std::string::npos);
  EXPECT_TRUE(verifies(all[0])) << all[0].value;
  EXPECT_EQ(wire::Credentials::parse(all[0].value)->realm, R"(r \"q\")");
}

}  // namespace
}  // namespace godwit::sip
