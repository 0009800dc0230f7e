// SPDX-License-Identifier: Apache-2.0
#include "ua/streams.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace godwit::ua {
namespace {

using namespace std::chrono_literals;

const std::string kOptions =
    "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\n"
    "Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKa\r\nContent-Length: 0\r\n\r\n";

class StreamsTest : public ::testing::Test {
 protected:
  static mobility::Path path(const char* local = "192.0.2.1") {
    return {7, "wlan0", *IpAddress::parse(local)};
  }
  static Hop hop(sip::Transport transport = sip::Transport::Tcp, const char* name = "") {
    return {transport, Endpoint{*IpAddress::parse("192.0.2.9"), 5060}, name};
  }
  ListenerId ensure(const Hop& to = hop()) { return streams_.ensure(path(), to, {}, now_); }
  ListenerId opened() {
    const ListenerId id = ensure();
    streams_.on_opened(id, info(), now_);
    out_.clear();
    return id;
  }
  ListenerId accepted(const char* from = "192.0.2.66") {
    Listener listener;
    listener.id = ListenerId{1000};
    listener.path = path();
    listener.transport = sip::Transport::Tcp;
    return streams_.accept(listener, info(), Endpoint{*IpAddress::parse(from), 40000}, now_);
  }
  static StreamInfo info() {
    StreamInfo info;
    info.local = Endpoint{*IpAddress::parse("192.0.2.1"), 33333};
    return info;
  }
  template <typename Kind>
  std::vector<Kind> emitted() const {
    std::vector<Kind> found;
    for (const Output& output : out_) {
      if (const auto* kind = std::get_if<Kind>(&output)) found.push_back(*kind);
    }
    return found;
  }
  /// What is due by `at`, with the clock there.
  std::optional<Streams::Due> due_at(Duration after) {
    now_ += after;
    return streams_.pop_due(now_);
  }

  std::deque<Output> out_;
  SeededRandom random_{1};
  Listeners listeners_{{}, out_};
  TimePoint now_{1000s};
  Streams streams_{settings_with_pings(), listeners_, random_, out_};

  static Streams::Settings settings_with_pings() {
    Streams::Settings settings;
    settings.ping_interval = 100s;
    return settings;
  }
};

TEST_F(StreamsTest, OneConnectionForAllWhoGoTheSameWay) {
  const ListenerId first = ensure();
  EXPECT_EQ(ensure(), first);
  EXPECT_NE(ensure(hop(sip::Transport::Tls, "a.example")), first);
  EXPECT_NE(ensure(hop(sip::Transport::Tls, "b.example")),
            ensure(hop(sip::Transport::Tls, "a.example")));  // Another name to be proven.
  EXPECT_NE(streams_.ensure(path("192.0.2.2"), hop(), {}, now_), first);
  const auto asked = emitted<OpenStream>();
  ASSERT_EQ(asked.size(), 4U);
  EXPECT_EQ(asked[0].remote, hop().remote);
  EXPECT_EQ(asked[1].server_name, "a.example");
}

TEST_F(StreamsTest, WhatIsSentBeforeItIsOpenWaitsInOrderAndWithinALimit) {
  const ListenerId id = ensure();
  EXPECT_TRUE(streams_.send(id, "one", now_));
  EXPECT_TRUE(streams_.send(id, "two", now_));
  EXPECT_FALSE(streams_.send(id, std::string(Streams::kMaxWaitingBytes, 'x'), now_));
  EXPECT_TRUE(emitted<SendStream>().empty());
  streams_.on_opened(id, info(), now_);
  const auto sent = emitted<SendStream>();
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[0].bytes + sent[1].bytes, "onetwo");
  EXPECT_FALSE(streams_.send(ListenerId{99}, "x", now_));
}

TEST_F(StreamsTest, AFailedOneIsTriedAgainLaterAndLater) {
  const ListenerId first = ensure();
  streams_.on_closed(first, "refused", now_);
  ASSERT_NE(streams_.failed(path(), hop()), nullptr);
  EXPECT_EQ(streams_.failed(path(), hop())->failure, "refused");
  EXPECT_EQ(ensure(), first);  // Not yet.
  EXPECT_FALSE(streams_.send(first, "x", now_));
  now_ += 2s;
  const ListenerId second = ensure();
  EXPECT_NE(second, first);
  EXPECT_EQ(streams_.failed(path(), hop()), nullptr);
  streams_.on_closed(second, "refused", now_);
  now_ += 2s;
  EXPECT_EQ(ensure(), second);
  now_ += 2s;
  EXPECT_NE(ensure(), second);  // 4 s.
  streams_.forget_failures();
  EXPECT_EQ(emitted<OpenStream>().size(), 3U);
}

TEST_F(StreamsTest, AServerWithoutTcpIsNotAskedAgainFromAnotherPath) {
  const auto tentative = [&](const char* local) {
    return streams_.ensure(path(local), hop(), {}, now_, true);
  };
  streams_.on_closed(tentative("192.0.2.1"), "refused", now_);
  streams_.forget_failures();
  EXPECT_FALSE(tentative("192.0.2.2"));
  EXPECT_TRUE(streams_.ensure(path("192.0.2.2"), hop(), {}, now_)) << "whoever needs it asks";
  streams_.forget_failures();
  now_ += Streams::kWithoutTcp;
  EXPECT_TRUE(tentative("192.0.2.3"));
}

TEST_F(StreamsTest, ATentativeOneWhoseAddressWentSaysNothingOfTheServer) {
  const ListenerId id = streams_.ensure(path(), hop(), {}, now_, true);
  streams_.mark_dead(id);
  streams_.on_closed(id, "no route", now_);
  EXPECT_TRUE(streams_.ensure(path("192.0.2.2"), hop(), {}, now_, true));
}

TEST_F(StreamsTest, CutsMessagesOutOfPiecesAndLosesTheStreamOfALiar) {
  const ListenerId id = opened();
  EXPECT_TRUE(streams_.on_data(id, kOptions.substr(0, 30), now_).messages.empty());
  const auto rest = streams_.on_data(id, kOptions.substr(30) + kOptions, now_);
  ASSERT_EQ(rest.messages.size(), 2U);
  EXPECT_EQ(rest.messages[0], kOptions);
  EXPECT_FALSE(rest.lost);
  EXPECT_TRUE(streams_.on_data(id, "GET / HTTP/1.1\r\n\r\n", now_).lost);
}

TEST_F(StreamsTest, AHalfMessageHasADeadline) {
  const ListenerId id = opened();
  (void)streams_.on_data(id, kOptions.substr(0, 30), now_);
  EXPECT_FALSE(due_at(9s));
  (void)streams_.on_data(id, "V", now_);  // A trickle does not prolong it.
  const auto due = due_at(1s);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->what, Streams::Due::What::Unfinished);
  EXPECT_EQ(due->stream, id);
}

TEST_F(StreamsTest, AnAcceptedOneMustBringAMessageInTime) {
  const ListenerId silent = accepted();
  const ListenerId good = accepted();
  const ListenerId pinging = accepted();
  (void)streams_.on_data(good, kOptions, now_);
  (void)streams_.on_data(pinging, "\r\n\r\n", now_);
  EXPECT_EQ(emitted<SendStream>().size(), 1U);  // The pong.
  std::vector<ListenerId> ended;
  now_ += 10s;
  while (const auto due = streams_.pop_due(now_)) {
    EXPECT_EQ(due->what, Streams::Due::What::Unfinished);
    ended.push_back(due->stream);
  }
  std::sort(ended.begin(), ended.end());
  EXPECT_EQ(ended, (std::vector<ListenerId>{silent, pinging}));
}

TEST_F(StreamsTest, AcceptsSoManyOfOneSourceAndSoManyAtAll) {
  for (std::size_t i = 0; i < Streams::kMaxAcceptedPerSource; ++i) EXPECT_TRUE(accepted());
  EXPECT_FALSE(accepted());
  const ListenerId other = accepted("192.0.2.67");
  EXPECT_TRUE(other);
  std::size_t total = Streams::kMaxAcceptedPerSource + 1;
  for (int host = 0; host < 60; ++host) {
    const std::string from = "198.51.100." + std::to_string(host);
    for (std::size_t i = 0; i < Streams::kMaxAcceptedPerSource; ++i) {
      if (accepted(from.c_str())) ++total;
    }
  }
  EXPECT_EQ(total, Streams::kMaxAccepted);
  EXPECT_TRUE(ensure());  // Our own are not kept out by strangers.
  streams_.close(other);
  EXPECT_TRUE(accepted("192.0.2.67"));
}

TEST_F(StreamsTest, APeerThatStopsAnsweringPingsHasFailed) {
  const ListenerId id = opened();
  EXPECT_FALSE(due_at(100s));
  ASSERT_EQ(emitted<SendStream>().size(), 1U);
  EXPECT_EQ(emitted<SendStream>()[0].bytes, "\r\n\r\n");
  (void)streams_.on_data(id, "\r\n", now_);
  EXPECT_FALSE(due_at(100s));
  EXPECT_EQ(emitted<SendStream>().size(), 2U);
  const auto due = due_at(10s);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->what, Streams::Due::What::NoPong);
}

TEST_F(StreamsTest, APeerThatNeverAnsweredAPingMayNotKnowThem) {
  const ListenerId id = opened();
  EXPECT_FALSE(due_at(100s));
  const auto due = due_at(20s);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->what, Streams::Due::What::Idle);
  streams_.keep(id, now_);
  EXPECT_FALSE(due_at(100s));
}

TEST_F(StreamsTest, ADriverThatForgetsItsDeadlineIsReminded) {
  (void)ensure();
  EXPECT_FALSE(due_at(Streams::kOpenDeadline));
  const auto due = due_at(1s);
  ASSERT_TRUE(due);
  EXPECT_EQ(due->what, Streams::Due::What::Unopened);
}

TEST_F(StreamsTest, AMultipathOneWithoutAnotherPathDiesWithItsAddress) {
  const ListenerId multi = ensure();
  StreamInfo able = info();
  able.multipath = true;
  streams_.on_opened(multi, able, now_);
  streams_.on_paths(multi, false);
  EXPECT_EQ(streams_.mark_dead(NetworkSnapshot{}), std::vector<ListenerId>{multi});
  EXPECT_FALSE(streams_.flow(multi));
}

TEST_F(StreamsTest, AMultipathOneThatMigratedMustSoonBeHeardOf) {
  for (const bool heard : {true, false}) {
    const char* name = heard ? "a" : "b";
    const ListenerId multi = ensure(hop(sip::Transport::Tls, name));
    StreamInfo able = info();
    able.multipath = true;
    streams_.on_opened(multi, able, now_);
    streams_.on_paths(multi, true);
    EXPECT_TRUE(streams_.mark_dead(NetworkSnapshot{}).empty());
    ASSERT_EQ(streams_.ensure(path("192.0.2.2"), hop(sip::Transport::Tls, name), {}, now_), multi);
    if (heard) streams_.on_data(multi, "\r\n", now_);
    const auto due = due_at(Streams::kProofDeadline);
    ASSERT_EQ(due.has_value(), !heard);
    if (due) {
      EXPECT_EQ(due->what, Streams::Due::What::NoProof);
    }
    streams_.close(multi);
  }
}

TEST_F(StreamsTest, DiesWithItsAddressUnlessItHasMore) {
  const ListenerId plain = opened();
  const ListenerId multi = ensure(hop(sip::Transport::Tls, "x"));
  StreamInfo able = info();
  able.multipath = true;
  streams_.on_opened(multi, able, now_);
  EXPECT_EQ(streams_.mark_dead(NetworkSnapshot{}), std::vector<ListenerId>{plain});
  EXPECT_FALSE(streams_.flow(plain));
  EXPECT_FALSE(streams_.send(plain, "x", now_));
  // On the path that its users move to it is the same connection, with the new address to tell.
  EXPECT_EQ(streams_.ensure(path("192.0.2.2"), hop(sip::Transport::Tls, "x"), {}, now_), multi);
  EXPECT_EQ(streams_.flow(multi)->local.address, *IpAddress::parse("192.0.2.2"));
}

}  // namespace
}  // namespace godwit::ua
