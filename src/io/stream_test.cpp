// SPDX-License-Identifier: Apache-2.0
//
// Stream sockets and connections on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <fstream>
#include <optional>

#include "io/certificate_authority_test.hpp"
#include "io/event_loop.hpp"
#include "io/stream_connection.hpp"
#include "io/stream_socket.hpp"
#include "io/tls.hpp"

namespace godwit::io {
namespace {

using testing::HasSubstr;

bool ready(int descriptor, short events, int wait_ms = 2000) {
  pollfd entry{descriptor, events, 0};
  return ::poll(&entry, 1, wait_ms) == 1;
}

StreamListener listening(const std::string& local, const StreamOptions& options = {}) {
  auto listener = StreamListener::bind(*Endpoint::parse(local), options);
  EXPECT_TRUE(listener) << (listener ? "" : listener.error().detail);
  return std::move(*listener);
}

StreamSocket connecting(const Endpoint& to, const StreamOptions& options = {}) {
  auto socket = StreamSocket::connect({}, to, options);
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().detail);
  return std::move(*socket);
}

StreamSocket accepted(StreamListener& listener) {
  EXPECT_TRUE(ready(listener.descriptor(), POLLIN));
  auto socket = listener.accept();
  EXPECT_TRUE(socket);
  return std::move(*socket);
}

/// What a connection has reported so far.
struct Story {
  bool opened = false;
  std::string received;
  std::optional<std::string> closed;
};

/// Serves both ends until `done`, at most until nothing has moved for two seconds.
template <typename Done>
bool serve(StreamConnection& a, Story& of_a, StreamConnection& b, Story& of_b, Done done) {
  const auto note = [](Story& story, StreamConnection::Progress progress) {
    story.opened |= progress.opened;
    story.received += progress.received;
    if (progress.closed) story.closed = progress.closed;
  };
  while (!done()) {
    const auto events = [](const StreamConnection& c) {
      return static_cast<short>(POLLIN | (c.wants_to_write() ? POLLOUT : 0));
    };
    pollfd entries[] = {{of_a.closed ? -1 : a.socket().descriptor(), events(a), 0},
                        {of_b.closed ? -1 : b.socket().descriptor(), events(b), 0}};
    if (::poll(entries, 2, 2000) <= 0) return done();
    if (entries[0].revents & POLLOUT) note(of_a, a.on_writable());
    if (entries[0].revents & ~POLLOUT) note(of_a, a.on_readable());
    if (entries[1].revents & POLLOUT) note(of_b, b.on_writable());
    if (entries[1].revents & ~POLLOUT) note(of_b, b.on_readable());
  }
  return true;
}

bool has_ipv6_loopback() { return StreamListener::bind(*Endpoint::parse("[::1]:0")).has_value(); }

class StreamFamily : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, StreamFamily, testing::Values("127.0.0.1:0", "[::1]:0"));

TEST_P(StreamFamily, ConnectsFromTheGivenAddressAndCarriesBytes) {
  if (std::string(GetParam())[0] == '[' && !has_ipv6_loopback()) GTEST_SKIP() << "no IPv6 here";
  auto listener = listening(GetParam());
  ASSERT_NE(listener.local().port, 0);
  StreamOptions options;
  options.interface_name = "lo";
  options.dscp = 24;
  auto socket = StreamSocket::connect(listener.local().address, listener.local(), options);
  ASSERT_TRUE(socket) << socket.error().detail;
  auto a = StreamConnection::opening(std::move(*socket), std::nullopt);
  auto b = StreamConnection::accepted(accepted(listener), std::nullopt);
  EXPECT_FALSE(a.send(as_bytes("too early")));
  Story of_a;
  Story of_b;
  ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_a.opened; }));
  EXPECT_EQ(a.socket().local(), b.socket().remote());
  EXPECT_EQ(a.socket().local().address, listener.local().address);
  EXPECT_EQ(b.socket().local(), listener.local());
  ASSERT_TRUE(a.send(as_bytes("up")));
  ASSERT_TRUE(b.send(as_bytes("down")));
  ASSERT_TRUE(
      serve(a, of_a, b, of_b, [&] { return of_a.received == "down" && of_b.received == "up"; }));
  a.close();
  { const StreamConnection gone = std::move(a); }
  ASSERT_TRUE(ready(b.socket().descriptor(), POLLIN));
  const auto progress = b.on_readable();
  ASSERT_TRUE(progress.closed);
  EXPECT_EQ(*progress.closed, "") << "the peer closed it";
  EXPECT_FALSE(b.on_readable().closed) << "said once";
}

TEST(Stream, RefusalNamesTheRemote) {
  Endpoint dead;
  {
    const auto gone = listening("127.0.0.1:0");
    dead = gone.local();
  }
  auto socket = StreamSocket::connect({}, dead);
  if (socket) {
    auto connection = StreamConnection::opening(std::move(*socket), std::nullopt);
    ASSERT_TRUE(ready(connection.socket().descriptor(), POLLOUT));
    const auto progress = connection.on_writable();
    EXPECT_FALSE(progress.opened);
    ASSERT_TRUE(progress.closed);
    EXPECT_THAT(*progress.closed, HasSubstr(dead.to_string() + ": Connection refused"));
  } else {
    EXPECT_THAT(socket.error().detail, HasSubstr(dead.to_string()));
  }
}

TEST(Stream, SaysWhatCannotBe) {
  EXPECT_FALSE(StreamSocket::connect({}, {}));
  EXPECT_FALSE(StreamSocket::connect({}, *Endpoint::parse("127.0.0.1:0")));
  EXPECT_FALSE(StreamSocket::connect(*IpAddress::parse("::1"), *Endpoint::parse("127.0.0.1:1")));
  const auto gone =
      StreamSocket::connect(IpAddress::v4(192, 0, 2, 77), *Endpoint::parse("127.0.0.1:1"));
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().detail, HasSubstr("no interface has this address"));
  EXPECT_FALSE(StreamListener::bind({}));
  const auto listener = listening("127.0.0.1:0");
  const auto second = StreamListener::bind(listener.local());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::Busy);
}

TEST(Stream, APeerThatDoesNotReadCostsABoundedQueue) {
  auto listener = listening("127.0.0.1:0");
  auto a = StreamConnection::opening(connecting(listener.local()), std::nullopt);
  auto b = StreamConnection::accepted(accepted(listener), std::nullopt);
  Story of_a;
  Story of_b;
  ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_a.opened; }));
  const std::string message(32'768, 'm');
  std::size_t sent = 0;
  Result<void> result;
  for (int i = 0; i < 10'000 && result; ++i) {
    result = a.send(as_bytes(message));
    if (result) sent += message.size();
    EXPECT_LE(a.queued(), StreamConnection::kMaxQueued);
  }
  ASSERT_FALSE(result) << "the kernel took everything";
  EXPECT_EQ(result.error().code, ErrorCode::Busy);
  // What was accepted arrives whole once the peer reads.
  EXPECT_TRUE(serve(a, of_a, b, of_b, [&] { return of_b.received.size() == sent; }));
  EXPECT_EQ(a.queued(), 0U);
}

TEST(Stream, ReadsABoundedPieceAtATime) {
  auto listener = listening("127.0.0.1:0");
  auto a = StreamConnection::opening(connecting(listener.local()), std::nullopt);
  auto b = StreamConnection::accepted(accepted(listener), std::nullopt);
  Story of_a;
  Story of_b;
  ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_a.opened; }));
  ASSERT_TRUE(a.send(as_bytes(std::string(StreamConnection::kMaxQueued, 'x'))));
  ASSERT_TRUE(ready(b.socket().descriptor(), POLLIN));
  EXPECT_LE(b.on_readable().received.size(), StreamConnection::kMaxRead);
}

TEST(Stream, WritingToAResetConnectionIsAnErrorAndNoSignal) {
  auto listener = listening("127.0.0.1:0");
  auto a = StreamConnection::opening(connecting(listener.local()), std::nullopt);
  Story of_a;
  Story of_b;
  {
    auto b = StreamConnection::accepted(accepted(listener), std::nullopt);
    ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_a.opened; }));
    ASSERT_TRUE(a.send(as_bytes("unread, so that the end is a reset")));
    ASSERT_TRUE(ready(b.socket().descriptor(), POLLIN));
  }
  Result<void> result;
  for (int i = 0; i < 10 && result; ++i) result = a.send(as_bytes("x"));
  EXPECT_FALSE(result);
}

TEST(Stream, AcceptSurvivesAConnectionThatIsGoneAlready) {
  auto listener = listening("127.0.0.1:0");
  EXPECT_FALSE(listener.accept());
  { const auto gone = connecting(listener.local()); }
  ASSERT_TRUE(ready(listener.descriptor(), POLLIN));
  const auto socket = listener.accept();
  ASSERT_TRUE(socket);
  EXPECT_FALSE(listener.accept());
}

class SecureStream : public testing::Test {
 protected:
  SecureStream() {
    const auto files = ca_.issue({"Server", {"DNS:localhost"}});
    TlsConfig options;
    options.ca_file = ca_.file();
    options.certificate = files.certificate;
    options.private_key = files.key;
    context_ = *TlsContext::create(options);
  }

  CertificateAuthority ca_;
  std::shared_ptr<TlsContext> context_;
  StreamListener listener_ = listening("127.0.0.1:0");
  Story of_a_;
  Story of_b_;
};

TEST_F(SecureStream, OpensOnBothSidesAndResumes) {
  for (const bool resumed : {false, true}) {
    of_a_ = of_b_ = {};
    auto a = StreamConnection::opening(connecting(listener_.local()),
                                       std::move(*context_->client("localhost", "t")));
    auto b = StreamConnection::accepted(accepted(listener_), std::move(*context_->server()));
    EXPECT_FALSE(b.open());
    ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_a_.opened && of_b_.opened; }));
    EXPECT_EQ(a.peer(), "CN=Server");
    EXPECT_EQ(a.resumed(), resumed);
    ASSERT_TRUE(b.send(as_bytes("down")));
    ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_a_.received == "down"; }));
    a.close();
    ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_b_.closed.has_value(); }));
    EXPECT_EQ(*of_b_.closed, "");
  }
}

TEST_F(SecureStream, AWrongNameEndsBothSidesWithTheReason) {
  auto a = StreamConnection::opening(connecting(listener_.local()),
                                     std::move(*context_->client("example.com", "t")));
  auto b = StreamConnection::accepted(accepted(listener_), std::move(*context_->server()));
  ASSERT_TRUE(serve(a, of_a_, b, of_b_,
                    [&] { return of_a_.closed.has_value() && of_b_.closed.has_value(); }));
  EXPECT_FALSE(of_a_.opened);
  EXPECT_THAT(*of_a_.closed, HasSubstr("\"CN=Server\" is not accepted: it is not for example.com"));
  EXPECT_THAT(*of_b_.closed, HasSubstr("the peer says: "));
}

TEST_F(SecureStream, AHandshakeThatNeverFinishesStaysClosedAndHoldsLittle) {
  auto a = StreamConnection::opening(connecting(listener_.local()), std::nullopt);
  auto b = StreamConnection::accepted(accepted(listener_), std::move(*context_->server()));
  ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_a_.opened; }));
  // The header of a record whose body never comes.
  ASSERT_TRUE(a.send(as_bytes(std::string("\x16\x03\x01\x02\x00\x01", 6))));
  ASSERT_TRUE(ready(b.socket().descriptor(), POLLIN));
  auto progress = b.on_readable();
  EXPECT_FALSE(progress.opened || progress.closed);
  EXPECT_EQ(b.queued(), 0U);
  EXPECT_FALSE(b.send(as_bytes("x")));
  a.close();
  { const StreamConnection gone = std::move(a); }
  ASSERT_TRUE(ready(b.socket().descriptor(), POLLIN));
  progress = b.on_readable();
  ASSERT_TRUE(progress.closed);
  EXPECT_THAT(*progress.closed, HasSubstr("during the TLS handshake"));
}

TEST_F(SecureStream, PlainSipOnATlsPortEndsTheConnection) {
  auto a = StreamConnection::opening(connecting(listener_.local()), std::nullopt);
  auto b = StreamConnection::accepted(accepted(listener_), std::move(*context_->server()));
  ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_a_.opened; }));
  ASSERT_TRUE(a.send(as_bytes("OPTIONS sip:x SIP/2.0\r\n\r\n")));
  ASSERT_TRUE(serve(a, of_a_, b, of_b_, [&] { return of_b_.closed.has_value(); }));
  EXPECT_THAT(*of_b_.closed, HasSubstr("TLS handshake failed"));
}

TEST(Multipath, IsUsedWhereBothSidesHaveItAndOnlyThere) {
  StreamOptions multi;
  multi.multipath = Multipath::Required;
  if (!multipath_offered()) {
    const auto refused = StreamSocket::connect({}, *Endpoint::parse("127.0.0.1:9"), multi);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
    multi.multipath = Multipath::IfOffered;
    auto listener = listening("127.0.0.1:0");
    EXPECT_TRUE(StreamSocket::connect({}, listener.local(), multi));
    GTEST_SKIP() << "this kernel offers no Multipath TCP";
  }
  for (const bool both : {true, false}) {
    auto listener = listening("127.0.0.1:0", both ? multi : StreamOptions{});
    auto a = StreamConnection::opening(connecting(listener.local(), multi), std::nullopt);
    auto b = StreamConnection::accepted(accepted(listener), std::nullopt);
    Story of_a;
    Story of_b;
    ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_a.opened; }));
    ASSERT_TRUE(a.send(as_bytes("up")));
    ASSERT_TRUE(serve(a, of_a, b, of_b, [&] { return of_b.received == "up"; }));
    EXPECT_EQ(a.socket().multipath(), both);
    EXPECT_EQ(b.socket().multipath(), both);
  }
}

TEST(WritableWatch, TellsOnceAndOnlyWhenAsked) {
  auto listener = listening("127.0.0.1:0");
  auto socket = connecting(listener.local());
  EventLoop loop;
  int writable = 0;
  std::unique_ptr<EventLoop::Watch> watch;
  watch = loop.watch(
      socket.descriptor(), [] {},
      [&] {
        ++writable;
        // Anything that would tell again comes before what is posted now.
        loop.post([&] { loop.post([&] { loop.stop(); }); });
      });
  watch->await_writable();
  watch->await_writable();
  loop.run();
  EXPECT_EQ(writable, 1);
  EXPECT_TRUE(*socket.connected());
  watch.reset();
}

}  // namespace
}  // namespace godwit::io
