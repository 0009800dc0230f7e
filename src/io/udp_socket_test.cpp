// SPDX-License-Identifier: Apache-2.0
#include "io/udp_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "io/system_random.hpp"

namespace godwit::io {
namespace {

const IpAddress kLoopback = IpAddress::v4(127, 0, 0, 1);

/// True if the socket has input or an error within two seconds: on loopback it has at once.
bool ready(const UdpSocket& socket) {
  pollfd entry{socket.descriptor(), POLLIN, 0};
  return ::poll(&entry, 1, 2000) == 1;
}

UdpSocket bound(const std::string& local) {
  auto socket = UdpSocket::bind(*Endpoint::parse(local));
  EXPECT_TRUE(socket) << (socket ? "" : socket.error().detail);
  return std::move(*socket);
}

std::vector<std::pair<Endpoint, std::string>> receive_all(UdpSocket& socket,
                                                          ReceiveBuffers& buffers,
                                                          std::size_t limit = 100) {
  std::vector<std::pair<Endpoint, std::string>> got;
  socket.receive(buffers, limit, [&](const Datagram& datagram) {
    got.emplace_back(datagram.remote, std::string(as_text(datagram.bytes)));
  });
  return got;
}

bool has_ipv6_loopback() { return UdpSocket::bind(*Endpoint::parse("[::1]:0")).has_value(); }

class UdpFamily : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Families, UdpFamily, testing::Values("127.0.0.1:0", "[::1]:0"));

TEST_P(UdpFamily, CarriesDatagramsAndReportsTheirSource) {
  if (std::string(GetParam())[0] == '[' && !has_ipv6_loopback()) GTEST_SKIP() << "no IPv6 here";
  auto a = bound(GetParam());
  auto b = bound(GetParam());
  ASSERT_NE(a.local().port, 0);
  ReceiveBuffers buffers(4, 2048);
  EXPECT_TRUE(receive_all(b, buffers).empty());
  for (const char* text : {"one", "", "three"}) ASSERT_FALSE(a.send(b.local(), as_bytes(text)));
  ASSERT_TRUE(ready(b));
  const auto got = receive_all(b, buffers);
  ASSERT_EQ(got.size(), 3U);
  EXPECT_EQ(got[0], std::pair(a.local(), std::string("one")));
  EXPECT_EQ(got[1].second, "");
  EXPECT_EQ(got[2].second, "three");
}

TEST_P(UdpFamily, IcmpRefusalIsReportedWithItsRemoteAndSparesOthers) {
  if (std::string(GetParam())[0] == '[' && !has_ipv6_loopback()) GTEST_SKIP() << "no IPv6 here";
  auto a = bound(GetParam());
  auto alive = bound(GetParam());
  Endpoint dead;
  {
    const auto gone = bound(GetParam());
    dead = gone.local();
  }
  ASSERT_FALSE(a.send(dead, as_bytes("anybody?")));
  ASSERT_TRUE(ready(a));
  // The pending error of the first datagram must not swallow the second one.
  EXPECT_FALSE(a.send(alive.local(), as_bytes("hello")));
  ReceiveBuffers buffers(4, 2048);
  ASSERT_TRUE(ready(alive));
  EXPECT_EQ(receive_all(alive, buffers).size(), 1U);
  const auto errors = a.take_errors();
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].remote, dead);
  EXPECT_EQ(errors[0].error.failure, SendFailure::Refused);
  EXPECT_TRUE(a.take_errors().empty());
}

TEST(UdpSocket, ABatchArrivesInOrderAndNamesWhatWasNotSent) {
  auto a = bound("127.0.0.1:0");
  auto b = bound("127.0.0.1:0");
  std::vector<std::string> texts;
  for (int i = 0; i < 150; ++i) texts.push_back(std::to_string(i));
  texts[70].assign(70'000, 'x');
  std::vector<std::pair<Endpoint, Bytes>> batch;
  for (const std::string& text : texts) batch.emplace_back(b.local(), as_bytes(text));
  batch[0].first.port = 0;
  batch[100].first = Endpoint{};
  batch[149].first = *Endpoint::parse("0.0.0.0:5060");
  const auto unsent = a.send_batch(batch);
  ASSERT_EQ(unsent.size(), 4U);
  EXPECT_EQ(unsent[0].index, 0U);
  EXPECT_EQ(unsent[1].index, 70U);
  EXPECT_EQ(unsent[1].error.failure, SendFailure::TooLarge);
  EXPECT_EQ(unsent[2].index, 100U);
  EXPECT_EQ(unsent[3].index, 149U);
  ASSERT_TRUE(ready(b));
  ReceiveBuffers buffers(32, 2048);
  const auto got = receive_all(b, buffers, 200);
  ASSERT_EQ(got.size(), 146U);
  int expected = 1;
  for (const auto& [remote, text] : got) {
    if (expected == 70 || expected == 100) ++expected;
    EXPECT_EQ(text, std::to_string(expected++));
  }
  EXPECT_TRUE(a.send_batch({}).empty());
}

TEST(UdpSocket, ABatchIsSparedTheIcmpErrorsOfItsFirstDatagrams) {
  auto a = bound("127.0.0.1:0");
  auto alive = bound("127.0.0.1:0");
  Endpoint dead;
  {
    const auto gone = bound("127.0.0.1:0");
    dead = gone.local();
  }
  const std::vector<std::pair<Endpoint, Bytes>> batch{{dead, as_bytes("anybody?")},
                                                      {dead, as_bytes("really?")},
                                                      {alive.local(), as_bytes("hello")},
                                                      {alive.local(), as_bytes("again")}};
  EXPECT_TRUE(a.send_batch(batch).empty()) << "what comes back is told by take_errors()";
  ASSERT_TRUE(ready(alive));
  ReceiveBuffers buffers(4, 2048);
  EXPECT_EQ(receive_all(alive, buffers).size(), 2U);
  EXPECT_FALSE(a.take_errors().empty());
}

TEST(UdpSocket, ReceivesAtMostTheLimitPerWakeUp) {
  auto a = bound("127.0.0.1:0");
  auto b = bound("127.0.0.1:0");
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(a.send(b.local(), as_bytes(std::to_string(i))));
  ASSERT_TRUE(ready(b));
  ReceiveBuffers buffers(8, 64);
  const auto first = receive_all(b, buffers, 10);
  ASSERT_EQ(first.size(), 10U);
  EXPECT_EQ(first.back().second, "9");
  const auto rest = receive_all(b, buffers);
  ASSERT_EQ(rest.size(), 10U);
  EXPECT_EQ(rest.front().second, "10");
}

TEST(UdpSocket, TellsThatADatagramWasTooLongForTheBuffer) {
  auto a = bound("127.0.0.1:0");
  auto b = bound("127.0.0.1:0");
  ASSERT_FALSE(a.send(b.local(), as_bytes(std::string(100, 'x'))));
  ASSERT_TRUE(ready(b));
  ReceiveBuffers buffers(1, 64);
  b.receive(buffers, 1, [](const Datagram& datagram) {
    EXPECT_TRUE(datagram.truncated);
    EXPECT_EQ(datagram.bytes.size(), 64U);
  });
}

TEST(UdpSocket, RefusalsAreValuesThatNameWhatIsWrong) {
  const auto taken = bound("127.0.0.1:0");
  struct Case {
    Endpoint local;
    ErrorCode code;
    const char* says;
  };
  const Case cases[] = {
      {taken.local(), ErrorCode::Busy, "another program has this port"},
      {*Endpoint::parse("192.0.2.77:0"), ErrorCode::Network, "no interface has this address"},
      {{}, ErrorCode::InvalidArgument, "no address"},
  };
  for (const Case& each : cases) {
    const auto result = UdpSocket::bind(each.local);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, each.code);
    EXPECT_THAT(result.error().detail, testing::HasSubstr(each.says));
  }
}

TEST(UdpSocket, HostileDestinationsAreRefusedWithoutBlamingTheSocket) {
  auto a = bound("127.0.0.1:0");
  const char* const remotes[] = {"127.0.0.1:0",    "0.0.0.0:5060", "255.255.255.255:5060",
                                 "192.0.2.1:5060", "[::1]:5060",   "[2001:db8::1]:5060",
                                 "224.0.0.1:5060"};
  for (const char* remote : remotes) {
    const auto error = a.send(*Endpoint::parse(remote), as_bytes("x"));
    if (error) {
      EXPECT_NE(error->failure, SendFailure::AddressGone) << remote;
    }
  }
  EXPECT_TRUE(a.send(*Endpoint::parse("127.0.0.1:0"), as_bytes("x")));
  const auto too_large = a.send(*Endpoint::parse("127.0.0.1:9"), as_bytes(std::string(70000, 'x')));
  ASSERT_TRUE(too_large);
  EXPECT_EQ(too_large->failure, SendFailure::TooLarge);
  auto b = bound("127.0.0.1:0");
  EXPECT_FALSE(a.send(b.local(), as_bytes("still fine")));
}

TEST(UdpSocket, IsTiedToAnInterfaceWhenAskedForButNeverToLoopback) {
  UdpOptions options;
  const auto is_tied = [&] {
    const auto socket = UdpSocket::bind({kLoopback, 0}, options);
    return socket && socket->on_interface();
  };
  options.interface_name = "nosuchif0";
  EXPECT_FALSE(is_tied());
  // A server on this host is reached over loopback, the peers' audio is not.
  options.interface_name = "lo";
  EXPECT_FALSE(is_tied());
  options.interface_name.clear();
  options.interface_index = ::if_nametoindex("lo");
  EXPECT_FALSE(is_tied());

  const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> all(
      ::if_nameindex(), &::if_freenameindex);
  const auto* other = all.get();
  while (other->if_index != 0 && other->if_name == std::string("lo")) ++other;
  if (other->if_index == 0) GTEST_SKIP() << "no interface but loopback";
  options.interface_name = other->if_name;
  EXPECT_TRUE(is_tied());
}

TEST(RtpPair, IsEvenThenOddAndStaysInTheRange) {
  SystemRandom random;
  std::vector<RtpSockets> held;
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 20; ++i) {
    auto pair = bind_rtp_pair(kLoopback, 40001, 42000, random);
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->rtp.local().port % 2, 0);
    EXPECT_EQ(pair->rtcp.local().port, pair->rtp.local().port + 1);
    EXPECT_GE(pair->rtp.local().port, 40002);
    EXPECT_LE(pair->rtcp.local().port, 42000);
    ports.insert(pair->rtp.local().port);
    held.push_back(std::move(*pair));
  }
  EXPECT_EQ(ports.size(), 20U);
}

TEST(RtpPair, SaysWhenAllPortsAreTakenOrNoneExist) {
  SystemRandom random;
  // Some port that is free now: taken by one pair, it leaves none in a range of two.
  auto pair = bind_rtp_pair(kLoopback, 42002, 43999, random);
  ASSERT_TRUE(pair);
  const auto port = pair->rtp.local().port;
  const auto none = bind_rtp_pair(kLoopback, port, static_cast<std::uint16_t>(port + 1), random);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::Busy);
  const auto odd = bind_rtp_pair(kLoopback, 5001, 5002, random);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, ErrorCode::InvalidArgument);
  const auto elsewhere = bind_rtp_pair(IpAddress::v4(192, 0, 2, 77), 42002, 43999, random);
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, ErrorCode::Network);
}

TEST(SystemRandom, DoesNotRepeat) {
  SystemRandom random;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.next());
  EXPECT_EQ(seen.size(), 1000U);
}

}  // namespace
}  // namespace godwit::io
