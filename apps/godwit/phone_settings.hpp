// SPDX-License-Identifier: Apache-2.0
//
// What `godwit phone` was told: flags, TOML file and environment, checked. Values only; starts
// nothing, except that it looks whether the named files can be read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "godwit/user_agent.hpp"
#include "settings.hpp"
#include "trace_file.hpp"

namespace godwit::app {

enum class EventFormat : std::uint8_t { Text, Json };

struct PhoneSettings {
  AccountConfig account;
  UserAgentConfig agent;
  AudioSource source;
  std::string record;  ///< Empty: nothing is recorded.
  bool auto_answer = false;
  EventFormat events = EventFormat::Text;
  LogLevel log_level = LogLevel::Warn;
  TraceSettings sip_trace;
};

/// "silence", "tone", "tone:HZ", "file:PATH" or "echo"; a file must be readable.
Result<AudioSource> parse_source(const std::string& text);
/// HZ of a tone: 20 to 3900.
Result<double> parse_tone(const std::string& text);
Result<EventFormat> parse_event_format(const std::string& text);
Result<LogLevel> parse_log_level(const std::string& text);

/// Adds the flags to `command`; take() is for its callback.
class PhoneFlags {
 public:
  explicit PhoneFlags(CLI::App& command);
  Result<PhoneSettings> take();

 private:
  void add_transport_flags();
  void add_socket_flags();
  void add_call_flags();
  Result<void> take_password();
  Result<void> check_transport();

  PhoneSettings settings_;
  SettingTable table_;
  std::string config_file_;
  std::string password_file_;
  bool password_given_ = false;
};

}  // namespace godwit::app
