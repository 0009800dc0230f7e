// SPDX-License-Identifier: Apache-2.0
#include "testing/digest_guard.hpp"

#include <openssl/evp.h>

#include <charconv>

#include "testing/sip_text.hpp"

namespace godwit::testing {
namespace {

constexpr std::size_t kMaxCountedNonces = 10'000;

const char* name_of(ServerDigest algorithm) {
  switch (algorithm) {
    case ServerDigest::Md5: return "MD5";
    case ServerDigest::Sha256: return "SHA-256";
  }
  return "";
}

std::string get(const std::map<std::string, std::string>& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

}  // namespace

std::string hash_hex(ServerDigest algorithm, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  const EVP_MD* type = algorithm == ServerDigest::Md5 ? EVP_md5() : EVP_sha256();
  EVP_Digest(text.data(), text.size(), digest, &length, type, nullptr);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4U];
    hex += "0123456789abcdef"[digest[i] & 15U];
  }
  return hex;
}

std::map<std::string, std::string> parse_digest(std::string_view value) {
  std::map<std::string, std::string> fields;
  constexpr std::string_view kScheme = "Digest ";
  if (value.size() < kScheme.size() ||
      !equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return fields;
  }
  for (const std::string& part : split_list(value.substr(kScheme.size()))) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) continue;
    std::string name;
    for (char c : part.substr(0, equals)) {
      if (c != ' ') name += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    std::string text = part.substr(equals + 1);
    const std::size_t begin = text.find_first_not_of(' ');
    text = begin == std::string::npos ? std::string() : text.substr(begin);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
      text = text.substr(1, text.size() - 2);
    }
    fields[name] = text;
  }
  return fields;
}

DigestGuard::DigestGuard(const MiniServerConfig& config, Random& random)
    : config_(config), random_(random), secret_(random.token(32)) {}

void DigestGuard::expire_all() {
  secret_ = random_.token(32);
  last_count_.clear();
}

std::string DigestGuard::seal(std::string_view stamp, const Endpoint& source) const {
  std::string text = secret_ + ":" + std::string(stamp);
  if (config_.bind_nonce_to_source) text += ":" + source.to_string();
  return hash_hex(ServerDigest::Sha256, text).substr(0, 24);
}

std::string DigestGuard::nonce(const Endpoint& source, TimePoint now) const {
  const std::string stamp = std::to_string(now.time_since_epoch().count());
  return stamp + "." + seal(stamp, source);
}

bool DigestGuard::fresh(const std::string& nonce, const Endpoint& source, TimePoint now) const {
  const std::size_t dot = nonce.find('.');
  if (dot == std::string::npos || nonce.substr(dot + 1) != seal(nonce.substr(0, dot), source)) {
    return false;
  }
  std::int64_t stamp = 0;
  std::from_chars(nonce.data(), nonce.data() + dot, stamp);
  return now - TimePoint(Duration(stamp)) <= config_.nonce_lifetime;
}

DigestGuard::Verdict DigestGuard::check(const std::vector<std::string>& credentials,
                                        std::string_view method, const std::string& user,
                                        const Endpoint& source, TimePoint now) {
  Verdict verdict = Verdict::None;
  for (const std::string& value : credentials) {
    const auto fields = parse_digest(value);
    if (get(fields, "realm") != config_.realm) continue;
    verdict = Verdict::Wrong;
    const std::string name = get(fields, "username");
    const auto password = config_.users.find(name);
    if (password == config_.users.end() || name != user) continue;
    ServerDigest algorithm = ServerDigest::Md5;
    if (const std::string wanted = get(fields, "algorithm"); !wanted.empty()) {
      bool known = false;
      for (const ServerDigest candidate : config_.algorithms) {
        if (!equals_ignoring_case(wanted, name_of(candidate))) continue;
        algorithm = candidate;
        known = true;
      }
      if (!known) continue;
    }
    const auto hash = [&](const std::string& text) { return hash_hex(algorithm, text); };
    const std::string qop = get(fields, "qop");
    if (qop != "auth" || get(fields, "nc").size() != 8 || get(fields, "cnonce").empty()) continue;
    const std::string nonce = get(fields, "nonce");
    // RFC 7616 §3.4.1.
    const std::string ha1 = hash(name + ":" + config_.realm + ":" + password->second);
    const std::string ha2 = hash(std::string(method) + ":" + get(fields, "uri"));
    const std::string expected = hash(ha1 + ":" + nonce + ":" + get(fields, "nc") + ":" +
                                      get(fields, "cnonce") + ":" + qop + ":" + ha2);
    if (expected != get(fields, "response")) continue;
    if (!fresh(nonce, source, now)) return Verdict::Stale;
    if (config_.strict_nonce_count) {
      std::uint32_t count = 0;
      const std::string nc = get(fields, "nc");
      std::from_chars(nc.data(), nc.data() + nc.size(), count, 16);
      if (last_count_.size() >= kMaxCountedNonces && !last_count_.contains(nonce)) {
        last_count_.clear();  // Their nonces are answered with `stale`-free trust once more.
      }
      std::uint32_t& last = last_count_[nonce];
      if (count <= last) return Verdict::Stale;
      last = count;
    }
    return Verdict::Good;
  }
  return verdict;
}

std::vector<std::string> DigestGuard::challenge(const Endpoint& source, bool stale,
                                                TimePoint now) const {
  std::vector<std::string> values;
  const std::string fresh_nonce = nonce(source, now);
  for (const ServerDigest algorithm : config_.algorithms) {
    values.push_back("Digest realm=\"" + config_.realm + "\", nonce=\"" + fresh_nonce +
                     "\", algorithm=" + name_of(algorithm) + ", qop=\"auth\"" +
                     (stale ? ", stale=true" : ""));
  }
  return values;
}

}  // namespace godwit::testing
