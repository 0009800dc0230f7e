// SPDX-License-Identifier: Apache-2.0
#include "testing/simulated_server.hpp"

#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "wire/stun/stun.hpp"

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
    sockets_[local] = *host_.bind(
        local, 0, [this, local](SocketId socket, const Endpoint& from, const std::string& bytes) {
          if (wire::looks_like_stun(as_bytes(bytes))) {
            answer_stun(socket, from, bytes);
            return;
          }
          server_.on_datagram(local, from, bytes, network_.simulation().now());
          drain();
        });
  }
}

void SimulatedServer::listen_streams(const std::string& tls_certificate, bool multipath) {
  for (const Endpoint& local : server_.config().locals) {
    StreamServer server;
    server.tls = !tls_certificate.empty();
    server.certificate = tls_certificate;
    server.multipath = multipath;
    server.accept = [this](StreamId id, const Endpoint& own, const Endpoint& peer) {
      ++accepted_;
      streams_.insert_or_assign(peer, Connection{id, {}});
      StreamHandlers handlers;
      handlers.data = [this, own, peer](const std::string& bytes) {
        on_stream_bytes(own, peer, bytes);
      };
      handlers.closed = [this, peer](const std::string&) { streams_.erase(peer); };
      return std::optional(handlers);
    };
    (void)host_.streams().listen(local, std::move(server));
  }
}

void SimulatedServer::stop_listening_streams() {
  for (const Endpoint& local : server_.config().locals) host_.streams().stop_listening(local);
}

void SimulatedServer::answer_stun(SocketId socket, const Endpoint& from, const std::string& bytes) {
  ++stun_requests_;
  auto message = wire::parse_stun(as_bytes(bytes));
  if (!message || !answers_pings_) return;
  message->message_class = wire::StunClass::Success;
  message->mapped = from;
  const auto answer = wire::build_stun(*message);
  if (answer) (void)host_.send(socket, from, std::string(answer->begin(), answer->end()));
}

void SimulatedServer::close_streams() {
  for (const auto& [peer, connection] : std::exchange(streams_, {})) {
    host_.streams().close(connection.id);
  }
}

void SimulatedServer::lose_streams() {
  streams_.clear();
  host_.streams().forget_all();
}

void SimulatedServer::send_raw(const std::string& bytes) {
  for (const auto& [peer, connection] : streams_) host_.streams().send(connection.id, bytes);
}

void SimulatedServer::on_stream_bytes(const Endpoint& local, const Endpoint& remote,
                                      const std::string& bytes) {
  const auto found = streams_.find(remote);
  if (found == streams_.end()) return;
  found->second.framer.append(bytes);
  std::vector<std::string> messages;
  for (;;) {
    auto next = found->second.framer.next();
    if (!next || !*next) break;
    messages.push_back(std::move(**next));
  }
  if (found->second.framer.take_keep_alives().pings > 0 && answers_pings_) {
    host_.streams().send(found->second.id, "\r\n");
  }
  for (std::string& message : messages) {
    ++stream_messages_;
    server_.on_datagram(local, remote, std::move(message), network_.simulation().now());
  }
  drain();
}

SimulatedServer::~SimulatedServer() {
  stop_listening_streams();
  lose_streams();
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
    if (const auto stream = streams_.find(datagram->remote); stream != streams_.end()) {
      host_.streams().send(stream->second.id, std::move(datagram->bytes));
      continue;
    }
    (void)host_.send(sockets_[datagram->local], datagram->remote, std::move(datagram->bytes));
  }
  alarm_.set(server_.next_timeout());
}

}  // namespace godwit::testing
