// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <net/if.h>

#include <utility>

#include "commands.hpp"
#include "godwit/version.hpp"
#include "io/stream_socket.hpp"
#include "io/udp_socket.hpp"
#include "phone.hpp"
#include "phone_settings.hpp"

namespace godwit::app {
namespace {

/// What the system will not give should end the start, not become a warning an hour later.
Result<void> check_sockets(const UserAgentConfig& config) {
  std::vector<IpAddress> addresses = config.bind_addresses;
  const bool any_address = addresses.empty();
  if (any_address) addresses.push_back(IpAddress::any(Family::V4));
  for (const IpAddress& address : addresses) {
    if (!any_address || config.sip_port != 0) {
      const auto socket = io::UdpSocket::bind({address, config.sip_port});
      if (!socket) return tl::unexpected(socket.error());
    }
    for (const auto& [flag, port] : {std::pair("--listen-tcp", config.listen_tcp),
                                     std::pair("--listen-tls", config.listen_tls)}) {
      if (!port || *port == 0) continue;
      const auto listener = io::StreamListener::bind({address, *port});
      if (!listener) {
        return fail(listener.error().code, std::string(flag) + ": " + listener.error().detail);
      }
    }
  }
  return {};
}

/// A network may come later, a name that was mistyped never does.
void tell_of_missing_interfaces(const UserAgentConfig& config) {
  for (const std::string& name : config.interfaces) {
    if (::if_nametoindex(name.c_str()) != 0) continue;
    fmt::print(stderr, "godwit phone: there is no interface {}; it is used once it appears\n",
               name);
  }
}

int run_phone(PhoneFlags& flags) {
  auto settings = flags.take();
  if (!settings) return usage_error("phone", settings.error().detail);
  if (const auto usable = check_sockets(settings->agent); !usable) {
    fmt::print(stderr, "godwit phone: {}\n", usable.error().detail);
    return kExitFailed;
  }
  tell_of_missing_interfaces(settings->agent);
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
