// SPDX-License-Identifier: Apache-2.0
//
// Numbers that name things, which the compiler does not let us mix up. Zero names nothing.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace godwit {

template <typename Tag, typename Rep = std::uint32_t>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  Rep value_ = 0;
};

using AccountId = StrongId<struct AccountIdTag>;
using CallId = StrongId<struct CallIdTag>;
using SubscriptionId = StrongId<struct SubscriptionIdTag>;
using PublicationId = StrongId<struct PublicationIdTag>;
/// Number of an IP change. Whatever is in flight for an older generation is superseded.
using Generation = StrongId<struct GenerationTag>;

}  // namespace godwit

template <typename Tag, typename Rep>
struct std::hash<godwit::StrongId<Tag, Rep>> {
  std::size_t operator()(godwit::StrongId<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
