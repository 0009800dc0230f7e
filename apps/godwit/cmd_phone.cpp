// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "commands.hpp"
#include "godwit/version.hpp"
#include "io/udp_socket.hpp"
#include "phone.hpp"
#include "phone_settings.hpp"

namespace godwit::app {
namespace {

/// What the system will not give should end the start, not become a warning an hour later.
Result<void> check_sockets(const UserAgentConfig& config) {
  std::vector<IpAddress> addresses = config.bind_addresses;
  if (addresses.empty() && config.sip_port != 0) {
    addresses.push_back(IpAddress::any(Family::V4));
  }
  for (const IpAddress& address : addresses) {
    const auto socket = io::UdpSocket::bind({address, config.sip_port});
    if (!socket) return tl::unexpected(socket.error());
  }
  return {};
}

int run_phone(PhoneFlags& flags) {
  auto settings = flags.take();
  if (!settings) return usage_error("phone", settings.error().detail);
  if (const auto usable = check_sockets(settings->agent); !usable) {
    fmt::print(stderr, "godwit phone: {}\n", usable.error().detail);
    return kExitFailed;
  }
  auto trace = open_trace(settings->sip_trace);
  if (!trace) return usage_error("phone", trace.error().detail);
  settings->agent.sip_trace = std::move(*trace);
  Phone phone(std::move(*settings));
  return phone.run();
}

}  // namespace

void add_phone_command(CLI::App& app, int* status) {
  CLI::App* command = app.add_subcommand(
      "phone", "A softphone that stays reachable and keeps its calls wherever the address goes");
  command->set_version_flag("--version", std::string("godwit ") + kVersion);
  command->footer(
      "Commands are read from standard input; `help` lists them. The input's end is\n"
      "`quit`. Exit status: 0, or 1 failed start, 2 wrong flag or file.");
  // CLI11 keeps pointers into it.
  auto flags = std::make_shared<PhoneFlags>(*command);
  command->callback([flags, status] { *status = run_phone(*flags); });
}

}  // namespace godwit::app
