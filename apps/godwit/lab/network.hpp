// SPDX-License-Identifier: Apache-2.0
//
// The laboratory's network: a phone with two accesses, "wifi" and "lte", a far side with a server
// and a callee, and the link between them. Moves the phone from one access to the other. IPv4 as in
// the baseline measurement (10.1.0.2, 10.2.0.2, 10.9.0.1, 10.9.0.2); IPv6 in fd00:1::/64 and so on.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "godwit/address.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "lab/link.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

/// Of the phone's two accesses; the far side always has both.
struct Families {
  Family wifi = Family::V4;
  Family lte = Family::V4;
  bool differ() const { return wifi != lte; }
};

struct NetworkOptions {
  Families families;
  Duration rtt = std::chrono::milliseconds(50);
  Duration jitter{};
  double loss = 0;
  std::uint64_t seed = 1;
};

struct Access {
  std::string name;    ///< "wifi"
  std::string device;  ///< "wifi0"
  IpAddress address;
};

/// When a move happened, on CLOCK_BOOTTIME.
struct MoveTimes {
  TimePoint before;  ///< Right before the batch was handed to `ip`, or the link fell silent.
  std::optional<TimePoint> notice;  ///< When an own netlink socket there saw the deletion.
};

class Network {
 public:
  /// Needs NetNs::prepare_process() first. Fails with the reason where namespaces or devices are
  /// not to be had.
  static Result<std::unique_ptr<Network>> create(const NetworkOptions& options);

  NetNs& phone() { return *phone_; }
  NetNs& far() { return *far_; }
  const Access& access(std::size_t i) const { return accesses_.at(i); }
  static IpAddress server(Family family);
  static IpAddress callee(Family family);
  bool uses_tun() const { return uses_tun_; }

  /// In one batch: `from` loses its address and the default route goes to `to`; if they differ in
  /// family, that of the other family appears and the old one goes.
  Result<MoveTimes> move(const Access& from, const Access& to);
  /// An access that lost its address gets it back; routes stay as they are.
  Result<void> give_back(const Access& access);
  /// The link of `access` carries nothing any more, and nobody is told of it.
  TimePoint fade(const Access& access);
  /// The default route goes from the one that has faded to `to`, and then its link is back.
  Result<void> mend(const Access& faded, const Access& to);
  /// The median of a few datagrams there and back, as a check of the link itself.
  Result<Duration> measure_rtt();
  LinkCounters counters() const { return link_->counters(); }
  Duration take_worst_lateness() { return link_->take_worst_lateness(); }

 private:
  Network() = default;
  Result<void> build(const NetworkOptions& options);
  Result<void> attach(NetNs& ns, const std::string& device,
                      const std::vector<IpAddress>& addresses);

  std::unique_ptr<NetNs> phone_;
  std::unique_ptr<NetNs> far_;
  std::unique_ptr<Link> link_;
  std::array<Access, 2> accesses_;
  bool uses_tun_ = true;
};

}  // namespace godwit::lab
