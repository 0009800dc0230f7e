// SPDX-License-Identifier: Apache-2.0
//
// What accounts do besides registrations and calls: the table, who gets which event, and from where
// each is sent. What each kind says is in core_messages.cpp and its like.
#include <algorithm>

#include "ua/core_impl.hpp"

namespace godwit::ua {
namespace {

/// How long a request may wait for a socket or a server's address: as long as for an answer.
constexpr Duration kUnsentLimit = std::chrono::seconds(32);
/// A question whose flow died is asked again on the next; this often at most.
constexpr int kMaxSendings = 4;

}  // namespace

Result<UsageTarget> Core::Impl::usage_target(const Account& account, const std::string& text,
                                             const char* what) const {
  SipAddress address;
  if (!text.empty() && text.find('@') == text.npos && text.find(':') == text.npos) {
    address = account.aor;
    address.user = text;
  } else {
    const auto parsed = parse_sip_address(text, what);
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    address = *parsed;
  }
  UsageTarget target;
  target.uri = address.uri();
  if (account.route_set.empty() && address.host != account.aor.host) {
    target.direct = address.endpoint();
  }
  // RFC 3261 §26.2.2. What goes straight to a host goes by UDP.
  if (target.direct && (address.sips || address.transport == sip::Transport::Tls)) {
    return fail(
        ErrorCode::InvalidArgument,
        std::string(what) + " \"" + text +
            "\" needs TLS, but without an outbound proxy what goes to another host than the "
            "account's goes by UDP");
  }
  if (address.sips && account.server && account.transport != sip::Transport::Tls) {
    return fail(ErrorCode::InvalidArgument,
                std::string(what) + " \"" + text + "\" needs TLS, which the account does not use");
  }
  return target;
}

Result<OtherUsage*> Core::Impl::make_usage(AccountId account_id, UsageTarget target) {
  if (shutting_down_) return fail(ErrorCode::WrongState, "the user agent is shutting down");
  if (usages_.size() >= kMaxUsages) {
    return fail(ErrorCode::Busy, "there are " + std::to_string(usages_.size()) +
                                     " messages, questions and subscriptions already");
  }
  auto usage = std::make_unique<OtherUsage>();
  usage->number = ++last_usage_;
  usage->account = account_id;
  usage->target = std::move(target);
  OtherUsage* made = usage.get();
  usages_[made->number] = std::move(usage);
  touched_usages_.insert(made->number);
  return made;
}

sip::RequestIdentity Core::Impl::identity_of(const Account& account) const {
  return {account.aor.uri(), account.config.display_name, account.route_set, config_.user_agent};
}

OtherUsage* Core::Impl::find_usage(std::uint32_t number) {
  const auto found = usages_.find(number);
  return found == usages_.end() ? nullptr : found->second.get();
}

Result<RequestId> Core::Impl::send_standalone(AccountId account_id, UsageTarget target,
                                              sip::OutgoingRequest draft, TimePoint now) {
  const auto made = make_usage(account_id, std::move(target));
  if (!made) return tl::unexpected<Error>(made.error());
  OtherUsage& usage = **made;
  Account& account = *accounts_.at(account_id);
  usage.request_id = RequestId{++last_request_};
  usage.draft = std::move(draft);
  usage.draft.target = usage.target.uri;
  usage.request =
      std::make_unique<sip::RequestUsage>(context(), owner(OwnerKind::Usage, usage.number),
                                          identity_of(best_flow(account)), *account.digest);
  usage.request->answer_challenges(!usage.target.direct ||
                                   account.trusts(usage.target.direct->address));
  usage.unsent = timers_.schedule(now + kUnsentLimit,
                                  Timer{owner(OwnerKind::Usage, usage.number), kUsageUnsentTimer});
  const RequestId id = usage.request_id;
  settle(now);
  return id;
}

bool Core::Impl::to_other_usage(const sip::TransactionEvent& event, TimePoint now) {
  const auto belongs = [](sip::Owner who) {
    return static_cast<OwnerKind>(who.value() & 7U) == OwnerKind::Usage;
  };
  const auto number_of = [](sip::Owner who) {
    return static_cast<std::uint32_t>(who.value() >> 3U);
  };
  if (const auto* response = std::get_if<sip::ResponseArrived>(&event)) {
    if (!belongs(response->owner)) return false;
    if (OtherUsage* usage = find_usage(number_of(response->owner))) {
      if (usage->request) usage->request->on_response(*response, now);
      if (usage->subscription) usage->subscription->on_response(*response, now);
      if (usage->publication) usage->publication->on_response(*response, now);
      touched_usages_.insert(usage->number);
    }
    return true;
  }
  if (const auto* failed = std::get_if<sip::ClientFailed>(&event)) {
    if (!belongs(failed->owner)) return false;
    if (OtherUsage* usage = find_usage(number_of(failed->owner))) {
      if (usage->request) usage->request->on_client_failed(*failed, now);
      if (usage->subscription) usage->subscription->on_client_failed(*failed, now);
      if (usage->publication) usage->publication->on_client_failed(*failed, now);
      touched_usages_.insert(usage->number);
    }
    return true;
  }
  return false;
}

void Core::Impl::on_usage_timer(std::uint32_t number, std::uint32_t kind, TimePoint now) {
  OtherUsage* usage = find_usage(number);
  if (usage == nullptr) return;
  if (usage->subscription) usage->subscription->on_timer(kind, now);
  if (usage->publication) usage->publication->on_timer(kind, now);
  if (kind == kUsageUnsentTimer) {
    if (usage->request && usage->request->in_flight()) return;
    sip::RequestOutcome outcome;
    outcome.status = 408;
    outcome.reason = "there was no way to send it";
    on_request_outcome(*usage, outcome);
  }
  touched_usages_.insert(number);
}

bool Core::Impl::advance_usages(TimePoint now) {
  touched_usages_.merge(waiting_usages_);
  waiting_usages_.clear();
  bool busy = false;
  for (const std::uint32_t number : std::exchange(touched_usages_, {})) {
    OtherUsage* usage = find_usage(number);
    if (usage == nullptr) continue;
    busy = advance(*usage, now) || busy;
    if (!usage->finished) continue;
    timers_.cancel(usage->unsent);
    touch(usage->account);
    usages_.erase(number);
    remotes_changed_ = true;
    busy = true;
  }
  return busy;
}

std::optional<sip::Flow> Core::Impl::place_usage(OtherUsage& usage, TimePoint now) {
  Account* account = find_account(usage.account);
  // A single request takes the flow that lives; what lasts stays with the first.
  if (account != nullptr && usage.request) account = &best_flow(*account);
  if (account == nullptr || !judge_.has_snapshot()) return std::nullopt;
  const std::optional<Endpoint> hop = usage.target.direct ? usage.target.direct : account->server;
  if (!hop) return std::nullopt;
  if (!usage.path) {
    usage.path = usage.target.direct ? path_to(hop->address) : account->path;
    remotes_changed_ = true;
  }
  if (!usage.path) return std::nullopt;
  open_listeners(*usage.path);
  const Hop way = usage.target.direct ? Hop{sip::Transport::Udp, *hop} : account->hop();
  auto flow = flow_to(*usage.path, way, now);
  if (!flow && flow_failure(*usage.path, way)) retry_later(now);
  return flow;
}

bool Core::Impl::advance(OtherUsage& usage, TimePoint now) {
  if (usage.finished) return false;
  if (usage.subscription) return advance_subscription(usage, now);
  if (usage.publication) return advance_publication(usage, now);
  if (usage.request) {
    if (auto outcome = usage.request->poll_outcome()) {
      // OPTIONS asks and changes nothing: it is simply asked again from the new place. Whether a
      // MESSAGE has arrived nobody knows, so that is left to its sender (design: reported instead).
      const bool again = outcome->flow_died && usage.draft.method == wire::Method::Options &&
                         usage.sendings < kMaxSendings;
      if (!again) {
        on_request_outcome(usage, *outcome);
        return true;
      }
      usage.path.reset();
    }
    if (usage.request->in_flight()) return false;
    const auto flow = place_usage(usage, now);
    if (!flow) {
      waiting_usages_.insert(usage.number);
      return false;
    }
    sip::OutgoingRequest request = usage.draft;
    request.flow = *flow;
    // RFC 3428 §4: "MESSAGE requests do not initiate dialogs. User Agents MUST NOT insert Contact
    // header fields".
    if (request.method != wire::Method::Message) request.contact = dialog_contact_for(usage, *flow);
    ++usage.sendings;
    if (const auto sent = usage.request->start(std::move(request), now); !sent) {
      sip::RequestOutcome outcome;
      outcome.status = 503;
      outcome.reason = sent.error().detail;
      on_request_outcome(usage, outcome);
    }
    return true;
  }
  return false;
}

void Core::Impl::end_usages_of(AccountId account, TimePoint now) {
  for (const auto& [number, usage] : usages_) {
    if (usage->account != account || usage->finished) continue;
    if (usage->request) {
      usage->request->forget(now);
      sip::RequestOutcome outcome;
      outcome.status = 487;
      outcome.reason = "the account was removed, or the user agent shuts down";
      outcome.in_doubt = usage->sendings > 0;
      on_request_outcome(*usage, outcome);
    }
    if (usage->subscription) usage->subscription->stop(now);
    if (usage->publication) usage->publication->stop(now);
    touched_usages_.insert(number);
  }
}

bool Core::Impl::has_usages(AccountId account) const {
  return std::any_of(usages_.begin(), usages_.end(),
                     [&](const auto& entry) { return entry.second->account == account; });
}

}  // namespace godwit::ua
