// SPDX-License-Identifier: Apache-2.0
#include "sip/server_machine.hpp"

namespace godwit::sip {

const char* to_string(ServerState state) {
  switch (state) {
    case ServerState::Trying: return "Trying";
    case ServerState::Proceeding: return "Proceeding";
    case ServerState::Accepted: return "Accepted";
    case ServerState::Completed: return "Completed";
    case ServerState::Confirmed: return "Confirmed";
    case ServerState::Terminated: return "Terminated";
  }
  return "?";
}

const char* to_string(ServerInput input) {
  switch (input) {
    case ServerInput::Request: return "Request";
    case ServerInput::Ack: return "Ack";
    case ServerInput::SendProvisional: return "SendProvisional";
    case ServerInput::SendSuccess: return "SendSuccess";
    case ServerInput::SendFailure: return "SendFailure";
    case ServerInput::RetransmitTimer: return "RetransmitTimer";
    case ServerInput::TimeoutTimer: return "TimeoutTimer";
    case ServerInput::LingerTimer: return "LingerTimer";
    case ServerInput::TransportFailure: return "TransportFailure";
  }
  return "?";
}

namespace {

ServerStep stay(ServerState state) { return {.next = state}; }
ServerStep refuse(ServerState state) { return {.next = state, .refuse = true}; }

// RFC 3261 Figure 7, Proceeding.
ServerStep invite_proceeding(ServerInput input) {
  switch (input) {
    case ServerInput::Request:
    case ServerInput::SendProvisional: return {.next = ServerState::Proceeding, .send = true};
    case ServerInput::SendSuccess: return {.next = ServerState::Accepted, .send = true};
    case ServerInput::SendFailure: return {.next = ServerState::Completed, .send = true};
    case ServerInput::Ack:  // Of nothing that was sent.
    case ServerInput::RetransmitTimer:
    case ServerInput::TimeoutTimer:
    case ServerInput::LingerTimer: return stay(ServerState::Proceeding);
    case ServerInput::TransportFailure:
      return {.next = ServerState::Proceeding, .report_transport = true};
  }
  return stay(ServerState::Proceeding);
}

// RFC 6026 §7.1 and §8.7, Accepted.
ServerStep invite_accepted(ServerInput input) {
  switch (input) {
    case ServerInput::Request:
      // Absorbed without an answer: the 2xx comes again by the session's schedule.
      return stay(ServerState::Accepted);
    case ServerInput::Ack: return {.next = ServerState::Accepted, .pass_ack = true};
    case ServerInput::SendSuccess: return {.next = ServerState::Accepted, .send = true};
    case ServerInput::SendProvisional:
    case ServerInput::SendFailure: return refuse(ServerState::Accepted);
    case ServerInput::LingerTimer:  // L
      return {.next = ServerState::Terminated};
    case ServerInput::RetransmitTimer:
    case ServerInput::TimeoutTimer: return stay(ServerState::Accepted);
    case ServerInput::TransportFailure:
      return {.next = ServerState::Accepted, .report_transport = true};
  }
  return stay(ServerState::Accepted);
}

// RFC 3261 Figure 7, Completed.
ServerStep invite_completed(ServerInput input) {
  switch (input) {
    case ServerInput::Request:
    case ServerInput::RetransmitTimer:  // G
      return {.next = ServerState::Completed, .send = true};
    case ServerInput::Ack: return {.next = ServerState::Confirmed};
    case ServerInput::TimeoutTimer:  // H
      return {.next = ServerState::Terminated, .report_timeout = true};
    case ServerInput::SendProvisional:
    case ServerInput::SendSuccess:
    case ServerInput::SendFailure: return refuse(ServerState::Completed);
    case ServerInput::LingerTimer: return stay(ServerState::Completed);
    case ServerInput::TransportFailure:
      return {.next = ServerState::Completed, .report_transport = true};
  }
  return stay(ServerState::Completed);
}

// RFC 3261 Figure 7, Confirmed: absorbs what was still under way.
ServerStep invite_confirmed(ServerInput input) {
  switch (input) {
    case ServerInput::LingerTimer:  // I
      return {.next = ServerState::Terminated};
    case ServerInput::SendProvisional:
    case ServerInput::SendSuccess:
    case ServerInput::SendFailure: return refuse(ServerState::Confirmed);
    case ServerInput::Request:
    case ServerInput::Ack:
    case ServerInput::RetransmitTimer:
    case ServerInput::TimeoutTimer:
    case ServerInput::TransportFailure: return stay(ServerState::Confirmed);
  }
  return stay(ServerState::Confirmed);
}

// RFC 3261 Figure 8, Trying and Proceeding.
ServerStep non_invite_waiting(ServerState state, ServerInput input) {
  switch (input) {
    case ServerInput::Request:
      // In Trying there is nothing to answer with yet.
      return {.next = state, .send = state == ServerState::Proceeding};
    case ServerInput::SendProvisional: return {.next = ServerState::Proceeding, .send = true};
    case ServerInput::SendSuccess:
    case ServerInput::SendFailure: return {.next = ServerState::Completed, .send = true};
    case ServerInput::TimeoutTimer:
      // Not in the figure. RFC 4320 §3: by now the client has given up, and no answer helps it.
      return {.next = ServerState::Terminated};
    case ServerInput::Ack:  // Never given to this machine.
    case ServerInput::RetransmitTimer:
    case ServerInput::LingerTimer: return stay(state);
    case ServerInput::TransportFailure: return {.next = state, .report_transport = true};
  }
  return stay(state);
}

// RFC 3261 Figure 8, Completed.
ServerStep non_invite_completed(ServerInput input) {
  switch (input) {
    case ServerInput::Request: return {.next = ServerState::Completed, .send = true};
    case ServerInput::LingerTimer:  // J
      return {.next = ServerState::Terminated};
    case ServerInput::SendProvisional:
    case ServerInput::SendSuccess:
    case ServerInput::SendFailure: return refuse(ServerState::Completed);
    case ServerInput::Ack:
    case ServerInput::RetransmitTimer:
    case ServerInput::TimeoutTimer:
    case ServerInput::TransportFailure:  // The client asks again if it still wants to know.
      return stay(ServerState::Completed);
  }
  return stay(ServerState::Completed);
}

}  // namespace

ServerStep step_invite_server(ServerState state, ServerInput input) {
  switch (state) {
    case ServerState::Proceeding: return invite_proceeding(input);
    case ServerState::Accepted: return invite_accepted(input);
    case ServerState::Completed: return invite_completed(input);
    case ServerState::Confirmed: return invite_confirmed(input);
    case ServerState::Trying:  // Not a state of this machine.
    case ServerState::Terminated: return refuse(ServerState::Terminated);
  }
  return refuse(ServerState::Terminated);
}

ServerStep step_non_invite_server(ServerState state, ServerInput input) {
  switch (state) {
    case ServerState::Trying:
    case ServerState::Proceeding: return non_invite_waiting(state, input);
    case ServerState::Completed: return non_invite_completed(input);
    case ServerState::Accepted:  // Not states of this machine.
    case ServerState::Confirmed:
    case ServerState::Terminated: return refuse(ServerState::Terminated);
  }
  return refuse(ServerState::Terminated);
}

}  // namespace godwit::sip
