// SPDX-License-Identifier: Apache-2.0
#include "lab/network.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>

#include "lab/clock.hpp"
#include "lab/udp.hpp"

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

constexpr int kProbes = 9;
constexpr std::uint16_t kProbePort = 9;  // discard: nobody else's here

IpAddress address(const char* text) { return *IpAddress::parse(text); }

/// The default route's prefix; the word "default" would mean IPv4.
const char* everywhere(Family family) { return family == Family::V6 ? "::/0" : "0.0.0.0/0"; }

/// `nodad`: usable at once, as duplicate address detection would take a second.
std::string add_address(const IpAddress& a, const std::string& device) {
  return a.is_v6() ? fmt::format("addr add {}/64 dev {} nodad\n", a.to_string(), device)
                   : fmt::format("addr add {}/24 dev {}\n", a.to_string(), device);
}

/// Before the device comes up: no link-local address, no router solicitation, and replies may leave
/// by another device than the one they would be routed to.
void quiet(NetNs& ns, const std::string& device) {
  ns.run([&] {
    auto set = [&](const char* family, const char* key, const char* value) {
      const std::string file = fmt::format("/proc/sys/net/{}/conf/{}/{}", family, device, key);
      const Fd fd{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
      const ssize_t ignored = fd ? ::write(fd.get(), value, std::strlen(value)) : 0;
      static_cast<void>(ignored);
    };
    set("ipv4", "rp_filter", "0");
    set("ipv6", "disable_ipv6", "0");
    set("ipv6", "accept_ra", "0");
    set("ipv6", "accept_dad", "0");
    set("ipv6", "router_solicitations", "0");
    set("ipv6", "addr_gen_mode", "1");
  });
}

/// Hears of deleted addresses. Opened before a move, asked after it was ordered.
class DeletionWatch {
 public:
  explicit DeletionWatch(NetNs& ns) {
    ns.run([this] {
      socket_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
      sockaddr_nl local{};
      local.nl_family = AF_NETLINK;
      local.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local);
    });
  }

  std::optional<TimePoint> wait(Duration limit) const {
    const TimePoint deadline = boot_now() + limit;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - boot_now());
      pollfd watched{socket_.get(), POLLIN, 0};
      if (left <= 0ms || ::poll(&watched, 1, static_cast<int>(left.count())) <= 0) return {};
      const TimePoint now = boot_now();
      alignas(nlmsghdr) std::array<char, 8192> buffer{};
      const ssize_t length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
      if (length < static_cast<ssize_t>(sizeof(nlmsghdr))) continue;
      // One event is one message here, so the first header tells.
      nlmsghdr header{};
      std::memcpy(&header, buffer.data(), sizeof header);
      if (header.nlmsg_type == RTM_DELADDR) return now;
    }
  }

 private:
  Fd socket_;
};

}  // namespace

Result<std::unique_ptr<Network>> Network::create(const NetworkOptions& options) {
  std::unique_ptr<Network> network{new Network};
  if (auto built = network->build(options); !built) return tl::unexpected(built.error());
  return network;
}

Result<void> Network::attach(NetNs& ns, const std::string& device,
                             const std::vector<IpAddress>& addresses) {
  auto made = Device::create(ns, device);
  if (!made) return tl::unexpected(made.error());
  uses_tun_ = uses_tun_ && made->kind() == Device::Kind::Tun;
  link_->attach(std::move(*made), addresses);
  quiet(ns, device);
  std::string batch = fmt::format("link set {} up\n", device);
  for (const auto& a : addresses) batch += add_address(a, device);
  return ns.ip_batch(batch);
}

Result<void> Network::build(const NetworkOptions& options) {
  const auto [wifi, lte] = options.families;
  accesses_ = {Access{"wifi", "wifi0", address(wifi == Family::V6 ? "fd00:1::2" : "10.1.0.2")},
               Access{"lte", "lte0", address(lte == Family::V6 ? "fd00:2::2" : "10.2.0.2")}};

  auto phone = NetNs::create("phone");
  if (!phone) return tl::unexpected(phone.error());
  phone_ = std::move(*phone);
  auto far = NetNs::create("far");
  if (!far) return tl::unexpected(far.error());
  far_ = std::move(*far);

  LinkOptions link;
  link.one_way_delay = options.rtt / 2;
  link.jitter = options.jitter;
  link.loss = options.loss;
  link.seed = options.seed;
  link_ = std::make_unique<Link>(link);
  for (const auto& access : accesses_) {
    if (auto r = attach(*phone_, access.device, {access.address}); !r) return r;
  }
  const std::vector<IpAddress> far_addresses{server(Family::V4), callee(Family::V4),
                                             server(Family::V6), callee(Family::V6)};
  if (auto r = attach(*far_, "net0", far_addresses); !r) return r;
  if (auto r = phone_->ip_batch(
          fmt::format("route add {} dev {}\n", everywhere(wifi), accesses_[0].device));
      !r) {
    return r;
  }
  if (auto r = far_->ip_batch("route add 0.0.0.0/0 dev net0\nroute add ::/0 dev net0\n"); !r) {
    return r;
  }
  return link_->start();
}

Result<MoveTimes> Network::move(const Access& from, const Access& to) {
  const DeletionWatch watch(*phone_);
  MoveTimes times;
  const int prefix = from.address.is_v6() ? 64 : 24;
  const Family old_family = from.address.family();
  const Family new_family = to.address.family();
  std::string batch =
      fmt::format("addr del {}/{} dev {}\n", from.address.to_string(), prefix, from.device);
  // With its last IPv4 address a device loses its IPv4 routes by itself.
  if (old_family != new_family && old_family == Family::V6) {
    batch += fmt::format("route del {} dev {}\n", everywhere(old_family), from.device);
  }
  batch += fmt::format("route replace {} dev {}\n", everywhere(new_family), to.device);
  // Listening meanwhile, for the time that it wakes up is the time that it reports.
  std::thread listener([&] { times.notice = watch.wait(2s); });
  auto moved = phone_->ip_batch(batch, &times.before);
  listener.join();
  if (!moved) return tl::unexpected(moved.error());
  return times;
}

Result<void> Network::give_back(const Access& access) {
  return phone_->ip_batch(add_address(access.address, access.device));
}

TimePoint Network::fade(const Access& access) {
  const TimePoint now = boot_now();
  link_->silence(access.address, true);
  return now;
}

Result<void> Network::mend(const Access& faded, const Access& to) {
  const Family family = to.address.family();
  std::string batch = fmt::format("route replace {} dev {}\n", everywhere(family), to.device);
  if (faded.address.family() != family) {
    batch += fmt::format("route del {} dev {}\n", everywhere(faded.address.family()), faded.device);
  }
  if (auto r = phone_->ip_batch(batch); !r) return r;
  link_->silence(faded.address, false);
  return {};
}

IpAddress Network::server(Family family) {
  return address(family == Family::V6 ? "fd00:9::1" : "10.9.0.1");
}

IpAddress Network::callee(Family family) {
  return address(family == Family::V6 ? "fd00:9::2" : "10.9.0.2");
}

Result<Duration> Network::measure_rtt() {
  const Endpoint near_end{accesses_[0].address, kProbePort};
  const Endpoint far_end{server(near_end.address.family()), kProbePort};
  auto near = open_udp(*phone_, near_end);
  if (!near) return tl::unexpected(near.error());
  auto far = open_udp(*far_, far_end);
  if (!far) return tl::unexpected(far.error());
  const timeval limit{1, 0};
  ::setsockopt(near->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(far->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const SocketAddress there = to_sockaddr(far_end);
  const SocketAddress back = to_sockaddr(near_end);
  std::vector<Duration> trips;
  for (int i = 0; i < kProbes; ++i) {
    char probe = static_cast<char>(i);
    const TimePoint start = boot_now();
    ::sendto(near->get(), &probe, 1, 0, reinterpret_cast<const sockaddr*>(&there.storage),
             there.length);
    if (::recv(far->get(), &probe, 1, 0) != 1) continue;
    ::sendto(far->get(), &probe, 1, 0, reinterpret_cast<const sockaddr*>(&back.storage),
             back.length);
    if (::recv(near->get(), &probe, 1, 0) != 1) continue;
    trips.push_back(boot_now() - start);
  }
  if (trips.empty()) return fail(ErrorCode::Timeout, "no packet came back over the link");
  std::nth_element(trips.begin(), trips.begin() + static_cast<std::ptrdiff_t>(trips.size() / 2),
                   trips.end());
  return trips[trips.size() / 2];
}

}  // namespace godwit::lab
