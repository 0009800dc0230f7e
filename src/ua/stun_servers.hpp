// SPDX-License-Identifier: Apache-2.0
//
// Where the configured STUN servers are: names become addresses through the DNS (SRV records of
// RFC 8489 §8.1, then A and AAAA), anew after each change of the network. What was known stays in
// use until something newer is. Owned by the core; it asks no STUN server itself.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/dns.hpp"
#include "base/host_port.hpp"
#include "godwit/address.hpp"
#include "ua/driver.hpp"

namespace godwit::ua {

class StunServers {
 public:
  static constexpr std::size_t kMaxServers = 4;
  static constexpr std::uint16_t kPort = 3478;  ///< RFC 8489 §18.6.

  StunServers(const std::vector<std::string>& configured, std::deque<Output>& outputs);

  /// What cannot be used of the configuration, as sentences for people.
  const std::vector<std::string>& complaints() const { return complaints_; }
  bool any() const { return !servers_.empty(); }
  /// Asks the DNS for all names.
  void look_up();
  bool is_asking() const { return !asked_.empty(); }
  /// False: the question was somebody else's.
  bool on_answer(QueryId query, const DnsAnswer& answer);
  /// Of each server one address of that family, in the order of the configuration.
  std::vector<Endpoint> of(Family family) const;

 private:
  struct Server {
    HostPort name;
    std::string host;  ///< The name itself, or the best of its SRV records.
    std::uint16_t port = kPort;
    std::map<Family, IpAddress> addresses;
  };
  struct Asked {
    std::size_t server = 0;
    DnsType type = DnsType::A;
  };
  void ask(std::size_t server, const std::string& name, DnsType type);
  void ask_addresses(std::size_t server);

  std::deque<Output>& outputs_;
  std::vector<Server> servers_;
  std::vector<std::string> complaints_;
  std::map<QueryId, Asked> asked_;
  std::uint32_t last_query_;
};

}  // namespace godwit::ua
