// SPDX-License-Identifier: Apache-2.0
#include "ua/recovery.hpp"

#include <algorithm>

namespace godwit::ua {

Recovery::Recovery(const mobility::NetworkChange& change, std::string decision) {
  report_.generation = change.generation;
  report_.detected_at = change.detected_at;
  report_.causes = change.delta.causes;
  report_.decision = std::move(decision);
}

IpChangeStep Recovery::add(IpChangeStep step) {
  report_.steps.push_back(step);
  return step;
}

void Recovery::add_registration(AccountId account, AccountId shown, std::uint32_t reg_id) {
  registrations_[account] = {shown, reg_id};
}

void Recovery::add_call(CallId call, const Endpoint& old_local, const IpAddress& new_local,
                        bool expects_audio) {
  CallTask task;
  task.impact.call = call;
  task.impact.old_local = old_local;
  // A refresh in place keeps the socket; after a move the new one's port is told when it is bound.
  const bool stays = new_local == old_local.address;
  task.impact.new_local = stays ? old_local : Endpoint{new_local, 0};
  task.heard = !expects_audio;
  calls_[call] = task;
}

void Recovery::add_hang_up(CallId call, const Endpoint& old_local) {
  CallTask task;
  task.impact.call = call;
  task.impact.old_local = task.impact.new_local = old_local;
  task.hang_up = true;
  calls_[call] = task;
}

void Recovery::add_usage(std::uint32_t number, AccountId account, bool subscription) {
  usages_[number] = {account, subscription};
}

void Recovery::await_media(CallId call) {
  if (const auto found = calls_.find(call); found != calls_.end()) {
    found->second.awaits_media = true;
  }
}

void Recovery::explain_media(CallId call, const std::string& why) {
  if (const auto found = calls_.find(call); found != calls_.end()) found->second.media_note = why;
}

IpChangeStep Recovery::call_step(StepKind kind, CallId call, bool ok, TimePoint at) const {
  IpChangeStep step{};
  step.kind = kind;
  step.call = call;
  step.ended = since(at);
  step.ok = ok;
  return step;
}

IpChangeStep Recovery::listener_opened(bool ok, const Endpoint& local, const std::string& detail,
                                       TimePoint now) {
  IpChangeStep step{};
  step.kind = StepKind::ListenerOpened;
  step.ended = since(now);
  step.ok = ok;
  step.detail = ok ? local.to_string() : detail;
  return add(std::move(step));
}

IpChangeStep Recovery::stream_shut_down(const std::string& detail, TimePoint now) {
  IpChangeStep step{};
  step.kind = StepKind::StreamShutDown;
  step.ended = since(now);
  step.ok = true;
  step.detail = detail;
  return add(std::move(step));
}

void Recovery::registration_sent(AccountId account, TimePoint now) {
  const auto found = registrations_.find(account);
  if (found != registrations_.end() && !found->second.sent) found->second.sent = since(now);
}

std::optional<IpChangeStep> Recovery::registration_answered(AccountId account, bool ok, int status,
                                                            const std::string& detail,
                                                            TimePoint now) {
  const auto found = registrations_.find(account);
  if (found == registrations_.end()) return std::nullopt;
  if (found->second.done && !found->second.failed) return std::nullopt;
  found->second.done = true;
  found->second.failed = !ok;
  IpChangeStep step{};
  step.kind = StepKind::ContactUpdated;
  step.account = found->second.shown;
  step.reg_id = found->second.reg_id;
  step.started = found->second.sent.value_or(Duration{});
  step.ended = since(now);
  step.ok = ok;
  step.status = status;
  step.detail = detail;
  return add(std::move(step));
}

std::optional<IpChangeStep> Recovery::media_moved(CallId call, const Endpoint& local, TimePoint at,
                                                  std::optional<Duration> pause) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return std::nullopt;
  CallImpact& impact = found->second.impact;
  impact.new_local = local;
  found->second.awaits_media = false;
  if (pause) impact.silence_up = std::max(impact.silence_up.value_or(Duration{}), *pause);
  IpChangeStep step = call_step(StepKind::MediaMoved, call, true, at);
  step.detail = local.to_string();
  if (!found->second.media_note.empty()) step.detail += ": " + found->second.media_note;
  return add(std::move(step));
}

void Recovery::refresh_sent(CallId call, TimePoint now) {
  const auto found = calls_.find(call);
  if (found != calls_.end() && !found->second.refresh_sent) {
    found->second.refresh_sent = since(now);
  }
}

std::optional<IpChangeStep> Recovery::refresh_answered(CallId call, bool ok, int status,
                                                       const std::string& detail, TimePoint now) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return std::nullopt;
  CallTask& task = found->second;
  if (ok) {
    task.answered = true;
    task.impact.survived = true;
  }
  IpChangeStep step = call_step(StepKind::CallRefreshed, call, ok, now);
  step.started = task.refresh_sent.value_or(Duration{});
  step.status = status;
  step.detail = detail;
  task.refresh_sent.reset();
  return add(std::move(step));
}

std::optional<IpChangeStep> Recovery::audio_heard(CallId call, TimePoint at,
                                                  std::optional<Duration> pause,
                                                  std::uint32_t lost) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return std::nullopt;
  CallTask& task = found->second;
  const bool first = !task.heard;
  task.heard = true;
  if (pause) {
    task.impact.silence_down = std::max(task.impact.silence_down.value_or(Duration{}), *pause);
  }
  task.impact.lost_down += lost;
  if (!first) return std::nullopt;
  return add(call_step(StepKind::CallAudible, call, true, at));
}

std::optional<IpChangeStep> Recovery::call_suspended(CallId call, TimePoint now) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return std::nullopt;
  found->second.ended = true;  // This generation can do no more; the next one resumes it.
  found->second.impact.survived = true;
  return add(call_step(StepKind::CallSuspended, call, true, now));
}

std::optional<IpChangeStep> Recovery::call_resumed(CallId call, TimePoint now) {
  if (!calls_.contains(call)) return std::nullopt;
  return add(call_step(StepKind::CallResumed, call, true, now));
}

void Recovery::call_stays(CallId call) {
  const auto found = calls_.find(call);
  if (found == calls_.end()) return;
  found->second.ended = true;
  found->second.impact.survived = true;
  found->second.impact.new_local = found->second.impact.old_local;
}

std::optional<IpChangeStep> Recovery::call_given_up(CallId call, const std::string& why,
                                                    TimePoint now) {
  const auto found = calls_.find(call);
  if (found == calls_.end() || found->second.ended) return std::nullopt;
  found->second.ended = true;
  found->second.impact.survived = false;
  IpChangeStep step = call_step(StepKind::CallHungUp, call, false, now);
  step.detail = why;
  return add(std::move(step));
}

bool Recovery::hangs_up(CallId call) const {
  const auto found = calls_.find(call);
  return found != calls_.end() && found->second.hang_up && !found->second.ended;
}

bool Recovery::awaits_media(CallId call) const {
  const auto found = calls_.find(call);
  return found != calls_.end() && found->second.awaits_media;
}

std::optional<IpChangeStep> Recovery::call_hung_up(CallId call, bool told, int status,
                                                   const std::string& detail, TimePoint now) {
  const auto found = calls_.find(call);
  if (found == calls_.end() || found->second.ended) return std::nullopt;
  found->second.ended = true;
  IpChangeStep step = call_step(StepKind::CallHungUp, call, told, now);
  step.status = status;
  step.detail = detail;
  return add(std::move(step));
}

void Recovery::usage_sent(std::uint32_t number, TimePoint now) {
  const auto found = usages_.find(number);
  if (found != usages_.end() && !found->second.sent) found->second.sent = since(now);
}

std::optional<IpChangeStep> Recovery::usage_answered(std::uint32_t number, bool ok, int status,
                                                     const std::string& detail, TimePoint now) {
  const auto found = usages_.find(number);
  if (found == usages_.end()) return std::nullopt;
  IpChangeStep step{};
  const bool subscription = found->second.subscription;
  step.kind = subscription ? StepKind::SubscriptionMoved : StepKind::PublicationMoved;
  step.account = found->second.account;
  if (subscription) step.subscription = SubscriptionId{number};
  if (!subscription) step.publication = PublicationId{number};
  step.started = found->second.sent.value_or(Duration{});
  step.ended = since(now);
  step.ok = ok;
  step.status = status;
  step.detail = detail;
  usages_.erase(found);
  return add(std::move(step));
}

void Recovery::call_moved_without_refresh(CallId call) {
  const auto found = calls_.find(call);
  if (found == calls_.end() || found->second.hang_up) return;
  found->second.answered = true;
  found->second.heard = true;
  found->second.impact.survived = true;
}

void Recovery::commit_unproven(CallId call) {
  if (const auto found = calls_.find(call); found != calls_.end()) {
    found->second.heard = true;
    found->second.awaits_media = false;
  }
}

bool Recovery::awaits_audio(CallId call) const {
  const auto found = calls_.find(call);
  return found != calls_.end() && !found->second.ended && found->second.answered &&
         (!found->second.heard || found->second.awaits_media);
}

bool Recovery::awaits_registration(AccountId account) const {
  const auto found = registrations_.find(account);
  return found != registrations_.end() && !found->second.done;
}

bool Recovery::complete() const {
  for (const auto& [account, task] : registrations_) {
    if (!task.done) return false;
  }
  for (const auto& [call, task] : calls_) {
    if (!task.ended && (!task.answered || !task.heard || task.awaits_media)) return false;
  }
  return usages_.empty();
}

IpChangeReport Recovery::finish(bool superseded, TimePoint now) {
  report_.superseded = superseded;
  if (!superseded) report_.completed = since(now);
  report_.calls.clear();
  for (const auto& [call, task] : calls_) report_.calls.push_back(task.impact);
  return report_;
}

}  // namespace godwit::ua
