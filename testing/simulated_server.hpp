// SPDX-License-Identifier: Apache-2.0
//
// A MiniServer on a simulated host: binds its sockets, carries its datagrams and keeps its time.
// Owned by the test.
#pragma once

#include <map>

#include "testing/mini_server.hpp"
#include "testing/network.hpp"
#include "testing/simulation.hpp"

namespace godwit::testing {

class SimulatedServer {
 public:
  /// The host must have all addresses of `config.locals`.
  SimulatedServer(Network& network, Host& host, MiniServerConfig config);
  ~SimulatedServer();
  SimulatedServer(const SimulatedServer&) = delete;
  SimulatedServer& operator=(const SimulatedServer&) = delete;

  MiniServer& operator*() { return server_; }
  MiniServer* operator->() { return &server_; }
  /// The contact URIs bound to a user now, the newest first.
  std::vector<std::string> contacts(const std::string& user) const;

 private:
  void drain();

  Network& network_;
  Host& host_;
  SeededRandom random_;
  NullLog log_;
  MiniServer server_;
  std::map<Endpoint, SocketId> sockets_;
  Alarm alarm_;
};

}  // namespace godwit::testing
