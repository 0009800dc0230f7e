// SPDX-License-Identifier: Apache-2.0
#include "sip/server_machine.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

namespace godwit::sip {
namespace {

constexpr std::array kStates = {ServerState::Trying,    ServerState::Proceeding,
                                ServerState::Accepted,  ServerState::Completed,
                                ServerState::Confirmed, ServerState::Terminated};
constexpr std::array kInputs = {
    ServerInput::Request,      ServerInput::Ack,         ServerInput::SendProvisional,
    ServerInput::SendSuccess,  ServerInput::SendFailure, ServerInput::RetransmitTimer,
    ServerInput::TimeoutTimer, ServerInput::LingerTimer, ServerInput::TransportFailure};

std::string describe(const ServerStep& step) {
  std::string text = to_string(step.next);
  if (step.send) text += " send";
  if (step.refuse) text += " refuse";
  if (step.pass_ack) text += " ack";
  if (step.report_timeout) text += " timeout";
  if (step.report_transport) text += " transport";
  return text;
}

// The whole product of states and inputs; what is not listed changes nothing and does nothing.
using Table = std::map<std::pair<ServerState, ServerInput>, std::string>;

void expect_table(ServerStep (*step)(ServerState, ServerInput), const Table& table,
                  const std::map<ServerState, std::string>& foreign) {
  for (const ServerState state : kStates) {
    for (const ServerInput input : kInputs) {
      std::string expected = to_string(state);
      if (const auto f = foreign.find(state); f != foreign.end()) expected = f->second;
      if (const auto row = table.find({state, input}); row != table.end()) expected = row->second;
      EXPECT_EQ(describe(step(state, input)), expected)
          << to_string(state) << " on " << to_string(input);
    }
  }
}

TEST(ServerMachine, InviteFollowsFigure7AndRfc6026) {
  using S = ServerState;
  using I = ServerInput;
  expect_table(step_invite_server,
               {
                   {{S::Proceeding, I::Request}, "Proceeding send"},
                   {{S::Proceeding, I::SendProvisional}, "Proceeding send"},
                   {{S::Proceeding, I::SendSuccess}, "Accepted send"},
                   {{S::Proceeding, I::SendFailure}, "Completed send"},
                   {{S::Proceeding, I::TransportFailure}, "Proceeding transport"},
                   {{S::Accepted, I::Ack}, "Accepted ack"},
                   {{S::Accepted, I::SendSuccess}, "Accepted send"},
                   {{S::Accepted, I::SendProvisional}, "Accepted refuse"},
                   {{S::Accepted, I::SendFailure}, "Accepted refuse"},
                   {{S::Accepted, I::LingerTimer}, "Terminated"},
                   {{S::Accepted, I::TransportFailure}, "Accepted transport"},
                   {{S::Completed, I::Request}, "Completed send"},
                   {{S::Completed, I::RetransmitTimer}, "Completed send"},
                   {{S::Completed, I::Ack}, "Confirmed"},
                   {{S::Completed, I::TimeoutTimer}, "Terminated timeout"},
                   {{S::Completed, I::SendProvisional}, "Completed refuse"},
                   {{S::Completed, I::SendSuccess}, "Completed refuse"},
                   {{S::Completed, I::SendFailure}, "Completed refuse"},
                   {{S::Completed, I::TransportFailure}, "Completed transport"},
                   {{S::Confirmed, I::SendProvisional}, "Confirmed refuse"},
                   {{S::Confirmed, I::SendSuccess}, "Confirmed refuse"},
                   {{S::Confirmed, I::SendFailure}, "Confirmed refuse"},
                   {{S::Confirmed, I::LingerTimer}, "Terminated"},
               },
               {{S::Trying, "Terminated refuse"}, {S::Terminated, "Terminated refuse"}});
}

TEST(ServerMachine, OthersFollowFigure8) {
  using S = ServerState;
  using I = ServerInput;
  expect_table(step_non_invite_server,
               {
                   {{S::Trying, I::SendProvisional}, "Proceeding send"},
                   {{S::Trying, I::SendSuccess}, "Completed send"},
                   {{S::Trying, I::SendFailure}, "Completed send"},
                   {{S::Trying, I::TimeoutTimer}, "Terminated"},
                   {{S::Trying, I::TransportFailure}, "Trying transport"},
                   {{S::Proceeding, I::Request}, "Proceeding send"},
                   {{S::Proceeding, I::SendProvisional}, "Proceeding send"},
                   {{S::Proceeding, I::SendSuccess}, "Completed send"},
                   {{S::Proceeding, I::SendFailure}, "Completed send"},
                   {{S::Proceeding, I::TimeoutTimer}, "Terminated"},
                   {{S::Proceeding, I::TransportFailure}, "Proceeding transport"},
                   {{S::Completed, I::Request}, "Completed send"},
                   {{S::Completed, I::SendProvisional}, "Completed refuse"},
                   {{S::Completed, I::SendSuccess}, "Completed refuse"},
                   {{S::Completed, I::SendFailure}, "Completed refuse"},
                   {{S::Completed, I::LingerTimer}, "Terminated"},
               },
               {{S::Accepted, "Terminated refuse"},
                {S::Confirmed, "Terminated refuse"},
                {S::Terminated, "Terminated refuse"}});
}

}  // namespace
}  // namespace godwit::sip
