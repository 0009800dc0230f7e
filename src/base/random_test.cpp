// SPDX-License-Identifier: Apache-2.0
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <set>

namespace godwit {
namespace {

TEST(Random, SameSeedGivesSameTokens) {
  SeededRandom a(42);
  SeededRandom b(42);
  EXPECT_EQ(a.token(24), b.token(24));
  EXPECT_NE(a.token(24), a.token(24));
}

TEST(Random, BetweenReachesBothEndsAndNothingElse) {
  SeededRandom random(1);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.between(3, 6));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{3, 4, 5, 6}));
  EXPECT_EQ(random.between(7, 7), 7U);
}

}  // namespace
}  // namespace godwit
