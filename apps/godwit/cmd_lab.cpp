// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "commands.hpp"

namespace godwit::app {

void add_lab_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "lab", "The demo's network, many moves per scenario, figures beside their limits");
  command->callback([status] {
    fmt::print(stderr, "godwit lab: not in this version yet\n");
    *status = kExitFailed;
  });
}

}  // namespace godwit::app
