// SPDX-License-Identifier: Apache-2.0
#include "degraded_demo.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <net/if.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "godwit/user_agent.hpp"
#include "lab/clock.hpp"
#include "lab/netns.hpp"
#include "lab/party.hpp"
#include "lab/udp.hpp"

namespace godwit::app {
namespace {

using namespace std::chrono_literals;
using lab::boot_now;

constexpr Duration kLimit = 10s;
const IpAddress kServer = IpAddress::v4(127, 0, 0, 1);
const IpAddress kCallee = IpAddress::v4(127, 0, 0, 2);
const IpAddress kPhone[] = {IpAddress::v4(127, 0, 0, 3), IpAddress::v4(127, 0, 0, 4)};

/// The loopback interface as if it were the only network and had one address.
NetworkSnapshot network_with(const IpAddress& address) {
  NetworkInterface interface;
  interface.index = ::if_nametoindex("lo");
  interface.name = "lo";
  interface.up = true;
  interface.carrier = true;
  interface.addresses.push_back({address, 8});
  NetworkSnapshot snapshot;
  snapshot.default_routes.push_back({Family::V4, interface.index, {}, 0});
  snapshot.interfaces.push_back(std::move(interface));
  return snapshot;
}

class DegradedRun {
 public:
  DegradedRun(const std::function<void(const std::string&)>& happened,
              const std::function<bool()>& interrupted)
      : happened_(happened), interrupted_(interrupted) {}

  Result<DegradedOutcome> go(int moves) {
    auto host = lab::NetNs::host("host");
    if (!host) return tl::unexpected(host.error());
    host_ = std::move(*host);
    if (auto r = start_server(); !r) return tl::unexpected(r.error());
    if (auto r = start_callee(); !r) return tl::unexpected(r.error());
    if (auto r = start_phone(); !r) return tl::unexpected(r.error());
    for (int i = 1; i <= moves; ++i) {
      const IpAddress& to = kPhone[i % 2];
      happened_(
          fmt::format("move {}: the phone is told that its address is now {}", i, to.to_string()));
      agent_->update_network(network_with(to));
      const auto count = static_cast<std::size_t>(i);
      if (auto r = need("the change was not completed", [&] { return reports_.size() >= count; });
          !r) {
        return tl::unexpected(r.error());
      }
      wait([] { return false; }, 1s);
    }
    DegradedOutcome outcome;
    {
      const std::lock_guard lock(mutex_);
      outcome.moves = reports_;
      outcome.call_kept = call_ == CallState::Confirmed && callee_->call_state == "confirmed";
    }
    agent_->shutdown(2s);
    callee_->command("quit");
    wait([this] { return !callee_->running(); }, 2s);
    return outcome;
  }

 private:
  Result<void> start_server() {
    {
      auto probe = lab::open_udp(*host_, {kServer, 0});
      if (!probe) return tl::unexpected(probe.error());
      sockaddr_in bound{};
      socklen_t length = sizeof bound;
      ::getsockname(probe->get(), reinterpret_cast<sockaddr*>(&bound), &length);
      port_ = ntohs(bound.sin_port);
    }
    auto started =
        start("server", {"serve", "--listen", registrar(), "--domain", host(), "--events", "json"});
    if (!started) return tl::unexpected(started.error());
    server_ = std::move(*started);
    return need("the server did not come up", [this] { return server_->ready; });
  }

  Result<void> start_callee() {
    auto started = start(
        "callee", {"phone", "--account", "sip:bob@" + host(), "--proxy", "sip:" + registrar(),
                   "--registrar", "sip:" + registrar(), "--bind", kCallee.to_string(),
                   "--auto-answer", "--no-latch", "--source", "tone:330", "--events", "json"});
    if (!started) return tl::unexpected(started.error());
    callee_ = std::move(*started);
    return need("the callee did not register", [this] { return callee_->registered; });
  }

  Result<void> start_phone() {
    UserAgentConfig config;
    config.watch_network = false;
    agent_ = std::make_unique<UserAgent>(
        config, [this](const Event& event, TimePoint at) { on_event(event, at); });
    agent_->update_network(network_with(kPhone[0]));
    AccountConfig account;
    account.aor = "sip:alice@" + host();
    account.registrar = account.outbound_proxy = "sip:" + registrar();
    const auto added = agent_->add_account(account);
    if (!added) return tl::unexpected(added.error());
    if (auto r = need("the phone did not register", [this] { return registered_; }); !r) return r;
    const auto call = agent_->call(*added, "bob");
    if (!call) return tl::unexpected(call.error());
    AudioSource tone;
    tone.kind = AudioSource::Kind::Tone;
    if (auto r = agent_->set_source(*call, tone); !r) return r;
    if (auto r =
            need("the call was not answered", [this] { return call_ == CallState::Confirmed; });
        !r) {
      return r;
    }
    wait([] { return false; }, 1s);
    return {};
  }

  /// On the agent's thread.
  void on_event(const Event& event, TimePoint at) {
    const auto json = nlohmann::json::parse(to_json(event, at), nullptr, false);
    const std::lock_guard lock(mutex_);
    if (const auto line = lab::describe(json); !line.empty()) lines_.push_back("phone: " + line);
    if (const auto* registration = std::get_if<RegistrationChanged>(&event)) {
      registered_ = registration->state == RegistrationState::Registered;
    } else if (const auto* call = std::get_if<CallStateChanged>(&event)) {
      call_ = call->state;
    } else if (const auto* completed = std::get_if<IpChangeCompleted>(&event)) {
      reports_.push_back(completed->report);
    }
  }

  Result<std::unique_ptr<lab::Party>> start(const std::string& name,
                                            std::vector<std::string> words) {
    lab::ChildOptions child;
    child.command = {std::filesystem::read_symlink("/proc/self/exe")};
    child.command.insert(child.command.end(), words.begin(), words.end());
    return lab::Party::start(name, *host_, child, "/dev/null");
  }

  bool wait(const std::function<bool()>& done, Duration limit) {
    for (const TimePoint deadline = boot_now() + limit; boot_now() < deadline && !interrupted_();) {
      for (auto* party : {&server_, &callee_}) {
        if (!*party) continue;
        (*party)->read_lines([this](lab::Party& who, const nlohmann::json& event) {
          if (const auto line = lab::describe(event); !line.empty()) {
            happened_(who.name() + ": " + line);
          }
        });
      }
      {
        const std::lock_guard lock(mutex_);
        for (const auto& line : lines_) happened_(line);
        lines_.clear();
        if (done()) return true;
      }
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  Result<void> need(const std::string& otherwise, const std::function<bool()>& done) {
    if (wait(done, kLimit)) return {};
    return fail(ErrorCode::Timeout, interrupted_() ? "interrupted" : otherwise);
  }

  std::string host() const { return "demo.test"; }
  std::string registrar() const { return Endpoint{kServer, port_}.to_string(); }

  const std::function<void(const std::string&)>& happened_;
  const std::function<bool()>& interrupted_;
  std::unique_ptr<lab::NetNs> host_;
  std::uint16_t port_ = 0;
  std::unique_ptr<lab::Party> server_;
  std::unique_ptr<lab::Party> callee_;

  std::mutex mutex_;
  std::vector<std::string> lines_;
  bool registered_ = false;
  CallState call_ = CallState::Calling;
  std::vector<IpChangeReport> reports_;

  std::unique_ptr<UserAgent> agent_;  // last: its thread uses what is above
};

}  // namespace

Result<DegradedOutcome> run_degraded_demo(int moves,
                                          const std::function<void(const std::string&)>& happened,
                                          const std::function<bool()>& interrupted) {
  return DegradedRun(happened, interrupted).go(moves);
}

}  // namespace godwit::app
