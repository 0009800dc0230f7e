// SPDX-License-Identifier: Apache-2.0
//
// Which paths an account's signalling and media may take, where it pins them to an interface or an
// address, and how it is said that what they are pinned to is not there.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// Linux's IFNAMSIZ, without the terminating zero.
constexpr std::size_t kMaxInterfaceName = 15;

bool is_interface_name(const std::string& name) {
  return name.size() <= kMaxInterfaceName && std::all_of(name.begin(), name.end(), [](char c) {
           return c > ' ' && c != 0x7f && c != '/' && c != ':';
         });
}

std::string text_of(const PathPin& pin) {
  return pin.address ? "the address " + pin.address->to_string()
                     : "the interface " + pin.interface_name;
}

}  // namespace

mobility::PathPolicy Core::Impl::path_policy() const {
  return {config_.interfaces, config_.bind_addresses, health_.avoided()};
}

mobility::PathPolicy Core::Impl::narrowed(const PathPin& pin) const {
  mobility::PathPolicy policy = path_policy();
  if (!pin.interface_name.empty()) policy.interfaces = {pin.interface_name};
  if (pin.address) policy.bind_addresses = {*pin.address};
  return policy;
}

mobility::PathPolicy Core::Impl::paths_of(const Account& account, const PathPin& pin) const {
  mobility::PathPolicy policy = narrowed(pin);
  if (!account.config.ip_change.leave_dead_paths) policy.avoid.clear();
  return policy;
}

mobility::PathPolicy Core::Impl::path_policy(const Account& account) const {
  return paths_of(account, account.config.signalling_pin);
}

mobility::PathPolicy Core::Impl::media_policy(const Account& account) const {
  return paths_of(account, account.config.media_pin);
}

std::optional<mobility::Path> Core::Impl::path_to(const Account& account,
                                                  const IpAddress& remote) const {
  auto way = path_to(remote, path_policy(account));
  // Through a NAT64 an IPv4 server takes IPv6.
  if (way && !allows(account.config.sip_family, way->local.family())) way.reset();
  return way;
}

Result<void> Core::Impl::check_pins(const AccountConfig& config) const {
  const auto check = [&](const char* name, const PathPin& pin) -> Result<void> {
    const auto wrong = [&](const std::string& what) {
      return fail(ErrorCode::InvalidArgument, "account " + config.aor + ", " + name + ": " + what);
    };
    const auto contains = [](const auto& list, const auto& item) {
      return std::find(list.begin(), list.end(), item) != list.end();
    };
    if (!pin.interface_name.empty() && pin.address) {
      return wrong("an interface or an address, not both");
    }
    if (!is_interface_name(pin.interface_name)) return wrong("this is no interface's name");
    const std::vector<std::string>& interfaces = config_.interfaces;
    if (!pin.interface_name.empty() && !interfaces.empty() &&
        !contains(interfaces, pin.interface_name)) {
      return wrong("the user agent may not use the interface " + pin.interface_name);
    }
    if (!pin.address) return {};
    const IpAddress& address = *pin.address;
    if (address.family() == Family::None || address.is_unspecified() || address.is_multicast()) {
      return wrong("this is no address of a machine: " + address.to_string());
    }
    if (!config_.bind_addresses.empty() && !contains(config_.bind_addresses, address)) {
      return wrong("the user agent may not use the address " + address.to_string());
    }
    return {};
  };
  if (const auto ok = check("signalling_pin", config.signalling_pin); !ok) return ok;
  return check("media_pin", config.media_pin);
}

std::string Core::Impl::pin_trouble(const char* what, const PathPin& pin,
                                    const IpAddress& remote) const {
  if (pin == PathPin{} || !judge_.has_snapshot()) return {};
  if (path_to(remote, narrowed(pin))) return {};
  const std::string begin = std::string(what) + " is pinned to " + text_of(pin) + ", which ";
  if (pin.address) {
    if (judge_.current().owner_of(*pin.address) == nullptr) return begin + "no interface has";
    return begin + "does not lead to " + remote.to_string();
  }
  const NetworkInterface* interface = judge_.current().find_interface(pin.interface_name);
  if (interface == nullptr) return begin + "is not there";
  const bool has_address = std::any_of(
      interface->addresses.begin(), interface->addresses.end(), [&](const InterfaceAddress& own) {
        return is_usable(own) && own.address.family() == remote.family();
      });
  if (!mobility::is_running(*interface) || !has_address) return begin + "has no address";
  return begin + "does not lead to " + remote.to_string();
}

std::string Core::Impl::pin_trouble(const Call& call) const {
  const Account& account = *accounts_.at(call.account);
  const IpAddress hop = call.session->flow().remote.address;
  if (hop.family() != Family::None) {
    std::string why = pin_trouble("signalling", account.config.signalling_pin, hop);
    if (!why.empty()) return why;
  }
  const IpAddress media = call.agreed ? call.agreed->remote_rtp.address : hop;
  if (media.family() == Family::None) return {};
  return pin_trouble("media", account.config.media_pin, media);
}

}  // namespace godwit::ua
