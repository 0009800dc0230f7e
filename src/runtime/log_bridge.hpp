// SPDX-License-Identifier: Apache-2.0
//
// The core's log sink as a call of the application's handler. Safe from any thread if the handler
// is. Filters by level, so that nobody builds a line that nobody reads.
#pragma once

#include <string_view>
#include <utility>

#include "base/log.hpp"
#include "godwit/user_agent.hpp"

namespace godwit::runtime {

class LogBridge final : public Log {
 public:
  LogBridge(LogHandler handler, LogLevel lowest) : handler_(std::move(handler)), lowest_(lowest) {}

  bool enabled(Level level) const override {
    return handler_ && static_cast<int>(level) >= static_cast<int>(lowest_);
  }
  void write(Level level, std::string_view component, std::string_view text) override {
    if (enabled(level)) handler_(static_cast<LogLevel>(level), component, text);
  }

 private:
  static_assert(static_cast<int>(Level::Trace) == static_cast<int>(LogLevel::Trace) &&
                static_cast<int>(Level::Error) == static_cast<int>(LogLevel::Error));
  LogHandler handler_;
  LogLevel lowest_;
};

}  // namespace godwit::runtime
