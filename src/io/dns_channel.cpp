// SPDX-License-Identifier: Apache-2.0
#include "io/dns_channel.hpp"

#include <ares.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "io/clock.hpp"
#include "io/descriptor.hpp"
#include "io/link_dns.hpp"
#include "wire/dns/dns_message.hpp"

namespace godwit::io {
namespace {

constexpr int kInternetClass = 1;
constexpr std::uint16_t kDnsPort = 53;

/// Once in the process; never undone, as nobody knows who else uses it.
bool library_ready() {
  static const bool ready = ::ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return ready;
}

bool is_localhost(const std::string& name) {
  constexpr std::string_view kLocalhost = "localhost";
  if (name.size() < kLocalhost.size()) return false;
  if (name.compare(name.size() - kLocalhost.size(), kLocalhost.size(), kLocalhost) != 0) {
    return false;
  }
  return name.size() == kLocalhost.size() || name[name.size() - kLocalhost.size() - 1] == '.';
}

DnsAnswer from_hosts(const hostent& host, DnsType type) {
  DnsAnswer answer;
  for (char** entry = host.h_addr_list; entry != nullptr && *entry != nullptr; ++entry) {
    if (answer.records.size() == kMaxDnsRecords) break;
    std::array<std::uint8_t, 16> bytes{};
    const auto* raw = reinterpret_cast<const std::uint8_t*>(*entry);
    std::copy(raw, raw + (type == DnsType::A ? 4 : 16), bytes.begin());
    answer.records.push_back({type == DnsType::A
                                  ? IpAddress::v4(bytes[0], bytes[1], bytes[2], bytes[3])
                                  : IpAddress::v6(bytes),
                              DnsChannel::kHostsTtl});
  }
  return answer;
}

DnsAnswer failed(DnsFailure failure, std::string detail) {
  return DnsAnswer{failure, {}, std::nullopt, std::move(detail)};
}

}  // namespace

class DnsChannel::Impl : public std::enable_shared_from_this<Impl> {
 public:
  /// `device`: only over this interface; empty: as the routes lead.
  Impl(EventLoop& loop, std::vector<Endpoint> servers, SocketCheck check, std::string device = {})
      : loop_(loop),
        servers_(std::move(servers)),
        check_(std::move(check)),
        device_(std::move(device)) {
    for (const Endpoint& server : servers_) {
      if (!server_list_.empty()) server_list_ += ',';
      server_list_ +=
          Endpoint{server.address, server.port == 0 ? kDnsPort : server.port}.to_string();
    }
  }
  ~Impl() { close(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void ask(const DnsQuestion& question, Answer answer) {
    const std::uint64_t id = ++last_id_;
    waiting_.emplace(id, std::move(answer));
    if (waiting_.size() > kMaxConcurrent) {
      return finish_later(id, failed(DnsFailure::Other, "too many names being looked up"));
    }
    const bool address = question.type == DnsType::A || question.type == DnsType::Aaaa;
    if (const auto error = open(); !error.empty()) {
      return finish_later(id, failed(DnsFailure::Other, error));
    }
    if (address && answer_locally(id, question)) return;
    auto* context = new Context{weak_from_this(), id, question.type};
    const auto type = static_cast<int>(wire::dns_type_number(question.type));
    // Single-label names are completed by the system's search list; service names are whole.
    if (address) {
      ::ares_search(channel_, question.name.c_str(), kInternetClass, type, on_reply, context);
    } else {
      ::ares_query(channel_, question.name.c_str(), kInternetClass, type, on_reply, context);
    }
    arm();
  }

  bool is_asking() const { return !waiting_.empty(); }

  void close() {
    waiting_.clear();
    if (channel_ != nullptr) {
      ares_channel channel = std::exchange(channel_, nullptr);
      ::ares_destroy(channel);
    }
    timer_watch_.reset();
    epoll_watch_.reset();
    timer_.reset();
    epoll_.reset();
  }

 private:
  struct Context {
    std::weak_ptr<Impl> channel;
    std::uint64_t id;
    DnsType type;
  };

  std::string open() {
    if (channel_ != nullptr) return {};
    if (!library_ready()) return "the DNS library cannot be used";
    // c-ares names the descriptors that it waits for; one epoll descriptor stands for all of them,
    // with the directions that it asks for.
    epoll_ = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
    auto timer = DeadlineTimer::open();
    if (!epoll_ || !timer) return "no descriptors left for the DNS";
    timer_.emplace(std::move(*timer));
    ares_options options{};
    options.timeout = device_.empty() ? kTimeoutMs : kLinkTimeoutMs;
    options.tries = device_.empty() ? kTries : 1;
    options.sock_state_cb = on_socket;
    options.sock_state_cb_data = this;
    const int status = ::ares_init_options(
        &channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
      channel_ = nullptr;
      return std::string("the DNS configuration cannot be read: ") + ::ares_strerror(status);
    }
    if (!server_list_.empty() &&
        ::ares_set_servers_ports_csv(channel_, server_list_.c_str()) != ARES_SUCCESS) {
      return "the DNS servers " + server_list_ + " cannot be used";
    }
    if (check_) {
      const auto ask = [](ares_socket_t socket, int, void* self) {
        return static_cast<Impl*>(self)->check_(socket) ? 0 : -1;
      };
      ::ares_set_socket_configure_callback(channel_, ask, this);
    }
    // Without the right to it (Linux before 5.7) the routes decide, as they do without this.
    if (!device_.empty()) ::ares_set_local_dev(channel_, device_.c_str());
    epoll_watch_ = loop_.watch(epoll_.get(), [this] { on_ready(); });
    timer_watch_ = loop_.watch(timer_->descriptor(), [this] {
      timer_->acknowledge();
      ::ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      arm();
    });
    return {};
  }

  bool answer_locally(std::uint64_t id, const DnsQuestion& question) {
    const int family = question.type == DnsType::A ? AF_INET : AF_INET6;
    hostent* host = nullptr;
    const int status = ::ares_gethostbyname_file(channel_, question.name.c_str(), family, &host);
    if (status == ARES_SUCCESS && host != nullptr) {
      DnsAnswer answer = from_hosts(*host, question.type);
      ::ares_free_hostent(host);
      if (!answer.records.empty()) {
        finish_later(id, std::move(answer));
        return true;
      }
    }
    // RFC 6761 §6.3: never asked of the DNS.
    if (!is_localhost(question.name)) return false;
    const IpAddress loopback =
        question.type == DnsType::A ? IpAddress::v4(127, 0, 0, 1) : *IpAddress::parse("::1");
    finish_later(id, DnsAnswer{DnsFailure::None, {{loopback, kHostsTtl}}, std::nullopt, {}});
    return true;
  }

  static void on_socket(void* self, ares_socket_t socket, int readable, int writable) {
    auto* impl = static_cast<Impl*>(self);
    if (!impl->epoll_) return;
    epoll_event event{};
    event.data.fd = socket;
    if (readable == 0 && writable == 0) {
      ::epoll_ctl(impl->epoll_.get(), EPOLL_CTL_DEL, socket, &event);
      return;
    }
    event.events = (readable != 0 ? EPOLLIN : 0U) | (writable != 0 ? EPOLLOUT : 0U);
    if (::epoll_ctl(impl->epoll_.get(), EPOLL_CTL_ADD, socket, &event) != 0) {
      ::epoll_ctl(impl->epoll_.get(), EPOLL_CTL_MOD, socket, &event);
    }
  }

  void on_ready() {
    std::array<epoll_event, 16> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const bool failing = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
      ::ares_process_fd(channel_,
                        failing || (event.events & EPOLLIN) != 0 ? event.data.fd : ARES_SOCKET_BAD,
                        (event.events & EPOLLOUT) != 0 ? event.data.fd : ARES_SOCKET_BAD);
    }
    arm();
  }

  static void on_reply(void* argument, int status, int, unsigned char* bytes, int size) {
    const std::unique_ptr<Context> context(static_cast<Context*>(argument));
    const auto self = context->channel.lock();
    if (!self || self->waiting_.count(context->id) == 0) return;  // Closed, or renewed.
    const bool readable = bytes != nullptr && size > 0;
    DnsAnswer answer;
    switch (status) {
      case ARES_SUCCESS:
      case ARES_ENODATA:
      case ARES_ENOTFOUND:
        if (readable) {
          const auto parsed =
              wire::parse_dns_reply({bytes, static_cast<std::size_t>(size)}, context->type);
          answer = parsed ? *parsed : failed(DnsFailure::Other, parsed.error().detail);
        } else {
          answer =
              failed(status == ARES_ENOTFOUND ? DnsFailure::NoSuchName : DnsFailure::NoData, "");
        }
        break;
      case ARES_ETIMEOUT:
      case ARES_ECONNREFUSED: answer = failed(DnsFailure::Timeout, ""); break;
      default: answer = failed(DnsFailure::Other, ::ares_strerror(status)); break;
    }
    self->finish_later(context->id, std::move(answer));
  }

  /// From a fresh stack: c-ares must not be destroyed within its own callback, nor the core called
  /// within ask().
  void finish_later(std::uint64_t id, DnsAnswer answer) {
    loop_.post([weak = weak_from_this(), id, answer = std::move(answer)]() mutable {
      const auto self = weak.lock();
      if (!self) return;
      auto node = self->waiting_.extract(id);
      if (!node.empty()) node.mapped()(std::move(answer));
    });
  }

  void arm() {
    if (channel_ == nullptr) return;
    timeval wait{};
    if (::ares_timeout(channel_, nullptr, &wait) == nullptr) {
      timer_->arm(std::nullopt);
      return;
    }
    timer_->arm(now() + std::chrono::seconds(wait.tv_sec) +
                std::chrono::microseconds(wait.tv_usec) + std::chrono::milliseconds(1));
  }

  EventLoop& loop_;
  std::vector<Endpoint> servers_;
  SocketCheck check_;
  std::string device_;
  std::string server_list_;
  ares_channel channel_ = nullptr;
  Descriptor epoll_;
  std::optional<DeadlineTimer> timer_;
  std::unique_ptr<EventLoop::Watch> epoll_watch_;
  std::unique_ptr<EventLoop::Watch> timer_watch_;
  std::map<std::uint64_t, Answer> waiting_;
  std::uint64_t last_id_ = 0;
};

DnsChannel::DnsChannel(EventLoop& loop, std::vector<Endpoint> servers, SocketCheck check,
                       std::string link_folder)
    : loop_(loop),
      check_(std::move(check)),
      impl_(std::make_shared<Impl>(loop, std::move(servers), check_)),
      link_folder_(std::move(link_folder)) {}

DnsChannel::~DnsChannel() { renew(); }

void DnsChannel::use_link(std::uint32_t interface_index, std::string interface_name) {
  link_index_ = interface_index;
  link_name_ = std::move(interface_name);
}

std::shared_ptr<DnsChannel::Impl> DnsChannel::link_channel() {
  // Read each time: a lease's servers may be written down a moment after its address has come.
  std::vector<Endpoint> servers =
      link_index_ == 0 ? std::vector<Endpoint>{} : link_dns_servers(link_folder_, link_index_);
  const bool same = servers == link_servers_ && link_index_ == open_index_;
  if (link_ && (same || link_->is_asking())) return link_;
  if (link_) link_->close();
  open_index_ = link_index_;
  link_servers_ = std::move(servers);
  link_ = link_servers_.empty() ? nullptr
                                : std::make_shared<Impl>(loop_, link_servers_, check_, link_name_);
  return link_;
}

void DnsChannel::ask(const DnsQuestion& question, Answer answer) {
  const auto link = link_channel();
  if (!link) return impl_->ask(question, std::move(answer));
  link->ask(question, [system = std::weak_ptr<Impl>(impl_), question,
                       answer = std::move(answer)](DnsAnswer first) mutable {
    // Also a name that the link does not know: another link's servers may (a VPN's own domain).
    const bool unknown = first.failure != DnsFailure::None && first.failure != DnsFailure::NoData;
    const auto others = unknown ? system.lock() : nullptr;
    if (!others) return answer(std::move(first));
    others->ask(question, std::move(answer));
  });
}

void DnsChannel::renew() {
  impl_->close();
  if (link_) link_->close();
  link_.reset();
}

}  // namespace godwit::io
