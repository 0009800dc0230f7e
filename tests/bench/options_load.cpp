// SPDX-License-Identifier: Apache-2.0
//
// How many OPTIONS per second a user agent answers: a paced load over loopback against a whole
// UserAgent in this process, with real sockets. The load is made and counted here with sendmmsg and
// recvmmsg; the server's own share is its signalling thread's CPU time, because both live on the
// same machine. Bounded in rate, time and number of requests. Not a test: figures of a busy machine
// prove nothing; the exit status only says whether the goals given on the command line were met.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "godwit/user_agent.hpp"
#include "io/udp_socket.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kBatch = 32;         // Messages of one system call.
constexpr std::size_t kMaxMessage = 2048;  // An answer to OPTIONS has a third of it.
constexpr std::size_t kMaxRequests = 6'000'000;
constexpr auto kT1 = 500ms;  // RFC 3261 §17.1.2.2: timer E, doubled up to T2.
constexpr auto kT2 = 4s;
constexpr auto kGrace = 2s;  // For the last answers, before they count as lost.
constexpr std::string_view kBranch = "z9hG4bKload";

struct Load {
  unsigned rate = 60'000;
  double seconds = 10;
  unsigned sockets = 4;
};

struct Figures {
  std::size_t sent = 0;
  std::size_t answered = 0;
  std::size_t other_status = 0;
  std::size_t retransmissions = 0;
  std::size_t unsent = 0;  ///< The kernel took them not; sent later.
  double seconds = 0;      ///< From the first request to the last.
  double p50_us = 0;
  double p99_us = 0;
  double max_us = 0;
};

/// One entry for each request: nothing is searched for when an answer arrives.
struct Request {
  Clock::time_point first_sent;
  Clock::time_point again_at;
  Clock::duration wait = kT1;
  bool answered = false;
};

std::string number_after(std::string_view text, std::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return {};
  std::string digits;
  for (std::size_t i = at + mark.size(); i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    digits += text[i];
  }
  return digits;
}

class Generator {
 public:
  Generator(const Load& load, std::uint16_t server_port) : load_(load) {
    server_.sin_family = AF_INET;
    server_.sin_port = htons(server_port);
    server_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < load.sockets; ++i) {
      const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (fd < 0) throw std::runtime_error("no socket for the load");
      const int room = 8 * 1024 * 1024;
      (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
      (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
      sockaddr_in own{};
      own.sin_family = AF_INET;
      own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t length = sizeof own;
      if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), length) != 0 ||
          ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) {
        throw std::runtime_error("no port for the load");
      }
      sockets_.push_back({fd, POLLIN, 0});
      ports_.push_back(ntohs(own.sin_port));
    }
    const auto total = static_cast<std::size_t>(load.rate * load.seconds);
    requests_.resize(std::min(total, kMaxRequests));
    latencies_.reserve(requests_.size());
    for (std::string& text : texts_) text.reserve(kMaxMessage);
    for (auto& room : rooms_) room.resize(kMaxMessage);
  }
  ~Generator() {
    for (const pollfd& socket : sockets_) ::close(socket.fd);
  }
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  Figures run() {
    const auto start = Clock::now();
    auto last_sent = start;
    while (next_ < requests_.size() || figures_.answered < next_) {
      const auto now = Clock::now();
      if (next_ == requests_.size() && now > last_sent + kGrace) break;
      const double elapsed = std::chrono::duration<double>(now - start).count();
      const auto due = std::min(static_cast<std::size_t>(elapsed * load_.rate), requests_.size());
      if (next_ < due) {
        send_new(due, now);
        last_sent = now;
      }
      const bool any = receive();
      send_again(now);
      // Without anything to do the processor is left to the server until the next batch is due.
      if (!any && next_ >= due) ::poll(sockets_.data(), sockets_.size(), 1);
    }
    figures_.sent = next_;
    figures_.seconds = std::chrono::duration<double>(last_sent - start).count();
    std::sort(latencies_.begin(), latencies_.end());
    if (!latencies_.empty()) {
      const auto at = [&](double part) {
        const auto index = static_cast<std::size_t>(part * double(latencies_.size() - 1));
        return double(latencies_[index]) / 1000.0;
      };
      figures_.p50_us = at(0.5);
      figures_.p99_us = at(0.99);
      figures_.max_us = at(1.0);
    }
    return figures_;
  }

 private:
  void write(std::string& out, std::size_t index) const {
    const std::string id = std::to_string(index);
    const std::string port = std::to_string(ports_[index % ports_.size()]);
    out.clear();
    out += "OPTIONS sip:load@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:";
    out += port;
    out += ";branch=";
    out += kBranch;
    out += id;
    out += ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:generator@127.0.0.1>;tag=f";
    out += id;
    out += "\r\nTo: <sip:load@127.0.0.1>\r\nCall-ID: ";
    out += id;
    out += "@127.0.0.1\r\nCSeq: 1 OPTIONS\r\nContact: <sip:generator@127.0.0.1:";
    out += port;
    out += ">\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n";
  }

  /// Sends texts_[0, count) on one socket; returns how many the kernel took.
  std::size_t send_batch(std::size_t socket, std::size_t count) {
    std::array<mmsghdr, kBatch> headers{};
    std::array<iovec, kBatch> vectors{};
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {texts_[i].data(), texts_[i].size()};
      headers[i].msg_hdr.msg_name = &server_;
      headers[i].msg_hdr.msg_namelen = sizeof server_;
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent =
        ::sendmmsg(sockets_[socket].fd, headers.data(), static_cast<unsigned>(count), 0);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  // Request i leaves from socket i modulo their number: a batch is a stride through the indices.
  void send_new(std::size_t due, Clock::time_point now) {
    const std::size_t stride = sockets_.size();
    while (next_ + stride <= due || (due == requests_.size() && next_ < due)) {
      const std::size_t end = std::min({due, next_ + stride * kBatch, requests_.size()});
      const std::size_t whole =
          end - next_ >= stride ? (end - next_) / stride * stride : end - next_;
      for (std::size_t s = 0; s < std::min(stride, whole); ++s) {
        std::size_t count = 0;
        for (std::size_t i = next_ + s; i < next_ + whole; i += stride) write(texts_[count++], i);
        // One that the kernel did not take is sent again like one that was lost on the way.
        const std::size_t socket = (next_ + s) % stride;
        figures_.unsent += count - send_batch(socket, count);
        for (std::size_t i = next_ + s; i < next_ + whole; i += stride) {
          requests_[i].first_sent = now;
          requests_[i].again_at = now + kT1;
        }
      }
      next_ += whole;
      receive();
      if (Clock::now() - now > 5ms) break;
    }
  }

  void send_again(Clock::time_point now) {
    while (oldest_ < next_ && requests_[oldest_].answered) ++oldest_;
    // In order of sending: the first that is not due yet ends the search.
    for (std::size_t i = oldest_; i < next_; ++i) {
      Request& request = requests_[i];
      if (request.first_sent + kT1 > now) break;
      if (request.answered || request.again_at > now) continue;
      request.wait = std::min<Clock::duration>(2 * request.wait, kT2);
      request.again_at = now + request.wait;
      ++figures_.retransmissions;
      write(texts_[0], i);
      (void)send_batch(i % sockets_.size(), 1);
    }
  }

  bool receive() {
    bool any = false;
    for (const pollfd& socket : sockets_) {
      for (;;) {
        std::array<mmsghdr, kBatch> headers{};
        std::array<iovec, kBatch> vectors{};
        for (std::size_t i = 0; i < kBatch; ++i) {
          vectors[i] = {rooms_[i].data(), rooms_[i].size()};
          headers[i].msg_hdr.msg_iov = &vectors[i];
          headers[i].msg_hdr.msg_iovlen = 1;
        }
        const int got = ::recvmmsg(socket.fd, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
        if (got <= 0) break;
        any = true;
        const auto now = Clock::now();
        for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
          on_answer(std::string_view(rooms_[i].data(), headers[i].msg_len), now);
        }
        if (static_cast<std::size_t>(got) < kBatch) break;
      }
    }
    return any;
  }

  void on_answer(std::string_view text, Clock::time_point now) {
    const std::string digits = number_after(text, kBranch);
    std::size_t index = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (read.ec != std::errc{} || index >= next_ || requests_[index].answered) return;
    if (!text.starts_with("SIP/2.0 200 ")) {
      ++figures_.other_status;
      return;
    }
    Request& request = requests_[index];
    request.answered = true;
    ++figures_.answered;
    latencies_.push_back(std::chrono::nanoseconds(now - request.first_sent).count());
  }

  Load load_;
  sockaddr_in server_{};
  std::vector<pollfd> sockets_;
  std::vector<std::uint16_t> ports_;
  std::vector<Request> requests_;
  std::vector<std::int64_t> latencies_;
  std::size_t next_ = 0;
  std::size_t oldest_ = 0;
  std::array<std::string, kBatch> texts_;
  std::array<std::string, kBatch> rooms_;
  Figures figures_;
};

/// CPU seconds of the thread of that name in this process.
std::optional<double> cpu_seconds(std::string_view thread) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm"), name);
    if (name != thread) continue;
    double nanoseconds = 0;
    if (std::ifstream(entry.path() / "schedstat") >> nanoseconds) return nanoseconds / 1e9;
  }
  return std::nullopt;
}

/// Datagrams that the kernel dropped because the server's socket was full.
std::optional<std::uint64_t> drops_of(std::uint16_t port) {
  std::array<char, 16> wanted{};
  std::snprintf(wanted.data(), wanted.size(), "0100007F:%04X", port);
  std::ifstream table("/proc/net/udp");
  for (std::string line; std::getline(table, line);) {
    if (line.find(wanted.data()) == std::string::npos) continue;
    const std::size_t last = line.find_last_not_of(' ');
    const std::size_t column = line.find_last_of(' ', last);
    return std::stoull(line.substr(column));
  }
  return std::nullopt;
}

/// One run and what the server's thread and socket had to do with it.
struct Run {
  Figures got;
  double cpu = 0;
  std::uint64_t drops = 0;
  double per_second = 0;
  double per_cpu = 0;
  std::size_t lost() const { return got.sent - got.answered; }
};

Run measure(const Load& load, std::uint16_t port) {
  Run run;
  const double cpu_before = cpu_seconds("godwit-sip").value_or(0);
  const std::uint64_t drops_before = drops_of(port).value_or(0);
  run.got = Generator(load, port).run();
  run.cpu = cpu_seconds("godwit-sip").value_or(0) - cpu_before;
  run.drops = drops_of(port).value_or(0) - drops_before;
  if (run.got.seconds > 0) run.per_second = double(run.got.answered) / run.got.seconds;
  if (run.cpu > 0) run.per_cpu = double(run.got.answered) / run.cpu;
  return run;
}

/// All answered at that pace, none dropped, and one core would do for it.
bool meets(const Run& run, unsigned goal) {
  return run.lost() == 0 && run.drops == 0 && run.per_second >= 0.99 * goal && run.per_cpu >= goal;
}

double median(const std::vector<Run>& runs, double Run::*figure) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(run.*figure);
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void print(const Load& load, const Run& run, bool json) {
  const Figures& got = run.got;
  const char* format =
      json ? "{\"rate\":%u,\"seconds\":%.3f,\"sent\":%zu,\"answered\":%zu,\"lost\":%zu,"
             "\"refused\":%zu,\"retransmissions\":%zu,\"unsent\":%zu,\"server_drops\":%llu,"
             "\"answered_per_second\":%.0f,\"server_cpu_seconds\":%.3f,"
             "\"answered_per_cpu_second\":%.0f,\"latency_us\":{\"p50\":%.0f,\"p99\":%.0f,"
             "\"max\":%.0f}}\n"
           : "asked for          %u/s for %.3f s\nsent               %zu\nanswered           %zu\n"
             "lost               %zu\nother status       %zu\nretransmissions    %zu\n"
             "not taken by the kernel at once %zu\ndropped at the server's socket %llu\n"
             "answered/s         %.0f\nserver's CPU       %.3f s\nanswered per CPU s %.0f\n"
             "latency            p50 %.0f us, p99 %.0f us, max %.0f us\n";
  std::printf(format, load.rate, got.seconds, got.sent, got.answered, run.lost(), got.other_status,
              got.retransmissions, got.unsent, static_cast<unsigned long long>(run.drops),
              run.per_second, run.cpu, run.per_cpu, got.p50_us, got.p99_us, got.max_us);
}

}  // namespace

int main(int argc, char** argv) {
  Load load;
  bool json = false;
  unsigned runs = 1;
  unsigned goal = 60'000;
  bool strict = false;
  CLI::App app{"OPTIONS answered per second by one user agent over loopback"};
  app.add_option("--rate", load.rate, "requests per second")->check(CLI::Range(1U, 500'000U));
  app.add_option("--seconds", load.seconds, "how long")->check(CLI::Range(0.1, 60.0));
  app.add_option("--sockets", load.sockets, "source ports of the load")->check(CLI::Range(1U, 64U));
  app.add_option("--runs", runs, "how often, the medians at the end")->check(CLI::Range(1U, 100U));
  app.add_option(
         "--goal", goal,
         "to be answered a second, per second of the server's CPU too, none dropped [60000]")
      ->check(CLI::Range(1U, 500'000U));
  app.add_flag("--strict", strict, "fail unless every run meets the goal");
  app.add_flag("--json", json, "one JSON object");
  CLI11_PARSE(app, argc, argv);

  const auto loopback = *godwit::IpAddress::parse("127.0.0.1");
  std::uint16_t port = 0;
  if (const auto probe = godwit::io::UdpSocket::bind({loopback, 0})) port = probe->local().port;
  godwit::UserAgentConfig config;
  config.bind_addresses = {loopback};
  config.sip_port = port;
  config.watch_network = false;
  godwit::UserAgent server(config, [](const godwit::Event&, godwit::TimePoint) {});
  godwit::AccountConfig account;
  account.aor = "sip:load@127.0.0.1";
  account.register_on_add = false;
  if (const auto added = server.add_account(account); !added) {
    std::fprintf(stderr, "options_load: %s\n", added.error().detail.c_str());
    return 2;
  }
  {
    Load one{.rate = 100, .seconds = 0.1, .sockets = 1};
    if (Generator(one, port).run().answered == 0) {
      std::fputs("options_load: the user agent does not answer\n", stderr);
      return 2;
    }
  }

  std::vector<Run> measured;
  for (unsigned i = 0; i < runs; ++i) {
    measured.push_back(measure(load, port));
    print(load, measured.back(), json);
    std::fflush(stdout);
  }
  const auto met = std::count_if(measured.begin(), measured.end(),
                                 [&](const Run& run) { return meets(run, goal); });
  const double per_second = median(measured, &Run::per_second);
  const double per_cpu = median(measured, &Run::per_cpu);
  std::printf(json
                  ? "{\"runs\":%u,\"goal\":%u,\"met\":%ld,\"median\":{\"answered_per_second\":%.0f,"
                    "\"answered_per_cpu_second\":%.0f}}\n"
                  : "runs %u, goal %u/s met by %ld; median: answered/s %.0f, per CPU s %.0f\n",
              runs, goal, static_cast<long>(met), per_second, per_cpu);
  if (!strict || static_cast<std::size_t>(met) == measured.size()) return 0;
  std::fputs("options_load: the goal was missed\n", stderr);
  return 1;
}
