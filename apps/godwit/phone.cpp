// SPDX-License-Identifier: Apache-2.0
#include "phone.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

#include "base/json_writer.hpp"
#include "base/utf8.hpp"
#include "commands.hpp"
#include "event_text.hpp"
#include "io/clock.hpp"

namespace godwit::app {
namespace {

constexpr Duration kPatienceAtEnd = std::chrono::seconds(3);
// More than a person's screen; what a flood of incoming calls leaves unread is dropped.
constexpr std::size_t kMaxWaitingEvents = 10'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// "voice.wav" -> "voice-2.wav", for the second and later calls of one phone.
std::string numbered(const std::string& file, std::uint32_t number) {
  if (number <= 1) return file;
  const auto slash = file.rfind('/');
  const auto dot = file.rfind('.');
  const bool has_extension =
      dot != std::string::npos && (slash == std::string::npos || dot > slash + 1) && dot != 0;
  const std::size_t at = has_extension ? dot : file.size();
  return file.substr(0, at) + "-" + std::to_string(number) + file.substr(at);
}

const char* level_name(LogLevel level) {
  switch (level) {
    case LogLevel::Trace: return "trace";
    case LogLevel::Debug: return "debug";
    case LogLevel::Info: return "info";
    case LogLevel::Warn: return "warn";
    case LogLevel::Error: return "error";
  }
  return "?";
}

}  // namespace

Phone::Phone(PhoneSettings settings)
    : settings_(std::move(settings)),
      at_terminal_(::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0),
      input_(true) {
  agent_ = std::make_unique<UserAgent>(
      settings_.agent,
      [this](const Event& event, TimePoint at) {
        {
          const std::lock_guard lock(mutex_);
          if (arrived_.size() >= kMaxWaitingEvents) return;
          arrived_.emplace_back(event, at);
        }
        input_.notify();
      },
      [](LogLevel level, std::string_view component, std::string_view text) {
        fmt::print(stderr, "{:.3f} {} {}: {}\n", to_ms(io::now().time_since_epoch()) / 1000.0,
                   level_name(level), component, visible(text, true));
      },
      settings_.log_level);
}

Phone::~Phone() = default;

const std::vector<Phone::Command>& Phone::commands() {
  static const std::vector<Command> kCommands{
      {"call", "TARGET", "call a user of your domain or a SIP URI", &Phone::do_call},
      {"answer", "[N]", "take an incoming call", &Phone::do_answer},
      {"reject", "[CODE]", "decline an incoming call, with a SIP status from 400 to 699",
       &Phone::do_reject},
      {"progress", "[CODE]", "183 (or another status from 101 to 199) with early media",
       &Phone::do_progress},
      {"follow", "[N]", "call where a redirected call was sent on to", &Phone::do_follow},
      {"hangup", "[N]", "end a call", &Phone::do_hangup},
      {"hold", "[N]", "put a call on hold", &Phone::do_hold},
      {"resume", "[N]", "take it up again", &Phone::do_resume},
      {"use", "N", "make call N the current one, which commands without a number mean",
       &Phone::do_use},
      {"play", "FILE", "send a sound file, over and over", &Phone::do_play},
      {"tone", "[HZ]", "send a tone, 20 to 3900 Hz", &Phone::do_tone},
      {"echo", "", "send back what is heard", &Phone::do_echo},
      {"silence", "", "send silence", &Phone::do_silence},
      {"record", "[FILE]", "write what is heard to a WAV file; without a name: stop",
       &Phone::do_record},
      {"mute", "[N]", "send silence for now", &Phone::do_mute},
      {"unmute", "[N]", "end that", &Phone::do_unmute},
      {"dtmf", "DIGITS", "press digits in the current call", &Phone::do_dtmf},
      {"message", "TARGET TEXT", "send a text message", &Phone::do_message},
      {"options", "[TARGET]", "ask the server or a peer what it can", &Phone::do_options},
      {"transfer", "TARGET|N", "send the other side on to somebody, or to the party of call N",
       &Phone::do_transfer},
      {"accept-transfer", "", "do as the other side asks", &Phone::do_accept_transfer},
      {"refuse-transfer", "", "do not", &Phone::do_refuse_transfer},
      {"subscribe", "EVENT [TARGET]", "be notified, e.g. of presence", &Phone::do_subscribe},
      {"unsubscribe", "N", "end subscription N", &Phone::do_unsubscribe},
      {"publish", "open|closed [NOTE]", "tell others whether you can be reached",
       &Phone::do_publish},
      {"unpublish", "", "take back what was published", &Phone::do_unpublish},
      {"refresh", "[WORD...]",
       "tell the other side where we are: update, no-offer, no-contact, no-media",
       &Phone::do_refresh},
      {"ip-change", "[restart] [close]",
       "renew registration and calls as if the address had changed; restart: the listeners too, "
       "close: all connections too",
       &Phone::do_ip_change},
      {"listen", "TRANSPORT ADDRESS [PORT]", "accept udp, tcp or tls there", &Phone::do_listen},
      {"unlisten", "TRANSPORT ADDRESS", "no more", &Phone::do_unlisten},
      {"register", "", "register again at once", &Phone::do_register},
      {"unregister", "", "be called no more", &Phone::do_unregister},
      {"push-wake", "", "a push notification has come: register at once", &Phone::do_push_wake},
      {"status", "", "registration and calls", &Phone::do_status},
      {"wait", "SECONDS", "read the next command later, for scripts", &Phone::do_wait},
      {"help", "", "this list", &Phone::do_help},
      {"quit", "", "end all calls, unregister and leave", &Phone::do_quit},
  };
  return kCommands;
}

int Phone::run() {
  const auto account = agent_->add_account(settings_.account);
  if (!account) {
    complain(account.error().detail);
    return account.error().code == ErrorCode::InvalidArgument ? kExitUsage : kExitFailed;
  }
  account_ = *account;
  if (settings_.events == EventFormat::Json) {
    JsonWriter json;
    json.begin_object().member("event", "ready").member("t_ms", io::now().time_since_epoch());
    json.member("account", account_.value()).member("aor", settings_.account.aor).end_object();
    write_line(json.take());
  } else if (at_terminal_) {
    say(fmt::format("This is {}. Type help for the commands.", settings_.account.aor));
  }
  while (!quitting_) {
    prompt();
    const auto woken = input_.wait(waits_until_, !waits_until_);
    if (waits_until_ && io::now() >= *waits_until_) waits_until_.reset();
    take_events();
    if (woken.too_long) {
      complain(fmt::format("a line of more than {} bytes is no command", LineInput::kMaxLine));
    }
    if (woken.line) {
      prompt_shown_ = false;
      handle_line(*woken.line);
    }
    if (woken.end || woken.signalled) quitting_ = true;
  }
  finish();
  return exit_status_;
}

void Phone::finish() {
  bool done = false;  // Guarded by mutex_.
  std::thread waiter([this, &done] {
    agent_->shutdown(kPatienceAtEnd);
    {
      const std::lock_guard lock(mutex_);
      done = true;
    }
    input_.notify();
  });
  for (bool over = false; !over;) {
    const auto woken = input_.wait(std::nullopt, false);
    take_events();
    const std::lock_guard lock(mutex_);
    over = (done && arrived_.empty()) || woken.signalled;
  }
  waiter.join();
  if (at_terminal_ && prompt_shown_) write_line("");
}

void Phone::take_events() {
  for (;;) {
    std::deque<std::pair<Event, TimePoint>> events;
    {
      const std::lock_guard lock(mutex_);
      events.swap(arrived_);
    }
    if (events.empty()) return;
    for (const auto& [event, at] : events) {
      show(event, at);
      note(event);
    }
  }
}

void Phone::note(const Event& event) {
  if (const auto* registration = std::get_if<RegistrationChanged>(&event)) {
    registration_ = *registration;
  } else if (const auto* incoming = std::get_if<IncomingCall>(&event)) {
    CallEntry& entry = calls_[incoming->call];
    entry.state = CallState::Incoming;
    entry.incoming = true;
    entry.who = incoming->from;
    if (!current_ || settings_.auto_answer) current_ = incoming->call;
    set_up(incoming->call);
    // Nobody fills the disk, or overwrites a recording, by ringing.
    if (settings_.auto_answer) start_recording(incoming->call);
    // The library answers it.
    if (incoming->replaces) return;
    const auto taken =
        settings_.auto_answer ? agent_->answer(incoming->call) : agent_->ring(incoming->call);
    // The caller may have given up meanwhile; then the call's own event says so.
    if (!taken && taken.error().code != ErrorCode::NotFound) complain(taken.error().detail);
  } else if (const auto* changed = std::get_if<CallStateChanged>(&event)) {
    auto found = calls_.find(changed->call);
    if (found == calls_.end()) {
      if (changed->state != CallState::Calling) return;
      // Not by a command: a transfer has placed it.
      found = calls_.emplace(changed->call, CallEntry{}).first;
      found->second.who = changed->reason.substr(changed->reason.find(' ') + 1);
      current_ = changed->call;
      set_up(changed->call);
      start_recording(changed->call);
    }
    found->second.state = changed->state;
    if (changed->state == CallState::Confirmed && found->second.incoming &&
        !settings_.auto_answer) {
      start_recording(changed->call);
    }
    if (changed->state != CallState::Ended) return;
    calls_.erase(found);
    if (current_ == changed->call) {
      current_ = calls_.empty() ? CallId{} : calls_.rbegin()->first;
    }
  } else if (const auto* media = std::get_if<CallMediaChanged>(&event)) {
    const auto found = calls_.find(media->call);
    if (found == calls_.end()) return;
    found->second.media = *media;
    found->second.held = media->held_by_us;
  } else if (const auto* statistics = std::get_if<CallStatistics>(&event)) {
    const auto found = calls_.find(statistics->call);
    if (found != calls_.end()) found->second.statistics = *statistics;
  }
}

void Phone::set_up(CallId call) {
  if (settings_.source.kind != AudioSource::Kind::Silence) {
    if (auto set = agent_->set_source(call, settings_.source); !set) complain(set.error().detail);
  }
}

void Phone::start_recording(CallId call) {
  if (settings_.record.empty()) return;
  const auto file = numbered(settings_.record, ++recorded_calls_);
  if (auto set = agent_->record(call, file); !set) complain(set.error().detail);
}

void Phone::show(const Event& event, TimePoint at) {
  if (settings_.events == EventFormat::Json) {
    write_line(to_json(event, at));
    return;
  }
  const std::string words = in_words(event);
  if (!words.empty()) say(words);
}

void Phone::handle_line(const std::string& line) {
  const std::string_view text = trimmed(line);
  if (text.empty() || text.front() == '#') return;
  const auto blank = text.find_first_of(" \t");
  const std::string_view name = text.substr(0, blank);
  const std::string argument(blank == std::string_view::npos ? std::string_view{}
                                                             : trimmed(text.substr(blank)));
  for (const Command& command : commands()) {
    if (command.name != name) continue;
    if (command.arguments.empty() && !argument.empty()) {
      report(name, fail(ErrorCode::InvalidArgument,
                        fmt::format("takes nothing after it, not {}", quoted(argument))));
      return;
    }
    if (!command.arguments.empty() && command.arguments.front() != '[' && argument.empty()) {
      report(name, fail(ErrorCode::InvalidArgument, fmt::format("needs {}", command.arguments)));
      return;
    }
    report(name, (this->*command.run)(argument));
    return;
  }
  report(name, fail(ErrorCode::InvalidArgument, "is no command; help lists them"));
}

void Phone::report(std::string_view command, const Result<std::string>& result) {
  if (settings_.events == EventFormat::Json) {
    JsonWriter json;
    json.begin_object().member("event", "result").member("t_ms", io::now().time_since_epoch());
    json.member("command", command).member("ok", result.has_value());
    if (result && command == "call") json.member("call", current_.value());
    if (begun_) json.member(begun_->first, begun_->second);
    if (!result) json.member("error", result.error().detail);
    write_line(json.end_object().take());
  } else if (result && !result->empty()) {
    say(*result);
  }
  begun_.reset();
  if (!result) complain(printable(std::string(command)) + ": " + result.error().detail);
}

void Phone::say(const std::string& text) {
  if (settings_.events == EventFormat::Json) return;
  write_line((prompt_shown_ ? "\r\x1b[K" : "") + text);
  prompt_shown_ = false;
}

void Phone::complain(const std::string& text) {
  if (prompt_shown_) {
    say(text);
  } else {
    fmt::print(stderr, "godwit phone: {}\n", visible(text, true));
  }
}

void Phone::write_line(const std::string& line) {
  // Whoever reads us has gone: there is nobody left to phone for.
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() ||
      std::fputc('\n', stdout) == EOF || std::fflush(stdout) != 0) {
    quitting_ = true;
  }
}

void Phone::prompt() {
  if (!at_terminal_ || prompt_shown_ || settings_.events == EventFormat::Json) return;
  std::fputs("godwit> ", stdout);
  std::fflush(stdout);
  prompt_shown_ = true;
}

}  // namespace godwit::app
