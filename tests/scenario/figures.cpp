// SPDX-License-Identifier: Apache-2.0
#include "figures.hpp"

#include <algorithm>
#include <set>

namespace godwit::scenario {

std::size_t missing(const testing::RtpRecord& record, TimePoint from, TimePoint to) {
  std::set<std::uint16_t> seen;
  std::optional<std::uint16_t> first;
  std::int32_t highest = 0;
  for (const auto& packet : record.packets()) {
    if (packet.at < from || packet.at >= to) continue;
    if (!first) first = packet.header.sequence;
    const auto offset = static_cast<std::int16_t>(packet.header.sequence - *first);
    if (offset < 0) continue;
    highest = std::max<std::int32_t>(highest, offset);
    seen.insert(packet.header.sequence);
  }
  return first ? static_cast<std::size_t>(highest) + 1 - seen.size() : 0;
}

Duration pause_before_first_packet(World& world, TimePoint changed, const IpAddress& new_address) {
  std::optional<TimePoint> last;
  for (const auto& packet : world.facts.sent("phone").packets()) {
    if (packet.at >= changed && packet.source.address == new_address) {
      return last ? packet.at - *last : Duration{};
    }
    last = packet.at;
  }
  return {};
}

MoveFigures measure_move(World& world, TimePoint changed, const IpAddress& new_address) {
  MoveFigures figures;
  const TimePoint end = world.now() - world.stage.rtt - 2 * kPacketTime;
  figures.silence_up = world.up().longest_pause(changed, end);
  figures.silence_down = world.down().longest_pause(changed, end);
  figures.missing_up = missing(world.up(), changed - milliseconds(100), end);
  figures.missing_down = missing(world.down(), changed - milliseconds(100), end);
  const TimePoint snapshot = *world.phone.last_snapshot_at();
  if (const auto at = world.facts.sent("phone").first(changed, new_address)) {
    figures.first_rtp = *at - snapshot;
  }
  for (const auto& sent : world.sent_sip("REGISTER", changed)) {
    if (sent.source.address != new_address) continue;
    figures.first_register = sent.at - snapshot;
    break;
  }
  for (const auto& sent : world.sent_sip("INVITE", changed)) {
    if (sent.source.address != new_address) continue;
    figures.first_invite = sent.at - snapshot;
    break;
  }
  return figures;
}

const IpChangeStep* find_step(const IpChangeReport& report, StepKind kind) {
  const auto found = std::find_if(report.steps.begin(), report.steps.end(),
                                  [&](const IpChangeStep& step) { return step.kind == kind; });
  return found == report.steps.end() ? nullptr : &*found;
}

bool has_cause(const IpChangeReport& report, ChangeCause cause) {
  return std::find(report.causes.begin(), report.causes.end(), cause) != report.causes.end();
}

void expect_moved(World& world, const IpAddress& address) {
  EXPECT_TRUE(world.confirmed());
  EXPECT_EQ(world.peer.state(), MockPeer::CallState::Confirmed) << world.peer.end_reason();
  const auto contacts = world.server.contacts("alice");
  EXPECT_EQ(contacts.size(), 1U) << "the old binding is gone";
  if (!contacts.empty()) {
    const auto uri = testing::parse_uri(contacts.front());
    EXPECT_EQ(uri->host, address.to_string());
  }
  EXPECT_EQ(world.peer.media().ssrcs().size(), 1U) << "one stream";
  world.expect_continuous_sdp();
  world.expect_audio(address);
}

}  // namespace godwit::scenario
