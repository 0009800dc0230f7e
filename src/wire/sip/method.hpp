// SPDX-License-Identifier: Apache-2.0
//
// SIP methods as values, and sets of them (Allow). Extension methods are Method::Unknown; their
// text stays with whoever holds the message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace godwit::wire {

enum class Method : std::uint8_t {
  Invite,
  Ack,
  Bye,
  Cancel,
  Register,
  Options,
  Info,
  Update,
  Prack,
  Subscribe,
  Notify,
  Refer,
  Message,
  Publish,
  Unknown,
};

/// "INVITE"; for Unknown "?".
std::string_view to_string(Method method);
/// Method names are case-sensitive (RFC 3261 §7.1). Anything else is Unknown.
Method parse_method(std::string_view text);

/// Can a request of this method outside a dialog begin one?
bool creates_dialog(Method method);

/// A set of methods, e.g. what a peer's Allow lists. Unknown methods are not kept.
class MethodSet {
 public:
  constexpr MethodSet() = default;

  constexpr void insert(Method method) {
    if (method != Method::Unknown) bits_ = static_cast<std::uint16_t>(bits_ | bit(method));
  }
  constexpr bool contains(Method method) const {
    return method != Method::Unknown && (bits_ & bit(method)) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }
  /// "INVITE, ACK, BYE", in the order of the enumeration.
  std::string to_string() const;

  friend constexpr bool operator==(const MethodSet&, const MethodSet&) = default;

 private:
  static constexpr std::uint16_t bit(Method method) {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(method));
  }
  std::uint16_t bits_ = 0;
};

}  // namespace godwit::wire
