// SPDX-License-Identifier: Apache-2.0
#include "lab/capture.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

#include "lab/clock.hpp"
#include "lab/device.hpp"

namespace godwit::lab {
namespace {

constexpr std::size_t kMaxPackets = 2'000'000;  // 5 hours of one call; 400 MB
constexpr std::size_t kSnapLength = 2048;
constexpr std::size_t kBatch = 32;
constexpr int kReceiveBuffer = 8 << 20;

template <typename T>
void append(std::vector<std::uint8_t>* out, T value) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  out->insert(out->end(), bytes, bytes + sizeof value);
}

void write_all(int fd, const std::vector<std::uint8_t>& bytes) {
  const ssize_t ignored = ::write(fd, bytes.data(), bytes.size());
  static_cast<void>(ignored);
}

/// draft-ietf-opsawg-pcap: nanosecond stamps, LINKTYPE_RAW (101): packets begin with the IP header.
void write_pcap_header(int fd) {
  std::vector<std::uint8_t> out;
  append<std::uint32_t>(&out, 0xa1b23c4d);
  append<std::uint16_t>(&out, 2);
  append<std::uint16_t>(&out, 4);
  append<std::uint64_t>(&out, 0);
  append<std::uint32_t>(&out, kSnapLength);
  append<std::uint32_t>(&out, 101);
  write_all(fd, out);
}

void write_pcap_record(int fd, const timespec& at, std::span<const std::uint8_t> packet,
                       std::size_t full_length) {
  std::vector<std::uint8_t> out;
  append(&out, static_cast<std::uint32_t>(at.tv_sec));
  append(&out, static_cast<std::uint32_t>(at.tv_nsec));
  append(&out, static_cast<std::uint32_t>(packet.size()));
  append(&out, static_cast<std::uint32_t>(full_length));
  out.insert(out.end(), packet.begin(), packet.end());
  write_all(fd, out);
}

std::vector<int> link_ends_here() {
  std::vector<int> found;
  struct if_nameindex* names = ::if_nameindex();
  for (auto* i = names; i != nullptr && i->if_index != 0; ++i) {
    if (std::string(i->if_name).ends_with(kLinkEndSuffix)) {
      found.push_back(static_cast<int>(i->if_index));
    }
  }
  if (names != nullptr) ::if_freenameindex(names);
  return found;
}

}  // namespace

Result<void> Capture::open_tap(NetNs& ns, Place place, const std::string& pcap_directory) {
  Tap tap{place, {}, {}, {}};
  Result<void> result;
  ns.run([&] {
    tap.socket.reset(
        ::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)));
    if (!tap.socket) {
      result = system_error("packet socket");
      return;
    }
    const int on = 1;
    ::setsockopt(tap.socket.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    ::setsockopt(tap.socket.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    tap.ignored_interfaces = link_ends_here();
  });
  if (!result) return result;
  if (!pcap_directory.empty()) {
    const std::string file = pcap_directory + (place == Place::Phone ? "/phone.pcap" : "/far.pcap");
    tap.pcap.reset(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!tap.pcap) return system_error(file);
    write_pcap_header(tap.pcap.get());
  }
  taps_.push_back(std::move(tap));
  return {};
}

Result<void> Capture::start(NetNs& phone, NetNs& far, const std::string& pcap_directory) {
  if (auto r = open_tap(phone, Place::Phone, pcap_directory); !r) return r;
  if (auto r = open_tap(far, Place::Far, pcap_directory); !r) return r;
  stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!stop_event_) return system_error("eventfd");
  thread_ = std::thread([this] { loop(); });
  return {};
}

void Capture::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  const ssize_t ignored = ::write(stop_event_.get(), &one, sizeof one);
  static_cast<void>(ignored);
  thread_.join();
}

void Capture::loop() {
  std::vector<pollfd> watched{{stop_event_.get(), POLLIN, 0}};
  for (const auto& tap : taps_) watched.push_back({tap.socket.get(), POLLIN, 0});
  for (;;) {
    ::poll(watched.data(), watched.size(), -1);
    for (auto& tap : taps_) receive(tap);  // also before stopping: nothing seen is left behind
    if (watched[0].revents != 0) return;
  }
}

void Capture::receive(Tap& tap) {
  struct Slot {
    std::array<std::uint8_t, kSnapLength> data;
    sockaddr_ll from;
    alignas(cmsghdr) std::array<char, 128> control;
    iovec io;
  };
  static thread_local std::vector<Slot> slots(kBatch);
  std::array<mmsghdr, kBatch> messages{};
  for (;;) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      Slot& slot = slots[i];
      slot.io = {slot.data.data(), slot.data.size()};
      msghdr& header = messages[i].msg_hdr;
      header = {};
      header.msg_name = &slot.from;
      header.msg_namelen = sizeof slot.from;
      header.msg_iov = &slot.io;
      header.msg_iovlen = 1;
      header.msg_control = slot.control.data();
      header.msg_controllen = slot.control.size();
    }
    const int count =
        ::recvmmsg(tap.socket.get(), messages.data(), kBatch, MSG_DONTWAIT | MSG_TRUNC, nullptr);
    if (count <= 0) break;
    // Kernel stamps are CLOCK_REALTIME; the offset is read with each batch, so that a step of that
    // clock between start and end does no harm.
    const Duration to_boot =
        boot_now().time_since_epoch() - read_clock(CLOCK_REALTIME).time_since_epoch();
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      Slot& slot = slots[i];
      msghdr& header = messages[i].msg_hdr;
      const auto& skip = tap.ignored_interfaces;
      if (std::find(skip.begin(), skip.end(), slot.from.sll_ifindex) != skip.end()) continue;
      timespec at{};
      for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
          std::memcpy(&at, CMSG_DATA(c), sizeof at);
        }
      }
      const std::size_t full = messages[i].msg_len;
      const std::span<const std::uint8_t> data{slot.data.data(), std::min(full, kSnapLength)};
      if (tap.pcap) write_pcap_record(tap.pcap.get(), at, data, full);
      for (CapturedPacket& packet : parse_packet(data)) {
        if (packets_.size() >= kMaxPackets) {
          ++missed_;
          continue;
        }
        packet.at = from_timespec(at) + to_boot;
        packet.place = tap.place;
        packet.outgoing = slot.from.sll_pkttype == PACKET_OUTGOING;
        if (!packet.outgoing && std::holds_alternative<RtpInfo>(packet.content)) {
          ++rtp_arrived_[static_cast<std::size_t>(tap.place)];
        }
        packets_.push_back(std::move(packet));
      }
    }
  }
  tpacket_stats stats{};
  socklen_t length = sizeof stats;
  if (::getsockopt(tap.socket.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0) {
    missed_ += stats.tp_drops;  // the kernel resets it with each reading
  }
}

std::vector<CapturedPacket> Capture::packets() const {
  std::vector<CapturedPacket> all;
  {
    const std::lock_guard lock(mutex_);
    all = packets_;
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.at < b.at; });
  return all;
}

std::uint64_t Capture::missed() const { return missed_; }

}  // namespace godwit::lab
