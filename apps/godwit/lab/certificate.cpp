// SPDX-License-Identifier: Apache-2.0
#include "lab/certificate.hpp"

#include <fmt/core.h>

namespace godwit::lab {

Result<Certificate> make_certificate(const std::string& directory,
                                     const std::vector<IpAddress>& addresses,
                                     const std::string& name, NetNs& ns) {
  Certificate made{directory + "/certificate.pem", directory + "/key.pem"};
  std::string names = "DNS:" + name;
  for (const auto& address : addresses) names += ",IP:" + address.to_string();
  ChildOptions openssl;
  openssl.command = {"openssl",
                     "req",
                     "-x509",
                     "-newkey",
                     "ec",
                     "-pkeyopt",
                     "ec_paramgen_curve:P-256",
                     "-nodes",
                     "-days",
                     "2",
                     "-subj",
                     "/CN=lab.test",
                     "-addext",
                     "subjectAltName=" + names,
                     "-keyout",
                     made.key_file,
                     "-out",
                     made.file};
  openssl.stderr_file = directory + "/openssl.log";
  auto child = ns.spawn(openssl);
  if (!child) return tl::unexpected(child.error());
  const auto status = child->wait(std::chrono::seconds(10));
  if (!status) return tl::unexpected(status.error());
  if (*status != 0) return fail(ErrorCode::NotFound, "openssl made no certificate for the server");
  return made;
}

}  // namespace godwit::lab
