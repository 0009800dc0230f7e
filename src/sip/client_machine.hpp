// SPDX-License-Identifier: Apache-2.0
//
// The two client transaction machines as pure functions: state and input give the next state and
// what to do. Figure 5 of RFC 3261 with RFC 6026 (INVITE) and Figure 6 (all others). They hold no
// timers and no messages: those are ClientTransactions'.
#pragma once

#include <cstdint>

namespace godwit::sip {

enum class ClientState : std::uint8_t {
  Calling,     ///< INVITE, no response yet.
  Trying,      ///< Others, no response yet.
  Proceeding,  ///< 1xx seen.
  Accepted,    ///< INVITE, 2xx seen: further ones belong to the transaction user (RFC 6026).
  Completed,   ///< INVITE: 3xx-6xx seen; others: final response seen.
  Terminated,
};
const char* to_string(ClientState state);

enum class ClientInput : std::uint8_t {
  Provisional,       ///< 1xx
  Success,           ///< 2xx
  Failure,           ///< 3xx-6xx
  RetransmitTimer,   ///< A or E
  TimeoutTimer,      ///< B or F; or 64*T1 after the CANCEL (RFC 3261 §9.1)
  LingerTimer,       ///< D, K or M
  TransportFailure,  ///< The flow died.
};
const char* to_string(ClientInput input);

/// What a step asks for, besides entering `next`.
struct ClientStep {
  ClientState next;
  bool pass_up = false;      ///< Give the response to the transaction user.
  bool resend = false;       ///< Send the request again.
  bool acknowledge = false;  ///< Send the ACK to a failure response, again if need be.
  bool report_timeout = false;
  bool report_transport = false;
  friend bool operator==(const ClientStep&, const ClientStep&) = default;
};

ClientStep step_invite_client(ClientState state, ClientInput input);
ClientStep step_non_invite_client(ClientState state, ClientInput input);

}  // namespace godwit::sip
