// SPDX-License-Identifier: Apache-2.0
//
// Digest authentication as it stands in headers (RFC 3261 §22, RFC 8760): views of the parameters,
// without quotes but with any backslash escapes, which is what the digest is computed over
// (RFC 2617 §1.2, unq). Computes nothing; src/sip does.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace godwit::wire {

/// Named parameters separated by commas, as in every authentication header. Of several equal names
/// the first counts.
class AuthParams {
 public:
  AuthParams() = default;
  explicit AuthParams(std::string_view text) : text_(text) {}
  /// Without quotes; nullopt if it is not there.
  std::optional<std::string_view> get(std::string_view name) const;
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

/// WWW-Authenticate and Proxy-Authenticate. A header line holds one; several lines are several
/// algorithms, best first (RFC 8760 §2.3).
struct Challenge {
  std::string_view scheme;
  std::string_view realm;
  std::string_view nonce;
  std::optional<std::string_view> opaque;
  std::string_view algorithm;           ///< Empty: MD5.
  std::optional<std::string_view> qop;  ///< The list as written, e.g. "auth,auth-int".
  bool stale = false;
  AuthParams params;

  /// nullopt without a scheme; for Digest also without realm or nonce.
  static std::optional<Challenge> parse(std::string_view text);
  bool is_digest() const;
  bool offers_qop(std::string_view option) const;
};

/// Authorization and Proxy-Authorization: the other side of the same exchange.
struct Credentials {
  std::string_view scheme;
  std::string_view username;
  std::string_view realm;
  std::string_view nonce;
  std::string_view uri;
  std::string_view response;
  std::string_view algorithm;  ///< Empty: MD5.
  std::optional<std::string_view> opaque;
  std::optional<std::string_view> cnonce;
  std::optional<std::string_view> qop;
  std::optional<std::string_view> nc;  ///< Eight hex digits, as written.
  AuthParams params;

  /// nullopt without a scheme; for Digest also without username, realm, nonce, uri or response.
  static std::optional<Credentials> parse(std::string_view text);
  bool is_digest() const;
};

/// Authentication-Info (RFC 7615).
struct AuthInfo {
  std::optional<std::string_view> nextnonce;
  std::optional<std::string_view> qop;
  std::optional<std::string_view> rspauth;
  std::optional<std::string_view> cnonce;
  std::optional<std::string_view> nc;

  static std::optional<AuthInfo> parse(std::string_view text);
};

}  // namespace godwit::wire
