// SPDX-License-Identifier: Apache-2.0
//
// The subcommands of the program `godwit`, one file cmd_*.cpp each. Every add_* function puts its
// subcommand and flags into `app`; when that subcommand was chosen its callback runs after parsing
// and stores the process's exit status in `*status`: 0 done, 1 failed, 2 wrong flag or file.
#pragma once

#include <string_view>

#include <CLI/CLI.hpp>

namespace godwit::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

void add_phone_command(CLI::App& app, int* status);
void add_serve_command(CLI::App& app, int* status);
void add_demo_command(CLI::App& app, int* status);
void add_lab_command(CLI::App& app, int* status);

/// Prints "godwit COMMAND: text" as one line on standard error and returns kExitUsage; for a flag's
/// value or a file that only the command itself can judge. `text` names the flag or file.
int usage_error(std::string_view command, std::string_view text);

}  // namespace godwit::app
