// SPDX-License-Identifier: Apache-2.0
#include "io/resolver.hpp"

#include <netdb.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "io/socket_address.hpp"

namespace godwit::io {
namespace {

Result<std::vector<IpAddress>> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  // No AI_ADDRCONFIG: which family is usable changes under way and is judged elsewhere.
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (status != 0) {
    const bool unknown = status == EAI_NONAME || status == EAI_NODATA;
    return fail(unknown ? ErrorCode::NotFound : ErrorCode::Network,
                "no address for \"" + host + "\": " + ::gai_strerror(status));
  }
  std::vector<IpAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, each->ai_addr, std::min<std::size_t>(each->ai_addrlen, sizeof storage));
    const IpAddress address = from_sockaddr(storage).address;
    if (address.family() == Family::None) continue;
    if (std::find(addresses.begin(), addresses.end(), address) != addresses.end()) continue;
    addresses.push_back(address);
    if (addresses.size() == Resolver::kMaxAddresses) break;
  }
  ::freeaddrinfo(found);
  if (addresses.empty()) return fail(ErrorCode::NotFound, "no address for \"" + host + "\"");
  return addresses;
}

}  // namespace

struct Resolver::Shared {
  std::mutex mutex;
  EventLoop* loop;  // Null once the resolver is gone; guarded by `mutex`.
  int running = 0;  // Guarded by `mutex`.
};

Resolver::Resolver(EventLoop& loop) : loop_(loop), shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
}

void Resolver::resolve(const std::string& host, Answer answer) {
  // The answer may be posted but not yet run when the resolver goes; hence the second check there.
  auto deliver = [shared = shared_,
                  answer = std::move(answer)](Result<std::vector<IpAddress>> result) {
    {
      const std::lock_guard lock(shared->mutex);
      if (shared->loop == nullptr) return;
    }
    answer(std::move(result));
  };
  if (const auto literal = IpAddress::parse(host)) {
    loop_.post([deliver, literal] { deliver(std::vector<IpAddress>{*literal}); });
    return;
  }
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->running >= kMaxConcurrent) {
      loop_.post([deliver] { deliver(fail(ErrorCode::Busy, "too many names being looked up")); });
      return;
    }
    ++shared_->running;
  }
  const auto work = [shared = shared_, deliver, host] {
    auto result = look_up(host);
    const std::lock_guard lock(shared->mutex);
    --shared->running;
    if (shared->loop == nullptr) return;
    shared->loop->post(
        [deliver, result = std::move(result)]() mutable { deliver(std::move(result)); });
  };
  // The process's signals are not for this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread(work).detach();
  } catch (const std::system_error& error) {
    const std::lock_guard lock(shared_->mutex);
    --shared_->running;
    loop_.post([deliver, what = std::string(error.what())] {
      deliver(fail(ErrorCode::Busy, "no thread to look up a name: " + what));
    });
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace godwit::io
