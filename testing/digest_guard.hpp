// SPDX-License-Identifier: Apache-2.0
//
// The server's half of SIP digest authentication (RFC 8760, qop=auth only): makes challenges and
// checks credentials. Owned by MiniServer; knows passwords, never logs them. Nonces carry their own
// age and origin, so that none has to be remembered; only with strict counting is the last nc of
// each kept, in a bounded table.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/time.hpp"
#include "testing/mini_server.hpp"

namespace godwit::testing {

class DigestGuard {
 public:
  enum class Verdict : std::uint8_t { Good, None, Stale, Wrong };

  DigestGuard(const MiniServerConfig& config, Random& random);

  /// `credentials`: the Authorization or Proxy-Authorization values of the request.
  Verdict check(const std::vector<std::string>& credentials, std::string_view method,
                const std::string& user, const Endpoint& source, TimePoint now);
  /// The header values of one challenge, one for each algorithm.
  std::vector<std::string> challenge(const Endpoint& source, bool stale, TimePoint now) const;
  void expire_all();

 private:
  std::string nonce(const Endpoint& source, TimePoint now) const;
  bool fresh(const std::string& nonce, const Endpoint& source, TimePoint now) const;
  std::string seal(std::string_view stamp, const Endpoint& source) const;

  const MiniServerConfig& config_;
  Random& random_;
  std::string secret_;
  std::map<std::string, std::uint32_t> last_count_;
};

/// Lower-case hex of the digest.
std::string hash_hex(ServerDigest algorithm, std::string_view text);

/// The parameters of `Digest a="b", c=d`, names in lower case; empty if the scheme is another.
std::map<std::string, std::string> parse_digest(std::string_view value);

}  // namespace godwit::testing
