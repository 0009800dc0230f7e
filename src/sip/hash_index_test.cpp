// SPDX-License-Identifier: Apache-2.0
#include "sip/hash_index.hpp"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/random.hpp"
#include "godwit/strong_id.hpp"
#include "sip/slab.hpp"

namespace godwit::sip {
namespace {

// OpenSSL's SipHash over the same words, as a second opinion.
Hash128 reference(const HashKey& key, const std::vector<std::uint64_t>& words) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  std::size_t size = 16;
  const std::array<OSSL_PARAM, 2> params = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                                            OSSL_PARAM_construct_end()};
  std::array<unsigned char, 16> key_bytes{};
  std::memcpy(key_bytes.data(), &key.k0, 8);
  std::memcpy(key_bytes.data() + 8, &key.k1, 8);
  EXPECT_EQ(EVP_MAC_init(context, key_bytes.data(), key_bytes.size(), params.data()), 1);
  for (const std::uint64_t word : words) {
    EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(&word), sizeof word);
  }
  std::array<unsigned char, 16> out{};
  std::size_t length = 0;
  EXPECT_EQ(EVP_MAC_final(context, out.data(), &length, out.size()), 1);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  Hash128 hash;
  std::memcpy(&hash.low, out.data(), 8);
  std::memcpy(&hash.high, out.data() + 8, 8);
  return hash;
}

TEST(KeyedHash, IsSipHash24With128Bits) {
  SeededRandom random(1);
  for (std::size_t count = 0; count < 40; ++count) {
    const HashKey key = HashKey::random(random);
    std::vector<std::uint64_t> words;
    KeyedHasher hasher(key);
    for (std::size_t i = 0; i < count; ++i) {
      words.push_back(random.next());
      hasher.add(words.back());
    }
    EXPECT_EQ(hasher.finish(), reference(key, words)) << count << " words";
  }
}

TEST(KeyedHash, FieldsDoNotRunIntoEachOther) {
  const HashKey key{1, 2};
  const auto hash = [&key](std::string_view a, std::string_view b) {
    KeyedHasher hasher(key);
    hasher.add(a);
    hasher.add(b);
    return hasher.finish();
  };
  EXPECT_NE(hash("ab", "c"), hash("a", "bc"));
  EXPECT_NE(hash("", "a"), hash("a", ""));
  EXPECT_NE(hash("a", ""), hash(std::string_view("a\0", 2), ""));
  EXPECT_EQ(hash("branch-0123456789", "x"), hash("branch-0123456789", "x"));
}

TEST(KeyedHash, CaselessTextHashesAsLowerCase) {
  const HashKey key{1, 2};
  KeyedHasher upper(key);
  upper.add_caseless("Host.Example.COM");
  KeyedHasher lower(key);
  lower.add("host.example.com");
  EXPECT_EQ(upper.finish(), lower.finish());
  KeyedHasher brackets(key);  // '[' and '{' differ by the same bit as 'A' and 'a'.
  brackets.add_caseless("[");
  KeyedHasher braces(key);
  braces.add_caseless("{");
  EXPECT_NE(brackets.finish(), braces.finish());
}

TEST(HashIndex, AgreesWithAMapUnderRandomInsertAndErase) {
  SeededRandom random(7);
  HashIndex index;
  std::unordered_map<std::uint64_t, std::uint64_t> model;
  // Few distinct homes (low bits) and many keys on each: long probe runs that wrap round the end.
  const auto key_of = [](std::uint64_t n) { return Hash128{(n % 7) * 0x1fffffff0fULL, n}; };
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t n = random.between(1, 150);
    switch (random.between(0, 2)) {
      case 0:
        EXPECT_EQ(index.insert(key_of(n), n + 1000), model.emplace(n, n + 1000).second);
        break;
      case 1:
        index.erase(key_of(n));
        model.erase(n);
        break;
      default: {
        const auto found = model.find(n);
        ASSERT_EQ(index.find(key_of(n)), found == model.end() ? 0 : found->second);
      }
    }
    ASSERT_EQ(index.size(), model.size());
  }
  for (std::uint64_t n = 1; n <= 150; ++n) {
    EXPECT_EQ(index.find(key_of(n)), model.contains(n) ? n + 1000 : 0);
  }
}

TEST(Slab, IdsOfErasedObjectsNameNothing) {
  using Id = StrongId<struct TestIdTag, std::uint64_t>;
  Slab<int, Id> slab;
  const Id first = slab.insert(std::make_unique<int>(1));
  const Id second = slab.insert(std::make_unique<int>(2));
  EXPECT_TRUE(first);
  EXPECT_EQ(slab.find(Id{}), nullptr);
  slab.erase(first);
  slab.erase(first);
  EXPECT_EQ(slab.size(), 1U);
  const Id third = slab.insert(std::make_unique<int>(3));
  EXPECT_NE(third, first);
  EXPECT_EQ(slab.find(first), nullptr);
  EXPECT_EQ(*slab.find(second), 2);
  EXPECT_EQ(*slab.find(third), 3);
  EXPECT_EQ(slab.ids(), (std::vector<Id>{third, second}));
}

}  // namespace
}  // namespace godwit::sip
