// SPDX-License-Identifier: Apache-2.0
//
// The network between the namespaces, in user space because not every kernel has netem: one thread
// reads IP packets from each device and, a one-way delay later, writes them to the device that the
// destination address belongs to. Delay, jitter and loss hold for every direction; the random
// choices come from a seed. It does not fragment, send ICMP errors or decrement TTL.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "lab/device.hpp"
#include "lab/fd.hpp"

namespace godwit::lab {

struct LinkOptions {
  Duration one_way_delay{};
  Duration jitter{};  ///< Added to the delay, uniform from 0; may reorder.
  double loss = 0;    ///< Probability of losing a packet, each way.
  std::uint64_t seed = 1;
  std::size_t max_queued = 4096;  ///< Packets on the way; more are dropped.
};

struct LinkCounters {
  std::uint64_t forwarded = 0;
  std::uint64_t lost = 0;      ///< By the loss asked for.
  std::uint64_t no_route = 0;  ///< Destination of no device.
  std::uint64_t queue_full = 0;
};

class Link {
 public:
  explicit Link(LinkOptions options);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  /// Before start(): a device and the addresses behind it.
  void attach(Device device, const std::vector<IpAddress>& addresses);
  Result<void> start();
  LinkCounters counters() const;
  /// From now on nothing reaches, and nothing leaves, that attached address; or again.
  void silence(const IpAddress& address, bool silent);
  /// Most that a packet left after its due time since this was last asked: how far the link itself,
  /// and so the machine, can be trusted.
  Duration take_worst_lateness();

 private:
  class Router;
  LinkOptions options_;
  std::vector<Device> devices_;
  std::map<IpAddress, std::size_t> table_;
  std::unique_ptr<Router> router_;
  std::thread thread_;
};

/// Of an IP packet; of no family if it is none.
IpAddress destination_of(std::span<const std::uint8_t> packet);
IpAddress source_of(std::span<const std::uint8_t> packet);

}  // namespace godwit::lab
