// SPDX-License-Identifier: Apache-2.0
#include "base/log_limiter.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(LogLimiter, SaysOneLineASecondAndHowManyItHeldBack) {
  LogLimiter limiter;
  TimePoint now = TimePoint{} + std::chrono::seconds(5);
  EXPECT_EQ(limiter.admit(now), "");
  for (int i = 0; i < 3; ++i) {
    now += std::chrono::milliseconds(100);
    EXPECT_EQ(limiter.admit(now), std::nullopt);
  }
  now += LogLimiter::kInterval;
  EXPECT_EQ(limiter.admit(now), " (and 3 more like it)");
  EXPECT_EQ(limiter.admit(now + LogLimiter::kInterval), "");
}

}  // namespace
}  // namespace godwit
