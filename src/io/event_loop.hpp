// SPDX-License-Identifier: Apache-2.0
//
// One thread's loop over descriptors and posted work: a thin face of asio::io_context that keeps
// Asio out of headers. Owned by whoever runs the thread. It owns no descriptor that it watches and
// knows no time: deadlines are timerfds (io/clock.hpp) watched like any other descriptor.
#pragma once

#include <functional>
#include <memory>

namespace godwit::io {

class EventLoop {
 public:
  /// Level-triggered interest in one descriptor; destroying it ends the interest, and the callback
  /// is not called any more, not even for readiness seen before. Destroy it on the loop's thread
  /// (or when the loop does not run), and before the descriptor is closed.
  class Watch {
   public:
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// Calls `on_writable` once, when the descriptor has room or an error; a second request while
    /// one is outstanding does nothing. On the loop's thread.
    void await_writable();

   private:
    friend class EventLoop;
    struct State;
    explicit Watch(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  EventLoop();
  /// All watches must be gone. Work posted but not run is destroyed without running.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Runs callbacks on the calling thread until stop().
  void run();
  /// Runs one callback, waiting for it if there is none yet: for tests.
  void run_one();
  /// Makes run() return after the callback that runs now. From any thread, for good.
  void stop();
  /// Runs `work` on the loop's thread, after what was posted before. From any thread.
  void post(std::function<void()> work);
  /// True on the thread that is in run().
  bool runs_here() const;

  /// Calls `on_readable` whenever `descriptor` has input or an error to be read. The descriptor
  /// must be one that epoll accepts: a socket, pipe, timerfd, eventfd or terminal, no regular file.
  /// `on_writable` is only called after Watch::await_writable().
  std::unique_ptr<Watch> watch(int descriptor, std::function<void()> on_readable,
                               std::function<void()> on_writable = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit::io
