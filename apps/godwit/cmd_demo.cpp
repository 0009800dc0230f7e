// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "commands.hpp"

namespace godwit::app {

void add_demo_command(CLI::App& app, int* status) {
  CLI::App* command =
      app.add_subcommand("demo", "A call that keeps its audio while the phone's address changes");
  command->callback([status] {
    fmt::print(stderr, "godwit demo: not in this version yet\n");
    *status = kExitFailed;
  });
}

}  // namespace godwit::app
