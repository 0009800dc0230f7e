// SPDX-License-Identifier: Apache-2.0
//
// Writes one JSON text (RFC 8259) into a string: places commas, escapes strings, spells numbers.
// Owned by whoever builds the text. It trusts its caller to nest begin and end properly and to put
// a key before each value of an object; it does not parse and does not pretty-print.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "godwit/time.hpp"

namespace godwit {

class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }

  JsonWriter& key(std::string_view name);

  /// Bytes that are not UTF-8 become U+FFFD, so that what a peer sent cannot break the output.
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  /// At most three digits behind the point; what is not finite becomes null.
  JsonWriter& value(double number);
  /// As milliseconds; name the member `…_ms`.
  JsonWriter& value(Duration time) { return value(to_ms(time)); }
  JsonWriter& null() { return literal("null"); }
  /// `json` must be one JSON value; it goes in as it is.
  JsonWriter& raw(std::string_view json) { return literal(json); }

  template <std::integral T>
  JsonWriter& value(T number) {
    if constexpr (std::same_as<T, bool>) {
      return literal(number ? "true" : "false");
    } else {
      return literal(std::to_string(number));
    }
  }

  template <typename T>
  JsonWriter& member(std::string_view name, const T& content) {
    return key(name).value(content);
  }

  const std::string& text() const { return text_; }
  std::string take() { return std::move(text_); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  JsonWriter& literal(std::string_view literal);
  void separate();

  std::string text_;
};

/// An enumerator's name as the JSON output spells it: "EarlyMedia" -> "early_media".
std::string snake_case(std::string_view enumerator);

}  // namespace godwit
