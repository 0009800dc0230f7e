// SPDX-License-Identifier: Apache-2.0
#include "sip/digest_hash.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <initializer_list>

namespace godwit::sip {

namespace {

constexpr std::array kAlgorithms = {DigestAlgorithm::Md5,        DigestAlgorithm::Md5Sess,
                                    DigestAlgorithm::Sha256,     DigestAlgorithm::Sha256Sess,
                                    DigestAlgorithm::Sha512_256, DigestAlgorithm::Sha512_256Sess};

const EVP_MD* evp_of(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::Md5:
    case DigestAlgorithm::Md5Sess: return EVP_md5();
    case DigestAlgorithm::Sha256:
    case DigestAlgorithm::Sha256Sess: return EVP_sha256();
    case DigestAlgorithm::Sha512_256:
    case DigestAlgorithm::Sha512_256Sess: return EVP_sha512_256();
  }
  return nullptr;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_token(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string join(std::initializer_list<std::string_view> parts) {
  std::string text;
  const char* separator = "";
  for (const std::string_view part : parts) {
    text += separator;
    text += part;
    separator = ":";
  }
  return text;
}

}  // namespace

const char* to_string(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::Md5: return "MD5";
    case DigestAlgorithm::Md5Sess: return "MD5-sess";
    case DigestAlgorithm::Sha256: return "SHA-256";
    case DigestAlgorithm::Sha256Sess: return "SHA-256-sess";
    case DigestAlgorithm::Sha512_256: return "SHA-512-256";
    case DigestAlgorithm::Sha512_256Sess: return "SHA-512-256-sess";
  }
  return "?";
}

std::optional<DigestAlgorithm> parse_digest_algorithm(std::string_view text) {
  if (text.empty()) return DigestAlgorithm::Md5;
  for (const DigestAlgorithm algorithm : kAlgorithms) {
    if (same_token(text, to_string(algorithm))) return algorithm;
  }
  return std::nullopt;
}

bool is_session(DigestAlgorithm algorithm) { return base_of(algorithm) != algorithm; }

DigestAlgorithm base_of(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::Md5:
    case DigestAlgorithm::Md5Sess: return DigestAlgorithm::Md5;
    case DigestAlgorithm::Sha256:
    case DigestAlgorithm::Sha256Sess: return DigestAlgorithm::Sha256;
    case DigestAlgorithm::Sha512_256:
    case DigestAlgorithm::Sha512_256Sess: return DigestAlgorithm::Sha512_256;
  }
  return algorithm;
}

std::string digest_hash(DigestAlgorithm algorithm, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int length = 0;
  if (EVP_Digest(text.data(), text.size(), bytes.data(), &length, evp_of(algorithm), nullptr) !=
      1) {
    return {};
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * static_cast<std::size_t>(length));
  for (unsigned int i = 0; i < length; ++i) {
    hex += kHex[bytes[i] >> 4U];
    hex += kHex[bytes[i] & 0xfU];
  }
  return hex;
}

std::string digest_ha1(DigestAlgorithm algorithm, std::string_view username, std::string_view realm,
                       std::string_view password) {
  return digest_hash(algorithm, join({username, realm, password}));
}

std::string digest_response(const DigestInput& input) {
  const auto hash = [&input](std::string_view text) { return digest_hash(input.algorithm, text); };
  std::string a1(input.ha1);
  if (is_session(input.algorithm)) a1 = hash(join({input.ha1, input.nonce, input.cnonce}));
  const std::string ha2 = hash(join({input.method, input.uri}));
  if (input.qop.empty()) return hash(join({a1, input.nonce, ha2}));
  return hash(join({a1, input.nonce, input.nonce_count, input.cnonce, input.qop, ha2}));
}

}  // namespace godwit::sip
