// SPDX-License-Identifier: Apache-2.0
//
// A real Kamailio as the laboratory's server: registrar and record-routing stateful proxy with
// digest authentication of its own users on REGISTER and on requests that open a dialog. Writes the
// configuration; starting and ending the process is the caller's. For TLS it has a certificate made
// for the run, which is its own authority.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

struct KamailioOptions {
  std::vector<IpAddress> listen;  ///< UDP port 5060 of each.
  bool streams = false;           ///< TCP port 5060 and TLS port 5061 too.
  std::string tls_config_file;    ///< What kamailio_tls_config() wrote; with `streams`.
  std::vector<std::pair<std::string, std::string>> users;  ///< Name and password.
};

/// Makes a key and a certificate for `addresses` in `directory` with the program openssl and writes
/// Kamailio's TLS settings beside them.
struct KamailioTls {
  std::string config_file;
  std::string certificate;  ///< PEM; to be trusted by those who connect.
};
Result<KamailioTls> kamailio_tls_config(const std::string& directory,
                                        const std::vector<IpAddress>& addresses, NetNs& ns);

std::string kamailio_config(const KamailioOptions& options);

/// The command that runs Kamailio in the foreground with `config_file`; fails where Kamailio or its
/// modules are not installed.
Result<std::vector<std::string>> kamailio_command(const std::string& config_file,
                                                  const std::string& runtime_directory);

}  // namespace godwit::lab
