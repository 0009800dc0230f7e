// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/auth.hpp"

#include "wire/sip/lex.hpp"
#include "wire/sip/message.hpp"

namespace godwit::wire {
namespace {

/// "Digest a=b, c=d" into scheme and the rest.
std::optional<std::string_view> split_scheme(std::string_view text, std::string_view& rest) {
  text = lex::trim(text);
  std::size_t end = 0;
  while (end < text.size() && !lex::is_space(text[end])) ++end;
  const std::string_view scheme = text.substr(0, end);
  if (!lex::is_token(scheme)) return std::nullopt;
  rest = lex::trim(text.substr(end));
  return scheme;
}

}  // namespace

std::optional<std::string_view> AuthParams::get(std::string_view name) const {
  ElementScanner scanner(text_);
  while (const auto element = scanner.next()) {
    const std::size_t equal = element->find('=');
    if (equal == std::string_view::npos) continue;
    if (!lex::iequals(lex::trim_right(element->substr(0, equal)), name)) continue;
    std::string_view value = lex::trim_left(element->substr(equal + 1));
    if (value.size() >= 2 && value.front() == '"' && lex::skip_quoted(value, 0) == value.size()) {
      value = value.substr(1, value.size() - 2);
    }
    return value;
  }
  return std::nullopt;
}

std::optional<Challenge> Challenge::parse(std::string_view text) {
  std::string_view rest;
  const auto scheme = split_scheme(text, rest);
  if (!scheme) return std::nullopt;
  Challenge out;
  out.scheme = *scheme;
  out.params = AuthParams(rest);
  const auto realm = out.params.get("realm");
  const auto nonce = out.params.get("nonce");
  out.realm = realm.value_or("");
  out.nonce = nonce.value_or("");
  if (out.is_digest() && (!realm || !nonce)) return std::nullopt;
  out.opaque = out.params.get("opaque");
  out.algorithm = out.params.get("algorithm").value_or("");
  out.qop = out.params.get("qop");
  out.stale = lex::iequals(out.params.get("stale").value_or(""), "true");
  return out;
}

bool Challenge::is_digest() const { return lex::iequals(scheme, "Digest"); }

bool Challenge::offers_qop(std::string_view option) const {
  ElementScanner scanner(qop.value_or(""));
  while (const auto element = scanner.next()) {
    if (lex::iequals(*element, option)) return true;
  }
  return false;
}

std::optional<Credentials> Credentials::parse(std::string_view text) {
  std::string_view rest;
  const auto scheme = split_scheme(text, rest);
  if (!scheme) return std::nullopt;
  Credentials out;
  out.scheme = *scheme;
  out.params = AuthParams(rest);
  const auto username = out.params.get("username");
  const auto realm = out.params.get("realm");
  const auto nonce = out.params.get("nonce");
  const auto uri = out.params.get("uri");
  const auto response = out.params.get("response");
  if (out.is_digest() && (!username || !realm || !nonce || !uri || !response)) return std::nullopt;
  out.username = username.value_or("");
  out.realm = realm.value_or("");
  out.nonce = nonce.value_or("");
  out.uri = uri.value_or("");
  out.response = response.value_or("");
  out.algorithm = out.params.get("algorithm").value_or("");
  out.opaque = out.params.get("opaque");
  out.cnonce = out.params.get("cnonce");
  out.qop = out.params.get("qop");
  out.nc = out.params.get("nc");
  return out;
}

bool Credentials::is_digest() const { return lex::iequals(scheme, "Digest"); }

std::optional<AuthInfo> AuthInfo::parse(std::string_view text) {
  const AuthParams params(lex::trim(text));
  AuthInfo out;
  out.nextnonce = params.get("nextnonce");
  out.qop = params.get("qop");
  out.rspauth = params.get("rspauth");
  out.cnonce = params.get("cnonce");
  out.nc = params.get("nc");
  if (!out.nextnonce && !out.qop && !out.rspauth && !out.cnonce && !out.nc) return std::nullopt;
  return out;
}

}  // namespace godwit::wire
