// SPDX-License-Identifier: Apache-2.0
//
// What the step-by-step examples share: their events are printed and can be waited for, and a
// network is described as an application does on systems without a built-in monitor. Not a part of
// the library.
#pragma once

#include <net/if.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "godwit/user_agent.hpp"

namespace example {

class Events {
 public:
  godwit::EventHandler handler() {
    return [this](const godwit::Event& event, godwit::TimePoint at) {
      if (!std::holds_alternative<godwit::CallStatistics>(event)) {
        std::puts(godwit::to_json(event, at).c_str());
      }
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      arrived_.notify_all();
    };
  }
  /// The first event of the kind, among those not looked at yet, for which `wanted` holds; after
  /// ten seconds without one the example has failed.
  template <typename Kind>
  Kind wait_for(const std::function<bool(const Kind&)>& wanted) {
    std::unique_lock lock(mutex_);
    std::optional<Kind> found;
    const bool came = arrived_.wait_for(lock, std::chrono::seconds(10), [&] {
      while (!found && next_ < events_.size()) {
        const auto* kind = std::get_if<Kind>(&events_[next_++]);
        if (kind != nullptr && wanted(*kind)) found = *kind;
      }
      return found.has_value();
    });
    if (!came) fail("what was waited for did not happen");
    return *found;
  }
  [[noreturn]] static void fail(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::_Exit(1);
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<godwit::Event> events_;  // Guarded by mutex_, as is next_.
  std::size_t next_ = 0;
};

/// The value of a command, or the end of the example.
template <typename T>
T need(godwit::Result<T> result) {
  if (!result) Events::fail(result.error().detail);
  return *result;
}
inline void need(const godwit::Result<void>& result) {
  if (!result) Events::fail(result.error().detail);
}

/// The whole network is one interface with this one address. An application fills it in from its
/// system's own API.
inline godwit::NetworkSnapshot network_with(const std::string& address,
                                            const std::string& interface_name = "lo") {
  godwit::NetworkInterface interface;
  interface.index = ::if_nametoindex(interface_name.c_str());
  interface.name = interface_name;
  interface.up = interface.carrier = true;
  const auto parsed = godwit::IpAddress::parse(address);
  if (!parsed) Events::fail(address + " is no IP address");
  godwit::InterfaceAddress held;
  held.address = *parsed;
  held.prefix_length = parsed->is_v4() ? 8 : 64;
  interface.addresses.push_back(held);
  godwit::NetworkSnapshot snapshot;
  snapshot.default_routes.push_back({parsed->family(), interface.index, {}, 0});
  snapshot.interfaces.push_back(interface);
  return snapshot;
}

/// An account whose calls and registration stay as they are until the application says otherwise.
inline godwit::AccountConfig manual_account(const std::string& aor, const std::string& password) {
  godwit::AccountConfig account;
  account.aor = aor;
  account.password = password;
  account.ip_change.automatic = false;
  return account;
}

/// The usual beginning and end: a network with one address, an account registered from it, and
/// calls.
class Phone {
 public:
  Phone(const std::string& aor, const std::string& password, const std::string& address)
      : agent(told_by_us(), events.handler()) {
    need(agent.update_network(network_with(address)));
    account_ = need(agent.add_account(manual_account(aor, password)));
    events.wait_for<godwit::RegistrationChanged>(
        [](const auto& event) { return event.state == godwit::RegistrationState::Registered; });
  }
  /// Waits until the call is answered.
  godwit::CallId call(const std::string& callee) {
    const godwit::CallId call = need(agent.call(account_, callee));
    wait_until(call, godwit::CallState::Confirmed);
    return call;
  }
  /// Waits for what became of it, and ends if it failed.
  void expect_refreshed(godwit::RequestId refresh, const std::string& otherwise) {
    const auto done = events.wait_for<godwit::CallRefreshed>(
        [=](const auto& event) { return event.request == refresh; });
    if (!done.ok) Events::fail(otherwise + ": " + done.reason);
  }
  void wait_until(godwit::CallId call, godwit::CallState state) {
    events.wait_for<godwit::CallStateChanged>(
        [=](const auto& event) { return event.call == call && event.state == state; });
  }
  void hang_up_and_leave(godwit::CallId call) {
    need(agent.hang_up(call));
    wait_until(call, godwit::CallState::Ended);
    agent.shutdown(std::chrono::seconds(2));
  }

  Events events;
  godwit::UserAgent agent;

 private:
  /// From now on the application says what the network is like.
  static godwit::UserAgentConfig told_by_us() {
    godwit::UserAgentConfig config;
    config.watch_network = false;
    return config;
  }

  godwit::AccountId account_;
};

}  // namespace example
