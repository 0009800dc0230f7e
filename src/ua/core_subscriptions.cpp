// SPDX-License-Identifier: Apache-2.0
//
// Subscriptions of accounts: commands, notifications and what they say, and the change of address.
#include <algorithm>

#include "ua/core_impl.hpp"
#include "wire/event/message_summary.hpp"
#include "wire/event/pidf.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::ua {
namespace {

constexpr std::chrono::seconds kMaxExpires{604'800};
constexpr std::size_t kMaxAccepted = 16;

/// "presence", "dialog;id=7": a token with parameters, in one line.
bool is_event(const std::string& text) {
  const auto value = wire::ValueWithParams::parse(text);
  return value && text.size() <= 128 && wire::lex::is_token(value->value) &&
         value->params.well_formed() && text.find_first_of("\r\n") == std::string::npos;
}

bool is_media_type(const std::string& text) {
  const std::size_t slash = text.find('/');
  return text.size() <= 128 && slash != std::string::npos &&
         wire::lex::is_token(text.substr(0, slash)) && wire::lex::is_token(text.substr(slash + 1));
}

/// What is accepted where the application does not say: the package's own default type.
std::vector<std::string> default_accept(std::string_view package) {
  if (package == "message-summary") return {"application/simple-message-summary"};
  if (package == "presence") return {"application/pidf+xml"};
  if (package == "dialog") return {"application/dialog-info+xml"};
  return {};
}

std::string package_of(const std::string& event) { return event.substr(0, event.find(';')); }

RemoteCall::State public_state(wire::DialogInfo::State state) {
  switch (state) {
    case wire::DialogInfo::State::Trying: return RemoteCall::State::Trying;
    case wire::DialogInfo::State::Proceeding: return RemoteCall::State::Trying;
    case wire::DialogInfo::State::Early: return RemoteCall::State::Ringing;
    case wire::DialogInfo::State::Confirmed: return RemoteCall::State::Confirmed;
    case wire::DialogInfo::State::Terminated: return RemoteCall::State::Ended;
  }
  return RemoteCall::State::Ended;
}

}  // namespace

Result<SubscriptionId> Core::Impl::subscribe(AccountId id, const SubscribeRequest& request,
                                             TimePoint now) {
  const auto account = require_account(id);
  if (!account) return tl::unexpected<Error>(account.error());
  if (!is_event(request.event)) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + request.event + "\" is no event package such as presence");
  }
  if (request.expires < std::chrono::seconds(1) || request.expires > kMaxExpires) {
    return fail(ErrorCode::InvalidArgument, "a subscription lasts 1 to 604800 seconds, not " +
                                                std::to_string(request.expires.count()));
  }
  if (request.accept.size() > kMaxAccepted ||
      !std::all_of(request.accept.begin(), request.accept.end(), is_media_type)) {
    return fail(ErrorCode::InvalidArgument, "what is accepted must be content types, 16 at most");
  }
  UsageTarget target;
  if (request.target.empty()) {
    target.uri = (*account)->aor.uri();
  } else {
    auto found = usage_target(**account, request.target, "whom to subscribe to");
    if (!found) return tl::unexpected<Error>(found.error());
    target = std::move(*found);
  }
  const auto made = make_usage(id, std::move(target));
  if (!made) return tl::unexpected<Error>(made.error());
  OtherUsage& usage = **made;
  sip::SubscriptionConfig config;
  config.identity = identity_of(**account);
  config.target = usage.target.uri;
  config.event = request.event;
  config.accept =
      request.accept.empty() ? default_accept(package_of(request.event)) : request.accept;
  config.expires = request.expires;
  usage.package = package_of(request.event);
  usage.subscription = std::make_unique<sip::Subscription>(
      context(), owner(OwnerKind::Usage, usage.number), std::move(config), *(*account)->digest);
  usage.subscription->answer_challenges(!usage.target.direct ||
                                        (*account)->trusts(usage.target.direct->address));
  usage.move_pending = true;
  const SubscriptionId made_id{usage.number};
  settle(now);
  return made_id;
}

Result<void> Core::Impl::unsubscribe(SubscriptionId id, TimePoint now) {
  OtherUsage* usage = find_usage(id.value());
  if (usage == nullptr || !usage->subscription || usage->finished) {
    return fail(ErrorCode::NotFound, "there is no subscription " + std::to_string(id.value()));
  }
  usage->subscription->stop(now);
  touched_usages_.insert(usage->number);
  settle(now);
  return {};
}

bool Core::Impl::advance_subscription(OtherUsage& usage, TimePoint now) {
  bool busy = drain_subscription(usage, now);
  if (usage.finished || !usage.move_pending || usage.suspended) return busy;
  const auto flow = place_usage(usage, now);
  if (!flow) {
    waiting_usages_.insert(usage.number);
    return busy;
  }
  usage.move_pending = false;
  const Account& account = *accounts_.at(usage.account);
  sip::SubscriptionMove move;
  move.flow = *flow;
  move.contact = dialog_contact_for(usage, *flow);
  if (usage.moved) move.timers = account.recovery_timers();
  move.generation = usage.generation;
  usage.moved = true;
  if (recovery_) recovery_->usage_sent(usage.number, now);
  (void)usage.subscription->move(move, now);
  busy = drain_subscription(usage, now);
  return true;
}

bool Core::Impl::drain_subscription(OtherUsage& usage, TimePoint now) {
  bool busy = false;
  // Its dialog may be another one now.
  const sip::DialogId dialog{usage.subscription->call_id(), usage.subscription->local_tag(), {}};
  if (!(usage.dialog == dialog)) {
    subscription_dialogs_.erase(usage.dialog);
    subscription_dialogs_[dialog] = usage.number;
    usage.dialog = dialog;
    usage.calls = {};
  }
  while (auto event = usage.subscription->poll_event()) {
    busy = true;
    if (const auto* status = std::get_if<sip::SubscriptionStatus>(&*event)) {
      SubscriptionChanged changed;
      changed.subscription = SubscriptionId{usage.number};
      changed.account = usage.account;
      changed.state = status->state;
      changed.status = status->status;
      changed.reason = status->reason;
      changed.expires = status->expires;
      const bool moved =
          status->state == SubscriptionState::Active || status->state == SubscriptionState::Pending;
      const bool failed = status->state == SubscriptionState::Waiting ||
                          status->state == SubscriptionState::Terminated;
      if ((moved || failed) && !usage.move_pending && status->generation == usage.generation) {
        note_usage_answered(usage, moved, status->status, status->reason, now);
      }
      // A move that changed nothing else is the application's business no more than a refresh is.
      if (!status->answers_refresh || status->state != usage.told) emit(std::move(changed));
      usage.told = status->state;
      if (status->state == SubscriptionState::Terminated) {
        usage.finished = true;
        subscription_dialogs_.erase(usage.dialog);
      }
    } else {
      on_notification(usage, std::get<sip::Notification>(*event), now);
    }
  }
  return busy;
}

void Core::Impl::on_notification(OtherUsage& usage, const sip::Notification& notification,
                                 TimePoint now) {
  const SubscriptionId id{usage.number};
  emit(Notified{id, usage.account, usage.package, notification.content_type, notification.body});
  const auto unreadable = [&](const Error& why) {
    log_.info("ua", "a notification of " + usage.package + " cannot be read: " + why.detail);
  };
  if (usage.package == "message-summary") {
    const auto summary = wire::parse_message_summary(notification.body);
    if (!summary) return unreadable(summary.error());
    MessagesWaiting waiting;
    waiting.subscription = id;
    waiting.account = usage.account;
    waiting.waiting = summary->waiting;
    waiting.mailbox = summary->account;
    for (const auto& count : summary->counts) {
      if (count.kind != "voice-message") continue;
      waiting.fresh_voice = count.fresh;
      waiting.old_voice = count.old;
    }
    emit(std::move(waiting));
  } else if (usage.package == "presence") {
    const auto presence = wire::parse_pidf(notification.body);
    if (!presence) return unreadable(presence.error());
    PresenceChanged changed;
    changed.subscription = id;
    changed.account = usage.account;
    changed.entity = presence->entity;
    changed.note = presence->note;
    for (const auto& tuple : presence->tuples) {
      changed.open = changed.open || tuple.open.value_or(false);
      if (changed.note.empty()) changed.note = tuple.note;
    }
    emit(std::move(changed));
  } else if (usage.package == "dialog") {
    const auto info = wire::parse_dialog_info(notification.body);
    if (!info) return unreadable(info.error());
    if (!usage.calls.apply(*info)) return;
    // RFC 4235 §4.3: a version was missed, so that we ask for the whole once more.
    if (usage.calls.has_gap()) usage.subscription->refresh(now);
    RemoteCallsChanged changed;
    changed.subscription = id;
    changed.account = usage.account;
    changed.entity = usage.calls.current().entity;
    for (const auto& entry : usage.calls.current().dialogs) {
      changed.calls.push_back(
          {entry.id, public_state(entry.state), entry.outgoing, entry.local, entry.remote});
    }
    emit(std::move(changed));
  }
}

bool Core::Impl::to_subscription(const sip::RequestArrived& event, TimePoint now) {
  const wire::Message& notify = *event.request;
  if (notify.method() != wire::Method::Notify || subscription_dialogs_.empty()) return false;
  const auto found = subscription_dialogs_.find(sip::DialogId{
      std::string(wire::call_id_of(notify)), std::string(wire::to_tag_of(notify)), {}});
  if (found == subscription_dialogs_.end()) return false;
  OtherUsage* usage = find_usage(found->second);
  if (usage == nullptr) return false;
  usage->subscription->on_notify(event, now);
  touched_usages_.insert(usage->number);
  return true;
}

void Core::Impl::recover_usage(const mobility::PlanRow& row, TimePoint now) {
  OtherUsage* usage = find_usage(row.use.value() / 3);
  if (usage == nullptr || usage->finished || row.mode == mobility::Mode::Leave) return;
  usage->generation = recovery_->generation();
  touched_usages_.insert(usage->number);
  if (recovery_) recovery_->forget_usage(usage->number);
  if (!row.to) {
    usage->suspended = true;
    if (usage->subscription) usage->subscription->suspend(now);
    if (usage->publication) usage->publication->suspend(now);
    return;
  }
  usage->path = row.to;
  usage->suspended = false;
  usage->move_pending = true;
  recovery_->add_usage(usage->number, usage->account, usage->subscription != nullptr);
}

}  // namespace godwit::ua
