// SPDX-License-Identifier: Apache-2.0
//
// MiniServer: connections, as far as a server must know of them that keeps none itself.
#include "testing/mini_server_streams.hpp"

#include <algorithm>
#include <string>

namespace godwit::testing {

const char* via_name(ServerTransport transport) {
  switch (transport) {
    case ServerTransport::Udp: return "UDP";
    case ServerTransport::Tcp: return "TCP";
    case ServerTransport::Tls: return "TLS";
  }
  return "?";
}

ServerTransport transport_of_via(std::string_view via) {
  const std::string_view protocol = via.substr(0, via.find_first_of(" \t"));
  const std::size_t slash = protocol.rfind('/');
  const auto name = slash == std::string_view::npos ? protocol : protocol.substr(slash + 1);
  if (equals_ignoring_case(name, "TCP")) return ServerTransport::Tcp;
  return equals_ignoring_case(name, "TLS") ? ServerTransport::Tls : ServerTransport::Udp;
}

ServerTransport transport_of(const UriParts& uri) {
  const std::string name = parameter("x;" + uri.parameters, "transport").value_or("");
  if (uri.scheme == "sips" || equals_ignoring_case(name, "tls")) return ServerTransport::Tls;
  return equals_ignoring_case(name, "tcp") ? ServerTransport::Tcp : ServerTransport::Udp;
}

std::optional<ServerHop> hop_of(const UriParts& uri, bool streams) {
  const ServerTransport transport = streams ? transport_of(uri) : ServerTransport::Udp;
  const auto remote = uri.literal(transport == ServerTransport::Tls ? 5061 : 5060);
  if (!remote) return std::nullopt;
  return ServerHop{*remote, transport};
}

void MiniServer::on_stream_closed(const ServerHop& connection) {
  for (auto& [name, user] : users_) {
    std::erase_if(user.bindings, [&](const ServerBinding& binding) {
      return ServerHop{binding.source, binding.transport} == connection;
    });
  }
}

std::size_t MiniServer::index_of(const Endpoint& local, ServerTransport transport) const {
  const auto& udp = config_.locals;
  if (transport == ServerTransport::Udp) {
    return static_cast<std::size_t>(std::find(udp.begin(), udp.end(), local) - udp.begin());
  }
  std::size_t index = udp.size();
  for (const ServerListener& stream : config_.streams) {
    if (stream.local == local && stream.transport == transport) break;
    ++index;
  }
  return index;
}

std::optional<ServerListener> MiniServer::end_at(std::uint64_t index) const {
  if (index < config_.locals.size()) {
    return ServerListener{config_.locals[index], ServerTransport::Udp};
  }
  index -= config_.locals.size();
  if (index >= config_.streams.size()) return std::nullopt;
  return config_.streams[index];
}

bool MiniServer::is_own_end(const Endpoint& endpoint, ServerTransport transport) const {
  const auto end = end_at(index_of(endpoint, transport));
  return end && end->local == endpoint && end->transport == transport;
}

ServerHop MiniServer::hop_to(const ServerBinding& binding, const Endpoint& contact) const {
  // Over the connection that it registered by; nobody can connect to a phone behind a NAT.
  if (binding.transport != ServerTransport::Udp) return {binding.source, binding.transport};
  return {contact, ServerTransport::Udp};
}

std::string MiniServer::record_route_entry(const ServerListener& end,
                                           const std::string& token) const {
  std::string uri = "<sip:" + token;
  if (config_.record_route_host.empty()) {
    uri += end.local.address.to_uri_host() + ":" + std::to_string(end.local.port);
  } else {
    uri += config_.record_route_host;
    if (end.local.port != 5060) uri += ":" + std::to_string(end.local.port);
  }
  if (end.transport == ServerTransport::Tcp) uri += ";transport=tcp";
  if (end.transport == ServerTransport::Tls) uri += ";transport=tls";
  return uri + (token.empty() ? ";lr>" : ";lr;ob>");
}

}  // namespace godwit::testing
