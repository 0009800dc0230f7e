// SPDX-License-Identifier: Apache-2.0
//
// The two server transaction machines as pure functions: state and input give the next state and
// what to do. Figure 7 of RFC 3261 with RFC 6026 (INVITE) and Figure 8 (all others). They hold no
// timers and no messages: those are ServerTransactions'.
#pragma once

#include <cstdint>

namespace godwit::sip {

enum class ServerState : std::uint8_t {
  Trying,      ///< Not INVITE, no response yet.
  Proceeding,  ///< INVITE: no final response yet; others: 1xx sent.
  Accepted,    ///< INVITE, 2xx sent; its retransmission is the transaction user's (RFC 6026).
  Completed,   ///< INVITE: 3xx-6xx sent, no ACK yet; others: final response sent.
  Confirmed,   ///< INVITE: ACK to a 3xx-6xx seen.
  Terminated,
};
const char* to_string(ServerState state);

enum class ServerInput : std::uint8_t {
  Request,  ///< The same request again.
  Ack,
  SendProvisional,  ///< The transaction user responds with 1xx,
  SendSuccess,      ///< 2xx,
  SendFailure,      ///< or 3xx-6xx.
  RetransmitTimer,  ///< G
  TimeoutTimer,     ///< H; for the others, 64*T1 without a final response.
  LingerTimer,      ///< I, J or L
  TransportFailure,
};
const char* to_string(ServerInput input);

/// What a step asks for, besides entering `next`.
struct ServerStep {
  ServerState next;
  bool send = false;      ///< Send the (new) last response.
  bool refuse = false;    ///< The transaction user may not send this here.
  bool pass_ack = false;  ///< Give the ACK to the transaction user.
  bool report_timeout = false;
  bool report_transport = false;
  friend bool operator==(const ServerStep&, const ServerStep&) = default;
};

ServerStep step_invite_server(ServerState state, ServerInput input);
ServerStep step_non_invite_server(ServerState state, ServerInput input);

}  // namespace godwit::sip
