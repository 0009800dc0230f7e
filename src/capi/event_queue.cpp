// SPDX-License-Identifier: Apache-2.0
#include "capi/event_queue.hpp"

#include <cstring>
#include <utility>

namespace godwit::capi {

void EventQueue::push(std::string event) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxWaiting) {
      waiting_.pop_front();
      ++lost_;
    }
    waiting_.push_back(std::move(event));
  }
  came_.notify_one();
}

std::optional<EventQueue::Taken> EventQueue::take(std::chrono::milliseconds timeout, char* buffer,
                                                  std::size_t capacity) {
  std::unique_lock lock(mutex_);
  if (!came_.wait_for(lock, timeout, [this] { return !waiting_.empty(); })) return std::nullopt;
  if (lost_ != 0) {
    // In the place of the oldest one left, so that the queue does not grow.
    waiting_.front() = R"({"event":"warning","text":")" + std::to_string(++lost_) +
                       R"( events were lost: they were not fetched in time"})";
    lost_ = 0;
  }
  const std::string& next = waiting_.front();
  const Taken taken{next.size() < capacity, next.size() + 1};
  if (!taken.fits) return taken;
  std::memcpy(buffer, next.c_str(), next.size() + 1);
  waiting_.pop_front();
  return taken;
}

}  // namespace godwit::capi
