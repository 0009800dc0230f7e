// SPDX-License-Identifier: Apache-2.0
#include "serve_settings.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace godwit::app {
namespace {

constexpr std::uint16_t kSipPort = 5060;
constexpr std::uint16_t kSipsPort = 5061;

/// A name that needs no escaping in a SIP URI or a quoted string.
bool is_plain_name(const std::string& name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '+';
  };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), plain);
}

Result<Endpoint> parse_listen(const std::string& given, std::uint16_t port) {
  // A bare IPv6 address has colons of its own.
  const auto address = IpAddress::parse(given);
  const auto endpoint =
      address ? std::optional(Endpoint{*address, port}) : Endpoint::parse(given, port);
  if (!endpoint || endpoint->address.is_multicast()) {
    return must_be("ADDRESS or ADDRESS:PORT, e.g. 127.0.0.1:5060 or [::1]:5060", given);
  }
  if (endpoint->address.is_unspecified()) {
    return must_be("one address of this machine (the server writes it into the messages)", given);
  }
  return *endpoint;
}

}  // namespace

void ServeFlags::add_party(std::string name, std::string help, AudioSource::Kind sends) {
  table_.list(std::move(name), "USER", std::move(help),
              [this, sends](const std::string& given) -> Result<void> {
                if (!is_plain_name(given)) return must_be("a user name, e.g. echo", given);
                settings_.parties.push_back({given, sends});
                return {};
              });
}

void ServeFlags::add_listen(std::string name, std::string help, std::uint16_t port,
                            std::vector<Endpoint>* target) {
  table_.list(std::move(name), "ADDRESS[:PORT]", std::move(help),
              [port, target](const std::string& given) -> Result<void> {
                const auto endpoint = parse_listen(given, port);
                if (!endpoint) return tl::unexpected(endpoint.error());
                target->push_back(*endpoint);
                return {};
              });
}

ServeFlags::ServeFlags(CLI::App& command) {
  add_listen("listen",
             "UDP address to serve on, port 0 for any [127.0.0.1:5060]. May be repeated. "
             "Only addresses that are not loopback can be reached from elsewhere",
             kSipPort, &settings_.listen);
  add_listen("listen-tcp", "Accept TCP connections there too, port 5060 if none is given", kSipPort,
             &settings_.listen_tcp);
  add_listen("listen-tls", "Accept TLS connections there too, port 5061 if none is given",
             kSipsPort, &settings_.listen_tls);
  table_.path("tls-certificate", "FILE", "The server's certificate chain in PEM",
              &settings_.tls_certificate);
  table_.path("tls-key", "FILE", "The private key of --tls-certificate in PEM, without a password",
              &settings_.tls_key);
  table_.list("domain", "NAME",
              "A name that means this server, besides its addresses. May be repeated",
              [this](const std::string& given) -> Result<void> {
                if (!check_sip_uri("sip:" + given, false) || given.find(':') != std::string::npos) {
                  return must_be("a host name, e.g. example.org", given);
                }
                settings_.domains.push_back(given);
                return {};
              });
  table_.list(
      "user", "NAME:PASSWORD",
      "Let this user register, with digest authentication; without any, everybody may. May be "
      "repeated. Others on this machine can see it among the processes",
      [this](const std::string& given) -> Result<void> {
        const auto colon = given.find(':');
        if (colon == std::string::npos || !is_plain_name(given.substr(0, colon)) ||
            colon + 1 == given.size()) {
          // Not shown: it may hold a password.
          return fail(ErrorCode::InvalidArgument,
                      "must be NAME:PASSWORD, the name of letters, digits and -_.+");
        }
        settings_.users[given.substr(0, colon)] = given.substr(colon + 1);
        return {};
      });
  table_.choice("challenge-calls", "Ask for credentials for calls too, not only for registering",
                &settings_.challenge_calls);
  add_party("echo", "A user who answers every call and sends back what it hears. May be repeated",
            AudioSource::Kind::Echo);
  add_party("tone", "A user who answers every call with a tone of 440 Hz. May be repeated",
            AudioSource::Kind::Tone);
  table_.text("events", "FORMAT", "text (for people) or json (one object per line) [text]",
              [this](const std::string& given) -> Result<void> {
                const auto format = parse_event_format(given);
                if (!format) return tl::unexpected(format.error());
                settings_.events = *format;
                return {};
              });
  table_.text("log-level", "LEVEL",
              "What goes to standard error: trace, debug, info, warn or error [warn]",
              [this](const std::string& given) -> Result<void> {
                const auto level = parse_log_level(given);
                if (!level) return tl::unexpected(level.error());
                settings_.log_level = *level;
                return {};
              });
  add_trace_flags(table_, settings_.sip_trace);
  table_.add_flags_to(command);
}

Result<ServeSettings> ServeFlags::take() {
  if (auto taken = table_.take_flags(); !taken) return tl::unexpected(taken.error());
  if (settings_.listen.empty()) settings_.listen.push_back({IpAddress::v4(127, 0, 0, 1), kSipPort});
  if (settings_.challenge_calls && settings_.users.empty()) {
    return fail(ErrorCode::InvalidArgument, "--challenge-calls needs at least one --user");
  }
  if (settings_.tls_certificate.empty() != settings_.tls_key.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "--tls-certificate and --tls-key: give both or neither");
  }
  if (!settings_.listen_tls.empty() && settings_.tls_certificate.empty()) {
    return fail(ErrorCode::InvalidArgument, "--listen-tls needs --tls-certificate and --tls-key");
  }
  return settings_;
}

}  // namespace godwit::app
