// SPDX-License-Identifier: Apache-2.0
//
// What `godwit demo` can still show where the system allows no network namespaces: server and
// callee as processes and the phone in this one, all on loopback addresses. The phone is told of
// the "move" as an application on another system would tell it (UserAgent::update_network), so that
// detection, delay and the loss of a path are not shown, and the figures are the phone's own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "godwit/report.hpp"
#include "godwit/result.hpp"

namespace godwit::app {

struct DegradedOutcome {
  std::vector<IpChangeReport> moves;
  bool call_kept = false;  ///< By both parties' word, at the end.
};

/// `happened` is called with one line for each thing that happens; `interrupted` ends the run.
Result<DegradedOutcome> run_degraded_demo(int moves,
                                          const std::function<void(const std::string&)>& happened,
                                          const std::function<bool()>& interrupted);

}  // namespace godwit::app
