// SPDX-License-Identifier: Apache-2.0
//
// The table of connections on loopback, with this test in the core's place. Deadlines are given as
// times, never waited for.
#include "runtime/stream_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "io/certificate_authority_test.hpp"
#include "io/clock.hpp"

namespace godwit::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class LinesLog final : public Log {
 public:
  bool enabled(Level) const override { return true; }
  void write(Level, std::string_view, std::string_view text) override {
    text_ += std::string(text) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// One table with what it reported; admits everybody unless told otherwise.
class Side {
 public:
  explicit Side(io::EventLoop& loop) : table(loop, log, 24, {}, [this] { drain(); }) {}

  void drain() {
    while (auto report = table.next_report()) {
      if (const auto* arrived = std::get_if<StreamArrived>(&*report)) {
        if (admits) {
          table.admit(arrived->stranger, next);
          arrivals.emplace_back(next, *arrived);
          next = ListenerId(next.value() + 1);
        } else {
          table.refuse(arrived->stranger);
          ++refused;
        }
      } else if (auto* data = std::get_if<StreamData>(&*report)) {
        received[data->stream] += data->bytes;
      } else if (const auto* opened = std::get_if<StreamOpened>(&*report)) {
        open.emplace(opened->stream, opened->info);
      } else if (const auto* gone = std::get_if<StreamClosed>(&*report)) {
        closed.emplace(gone->stream, gone->reason);
      } else if (const auto* listening = std::get_if<StreamListening>(&*report)) {
        bound = listening->bound;
      }
    }
  }

  LinesLog log;
  StreamTable table;
  bool admits = true;
  int refused = 0;
  ListenerId next{100};
  Result<Endpoint> bound = Endpoint{};
  std::vector<std::pair<ListenerId, StreamArrived>> arrivals;
  std::map<ListenerId, std::string> received;
  std::map<ListenerId, ua::StreamInfo> open;
  std::map<ListenerId, std::string> closed;
};

class StreamTableTest : public testing::Test {
 protected:
  /// Runs the loop until `done`; fails after ten seconds.
  void run_until(const std::function<bool()>& done, const char* what) {
    auto timer = io::DeadlineTimer::open();
    ASSERT_TRUE(timer);
    bool late = false;
    timer->arm(io::now() + std::chrono::seconds(10));
    auto watch = loop_.watch(timer->descriptor(), [&] {
      timer->acknowledge();
      late = true;
    });
    while (!done() && !late) loop_.run_one();
    EXPECT_FALSE(late) << what << " did not come";
  }

  ua::Listen listen_on(sip::Transport transport, std::shared_ptr<const TlsConfig> tls = nullptr) {
    ua::Listen wanted;
    wanted.listener = ListenerId(1);
    wanted.local = *Endpoint::parse("127.0.0.1:0");
    wanted.transport = transport;
    wanted.tls = std::move(tls);
    return wanted;
  }
  ua::OpenStream open_to(const Endpoint& remote, sip::Transport transport,
                         std::shared_ptr<const TlsConfig> tls = nullptr) {
    ua::OpenStream wanted;
    wanted.stream = ListenerId(7);
    wanted.transport = transport;
    wanted.remote = remote;
    wanted.local = remote.address;
    wanted.server_name = "example.com";
    wanted.tls = std::move(tls);
    wanted.deadline = std::chrono::seconds(8);
    return wanted;
  }
  std::shared_ptr<const TlsConfig> server_tls(const std::vector<std::string>& names) {
    const auto files = ca_.issue({"The Server", names});
    auto tls = std::make_shared<TlsConfig>();
    tls->certificate = files.certificate;
    tls->private_key = files.key;
    return tls;
  }
  std::shared_ptr<const TlsConfig> client_tls() {
    auto tls = std::make_shared<TlsConfig>();
    tls->ca_file = ca_.file();
    return tls;
  }
  Endpoint listening(sip::Transport transport, std::shared_ptr<const TlsConfig> tls = nullptr) {
    server_.table.listen(listen_on(transport, std::move(tls)));
    server_.drain();
    EXPECT_TRUE(server_.bound) << (server_.bound ? "" : server_.bound.error().detail);
    return server_.bound.value_or(Endpoint{});
  }

  io::CertificateAuthority ca_;
  io::EventLoop loop_;
  Side server_{loop_};
  Side client_{loop_};
  const ListenerId kStream{7};
};

TEST_F(StreamTableTest, OpensAcceptsSendsAndCloses) {
  const Endpoint to = listening(sip::Transport::Tcp);
  client_.table.open(open_to(to, sip::Transport::Tcp), io::now());
  run_until([&] { return !client_.open.empty() && !server_.arrivals.empty(); }, "a connection");
  const auto [id, arrived] = server_.arrivals.at(0);
  EXPECT_EQ(arrived.listener, ListenerId(1));
  EXPECT_EQ(arrived.remote, client_.open.at(kStream).local);
  EXPECT_FALSE(client_.table.next_deadline()) << "open: no deadline any more";
  client_.table.send(kStream, "up");
  server_.table.send(id, "down");
  run_until([&] { return server_.received[id] == "up" && client_.received[kStream] == "down"; },
            "what was sent");
  // The listener's end is not that of its connections.
  EXPECT_TRUE(server_.table.close_listener(ListenerId(1)));
  client_.table.send(kStream, "more");
  run_until([&] { return server_.received[id] == "upmore"; }, "what was sent later");
  client_.table.close(kStream);
  run_until([&] { return server_.closed.contains(id); }, "the end");
  EXPECT_EQ(server_.closed.at(id), "");
  client_.drain();
  EXPECT_TRUE(client_.closed.empty()) << "nothing is reported after close()";
}

TEST_F(StreamTableTest, ReportsWhoTheTlsServerIsAndResumesTheSession) {
  const Endpoint to = listening(sip::Transport::Tls, server_tls({"DNS:example.com"}));
  const auto tls = client_tls();
  for (const bool resumed : {false, true}) {
    client_.open.clear();
    server_.arrivals.clear();
    client_.table.open(open_to(to, sip::Transport::Tls, tls), io::now());
    run_until([&] { return !client_.open.empty() && !server_.arrivals.empty(); }, "a session");
    EXPECT_EQ(client_.open.at(kStream).tls_peer, "CN=The Server");
    EXPECT_EQ(client_.open.at(kStream).session_resumed, resumed);
    // The tickets come with, or before, what the server says.
    const ListenerId id = server_.arrivals.at(0).first;
    client_.received.clear();
    server_.table.send(id, "hello");
    run_until([&] { return client_.received[kStream] == "hello"; }, "what was sent");
    client_.table.close(kStream);
    run_until([&] { return server_.closed.contains(id); }, "the end");
  }
}

TEST_F(StreamTableTest, AWrongCertificateClosesTheConnectionWithSubjectAndReason) {
  const Endpoint to = listening(sip::Transport::Tls, server_tls({"DNS:other.example"}));
  client_.table.open(open_to(to, sip::Transport::Tls, client_tls()), io::now());
  run_until([&] { return !client_.closed.empty(); }, "the refusal");
  EXPECT_THAT(client_.closed.at(kStream),
              AllOf(HasSubstr("CN=The Server"), HasSubstr("other.example")));
  EXPECT_TRUE(client_.open.empty());
  EXPECT_TRUE(server_.arrivals.empty());
}

TEST_F(StreamTableTest, AFailureToOpenIsReportedOnce) {
  const Endpoint to = listening(sip::Transport::Tcp);
  EXPECT_TRUE(server_.table.close_listener(ListenerId(1)));
  EXPECT_FALSE(server_.table.close_listener(ListenerId(1)));
  client_.table.open(open_to(to, sip::Transport::Tcp), io::now());
  run_until(
      [&] {
        client_.drain();
        return !client_.closed.empty();
      },
      "the refusal");
  EXPECT_THAT(client_.closed.at(kStream), HasSubstr("Connection refused"));
  auto tls = std::make_shared<TlsConfig>();
  tls->ca_file = "/nonexistent.pem";
  client_.closed.clear();
  client_.table.open(open_to(to, sip::Transport::Tls, tls), io::now());
  client_.drain();
  EXPECT_THAT(client_.closed.at(kStream), HasSubstr("/nonexistent.pem"));
  server_.table.listen(listen_on(sip::Transport::Tls, client_tls()));
  server_.drain();
  ASSERT_FALSE(server_.bound);
  EXPECT_THAT(server_.bound.error().detail, HasSubstr("certificate"));
}

TEST_F(StreamTableTest, AServerThatNeverFinishesTheHandshakeCostsOneConnectionUntilTheDeadline) {
  const Endpoint to = listening(sip::Transport::Tcp);  // Will never say anything in TLS.
  client_.table.open(open_to(to, sip::Transport::Tls, client_tls()), io::now());
  run_until([&] { return !server_.received.empty(); }, "the first flight");
  const auto deadline = client_.table.next_deadline();
  ASSERT_TRUE(deadline);
  client_.table.on_deadline(*deadline - Duration(1));
  client_.drain();
  EXPECT_TRUE(client_.closed.empty());
  client_.table.on_deadline(*deadline);
  client_.drain();
  EXPECT_THAT(client_.closed.at(kStream), HasSubstr("does not finish the TLS handshake"));
  EXPECT_FALSE(client_.table.next_deadline());
}

TEST_F(StreamTableTest, StrangersInTheHandshakeAreBoundedAndForgottenInTime) {
  const Endpoint to = listening(sip::Transport::Tls, server_tls({"DNS:example.com"}));
  // From one address, over plain TCP: they connect and say nothing.
  const std::size_t many = StreamTable::kMaxStrangersPerSource + 3;
  for (std::size_t i = 0; i < many; ++i) {
    auto wanted = open_to(to, sip::Transport::Tcp);
    wanted.stream = ListenerId(static_cast<std::uint32_t>(1000 + i));
    client_.table.open(wanted, io::now());
  }
  run_until([&] { return client_.closed.size() >= 3; }, "the surplus' end");
  EXPECT_EQ(client_.closed.size(), 3U);
  EXPECT_TRUE(server_.arrivals.empty());
  // A silent stranger's place is free again after the deadline.
  ASSERT_TRUE(server_.table.next_deadline());
  server_.table.on_deadline(io::now() + StreamTable::kHandshakeDeadline);
  EXPECT_FALSE(server_.table.next_deadline());
  run_until([&] { return client_.closed.size() == many; }, "the others' end");
  client_.open.clear();
  client_.table.open(open_to(to, sip::Transport::Tls, client_tls()), io::now());
  run_until([&] { return !client_.open.empty() && !server_.arrivals.empty(); }, "a good one");
}

TEST_F(StreamTableTest, WhomTheCoreRefusesIsClosed) {
  server_.admits = false;
  const Endpoint to = listening(sip::Transport::Tcp);
  client_.table.open(open_to(to, sip::Transport::Tcp), io::now());
  run_until([&] { return client_.closed.contains(kStream); }, "the end");
  EXPECT_EQ(server_.refused, 1);
}

TEST_F(StreamTableTest, TracesMessagesWithoutCredentialsWhereverTheirBytesAreCut) {
  const Endpoint to = listening(sip::Transport::Tcp);
  client_.table.open(open_to(to, sip::Transport::Tcp), io::now());
  run_until([&] { return !client_.open.empty() && !server_.arrivals.empty(); }, "a connection");
  const ListenerId id = server_.arrivals.at(0).first;
  const std::string message =
      "REGISTER sip:example.com SIP/2.0\r\nAuthorization: Digest response=\"5ec2e7\"\r\n"
      "Content-Length: 0\r\n\r\n";
  // Cut in the middle of the secret, and read in two pieces.
  const std::size_t cut = message.find("ec2e7");
  client_.table.send(kStream, message.substr(0, cut));
  run_until([&] { return server_.received[id].size() == cut; }, "the first part");
  client_.table.send(kStream, message.substr(cut));
  run_until([&] { return server_.received[id] == message; }, "the rest");
  EXPECT_THAT(server_.log.text(),
              AllOf(HasSubstr("REGISTER sip:example.com"), HasSubstr("Authorization: (redacted)"),
                    Not(HasSubstr("ec2e7"))));
}

}  // namespace
}  // namespace godwit::runtime
