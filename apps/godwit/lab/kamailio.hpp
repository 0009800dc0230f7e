// SPDX-License-Identifier: Apache-2.0
//
// A real Kamailio as the laboratory's server: registrar and record-routing stateful proxy with
// digest authentication of its own users on REGISTER and on requests that open a dialog. Writes the
// configuration; starting and ending the process is the caller's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"

namespace godwit::lab {

struct KamailioOptions {
  std::vector<IpAddress> listen;                           ///< UDP port 5060 of each.
  std::vector<std::pair<std::string, std::string>> users;  ///< Name and password.
};

std::string kamailio_config(const KamailioOptions& options);

/// The command that runs Kamailio in the foreground with `config_file`; fails where Kamailio or its
/// modules are not installed.
Result<std::vector<std::string>> kamailio_command(const std::string& config_file,
                                                  const std::string& runtime_directory);

}  // namespace godwit::lab
