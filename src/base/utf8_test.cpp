// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(Visible, LeavesNothingThatATerminalObeys) {
  struct Row {
    const char* text;
    const char* shown;
  };
  const Row rows[] = {
      {"Bob", "Bob"},
      {"J\xc3\xbcrgen \xe6\x97\xa5 \xf0\x9f\x98\x80",
       "J\xc3\xbcrgen \xe6\x97\xa5 \xf0\x9f\x98\x80"},
      {"\x1b]0;owned\x07", ".]0;owned."},
      {"\xc2\x9b"
       "2J",
       ".2J"},  // CSI as U+009B
      {"\x9b"
       "2J",
       ".2J"},  // and as one byte
      {"\xe2\x80\xae"
       "moc.knab",
       ".moc.knab"},                                // right to left
      {"\xe2\x81\xa6\xe2\x80\xa8\xd8\x9c", "..."},  // isolate, line separator, letter mark
      {"\xe2\x82\xac \xc2\xa0", "\xe2\x82\xac \xc2\xa0"},
      {"\xc0\x9b\xed\xa0\x80\xff", "......"},  // overlong, surrogate, none at all
      {"a\r\nb\x7f", "a..b."},
  };
  for (const Row& row : rows) EXPECT_EQ(visible(row.text), row.shown);
  EXPECT_EQ(visible("a\r\nb\x1b", true), "a.\nb.");
  EXPECT_EQ(visible(std::string_view("\0", 1)), ".");
}

}  // namespace
}  // namespace godwit
