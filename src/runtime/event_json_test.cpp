// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "godwit/event.hpp"

namespace godwit {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr TimePoint kAt{milliseconds(12'345) + microseconds(250)};

TEST(EventJson, EveryEventIsOneLineWithNameAndTime) {
  IpChangeStep step{
      StepKind::MediaMoved, AccountId{}, CallId{7}, milliseconds(1), {}, true, 0, {}, 0};
  IpChangeReport report;
  report.generation = Generation{3};
  report.causes = {ChangeCause::AddressLost};
  report.steps = {step};
  const std::vector<std::pair<Event, std::string>> cases{
      {RegistrationChanged{AccountId{1}, RegistrationState::Registered, 200, "OK",
                           "sip:a@10.0.0.1:5060", std::chrono::seconds(300)},
       R"({"event":"registration","t_ms":12345.25,"account":1,"state":"registered","status":200,)"
       R"("reason":"OK","contact":"sip:a@10.0.0.1:5060","expires_s":300})"},
      {IncomingCall{CallId{2}, AccountId{1}, "sip:bob@example.org", "Bob", "sip:a@example.org"},
       R"({"event":"incoming_call","t_ms":12345.25,"call":2,"account":1,)"
       R"("from":"sip:bob@example.org","from_display_name":"Bob","to":"sip:a@example.org"})"},
      {IncomingCall{.call = CallId{4},
                    .account = AccountId{1},
                    .from = "sip:b@c.d",
                    .from_display_name = {},
                    .to = "sip:a@c.d",
                    .replaces = CallId{3}},
       R"({"event":"incoming_call","t_ms":12345.25,"call":4,"account":1,"from":"sip:b@c.d",)"
       R"("to":"sip:a@c.d","replaces":3})"},
      {CallStateChanged{CallId{2}, CallState::EarlyMedia, 183, ""},
       R"({"event":"call_state","t_ms":12345.25,"call":2,"state":"early_media","status":183})"},
      {CallMediaChanged{CallId{2}, *Endpoint::parse("10.0.0.1:4000"),
                        *Endpoint::parse("[2001:db8::1]:4002"), std::nullopt, Codec::Pcma,
                        MediaDirection::SendOnly, true, false},
       R"({"event":"call_media","t_ms":12345.25,"call":2,"local":"10.0.0.1:4000",)"
       R"("remote":"[2001:db8::1]:4002","codec":"pcma","direction":"send_only",)"
       R"("held_by_us":true,"held_by_peer":false})"},
      {CallStatistics{CallId{2}, 50, 49, 1, 0.5},
       R"({"event":"call_statistics","t_ms":12345.25,"call":2,"packets_sent":50,)"
       R"("packets_received":49,"packets_lost":1,"jitter_ms":0.5})"},
      {NetworkAvailability{false}, R"({"event":"network","t_ms":12345.25,"available":false})"},
      {IpChangeDetected{Generation{3}, {ChangeCause::DefaultRouteMoved}, "move"},
       R"({"event":"ip_change_detected","t_ms":12345.25,"generation":3,)"
       R"("causes":["default_route_moved"],"decision":"move"})"},
      {IpChangeProgress{Generation{3}, step},
       R"({"event":"ip_change_progress","t_ms":12345.25,"generation":3,"kind":"media_moved",)"
       R"("call":7,"started_ms":1,"ok":true})"},
      {MessageResult{RequestId{4}, AccountId{1}, CallId{}, 202, "Accepted", false},
       R"({"event":"message_result","t_ms":12345.25,"request":4,"account":1,"status":202,)"
       R"("reason":"Accepted","in_doubt":false})"},
      {MessageReceived{AccountId{1}, CallId{2}, "sip:bob@example.org", "", "text/plain", "hi\n"},
       R"({"event":"message","t_ms":12345.25,"account":1,"call":2,"from":"sip:bob@example.org",)"
       R"("content_type":"text/plain","body":"hi\n"})"},
      {OptionsResult{RequestId{5}, AccountId{1}, CallId{}, 200, "OK", "INVITE, ACK", ""},
       R"({"event":"options_result","t_ms":12345.25,"request":5,"account":1,"status":200,)"
       R"("reason":"OK","allow":"INVITE, ACK"})"},
      {DtmfResult{RequestId{6}, CallId{2}, 200, "OK", true},
       R"({"event":"dtmf_result","t_ms":12345.25,"request":6,"call":2,"status":200,)"
       R"("reason":"OK","ok":true})"},
      {DtmfReceived{CallId{2}, '#', std::chrono::milliseconds(160), DtmfMethod::Info},
       R"({"event":"dtmf","t_ms":12345.25,"call":2,"digit":"#","duration_ms":160,)"
       R"("method":"info"})"},
      {FlowChanged{AccountId{1}, 2, false, *Endpoint::parse("10.0.0.9:5060"), "no pong"},
       R"({"event":"flow","t_ms":12345.25,"account":1,"reg_id":2,"alive":false,)"
       R"("server":"10.0.0.9:5060","reason":"no pong"})"},
      {Warning{"port 5060\nis taken"},
       R"({"event":"warning","t_ms":12345.25,"text":"port 5060\nis taken"})"},
  };
  for (const auto& [event, expected] : cases) EXPECT_EQ(to_json(event, kAt), expected);

  const auto completed = nlohmann::json::parse(to_json(IpChangeCompleted{report}, kAt));
  EXPECT_EQ(completed.at("event"), "ip_change_completed");
  EXPECT_EQ(completed.at("report").at("generation"), 3);
  EXPECT_EQ(completed.at("report").at("causes").at(0), "address_lost");
  EXPECT_EQ(completed.at("report").at("steps").at(0).at("kind"), "media_moved");
}

TEST(EventJson, WhatAPeerSentCannotBreakTheLine) {
  const std::string hostile = "a\"b\\c\n\r\x01\xff</script>";
  const auto text = to_json(IncomingCall{CallId{1}, AccountId{1}, hostile, hostile, hostile}, kAt);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto parsed = nlohmann::json::parse(text);
  EXPECT_EQ(parsed.at("from"), "a\"b\\c\n\r\x01\xef\xbf\xbd</script>");
}

}  // namespace
}  // namespace godwit
