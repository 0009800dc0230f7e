// SPDX-License-Identifier: Apache-2.0
#include "io/stream_connection.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace godwit::io {
namespace {

// A TLS record with its overhead, or some SIP messages.
constexpr std::size_t kReadChunk = 16 * 1024;

}  // namespace

StreamConnection StreamConnection::opening(StreamSocket socket, std::optional<TlsSession> tls) {
  return {std::move(socket), std::move(tls), State::Connecting};
}

StreamConnection StreamConnection::accepted(StreamSocket socket, std::optional<TlsSession> tls) {
  const State state = tls ? State::Securing : State::Open;
  return {std::move(socket), std::move(tls), state};
}

void StreamConnection::end(Progress& progress, std::string reason) {
  if (state_ == State::Closed) return;
  state_ = State::Closed;
  queue_.clear();
  progress.closed = std::move(reason);
}

void StreamConnection::settle(Progress& progress, Result<void> result) {
  // TLS may have a last alert for the peer, which tells it why.
  if (!result && tls_) {
    const std::string alert = tls_->take_output();
    if (!alert.empty() && queue_.empty()) (void)socket_.write(as_bytes(alert));
  }
  if (result) result = flush();
  if (!result) end(progress, result.error().detail);
}

void StreamConnection::check_connected(Progress& progress) {
  const auto connected = socket_.connected();
  if (!connected) {
    end(progress, connected.error().detail);
  } else if (*connected) {
    state_ = tls_ ? State::Securing : State::Open;
    progress.opened = !tls_;
    settle(progress, {});
  }
}

StreamConnection::Progress StreamConnection::on_writable() {
  Progress progress;
  if (state_ == State::Connecting) {
    check_connected(progress);
  } else if (state_ != State::Closed) {
    settle(progress, {});
  }
  return progress;
}

StreamConnection::Progress StreamConnection::on_readable() {
  Progress progress;
  if (state_ == State::Connecting) check_connected(progress);
  std::array<std::uint8_t, kReadChunk> room;
  for (std::size_t total = 0; total < kMaxRead && (open() || state_ == State::Securing);) {
    const auto got = socket_.read(room);
    if (!got) {
      end(progress, got.error().detail);
    } else if (got->end) {
      end(progress, state_ == State::Securing
                        ? "the peer closed the connection during the TLS handshake"
                        : "");
    } else if (got->bytes == 0) {
      break;
    } else {
      total += got->bytes;
      take(Bytes(room.data(), got->bytes), progress);
    }
  }
  return progress;
}

void StreamConnection::take(Bytes wire, Progress& progress) {
  if (!tls_) {
    progress.received += as_text(wire);
    return;
  }
  auto result = tls_->receive(wire, progress.received);
  if (result && state_ == State::Securing && tls_->established()) {
    state_ = State::Open;
    progress.opened = true;
  }
  settle(progress, std::move(result));
  if (tls_->ended()) end(progress, "");
}

Result<void> StreamConnection::send(Bytes bytes) {
  if (!open()) return fail(ErrorCode::WrongState, "the connection is not open");
  if (queue_.size() + bytes.size() > kMaxQueued) {
    return fail(ErrorCode::Busy, "the peer does not read what is sent to it");
  }
  if (tls_) {
    if (auto sent = tls_->send(bytes); !sent) return sent;
  } else {
    queue_ += as_text(bytes);
  }
  return flush();
}

Result<void> StreamConnection::flush() {
  if (tls_) queue_ += tls_->take_output();
  std::size_t done = 0;
  while (done < queue_.size()) {
    const auto sent = socket_.write(as_bytes(std::string_view(queue_).substr(done)));
    if (!sent) return tl::unexpected(sent.error());
    if (*sent == 0) break;
    done += *sent;
  }
  queue_.erase(0, done);
  // What a TLS peer can make us answer without reading (key updates) has the same limit.
  if (queue_.size() > 2 * kMaxQueued) {
    return fail(ErrorCode::Busy, "the peer does not read what is sent to it");
  }
  return {};
}

void StreamConnection::close() {
  if (state_ == State::Closed) return;
  if (tls_ && open()) {
    tls_->close();
    (void)flush();
  }
  state_ = State::Closed;
  queue_.clear();
}

}  // namespace godwit::io
