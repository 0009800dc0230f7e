// SPDX-License-Identifier: Apache-2.0
#include "testing/network.hpp"

#include <algorithm>

namespace godwit::testing {

const char* to_string(SendRefusal refusal) {
  switch (refusal) {
    case SendRefusal::AddressGone: return "address gone";
    case SendRefusal::Unreachable: return "network unreachable";
  }
  return "";
}

const char* to_string(PacketEvent::Kind kind) {
  switch (kind) {
    case PacketEvent::Kind::Sent: return "sent";
    case PacketEvent::Kind::Delivered: return "delivered";
    case PacketEvent::Kind::Lost: return "lost";
    case PacketEvent::Kind::Refused: return "refused";
  }
  return "";
}

Host::Host(Network& network, std::string name)
    : network_(network), name_(std::move(name)), streams_(*this, network.simulation()) {}

std::uint32_t Host::add_interface(const std::string& name, LinkSettings link) {
  auto added = std::make_unique<Interface>();
  // Not from 1, where real machines have lo: code that confuses index and position is found out.
  added->index = static_cast<std::uint32_t>(interfaces_.size()) + 2;
  added->name = name;
  added->up.settings = link;
  added->down.settings = link;
  interfaces_.push_back(std::move(added));
  changed();
  return interfaces_.back()->index;
}

Host::Interface& Host::interface(std::uint32_t index) { return *interfaces_.at(index - 2); }

LinkSettings& Host::up_link(std::uint32_t index) { return interface(index).up.settings; }
LinkSettings& Host::down_link(std::uint32_t index) { return interface(index).down.settings; }

void Host::set_carrier(std::uint32_t index, bool carrier) {
  Interface& changing = interface(index);
  if (!carrier) ++changing.attachment;
  changing.carrier = carrier;
  changed();
}

void Host::set_link_identity(std::uint32_t index, const std::string& identity) {
  interface(index).identity = identity;
  changed();
}

void Host::announce_nat64(std::uint32_t index, std::optional<AddressPrefix> prefix) {
  interface(index).nat64_prefix = prefix;
  changed();
}

void Host::add_address(std::uint32_t index, InterfaceAddress address) {
  auto& addresses = interface(index).addresses;
  std::erase_if(addresses, [&](const auto& a) { return a.address == address.address; });
  addresses.push_back(address);
  std::sort(addresses.begin(), addresses.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  changed();
}

void Host::add_address(std::uint32_t index, const IpAddress& address) {
  InterfaceAddress added;
  added.address = address;
  added.prefix_length = address.is_v4() ? 24 : 64;
  add_address(index, added);
}

void Host::remove_address(std::uint32_t index, const IpAddress& address) {
  std::erase_if(interface(index).addresses, [&](const auto& a) { return a.address == address; });
  changed();
}

void Host::add_default_route(Family family, std::uint32_t index, std::uint32_t metric) {
  std::erase_if(routes_, [&](const DefaultRoute& r) {
    return r.family == family && r.interface_index == index;
  });
  DefaultRoute route;
  route.family = family;
  route.interface_index = index;
  route.metric = metric;
  routes_.push_back(route);
  std::stable_sort(routes_.begin(), routes_.end(), [](const auto& a, const auto& b) {
    return a.family != b.family ? a.family < b.family : a.metric < b.metric;
  });
  changed();
}

void Host::remove_default_route(Family family, std::uint32_t index) {
  std::erase_if(routes_, [&](const DefaultRoute& r) {
    return r.family == family && r.interface_index == index;
  });
  changed();
}

void Host::attach_nat(std::uint32_t index, Nat* nat) {
  Interface& changing = interface(index);
  if (changing.nat != nullptr || nat != nullptr) ++changing.attachment;
  changing.nat = nat;
}

void Host::changed() {
  if (listener_) listener_();
}

const Host::Interface* Host::owner_of(const IpAddress& address) const {
  for (const auto& candidate : interfaces_) {
    for (const InterfaceAddress& own : candidate->addresses) {
      if (own.address == address && !own.tentative && !own.dad_failed) return candidate.get();
    }
  }
  return nullptr;
}

bool Host::has_address(const IpAddress& address) const { return owner_of(address) != nullptr; }

NetworkSnapshot Host::snapshot(const std::vector<IpAddress>& remotes) const {
  NetworkSnapshot snapshot;
  for (const auto& from : interfaces_) {
    NetworkInterface to;
    to.index = from->index;
    to.name = from->name;
    to.up = true;
    to.carrier = from->carrier;
    to.addresses = from->addresses;
    to.link_identity = from->identity;
    to.nat64_prefix = from->nat64_prefix;
    snapshot.interfaces.push_back(std::move(to));
  }
  for (const DefaultRoute& route : routes_) {
    // Linux takes the routes of an interface away with its carrier.
    if (interfaces_[route.interface_index - 2]->carrier) snapshot.default_routes.push_back(route);
  }
  for (const IpAddress& remote : remotes) {
    NetworkSnapshot bare = snapshot;
    bare.routes.clear();
    RouteToRemote route = bare.route_to(remote);
    route.remote = remote;
    snapshot.routes.push_back(route);
  }
  return snapshot;
}

Result<SocketId> Host::bind(const Endpoint& local, std::uint32_t index, Receiver receiver,
                            IcmpReceiver icmp) {
  const Interface* owner = owner_of(local.address);
  if (owner == nullptr) {
    return fail(ErrorCode::Network, local.address.to_string() + ": no interface has this address");
  }
  if (index != 0 && owner->index != index) {
    return fail(ErrorCode::Network, local.address.to_string() + " is of another interface");
  }
  const auto taken = [&](std::uint16_t port) {
    return std::any_of(sockets_.begin(), sockets_.end(), [&](const auto& entry) {
      return entry.second.local == Endpoint{local.address, port};
    });
  };
  std::uint16_t port = local.port;
  if (port == 0) {
    do {
      port = static_cast<std::uint16_t>(network_.simulation_.random().between(32'768, 60'999));
    } while (taken(port));
  } else if (taken(port)) {
    return fail(ErrorCode::Busy, local.to_string() + ": another program has this port");
  }
  const SocketId id{++network_.last_socket_};
  sockets_[id] = Socket{Endpoint{local.address, port}, index, std::move(receiver), std::move(icmp)};
  return id;
}

Result<Endpoint> Host::free_port(const IpAddress& local, std::uint32_t index) {
  const auto socket = bind(Endpoint{local, 0}, index, {});
  if (!socket) return tl::unexpected(socket.error());
  const Endpoint free = sockets_.at(*socket).local;
  close(*socket);
  return free;
}

std::optional<IpAddress> Host::any_address(Family family) const {
  for (const auto& candidate : interfaces_) {
    if (!candidate->carrier) continue;
    for (const InterfaceAddress& own : candidate->addresses) {
      if (own.address.family() == family && !own.tentative && !own.dad_failed) return own.address;
    }
  }
  return std::nullopt;
}

void Host::send_segment(const Endpoint& local, std::uint32_t index, const Endpoint& remote,
                        const Segment& segment, const std::string& bytes) {
  (void)send(Socket{local, index, {}, {}}, SimulatedPacket{local, remote, bytes, segment});
}

void Host::close(SocketId socket) { sockets_.erase(socket); }

Endpoint Host::local(SocketId socket) const {
  const auto found = sockets_.find(socket);
  return found == sockets_.end() ? Endpoint{} : found->second.local;
}

Host::Interface* Host::egress(const Socket& socket, Family family) {
  for (const DefaultRoute& route : routes_) {
    Interface& candidate = interface(route.interface_index);
    if (route.family != family || !candidate.carrier) continue;
    if (socket.interface == 0 || socket.interface == candidate.index) return &candidate;
  }
  return nullptr;
}

std::optional<SendRefusal> Host::send(SocketId id, const Endpoint& remote, std::string bytes) {
  const auto found = sockets_.find(id);
  if (found == sockets_.end()) return SendRefusal::AddressGone;
  const Socket& socket = found->second;
  return send(socket, SimulatedPacket{socket.local, remote, std::move(bytes)});
}

std::optional<SendRefusal> Host::send(const Socket& socket, SimulatedPacket packet) {
  const Endpoint remote = packet.destination;
  const auto refuse = [&](SendRefusal refusal) {
    network_.report(PacketEvent::Kind::Refused, name_, "", packet, to_string(refusal));
    return refusal;
  };
  if (owner_of(socket.local.address) == nullptr) return refuse(SendRefusal::AddressGone);
  if (has_address(remote.address)) {
    network_.report(PacketEvent::Kind::Sent, name_, "", packet, "");
    network_.simulation_.after(Duration::zero(),
                               [this, packet = std::move(packet)] { deliver(name_, packet, 0); });
    return std::nullopt;
  }
  Interface* way = egress(socket, remote.address.family());
  if (way == nullptr) return refuse(SendRefusal::Unreachable);
  network_.transmit(*this, *way, std::move(packet));
  return std::nullopt;
}

void Host::deliver(const std::string& from_host, const SimulatedPacket& packet,
                   std::uint32_t index) {
  const auto lost = [&](const char* why) {
    network_.report(PacketEvent::Kind::Lost, from_host, "", packet, why);
  };
  if (asleep_) return lost("asleep");
  if (!has_address(packet.destination.address)) return lost("address gone");
  if (packet.segment) {
    network_.report(PacketEvent::Kind::Delivered, from_host, name_, packet, "");
    return streams_.on_packet(packet);
  }
  for (const auto& [id, socket] : sockets_) {
    if (socket.local != packet.destination) continue;
    if (socket.interface != 0 && index != 0 && socket.interface != index) continue;
    network_.report(PacketEvent::Kind::Delivered, from_host, name_, packet, "");
    const Receiver receiver = socket.receiver;  // It may close the socket.
    receiver(id, packet.source, packet.bytes);
    return;
  }
  lost("port unreachable");
  network_.port_unreachable(packet);
}

Host& Network::add_host(const std::string& name) {
  hosts_.push_back(std::make_unique<Host>(*this, name));
  return *hosts_.back();
}

Nat& Network::add_nat(const IpAddress& outside, NatSettings settings) {
  nats_.push_back(std::make_unique<Nat>(outside, settings));
  return *nats_.back();
}

Nat& Network::add_nat64(const Nat64Prefix& prefix, const IpAddress& outside, NatSettings settings) {
  Nat& nat = add_nat(outside, settings);
  nat64_.emplace(&nat, prefix);
  return nat;
}

void Network::set_name(const std::string& host, std::vector<IpAddress> addresses) {
  dns_.set_addresses(host, addresses);
}

void Network::lose_next(std::function<bool(const SimulatedPacket&)> matches, std::uint32_t times) {
  add_filter([matches = std::move(matches),
              times](const SimulatedPacket& packet) mutable -> std::optional<Duration> {
    if (times == 0 || !matches(packet)) return Duration::zero();
    --times;
    return std::nullopt;
  });
}

void Network::report(PacketEvent::Kind kind, const std::string& from, const std::string& to,
                     const SimulatedPacket& packet, const char* why) {
  if (packet.segment &&
      (packet.segment->kind != Segment::Kind::Data || packet.segment->flight != 0 ||
       packet.segment->repeated || packet.bytes.find_first_not_of("\r\n") == std::string::npos)) {
    return;
  }
  const PacketEvent event{kind, simulation_.now(), from, to, packet, why};
  for (const auto& observer : observers_) observer(event);
}

std::optional<TimePoint> Network::pass(Host::Direction& direction, Duration extra) {
  const LinkSettings& link = direction.settings;
  Random& random = simulation_.random();
  const auto happens = [&](double probability) {
    constexpr std::uint64_t kScale = 1'000'000;
    return probability > 0 &&
           random.between(0, kScale - 1) <
               static_cast<std::uint64_t>(probability * static_cast<double>(kScale));
  };
  if (link.black_hole || happens(link.loss)) return std::nullopt;
  TimePoint arrival = simulation_.now() + link.delay + extra;
  if (link.jitter > Duration::zero()) {
    arrival += Duration(static_cast<Duration::rep>(
        random.between(0, static_cast<std::uint64_t>(link.jitter.count()))));
  }
  if (happens(link.reorder)) return arrival + link.reorder_by;
  // Without reordering a link is a queue.
  if (extra == Duration::zero()) {
    arrival = std::max(arrival, direction.last_arrival);
    direction.last_arrival = arrival;
  }
  return arrival;
}

void Network::transmit(Host& host, Host::Interface& interface, SimulatedPacket packet) {
  report(PacketEvent::Kind::Sent, host.name_, "", packet, "");
  const auto lost = [&](const char* why) {
    report(PacketEvent::Kind::Lost, host.name_, "", packet, why);
  };
  Duration extra{};
  for (const Filter& filter : filters_) {
    const auto verdict = filter(packet);
    if (!verdict) return lost("filtered");
    extra += *verdict;
  }
  const bool own_source =
      std::any_of(interface.addresses.begin(), interface.addresses.end(),
                  [&](const InterfaceAddress& a) { return a.address == packet.source.address; });
  if (!own_source) return lost("source of another network");  // RFC 2827.
  const auto arrival = pass(interface.up, extra);
  if (!arrival) return lost("up link");
  simulation_.at(*arrival, [this, &host, &interface, attachment = interface.attachment,
                            packet = std::move(packet)]() mutable {
    if (interface.attachment != attachment) {
      report(PacketEvent::Kind::Lost, host.name_, "", packet, "link cut");
      return;
    }
    cross_core(host.name_, interface.nat, std::move(packet));
  });
}

std::pair<Host*, Host::Interface*> Network::find(const IpAddress& address, const Nat* nat) {
  for (const auto& host : hosts_) {
    for (const auto& candidate : host->interfaces_) {
      if (candidate->nat != nat) continue;
      for (const InterfaceAddress& own : candidate->addresses) {
        if (own.address == address) return {host.get(), candidate.get()};
      }
    }
  }
  return {nullptr, nullptr};
}

void Network::cross_core(const std::string& from, Nat* nat, SimulatedPacket packet) {
  if (nat != nullptr) {
    if (const auto [host, interface] = find(packet.destination.address, nat); host != nullptr) {
      descend(from, *host, *interface, std::move(packet));
      return;
    }
    packet.source = nat->outbound(packet.source, packet.destination, simulation_.now());
  }
  for (const auto& [translator, prefix] : nat64_) {
    const auto v4 = prefix.extract(packet.destination.address);
    if (!v4) continue;
    packet.destination.address = *v4;
    packet.source = translator->outbound(packet.source, packet.destination, simulation_.now());
    break;
  }
  for (const auto& other : nats_) {
    if (other->outside() != packet.destination.address) continue;
    const auto inside = other->inbound(packet.destination, packet.source, simulation_.now());
    if (!inside) {
      report(PacketEvent::Kind::Lost, from, "", packet, "filtered by NAT");
      return;
    }
    packet.destination = *inside;
    const auto translator = nat64_.find(other.get());
    const bool changes_family = translator != nat64_.end();
    if (changes_family) packet.source.address = translator->second.embed(packet.source.address);
    const auto [host, interface] = find(inside->address, changes_family ? nullptr : other.get());
    if (host == nullptr) {
      report(PacketEvent::Kind::Lost, from, "", packet, "address gone");
      return;
    }
    descend(from, *host, *interface, std::move(packet));
    return;
  }
  const auto [host, interface] = find(packet.destination.address, nullptr);
  if (host == nullptr) {
    report(PacketEvent::Kind::Lost, from, "", packet, "address gone");
    return;
  }
  descend(from, *host, *interface, std::move(packet));
}

void Network::descend(const std::string& from, Host& host, Host::Interface& interface,
                      SimulatedPacket packet) {
  const auto arrival = interface.carrier ? pass(interface.down, Duration::zero()) : std::nullopt;
  if (!arrival) {
    report(PacketEvent::Kind::Lost, from, "", packet, "down link");
    return;
  }
  simulation_.at(*arrival, [this, from, &host, &interface, attachment = interface.attachment,
                            packet = std::move(packet)] {
    if (interface.attachment != attachment) {
      report(PacketEvent::Kind::Lost, from, "", packet, "link cut");
      return;
    }
    host.deliver(from, packet, interface.index);
  });
}

void Network::port_unreachable(const SimulatedPacket& packet) {
  // Comes back after as long as it took; NATs are taken to lose it, as many do.
  const auto [host, interface] = find(packet.source.address, nullptr);
  if (host == nullptr || interface->down.settings.black_hole) return;
  simulation_.after(interface->down.settings.delay, [host = host, packet] {
    for (const auto& [id, socket] : host->sockets_) {
      if (socket.local != packet.source || !socket.icmp) continue;
      const Host::IcmpReceiver receiver = socket.icmp;
      receiver(id, packet.destination);
      return;
    }
  });
}

}  // namespace godwit::testing
