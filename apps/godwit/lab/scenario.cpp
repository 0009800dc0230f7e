// SPDX-License-Identifier: Apache-2.0
#include "lab/scenario.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "base/random.hpp"
#include "lab/capture.hpp"
#include "lab/certificate.hpp"
#include "lab/clock.hpp"
#include "lab/kamailio.hpp"
#include "lab/network.hpp"
#include "lab/party.hpp"
#include "lab/udp.hpp"

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

constexpr Duration kStartLimit = 10s;       ///< For a party to come up, register, or be called.
constexpr Duration kWarmUp = 1s;            ///< Audio before the first move.
constexpr Duration kRecoveryLimit = 10s;    ///< After it a move counts as not completed.
constexpr Duration kObserve = 3s;           ///< Each move is watched at least this long …
constexpr Duration kObserveAfter = 1200ms;  ///< … and this long after it was completed.
constexpr Duration kBetweenMoves = 600ms;   ///< After the lost address was given back.
constexpr Duration kAudioTick = 250ms;
constexpr const char* kServerName = "sip.lab.test";
constexpr const char* kPhoneUser = "alice";
constexpr const char* kPhonePassword = "flies-far";
constexpr const char* kCalleeUser = "bob";
constexpr const char* kCalleePassword = "stays-put";

Result<std::string> make_temporary_directory() {
  std::string name = std::filesystem::temp_directory_path() / "godwit-lab-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return system_error(name);
  return name;
}

Result<void> write_private_file(const std::string& file, const std::string& text) {
  std::ofstream out(file);
  std::filesystem::permissions(
      file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  out << text;
  if (!out.flush()) return fail(ErrorCode::Io, "cannot write " + file);
  return {};
}

std::string joined(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) {
    text += (text.empty() ? "" : " and ") + address.to_string();
  }
  return text;
}

class Run {
 public:
  Run(const ScenarioOptions& options, const ScenarioObserver& observer)
      : options_(options), observer_(observer), random_(options.seed) {
    outcome_.options = options;
    outcome_.limits = limits_for(options.rtt, options.signalling, options.trigger, options.loss);
    // The peer's address of the other family comes with its answer.
    if (options.families.differ()) outcome_.limits.silence_up = outcome_.limits.silence_down;
    if (options.hold_each_move) outcome_.limits.each_move = 10ms;
    outcome_.limits.add_slack(options.slack);
  }
  ~Run() {
    if (keep_logs_ || directory_.empty()) return;
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  Result<Outcome> go() {
    auto directory = make_temporary_directory();
    if (!directory) return tl::unexpected(directory.error());
    directory_ = *directory;
    NetworkOptions network;
    network.families = options_.families;
    network.rtt = options_.rtt;
    network.jitter = options_.jitter;
    network.loss = options_.loss;
    network.seed = options_.seed;
    auto made = Network::create(network);
    if (!made) return fail(ErrorCode::Unsupported, made.error().detail);
    network_ = std::move(*made);
    outcome_.link = network_->uses_tun() ? "tun" : "veth";

    if (auto done = play(); !done) outcome_.failures.push_back(done.error().detail);
    end_parties();
    judge();
    if (!outcome_.passed()) {
      keep_logs_ = true;
      outcome_.log_directory = directory_;
    }
    return outcome_;
  }

 private:
  Result<void> play() {
    if (options_.loss == 0) {
      auto rtt = network_->measure_rtt();
      if (!rtt) return tl::unexpected(rtt.error());
      outcome_.measured_rtt = *rtt;
      say(fmt::format(
          "network: phone on wifi {} and lte {}, server {}, callee {}; measured RTT "
          "{:.2f} ms over {}",
          network_->access(0).address.to_string(), network_->access(1).address.to_string(),
          joined(servers()), joined(callees()), to_ms(*rtt), outcome_.link));
    }
    if (auto r = capture_.start(network_->phone(), network_->far(), options_.pcap_directory); !r) {
      return r;
    }
    if (auto r = start_server(); !r) return r;
    if (auto r = start_phone(&callee_, "callee"); !r) return r;
    if (auto r = start_phone(&phone_, "phone"); !r) return r;
    phone_->command("call sip:" + std::string(kCalleeUser) + "@" + host());
    if (auto r = need([&] { return call_up(); }, kStartLimit, "the call was not answered"); !r) {
      return r;
    }
    if (auto r = pause(kWarmUp); !r) return r;
    for (int number = 1; number <= options_.moves; ++number) {
      if (auto r = make_move(number); !r) return r;
    }
    phone_->command("hangup");
    return need([&] { return phone_->call_state == "ended" && callee_->call_state == "ended"; },
                kStartLimit, "hanging up did not end the call on both sides");
  }

  /// Of the phone's families, in the order of its accesses.
  std::vector<IpAddress> servers() const { return in_families(Network::server); }
  std::vector<IpAddress> callees() const { return in_families(Network::callee); }
  std::vector<IpAddress> in_families(IpAddress (*of)(Family)) const {
    std::vector<IpAddress> found{of(options_.families.wifi)};
    if (options_.families.differ()) found.push_back(of(options_.families.lte));
    return found;
  }

  /// Only a name is at home in both families.
  std::string host() const {
    return options_.families.differ() ? kServerName : servers().front().to_uri_host();
  }

  Result<void> start_server() {
    ChildOptions child;
    const bool streams = options_.signalling != Signalling::Udp;
    Certificate certificate;
    if (streams) {
      auto made = make_certificate(directory_, servers(), kServerName, network_->far());
      if (!made) return tl::unexpected(made.error());
      certificate = std::move(*made);
      trusted_ = certificate.file;
    }
    if (options_.server == ServerKind::Kamailio) {
      const std::string config = directory_ + "/kamailio.cfg";
      KamailioOptions kamailio;
      kamailio.listen = servers();
      kamailio.name = kServerName;
      kamailio.streams = streams;
      if (streams) {
        kamailio.tls_config_file = directory_ + "/tls.cfg";
        const std::string tls = kamailio_tls_config(certificate);
        if (auto r = write_private_file(kamailio.tls_config_file, tls); !r) return r;
      }
      kamailio.users = {{kPhoneUser, kPhonePassword}, {kCalleeUser, kCalleePassword}};
      if (auto r = write_private_file(config, kamailio_config(kamailio)); !r) return r;
      auto command = kamailio_command(config, directory_);
      if (!command) return tl::unexpected(command.error());
      child.command = *command;
      child.contain = true;
    } else {
      child.command = {self(),
                       "serve",
                       "--domain",
                       kServerName,
                       "--events",
                       "json",
                       "--challenge-calls",
                       "--user",
                       fmt::format("{}:{}", kPhoneUser, kPhonePassword),
                       "--user",
                       fmt::format("{}:{}", kCalleeUser, kCalleePassword)};
      for (const auto& address : servers()) {
        const std::string host = address.to_string();
        child.command.insert(child.command.end(), {"--listen", host});
        if (!streams) continue;
        child.command.insert(child.command.end(), {"--listen-tcp", host, "--listen-tls", host});
      }
      if (streams) {
        child.command.insert(child.command.end(), {"--tls-certificate", certificate.file,
                                                   "--tls-key", certificate.key_file});
      }
    }
    auto started = Party::start("server", network_->far(), child, directory_ + "/server.log");
    if (!started) return tl::unexpected(started.error());
    server_ = std::move(*started);
    // Asked from outside, for Kamailio prints no event; the embedded one must pass the same test.
    return need([&] { return answers_options(); }, kStartLimit, "the server did not come up");
  }

  /// Sends OPTIONS from the callee's address at most every 50 ms; true once anything comes back.
  bool answers_options() {
    if (!probe_) {
      auto socket = open_udp(network_->far(), {callees().front(), 5999});
      if (!socket) return false;
      probe_ = std::move(*socket);
    }
    char buffer[2048];
    if (::recv(probe_.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
      probe_.reset();
      return true;
    }
    if (boot_now() < next_probe_) return false;
    next_probe_ = boot_now() + 50ms;
    ++probes_;
    const std::string us = Endpoint{callees().front(), 5999}.to_string();
    const std::string text = fmt::format(
        "OPTIONS sip:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {1};branch=z9hG4bKprobe{2}\r\n"
        "From: <sip:probe@{0}>;tag=probe\r\nTo: <sip:{0}>\r\nCall-ID: probe{2}\r\n"
        "CSeq: {2} OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n",
        host(), us, probes_);
    const SocketAddress to = to_sockaddr({servers().front(), 5060});
    ::sendto(probe_.get(), text.data(), text.size(), 0,
             reinterpret_cast<const sockaddr*>(&to.storage), to.length);
    return false;
  }

  Result<void> start_phone(std::unique_ptr<Party>* party, const std::string& name) {
    const bool callee = name == "callee";
    const std::string user = callee ? kCalleeUser : kPhoneUser;
    const std::string secret_file = directory_ + "/" + name + ".password";
    if (auto r = write_private_file(secret_file, callee ? kCalleePassword : kPhonePassword); !r) {
      return r;
    }
    ChildOptions child;
    if (options_.families.differ()) {
      child.hosts_file = directory_ + "/hosts";
      std::string hosts = "127.0.0.1 localhost\n";
      for (const auto& address : servers()) {
        hosts += fmt::format("{} {}\n", address.to_string(), kServerName);
      }
      if (auto r = write_private_file(child.hosts_file, hosts); !r) return r;
    }
    child.command = {self(),
                     "phone",
                     "--account",
                     fmt::format("sip:{}@{}", user, host()),
                     "--registrar",
                     "sip:" + host(),
                     "--proxy",
                     "sip:" + host(),
                     "--user",
                     user,
                     "--password-file",
                     secret_file,
                     "--sip-port",
                     "5060",
                     "--events",
                     "json",
                     "--source",
                     callee ? "tone:330" : "tone:440"};
    if (callee) {
      child.command.insert(child.command.end(), {"--auto-answer", "--no-latch"});
      for (const auto& address : callees()) {
        child.command.insert(child.command.end(), {"--bind", address.to_string()});
      }
    } else {
      child.command.insert(child.command.end(), {"--transport", to_string(options_.signalling)});
      if (!trusted_.empty()) child.command.insert(child.command.end(), {"--tls-ca", trusted_});
    }
    NetNs& ns = callee ? network_->far() : network_->phone();
    auto started = Party::start(name, ns, child, directory_ + "/" + name + ".log");
    if (!started) return tl::unexpected(started.error());
    *party = std::move(*started);
    Party& started_party = **party;
    return need([&] { return started_party.registered; }, kStartLimit,
                "the " + name + " did not register", &started_party);
  }

  Result<void> make_move(int number) {
    const Access& from = network_->access(number % 2 == 1 ? 0 : 1);
    const Access& to = network_->access(number % 2 == 1 ? 1 : 0);
    // Anywhere within a packet time, so that figures do not depend on one phase.
    if (auto r = pause(Duration{random_.between(0, 20'000'000)}); !r) return r;
    const int completed_before = phone_->changes_completed;
    say(fmt::format("move {}: {} {} -> {} {}", number, from.name, from.address.to_string(), to.name,
                    to.address.to_string()));
    network_->take_worst_lateness();
    const bool fades = options_.trigger == Trigger::Fading;
    const Result<MoveTimes> times =
        fades ? MoveTimes{network_->fade(from), std::nullopt} : network_->move(from, to);
    if (!times) return tl::unexpected(times.error());

    MoveResult result;
    result.move.number = number;
    result.move.from = from.name;
    result.move.to = to.name;
    result.move.old_address = from.address;
    result.move.new_address = to.address;
    result.move.peers = callees();
    result.move.t0 = times->before;
    result.move.signalling = options_.signalling;
    result.move.kernel_notice = times->notice;
    if (times->notice) result.kernel_notice = *times->notice - times->before;
    wait([&] { return phone_->changes_completed > completed_before; }, kRecoveryLimit);
    const TimePoint enough = std::max(times->before + kObserve, boot_now() + kObserveAfter);
    if (auto r = pause(enough - boot_now()); !r) return r;
    result.move.end = boot_now();
    result.move.call_up = call_up();
    result.link_lateness = network_->take_worst_lateness();
    result.move.told_registered = phone_->contact_updated;
    result.move.told_answered = phone_->call_refreshed;
    const auto& changes = phone_->changes_detected;
    const auto change = std::find_if(changes.begin(), changes.end(),
                                     [&](TimePoint at) { return at >= times->before; });
    if (change != changes.end()) result.move.detected = *change;
    outcome_.moves.push_back(std::move(result));
    if (auto r = fades ? network_->mend(from, to) : network_->give_back(from); !r) return r;
    return pause(kBetweenMoves);
  }

  bool call_up() const {
    return phone_->call_state == "confirmed" && callee_->call_state == "confirmed";
  }

  /// Ends the parties, newest first: the server outlives those that take their leave from it.
  void end_parties() {
    for (auto* party : {&phone_, &callee_}) {
      if (*party) (*party)->command("quit");
    }
    wait([&] { return (!phone_ || !phone_->running()) && (!callee_ || !callee_->running()); }, 3s);
    for (auto* party : {&phone_, &callee_, &server_}) {
      if (*party) (*party)->stop();
    }
    capture_.stop();
  }

  void judge() {
    const auto packets = capture_.packets();
    std::vector<MoveFigures> figures;
    for (auto& result : outcome_.moves) {
      result.figures = analyse(packets, result.move);
      result.failures = failures(result.figures, outcome_.limits);
      if (!result.failures.empty() && result.link_lateness > kTrustedLateness) {
        result.failures.push_back(
            fmt::format("and the machine was busy: the link itself was up to {:.1f} ms late",
                        to_ms(result.link_lateness)));
      }
      figures.push_back(result.figures);
    }
    outcome_.summary = summary(figures);
    if (!options_.families.differ()) {
      for (auto& why : failures(outcome_.summary, outcome_.limits)) {
        outcome_.failures.push_back(std::move(why));
      }
    }
    if (capture_.missed() != 0) {
      outcome_.failures.push_back(
          fmt::format("{} packets escaped the capture: the figures are void", capture_.missed()));
    }
    const LinkCounters link = network_->counters();
    say(fmt::format("link: {} packets carried, {} lost on purpose, {} without a destination",
                    link.forwarded, link.lost, link.no_route));
  }

  /// Handles what the parties say until `done`; false after `limit`, an interrupt or a death.
  bool wait(const std::function<bool()>& done, Duration limit) {
    const TimePoint deadline = boot_now() + limit;
    for (;;) {
      if (done()) return true;
      const TimePoint now = boot_now();
      if (now >= deadline || interrupted()) return false;
      tick_audio(now);
      std::vector<pollfd> watched;
      for (auto* party : {&phone_, &callee_, &server_}) {
        if (*party) watched.push_back({(*party)->output_fd(), POLLIN, 0});
      }
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now);
      ::poll(watched.data(), watched.size(), static_cast<int>(std::min(left, 10ms).count()));
      bool any = false;
      for (auto* party : {&phone_, &callee_, &server_}) {
        if (!*party) continue;
        any = (*party)->read_lines([this](Party& who, const nlohmann::json& event) {
          if (const auto line = describe(event); !line.empty()) say(who.name() + ": " + line);
        }) || any;
      }
      // A closed pipe polls as ready for ever.
      if (!any) std::this_thread::sleep_for(1ms);
    }
  }

  Result<void> need(const std::function<bool()>& done, Duration limit, const std::string& otherwise,
                    const Party* party = nullptr) {
    bool is_done = false;
    wait([&] { return (is_done = done()) || dead_party() != nullptr; }, limit);
    if (is_done) return {};
    if (interrupted()) return fail(ErrorCode::Timeout, "interrupted");
    if (Party* dead = dead_party(); dead != nullptr) {
      return fail(ErrorCode::WrongState, fmt::format("the {} ended by itself", dead->name()));
    }
    const Party* who = party != nullptr ? party : phone_.get();
    const std::string detail = who != nullptr ? who->last_complaint : std::string{};
    return fail(ErrorCode::Timeout, detail.empty() ? otherwise : otherwise + ": " + detail);
  }

  Result<void> pause(Duration duration) {
    const TimePoint end = boot_now() + duration;
    return need([&] { return boot_now() >= end; }, duration + 1s, "");
  }

  Party* dead_party() {
    for (auto* party : {&phone_, &callee_, &server_}) {
      if (*party && !(*party)->running()) return party->get();
    }
    return nullptr;
  }

  bool interrupted() const { return observer_.interrupted && observer_.interrupted(); }

  void say(const std::string& line) const {
    if (observer_.happened) observer_.happened(boot_now() - started_, line);
  }

  void tick_audio(TimePoint now) {
    if (!observer_.audio || now < last_tick_ + kAudioTick) return;
    const auto down = capture_.rtp_arrived(Place::Phone);
    const auto up = capture_.rtp_arrived(Place::Far);
    const double seconds = to_ms(now - last_tick_) / 1000;
    observer_.audio(now - started_, static_cast<double>(down - last_down_) / seconds,
                    static_cast<double>(up - last_up_) / seconds);
    last_tick_ = now;
    last_down_ = down;
    last_up_ = up;
  }

  static std::string self() { return std::filesystem::read_symlink("/proc/self/exe"); }

  const ScenarioOptions& options_;
  const ScenarioObserver& observer_;
  SeededRandom random_;
  const TimePoint started_ = boot_now();
  Outcome outcome_;
  std::string directory_;
  std::string trusted_;  ///< The server's certificate; empty without TLS.
  bool keep_logs_ = false;
  std::unique_ptr<Network> network_;
  Capture capture_;
  std::unique_ptr<Party> server_;
  std::unique_ptr<Party> callee_;
  std::unique_ptr<Party> phone_;
  Fd probe_;
  TimePoint next_probe_{};
  int probes_ = 0;
  TimePoint last_tick_ = started_;
  std::uint64_t last_down_ = 0;
  std::uint64_t last_up_ = 0;
};

}  // namespace

const char* to_string(ServerKind kind) {
  switch (kind) {
    case ServerKind::Embedded: return "embedded";
    case ServerKind::Kamailio: return "kamailio";
  }
  return "?";
}

std::string to_string(const Families& families) {
  const char* wifi = families.wifi == Family::V6 ? "6" : "4";
  const char* lte = families.lte == Family::V6 ? "6" : "4";
  return families.differ() ? fmt::format("{}-{}", wifi, lte) : wifi;
}

std::vector<Outcome> by_direction(const Outcome& outcome) {
  if (!outcome.options.families.differ()) return {outcome};
  std::vector<Outcome> both(2, outcome);
  std::swap(both[1].options.families.wifi, both[1].options.families.lte);
  for (std::size_t i = 0; i < both.size(); ++i) {
    Outcome& one = both[i];
    std::erase_if(one.moves, [&](const MoveResult& move) {
      return move.move.old_address.family() != one.options.families.wifi;
    });
    std::vector<MoveFigures> figures;
    for (const auto& move : one.moves) figures.push_back(move.figures);
    one.summary = summary(figures);
    for (auto& why : failures(one.summary, one.limits)) one.failures.push_back(std::move(why));
  }
  // Of a run with a single move one direction has none.
  std::erase_if(both, [](const Outcome& one) { return one.moves.empty() && one.failures.empty(); });
  return both;
}

bool Outcome::passed() const {
  return failures.empty() && !moves.empty() &&
         std::all_of(moves.begin(), moves.end(), [](const auto& m) { return m.failures.empty(); });
}

Result<Outcome> run_scenario(const ScenarioOptions& options, const ScenarioObserver& observer) {
  return Run(options, observer).go();
}

}  // namespace godwit::lab
