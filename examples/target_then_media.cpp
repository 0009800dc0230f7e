// SPDX-License-Identifier: Apache-2.0
//
// The address changes while an offer of ours is open, so that there can be no other: first an
// UPDATE without an offer tells the peer the new Contact, then, with the exchange over, media move.
// Usage: target_then_media AOR PASSWORD CALLEE OLD_ADDRESS NEW_ADDRESS
#include "example.hpp"

int main(int argc, char** argv) {
  using namespace godwit;
  using example::need;
  if (argc != 6) {
    return std::fputs("usage: target_then_media AOR PASSWORD CALLEE OLD NEW\n", stderr), 2;
  }
  example::Events events;
  UserAgentConfig config;
  config.watch_network = false;
  UserAgent agent(config, events.handler());
  need(agent.update_network(example::network_with(argv[4])));
  const AccountId account = need(agent.add_account(example::manual_account(argv[1], argv[2])));
  events.wait_for<RegistrationChanged>(
      [](const auto& event) { return event.state == RegistrationState::Registered; });
  const CallId call = need(agent.call(account, argv[3]));
  events.wait_for<CallStateChanged>(
      [](const auto& event) { return event.state == CallState::Confirmed; });

  need(agent.hold(call));  // A re-INVITE whose answer is on its way when …
  need(agent.update_network(example::network_with(argv[5])));  // … the address is another one.

  // 1. The target alone. Not every peer takes UPDATE: one that does not is asked by re-INVITE as
  // soon as the open exchange allows it, or WrongState says at once that it must be waited for.
  CallRefresh target;
  target.method = RefreshMethod::Update;
  target.offer = false;
  target.media = false;
  const RequestId first = need(agent.refresh_call(call, target));
  const auto told =
      events.wait_for<CallRefreshed>([=](const auto& event) { return event.request == first; });
  if (!told.ok) example::Events::fail("the target could not be moved: " + told.reason);

  // 2. Media: waits by itself until the exchange of the hold is over.
  const RequestId second = need(agent.refresh_call(call, {.method = RefreshMethod::Update}));
  const auto moved =
      events.wait_for<CallRefreshed>([=](const auto& event) { return event.request == second; });
  if (!moved.ok) example::Events::fail("media could not be moved: " + moved.reason);

  need(agent.hang_up(call));
  events.wait_for<CallStateChanged>(
      [](const auto& event) { return event.state == CallState::Ended; });
  agent.shutdown(std::chrono::seconds(2));
}
