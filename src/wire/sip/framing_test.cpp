// SPDX-License-Identifier: Apache-2.0
#include "wire/sip/framing.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.hpp"

namespace godwit::wire {
namespace {

using Strings = std::vector<std::string>;

std::string message(std::string_view length, std::string_view body) {
  return "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nContent-Length: " + std::string(length) +
         "\r\n\r\n" + std::string(body);
}

/// What comes out when the stream arrives in pieces of 1 to `most` bytes; "ERROR" at the end if it
/// fails.
Strings frames(std::string_view stream, std::size_t most, StreamFramer& framer) {
  Strings out;
  SeededRandom random(most);
  while (!stream.empty()) {
    const std::size_t n = std::min<std::size_t>(random.between(1, most), stream.size());
    framer.append(stream.substr(0, n));
    stream.remove_prefix(n);
    while (true) {
      auto next = framer.next();
      if (!next) {
        out.emplace_back("ERROR");
        return out;
      }
      if (!*next) break;
      out.push_back(std::move(**next));
    }
  }
  return out;
}

TEST(SipFraming, CutsTheSameMessagesHoweverTheyArrive) {
  const std::string a = message("3", "abc");
  const std::string b = message("0", "");
  const std::string c = "SIP/2.0 200 OK\nl:\n 5\n\n\r\n\r\nx";  // LF, compact, folded
  const std::string stream = a + b + "\r\n\r\n" + c + a;
  for (const std::size_t most : {1U, 2U, 3U, 7U, 50U, 1000U}) {
    StreamFramer framer;
    EXPECT_EQ(frames(stream, most, framer), (Strings{a, b, c, a})) << most;
    EXPECT_EQ(framer.buffered(), 0U);
  }
}

TEST(SipFraming, CountsKeepAlives) {
  StreamFramer framer;
  EXPECT_EQ(frames("\r\n\r\n", 4, framer), Strings{});
  framer.append("\r\n\r\n\r\n\r\n\r\n");
  EXPECT_EQ(*framer.next(), std::nullopt);
  auto found = framer.take_keep_alives();
  EXPECT_GE(found.pings, 2U);
  framer.append("\r\n");
  EXPECT_EQ(*framer.next(), std::nullopt);
  found = framer.take_keep_alives();
  EXPECT_EQ(found.pings, 0U);
  EXPECT_EQ(found.pongs, 1U);
  EXPECT_EQ(framer.take_keep_alives().pongs, 0U);
}

TEST(SipFraming, FailsForGoodWhenTheFrameIsLost) {
  const std::string rows[] = {
      "OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n",  // no Content-Length
      message("x", ""),
      message("-1", ""),
      message("65536", ""),
      message("65500", ""),  // with its headers over the limit
      message("1\r\nContent-Length: 2", "ab"),
      "garbage\r\n\r\n",
      std::string(kMaxMessageSize + 1, 'x'),
  };
  for (const std::string& row : rows) {
    StreamFramer framer;
    framer.append(row);
    EXPECT_FALSE(framer.next()) << row.substr(0, 80);
    framer.append(message("0", ""));
    EXPECT_FALSE(framer.next());
    EXPECT_EQ(framer.buffered(), 0U);
  }
}

TEST(SipFraming, HoldsNoMoreThanOneMessage) {
  // A peer that never finishes its headers, byte by byte, is cut off at the limit.
  StreamFramer framer;
  std::size_t sent = 0;
  bool failed = false;
  while (!failed && sent < 2 * kMaxMessageSize) {
    framer.append("X: y\r\n");
    sent += 6;
    failed = !framer.next();
    EXPECT_LE(framer.buffered(), kMaxMessageSize);
  }
  EXPECT_TRUE(failed);
  EXPECT_LE(sent, kMaxMessageSize + 6);
}

}  // namespace
}  // namespace godwit::wire
