// SPDX-License-Identifier: Apache-2.0
#include "testing/sip_text.hpp"

#include <algorithm>
#include <charconv>

namespace godwit::testing {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string_view expand(std::string_view name) {
  if (name.size() != 1) return name;
  switch (lower(name[0])) {
    case 'v': return "Via";
    case 'f': return "From";
    case 't': return "To";
    case 'i': return "Call-ID";
    case 'm': return "Contact";
    case 'l': return "Content-Length";
    case 'c': return "Content-Type";
    case 'e': return "Content-Encoding";
    case 'k': return "Supported";
    case 's': return "Subject";
    default: return name;
  }
}

bool is_token(std::string_view text) {
  constexpr std::string_view kOther = "-.!%*_+`'~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
           kOther.find(c) != std::string_view::npos;
  });
}

/// Calls `visit(position, character)` for every character outside quotes and angle brackets; ends
/// early if it returns false.
template <typename Visit>
void for_each_plain(std::string_view text, Visit visit) {
  bool quoted = false;
  bool bracketed = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (bracketed) {
      if (c == '>') bracketed = false;
    } else if (c == '<') {
      bracketed = true;
    } else if (!visit(i, c)) {
      return;
    }
  }
}

/// Position and length of the parameter from its ';' on, or nullopt.
struct ParameterSpan {
  std::size_t begin;
  std::size_t end;
  std::string_view value;
};
std::optional<ParameterSpan> find_parameter(std::string_view text, std::string_view name) {
  std::vector<std::size_t> semicolons;
  for_each_plain(text, [&](std::size_t i, char c) {
    if (c == ';') semicolons.push_back(i);
    return c != ',';
  });
  for (std::size_t n = 0; n < semicolons.size(); ++n) {
    const std::size_t begin = semicolons[n];
    const std::size_t end = n + 1 < semicolons.size() ? semicolons[n + 1] : text.size();
    const std::string_view part = text.substr(begin + 1, end - begin - 1);
    const std::size_t equals = part.find('=');
    if (!equals_ignoring_case(trim(part.substr(0, equals)), name)) continue;
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : trim(part.substr(equals + 1));
    return ParameterSpan{begin, end, value};
  }
  return std::nullopt;
}

const std::string kNone;

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::vector<std::string> split_list(std::string_view value) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    const std::string_view part = trim(value.substr(begin, end - begin));
    if (!part.empty()) parts.emplace_back(part);
    begin = end + 1;
  };
  for_each_plain(value, [&](std::size_t i, char c) {
    if (c == ',') add(i);
    return true;
  });
  if (begin < value.size()) add(value.size());
  return parts;
}

std::optional<std::string> parameter(std::string_view value, std::string_view name) {
  const auto span = find_parameter(value, name);
  if (!span) return std::nullopt;
  std::string_view text = span->value;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

std::string with_parameter(std::string_view value, std::string_view name, std::string_view text) {
  std::string added = ";" + std::string(name);
  if (!text.empty()) added += "=" + std::string(text);
  std::string result(value);
  if (const auto span = find_parameter(value, name)) {
    return result.replace(span->begin, span->end - span->begin, added);
  }
  return result + added;
}

std::string uri_of(std::string_view value) {
  bool quoted = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (quoted && value[i] == '\\') {
      ++i;
    } else if (value[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && value[i] == '<') {
      const std::size_t end = value.find('>', i);
      if (end == std::string_view::npos) return {};
      return std::string(trim(value.substr(i + 1, end - i - 1)));
    }
  }
  return std::string(trim(value.substr(0, value.find(';'))));
}

std::optional<UriParts> parse_uri(std::string_view uri) {
  UriParts parts;
  const std::size_t colon = uri.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  for (char c : uri.substr(0, colon)) parts.scheme += lower(c);
  if (parts.scheme != "sip" && parts.scheme != "sips") return std::nullopt;
  std::string_view rest = uri.substr(colon + 1);
  // A user part may hold ';' and '?', so '@' is looked for first (RFC 3261 §25.1, userinfo).
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view userinfo = rest.substr(0, at);
    parts.user = std::string(userinfo.substr(0, userinfo.find(':')));
    rest = rest.substr(at + 1);
  }
  const std::size_t end = rest.find_first_of(";?");
  if (end != std::string_view::npos) parts.parameters = std::string(rest.substr(end + 1));
  std::string_view hostport = rest.substr(0, end);
  std::string_view port;
  if (!hostport.empty() && hostport.front() == '[') {
    const std::size_t close = hostport.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    port = hostport.substr(close + 1);
    hostport = hostport.substr(1, close - 1);
  } else if (const std::size_t mark = hostport.find(':'); mark != std::string_view::npos) {
    port = hostport.substr(mark);
    hostport = hostport.substr(0, mark);
  }
  if (!port.empty()) {
    const char* const last = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data() + 1, last, parts.port);
    if (port[0] != ':' || error != std::errc() || stop != last || parts.port == 0) {
      return std::nullopt;
    }
  }
  if (hostport.empty()) return std::nullopt;
  for (char c : hostport) parts.host += lower(c);
  return parts;
}

std::optional<Endpoint> UriParts::literal(std::uint16_t default_port) const {
  const auto address = IpAddress::parse(host);
  if (!address) return std::nullopt;
  return Endpoint{*address, port != 0 ? port : default_port};
}

Result<SipText> SipText::parse(std::string_view bytes) {
  if (bytes.size() > kMaxSipTextBytes) return fail(ErrorCode::TooLarge, "datagram");
  SipText message;
  std::size_t position = 0;
  const auto next_line = [&]() -> std::optional<std::string_view> {
    const std::size_t end = bytes.find('\n', position);
    if (end == std::string_view::npos) return std::nullopt;
    std::string_view line = bytes.substr(position, end - position);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    position = end + 1;
    return line;
  };

  const auto start = next_line();
  if (!start) return fail(ErrorCode::Malformed, "no line");
  const std::size_t space = start->find(' ');
  const std::size_t second = space == std::string_view::npos ? space : start->find(' ', space + 1);
  if (start->substr(0, space) == "SIP/2.0" && space != std::string_view::npos) {
    const std::string_view code = start->substr(space + 1, 3);
    const auto [stop, error] =
        std::from_chars(code.data(), code.data() + code.size(), message.status);
    if (error != std::errc() || stop != code.data() + 3 || message.status < 100 ||
        message.status > 699) {
      return fail(ErrorCode::Malformed, "status line");
    }
    if (second != std::string_view::npos) message.reason = std::string(start->substr(second + 1));
  } else {
    if (second == std::string_view::npos || start->substr(second + 1) != "SIP/2.0" ||
        !is_token(start->substr(0, space)) || second == space + 1) {
      return fail(ErrorCode::Malformed, "request line");
    }
    message.method = std::string(start->substr(0, space));
    message.uri = std::string(start->substr(space + 1, second - space - 1));
  }

  for (;;) {
    const auto line = next_line();
    if (!line) return fail(ErrorCode::Malformed, "headers do not end");
    if (line->empty()) break;
    if (line->front() == ' ' || line->front() == '\t') {
      if (message.headers.empty()) return fail(ErrorCode::Malformed, "folding without a header");
      message.headers.back().second += " " + std::string(trim(*line));
      continue;
    }
    const std::size_t colon = line->find(':');
    if (colon == std::string_view::npos) return fail(ErrorCode::Malformed, "header without colon");
    const std::string_view name = trim(line->substr(0, colon));
    if (!is_token(name)) return fail(ErrorCode::Malformed, "header name");
    if (message.headers.size() == kMaxSipTextHeaders) return fail(ErrorCode::TooLarge, "headers");
    message.headers.emplace_back(expand(name), trim(line->substr(colon + 1)));
  }

  std::string_view body = bytes.substr(position);
  if (const std::string& length = message.first("Content-Length"); !length.empty()) {
    std::size_t count = 0;
    const char* const last = length.data() + length.size();
    const auto [stop, error] = std::from_chars(length.data(), last, count);
    if (error != std::errc() || stop != last) return fail(ErrorCode::Malformed, "Content-Length");
    // RFC 3261 §18.3: a datagram shorter than Content-Length is in error.
    if (count > body.size()) return fail(ErrorCode::Malformed, "shorter than Content-Length");
    body = body.substr(0, count);
  }
  message.body = std::string(body);
  return message;
}

SipText SipText::request(std::string method, std::string uri) {
  SipText message;
  message.method = std::move(method);
  message.uri = std::move(uri);
  return message;
}

SipText SipText::response(int status, std::string reason) {
  SipText message;
  message.status = status;
  message.reason = std::move(reason);
  return message;
}

SipText SipText::response_to(const SipText& request, int status, std::string_view reason,
                             std::string_view to_tag) {
  SipText message = response(status, std::string(reason));
  for (const auto& [name, value] : request.headers) {
    if (equals_ignoring_case(name, "Via")) message.append("Via", value);
  }
  message.append("From", request.first("From"));
  std::string to = request.first("To");
  if (!to_tag.empty() && !parameter(to, "tag")) to += ";tag=" + std::string(to_tag);
  message.append("To", std::move(to));
  message.append("Call-ID", request.first("Call-ID"));
  message.append("CSeq", request.first("CSeq"));
  return message;
}

const std::string& SipText::first(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const Header& header) {
    return equals_ignoring_case(header.first, name);
  });
  return found == headers.end() ? kNone : found->second;
}

bool SipText::has(std::string_view name) const {
  return std::any_of(headers.begin(), headers.end(), [&](const Header& header) {
    return equals_ignoring_case(header.first, name);
  });
}

std::vector<std::string> SipText::lines(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [key, value] : headers) {
    if (equals_ignoring_case(key, name)) all.push_back(value);
  }
  return all;
}

std::vector<std::string> SipText::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const auto& [key, value] : headers) {
    if (!equals_ignoring_case(key, name)) continue;
    for (auto& part : split_list(value)) all.push_back(std::move(part));
  }
  return all;
}

void SipText::set(std::string_view name, std::string value) {
  for (auto& [key, old] : headers) {
    if (!equals_ignoring_case(key, name)) continue;
    old = std::move(value);
    return;
  }
  append(name, std::move(value));
}

void SipText::append(std::string_view name, std::string value) {
  headers.emplace_back(name, std::move(value));
}

void SipText::prepend(std::string_view name, std::string value) {
  auto place = std::find_if(headers.begin(), headers.end(), [&](const Header& header) {
    return equals_ignoring_case(header.first, name);
  });
  if (place == headers.end()) place = headers.begin();
  headers.emplace(place, std::string(name), std::move(value));
}

void SipText::remove(std::string_view name) {
  std::erase_if(headers, [&](const Header& h) { return equals_ignoring_case(h.first, name); });
}

void SipText::remove_first_value(std::string_view name) {
  for (auto header = headers.begin(); header != headers.end(); ++header) {
    if (!equals_ignoring_case(header->first, name)) continue;
    const auto parts = split_list(header->second);
    if (parts.size() <= 1) {
      headers.erase(header);
      return;
    }
    header->second.clear();
    for (std::size_t i = 1; i < parts.size(); ++i) {
      header->second += (i > 1 ? ", " : "") + parts[i];
    }
    return;
  }
}

void SipText::set_first_value(std::string_view name, std::string value) {
  for (auto& [key, old] : headers) {
    if (!equals_ignoring_case(key, name)) continue;
    auto parts = split_list(old);
    for (std::size_t i = 1; i < parts.size(); ++i) value += ", " + parts[i];
    old = std::move(value);
    return;
  }
}

std::uint32_t SipText::cseq_number() const {
  const std::string& value = first("CSeq");
  std::uint32_t number = 0;
  std::from_chars(value.data(), value.data() + value.size(), number);
  return number;
}

std::string SipText::cseq_method() const {
  const std::string& value = first("CSeq");
  const std::size_t blank = value.find_first_of(" \t");
  return blank == std::string::npos ? std::string()
                                    : std::string(trim(std::string_view(value).substr(blank)));
}

std::string SipText::start_line() const {
  return is_request() ? method + " " + uri + " SIP/2.0"
                      : "SIP/2.0 " + std::to_string(status) + " " + reason;
}

std::string SipText::to_string() const {
  std::string text = start_line() + "\r\n";
  for (const auto& [name, value] : headers) {
    if (equals_ignoring_case(name, "Content-Length")) continue;
    text += name + ": " + value + "\r\n";
  }
  return text + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace godwit::testing
