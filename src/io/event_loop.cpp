// SPDX-License-Identifier: Apache-2.0
#include "io/event_loop.hpp"

#define ASIO_STANDALONE
#define ASIO_NO_DEPRECATED
#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer knows no fences. Asio's queues are guarded by a mutex anyway; its fences add
// nothing here, where one thread runs the loop.
#define ASIO_DISABLE_FENCED_BLOCK
#endif
#include <utility>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>

namespace godwit::io {

class EventLoop::Impl {
 public:
  // One thread runs it; posts come from any, so the hint 1 (not "unsafe") is right.
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
};

struct EventLoop::Watch::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, int fd, std::function<void()> readable,
        std::function<void()> writable)
      : descriptor(context, fd),
        on_readable(std::move(readable)),
        on_writable(std::move(writable)) {}

  void wait() {
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const asio::error_code& error) {
                            if (self->closed || error) return;
                            // The callback may destroy the watch: `self` keeps the state until the
                            // end, `closed` then says not to wait again.
                            self->on_readable();
                            if (!self->closed) self->wait();
                          });
  }

  void wait_writable() {
    if (awaits_writable || closed) return;
    awaits_writable = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_write,
                          [self = shared_from_this()](const asio::error_code& error) {
                            self->awaits_writable = false;
                            if (!self->closed && !error) self->on_writable();
                          });
  }

  asio::posix::stream_descriptor descriptor;
  std::function<void()> on_readable;
  std::function<void()> on_writable;
  bool awaits_writable = false;
  bool closed = false;
};

EventLoop::Watch::~Watch() {
  state_->closed = true;
  if (state_->descriptor.is_open()) state_->descriptor.release();
}

void EventLoop::Watch::await_writable() { state_->wait_writable(); }

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() { impl_->context.run(); }
void EventLoop::run_one() { impl_->context.run_one(); }
void EventLoop::stop() { impl_->context.stop(); }
void EventLoop::post(std::function<void()> work) { asio::post(impl_->context, std::move(work)); }
bool EventLoop::runs_here() const { return impl_->context.get_executor().running_in_this_thread(); }

std::unique_ptr<EventLoop::Watch> EventLoop::watch(int descriptor,
                                                   std::function<void()> on_readable,
                                                   std::function<void()> on_writable) {
  auto state = std::make_shared<Watch::State>(impl_->context, descriptor, std::move(on_readable),
                                              std::move(on_writable));
  state->wait();
  return std::unique_ptr<Watch>(new Watch(std::move(state)));
}

}  // namespace godwit::io
