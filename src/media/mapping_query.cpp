// SPDX-License-Identifier: Apache-2.0
#include "media/mapping_query.hpp"

#include <algorithm>
#include <utility>

namespace godwit::media {
namespace {

/// Could anybody send there? A server that says otherwise errs or lies.
bool is_possible_mapping(const Endpoint& mapped, const Endpoint& server) {
  const IpAddress& address = mapped.address;
  return mapped.port != 0 && !address.is_unspecified() && !address.is_multicast() &&
         !address.is_link_local() && address != IpAddress::v4(255, 255, 255, 255) &&
         (!address.is_loopback() || server.address.is_loopback());
}

}  // namespace

void MappingQuery::start(const std::vector<Endpoint>& servers, Duration first_wait, Random& random,
                         TimePoint now) {
  stop();
  for (const Endpoint& server : servers) {
    if (asked_.size() == kMaxServers) break;
    asked_.push_back({server, wire::make_stun_transaction_id(random)});
  }
  first_wait_ = std::clamp(first_wait, kShortestWait, kLongestWait);
  if (!asked_.empty()) at_ = now;
}

void MappingQuery::stop() {
  asked_.clear();
  at_.reset();
  sends_ = 0;
  answered_ = failed_ = false;
}

std::vector<MappingQuery::Request> MappingQuery::on_timeout(TimePoint now) {
  if (!at_ || now < *at_) return {};
  if (sends_ == kSends) {
    stop();
    failed_ = true;
    return {};
  }
  std::vector<Request> requests;
  for (const Asked& asked : asked_) {
    wire::StunMessage message;
    message.transaction = asked.transaction;
    if (auto bytes = wire::build_stun(message)) {
      requests.push_back({asked.server, std::move(*bytes)});
    }
  }
  // RFC 8489 §6.2.1: twice as long each time.
  at_ = now + first_wait_ * (1 << sends_);
  sent_at_ = now;
  ++sends_;
  return requests;
}

bool MappingQuery::take_failure() { return std::exchange(failed_, false); }

std::optional<MappingQuery::Answer> MappingQuery::on_packet(const Endpoint& from, Bytes bytes,
                                                            TimePoint now) {
  const auto message = wire::parse_stun(bytes);
  if (!message) return std::nullopt;
  const auto asked = std::find_if(asked_.begin(), asked_.end(), [&](const Asked& one) {
    return one.server == from && one.transaction == message->transaction;
  });
  if (asked == asked_.end()) return std::nullopt;
  const bool success = message->message_class == wire::StunClass::Success;
  if (!success && message->message_class != wire::StunClass::Error) return std::nullopt;
  asked_.erase(asked);
  // RFC 8489 §6.3.3 and §6.3.4: what is not understood, or is an error, ends that transaction.
  const bool usable = success && message->mapped && message->not_understood.empty() &&
                      is_possible_mapping(*message->mapped, from);
  if (!usable) {
    if (asked_.empty() && !answered_) {
      at_.reset();
      failed_ = true;
    }
    return std::nullopt;
  }
  Answer answer{*message->mapped, from, !answered_, std::nullopt};
  // Of a request that was repeated nobody knows which copy is answered (Karn's rule).
  if (sends_ == 1) answer.round_trip = now - sent_at_;
  answered_ = true;
  at_.reset();
  return answer;
}

}  // namespace godwit::media
