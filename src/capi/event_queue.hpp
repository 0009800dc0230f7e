// SPDX-License-Identifier: Apache-2.0
//
// Events of an agent without a handler, waiting to be fetched: a bounded queue between the
// library's thread, which never waits, and the application's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace godwit::capi {

class EventQueue {
 public:
  static constexpr std::size_t kMaxWaiting = 4'096;  ///< Of at most a few kilobytes each.

  /// A full queue loses its oldest one.
  void push(std::string event);

  struct Taken {
    bool fits = true;
    std::size_t needed = 0;  ///< With the NUL.
  };
  /// Copies the next one with a NUL; nullopt: none came in time. One that does not fit stays.
  std::optional<Taken> take(std::chrono::milliseconds timeout, char* buffer, std::size_t capacity);

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::string> waiting_;
  std::uint64_t lost_ = 0;
};

}  // namespace godwit::capi
