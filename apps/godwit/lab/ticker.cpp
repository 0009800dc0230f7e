// SPDX-License-Identifier: Apache-2.0
#include "lab/ticker.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace godwit::lab {
namespace {

// A signal handler has nowhere else to put it.
volatile sig_atomic_t signalled = 0;

void on_signal(int) { signalled = 1; }

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

/// Ten marks for the 50 packets a second of 20 ms audio.
std::string meter(double packets_per_second) {
  const auto marks = std::clamp(std::lround(packets_per_second / 5), 0L, 10L);
  std::string bar(static_cast<std::size_t>(marks), '#');
  bar.resize(10, '.');
  return bar;
}

/// Broken at blanks for 80 columns, the first of them taken by the time; for a terminal only, as a
/// file's reader wants one line for each happening.
std::string wrapped(const std::string& line) {
  constexpr std::size_t kIndent = 12;
  constexpr std::size_t kWidth = 80 - kIndent;
  std::string text;
  std::size_t start = 0;
  while (line.size() - start > kWidth) {
    const auto blank = line.rfind(' ', start + kWidth);
    if (blank == std::string::npos || blank <= start) break;
    text += line.substr(start, blank - start) + "\n" + std::string(kIndent, ' ');
    start = blank + 1;
  }
  return text + line.substr(start);
}

}  // namespace

Ticker::Ticker(std::FILE* out) : out_(out), terminal_(::isatty(::fileno(out)) == 1) {
  handle(&on_signal);
}

Ticker::~Ticker() {
  clear();
  handle(SIG_DFL);
}

bool Ticker::interrupted() { return signalled != 0; }

void Ticker::clear() {
  if (!line_shown_) return;
  fmt::print(out_, "\r\033[K");
  std::fflush(out_);
  line_shown_ = false;
}

ScenarioObserver Ticker::quiet_observer() {
  ScenarioObserver observer;
  observer.interrupted = &Ticker::interrupted;
  return observer;
}

ScenarioObserver Ticker::observer() {
  ScenarioObserver observer = quiet_observer();
  observer.happened = [this](Duration at, const std::string& line) {
    clear();
    fmt::print(out_, "{:8.3f} s  {}\n", to_ms(at) / 1000, terminal_ ? wrapped(line) : line);
    std::fflush(out_);
  };
  if (terminal_) {
    observer.audio = [this](Duration at, double down, double up) {
      fmt::print(out_, "\r\033[K{:8.3f} s  audio from peer [{}] {:2.0f}/s  to peer [{}] {:2.0f}/s",
                 to_ms(at) / 1000, meter(down), down, meter(up), up);
      std::fflush(out_);
      line_shown_ = true;
    };
  }
  return observer;
}

}  // namespace godwit::lab
