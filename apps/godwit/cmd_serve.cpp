// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "commands.hpp"
#include "serve.hpp"
#include "serve_settings.hpp"

namespace godwit::app {

void add_serve_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "serve", "A registrar and proxy with echo and tone parties, for trying things out");
  // CLI11 keeps pointers into it.
  auto flags = std::make_shared<ServeFlags>(*command);
  command->callback([flags, status] {
    auto settings = flags->take();
    if (!settings) {
      *status = usage_error("serve", settings.error().detail);
      return;
    }
    auto trace = open_trace(settings->sip_trace);
    *status = trace ? Serve(std::move(*settings), std::move(*trace)).run()
                    : usage_error("serve", trace.error().detail);
  });
}

}  // namespace godwit::app
