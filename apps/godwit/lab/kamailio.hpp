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
#include "lab/certificate.hpp"

namespace godwit::lab {

struct KamailioOptions {
  std::vector<IpAddress> listen;  ///< UDP port 5060 of each.
  std::string name = {};          ///< A host name of its own, besides; empty: none.
  bool streams = false;           ///< TCP port 5060 and TLS port 5061 too.
  std::string tls_config_file;    ///< What kamailio_tls_config() wrote; with `streams`.
  std::vector<std::pair<std::string, std::string>> users;  ///< Name and password.
};

/// The text of its TLS settings.
std::string kamailio_tls_config(const Certificate& certificate);

std::string kamailio_config(const KamailioOptions& options);

/// The command that runs Kamailio in the foreground with `config_file`; fails where Kamailio or its
/// modules are not installed.
Result<std::vector<std::string>> kamailio_command(const std::string& config_file,
                                                  const std::string& runtime_directory);

}  // namespace godwit::lab
