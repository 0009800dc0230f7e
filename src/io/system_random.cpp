// SPDX-License-Identifier: Apache-2.0
#include "io/system_random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace godwit::io {

std::uint64_t SystemRandom::next() {
  if (left_ == 0) {
    // Up to 256 bytes come whole once the kernel's pool is ready; before that the call blocks.
    static_assert(sizeof buffer_ <= 256);
    ssize_t got = -1;
    do {
      got = ::getrandom(buffer_.data(), sizeof buffer_, 0);
    } while (got < 0 && errno == EINTR);
    // Without randomness every branch and tag would be guessable: worse than not running.
    if (got != static_cast<ssize_t>(sizeof buffer_)) std::abort();
    left_ = buffer_.size();
  }
  const std::uint64_t value = buffer_[--left_];
  buffer_[left_] = 0;  // What was handed out is not kept.
  return value;
}

}  // namespace godwit::io
