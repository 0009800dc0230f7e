// SPDX-License-Identifier: Apache-2.0
//
// Flags that `godwit demo` and `godwit lab` share, and how both read a span of time.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "lab/scenario.hpp"

namespace godwit::app {

/// What --transport names: "udp", "tcp" or "tls".
lab::Signalling signalling_of(const std::string& transport);

/// What --family names: "4", "6" or "4-6".
lab::Families families_of(const std::string& name);

/// "50ms", "0.05s", or a bare number of milliseconds; from 0 to 10 s. Throws CLI::ValidationError
/// that names the flag.
CLI::Option* add_span_flag(CLI::App& command, const std::string& flag, Duration* span,
                           const std::string& help);

/// --rtt, --slack, --seed and --pcap.
void add_network_flags(CLI::App& command, lab::ScenarioOptions* options);

}  // namespace godwit::app
