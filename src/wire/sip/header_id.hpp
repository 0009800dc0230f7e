// SPDX-License-Identifier: Apache-2.0
//
// The SIP header fields that this library knows by number, and their names. A header it does not
// know is HeaderId::Unknown and is found by name.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit::wire {

enum class HeaderId : std::uint8_t {
  Unknown,
  Accept,
  AcceptContact,
  AcceptEncoding,
  AcceptLanguage,
  AlertInfo,
  Allow,
  AllowEvents,
  AuthenticationInfo,
  Authorization,
  CallId,
  CallInfo,
  Contact,
  ContentDisposition,
  ContentEncoding,
  ContentLanguage,
  ContentLength,
  ContentType,
  CSeq,
  Date,
  Diversion,
  ErrorInfo,
  Event,
  Expires,
  FlowTimer,
  From,
  HistoryInfo,
  Identity,
  InReplyTo,
  MaxForwards,
  MimeVersion,
  MinExpires,
  MinSE,
  Organization,
  PAssertedIdentity,
  PPreferredIdentity,
  Path,
  Priority,
  Privacy,
  ProxyAuthenticate,
  ProxyAuthorization,
  ProxyRequire,
  RAck,
  RSeq,
  Reason,
  RecordRoute,
  ReferSub,
  ReferTo,
  ReferredBy,
  RejectContact,
  Replaces,
  ReplyTo,
  RequestDisposition,
  Require,
  RetryAfter,
  Route,
  Server,
  ServiceRoute,
  SessionExpires,
  SipETag,
  SipIfMatch,
  Subject,
  SubscriptionState,
  Supported,
  TargetDialog,
  Timestamp,
  To,
  Unsupported,
  UserAgent,
  Via,
  Warning,
  WwwAuthenticate,
};
inline constexpr std::size_t kHeaderIdCount =
    static_cast<std::size_t>(HeaderId::WwwAuthenticate) + 1;

/// The canonical long name, e.g. "Call-ID"; empty for Unknown.
std::string_view name_of(HeaderId id);

/// By long or compact name, without regard to case. `name` must be a token (RFC 3261 §25.1).
HeaderId header_id(std::string_view name);

/// Does a comma in this header's value separate elements that could stand in lines of their own?
/// RFC 3261 §7.3.1: not for the authentication headers, nor for those with one value only.
bool is_list(HeaderId id);

}  // namespace godwit::wire
