// SPDX-License-Identifier: Apache-2.0
//
// A library must not take the application's signals: its threads are started with all of them
// blocked, which they inherit from the thread that starts them.
#pragma once

#include <signal.h>

namespace godwit::runtime {

class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace godwit::runtime
