// SPDX-License-Identifier: Apache-2.0
#include "godwit/family.hpp"

namespace godwit {

const char* to_string(FamilyPolicy policy) {
  switch (policy) {
    case FamilyPolicy::NoPreference: return "no preference";
    case FamilyPolicy::Prefer4: return "prefer IPv4";
    case FamilyPolicy::Prefer6: return "prefer IPv6";
    case FamilyPolicy::Only4: return "only IPv4";
    case FamilyPolicy::Only6: return "only IPv6";
  }
  return "?";
}

bool allows(FamilyPolicy policy, Family family) {
  if (policy == FamilyPolicy::Only4) return family != Family::V6;
  if (policy == FamilyPolicy::Only6) return family != Family::V4;
  return true;
}

Family preferred(FamilyPolicy policy) {
  switch (policy) {
    case FamilyPolicy::NoPreference: return Family::None;
    case FamilyPolicy::Prefer4:
    case FamilyPolicy::Only4: return Family::V4;
    case FamilyPolicy::Prefer6:
    case FamilyPolicy::Only6: return Family::V6;
  }
  return Family::None;
}

}  // namespace godwit
