// SPDX-License-Identifier: Apache-2.0
//
// Owns objects under ids that stay unique although places are used again: an id holds a place and
// how often the place has been used. Look-up is two indexations. References to an object stay valid
// until it is erased. The owner bounds the number of objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace godwit::sip {

template <typename T, typename Id>
class Slab {
 public:
  Id insert(std::unique_ptr<T> object) {
    std::uint32_t place = 0;
    if (free_.empty()) {
      place = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      place = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[place];
    slot.object = std::move(object);
    ++size_;
    return make_id(place, slot.uses);
  }

  T* find(Id id) const {
    const auto place = static_cast<std::uint32_t>(id.value());
    if (place == 0 || place > slots_.size()) return nullptr;
    const Slot& slot = slots_[place - 1];
    return slot.uses == id.value() >> 32U ? slot.object.get() : nullptr;
  }

  void erase(Id id) {
    if (find(id) == nullptr) return;
    const auto place = static_cast<std::uint32_t>(id.value()) - 1;
    slots_[place].object.reset();
    // A place used 2^32 times is given up rather than hand out an old id again.
    if (++slots_[place].uses != 0) free_.push_back(place);
    --size_;
  }

  std::size_t size() const { return size_; }

  /// The ids of all objects, in the order of their places.
  std::vector<Id> ids() const {
    std::vector<Id> all;
    all.reserve(size_);
    for (std::uint32_t place = 0; place < slots_.size(); ++place) {
      if (slots_[place].object) all.push_back(make_id(place, slots_[place].uses));
    }
    return all;
  }

 private:
  struct Slot {
    std::unique_ptr<T> object;
    std::uint32_t uses = 0;
  };

  static Id make_id(std::uint32_t place, std::uint32_t uses) {
    return Id{(static_cast<std::uint64_t>(uses) << 32U) | (place + 1ULL)};
  }

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

}  // namespace godwit::sip
