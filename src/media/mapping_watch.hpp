// SPDX-License-Identifier: Apache-2.0
//
// What the world sees a path's RTP and RTCP sockets at (STUN from these very sockets), and the
// keeping of that mapping while no RTP does it. Owned by the media engine, one for each path; puts
// its packets and reports into the engine's outputs. Decides nothing.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "media/contract.hpp"
#include "media/mapping_query.hpp"

namespace godwit::media {

class MappingWatch {
 public:
  /// While nothing is sent from the RTP socket, e.g. on hold, it asks again after a random time
  /// within these. The upper bound is below the 30 s that many home routers keep a mapping for, the
  /// lower one is RFC 6263 §7's shortest interval.
  static constexpr Duration kShortestKeep = std::chrono::seconds(15);
  static constexpr Duration kLongestKeep = std::chrono::seconds(29);

  MappingWatch(PathId path, Random& random) : path_(path), random_(&random) {}

  /// Once the sockets are open. May be given again.
  void start(const LearnMapping& wanted, TimePoint now, std::deque<MediaOutput>& outputs);
  /// RTP has left the socket.
  void note_sent(TimePoint now) { last_sent_ = now; }
  void on_timeout(TimePoint now, std::deque<MediaOutput>& outputs);
  std::optional<TimePoint> next() const;
  /// A STUN message. False: it is none of ours.
  bool on_packet(Channel channel, const Endpoint& from, Bytes bytes, TimePoint now,
                 std::deque<MediaOutput>& outputs);

 private:
  struct Socket {
    MappingQuery query;
    std::optional<Endpoint> mapped;  ///< As first told by the query that runs, or the last.
  };
  Socket& socket(Channel channel) { return sockets_[static_cast<std::size_t>(channel)]; }
  void ask(Channel channel, TimePoint now);
  void send_due(Channel channel, TimePoint now, std::deque<MediaOutput>& outputs);
  void draw_keep(TimePoint from);

  PathId path_;
  Random* random_;
  std::optional<LearnMapping> wanted_;
  std::array<Socket, 2> sockets_;
  std::optional<TimePoint> last_sent_;
  std::optional<TimePoint> keep_at_;
  Duration keep_{};
};

}  // namespace godwit::media
