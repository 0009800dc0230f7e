// SPDX-License-Identifier: Apache-2.0
//
// The application watches the network and handles a change of its address step by step: first the
// registration, then the call. Usage: step_by_step AOR PASSWORD CALLEE OLD_ADDRESS NEW_ADDRESS
#include "example.hpp"

int main(int argc, char** argv) {
  using namespace godwit;
  using example::need;
  if (argc != 6) return std::fputs("usage: step_by_step AOR PASSWORD CALLEE OLD NEW\n", stderr), 2;
  example::Events events;
  UserAgentConfig config;
  config.watch_network = false;  // From now on the application says what the network is like.
  UserAgent agent(config, events.handler());
  need(agent.update_network(example::network_with(argv[4])));

  const AccountId account = need(agent.add_account(example::manual_account(argv[1], argv[2])));
  events.wait_for<RegistrationChanged>(
      [](const auto& event) { return event.state == RegistrationState::Registered; });
  const CallId call = need(agent.call(account, argv[3]));
  need(agent.set_source(call, {.kind = AudioSource::Kind::Tone}));
  events.wait_for<CallStateChanged>(
      [](const auto& event) { return event.state == CallState::Confirmed; });

  // The system's API says that the address is another one. The account is not automatic, so this
  // is told as IpChangeDetected and nothing moves.
  need(agent.update_network(example::network_with(argv[5])));
  events.wait_for<IpChangeDetected>([](const auto&) { return true; });

  // Step 1: the registrar learns the new Contact. IpChangeProgress tells its answer.
  const Generation generation = need(agent.handle_ip_change({.calls = false}));
  events.wait_for<IpChangeCompleted>(
      [=](const auto& event) { return event.report.generation == generation; });

  // Step 2: new RTP sockets, and a re-INVITE that offers them.
  const RequestId refresh = need(agent.refresh_call(call));
  const auto refreshed =
      events.wait_for<CallRefreshed>([=](const auto& event) { return event.request == refresh; });
  if (!refreshed.ok) example::Events::fail("the call could not be refreshed: " + refreshed.reason);

  need(agent.hang_up(call));
  events.wait_for<CallStateChanged>(
      [](const auto& event) { return event.state == CallState::Ended; });
  agent.shutdown(std::chrono::seconds(2));
}
