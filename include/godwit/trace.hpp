// SPDX-License-Identifier: Apache-2.0
//
// The SIP trace: every message that a user agent sends and receives, retransmissions included, as
// records for whoever looks for a fault. Without what must stay secret, unless asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "godwit/address.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit {

enum class TraceLevel : std::uint8_t {
  Off,
  Headers,  ///< The start line and the headers; of a body its size.
  Full,
};

/// What a trace leaves out. Each hides what the one before hides, too.
enum class TraceRedaction : std::uint8_t {
  Nothing,  ///< For hunting a fault in authentication. Such a trace is as good as a password.
  /// Credentials (Authorization and Authentication-Info in all forms, passwords in URIs, keys in
  /// SDP), push tokens (pn-prid) and DTMF digits in bodies.
  Secrets,
  /// Who talks to whom and about what: user parts of URIs, display names, bodies, and the values of
  /// headers that are not known to be harmless.
  Identities,
};

/// One message on its way.
struct TraceRecord {
  TimePoint at;
  bool outgoing = false;
  const char* transport = "";  ///< "UDP", "TCP" or "TLS".
  Endpoint local;
  Endpoint remote;
  std::uint32_t flow = 0;  ///< Number of the socket or connection; never used twice in a run.
  Generation generation;   ///< The IP change that the flow was opened for.
  std::size_t size = 0;    ///< Of the message in bytes, before anything was left out.
  std::string text;        ///< Lines end in '\n'; other control characters are dots.
};

/// Called on the signalling thread for each message, before it is sent or handled. It must not
/// block, throw or call the library.
using TraceSink = std::function<void(const TraceRecord&)>;

struct TraceConfig {
  TraceSink sink;  ///< Empty: no trace.
  TraceLevel level = TraceLevel::Full;
  TraceRedaction redaction = TraceRedaction::Secrets;
  /// Longer texts are cut, and say so. 256 to 65 536.
  std::uint32_t max_text = 8'192;
};

/// `message`, any bytes, as a trace with these settings shows it. Takes time linear in its size.
std::string trace_text(std::string_view message, const TraceConfig& config = {});
/// The record as lines for a file or a terminal; ends in '\n'.
std::string to_string(const TraceRecord& record);

}  // namespace godwit
