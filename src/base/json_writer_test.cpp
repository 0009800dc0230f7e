// SPDX-License-Identifier: Apache-2.0
#include "base/json_writer.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace godwit {
namespace {

TEST(JsonWriter, places_commas_at_every_depth) {
  JsonWriter json;
  json.begin_object().member("a", 1).key("b").begin_array();
  json.value("x").begin_object().end_object().begin_array().value(2).value(3).end_array().null();
  json.end_array().member("c", true).member("d", std::string("y")).key("e").begin_object();
  json.member("f", false).end_object().end_object();
  EXPECT_EQ(json.take(), R"({"a":1,"b":["x",{},[2,3],null],"c":true,"d":"y","e":{"f":false}})");
}

TEST(JsonWriter, a_string_that_looks_like_structure_does_not_confuse_it) {
  JsonWriter json;
  json.begin_array().value("[").value("{").value(":").value("").end_array();
  EXPECT_EQ(json.text(), R"(["[","{",":",""])");
}

TEST(JsonWriter, strings) {
  using namespace std::string_view_literals;
  const struct {
    std::string_view text;
    std::string_view json;
  } kCases[] = {
      {"plain", R"("plain")"},
      {"a\"b\\c/", R"("a\"b\\c/")"},
      {"\r\n\t\b\x01\x7f", R"("\r\n\t\u0008\u0001\u007f")"},
      {"nul\0end"sv, R"("nul\u0000end")"},
      {"Grüße 日本 \xf0\x9f\x90\xa6", "\"Grüße 日本 \xf0\x9f\x90\xa6\""},
      {"cut \xc3", "\"cut \xef\xbf\xbd\""},
      {"\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
      {"\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                  // Overlong '/'.
      {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},  // A surrogate.
      {"\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
  };
  for (const auto& c : kCases) {
    JsonWriter json;
    EXPECT_EQ(json.value(c.text).text(), c.json);
  }
}

TEST(JsonWriter, numbers) {
  const struct {
    double number;
    std::string_view json;
  } kCases[] = {
      {0, "0"},
      {-0.0, "0"},
      {1.5, "1.5"},
      {-0.0001, "0"},
      {2.0005, "2.001"},
      {1000000, "1000000"},
      {99.999, "99.999"},
      {100, "100"},
      {std::numeric_limits<double>::quiet_NaN(), "null"},
      {std::numeric_limits<double>::infinity(), "null"},
      {1e300, "null"},
  };
  for (const auto& c : kCases) {
    JsonWriter json;
    EXPECT_EQ(json.value(c.number).text(), c.json);
  }
  JsonWriter json;
  json.begin_array().value(std::numeric_limits<std::uint64_t>::max());
  json.value(std::numeric_limits<std::int64_t>::min()).value(std::uint8_t{7});
  json.value(Duration(std::chrono::microseconds(1234567))).end_array();
  EXPECT_EQ(json.text(), "[18446744073709551615,-9223372036854775808,7,1234.567]");
}

}  // namespace
}  // namespace godwit
