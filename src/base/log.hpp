// SPDX-License-Identifier: Apache-2.0
//
// Where log lines go: an injected sink. The core never formats for a terminal or opens a file.
#pragma once

#include <cstdint>
#include <string_view>

namespace godwit {

class Log {
 public:
  enum class Level : std::uint8_t { Trace, Debug, Info, Warn, Error };

  virtual ~Log() = default;
  virtual bool enabled(Level level) const = 0;
  /// `component` is a layer's or class's name. `text` holds no secrets.
  virtual void write(Level level, std::string_view component, std::string_view text) = 0;

  void debug(std::string_view component, std::string_view text) {
    if (enabled(Level::Debug)) write(Level::Debug, component, text);
  }
  void info(std::string_view component, std::string_view text) {
    if (enabled(Level::Info)) write(Level::Info, component, text);
  }
  void warn(std::string_view component, std::string_view text) {
    if (enabled(Level::Warn)) write(Level::Warn, component, text);
  }
};

class NullLog final : public Log {
 public:
  bool enabled(Level) const override { return false; }
  void write(Level, std::string_view, std::string_view) override {}
};

}  // namespace godwit
