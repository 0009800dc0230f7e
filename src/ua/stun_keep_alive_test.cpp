// SPDX-License-Identifier: Apache-2.0
#include "ua/stun_keep_alive.hpp"

#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

using namespace std::chrono_literals;

class StunKeepAliveTest : public ::testing::Test {
 protected:
  StunKeepAliveTest() { keep_alive_.start(25s, mapped_, random_, now_); }

  /// Goes to the next deadline, and does what is due then.
  StunKeepAlive::Due step() {
    now_ = keep_alive_.next();
    auto due = keep_alive_.on_timeout(random_, now_);
    if (due.send) last_ = *wire::parse_stun(as_bytes(*due.send));
    return due;
  }
  StunKeepAlive::Answer answer(const Endpoint& mapped) {
    wire::StunMessage response = last_;
    response.message_class = wire::StunClass::Success;
    response.mapped = mapped;
    return keep_alive_.on_message(response, random_, now_);
  }

  SeededRandom random_{3};
  TimePoint now_{1000s};
  const Endpoint mapped_ = *Endpoint::parse("203.0.113.1:40000");
  wire::StunMessage last_;
  StunKeepAlive keep_alive_;
};

TEST_F(StunKeepAliveTest, AsksWithinTheIntervalAndTellsAMovedMapping) {
  for (int i = 0; i < 20; ++i) {
    const Duration wait = keep_alive_.next() - now_;
    EXPECT_GE(wait, 20s);
    EXPECT_LE(wait, 25s);
    EXPECT_TRUE(step().send);
    EXPECT_EQ(answer(mapped_), StunKeepAlive::Answer::Same);
  }
  step();
  const Endpoint other = *Endpoint::parse("203.0.113.1:40001");
  EXPECT_EQ(answer(other), StunKeepAlive::Answer::Moved);
  EXPECT_EQ(answer(other), StunKeepAlive::Answer::Stray) << "the same answer again";
  step();
  EXPECT_EQ(answer(other), StunKeepAlive::Answer::Same) << "told once";
}

TEST_F(StunKeepAliveTest, SilenceIsAFailureOnlyOfAServerThatAnswered) {
  const auto fail_once = [&] {
    const TimePoint first = keep_alive_.next();
    for (int i = 0; i < StunKeepAlive::kSends; ++i) EXPECT_TRUE(step().send) << i;
    const auto last = step();
    EXPECT_FALSE(last.send);
    EXPECT_EQ(now_ - first, 500ms + 1s + 2s + 4s + 8s + 16s + 8s);
    return last.failed;
  };
  EXPECT_FALSE(fail_once());
  step();
  EXPECT_EQ(answer(mapped_), StunKeepAlive::Answer::Same);
  EXPECT_TRUE(fail_once());
  EXPECT_TRUE(keep_alive_.runs());
}

TEST_F(StunKeepAliveTest, BelievesNoAnswerThatItDidNotAskFor) {
  wire::StunMessage stray;
  stray.message_class = wire::StunClass::Success;
  stray.mapped = mapped_;
  EXPECT_EQ(keep_alive_.on_message(stray, random_, now_), StunKeepAlive::Answer::Stray);
  step();
  EXPECT_EQ(keep_alive_.on_message(stray, random_, now_), StunKeepAlive::Answer::Stray);
  keep_alive_.stop();
  EXPECT_EQ(answer(mapped_), StunKeepAlive::Answer::Stray);
  EXPECT_FALSE(keep_alive_.on_timeout(random_, now_ + 100s).send);
}

}  // namespace
}  // namespace godwit::ua
