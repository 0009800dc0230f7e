// SPDX-License-Identifier: Apache-2.0
#include "trace_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "base/utf8.hpp"

namespace godwit::app {
namespace {

constexpr const char* kStderr = "-";

void write(std::FILE* file, const TraceRecord& record) {
  fmt::print(file, "{:.3f} {}\n", to_ms(record.at.time_since_epoch()) / 1000.0,
             visible(to_string(record), true));
  std::fflush(file);  // What came before a crash is what is looked for.
}

}  // namespace

void add_trace_flags(SettingTable& table, TraceSettings& settings) {
  table.flag_or_text("sip-trace", "FILE",
                     "Write all SIP messages to standard error, or with =FILE at the end of FILE",
                     kStderr, [&settings](const std::string& given) -> Result<void> {
                       if (given.empty()) {
                         return fail(ErrorCode::InvalidArgument, "must not be empty");
                       }
                       settings.file = given;
                       return {};
                     });
  table.text("sip-trace-level", "LEVEL",
             "What --sip-trace writes: full, headers (without bodies) or off [full]",
             [&settings](const std::string& given) -> Result<void> {
               if (given == "full") {
                 settings.level = TraceLevel::Full;
               } else if (given == "headers") {
                 settings.level = TraceLevel::Headers;
               } else if (given == "off") {
                 settings.level = TraceLevel::Off;
               } else {
                 return must_be("full, headers or off", given);
               }
               return {};
             });
  table.text("sip-trace-hide", "WHAT",
             "What --sip-trace leaves out: secrets, identities (also users, names and bodies) or "
             "nothing [secrets]",
             [&settings](const std::string& given) -> Result<void> {
               if (given == "secrets") {
                 settings.redaction = TraceRedaction::Secrets;
               } else if (given == "identities") {
                 settings.redaction = TraceRedaction::Identities;
               } else if (given == "nothing") {
                 settings.redaction = TraceRedaction::Nothing;
               } else {
                 return must_be("secrets, identities or nothing", given);
               }
               return {};
             });
}

Result<TraceConfig> open_trace(const TraceSettings& settings) {
  TraceConfig config;
  config.level = settings.level;
  config.redaction = settings.redaction;
  if (settings.file.empty() || settings.level == TraceLevel::Off) return config;
  if (settings.file == kStderr) {
    config.sink = [](const TraceRecord& record) { write(stderr, record); };
    return config;
  }
  const auto refuse = [&] {
    return fail(ErrorCode::Io,
                fmt::format("--sip-trace must name a file that can be written: {}: {}",
                            quoted(settings.file), std::strerror(errno)));
  };
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): the system's way to say the mode.
  const int descriptor =
      ::open(settings.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return refuse();
  std::FILE* opened = ::fdopen(descriptor, "a");
  if (opened == nullptr) {
    ::close(descriptor);
    return refuse();
  }
  const std::shared_ptr<std::FILE> file(opened, [](std::FILE* each) { std::fclose(each); });
  config.sink = [file](const TraceRecord& record) { write(file.get(), record); };
  return config;
}

}  // namespace godwit::app
