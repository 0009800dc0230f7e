// SPDX-License-Identifier: Apache-2.0
//
// The usual world with a second server like the first, on a host of its own. What the names stand
// for is the test's.
#pragma once

#include "world.hpp"

namespace godwit::scenario {

class TwoServers {
 public:
  /// `domains`: of the second server.
  TwoServers(Stage chosen, std::uint16_t port, std::vector<std::string> domains)
      : world(std::move(chosen)),
        second_host(world.network.add_host("server2")),
        second_link(second_host.add_interface("eth0")),
        second(world.network, prepared(), config(port, std::move(domains))) {
    second->bind("bob", world.peer.uri());
  }

  IpAddress first_address() const { return world.server_address(); }
  IpAddress second_address() const { return world.address(8); }
  bool registered() const {
    return world.phone.registration(world.account) == RegistrationState::Registered;
  }
  bool at_first() const { return world.server.contacts("alice").size() == 1; }
  bool at_second() const { return second.contacts("alice").size() == 1; }
  std::size_t failures_told() const {
    std::size_t count = 0;
    for (const auto& event : world.phone.all<RegistrationChanged>()) {
      count += event.state == RegistrationState::Failed ? 1 : 0;
    }
    return count;
  }
  /// Everything sent to the first one is lost; or not any more.
  void kill_first(bool dead = true) { world.server_host.down_link(2).black_hole = dead; }

  World world;
  testing::Host& second_host;
  std::uint32_t second_link;
  testing::SimulatedServer second;

 private:
  testing::Host& prepared() {
    second_host.add_address(second_link, second_address());
    second_host.add_default_route(world.stage.family, second_link, 100);
    return second_host;
  }
  MiniServerConfig config(std::uint16_t port, std::vector<std::string> domains) const {
    MiniServerConfig result = world.stage.server;
    result.locals = {{second_address(), port}};
    result.domains = std::move(domains);
    if (world.stage.digest) result.users = {{"alice", "wonderland"}, {"bob", "builder"}};
    return result;
  }
};

}  // namespace godwit::scenario
