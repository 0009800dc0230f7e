// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/headers.hpp"

#include <algorithm>
#include <limits>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

constexpr std::size_t kNpos = std::string_view::npos;

/// display-name = *(token LWS) / quoted-string. UTF-8 is let through unquoted too: many send it.
bool display_ok(std::string_view text) {
  if (text.empty()) return true;
  if (text[0] == '"') return lex::skip_quoted(text, 0) == text.size();
  return std::all_of(text.begin(), text.end(), [](char c) {
    return lex::is(c, lex::kToken) || lex::is_space(c) || static_cast<unsigned char>(c) >= 0x80;
  });
}

std::optional<Params> params_after(std::string_view rest) {
  rest = lex::trim(rest);
  if (!rest.empty() && rest[0] != ';') return std::nullopt;
  const Params params(rest);
  if (!params.well_formed()) return std::nullopt;
  return params;
}

template <typename T>
std::optional<T> parse_first(const Message& message, HeaderId id) {
  const auto value = message.first(id);
  return value ? T::parse(*value) : std::nullopt;
}

std::optional<std::chrono::seconds> seconds_of(const Message& message, HeaderId id) {
  const auto value = message.first(id);
  return value ? parse_delta_seconds(*value) : std::nullopt;
}

}  // namespace

std::optional<NameAddr> NameAddr::parse(std::string_view text) {
  text = lex::trim(text);
  NameAddr out;
  std::size_t open = 0;
  if (!text.empty() && text[0] == '"') {
    const std::size_t after = lex::skip_quoted(text, 0);
    if (after == kNpos) return std::nullopt;
    open = after;
    while (open < text.size() && lex::is_space(text[open])) ++open;
    if (open == text.size() || text[open] != '<') return std::nullopt;
  } else {
    open = text.find('<');
    // A '<' behind the first ';' belongs to a parameter of the form without brackets, if anywhere.
    if (open != kNpos && text.substr(0, open).find(';') != kNpos) open = kNpos;
  }

  if (open == kNpos) {
    const std::size_t end = std::min(text.find(';'), text.size());
    const std::string_view uri_text = lex::trim_right(text.substr(0, end));
    // RFC 3261 §20.10: a URI with comma, question mark or semicolon must be in brackets.
    if (uri_text.find_first_of("?,") != kNpos) return std::nullopt;
    const auto uri = Uri::parse(uri_text);
    const auto params = params_after(text.substr(end));
    if (!uri || !params) return std::nullopt;
    out.uri = *uri;
    out.params = *params;
    return out;
  }

  const std::size_t close = text.find('>', open);
  if (close == kNpos) return std::nullopt;
  out.display = lex::trim(text.substr(0, open));
  if (!display_ok(out.display)) return std::nullopt;
  const auto uri = Uri::parse(text.substr(open + 1, close - open - 1));
  const auto params = params_after(text.substr(close + 1));
  if (!uri || !params) return std::nullopt;
  out.uri = *uri;
  out.params = *params;
  out.bracketed = true;
  return out;
}

std::optional<std::chrono::seconds> NameAddr::expires() const {
  const auto value = params.get("expires");
  return value ? parse_delta_seconds(*value) : std::nullopt;
}

std::optional<std::uint16_t> NameAddr::q() const {
  const auto value = params.get("q");
  if (!value || value->empty() || value->size() > 5 || (value->size() > 1 && (*value)[1] != '.')) {
    return std::nullopt;
  }
  if ((*value)[0] != '0' && (*value)[0] != '1') return std::nullopt;
  unsigned total = static_cast<unsigned>((*value)[0] - '0') * 1000;
  unsigned weight = 100;
  for (const char c : value->substr(std::min<std::size_t>(2, value->size()))) {
    if (!lex::is(c, lex::kDigit)) return std::nullopt;
    total += static_cast<unsigned>(c - '0') * weight;
    weight /= 10;
  }
  if (total > 1000) return std::nullopt;
  return static_cast<std::uint16_t>(total);
}

std::optional<Via> Via::parse(std::string_view text) {
  text = lex::trim(text);
  Via out;
  out.text = text;
  std::string_view rest = text;
  constexpr std::string_view kProtocol = "SIP/2.0/";
  if (rest.substr(0, kProtocol.size()) == kProtocol) {
    rest = lex::trim_left(rest.substr(kProtocol.size()));
  } else {
    // sent-protocol = "SIP" SLASH "2.0" SLASH transport; white space may surround each slash.
    const auto part = [&rest]() -> std::string_view {
      const std::size_t slash = lex::find_or_end(rest, '/');
      if (slash == rest.size()) return {};
      const std::string_view found = lex::trim(rest.substr(0, slash));
      rest = lex::trim_left(rest.substr(slash + 1));
      return found;
    };
    if (!lex::iequals(part(), "SIP") || part() != "2.0") return std::nullopt;
  }
  const std::size_t space = lex::find_space(rest);
  if (space == rest.size()) return std::nullopt;
  out.transport = rest.substr(0, space);
  if (!lex::is_token(out.transport)) return std::nullopt;
  rest = lex::trim_left(rest.substr(space));
  const std::size_t end = lex::find_or_end(rest, ';');
  const auto sent_by =
      HostPort::parse(lex::trim_right(rest.substr(0, end)), HostPort::Space::AroundColon);
  const auto params = params_after(rest.substr(end));
  if (!sent_by || !params) return std::nullopt;
  out.host = sent_by->host;
  out.port = sent_by->port;
  out.params = *params;
  return out;
}

bool Via::has_unique_branch() const {
  const std::string_view value = branch();
  return value.size() > kMagicCookie.size() &&
         lex::iequals(value.substr(0, kMagicCookie.size()), kMagicCookie);
}

std::optional<IpAddress> Via::received() const {
  const auto value = params.get("received");
  return value ? IpAddress::parse(*value) : std::nullopt;
}

std::optional<std::uint16_t> Via::rport() const {
  const auto value = params.get("rport");
  const auto number = value ? lex::number(*value, 65'535) : std::nullopt;
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

std::optional<std::uint8_t> Via::ttl() const {
  const auto value = params.get("ttl");
  const auto number = value ? lex::number(*value, 255) : std::nullopt;
  if (!number) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

std::optional<CSeq> CSeq::parse(std::string_view text) {
  text = lex::trim(text);
  const std::size_t space = lex::find_space(text);
  if (space == text.size()) return std::nullopt;
  // RFC 3261 §8.1.1.5: the number is less than 2**31.
  const auto number = lex::number(
      text.substr(0, space), static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max()));
  const std::string_view method = lex::trim_left(text.substr(space));
  if (!number || !lex::is_token(method)) return std::nullopt;
  return CSeq{*number, parse_method(method), method};
}

std::optional<RAck> RAck::parse(std::string_view text) {
  text = lex::trim(text);
  const std::size_t space = lex::find_space(text);
  if (space == text.size()) return std::nullopt;
  const auto number = lex::number(text.substr(0, space), std::numeric_limits<std::uint32_t>::max());
  const auto cseq = CSeq::parse(text.substr(space));
  if (!number || !cseq) return std::nullopt;
  return RAck{*number, *cseq};
}

std::optional<SessionExpires> SessionExpires::parse(std::string_view text) {
  const auto parts = ValueWithParams::parse(text);
  if (!parts) return std::nullopt;
  const auto interval = parse_delta_seconds(parts->value);
  if (!interval) return std::nullopt;
  SessionExpires out{*interval, Refresher::Unspecified};
  if (const auto refresher = parts->params.get("refresher")) {
    if (lex::iequals(*refresher, "uac")) out.refresher = Refresher::Uac;
    if (lex::iequals(*refresher, "uas")) out.refresher = Refresher::Uas;
  }
  return out;
}

std::optional<RetryAfter> RetryAfter::parse(std::string_view text) {
  // Retry-After = delta-seconds [ comment ] *( SEMI retry-param )
  text = lex::trim(text);
  std::size_t end = 0;
  while (end < text.size() && lex::is(text[end], lex::kDigit)) ++end;
  const auto delay = parse_delta_seconds(text.substr(0, end));
  if (!delay) return std::nullopt;
  text = lex::trim_left(text.substr(end));
  if (!text.empty() && text[0] == '(') {
    // Comments may nest; only their depth matters.
    std::size_t depth = 0;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '(') {
        ++depth;
      } else if (text[i] == ')' && --depth == 0) {
        break;
      }
    }
    text.remove_prefix(std::min(i + 1, text.size()));
  }
  RetryAfter out{*delay, std::nullopt};
  if (const auto params = params_after(text)) {
    if (const auto duration = params->get("duration")) {
      out.duration = parse_delta_seconds(*duration);
    }
  }
  return out;
}

std::optional<ValueWithParams> ValueWithParams::parse(std::string_view text) {
  text = lex::trim(text);
  const std::size_t end = std::min(text.find(';'), text.size());
  const std::string_view value = lex::trim_right(text.substr(0, end));
  if (value.empty()) return std::nullopt;
  const auto params = params_after(text.substr(end));
  if (!params) return std::nullopt;
  return ValueWithParams{value, *params};
}

std::optional<Replaces> Replaces::parse(std::string_view text) {
  const auto parts = ValueWithParams::parse(text);
  if (!parts) return std::nullopt;
  const auto to_tag = parts->params.get("to-tag");
  const auto from_tag = parts->params.get("from-tag");
  if (!to_tag || !from_tag || to_tag->empty() || from_tag->empty()) return std::nullopt;
  return Replaces{parts->value, *to_tag, *from_tag, parts->params.has("early-only")};
}

std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text) {
  const auto value = lex::number(lex::trim(text), std::numeric_limits<std::uint32_t>::max());
  if (!value) return std::nullopt;
  return std::chrono::seconds(*value);
}

std::optional<NameAddr> from_of(const Message& message) {
  return parse_first<NameAddr>(message, HeaderId::From);
}
std::optional<NameAddr> to_of(const Message& message) {
  return parse_first<NameAddr>(message, HeaderId::To);
}
std::string_view from_tag_of(const Message& message) {
  const auto from = from_of(message);
  return from ? from->tag().value_or("") : "";
}
std::string_view to_tag_of(const Message& message) {
  const auto to = to_of(message);
  return to ? to->tag().value_or("") : "";
}
std::string_view call_id_of(const Message& message) {
  return message.first(HeaderId::CallId).value_or("");
}
std::optional<CSeq> cseq_of(const Message& message) {
  return parse_first<CSeq>(message, HeaderId::CSeq);
}

std::string_view top_via_text(const Message& message) {
  for (const std::string_view via : message.values(HeaderId::Via)) return via;
  return {};
}
std::optional<Via> top_via_of(const Message& message) { return Via::parse(top_via_text(message)); }
std::optional<NameAddr> contact_of(const Message& message) {
  for (const std::string_view contact : message.values(HeaderId::Contact)) {
    if (auto parsed = NameAddr::parse(contact)) return parsed;
  }
  return std::nullopt;
}

std::optional<std::uint8_t> max_forwards_of(const Message& message) {
  const auto value = message.first(HeaderId::MaxForwards);
  const auto number = value ? lex::number(*value, 255) : std::nullopt;
  if (!number) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}
std::optional<std::chrono::seconds> expires_of(const Message& message) {
  return seconds_of(message, HeaderId::Expires);
}
std::optional<std::chrono::seconds> min_expires_of(const Message& message) {
  return seconds_of(message, HeaderId::MinExpires);
}
std::optional<std::chrono::seconds> min_se_of(const Message& message) {
  const auto value = message.first(HeaderId::MinSE);
  const auto parts = value ? ValueWithParams::parse(*value) : std::nullopt;
  return parts ? parse_delta_seconds(parts->value) : std::nullopt;
}
std::optional<SessionExpires> session_expires_of(const Message& message) {
  return parse_first<SessionExpires>(message, HeaderId::SessionExpires);
}
std::optional<RetryAfter> retry_after_of(const Message& message) {
  return parse_first<RetryAfter>(message, HeaderId::RetryAfter);
}

MethodSet allow_of(const Message& message) {
  MethodSet out;
  for (const std::string_view method : message.values(HeaderId::Allow)) {
    out.insert(parse_method(method));
  }
  return out;
}

bool has_token(const Message& message, HeaderId id, std::string_view token) {
  for (const std::string_view value : message.values(id)) {
    if (lex::iequals(value, token)) return true;
  }
  return false;
}

bool has_content_type(const Message& message, std::string_view type) {
  const auto parts = parse_first<ValueWithParams>(message, HeaderId::ContentType);
  return parts && lex::iequals(parts->value, type);
}

}  // namespace godwit::wire
