// SPDX-License-Identifier: Apache-2.0
//
// The book-keeping of one IP change: which uses take part, what each still waits for, and the
// report that comes of it. Told what happens, answers whether the change is completed. Sends
// nothing and decides nothing about messages; that is the core's. Owned by the core, one per
// generation.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "godwit/event.hpp"
#include "mobility/judge.hpp"
#include "mobility/plan.hpp"

namespace godwit::ua {

/// After the answer, for how long audio is awaited on the new path before one repair offer is made,
/// and as long again before the call is committed unproven (design §4, act, step 4).
inline constexpr Duration kProofWait = std::chrono::seconds(2);

class Recovery {
 public:
  Recovery(const mobility::NetworkChange& change, std::string decision);

  Generation generation() const { return report_.generation; }
  TimePoint detected_at() const { return report_.detected_at; }

  /// The use takes part. A registration waits for its answer; a call for its answer and, if audio
  /// is to come, for hearing it on the new path.
  /// `account` names it here; the report says `shown` and `reg_id`.
  void add_registration(AccountId account, AccountId shown, std::uint32_t reg_id);
  void add_call(CallId call, const Endpoint& old_local, const IpAddress& new_local,
                bool expects_audio);

  void add_hang_up(CallId call, const Endpoint& old_local);
  void add_usage(std::uint32_t number, AccountId account, bool subscription);
  /// The call's audio moves without a word to its peer: that it has is waited for.
  void await_media(CallId call);
  /// Goes into the detail of the call's MediaMoved.
  void explain_media(CallId call, const std::string& why);

  // What happened; each adds a step to the report, which is returned for IpChangeProgress.
  IpChangeStep listener_opened(bool ok, const Endpoint& local, const std::string& detail,
                               TimePoint now);
  IpChangeStep stream_shut_down(const std::string& detail, TimePoint now);
  void registration_sent(AccountId account, TimePoint now);
  std::optional<IpChangeStep> registration_answered(AccountId account, bool ok, int status,
                                                    const std::string& detail, TimePoint now);
  std::optional<IpChangeStep> media_moved(CallId call, const Endpoint& local, TimePoint at,
                                          std::optional<Duration> pause);
  void refresh_sent(CallId call, TimePoint now);
  std::optional<IpChangeStep> refresh_answered(CallId call, bool ok, int status,
                                               const std::string& detail, TimePoint now);
  std::optional<IpChangeStep> audio_heard(CallId call, TimePoint at, std::optional<Duration> pause,
                                          std::uint32_t lost);
  std::optional<IpChangeStep> call_suspended(CallId call, TimePoint now);
  std::optional<IpChangeStep> call_resumed(CallId call, TimePoint now);
  std::optional<IpChangeStep> call_given_up(CallId call, const std::string& why, TimePoint now);
  std::optional<IpChangeStep> call_hung_up(CallId call, bool told, int status,
                                           const std::string& detail, TimePoint now);
  std::optional<IpChangeStep> usage_answered(std::uint32_t number, bool ok, int status,
                                             const std::string& detail, TimePoint now);
  void usage_sent(std::uint32_t number, TimePoint now);
  /// It is suspended or over: no answer is waited for.
  void forget_usage(std::uint32_t number) { usages_.erase(number); }
  /// The call needs no answer after all, e.g. it is not yet confirmed and answers come later.
  void call_moved_without_refresh(CallId call);
  /// The peer refused the move, and the call goes on where it was.
  void call_stays(CallId call);
  /// The answer is here but no audio came in time: it counts as moved, unproven.
  void commit_unproven(CallId call);

  bool takes_part(CallId call) const { return calls_.contains(call); }
  /// It is to be hung up, and that is not over.
  bool hangs_up(CallId call) const;
  bool awaits_media(CallId call) const;
  /// Answered, but not heard though audio should come.
  bool awaits_audio(CallId call) const;
  bool awaits_registration(AccountId account) const;
  /// Nothing is waited for any more.
  bool complete() const;

  /// A newer change takes over, or all is done: the report as it stands.
  IpChangeReport finish(bool superseded, TimePoint now);

 private:
  struct RegistrationTask {
    AccountId shown;
    std::uint32_t reg_id = 1;
    std::optional<Duration> sent = {};
    bool done = false;
    bool failed = false;  ///< So far: what comes of another try is told too.
  };
  struct CallTask {
    CallImpact impact;
    std::optional<Duration> refresh_sent;
    bool answered = false;
    bool heard = false;
    bool ended = false;
    bool hang_up = false;
    bool awaits_media = false;
    std::string media_note = {};
  };
  struct UsageTask {
    AccountId account;
    bool subscription = true;
    std::optional<Duration> sent = {};
  };
  Duration since(TimePoint at) const { return at - report_.detected_at; }
  IpChangeStep add(IpChangeStep step);
  IpChangeStep call_step(StepKind kind, CallId call, bool ok, TimePoint at) const;

  IpChangeReport report_;
  std::map<AccountId, RegistrationTask> registrations_;
  std::map<CallId, CallTask> calls_;
  std::map<std::uint32_t, UsageTask> usages_;  ///< Without an answer.
};

}  // namespace godwit::ua
