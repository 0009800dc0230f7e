// SPDX-License-Identifier: Apache-2.0
//
// The values inside headers, parsed when asked for: views into the message, no allocation. Each
// `parse` takes one header value (of a list one element) and gives nullopt if it does not follow
// its grammar. The `*_of` functions take the value from a message, nullopt if it is missing or
// wrong. Authentication headers stand in auth.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wire/sip/message.hpp"
#include "wire/sip/uri.hpp"

namespace godwit::wire {

/// From, To, Contact, Route, Record-Route, Refer-To, …: `"Name" <uri>;params` or `uri;params`. In
/// the form without brackets the parameters belong to the header (RFC 3261 §20), and the URI has
/// none.
struct NameAddr {
  std::string_view display;  ///< As written, perhaps quoted; display_name() has it plain.
  Uri uri;
  Params params;
  bool bracketed = false;  ///< The form with <>.

  static std::optional<NameAddr> parse(std::string_view text);

  std::string display_name() const { return unquote(display); }
  std::optional<std::string_view> tag() const { return params.get("tag"); }
  /// The expires parameter of a Contact.
  std::optional<std::chrono::seconds> expires() const;
  /// The q parameter in thousandths, 0 to 1000; nullopt if missing or malformed.
  std::optional<std::uint16_t> q() const;
};

/// "Contact: *".
inline bool is_wildcard(std::string_view contact) { return contact == "*"; }

inline constexpr std::string_view kMagicCookie = "z9hG4bK";

struct Via {
  std::string_view transport;  ///< As written: "UDP", "TLS", …
  std::string_view host;       ///< sent-by; IPv6 with its brackets.
  std::optional<std::uint16_t> port;
  Params params;
  std::string_view text;  ///< The whole element.

  static std::optional<Via> parse(std::string_view text);

  std::string_view branch() const { return params.get("branch").value_or(""); }
  /// A branch that is unique by RFC 3261 §8.1.1.7; false for RFC 2543 peers, and for a bare cookie.
  bool has_unique_branch() const;
  /// With or without brackets around IPv6: both are seen (RFC 5118 §4.5).
  std::optional<IpAddress> received() const;
  bool has_rport() const { return params.has("rport"); }
  std::optional<std::uint16_t> rport() const;
  std::optional<std::string_view> maddr() const { return params.get("maddr"); }
  std::optional<std::uint8_t> ttl() const;
};

struct CSeq {
  std::uint32_t number = 0;
  Method method = Method::Unknown;
  std::string_view method_text;

  static std::optional<CSeq> parse(std::string_view text);
};

struct RAck {
  std::uint32_t response_number = 0;
  CSeq cseq;

  static std::optional<RAck> parse(std::string_view text);
};

enum class Refresher : std::uint8_t { Unspecified, Uac, Uas };

/// RFC 4028.
struct SessionExpires {
  std::chrono::seconds interval{0};
  Refresher refresher = Refresher::Unspecified;

  static std::optional<SessionExpires> parse(std::string_view text);
};

struct RetryAfter {
  std::chrono::seconds delay{0};
  std::optional<std::chrono::seconds> duration;  ///< How long the callee will then be reachable.

  static std::optional<RetryAfter> parse(std::string_view text);
};

/// A value with parameters, e.g. Event, Subscription-State, Content-Type, Content-Disposition,
/// Replaces: `value;params`. The value is whatever stands before the first ';'.
struct ValueWithParams {
  std::string_view value;
  Params params;

  static std::optional<ValueWithParams> parse(std::string_view text);
};

/// RFC 3891.
struct Replaces {
  std::string_view call_id;
  std::string_view to_tag;
  std::string_view from_tag;
  bool early_only = false;

  static std::optional<Replaces> parse(std::string_view text);
};

/// 1*DIGIT up to 2³²−1 (RFC 3261 §20.19); more is nullopt.
std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text);

std::optional<NameAddr> from_of(const Message& message);
std::optional<NameAddr> to_of(const Message& message);
/// Empty if there is none.
std::string_view from_tag_of(const Message& message);
std::string_view to_tag_of(const Message& message);
std::string_view call_id_of(const Message& message);
std::optional<CSeq> cseq_of(const Message& message);
/// The first Via element as it was received, byte for byte: what CANCEL and the ACK to a non-2xx
/// repeat (RFC 3261 §9.1, §17.1.1.3). Empty if there is none.
std::string_view top_via_text(const Message& message);
std::optional<Via> top_via_of(const Message& message);
/// The first Contact that is a name-addr.
std::optional<NameAddr> contact_of(const Message& message);
std::optional<std::uint8_t> max_forwards_of(const Message& message);
std::optional<std::chrono::seconds> expires_of(const Message& message);
std::optional<std::chrono::seconds> min_expires_of(const Message& message);
std::optional<std::chrono::seconds> min_se_of(const Message& message);
std::optional<SessionExpires> session_expires_of(const Message& message);
std::optional<RetryAfter> retry_after_of(const Message& message);

/// What the Allow headers list; empty if there is none.
MethodSet allow_of(const Message& message);
/// Is the option tag (or other token) one of the header's values? For Supported, Require,
/// Proxy-Require, Unsupported, Allow-Events; compared without regard to case.
bool has_token(const Message& message, HeaderId id, std::string_view token);

/// "application/sdp" compared with the Content-Type without parameters and without case.
bool has_content_type(const Message& message, std::string_view type);

}  // namespace godwit::wire
