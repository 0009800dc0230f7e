// SPDX-License-Identifier: Apache-2.0
#include "lab/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

Outcome two_moves() {
  Outcome outcome;
  outcome.options.families = {Family::V6, Family::V6};
  outcome.options.server = ServerKind::Kamailio;
  outcome.limits = limits_for(50ms);
  outcome.link = "tun";
  for (int i = 1; i <= 2; ++i) {
    MoveResult result;
    result.move.number = i;
    result.move.from = i == 1 ? "wifi" : "lte";
    result.move.to = i == 1 ? "lte" : "wifi";
    MoveFigures& f = result.figures;
    f.detect = 1234567ns;
    f.first_rtp_tx = 5ms;
    f.first_tx = 2ms;
    f.first_tx_after_notice = 1500us;
    f.registered = 53ms;
    f.registered_after_notice = 52ms;
    f.answered = 54ms;
    f.audible = 70ms;
    f.silence_down = i * 40ms;
    f.silence_up = 20ms;
    f.lost_down = 2;
    f.survived = true;
    outcome.moves.push_back(result);
  }
  outcome.summary = summary({outcome.moves[0].figures, outcome.moves[1].figures});
  return outcome;
}

TEST(Report, JsonHasEveryPromisedMember) {
  const auto json = to_json(two_moves());
  EXPECT_EQ(json.at("result"), "PASS");
  EXPECT_EQ(json.at("server"), "kamailio");
  EXPECT_EQ(json.at("transport"), "udp");
  EXPECT_EQ(json.at("scenario"), "kamailio udp 6");
  EXPECT_EQ(json.at("family"), "6");
  EXPECT_EQ(json.at("trigger"), "address-lost");
  EXPECT_EQ(json.at("moves"), 2);
  EXPECT_EQ(json.at("survived"), 2);
  EXPECT_EQ(json.at("first_tx_ms"), 1.5);
  EXPECT_EQ(json.at("registered_ms"), 52.0);
  EXPECT_EQ(json.at("silence_down_ms"), 60.0);
  EXPECT_EQ(json.at("silence_up_ms"), 20.0);
  EXPECT_EQ(json.at("limit_ms").at("first_tx_ms"), 5.0);
  EXPECT_EQ(json.at("limit_ms").at("registered_ms"), 60.0);
  EXPECT_EQ(json.at("limit_ms").at("silence_down_ms"), 80.0);
  EXPECT_EQ(json.at("limit_ms").at("silence_up_ms"), 30.0);
  ASSERT_EQ(json.at("each_move").size(), 2U);
  for (const char* member : {"move", "from", "to", "detect_ms", "first_tx_ms", "first_rtp_tx_ms",
                             "registered_ms", "answered_ms", "audible_ms", "silence_down_ms",
                             "silence_up_ms", "lost_down", "lost_up", "survived"}) {
    for (const auto& move : json.at("each_move")) EXPECT_TRUE(move.contains(member)) << member;
  }
  EXPECT_EQ(json.at("each_move")[1].at("from"), "lte");
  EXPECT_EQ(json.at("each_move")[0].at("detect_ms"), 1.23);
  EXPECT_EQ(json.at("p95").at("silence_down_ms"), 80.0);
  EXPECT_EQ(json.at("maximum").at("silence_down_ms"), 80.0);
  EXPECT_EQ(json.at("median").at("silence_down_ms"), 60.0);
}

TEST(Report, AFailureIsToldInEveryForm) {
  Outcome outcome = two_moves();
  outcome.moves[1].figures.registered.reset();
  outcome.moves[1].figures.registered_after_notice.reset();
  outcome.moves[1].failures = {"not registered from the new address"};
  const auto json = to_json(outcome);
  EXPECT_EQ(json.at("result"), "FAIL");
  EXPECT_TRUE(json.at("each_move")[1].at("registered_ms").is_null());
  EXPECT_EQ(complaints(outcome),
            std::vector<std::string>{"move 2: not registered from the new address"});
  EXPECT_NE(table(outcome).find("never"), std::string::npos);
}

TEST(Report, ARunWithoutMovesIsNoPass) {
  Outcome outcome = two_moves();
  outcome.moves.clear();
  EXPECT_EQ(to_json(outcome).at("result"), "FAIL");
}

TEST(Report, TableShowsMovesMedianAndLimits) {
  const std::string text = table(two_moves());
  EXPECT_NE(text.find("wifi->lte"), std::string::npos);
  EXPECT_NE(text.find("lte->wifi"), std::string::npos);
  EXPECT_NE(text.find("silence from the peer                    40.0       80.0       60.0"
                      "      <= 80.0"),
            std::string::npos)
      << text;
}

TEST(Report, MovesThatChangeTheFamilyAreTwoScenarios) {
  Outcome outcome = two_moves();
  outcome.options.families = {Family::V4, Family::V6};
  outcome.moves[0].move.old_address = IpAddress::v4(10, 1, 0, 2);
  outcome.moves[1].move.old_address = *IpAddress::parse("fd00:2::2");
  const auto both = by_direction(outcome);
  ASSERT_EQ(both.size(), 2U);
  EXPECT_EQ(to_json(both[0]).at("family"), "4-6");
  EXPECT_EQ(to_json(both[0]).at("silence_down_ms"), 40.0);
  EXPECT_EQ(to_json(both[1]).at("family"), "6-4");
  EXPECT_EQ(to_json(both[1]).at("silence_down_ms"), 80.0);
  EXPECT_EQ(to_json(both[1]).at("moves"), 1);
}

TEST(Report, WithLossesTheNinetyFifthPercentileIsHeld) {
  Outcome outcome = two_moves();
  outcome.limits = limits_for(50ms, Signalling::Udp, Trigger::AddressLost, 0.03);
  EXPECT_EQ(to_json(outcome).at("limit_ms").at("p95_silence_down_ms"), 300.0);
  EXPECT_TRUE(failures(outcome.summary, outcome.limits).empty());
  outcome.moves[1].figures.silence_down = 301ms;
  const auto worse = summary({outcome.moves[0].figures, outcome.moves[1].figures});
  ASSERT_EQ(failures(worse, outcome.limits).size(), 1U);
  EXPECT_EQ(failures(worse, outcome.limits)[0],
            "95th percentile: silence from the peer for 301.0 ms, limit 300.0 ms");
}

TEST(Report, ALinkThatFadesHasToBeFoundOutFirst) {
  const Limits limits = limits_for(50ms, Signalling::Udp, Trigger::Fading);
  EXPECT_EQ(limits.silence_down, 500ms);
  EXPECT_EQ(limits.silence_up, 500ms);
  EXPECT_FALSE(limits.registered);
}

}  // namespace
}  // namespace godwit::lab
