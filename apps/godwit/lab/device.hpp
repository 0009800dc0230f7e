// SPDX-License-Identifier: Apache-2.0
//
// The near end of a network device inside a namespace: what the kernel there sends through the
// device is read here, what is written here arrives there, whole IP packets each. A TUN device; or,
// where /dev/net/tun may not be opened (it is root's alone on some systems), one end of a veth pair
// whose other end is read with a packet socket.
#pragma once

#include <linux/if_packet.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "godwit/result.hpp"
#include "lab/fd.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

class Device {
 public:
  enum class Kind : std::uint8_t { Tun, Veth };

  /// Creates the device `name` in `ns`, still down and without an address.
  static Result<Device> create(NetNs& ns, const std::string& name);
  static Result<Device> create(NetNs& ns, const std::string& name, Kind kind);

  Kind kind() const { return peer_ ? Kind::Veth : Kind::Tun; }
  int fd() const { return fd_.get(); }
  /// The length of one packet, 0 when there is none now.
  std::size_t read(std::span<std::uint8_t> buffer) const;
  /// A packet that the kernel does not take is lost, as on any network.
  void write(std::span<const std::uint8_t> packet) const;

 private:
  Fd fd_;
  std::optional<sockaddr_ll> peer_;  ///< veth: where written packets go.
};

/// Ends of veth pairs that belong to the link, not to the namespace, carry this in their names.
inline constexpr const char* kLinkEndSuffix = "-link";

}  // namespace godwit::lab
