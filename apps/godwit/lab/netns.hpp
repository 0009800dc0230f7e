// SPDX-License-Identifier: Apache-2.0
//
// A network namespace, owned by a thread that lives in it: closures run on that thread, children
// are forked from it. The namespace ends with the thread and the last child or socket in it. What
// the namespace contains (devices, addresses) is network.hpp's work.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "lab/fd.hpp"

namespace godwit::lab {

/// A child process with pipes. Ends it when destroyed; the kernel ends it if we die first.
class Child {
 public:
  Child() = default;
  Child(Child&& other) noexcept { *this = std::move(other); }
  Child& operator=(Child&& other) noexcept;
  ~Child() { stop(); }

  bool running();
  pid_t pid() const { return pid_; }
  Fd input;   ///< Writes to the child's standard input.
  Fd output;  ///< Reads its standard output; non-blocking.

  /// Waits for the end by itself, at most `limit`; the exit status (128 + signal if killed).
  Result<int> wait(Duration limit);
  /// Closes the input, then SIGTERM, and SIGKILL after `grace`. Does nothing for an ended child.
  void stop(Duration grace = std::chrono::seconds(3));

 private:
  friend class NetNs;
  void take_status(int status);

  pid_t pid_ = -1;
  int exit_status_ = -1;
};

struct ChildOptions {
  std::vector<std::string> command;  ///< Program (found in PATH) and arguments.
  std::string stderr_file;           ///< Appended to; empty: /dev/null.
  int stderr_fd = -1;                ///< Used instead of the file if given; stays the caller's.
  bool stdout_to_stderr = false;
  int nice = 0;  ///< Below 0 only works for root.
  /// In a process id namespace of its own: whatever the child forks ends with it, however it ends.
  bool contain = false;
  std::string hosts_file;  ///< Stands for /etc/hosts there; empty: the system's.
};

class NetNs {
 public:
  /// Makes the process able to create namespaces: as root nothing, else a user namespace in which
  /// we are root. Must be called while the process has one thread. Fails with the reason.
  static Result<void> prepare_process();

  static Result<std::unique_ptr<NetNs>> create(std::string name);
  /// A thread that stays in the process's own namespace: children and closures as elsewhere. For
  /// the degraded demo.
  static Result<std::unique_ptr<NetNs>> host(std::string name);
  ~NetNs();
  NetNs(const NetNs&) = delete;
  NetNs& operator=(const NetNs&) = delete;

  const std::string& name() const { return name_; }
  /// Runs `work` inside and returns when it is done.
  void run(const std::function<void()>& work);
  Result<Child> spawn(const ChildOptions& options);
  /// Feeds `lines` to `ip -batch -` inside. The process is started first, so that the lines are
  /// carried out at once, together; `before` is read right before they are handed over.
  Result<void> ip_batch(const std::string& lines, TimePoint* before = nullptr);

 private:
  class Thread;
  explicit NetNs(std::string name);
  static Result<std::unique_ptr<NetNs>> start(std::string name, bool isolated);

  std::string name_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace godwit::lab
