// SPDX-License-Identifier: Apache-2.0
// STUN out of a call's own sockets: the question, the answer, and the keeping of the mapping.
#include <gtest/gtest.h>

#include "media/engine_harness.hpp"
#include "media/mapping_watch.hpp"
#include "wire/stun/stun.hpp"

namespace godwit::media {
namespace {

const Endpoint kServer{IpAddress::v4(198, 51, 100, 1), 3478};
const Endpoint kPeer{IpAddress::v4(198, 51, 100, 7), 30'000};
const Endpoint kMapped{IpAddress::v4(203, 0, 113, 5), 40'000};

std::vector<EngineHarness::Sent> stun_of(const EngineHarness& engine, Channel channel) {
  std::vector<EngineHarness::Sent> found;
  for (const auto& sent : engine.sent) {
    if (sent.channel == channel && wire::looks_like_stun(sent.bytes)) found.push_back(sent);
  }
  return found;
}

Buffer answer_to(const EngineHarness::Sent& request, const Endpoint& mapped = kMapped) {
  auto message = *wire::parse_stun(request.bytes);
  message.message_class = wire::StunClass::Success;
  message.mapped = mapped;
  return *wire::build_stun(message);
}

LearnMapping learn(bool rtcp = true, bool keep = true) {
  return {PathId(1), {kServer}, milliseconds(100), rtcp, keep};
}

TEST(EngineMapping, AsksFromBothSocketsAndReportsBoth) {
  EngineHarness engine;
  engine.open(1);
  engine.command(learn());
  ASSERT_EQ(stun_of(engine, Channel::Rtp).size(), 1U);
  ASSERT_EQ(stun_of(engine, Channel::Rtcp).size(), 1U);
  EXPECT_EQ(stun_of(engine, Channel::Rtp)[0].remote, kServer);
  engine.packet(1, kServer, answer_to(stun_of(engine, Channel::Rtp)[0]));
  const Endpoint rtcp{kMapped.address, 40'777};
  engine.packet(1, kServer, answer_to(stun_of(engine, Channel::Rtcp)[0], rtcp), Channel::Rtcp);
  const auto learned = engine.reported<MappingLearned>();
  ASSERT_EQ(learned.size(), 2U);
  EXPECT_EQ(learned[0].mapped, kMapped);
  EXPECT_EQ(learned[0].channel, Channel::Rtp);
  EXPECT_EQ(learned[0].server, kServer);
  EXPECT_FALSE(learned[0].differs);
  EXPECT_EQ(learned[1].mapped, rtcp);
  EXPECT_EQ(learned[1].channel, Channel::Rtcp);
}

TEST(EngineMapping, TheQuestionWaitsForTheSockets) {
  EngineHarness engine;
  engine.answer_sockets = false;
  engine.open(1);
  engine.command(learn(false));
  EXPECT_TRUE(engine.sent.empty());
  engine.engine.on_sockets(PathId(1), EngineHarness::local_of(PathId(1)), engine.now);
  engine.command(SetMuted{});  // To take what it puts out.
  EXPECT_EQ(stun_of(engine, Channel::Rtp).size(), 1U);
  EXPECT_TRUE(stun_of(engine, Channel::Rtcp).empty()) << "not asked for";
}

TEST(EngineMapping, SilenceIsReportedOnceAndBounded) {
  EngineHarness engine;
  engine.open(1);
  engine.command(learn(true, false));
  engine.run_for(seconds(60));
  EXPECT_EQ(stun_of(engine, Channel::Rtp).size(), std::size_t{MappingQuery::kSends});
  EXPECT_EQ(engine.reported<MappingUnknown>().size(), 2U) << "RTP and RTCP";
}

TEST(EngineMapping, StunOfStrangersIsIgnored) {
  EngineHarness engine;
  engine.open(1);
  engine.command(learn(false));
  const auto request = stun_of(engine, Channel::Rtp).at(0);
  engine.packet(1, kPeer, answer_to(request));
  engine.packet(1, kServer, answer_to(request), Channel::Rtcp);
  engine.packet(1, kPeer, request.bytes);
  EXPECT_TRUE(engine.reported<MappingLearned>().empty());
  EXPECT_EQ(engine.sent.size(), 1U) << "and nothing is answered";
  engine.packet(1, kServer, answer_to(request));
  EXPECT_EQ(engine.reported<MappingLearned>().size(), 1U);
}

TEST(EngineMapping, ASecondServerThatSeesUsElsewhereIsReported) {
  EngineHarness engine;
  engine.open(1);
  const Endpoint other{IpAddress::v4(198, 51, 100, 2), 3478};
  engine.command(LearnMapping{PathId(1), {kServer, other}, milliseconds(100), false, false});
  const auto asked = stun_of(engine, Channel::Rtp);
  ASSERT_EQ(asked.size(), 2U);
  engine.packet(1, kServer, answer_to(asked[0]));
  engine.packet(1, other, answer_to(asked[1], {kMapped.address, 40'001}));
  const auto learned = engine.reported<MappingLearned>();
  ASSERT_EQ(learned.size(), 2U);
  EXPECT_TRUE(learned[1].differs);
}

TEST(EngineMapping, WithoutRtpTheMappingIsKeptAndItsChangeSeen) {
  EngineHarness engine;
  engine.open(1);
  engine.command(learn());
  engine.packet(1, kServer, answer_to(stun_of(engine, Channel::Rtp)[0]));
  engine.packet(1, kServer, answer_to(stun_of(engine, Channel::Rtcp)[0]), Channel::Rtcp);
  engine.forget();
  TimePoint last = engine.now;
  for (int i = 0; i < 20; ++i) {
    engine.run_until(last + MappingWatch::kShortestKeep - milliseconds(1));
    EXPECT_TRUE(engine.sent.empty());
    while (engine.sent.empty() && engine.now < last + MappingWatch::kLongestKeep) {
      engine.run_for(milliseconds(10));
    }
    ASSERT_EQ(engine.sent.size(), 1U) << "RTP's socket only";
    last = engine.sent[0].at;
    engine.packet(1, kServer, answer_to(engine.sent[0], {kMapped.address, 41'000}));
    engine.forget();
  }
}

TEST(EngineMapping, RtpKeepsTheMappingByItself) {
  EngineHarness engine;
  engine.open(1);
  SetParameters parameters;
  parameters.receive = {{0, Codec::Pcmu}};
  engine.command(parameters);
  engine.remote(1, kPeer);
  engine.command(learn());
  engine.packet(1, kServer, answer_to(stun_of(engine, Channel::Rtp)[0]));
  engine.forget();
  engine.run_for(seconds(120));
  EXPECT_TRUE(stun_of(engine, Channel::Rtp).empty());
  parameters.direction = MediaDirection::Inactive;
  engine.command(parameters);
  engine.run_for(MappingWatch::kLongestKeep + milliseconds(20));
  EXPECT_GE(stun_of(engine, Channel::Rtp).size(), 1U) << "on hold";
}

TEST(EngineMapping, GoesWithItsPath) {
  EngineHarness engine;
  engine.open(1);
  engine.command(learn());
  const auto request = stun_of(engine, Channel::Rtp).at(0);
  engine.command(ClosePath{PathId(1), {}});
  engine.packet(1, kServer, answer_to(request));
  engine.command(learn());
  engine.run_for(seconds(60));
  EXPECT_EQ(stun_of(engine, Channel::Rtp).size(), 1U);
  EXPECT_TRUE(engine.reported<MappingLearned>().empty());
}

}  // namespace
}  // namespace godwit::media
