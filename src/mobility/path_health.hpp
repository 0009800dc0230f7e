// SPDX-License-Identifier: Apache-2.0
//
// Whether a path that the system shows as usable carries anything. Told of symptoms (silence, a
// request without an answer) and of answers, it says over which paths the server is to be asked,
// and which of them to avoid until they answer again. A state machine with its time as an argument;
// owned by the core, which asks (OPTIONS, SIP being what has to get through) and has the judge act.
// It sends nothing, moves nothing, and knows neither SIP nor calls.
//
// A symptom proves nothing: peers pause, servers restart. So the server is asked over the suspected
// path and over another one in the same tick, and only "there, but not here" is a dead path. A
// false alarm costs these requests and no more.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "godwit/network.hpp"
#include "godwit/report.hpp"
#include "godwit/time.hpp"
#include "mobility/plan.hpp"

namespace godwit::mobility {

class PathHealth {
 public:
  /// The suspected path has two round trips for its answer, but at least so long: a phone's radio
  /// that slept needs some 100 ms to send at all.
  static constexpr Duration kLeastPatience = std::chrono::milliseconds(150);
  /// Where silence is weak evidence (of a peer that is known to pause, or after a false alarm), the
  /// answers alone decide: so many times that, for several more repetitions to be lost.
  static constexpr int kWeakFactor = 4;
  /// For how long the other path, a new one, or one that was given up, has for its answer.
  static constexpr Duration kAnswerWait = std::chrono::seconds(1);
  /// After false alarms: 1, 2, 4 … 30 s until the same path is suspected again.
  static constexpr Duration kFirstRest = std::chrono::seconds(1);
  static constexpr Duration kLongestRest = std::chrono::seconds(30);
  /// Until a path without an answer is asked again: 5 · 2ⁿ s, as long as n grows.
  static constexpr Duration kFirstBackOff = std::chrono::seconds(5);
  static constexpr Duration kLongestBackOff = std::chrono::seconds(120);
  /// Answers in a row, a second apart, before a path that was given up is good again: at the edge
  /// of a Wi-Fi one of three gets through.
  static constexpr int kProofsOfReturn = 3;
  /// Good, or without alarm, for so long: the next rest and back-off begin at their first again.
  static constexpr Duration kForget = std::chrono::seconds(120);
  /// Paths of one machine. Of more nothing is found out.
  static constexpr std::size_t kMaxPaths = 32;

  struct Suspicion {
    Path path;
    Path alternative;
    ChangeCause cause = ChangeCause::MediaSilent;
    TimePoint since;        ///< When the symptom began.
    Duration round_trip{};  ///< Measured to the server; 0: not yet.
    bool weak = false;
    std::uint32_t whose = 0;  ///< Whose server to ask: handed back in Ask.
  };
  /// False: not now, for it is being asked, or rests. Else Ask for both paths follows.
  bool suspect(const Suspicion& suspicion, TimePoint now);
  /// Before something moves to `path` that is well where it is: true if an answer has come over it.
  /// Else Ask follows, unless it is being asked or avoided already, and Changed when it is known.
  bool prove(const Path& path, std::uint32_t whose, TimePoint now);

  /// Something of the server's came over `path`.
  void on_answer(const Path& path, TimePoint now);
  /// Audio of a peer's did. Ends a suspicion, but is no proof that the server is reached.
  void on_audio(const Path& path, TimePoint now);
  /// Paths that are gone, or lead into another network, are forgotten with all that is known.
  /// True if the avoided ones are others now.
  bool on_snapshot(const NetworkSnapshot& snapshot);

  struct Event {
    enum class Kind : std::uint8_t {
      Ask,      ///< Send the server a request over `path`, to be repeated after `repeat_after`.
      Changed,  ///< Judge anew: avoided() is another one, or `path` is proven.
      Review,   ///< A rest is over: symptoms that last may be told again.
    } kind;
    Path path;
    std::uint32_t whose = 0;
    Duration repeat_after{};
    std::optional<ChangeCause> cause = std::nullopt;  ///< Of Changed.
    TimePoint since{};                                ///< Of Changed.
  };
  std::optional<Event> poll();
  std::optional<TimePoint> next_timeout() const;
  void on_timeout(TimePoint now);

  std::vector<AvoidedPath> avoided() const;
  bool is_suspected(const Path& path) const;

 private:
  struct Round {
    Suspicion suspicion;
    TimePoint decide_at;
    TimePoint give_up_at;
    bool decided = false;  ///< The suspected path's time is over.
    bool answered_there = false;
  };
  struct Avoidance {
    ChangeCause cause;
    TimePoint next;  ///< It is asked then; while asking: its answer is due.
    bool asking = false;
    int proofs = 0;
    int wanted = kProofsOfReturn;
  };
  struct State {
    Path path;
    std::string identity;
    std::uint32_t whose = 0;
    bool proven = false;
    std::optional<TimePoint> proof_due;
    std::optional<Round> round;
    std::optional<TimePoint> rest_until;
    bool review = false;  ///< When the rest is over.
    int false_alarms = 0;
    TimePoint last_alarm{};
    std::optional<Avoidance> avoidance;
    int back_offs = 0;
    TimePoint returned_at{};
    bool idle() const { return !round && !avoidance && !proof_due && !rest_until; }
  };

  State* find(const Path& path);
  const State* find(const Path& path) const { return const_cast<PathHealth*>(this)->find(path); }
  State* obtain(const Path& path);
  void ask(const Path& path, Duration repeat_after);
  void avoid(State& state, ChangeCause cause, int wanted, TimePoint now);
  void condemn(State& state, TimePoint now);
  void on_time(State& state, TimePoint now);
  static Duration back_off(State& state);

  std::vector<State> states_;
  std::map<std::uint32_t, std::string> identities_;  ///< Of the last snapshot's interfaces.
  std::deque<Event> events_;
};

/// How long one peer pauses anyway: after which pause its silence is a symptom. Owned by a call.
class GapMemory {
 public:
  /// Ten packets of 20 ms. Ten in a row are lost by chance once in 10¹³ at 5 % loss, and what a
  /// Wi-Fi does in passing (a scan, a roam within the network) takes 50 to 150 ms.
  static constexpr Duration kLeast = std::chrono::milliseconds(200);
  /// With peers that pause (silence suppression, announcements) a path is looked at no later.
  static constexpr Duration kMost = std::chrono::seconds(1);
  /// What was not seen for so long is forgotten.
  static constexpr Duration kMemory = std::chrono::seconds(60);

  /// A pause has ended, and the path was not changed for it.
  void note(Duration gap, TimePoint now);
  /// One and a half times the longest that it remembers.
  Duration limit(TimePoint now) const;
  /// Whether any is remembered.
  bool pauses(TimePoint now) const;

 private:
  Duration longest_{};
  TimePoint seen_{};
};

}  // namespace godwit::mobility
