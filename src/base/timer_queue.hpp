// SPDX-License-Identifier: Apache-2.0
//
// The one timer mechanism of the core: a heap of deadlines, each with a tag that its owner
// understands. Knows no clock: `pop_due(now)` hands out what is due. Cancelling is O(1): the entry
// is forgotten and skipped when it surfaces; when stale entries outnumber live ones the heap is
// rebuilt, so memory stays proportional to the live timers.
#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit {

using TimerId = StrongId<struct TimerIdTag, std::uint64_t>;

template <typename Tag>
class TimerQueue {
 public:
  TimerId schedule(TimePoint at, Tag tag) {
    const TimerId id{++last_id_};
    live_.emplace(id, std::move(tag));
    heap_.push(Entry{at, id});
    return id;
  }

  /// Unknown or already fired timers are ignored.
  void cancel(TimerId id) {
    if (live_.erase(id) == 0) return;
    if (heap_.size() > 64 && heap_.size() > 2 * live_.size()) rebuild();
  }

  std::optional<TimePoint> next() {
    drop_stale();
    return heap_.empty() ? std::nullopt : std::optional(heap_.top().at);
  }

  /// The earliest timer due at `now`, in order of deadline, then of scheduling; nullopt if none.
  std::optional<Tag> pop_due(TimePoint now) {
    drop_stale();
    if (heap_.empty() || heap_.top().at > now) return std::nullopt;
    auto node = live_.extract(heap_.top().id);
    heap_.pop();
    return std::move(node.mapped());
  }

  std::size_t size() const { return live_.size(); }

 private:
  struct Entry {
    TimePoint at;
    TimerId id;
    bool operator>(const Entry& other) const {
      return at != other.at ? at > other.at : id > other.id;
    }
  };
  using Heap = std::priority_queue<Entry, std::vector<Entry>, std::greater<>>;

  void drop_stale() {
    while (!heap_.empty() && !live_.contains(heap_.top().id)) heap_.pop();
  }
  void rebuild() {
    std::vector<Entry> kept;
    kept.reserve(live_.size());
    while (!heap_.empty()) {
      if (live_.contains(heap_.top().id)) kept.push_back(heap_.top());
      heap_.pop();
    }
    heap_ = Heap(std::greater<>{}, std::move(kept));
  }

  Heap heap_;
  std::unordered_map<TimerId, Tag> live_;
  std::uint64_t last_id_ = 0;
};

}  // namespace godwit
