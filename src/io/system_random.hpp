// SPDX-License-Identifier: Apache-2.0
//
// Randomness from the kernel, for branches, tags, SSRCs and nonces. One object per thread: it keeps
// a small buffer without a lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/random.hpp"

namespace godwit::io {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 32> buffer_{};
  std::size_t left_ = 0;
};

}  // namespace godwit::io
