// SPDX-License-Identifier: Apache-2.0
#include "sip/offer_answer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace godwit::sip {

Result<void> OfferAnswer::offer(std::string sdp) {
  if (pending_) return fail(ErrorCode::WrongState, "an offer is already open");
  note_sent(sdp);
  pending_ = Pending{Side::Local, std::move(sdp)};
  return {};
}

Result<void> OfferAnswer::offer_received(std::string sdp) {
  if (pending_) return fail(ErrorCode::WrongState, "an offer is already open");
  pending_ = Pending{Side::Remote, std::move(sdp)};
  return {};
}

Result<void> OfferAnswer::answer(std::string sdp) {
  if (!must_answer()) return fail(ErrorCode::WrongState, "no offer of the peer's is open");
  note_sent(sdp);
  current_ = Agreed{std::move(sdp), std::move(pending_->offer)};
  pending_.reset();
  in_doubt_.reset();
  return {};
}

Result<void> OfferAnswer::answer_received(std::string sdp) {
  if (!awaits_answer()) return fail(ErrorCode::WrongState, "no offer of ours is open");
  current_ = Agreed{std::move(pending_->offer), std::move(sdp)};
  pending_.reset();
  in_doubt_.reset();
  return {};
}

void OfferAnswer::roll_back() { pending_.reset(); }

void OfferAnswer::abandon() {
  if (awaits_answer()) in_doubt_ = std::move(pending_->offer);
  pending_.reset();
}

void OfferAnswer::note_sent(std::string_view sdp) {
  // A body without a readable o= still counts as one that left.
  last_sent_version_ = std::max(last_sent_version_, origin_version(sdp).value_or(next_version()));
}

void OfferAnswer::continue_versions(const OfferAnswer& other) {
  last_sent_version_ = std::max(last_sent_version_, other.last_sent_version_);
}

std::optional<std::uint64_t> origin_version(std::string_view sdp) {
  std::string_view rest = sdp;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line.starts_with("o=")) continue;
    // o=<username> <sess-id> <sess-version> …
    for (int skipped = 0; skipped < 2; ++skipped) {
      const std::size_t space = line.find(' ');
      if (space == std::string_view::npos) return std::nullopt;
      line.remove_prefix(space + 1);
    }
    std::uint64_t version = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), version);
    if (error != std::errc{} || stop == line.data() + line.size() || *stop != ' ')
      return std::nullopt;
    return version;
  }
  return std::nullopt;
}

}  // namespace godwit::sip
