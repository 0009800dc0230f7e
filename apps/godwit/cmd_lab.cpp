// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "lab/netns.hpp"
#include "lab/report.hpp"
#include "lab/scenario.hpp"
#include "lab/ticker.hpp"
#include "scenario_flags.hpp"

namespace godwit::app {
namespace {

struct LabFlags {
  lab::ScenarioOptions common;
  std::vector<std::string> servers{"embedded", "kamailio"};
  std::vector<std::string> families{"4", "6"};
  std::vector<std::string> triggers{"address-lost"};
  std::vector<std::string> transports{"udp"};
  bool json = false;
  bool verbose = false;
};

std::string name_of(const lab::ScenarioOptions& options) {
  return fmt::format("{}, IPv{}, {}, {}, RTT {:g} ms{}", lab::to_string(options.signalling),
                     to_string(options.families), to_string(options.server),
                     to_string(options.trigger), to_ms(options.rtt),
                     options.loss > 0 ? fmt::format(", loss {:g} %", options.loss * 100) : "");
}

/// One scenario, told of as it ends; its exit status.
int run_one(const lab::ScenarioOptions& options, const LabFlags& flags) {
  lab::Ticker ticker(stderr);
  const auto outcome =
      lab::run_scenario(options, flags.verbose ? ticker.observer() : ticker.quiet_observer());
  ticker.clear();
  if (!outcome) {
    fmt::print(stderr, "godwit lab: {}: {}\n", name_of(options), outcome.error().detail);
    return kExitFailed;
  }
  bool passed = true;
  for (const auto& one : lab::by_direction(*outcome)) {
    passed = passed && one.passed();
    if (flags.json) {
      fmt::print("{}\n", lab::to_json(one).dump());
      continue;
    }
    fmt::print("\n{}: {} moves\n{}", name_of(one.options), one.moves.size(), lab::table(one));
    for (const auto& line : lab::complaints(one)) fmt::print("{}\n", line);
    fmt::print("{}\n", one.passed() ? "PASS" : "FAIL");
  }
  std::fflush(stdout);
  return passed ? kExitOk : kExitFailed;
}

std::vector<lab::ScenarioOptions> scenarios(const LabFlags& flags) {
  std::vector<lab::ScenarioOptions> all;
  for (const auto& transport : flags.transports) {
    for (const auto& server : flags.servers) {
      for (const auto& families : flags.families) {
        for (const auto& trigger : flags.triggers) {
          lab::ScenarioOptions options = flags.common;
          options.signalling = signalling_of(transport);
          options.server =
              server == "kamailio" ? lab::ServerKind::Kamailio : lab::ServerKind::Embedded;
          options.families = families_of(families);
          options.trigger = trigger == "fading" ? lab::Trigger::Fading : lab::Trigger::AddressLost;
          all.push_back(options);
        }
      }
    }
  }
  return all;
}

int run_lab(const LabFlags& flags) {
  if (const auto prepared = lab::NetNs::prepare_process(); !prepared) {
    fmt::print(stderr, "godwit lab: no network namespaces: {}\n", prepared.error().detail);
    return kExitFailed;
  }
  int status = kExitOk;
  for (const auto& options : scenarios(flags)) {
    if (lab::Ticker::interrupted()) return kExitFailed;
    if (run_one(options, flags) != kExitOk) status = kExitFailed;
  }
  return status;
}

}  // namespace

void add_lab_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "lab", "The demo's network, many moves per scenario, figures beside their limits");
  auto flags = std::make_shared<LabFlags>();
  flags->common.moves = 10;
  command->add_option("--server", flags->servers, "Only these servers")
      ->check(CLI::IsMember({"embedded", "kamailio"}))
      ->option_text("embedded|kamailio [both]");
  command
      ->add_option("--family", flags->families,
                   "Only these address families of the phone; 4-6: each move changes it")
      ->check(CLI::IsMember({"4", "6", "4-6"}))
      ->option_text("4|6|4-6 [4 6]");
  command
      ->add_option("--trigger", flags->triggers,
                   "address-lost: the kernel tells; fading: a link carries nothing any more, and "
                   "nobody tells")
      ->check(CLI::IsMember({"address-lost", "fading"}))
      ->option_text("address-lost|fading [address-lost]");
  command->add_option("--transport", flags->transports, "What the phone speaks to its server")
      ->check(CLI::IsMember({"udp", "tcp", "tls"}))
      ->option_text("udp|tcp|tls [udp]");
  command->add_option("--moves", flags->common.moves, "Moves per scenario, 1 to 1000")
      ->type_name("N")
      ->check(CLI::Range(1, 1000).description(""))
      ->capture_default_str();
  add_span_flag(*command, "--jitter", &flags->common.jitter,
                "Added to the delay, uniform from 0, each way");
  command->add_flag("--json", flags->json, "One JSON object per scenario on standard output");
  command->add_flag("-v,--verbose", flags->verbose, "Tell what happens, on standard error");
  add_network_flags(*command, &flags->common);
  command->callback([flags, status] { *status = run_lab(*flags); });
}

}  // namespace godwit::app
