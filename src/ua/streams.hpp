// SPDX-License-Identifier: Apache-2.0
//
// The TCP and TLS connections of the core, those it opened and those it accepted: cuts what arrives
// into messages, answers and sends keep-alives, and holds every connection to its limits. Owned by
// the core, which gives it the driver's reports and acts on what it returns; emits OpenStream,
// SendStream and CloseStream and nothing else. Which connection a request takes is the core's
// decision; TLS itself is the driver's.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.hpp"
#include "base/timer_queue.hpp"
#include "godwit/network.hpp"
#include "mobility/delta.hpp"
#include "sip/flow.hpp"
#include "ua/driver.hpp"
#include "ua/listeners.hpp"
#include "wire/sip/framing.hpp"

namespace godwit::ua {

/// Where a request goes: all that decides which connection it may share.
struct Hop {
  sip::Transport transport = sip::Transport::Udp;
  Endpoint remote;
  std::string tls_name = {};
  friend bool operator==(const Hop&, const Hop&) = default;
};

struct Stream {
  ListenerId id;
  Hop hop;  ///< Of an accepted one: the peer's address; without a TLS name.
  mobility::Path path;
  Generation generation;
  ListenerId accepted_by;  ///< Zero: opened by us.
  StreamInfo info;         ///< Once open.
  bool open = false;
  /// Could not be opened. Stays in the table until forget_failures(), so that it is not tried anew
  /// at every occasion; ensure() does so after `retry_at`.
  bool failed = false;
  bool tentative = false;
  std::string failure = {};  ///< Why, for people.
  TimePoint retry_at{};
  /// The address is gone: nothing is sent any more, and it is closed once all uses have left it.
  bool dead = false;
  /// Multipath, and the address that it was opened from is gone: takes the place of a connection
  /// on the path that its uses move to.
  bool migrates = false;
  /// Multipath, but without another path just now: dies with its address after all.
  bool alone = false;

  // Only Streams looks at these.
  wire::StreamFramer framer = {};
  std::deque<std::string> waiting = {};  ///< To be sent once it is open.
  std::size_t waiting_bytes = 0;
  bool heard = false;   ///< A whole message has come.
  bool ponged = false;  ///< The peer answers pings.
  TimePoint last_traffic{};
  std::optional<TimePoint> give_up_at = {};  ///< Opening, or the message that has begun.
  std::optional<TimePoint> ping_at = {};
  Duration ping_interval = {};  ///< 0: as the settings say.
  std::optional<TimePoint> pong_due = {};
  std::optional<TimePoint> proof_due = {};  ///< Has migrated; something must come by then.
  TimerId timer = {};
};

class Streams {
 public:
  /// Of all kinds. As each may hold one half message of 64 KiB, they cost at most 32 MiB.
  static constexpr std::size_t kMaxStreams = 512;
  static constexpr std::size_t kMaxAccepted = 384;
  static constexpr std::size_t kMaxAcceptedPerSource = 16;
  /// For messages that wait until a connection is open.
  static constexpr std::size_t kMaxWaitingBytes = 256U * 1024;
  /// TCP's own third repetition of a SYN comes after 7 s.
  static constexpr Duration kOpenDeadline = std::chrono::seconds(8);
  static constexpr Duration kTentativeDeadline = std::chrono::seconds(2);
  /// A server that took no tentative connection is not asked for one for so long, from any path: a
  /// recovery must not lose a round trip to each refusal. Of so many servers it is known.
  static constexpr Duration kWithoutTcp = std::chrono::minutes(10);
  static constexpr std::size_t kMaxWithoutTcp = 64;
  /// From the first byte of a message to its last, and from accepting to the first message.
  static constexpr Duration kMessageDeadline = std::chrono::seconds(10);
  /// Without any traffic, unless it is in use. Longer than any transaction.
  static constexpr Duration kIdle = std::chrono::seconds(120);
  /// RFC 5626 §4.4.1.
  static constexpr Duration kPongDeadline = std::chrono::seconds(10);
  /// For the first bytes over a multipath connection whose address has gone. Linux finds out by
  /// its retransmission timer, after some 200 ms and a round trip, that a path is of no more use.
  static constexpr Duration kProofDeadline = std::chrono::seconds(1);
  /// Between two attempts to open the same connection: doubled from the first to the second.
  static constexpr Duration kFirstRetry = std::chrono::seconds(2);
  static constexpr Duration kLastRetry = std::chrono::seconds(64);

  struct Settings {
    std::shared_ptr<const TlsConfig> tls;
    MptcpMode mptcp = MptcpMode::Auto;
    /// Between two pings; each interval is drawn from 80 to 100 % of it. 0: none.
    Duration ping_interval = std::chrono::seconds(120);
  };

  Streams(Settings settings, Listeners& listeners, Random& random, std::deque<Output>& out)
      : settings_(std::move(settings)), listeners_(listeners), random_(random), out_(out) {}

  /// The connection on `path` to `hop`, opened now if there is none: one for all accounts and
  /// calls. It may be one that failed and waits. Zero if there are too many.
  /// `tentative`: something else will do if it cannot be opened within kTentativeDeadline. Zero,
  /// too, if that failed within the last kWithoutTcp.
  ListenerId ensure(const mobility::Path& path, const Hop& hop, Generation generation,
                    TimePoint now, bool tentative = false);
  const Stream* find(ListenerId id) const;
  /// The one that could not be opened on `path` to `hop`, until it is tried again.
  const Stream* failed(const mobility::Path& path, const Hop& hop) const;
  /// A flow on it, if it is open and alive.
  std::optional<sip::Flow> flow(ListenerId id) const;
  /// Sends now, or once it is open. False if that cannot be: it is unknown, failed or dead, or too
  /// much waits.
  bool send(ListenerId id, std::string bytes, TimePoint now);

  // Reports of the driver. Unknown ids are ignored.
  void on_opened(ListenerId id, StreamInfo info, TimePoint now);
  /// The accepted ones that have said all that they had to say and nothing since kMessageDeadline,
  /// the quietest first; of one source only, if that has all of its own.
  std::vector<ListenerId> quiet(const IpAddress& source, TimePoint now) const;
  /// Zero: refused, for there are too many of all or of this source.
  ListenerId accept(const Listener& listener, StreamInfo info, const Endpoint& remote,
                    TimePoint now);
  struct Received {
    std::vector<std::string> messages;
    /// The stream cannot be followed any further, for this reason: to be closed by the caller.
    std::optional<std::string> lost;
  };
  Received on_data(ListenerId id, const std::string& bytes, TimePoint now);
  /// An open one is forgotten; one that was being opened has failed.
  void on_closed(ListenerId id, const std::string& reason, TimePoint now);

  /// Of a multipath one: whether it has a path besides the one that it began on.
  void on_paths(ListenerId id, bool others);

  /// Tells the driver to close it, and forgets it.
  void close(ListenerId id);
  /// It has a use: its idle time begins anew.
  void keep(ListenerId id, TimePoint now);
  /// RFC 6223: from now on at most so long between two pings on this one. Greater than 0.
  void limit_pings(ListenerId id, Duration interval, TimePoint now);

  /// Marks those whose address `snapshot` no longer has; returns the newly dead.
  std::vector<ListenerId> mark_dead(const NetworkSnapshot& snapshot);
  void mark_dead(ListenerId id);
  /// The network has changed: ensure() tries again at once, unless it is tentative.
  void forget_failures();
  std::vector<ListenerId> all() const;

  struct Due {
    enum class What : std::uint8_t {
      Idle,        ///< Close it if nothing uses it, else keep() it.
      Unopened,    ///< The driver said nothing in time.
      Unfinished,  ///< A message was not finished in time, or none ever came.
      NoPong,      ///< RFC 5626 §4.4.1: the flow has failed.
      NoProof,     ///< Its network went, and no other one carries it.
    } what;
    ListenerId stream;
  };
  std::optional<Due> pop_due(TimePoint now);
  std::optional<TimePoint> next_timeout() { return timers_.next(); }

 private:
  bool has_no_tcp(const Endpoint& remote, TimePoint now) const;
  void note_no_tcp(const Endpoint& remote, TimePoint now);
  Stream& add(ListenerId id, Hop hop, const mobility::Path& path, Generation generation);
  void arm(Stream& stream);
  void erase(Stream& stream);
  Duration ping_interval(const Stream& stream);

  Settings settings_;
  Listeners& listeners_;
  Random& random_;
  std::deque<Output>& out_;
  TimerQueue<ListenerId> timers_;
  std::unordered_map<ListenerId, Stream> streams_;
  std::map<Endpoint, TimePoint> without_tcp_;  ///< Until when, by server.
  std::map<IpAddress, std::size_t> accepted_;  ///< By source.
  std::size_t accepted_total_ = 0;
};

}  // namespace godwit::ua
