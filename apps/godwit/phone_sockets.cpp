// SPDX-License-Identifier: Apache-2.0
//
// What the phone's user can say about sockets and the binding: flags for pins, listeners and how a
// change is registered, and the commands that open and close listeners.
#include <fmt/format.h>

#include <sstream>

#include "phone.hpp"
#include "phone_settings.hpp"
#include "settings.hpp"

namespace godwit::app {
namespace {

/// An address, else an interface's name.
Result<void> read_pin(const std::string& given, PathPin& pin) {
  pin = {};
  if (const auto address = IpAddress::parse(given)) {
    if (address->is_unspecified() || address->is_multicast()) {
      return must_be("an address of this machine or an interface's name", given);
    }
    pin.address = *address;
    return {};
  }
  if (given.empty() || given.size() > 15 || given.find_first_of("/: ") != std::string::npos) {
    return must_be("an address of this machine or an interface's name", given);
  }
  pin.interface_name = given;
  return {};
}

Result<TransportChoice> transport_of(const std::string& text) {
  if (text == "udp") return TransportChoice::Udp;
  if (text == "tcp") return TransportChoice::Tcp;
  if (text == "tls") return TransportChoice::Tls;
  return fail(ErrorCode::InvalidArgument,
              fmt::format("needs udp, tcp or tls, not {}", app::quoted(text)));
}

}  // namespace

void PhoneFlags::add_socket_flags() {
  AccountConfig& account = settings_.account;
  UserAgentConfig& agent = settings_.agent;
  table_.text(
      "signalling-pin", "WHERE",
      "Send SIP only from this interface (whatever its addresses) or this address",
      [&account](const std::string& given) { return read_pin(given, account.signalling_pin); });
  table_.text("media-pin", "WHERE", "The same for audio",
              [&account](const std::string& given) { return read_pin(given, account.media_pin); });
  table_.choice("listen-udp",
                "A UDP socket for SIP even if nothing goes by UDP (--no-listen-udp: no listener)",
                &agent.listen_udp);
  table_.choice("contact-from-challenge",
                "Take the address that the server sees from its challenge already",
                &account.contact_from_challenge);
  table_.choice("use-stun", "Tell this account's servers and peers what --stun-server sees",
                &account.ip_change.use_stun);
  table_.choice("leave-dead-paths",
                "Leave a network over which no server answers any more, though its address stays",
                &account.ip_change.leave_dead_paths);
  table_.choice("prove-new-paths",
                "Take a better network only when a server has answered OPTIONS over it",
                &account.ip_change.prove_new_paths);
  table_.text("contact-method", "HOW",
              "How a new address is registered: replace (old and new in one request) or "
              "unregister-first [replace]",
              [&account](const std::string& given) -> Result<void> {
                ContactMethod& method = account.ip_change.contact_method;
                if (given == "replace") {
                  method = ContactMethod::Replace;
                } else if (given == "unregister-first") {
                  method = ContactMethod::UnregisterFirst;
                } else {
                  return must_be("replace or unregister-first", given);
                }
                return {};
              });
  table_.text("shut-down-streams", "WHICH",
              "Connections closed when the address changes: dead ones, the registration's too, or "
              "all [dead]",
              [&account](const std::string& given) -> Result<void> {
                StreamShutdown& shutdown = account.ip_change.shut_down_streams;
                if (given == "dead") {
                  shutdown = StreamShutdown::Dead;
                } else if (given == "registration") {
                  shutdown = StreamShutdown::Registration;
                } else if (given == "all") {
                  shutdown = StreamShutdown::All;
                } else {
                  return must_be("dead, registration or all", given);
                }
                return {};
              });
  table_.number("register-retries", "N",
                "Quick tries, 1 to 16 s apart, when registering a new address fails, 0 to 20 [4]",
                0, 20, [&account](std::int64_t value) {
                  account.ip_change.register_retry.attempts = static_cast<std::uint32_t>(value);
                });
}

Result<std::string> Phone::do_listen(const std::string& argument) {
  std::istringstream words(argument);
  std::string transport;
  std::string address;
  std::string port;
  std::string more;
  words >> transport >> address >> port >> more;
  const auto choice = transport_of(transport);
  if (!choice) return tl::unexpected(choice.error());
  const auto local = IpAddress::parse(address);
  if (!local || !more.empty()) {
    return fail(ErrorCode::InvalidArgument, "needs TRANSPORT ADDRESS [PORT]");
  }
  std::uint16_t number = 0;
  if (!port.empty()) {
    const auto given = parse_number(port, 0, 65'535);
    if (!given) return fail(ErrorCode::InvalidArgument, "the port " + given.error().detail);
    number = static_cast<std::uint16_t>(*given);
  }
  if (auto opened = agent_->open_listener(*choice, *local, number); !opened) {
    return tl::unexpected(opened.error());
  }
  return std::string{};
}

Result<std::string> Phone::do_unlisten(const std::string& argument) {
  std::istringstream words(argument);
  std::string transport;
  std::string address;
  std::string more;
  words >> transport >> address >> more;
  const auto choice = transport_of(transport);
  if (!choice) return tl::unexpected(choice.error());
  const auto local = IpAddress::parse(address);
  if (!local || !more.empty()) {
    return fail(ErrorCode::InvalidArgument, "needs TRANSPORT ADDRESS");
  }
  if (auto closed = agent_->close_listener(*choice, *local); !closed) {
    return tl::unexpected(closed.error());
  }
  return fmt::format("not listening on {} {} any more", transport, local->to_string());
}

}  // namespace godwit::app
