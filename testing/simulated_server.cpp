// SPDX-License-Identifier: Apache-2.0
#include "testing/simulated_server.hpp"

namespace godwit::testing {

SimulatedServer::SimulatedServer(Network& network, Host& host, MiniServerConfig config)
    : network_(network),
      host_(host),
      random_(network.simulation().fork_random()),
      server_(std::move(config), random_, log_),
      alarm_(network.simulation(), [this] {
        server_.on_timeout(network_.simulation().now());
        drain();
      }) {
  for (const Endpoint& local : server_.config().locals) {
    sockets_[local] =
        *host_.bind(local, 0, [this, local](SocketId, const Endpoint& from, const auto& bytes) {
          server_.on_datagram(local, from, bytes, network_.simulation().now());
          drain();
        });
  }
}

SimulatedServer::~SimulatedServer() {
  for (const auto& [local, socket] : sockets_) host_.close(socket);
}

std::vector<std::string> SimulatedServer::contacts(const std::string& user) const {
  std::vector<std::string> uris;
  for (const ServerBinding& binding : server_.bindings(user, network_.simulation().now())) {
    uris.push_back(binding.contact);
  }
  return uris;
}

void SimulatedServer::drain() {
  while (auto datagram = server_.poll_output()) {
    (void)host_.send(sockets_[datagram->local], datagram->remote, std::move(datagram->bytes));
  }
  alarm_.set(server_.next_timeout());
}

}  // namespace godwit::testing
