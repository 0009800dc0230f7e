// SPDX-License-Identifier: Apache-2.0
//
// Whole user agents with their threads and real sockets on loopback. Every wait is for a condition
// and bounded; nothing sleeps.
#include "godwit/user_agent.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <numbers>
#include <thread>
#include <vector>

#include "io/clock.hpp"
#include "io/udp_socket.hpp"

namespace godwit {
namespace {

using testing::HasSubstr;

constexpr auto kLimit = std::chrono::seconds(30);

std::uint16_t free_port(const IpAddress& address) {
  const auto socket = io::UdpSocket::bind({address, 0});
  EXPECT_TRUE(socket);
  return socket ? socket->local().port : 0;
}

/// A user agent whose events are kept for looking at, with one account that does not register.
class Party {
 public:
  using Reaction = std::function<void(UserAgent&, const Event&)>;

  Party(const std::string& user, const std::string& address, Reaction react = {},
        LogHandler log = {})
      : address_(*IpAddress::parse(address)), react_(std::move(react)) {
    UserAgentConfig config;
    config.bind_addresses = {address_};
    config.sip_port = free_port(address_);
    config.watch_network = false;
    uri_ = "sip:" + user + "@" + Endpoint{address_, config.sip_port}.to_string();
    agent_ = std::make_unique<UserAgent>(
        config, [this](const Event& event, TimePoint) { on_event(event); }, std::move(log),
        LogLevel::Debug);
    self_ = agent_.get();
    AccountConfig account;
    account.aor = "sip:" + user + "@" + address_.to_uri_host();
    account.register_on_add = false;
    const auto added = agent_->add_account(account);
    EXPECT_TRUE(added) << (added ? "" : added.error().detail);
    account_ = added.value_or(AccountId{});
  }
  ~Party() { destroy(); }

  UserAgent& agent() { return *agent_; }
  const std::string& uri() const { return uri_; }
  /// The handler uses the pointer until the destructor has joined the threads; reset() would clear
  /// it before.
  void destroy() {
    delete agent_.get();
    (void)agent_.release();
  }

  CallId call(const Party& other) {
    const auto id = agent_->call(account_, other.uri());
    EXPECT_TRUE(id) << (id ? "" : id.error().detail);
    return id.value_or(CallId{});
  }

  /// Waits until one of the events so far, or still to come, is of this kind and satisfies
  /// `wanted`; returns a copy of the last such.
  template <typename E>
  std::optional<E> wait_for(std::function<bool(const E&)> wanted) {
    std::unique_lock lock(mutex_);
    std::optional<E> found;
    arrived_.wait_for(lock, kLimit, [&] {
      for (const Event& event : events_) {
        const auto* candidate = std::get_if<E>(&event);
        if (candidate != nullptr && wanted(*candidate)) found = *candidate;
      }
      return found.has_value();
    });
    return found;
  }
  bool reaches(CallState state) {
    return wait_for<CallStateChanged>([=](const auto& e) { return e.state == state; }).has_value();
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return events_.size();
  }
  void forget_events() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }

 private:
  void on_event(const Event& event) {
    // Not agent_: the first events may come before the constructor of UserAgent has returned to us,
    // the last ones while agent_ is being reset.
    UserAgent* self = self_.load();
    if (react_ && self != nullptr) react_(*self, event);
    {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    }
    arrived_.notify_all();
  }

  IpAddress address_;
  std::string uri_;
  Reaction react_;
  AccountId account_;
  std::atomic<UserAgent*> self_{nullptr};
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Event> events_;  // Guarded by mutex_.
  std::unique_ptr<UserAgent> agent_;
};

/// Answers from inside the event handler and sends back what it hears.
void answer_with_echo(UserAgent& agent, const Event& event) {
  const auto* incoming = std::get_if<IncomingCall>(&event);
  if (incoming == nullptr) return;
  AudioSource echo;
  echo.kind = AudioSource::Kind::Echo;
  EXPECT_TRUE(agent.set_source(incoming->call, echo));
  EXPECT_TRUE(agent.answer(incoming->call));
}

/// The part of the recording's power at `hz`, in its loudest half second.
double share_of_tone(const std::string& file, double hz) {
  SF_INFO info{};
  SNDFILE* sound = ::sf_open(file.c_str(), SFM_READ, &info);
  if (sound == nullptr) return 0;
  std::vector<float> samples(static_cast<std::size_t>(info.frames));
  ::sf_readf_float(sound, samples.data(), info.frames);
  ::sf_close(sound);
  double best = 0;
  constexpr std::size_t kWindow = 4000;
  for (std::size_t start = 0; start + kWindow <= samples.size(); start += kWindow / 2) {
    double re = 0;
    double im = 0;
    double power = 1e-9;
    for (std::size_t i = 0; i < kWindow; ++i) {
      const double value = samples[start + i];
      const double angle = 2 * std::numbers::pi * hz * static_cast<double>(i) / 8000;
      re += value * std::cos(angle);
      im += value * std::sin(angle);
      power += value * value;
    }
    best = std::max(best, 2 * (re * re + im * im) / (power * kWindow));
  }
  return best;
}

TEST(UserAgent, CallsAnswersCarriesAudioHoldsAndHangsUp) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("godwit-call-" + std::to_string(::getpid()) + ".wav");
  {
    Party bob("bob", "127.0.0.2", answer_with_echo);
    Party alice("alice", "127.0.0.1");
    const CallId call = alice.call(bob);
    AudioSource tone;
    tone.kind = AudioSource::Kind::Tone;
    tone.tone_hz = 1000;
    ASSERT_TRUE(alice.agent().set_source(call, tone));
    ASSERT_TRUE(alice.agent().record(call, file.string()));
    ASSERT_TRUE(alice.reaches(CallState::Confirmed));
    ASSERT_TRUE(bob.reaches(CallState::Confirmed));
    // Real time: on a busy machine not every half second is whole, of three seconds one is.
    for (Party* party : {&alice, &bob}) {
      EXPECT_TRUE(party->wait_for<CallStatistics>([](const auto& statistics) {
        return statistics.packets_received > 140 && statistics.packets_sent > 140;
      }));
    }
    ASSERT_TRUE(alice.agent().hold(call));
    EXPECT_TRUE(alice.wait_for<CallMediaChanged>([](const auto& e) { return e.held_by_us; }));
    EXPECT_TRUE(bob.wait_for<CallMediaChanged>([](const auto& e) { return e.held_by_peer; }));
    bob.forget_events();
    ASSERT_TRUE(alice.agent().resume(call));
    EXPECT_TRUE(bob.wait_for<CallMediaChanged>([](const auto& e) { return !e.held_by_peer; }));
    ASSERT_TRUE(alice.agent().hang_up(call));
    EXPECT_TRUE(alice.reaches(CallState::Ended));
    EXPECT_TRUE(bob.reaches(CallState::Ended));
  }
  EXPECT_GT(share_of_tone(file.string(), 1000), 0.9);
  std::filesystem::remove(file);
}

TEST(UserAgent, ErrorsAreValuesThatSayWhatIsWrong) {
  Party alice("alice", "127.0.0.3");
  struct Case {
    Result<void> result;
    ErrorCode code;
    const char* says;
  };
  AudioSource absent;
  absent.kind = AudioSource::Kind::File;
  absent.file = "/no/such/file.wav";
  const auto as_void = [](auto result) {
    return result ? Result<void>{} : Result<void>(tl::unexpected(result.error()));
  };
  const Case cases[] = {
      {alice.agent().hang_up(CallId{77}), ErrorCode::NotFound, "no call 77"},
      {as_void(alice.agent().call(AccountId{9}, "bob")), ErrorCode::NotFound, "no account 9"},
      {alice.agent().set_source(CallId{77}, absent), ErrorCode::Io, "/no/such/file.wav"},
      {as_void(alice.agent().add_account({})), ErrorCode::InvalidArgument, ""},
  };
  for (const Case& each : cases) {
    ASSERT_FALSE(each.result);
    EXPECT_EQ(each.result.error().code, each.code);
    EXPECT_THAT(each.result.error().detail, HasSubstr(each.says));
  }
  EXPECT_THROW(UserAgent({}, {}), std::invalid_argument);
  UserAgentConfig config;
  config.media.dscp = 64;
  try {
    const UserAgent agent(config, [](const Event&, TimePoint) {});
    ADD_FAILURE() << "a class of service has six bits";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("media.dscp must be 0 to 63"), std::string::npos);
  }
}

TEST(UserAgent, AThousandCommandsFromFourThreadsAllGetTheirAnswer) {
  Party bob("bob", "127.0.0.2", answer_with_echo);
  Party alice("alice", "127.0.0.1");
  const CallId call = alice.call(bob);
  ASSERT_TRUE(alice.reaches(CallState::Confirmed));
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 250; ++i) {
        switch ((t + i) % 5) {
          case 0: EXPECT_TRUE(alice.agent().mute(call, i % 2 == 0)); break;
          case 1: EXPECT_TRUE(alice.agent().set_source(call, {})); break;
          case 2: (void)alice.agent().hold(call); break;
          case 3: (void)alice.agent().resume(call); break;
          default: EXPECT_FALSE(alice.agent().answer(CallId{1'000'000})); break;
        }
        ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 1000);
  ASSERT_TRUE(alice.agent().hang_up(call));
  EXPECT_TRUE(alice.reaches(CallState::Ended));
  EXPECT_TRUE(bob.reaches(CallState::Ended));
}

TEST(UserAgent, DestroyedInMidCallItSaysBye) {
  Party bob("bob", "127.0.0.2", answer_with_echo);
  Party alice("alice", "127.0.0.1");
  alice.call(bob);
  ASSERT_TRUE(alice.reaches(CallState::Confirmed));
  ASSERT_TRUE(bob.wait_for<CallStatistics>([](const auto& s) { return s.packets_received > 0; }));
  alice.destroy();
  const std::size_t events = alice.count();
  EXPECT_TRUE(bob.reaches(CallState::Ended));
  EXPECT_EQ(alice.count(), events);  // Not one after the destructor.
}

TEST(UserAgent, HandlesAnIpChangeFromInsideItsEventHandler) {
  std::atomic<bool> asked{false};
  Party bob("bob", "127.0.0.2", answer_with_echo);
  Party alice("alice", "127.0.0.1", [&](UserAgent& agent, const Event& event) {
    const auto* statistics = std::get_if<CallStatistics>(&event);
    if (statistics == nullptr || statistics->packets_received == 0 || asked.exchange(true)) return;
    const auto generation = agent.handle_ip_change();
    EXPECT_TRUE(generation) << (generation ? "" : generation.error().detail);
  });
  const CallId call = alice.call(bob);
  const auto completed =
      alice.wait_for<IpChangeCompleted>([](const auto& e) { return !e.report.calls.empty(); });
  ASSERT_TRUE(completed);
  EXPECT_EQ(completed->report.calls[0].call, call);
  EXPECT_TRUE(completed->report.calls[0].survived);
  EXPECT_THAT(completed->report.causes, testing::Contains(ChangeCause::Forced));
  ASSERT_TRUE(alice.agent().hang_up(call));
  EXPECT_TRUE(bob.reaches(CallState::Ended));
}

TEST(UserAgent, ShutdownWaitsForAnswersButNotLongerThanTold) {
  Party bob("bob", "127.0.0.2", answer_with_echo);
  Party alice("alice", "127.0.0.1");
  alice.call(bob);
  ASSERT_TRUE(alice.reaches(CallState::Confirmed));
  const TimePoint start = io::now();
  alice.agent().shutdown(kLimit);
  EXPECT_LT(io::now() - start, kLimit / 2);  // Bob answers the BYE at once.
  EXPECT_TRUE(alice.reaches(CallState::Ended));
  EXPECT_FALSE(alice.agent().call(AccountId{1}, bob.uri()));

  // Nobody is there to answer this one.
  Party carol("carol", "127.0.0.3");
  const auto lost = carol.agent().call(
      AccountId{1}, "sip:x@127.0.0.4:" + std::to_string(free_port(IpAddress::v4(127, 0, 0, 4))));
  ASSERT_TRUE(lost);
  carol.agent().shutdown(std::chrono::milliseconds(20));
}

TEST(UserAgent, ACommandFromTheLogHandlerFailsInsteadOfCorruptingTheCore) {
  std::atomic<UserAgent*> agent{nullptr};
  std::atomic<int> refused{0};
  Party alice("alice", "127.0.0.3", {},
              [&](LogLevel, std::string_view component, std::string_view) {
                UserAgent* self = agent.load();
                if (self == nullptr || component != "ua") return;
                const auto result = self->hang_up(CallId{5});
                if (!result && result.error().code == ErrorCode::WrongState) ++refused;
              });
  agent = &alice.agent();
  // A datagram that is no SIP makes the core log a line in the middle of an input.
  auto socket = io::UdpSocket::bind({IpAddress::v4(127, 0, 0, 3), 0});
  ASSERT_TRUE(socket);
  const Endpoint target = *Endpoint::parse(alice.uri().substr(alice.uri().find('@') + 1));
  const TimePoint limit = io::now() + kLimit;
  while (refused == 0 && io::now() < limit) {
    // Repeated, as the listener may not be open yet.
    (void)socket->send(target, as_bytes("this is no SIP\r\n\r\n"));
    std::this_thread::yield();
  }
  EXPECT_GT(refused, 0);
  agent = nullptr;
  alice.destroy();
}

TEST(UserAgent, ManyComeAndGo) {
  for (int i = 0; i < 20; ++i) {
    Party alice("alice", "127.0.0.3");
    if (i % 2 == 0) (void)alice.agent().call(AccountId{1}, "sip:nobody@127.0.0.4:9");
  }
}

}  // namespace
}  // namespace godwit
