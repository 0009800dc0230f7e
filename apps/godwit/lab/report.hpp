// SPDX-License-Identifier: Apache-2.0
//
// A run's outcome as a table for people and as JSON for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "lab/scenario.hpp"

namespace godwit::lab {

/// Rows of figures, one column per move, what sums them up, and the limit; ends with a newline.
std::string table(const Outcome& outcome);

/// Why it is no PASS, one line each; empty if it is.
std::vector<std::string> complaints(const Outcome& outcome);

/// First what a comparison needs: scenario, transport, family ("4-6": from one to the other),
/// trigger, moves (their number), survived (of them), first_tx_ms and registered_ms (both since the
/// kernel's notice), silence_down_ms, silence_up_ms: medians; limit_ms: of each of these. Then
/// result, p95, maximum, each_move[], failures, ….
nlohmann::ordered_json to_json(const Outcome& outcome);

}  // namespace godwit::lab
