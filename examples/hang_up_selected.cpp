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
  example::Phone phone(argv[1], argv[2], argv[5]);
  const CallId kept = phone.call(argv[3]);
  const CallId dropped = phone.call(argv[4]);

  need(phone.agent.update_network(example::network_with(argv[6])));
  // The registration first: the BYE goes over its new flow.
  need(phone.agent.handle_ip_change({.calls = false}));
  phone.events.wait_for<IpChangeCompleted>([](const auto& event) {
    return std::any_of(event.report.steps.begin(), event.report.steps.end(), [](const auto& step) {
      return step.kind == StepKind::ContactUpdated && step.ok;
    });
  });
  need(phone.agent.hang_up(dropped, ReasonHeader{"SIP", 410, "the address has changed"}));
  phone.wait_until(dropped, CallState::Ended);
  phone.expect_refreshed(need(phone.agent.refresh_call(kept)), "the call could not be kept");
  phone.hang_up_and_leave(kept);
}
