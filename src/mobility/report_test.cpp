// SPDX-License-Identifier: Apache-2.0
#include "godwit/report.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include <nlohmann/json.hpp>

namespace godwit {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(IpChangeReport, is_one_json_object_with_milliseconds) {
  IpChangeReport report;
  report.generation = Generation(3);
  report.detected_at = TimePoint(milliseconds(1500));
  report.causes = {ChangeCause::AddressLost, ChangeCause::DefaultRouteMoved};
  report.decision = "call 1: wlan0 10.1.0.2 -> \"wwan0\" 10.2.0.2, break";
  IpChangeStep registered;
  registered.kind = StepKind::ContactUpdated;
  registered.account = AccountId(1);
  registered.started = microseconds(250);
  registered.ended = milliseconds(51);
  registered.ok = true;
  registered.status = 200;
  IpChangeStep refreshed;
  refreshed.kind = StepKind::CallRefreshed;
  refreshed.call = CallId(7);
  refreshed.detail = "no answer";
  report.steps = {registered, refreshed};
  CallImpact call;
  call.call = CallId(7);
  call.old_local = Endpoint{IpAddress::v4(10, 1, 0, 2), 16384};
  call.new_local = Endpoint{IpAddress::v4(10, 2, 0, 2), 16386};
  call.survived = true;
  call.silence_down = microseconds(88500);
  call.lost_down = 3;
  report.calls = {call};
  report.completed = milliseconds(102);
  EXPECT_EQ(report.to_json(),
            R"({"generation":3,"detected_at_ms":1500,)"
            R"("causes":["address_lost","default_route_moved"],)"
            R"("decision":"call 1: wlan0 10.1.0.2 -> \"wwan0\" 10.2.0.2, break","steps":[)"
            R"({"kind":"contact_updated","account":1,"started_ms":0.25,"ended_ms":51,"ok":true,)"
            R"("status":200},)"
            R"({"kind":"call_refreshed","call":7,"started_ms":0,"ok":false,"detail":"no answer"}],)"
            R"("calls":[{"call":7,"old_local":"10.1.0.2:16384","new_local":"10.2.0.2:16386",)"
            R"("survived":true,"silence_down_ms":88.5,"lost_down":3}],)"
            R"("completed_ms":102,"superseded":false})");
}

TEST(IpChangeReport, every_member_comes_back_from_its_json) {
  IpChangeReport report;
  report.generation = Generation(4);
  report.detected_at = TimePoint(milliseconds(2500));
  for (int cause = 0; cause <= static_cast<int>(ChangeCause::Forced); ++cause) {
    report.causes.push_back(static_cast<ChangeCause>(cause));
  }
  report.decision = "all of it,\n\"quoted\" \\ and more";
  for (int kind = 0; kind <= static_cast<int>(StepKind::PublicationMoved); ++kind) {
    IpChangeStep step{};
    step.kind = static_cast<StepKind>(kind);
    step.account = AccountId(1U + static_cast<unsigned>(kind));
    step.call = CallId(2);
    step.started = microseconds(1250);
    step.ended = milliseconds(51);
    step.ok = kind % 2 == 0;
    step.status = 200 + kind;
    step.detail = "step " + std::to_string(kind);
    step.reg_id = 3;
    step.subscription = SubscriptionId(5);
    step.publication = PublicationId(6);
    report.steps.push_back(step);
  }
  IpChangeStep bare{};
  bare.kind = StepKind::CallAudible;
  report.steps.push_back(bare);
  CallImpact call;
  call.call = CallId(2);
  call.old_local = Endpoint{IpAddress::v4(10, 1, 0, 2), 16384};
  call.new_local = *Endpoint::parse("[2001:db8::1]:16386");
  call.survived = true;
  call.silence_down = microseconds(88500);
  call.silence_up = milliseconds(20);
  call.lost_down = 3;
  report.calls = {call};
  report.completed = milliseconds(102);
  report.superseded = true;

  const auto json = nlohmann::json::parse(report.to_json());
  EXPECT_EQ(json.size(), 8U);
  EXPECT_EQ(json.at("generation"), 4);
  EXPECT_EQ(json.at("detected_at_ms"), 2500);
  EXPECT_EQ(json.at("decision"), report.decision);
  EXPECT_EQ(json.at("completed_ms"), 102);
  EXPECT_EQ(json.at("superseded"), true);
  ASSERT_EQ(json.at("causes").size(), report.causes.size());
  EXPECT_EQ(std::set<std::string>(json.at("causes").begin(), json.at("causes").end()).size(),
            report.causes.size())
      << "each has a name of its own";
  ASSERT_EQ(json.at("steps").size(), report.steps.size());
  std::set<std::string> kinds;
  for (std::size_t i = 0; i + 1 < report.steps.size(); ++i) {
    const IpChangeStep& step = report.steps[i];
    const auto& told = json.at("steps").at(i);
    EXPECT_EQ(told.size(), 11U);
    kinds.insert(told.at("kind").get<std::string>());
    EXPECT_EQ(told.at("account"), step.account.value());
    EXPECT_EQ(told.at("reg_id"), 3);
    EXPECT_EQ(told.at("call"), 2);
    EXPECT_EQ(told.at("subscription"), 5);
    EXPECT_EQ(told.at("publication"), 6);
    EXPECT_EQ(told.at("started_ms"), 1.25);
    EXPECT_EQ(told.at("ended_ms"), 51);
    EXPECT_EQ(told.at("ok"), step.ok);
    EXPECT_EQ(told.at("status"), step.status);
    EXPECT_EQ(told.at("detail"), step.detail);
  }
  EXPECT_EQ(kinds.size() + 1, report.steps.size());
  EXPECT_FALSE(kinds.contains("?"));
  EXPECT_EQ(json.at("steps").back().size(), 3U) << "what does not apply is left out";
  const auto& impact = json.at("calls").at(0);
  EXPECT_EQ(impact.size(), 7U);
  EXPECT_EQ(impact.at("call"), 2);
  EXPECT_EQ(impact.at("old_local"), "10.1.0.2:16384");
  EXPECT_EQ(impact.at("new_local"), "[2001:db8::1]:16386");
  EXPECT_EQ(impact.at("survived"), true);
  EXPECT_EQ(impact.at("silence_down_ms"), 88.5);
  EXPECT_EQ(impact.at("silence_up_ms"), 20);
  EXPECT_EQ(impact.at("lost_down"), 3);
}

}  // namespace
}  // namespace godwit
