// SPDX-License-Identifier: Apache-2.0
#include "godwit/report.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace godwit
