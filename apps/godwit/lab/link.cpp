// SPDX-License-Identifier: Apache-2.0
#include "lab/link.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <queue>
#include <set>

#include "base/random.hpp"
#include "lab/clock.hpp"

namespace godwit::lab {
namespace {

constexpr std::size_t kMaxPacket = 65'536;
constexpr int kStop = -1;
constexpr int kTimer = -2;

struct Queued {
  TimePoint due;
  std::uint64_t number;  ///< Keeps the order of packets that are due together.
  std::size_t to;
  std::vector<std::uint8_t> packet;
  bool operator>(const Queued& other) const {
    return due != other.due ? due > other.due : number > other.number;
  }
};

}  // namespace

namespace {

/// `at4` and `at6`: where the address stands in either header.
IpAddress address_in(std::span<const std::uint8_t> packet, std::size_t at4, std::size_t at6) {
  if (packet.size() >= 20 && packet[0] >> 4 == 4) {
    return IpAddress::v4(packet[at4], packet[at4 + 1], packet[at4 + 2], packet[at4 + 3]);
  }
  if (packet.size() >= 40 && packet[0] >> 4 == 6) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at6), 16, bytes.begin());
    return IpAddress::v6(bytes);
  }
  return {};
}

}  // namespace

IpAddress destination_of(std::span<const std::uint8_t> packet) {
  return address_in(packet, 16, 24);
}

IpAddress source_of(std::span<const std::uint8_t> packet) { return address_in(packet, 12, 8); }

/// What the thread works on. Counters are atomics because anybody may read them meanwhile.
class Link::Router {
 public:
  Router(const LinkOptions& options, const std::vector<Device>& devices,
         const std::map<IpAddress, std::size_t>& table)
      : options_(options), devices_(devices), table_(table), random_(options.seed) {}

  Result<void> open() {
    epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    timer_.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!epoll_ || !timer_ || !stop_) return system_error("epoll, timerfd, eventfd");
    if (!watch(timer_.get(), kTimer) || !watch(stop_.get(), kStop)) return system_error("epoll");
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      if (!watch(devices_[i].fd(), static_cast<int>(i))) return system_error("epoll");
    }
    return {};
  }

  void loop() {
    // Being late is the only error that this link can make; without the right to it we go on as is.
    const sched_param priority{10};
    ::pthread_setschedparam(::pthread_self(), SCHED_FIFO, &priority);
    std::array<epoll_event, 8> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        const int what = events[static_cast<std::size_t>(i)].data.fd;
        if (what == kStop) return;
        if (what >= 0) receive_all(static_cast<std::size_t>(what));
      }
      send_due();
      arm();
    }
  }

  void stop() const {
    const std::uint64_t one = 1;
    const ssize_t ignored = ::write(stop_.get(), &one, sizeof one);
    static_cast<void>(ignored);
  }

  LinkCounters counters() const { return {forwarded_, lost_, no_route_, queue_full_}; }
  Duration take_worst_lateness() { return Duration{worst_lateness_.exchange(0)}; }

  void silence(const IpAddress& address, bool silent) {
    const std::lock_guard lock(silenced_mutex_);
    if (silent) {
      silenced_.insert(address);
    } else {
      silenced_.erase(address);
    }
  }

 private:
  bool is_silenced(std::span<const std::uint8_t> packet, const IpAddress& destination) {
    const std::lock_guard lock(silenced_mutex_);
    return !silenced_.empty() &&
           (silenced_.contains(destination) || silenced_.contains(source_of(packet)));
  }

  bool watch(int fd, int tag) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = tag;
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void receive_all(std::size_t from) {
    for (std::size_t length; (length = devices_[from].read(buffer_)) > 0;) {
      accept(from, {buffer_.data(), length}, boot_now());
    }
  }

  void accept(std::size_t from, std::span<const std::uint8_t> packet, TimePoint now) {
    const IpAddress destination = destination_of(packet);
    if (is_silenced(packet, destination)) {
      ++lost_;
      return;
    }
    const auto route = table_.find(destination);
    if (route == table_.end() || route->second == from) {
      ++no_route_;
      return;
    }
    if (options_.loss > 0 &&
        static_cast<double>(random_.between(0, 999'999)) < options_.loss * 1e6) {
      ++lost_;
      return;
    }
    if (queue_.size() >= options_.max_queued) {
      ++queue_full_;
      return;
    }
    Duration delay = options_.one_way_delay;
    if (options_.jitter > Duration::zero()) {
      delay += Duration{static_cast<Duration::rep>(
          random_.between(0, static_cast<std::uint64_t>(options_.jitter.count())))};
    }
    queue_.push({now + delay, ++number_, route->second, {packet.begin(), packet.end()}});
  }

  void send_due() {
    while (!queue_.empty()) {
      const TimePoint now = boot_now();
      const Queued& next = queue_.top();
      if (next.due > now) return;
      devices_[next.to].write(next.packet);
      worst_lateness_ = std::max(worst_lateness_.load(), (now - next.due).count());
      ++forwarded_;
      queue_.pop();
    }
  }

  void arm() const {
    itimerspec when{};  // zero: disarmed
    if (!queue_.empty()) {
      const auto at = queue_.top().due.time_since_epoch();
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
      when.it_value.tv_sec = seconds.count();
      when.it_value.tv_nsec = (at - seconds).count();
    }
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
  }

  const LinkOptions options_;
  const std::vector<Device>& devices_;
  const std::map<IpAddress, std::size_t>& table_;
  SeededRandom random_;
  Fd epoll_;
  Fd timer_;
  Fd stop_;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(kMaxPacket);
  std::priority_queue<Queued, std::vector<Queued>, std::greater<>> queue_;
  std::uint64_t number_ = 0;
  std::mutex silenced_mutex_;
  std::set<IpAddress> silenced_;
  std::atomic<std::uint64_t> forwarded_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<std::uint64_t> no_route_{0};
  std::atomic<std::uint64_t> queue_full_{0};
  std::atomic<Duration::rep> worst_lateness_{0};
};

Link::Link(LinkOptions options) : options_(options) {}

Link::~Link() {
  if (!thread_.joinable()) return;
  router_->stop();
  thread_.join();
}

void Link::attach(Device device, const std::vector<IpAddress>& addresses) {
  devices_.push_back(std::move(device));
  for (const auto& address : addresses) table_[address] = devices_.size() - 1;
}

Result<void> Link::start() {
  router_ = std::make_unique<Router>(options_, devices_, table_);
  if (auto opened = router_->open(); !opened) return opened;
  thread_ = std::thread([router = router_.get()] { router->loop(); });
  return {};
}

Duration Link::take_worst_lateness() {
  return router_ ? router_->take_worst_lateness() : Duration{};
}

void Link::silence(const IpAddress& address, bool silent) {
  if (router_) router_->silence(address, silent);
}

LinkCounters Link::counters() const { return router_ ? router_->counters() : LinkCounters{}; }

}  // namespace godwit::lab
