// SPDX-License-Identifier: Apache-2.0
//
// The flags --sip-trace and what becomes of them: a trace that is written to a file or to standard
// error. What is left out of it is the library's business (godwit/trace.hpp).
#pragma once

#include <string>

#include "godwit/result.hpp"
#include "godwit/trace.hpp"
#include "settings.hpp"

namespace godwit::app {

struct TraceSettings {
  std::string file;  ///< Empty: no trace; "-": standard error.
  TraceLevel level = TraceLevel::Full;
  TraceRedaction redaction = TraceRedaction::Secrets;
};

/// `settings` must outlive the table.
void add_trace_flags(SettingTable& table, TraceSettings& settings);

/// Opens the file, to which is appended; a new one is its owner's only. The error names the flag.
/// The sink may be called from one thread at a time.
Result<TraceConfig> open_trace(const TraceSettings& settings);

}  // namespace godwit::app
