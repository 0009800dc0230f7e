// SPDX-License-Identifier: Apache-2.0
//
// A run's outcome as a table for people and as JSON for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "lab/scenario.hpp"

namespace godwit::lab {

/// Rows of figures, one column per move, the median and the limit; ends with a newline.
std::string table(const Outcome& outcome);

/// Why it is no PASS, one line each; empty if it is.
std::vector<std::string> complaints(const Outcome& outcome);

/// Members: result, server, family, rtt_ms, moves[], median, limits, failures, ….
nlohmann::ordered_json to_json(const Outcome& outcome);

}  // namespace godwit::lab
