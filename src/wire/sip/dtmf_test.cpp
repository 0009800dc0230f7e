// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/dtmf.hpp"

#include <gtest/gtest.h>

namespace godwit::wire {
namespace {

using std::chrono::milliseconds;

TEST(Dtmf, ReadsWhatItWrites) {
  for (const char digit : std::string("0123456789*#ABCD")) {
    const auto signal = parse_dtmf_relay(to_dtmf_relay({digit, milliseconds(160)}));
    ASSERT_TRUE(signal) << digit;
    EXPECT_EQ(signal->digit, digit);
    EXPECT_EQ(signal->duration, milliseconds(160));
  }
}

TEST(Dtmf, ReadsWhatOthersWrite) {
  EXPECT_EQ(parse_dtmf_relay("Signal= 5\r\nDuration= 160")->digit, '5');
  EXPECT_EQ(parse_dtmf_relay("signal=a\nduration=1")->digit, 'A');
  EXPECT_EQ(parse_dtmf_relay("Signal=11\r\n")->digit, '#');
  EXPECT_EQ(parse_dtmf_relay("Signal=10")->digit, '*');
  EXPECT_EQ(parse_dtmf_relay("Signal=7")->duration, milliseconds(250));
  EXPECT_EQ(parse_dtmf_relay("X=1\r\nSignal=7\r\n\r\n")->digit, '7');
  EXPECT_EQ(parse_dtmf("*\r\n")->digit, '*');
  EXPECT_EQ(parse_dtmf(" 9")->digit, '9');
}

TEST(Dtmf, BringsTheDurationIntoItsRange) {
  EXPECT_EQ(parse_dtmf_relay("Signal=1\r\nDuration=0")->duration, milliseconds(1));
  EXPECT_EQ(parse_dtmf_relay("Signal=1\r\nDuration=4000000000")->duration, milliseconds(5000));
}

TEST(Dtmf, RefusesWhatIsNoDigit) {
  for (const char* body :
       {"", "Signal=", "Signal=16", "Signal=x", "Signal=123", "Duration=5", "Signal=1\r\nSignal=2",
        "Signal=1\r\nDuration=-1", "Signal=1\r\nDuration=9999999999"}) {
    EXPECT_FALSE(parse_dtmf_relay(body)) << body;
  }
  EXPECT_FALSE(parse_dtmf_relay("Signal=1\r\n" + std::string(300, ' ')));
  for (const char* body : {"", "xx", "5 5", "16"}) EXPECT_FALSE(parse_dtmf(body)) << body;
  EXPECT_FALSE(parse_dtmf(std::string(1000, '5')));
}

}  // namespace
}  // namespace godwit::wire
