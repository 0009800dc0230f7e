// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "commands.hpp"

namespace godwit::app {

void add_phone_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "phone", "A softphone: register, call, answer, and stay reachable wherever the address goes");
  command->callback([status] {
    fmt::print(stderr, "godwit phone: not in this version yet\n");
    *status = kExitFailed;
  });
}

}  // namespace godwit::app
