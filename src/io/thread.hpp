// SPDX-License-Identifier: Apache-2.0
//
// What a thread may ask of the scheduler; all of it best effort, for an ordinary user has few
// rights.
#pragma once

#include "godwit/time.hpp"

namespace godwit::io {

/// The calling thread's name in debuggers and `top`; at most 15 characters count.
void name_thread(const char* name);

/// Asks for real-time scheduling of the calling thread, else a better nice value, else nothing:
/// audio runs then as everything else does. Threads and processes started from it do not inherit
/// it.
void prefer_real_time();

/// Watches what a thread that prefer_real_time() favoured uses of a processor. More than half of
/// one for a second is overload or an error of ours; ahead of everything else on a small machine it
/// would shut out those who could end it. Then the thread goes back among the ordinary ones, for
/// good.
class RealTimeGuard {
 public:
  /// Call it often, on the thread itself. True, once: the thread has just lost its precedence.
  bool check(TimePoint now);

 private:
  TimePoint period_began_{};
  Duration used_before_{};
  bool given_up_ = false;
};

}  // namespace godwit::io
