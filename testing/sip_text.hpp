// SPDX-License-Identifier: Apache-2.0
//
// A SIP message as an editable list of header lines, for the test parties (server, peer, trace).
// Deliberately not src/wire: a party that shares the parser under test cannot see its errors. Owned
// by the testing library; it knows lines, lists, URIs and parameters, and nothing of what a method
// means. Linear in the input's length, no recursion; the limits are stated below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"

namespace godwit::testing {

/// The largest UDP datagram, and far more headers than any request through a few proxies has.
inline constexpr std::size_t kMaxSipTextBytes = 65'535;
inline constexpr std::size_t kMaxSipTextHeaders = 256;

/// One header value split at its top-level commas, blanks trimmed; quoted strings and <...> kept.
std::vector<std::string> split_list(std::string_view value);

/// The parameter `;name=value` of a Via, Contact, From … value, outside <> and quotes. A parameter
/// without value gives "". Quotes around the value are removed.
std::optional<std::string> parameter(std::string_view value, std::string_view name);

/// `value` with the parameter set (or, if `text` is empty, present without a value).
std::string with_parameter(std::string_view value, std::string_view name, std::string_view text);

/// The URI of a name-addr or addr-spec: what stands in <>, else everything up to the first ';'.
std::string uri_of(std::string_view value);

/// The parts of a sip: or sips: URI that routing needs.
struct UriParts {
  std::string scheme;
  std::string user;
  std::string host;        ///< Without brackets, lower case.
  std::uint16_t port = 0;  ///< 0: none given.
  std::string parameters;  ///< From the first ';' on, without it; headers ('?') included.

  /// Where the host is an address literal; the default port if none is given.
  std::optional<Endpoint> literal(std::uint16_t default_port = 5060) const;
};
std::optional<UriParts> parse_uri(std::string_view uri);

bool equals_ignoring_case(std::string_view a, std::string_view b);

class SipText {
 public:
  using Header = std::pair<std::string, std::string>;

  /// Fails on anything that is not a SIP/2.0 start line followed by header lines and a blank one,
  /// on a Content-Length that is not a number or larger than what follows, and beyond the limits.
  /// Compact header names are expanded, folded lines joined.
  static Result<SipText> parse(std::string_view bytes);
  static SipText request(std::string method, std::string uri);
  static SipText response(int status, std::string reason);
  /// A response with the request's Via, From, To, Call-ID and CSeq; a To-tag if none and not empty.
  static SipText response_to(const SipText& request, int status, std::string_view reason,
                             std::string_view to_tag = {});

  bool is_request() const { return !method.empty(); }

  /// The first header of that name, whole; "" if there is none.
  const std::string& first(std::string_view name) const;
  bool has(std::string_view name) const;
  /// Every header of that name in order, whole: for those whose commas separate no values.
  std::vector<std::string> lines(std::string_view name) const;
  /// Every value of that name in order, with comma lists taken apart.
  std::vector<std::string> values(std::string_view name) const;

  /// Replaces the first header of that name, or appends one.
  void set(std::string_view name, std::string value);
  void append(std::string_view name, std::string value);
  /// In front of the first header of that name, else of all headers.
  void prepend(std::string_view name, std::string value);
  void remove(std::string_view name);
  /// Removes the first value of the name, taking it off a comma list if need be.
  void remove_first_value(std::string_view name);
  /// Replaces the first value of the name, within its comma list if it stands in one.
  void set_first_value(std::string_view name, std::string value);

  /// The number and the method of CSeq; 0 and "" if it is malformed.
  std::uint32_t cseq_number() const;
  std::string cseq_method() const;

  /// The bytes on the wire; Content-Length is written from the body.
  std::string to_string() const;
  /// The first line, for traces.
  std::string start_line() const;

  std::string method;  ///< Empty in a response.
  std::string uri;
  int status = 0;
  std::string reason;
  std::vector<Header> headers;
  std::string body;
};

}  // namespace godwit::testing
