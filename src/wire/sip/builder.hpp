// SPDX-License-Identifier: Apache-2.0
//
// Messages to be sent: drafts that whoever speaks SIP fills, and their one way to bytes. A draft
// has no Via and no Contact of its own: these are slots that the transaction fills at the first
// transmission, when it knows the flow, and then keeps (design: frozen Via). Knows no flows and
// chooses no branches.
//
// Injection: whatever text a draft is given, its bytes hold no more header lines than it has
// headers. CR, LF and NUL in a value become spaces; in the Request-URI they (and white space and
// brackets) become %HH; a header whose name is no token is left out - add_header() refuses it
// first. Content-Length is always computed; one among the headers is left out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "wire/sip/header_id.hpp"
#include "wire/sip/message.hpp"
#include "wire/sip/method.hpp"
#include "wire/sip/status.hpp"

namespace godwit::wire {

struct DraftHeader {
  DraftHeader(HeaderId header_id, std::string header_value)
      : id(header_id), value(std::move(header_value)) {}
  /// For headers without an id; a known name works as well.
  DraftHeader(std::string_view header_name, std::string header_value);

  HeaderId id = HeaderId::Unknown;
  std::string name;  ///< Only for Unknown.
  std::string value;
};
using DraftHeaders = std::vector<DraftHeader>;

/// Appends; InvalidArgument if `name` is no token or `value` holds CR, LF or NUL. For headers that
/// come from the application.
Result<void> add_header(DraftHeaders& headers, std::string_view name, std::string value);
/// Replaces the first header of that kind and removes the others, or appends.
void set_header(DraftHeaders& headers, HeaderId id, std::string value);
/// The first value, or nullptr.
const std::string* find_header(const DraftHeaders& headers, HeaderId id);

/// Whether a Contact is to be filled in, and what of it does not depend on the flow.
struct ContactSlot {
  bool wanted = false;
  std::string user;  ///< Plain, not percent-encoded; may be empty.
  std::string
      uri_params;      ///< ";ob" and the like, within the brackets; transport is not among them.
  std::string params;  ///< ";expires=300;+sip.instance=…", behind the brackets.
};

struct RequestDraft {
  Method method = Method::Unknown;
  std::string method_text;  ///< Only for Method::Unknown.
  std::string request_uri;
  /// In order, without the top Via. Max-Forwards: 70 is added where there is none.
  DraftHeaders headers;
  ContactSlot contact;
  std::string content_type;  ///< Empty: none, or among the headers.
  std::string body;
  bool ask_keep = false;  ///< The top Via offers keep-alives (RFC 6223 §4.2).
};

struct ResponseDraft {
  int status = 0;
  std::string reason;  ///< Empty: reason_phrase(status).
  /// In order; the Vias come first.
  DraftHeaders headers;
  ContactSlot contact;
  std::string content_type;
  std::string body;
};

/// "SIP/2.0/UDP host:port;branch=…;rport". `transport` in capitals.
std::string make_via(std::string_view transport, const Endpoint& sent_by, std::string_view branch,
                     bool rport = true);
/// `<sip:user@host:port;transport=tcp>;params`. No transport parameter for UDP.
std::string make_contact(const ContactSlot& slot, std::string_view transport,
                         const Endpoint& local);

/// `via_value` becomes the top Via; empty: none is added (the draft's headers hold them all).
/// `contact_value` is used if the draft wants a Contact.
std::string serialise(const RequestDraft& draft, std::string_view via_value,
                      std::string_view contact_value);
std::string serialise(const ResponseDraft& draft, std::string_view contact_value);

struct ResponseOptions {
  std::string_view to_tag = {};  ///< Added to To unless it has one already, or status is 100.
  std::string_view reason = {};
  /// Where the request came from: puts received and rport into the top Via.
  std::optional<Endpoint> source = std::nullopt;
};

/// RFC 3261 §8.2.6: Via, From, To, Call-ID and CSeq of the request; Timestamp into a 100; and
/// Record-Route where the response may form a dialog (§12.1.1: INVITE, SUBSCRIBE, REFER, NOTIFY
/// answered with 101 to 299). Works for requests with defects too: what is missing stays missing.
ResponseDraft make_response(const Message& request, int status, ResponseOptions options = {});

/// The top Via element with received and rport as RFC 3261 §18.2.1 and RFC 3581 §4 say: rport gets
/// the source port if the client asked for it; received is added if it did, or if sent-by is not
/// the source address. A received that the client wrote itself is removed. A Via that does not
/// parse is given back as it is. A `keep` without a value gets this one, unless it is 0: the
/// seconds that we want between keep-alives (RFC 6223 §4.4).
std::string via_with_source(std::string_view via, const Endpoint& source, unsigned keep = 0);

/// RFC 3261 §17.1.1.3, the ACK to a non-2xx final response: Request-URI, Call-ID, From, Route and
/// CSeq number of the INVITE, To of the response. Serialise it with top_via_text(invite).
RequestDraft ack_for_failure(const Message& invite, const Message& response);
/// RFC 3261 §9.1: Request-URI, Call-ID, To, From, Route and CSeq number of the request. Serialise
/// it with top_via_text(invite).
RequestDraft cancel_for(const Message& invite);

/// All headers and the body of a received message, for a proxy that sends it on: the Vias stay, the
/// caller serialises with its own on top.
RequestDraft draft_from(const Message& request);
/// The same for a response; `drop_top_via` takes off the proxy's own.
ResponseDraft draft_from_response(const Message& response, bool drop_top_via);

}  // namespace godwit::wire
