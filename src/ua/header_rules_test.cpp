// SPDX-License-Identifier: Apache-2.0
#include "ua/header_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace godwit::ua {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(HeaderRules, RefuseWhatWouldBreakAMessageAndSayWhy) {
  struct Case {
    Header header;
    const char* says;
  };
  const Case cases[] = {
      {{"X-Note", "one\r\nVia: two"}, "line break"},
      {{"X-Note", std::string("a\0b", 3)}, "line break or NUL"},
      {{"X-Note\r\nVia", "x"}, "name"},
      {{"", "x"}, "name"},
      {{"X Note", "x"}, "name"},
      {{std::string(65, 'x'), "x"}, "name"},
      {{"X-Note", std::string(1025, 'x')}, "1024"},
      {{"via", "SIP/2.0/UDP mallory"}, "via is written by the library"},
      {{"v", "SIP/2.0/UDP mallory"}, "written by the library"},
      {{"i", "x"}, "written by the library"},
      {{"Content-Length", "0"}, "Content-Length"},
      {{"Max-Forwards", "0"}, "Max-Forwards"},
      {{"Proxy-Authorization", "Digest"}, "Proxy-Authorization"},
  };
  for (const Case& each : cases) {
    const auto checked = check_header(each.header);
    ASSERT_FALSE(checked) << each.header.name;
    EXPECT_EQ(checked.error().code, ErrorCode::InvalidArgument);
    EXPECT_THAT(checked.error().detail, HasSubstr(each.says));
  }
  EXPECT_TRUE(check_header({"X-Note", ""}));
  EXPECT_TRUE(check_header({"Subject", "Grüße"}));
  EXPECT_TRUE(check_headers(std::vector<Header>(32, {"X-Note", "x"})));
  EXPECT_EQ(check_headers(std::vector<Header>(33, {"X-Note", "x"})).error().code,
            ErrorCode::TooLarge);
}

TEST(HeaderRules, EditsAddAndTakeAwayWhatIsNotStructural) {
  wire::DraftHeaders draft{{wire::HeaderId::Via, "SIP/2.0/UDP a"},
                           {wire::HeaderId::CallId, "call"},
                           {wire::HeaderId::UserAgent, "Godwit"},
                           {"X-Note", "1"},
                           {"x-note", "2"}};
  EXPECT_EQ(
      apply_edits(draft,
                  {{"X-Note", std::nullopt}, {"user-agent", std::nullopt}, {"X-Colour", "blue"}}),
      "");
  EXPECT_THAT(shown(draft), ElementsAre(Header{"Call-ID", "call"}, Header{"X-Colour", "blue"}));
  EXPECT_THAT(apply_edits(draft, {{"Call-ID", std::nullopt}, {"X-A", "a\nb"}, {"X-B", "b"}}),
              HasSubstr("Call-ID"));
  EXPECT_THAT(shown(draft), ElementsAre(Header{"Call-ID", "call"}, Header{"X-Colour", "blue"},
                                        Header{"X-B", "b"}));
  EXPECT_THAT(apply_edits(draft, std::vector<HeaderEdit>(40, {"X-C", "c"})), HasSubstr("32"));
  EXPECT_EQ(shown(draft).size(), 3U + 32U);
}

TEST(HeaderRules, AReasonIsCheckedToo) {
  EXPECT_TRUE(check_reason({"SIP", 200, "Call completed elsewhere"}));
  EXPECT_FALSE(check_reason({"SIP;x", 200, ""}));
  EXPECT_FALSE(check_reason({"SIP", 1000, ""}));
  EXPECT_FALSE(check_reason({"SIP", -1, ""}));
  EXPECT_FALSE(check_reason({"SIP", 1, "two\r\nlines"}));
}

}  // namespace
}  // namespace godwit::ua
