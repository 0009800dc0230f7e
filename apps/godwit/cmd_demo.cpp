// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "commands.hpp"
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
  int family = 4;
  bool json = false;
};

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
  fmt::print(out, "{}: {} server, IPv{}, RTT {:g} ms, UDP, peer that does not latch\n",
             outcome.passed() ? "PASS" : "FAIL", to_string(outcome.options.server),
             outcome.options.family == Family::V6 ? 6 : 4, to_ms(outcome.options.rtt));
}

int run_demo(DemoFlags flags) {
  flags.scenario.family = flags.family == 6 ? Family::V6 : Family::V4;
  flags.scenario.server =
      flags.server == "kamailio" ? lab::ServerKind::Kamailio : lab::ServerKind::Embedded;
  // Before anything else, while this process has one thread.
  const auto prepared = lab::NetNs::prepare_process();
  lab::Ticker ticker(flags.json ? stderr : stdout);
  auto outcome = prepared
                     ? lab::run_scenario(flags.scenario, ticker.observer())
                     : Result<lab::Outcome>(fail(ErrorCode::Unsupported, prepared.error().detail));
  ticker.clear();
  if (!outcome) {
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
  command->add_option("--family", flags->family, "Of the phone's addresses")
      ->check(CLI::IsMember({4, 6}))
      ->option_text("4|6 [4]");
  command->add_option("--moves", flags->scenario.moves, "From wifi to lte, back, and so on")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--json", flags->json,
                    "One JSON object on standard output; all else on standard error");
  add_network_flags(*command, &flags->scenario);
  command->callback([flags, status] { *status = run_demo(*flags); });
}

}  // namespace godwit::app
