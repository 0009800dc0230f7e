// SPDX-License-Identifier: Apache-2.0
#include "ua/race.hpp"

#include <algorithm>

namespace godwit::ua {

bool Race::has(sip::ListenerId stream) const {
  return std::any_of(runners_.begin(), runners_.end(),
                     [&](const Runner& runner) { return runner.stream == stream; });
}

bool Race::any_runs() const {
  return std::any_of(runners_.begin(), runners_.end(),
                     [](const Runner& runner) { return runner.stream && !runner.failure; });
}

const Race::Runner* Race::due(TimePoint now) const {
  if (next_ == runners_.size()) return nullptr;
  return next_ == 0 || now >= next_at_ || !any_runs() ? &runners_[next_] : nullptr;
}

void Race::started(sip::ListenerId stream, TimePoint now) {
  runners_[next_].stream = stream;
  const std::uint32_t group = runners_[next_].target.group;
  ++next_;
  // RFC 8305 §5.
  const bool equal = next_ < runners_.size() && runners_[next_].target.group == group;
  next_at_ = now + (equal ? kStagger : kNextGroup);
}

void Race::refused(std::string why, TimePoint now) {
  const std::size_t which = next_++;
  runners_[which].failure = std::move(why);
  on_failure(which, now);
}

bool Race::failed(sip::ListenerId stream, std::string why, TimePoint now) {
  const auto found = std::find_if(runners_.begin(), runners_.end(), [&](const Runner& runner) {
    return runner.stream == stream && !runner.failure;
  });
  if (found == runners_.end()) return false;
  found->failure = std::move(why);
  on_failure(static_cast<std::size_t>(found - runners_.begin()), now);
  return true;
}

void Race::on_failure(std::size_t which, TimePoint now) {
  // RFC 8305 §5: the next one does not wait for its time then.
  if (next_ < runners_.size() && runners_[next_].target.group == runners_[which].target.group) {
    next_at_ = now;
  }
}

bool Race::lost() const {
  return std::all_of(runners_.begin(), runners_.end(),
                     [](const Runner& runner) { return runner.failure.has_value(); });
}

std::optional<TimePoint> Race::next() const {
  if (next_ == runners_.size() || next_ == 0) return std::nullopt;
  return next_at_;
}

}  // namespace godwit::ua
