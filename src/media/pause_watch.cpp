// SPDX-License-Identifier: Apache-2.0
#include "media/pause_watch.hpp"

namespace godwit::media {

void PauseWatch::expect(bool expected, TimePoint now) {
  if (!expected) {
    expected_since_.reset();
    silent_ = false;
  } else if (!expected_since_) {
    expected_since_ = now;
  }
}

/// Of the present pause, as far as packets were expected in it.
TimePoint PauseWatch::begin() const {
  return last_ ? std::max(*last_, *expected_since_) : *expected_since_;
}

PauseWatch::Arrival PauseWatch::on_packet(TimePoint at) {
  Arrival arrival;
  // Packets that were held back are told of with their own, earlier, time of arrival.
  if (last_) arrival.pause = std::max(at - *last_, Duration::zero());
  if (silent_) arrival.silence = at - begin();
  silent_ = false;
  if (arrival.pause && expected_since_) longest_ = std::max(longest_, at - begin());
  last_ = last_ ? std::max(*last_, at) : at;
  return arrival;
}

std::optional<TimePoint> PauseWatch::deadline() const {
  if (!expected_since_ || silent_) return std::nullopt;
  return begin() + silence_limit_;
}

std::optional<TimePoint> PauseWatch::check(TimePoint now) {
  const auto due = deadline();
  if (!due || *due > now) return std::nullopt;
  silent_ = true;
  return begin();
}

Duration PauseWatch::take_longest(TimePoint now) {
  Duration longest = longest_;
  if (expected_since_ && last_) longest = std::max(longest, now - begin());
  longest_ = Duration::zero();
  return longest;
}

}  // namespace godwit::media
