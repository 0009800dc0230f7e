// SPDX-License-Identifier: Apache-2.0
#include "lab/netns.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "lab/clock.hpp"

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

Result<void> write_text(const char* file, const std::string& text) {
  const Fd fd{::open(file, O_WRONLY | O_CLOEXEC)};
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return system_error(file);
  }
  return {};
}

void sleep_for(Duration d) { std::this_thread::sleep_for(d); }

/// In the child between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const std::vector<char*>& argv, int in, int out, int err, pid_t parent,
                         int nice, const char* hosts_file) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the line above
  ::setpgid(0, 0);                          // a Ctrl-C at the terminal is ours to hand on
  ::setpriority(PRIO_PROCESS, 0, nice);     // where we may
  if (hosts_file != nullptr &&
      (::unshare(CLONE_NEWNS) != 0 ||
       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
       ::mount(hosts_file, "/etc/hosts", nullptr, MS_BIND, nullptr) != 0)) {
    constexpr char kText[] = "cannot give the program a hosts file of its own\n";
    const ssize_t ignored = ::write(err, kText, sizeof kText - 1);
    static_cast<void>(ignored);
    ::_exit(127);
  }
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(argv[0], argv.data());
  constexpr char kText[] = "cannot execute the program\n";
  const ssize_t ignored = ::write(STDERR_FILENO, kText, sizeof kText - 1);
  static_cast<void>(ignored);
  ::_exit(127);
}

/// fork() into a new process id namespace, where the child is init: its end is the end of all
/// there.
pid_t fork_contained() {
  return static_cast<pid_t>(
      ::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

}  // namespace

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  stop();
  pid_ = std::exchange(other.pid_, -1);
  exit_status_ = other.exit_status_;
  input = std::move(other.input);
  output = std::move(other.output);
  return *this;
}

void Child::take_status(int status) {
  exit_status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
}

bool Child::running() {
  if (pid_ < 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) == pid_) take_status(status);
  return pid_ >= 0;
}

Result<int> Child::wait(Duration limit) {
  const TimePoint deadline = boot_now() + limit;
  while (running()) {
    if (boot_now() >= deadline) return fail(ErrorCode::Timeout, "the process goes on");
    sleep_for(1ms);
  }
  return exit_status_;
}

void Child::stop(Duration grace) {
  input.reset();
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  if (wait(grace)) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  if (::waitpid(pid_, &status, 0) == pid_) take_status(status);
}

/// One closure at a time, handed over under a mutex.
class NetNs::Thread {
 public:
  explicit Thread(bool isolated) : thread_([this, isolated] { loop(isolated); }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ready_; });
  }
  ~Thread() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void run(const std::function<void()>& work) {
    const std::lock_guard turn(turn_);
    std::unique_lock lock(mutex_);
    work_ = &work;
    changed_.notify_all();
    changed_.wait(lock, [this] { return work_ == nullptr; });
  }

  std::string
      failure;  ///< Why the namespace could not be made; set before the constructor returns.

 private:
  void loop(bool isolated) {
    std::unique_lock lock(mutex_);
    if (isolated && ::unshare(CLONE_NEWNET) != 0) {
      failure = fmt::format("unshare(CLONE_NEWNET): {}", std::strerror(errno));
    }
    ready_ = true;
    changed_.notify_all();
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || work_ != nullptr; });
      if (work_ == nullptr) return;
      (*work_)();
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void()>* work_ = nullptr;
  bool ready_ = false;
  bool stop_ = false;
  std::thread thread_;  // last: the loop uses all of the above
};

NetNs::NetNs(std::string name) : name_(std::move(name)) {}
NetNs::~NetNs() = default;

Result<void> NetNs::prepare_process() {
  if (::geteuid() == 0) return {};
  const auto uid = ::geteuid();
  const auto gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) {
    const int error = errno;
    return fail(ErrorCode::Unsupported,
                fmt::format("this system allows no unprivileged user namespaces ({}; see sysctl "
                            "user.max_user_namespaces and kernel.unprivileged_userns_clone)",
                            std::strerror(error)));
  }
  // user_namespaces(7): setgroups must be denied before an unprivileged process may map groups.
  if (auto r = write_text("/proc/self/setgroups", "deny"); !r) return r;
  if (auto r = write_text("/proc/self/uid_map", fmt::format("0 {} 1", uid)); !r) return r;
  return write_text("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

Result<std::unique_ptr<NetNs>> NetNs::start(std::string name, bool isolated) {
  std::unique_ptr<NetNs> ns{new NetNs(std::move(name))};
  ns->thread_ = std::make_unique<Thread>(isolated);
  if (!ns->thread_->failure.empty()) return fail(ErrorCode::Io, ns->thread_->failure);
  return ns;
}

Result<std::unique_ptr<NetNs>> NetNs::create(std::string name) {
  auto ns = start(std::move(name), true);
  if (!ns) return ns;
  if (auto up = (*ns)->ip_batch("link set lo up\n"); !up) return tl::unexpected(up.error());
  return ns;
}

Result<std::unique_ptr<NetNs>> NetNs::host(std::string name) {
  return start(std::move(name), false);
}

void NetNs::run(const std::function<void()>& work) { thread_->run(work); }

Result<Child> NetNs::spawn(const ChildOptions& options) {
  std::vector<std::string> words = options.command;
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return system_error("pipe");
  Child child;
  const Fd child_in{in[0]};
  child.input.reset(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return system_error("pipe");
  child.output.reset(out[0]);
  const Fd child_out{out[1]};
  Fd log;
  int child_err = options.stderr_fd;
  if (child_err < 0) {
    const char* file = options.stderr_file.empty() ? "/dev/null" : options.stderr_file.c_str();
    log.reset(::open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log) return system_error(file);
    child_err = log.get();
  }
  ::fcntl(child.output.get(), F_SETFL, O_NONBLOCK);
  const int stdout_fd = options.stdout_to_stderr ? child_err : child_out.get();

  // PR_SET_PDEATHSIG fires when the forking *thread* ends; this one lives as long as the namespace.
  const char* hosts = options.hosts_file.empty() ? nullptr : options.hosts_file.c_str();
  pid_t pid = -1;
  run([&] {
    // Seen from a new process id namespace the parent is number 0.
    const pid_t parent = options.contain ? 0 : ::getpid();
    pid = options.contain ? fork_contained() : ::fork();
    if (pid == 0) become(argv, child_in.get(), stdout_fd, child_err, parent, options.nice, hosts);
  });
  if (pid < 0) return system_error("fork");
  child.pid_ = pid;
  return child;
}

Result<void> NetNs::ip_batch(const std::string& lines, TimePoint* before) {
  const Fd complaints{::memfd_create("ip-batch", MFD_CLOEXEC)};
  if (!complaints) return system_error("memfd_create");
  ChildOptions options;
  options.command = {"ip", "-batch", "-"};
  options.stderr_fd = complaints.get();
  auto child = spawn(options);
  if (!child) return tl::unexpected(child.error());
  // Time for exec and the dynamic linker, so that only parsing and netlink follow the hand-over.
  if (before != nullptr) {
    sleep_for(50ms);
    *before = boot_now();
  }
  const ssize_t written = ::write(child->input.get(), lines.data(), lines.size());
  child->input.reset();
  const auto status = child->wait(5s);
  if (written == static_cast<ssize_t>(lines.size()) && status && *status == 0) return {};
  char text[400];
  const ssize_t length = ::pread(complaints.get(), text, sizeof text, 0);
  std::string reason(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  for (char& c : reason) {
    if (c == '\n') c = ' ';
  }
  return fail(ErrorCode::Io, fmt::format("ip -batch in {}: {}", name_, reason));
}

}  // namespace godwit::lab
