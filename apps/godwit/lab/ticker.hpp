// SPDX-License-Identifier: Apache-2.0
//
// The live line: what happens, as it happens. On a terminal each happening scrolls by and one line
// below shows the audio; elsewhere only the happenings are printed. Also tells of Ctrl-C.
#pragma once

#include <cstdio>
#include <string>

#include "lab/scenario.hpp"

namespace godwit::lab {

class Ticker {
 public:
  /// Also takes over SIGINT and SIGTERM for as long as it lives.
  explicit Ticker(std::FILE* out);
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

  ScenarioObserver observer();
  /// Tells nothing; still heeds Ctrl-C.
  static ScenarioObserver quiet_observer();
  /// Takes the live line away, before something else is printed.
  void clear();
  static bool interrupted();

 private:
  std::FILE* out_;
  bool terminal_;
  bool line_shown_ = false;
};

}  // namespace godwit::lab
