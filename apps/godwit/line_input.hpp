// SPDX-License-Identifier: Apache-2.0
//
// Waits for three things at once: lines on standard input, signals that end the program, and word
// from other threads. For the main thread of a command; poll() and not epoll, so that standard
// input may be a plain file too.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "godwit/time.hpp"
#include "io/descriptor.hpp"

namespace godwit::app {

class LineInput {
 public:
  /// Longer lines are cut to nothing and reported with `too_long`.
  static constexpr std::size_t kMaxLine = 4096;

  struct Woken {
    bool signalled = false;           ///< SIGINT or SIGTERM came.
    bool notified = false;            ///< notify() was called.
    bool end = false;                 ///< No more lines will come.
    std::optional<std::string> line;  ///< Without its end.
    bool too_long = false;
  };

  /// Blocks SIGINT and SIGTERM for this thread and those started later; make it before all threads.
  /// Without `read_lines` standard input is left alone.
  explicit LineInput(bool read_lines);

  /// Waits until something happens or `deadline` has come. With `want_lines` false lines stay where
  /// they are.
  Woken wait(std::optional<TimePoint> deadline, bool want_lines);
  /// From any thread.
  void notify();

 private:
  std::optional<std::string> next_line();
  void read_more();

  bool read_lines_;
  io::Descriptor signals_;
  io::Descriptor wake_;
  std::string pending_;
  std::size_t line_length_ = 0;  ///< Of the unfinished line in pending_.
  bool skipping_ = false;        ///< In the rest of a line that was too long.
  bool too_long_ = false;
  bool at_end_ = false;
};

}  // namespace godwit::app
