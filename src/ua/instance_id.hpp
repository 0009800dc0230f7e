// SPDX-License-Identifier: Apache-2.0
//
// The instance-id (RFC 5626 §4.1): the name of this user agent for its registrars, the same over
// restarts and address changes, so that they replace its binding instead of adding one. Pure but
// for the store it is kept in.
#pragma once

#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/random.hpp"
#include "base/store.hpp"

namespace godwit::ua {

/// "urn:uuid:" and a UUID of version 4 (RFC 4122 §4.4).
std::string make_instance_id(Random& random);
bool is_instance_id(std::string_view text);
/// The stored one, else a new one that is stored if it can be. `store` may be nullptr: then it is
/// new in each run.
std::string load_instance_id(Store* store, Random& random, Log& log);

}  // namespace godwit::ua
