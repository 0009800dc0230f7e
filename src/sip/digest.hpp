// SPDX-License-Identifier: Apache-2.0
//
// Digest authentication as a client (RFC 3261 §22, RFC 7616, RFC 8760), for one account: keeps the
// last challenge of each (server, realm), answers it, and puts credentials into later requests
// ahead of a challenge. Owned by whoever owns the account; registration and sessions share it, so
// that nonce counts are unique. Sends nothing itself; never logs or hands out a password.
// Not done here, and refused by name: auth-int alone (it would bind the body), Basic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "sip/digest_hash.hpp"

namespace godwit::wire {
class Message;
}

namespace godwit::sip {

struct DigestCredentials {
  /// The realm that they are for; empty: any.
  std::string realm;
  std::string username;
  std::string password;
  /// Instead of a password: H(username:realm:password) in hex, usable with the algorithm that it
  /// was made with only (and its -sess variant).
  std::string ha1;
  DigestAlgorithm ha1_algorithm = DigestAlgorithm::Md5;
};

enum class ChallengeVerdict : std::uint8_t {
  Retry,          ///< Send the request once more, with `authorization`.
  Rejected,       ///< The server has seen these credentials and does not want them.
  NoCredentials,  ///< We have none for a realm that the server asks for.
  Unsupported,    ///< Another scheme, algorithm or qop than we can do; or no challenge at all.
};
const char* to_string(ChallengeVerdict verdict);

struct ChallengeOutcome {
  ChallengeVerdict verdict;
  std::string detail;  ///< A sentence for people when it is not Retry.
};

/// What one request has tried so far: kept beside the request by its sender, from the first sending
/// to the final answer. It is what makes loops impossible.
struct DigestAttempt {
  struct Sent {
    bool proxy;
    std::string realm;
    std::string nonce;
    int rejections;
  };
  std::vector<Sent> sent;
  int challenges = 0;  ///< 401s and 407s so far.
};

/// `name`: "Authorization" or "Proxy-Authorization".
struct AuthorizationHeader {
  std::string name;
  std::string value;
};

class DigestClient {
 public:
  /// Challenges remembered at once, over all servers; the one longest unused is forgotten.
  static constexpr std::size_t kMaxRealms = 16;
  /// Rounds for one request: each proxy on the way may ask, and each may call a nonce stale once.
  static constexpr int kMaxChallenges = 8;

  DigestClient(Random& random, Log& log, std::vector<DigestCredentials> credentials);

  void set_credentials(std::vector<DigestCredentials> credentials);
  const std::vector<DigestCredentials>& credentials() const { return credentials_; }

  /// A 401 or 407 to the request that `attempt` belongs to. `server`: where the request went.
  /// RFC 8760 §2.4: of several challenges for a realm the first supported one counts. One rejection
  /// with `stale=true` or a fresh nonce is retried silently, for nonces age, and may be bound to
  /// the address we had; a further one means that the credentials are wrong.
  ChallengeOutcome on_challenge(const wire::Message& response, const Endpoint& server,
                                DigestAttempt& attempt);

  /// The headers to put into a request about to be sent to `server`: one for each realm known
  /// there; none if nothing is known (then the server will ask). Each call takes a nonce count, so
  /// call it once per sending of a new request. `method` and `uri` as they stand in the request
  /// line.
  std::vector<AuthorizationHeader> authorization(std::string_view method, std::string_view uri,
                                                 const Endpoint& server, DigestAttempt& attempt);

  /// A 2xx: takes over the next nonce of an Authentication-Info, if it has one.
  void on_success(const wire::Message& response, const Endpoint& server);

  /// Forgets what was learnt of a server whose identity is no longer certain.
  void forget(const Endpoint& server);

 private:
  /// The last challenge of one realm at one server. Texts as they stand between the quotes of the
  /// challenge, escapes included: the digest is computed over that form, and it is sent back so.
  struct Realm {
    Endpoint server;
    bool proxy = false;
    std::string realm;
    std::string nonce;
    std::optional<std::string> opaque;
    DigestAlgorithm algorithm = DigestAlgorithm::Md5;
    bool algorithm_named =
        false;              ///< Echoed only then: RFC 2069 servers do not know the parameter.
    bool qop_auth = false;  ///< False: RFC 2069 style.
    bool userhash = false;  ///< The user name is to be sent hashed (RFC 7616 §3.4.4).
    std::uint32_t nonce_count = 0;
    std::string session_cnonce;  ///< -sess: one for the life of the nonce, for A1 is bound to it.
    std::uint64_t last_used = 0;
  };
  /// What is to be done about one challenged realm.
  struct Finding {
    bool proxy = false;
    std::string realm;
    std::optional<Realm> answerable;  ///< By the first challenge that we can answer.
    bool stale = false;
    ChallengeOutcome obstacle;  ///< Why not, of the first that we cannot.
  };

  std::vector<Finding> read_challenges(const wire::Message& response, const Endpoint& server) const;
  const DigestCredentials* find_credentials(std::string_view realm,
                                            DigestAlgorithm algorithm) const;
  Realm* find(const Endpoint& server, bool proxy, std::string_view realm);
  void remember(Realm realm);
  void drop(const Endpoint& server, bool proxy, std::string_view realm);
  std::string answer(Realm& realm, const DigestCredentials& credentials, std::string_view method,
                     std::string_view uri);

  Random& random_;
  Log& log_;
  std::vector<DigestCredentials> credentials_;
  std::vector<Realm> realms_;
  std::uint64_t uses_ = 0;
};

}  // namespace godwit::sip
