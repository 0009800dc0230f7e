// SPDX-License-Identifier: Apache-2.0
#include "sip/client_machine.hpp"

namespace godwit::sip {

const char* to_string(ClientState state) {
  switch (state) {
    case ClientState::Calling: return "Calling";
    case ClientState::Trying: return "Trying";
    case ClientState::Proceeding: return "Proceeding";
    case ClientState::Accepted: return "Accepted";
    case ClientState::Completed: return "Completed";
    case ClientState::Terminated: return "Terminated";
  }
  return "?";
}

const char* to_string(ClientInput input) {
  switch (input) {
    case ClientInput::Provisional: return "Provisional";
    case ClientInput::Success: return "Success";
    case ClientInput::Failure: return "Failure";
    case ClientInput::RetransmitTimer: return "RetransmitTimer";
    case ClientInput::TimeoutTimer: return "TimeoutTimer";
    case ClientInput::LingerTimer: return "LingerTimer";
    case ClientInput::TransportFailure: return "TransportFailure";
  }
  return "?";
}

namespace {

ClientStep stay(ClientState state) { return {.next = state}; }

// RFC 3261 Figure 5, Calling.
ClientStep invite_calling(ClientInput input) {
  switch (input) {
    case ClientInput::Provisional: return {.next = ClientState::Proceeding, .pass_up = true};
    case ClientInput::Success: return {.next = ClientState::Accepted, .pass_up = true};
    case ClientInput::Failure:
      return {.next = ClientState::Completed, .pass_up = true, .acknowledge = true};
    case ClientInput::RetransmitTimer: return {.next = ClientState::Calling, .resend = true};
    case ClientInput::TimeoutTimer:
      return {.next = ClientState::Terminated, .report_timeout = true};
    case ClientInput::LingerTimer:
      return {.next = ClientState::Terminated};  // Only a detached one has it here.
    case ClientInput::TransportFailure:
      // The figure ends here. But the INVITE may have arrived, and its 2xx, on whatever flow, is
      // due an ACK: the state stays, and the table detaches the transaction.
      return {.next = ClientState::Calling, .report_transport = true};
  }
  return stay(ClientState::Calling);
}

// RFC 3261 Figure 5, Proceeding.
ClientStep invite_proceeding(ClientInput input) {
  switch (input) {
    case ClientInput::Provisional: return {.next = ClientState::Proceeding, .pass_up = true};
    case ClientInput::Success: return {.next = ClientState::Accepted, .pass_up = true};
    case ClientInput::Failure:
      return {.next = ClientState::Completed, .pass_up = true, .acknowledge = true};
    case ClientInput::RetransmitTimer:
      return stay(ClientState::Proceeding);  // Timer A belongs to Calling.
    case ClientInput::TimeoutTimer:
      return {.next = ClientState::Terminated, .report_timeout = true};
    case ClientInput::LingerTimer:
      return {.next = ClientState::Terminated};  // Only a detached one has it here.
    case ClientInput::TransportFailure:
      return {.next = ClientState::Proceeding, .report_transport = true};  // As in Calling.
  }
  return stay(ClientState::Proceeding);
}

// RFC 6026 §7.2 and §8.4, Accepted.
ClientStep invite_accepted(ClientInput input) {
  switch (input) {
    case ClientInput::Success: return {.next = ClientState::Accepted, .pass_up = true};
    case ClientInput::LingerTimer:  // M
      return {.next = ClientState::Terminated};
    case ClientInput::Provisional:
    case ClientInput::Failure:
    case ClientInput::RetransmitTimer:
    case ClientInput::TimeoutTimer:
    case ClientInput::TransportFailure: return stay(ClientState::Accepted);
  }
  return stay(ClientState::Accepted);
}

// RFC 3261 Figure 5, Completed.
ClientStep invite_completed(ClientInput input) {
  switch (input) {
    case ClientInput::Failure: return {.next = ClientState::Completed, .acknowledge = true};
    case ClientInput::LingerTimer:  // D
      return {.next = ClientState::Terminated};
    case ClientInput::Provisional:
    case ClientInput::Success:
    case ClientInput::RetransmitTimer:
    case ClientInput::TimeoutTimer:
    // Here the figure informs the user. It has its final response and can do nothing about a lost
    // ACK.
    case ClientInput::TransportFailure: return stay(ClientState::Completed);
  }
  return stay(ClientState::Completed);
}

// RFC 3261 Figure 6, Trying and Proceeding: they differ in the interval of timer E only.
ClientStep non_invite_waiting(ClientState state, ClientInput input) {
  switch (input) {
    case ClientInput::Provisional: return {.next = ClientState::Proceeding, .pass_up = true};
    case ClientInput::Success:
    case ClientInput::Failure: return {.next = ClientState::Completed, .pass_up = true};
    case ClientInput::RetransmitTimer: return {.next = state, .resend = true};
    case ClientInput::TimeoutTimer:
      return {.next = ClientState::Terminated, .report_timeout = true};
    case ClientInput::LingerTimer:
      return {.next = ClientState::Terminated};  // Only a detached one has it here.
    case ClientInput::TransportFailure:
      return {.next = ClientState::Terminated, .report_transport = true};
  }
  return stay(state);
}

// RFC 3261 Figure 6, Completed.
ClientStep non_invite_completed(ClientInput input) {
  switch (input) {
    case ClientInput::LingerTimer:  // K
      return {.next = ClientState::Terminated};
    case ClientInput::Provisional:
    case ClientInput::Success:
    case ClientInput::Failure:
    case ClientInput::RetransmitTimer:
    case ClientInput::TimeoutTimer:
    case ClientInput::TransportFailure: return stay(ClientState::Completed);
  }
  return stay(ClientState::Completed);
}

}  // namespace

ClientStep step_invite_client(ClientState state, ClientInput input) {
  switch (state) {
    case ClientState::Calling: return invite_calling(input);
    case ClientState::Proceeding: return invite_proceeding(input);
    case ClientState::Accepted: return invite_accepted(input);
    case ClientState::Completed: return invite_completed(input);
    case ClientState::Trying:  // Not a state of this machine.
    case ClientState::Terminated: return stay(ClientState::Terminated);
  }
  return stay(ClientState::Terminated);
}

ClientStep step_non_invite_client(ClientState state, ClientInput input) {
  switch (state) {
    case ClientState::Trying:
    case ClientState::Proceeding: return non_invite_waiting(state, input);
    case ClientState::Completed: return non_invite_completed(input);
    case ClientState::Calling:  // Not states of this machine.
    case ClientState::Accepted:
    case ClientState::Terminated: return stay(ClientState::Terminated);
  }
  return stay(ClientState::Terminated);
}

}  // namespace godwit::sip
