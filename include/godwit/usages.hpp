// SPDX-License-Identifier: Apache-2.0
//
// What an account does besides registering and calling: messages, questions, DTMF digits. The plain
// values of its commands and events; included by event.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "godwit/strong_id.hpp"

namespace godwit {

/// Names one message, question or row of digits in its result; never used twice.
using RequestId = StrongId<struct RequestIdTag>;

/// The content of a SIP MESSAGE (RFC 3428).
struct MessageContent {
  std::string content_type = "text/plain";
  /// At most 1 300 bytes make sense over UDP; more than 16 384 are refused.
  std::string body;
};

/// How a message ended.
struct MessageResult {
  RequestId request;
  AccountId account;
  CallId call;     ///< Zero if it was not sent within a call.
  int status = 0;  ///< 200 delivered, 202 taken for later delivery; a failure from 300 on.
  std::string reason;
  /// No answer came, or the network changed while it was on its way: it may have arrived. It is
  /// never sent again by itself, for nobody wants to read a message twice.
  bool in_doubt = false;
};

struct MessageReceived {
  AccountId account;
  CallId call;       ///< Zero if it came outside any call.
  std::string from;  ///< The sender's URI.
  std::string from_display_name;
  std::string content_type;
  std::string body;
};

/// The answer to a question (OPTIONS) about a server or peer.
struct OptionsResult {
  RequestId request;
  AccountId account;
  CallId call;     ///< Zero if it was not asked within a call.
  int status = 0;  ///< 200: it would take a call; 486: it is busy; 408: it does not answer.
  std::string reason;
  std::string allow;      ///< The methods it takes, as it lists them.
  std::string supported;  ///< The extensions it supports.
};

enum class DtmfMethod : std::uint8_t {
  Auto,  ///< RTP events if the peer has agreed to them, else INFO.
  Rtp,   ///< RFC 4733 telephone-event.
  Info,  ///< INFO with application/dtmf-relay.
};
const char* to_string(DtmfMethod method);

/// A row of digits was sent, or could not be.
struct DtmfResult {
  RequestId request;
  CallId call;
  int status = 0;  ///< Of the last INFO; 0 for digits in RTP.
  std::string reason;
  bool ok = false;
};

struct DtmfReceived {
  CallId call;
  char digit = '0';  ///< 0-9, *, #, A-D.
  std::chrono::milliseconds duration{0};
  DtmfMethod method = DtmfMethod::Info;
};

}  // namespace godwit
