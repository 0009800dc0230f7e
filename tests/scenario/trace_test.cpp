// SPDX-License-Identifier: Apache-2.0
// The SIP trace of an application: what a call and an address change put into it.
#include <gmock/gmock.h>

#include "world.hpp"

namespace godwit::scenario {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Traced {
  explicit Traced(sip::Transport transport = sip::Transport::Udp,
                  TraceRedaction redaction = TraceRedaction::Secrets) {
    stage.transport = transport;
    stage.ua.sip_trace.redaction = redaction;
    stage.ua.sip_trace.sink = [this](const TraceRecord& record) { records.push_back(record); };
  }
  std::vector<TraceRecord> of(bool outgoing, const std::string& begins) const {
    std::vector<TraceRecord> found;
    for (const TraceRecord& record : records) {
      if (record.outgoing == outgoing && record.text.rfind(begins, 0) == 0) found.push_back(record);
    }
    return found;
  }

  Stage stage;
  std::vector<TraceRecord> records;
};

TEST(TraceScenario, ShowsEachMessageWithTheFlowItTook) {
  Traced traced;
  World world(traced.stage);
  world.call_peer();
  const auto registers = traced.of(true, "REGISTER ");
  ASSERT_EQ(registers.size(), 2U);
  EXPECT_STREQ(registers[1].transport, "UDP");
  EXPECT_EQ(registers[1].local.address, world.wifi_address());
  EXPECT_EQ(registers[1].remote, world.server_endpoint());
  EXPECT_THAT(registers[1].text, HasSubstr("Authorization: (redacted)\n"));
  EXPECT_THAT(registers[1].text, Not(HasSubstr("response=")));
  EXPECT_EQ(traced.of(false, "SIP/2.0 401").size(), 1U);
  EXPECT_EQ(traced.of(true, "INVITE ").size(), world.sent_sip("INVITE").size());
  EXPECT_THAT(traced.of(true, "INVITE ")[0].text, HasSubstr("\n\nv=0\n"));

  const TimePoint changed = world.now();
  const std::size_t before = traced.of(true, "INVITE ").size();
  world.move_to_lte();
  world.run_for(milliseconds(100));
  ASSERT_TRUE(world.run_until([&] { return world.settled(); }, seconds(10)));
  const auto invites = traced.of(true, "INVITE ");
  ASSERT_GT(invites.size(), before);
  EXPECT_EQ(invites.back().local.address, world.lte_address());
  EXPECT_NE(invites.back().flow, registers[1].flow);
  EXPECT_EQ(invites.back().generation, Generation{1});
  EXPECT_GE(invites.back().at, changed);
  for (std::size_t i = 1; i < traced.records.size(); ++i) {
    EXPECT_LE(traced.records[i - 1].at, traced.records[i].at);
  }
}

TEST(TraceScenario, OverTlsAndWithoutIdentities) {
  Traced traced(sip::Transport::Tls, TraceRedaction::Identities);
  World world(traced.stage);
  world.call_peer();
  const auto invites = traced.of(true, "INVITE ");
  ASSERT_FALSE(invites.empty());
  EXPECT_STREQ(invites[0].transport, "TLS");
  EXPECT_EQ(traced.of(false, "SIP/2.0 200 ").size(), 2U) << "of REGISTER and INVITE";
  for (const TraceRecord& record : traced.records) {
    EXPECT_THAT(record.text, Not(HasSubstr("alice"))) << record.text;
    EXPECT_THAT(record.text, Not(HasSubstr("bob"))) << record.text;
    EXPECT_THAT(record.text, Not(HasSubstr("v=0"))) << record.text;
  }
}

TEST(TraceScenario, OffMeansNothing) {
  Traced traced;
  traced.stage.ua.sip_trace.level = TraceLevel::Off;
  World world(traced.stage);
  world.register_phone();
  EXPECT_TRUE(traced.records.empty());
}

}  // namespace
}  // namespace godwit::scenario
