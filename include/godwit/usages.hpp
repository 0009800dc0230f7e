// SPDX-License-Identifier: Apache-2.0
//
// What an account does besides registering and calling: messages, questions, DTMF digits,
// subscriptions, publications. The plain values of its commands and events; included by event.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

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
  Auto,  ///< In RTP if the peer takes it, else in INFO.
  Rtp,   ///< RFC 4733 telephone-event. Unsupported: the peer takes none.
  Info,  ///< INFO with application/dtmf-relay.
};
const char* to_string(DtmfMethod method);

/// A row of digits was sent, or could not be.
struct DtmfResult {
  RequestId request;
  CallId call;
  int status = 0;  ///< Of the last INFO; 0 for digits in RTP, which nobody acknowledges.
  std::string reason;
  bool ok = false;
};

struct DtmfReceived {
  CallId call;
  char digit = '0';  ///< 0-9, *, #, A-D.
  std::chrono::milliseconds duration{0};
  DtmfMethod method = DtmfMethod::Info;
};

/// How far a transfer is that we have asked the other side for.
struct TransferProgress {
  CallId call;
  /// What the other side tells of its new call: 180 it rings, 200 it is answered; or the answer to
  /// our request.
  int status = 0;
  std::string reason;
  bool finished = false;  ///< With a status of 200 to 299 the transferred call ends by itself.
};

/// The other side of a call wants us to call somebody else instead. Due: accept_transfer or
/// reject_transfer, within a minute; unless UserAgentConfig::transfers decides.
struct TransferRequested {
  CallId call;
  std::string target;
  std::string referred_by;       ///< Who says so; may be empty.
  bool replaces_a_call = false;  ///< The new call takes the place of one that they have already.
};

/// What to be notified of (RFC 6665).
struct SubscribeRequest {
  std::string target;                  ///< A SIP URI or a user name; empty: the account itself.
  std::string event;                   ///< "presence", "dialog", "message-summary", or any other.
  std::vector<std::string> accept;     ///< Content types; empty: the event's own.
  std::chrono::seconds expires{3600};  ///< Asked for, 1 s to 7 days; refreshed by itself.
};

enum class SubscriptionState : std::uint8_t {
  Subscribing,  ///< Asked for; nothing is known yet.
  Pending,      ///< The other side has not decided.
  Active,
  Waiting,     ///< Failed or ended for now; subscribes anew by itself.
  Suspended,   ///< No network; goes on when one returns.
  Terminated,  ///< Over.
};
const char* to_string(SubscriptionState state);

struct SubscriptionChanged {
  SubscriptionId subscription;
  AccountId account;
  SubscriptionState state = SubscriptionState::Subscribing;
  int status = 0;  ///< SIP status code behind it, 0 where none.
  std::string reason;
  std::chrono::seconds expires{0};
};

/// A notification as it came.
struct Notified {
  SubscriptionId subscription;
  AccountId account;
  std::string event;
  std::string content_type;
  std::string body;
};

/// A mailbox (RFC 3842); besides the Notified that it came with.
struct MessagesWaiting {
  SubscriptionId subscription;
  AccountId account;
  bool waiting = false;
  std::string mailbox;  ///< Where to listen to them; may be empty.
  std::uint32_t fresh_voice = 0;
  std::uint32_t old_voice = 0;
};

/// Somebody's presence (RFC 3863); besides the Notified that it came with.
struct PresenceChanged {
  SubscriptionId subscription;
  AccountId account;
  std::string entity;
  bool open = false;  ///< There is a way to reach them.
  std::string note;
};

/// Somebody's calls (RFC 4235), as the lamps of a switchboard show them.
struct RemoteCall {
  std::string id;
  enum class State : std::uint8_t { Trying, Ringing, Confirmed, Ended } state = State::Trying;
  bool outgoing = false;
  std::string local;
  std::string remote;
};
const char* to_string(RemoteCall::State state);

/// All of them; ended ones once. Besides the Notified that it came with.
struct RemoteCallsChanged {
  SubscriptionId subscription;
  AccountId account;
  std::string entity;
  std::vector<RemoteCall> calls;
};

/// What others shall know of the account (RFC 3903).
struct PublishRequest {
  std::string event = "presence";
  std::string content_type = "application/pidf+xml";
  std::string body;                    ///< At most 16 384 bytes.
  std::chrono::seconds expires{3600};  ///< Asked for, 1 s to 7 days; refreshed by itself.
};

enum class PublicationState : std::uint8_t { Publishing, Published, Failed, Suspended, Ended };
const char* to_string(PublicationState state);

struct PublicationChanged {
  PublicationId publication;
  AccountId account;
  PublicationState state = PublicationState::Publishing;
  int status = 0;  ///< SIP status code behind it, 0 where none.
  std::string reason;
  std::chrono::seconds expires{0};
};

}  // namespace godwit
