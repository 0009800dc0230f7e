// SPDX-License-Identifier: Apache-2.0
#include "ua/stun_servers.hpp"

#include <algorithm>
#include <utility>

namespace godwit::ua {
namespace {

/// The locator's questions count from 1.
constexpr std::uint32_t kFirstQuery = 0x8000'0000;

}  // namespace

StunServers::StunServers(const std::vector<std::string>& configured, std::deque<Output>& outputs)
    : outputs_(outputs), last_query_(kFirstQuery) {
  for (const std::string& text : configured) {
    auto name = parse_host_port(text);
    if (!name) {
      complaints_.push_back("STUN server " + name.error().detail);
    } else if (servers_.size() == kMaxServers) {
      complaints_.push_back("more than " + std::to_string(kMaxServers) +
                            " STUN servers: the rest is not used");
      break;
    } else {
      Server server;
      server.port = name->port.value_or(kPort);
      if (name->address) server.addresses[name->address->family()] = *name->address;
      server.name = std::move(*name);
      servers_.push_back(std::move(server));
    }
  }
}

void StunServers::look_up() {
  asked_.clear();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    Server& server = servers_[i];
    if (server.name.address) continue;
    server.host = server.name.host;
    // RFC 8489 §8.1: with a port the name is a host's.
    if (server.name.port) {
      ask_addresses(i);
    } else {
      ask(i, "_stun._udp." + server.name.host, DnsType::Srv);
    }
  }
}

void StunServers::ask(std::size_t server, const std::string& name, DnsType type) {
  const QueryId query{++last_query_};
  asked_[query] = {server, type};
  outputs_.push_back(Query{query, {name, type}});
}

void StunServers::ask_addresses(std::size_t server) {
  ask(server, servers_[server].host, DnsType::A);
  ask(server, servers_[server].host, DnsType::Aaaa);
}

bool StunServers::on_answer(QueryId query, const DnsAnswer& answer) {
  const auto found = asked_.find(query);
  if (found == asked_.end()) return false;
  const Asked asked = found->second;
  asked_.erase(found);
  Server& server = servers_[asked.server];
  if (asked.type == DnsType::Srv) {
    const SrvRecord* best = nullptr;
    for (const DnsRecord& record : answer.records) {
      const auto* srv = std::get_if<SrvRecord>(&record.data);
      if (srv == nullptr || srv->target.empty() || srv->port == 0) continue;
      if (best == nullptr || srv->priority < best->priority) best = srv;
    }
    if (best != nullptr) {
      server.host = best->target;
      server.port = best->port;
    }
    ask_addresses(asked.server);
    return true;
  }
  for (const DnsRecord& record : answer.records) {
    const auto* address = std::get_if<IpAddress>(&record.data);
    if (address == nullptr || address->is_unspecified() || address->is_multicast()) continue;
    server.addresses[address->family()] = *address;
    break;
  }
  return true;
}

std::vector<Endpoint> StunServers::of(Family family) const {
  std::vector<Endpoint> found;
  for (const Server& server : servers_) {
    const auto address = server.addresses.find(family);
    if (address != server.addresses.end()) found.push_back({address->second, server.port});
  }
  return found;
}

}  // namespace godwit::ua
