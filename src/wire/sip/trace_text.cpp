// SPDX-License-Identifier: Apache-2.0
//
// SIP messages as text for people, without what must stay secret and without what could steer the
// terminal they are shown on. The bytes may be valid SIP or not: what a tolerant parser somewhere
// could read as a secret counts as one, and what cannot be told apart is left out.
#include <algorithm>
#include <array>
#include <utility>

#include "godwit/trace.hpp"

namespace godwit {
namespace {

using std::string_view;

constexpr string_view kRedacted = "(redacted)";
constexpr string_view kHidden = "(hidden)";
constexpr std::uint32_t kShortest = 256;
constexpr std::uint32_t kLongest = 65'536;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// `prefix` is in lower case.
bool begins(string_view text, string_view prefix) {
  return text.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), text.begin(),
                                                    [](char a, char b) { return a == lower(b); });
}

bool same(string_view text, string_view lower_case) {
  return text.size() == lower_case.size() && begins(text, lower_case);
}

template <std::size_t N>
bool is_one_of(string_view name, const std::array<string_view, N>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](string_view each) { return same(name, each); });
}

string_view trimmed(string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::size_t skip_blanks(string_view text, std::size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}

/// Behind the quoted string that begins at `at`; the text's end if it is not closed.
std::size_t skip_quoted(string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.size();
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// RFC 3261 §19.1.4: a character and its escape are the same.
std::string unescaped(string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

constexpr std::array<string_view, 4> kSecretHeaders{
    "authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info"};
/// Of URIs and headers; a URI may carry whole headers (RFC 3261 §19.1.1).
constexpr std::array<string_view, 5> kSecretParameters{"pn-prid", "authorization",
                                                       "proxy-authorization", "authentication-info",
                                                       "proxy-authentication-info"};
constexpr std::array<string_view, 4> kSecretSdp{"a=crypto:", "k=", "a=key-mgmt:", "a=ice-pwd:"};

/// Those with a name and an address, whose display names tell who it is.
constexpr std::array<string_view, 16> kAddressHeaders{"from",
                                                      "f",
                                                      "to",
                                                      "t",
                                                      "contact",
                                                      "m",
                                                      "p-asserted-identity",
                                                      "p-preferred-identity",
                                                      "remote-party-id",
                                                      "diversion",
                                                      "history-info",
                                                      "refer-to",
                                                      "r",
                                                      "referred-by",
                                                      "b",
                                                      "reply-to"};
/// Whose values, user parts apart, tell nothing of persons.
constexpr std::array<string_view, 60> kHarmlessHeaders{"via",
                                                       "v",
                                                       "call-id",
                                                       "i",
                                                       "cseq",
                                                       "max-forwards",
                                                       "route",
                                                       "record-route",
                                                       "path",
                                                       "service-route",
                                                       "allow",
                                                       "supported",
                                                       "k",
                                                       "require",
                                                       "proxy-require",
                                                       "unsupported",
                                                       "expires",
                                                       "min-expires",
                                                       "session-expires",
                                                       "x",
                                                       "min-se",
                                                       "content-length",
                                                       "l",
                                                       "content-type",
                                                       "c",
                                                       "content-encoding",
                                                       "e",
                                                       "content-disposition",
                                                       "user-agent",
                                                       "server",
                                                       "allow-events",
                                                       "u",
                                                       "event",
                                                       "o",
                                                       "subscription-state",
                                                       "retry-after",
                                                       "accept",
                                                       "accept-encoding",
                                                       "accept-language",
                                                       "date",
                                                       "rseq",
                                                       "rack",
                                                       "privacy",
                                                       "replaces",
                                                       "refer-sub",
                                                       "sip-etag",
                                                       "sip-if-match",
                                                       "www-authenticate",
                                                       "proxy-authenticate",
                                                       "mime-version",
                                                       "flow-timer",
                                                       "timestamp",
                                                       "target-dialog",
                                                       "warning",
                                                       "min-fresh",
                                                       "feature-caps",
                                                       "info-package",
                                                       "recv-info",
                                                       "geolocation-error",
                                                       "p-access-network-info"};

/// Schemes of URIs with a user part. The last one has nothing else.
constexpr std::array<string_view, 5> kSchemes{"sips:", "sip:", "im:", "pres:", "tel:"};

/// One line, or a folded header as one, on its way into the trace.
class Scrubber {
 public:
  Scrubber(string_view text, bool start_line, bool hide_users)
      : text_(text), start_line_(start_line), hide_users_(hide_users) {}

  std::string run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '?' && hide_users_) {
        take_headers();
      } else if (c == ';' || c == '?' || c == '&') {
        take_parameter();
      } else if (!take_uri()) {
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  /// A URI's headers may hold anything.
  void take_headers() {
    out_ += "?";
    out_ += kHidden;
    at_ = std::min(text_.find_first_of("> \t\"", at_), text_.size());
  }

  void take_parameter() {
    const std::size_t name_at = skip_blanks(text_, at_ + 1);
    const std::size_t name_end =
        std::min(text_.find_first_of(";?&=>,\" \t", name_at), text_.size());
    const std::size_t equals = skip_blanks(text_, name_end);
    const bool has_value = equals < text_.size() && text_[equals] == '=';
    if (!has_value ||
        !is_one_of(unescaped(text_.substr(name_at, name_end - name_at)), kSecretParameters)) {
      out_ += text_[at_++];
      return;
    }
    out_ += text_.substr(at_, equals + 1 - at_);
    out_ += kRedacted;
    at_ = skip_blanks(text_, equals + 1);
    if (at_ < text_.size() && text_[at_] == '"') {
      at_ = skip_quoted(text_, at_);
      return;
    }
    // In the start line a blank ends it; elsewhere it is a fault, and the secret may go on.
    at_ = std::min(text_.find_first_of(start_line_ ? ";&> \t" : ";&>,", at_), text_.size());
  }

  bool take_uri() {
    const auto scheme = std::find_if(kSchemes.begin(), kSchemes.end(), [this](string_view each) {
      return begins(text_.substr(at_), each);
    });
    if (scheme == kSchemes.end()) return false;
    out_ += text_.substr(at_, scheme->size());
    at_ += scheme->size();
    if (*scheme == "tel:") {
      if (!hide_users_) return true;
      out_ += kHidden;
      at_ = std::min(text_.find_first_of(";<>\" \t", at_), text_.size());
      return true;
    }
    // None before this place: looked for already.
    if (at_ < no_at_before_) return true;
    const std::size_t end = std::min(text_.find_first_of("@<>\" \t", at_), text_.size());
    if (end == text_.size() || text_[end] != '@') {
      no_at_before_ = end;
      return true;
    }
    const string_view user = text_.substr(at_, end - at_);
    if (hide_users_) {
      out_ += kHidden;
    } else if (const auto colon = user.find(':'); colon != string_view::npos) {
      // RFC 3261 §19.1.1: a password in clear text.
      Scrubber before(user.substr(0, colon + 1), start_line_, false);
      out_ += before.run();
      out_ += kRedacted;
    } else {
      return true;  // Its characters are ordinary ones, which may be parameters, too.
    }
    at_ = end;
    return true;
  }

  string_view text_;
  bool start_line_;
  bool hide_users_;
  std::size_t at_ = 0;
  std::size_t no_at_before_ = 0;
  std::string out_;
};

/// The addresses of From, Contact and the like without their display names.
std::string without_names(string_view value) {
  if (trimmed(value) == "*") return std::string(value);
  std::string out;
  std::size_t at = 0;
  while (at < value.size()) {
    // One element: what stands before its address is a name.
    const std::size_t element = at;
    while (at < value.size() && value[at] != '<' && value[at] != ',') {
      at = value[at] == '"' ? skip_quoted(value, at) : at + 1;
    }
    if (at == value.size() || value[at] == ',') {
      const string_view bare = trimmed(value.substr(element, at - element));
      const bool is_uri = std::any_of(kSchemes.begin(), kSchemes.end(),
                                      [&](string_view scheme) { return begins(bare, scheme); });
      out += ' ';
      out += is_uri ? bare.substr(0, bare.find_first_of("\" \t")) : kHidden;
    } else {
      const std::size_t close = std::min(value.find('>', at), value.size());
      out += ' ';
      out += value.substr(at, close - at);
      at = close;
      while (at < value.size() && value[at] != ',') {
        if (value[at] == '"') {
          out += kHidden;
          at = skip_quoted(value, at);
        } else {
          out += value[at++];
        }
      }
    }
    if (at < value.size()) {
      out += ',';
      ++at;
    }
  }
  return out;
}

class TraceWriter {
 public:
  explicit TraceWriter(const TraceConfig& config)
      : config_(config), limit_(std::clamp(config.max_text, kShortest, kLongest)) {}

  std::string run(string_view message) {
    const std::string* unfinished = nullptr;
    std::string line;
    while (!message.empty() && (in_head_ || shows_body())) {
      // A lone CR or LF ends a line too: a parser somewhere takes it so, and a secret must not
      // pass.
      const std::size_t end = std::min(message.find_first_of("\r\n"), message.size());
      const string_view physical = message.substr(0, end);
      const bool crlf = message.substr(end, 2) == "\r\n";
      if (!in_head_) {
        take_body(physical);
      } else if (!physical.empty() && is_blank(physical[0]) && unfinished != nullptr) {
        line += ' ';
        line += trimmed(physical);
      } else {
        if (unfinished != nullptr) take(line);
        line = physical;
        unfinished = physical.empty() ? nullptr : &line;
        if (physical.empty()) put("");
      }
      message.remove_prefix(std::min(message.size(), end + (crlf ? 2U : 1U)));
      if (physical.empty() && began_) in_head_ = false;
    }
    if (unfinished != nullptr) take(line);
    if (!message.empty()) put("(body of " + std::to_string(message.size()) + " bytes)");
    if (left_out_ > 0) {
      out_ += "(" + std::to_string(left_out_) + " more bytes)\n";
    }
    return std::move(out_);
  }

 private:
  bool redacts() const { return config_.redaction != TraceRedaction::Nothing; }
  bool hides() const { return config_.redaction == TraceRedaction::Identities; }
  bool shows_body() const {
    return config_.level == TraceLevel::Full && !hides() && !(redacts() && has_digits_);
  }

  /// A body has no folded lines; but whoever reads it as if it had them goes on with the secret.
  void take_body(string_view line) {
    if (line.empty()) return put("");
    if (redacts() && is_blank(line[0]) && redacted_last_) return put(kRedacted);
    take(line);
  }

  void put_redacted(string_view before) {
    put(std::string(before) + " (redacted)");
    redacted_last_ = true;
  }

  void take(string_view whole) {
    const bool start_line = !std::exchange(began_, true);
    redacted_last_ = false;
    if (!redacts()) return put(whole);
    // A tolerant parser overlooks the blanks before it.
    const string_view line = whole.substr(skip_blanks(whole, 0));
    for (const string_view prefix : kSecretSdp) {
      if (begins(line, prefix)) return put_redacted(line.substr(0, prefix.size()));
    }
    // RFC 3261 §25.1: blanks may stand before the colon.
    const std::size_t colon = line.find(':');
    const string_view name =
        colon == string_view::npos ? string_view() : trimmed(line.substr(0, colon));
    if (is_one_of(name, kSecretHeaders)) {
      return put_redacted(line.substr(0, colon + 1));
    }
    if (!in_head_) {
      if (begins(line, "signal") && line.find_first_of("=:") != string_view::npos) {
        return put_redacted(line.substr(0, line.find_first_of("=:") + 1));
      }
    } else if (same(name, "content-type") || same(name, "c")) {
      has_digits_ = has_digits_ || begins(trimmed(line.substr(colon + 1)), "application/dtmf");
    }
    if (!hides() || start_line) return put(Scrubber(whole, start_line, hides()).run());
    if (is_one_of(name, kAddressHeaders)) {
      const std::string value = without_names(line.substr(colon + 1));
      return put(std::string(name) + ":" + Scrubber(value, false, true).run());
    }
    if (!is_one_of(name, kHarmlessHeaders)) {
      return put(colon == string_view::npos ? std::string(kHidden)
                                            : std::string(name) + ": (hidden)");
    }
    put(Scrubber(line, false, true).run());
  }

  void put(string_view line) {
    const std::size_t room = limit_ - std::min<std::size_t>(out_.size(), limit_);
    const string_view shown = line.substr(0, room);
    for (const char c : shown) {
      const auto code = static_cast<std::uint8_t>(c);
      out_ += (code < 0x20 && c != '\t') || code == 0x7f ? '.' : c;
    }
    left_out_ += line.size() - shown.size();
    if (room > 0) out_ += '\n';
  }

  const TraceConfig& config_;
  std::size_t limit_;
  std::string out_;
  std::size_t left_out_ = 0;
  bool began_ = false;
  bool in_head_ = true;
  bool has_digits_ = false;
  bool redacted_last_ = false;
};

}  // namespace

std::string trace_text(string_view message, const TraceConfig& config) {
  return TraceWriter(config).run(message);
}

std::string to_string(const TraceRecord& record) {
  std::string out = record.local.to_string();
  out += record.outgoing ? " -> " : " <- ";
  out += record.remote.to_string();
  out += std::string(" ") + record.transport + ", flow " + std::to_string(record.flow) +
         ", generation " + std::to_string(record.generation.value()) + ", " +
         std::to_string(record.size) + " bytes\n";
  out += record.text;
  return out;
}

}  // namespace godwit
