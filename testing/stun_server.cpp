// SPDX-License-Identifier: Apache-2.0
#include "testing/stun_server.hpp"

#include "base/bytes.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::testing {

StunServer::StunServer(Network& network, Host& host, const Endpoint& local)
    : network_(network), host_(host), local_(local) {
  socket_ = *host_.bind(local, 0, [this](SocketId, const Endpoint& from, const std::string& bytes) {
    receive(from, bytes);
  });
}

StunServer::~StunServer() { host_.close(socket_); }

void StunServer::receive(const Endpoint& from, const std::string& bytes) {
  auto message = wire::parse_stun(as_bytes(bytes));
  if (!message || message->message_class != wire::StunClass::Request) return;
  ++requests_;
  if (behaviour_.silent) return;
  message->message_class = wire::StunClass::Success;
  message->mapped = behaviour_.lie.value_or(from);
  if (behaviour_.other_transaction) message->transaction[0] ^= 1U;
  const auto answer = wire::build_stun(*message);
  if (!answer) return;
  network_.simulation().after(
      behaviour_.delay,
      [&host = host_, socket = socket_, from, bytes = std::string(answer->begin(), answer->end())] {
        (void)host.send(socket, from, bytes);
      });
}

}  // namespace godwit::testing
