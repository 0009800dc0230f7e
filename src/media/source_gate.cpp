// SPDX-License-Identifier: Apache-2.0
#include "media/source_gate.hpp"

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

namespace godwit::media {
namespace {

/// A candidate whose packets come slower than this begins anew.
constexpr Duration kCandidatePause = std::chrono::seconds(1);

int step(std::uint16_t from, std::uint16_t to) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>(to - from));
}

}  // namespace

std::optional<Endpoint> SourceGate::source() const {
  return stream_ ? std::optional(stream_->source) : std::nullopt;
}

SourceGate::Outcome SourceGate::on_packet(PathId path, const Endpoint& from, std::uint32_t ssrc,
                                          std::uint16_t sequence, Bytes bytes, TimePoint now) {
  const bool of_stream = stream_ && stream_->ssrc == ssrc;
  const bool trusted = from == signalled_ || (stream_ && stream_->source == from);
  const Candidate* candidate = find(from, ssrc);
  const bool verified = candidate != nullptr && candidate->verified;
  if (of_stream ? trusted : !stream_ && from == signalled_) {
    return {Verdict::Accepted, {}, accept(from, ssrc, sequence, now)};
  }
  if (!may_try(from, ssrc, sequence, now)) return {};
  if (of_stream && verified) return {Verdict::Accepted, {}, accept(from, ssrc, sequence, now)};
  return try_candidate({path, from, ssrc, sequence, now, Buffer(bytes.begin(), bytes.end())});
}

bool SourceGate::may_try(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence,
                         TimePoint now) const {
  if (!stream_ || now - stream_->heard >= stranger_limit_) return true;
  if (ssrc == stream_->ssrc) return std::abs(step(stream_->highest, sequence)) <= kNear;
  return from == stream_->source || from == signalled_;
}

SourceGate::Outcome SourceGate::try_candidate(Packet packet) {
  Candidate* candidate = candidate_for(packet.from, packet.ssrc);
  if (candidate == nullptr) return {};
  const bool first = candidate->contiguous == 0;
  if (!first && step(packet.sequence, candidate->next_sequence) == 1)
    return {Verdict::Held, {}, false};
  if (first || packet.sequence != candidate->next_sequence ||
      packet.at - candidate->seen > kCandidatePause) {
    candidate->contiguous = 0;
    candidate->held.clear();
  }
  candidate->next_sequence = static_cast<std::uint16_t>(packet.sequence + 1);
  candidate->seen = packet.at;
  if (++candidate->contiguous < kConfirmations) {
    candidate->held.push_back(std::move(packet));
    return {Verdict::Held, {}, false};
  }
  candidate->verified = true;
  Outcome outcome{Verdict::Accepted, std::exchange(candidate->held, {}), false};
  for (const Packet& held : outcome.released) {
    outcome.moved |= accept(held.from, held.ssrc, held.sequence, held.at);
  }
  outcome.moved |= accept(packet.from, packet.ssrc, packet.sequence, packet.at);
  return outcome;
}

bool SourceGate::accept(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence,
                        TimePoint now) {
  if (!stream_ || stream_->ssrc != ssrc) {
    const bool moved = stream_ ? stream_->source != from : from != signalled_;
    stream_ = Stream{ssrc, from, sequence, now};
    candidates_.clear();
    return moved;
  }
  stream_->heard = std::max(stream_->heard, now);
  const int ahead = step(stream_->highest, sequence);
  if (ahead <= 0 && ahead >= -kNear) return false;  // a copy or a straggler
  stream_->highest = sequence;
  if (from == stream_->source) {
    std::erase_if(candidates_, [&](const Candidate& c) { return c.from == from; });
    for (Candidate& c : candidates_) c.leading = 0;
    return false;
  }
  if (from != signalled_) {
    // Where a peer sends everything twice, over two networks, both sources stay verified and the
    // stream's source is the one that leads.
    Candidate* candidate = find(from, ssrc);
    if (candidate == nullptr || ++candidate->leading < kConfirmations) return false;
  }
  stream_->source = from;
  candidates_.clear();
  return true;
}

SourceGate::Candidate* SourceGate::find(const Endpoint& from, std::uint32_t ssrc) {
  const auto it = std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& c) {
    return c.from == from && c.ssrc == ssrc;
  });
  return it == candidates_.end() ? nullptr : &*it;
}

/// The present one, or a new one in a free place or in that of the least promising.
SourceGate::Candidate* SourceGate::candidate_for(const Endpoint& from, std::uint32_t ssrc) {
  if (Candidate* present = find(from, ssrc)) return present;
  Candidate fresh;
  fresh.from = from;
  fresh.ssrc = ssrc;
  fresh.favoured =
      from == signalled_ || (stream_ && (stream_->ssrc == ssrc || stream_->source == from));
  if (candidates_.size() < kMaxCandidates) return &candidates_.emplace_back(std::move(fresh));
  const auto worst =
      std::min_element(candidates_.begin(), candidates_.end(), [](const auto& a, const auto& b) {
        return std::tie(a.favoured, a.seen) < std::tie(b.favoured, b.seen);
      });
  if (worst->favoured && !fresh.favoured) return nullptr;
  *worst = std::move(fresh);
  return &*worst;
}

}  // namespace godwit::media
