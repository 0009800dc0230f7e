// SPDX-License-Identifier: Apache-2.0
//
// Where a call's packets go: the address of the peer's SDP, or the one its audio really comes from
// ("latching", symmetric RTP). Knows addresses only; which source is believed is SourceGate's
// judgement, made before.
#pragma once

#include <optional>

#include "godwit/address.hpp"
#include "godwit/time.hpp"

namespace godwit::media {

class Destination {
 public:
  /// After a new SDP address, audio from elsewhere that goes on for this long is where the peer
  /// really is; before, it may have been in flight from the place the peer left.
  static constexpr Duration kRelatchDelay = std::chrono::milliseconds(500);

  /// What SDP says, and the family that our path can reach. The same address again keeps what was
  /// latched meanwhile, unless the path is of another family.
  void signal(const Endpoint& rtp, const Endpoint& rtcp, Family family, TimePoint now);
  /// The stream's source is `from`; `moved`: since this packet. True if we now send there instead.
  bool follow(const Endpoint& from, bool moved, TimePoint now);
  /// The peer's RTCP, which may leave its NAT from another port than the one next to its RTP's.
  void follow_rtcp(const Endpoint& from);

  bool is_set() const { return signalled_.has_value(); }
  /// Both only if is_set().
  Endpoint rtp() const { return latched_.value_or(*signalled_); }
  Endpoint rtcp() const;
  bool multiplexed() const { return *signalled_ == signalled_rtcp_; }

 private:
  std::optional<Endpoint> signalled_;
  Endpoint signalled_rtcp_;
  Family family_ = Family::None;
  TimePoint signalled_at_{};
  bool replaced_ = false;  ///< Not the first address.
  std::optional<Endpoint> latched_;
  std::optional<Endpoint> latched_rtcp_;
};

/// RTP's neighbour, where RTCP is unless told otherwise (RFC 3550 §11).
inline Endpoint next_port(const Endpoint& rtp) {
  return {rtp.address, static_cast<std::uint16_t>(rtp.port + 1)};
}

}  // namespace godwit::media
