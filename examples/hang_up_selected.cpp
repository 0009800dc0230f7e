// SPDX-License-Identifier: Apache-2.0
//
// After a change of the address the application keeps one call and hangs up another, with a reason.
// Usage: hang_up_selected AOR PASSWORD CALLEE OTHER_CALLEE OLD_ADDRESS NEW_ADDRESS
#include "example.hpp"

int main(int argc, char** argv) {
  using namespace godwit;
  using example::need;
  if (argc != 7) {
    return std::fputs("usage: hang_up_selected AOR PASSWORD CALLEE OTHER OLD NEW\n", stderr), 2;
  }
  example::Events events;
  UserAgentConfig config;
  config.watch_network = false;
  UserAgent agent(config, events.handler());
  need(agent.update_network(example::network_with(argv[5])));
  const AccountId account = need(agent.add_account(example::manual_account(argv[1], argv[2])));
  events.wait_for<RegistrationChanged>(
      [](const auto& event) { return event.state == RegistrationState::Registered; });
  const auto connect = [&](const char* callee) {
    const CallId call = need(agent.call(account, callee));
    events.wait_for<CallStateChanged>([=](const auto& event) {
      return event.call == call && event.state == CallState::Confirmed;
    });
    return call;
  };
  const CallId kept = connect(argv[3]);
  const CallId dropped = connect(argv[4]);

  need(agent.update_network(example::network_with(argv[6])));
  // The registration first: the BYE goes over its new flow.
  need(agent.handle_ip_change({.calls = false}));
  events.wait_for<IpChangeCompleted>([](const auto& event) {
    return std::any_of(event.report.steps.begin(), event.report.steps.end(), [](const auto& step) {
      return step.kind == StepKind::ContactUpdated && step.ok;
    });
  });
  need(agent.hang_up(dropped, ReasonHeader{"SIP", 410, "the address has changed"}));
  const RequestId refresh = need(agent.refresh_call(kept));
  const auto refreshed =
      events.wait_for<CallRefreshed>([=](const auto& event) { return event.request == refresh; });
  if (!refreshed.ok) example::Events::fail("the call could not be kept: " + refreshed.reason);

  need(agent.hang_up(kept));
  events.wait_for<CallStateChanged>(
      [=](const auto& event) { return event.call == kept && event.state == CallState::Ended; });
  agent.shutdown(std::chrono::seconds(2));
}
