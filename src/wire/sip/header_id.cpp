// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/header_id.hpp"

#include <array>
#include <cstring>

#include "wire/sip/lex.hpp"

namespace godwit::wire {
namespace {

struct Known {
  std::string_view name;
  char compact;  // '\0': none
  bool list;
};

// In the order of the enumeration.
constexpr std::array<Known, kHeaderIdCount> kKnown = {{
    {"", '\0', false},
    {"Accept", '\0', true},
    {"Accept-Contact", 'a', true},
    {"Accept-Encoding", '\0', true},
    {"Accept-Language", '\0', true},
    {"Alert-Info", '\0', true},
    {"Allow", '\0', true},
    {"Allow-Events", 'u', true},
    {"Authentication-Info", '\0', false},
    {"Authorization", '\0', false},
    {"Call-ID", 'i', false},
    {"Call-Info", '\0', true},
    {"Contact", 'm', true},
    {"Content-Disposition", '\0', false},
    {"Content-Encoding", 'e', true},
    {"Content-Language", '\0', true},
    {"Content-Length", 'l', false},
    {"Content-Type", 'c', false},
    {"CSeq", '\0', false},
    {"Date", '\0', false},
    {"Diversion", '\0', true},
    {"Error-Info", '\0', true},
    {"Event", 'o', false},
    {"Expires", '\0', false},
    {"Flow-Timer", '\0', false},
    {"From", 'f', false},
    {"History-Info", '\0', true},
    {"Identity", 'y', false},
    {"In-Reply-To", '\0', true},
    {"Max-Forwards", '\0', false},
    {"MIME-Version", '\0', false},
    {"Min-Expires", '\0', false},
    {"Min-SE", '\0', false},
    {"Organization", '\0', false},
    {"P-Asserted-Identity", '\0', true},
    {"P-Preferred-Identity", '\0', true},
    {"Path", '\0', true},
    {"Priority", '\0', false},
    {"Privacy", '\0', false},
    {"Proxy-Authenticate", '\0', false},
    {"Proxy-Authorization", '\0', false},
    {"Proxy-Require", '\0', true},
    {"RAck", '\0', false},
    {"RSeq", '\0', false},
    {"Reason", '\0', true},
    {"Record-Route", '\0', true},
    {"Refer-Sub", '\0', false},
    {"Refer-To", 'r', false},
    {"Referred-By", 'b', false},
    {"Reject-Contact", 'j', true},
    {"Replaces", '\0', false},
    {"Reply-To", '\0', false},
    {"Request-Disposition", 'd', true},
    {"Require", '\0', true},
    {"Retry-After", '\0', false},
    {"Route", '\0', true},
    {"Server", '\0', false},
    {"Service-Route", '\0', true},
    {"Session-Expires", 'x', false},
    {"SIP-ETag", '\0', false},
    {"SIP-If-Match", '\0', false},
    {"Subject", 's', false},
    {"Subscription-State", '\0', false},
    {"Supported", 'k', true},
    {"Target-Dialog", '\0', false},
    {"Timestamp", '\0', false},
    {"To", 't', false},
    {"Unsupported", '\0', true},
    {"User-Agent", '\0', false},
    {"Via", 'v', true},
    {"Warning", '\0', true},
    {"WWW-Authenticate", '\0', false},
}};

// A perfect hash over length, first, middle and last letter, all without case. The multiplier is
// found by the compiler; a new header that makes it impossible fails the static_assert below.
constexpr std::size_t kSlots = 1024;
constexpr std::uint32_t hash(std::string_view name, std::uint32_t multiplier) {
  const auto at = [name](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(name[i])) | 0x20U;
  };
  const std::uint32_t key = at(0) | (at(name.size() - 1) << 8U) | (at(name.size() / 2) << 16U) |
                            (static_cast<std::uint32_t>(name.size()) << 24U);
  return (key * multiplier) >> 22U;
}

constexpr std::uint32_t find_multiplier() {
  std::uint32_t candidate = 0x9E3779B1U;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::array<bool, kSlots> used{};
    bool ok = true;
    for (std::size_t i = 1; i < kKnown.size() && ok; ++i) {
      bool& slot = used[hash(kKnown[i].name, candidate)];
      ok = !slot;
      slot = true;
    }
    if (ok) return candidate;
    candidate = (candidate * 1664525U + 1013904223U) | 1U;
  }
  return 0;
}
constexpr std::uint32_t kMultiplier = find_multiplier();
static_assert(kMultiplier != 0, "no perfect hash found: mix in another letter");

constexpr std::array<std::uint8_t, kSlots> make_slots() {
  std::array<std::uint8_t, kSlots> slots{};
  for (std::size_t i = 1; i < kKnown.size(); ++i) {
    slots[hash(kKnown[i].name, kMultiplier)] = static_cast<std::uint8_t>(i);
  }
  return slots;
}
constexpr std::array<std::uint8_t, kSlots> kSlotToId = make_slots();

constexpr std::array<std::uint8_t, 26> make_compact() {
  std::array<std::uint8_t, 26> table{};
  for (std::size_t i = 1; i < kKnown.size(); ++i) {
    if (kKnown[i].compact != '\0') {
      table[static_cast<std::size_t>(kKnown[i].compact - 'a')] = static_cast<std::uint8_t>(i);
    }
  }
  return table;
}
constexpr std::array<std::uint8_t, 26> kCompactToId = make_compact();

// Names in small letters, to be compared by machine words. Setting 0x20 folds the case of letters
// and leaves '-' and digits alone; among token characters nothing else becomes a letter or '-' by
// it.
constexpr std::size_t kLongestName = 20;
using FoldedName = std::array<char, kLongestName>;
constexpr std::array<FoldedName, kHeaderIdCount> fold_names() {
  std::array<FoldedName, kHeaderIdCount> table{};
  for (std::size_t i = 0; i < kKnown.size(); ++i) {
    for (std::size_t j = 0; j < kKnown[i].name.size(); ++j) {
      table[i][j] = lex::lower(kKnown[i].name[j]);
    }
  }
  return table;
}
constexpr std::array<FoldedName, kHeaderIdCount> kFolded = fold_names();

template <typename Word>
bool word_equals(const char* text, const char* folded, std::size_t at) {
  Word a = 0;
  Word b = 0;
  std::memcpy(&a, text + at, sizeof a);
  std::memcpy(&b, folded + at, sizeof b);
  return (a | static_cast<Word>(0x2020202020202020U)) == b;
}

bool equals_folded(std::string_view name, const char* folded) {
  const std::size_t n = name.size();
  const char* const text = name.data();
  if (n >= 8) {  // Overlapping words cover every length up to 24.
    return word_equals<std::uint64_t>(text, folded, 0) &&
           word_equals<std::uint64_t>(text, folded, n - 8) &&
           (n <= 16 || word_equals<std::uint64_t>(text, folded, 8));
  }
  if (n >= 4) {
    return word_equals<std::uint32_t>(text, folded, 0) &&
           word_equals<std::uint32_t>(text, folded, n - 4);
  }
  return word_equals<std::uint16_t>(text, folded, 0) &&
         word_equals<std::uint16_t>(text, folded, n - 2);
}

}  // namespace

std::string_view name_of(HeaderId id) { return kKnown[static_cast<std::size_t>(id)].name; }

HeaderId header_id(std::string_view name) {
  if (name.empty()) return HeaderId::Unknown;
  if (name.size() == 1) {
    const char c = lex::lower(name[0]);
    if (c < 'a' || c > 'z') return HeaderId::Unknown;
    return static_cast<HeaderId>(kCompactToId[static_cast<std::size_t>(c - 'a')]);
  }
  const std::uint8_t id = kSlotToId[hash(name, kMultiplier)];
  const bool same =
      kKnown[id].name.size() == name.size() && equals_folded(name, kFolded[id].data());
  return same ? static_cast<HeaderId>(id) : HeaderId::Unknown;
}

bool is_list(HeaderId id) { return kKnown[static_cast<std::size_t>(id)].list; }

}  // namespace godwit::wire
