// SPDX-License-Identifier: Apache-2.0
//
// TLS sessions against each other, byte by byte in memory: whom they accept, and what they say of
// whom they do not.
#include "io/tls.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "io/certificate_authority_test.hpp"
#include "io/system_random.hpp"

namespace godwit::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Outcome {
  Result<void> client{};
  Result<void> server{};
  std::string at_client;
  std::string at_server;
};

/// Carries bytes both ways until nothing moves.
Outcome carry(TlsSession& client, TlsSession& server) {
  Outcome outcome;
  for (int flight = 0; flight < 20; ++flight) {
    const std::string up = client.take_output();
    if (!up.empty() && outcome.server) {
      outcome.server = server.receive(as_bytes(up), outcome.at_server);
    }
    const std::string down = server.take_output();
    if (!down.empty() && outcome.client) {
      outcome.client = client.receive(as_bytes(down), outcome.at_client);
    }
    if (up.empty() && down.empty()) break;
  }
  return outcome;
}

class Tls : public testing::Test {
 protected:
  std::shared_ptr<TlsContext> context(const TlsConfig& options) {
    auto made = TlsContext::create(options);
    EXPECT_TRUE(made) << (made ? "" : made.error().detail);
    return made ? *made : nullptr;
  }
  std::shared_ptr<TlsContext> server_with(const CertificateWish& wish) {
    const auto files = ca_.issue(wish);
    TlsConfig options;
    options.ca_file = ca_.file();
    options.certificate = files.certificate;
    options.private_key = files.key;
    return context(options);
  }
  TlsConfig trusting() const {
    TlsConfig options;
    options.ca_file = ca_.file();
    return options;
  }
  /// What a client that wants `name` says of a server with this certificate; empty: accepted.
  std::string verdict(const CertificateWish& wish, const std::string& name = "example.com") {
    auto server = server_with(wish)->server();
    auto client = context(trusting())->client(name, "t");
    const Outcome outcome = carry(*client, *server);
    if (outcome.client) {
      EXPECT_TRUE(client->established() && server->established());
      return "";
    }
    EXPECT_EQ(outcome.client.error().code, ErrorCode::Rejected);
    EXPECT_FALSE(server->established());
    EXPECT_FALSE(outcome.server) << "the server is told by an alert";
    return outcome.client.error().detail;
  }

  CertificateAuthority ca_;
};

TEST_F(Tls, CarriesBytesBothWays) {
  auto server = server_with({"example.com", {"DNS:example.com"}})->server();
  auto client = context(trusting())->client("example.com", "t");
  EXPECT_FALSE(client->send(as_bytes("too early")));
  Outcome outcome = carry(*client, *server);
  ASSERT_TRUE(outcome.client) << outcome.client.error().detail;
  ASSERT_TRUE(outcome.server) << outcome.server.error().detail;
  EXPECT_EQ(client->version(), "TLSv1.3");
  EXPECT_EQ(client->peer(), "CN=example.com");
  EXPECT_EQ(server->peer(), "");
  const std::string large(100'000, 'x');
  ASSERT_TRUE(client->send(as_bytes(large)));
  ASSERT_TRUE(server->send(as_bytes("down")));
  outcome = carry(*client, *server);
  EXPECT_EQ(outcome.at_server, large);
  EXPECT_EQ(outcome.at_client, "down");
  client->close();
  outcome = carry(*client, *server);
  EXPECT_TRUE(server->ended());
  EXPECT_FALSE(client->ended());
}

TEST_F(Tls, AcceptsTheNamesOfRfc5922) {
  EXPECT_EQ(verdict({"x", {"DNS:example.com"}}), "");
  EXPECT_EQ(verdict({"x", {"DNS:EXAMPLE.com"}}, "Example.COM"), "");
  EXPECT_EQ(verdict({"x", {"URI:sip:example.com"}}), "");
  EXPECT_EQ(verdict({"x", {"URI:SIP:example.com;transport=tls"}}), "");
  EXPECT_EQ(verdict({"x", {"URI:sip:other.example", "URI:sip:example.com:5061"}}), "");
  EXPECT_EQ(verdict({"example.com", {}}), "") << "the common name, without alternative names";
  EXPECT_EQ(verdict({"x", {"IP:127.0.0.1", "IP:::1"}}, "127.0.0.1"), "");
  EXPECT_EQ(verdict({"x", {"IP:127.0.0.1", "IP:::1"}}, "[0:0::1]"), "");
}

TEST_F(Tls, RefusesEveryOtherNameAndSaysWhichThereAre) {
  EXPECT_THAT(verdict({"The Server", {"DNS:a.example", "DNS:b.example"}}),
              AllOf(HasSubstr("\"CN=The Server\""), HasSubstr("not for example.com"),
                    HasSubstr("a.example, b.example")));
  // RFC 5922 §7.2: no wildcards.
  EXPECT_THAT(verdict({"x", {"DNS:*.example.com"}}, "sip.example.com"), HasSubstr("*.example.com"));
  // §7.1: a sip URI takes the DNS names' place.
  EXPECT_THAT(verdict({"x", {"URI:sip:other.example", "DNS:example.com"}}),
              HasSubstr("but for other.example"));
  // §7.1: other schemes and users are no domains; then the DNS names count again.
  EXPECT_THAT(verdict({"x", {"URI:sips:example.com"}}), HasSubstr("no name that SIP may use"));
  EXPECT_THAT(verdict({"x", {"URI:sip:bob@example.com"}}), HasSubstr("no name that SIP may use"));
  EXPECT_EQ(verdict({"x", {"URI:sip:bob@example.com", "DNS:example.com"}}), "");
  // §7.1: no common name beside an alternative name of whatever kind.
  EXPECT_THAT(verdict({"example.com", {"DNS:other.example"}}), HasSubstr("other.example"));
  EXPECT_THAT(verdict({"example.com", {"email:a@example.com"}}), HasSubstr("no name that SIP"));
  EXPECT_THAT(verdict({"x", {"DNS:xexample.com"}}), HasSubstr("not for example.com"));
  EXPECT_THAT(verdict({"x", {"DNS:example.com"}}, "127.0.0.1"), HasSubstr("not for 127.0.0.1"));
}

TEST_F(Tls, NamesSubjectAndReasonOfABadCertificate) {
  CertificateWish expired{"Old Server", {"DNS:example.com"}};
  expired.from_days = -30;
  expired.to_days = -2;
  EXPECT_THAT(verdict(expired), AllOf(HasSubstr("CN=Old Server"), HasSubstr("expired at")));
  CertificateWish early{"Early Server", {"DNS:example.com"}};
  early.from_days = 3;
  EXPECT_THAT(verdict(early), AllOf(HasSubstr("CN=Early Server"), HasSubstr("not valid before")));
  CertificateWish own{"Own Server", {"DNS:example.com"}};
  own.self_signed = true;
  EXPECT_THAT(verdict(own), AllOf(HasSubstr("CN=Own Server"), HasSubstr("self-signed")));

  CertificateAuthority other("Other CA");
  TlsConfig options;
  options.ca_file = other.file();
  auto server = server_with({"example.com", {}})->server();
  auto client = context(options)->client("example.com", "t");
  EXPECT_THAT(carry(*client, *server).client.error().detail,
              AllOf(HasSubstr("CN=example.com"), HasSubstr("issuer \"CN=Test CA\""),
                    HasSubstr("not among the trusted")));
}

TEST_F(Tls, KeepsControlCharactersOfAStrangersSubjectOutOfTheError) {
  EXPECT_THAT(verdict({"bad\x1b[31m\r\nname", {"DNS:other.example"}}),
              AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\n")), HasSubstr("other.example")));
  EXPECT_LT(verdict({std::string(60, 'x'), {"DNS:other.example"}}).size(), 600U);
}

TEST_F(Tls, AcceptsAnybodyWhenToldTo) {
  CertificateWish own{"Own Server", {}};
  own.self_signed = true;
  TlsConfig options;
  options.verify_server = false;
  auto server = server_with(own)->server();
  auto client = context(options)->client("", "t");
  ASSERT_TRUE(client) << client.error().detail;
  const auto outcome = carry(*client, *server);
  EXPECT_TRUE(outcome.client && client->established());
  EXPECT_EQ(client->peer(), "CN=Own Server");
  EXPECT_FALSE(context(trusting())->client("", "t")) << "a name is needed to verify";
}

TEST_F(Tls, AsksClientsForCertificatesWhenToldTo) {
  const auto files = ca_.issue({"example.com", {}});
  TlsConfig wary = trusting();
  wary.certificate = files.certificate;
  wary.private_key = files.key;
  wary.verify_client = true;
  const auto server_context = context(wary);
  {
    auto server = server_context->server();
    auto client = context(trusting())->client("example.com", "t");
    const auto outcome = carry(*client, *server);
    EXPECT_FALSE(outcome.server);
    ASSERT_FALSE(outcome.client) << "TLS 1.3 tells it after its own handshake";
    EXPECT_THAT(outcome.client.error().detail, HasSubstr("the peer says: "));
  }
  CertificateAuthority stranger("Stranger CA");
  for (const bool known : {true, false}) {
    const auto own = (known ? ca_ : stranger).issue({"Phone 7", {}});
    TlsConfig phone = trusting();
    phone.certificate = own.certificate;
    phone.private_key = own.key;
    auto server = server_context->server();
    auto client = context(phone)->client("example.com", "t");
    const auto outcome = carry(*client, *server);
    EXPECT_EQ(outcome.server.has_value(), known);
    if (known) {
      EXPECT_EQ(server->peer(), "CN=Phone 7");
    } else {
      EXPECT_THAT(outcome.server.error().detail, HasSubstr("\"CN=Phone 7\" is not accepted"));
    }
  }
}

TEST_F(Tls, ResumesOnlyWithTheSameNameAndTarget) {
  const auto server_context = server_with({"x", {"DNS:example.com", "DNS:other.example"}});
  const auto client_context = context(trusting());
  const auto connect = [&](const std::string& name, const std::string& target) {
    auto server = server_context->server();
    auto client = client_context->client(name, target);
    const auto outcome = carry(*client, *server);
    EXPECT_TRUE(outcome.client && outcome.server);
    EXPECT_EQ(client->peer(), "CN=x");
    EXPECT_EQ(client->resumed(), server->resumed());
    return client->resumed();
  };
  EXPECT_FALSE(connect("example.com", "192.0.2.1:5061"));
  EXPECT_EQ(client_context->resumable(), 1U);
  EXPECT_TRUE(connect("example.com", "192.0.2.1:5061"));
  EXPECT_TRUE(connect("example.com", "192.0.2.1:5061")) << "each brings the next one's ticket";
  EXPECT_FALSE(connect("other.example", "192.0.2.1:5061"));
  EXPECT_FALSE(connect("example.com", "192.0.2.2:5061"));
  EXPECT_EQ(client_context->resumable(), 3U);
}

TEST_F(Tls, KeepsABoundedNumberOfSessions) {
  const auto server_context = server_with({"example.com", {}});
  const auto client_context = context(trusting());
  for (std::size_t i = 0; i < TlsContext::kMaxResumable + 5; ++i) {
    auto server = server_context->server();
    auto client = client_context->client("example.com", std::to_string(i));
    ASSERT_TRUE(carry(*client, *server).client);
  }
  EXPECT_EQ(client_context->resumable(), TlsContext::kMaxResumable);
}

TEST_F(Tls, EndsOnGarbageAndNeverHangsOnLyingLengths) {
  SystemRandom random;
  const auto server_context = server_with({"example.com", {}});
  const auto client_context = context(trusting());
  for (int round = 0; round < 200; ++round) {
    auto server = server_context->server();
    std::string bytes;
    for (int i = 0; i < 200; ++i) bytes += static_cast<char>(random.between(0, 255));
    // Half of them look like a handshake record with a length of its own choice.
    if (round % 2 == 0) bytes.replace(0, 3, "\x16\x03\x01", 3);
    std::string plain;
    (void)server->receive(as_bytes(bytes), plain);
    EXPECT_FALSE(server->established());
    EXPECT_EQ(plain, "");
  }
  auto server = server_context->server();
  std::string plain;
  const auto garbage = server->receive(as_bytes("REGISTER sip:example.com SIP/2.0\r\n"), plain);
  ASSERT_FALSE(garbage);
  EXPECT_THAT(garbage.error().detail, HasSubstr("TLS handshake failed"));
  EXPECT_FALSE(server->receive(as_bytes("more"), plain)) << "a failed session stays failed";

  // A record that announces more than TLS allows (2^14 + 256) is refused at its header.
  auto lying = server_context->server();
  EXPECT_FALSE(lying->receive(
      as_bytes(std::string("\x16\x03\x01\xff\xff", 5) + std::string(64, 'x')), plain));
  // A handshake message that claims 16 MiB is refused long before they have come.
  auto endless = client_context->client("example.com", "t");
  (void)endless->take_output();
  const std::string record =
      std::string("\x16\x03\x03\x10\x00\x02\xff\xff\xff", 9) + std::string(4092, 'x');
  bool refused = false;
  for (int i = 0; i < 64 && !refused; ++i) {
    refused = !endless->receive(as_bytes(record), plain).has_value();
  }
  EXPECT_TRUE(refused);
}

TEST_F(Tls, ABitFlippedOnTheWayEndsTheSession) {
  auto server = server_with({"example.com", {}})->server();
  auto client = context(trusting())->client("example.com", "t");
  ASSERT_TRUE(carry(*client, *server).client);
  ASSERT_TRUE(client->send(as_bytes("INVITE")));
  std::string wire = client->take_output();
  wire[wire.size() / 2] = static_cast<char>(wire[wire.size() / 2] ^ 1);
  std::string plain;
  EXPECT_FALSE(server->receive(as_bytes(wire), plain));
  EXPECT_EQ(plain, "");
}

TEST_F(Tls, SaysWhichFileIsWrong) {
  const auto a = ca_.issue({"a", {}});
  const auto b = ca_.issue({"b", {}});
  const auto problem = [](const TlsConfig& options) {
    const auto made = TlsContext::create(options);
    EXPECT_FALSE(made);
    return made ? "" : made.error().detail;
  };
  TlsConfig options;
  options.ca_file = "/nonexistent/ca.pem";
  EXPECT_THAT(problem(options), HasSubstr("/nonexistent/ca.pem"));
  options = {};
  options.certificate = a.certificate;
  EXPECT_THAT(problem(options), HasSubstr("only of use together"));
  options.private_key = b.key;
  EXPECT_THAT(problem(options), AllOf(HasSubstr(b.key), HasSubstr("is not that of")));
  options.private_key = a.certificate;
  EXPECT_THAT(problem(options), HasSubstr("cannot read the private key in " + a.certificate));
  options.certificate = ca_.folder() + "/none.pem";
  EXPECT_THAT(problem(options), HasSubstr("none.pem"));
  EXPECT_FALSE(context(trusting())->server()) << "no certificate, no server";
}

TEST_F(Tls, AsksNobodyForAKeysPassword) {
  const auto a = ca_.issue({"a", {}});
  const std::string locked = ca_.folder() + "/locked.key";
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"),
                                                                &EVP_PKEY_free);
  std::FILE* out = std::fopen(locked.c_str(), "w");
  std::string password = "secret";
  PEM_write_PKCS8PrivateKey(out, key.get(), EVP_aes_128_cbc(), password.data(),
                            static_cast<int>(password.size()), nullptr, nullptr);
  std::fclose(out);
  TlsConfig options;
  options.certificate = a.certificate;
  options.private_key = locked;
  const auto made = TlsContext::create(options);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().detail, HasSubstr("may have no password"));
}

}  // namespace
}  // namespace godwit::io
