// SPDX-License-Identifier: Apache-2.0
#include "media/mapping_watch.hpp"

#include <algorithm>
#include <utility>

namespace godwit::media {

void MappingWatch::start(const LearnMapping& wanted, TimePoint now,
                         std::deque<MediaOutput>& outputs) {
  wanted_ = wanted;
  ask(Channel::Rtp, now);
  socket(Channel::Rtcp).query.stop();
  if (wanted.rtcp) ask(Channel::Rtcp, now);
  keep_at_.reset();
  if (wanted.keep && !wanted.servers.empty()) draw_keep(now);
  on_timeout(now, outputs);
}

void MappingWatch::ask(Channel channel, TimePoint now) {
  socket(channel).query.start(wanted_->servers, wanted_->first_wait, *random_, now);
}

void MappingWatch::draw_keep(TimePoint from) {
  keep_ = Duration(static_cast<Duration::rep>(
      random_->between(static_cast<std::uint64_t>(kShortestKeep.count()),
                       static_cast<std::uint64_t>(kLongestKeep.count()))));
  keep_at_ = from + keep_;
}

void MappingWatch::send_due(Channel channel, TimePoint now, std::deque<MediaOutput>& outputs) {
  MappingQuery& query = socket(channel).query;
  for (MappingQuery::Request& request : query.on_timeout(now)) {
    outputs.emplace_back(SendPacket{path_, channel, request.server, std::move(request.bytes)});
  }
  if (query.take_failure()) outputs.emplace_back(MediaReport(MappingUnknown{path_, channel}));
}

void MappingWatch::on_timeout(TimePoint now, std::deque<MediaOutput>& outputs) {
  if (keep_at_ && *keep_at_ <= now) {
    const TimePoint quiet_until = last_sent_ ? *last_sent_ + keep_ : *keep_at_;
    if (quiet_until > now) {
      keep_at_ = quiet_until;  // RTP keeps it.
    } else {
      ask(Channel::Rtp, now);
      draw_keep(now);
    }
  }
  send_due(Channel::Rtp, now, outputs);
  send_due(Channel::Rtcp, now, outputs);
}

std::optional<TimePoint> MappingWatch::next() const {
  std::optional<TimePoint> next = keep_at_;
  for (const Socket& one : sockets_) {
    const auto at = one.query.next();
    if (at && (!next || *at < *next)) next = at;
  }
  return next;
}

bool MappingWatch::on_packet(Channel channel, const Endpoint& from, Bytes bytes, TimePoint now,
                             std::deque<MediaOutput>& outputs) {
  Socket& asked = socket(channel);
  const auto answer = asked.query.on_packet(from, bytes, now);
  if (asked.query.take_failure()) outputs.emplace_back(MediaReport(MappingUnknown{path_, channel}));
  if (!answer) return false;
  // Further servers are worth a word only where they see us elsewhere.
  if (!answer->first && asked.mapped == answer->mapped) return true;
  if (answer->first) asked.mapped = answer->mapped;
  outputs.emplace_back(MediaReport(MappingLearned{path_, channel, answer->mapped, answer->server,
                                                  !answer->first, answer->round_trip}));
  return true;
}

}  // namespace godwit::media
