// SPDX-License-Identifier: Apache-2.0
//
// The laboratory itself on the real kernel: is the network what it claims to be? Where the system
// allows no namespaces these tests are skipped, and say so.
#include "lab/network.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "lab/analysis.hpp"
#include "lab/capture.hpp"
#include "lab/clock.hpp"
#include "lab/udp.hpp"

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

class NetworkTest : public testing::TestWithParam<Family> {
 protected:
  static void SetUpTestSuite() {
    // Once per process, before the first thread.
    static const Result<void> prepared = NetNs::prepare_process();
    if (!prepared) unavailable_ = prepared.error().detail;
  }
  void SetUp() override {
    if (!unavailable_.empty()) GTEST_SKIP() << "no namespaces: " << unavailable_;
  }
  static std::unique_ptr<Network> make(NetworkOptions options) {
    options.families = {GetParam(), GetParam()};
    auto network = Network::create(options);
    EXPECT_TRUE(network) << network.error().detail;
    return network ? std::move(*network) : nullptr;
  }
  static inline std::string unavailable_;
};

std::string output_of(NetNs& ns, std::vector<std::string> command) {
  ChildOptions options;
  options.command = std::move(command);
  auto child = ns.spawn(options);
  if (!child || !child->wait(5s)) return "no output";
  std::string text(16'384, '\0');
  const ssize_t length = ::read(child->output.get(), text.data(), text.size());
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return text;
}

/// What a machine with other work may add. How quick things really are is for `godwit lab` to say.
constexpr auto kSlowDay = 500ms;

TEST_P(NetworkTest, DelaysPacketsByTheRoundTripAskedFor) {
  for (const auto rtt : {0ms, 50ms}) {
    NetworkOptions options;
    options.rtt = rtt;
    const auto network = make(options);
    ASSERT_TRUE(network);
    const auto measured = network->measure_rtt();
    ASSERT_TRUE(measured) << measured.error().detail;
    EXPECT_GE(*measured, rtt);
    EXPECT_LE(*measured, rtt + kSlowDay);
    RecordProperty("rtt_us", static_cast<int>(measured->count() / 1000));
  }
}

TEST_P(NetworkTest, MoveTakesTheAddressAndTheRoute) {
  const auto network = make({});
  ASSERT_TRUE(network);
  const Access& wifi = network->access(0);
  const Access& lte = network->access(1);
  const std::vector<std::string> ask{"ip", "route", "get", network->server(GetParam()).to_string()};

  EXPECT_NE(output_of(network->phone(), ask).find("src " + wifi.address.to_string()),
            std::string::npos);
  for (int round = 0; round < 2; ++round) {
    const Access& from = round == 0 ? wifi : lte;
    const Access& to = round == 0 ? lte : wifi;
    const auto times = network->move(from, to);
    ASSERT_TRUE(times) << times.error().detail;
    ASSERT_TRUE(times->notice);
    EXPECT_GE(*times->notice, times->before);
    EXPECT_LT(*times->notice - times->before, kSlowDay);
    RecordProperty(round == 0 ? "notice_us_1" : "notice_us_2",
                   static_cast<int>((*times->notice - times->before).count() / 1000));
    const std::string route = output_of(network->phone(), ask);
    EXPECT_NE(route.find("src " + to.address.to_string()), std::string::npos) << route;
    const std::string addresses = output_of(network->phone(), {"ip", "-o", "addr"});
    EXPECT_EQ(addresses.find(from.address.to_string() + "/"), std::string::npos) << addresses;
    const auto back = network->give_back(from);
    ASSERT_TRUE(back) << back.error().detail;
  }
}

/// A stand-in for a phone and a callee: RTP each way every 20 ms from wildcard sockets. The callee
/// sends to where the last packet came from, so what follows a move is known without signalling.
class RtpPair {
 public:
  explicit RtpPair(Network& network)
      : callee_{Network::callee(network.access(0).address.family()), 4000} {
    auto phone = open_udp(network.phone(), {IpAddress::any(callee_.address.family()), 6000});
    auto far = open_udp(network.far(), callee_);
    if (phone && far) {
      phone_ = std::move(*phone);
      far_ = std::move(*far);
      thread_ = std::thread([this] { loop(); });
    }
  }
  ~RtpPair() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop() {
    std::optional<SocketAddress> phone_seen;
    const SocketAddress callee = to_sockaddr(callee_);
    TimePoint next = boot_now();
    for (std::uint16_t sequence = 65'500; !stop_; ++sequence) {  // wraps in the first second
      send(phone_.get(), callee, 0x1111, sequence);
      if (phone_seen) send(far_.get(), *phone_seen, 0x2222, sequence);
      next += 20ms;
      while (boot_now() < next && !stop_) {
        pollfd watched{far_.get(), POLLIN, 0};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - boot_now());
        if (::poll(&watched, 1, static_cast<int>(left.count())) <= 0) continue;
        SocketAddress from;
        from.length = sizeof from.storage;
        char data[64];
        if (::recvfrom(far_.get(), data, sizeof data, MSG_DONTWAIT,
                       reinterpret_cast<sockaddr*>(&from.storage), &from.length) > 0) {
          phone_seen = from;
        }
      }
    }
  }

  static void send(int socket, const SocketAddress& to, std::uint32_t ssrc,
                   std::uint16_t sequence) {
    std::array<std::uint8_t, 32> packet{0x80, 0};
    packet[2] = static_cast<std::uint8_t>(sequence >> 8);
    packet[3] = static_cast<std::uint8_t>(sequence);
    packet[10] = static_cast<std::uint8_t>(ssrc >> 8);
    packet[11] = static_cast<std::uint8_t>(ssrc);
    ::sendto(socket, packet.data(), packet.size(), 0,
             reinterpret_cast<const sockaddr*>(&to.storage), to.length);
  }

  Endpoint callee_;
  Fd phone_;
  Fd far_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST_P(NetworkTest, CaptureAndAnalysisSeeWhatAMoveDoesToRtp) {
  constexpr auto kRtt = 50ms;
  NetworkOptions options;
  options.rtt = kRtt;
  const auto network = make(options);
  ASSERT_TRUE(network);
  Capture capture;
  ASSERT_TRUE(capture.start(network->phone(), network->far(), ""));
  const RtpPair pair(*network);
  std::this_thread::sleep_for(500ms);

  const auto times = network->move(network->access(0), network->access(1));
  ASSERT_TRUE(times);
  std::this_thread::sleep_for(1500ms);
  capture.stop();

  Move move;
  move.old_address = network->access(0).address;
  move.new_address = network->access(1).address;
  move.peers = {network->callee(GetParam())};
  move.t0 = times->before;
  move.end = boot_now();
  move.call_up = true;
  const MoveFigures f = analyse(capture.packets(), move);
  EXPECT_EQ(capture.missed(), 0U);
  EXPECT_TRUE(f.survived);
  ASSERT_TRUE(f.first_rtp_tx);
  EXPECT_LE(*f.first_rtp_tx, 30ms + kSlowDay);
  ASSERT_TRUE(f.audible);
  // A packet from the new address takes half a round trip, and so does the next one from there.
  EXPECT_GE(*f.audible, kRtt);
  EXPECT_LE(*f.audible, kRtt + 50ms + kSlowDay);
  EXPECT_GE(f.silence_down, kRtt);
  EXPECT_LE(f.silence_down, kRtt + 60ms + kSlowDay);
  EXPECT_LE(f.silence_up, 50ms + kSlowDay);
  EXPECT_LE(f.lost_up, 1U + kSlowDay / 20ms);
  EXPECT_GE(f.lost_down, 2U);
  EXPECT_LE(f.lost_down, 5U + kSlowDay / 20ms);
  EXPECT_FALSE(f.registered);
  EXPECT_FALSE(f.answered);
}

TEST_P(NetworkTest, LosesTheShareItIsAskedToLose) {
  NetworkOptions options;
  options.rtt = 2ms;
  options.loss = 0.3;
  options.seed = 7;
  const auto network = make(options);
  ASSERT_TRUE(network);
  auto from = open_udp(network->phone(), {network->access(0).address, 6000});
  auto to = open_udp(network->far(), {network->callee(GetParam()), 4000});
  ASSERT_TRUE(from);
  ASSERT_TRUE(to);
  const SocketAddress there = to_sockaddr({network->callee(GetParam()), 4000});
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::sendto(from->get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&there.storage),
                       there.length),
              1);
  }
  std::this_thread::sleep_for(kSlowDay);
  int arrived = 0;
  char byte;
  while (::recv(to->get(), &byte, 1, MSG_DONTWAIT) == 1) ++arrived;
  EXPECT_GT(arrived, 150);
  EXPECT_LT(arrived, 260);
}

TEST_P(NetworkTest, ChildrenEndWithTheirHandle) {
  const auto network = make({});
  ASSERT_TRUE(network);
  ChildOptions options;
  options.command = {"sleep", "60"};
  auto child = network->phone().spawn(options);
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->running());
  const TimePoint start = boot_now();
  child->stop();
  EXPECT_FALSE(child->running());
  EXPECT_LT(boot_now() - start, 2s);
}

INSTANTIATE_TEST_SUITE_P(Families, NetworkTest, testing::Values(Family::V4, Family::V6),
                         [](const auto& family) { return std::string(to_string(family.param)); });

}  // namespace
}  // namespace godwit::lab
