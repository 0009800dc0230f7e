// SPDX-License-Identifier: Apache-2.0
#include "io/netlink_monitor.hpp"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "io/netlink_messages.hpp"

namespace godwit::io {
namespace {

using netlink::KernelState;
using netlink::Message;

// The kernel cuts its dumps into pieces of at most 32 KiB, and smaller if this is smaller.
constexpr std::size_t kReceiveBuffer = 32768;
// Room for a few hundred messages between two wake-ups; more only means one re-read (ENOBUFS).
constexpr int kMulticastBuffer = 256 * 1024;
// drain() leaves the rest to the next wake-up instead of keeping its thread for ever.
constexpr int kMaxDrainedPieces = 1024;
// Lookups sent in one go. Their answers wait in the socket's buffer together, about 1 KiB each.
constexpr std::size_t kLookupsAtOnce = 32;
// A dump that the kernel's state changed under is read again. The change itself also wakes us, so
// after this many attempts the inconsistent one is good enough until then.
constexpr int kDumpAttempts = 4;
// Interfaces, addresses and routes beyond this are not kept: a snapshot stays a bounded value.
constexpr std::size_t kMaxEntries = 20'000;

class Socket {
 public:
  static Result<Socket> open() {
    mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket == nullptr) return last_error("netlink socket");
    return Socket(socket);
  }
  Socket(Socket&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~Socket() {
    if (socket_ != nullptr) mnl_socket_close(socket_);
  }

  Result<void> bind(unsigned groups) {
    if (mnl_socket_bind(socket_, groups, MNL_SOCKET_AUTOPID) < 0) return last_error("bind");
    return {};
  }
  int descriptor() const { return mnl_socket_get_fd(socket_); }
  std::uint32_t port() const { return mnl_socket_get_portid(socket_); }

  Result<void> send(const void* bytes, std::size_t size) {
    if (mnl_socket_sendto(socket_, bytes, size) < 0) return last_error("send");
    return {};
  }

  /// What was received, or the errno. A message that is not the kernel's is dropped as if empty.
  struct Received {
    Bytes bytes;
    int error = 0;
  };
  Received receive(std::array<std::uint8_t, kReceiveBuffer>& buffer) const {
    sockaddr_nl from{};
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_name = &from;
    header.msg_namelen = sizeof from;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    ssize_t size = 0;
    do {
      size = ::recvmsg(descriptor(), &header, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return {{}, errno};
    if ((header.msg_flags & MSG_TRUNC) != 0) return {{}, EMSGSIZE};
    if (from.nl_pid != 0) return {};
    return {Bytes(buffer.data(), static_cast<std::size_t>(size)), 0};
  }

  static tl::unexpected<Error> last_error(const char* what) { return error(what, errno); }
  static tl::unexpected<Error> error(const char* what, int code) {
    return fail(ErrorCode::Network, std::string("netlink: ") + what + ": " + std::strerror(code));
  }

 private:
  explicit Socket(mnl_socket* socket) : socket_(socket) {}
  mnl_socket* socket_;
};

// Monotonic and not boot time: it only measures how long a thread has been kept.
Duration thread_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// Requests under construction: some netlink messages back to back.
class Requests {
 public:
  Requests() : buffer_(kLookupsAtOnce * kMaxRequest) {}

  template <typename Header>
  Header& add(std::uint16_t type, int flags, std::uint32_t sequence) {
    message_ = mnl_nlmsg_put_header(buffer_.data() + size());
    message_->nlmsg_type = type;
    message_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    message_->nlmsg_seq = sequence;
    return *static_cast<Header*>(mnl_nlmsg_put_extra_header(message_, sizeof(Header)));
  }
  void attribute(std::uint16_t type, std::string_view bytes) {
    mnl_attr_put(message_, type, bytes.size(), bytes.data());
  }
  void attribute(std::uint16_t type, std::uint32_t value) {
    mnl_attr_put_u32(message_, type, value);
  }
  /// Closes the present message, so that another can follow.
  void finish() {
    done_ += MNL_ALIGN(message_->nlmsg_len);
    message_ = nullptr;
  }
  void clear() { done_ = 0; }
  const void* data() const { return buffer_.data(); }
  std::size_t size() const { return done_; }

 private:
  // A header, a fixed part and at most three attributes.
  static constexpr std::size_t kMaxRequest = 128;
  std::vector<std::uint8_t> buffer_;
  nlmsghdr* message_ = nullptr;
  std::size_t done_ = 0;
};

unsigned char to_af(Family family) {
  return static_cast<unsigned char>(family == Family::V4 ? AF_INET : AF_INET6);
}

template <typename T>
void keep(std::vector<T>& list, std::optional<T> item) {
  if (item && list.size() < kMaxEntries) list.push_back(std::move(*item));
}

// Asks on a socket of its own, so that answers and events cannot push each other out.
class Reader {
 public:
  static Result<Reader> open() {
    auto socket = Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    if (auto bound = socket->bind(0); !bound) return tl::unexpected(bound.error());
    return Reader(std::move(*socket));
  }

  Result<KernelState> read(std::span<const IpAddress> remotes) {
    deadline_ = thread_clock() + NetworkMonitor::kReadLimit;
    KernelState state;
    if (auto r = dump_links(state); !r) return tl::unexpected(r.error());
    if (auto r = dump_addresses(state); !r) return tl::unexpected(r.error());
    for (const Family family : {Family::V4, Family::V6}) {
      if (auto r = dump_routes(family, state); !r) return tl::unexpected(r.error());
    }
    if (auto r = look_up_gateways(state); !r) return tl::unexpected(r.error());
    if (auto r = look_up_remotes(remotes, state); !r) return tl::unexpected(r.error());
    return state;
  }

 private:
  explicit Reader(Socket socket) : socket_(std::move(socket)) {}

  Result<void> dump_links(KernelState& state) {
    return dump(
        [&](std::uint32_t sequence) {
          requests_.add<ifinfomsg>(RTM_GETLINK, NLM_F_DUMP, sequence);
          requests_.attribute(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
        },
        [&] { state.links.clear(); },
        [&](const Message& m) {
          if (m.type == RTM_NEWLINK) keep(state.links, netlink::parse_link(m));
        });
  }

  Result<void> dump_addresses(KernelState& state) {
    return dump(
        [&](std::uint32_t sequence) {
          requests_.add<ifaddrmsg>(RTM_GETADDR, NLM_F_DUMP, sequence).ifa_family = AF_UNSPEC;
        },
        [&] { state.addresses.clear(); },
        [&](const Message& m) {
          if (m.type == RTM_NEWADDR) keep(state.addresses, netlink::parse_address(m));
        });
  }

  Result<void> dump_routes(Family family, KernelState& state) {
    const std::size_t before = state.routes.size();
    return dump(
        [&](std::uint32_t sequence) {
          requests_.add<rtmsg>(RTM_GETROUTE, NLM_F_DUMP, sequence).rtm_family = to_af(family);
        },
        [&] { state.routes.resize(before); },
        [&](const Message& m) {
          if (m.type != RTM_NEWROUTE) return;
          auto route = netlink::parse_route(m);
          // Whatever else the table holds is asked for per remote: a router's may be long.
          if (route && route->destination_length <= 3) keep(state.routes, std::move(route));
        });
  }

  Result<void> look_up_gateways(KernelState& state) {
    std::vector<DefaultRoute> routes = netlink::default_routes(state.routes);
    std::erase_if(routes, [](const DefaultRoute& r) { return !r.gateway; });
    return look_up(
        routes.size(),
        [&](std::size_t i, std::uint32_t sequence) {
          auto& header = requests_.add<ndmsg>(RTM_GETNEIGH, 0, sequence);
          header.ndm_family = to_af(routes[i].gateway->family());
          header.ndm_ifindex = static_cast<int>(routes[i].interface_index);
          requests_.attribute(NDA_DST, routes[i].gateway->bytes());
        },
        [&](std::size_t i, const Message& m) {
          // Not in the table (ENOENT), or a kernel before 5.0 that cannot be asked for one entry:
          // the identity stays unknown.
          if (m.type != RTM_NEWNEIGH) return;
          auto neighbour = netlink::parse_neighbour(m);
          if (!neighbour || neighbour->address != *routes[i].gateway) return;
          const bool twice =
              std::any_of(state.gateways.begin(), state.gateways.end(), [&](const auto& known) {
                return known.interface_index == neighbour->interface_index &&
                       known.address == neighbour->address;
              });
          if (!twice) keep(state.gateways, std::move(neighbour));
        });
  }

  Result<void> look_up_remotes(std::span<const IpAddress> remotes, KernelState& state) {
    std::vector<IpAddress> asked(remotes.begin(), remotes.end());
    std::sort(asked.begin(), asked.end());
    asked.erase(std::unique(asked.begin(), asked.end()), asked.end());
    std::erase_if(asked, [](const IpAddress& a) { return a.family() == Family::None; });
    for (const IpAddress& remote : asked) {
      state.to_remotes.push_back(RouteToRemote{remote, 0, IpAddress{}});
    }
    return look_up(
        asked.size(),
        [&](std::size_t i, std::uint32_t sequence) {
          auto& header = requests_.add<rtmsg>(RTM_GETROUTE, 0, sequence);
          header.rtm_family = to_af(asked[i].family());
          header.rtm_dst_len = static_cast<unsigned char>(asked[i].bytes().size() * 8);
          requests_.attribute(RTA_DST, asked[i].bytes());
        },
        [&](std::size_t i, const Message& m) {
          // An error is the answer "no way there", whichever it is (ENETUNREACH, EACCES, …).
          if (m.type != RTM_NEWROUTE) return;
          const auto route = netlink::parse_route(m);
          if (!route || route->hops.empty()) return;
          if (route->type != RTN_UNICAST && route->type != RTN_LOCAL) return;
          state.to_remotes[i].interface_index = route->hops.front().interface_index;
          state.to_remotes[i].source = route->preferred_source;
        });
  }

  template <typename Build, typename Reset, typename Handle>
  Result<void> dump(Build build, Reset reset, Handle handle) {
    bool interrupted = false;
    for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
      reset();
      interrupted = false;
      const std::uint32_t sequence = ++sequence_;
      requests_.clear();
      build(sequence);
      requests_.finish();
      if (auto sent = socket_.send(requests_.data(), requests_.size()); !sent) return sent;
      bool done = false;
      while (!done) {
        auto result = receive([&](const Message& m) -> Result<void> {
          if (m.sequence != sequence) return {};
          interrupted = interrupted || (m.flags & NLM_F_DUMP_INTR) != 0;
          if (m.type == NLMSG_DONE || m.type == NLMSG_ERROR) {
            done = true;
            const int code = netlink::parse_error(m).value_or(EBADMSG);
            if (code != 0) return Socket::error("dump", code);
            return {};
          }
          handle(m);
          return {};
        });
        if (!result) return result;
      }
      if (!interrupted) break;
    }
    return {};
  }

  // `count` requests with one answer each: build(i, sequence) writes them, handle(i, message) gets
  // the answers, errors among them.
  template <typename Build, typename Handle>
  Result<void> look_up(std::size_t count, Build build, Handle handle) {
    for (std::size_t first = 0; first < count; first += kLookupsAtOnce) {
      const std::size_t size = std::min(kLookupsAtOnce, count - first);
      const std::uint32_t base = sequence_ + 1;
      sequence_ += static_cast<std::uint32_t>(size);
      requests_.clear();
      for (std::size_t i = 0; i < size; ++i) {
        build(first + i, base + static_cast<std::uint32_t>(i));
        requests_.finish();
      }
      if (auto sent = socket_.send(requests_.data(), requests_.size()); !sent) return sent;
      std::size_t answered = 0;
      while (answered < size) {
        auto result = receive([&](const Message& m) -> Result<void> {
          const std::uint32_t place = m.sequence - base;
          if (place >= size) return {};
          handle(first + place, m);
          ++answered;
          return {};
        });
        if (!result) return result;
      }
    }
    return {};
  }

  // Waits for one piece and hands out its messages that are meant for this socket.
  template <typename Handle>
  Result<void> receive(Handle handle) {
    Socket::Received received = socket_.receive(buffer_);
    while (received.error == EAGAIN) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - thread_clock()).count();
      if (left <= 0) return fail(ErrorCode::Timeout, "netlink: the kernel does not answer");
      pollfd wait{socket_.descriptor(), POLLIN, 0};
      ::poll(&wait, 1, static_cast<int>(left));
      received = socket_.receive(buffer_);
    }
    if (received.error != 0) return Socket::error("receive", received.error);
    Bytes rest = received.bytes;
    while (const auto message = netlink::take_message(rest)) {
      if (message->port != socket_.port()) continue;
      if (auto handled = handle(*message); !handled) return handled;
    }
    return {};
  }

  Socket socket_;
  Requests requests_;
  std::array<std::uint8_t, kReceiveBuffer> buffer_{};
  std::uint32_t sequence_ = 0;
  Duration deadline_{};
};

}  // namespace

class NetworkMonitor::Impl {
 public:
  explicit Impl(Socket events) : events_(std::move(events)) {}

  int descriptor() const { return events_.descriptor(); }

  bool drain() {
    bool relevant = false;
    for (int piece = 0; piece < kMaxDrainedPieces; ++piece) {
      const Socket::Received received = events_.receive(buffer_);
      if (received.error == EAGAIN) break;
      if (received.error != 0) {
        relevant = true;  // ENOBUFS: something was lost, which is as good as any message.
        continue;
      }
      Bytes rest = received.bytes;
      while (const auto message = netlink::take_message(rest)) {
        const bool news =
            message->type == RTM_NEWNDUSEROPT ? note_nat64(*message) : matters(*message);
        relevant = relevant || news;
      }
    }
    return relevant;
  }

  Result<NetworkSnapshot> read(std::span<const IpAddress> remotes) {
    drain();
    if (!reader_) {
      auto reader = Reader::open();
      if (!reader) return tl::unexpected(reader.error());
      reader_ = std::make_unique<Reader>(std::move(*reader));
    }
    auto state = reader_->read(remotes);
    if (!state) {
      reader_.reset();  // Late answers to what was asked would mix with the next ones.
      return tl::unexpected(state.error());
    }
    gateways_.clear();
    for (const DefaultRoute& route : netlink::default_routes(state->routes)) {
      if (route.gateway) gateways_[Key{route.interface_index, *route.gateway}] = {};
    }
    for (const netlink::Neighbour& gateway : state->gateways) {
      gateways_[Key{gateway.interface_index, gateway.address}] = gateway.link_address;
    }
    NetworkSnapshot snapshot = netlink::assemble(std::move(*state));
    add_nat64(snapshot);
    return snapshot;
  }

 private:
  /// The kernel tells of each advertisement once, and keeps none: nobody can ask for it later.
  struct Nat64 {
    AddressPrefix prefix;
    Duration until;
  };

  bool note_nat64(const Message& message) {
    const auto heard = netlink::parse_nat64_announcement(message);
    if (!heard) return false;
    const auto known = nat64_.find(heard->interface_index);
    if (heard->lifetime.count() == 0) {
      if (known == nat64_.end() || known->second.prefix != heard->prefix) return false;
      nat64_.erase(known);
      return true;
    }
    const Duration until = thread_clock() + heard->lifetime;
    if (known != nat64_.end()) {
      const bool same = known->second.prefix == heard->prefix;
      known->second = {heard->prefix, until};
      return !same;
    }
    if (nat64_.size() == kMaxEntries) return false;
    nat64_[heard->interface_index] = {heard->prefix, until};
    return true;
  }

  /// Forgets what is over: the announcement, or the network that it was for.
  void add_nat64(NetworkSnapshot& snapshot) {
    if (nat64_.empty()) return;
    std::erase_if(nat64_, [&](const auto& entry) {
      const auto interface =
          std::find_if(snapshot.interfaces.begin(), snapshot.interfaces.end(),
                       [&](const NetworkInterface& one) { return one.index == entry.first; });
      return entry.second.until <= thread_clock() || interface == snapshot.interfaces.end() ||
             !interface->carrier;
    });
    for (NetworkInterface& interface : snapshot.interfaces) {
      const auto found = nat64_.find(interface.index);
      if (found != nat64_.end()) interface.nat64_prefix = found->second.prefix;
    }
  }

  struct Key {
    std::uint32_t interface_index;
    IpAddress gateway;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<IpAddress>{}(key.gateway) * 31U + key.interface_index;
    }
  };

  // Neighbour entries change state all day. Only a gateway that has become known, or another
  // machine, can mean another network.
  bool matters(const Message& message) const {
    if (message.type == RTM_DELNEIGH) return false;
    if (message.type != RTM_NEWNEIGH) return true;
    const auto neighbour = netlink::parse_neighbour(message);
    if (!neighbour || neighbour->link_address.empty()) return false;
    const auto found = gateways_.find(Key{neighbour->interface_index, neighbour->address});
    return found != gateways_.end() && found->second != neighbour->link_address;
  }

  Socket events_;
  std::unique_ptr<Reader> reader_;
  std::unordered_map<Key, std::string, KeyHash> gateways_;  // Their link addresses; "" not known.
  std::unordered_map<std::uint32_t, Nat64> nat64_;          // By interface.
  std::array<std::uint8_t, kReceiveBuffer> buffer_{};
};

NetworkMonitor::NetworkMonitor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetworkMonitor::NetworkMonitor(NetworkMonitor&&) noexcept = default;
NetworkMonitor& NetworkMonitor::operator=(NetworkMonitor&&) noexcept = default;
NetworkMonitor::~NetworkMonitor() = default;

Result<NetworkMonitor> NetworkMonitor::open() {
  auto socket = Socket::open();
  if (!socket) return tl::unexpected(socket.error());
  constexpr auto kGroup = [](unsigned number) { return 1U << (number - 1); };
  constexpr unsigned kGroups =
      kGroup(RTNLGRP_LINK) | kGroup(RTNLGRP_NEIGH) | kGroup(RTNLGRP_IPV4_IFADDR) |
      kGroup(RTNLGRP_IPV6_IFADDR) | kGroup(RTNLGRP_IPV4_ROUTE) | kGroup(RTNLGRP_IPV6_ROUTE) |
      kGroup(RTNLGRP_IPV4_RULE) | kGroup(RTNLGRP_IPV6_RULE) | kGroup(RTNLGRP_ND_USEROPT);
  if (auto bound = socket->bind(kGroups); !bound) return tl::unexpected(bound.error());
  // Best effort: the system's limit may be lower, and an overrun costs one re-read, no more.
  ::setsockopt(socket->descriptor(), SOL_SOCKET, SO_RCVBUF, &kMulticastBuffer,
               sizeof kMulticastBuffer);
  return NetworkMonitor(std::make_unique<Impl>(std::move(*socket)));
}

int NetworkMonitor::descriptor() const { return impl_->descriptor(); }
bool NetworkMonitor::drain() { return impl_->drain(); }
Result<NetworkSnapshot> NetworkMonitor::read(std::span<const IpAddress> remotes) {
  return impl_->read(remotes);
}

}  // namespace godwit::io
