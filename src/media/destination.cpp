// SPDX-License-Identifier: Apache-2.0
#include "media/destination.hpp"

namespace godwit::media {

void Destination::signal(const Endpoint& rtp, const Endpoint& rtcp, Family family, TimePoint now) {
  if (signalled_ != rtp || family != family_) {
    latched_.reset();
    latched_rtcp_.reset();
  }
  if (signalled_ != rtp) {
    replaced_ = signalled_.has_value();
    signalled_at_ = now;
  }
  signalled_ = rtp;
  signalled_rtcp_ = rtcp;
  family_ = family;
}

bool Destination::follow(const Endpoint& from, bool moved, TimePoint now) {
  const bool settled = !replaced_ || now - signalled_at_ >= kRelatchDelay;
  if (!is_set() || !(moved || settled) || from.address.family() != family_ || from == rtp()) {
    return false;
  }
  latched_ = from;
  if (from == *signalled_) latched_.reset();
  latched_rtcp_.reset();
  return true;
}

void Destination::follow_rtcp(const Endpoint& from) {
  if (latched_ && latched_->address == from.address && !multiplexed()) latched_rtcp_ = from;
}

Endpoint Destination::rtcp() const {
  if (latched_rtcp_) return *latched_rtcp_;
  if (!latched_) return signalled_rtcp_;
  return multiplexed() ? *latched_ : next_port(*latched_);
}

}  // namespace godwit::media
