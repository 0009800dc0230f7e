// SPDX-License-Identifier: Apache-2.0
//
// A certificate for the laboratory's server, made for one run with the program openssl: its own
// authority, good for the given addresses and name, and two days. The caller's directory owns the
// files.
#pragma once

#include <string>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

struct Certificate {
  std::string file;  ///< PEM; to be trusted by those who connect.
  std::string key_file;
};

/// Fails where openssl is not installed.
Result<Certificate> make_certificate(const std::string& directory,
                                     const std::vector<IpAddress>& addresses,
                                     const std::string& name, NetNs& ns);

}  // namespace godwit::lab
