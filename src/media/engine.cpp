// SPDX-License-Identifier: Apache-2.0
#include "media/engine.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "media/audio_port.hpp"
#include "media/destination.hpp"
#include "media/digits.hpp"
#include "media/g711.hpp"
#include "media/jitter_buffer.hpp"
#include "media/mapping_watch.hpp"
#include "media/pause_watch.hpp"
#include "media/rtp_session.hpp"
#include "media/source_gate.hpp"

namespace godwit::media {
namespace {

/// RFC 3551 table 4: comfort noise; like telephone-events received without being played.
constexpr std::uint8_t kComfortNoise = 13;
/// Nothing larger comes through an Ethernet; 1 500 bytes of G.711 would be 187 ms.
constexpr std::size_t kMaxPacketSize = 1500;
constexpr std::size_t kMaxPayloads = 8;
/// A tick this many packet times late is not caught up with: the peer would play the burst as
/// delay.
constexpr int kMaxCatchUp = 4;
/// Of what was sent into a dead path, what is worth repeating: older audio comes too late to be
/// played.
constexpr Duration kRepeatLimit = std::chrono::milliseconds(60);
constexpr Duration kStatisticsInterval = std::chrono::seconds(1);
constexpr Duration kTroubleInterval = std::chrono::seconds(1);

bool sends(MediaDirection d) {
  return d == MediaDirection::SendRecv || d == MediaDirection::SendOnly;
}
bool receives(MediaDirection d) {
  return d == MediaDirection::SendRecv || d == MediaDirection::RecvOnly;
}

struct Path {
  Path(const OpenPath& command, Random& random)
      : opened(command), generation(command.generation), mapping(command.path, random) {}

  OpenPath opened;
  Generation generation;
  Endpoint local;  ///< RTP; of no family until the sockets are open.
  bool first_sent_due = true;
  bool first_received_due = true;
  std::optional<TimePoint> close_at;
  std::optional<TimePoint> last_trouble;
  MappingWatch mapping;
  std::optional<LearnMapping> to_learn;  ///< Waits for the sockets.

  PathId id() const { return opened.path; }
  bool is_open() const { return local.address.family() != Family::None; }
};

}  // namespace

class MediaEngine::Impl {
 public:
  Impl(CallId call, const MediaConfig& config, Random& random, Log& log, AudioFiles& files)
      : name_("call " + std::to_string(call.value())),
        config_(config),
        log_(log),
        random_(random),
        session_(random),
        port_(files) {}

  // Commands.
  void on(const OpenPath& command, TimePoint now);
  void on(const ClosePath& command, TimePoint now);
  void on(const SetParameters& command, TimePoint now);
  void on(const SetRemote& command, TimePoint now);
  void on(const SetSource& command, TimePoint now);
  void on(const SetRecording& command, TimePoint now);
  void on(const SetMuted& command, TimePoint) { port_.set_muted(command.muted); }
  void on(const StopMedia& command, TimePoint now);
  void on(const SendDigits& command, TimePoint now);
  void on(const LearnMapping& command, TimePoint now);

  // From the driver.
  void on_sockets(PathId id, Result<Endpoint> rtp_local, TimePoint now);
  void on_packet(PathId id, Channel channel, const Endpoint& from, Bytes bytes, TimePoint now);
  void on_error(PathId id, const Error& error, TimePoint now);
  void on_timeout(TimePoint now);
  std::optional<TimePoint> next_timeout() const;

  bool stopped() const { return stopped_; }

  std::deque<MediaOutput> outputs;

 private:
  // The last accepted packet that came from elsewhere than the one before it.
  struct Transition {
    TimePoint at;
    std::optional<Duration> pause;
    std::uint32_t lost = 0;
  };

  void report(MediaReport r) { outputs.emplace_back(std::move(r)); }
  Path* find(PathId id);
  const Path* find(PathId id) const { return const_cast<Impl*>(this)->find(id); }
  void close(PathId id);
  void apply(const SetRemote& remote, TimePoint now);
  void repeat_sent(TimePoint now);
  void repeat_newest(TimePoint now);

  // Sending.
  const Path* transmit_path() const;
  bool may_send() const;
  void send_rtp(Buffer bytes, TimePoint now);
  void send_rtcp(Buffer bytes);
  std::optional<TimePoint> last_chance() const;

  // The clock of playing and sending.
  bool clock_running() const;
  void start_clocks(TimePoint now);
  void run_clock(TimePoint now);
  void tick(TimePoint now);
  void end_digits(bool ok);
  std::size_t frame_samples() const {
    return static_cast<std::size_t>(packet_time_ / std::chrono::milliseconds(1)) * kSampleRate /
           1000;
  }

  // Receiving.
  void on_rtp(Path& path, const Endpoint& from, Bytes bytes, TimePoint now);
  void on_rtcp(const Endpoint& from, Bytes bytes, TimePoint now);
  bool payload_known(std::uint8_t payload_type) const;
  const PayloadMapping* audio_payload(std::uint8_t payload_type) const;
  void tell_digits();
  void take(PathId id, const Endpoint& from, const wire::RtpPacket& packet, TimePoint at);
  void note_received(PathId id, const Endpoint& from, std::uint32_t gap, TimePoint at);
  void follow(PathId id, const Endpoint& from, TimePoint now, bool moved);

  // Watching.
  void expect_audio(TimePoint now);
  void report_statistics(TimePoint now);

  const std::string name_;
  const MediaConfig config_;
  Log& log_;
  Random& random_;
  RtpSession session_;
  SourceGate gate_{kStrangerLimit};
  JitterBuffer jitter_;
  AudioPort port_;
  Destination destination_;
  DigitSender digits_out_;
  DigitReceiver digits_in_;
  std::optional<std::uint64_t> digits_token_;  ///< Of the row whose end is to be told …
  std::optional<std::string> digits_waiting_;  ///< … and which has not begun.

  std::vector<Path> paths_;
  std::optional<SetParameters> parameters_;
  Duration packet_time_ = std::chrono::milliseconds(20);
  std::optional<SetRemote> remote_;   ///< The one in force; its path may have been closed since.
  std::optional<SetRemote> pending_;  ///< Waits for its path to open.
  bool stopped_ = false;

  std::optional<TimePoint> next_tick_;  ///< The cadence's lattice; kept while the clock stands.
  std::optional<TimePoint> first_sent_;
  std::optional<TimePoint>
      dead_since_;  ///< Of the path left last; until the first packet on the new.
  std::optional<TimePoint> refused_since_;  ///< Of the packets that the system refused in a row.
  std::optional<TimePoint> last_refused_;
  std::uint64_t resent_ = 0;
  std::uint64_t ignored_ = 0;

  PauseWatch sent_{Duration::max()};
  PauseWatch received_{kSilenceLimit};
  std::optional<TimePoint> last_heard_;
  std::optional<Endpoint> last_from_;
  Transition transition_;
  std::optional<TimePoint> next_statistics_;
};

// ---- Paths --------------------------------------------------------------------------------------

Path* MediaEngine::Impl::find(PathId id) {
  const auto it =
      std::find_if(paths_.begin(), paths_.end(), [&](const Path& path) { return path.id() == id; });
  return it == paths_.end() ? nullptr : &*it;
}

void MediaEngine::Impl::on(const OpenPath& command, TimePoint) {
  if (!command.path || find(command.path)) {
    report(PathFailed{command.path, command.generation,
                      Error{ErrorCode::InvalidArgument, "media path number is taken"}});
    return;
  }
  if (paths_.size() == kMaxPaths) {
    report(PathFailed{command.path, command.generation,
                      Error{ErrorCode::Busy, "too many media paths"}});
    return;
  }
  paths_.emplace_back(command, random_);
  outputs.emplace_back(OpenSockets{command.path, command.local, command.interface_index,
                                   command.interface_name, config_.rtp_port_min,
                                   config_.rtp_port_max});
}

void MediaEngine::Impl::on_sockets(PathId id, Result<Endpoint> rtp_local, TimePoint now) {
  Path* path = find(id);
  if (!path || path->is_open()) return;  // closed in the meantime
  if (!rtp_local) {
    report(PathFailed{id, path->generation, std::move(rtp_local.error())});
    std::erase_if(paths_, [&](const Path& p) { return p.id() == id; });
    if (pending_ && pending_->path == id) pending_.reset();
    return;
  }
  path->local = *rtp_local;
  report(PathOpened{id, path->generation, path->local, next_port(path->local)});
  if (path->to_learn) on(*std::exchange(path->to_learn, std::nullopt), now);
  if (pending_ && pending_->path == id) apply(*std::exchange(pending_, std::nullopt), now);
  start_clocks(now);
}

void MediaEngine::Impl::on(const ClosePath& command, TimePoint now) {
  Path* path = find(command.path);
  if (!path) return;
  if (pending_ && pending_->path == command.path) pending_.reset();
  if (command.after <= Duration::zero() || !path->is_open()) {
    close(command.path);
  } else {
    path->close_at = now + command.after;
  }
}

void MediaEngine::Impl::close(PathId id) {
  std::erase_if(paths_, [&](const Path& path) { return path.id() == id; });
  outputs.emplace_back(CloseSockets{id});
}

// ---- Parameters, remote, audio ------------------------------------------------------------------

void MediaEngine::Impl::on(const SetParameters& command, TimePoint now) {
  parameters_ = command;
  if (parameters_->receive.size() > kMaxPayloads) parameters_->receive.resize(kMaxPayloads);
  const auto tens = std::clamp<std::int64_t>(command.packet_time.count() / 10, 1, 6);
  packet_time_ = std::chrono::milliseconds(tens * 10);
  if (digits_token_ && !parameters_->telephone_event) end_digits(false);
  expect_audio(now);
  start_clocks(now);
}

void MediaEngine::Impl::on(const SetRemote& command, TimePoint now) {
  Path* path = find(command.path);
  if (!path) {
    report(PathFailed{command.path, command.generation,
                      Error{ErrorCode::NotFound, "media path is not open"}});
    return;
  }
  if (path->generation != command.generation) {
    path->generation = command.generation;
    path->first_sent_due = path->first_received_due = true;
  }
  path->close_at.reset();
  if (path->is_open()) {
    pending_.reset();
    apply(command, now);
    start_clocks(now);
  } else {
    pending_ = command;
  }
}

void MediaEngine::Impl::apply(const SetRemote& remote, TimePoint now) {
  const bool moves = remote_ && remote_->path != remote.path;
  const std::optional<Endpoint> before =
      may_send() ? std::optional(destination_.rtp()) : std::nullopt;
  remote_ = remote;
  const Endpoint local = transmit_path()->local;
  destination_.signal(remote.rtp, remote.rtcp, local.address.family(), now);
  gate_.set_signalled(remote.rtp);
  expect_audio(now);
  if (moves) {
    dead_since_ = remote.old_path_dead_since;
    if (dead_since_ && refused_since_ && last_refused_ == sent_.last()) {
      // Refusals came before anybody knew of the death: what they took is repeated, too.
      dead_since_ = std::min(*dead_since_, *refused_since_ - Duration(1));
    }
    refused_since_.reset();
    log_.info("media", name_ + ": sends from " + local.to_string() + " to " +
                           destination_.rtp().to_string());
    if (dead_since_) repeat_sent(now);
  } else if (before && *before != destination_.rtp()) {
    repeat_newest(now);
  }
}

/// The peer is elsewhere now, and what was sent to its old place may have found nobody. All but the
/// newest packet would come too late to be played; that one spares it the rest of a packet time.
void MediaEngine::Impl::repeat_newest(TimePoint now) {
  if (!may_send()) return;
  for (Buffer& bytes : session_.sent_since(now - packet_time_ + Duration(1))) {
    ++resent_;
    send_rtp(std::move(bytes), now);
  }
}

/// The cadence is kept, so the next new packet may be a packet time away; but what went into the
/// dead path is sent again at once, byte for byte. A receiver that got one after all drops the
/// copy.
void MediaEngine::Impl::repeat_sent(TimePoint now) {
  if (!may_send()) return;
  digits_out_.rewind(*dead_since_ - packet_time_);
  const TimePoint since = std::max(*dead_since_ - packet_time_, now - kRepeatLimit);
  for (Buffer& bytes : session_.sent_since(since)) {
    ++resent_;
    send_rtp(std::move(bytes), now);
  }
}

void MediaEngine::Impl::on(const SetSource& command, TimePoint) {
  if (auto result = port_.set_source(command.source); !result) report(AudioFailed{result.error()});
}

void MediaEngine::Impl::on(const SetRecording& command, TimePoint) {
  if (auto result = port_.set_recording(command.file); !result) {
    report(AudioFailed{result.error()});
  }
}

void MediaEngine::Impl::on(const SendDigits& command, TimePoint) {
  const bool possible = parameters_ && parameters_->telephone_event;
  // What is repeated of the last row comes first.
  const bool repeating = !digits_token_ && digits_out_.busy();
  if (!possible || digits_token_ || (!repeating && !digits_out_.start(command.digits))) {
    report(DigitsSent{command.token, 0, false});
    return;
  }
  digits_token_ = command.token;
  if (repeating) digits_waiting_ = command.digits;
}

void MediaEngine::Impl::on(const LearnMapping& command, TimePoint now) {
  Path* path = find(command.path);
  if (!path) return;  // Closed in the meantime.
  if (path->is_open()) {
    path->mapping.start(command, now, outputs);
  } else {
    path->to_learn = command;
  }
}

void MediaEngine::Impl::end_digits(bool ok) {
  // A row that went out whole is kept: should its path turn out to have been dead, it is repeated.
  const std::size_t begun = digits_waiting_ ? 0 : digits_out_.size();
  const std::size_t sent = ok ? begun : std::min(begun, digits_out_.stop());
  digits_waiting_.reset();
  report(DigitsSent{*std::exchange(digits_token_, std::nullopt), sent, ok});
}

void MediaEngine::Impl::on(const StopMedia&, TimePoint now) {
  if (remote_ && transmit_path()) send_rtcp(session_.make_bye(now));
  report_statistics(now);
  while (!paths_.empty()) close(paths_.front().id());
  static_cast<void>(port_.set_recording(""));  // closes the file
  stopped_ = true;
}

// ---- Sending ------------------------------------------------------------------------------------

/// The path that sends, if it is open; one that is only kept for receiving does not.
const Path* MediaEngine::Impl::transmit_path() const {
  if (!remote_) return nullptr;
  const Path* path = find(remote_->path);
  return path && path->is_open() && !path->close_at ? path : nullptr;
}

bool MediaEngine::Impl::may_send() const {
  if (!parameters_ || !sends(parameters_->direction) || !transmit_path()) return false;
  // RFC 3264 §8.4: an address of zeros is the old way to put on hold.
  const Endpoint to = destination_.rtp();
  return to.port != 0 && !to.address.is_unspecified();
}

void MediaEngine::Impl::send_rtp(Buffer bytes, TimePoint now) {
  Path& path = *find(remote_->path);
  outputs.emplace_back(SendPacket{path.id(), Channel::Rtp, destination_.rtp(), std::move(bytes)});
  path.mapping.note_sent(now);
  std::optional<Duration> pause;
  if (const auto chance = last_chance()) pause = now - *chance;
  if (path.first_sent_due) {
    path.first_sent_due = false;
    report(FirstSent{path.id(), path.generation, now, pause});
  }
  if (last_refused_ != sent_.last()) refused_since_.reset();
  if (!first_sent_) first_sent_ = now;
  sent_.on_packet(now);
  sent_.note(pause.value_or(Duration::zero()));
  dead_since_.reset();
}

/// When the last packet went out that could arrive. Behind the path's death that is the last point
/// of the cadence before it.
std::optional<TimePoint> MediaEngine::Impl::last_chance() const {
  const auto last = sent_.last();
  if (!last || !dead_since_ || *last <= *dead_since_) return last;
  if (*first_sent_ > *dead_since_) return std::nullopt;
  return *last - (*last - *dead_since_ + packet_time_ - Duration(1)) / packet_time_ * packet_time_;
}

void MediaEngine::Impl::send_rtcp(Buffer bytes) {
  const Endpoint to = destination_.rtcp();
  if (to.port == 0 || to.address.is_unspecified()) return;
  outputs.emplace_back(SendPacket{remote_->path,
                                  destination_.multiplexed() ? Channel::Rtp : Channel::Rtcp, to,
                                  std::move(bytes)});
}

// ---- The clock ----------------------------------------------------------------------------------

bool MediaEngine::Impl::clock_running() const {
  return next_tick_ && std::any_of(paths_.begin(), paths_.end(), std::mem_fn(&Path::is_open));
}

void MediaEngine::Impl::start_clocks(TimePoint now) {
  if (!parameters_ || paths_.empty()) return;
  if (!next_tick_) next_tick_ = now;
  if (!next_statistics_) next_statistics_ = now + kStatisticsInterval;
  if (remote_) session_.start_reports(now);
}

void MediaEngine::Impl::run_clock(TimePoint now) {
  if (now - *next_tick_ >= kMaxCatchUp * packet_time_) {
    const auto missed = (now - *next_tick_) / packet_time_;
    session_.advance(static_cast<std::uint32_t>(missed) *
                     static_cast<std::uint32_t>(frame_samples()));
    session_.mark();
    *next_tick_ += missed * packet_time_;
  }
  while (*next_tick_ <= now) {
    tick(now);
    *next_tick_ += packet_time_;
  }
}

/// One packet time: what was received is played, then what is due is sent; so an echo is not late.
void MediaEngine::Impl::tick(TimePoint now) {
  std::vector<std::int16_t> frame(frame_samples());
  jitter_.read(frame);
  port_.play(frame);
  port_.capture(frame);
  const bool sending = may_send();
  if (digits_waiting_ && !digits_out_.busy() &&
      !digits_out_.start(*std::exchange(digits_waiting_, std::nullopt))) {
    end_digits(false);
  }
  const auto event_type = parameters_->telephone_event;
  const auto event =
      sending && event_type
          ? digits_out_.next(session_.timestamp(), static_cast<std::uint32_t>(frame.size()), now)
          : std::nullopt;
  if (event) {
    send_rtp(session_.make_event_packet(*event_type, event->payload, event->timestamp, event->first,
                                        now),
             now);
    if (digits_token_ && !digits_waiting_ && !digits_out_.busy()) end_digits(true);
  } else if (sending) {
    Buffer payload(frame.size());
    encode(parameters_->codec, frame, payload);
    send_rtp(session_.make_packet(parameters_->payload_type, payload, now), now);
  } else {
    session_.mark();
  }
  session_.advance(static_cast<std::uint32_t>(frame.size()));
}

void MediaEngine::Impl::on_timeout(TimePoint now) {
  for (std::size_t i = 0; i < paths_.size();) {
    const auto& close_at = paths_[i].close_at;
    if (close_at && *close_at <= now) {
      close(paths_[i].id());
    } else {
      ++i;
    }
  }
  for (Path& path : paths_) path.mapping.on_timeout(now, outputs);
  if (clock_running()) run_clock(now);
  if (const auto due = session_.next_report(); due && *due <= now) {
    Buffer report = session_.make_report(now);
    if (transmit_path()) send_rtcp(std::move(report));
  }
  if (const auto since = received_.check(now)) report(MediaSilent{*since});
  digits_in_.on_timeout(now);
  tell_digits();
  if (next_statistics_ && *next_statistics_ <= now) {
    report_statistics(now);
    *next_statistics_ += kStatisticsInterval;
    if (*next_statistics_ <= now) next_statistics_ = now + kStatisticsInterval;
  }
}

std::optional<TimePoint> MediaEngine::Impl::next_timeout() const {
  std::optional<TimePoint> next;
  const auto consider = [&](const std::optional<TimePoint>& at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const Path& path : paths_) {
    consider(path.close_at);
    consider(path.mapping.next());
  }
  if (clock_running()) consider(next_tick_);
  consider(session_.next_report());
  consider(received_.deadline());
  consider(digits_in_.deadline());
  consider(next_statistics_);
  return next;
}

// ---- Receiving ----------------------------------------------------------------------------------

void MediaEngine::Impl::on_packet(PathId id, Channel channel, const Endpoint& from, Bytes bytes,
                                  TimePoint now) {
  Path* path = find(id);
  if (!path) return;
  if (bytes.size() > kMaxPacketSize) {
    ++ignored_;
  } else if (wire::looks_like_stun(bytes)) {
    // RFC 7983 §7: the first byte tells it from RTP. What is no answer to us is nobody's business.
    if (!path->mapping.on_packet(channel, from, bytes, now, outputs)) ++ignored_;
  } else if (channel == Channel::Rtcp || wire::looks_like_rtcp(bytes)) {
    on_rtcp(from, bytes, now);
  } else {
    on_rtp(*path, from, bytes, now);
  }
}

const PayloadMapping* MediaEngine::Impl::audio_payload(std::uint8_t payload_type) const {
  if (!parameters_) return nullptr;
  const auto& receive = parameters_->receive;
  const auto it = std::find_if(receive.begin(), receive.end(), [&](const PayloadMapping& mapping) {
    return mapping.payload_type == payload_type;
  });
  return it == receive.end() ? nullptr : &*it;
}

bool MediaEngine::Impl::payload_known(std::uint8_t payload_type) const {
  return parameters_ && (audio_payload(payload_type) || payload_type == kComfortNoise ||
                         parameters_->receive_event == payload_type);
}

void MediaEngine::Impl::tell_digits() {
  while (const auto digit = digits_in_.poll()) {
    report(DigitReceived{digit->digit, digit->duration});
  }
}

void MediaEngine::Impl::on_rtp(Path& path, const Endpoint& from, Bytes bytes, TimePoint now) {
  const auto packet = wire::parse_rtp(bytes);
  if (!packet || !payload_known(packet->payload_type)) {
    ++ignored_;
    return;
  }
  const auto outcome = gate_.on_packet(path.id(), from, packet->ssrc, packet->sequence, bytes, now);
  switch (outcome.verdict) {
    case SourceGate::Verdict::Ignored: ++ignored_; return;
    case SourceGate::Verdict::Held: return;
    case SourceGate::Verdict::Accepted: break;
  }
  for (const SourceGate::Packet& held : outcome.released) {
    take(held.path, held.from, *wire::parse_rtp(held.bytes), held.at);
  }
  take(path.id(), from, *packet, now);
  follow(path.id(), from, now, outcome.moved);
}

void MediaEngine::Impl::take(PathId id, const Endpoint& from, const wire::RtpPacket& packet,
                             TimePoint at) {
  const PayloadMapping* audio = audio_payload(packet.payload_type);
  const auto received = session_.on_packet(packet, audio != nullptr, at);
  using Verdict = ReceivedStream::Verdict;
  if (received.arrival.verdict == Verdict::Implausible) {
    ++ignored_;
    return;
  }
  last_heard_ = at;
  if (received.new_stream || received.arrival.verdict == Verdict::Restarted) jitter_.reset();
  if (received.new_stream) digits_in_.reset();
  note_received(id, from, received.arrival.gap, at);
  if (received.arrival.verdict == Verdict::Duplicate) return;
  if (!receives(parameters_->direction)) return;
  if (parameters_->receive_event == packet.payload_type) {
    digits_in_.on_packet(packet.payload, packet.timestamp, packet.marker, at);
    tell_digits();
  }
  if (!audio) return;
  std::vector<std::int16_t> samples(packet.payload.size());
  decode(audio->codec, packet.payload, samples);
  jitter_.insert(received.arrival.sequence, packet.timestamp, samples,
                 static_cast<std::int32_t>(session_.stream()->jitter_samples()));
}

/// A packet of the stream has come, be it a copy: it proves its path, and ends a pause.
void MediaEngine::Impl::note_received(PathId id, const Endpoint& from, std::uint32_t gap,
                                      TimePoint at) {
  const PauseWatch::Arrival arrival = received_.on_packet(at);
  if (Path* path = find(id); path && path->first_received_due) {
    path->first_received_due = false;
    report(FirstReceived{id, path->generation, at, arrival.pause, gap, from});
  }
  if (arrival.silence) report(MediaHeard{at, *arrival.silence});
  if (last_from_ != from) transition_ = {at, arrival.pause, gap};
  last_from_ = from;
}

void MediaEngine::Impl::follow(PathId id, const Endpoint& from, TimePoint now, bool moved) {
  const bool redirected =
      parameters_->latch && gate_.source() == from && destination_.follow(from, moved, now);
  if (!moved) return;
  log_.info("media", name_ + ": the peer's audio now comes from " + from.to_string());
  report(RemoteMoved{id, transition_.at, from, transition_.pause, transition_.lost, redirected});
}

void MediaEngine::Impl::on_rtcp(const Endpoint& from, Bytes bytes, TimePoint now) {
  const auto packets = wire::parse_rtcp(bytes);
  if (!packets || !session_.on_rtcp(*packets, now)) {
    ++ignored_;
    return;
  }
  last_heard_ = now;
  const auto source = gate_.source();
  if (parameters_ && parameters_->latch && source && source->address == from.address) {
    destination_.follow_rtcp(from);
  }
}

// ---- Watching -----------------------------------------------------------------------------------

/// Audio is expected once an answer is there and the direction promises some.
void MediaEngine::Impl::expect_audio(TimePoint now) {
  received_.expect(parameters_ && receives(parameters_->direction) && remote_, now);
  sent_.expect(may_send(), now);
}

void MediaEngine::Impl::report_statistics(TimePoint now) {
  const RtpSession::Totals totals = session_.totals();
  MediaStatistics s;
  s.at = now;
  s.packets_sent = totals.sent;
  s.packets_resent = resent_;
  s.packets_received = totals.received;
  s.packets_lost = totals.lost;
  s.packets_late = jitter_.counters().late;
  s.packets_duplicate = totals.duplicates;
  s.packets_ignored = ignored_;
  s.jitter = totals.jitter;
  s.buffered = to_duration(jitter_.buffered());
  s.round_trip = totals.round_trip;
  s.last_heard = last_heard_;
  s.longest_receive_pause = received_.take_longest(now);
  s.longest_send_pause = sent_.take_longest(now);
  report(s);
}

void MediaEngine::Impl::on_error(PathId id, const Error& error, TimePoint now) {
  Path* path = find(id);
  if (path && remote_ && remote_->path == id && sent_.last()) {
    // The packet just sent had no chance, nor had those refused before it.
    last_refused_ = *sent_.last();
    if (!refused_since_) refused_since_ = last_refused_;
  }
  if (!path || (path->last_trouble && now - *path->last_trouble < kTroubleInterval)) return;
  path->last_trouble = now;
  report(PathTrouble{id, path->generation, error});
}

// ---- MediaEngine --------------------------------------------------------------------------------

MediaEngine::MediaEngine(CallId call, const MediaConfig& config, Random& random, Log& log,
                         AudioFiles& files)
    : impl_(std::make_unique<Impl>(call, config, random, log, files)) {}

MediaEngine::~MediaEngine() = default;

void MediaEngine::command(const MediaCommand& command, TimePoint now) {
  if (impl_->stopped()) return;
  std::visit([&](const auto& c) { impl_->on(c, now); }, command);
}

void MediaEngine::on_sockets(PathId path, Result<Endpoint> rtp_local, TimePoint now) {
  if (!impl_->stopped()) impl_->on_sockets(path, std::move(rtp_local), now);
}

void MediaEngine::on_packet(PathId path, Channel channel, const Endpoint& from, Bytes bytes,
                            TimePoint now) {
  if (!impl_->stopped()) impl_->on_packet(path, channel, from, bytes, now);
}

void MediaEngine::on_error(PathId path, const Error& error, TimePoint now) {
  if (!impl_->stopped()) impl_->on_error(path, error, now);
}

void MediaEngine::on_timeout(TimePoint now) {
  if (!impl_->stopped()) impl_->on_timeout(now);
}

std::optional<TimePoint> MediaEngine::next_timeout() const {
  return impl_->stopped() ? std::nullopt : impl_->next_timeout();
}

std::optional<MediaOutput> MediaEngine::poll_output() {
  if (impl_->outputs.empty()) return std::nullopt;
  MediaOutput output = std::move(impl_->outputs.front());
  impl_->outputs.pop_front();
  return output;
}

}  // namespace godwit::media
