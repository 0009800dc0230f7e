// SPDX-License-Identifier: Apache-2.0
#include "line_input.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "io/clock.hpp"

namespace godwit::app {

LineInput::LineInput(bool read_lines) : read_lines_(read_lines) {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
  signals_ = io::Descriptor(::signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC));
  wake_ = io::Descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!signals_ || !wake_) throw std::runtime_error("the system has no descriptors left");
}

void LineInput::notify() {
  const std::uint64_t one = 1;
  // A full counter (EAGAIN) wakes as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

LineInput::Woken LineInput::wait(std::optional<TimePoint> deadline, bool want_lines) {
  Woken woken;
  const auto take_line = [&] {
    if (!read_lines_ || !want_lines) return false;
    woken.line = next_line();
    woken.too_long = std::exchange(too_long_, false);
    woken.end = !woken.line && !woken.too_long && at_end_;
    return woken.line || woken.too_long || woken.end;
  };
  // Lines that have come already must not keep events and signals from being seen.
  const bool have = take_line();
  const bool read_now = read_lines_ && want_lines && !at_end_ && !have;
  std::array<pollfd, 3> entries{{{signals_.get(), POLLIN, 0},
                                 {wake_.get(), POLLIN, 0},
                                 {read_now ? STDIN_FILENO : -1, POLLIN, 0}}};
  int timeout = have ? 0 : -1;
  if (!have && deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - io::now()).count();
    timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
  }
  if (::poll(entries.data(), entries.size(), timeout) < 0) return woken;  // EINTR: wait again.
  if (entries[0].revents != 0) {
    signalfd_siginfo info{};
    woken.signalled = ::read(signals_.get(), &info, sizeof info) == sizeof info;
  }
  if (entries[1].revents != 0) {
    std::uint64_t count = 0;
    woken.notified = ::read(wake_.get(), &count, sizeof count) > 0;
  }
  if (entries[2].revents != 0) {
    read_more();
    take_line();
  }
  return woken;
}

std::optional<std::string> LineInput::next_line() {
  const auto end = pending_.find('\n');
  if (end == std::string::npos) {
    if (at_end_ && !pending_.empty()) return std::exchange(pending_, {});  // Without a line end.
    return std::nullopt;
  }
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end + 1);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

void LineInput::read_more() {
  std::array<char, 4096> block;
  const ssize_t got = ::read(STDIN_FILENO, block.data(), block.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    at_end_ = true;
    return;
  }
  for (const char c : std::string_view(block.data(), static_cast<std::size_t>(got))) {
    if (skipping_) {
      skipping_ = c != '\n';
      continue;
    }
    pending_ += c;
    line_length_ = c == '\n' ? 0 : line_length_ + 1;
    if (line_length_ > kMaxLine) {
      pending_.resize(pending_.size() - line_length_);
      line_length_ = 0;
      too_long_ = true;
      skipping_ = true;
    }
  }
}

}  // namespace godwit::app
