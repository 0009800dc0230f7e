// SPDX-License-Identifier: Apache-2.0
//
// The softphone behind `godwit phone`: one account, several calls, commands as lines, events as
// words or JSON lines. Lives on the main thread; the user agent's events come through a queue. It
// knows nothing that the public API does not tell.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "godwit/user_agent.hpp"
#include "line_input.hpp"
#include "phone_settings.hpp"

namespace godwit::app {

class Phone {
 public:
  explicit Phone(PhoneSettings settings);
  ~Phone();

  /// Until `quit`, the end of the input or a signal; the exit status.
  int run();

 private:
  struct CallEntry {
    CallState state = CallState::Calling;
    bool incoming = false;
    std::string who;
    bool held = false;
    bool muted = false;
    std::optional<CallMediaChanged> media = std::nullopt;
    std::optional<CallStatistics> statistics = std::nullopt;
  };
  using Words = std::vector<std::string>;
  struct Command {
    std::string_view name;
    std::string_view arguments;
    std::string_view help;
    /// What to tell when it went well; empty: the events tell.
    Result<std::string> (Phone::*run)(const std::string& argument);
  };
  static const std::vector<Command>& commands();

  void take_events();
  void note(const Event& event);
  void set_up(CallId call);
  void start_recording(CallId call);
  void show(const Event& event, TimePoint at);
  void handle_line(const std::string& line);
  void report(std::string_view command, const Result<std::string>& result);
  void say(const std::string& text);
  void complain(const std::string& text);
  void write_line(const std::string& line);
  void prompt();
  void finish();

  /// The call of that number, or the current one if `argument` is empty.
  Result<CallId> pick(const std::string& argument) const;
  Result<std::string> on_call(const std::string& argument,
                              Result<void> (UserAgent::*action)(CallId));

  Result<std::string> do_register(const std::string& argument);
  Result<std::string> do_unregister(const std::string& argument);
  Result<std::string> do_push_wake(const std::string& argument);
  Result<std::string> do_call(const std::string& argument);
  Result<std::string> do_answer(const std::string& argument);
  Result<std::string> do_reject(const std::string& argument);
  Result<std::string> do_progress(const std::string& argument);
  Result<std::string> do_follow(const std::string& argument);
  Result<std::string> do_hangup(const std::string& argument);
  Result<std::string> do_hold(const std::string& argument);
  Result<std::string> do_resume(const std::string& argument);
  Result<std::string> do_use(const std::string& argument);
  Result<std::string> do_play(const std::string& argument);
  Result<std::string> do_tone(const std::string& argument);
  Result<std::string> do_echo(const std::string& argument);
  Result<std::string> do_silence(const std::string& argument);
  Result<std::string> do_record(const std::string& argument);
  Result<std::string> do_dtmf(const std::string& argument);
  Result<std::string> do_message(const std::string& argument);
  Result<std::string> do_options(const std::string& argument);
  Result<std::string> do_transfer(const std::string& argument);
  Result<std::string> do_accept_transfer(const std::string& argument);
  Result<std::string> do_refuse_transfer(const std::string& argument);
  Result<std::string> do_subscribe(const std::string& argument);
  Result<std::string> do_unsubscribe(const std::string& argument);
  Result<std::string> do_publish(const std::string& argument);
  Result<std::string> do_unpublish(const std::string& argument);
  Result<std::string> do_mute(const std::string& argument);
  Result<std::string> do_unmute(const std::string& argument);
  Result<std::string> do_ip_change(const std::string& argument);
  Result<std::string> do_listen(const std::string& argument);
  Result<std::string> do_unlisten(const std::string& argument);
  Result<std::string> do_refresh(const std::string& argument);
  Result<std::string> do_status(const std::string& argument);
  Result<std::string> do_wait(const std::string& argument);
  Result<std::string> do_help(const std::string& argument);
  Result<std::string> do_quit(const std::string& argument);
  Result<std::string> send(AudioSource source);
  template <typename Id>
  Result<std::string> begun(const char* what, const Result<Id>& result);
  std::string status_json() const;
  std::string status_text() const;

  const PhoneSettings settings_;
  const bool at_terminal_;
  LineInput input_;

  std::mutex mutex_;
  std::deque<std::pair<Event, TimePoint>> arrived_;  // Guarded by mutex_.

  AccountId account_;
  RegistrationChanged registration_{};
  std::map<CallId, CallEntry> calls_;
  CallId current_;
  std::uint32_t recorded_calls_ = 0;
  std::optional<TimePoint> waits_until_;
  std::optional<PublicationId> published_;
  /// What the command in hand has begun, for its `result`: the member's name and its number.
  std::optional<std::pair<const char*, std::uint32_t>> begun_;
  bool quitting_ = false;
  bool prompt_shown_ = false;
  int exit_status_ = 0;

  // Last, so that its threads end before what their handlers use.
  std::unique_ptr<UserAgent> agent_;
};

}  // namespace godwit::app
