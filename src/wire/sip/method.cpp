// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/method.hpp"

#include <array>

namespace godwit::wire {
namespace {

constexpr std::array<std::string_view, 14> kNames = {
    "INVITE", "ACK",   "BYE",       "CANCEL", "REGISTER", "OPTIONS", "INFO",
    "UPDATE", "PRACK", "SUBSCRIBE", "NOTIFY", "REFER",    "MESSAGE", "PUBLISH"};

}  // namespace

std::string_view to_string(Method method) {
  return method == Method::Unknown ? "?" : kNames[static_cast<std::size_t>(method)];
}

Method parse_method(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<Method>(i);
  }
  return Method::Unknown;
}

bool creates_dialog(Method method) {
  return method == Method::Invite || method == Method::Subscribe || method == Method::Refer ||
         method == Method::Notify;
}

std::string MethodSet::to_string() const {
  std::string out;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (!contains(static_cast<Method>(i))) continue;
    if (!out.empty()) out += ", ";
    out += kNames[i];
  }
  return out;
}

}  // namespace godwit::wire
