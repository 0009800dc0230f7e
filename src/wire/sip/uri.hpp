// SPDX-License-Identifier: Apache-2.0
//
// URIs and parameter lists as views into whoever holds the text (a Message, a string); nothing is
// copied or allocated. Percent-coding makes new strings. Resolves nothing and knows no DNS.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/address.hpp"

namespace godwit::wire {

struct Param {
  std::string_view name;
  std::string_view value;  ///< As written, quotes included; empty if there is none.
  bool has_value = false;  ///< Tells "rport" from "rport=".
};

/// Parameters separated by ';', as in URIs, name-addrs and Vias: parsed as they are asked for.
/// Names compare without regard to case; of several equal ones the first counts.
class Params {
 public:
  Params() = default;
  /// `text` begins with ';' or with a name; what is within quotes separates nothing.
  explicit Params(std::string_view text) : text_(text) {}

  class Iterator {
   public:
    using value_type = Param;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = const Param&;
    using pointer = const Param*;

    Iterator() = default;
    const Param& operator*() const { return current_; }
    const Param* operator->() const { return &current_; }
    Iterator& operator++() {
      advance();
      return *this;
    }
    void operator++(int) { advance(); }
    friend bool operator==(const Iterator& a, std::default_sentinel_t) { return a.done_; }

   private:
    friend class Params;
    explicit Iterator(std::string_view rest) : rest_(rest), done_(false) { advance(); }
    void advance();
    std::string_view rest_;
    Param current_;
    bool done_ = true;
  };

  Iterator begin() const { return Iterator(text_); }
  std::default_sentinel_t end() const { return {}; }
  bool empty() const { return begin() == end(); }

  /// The value as written; an empty view for a parameter without one.
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }

  /// Every name is a token and every value a token, host or quoted string.
  bool well_formed() const;
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

/// "host", "host:port" or "[v6]:port", port 1 to 65535.
struct HostPort {
  std::string_view host;  ///< IPv6 with its brackets.
  std::optional<std::uint16_t> port;

  /// In a Via (but not in a URI) white space may surround the colon (RFC 3261 §25.1, COLON).
  enum class Space : std::uint8_t { No, AroundColon };
  static std::optional<HostPort> parse(std::string_view text, Space space = Space::No);
};

enum class Scheme : std::uint8_t { Sip, Sips, Tel, Other };

struct Uri {
  Scheme scheme = Scheme::Other;
  std::string_view scheme_text;
  std::string_view user;      ///< Still percent-encoded; for tel the number.
  std::string_view password;  ///< Deprecated (RFC 3261 §19.1.1), never logged.
  std::string_view host;      ///< IPv6 with its brackets. Empty for tel and other schemes.
  std::optional<std::uint16_t> port;
  Params params;
  std::string_view headers;  ///< Behind '?', without it.
  std::string_view text;     ///< The whole.
  bool has_user = false;     ///< An '@' was there.

  /// nullopt if the text is no URI, or a sip/sips/tel URI against the grammar of RFC 3261 §25.1 and
  /// RFC 3966. URIs of other schemes are accepted by scheme and characters only.
  static std::optional<Uri> parse(std::string_view text);

  bool is_sip() const { return scheme == Scheme::Sip || scheme == Scheme::Sips; }
  /// The host if it is an address literal.
  std::optional<IpAddress> address() const { return IpAddress::parse(host); }
  /// Lower-case transport parameter compared without case; empty view if there is none.
  std::string_view transport() const { return params.get("transport").value_or(""); }
  /// "host" or "host:port", as written.
  std::string host_port() const;
};

/// RFC 3261 §19.1.4 for sip and sips; tel compares number and parameters, others compare as text.
/// Not transitive, by that rule's own words, and so no operator==.
bool equals(const Uri& a, const Uri& b);

/// "%41" becomes "A"; a '%' without two hex digits stays as it is.
std::string percent_decode(std::string_view text);
/// For the user part of a SIP URI: everything outside its grammar becomes %HH.
std::string percent_encode_user(std::string_view text);
/// For the value of a header within a SIP URI (RFC 3261 §19.1.1): all but letters, digits, '-', '.'
/// and '_' become %HH.
std::string percent_encode_header(std::string_view text);

/// The content of a quoted-string without quotes and escapes; other text is returned as it is.
std::string unquote(std::string_view text);
/// The opposite: always with quotes, '"' and '\' escaped, CR and LF replaced by spaces.
std::string quote(std::string_view text);

}  // namespace godwit::wire
