// SPDX-License-Identifier: Apache-2.0
//
// The values that pass between one call's MediaEngine and its two neighbours: commands from and
// reports to the ua core, and the I/O it wants from its driver (the runtime's media thread or the
// simulator). Values only; the behaviour is described in engine.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "godwit/address.hpp"
#include "godwit/config.hpp"
#include "godwit/event.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit::media {

/// One RTP + RTCP socket pair of a call, bound to a local address and interface. Chosen by the
/// core, unique within the call, never used again.
using PathId = StrongId<struct PathIdTag>;

/// Which socket of the pair.
enum class Channel : std::uint8_t { Rtp, Rtcp };

// ---- Commands: core -> engine -------------------------------------------------------------------

/// Answered by PathOpened or PathFailed. What arrives on the path is received from then on.
struct OpenPath {
  PathId path;
  IpAddress local;
  std::uint32_t interface_index = 0;  ///< 0: not bound to an interface.
  std::string interface_name;
  Generation generation;
};

/// Receives on the path for `after` more (make-before-break: 2 s), then closes it. If it is the one
/// that sends, sending pauses at once.
struct ClosePath {
  PathId path;
  Duration after{};
};

struct PayloadMapping {
  std::uint8_t payload_type = 0;
  Codec codec = Codec::Pcmu;
  friend bool operator==(const PayloadMapping&, const PayloadMapping&) = default;
};

/// What the last offer/answer agreed on; as soon as an offer is out, for what may be received. May
/// be given again at any time; SSRC, sequence and timestamp go on.
struct SetParameters {
  Codec codec = Codec::Pcmu;  ///< That we send …
  std::uint8_t payload_type = 0;
  std::vector<PayloadMapping> receive;  ///< … and all that we take. At most 8.
  /// Payload types of RFC 4733's telephone-events: that we send, and that we take. Absent: none.
  std::optional<std::uint8_t> telephone_event;
  std::optional<std::uint8_t> receive_event;
  MediaDirection direction = MediaDirection::SendRecv;  ///< As we see it.
  std::chrono::milliseconds packet_time{20};            ///< 10 to 60, a multiple of 10.
  /// Follow the peer's RTP to a new source. Off: such audio is still played, under the same rules,
  /// but ours goes to the address given by SetRemote and nowhere else.
  bool latch = true;
};

/// Where to send, and from which path. The first one starts the transmission, a later one moves it:
/// same SSRC, sequence and timestamp, same cadence. The path need not be open yet; the move happens
/// when it is, and until then the old path goes on.
struct SetRemote {
  PathId path;
  Endpoint rtp;
  Endpoint rtcp;  ///< Equal to `rtp`: RTCP is multiplexed (RFC 5761).
  /// Set when the path used so far is known to carry nothing, to the time from which that is
  /// assumed. Packets sent since then (and up to one packet time before) are sent once more on the
  /// new path.
  std::optional<TimePoint> old_path_dead_since;
  /// FirstSent and FirstReceived are reported once for each path and generation.
  Generation generation;
};

struct SetSource {
  godwit::AudioSource source;
};
/// An empty name ends the recording.
struct SetRecording {
  std::string file;
};
/// Muted: silence is sent in place of the source, which goes on.
struct SetMuted {
  bool muted = false;
};
/// Says BYE in RTCP and closes all paths. Nothing can be started after it.
struct StopMedia {};

/// Presses a row of DTMF digits (0-9, *, #, A-D; at most 64), one after the other, in place of the
/// audio; DigitsSent tells the end. While nothing may be sent (on hold, no path) they wait.
struct SendDigits {
  std::uint64_t token = 0;  ///< Comes back in DigitsSent.
  std::string digits;
};

/// Asks STUN servers from the path's own sockets at which address they are seen (RFC 8489);
/// answered by MappingLearned or MappingUnknown. While the path is not open yet, the question waits
/// for that. May be given again: asks anew.
struct LearnMapping {
  PathId path;
  std::vector<Endpoint> servers;  ///< Asked at the same time; at most 4.
  Duration first_wait{};          ///< Until a request is repeated; 100 to 500 ms.
  bool rtcp = true;               ///< The RTCP socket too.
  bool keep = true;               ///< Ask again whenever no RTP has left for 15 to 29 s.
};

using MediaCommand = std::variant<OpenPath, ClosePath, SetParameters, SetRemote, SetSource,
                                  SetRecording, SetMuted, StopMedia, SendDigits, LearnMapping>;

// ---- Reports: engine -> core --------------------------------------------------------------------

struct PathOpened {
  PathId path;
  Generation generation;
  Endpoint rtp;   ///< Local.
  Endpoint rtcp;  ///< Local.
};
struct PathFailed {
  PathId path;
  Generation generation;
  Error error;
};
/// The system refused to send on, or reported an unreachable peer for, an open path. At most once a
/// second for each path.
struct PathTrouble {
  PathId path;
  Generation generation;
  Error error;
};
/// The first RTP packet sent on a path since OpenPath or SetRemote with a new generation.
struct FirstSent {
  PathId path;
  Generation generation;
  TimePoint at;
  /// Since the last packet that had a chance: sent on any path, before that path's death if told
  /// of. Absent: none was sent before.
  std::optional<Duration> pause_before;
};
/// The first RTP packet accepted on a path since OpenPath or SetRemote with a new generation.
struct FirstReceived {
  PathId path;
  Generation generation;
  TimePoint at;
  std::optional<Duration> pause_before;  ///< Since the last accepted one on any path; absent: none.
  std::uint32_t lost = 0;                ///< Gap in the sequence numbers since then.
  Endpoint from;
};
/// The peer's RTP now comes from elsewhere; with `redirected`, ours goes there too.
struct RemoteMoved {
  PathId path;
  TimePoint at;
  Endpoint from;
  std::optional<Duration> pause_before;
  std::uint32_t lost = 0;
  bool redirected = false;
};
/// No RTP for kSilenceLimit although the direction promises some.
struct MediaSilent {
  TimePoint since;
};
struct MediaHeard {
  TimePoint at;
  Duration pause;
};
/// Once a second while a path is open. Counts since the start of the call.
struct MediaStatistics {
  TimePoint at;
  std::uint64_t packets_sent = 0;  ///< Without repetitions.
  std::uint64_t packets_resent = 0;
  std::uint64_t packets_received = 0;
  std::uint64_t packets_lost = 0;  ///< RFC 3550 A.3, never negative.
  std::uint64_t packets_late = 0;  ///< Came after their time to be played.
  std::uint64_t packets_duplicate = 0;
  std::uint64_t packets_ignored = 0;   ///< Malformed, unknown payload, or from a stranger.
  Duration jitter{};                   ///< RFC 3550 §6.4.1.
  Duration buffered{};                 ///< In the jitter buffer now.
  std::optional<Duration> round_trip;  ///< From the peer's last report about us.
  /// The last RTP that was accepted, or RTCP of the peer's.
  std::optional<TimePoint> last_heard;
  /// Longest pauses between two packets that ended, or still lasted, in the last second.
  Duration longest_receive_pause{};
  Duration longest_send_pause{};
};
/// A sound file could not be used; the call goes on with silence, or unrecorded.
struct AudioFailed {
  Error error;
};

/// The end of a SendDigits. Not ok: no telephone-events are agreed on (any more), or another row
/// was under way; `sent` digits were begun.
struct DigitsSent {
  std::uint64_t token = 0;
  std::size_t sent = 0;
  bool ok = false;
};
/// The peer has pressed and released a key.
struct DigitReceived {
  char digit = '0';
  std::chrono::milliseconds duration{0};
};

/// A STUN server sees the path's socket there. Once for each question; and again with `differs` if
/// a further server sees it elsewhere.
struct MappingLearned {
  PathId path;
  Channel channel = Channel::Rtp;
  Endpoint mapped;
  Endpoint server;
  bool differs = false;
  std::optional<Duration> round_trip;
};
/// No STUN server has answered in time, or none usefully.
struct MappingUnknown {
  PathId path;
  Channel channel = Channel::Rtp;
};

using MediaReport = std::variant<PathOpened, PathFailed, PathTrouble, FirstSent, FirstReceived,
                                 RemoteMoved, MediaSilent, MediaHeard, MediaStatistics, AudioFailed,
                                 DigitsSent, DigitReceived, MappingLearned, MappingUnknown>;

// ---- Wanted I/O: engine -> driver ---------------------------------------------------------------

/// Bind an even port for RTP and the next one for RTCP, on `local` and the interface; answer with
/// on_sockets().
struct OpenSockets {
  PathId path;
  IpAddress local;
  std::uint32_t interface_index = 0;
  std::string interface_name;
  std::uint16_t port_min = 0;  ///< 0 and 0: any.
  std::uint16_t port_max = 0;
};
struct CloseSockets {
  PathId path;
};
struct SendPacket {
  PathId path;
  Channel channel = Channel::Rtp;
  Endpoint remote;
  Buffer bytes;
};

/// SendPackets come before the reports that speak of them.
using MediaOutput = std::variant<OpenSockets, CloseSockets, SendPacket, MediaReport>;

}  // namespace godwit::media
