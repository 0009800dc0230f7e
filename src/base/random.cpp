// SPDX-License-Identifier: Apache-2.0
#include "base/random.hpp"

namespace godwit {

std::uint64_t Random::between(std::uint64_t low, std::uint64_t high) {
  if (high <= low) return low;
  const std::uint64_t range = high - low + 1;
  if (range == 0) return next();
  // Values above the largest multiple of `range` would favour small results.
  const std::uint64_t limit = UINT64_MAX - (UINT64_MAX % range + 1) % range;
  std::uint64_t value = next();
  while (value > limit) value = next();
  return low + value % range;
}

std::string Random::token(std::size_t length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz012345";
  std::string text;
  text.reserve(length);
  std::uint64_t bits = 0;
  int left = 0;
  while (text.size() < length) {
    if (left < 5) {
      bits = next();
      left = 60;
    }
    text.push_back(kAlphabet[bits & 31U]);
    bits >>= 5U;
    left -= 5;
  }
  return text;
}

std::uint64_t SeededRandom::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

}  // namespace godwit
