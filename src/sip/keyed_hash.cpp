// SPDX-License-Identifier: Apache-2.0
#include "sip/keyed_hash.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace godwit::sip {

KeyedHasher::KeyedHasher(const HashKey& key)
    : v0_(key.k0 ^ 0x736f6d6570736575ULL),
      v1_(key.k1 ^ 0x646f72616e646f6dULL ^ 0xeeU),  // 0xee: the variant with 128 bits of output.
      v2_(key.k0 ^ 0x6c7967656e657261ULL),
      v3_(key.k1 ^ 0x7465646279746573ULL) {}

void KeyedHasher::round() {
  v0_ += v1_;
  v1_ = std::rotl(v1_, 13) ^ v0_;
  v0_ = std::rotl(v0_, 32);
  v2_ += v3_;
  v3_ = std::rotl(v3_, 16) ^ v2_;
  v0_ += v3_;
  v3_ = std::rotl(v3_, 21) ^ v0_;
  v2_ += v1_;
  v1_ = std::rotl(v1_, 17) ^ v2_;
  v2_ = std::rotl(v2_, 32);
}

void KeyedHasher::add(std::uint64_t word) {
  v3_ ^= word;
  round();
  round();
  v0_ ^= word;
  length_ += 8;
}

void KeyedHasher::add(std::string_view text) {
  add(text.size());
  for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t))) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    add(word);
  }
  if (text.empty()) return;
  std::uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  add(word);
}

void KeyedHasher::add_caseless(std::string_view text) {
  add(text.size());
  while (!text.empty()) {
    std::array<char, sizeof(std::uint64_t)> lower{};
    const std::size_t count = std::min(lower.size(), text.size());
    for (std::size_t i = 0; i < count; ++i) {
      const char c = text[i];
      lower[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    std::uint64_t word = 0;
    std::memcpy(&word, lower.data(), sizeof word);
    add(word);
    text.remove_prefix(count);
  }
}

Hash128 KeyedHasher::finish() {
  add((length_ & 0xffU) << 56U);
  v2_ ^= 0xeeU;
  for (int i = 0; i < 4; ++i) round();
  const std::uint64_t low = v0_ ^ v1_ ^ v2_ ^ v3_;
  v1_ ^= 0xddU;
  for (int i = 0; i < 4; ++i) round();
  return {low, v0_ ^ v1_ ^ v2_ ^ v3_};
}

}  // namespace godwit::sip
