// SPDX-License-Identifier: Apache-2.0
#include "lab/party.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "lab/clock.hpp"

namespace godwit::lab {
namespace {

constexpr std::size_t kMaxLine = 1 << 20;

std::string text_of(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace

std::optional<TimePoint> event_time(const nlohmann::json& event) {
  const auto found = event.find("t_ms");
  if (found == event.end() || !found->is_number()) return {};
  return TimePoint{Duration{std::llround(found->get<double>() * 1e6)}};
}

std::string describe(const nlohmann::json& event) {
  const std::string kind = text_of(event, "event");
  if (kind == "registration" || kind == "call_state") {
    std::string line =
        (kind == "registration" ? "registration " : "call ") + text_of(event, "state");
    for (const char* key : {"status", "reason"}) {
      if (const auto text = text_of(event, key); !text.empty()) line += " " + text;
    }
    return line;
  }
  if (kind == "ip_change_detected") return "change detected: " + text_of(event, "decision");
  if (kind == "ip_change_progress") {
    std::string line = text_of(event, "kind");
    std::replace(line.begin(), line.end(), '_', ' ');
    if (const auto ended = event.find("ended_ms"); ended != event.end() && ended->is_number()) {
      line += fmt::format(" after {:.1f} ms", ended->get<double>());
    }
    if (event.contains("status")) line += ", " + text_of(event, "status");
    if (event.contains("detail")) line += ": " + text_of(event, "detail");
    return line;
  }
  if (kind == "ip_change_completed") return "change completed";
  if (kind == "network") return event.value("available", false) ? "network is back" : "no network";
  if (kind == "warning") return "warning: " + text_of(event, "text");
  if (kind == "error") return "error: " + text_of(event, "text") + text_of(event, "reason");
  return {};
}

Party::Party(std::string name, std::string log_file)
    : name_(std::move(name)), log_file_(std::move(log_file)) {}

Party::~Party() = default;

Result<std::unique_ptr<Party>> Party::start(std::string name, NetNs& ns, ChildOptions options,
                                            std::string log_file) {
  std::unique_ptr<Party> party{new Party(std::move(name), std::move(log_file))};
  party->log_.reset(
      ::open(party->log_file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!party->log_) return system_error(party->log_file_);
  options.stderr_fd = party->log_.get();
  // What else this machine does, a build say, should not show in the figures.
  options.nice = -10;
  auto child = ns.spawn(options);
  if (!child) return tl::unexpected(child.error());
  party->child_ = std::move(*child);
  return party;
}

void Party::command(const std::string& line) {
  const std::string text = line + "\n";
  const ssize_t ignored = ::write(child_.input.get(), text.data(), text.size());
  static_cast<void>(ignored);  // a party that went away is noticed by its silence
}

bool Party::read_lines(const std::function<void(Party&, const nlohmann::json&)>& on_event) {
  bool any = false;
  std::array<char, 8192> buffer{};
  for (ssize_t length; (length = ::read(output_fd(), buffer.data(), buffer.size())) > 0;) {
    any = true;
    partial_line_.append(buffer.data(), static_cast<std::size_t>(length));
    std::size_t start = 0;
    for (std::size_t end; (end = partial_line_.find('\n', start)) != std::string::npos;
         start = end + 1) {
      const std::string line = partial_line_.substr(start, end - start + 1);
      const ssize_t ignored = ::write(log_.get(), line.data(), line.size());
      static_cast<void>(ignored);
      const auto event = nlohmann::json::parse(line, nullptr, false);
      if (!event.is_object()) continue;
      note(event, boot_now());
      on_event(*this, event);
    }
    partial_line_.erase(0, start);
    if (partial_line_.size() > kMaxLine) partial_line_.clear();
  }
  return any;
}

void Party::note(const nlohmann::json& event, TimePoint now) {
  const std::string kind = text_of(event, "event");
  const std::string state = text_of(event, "state");
  if (kind == "ready") ready = true;
  if (kind == "registration") registered = state == "registered";
  if (kind == "call_state") call_state = state;
  if (kind == "ip_change_detected") changes_detected.push_back(event_time(event).value_or(now));
  if (kind == "ip_change_completed") ++changes_completed;
  if (kind == "ip_change_progress" && event.value("ok", false)) {
    const std::string step = text_of(event, "kind");
    if (step == "contact_updated") contact_updated = event_time(event).value_or(now);
    if (step == "call_refreshed") call_refreshed = event_time(event).value_or(now);
  }
  const bool bad = state == "failed" || state == "ended" || kind == "warning" || kind == "error";
  if (bad) last_complaint = describe(event);
}

}  // namespace godwit::lab
