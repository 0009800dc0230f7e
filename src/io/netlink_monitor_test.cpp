// SPDX-License-Identifier: Apache-2.0
//
// The monitor against the real kernel, in a network namespace of its own that dies with the test.
#include "io/netlink_monitor.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace godwit::io {
namespace {

constexpr int kSkipped = 77;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

bool write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return ok;
}

// Root makes a network namespace directly, others inside a user namespace. Says why not.
std::string enter_network_namespace() {
  const unsigned uid = ::getuid();
  const unsigned gid = ::getgid();
  if (::unshare(CLONE_NEWNET) == 0) return {};
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    return std::string("no network namespace: ") + std::strerror(errno);
  }
  write_file("/proc/self/setgroups", "deny");
  if (!write_file("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") ||
      !write_file("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
    return "no user namespace mapping";
  }
  return {};
}

int system_status(const std::string& command) {
  return std::system(command.c_str());  // NOLINT(cert-env33-c)
}

// Without its network a test has nothing to say; called in the child only.
void run(const std::string& command) {
  if (system_status(command) == 0) return;
  std::printf("failed: %s\n", command.c_str());
  std::fflush(nullptr);
  ::_exit(1);
}

// An Ethernet-like interface with carrier, once it is set up itself. (A pair and not a dummy
// interface: small kernels have no dummy.)
void add_link(const std::string& name) {
  run("ip link add " + name + " type veth peer name " + name + "-far && ip link set " + name +
      "-far up");
}

// `body` in a child process, since this one has other tests with sockets in the world outside.
void in_network_namespace(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string refused = enter_network_namespace();
    if (refused.empty() &&
        system_status("ip link add probe0 type veth peer name probe1 && ip link del probe0") != 0) {
      refused = "no veth interfaces, or no iproute2";
    }
    if (!refused.empty()) {
      std::printf("%s\n", refused.c_str());
      std::fflush(nullptr);
      ::_exit(kSkipped);
    }
    body();
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kSkipped)
    GTEST_SKIP() << "no network namespace with interfaces; the reason is printed above";
  ASSERT_EQ(WEXITSTATUS(status), 0) << "see the failures printed above";
}

bool is_readable(const NetworkMonitor& monitor, int wait_ms) {
  pollfd fd{monitor.descriptor(), POLLIN, 0};
  return ::poll(&fd, 1, wait_ms) == 1;
}

NetworkMonitor open_monitor() {
  auto monitor = NetworkMonitor::open();
  if (!monitor) ADD_FAILURE() << monitor.error().detail;
  return std::move(*monitor);
}

NetworkSnapshot read(NetworkMonitor& monitor, std::vector<IpAddress> remotes = {}) {
  auto snapshot = monitor.read(remotes);
  if (!snapshot) {
    ADD_FAILURE() << snapshot.error().detail;
    return {};
  }
  return std::move(*snapshot);
}

const NetworkInterface* find(const NetworkSnapshot& snapshot, std::string_view name) {
  const auto found = std::find_if(snapshot.interfaces.begin(), snapshot.interfaces.end(),
                                  [&](const auto& i) { return i.name == name; });
  return found == snapshot.interfaces.end() ? nullptr : &*found;
}

std::uint32_t index_of(const NetworkSnapshot& snapshot, std::string_view name) {
  const NetworkInterface* interface = find(snapshot, name);
  return interface == nullptr ? 0 : interface->index;
}

std::string show(const NetworkInterface* interface) {
  if (interface == nullptr) return "none";
  std::string out = interface->name;
  out += interface->up ? " up" : " down";
  out += interface->carrier ? " carrier" : "";
  out += interface->loopback ? " loopback" : "";
  for (const InterfaceAddress& a : interface->addresses) {
    if (a.address.is_link_local()) continue;  // Made by the kernel, from a random MAC.
    out += ' ' + a.address.to_string() + '/' + std::to_string(a.prefix_length);
    out += a.tentative ? " tentative" : "";
    out += a.deprecated ? " deprecated" : "";
    out += a.temporary ? " temporary" : "";
  }
  return out;
}

TEST(NetlinkMonitor, reads_interfaces_addresses_and_routes) {
  in_network_namespace([] {
    run("ip link set lo up");
    add_link("wlan0");
    add_link("wwan0");
    run("ip link add wire0 type veth peer name peer0");
    run("ip address add 10.1.0.2/24 dev wlan0 && ip -6 address add 2001:db8:1::2/64 dev wlan0 "
        "nodad && ip link set wlan0 up");
    run("ip address add 10.2.0.2/24 dev wwan0 && ip link set wwan0 up");
    run("ip -6 address add 2001:db8:2::2/64 dev wwan0 nodad preferred_lft 0 valid_lft 1000");
    run("ip address add 10.9.0.1 peer 10.9.0.9/32 dev wire0 && ip link set wire0 up");
    run("ip route add default via 10.1.0.1 dev wlan0 metric 100");
    run("ip route add default via 10.2.0.1 dev wwan0 metric 200");
    run("ip -6 route add default via 2001:db8:1::1 dev wlan0 metric 300");
    run("ip route add unreachable 198.51.100.0/24");
    // Policy: one peer leaves by the other interface.
    run("ip route add default via 10.2.0.1 dev wwan0 table 77 && "
        "ip rule add to 203.0.113.7 lookup 77");

    NetworkMonitor monitor = open_monitor();
    const NetworkSnapshot seen =
        read(monitor, {ip("192.0.2.1"), ip("203.0.113.7"), ip("198.51.100.1"), ip("2001:db8:9::1"),
                       ip("10.2.0.99"), ip("127.0.0.1"), ip("10.1.0.2"), ip("192.0.2.1")});
    const std::uint32_t wlan = index_of(seen, "wlan0");
    const std::uint32_t wwan = index_of(seen, "wwan0");

    EXPECT_EQ(show(find(seen, "lo")), "lo up carrier loopback 127.0.0.1/8 ::1/128");
    EXPECT_EQ(show(find(seen, "wlan0")), "wlan0 up carrier 10.1.0.2/24 2001:db8:1::2/64");
    EXPECT_EQ(show(find(seen, "wwan0")),
              "wwan0 up carrier 10.2.0.2/24 2001:db8:2::2/64 deprecated");
    EXPECT_EQ(show(find(seen, "wire0")), "wire0 up 10.9.0.1/32");  // Its other end is down.
    EXPECT_EQ(show(find(seen, "peer0")), "peer0 down");
    EXPECT_TRUE(std::is_sorted(seen.interfaces.begin(), seen.interfaces.end(),
                               [](const auto& a, const auto& b) { return a.index < b.index; }));

    const std::vector<DefaultRoute> defaults{
        {Family::V4, wlan, ip("10.1.0.1"), 100},
        {Family::V4, wwan, ip("10.2.0.1"), 200},
        {Family::V6, wlan, ip("2001:db8:1::1"), 300},
    };
    EXPECT_EQ(seen.default_routes, defaults);

    const std::vector<RouteToRemote> routes{
        {ip("10.1.0.2"), index_of(seen, "lo"), ip("10.1.0.2")},
        {ip("10.2.0.99"), wwan, ip("10.2.0.2")},
        {ip("127.0.0.1"), index_of(seen, "lo"), ip("127.0.0.1")},
        {ip("192.0.2.1"), wlan, ip("10.1.0.2")},
        {ip("198.51.100.1"), 0, IpAddress{}},
        {ip("203.0.113.7"), wwan, ip("10.2.0.2")},
        {ip("2001:db8:9::1"), wlan, ip("2001:db8:1::2")},
    };
    EXPECT_THAT(seen.routes, testing::UnorderedElementsAreArray(routes));
    // Nothing has changed, so nothing differs.
    EXPECT_EQ(read(monitor), read(monitor));
  });
}

TEST(NetlinkMonitor, wakes_for_every_kind_of_change_and_then_shows_it) {
  in_network_namespace([] {
    add_link("wlan0");
    run("ip link set wlan0 up");
    NetworkMonitor monitor = open_monitor();
    read(monitor);

    const struct {
      const char* command;
      const char* wlan0;
      std::size_t defaults;
    } kSteps[] = {
        {"ip address add 10.1.0.2/24 dev wlan0", "wlan0 up carrier 10.1.0.2/24", 0},
        {"ip route add default via 10.1.0.1", "wlan0 up carrier 10.1.0.2/24", 1},
        {"ip -6 address add fd00::2/64 dev wlan0 nodad", "wlan0 up carrier 10.1.0.2/24 fd00::2/64",
         1},
        {"ip rule add to 192.0.2.1 lookup 77", "wlan0 up carrier 10.1.0.2/24 fd00::2/64", 1},
        {"ip -6 rule add to 2001:db8::1 lookup 77", "wlan0 up carrier 10.1.0.2/24 fd00::2/64", 1},
        {"ip -6 route add default via fd00::1", "wlan0 up carrier 10.1.0.2/24 fd00::2/64", 2},
        {"ip address del 10.1.0.2/24 dev wlan0", "wlan0 up carrier fd00::2/64", 1},
        {"ip link set wlan0 down", "wlan0 down", 0},
        {"ip link del wlan0", "none", 0},
    };
    for (const auto& step : kSteps) {
      SCOPED_TRACE(step.command);
      monitor.drain();
      ASSERT_FALSE(is_readable(monitor, 0));
      run(step.command);
      ASSERT_TRUE(is_readable(monitor, 2000));
      EXPECT_TRUE(monitor.drain());
      const NetworkSnapshot seen = read(monitor);
      EXPECT_EQ(show(find(seen, "wlan0")), step.wlan0);
      EXPECT_EQ(seen.default_routes.size(), step.defaults);
    }
  });
}

TEST(NetlinkMonitor, tells_networks_apart_by_the_gateways_link_address) {
  in_network_namespace([] {
    add_link("wlan0");
    run("ip link set wlan0 up");
    run("ip address add 10.1.0.2/24 dev wlan0 && ip route add default via 10.1.0.1");
    NetworkMonitor monitor = open_monitor();
    EXPECT_EQ(find(read(monitor), "wlan0")->link_identity, "");

    run("ip neighbour add 10.1.0.1 lladdr 02:00:00:00:00:01 nud reachable dev wlan0");
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_TRUE(monitor.drain());
    EXPECT_EQ(find(read(monitor), "wlan0")->link_identity, "gw4/10.1.0.1=02:00:00:00:00:01");

    // The gateway's entry is only confirmed, another neighbour comes: no reason to read.
    run("ip neighbour change 10.1.0.1 lladdr 02:00:00:00:00:01 nud stale dev wlan0");
    run("ip neighbour add 10.1.0.77 lladdr 02:00:00:00:00:77 nud reachable dev wlan0");
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_FALSE(monitor.drain());

    run("ip neighbour change 10.1.0.1 lladdr 02:00:00:00:00:02 nud reachable dev wlan0");
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_TRUE(monitor.drain());
    EXPECT_EQ(find(read(monitor), "wlan0")->link_identity, "gw4/10.1.0.1=02:00:00:00:00:02");
  });
}

// A router's advertisement with one PREF64 option (RFC 8781 §4), from the far end of wlan0.
void advertise_nat64(std::uint16_t lifetime_and_code, std::array<std::uint8_t, 12> prefix) {
  const int fd = ::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  ASSERT_GE(fd, 0);
  const int hops = 255;
  const int out = static_cast<int>(::if_nametoindex("wlan0-far"));
  ::setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  ::setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &out, sizeof out);
  std::array<std::uint8_t, 32> packet{134, 0, 0, 0, 64, 0, 0x07, 0x08};
  packet[16] = 38;
  packet[17] = 2;
  packet[18] = static_cast<std::uint8_t>(lifetime_and_code >> 8);
  packet[19] = static_cast<std::uint8_t>(lifetime_and_code & 0xff);
  std::copy(prefix.begin(), prefix.end(), packet.begin() + 20);
  sockaddr_in6 all{};
  all.sin6_family = AF_INET6;
  all.sin6_addr.s6_addr[0] = 0xff;
  all.sin6_addr.s6_addr[1] = 0x02;
  all.sin6_addr.s6_addr[15] = 1;
  all.sin6_scope_id = static_cast<std::uint32_t>(out);
  EXPECT_EQ(
      ::sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&all), sizeof all),
      static_cast<ssize_t>(packet.size()))
      << std::strerror(errno);
  ::close(fd);
}

TEST(NetlinkMonitor, hears_what_a_router_announces_of_a_nat64) {
  in_network_namespace([] {
    run("for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad && "
        "echo 2 > /proc/sys/net/ipv6/conf/$i/accept_ra || exit 1; done");
    add_link("wlan0");
    run("ip link set wlan0 up && ip -6 address add fe80::99/64 dev wlan0-far nodad");
    NetworkMonitor monitor = open_monitor();
    EXPECT_FALSE(find(read(monitor), "wlan0")->nat64_prefix);
    constexpr std::array<std::uint8_t, 12> kPrefix{0x20, 0x01, 0x0d, 0xb8, 0, 0x64};
    const auto heard = [&] {
      std::optional<AddressPrefix> prefix;
      for (int i = 0; i < 200 && is_readable(monitor, 10); ++i) monitor.drain();
      if (const auto seen = read(monitor); find(seen, "wlan0") != nullptr) {
        prefix = find(seen, "wlan0")->nat64_prefix;
      }
      return prefix;
    };
    advertise_nat64(600, kPrefix);
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_EQ(heard(), (AddressPrefix{ip("2001:db8:64::"), 96}));
    advertise_nat64(600 | 1, kPrefix);  // Another length is another prefix.
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_EQ(heard(), (AddressPrefix{ip("2001:db8:64::"), 64}));
    advertise_nat64(1, kPrefix);  // A lifetime of 0 takes it back.
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_FALSE(heard());
    advertise_nat64(600, kPrefix);
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_TRUE(heard());
    run("ip link set wlan0-far down");
    ASSERT_TRUE(is_readable(monitor, 2000));
    EXPECT_FALSE(heard()) << "without its link it is of no network";
  });
}

TEST(NetlinkMonitor, an_overrun_asks_for_a_new_reading_and_loses_nothing) {
  in_network_namespace([] {
    NetworkMonitor monitor = open_monitor();
    const int small = 1;  // The kernel makes it its minimum, about two kilobytes.
    ASSERT_EQ(::setsockopt(monitor.descriptor(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    run("for i in 0 1 2 3 4 5 6 7; do ip link add d$i type veth peer name far$i && "
        "ip link set far$i up && ip link set d$i up && ip address add 10.1.$i.2/24 dev d$i || "
        "exit 1; done");
    ASSERT_TRUE(is_readable(monitor, 2000));
    std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t size = sizeof memory;
    ASSERT_EQ(::getsockopt(monitor.descriptor(), SOL_SOCKET, SO_MEMINFO, memory.data(), &size), 0);
    EXPECT_GT(memory[SK_MEMINFO_DROPS], 0U);  // Messages were lost indeed.
    EXPECT_TRUE(monitor.drain());
    EXPECT_FALSE(is_readable(monitor, 0));
    const NetworkSnapshot seen = read(monitor);
    EXPECT_EQ(show(find(seen, "d0")), "d0 up carrier 10.1.0.2/24");
    EXPECT_EQ(show(find(seen, "d7")), "d7 up carrier 10.1.7.2/24");
  });
}

// The state changes under the dumps; the last reading after the last wake-up is what counts.
TEST(NetlinkMonitor, reads_on_while_the_network_changes_all_the_time) {
  in_network_namespace([] {
    add_link("wlan0");
    run("ip link set wlan0 up");
    NetworkMonitor monitor = open_monitor();
    FILE* storm = ::popen(
        "for i in $(seq 1 200); do echo address add 10.7.$i.2/24 dev wlan0; "
        "echo route add default via 10.7.$i.1 metric $i; echo address del 10.7.$i.2/24 dev wlan0; "
        "done | ip -batch - ; ip address add 10.1.0.2/24 dev wlan0; echo done",
        "r");
    ASSERT_NE(storm, nullptr);
    pollfd end{::fileno(storm), POLLIN, 0};
    int readings = 0;
    NetworkSnapshot last;
    while (::poll(&end, 1, 0) == 0) {
      if (!is_readable(monitor, 1) || !monitor.drain()) continue;
      last = read(monitor, {ip("192.0.2.1")});
      ++readings;
    }
    ASSERT_EQ(::pclose(storm), 0);
    if (is_readable(monitor, 0)) last = read(monitor);
    EXPECT_EQ(show(find(last, "wlan0")), "wlan0 up carrier 10.1.0.2/24");
    EXPECT_TRUE(last.default_routes.empty());
    std::printf("%d readings\n", readings);
    EXPECT_GT(readings, 1);
  });
}

TEST(NetlinkMonitor, looks_up_more_remotes_than_fit_in_one_request) {
  in_network_namespace([] {
    add_link("wlan0");
    run("ip address add 10.1.0.2/24 dev wlan0 && ip link set wlan0 up && ip route add default via "
        "10.1.0.1");
    std::vector<IpAddress> remotes;
    remotes.reserve(1000);
    for (int i = 0; i < 1000; ++i) {
      remotes.push_back(IpAddress::v4(192, 0, static_cast<std::uint8_t>(i / 250),
                                      static_cast<std::uint8_t>(i % 250)));
    }
    NetworkMonitor monitor = open_monitor();
    const NetworkSnapshot seen = read(monitor, remotes);
    ASSERT_EQ(seen.routes.size(), remotes.size());
    EXPECT_TRUE(std::all_of(seen.routes.begin(), seen.routes.end(),
                            [](const auto& r) { return r.source == ip("10.1.0.2"); }));
  });
}

TEST(NetlinkMonitor, reads_a_phones_network_in_well_under_a_packet_time) {
  in_network_namespace([] {
    run("ip link set lo up");
    run("for i in 1 2 3 4; do ip link add net$i type veth peer name far$i && "
        "ip link set far$i up && ip link set net$i up && ip address add 10.$i.0.2/24 dev net$i && "
        "ip -6 address add 2001:db8:$i::2/64 dev net$i nodad && "
        "ip route add default via 10.$i.0.1 metric ${i}00 || exit 1; done");
    NetworkMonitor monitor = open_monitor();
    const std::vector<IpAddress> remotes{ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8:1::9")};
    std::vector<double> times_us;
    for (int i = 0; i < 200; ++i) {
      const auto start = std::chrono::steady_clock::now();
      read(monitor, remotes);
      times_us.push_back(
          std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start)
              .count());
    }
    std::sort(times_us.begin(), times_us.end());
    std::printf("full read: median %.0f us, 99%% %.0f us\n", times_us[100], times_us[198]);
    // The goal is 1 ms; the limit leaves room for a busy machine and a sanitizer build.
    EXPECT_LT(times_us[100], 5000);
  });
}

}  // namespace
}  // namespace godwit::io
