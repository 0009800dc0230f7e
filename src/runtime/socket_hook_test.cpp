// SPDX-License-Identifier: Apache-2.0
// UserAgentConfig::socket_created on real sockets of loopback.
#include "runtime/socket_hook.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "godwit/user_agent.hpp"
#include "io/socket_options.hpp"
#include "io/stream_socket.hpp"

namespace godwit {
namespace {

using testing::HasSubstr;

constexpr auto kLimit = std::chrono::seconds(30);
const IpAddress kHere = IpAddress::v4(127, 0, 0, 31);

/// A user agent with what its hook saw and its events.
class Watched {
 public:
  explicit Watched(const std::function<void(UserAgentConfig&)>& configure,
                   std::function<bool(const NewSocket&)> judge = {})
      : judge_(std::move(judge)) {
    UserAgentConfig config;
    config.bind_addresses = {kHere};
    config.watch_network = false;
    config.socket_created = [this](const NewSocket& made) { return look(made); };
    configure(config);
    agent_ = std::make_unique<UserAgent>(config, [this](const Event& event, TimePoint) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      changed_.notify_all();
    });
  }

  UserAgent& agent() { return *agent_; }
  AccountId add(const std::string& registrar, TransportChoice transport) {
    AccountConfig account;
    account.aor = "sip:alice@example.org";
    account.registrar = registrar;
    account.transport = transport;
    const auto added = agent_->add_account(account);
    EXPECT_TRUE(added) << (added ? "" : added.error().detail);
    return added.value_or(AccountId{});
  }
  bool sees(SocketPurpose purpose) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return seen_.contains(purpose); });
  }
  bool is_told(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] {
      for (const Event& event : events_) {
        if (to_json(event, {}).find(text) != std::string::npos) return true;
      }
      return false;
    });
  }
  NewSocket first(SocketPurpose purpose) {
    const std::lock_guard lock(mutex_);
    return seen_.at(purpose);
  }
  bool all_were_fresh() const { return fresh_; }

 private:
  bool look(const NewSocket& made) {
    // Neither bound nor connected yet.
    int type = 0;
    socklen_t length = sizeof type;
    const bool is_socket = ::getsockopt(made.descriptor, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    if (!is_socket || io::local_endpoint(made.descriptor).port != 0) fresh_ = false;
    const bool good = !judge_ || judge_(made);
    const std::lock_guard lock(mutex_);
    seen_.emplace(made.purpose, made);
    changed_.notify_all();
    return good;
  }

  std::function<bool(const NewSocket&)> judge_;
  std::atomic<bool> fresh_{true};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<SocketPurpose, NewSocket> seen_;
  std::vector<Event> events_;
  std::unique_ptr<UserAgent> agent_;
};

void nothing(UserAgentConfig&) {}

TEST(SocketCreated, SeesEachSocketBeforeItIsUsed) {
  auto server = io::StreamListener::bind({IpAddress::v4(127, 0, 0, 32), 0});
  ASSERT_TRUE(server);
  Watched watched([](UserAgentConfig& config) {
    config.listen_tcp = 0;
    config.dns_servers = {Endpoint{IpAddress::v4(127, 0, 0, 33), 9}};
  });
  watched.add("sip:" + server->local().to_string(), TransportChoice::Tcp);
  watched.add("sip:registrar.example.org", TransportChoice::Udp);
  AccountConfig direct;
  direct.aor = "sip:carol@127.0.0.32";
  direct.register_on_add = false;
  const auto account = watched.agent().add_account(direct);
  ASSERT_TRUE(account);
  ASSERT_TRUE(watched.agent().call(*account, "sip:bob@127.0.0.32:9"));
  for (const SocketPurpose purpose :
       {SocketPurpose::SipUdp, SocketPurpose::SipTcp, SocketPurpose::SipTcpListener,
        SocketPurpose::Rtp, SocketPurpose::Rtcp, SocketPurpose::Dns}) {
    ASSERT_TRUE(watched.sees(purpose)) << to_string(purpose);
    const NewSocket made = watched.first(purpose);
    EXPECT_GE(made.descriptor, 0);
    if (purpose == SocketPurpose::Dns) continue;
    EXPECT_EQ(made.local, kHere) << to_string(purpose);
    EXPECT_EQ(made.interface_name, "lo") << to_string(purpose);
    EXPECT_NE(made.interface_index, 0U);
  }
  EXPECT_TRUE(watched.all_were_fresh());
}

TEST(SocketCreated, ARefusedSipSocketIsSaidSo) {
  Watched watched(nothing,
                  [](const NewSocket& made) { return made.purpose != SocketPurpose::SipUdp; });
  watched.add("sip:127.0.0.32:9", TransportChoice::Udp);
  EXPECT_TRUE(watched.is_told("the application refused the socket for 127.0.0.31"));
}

TEST(SocketCreated, ARefusedConnectionFailsTheRegistration) {
  Watched watched(nothing,
                  [](const NewSocket& made) { return made.purpose != SocketPurpose::SipTcp; });
  watched.add("sip:127.0.0.32:9", TransportChoice::Tcp);
  EXPECT_TRUE(watched.is_told("the application refused the socket for a connection to"));
}

TEST(SocketCreated, ARefusedMediaSocketEndsTheCall) {
  Watched watched(nothing,
                  [](const NewSocket& made) { return made.purpose != SocketPurpose::Rtcp; });
  AccountConfig direct;
  direct.aor = "sip:carol@127.0.0.32";
  direct.register_on_add = false;
  const auto account = watched.agent().add_account(direct);
  ASSERT_TRUE(account);
  ASSERT_TRUE(watched.agent().call(*account, "sip:bob@127.0.0.32:9"));
  EXPECT_TRUE(watched.is_told("no RTP port"));
  EXPECT_TRUE(watched.is_told("ended"));
}

TEST(SocketCreated, AnExceptionCountsAsARefusal) {
  Watched watched(nothing, [](const NewSocket&) -> bool { throw std::runtime_error("no"); });
  watched.add("sip:127.0.0.32:9", TransportChoice::Udp);
  EXPECT_TRUE(watched.is_told("the application refused the socket"));
}

TEST(SocketCreated, WithoutAHookNothingIsAsked) { EXPECT_FALSE(runtime::socket_check({}, {})); }

}  // namespace
}  // namespace godwit
