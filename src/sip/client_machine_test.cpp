// SPDX-License-Identifier: Apache-2.0
#include "sip/client_machine.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

namespace godwit::sip {
namespace {

constexpr std::array kStates = {ClientState::Calling,    ClientState::Trying,
                                ClientState::Proceeding, ClientState::Accepted,
                                ClientState::Completed,  ClientState::Terminated};
constexpr std::array kInputs = {ClientInput::Provisional,     ClientInput::Success,
                                ClientInput::Failure,         ClientInput::RetransmitTimer,
                                ClientInput::TimeoutTimer,    ClientInput::LingerTimer,
                                ClientInput::TransportFailure};

std::string describe(const ClientStep& step) {
  std::string text = to_string(step.next);
  if (step.pass_up) text += " pass";
  if (step.resend) text += " resend";
  if (step.acknowledge) text += " ack";
  if (step.report_timeout) text += " timeout";
  if (step.report_transport) text += " transport";
  return text;
}

// The whole product of states and inputs; what is not listed changes nothing and does nothing.
using Table = std::map<std::pair<ClientState, ClientInput>, std::string>;

void expect_table(ClientStep (*step)(ClientState, ClientInput), const Table& table,
                  const std::map<ClientState, std::string>& foreign) {
  for (const ClientState state : kStates) {
    for (const ClientInput input : kInputs) {
      std::string expected = to_string(state);
      if (const auto f = foreign.find(state); f != foreign.end()) expected = f->second;
      if (const auto row = table.find({state, input}); row != table.end()) expected = row->second;
      EXPECT_EQ(describe(step(state, input)), expected)
          << to_string(state) << " on " << to_string(input);
    }
  }
}

TEST(ClientMachine, InviteFollowsFigure5AndRfc6026) {
  using S = ClientState;
  using I = ClientInput;
  expect_table(step_invite_client,
               {
                   {{S::Calling, I::Provisional}, "Proceeding pass"},
                   {{S::Calling, I::Success}, "Accepted pass"},
                   {{S::Calling, I::Failure}, "Completed pass ack"},
                   {{S::Calling, I::RetransmitTimer}, "Calling resend"},
                   {{S::Calling, I::TimeoutTimer}, "Terminated timeout"},
                   {{S::Calling, I::LingerTimer}, "Terminated"},
                   {{S::Calling, I::TransportFailure}, "Calling transport"},
                   {{S::Proceeding, I::Provisional}, "Proceeding pass"},
                   {{S::Proceeding, I::Success}, "Accepted pass"},
                   {{S::Proceeding, I::Failure}, "Completed pass ack"},
                   {{S::Proceeding, I::TimeoutTimer}, "Terminated timeout"},
                   {{S::Proceeding, I::LingerTimer}, "Terminated"},
                   {{S::Proceeding, I::TransportFailure}, "Proceeding transport"},
                   {{S::Accepted, I::Success}, "Accepted pass"},
                   {{S::Accepted, I::LingerTimer}, "Terminated"},
                   {{S::Completed, I::Failure}, "Completed ack"},
                   {{S::Completed, I::LingerTimer}, "Terminated"},
               },
               {{S::Trying, "Terminated"}});
}

TEST(ClientMachine, OthersFollowFigure6) {
  using S = ClientState;
  using I = ClientInput;
  expect_table(step_non_invite_client,
               {
                   {{S::Trying, I::Provisional}, "Proceeding pass"},
                   {{S::Trying, I::Success}, "Completed pass"},
                   {{S::Trying, I::Failure}, "Completed pass"},
                   {{S::Trying, I::RetransmitTimer}, "Trying resend"},
                   {{S::Trying, I::TimeoutTimer}, "Terminated timeout"},
                   {{S::Trying, I::LingerTimer}, "Terminated"},
                   {{S::Trying, I::TransportFailure}, "Terminated transport"},
                   {{S::Proceeding, I::Provisional}, "Proceeding pass"},
                   {{S::Proceeding, I::Success}, "Completed pass"},
                   {{S::Proceeding, I::Failure}, "Completed pass"},
                   {{S::Proceeding, I::RetransmitTimer}, "Proceeding resend"},
                   {{S::Proceeding, I::TimeoutTimer}, "Terminated timeout"},
                   {{S::Proceeding, I::LingerTimer}, "Terminated"},
                   {{S::Proceeding, I::TransportFailure}, "Terminated transport"},
                   {{S::Completed, I::LingerTimer}, "Terminated"},
               },
               {{S::Calling, "Terminated"}, {S::Accepted, "Terminated"}});
}

}  // namespace
}  // namespace godwit::sip
