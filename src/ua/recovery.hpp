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
  /// The call needs no answer after all, e.g. it is not yet confirmed and answers come later.
  void call_moved_without_refresh(CallId call);
  /// The peer refused the move, and the call goes on where it was.
  void call_stays(CallId call);
  /// The answer is here but no audio came in time: it counts as moved, unproven.
  void commit_unproven(CallId call);

  bool takes_part(CallId call) const { return calls_.contains(call); }
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
  };
  Duration since(TimePoint at) const { return at - report_.detected_at; }
  IpChangeStep add(IpChangeStep step);
  IpChangeStep call_step(StepKind kind, CallId call, bool ok, TimePoint at) const;

  IpChangeReport report_;
  std::map<AccountId, RegistrationTask> registrations_;
  std::map<CallId, CallTask> calls_;
};

}  // namespace godwit::ua
