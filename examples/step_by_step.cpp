// SPDX-License-Identifier: Apache-2.0
//
// The application watches the network and handles a change of its address step by step: first the
// registration, then the call. Usage: step_by_step AOR PASSWORD CALLEE OLD_ADDRESS NEW_ADDRESS
#include "example.hpp"

int main(int argc, char** argv) {
  using namespace godwit;
  using example::need;
  if (argc != 6) return std::fputs("usage: step_by_step AOR PASSWORD CALLEE OLD NEW\n", stderr), 2;
  example::Phone phone(argv[1], argv[2], argv[4]);
  const CallId call = phone.call(argv[3]);
  need(phone.agent.set_source(call, {.kind = AudioSource::Kind::Tone}));

  // The system's API says that the address is another one. The account is not automatic, so this
  // is told as IpChangeDetected and nothing moves.
  need(phone.agent.update_network(example::network_with(argv[5])));
  phone.events.wait_for<IpChangeDetected>([](const auto&) { return true; });

  // Step 1: the registrar learns the new Contact. IpChangeProgress tells its answer.
  const Generation generation = need(phone.agent.handle_ip_change({.calls = false}));
  phone.events.wait_for<IpChangeCompleted>(
      [=](const auto& event) { return event.report.generation == generation; });

  // Step 2: new RTP sockets, and a re-INVITE that offers them.
  phone.expect_refreshed(need(phone.agent.refresh_call(call)), "the call could not be refreshed");

  phone.hang_up_and_leave(call);
}
