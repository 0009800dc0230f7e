// SPDX-License-Identifier: Apache-2.0
//
// The simulated Internet: hosts with interfaces, addresses and routes, an access link with delay
// and faults for each interface, a core that joins them without delay, UDP sockets. Owned by the
// test and driven by a Simulation. It carries bytes; what they mean is known to the parties.
//
//   host --[interface: up link]--> (NAT) --> core --> (NAT) --[down link: interface]--> host
//
// As with real sockets, a source address does not choose the way out: an unbound socket follows the
// default route, and a network drops packets whose source is not its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/nat64_prefix.hpp"
#include "base/random.hpp"
#include "godwit/address.hpp"
#include "godwit/network.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "testing/dns_zone.hpp"
#include "testing/nat.hpp"
#include "testing/simulation.hpp"
#include "testing/streams.hpp"

namespace godwit::testing {

class Network;

/// One direction of an access link.
struct LinkSettings {
  Duration delay{};
  Duration jitter{};   ///< Uniform extra delay in [0, jitter]; keeps the order.
  double loss = 0;     ///< Probability of each packet's loss, independent.
  double reorder = 0;  ///< Probability of being held back by `reorder_by`, overtaken by others.
  Duration reorder_by = std::chrono::milliseconds(30);
  bool black_hole = false;  ///< Everything is lost, and nobody is told.
};

struct SimulatedPacket {
  Endpoint source;
  Endpoint destination;
  std::string bytes;
  std::optional<Segment> segment = {};  ///< Of a connection; nullopt: a datagram.
};

/// Why sending failed at once, as an errno would say.
enum class SendRefusal : std::uint8_t {
  AddressGone,  ///< The socket's address or interface is no more on the host.
  Unreachable,  ///< No route.
};
const char* to_string(SendRefusal refusal);

using SocketId = StrongId<struct SocketIdTag>;

/// What an observer of the network sees: datagrams, and of connections what the parties say, once.
/// `host` is the sender's for Sent, Refused and Lost, the receiver's for Delivered. Addresses are
/// those on the receiver's or sender's side of a NAT.
struct PacketEvent {
  enum class Kind : std::uint8_t { Sent, Delivered, Lost, Refused } kind;
  TimePoint at;
  const std::string& from_host;
  const std::string& to_host;  ///< Empty unless Delivered.
  const SimulatedPacket& packet;
  const char* why;  ///< Lost, Refused: the reason, else "".
};
const char* to_string(PacketEvent::Kind kind);

class Host {
 public:
  using Receiver = std::function<void(SocketId, const Endpoint& from, const std::string& bytes)>;
  /// An ICMP error for what was sent to `remote`.
  using IcmpReceiver = std::function<void(SocketId, const Endpoint& remote)>;

  Host(Network& network, std::string name);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const std::string& name() const { return name_; }

  // What an administrator or the radio does. Each change calls the listener of on_change() once.

  /// Up and with carrier, without addresses; `link` is used in both directions. Returns its index.
  std::uint32_t add_interface(const std::string& name, LinkSettings link = {});
  void set_carrier(std::uint32_t interface, bool carrier);
  void set_link_identity(std::uint32_t interface, const std::string& identity);
  /// As a router there does (RFC 8781); nullopt: no more.
  void announce_nat64(std::uint32_t interface, std::optional<AddressPrefix> prefix);
  /// Adds it or replaces its flags.
  void add_address(std::uint32_t interface, InterfaceAddress address);
  void add_address(std::uint32_t interface, const IpAddress& address);
  void remove_address(std::uint32_t interface, const IpAddress& address);
  /// Replaces the metric if the route is there already.
  void add_default_route(Family family, std::uint32_t interface, std::uint32_t metric);
  void remove_default_route(Family family, std::uint32_t interface);
  /// The interface's packets pass this NAT; nullptr: none.
  void attach_nat(std::uint32_t interface, Nat* nat);
  /// Settings in force for packets sent from now on. Outlives any change of the interface.
  LinkSettings& up_link(std::uint32_t interface);
  LinkSettings& down_link(std::uint32_t interface);
  /// Asleep: nothing is received, what arrives is lost.
  void set_asleep(bool asleep) { asleep_ = asleep; }

  NetworkSnapshot snapshot(const std::vector<IpAddress>& remotes) const;
  void on_change(std::function<void()> listener) { listener_ = std::move(listener); }
  bool has_address(const IpAddress& address) const;

  // Sockets.

  /// Port 0: some free one. `interface` 0: not tied to one.
  Result<SocketId> bind(const Endpoint& local, std::uint32_t interface, Receiver receiver,
                        IcmpReceiver icmp = {});
  void close(SocketId socket);
  Endpoint local(SocketId socket) const;
  std::optional<SendRefusal> send(SocketId socket, const Endpoint& remote, std::string bytes);
  std::size_t open_sockets() const { return sockets_.size(); }
  Streams& streams() { return streams_; }

 private:
  friend class Network;
  friend class Streams;
  struct Direction {
    LinkSettings settings;
    TimePoint last_arrival{};
  };
  struct Interface {
    std::uint32_t index = 0;
    std::string name;
    bool carrier = true;
    std::uint64_t attachment = 0;  ///< Grows with each cut: what is on its way then is lost.
    std::string identity;
    std::optional<AddressPrefix> nat64_prefix;
    std::vector<InterfaceAddress> addresses;
    Nat* nat = nullptr;
    Direction up;
    Direction down;
  };
  struct Socket {
    Endpoint local;
    std::uint32_t interface = 0;
    Receiver receiver;
    IcmpReceiver icmp;
  };

  // For Streams.
  Result<Endpoint> free_port(const IpAddress& local, std::uint32_t interface);
  std::optional<IpAddress> any_address(Family family) const;
  /// As TCP does, says nothing if it cannot be sent now.
  void send_segment(const Endpoint& local, std::uint32_t interface, const Endpoint& remote,
                    const Segment& segment, const std::string& bytes);
  std::optional<SendRefusal> send(const Socket& socket, SimulatedPacket packet);

  Interface& interface(std::uint32_t index);
  const Interface* owner_of(const IpAddress& address) const;
  /// The way out of a socket, or nullptr.
  Interface* egress(const Socket& socket, Family family);
  void changed();
  void deliver(const std::string& from_host, const SimulatedPacket& packet,
               std::uint32_t interface);

  Network& network_;
  std::string name_;
  bool asleep_ = false;
  std::vector<std::unique_ptr<Interface>> interfaces_;
  std::vector<DefaultRoute> routes_;
  std::map<SocketId, Socket> sockets_;
  std::function<void()> listener_;
  Streams streams_;
};

class Network {
 public:
  explicit Network(Simulation& simulation) : simulation_(simulation) {}
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Host& add_host(const std::string& name);
  /// Makes the NAT's outside address reachable; interfaces are attached with Host::attach_nat().
  Nat& add_nat(const IpAddress& outside, NatSettings settings);
  /// A NAT64 (RFC 6146) for all hosts: what is sent to `prefix` leaves as IPv4 from `outside`.
  Nat& add_nat64(const Nat64Prefix& prefix, const IpAddress& outside, NatSettings settings);
  Simulation& simulation() { return simulation_; }

  // Names.
  void set_name(const std::string& host, std::vector<IpAddress> addresses);
  DnsZone& dns() { return dns_; }

  /// Sees every packet when it is sent: extra delay to give it, or nullopt to lose it. Filters are
  /// asked in the order of their making; all must agree.
  using Filter = std::function<std::optional<Duration>(const SimulatedPacket&)>;
  void add_filter(Filter filter) { filters_.push_back(std::move(filter)); }
  /// Loses the next `times` packets that `matches` says are meant.
  void lose_next(std::function<bool(const SimulatedPacket&)> matches, std::uint32_t times = 1);
  void observe(std::function<void(const PacketEvent&)> observer) {
    observers_.push_back(std::move(observer));
  }

 private:
  friend class Host;
  void report(PacketEvent::Kind kind, const std::string& from, const std::string& to,
              const SimulatedPacket& packet, const char* why);
  void transmit(Host& host, Host::Interface& interface, SimulatedPacket packet);
  void cross_core(const std::string& from, Nat* nat, SimulatedPacket packet);
  void descend(const std::string& from, Host& host, Host::Interface& interface,
               SimulatedPacket packet);
  void port_unreachable(const SimulatedPacket& packet);
  /// When the packet leaves that direction of the link; nullopt: lost.
  std::optional<TimePoint> pass(Host::Direction& direction, Duration extra);
  std::pair<Host*, Host::Interface*> find(const IpAddress& address, const Nat* nat);

  Simulation& simulation_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Nat>> nats_;
  std::map<Nat*, Nat64Prefix> nat64_;  ///< Those of `nats_` that change the family.
  DnsZone dns_;
  std::vector<Filter> filters_;
  std::vector<std::function<void(const PacketEvent&)>> observers_;
  std::uint32_t last_socket_ = 0;
};

}  // namespace godwit::testing
