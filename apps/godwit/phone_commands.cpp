// SPDX-License-Identifier: Apache-2.0
//
// What each command of `godwit phone` does (Phone's do_* members).
#include <fmt/core.h>

#include <sstream>

#include "base/json_writer.hpp"
#include "io/clock.hpp"
#include "phone.hpp"
#include "settings.hpp"

namespace godwit::app {
namespace {

constexpr std::int64_t kMaxWait = 86'400;

Result<std::string> done(Result<void> result, std::string text = {}) {
  if (!result) return tl::unexpected(result.error());
  return text;
}

std::string state_in_words(CallState state) {
  switch (state) {
    case CallState::Calling: return "calling";
    case CallState::Incoming: return "calls you";
    case CallState::Ringing: return "ringing";
    case CallState::EarlyMedia: return "not answered yet";
    case CallState::Confirmed: return "connected";
    case CallState::Ended: return "ended";
  }
  return "?";
}

}  // namespace

Result<CallId> Phone::pick(const std::string& argument) const {
  if (argument.empty()) {
    if (!current_) return fail(ErrorCode::NotFound, "there is no call");
    return current_;
  }
  const auto number = parse_number(argument, 1, UINT32_MAX);
  if (!number)
    return fail(ErrorCode::InvalidArgument, "the call's number " + number.error().detail);
  const CallId call(static_cast<std::uint32_t>(*number));
  if (!calls_.contains(call)) {
    return fail(ErrorCode::NotFound, fmt::format("there is no call {}", *number));
  }
  return call;
}

Result<std::string> Phone::on_call(const std::string& argument,
                                   Result<void> (UserAgent::*action)(CallId)) {
  const auto call = pick(argument);
  if (!call) return tl::unexpected(call.error());
  return done((agent_.get()->*action)(*call));
}

Result<std::string> Phone::do_register(const std::string&) {
  return done(agent_->register_account(account_));
}

Result<std::string> Phone::do_unregister(const std::string&) {
  return done(agent_->unregister_account(account_));
}

Result<std::string> Phone::do_push_wake(const std::string&) {
  return done(agent_->push_wake(account_));
}

Result<std::string> Phone::do_call(const std::string& argument) {
  if (argument.find_first_of(" \t<>\"") != std::string::npos) {
    return fail(ErrorCode::InvalidArgument,
                fmt::format("needs a user name or a SIP URI, not {}", quoted(argument)));
  }
  const auto call = agent_->call(account_, argument);
  if (!call) return tl::unexpected(call.error());
  calls_[*call].who = argument;
  current_ = *call;
  set_up(*call);
  start_recording(*call);
  return std::string{};
}

Result<std::string> Phone::do_answer(const std::string& argument) {
  auto call = pick(argument);
  if (argument.empty() && call && calls_.at(*call).state != CallState::Incoming) {
    // "answer" means the call that waits for an answer, not the one that is going on.
    for (const auto& [id, entry] : calls_) {
      if (entry.incoming && entry.state == CallState::Incoming) call = id;
    }
  }
  if (!call) return tl::unexpected(call.error());
  auto answered = done(agent_->answer(*call));
  if (answered) current_ = *call;
  return answered;
}

Result<std::string> Phone::do_reject(const std::string& argument) {
  int status = 603;
  if (!argument.empty()) {
    const auto number = parse_number(argument, 400, 699);
    if (!number) return fail(ErrorCode::InvalidArgument, "the code " + number.error().detail);
    status = static_cast<int>(*number);
  }
  for (const auto& [id, entry] : calls_) {
    if (entry.incoming &&
        (entry.state == CallState::Incoming || entry.state == CallState::Ringing)) {
      return done(agent_->reject(id, status));
    }
  }
  return fail(ErrorCode::NotFound, "nobody is calling");
}

Result<std::string> Phone::do_progress(const std::string& argument) {
  int status = 183;
  if (!argument.empty()) {
    const auto number = parse_number(argument, 101, 199);
    if (!number) return fail(ErrorCode::InvalidArgument, "the code " + number.error().detail);
    status = static_cast<int>(*number);
  }
  for (const auto& [id, entry] : calls_) {
    if (entry.incoming && entry.state != CallState::Confirmed && entry.state != CallState::Ended) {
      return done(agent_->progress(id, status));
    }
  }
  return fail(ErrorCode::NotFound, "nobody is calling");
}

Result<std::string> Phone::do_follow(const std::string& argument) {
  return on_call(argument, &UserAgent::follow_redirect);
}

Result<std::string> Phone::do_hangup(const std::string& argument) {
  return on_call(argument, &UserAgent::hang_up);
}

Result<std::string> Phone::do_hold(const std::string& argument) {
  return on_call(argument, &UserAgent::hold);
}

Result<std::string> Phone::do_resume(const std::string& argument) {
  return on_call(argument, &UserAgent::resume);
}

Result<std::string> Phone::do_use(const std::string& argument) {
  const auto call = pick(argument);
  if (!call) return tl::unexpected(call.error());
  current_ = *call;
  return fmt::format("call {} is the current one", current_.value());
}

Result<std::string> Phone::send(AudioSource source) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  return done(agent_->set_source(*call, std::move(source)));
}

Result<std::string> Phone::do_play(const std::string& argument) {
  AudioSource source;
  source.kind = AudioSource::Kind::File;
  source.file = argument;
  source.loop = true;
  return send(std::move(source));
}

Result<std::string> Phone::do_tone(const std::string& argument) {
  AudioSource source;
  source.kind = AudioSource::Kind::Tone;
  if (!argument.empty()) {
    const auto hz = parse_tone(argument);
    if (!hz) return tl::unexpected(hz.error());
    source.tone_hz = *hz;
  }
  return send(source);
}

Result<std::string> Phone::do_echo(const std::string&) {
  AudioSource source;
  source.kind = AudioSource::Kind::Echo;
  return send(source);
}

Result<std::string> Phone::do_silence(const std::string&) { return send({}); }

Result<std::string> Phone::do_record(const std::string& argument) {
  const auto call = pick({});
  if (!call) return tl::unexpected(call.error());
  return done(agent_->record(*call, argument),
              argument.empty() ? "recording ended" : "recording to " + quoted(argument));
}

Result<std::string> Phone::do_mute(const std::string& argument) {
  const auto call = pick(argument);
  if (!call) return tl::unexpected(call.error());
  auto result = done(agent_->mute(*call, true), fmt::format("call {} muted", call->value()));
  if (result) calls_.at(*call).muted = true;
  return result;
}

Result<std::string> Phone::do_unmute(const std::string& argument) {
  const auto call = pick(argument);
  if (!call) return tl::unexpected(call.error());
  auto result = done(agent_->mute(*call, false), fmt::format("call {} not muted", call->value()));
  if (result) calls_.at(*call).muted = false;
  return result;
}

Result<std::string> Phone::do_ip_change(const std::string& argument) {
  IpChangeOptions options;
  std::istringstream words(argument);
  for (std::string word; words >> word;) {
    if (word == "restart") {
      options.restart_listeners = true;
    } else if (word == "close") {
      options.shut_down_streams = StreamShutdown::All;
    } else {
      return fail(ErrorCode::InvalidArgument,
                  fmt::format("takes restart and close, not {}", app::quoted(word)));
    }
  }
  const auto generation = agent_->handle_ip_change(options);
  if (!generation) return tl::unexpected(generation.error());
  return std::string{};
}

Result<std::string> Phone::do_status(const std::string&) {
  if (settings_.events == EventFormat::Json) {
    write_line(status_json());
    return std::string{};
  }
  return status_text();
}

Result<std::string> Phone::do_wait(const std::string& argument) {
  const auto seconds = parse_number(argument, 0, kMaxWait);
  if (!seconds) return fail(ErrorCode::InvalidArgument, "SECONDS " + seconds.error().detail);
  waits_until_ = io::now() + std::chrono::seconds(*seconds);
  return std::string{};
}

Result<std::string> Phone::do_help(const std::string&) {
  std::string text;
  for (const Command& command : commands()) {
    const std::string usage = std::string(command.name) + " " + std::string(command.arguments);
    text += fmt::format("{}{:<18} {}", text.empty() ? "" : "\n", usage, command.help);
  }
  if (settings_.events == EventFormat::Json) fmt::print(stderr, "{}\n", text);
  return text;
}

Result<std::string> Phone::do_quit(const std::string&) {
  quitting_ = true;
  return std::string{};
}

std::string Phone::status_text() const {
  std::string text;
  if (registration_.state == RegistrationState::Registered) {
    text = "registered as " + printable(registration_.contact);
  } else {
    text = std::string("registration: ") + snake_case(to_string(registration_.state));
  }
  if (calls_.empty()) text += "\nno calls";
  for (const auto& [id, entry] : calls_) {
    text += fmt::format("\ncall {}{}: {}, {}{}{}", id.value(), id == current_ ? " (current)" : "",
                        printable(entry.who), state_in_words(entry.state),
                        entry.held ? ", on hold" : "", entry.muted ? ", muted" : "");
    if (entry.statistics) {
      text += fmt::format(", {} packets sent, {} received, {} lost", entry.statistics->packets_sent,
                          entry.statistics->packets_received, entry.statistics->packets_lost);
    }
  }
  if (const auto counters = agent_->counters()) {
    text += fmt::format(
        "\nSIP: {} datagrams, {} malformed, {} stray", counters->datagrams,
        counters->unparseable + counters->malformed_answered + counters->malformed_dropped,
        counters->stray);
  }
  return text;
}

std::string Phone::status_json() const {
  JsonWriter json;
  json.begin_object().member("event", "status").member("t_ms", io::now().time_since_epoch());
  json.member("registration", snake_case(to_string(registration_.state)));
  json.member("contact", registration_.contact);
  json.key("calls").begin_array();
  for (const auto& [id, entry] : calls_) {
    json.begin_object().member("call", id.value()).member("current", id == current_);
    json.member("incoming", entry.incoming).member("who", entry.who);
    json.member("state", snake_case(to_string(entry.state)));
    json.member("held", entry.held).member("muted", entry.muted);
    if (entry.statistics) {
      json.member("packets_sent", entry.statistics->packets_sent);
      json.member("packets_received", entry.statistics->packets_received);
      json.member("packets_lost", entry.statistics->packets_lost);
    }
    json.end_object();
  }
  json.end_array();
  if (const auto counters = agent_->counters()) {
    json.key("counters").begin_object();
    json.member("datagrams", counters->datagrams).member("unparseable", counters->unparseable);
    json.member("malformed_answered", counters->malformed_answered);
    json.member("malformed_dropped", counters->malformed_dropped);
    json.member("keepalives", counters->keepalives).member("stray", counters->stray);
    json.member("refused_busy", counters->refused_busy);
    json.end_object();
  }
  return json.end_object().take();
}

}  // namespace godwit::app
