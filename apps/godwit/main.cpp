// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "godwit/version.hpp"
#include "help_format.hpp"

namespace godwit::app {
namespace {

/// The subcommand that was being parsed when an error came up, for the message; empty if none.
std::string chosen_command(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? std::string{} : chosen.front()->get_name();
}

/// One line, whatever the parser's message looked like.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

int run(int argc, char** argv) {
  CLI::App app{"Godwit: a SIP user agent that keeps its calls when the address changes", "godwit"};
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("godwit ") + kVersion);

  int status = kExitOk;
  add_phone_command(app, &status);
  add_serve_command(app, &status);
  add_demo_command(app, &status);
  add_lab_command(app, &status);

  // CLI11's own words would not name what was given.
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "help") {
    fmt::print("{}", app.help());
    return kExitOk;
  }
  constexpr std::string_view kCommands = "phone, serve, demo or lab";
  if (first.empty()) return usage_error("", fmt::format("say what to do: {}", kCommands));
  const auto known = app.get_subcommands([&](CLI::App* c) { return c->get_name() == first; });
  if (first.front() != '-' && known.empty()) {
    return usage_error("", fmt::format("\"{}\" is no command; there are {}",
                                       one_line(std::string(first.substr(0, 80))), kCommands));
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);
    return usage_error(chosen_command(app), one_line(error.what()));
  }
  return status;
}

}  // namespace

int usage_error(std::string_view command, std::string_view text) {
  const bool named = !command.empty();
  fmt::print(stderr, "godwit{}{}: {} (see godwit {}{}--help)\n", named ? " " : "", command, text,
             command, named ? " " : "");
  return kExitUsage;
}

}  // namespace godwit::app

int main(int argc, char** argv) {
  // A reader that goes away shows as an error of the write, not as the process's death.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return godwit::app::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "godwit: {}\n", error.what());
    return godwit::app::kExitFailed;
  }
}
