// SPDX-License-Identifier: Apache-2.0
//
// A bounded queue into another thread's event loop: push from any thread, handled there in order.
// Between the signalling and the media thread there are two, one each way. Owned by the receiver.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "io/event_loop.hpp"

namespace godwit::runtime {

template <typename T>
class Mailbox {
 public:
  enum class Pushed { Yes, Full };

  /// `loop` must outlive every push. `handle` runs on it, and not after the mailbox's destruction
  /// there.
  Mailbox(io::EventLoop& loop, std::size_t limit, std::function<void(T)> handle)
      : loop_(loop), shared_(std::make_shared<Shared>(limit, std::move(handle))) {}
  ~Mailbox() {
    const std::lock_guard lock(shared_->mutex);
    shared_->closed = true;
    shared_->queue.clear();
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// With `reserve`, refuses already when fewer than that many places are left: for what may be
  /// dropped, so that it never crowds out what may not.
  Pushed push(T item, std::size_t reserve = 0) {
    {
      const std::lock_guard lock(shared_->mutex);
      if (shared_->queue.size() + reserve >= shared_->limit) return Pushed::Full;
      shared_->queue.push_back(std::move(item));
      if (shared_->posted) return Pushed::Yes;
      shared_->posted = true;
    }
    loop_.post([shared = shared_] { shared->drain(); });
    return Pushed::Yes;
  }

 private:
  struct Shared {
    Shared(std::size_t most, std::function<void(T)> handler)
        : limit(most), handle(std::move(handler)) {}

    void drain() {
      std::deque<T> batch;
      {
        const std::lock_guard lock(mutex);
        posted = false;
        batch.swap(queue);
      }
      for (T& item : batch) {
        {
          const std::lock_guard lock(mutex);
          if (closed) return;
        }
        handle(std::move(item));
      }
    }

    const std::size_t limit;
    const std::function<void(T)> handle;
    std::mutex mutex;
    std::deque<T> queue;  // Guarded by mutex, as are the flags.
    bool posted = false;
    bool closed = false;
  };

  io::EventLoop& loop_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace godwit::runtime
