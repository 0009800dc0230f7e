// SPDX-License-Identifier: Apache-2.0
#include "sip/digest.hpp"

#include <algorithm>
#include <utility>

#include "wire/sip/auth.hpp"
#include "wire/sip/lex.hpp"
#include "wire/sip/message.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::sip {

namespace {

/// A challenge with more than this in one parameter is no honest one, and we would have to repeat
/// it in every request.
constexpr std::size_t kMaxParameter = 1'024;
/// Header lines looked at in one response, and realms answered.
constexpr std::size_t kMaxChallengeLines = 16;

/// What stands between the quotes when `text` is sent as a quoted-string.
std::string escaped(std::string_view text) {
  const std::string quoted = wire::quote(text);
  return quoted.substr(1, quoted.size() - 2);
}

std::string nonce_count_text(std::uint32_t count) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(8, '0');
  for (std::size_t i = 8; i-- > 0; count >>= 4U) text[i] = kHex[count & 0xfU];
  return text;
}

/// For logs and error texts: a realm is the server's text and may be long.
std::string shown(std::string_view realm) {
  std::string text(realm.substr(0, 64));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return '"' + text + '"';
}

}  // namespace

const char* to_string(ChallengeVerdict verdict) {
  switch (verdict) {
    case ChallengeVerdict::Retry: return "Retry";
    case ChallengeVerdict::Rejected: return "Rejected";
    case ChallengeVerdict::NoCredentials: return "NoCredentials";
    case ChallengeVerdict::Unsupported: return "Unsupported";
  }
  return "?";
}

DigestClient::DigestClient(Random& random, Log& log, std::vector<DigestCredentials> credentials)
    : random_(random), log_(log), credentials_(std::move(credentials)) {}

void DigestClient::set_credentials(std::vector<DigestCredentials> credentials) {
  credentials_ = std::move(credentials);
  realms_.clear();
}

const DigestCredentials* DigestClient::find_credentials(std::string_view realm,
                                                        DigestAlgorithm algorithm) const {
  const DigestCredentials* for_any = nullptr;
  for (const DigestCredentials& candidate : credentials_) {
    if (!candidate.ha1.empty() && base_of(candidate.ha1_algorithm) != base_of(algorithm)) continue;
    if (candidate.realm.empty()) {
      if (for_any == nullptr) for_any = &candidate;
    } else if (escaped(candidate.realm) == realm) {
      return &candidate;
    }
  }
  return for_any;
}

DigestClient::Realm* DigestClient::find(const Endpoint& server, bool proxy,
                                        std::string_view realm) {
  for (Realm& known : realms_) {
    if (known.server == server && known.proxy == proxy && known.realm == realm) return &known;
  }
  return nullptr;
}

void DigestClient::remember(Realm realm) {
  realm.last_used = ++uses_;
  if (Realm* known = find(realm.server, realm.proxy, realm.realm)) {
    // Two requests in flight may bring the same challenge: its nonce count must not start anew.
    if (known->nonce == realm.nonce && known->algorithm == realm.algorithm) return;
    *known = std::move(realm);
    return;
  }
  if (realms_.size() < kMaxRealms) {
    realms_.push_back(std::move(realm));
    return;
  }
  *std::min_element(realms_.begin(), realms_.end(), [](const Realm& a, const Realm& b) {
    return a.last_used < b.last_used;
  }) = std::move(realm);
}

void DigestClient::drop(const Endpoint& server, bool proxy, std::string_view realm) {
  std::erase_if(realms_, [&](const Realm& known) {
    return known.server == server && known.proxy == proxy && known.realm == realm;
  });
}

void DigestClient::forget(const Endpoint& server) {
  std::erase_if(realms_, [&server](const Realm& known) { return known.server == server; });
}

std::vector<DigestClient::Finding> DigestClient::read_challenges(const wire::Message& response,
                                                                 const Endpoint& server) const {
  std::vector<Finding> findings;
  const auto finding_for = [&findings](bool proxy, std::string_view realm) -> Finding& {
    for (Finding& finding : findings) {
      if (finding.proxy == proxy && finding.realm == realm) return finding;
    }
    findings.push_back(Finding{.proxy = proxy,
                               .realm = std::string(realm),
                               .answerable = std::nullopt,
                               .obstacle = {ChallengeVerdict::Retry, {}}});
    return findings.back();
  };

  std::size_t lines = 0;
  for (std::size_t i = 0; i < response.header_count() && lines < kMaxChallengeLines; ++i) {
    const wire::HeaderView header = response.header(i);
    const bool proxy = header.id == wire::HeaderId::ProxyAuthenticate;
    if (!proxy && header.id != wire::HeaderId::WwwAuthenticate) continue;
    ++lines;
    const auto challenge = wire::Challenge::parse(header.value);
    Finding& finding =
        finding_for(proxy, challenge ? challenge->realm.substr(0, kMaxParameter) : "");
    if (finding.answerable) continue;  // RFC 8760 §2.4: the topmost one that we support.
    const auto obstacle = [&finding](ChallengeVerdict verdict, std::string detail) {
      if (finding.obstacle.verdict == ChallengeVerdict::Retry) {
        finding.obstacle = {verdict, std::move(detail)};
      }
    };

    if (!challenge) {
      obstacle(ChallengeVerdict::Unsupported, "the server's challenge is malformed");
      continue;
    }
    const std::string where = "realm " + shown(challenge->realm);
    if (!challenge->is_digest()) {
      obstacle(ChallengeVerdict::Unsupported,
               where + " wants the scheme " + shown(challenge->scheme) + ", not Digest");
      continue;
    }
    if (challenge->realm.size() > kMaxParameter || challenge->nonce.size() > kMaxParameter ||
        challenge->opaque.value_or("").size() > kMaxParameter) {
      obstacle(ChallengeVerdict::Unsupported, where + " sent a challenge of absurd length");
      continue;
    }
    const auto algorithm = parse_digest_algorithm(challenge->algorithm);
    if (!algorithm || digest_hash(*algorithm, "").empty()) {
      obstacle(ChallengeVerdict::Unsupported,
               where + " wants the algorithm " + shown(challenge->algorithm));
      continue;
    }
    const bool qop_auth = challenge->offers_qop("auth");
    if (challenge->qop && !qop_auth) {
      obstacle(ChallengeVerdict::Unsupported,
               where + " wants qop " + shown(*challenge->qop) + ", we can do \"auth\" only");
      continue;
    }
    if (is_session(*algorithm) && !qop_auth) {
      // Without qop there is no cnonce, and A1 of a -sess variant needs one.
      obstacle(ChallengeVerdict::Unsupported, where + " wants a -sess algorithm without qop");
      continue;
    }
    if (find_credentials(challenge->realm, *algorithm) == nullptr) {
      obstacle(ChallengeVerdict::NoCredentials, "no credentials for " + where);
      continue;
    }
    Realm realm;
    realm.server = server;
    realm.proxy = proxy;
    realm.realm = std::string(challenge->realm);
    realm.nonce = std::string(challenge->nonce);
    if (challenge->opaque) realm.opaque = std::string(*challenge->opaque);
    realm.algorithm = *algorithm;
    realm.algorithm_named = !challenge->algorithm.empty();
    realm.qop_auth = qop_auth;
    realm.userhash = wire::lex::iequals(challenge->params.get("userhash").value_or(""), "true");
    finding.answerable = std::move(realm);
    finding.stale = challenge->stale;
  }
  return findings;
}

ChallengeOutcome DigestClient::on_challenge(const wire::Message& response, const Endpoint& server,
                                            DigestAttempt& attempt) {
  if (++attempt.challenges > kMaxChallenges) {
    return {ChallengeVerdict::Rejected, "the server asks for credentials again and again"};
  }
  std::vector<Finding> findings = read_challenges(response, server);
  if (findings.empty()) {
    return {ChallengeVerdict::Unsupported,
            "a " + std::to_string(response.status()) + " without a challenge"};
  }

  // A request may have forked, and the realms be of different branches: one that can be answered
  // is reason enough to try again.
  bool retry = false;
  std::optional<ChallengeOutcome> obstacle;
  const auto give_up = [&obstacle](ChallengeOutcome outcome) {
    if (!obstacle) obstacle = std::move(outcome);
  };
  for (Finding& finding : findings) {
    if (!finding.answerable) {
      give_up(std::move(finding.obstacle));
      continue;
    }
    const auto sent = std::find_if(
        attempt.sent.begin(), attempt.sent.end(), [&finding](const DigestAttempt::Sent& one) {
          return one.proxy == finding.proxy && one.realm == finding.realm;
        });
    if (sent != attempt.sent.end()) {
      ++sent->rejections;
      const bool nonce_was_the_matter = finding.stale || sent->nonce != finding.answerable->nonce;
      if (sent->rejections > 1 || !nonce_was_the_matter) {
        drop(server, finding.proxy, finding.realm);
        log_.warn("digest", "credentials rejected for realm " + shown(finding.realm));
        give_up({ChallengeVerdict::Rejected,
                 "the server rejected our credentials for realm " + shown(finding.realm)});
        continue;
      }
      log_.debug("digest", "new nonce for realm " + shown(finding.realm));
    }
    remember(std::move(*finding.answerable));
    retry = true;
  }
  if (retry) return {ChallengeVerdict::Retry, {}};
  return *obstacle;
}

std::vector<AuthorizationHeader> DigestClient::authorization(std::string_view method,
                                                             std::string_view uri,
                                                             const Endpoint& server,
                                                             DigestAttempt& attempt) {
  std::vector<AuthorizationHeader> headers;
  for (Realm& realm : realms_) {
    if (realm.server != server) continue;
    const DigestCredentials* credentials = find_credentials(realm.realm, realm.algorithm);
    if (credentials == nullptr || realm.nonce_count == UINT32_MAX) continue;
    ++realm.nonce_count;
    realm.last_used = ++uses_;
    headers.push_back({realm.proxy ? "Proxy-Authorization" : "Authorization",
                       answer(realm, *credentials, method, uri)});

    const auto sent = std::find_if(attempt.sent.begin(), attempt.sent.end(),
                                   [&realm](const DigestAttempt::Sent& one) {
                                     return one.proxy == realm.proxy && one.realm == realm.realm;
                                   });
    if (sent == attempt.sent.end()) {
      attempt.sent.push_back({realm.proxy, realm.realm, realm.nonce, 0});
    } else {
      sent->nonce = realm.nonce;
    }
  }
  return headers;
}

std::string DigestClient::answer(Realm& realm, const DigestCredentials& credentials,
                                 std::string_view method, std::string_view uri) {
  const std::string username = escaped(credentials.username);
  std::string cnonce;
  if (realm.qop_auth) {
    if (is_session(realm.algorithm)) {
      if (realm.session_cnonce.empty()) realm.session_cnonce = random_.token(24);
      cnonce = realm.session_cnonce;
    } else {
      cnonce = random_.token(24);
    }
  }
  const std::string nc = nonce_count_text(realm.nonce_count);

  const std::string ha1 = credentials.ha1.empty() ? digest_ha1(realm.algorithm, username,
                                                               realm.realm, credentials.password)
                                                  : credentials.ha1;
  const std::string response =
      digest_response({.algorithm = realm.algorithm,
                       .ha1 = ha1,
                       .nonce = realm.nonce,
                       .nonce_count = nc,
                       .cnonce = cnonce,
                       .qop = realm.qop_auth ? std::string_view("auth") : std::string_view(),
                       .method = method,
                       .uri = uri});

  // RFC 7616 §3.4.4: the hash stands in the header only, A1 keeps the name.
  const std::string shown_name =
      realm.userhash ? digest_hash(realm.algorithm, username + ":" + realm.realm) : username;
  std::string value = "Digest username=\"" + shown_name + "\", realm=\"" + realm.realm +
                      "\", nonce=\"" + realm.nonce + "\", uri=\"" + std::string(uri) +
                      "\", response=\"" + response + '"';
  // RFC 3261 §22.4 and RFC 7616 §3.4: algorithm, qop and nc are tokens, not quoted.
  if (realm.algorithm_named) value += std::string(", algorithm=") + to_string(realm.algorithm);
  if (realm.opaque) value += ", opaque=\"" + *realm.opaque + '"';
  if (realm.userhash) value += ", userhash=true";
  if (realm.qop_auth) value += ", qop=auth, nc=" + nc + ", cnonce=\"" + cnonce + '"';
  return value;
}

void DigestClient::on_success(const wire::Message& response, const Endpoint& server) {
  const auto text = response.first(wire::HeaderId::AuthenticationInfo);
  if (!text) return;
  const auto info = wire::AuthInfo::parse(*text);
  if (!info || !info->nextnonce || info->nextnonce->empty() ||
      info->nextnonce->size() > kMaxParameter) {
    return;
  }
  // The header names no realm: it is from the server itself, whose realm we answered last.
  Realm* latest = nullptr;
  for (Realm& realm : realms_) {
    if (realm.server == server && !realm.proxy &&
        (latest == nullptr || realm.last_used > latest->last_used)) {
      latest = &realm;
    }
  }
  if (latest == nullptr || latest->nonce == *info->nextnonce) return;
  latest->nonce = std::string(*info->nextnonce);
  latest->nonce_count = 0;
  latest->session_cnonce.clear();
}

}  // namespace godwit::sip
