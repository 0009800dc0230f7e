// SPDX-License-Identifier: Apache-2.0
#include "io/link_dns.hpp"

#include <algorithm>
#include <fstream>
#include <optional>

namespace godwit::io {
namespace {

/// Such files have some hundred bytes.
constexpr std::size_t kMaxFile = 64U * 1024;
constexpr std::uint16_t kDnsPort = 53;

std::optional<Endpoint> parse_server(std::string_view text) {
  // ADDRESS[:PORT][%INTERFACE][#NAME]; with a port IPv6 stands in brackets.
  text = text.substr(0, text.find('#'));
  text = text.substr(0, text.find('%'));
  if (const auto bare = IpAddress::parse(text)) return Endpoint{*bare, kDnsPort};
  return Endpoint::parse(text, kDnsPort);
}

bool is_usable(const Endpoint& server) {
  const IpAddress& address = server.address;
  return server.port != 0 && !address.is_unspecified() && !address.is_multicast() &&
         !address.is_link_local();
}

std::string read_bounded(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFile, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

std::vector<Endpoint> parse_link_servers(std::string_view file, std::string_view key) {
  std::vector<Endpoint> servers;
  while (!file.empty()) {
    std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(file.size(), line.size() + 1));
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != '=') continue;
    line.remove_prefix(key.size() + 1);
    while (!line.empty() && servers.size() < kMaxLinkServers) {
      constexpr std::string_view kBetween = " \t\r\"'";
      const std::size_t begin = line.find_first_not_of(kBetween);
      if (begin == std::string_view::npos) break;
      line.remove_prefix(begin);
      const std::string_view word = line.substr(0, line.find_first_of(kBetween));
      line.remove_prefix(word.size());
      const auto server = parse_server(word);
      if (server && is_usable(*server)) servers.push_back(*server);
    }
  }
  return servers;
}

std::vector<Endpoint> link_dns_servers(const std::string& folder, std::uint32_t interface_index) {
  const std::string name = "/" + std::to_string(interface_index);
  // What was given to resolved by hand or by NetworkManager; else what networkd has learned.
  auto servers = parse_link_servers(read_bounded(folder + "/resolve/netif" + name), "SERVERS");
  if (servers.empty()) {
    servers = parse_link_servers(read_bounded(folder + "/netif/links" + name), "DNS");
  }
  return servers;
}

}  // namespace godwit::io
