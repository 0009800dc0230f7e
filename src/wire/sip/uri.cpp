// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/uri.hpp"

#include <algorithm>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::size_t kNpos = std::string_view::npos;

/// Up to the next ';' outside quotes.
std::size_t param_end(std::string_view text) {
  std::size_t i = 0;
  while (true) {
    while (i < text.size() && !lex::is(text[i], lex::kParamStop)) ++i;
    if (i >= text.size() || text[i] == ';') return std::min(i, text.size());
    i = std::min(lex::skip_quoted(text, i), text.size());
  }
}

std::optional<Scheme> parse_scheme(std::string_view text) {
  if (text.empty() || !lex::is(text[0], lex::kAlpha)) return std::nullopt;
  for (const char c : text) {
    if (!lex::is(c, lex::kAlpha) && !lex::is(c, lex::kDigit) && c != '+' && c != '-' && c != '.') {
      return std::nullopt;
    }
  }
  if (text.size() == 3 && lex::iequals(text, "sip")) return Scheme::Sip;
  if (text.size() == 4 && lex::iequals(text, "sips")) return Scheme::Sips;
  if (text.size() == 3 && lex::iequals(text, "tel")) return Scheme::Tel;
  return Scheme::Other;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u != 0x7f && c != '<' && c != '>' && c != '"';
  });
}

/// Past characters of `what` and %HH; npos for a '%' without two hex digits.
std::size_t skip_escaped(std::string_view text, std::size_t at, lex::Class what) {
  while (at < text.size()) {
    if (lex::is(text[at], what)) {
      ++at;
    } else if (text[at] == '%') {
      if (text.size() - at < 3 || lex::hex_value(text[at + 1]) < 0 ||
          lex::hex_value(text[at + 2]) < 0) {
        return kNpos;
      }
      at += 3;
    } else {
      break;
    }
  }
  return at;
}

/// The end of *( ";" pname [ "=" pvalue ] ) that begins at `at`; npos if it is malformed.
std::size_t skip_uri_params(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] == ';') {
    const std::size_t name = at + 1;
    at = skip_escaped(text, name, lex::kParam);
    if (at == kNpos || at == name) return kNpos;
    if (at == text.size() || text[at] != '=') continue;
    const std::size_t value = at + 1;
    at = skip_escaped(text, value, lex::kParam);
    if (at == kNpos || at == value) return kNpos;
  }
  return at;
}

bool parse_sip(std::string_view rest, Uri& out) {
  const std::size_t at = rest.find('@');
  if (at != kNpos) {
    const std::string_view userinfo = rest.substr(0, at);
    const std::size_t colon = lex::find_or_end(userinfo, ':');
    out.has_user = true;
    out.user = userinfo.substr(0, colon);
    if (colon < userinfo.size()) out.password = userinfo.substr(colon + 1);
    if (out.user.empty() || skip_escaped(out.user, 0, lex::kUser) != out.user.size() ||
        skip_escaped(out.password, 0, lex::kUser) != out.password.size()) {
      return false;
    }
    rest.remove_prefix(at + 1);
  }
  std::size_t end = 0;
  while (end < rest.size() && rest[end] != ';' && rest[end] != '?') ++end;
  const auto host_port = HostPort::parse(rest.substr(0, end));
  if (!host_port) return false;
  out.host = host_port->host;
  out.port = host_port->port;
  const std::size_t params = end;
  end = skip_uri_params(rest, params);
  if (end == kNpos) return false;
  out.params = Params(rest.substr(params, end - params));
  if (end == rest.size()) return true;
  if (rest[end] != '?') return false;
  out.headers = rest.substr(end + 1);
  return !out.headers.empty() && skip_escaped(out.headers, 0, lex::kHeader) == out.headers.size();
}

bool parse_tel(std::string_view rest, Uri& out) {
  const std::size_t end = std::min(rest.find(';'), rest.size());
  out.user = rest.substr(0, end);
  const bool ok = !out.user.empty() && std::all_of(out.user.begin(), out.user.end(), [](char c) {
    return lex::hex_value(c) >= 0 || std::string_view("+-.()*#").find(c) != kNpos;
  });
  if (!ok || skip_uri_params(rest, end) != rest.size()) return false;
  out.params = Params(rest.substr(end));
  return true;
}

/// Equality of components that may be percent-encoded (RFC 3261 §19.1.4: characters outside
/// "reserved" are equal to their escapes). `fold` ignores case.
bool equal_escaped(std::string_view a, std::string_view b, bool fold) {
  const auto next = [fold](std::string_view& text) -> int {
    // A reserved character and its escape are different: mark the escaped one.
    int value = static_cast<unsigned char>(text[0]);
    std::size_t used = 1;
    if (text[0] == '%' && text.size() >= 3 && lex::hex_value(text[1]) >= 0 &&
        lex::hex_value(text[2]) >= 0) {
      value = lex::hex_value(text[1]) * 16 + lex::hex_value(text[2]);
      used = 3;
      if (std::string_view(";/?:@&=+$,").find(static_cast<char>(value)) != kNpos) value += 256;
    }
    text.remove_prefix(used);
    return fold && value < 128 ? lex::lower(static_cast<char>(value)) : value;
  };
  while (!a.empty() && !b.empty()) {
    if (next(a) != next(b)) return false;
  }
  return a.empty() && b.empty();
}

// RFC 3261 §19.1.4: these must be in both or in neither; other parameters count only if in both.
bool must_match(std::string_view name) {
  return lex::iequals(name, "user") || lex::iequals(name, "ttl") || lex::iequals(name, "method") ||
         lex::iequals(name, "maddr") || lex::iequals(name, "transport");
}

bool params_equal(const Params& a, const Params& b) {
  // Quadratic in the number of parameters, hence the bound: two URIs with more of them than any
  // real one are taken as different unless equal as text.
  constexpr std::ptrdiff_t kMaxParamsCompared = 32;
  const auto count = [](const Params& p) {
    return std::count(p.text().begin(), p.text().end(), ';');
  };
  if (count(a) > kMaxParamsCompared || count(b) > kMaxParamsCompared) return a.text() == b.text();
  const auto covered = [](const Params& from, const Params& by) {
    for (const Param& param : from) {
      // Of repeated names the first counts, on both sides, or a URI would not equal itself.
      const auto value = from.get(param.name);
      const auto other = by.get(param.name);
      if (other ? !equal_escaped(*other, *value, true) : must_match(param.name)) return false;
    }
    return true;
  };
  return covered(a, b) && covered(b, a);
}

bool headers_equal(std::string_view a, std::string_view b) {
  // Every header of one must be in the other; order does not matter. Quadratic in the number of
  // headers, hence the bound: two URIs with more are taken as different unless equal as text.
  constexpr std::ptrdiff_t kMaxHeadersCompared = 16;
  if (a == b) return true;
  if (std::count(a.begin(), a.end(), '&') >= kMaxHeadersCompared ||
      std::count(b.begin(), b.end(), '&') >= kMaxHeadersCompared) {
    return false;
  }
  const auto covered = [](std::string_view from, std::string_view by) {
    while (!from.empty()) {
      const std::size_t end = std::min(from.find('&'), from.size());
      const std::string_view header = from.substr(0, end);
      const std::size_t equal = std::min(header.find('='), header.size());
      bool found = false;
      for (std::string_view rest = by; !rest.empty() && !found;) {
        const std::size_t other_end = std::min(rest.find('&'), rest.size());
        const std::string_view other = rest.substr(0, other_end);
        const std::size_t other_equal = std::min(other.find('='), other.size());
        found = equal_escaped(header.substr(0, equal), other.substr(0, other_equal), true) &&
                equal_escaped(header.substr(equal), other.substr(other_equal), false);
        rest.remove_prefix(std::min(other_end + 1, rest.size()));
      }
      if (!found) return false;
      from.remove_prefix(std::min(end + 1, from.size()));
    }
    return true;
  };
  return covered(a, b) && covered(b, a);
}

}  // namespace

std::optional<HostPort> HostPort::parse(std::string_view text, Space space) {
  std::size_t end = 0;
  if (!text.empty() && text[0] == '[') {
    end = text.find(']');
    if (end == kNpos) return std::nullopt;
    ++end;
    const auto address = IpAddress::parse(text.substr(0, end));
    if (!address || !address->is_v6()) return std::nullopt;
  } else {
    while (end < text.size() && lex::is(text[end], lex::kHost)) ++end;
    if (end == 0) return std::nullopt;
  }
  HostPort out{text.substr(0, end), std::nullopt};
  text.remove_prefix(end);
  if (space == Space::AroundColon) text = lex::trim_left(text);
  if (text.empty()) return out;
  if (text[0] != ':') return std::nullopt;
  text.remove_prefix(1);
  if (space == Space::AroundColon) text = lex::trim(text);
  const auto number = lex::number(text, 65'535);
  if (!number || *number == 0) return std::nullopt;
  out.port = static_cast<std::uint16_t>(*number);
  return out;
}

void Params::Iterator::advance() {
  while (true) {
    const std::size_t end = param_end(rest_);
    const std::string_view param = lex::trim(rest_.substr(0, end));
    const bool last = end >= rest_.size();
    rest_.remove_prefix(last ? rest_.size() : end + 1);
    if (!param.empty()) {
      const std::size_t equal = param.find('=');
      current_.name = lex::trim_right(param.substr(0, equal));
      current_.has_value = equal != kNpos;
      current_.value =
          current_.has_value ? lex::trim_left(param.substr(equal + 1)) : std::string_view();
      return;
    }
    if (last) {
      done_ = true;
      return;
    }
  }
}

std::optional<std::string_view> Params::get(std::string_view name) const {
  for (const Param& param : *this) {
    if (lex::iequals(param.name, name)) return param.value;
  }
  return std::nullopt;
}

bool Params::well_formed() const {
  const std::string_view text = lex::trim(text_);
  if (text.empty()) return true;
  const auto skip = [text](std::size_t at, lex::Class what) {
    while (at < text.size() && lex::is(text[at], what)) ++at;
    return at;
  };
  const auto skip_space = [text](std::size_t at) {
    while (at < text.size() && lex::is_space(text[at])) ++at;
    return at;
  };
  std::size_t at = text[0] == ';' ? 1 : 0;
  while (true) {
    const std::size_t name = skip_space(at);
    at = skip(name, lex::kToken);
    if (at == name) return false;
    at = skip_space(at);
    if (at < text.size() && text[at] == '=') {
      const std::size_t value = skip_space(at + 1);
      const bool quoted = value < text.size() && text[value] == '"';
      at = quoted ? lex::skip_quoted(text, value) : skip(value, lex::kValue);
      if (at == kNpos || at == value) return false;
      at = skip_space(at);
    }
    if (at == text.size()) return true;
    if (text[at] != ';') return false;
    ++at;
  }
}

std::optional<Uri> Uri::parse(std::string_view text) {
  Uri uri;
  const std::size_t colon = lex::find_or_end(text, ':');
  if (colon == text.size()) return std::nullopt;
  const auto scheme = parse_scheme(text.substr(0, colon));
  if (!scheme) return std::nullopt;
  uri.scheme = *scheme;
  uri.scheme_text = text.substr(0, colon);
  uri.text = text;
  const std::string_view rest = text.substr(colon + 1);
  bool ok = false;
  switch (uri.scheme) {
    case Scheme::Sip:
    case Scheme::Sips: ok = parse_sip(rest, uri); break;
    case Scheme::Tel: ok = parse_tel(rest, uri); break;
    case Scheme::Other: ok = !rest.empty() && printable(rest); break;
  }
  if (!ok) return std::nullopt;
  return uri;
}

std::string Uri::host_port() const {
  std::string out(host);
  if (port) {
    out += ':';
    out += std::to_string(*port);
  }
  return out;
}

bool equals(const Uri& a, const Uri& b) {
  if (a.scheme != b.scheme) return false;
  switch (a.scheme) {
    case Scheme::Sip:
    case Scheme::Sips:
      return a.has_user == b.has_user && equal_escaped(a.user, b.user, false) &&
             equal_escaped(a.password, b.password, false) && lex::iequals(a.host, b.host) &&
             a.port == b.port && params_equal(a.params, b.params) &&
             headers_equal(a.headers, b.headers);
    case Scheme::Tel: {
      // RFC 3966 §4: visual separators do not count.
      const auto digits = [](std::string_view number) {
        std::string out;
        for (const char c : number) {
          if (std::string_view("-.()").find(c) == kNpos) out += lex::lower(c);
        }
        return out;
      };
      return digits(a.user) == digits(b.user) && params_equal(a.params, b.params);
    }
    case Scheme::Other: return a.text == b.text;
  }
  return false;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i >= 3 && lex::hex_value(text[i + 1]) >= 0 &&
        lex::hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(lex::hex_value(text[i + 1]) * 16 + lex::hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

namespace {

template <typename Plain>
std::string percent_encode(std::string_view text, Plain plain) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (plain(c)) {
      out += c;
    } else {
      const auto u = static_cast<unsigned char>(c);
      out += '%';
      out += hex[u >> 4U];
      out += hex[u & 0xfU];
    }
  }
  return out;
}

}  // namespace

std::string percent_encode_user(std::string_view text) {
  // ':' would begin a password; '#' is read but never written.
  return percent_encode(text,
                        [](char c) { return lex::is(c, lex::kUser) && c != ':' && c != '#'; });
}

std::string percent_encode_header(std::string_view text) {
  return percent_encode(text, [](char c) {
    return lex::is(c, lex::kAlpha) || lex::is(c, lex::kDigit) || c == '-' || c == '.' || c == '_';
  });
}

std::string unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  }
  out += '"';
  return out;
}

}  // namespace godwit::wire
