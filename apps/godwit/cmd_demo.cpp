// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "degraded_demo.hpp"
#include "lab/netns.hpp"
#include "lab/report.hpp"
#include "lab/scenario.hpp"
#include "lab/ticker.hpp"
#include "scenario_flags.hpp"

namespace godwit::app {
namespace {

struct DemoFlags {
  lab::ScenarioOptions scenario;
  std::string server = "embedded";
  std::string transport = "udp";
  std::string family = "4";
  bool json = false;
  bool degraded = false;
};

/// The call was kept, but what the demo is about was not shown.
constexpr int kExitDegraded = 3;

/// The end of every party's log, for a run that failed.
void print_logs(const std::string& directory) {
  constexpr std::size_t kTail = 1500;
  for (const char* name : {"server", "callee", "phone"}) {
    const std::string file = fmt::format("{}/{}.log", directory, name);
    std::ifstream in(file);
    if (!in) continue;
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (text.size() > kTail) text = "… " + text.substr(text.size() - kTail);
    fmt::print(stderr, "--- {}\n{}\n", file, text);
  }
}

void print_outcome(const lab::Outcome& outcome, std::FILE* out) {
  fmt::print(out, "\n");
  if (!outcome.moves.empty()) fmt::print(out, "{}\n", lab::table(outcome));
  for (const auto& line : lab::complaints(outcome)) fmt::print(out, "{}\n", line);
  fmt::print(out, "{}: {} server, IPv{}, RTT {:g} ms, {}, peer that does not latch\n",
             outcome.passed() ? "PASS" : "FAIL", to_string(outcome.options.server),
             to_string(outcome.options.families), to_ms(outcome.options.rtt),
             lab::to_string(outcome.options.signalling));
}

/// Loopback only: shows that a call can be moved, proves nothing about networks.
int run_degraded(const DemoFlags& flags, const std::string& why) {
  constexpr const char* kUnproven =
      "detection, delay and the loss of a path; its figures are the phone's own";
  std::FILE* out = flags.json ? stderr : stdout;
  fmt::print(out,
             "Not in network namespaces: {}.\n"
             "Instead, on 127.0.0.x with the embedded server, without a delay.\n"
             "That cannot prove {}.\n",
             why, kUnproven);
  const auto outcome = run_degraded_demo(
      flags.scenario.moves,
      [out](const std::string& line) {
        fmt::print(out, "  {}\n", line);
        std::fflush(out);
      },
      &lab::Ticker::interrupted);
  const bool kept = outcome && outcome->call_kept;
  if (!outcome) fmt::print(stderr, "godwit demo: {}\n", outcome.error().detail);
  nlohmann::ordered_json json;
  json["result"] = kept ? "degraded" : "FAIL";
  json["why"] = why;
  json["not_proven"] = kUnproven;
  json["server"] = to_string(lab::ServerKind::Embedded);
  json["moves"] = nlohmann::json::array();
  if (outcome) {
    for (const auto& report : outcome->moves) {
      json["moves"].push_back(nlohmann::ordered_json::parse(report.to_json()));
    }
  }
  if (flags.json) fmt::print("{}\n", json.dump());
  fmt::print(out, "{}\n", kept ? "degraded: the call was kept, on loopback addresses" : "FAIL");
  return kept ? kExitDegraded : kExitFailed;
}

int run_demo(DemoFlags flags) {
  flags.scenario.families = families_of(flags.family);
  flags.scenario.hold_each_move = true;
  flags.scenario.signalling = signalling_of(flags.transport);
  flags.scenario.server =
      flags.server == "kamailio" ? lab::ServerKind::Kamailio : lab::ServerKind::Embedded;
  lab::Ticker ticker(flags.json ? stderr : stdout);
  if (flags.degraded) return run_degraded(flags, "as asked by --degraded");
  // Before anything else, while this process has one thread.
  if (const auto prepared = lab::NetNs::prepare_process(); !prepared) {
    return run_degraded(flags, prepared.error().detail);
  }
  const auto outcome = lab::run_scenario(flags.scenario, ticker.observer());
  ticker.clear();
  if (!outcome) {
    if (outcome.error().code == ErrorCode::Unsupported) {
      return run_degraded(flags, outcome.error().detail);
    }
    fmt::print(stderr, "godwit demo: {}\n", outcome.error().detail);
    return kExitFailed;
  }
  if (!outcome->log_directory.empty()) print_logs(outcome->log_directory);
  print_outcome(*outcome, flags.json ? stderr : stdout);
  if (flags.json) fmt::print("{}\n", lab::to_json(*outcome).dump());
  return outcome->passed() ? kExitOk : kExitFailed;
}

}  // namespace

void add_demo_command(CLI::App& app, int* status) {
  CLI::App* command =
      app.add_subcommand("demo", "A call that keeps its audio while the phone's address changes");
  auto flags = std::make_shared<DemoFlags>();
  command->add_option("--server", flags->server, "Registrar and proxy: godwit serve, or Kamailio")
      ->check(CLI::IsMember({"embedded", "kamailio"}))
      ->option_text("embedded|kamailio [embedded]");
  command->add_option("--transport", flags->transport, "What the phone speaks to its server")
      ->check(CLI::IsMember({"udp", "tcp", "tls"}))
      ->option_text("udp|tcp|tls [udp]");
  command
      ->add_option("--family", flags->family, "Of the phone's addresses; 4-6: each move changes it")
      ->check(CLI::IsMember({"4", "6", "4-6"}))
      ->option_text("4|6|4-6 [4]");
  command
      ->add_option("--moves", flags->scenario.moves, "From wifi to lte, back, and so on; 1 to 1000")
      ->type_name("N")
      ->check(CLI::Range(1, 1000).description(""))
      ->capture_default_str();
  command->add_flag("--json", flags->json,
                    "One JSON object on standard output; all else on standard error");
  command->add_flag("--degraded", flags->degraded,
                    "As where namespaces are not allowed: loopback addresses, nothing measured");
  command->footer("Exit status: 0 PASS, 1 FAIL, 2 wrong flag, 3 degraded.");
  add_network_flags(*command, &flags->scenario);
  command->callback([flags, status] { *status = run_demo(*flags); });
}

}  // namespace godwit::app
