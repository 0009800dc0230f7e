// SPDX-License-Identifier: Apache-2.0
//
// The laboratory's Kamailio, spoken to in plain text: does it come up and ask for credentials as
// the demo expects of it? Skipped, saying so, where there are no namespaces or no Kamailio.
#include "lab/kamailio.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <fstream>

#include "lab/clock.hpp"
#include "lab/network.hpp"
#include "lab/udp.hpp"

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

class KamailioTest : public testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    NetworkOptions options;
    options.families = {GetParam(), GetParam()};
    options.rtt = 0ms;
    auto prepared = NetNs::prepare_process();
    if (!prepared) GTEST_SKIP() << "no namespaces: " << prepared.error().detail;
    auto network = Network::create(options);
    if (!network) GTEST_SKIP() << "no namespaces: " << network.error().detail;
    network_ = std::move(*network);

    directory_ = testing::TempDir() + fmt::format("godwit-kamailio-{}", ::getpid());
    std::filesystem::create_directory(directory_);
    KamailioOptions kamailio;
    kamailio.listen = {Network::server(GetParam())};
    kamailio.users = {{"alice", "secret"}};
    std::ofstream(directory_ + "/k.cfg") << kamailio_config(kamailio);
    const auto command = kamailio_command(directory_ + "/k.cfg", directory_);
    if (!command) GTEST_SKIP() << command.error().detail;
    ChildOptions child;
    child.command = *command;
    child.contain = true;
    child.stderr_file = directory_ + "/k.log";
    auto started = network_->far().spawn(child);
    ASSERT_TRUE(started);
    kamailio_ = std::move(*started);
    auto socket = open_udp(network_->phone(), {network_->access(0).address, 5060});
    ASSERT_TRUE(socket);
    socket_ = std::move(*socket);
  }
  void TearDown() override {
    kamailio_.stop();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  /// The answer to a request without credentials, which is repeated until one comes.
  std::string ask(const std::string& method, const std::string& to_user) {
    const std::string host = Network::server(GetParam()).to_uri_host();
    const std::string us = Endpoint{network_->access(0).address, 5060}.to_string();
    const std::string request = fmt::format(
        "{0} sip:{1}{2} SIP/2.0\r\nVia: SIP/2.0/UDP {3};branch=z9hG4bK{0}\r\n"
        "From: <sip:alice@{2}>;tag=1\r\nTo: <sip:{1}{2}>\r\nCall-ID: {0}\r\n"
        "CSeq: 1 {0}\r\nContact: <sip:alice@{3}>\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n",
        method, to_user, host, us);
    const SocketAddress server = to_sockaddr({Network::server(GetParam()), 5060});
    const TimePoint deadline = boot_now() + 8s;
    while (boot_now() < deadline && kamailio_.running()) {
      ::sendto(socket_.get(), request.data(), request.size(), 0,
               reinterpret_cast<const sockaddr*>(&server.storage), server.length);
      pollfd watched{socket_.get(), POLLIN, 0};
      char buffer[4096];
      while (::poll(&watched, 1, 100) > 0) {
        const ssize_t length = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (length <= 0) break;  // port unreachable: not up yet
        std::string answer(buffer, static_cast<std::size_t>(length));
        if (answer.find("CSeq: 1 " + method) != std::string::npos) return answer;
      }
    }
    std::ifstream log(directory_ + "/k.log");
    return "no answer: " + std::string{std::istreambuf_iterator<char>(log), {}};
  }

  std::unique_ptr<Network> network_;
  std::string directory_;
  Child kamailio_;
  Fd socket_;
};

TEST_P(KamailioTest, ComesUpAndAsksForCredentials) {
  const auto starts = [](const std::string& text, const char* with) {
    return text.rfind(with, 0) == 0;
  };
  const std::string options = ask("OPTIONS", "");
  EXPECT_TRUE(starts(options, "SIP/2.0 200")) << options;
  for (const char* method : {"REGISTER", "INVITE"}) {
    const std::string challenge = ask(method, "alice@");
    const bool proxy = method == std::string("INVITE");
    EXPECT_TRUE(starts(challenge, proxy ? "SIP/2.0 407" : "SIP/2.0 401")) << challenge;
    EXPECT_NE(challenge.find("realm=\"lab.test\""), std::string::npos) << challenge;
    EXPECT_NE(challenge.find("qop=\"auth\""), std::string::npos) << challenge;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, KamailioTest, testing::Values(Family::V4, Family::V6),
                         [](const auto& family) { return std::string(to_string(family.param)); });

}  // namespace
}  // namespace godwit::lab
