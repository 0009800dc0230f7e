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
  example::Phone phone(argv[1], argv[2], argv[4]);
  const CallId call = phone.call(argv[3]);

  need(phone.agent.hold(call));  // A re-INVITE whose answer is on its way when …
  need(
      phone.agent.update_network(example::network_with(argv[5])));  // … the address is another one.

  // 1. The target alone. Not every peer takes UPDATE: one that does not is asked by re-INVITE as
  // soon as the open exchange allows it, or WrongState says at once that it must be waited for.
  CallRefresh target;
  target.method = RefreshMethod::Update;
  target.offer = false;
  target.media = false;
  phone.expect_refreshed(need(phone.agent.refresh_call(call, target)),
                         "the target could not be moved");

  // 2. Media: waits by itself until the exchange of the hold is over.
  phone.expect_refreshed(need(phone.agent.refresh_call(call, {.method = RefreshMethod::Update})),
                         "media could not be moved");

  phone.hang_up_and_leave(call);
}
