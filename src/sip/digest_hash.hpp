// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of Digest authentication (RFC 2617, RFC 7616, RFC 8760): algorithms, their tokens
// and the response of one request. Pure; both sides of the exchange compute the same. Which
// challenge to answer, and when, is DigestClient's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace godwit::sip {

/// In rising order of strength; `…Sess` are the "-sess" variants (RFC 7616 §3.4.2).
enum class DigestAlgorithm : std::uint8_t {
  Md5,
  Md5Sess,
  Sha256,
  Sha256Sess,
  Sha512_256,
  Sha512_256Sess,
};
/// The token of the algorithm parameter, e.g. "SHA-512-256-sess".
const char* to_string(DigestAlgorithm algorithm);
/// Without regard to case; an empty text is MD5 (RFC 7616 §3.3).
std::optional<DigestAlgorithm> parse_digest_algorithm(std::string_view text);
bool is_session(DigestAlgorithm algorithm);
/// The hash function that a -sess variant shares with the plain one.
DigestAlgorithm base_of(DigestAlgorithm algorithm);

/// The hash of `text` in lower-case hex; the plain one for the -sess variants. Empty if the
/// system's crypto library refuses the algorithm, as MD5 in FIPS mode.
std::string digest_hash(DigestAlgorithm algorithm, std::string_view text);

/// H(username:realm:password), what servers store instead of a password.
std::string digest_ha1(DigestAlgorithm algorithm, std::string_view username, std::string_view realm,
                       std::string_view password);

/// All texts as they stand between the quotes of the header.
struct DigestInput {
  DigestAlgorithm algorithm = DigestAlgorithm::Md5;
  std::string_view ha1;  ///< Without the -sess step.
  std::string_view nonce;
  std::string_view nonce_count;  ///< Eight hex digits.
  std::string_view cnonce;
  std::string_view qop;  ///< "auth", or empty for the form of RFC 2069.
  std::string_view method;
  std::string_view uri;
};
/// RFC 7616 §3.4.1: what stands in `response`.
std::string digest_response(const DigestInput& input);

}  // namespace godwit::sip
