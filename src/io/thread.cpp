// SPDX-License-Identifier: Apache-2.0
#include "io/thread.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace godwit::io {

void name_thread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

void prefer_real_time() {
  sched_param parameters{};
  // The lowest real-time priority: ahead of all ordinary work, behind the kernel's and the sound
  // server's own threads.
  parameters.sched_priority = ::sched_get_priority_min(SCHED_RR);
  if (::pthread_setschedparam(::pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &parameters) == 0) {
    return;
  }
  // Nice values are per thread on Linux (against POSIX); -10 is what desktop audio servers use.
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, thread, -10);
}

bool RealTimeGuard::check(TimePoint now) {
  constexpr Duration kPeriod = std::chrono::seconds(1);
  if (given_up_ || now - period_began_ < kPeriod) return false;
  timespec value{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &value);
  const Duration used =
      std::chrono::seconds(value.tv_sec) + std::chrono::nanoseconds(value.tv_nsec);
  given_up_ = period_began_ != TimePoint{} && (used - used_before_) * 2 > now - period_began_;
  period_began_ = now;
  used_before_ = used;
  if (!given_up_) return false;
  const sched_param ordinary{};
  ::pthread_setschedparam(::pthread_self(), SCHED_OTHER, &ordinary);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 0);
  return true;
}

}  // namespace godwit::io
