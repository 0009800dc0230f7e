// SPDX-License-Identifier: Apache-2.0
#include "ua/streams.hpp"

#include <algorithm>
#include <utility>

namespace godwit::ua {
namespace {

constexpr const char* kPing = "\r\n\r\n";
constexpr const char* kPong = "\r\n";

/// The driver has its own clock for the deadline; ours is for a driver that forgets.
constexpr Duration kGrace = std::chrono::seconds(1);

}  // namespace

Stream& Streams::add(ListenerId id, Hop hop, const mobility::Path& path, Generation generation) {
  Stream& stream = streams_[id];
  stream.id = id;
  stream.hop = std::move(hop);
  stream.path = path;
  stream.generation = generation;
  return stream;
}

ListenerId Streams::ensure(const mobility::Path& path, const Hop& hop, Generation generation,
                           TimePoint now, bool tentative) {
  ListenerId failed;
  Duration wait = kFirstRetry;
  for (auto& [id, stream] : streams_) {
    if (stream.dead || stream.accepted_by || stream.hop != hop) continue;
    if (stream.migrates && !(stream.path == path)) {
      stream.migrates = false;
      stream.path = path;
      stream.info.local.address = path.local;
      stream.generation = generation;
      stream.proof_due = now + kProofDeadline;
      arm(stream);
      return id;
    }
    if (!(stream.path == path)) continue;
    if (!stream.failed) return id;
    if (now < stream.retry_at) return id;
    failed = id;
    wait = std::min(2 * std::max(stream.retry_at - stream.last_traffic, kFirstRetry), kLastRetry);
  }
  if (failed) erase(streams_.at(failed));
  if (tentative && has_no_tcp(hop.remote, now)) return {};
  if (streams_.size() >= kMaxStreams) return {};
  const ListenerId id = listeners_.next_id();
  Stream& stream = add(id, hop, path, generation);
  stream.last_traffic = now;
  stream.retry_at = now + wait;
  stream.tentative = tentative;
  const Duration deadline = tentative ? kTentativeDeadline : kOpenDeadline;
  stream.give_up_at = now + deadline + kGrace;
  OpenStream open;
  open.stream = id;
  open.transport = hop.transport;
  open.local = path.local;
  open.interface_index = path.interface_index;
  open.interface_name = path.interface_name;
  open.remote = hop.remote;
  if (hop.transport == sip::Transport::Tls) {
    open.server_name = hop.tls_name;
    open.tls = settings_.tls;
  }
  open.mptcp = settings_.mptcp;
  open.generation = generation;
  open.deadline = deadline;
  out_.push_back(std::move(open));
  arm(stream);
  return id;
}

const Stream* Streams::find(ListenerId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

const Stream* Streams::failed(const mobility::Path& path, const Hop& hop) const {
  for (const auto& [id, stream] : streams_) {
    if (stream.failed && stream.path == path && stream.hop == hop) return &stream;
  }
  return nullptr;
}

std::optional<sip::Flow> Streams::flow(ListenerId id) const {
  const Stream* stream = find(id);
  if (stream == nullptr || !stream->open || stream->dead) return std::nullopt;
  return sip::Flow{stream->hop.transport,        id,
                   stream->info.local,           stream->hop.remote,
                   stream->path.interface_index, stream->generation,
                   stream->hop.tls_name};
}

bool Streams::send(ListenerId id, std::string bytes, TimePoint now) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return false;
  Stream& stream = found->second;
  if (stream.failed || stream.dead) return false;
  if (stream.open) {
    stream.last_traffic = now;
    out_.push_back(SendStream{id, std::move(bytes)});
    return true;
  }
  if (stream.waiting_bytes + bytes.size() > kMaxWaitingBytes) return false;
  stream.waiting_bytes += bytes.size();
  stream.waiting.push_back(std::move(bytes));
  return true;
}

void Streams::on_opened(ListenerId id, StreamInfo info, TimePoint now) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.open || found->second.failed) return;
  Stream& stream = found->second;
  stream.open = true;
  stream.info = std::move(info);
  stream.last_traffic = now;
  stream.give_up_at.reset();
  if (settings_.ping_interval > Duration::zero()) stream.ping_at = now + ping_interval(stream);
  stream.waiting_bytes = 0;
  for (std::string& bytes : std::exchange(stream.waiting, {})) {
    out_.push_back(SendStream{id, std::move(bytes)});
  }
  arm(stream);
}

ListenerId Streams::accept(const Listener& listener, StreamInfo info, const Endpoint& remote,
                           TimePoint now) {
  std::size_t& of_source = accepted_[remote.address];
  if (streams_.size() >= kMaxStreams || accepted_total_ >= kMaxAccepted ||
      of_source >= kMaxAcceptedPerSource) {
    if (of_source == 0) accepted_.erase(remote.address);
    return {};
  }
  ++of_source;
  ++accepted_total_;
  const ListenerId id = listeners_.next_id();
  Stream& stream = add(id, Hop{listener.transport, remote, {}}, listener.path, listener.generation);
  stream.accepted_by = listener.id;
  stream.open = true;
  stream.info = std::move(info);
  stream.last_traffic = now;
  stream.give_up_at = now + kMessageDeadline;
  arm(stream);
  return id;
}

std::vector<ListenerId> Streams::quiet(const IpAddress& source, TimePoint now) const {
  const auto of_source = accepted_.find(source);
  const bool own = of_source != accepted_.end() && of_source->second >= kMaxAcceptedPerSource;
  std::vector<ListenerId> found;
  for (const auto& [id, stream] : streams_) {
    if (!stream.accepted_by || (own && stream.hop.remote.address != source)) continue;
    if (!stream.heard || stream.framer.buffered() > 0) continue;  // Its deadline runs.
    if (stream.last_traffic + kMessageDeadline <= now) found.push_back(id);
  }
  std::sort(found.begin(), found.end(), [&](ListenerId a, ListenerId b) {
    const TimePoint at = streams_.at(a).last_traffic;
    const TimePoint other = streams_.at(b).last_traffic;
    return at != other ? at < other : a < b;
  });
  return found;
}

Streams::Received Streams::on_data(ListenerId id, const std::string& bytes, TimePoint now) {
  Received received;
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.open) return received;
  Stream& stream = found->second;
  stream.last_traffic = now;
  stream.proof_due.reset();
  stream.framer.append(bytes);
  for (;;) {
    auto next = stream.framer.next();
    if (!next) {
      received.lost = next.error().detail;
      return received;
    }
    if (!*next) break;
    received.messages.push_back(std::move(**next));
  }
  const auto keep_alives = stream.framer.take_keep_alives();
  if (keep_alives.pongs > 0 && stream.pong_due) {
    stream.pong_due.reset();
    stream.ponged = true;
  }
  // RFC 5626 §4.4.1 and §3.5.1: one CRLF for a ping. Several at once were not meant as such.
  if (keep_alives.pings > 0 && !stream.dead) out_.push_back(SendStream{id, kPong});
  const bool whole = !received.messages.empty();
  stream.heard = stream.heard || whole;
  const bool within = stream.framer.buffered() > 0;
  if (whole || (stream.heard && !within)) stream.give_up_at.reset();
  if (within && !stream.give_up_at) stream.give_up_at = now + kMessageDeadline;
  if (!within && !stream.accepted_by) stream.give_up_at.reset();
  arm(stream);
  return received;
}

void Streams::on_closed(ListenerId id, const std::string& reason, TimePoint now) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.failed) return;
  Stream& stream = found->second;
  if (stream.open) return erase(stream);
  if (stream.tentative && !stream.dead) note_no_tcp(stream.hop.remote, now);
  const Duration wait = stream.retry_at - stream.last_traffic;
  stream.failed = true;
  stream.failure = reason.empty() ? "the peer closed the connection" : reason;
  stream.waiting.clear();
  stream.waiting_bytes = 0;
  stream.give_up_at.reset();
  stream.last_traffic = now;
  stream.retry_at = now + wait;
  arm(stream);
}

void Streams::close(ListenerId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  if (!found->second.failed) out_.push_back(CloseStream{id});
  erase(found->second);
}

void Streams::keep(ListenerId id, TimePoint now) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.last_traffic = now;
  arm(found->second);
}

void Streams::limit_pings(ListenerId id, Duration interval, TimePoint now) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.open) return;
  Stream& stream = found->second;
  if (stream.ping_interval == interval) return;
  stream.ping_interval = interval;
  stream.ping_at = now + ping_interval(stream);
  arm(stream);
}

std::vector<ListenerId> Streams::mark_dead(const NetworkSnapshot& snapshot) {
  std::vector<ListenerId> dead;
  for (auto& [id, stream] : streams_) {
    if (stream.dead || stream.migrates || stream.path.local.is_loopback()) continue;
    const NetworkInterface* owner = snapshot.owner_of(stream.path.local);
    if (owner != nullptr && owner->index == stream.path.interface_index) continue;
    if (stream.open && stream.info.multipath && !stream.alone && !stream.accepted_by) {
      stream.migrates = true;
      continue;
    }
    stream.dead = true;
    dead.push_back(id);
  }
  std::sort(dead.begin(), dead.end());
  return dead;
}

void Streams::mark_dead(ListenerId id) {
  const auto found = streams_.find(id);
  if (found != streams_.end()) found->second.dead = true;
}

void Streams::on_paths(ListenerId id, bool others) {
  const auto found = streams_.find(id);
  if (found != streams_.end()) found->second.alone = !others;
}

void Streams::forget_failures() {
  for (const ListenerId id : all()) {
    if (streams_.at(id).failed) erase(streams_.at(id));
  }
}

bool Streams::has_no_tcp(const Endpoint& remote, TimePoint now) const {
  const auto found = without_tcp_.find(remote);
  return found != without_tcp_.end() && now < found->second;
}

void Streams::note_no_tcp(const Endpoint& remote, TimePoint now) {
  std::erase_if(without_tcp_, [now](const auto& entry) { return entry.second <= now; });
  if (without_tcp_.size() >= kMaxWithoutTcp) return;  // The others are asked each time.
  without_tcp_[remote] = now + kWithoutTcp;
}

std::vector<ListenerId> Streams::all() const {
  std::vector<ListenerId> ids;
  for (const auto& entry : streams_) ids.push_back(entry.first);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void Streams::arm(Stream& stream) {
  TimePoint at = stream.failed ? stream.retry_at + kIdle : stream.last_traffic + kIdle;
  for (const auto& other : {stream.give_up_at, stream.ping_at, stream.pong_due, stream.proof_due}) {
    if (other && !stream.failed) at = std::min(at, *other);
  }
  if (stream.timer) timers_.cancel(stream.timer);
  stream.timer = timers_.schedule(at, stream.id);
}

std::optional<Streams::Due> Streams::pop_due(TimePoint now) {
  while (const auto id = timers_.pop_due(now)) {
    Stream& stream = streams_.at(*id);
    stream.timer = {};
    if (stream.failed) {
      erase(stream);  // Nobody has asked for it again.
      continue;
    }
    if (stream.give_up_at && *stream.give_up_at <= now) {
      return Due{stream.open ? Due::What::Unfinished : Due::What::Unopened, *id};
    }
    if (stream.proof_due && *stream.proof_due <= now) {
      stream.proof_due.reset();
      if (!stream.dead) return Due{Due::What::NoProof, *id};
    }
    if (stream.pong_due && *stream.pong_due <= now) {
      stream.pong_due.reset();
      // RFC 5626 §4.4.1. A peer that has never answered one may not know pings: for it they only
      // keep the way open.
      if (stream.ponged) return Due{Due::What::NoPong, *id};
    }
    if (stream.ping_at && *stream.ping_at <= now) {
      stream.ping_at = now + ping_interval(stream);
      if (!stream.dead) {
        stream.pong_due = now + kPongDeadline;
        out_.push_back(SendStream{*id, kPing});
      }
    }
    const bool idle = stream.last_traffic + kIdle <= now;
    if (idle) return Due{Due::What::Idle, *id};
    arm(stream);
  }
  return std::nullopt;
}

Duration Streams::ping_interval(const Stream& stream) {
  const Duration longest =
      stream.ping_interval > Duration::zero() ? stream.ping_interval : settings_.ping_interval;
  const auto whole = static_cast<std::uint64_t>(longest.count());
  return Duration(static_cast<Duration::rep>(random_.between(whole - whole / 5, whole)));
}

void Streams::erase(Stream& stream) {
  if (stream.timer) timers_.cancel(stream.timer);
  if (stream.accepted_by) {
    --accepted_total_;
    const auto source = accepted_.find(stream.hop.remote.address);
    if (source != accepted_.end() && --source->second == 0) accepted_.erase(source);
  }
  streams_.erase(stream.id);
}

}  // namespace godwit::ua
