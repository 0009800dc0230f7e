// SPDX-License-Identifier: Apache-2.0
#include "lab/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace godwit::lab {
namespace {

using namespace std::chrono_literals;

Outcome two_moves() {
  Outcome outcome;
  outcome.options.family = Family::V6;
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
  outcome.median = median({outcome.moves[0].figures, outcome.moves[1].figures});
  return outcome;
}

TEST(Report, JsonHasEveryPromisedMember) {
  const auto json = to_json(two_moves());
  EXPECT_EQ(json.at("result"), "PASS");
  EXPECT_EQ(json.at("server"), "kamailio");
  EXPECT_EQ(json.at("transport"), "udp");
  EXPECT_EQ(json.at("limits").at("registered_after_notice_ms"), 60.0);
  EXPECT_EQ(json.at("family"), 6);
  EXPECT_EQ(json.at("limits").at("silence_down_ms"), 90.0);
  ASSERT_EQ(json.at("moves").size(), 2U);
  for (const char* member :
       {"move", "from", "to", "rtt_ms", "detect_ms", "first_rtp_tx_ms", "registered_ms",
        "registered_after_notice_ms", "answered_ms", "audible_ms", "silence_down_ms",
        "silence_up_ms", "lost_down", "lost_up", "survived"}) {
    for (const auto& move : json.at("moves")) EXPECT_TRUE(move.contains(member)) << member;
  }
  EXPECT_EQ(json.at("moves")[1].at("from"), "lte");
  EXPECT_EQ(json.at("moves")[0].at("rtt_ms"), 50.0);
  EXPECT_EQ(json.at("moves")[0].at("detect_ms"), 1.23);
  EXPECT_EQ(json.at("median").at("silence_down_ms"), 60.0);
}

TEST(Report, AFailureIsToldInEveryForm) {
  Outcome outcome = two_moves();
  outcome.moves[1].figures.registered.reset();
  outcome.moves[1].failures = {"not registered from the new address"};
  const auto json = to_json(outcome);
  EXPECT_EQ(json.at("result"), "FAIL");
  EXPECT_TRUE(json.at("moves")[1].at("registered_ms").is_null());
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
                      "    <= 90.0"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace godwit::lab
