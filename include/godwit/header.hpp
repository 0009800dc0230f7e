// SPDX-License-Identifier: Apache-2.0
//
// What an application may say and read in SIP headers of its own: extra headers, the options of a
// call, the reason of its end, and the hook that sees every message. Plain values; the rules for
// them are checked where they are given to the library, with errors that name the header.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "godwit/strong_id.hpp"

namespace godwit {

/// One header line. At most 64 characters of name and 1 024 bytes of value, without line breaks;
/// not one that the library itself depends on (Via, From, To, Call-ID, CSeq, Contact, Route,
/// credentials, bodies' headers, session timers and the like): these are refused.
struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

/// What one outgoing call does differently.
struct CallOptions {
  std::vector<Header> headers;  ///< Into its INVITE; at most 32.
  /// RFC 3323 and 3325: From says Anonymous, the Contact has no user name, and `Privacy: id` asks
  /// the account's own servers, which alone are told P-Preferred-Identity, not to tell who calls.
  bool hide_identity = false;
};

/// RFC 3326: why a call ended, for people and machines on the other side.
struct ReasonHeader {
  std::string protocol = "SIP";  ///< A token: "SIP", "Q.850", …
  int cause = 0;                 ///< 0: none.
  std::string text;
  friend bool operator==(const ReasonHeader&, const ReasonHeader&) = default;
};

/// A message as MessageHook sees it.
struct SignallingMessage {
  bool outgoing = false;
  AccountId account;  ///< Zero where it belongs to none.
  CallId call;        ///< Zero where it belongs to none.
  std::string method;
  int status = 0;  ///< 0: a request.
  std::string request_uri;
  std::vector<Header> headers;  ///< In order; of an outgoing one without Via and Contact.
};

/// Takes every header of that name off, or adds one.
struct HeaderEdit {
  std::string name;
  std::optional<std::string> value;  ///< Empty optional: off with it.
};

/// Called on the signalling thread for each request (ACKs excepted) and response before it is sent
/// for the first time, and for each message that has arrived, retransmissions excepted. It must not
/// block, throw or call the library. What it returns changes an outgoing message: at most 32 edits,
/// by the rules of Header; others are dropped with a warning. For an incoming one it is ignored.
using MessageHook = std::function<std::vector<HeaderEdit>(const SignallingMessage&)>;

}  // namespace godwit
