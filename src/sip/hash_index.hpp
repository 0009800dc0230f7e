// SPDX-License-Identifier: Apache-2.0
//
// A map from 128-bit keyed hashes to 64-bit values for tables whose size strangers influence: one
// flat array, so a look-up costs about one cache miss whatever the size. Linear probing, at most
// half full; erasing shifts entries back, so there are no tombstones to pile up. Grows by doubling,
// never shrinks; the owner bounds the number of entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sip/keyed_hash.hpp"

namespace godwit::sip {

class HashIndex {
 public:
  /// 0 if there is none.
  std::uint64_t find(const Hash128& key) const {
    if (entries_.empty()) return 0;
    for (std::size_t i = home(key);; i = next(i)) {
      const Entry& entry = entries_[i];
      if (entry.value == 0 || entry.key == key) return entry.value;
    }
  }

  /// `value` must not be 0. An entry of the same key stays as it is, and false is returned.
  bool insert(const Hash128& key, std::uint64_t value) {
    if ((size_ + 1) * 2 > entries_.size()) grow();
    std::size_t i = home(key);
    for (; entries_[i].value != 0; i = next(i)) {
      if (entries_[i].key == key) return false;
    }
    entries_[i] = Entry{key, value};
    ++size_;
    return true;
  }

  void erase(const Hash128& key) {
    if (entries_.empty()) return;
    std::size_t hole = home(key);
    while (entries_[hole].value != 0 && entries_[hole].key != key) hole = next(hole);
    if (entries_[hole].value == 0) return;
    // An entry further on may move into the hole unless its home lies cyclically behind the hole.
    for (std::size_t i = next(hole); entries_[i].value != 0; i = next(i)) {
      const std::size_t distance = (i - home(entries_[i].key)) & mask();
      if (distance >= ((i - hole) & mask())) {
        entries_[hole] = entries_[i];
        hole = i;
      }
    }
    entries_[hole] = Entry{};
    --size_;
  }

  std::size_t size() const { return size_; }

 private:
  struct Entry {
    Hash128 key;
    std::uint64_t value = 0;
  };

  std::size_t mask() const { return entries_.size() - 1; }
  std::size_t home(const Hash128& key) const { return static_cast<std::size_t>(key.low) & mask(); }
  std::size_t next(std::size_t i) const { return (i + 1) & mask(); }

  void grow() {
    std::vector<Entry> old(entries_.empty() ? 16 : entries_.size() * 2);
    std::swap(old, entries_);
    for (const Entry& entry : old) {
      if (entry.value == 0) continue;
      std::size_t i = home(entry.key);
      while (entries_[i].value != 0) i = next(i);
      entries_[i] = entry;
    }
  }

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace godwit::sip
