// SPDX-License-Identifier: Apache-2.0
//
// The processes that take part in a demo: phone, callee and server, each a child in its namespace
// that is commanded by lines on its standard input and tells what happens as JSON lines. A Party
// keeps the last known state of its registration and call, and every line in its log file.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "lab/netns.hpp"

namespace godwit::lab {

class Party {
 public:
  /// Starts the process; `log_file` gets its standard error and every line it prints.
  static Result<std::unique_ptr<Party>> start(std::string name, NetNs& ns, ChildOptions options,
                                              std::string log_file);
  ~Party();
  Party(const Party&) = delete;
  Party& operator=(const Party&) = delete;

  const std::string& name() const { return name_; }
  const std::string& log_file() const { return log_file_; }
  void command(const std::string& line);
  int output_fd() const { return child_.output.get(); }
  /// Reads what has come; true if there was anything.
  bool read_lines(const std::function<void(Party&, const nlohmann::json&)>& on_event);
  bool running() { return child_.running(); }
  void stop() { child_.stop(); }

  // As last told by the party's own events.
  bool ready = false;  ///< Server: listening.
  bool registered = false;
  std::string call_state;      ///< "confirmed", "ended", …; empty: no call yet.
  std::string last_complaint;  ///< The newest reason or warning, for a failure's message.
  std::vector<TimePoint> changes_detected;
  int changes_completed = 0;
  std::optional<TimePoint>
      contact_updated;  ///< The last time that a change's REGISTER was answered.
  std::optional<TimePoint> call_refreshed;  ///< … and its target refresh.

 private:
  Party(std::string name, std::string log_file);
  void note(const nlohmann::json& event, TimePoint now);

  std::string name_;
  std::string log_file_;
  Child child_;
  Fd log_;
  std::string partial_line_;
};

/// The event's time: its "t_ms" on CLOCK_BOOTTIME, else nullopt.
std::optional<TimePoint> event_time(const nlohmann::json& event);

/// One line about an event for a person, empty for events nobody needs to see live.
std::string describe(const nlohmann::json& event);

}  // namespace godwit::lab
