// SPDX-License-Identifier: Apache-2.0
#include "ua/instance_id.hpp"

namespace godwit::ua {
namespace {

constexpr std::string_view kPrefix = "urn:uuid:";
constexpr char kKey[] = "instance-id";
constexpr std::size_t kUuidLength = 36;

bool is_dash(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

}  // namespace

std::string make_instance_id(Random& random) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id(kPrefix);
  std::uint64_t bits = 0;
  int left = 0;
  for (std::size_t i = 0; i < kUuidLength; ++i) {
    if (is_dash(i)) {
      id += '-';
      continue;
    }
    if (left == 0) {
      bits = random.next();
      left = 16;
    }
    auto digit = static_cast<unsigned>(bits & 0xfU);
    bits >>= 4U;
    --left;
    // RFC 4122 §4.4: version 4, and the variant of that RFC.
    if (i == 14) digit = 4;
    if (i == 19) digit = 8U | (digit & 3U);
    id += kHex[digit];
  }
  return id;
}

bool is_instance_id(std::string_view text) {
  if (!text.starts_with(kPrefix)) return false;
  text.remove_prefix(kPrefix.size());
  if (text.size() != kUuidLength) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (is_dash(i) ? c != '-' : !hex) return false;
  }
  return true;
}

std::string load_instance_id(Store* store, Random& random, Log& log) {
  if (store != nullptr) {
    if (const auto known = store->load(kKey); known && is_instance_id(*known)) return *known;
  }
  std::string id = make_instance_id(random);
  if (store != nullptr) {
    // RFC 5626 §4.1: it "MUST be persistent"; without that we are a stranger after each start.
    if (const auto saved = store->save(kKey, id); !saved) {
      log.warn("ua", "the instance-id cannot be kept: " + saved.error().detail);
    }
  }
  return id;
}

}  // namespace godwit::ua
