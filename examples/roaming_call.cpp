// SPDX-License-Identifier: Apache-2.0
//
// A call that survives address changes, in twenty lines: nothing here mentions the network, because
// the library watches it. Usage: roaming_call sip:alice@example.org PASSWORD sip:bob@example.org
#include <chrono>
#include <cstdio>
#include <thread>

#include "godwit/user_agent.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: roaming_call AOR PASSWORD CALLEE\n", stderr), 2;
  godwit::UserAgent agent({}, [](const godwit::Event& event, godwit::TimePoint at) {
    std::puts(
        godwit::to_json(event, at).c_str());  // IpChangeCompleted says how long it was silent.
  });
  godwit::AccountConfig account;
  account.aor = argv[1];
  account.password = argv[2];
  const auto id = agent.add_account(account);
  if (!id) return std::fprintf(stderr, "%s\n", id.error().detail.c_str()), 1;
  const auto call = agent.call(*id, argv[3]);
  if (!call) return std::fprintf(stderr, "%s\n", call.error().detail.c_str()), 1;
  agent.set_source(*call, {.kind = godwit::AudioSource::Kind::Tone});
  std::this_thread::sleep_for(std::chrono::minutes(1));
  agent.shutdown(std::chrono::seconds(2));
}
