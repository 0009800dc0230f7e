// SPDX-License-Identifier: Apache-2.0
#include "io/dns_channel.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "io/clock.hpp"
#include "io/udp_socket.hpp"
#include "wire/dns/dns_message.hpp"

namespace godwit::io {
namespace {

using std::chrono::seconds;

/// Stops a loop that does not stop by itself, so that a broken test ends.
class Guard {
 public:
  explicit Guard(EventLoop& loop) : timer_(std::move(*DeadlineTimer::open())) {
    timer_.arm(now() + seconds(20));
    watch_ = loop.watch(timer_.descriptor(), [&loop] {
      ADD_FAILURE() << "no end after 20 s";
      loop.stop();
    });
  }

 private:
  DeadlineTimer timer_;
  std::unique_ptr<EventLoop::Watch> watch_;
};

/// A DNS server on loopback that answers each question with one record's data, or with a code.
class MockServer {
 public:
  explicit MockServer(EventLoop& loop)
      : socket_(std::move(*UdpSocket::bind({IpAddress::v4(127, 0, 0, 1), 0}, {}))),
        buffers_(4, 4096) {
    watch_ = loop.watch(socket_.descriptor(), [this] {
      std::vector<std::pair<Endpoint, Buffer>> arrived;
      socket_.receive(buffers_, 16, [&](const Datagram& datagram) {
        arrived.emplace_back(datagram.remote, Buffer(datagram.bytes.begin(), datagram.bytes.end()));
      });
      for (const auto& [from, query] : arrived) answer(from, query);
    });
  }

  Endpoint endpoint() const { return socket_.local(); }

  /// By type number; a type without data gets `otherwise`.
  std::map<std::uint16_t, Buffer> data;
  unsigned otherwise = 3;
  bool silent = false;
  std::size_t queries = 0;

 private:
  void answer(const Endpoint& from, const Buffer& query) {
    ++queries;
    if (silent || query.size() < 16) return;
    std::size_t end = 12;
    while (end < query.size() && query[end] != 0) end += 1U + query[end];
    end += 5;  // The root, type and class.
    ASSERT_LE(end, query.size());
    const auto type = static_cast<std::uint16_t>(query[end - 4] << 8U | query[end - 3]);
    const auto found = data.find(type);
    Buffer reply(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(end));
    reply[2] = 0x81;
    reply[3] = static_cast<std::uint8_t>(0x80U | (found == data.end() ? otherwise : 0U));
    reply[7] = found == data.end() ? 0 : 1;
    for (std::size_t i = 8; i < 12; ++i) reply[i] = 0;
    if (found != data.end()) {
      const std::uint8_t head[] = {0xc0, 12, query[end - 4], query[end - 3], 0, 1, 0, 0, 0, 77, 0};
      reply.insert(reply.end(), std::begin(head), std::end(head));
      reply.push_back(static_cast<std::uint8_t>(found->second.size()));
      reply.insert(reply.end(), found->second.begin(), found->second.end());
    }
    const auto error = socket_.send(from, reply);
    EXPECT_FALSE(error);
  }

  UdpSocket socket_;
  ReceiveBuffers buffers_;
  std::unique_ptr<EventLoop::Watch> watch_;
};

/// The answers to these questions, asked at once.
std::vector<DnsAnswer> ask(EventLoop& loop, DnsChannel& channel,
                           const std::vector<DnsQuestion>& questions) {
  std::vector<std::optional<DnsAnswer>> answers(questions.size());
  std::size_t missing = questions.size();
  for (std::size_t i = 0; i < questions.size(); ++i) {
    channel.ask(questions[i], [&, i](DnsAnswer answer) {
      EXPECT_FALSE(answers[i]) << "answered twice";
      answers[i] = std::move(answer);
      --missing;
    });
  }
  EXPECT_EQ(missing, questions.size()) << "answered inside ask()";
  // Not by stop(), after which a loop does not run again.
  for (const TimePoint end = now() + seconds(20); missing > 0 && now() < end;) loop.run_one();
  EXPECT_EQ(missing, 0U);
  std::vector<DnsAnswer> result;
  for (auto& answer : answers) result.push_back(answer.value_or(DnsAnswer{}));
  return result;
}

TEST(DnsChannel, AsksForEveryType) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  server.data[1] = {192, 0, 2, 1};
  server.data[28] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  server.data[33] = {0, 10, 0, 20, 0x13, 0xc4, 1, 'a', 1, 'x', 0};
  server.data[35] = {0,   1,   0,   2,   1, 's', 7,   'S', 'I', 'P',
                     '+', 'D', '2', 'U', 0, 1,   'u', 1,   'x', 0};
  DnsChannel channel(loop, {server.endpoint()});
  const auto answers = ask(loop, channel,
                           {{"sip.example.org", DnsType::A},
                            {"sip.example.org", DnsType::Aaaa},
                            {"_sip._udp.example.org", DnsType::Srv},
                            {"example.org", DnsType::Naptr}});
  for (const DnsAnswer& answer : answers) {
    ASSERT_EQ(answer.failure, DnsFailure::None) << answer.detail;
    ASSERT_EQ(answer.records.size(), 1U);
    EXPECT_EQ(answer.records[0].ttl, seconds(77));
  }
  EXPECT_EQ(std::get<IpAddress>(answers[0].records[0].data), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(std::get<IpAddress>(answers[1].records[0].data), *IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(std::get<SrvRecord>(answers[2].records[0].data), (SrvRecord{10, 20, 5060, "a.x"}));
  EXPECT_EQ(std::get<NaptrRecord>(answers[3].records[0].data),
            (NaptrRecord{1, 2, "s", "SIP+D2U", "", "u.x"}));
}

TEST(DnsChannel, TellsFailuresApart) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  DnsChannel channel(loop, {server.endpoint()});
  // A server that refuses is as good as none: the next one would be asked.
  const std::map<unsigned, DnsFailure> cases = {
      {3, DnsFailure::NoSuchName}, {0, DnsFailure::NoData}, {5, DnsFailure::Timeout}};
  for (const auto& [code, failure] : cases) {
    EventLoop own;
    const Guard own_guard(own);
    MockServer failing(own);
    failing.otherwise = code;
    DnsChannel asker(own, {failing.endpoint()});
    EXPECT_EQ(ask(own, asker, {{"_sip._udp.example.org", DnsType::Srv}})[0].failure, failure)
        << code;
  }
}

TEST(DnsChannel, HonoursTheHostsFileAndKeepsLocalhostAtHome) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  server.data[1] = {192, 0, 2, 1};
  DnsChannel channel(loop, {server.endpoint()});
  const auto answers =
      ask(loop, channel, {{"localhost", DnsType::A}, {"phone.localhost", DnsType::Aaaa}});
  ASSERT_FALSE(answers[0].records.empty());
  EXPECT_TRUE(std::get<IpAddress>(answers[0].records[0].data).is_loopback());
  ASSERT_FALSE(answers[1].records.empty());
  EXPECT_TRUE(std::get<IpAddress>(answers[1].records[0].data).is_loopback());
  EXPECT_EQ(server.queries, 0U);
}

TEST(DnsChannel, RenewalForgetsWhatWasAskedAndAsksAnew) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  server.data[1] = {192, 0, 2, 1};
  server.silent = true;
  DnsChannel channel(loop, {server.endpoint()});
  channel.ask({"old.example.org", DnsType::A},
              [](const DnsAnswer&) { ADD_FAILURE() << "answered after the renewal"; });
  channel.renew();
  server.silent = false;
  const auto answers = ask(loop, channel, {{"new.example.org", DnsType::A}});
  EXPECT_EQ(answers[0].failure, DnsFailure::None);
}

TEST(DnsChannel, BoundsWhatIsUnderWayAndAnswersNobodyWhenItGoes) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  server.silent = true;
  auto channel = std::make_unique<DnsChannel>(loop, std::vector<Endpoint>{server.endpoint()});
  std::size_t refused = 0;
  for (std::size_t i = 0; i < DnsChannel::kMaxConcurrent + 10; ++i) {
    channel->ask({"n" + std::to_string(i) + ".example.org", DnsType::Srv},
                 [&](const DnsAnswer& answer) {
                   EXPECT_EQ(answer.failure, DnsFailure::Other);
                   if (++refused == 10) loop.stop();
                 });
  }
  loop.run();
  EXPECT_EQ(refused, 10U);
  channel.reset();
}

TEST(DnsChannel, ADeadServerIsATimeout) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer server(loop);
  server.silent = true;
  DnsChannel channel(loop, {server.endpoint()});
  const auto answers = ask(loop, channel, {{"_sip._udp.example.org", DnsType::Srv}});
  EXPECT_EQ(answers[0].failure, DnsFailure::Timeout);
  EXPECT_EQ(server.queries, static_cast<std::size_t>(DnsChannel::kTries));
}

/// A folder as systemd keeps it, in which the loopback interface is the link.
class LinkFolder {
 public:
  LinkFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("godwit-dns-" + std::to_string(now().time_since_epoch().count()))) {
    std::filesystem::create_directories(path_ / "netif/links");
  }
  ~LinkFolder() { std::filesystem::remove_all(path_); }
  LinkFolder(const LinkFolder&) = delete;
  LinkFolder& operator=(const LinkFolder&) = delete;

  std::string path() const { return path_.string(); }
  static std::uint32_t index() { return ::if_nametoindex("lo"); }
  void write(const std::string& servers) {
    std::ofstream(path_ / "netif/links" / std::to_string(index())) << "DNS=" << servers << "\n";
  }

 private:
  std::filesystem::path path_;
};

TEST(DnsChannel, AsksTheServersOfTheLinkInsteadOfTheSystems) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer system(loop);
  MockServer first(loop);
  MockServer second(loop);
  system.data[1] = {192, 0, 2, 1};
  first.data[1] = {192, 0, 2, 2};
  second.data[1] = {192, 0, 2, 3};
  LinkFolder folder;
  DnsChannel channel(loop, {system.endpoint()}, {}, folder.path());
  const auto asked = [&] {
    const auto answers = ask(loop, channel, {{"sip.example.org", DnsType::A}});
    EXPECT_EQ(answers[0].failure, DnsFailure::None) << answers[0].detail;
    return answers[0].records.empty() ? IpAddress{}
                                      : std::get<IpAddress>(answers[0].records[0].data);
  };
  EXPECT_EQ(asked(), IpAddress::v4(192, 0, 2, 1)) << "no link is named";
  channel.use_link(LinkFolder::index(), "lo");
  EXPECT_EQ(asked(), IpAddress::v4(192, 0, 2, 1)) << "nothing is known of it";
  folder.write(first.endpoint().to_string());
  EXPECT_EQ(asked(), IpAddress::v4(192, 0, 2, 2));
  folder.write(second.endpoint().to_string());
  EXPECT_EQ(asked(), IpAddress::v4(192, 0, 2, 3)) << "they are other ones now";
  const std::size_t by_system = system.queries;
  second.data.clear();
  const auto answers = ask(loop, channel, {{"none.example.org", DnsType::A}});
  EXPECT_EQ(answers[0].failure, DnsFailure::None) << "another link's servers may know it";
  EXPECT_EQ(system.queries, by_system + 1);
  channel.use_link(0, "");
  EXPECT_EQ(asked(), IpAddress::v4(192, 0, 2, 1));
}

TEST(DnsChannel, WhereTheServersOfTheLinkAreSilentTheSystemsAreAsked) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer system(loop);
  MockServer link(loop);
  system.data[1] = {192, 0, 2, 1};
  link.silent = true;
  LinkFolder folder;
  folder.write(link.endpoint().to_string());
  DnsChannel channel(loop, {system.endpoint()}, {}, folder.path());
  channel.use_link(LinkFolder::index(), "lo");
  const auto answers = ask(loop, channel, {{"sip.example.org", DnsType::A}});
  ASSERT_EQ(answers[0].failure, DnsFailure::None) << answers[0].detail;
  EXPECT_EQ(std::get<IpAddress>(answers[0].records.at(0).data), IpAddress::v4(192, 0, 2, 1));
  EXPECT_EQ(link.queries, 1U) << "asked once";
  link.silent = false;
  link.otherwise = 2;  // SERVFAIL
  const auto again = ask(loop, channel, {{"sip.example.org", DnsType::A}});
  EXPECT_EQ(again[0].failure, DnsFailure::None);
}

TEST(DnsChannel, RenewalForgetsWhatTheLinkWasAsked) {
  EventLoop loop;
  const Guard guard(loop);
  MockServer system(loop);
  MockServer link(loop);
  link.silent = true;
  LinkFolder folder;
  folder.write(link.endpoint().to_string());
  DnsChannel channel(loop, {system.endpoint()}, {}, folder.path());
  channel.use_link(LinkFolder::index(), "lo");
  channel.ask({"old.example.org", DnsType::A},
              [](const DnsAnswer&) { ADD_FAILURE() << "answered after the renewal"; });
  channel.renew();
  link.silent = false;
  link.data[1] = {192, 0, 2, 2};
  const auto answers = ask(loop, channel, {{"new.example.org", DnsType::A}});
  EXPECT_EQ(answers[0].failure, DnsFailure::None);
  EXPECT_EQ(system.queries, 0U);
}

}  // namespace
}  // namespace godwit::io
