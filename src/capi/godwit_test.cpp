// SPDX-License-Identifier: Apache-2.0
//
// The C interface as glue would use it, on real loopback sockets: nothing here but godwit.h.
#include "godwit/godwit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "capi/event_queue.hpp"

namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

constexpr auto kLimit = std::chrono::seconds(30);

/// Addresses of this process alone, so that several may run at once.
std::string loopback(int last) {
  return "127." + std::to_string(100 + ::getpid() % 100) + "." +
         std::to_string(::getpid() / 100 % 250) + "." + std::to_string(last);
}

/// An agent without a handler, whose network is one loopback address.
class Agent {
 public:
  static godwit_config usual() {
    godwit_config config;
    godwit_config_init(&config);
    config.watch_network = 0;
    config.sip_port = 5060;
    return config;
  }
  Agent(const std::string& user, int address, const godwit_config& config = usual()) {
    agent_ = godwit_agent_create(&config);
    EXPECT_NE(agent_, nullptr) << godwit_last_error();
    be_at(address);
    godwit_account account;
    godwit_account_init(&account);
    const std::string aor = "sip:" + user + "@" + loopback(address);
    account.aor = aor.c_str();
    account.register_on_add = 0;
    EXPECT_EQ(godwit_account_add(agent_, &account, &account_), GODWIT_OK) << godwit_last_error();
  }
  ~Agent() { godwit_agent_destroy(agent_); }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  void be_at(int last) {
    const std::string text = loopback(last);
    const godwit_address address{text.c_str(), 32, 0, 0};
    const godwit_interface lo{1, "lo", 1, 1, nullptr, &address, 1};
    godwit_network network;
    godwit_network_init(&network);
    network.interfaces = &lo;
    network.interface_count = 1;
    EXPECT_EQ(godwit_update_network(agent_, &network), GODWIT_OK) << godwit_last_error();
  }

  /// The next event of that name for which `right` holds; others are passed over.
  Json wait_for(const std::string& name, const std::function<bool(const Json&)>& right = {}) {
    std::vector<char> buffer(16);
    const auto deadline = std::chrono::steady_clock::now() + kLimit;
    while (std::chrono::steady_clock::now() < deadline) {
      std::size_t length = 0;
      const auto status = godwit_next_event(agent_, 100, buffer.data(), buffer.size(), &length);
      if (status == GODWIT_TOO_LARGE) {
        buffer.resize(length);
        continue;
      }
      if (status != GODWIT_OK) continue;
      const Json event = Json::parse(buffer.data());
      if (event.at("event") == name && (!right || right(event))) return event;
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }

  godwit_agent* get() const { return agent_; }
  std::uint32_t account() const { return account_; }

 private:
  godwit_agent* agent_ = nullptr;
  std::uint32_t account_ = 0;
};

auto state(const char* wanted) {
  return [wanted](const Json& event) { return event.at("state") == wanted; };
}

TEST(CApi, ACallMovesToTheAddressThatASnapshotTells) {
  Agent alice("alice", 2);
  Agent bob("bob", 3);
  const std::string target = "sip:bob@" + loopback(3) + ":5060";
  std::uint32_t call = 0;
  ASSERT_EQ(godwit_call(alice.get(), alice.account(), target.c_str(), &call), GODWIT_OK)
      << godwit_last_error();
  const std::uint32_t incoming = bob.wait_for("incoming_call").at("call");
  ASSERT_EQ(godwit_call_answer(bob.get(), incoming), GODWIT_OK);
  alice.wait_for("call_state", state("confirmed"));

  alice.be_at(4);
  const Json report = alice.wait_for("ip_change_completed").at("report");
  ASSERT_EQ(report.at("calls").size(), 1U) << report;
  EXPECT_TRUE(report.at("calls")[0].at("survived").get<bool>()) << report;
  EXPECT_THAT(report.at("calls")[0].at("new_local").get<std::string>(), HasSubstr(loopback(4)));

  ASSERT_EQ(godwit_call_hang_up(bob.get(), incoming), GODWIT_OK);
  alice.wait_for("call_state", state("ended"));
}

TEST(CApi, HandleIpChangeNumbersTheChange) {
  Agent alice("alice", 5);
  std::uint32_t generation = 0;
  ASSERT_EQ(godwit_handle_ip_change(alice.get(), &generation), GODWIT_OK) << godwit_last_error();
  const Json report = alice.wait_for("ip_change_completed").at("report");
  EXPECT_EQ(report.at("generation"), generation);
}

TEST(CApi, SaysInWordsWhatIsWrong) {
  Agent alice("alice", 6);
  EXPECT_EQ(godwit_call_answer(alice.get(), 99), GODWIT_NOT_FOUND);
  EXPECT_STRNE(godwit_last_error(), "");
  EXPECT_EQ(godwit_call(alice.get(), 77, "sip:x@192.0.2.1", nullptr), GODWIT_NOT_FOUND);
  EXPECT_EQ(godwit_account_add(alice.get(), nullptr, nullptr), GODWIT_INVALID_ARGUMENT);
  EXPECT_THAT(godwit_last_error(), HasSubstr("godwit_account_init"));
  godwit_account account;
  godwit_account_init(&account);
  account.aor = "not a URI";
  EXPECT_EQ(godwit_account_add(alice.get(), &account, nullptr), GODWIT_INVALID_ARGUMENT);
  EXPECT_EQ(godwit_call_hang_up(nullptr, 1), GODWIT_INVALID_ARGUMENT);
  EXPECT_EQ(godwit_agent_create(nullptr), nullptr);
}

TEST(CApi, RefusesANetworkThatIsNone) {
  Agent alice("alice", 7);
  godwit_network network;
  godwit_network_init(&network);
  const godwit_address wrong{"10.0.0.300", 24, 0, 0};
  const godwit_interface wifi{7, "wlan0", 1, 0, nullptr, &wrong, 1};
  network.interfaces = &wifi;
  network.interface_count = 1;
  EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_INVALID_ARGUMENT);
  EXPECT_THAT(godwit_last_error(), HasSubstr("10.0.0.300"));
  network.interfaces = nullptr;
  EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_INVALID_ARGUMENT);
  const godwit_default_route route{5, 7};
  godwit_network_init(&network);
  network.default_routes = &route;
  network.default_route_count = 1;
  EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_INVALID_ARGUMENT);
  EXPECT_THAT(godwit_last_error(), HasSubstr("family"));
  for (const char* prefix : {"64:ff9b::", "64:ff9b::/", "64:ff9b::/300", "64:ff9b::/96x", "/96"}) {
    godwit_network_init(&network);
    network.nat64_prefix = prefix;
    EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_INVALID_ARGUMENT) << prefix;
    EXPECT_THAT(godwit_last_error(), HasSubstr(prefix));
  }
  const godwit_address global{"2001:db8::2", 64, 0, 0};
  const godwit_interface lte{7, "wwan0", 1, 0, nullptr, &global, 1};
  const godwit_default_route out{6, 7};
  godwit_network_init(&network);
  network.interfaces = &lte;
  network.interface_count = 1;
  network.default_routes = &out;
  network.default_route_count = 1;
  network.nat64_prefix = "2001:db8:64::/97";
  EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_INVALID_ARGUMENT);
  EXPECT_THAT(godwit_last_error(), HasSubstr("RFC 6052"));
  network.nat64_prefix = "64:ff9b::/96";
  EXPECT_EQ(godwit_update_network(alice.get(), &network), GODWIT_OK) << godwit_last_error();
}

TEST(CApi, RefusesServersAndFamiliesThatAreNone) {
  const char* const none[] = {"dns.example"};
  const char* const stun[] = {"224.0.0.1"};
  godwit_config config;
  godwit_config_init(&config);
  EXPECT_EQ(config.nat64, 1);
  config.dns_servers = none;
  config.dns_server_count = 1;
  EXPECT_EQ(godwit_agent_create(&config), nullptr);
  EXPECT_THAT(godwit_last_error(), HasSubstr("dns.example"));
  config.dns_servers = nullptr;
  EXPECT_EQ(godwit_agent_create(&config), nullptr);
  EXPECT_THAT(godwit_last_error(), HasSubstr("missing"));
  godwit_config_init(&config);
  config.stun_servers = stun;
  config.stun_server_count = 1;
  EXPECT_EQ(godwit_agent_create(&config), nullptr);
  EXPECT_THAT(godwit_last_error(), HasSubstr("stun_servers"));
  const char* const good[] = {"192.0.2.53", "[2001:db8::53]:5353"};
  godwit_config_init(&config);
  config.watch_network = 0;
  config.dns_servers = good;
  config.dns_server_count = 2;
  config.stun_servers = good;
  config.stun_server_count = 2;
  godwit_agent* agent = godwit_agent_create(&config);
  ASSERT_NE(agent, nullptr) << godwit_last_error();
  godwit_account account;
  godwit_account_init(&account);
  EXPECT_EQ(account.use_stun + account.leave_dead_paths + account.prove_new_paths, 3);
  account.aor = "sip:alice@example.org";
  account.sip_family = static_cast<godwit_family_policy>(7);
  EXPECT_EQ(godwit_account_add(agent, &account, nullptr), GODWIT_INVALID_ARGUMENT);
  EXPECT_THAT(godwit_last_error(), HasSubstr("family"));
  account.sip_family = GODWIT_FAMILY_ONLY_4;
  account.media_family = GODWIT_FAMILY_PREFER_6;
  EXPECT_EQ(godwit_account_add(agent, &account, nullptr), GODWIT_OK) << godwit_last_error();
  account.registrar = "sip:[2001:db8::1]";
  EXPECT_EQ(godwit_account_add(agent, &account, nullptr), GODWIT_INVALID_ARGUMENT)
      << "the policy has arrived";
  godwit_agent_destroy(agent);
}

TEST(CApi, AnOlderProgramsShorterStructuresGetTheDefaults) {
  Agent alice("alice", 8);
  godwit_account account;
  godwit_account_init(&account);
  const std::string aor = "sip:old@" + loopback(8);
  account.aor = aor.c_str();
  account.expires_s = 1;  // Out of range: must not be looked at.
  account.size = offsetof(godwit_account, expires_s);
  account.register_on_add = 0;
  EXPECT_EQ(godwit_account_add(alice.get(), &account, nullptr), GODWIT_OK) << godwit_last_error();
}

TEST(CApi, AHandlerGetsEveryEventInsteadOfTheQueue) {
  struct Seen {
    std::mutex mutex;
    std::vector<std::string> events;
  } seen;
  godwit_config config;
  godwit_config_init(&config);
  config.watch_network = 0;
  config.context = &seen;
  config.on_event = [](void* context, const char* event) {
    Seen& into = *static_cast<Seen*>(context);
    const std::lock_guard lock(into.mutex);
    into.events.emplace_back(event);
  };
  godwit_agent* agent = godwit_agent_create(&config);
  ASSERT_NE(agent, nullptr);
  godwit_network network;
  godwit_network_init(&network);
  EXPECT_EQ(godwit_update_network(agent, &network), GODWIT_OK) << godwit_last_error();
  char buffer[64];
  EXPECT_EQ(godwit_next_event(agent, 0, buffer, sizeof buffer, nullptr), GODWIT_TIMEOUT);
  godwit_agent_shutdown(agent, 1'000);
  godwit_agent_destroy(agent);
  EXPECT_FALSE(seen.events.empty());
  for (const auto& event : seen.events) EXPECT_TRUE(Json::parse(event).contains("event")) << event;
}

TEST(CApi, AHookSeesEachSocketAndMayRefuseIt) {
  struct Seen {
    std::mutex mutex;
    std::vector<std::string> addresses;
  } seen;
  godwit_config config;
  godwit_config_init(&config);
  config.watch_network = 0;
  config.sip_port = 5060;
  config.context = &seen;
  config.socket_created = [](void* context, int descriptor, const char* local, const char*) {
    Seen& into = *static_cast<Seen*>(context);
    const std::lock_guard lock(into.mutex);
    into.addresses.emplace_back(local);
    return descriptor < 0 || local == loopback(12) ? 0 : 1;
  };
  Agent refused("alice", 12, config);
  const Json warning = refused.wait_for("warning");
  EXPECT_THAT(warning.at("text").get<std::string>(), HasSubstr(loopback(12)));
  const std::lock_guard lock(seen.mutex);
  EXPECT_THAT(seen.addresses, testing::Contains(loopback(12)));
}

TEST(EventQueue, LosesTheOldestAndSaysSo) {
  godwit::capi::EventQueue queue;
  for (std::size_t i = 0; i < queue.kMaxWaiting + 3; ++i) queue.push(std::to_string(i));
  std::array<char, 128> buffer{};
  ASSERT_TRUE(queue.take({}, buffer.data(), buffer.size()));
  // The three that had no room, and the one in whose place it is told.
  EXPECT_THAT(buffer.data(), HasSubstr("\"4 events were lost"));
  ASSERT_TRUE(queue.take({}, buffer.data(), buffer.size()));
  EXPECT_STREQ(buffer.data(), "4");
  for (std::size_t i = 2; i < queue.kMaxWaiting; ++i) {
    ASSERT_TRUE(queue.take({}, buffer.data(), buffer.size())->fits);
  }
  EXPECT_FALSE(queue.take({}, buffer.data(), buffer.size()));
}

TEST(EventQueue, WhatDoesNotFitStays) {
  godwit::capi::EventQueue queue;
  queue.push("abcd");
  char buffer[5];
  const auto small = queue.take({}, buffer, 4);
  ASSERT_TRUE(small);
  EXPECT_FALSE(small->fits);
  EXPECT_EQ(small->needed, 5U);
  ASSERT_TRUE(queue.take({}, buffer, 5)->fits);
  EXPECT_STREQ(buffer, "abcd");
}

}  // namespace
