// SPDX-License-Identifier: Apache-2.0
#include "scenario_flags.hpp"

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace godwit::app {
namespace {

std::optional<Duration> parse_span(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return {};
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit == "s") {
    number *= 1000;
  } else if (!unit.empty() && unit != "ms") {
    return {};
  }
  if (!(number >= 0 && number <= 10'000)) return {};
  return Duration{static_cast<Duration::rep>(number * 1e6)};
}

}  // namespace

lab::Signalling signalling_of(const std::string& transport) {
  if (transport == "tcp") return lab::Signalling::Tcp;
  return transport == "tls" ? lab::Signalling::Tls : lab::Signalling::Udp;
}

lab::Families families_of(const std::string& name) {
  const auto one = [](char digit) { return digit == '6' ? Family::V6 : Family::V4; };
  return {one(name.front()), one(name.back())};
}

CLI::Option* add_span_flag(CLI::App& command, const std::string& flag, Duration* span,
                           const std::string& help) {
  const auto read = [flag, span](const std::string& text) {
    const auto parsed = parse_span(text);
    if (!parsed) {
      throw CLI::ValidationError(
          flag, fmt::format("'{}' is no time from 0 to 10s such as 50ms or 0.05s", text));
    }
    *span = *parsed;
  };
  return command.add_option_function<std::string>(flag, read, help)
      ->type_name("TIME")
      ->default_str(fmt::format("{:g}ms", to_ms(*span)));
}

void add_network_flags(CLI::App& command, lab::ScenarioOptions* options) {
  add_span_flag(command, "--rtt", &options->rtt, "Round trip between the phone and everybody else");
  add_span_flag(command, "--slack", &options->slack,
                "Allow this much more silence than the goal, on a machine with other work");
  command.add_option("--loss", options->loss, "Share of packets lost each way, from 0 to 0.5")
      ->type_name("SHARE")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.5).description(""));
  command
      .add_option("--seed", options->seed,
                  "Of the random choices (the moments of the moves, loss, jitter)")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--pcap", options->pcap_directory,
                  "Write phone.pcap and far.pcap into this directory")
      ->type_name("DIR")
      ->check(CLI::Validator(CLI::ExistingDirectory).description(""));
}

}  // namespace godwit::app
