// SPDX-License-Identifier: Apache-2.0
//
// A keyed 128-bit hash for table keys made of text that strangers choose: without the key nobody
// can aim at one bucket, and two different inputs have the same hash with a chance that can be
// ignored (2^-128), so tables keep the hash only and compare no text. Values; no state beyond one
// hash.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

#include "base/random.hpp"

namespace godwit::sip {

struct HashKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
  static HashKey random(Random& random) { return {random.next(), random.next()}; }
};

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

/// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein 2012) over a sequence of fields. Every
/// text is preceded by its length and padded to whole words, so ("ab","c") and ("a","bc") differ.
/// Hashes are for one process: their words follow the machine's byte order.
class KeyedHasher {
 public:
  explicit KeyedHasher(const HashKey& key);

  void add(std::uint64_t word);
  void add(std::string_view text);
  /// Upper-case ASCII letters count as lower-case ones.
  void add_caseless(std::string_view text);

  /// Ends the hash; call once.
  Hash128 finish();

 private:
  void round();

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t length_ = 0;
};

}  // namespace godwit::sip
