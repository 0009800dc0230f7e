// SPDX-License-Identifier: Apache-2.0
//
// What an account wants of the two address families, as a value. Which of them a name, a network
// or a peer has is not known here.
#pragma once

#include <cstdint>

#include "godwit/address.hpp"

namespace godwit {

/// Which address family something may take where there are two.
enum class FamilyPolicy : std::uint8_t {
  NoPreference,  ///< What the names, the routes and the peers make of it; what works stays.
  Prefer4,       ///< That one where there is a way of it; the other is taken, and kept, where not.
  Prefer6,
  Only4,  ///< The other one is never taken, and left where it is in use.
  Only6,
};
const char* to_string(FamilyPolicy policy);
/// False: the policy rules the family out.
bool allows(FamilyPolicy policy, Family family);
/// The family that the policy wants, or the only one that it allows; None: it has no opinion.
Family preferred(FamilyPolicy policy);

}  // namespace godwit
