// SPDX-License-Identifier: Apache-2.0
//
// Sessions that are over, but whose INVITE somebody may still answer: a 2xx that crosses our giving
// up, or of a further fork, is due an ACK, and the call behind it a BYE (RFC 3261 §13.2.2.4). They
// are kept for as long as such an answer may come, and know nothing of calls any more.
#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// RFC 3261 §13.2.2.4: 64*T1 after the first answer "all of the early dialogs" are over. A BYE to
/// what was answered last takes as long again.
constexpr Duration kLateAnswers = std::chrono::seconds(64);

}  // namespace

void Core::Impl::keep_for_late_answers(AccountId account, std::uint32_t number,
                                       std::unique_ptr<sip::InviteSession> session, TimePoint now) {
  if (session == nullptr || session->state() == sip::SessionState::Idle) return;
  if (late_.size() >= kMaxLateSessions) late_.erase(late_.begin());  // The oldest.
  late_[number] = LateSession{account, std::move(session), now + kLateAnswers};
  if (!late_timer_) {
    late_timer_ = timers_.schedule(
        now + kLateAnswers,
        Timer{owner(OwnerKind::Core, 0), static_cast<std::uint32_t>(CoreTimer::LateAnswers)});
  }
}

void Core::Impl::drop_late_sessions(TimePoint now) {
  late_timer_.reset();
  std::erase_if(late_, [now](const auto& entry) { return entry.second.until <= now; });
  std::optional<TimePoint> next;
  for (const auto& [number, late] : late_) {
    if (!next || late.until < *next) next = late.until;
  }
  if (next) {
    late_timer_ = timers_.schedule(
        *next,
        Timer{owner(OwnerKind::Core, 0), static_cast<std::uint32_t>(CoreTimer::LateAnswers)});
  }
}

sip::InviteSession* Core::Impl::late_session(sip::Owner of) {
  if (static_cast<OwnerKind>(of.value() & 7U) != OwnerKind::Session) return nullptr;
  const auto found = late_.find(static_cast<std::uint32_t>(of.value() >> 3U));
  return found == late_.end() ? nullptr : found->second.session.get();
}

bool Core::Impl::to_late_session(const sip::TransactionEvent& event, TimePoint now) {
  const auto give = [&](sip::Owner of, const sip::Flow* flow, auto&& input) {
    sip::InviteSession* session = late_session(of);
    if (session == nullptr) return false;
    if (flow != nullptr && is_dead(session->flow())) {
      // The address has changed since: from where the answer came to us, the ACK gets back.
      const AccountId id = late_.at(static_cast<std::uint32_t>(of.value() >> 3U)).account;
      if (const Account* account = find_account(id)) {
        session->move_flow(*flow, dialog_contact_for(*account, *flow));
      }
    }
    input(*session);
    while (session->poll_event()) {
    }
    return true;
  };
  if (const auto* response = std::get_if<sip::ResponseArrived>(&event)) {
    return give(response->owner, &response->flow,
                [&](sip::InviteSession& session) { session.on_response(*response, now); });
  }
  if (const auto* late = std::get_if<sip::DetachedAnswerArrived>(&event)) {
    return give(late->owner, &late->flow,
                [&](sip::InviteSession& session) { session.on_detached_answer(*late, now); });
  }
  if (const auto* failed = std::get_if<sip::ClientFailed>(&event)) {
    return give(failed->owner, nullptr,
                [&](sip::InviteSession& session) { session.on_client_failed(*failed, now); });
  }
  return false;
}

}  // namespace godwit::ua
