// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "commands.hpp"

namespace godwit::app {

void add_serve_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "serve", "A registrar and proxy with echo and tone parties, for trying things out");
  command->callback([status] {
    fmt::print(stderr, "godwit serve: not in this version yet\n");
    *status = kExitFailed;
  });
}

}  // namespace godwit::app
