// SPDX-License-Identifier: Apache-2.0
//
// What the library tells the application, as one variant. Events are delivered in order, after the
// input that caused them has been handled whole; commands may be given from inside a handler.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/config.hpp"
#include "godwit/header.hpp"
#include "godwit/report.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/usages.hpp"

namespace godwit {

enum class RegistrationState : std::uint8_t {
  Unregistered,
  Registering,
  Registered,
  Failed,     ///< Will be tried again by itself, if a retry makes sense.
  Suspended,  ///< No network; goes on when one returns.
};
const char* to_string(RegistrationState state);

struct RegistrationChanged {
  AccountId account;
  RegistrationState state;
  int status = 0;  ///< Last SIP status code, 0 where none.
  std::string reason;
  std::string contact;              ///< The bound Contact URI when Registered.
  std::chrono::seconds expires{0};  ///< As granted.
  bool outbound = false;            ///< Registered with SIP Outbound (RFC 5626).
  std::string gruu = {};            ///< The public GRUU (RFC 5627) that was granted.
  bool push = false;                ///< A proxy will send push notifications (RFC 8599).
};

/// A flow of an account (RFC 5626) was formed, or failed and is being formed anew (§4.5): told of
/// each flow of an account with several outbound proxies, and of any account's flow that failed
/// without a change of address: its connection ended, keep-alives were not answered any more, or a
/// NAT has moved it.
struct FlowChanged {
  AccountId account;
  std::uint32_t reg_id = 1;  ///< RFC 5626 §4.2; 1: over `outbound_proxy`.
  bool alive = false;        ///< Registered over it, and not known to have failed.
  Endpoint server;           ///< The first hop; family None while its name is not resolved.
  std::string reason;
};

enum class CallState : std::uint8_t { Calling, Incoming, Ringing, EarlyMedia, Confirmed, Ended };
const char* to_string(CallState state);

/// Where a call was diverted, by Diversion (RFC 5806) or History-Info (RFC 7044).
struct Diversion {
  std::string uri;
  std::string detail;  ///< Diversion: its reason ("user-busy"); History-Info: its index ("1.2").
};

struct IncomingCall {
  CallId call;
  AccountId account;
  std::string from;  ///< The caller's URI.
  std::string from_display_name;
  std::string to;
  /// The caller as the account's server vouches for it; empty: it does not.
  std::string asserted_identity = {};
  std::string asserted_display_name = {};
  std::vector<Diversion> diversions = {};  ///< The most recent first; at most 16.
  std::vector<Diversion> history = {};     ///< In order; at most 16.
  /// What the INVITE says beyond SIP's own business: unknown headers, Subject, Alert-Info,
  /// Call-Info, Priority and the like; at most 32 and 4096 bytes.
  std::vector<Header> headers = {};
  /// It takes the place of that call (RFC 3891) and is answered by itself; zero: of none.
  CallId replaces = {};
};

struct CallStateChanged {
  CallId call;
  CallState state;
  int status = 0;                                    ///< SIP status code behind it, 0 where none.
  std::string reason;                                ///< For Ended always a sentence.
  std::optional<ReasonHeader> cause = std::nullopt;  ///< Ended: what the peer gave (RFC 3326).
};

/// A 3xx answered our call. What happens next is the account's RedirectPolicy.
struct CallRedirected {
  CallId call;
  int status = 0;
  std::vector<std::string> targets;  ///< SIP URIs, the best first.
  bool followed = false;             ///< The best one that was not tried yet is called now.
  bool choice_wanted = false;        ///< Due within 60 s: follow_redirect() or hang_up().
};

enum class MediaDirection : std::uint8_t { SendRecv, SendOnly, RecvOnly, Inactive };
const char* to_string(MediaDirection direction);

struct CallMediaChanged {
  CallId call;
  Endpoint local;
  Endpoint remote;
  /// What SDP names instead of `local`: where a STUN server has seen it.
  std::optional<Endpoint> told = std::nullopt;
  Codec codec = Codec::Pcmu;
  MediaDirection direction = MediaDirection::SendRecv;
  bool held_by_us = false;
  bool held_by_peer = false;
};

/// A tick of a call's media figures; once a second while media runs.
struct CallStatistics {
  CallId call;
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_received = 0;
  std::uint64_t packets_lost = 0;
  double jitter_ms = 0;  ///< RFC 3550 §6.4.1 interarrival jitter.
};

/// No usable network (or one again): calls and registrations wait, nothing is lost yet.
struct NetworkAvailability {
  bool available;
};

struct IpChangeDetected {
  Generation generation;
  std::vector<ChangeCause> causes;
  std::string decision;
};

struct IpChangeProgress {
  Generation generation;
  IpChangeStep step;
};

struct IpChangeCompleted {
  IpChangeReport report;
};

/// What became of refresh_call().
struct CallRefreshed {
  RequestId request;
  CallId call;
  RefreshMethod method = RefreshMethod::Reinvite;  ///< That was answered in the end.
  int status = 0;  ///< Of the answer: 408 a timeout, 503 a dead path, 487 the call has ended.
  std::string reason;
  bool ok = false;
};

/// A condition a person should know of that ends nothing, e.g. a port that could not be opened.
struct Warning {
  std::string text;
};

/// What became of open_listener() and of the listener that it opened.
struct ListenerChanged {
  TransportChoice transport = TransportChoice::Udp;
  Endpoint local;  ///< Where it listens, or was to.
  bool open = false;
  std::string reason;  ///< Why it is not open, or no more.
};

using Event =
    std::variant<RegistrationChanged, IncomingCall, CallStateChanged, CallMediaChanged,
                 CallStatistics, NetworkAvailability, IpChangeDetected, IpChangeProgress,
                 IpChangeCompleted, Warning, MessageResult, MessageReceived, OptionsResult,
                 DtmfResult, DtmfReceived, SubscriptionChanged, Notified, MessagesWaiting,
                 PresenceChanged, RemoteCallsChanged, PublicationChanged, TransferProgress,
                 TransferRequested, CallRedirected, FlowChanged, ListenerChanged, CallRefreshed>;

/// One JSON object with an "event" member; what `godwit phone --events json` prints per line.
std::string to_json(const Event& event, TimePoint at);

}  // namespace godwit
