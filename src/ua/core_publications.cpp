// SPDX-License-Identifier: Apache-2.0
//
// Publications of accounts (RFC 3903): commands, placement and what is told of them.
#include "ua/core_impl.hpp"
#include "wire/sip/headers.hpp"
#include "wire/sip/lex.hpp"

namespace godwit::ua {
namespace {

constexpr std::size_t kMaxBody = 16'384;
constexpr std::chrono::seconds kMaxExpires{604'800};

Result<void> check(const PublishRequest& request) {
  const auto type = wire::ValueWithParams::parse(request.content_type);
  if (!type || type->value.find('/') == std::string_view::npos ||
      request.content_type.find_first_of("\r\n") != std::string::npos) {
    return fail(ErrorCode::InvalidArgument, "\"" + request.content_type + "\" is no content type");
  }
  if (!wire::lex::is_token(request.event)) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + request.event + "\" is no event package such as presence");
  }
  if (request.body.size() > kMaxBody) {
    return fail(ErrorCode::TooLarge, "what is published may have 16384 bytes");
  }
  if (request.expires < std::chrono::seconds(1) || request.expires > kMaxExpires) {
    return fail(ErrorCode::InvalidArgument, "a publication lasts 1 to 604800 seconds");
  }
  return {};
}

}  // namespace

Result<PublicationId> Core::Impl::publish(AccountId id, const PublishRequest& request,
                                          TimePoint now) {
  const auto account = require_account(id);
  if (!account) return tl::unexpected<Error>(account.error());
  if (const auto fine = check(request); !fine) return tl::unexpected<Error>(fine.error());
  UsageTarget target;
  target.uri = (*account)->aor.uri();
  const auto made = make_usage(id, std::move(target));
  if (!made) return tl::unexpected<Error>(made.error());
  OtherUsage& usage = **made;
  usage.publication = std::make_unique<sip::Publication>(
      context(), owner(OwnerKind::Usage, usage.number),
      sip::PublicationConfig{identity_of(**account), usage.target.uri, request.event,
                             request.expires},
      *(*account)->digest);
  usage.publication->set_content(request.content_type, request.body, now);
  usage.move_pending = true;
  const PublicationId made_id{usage.number};
  settle(now);
  return made_id;
}

Result<OtherUsage*> Core::Impl::require_publication(PublicationId id) {
  OtherUsage* usage = find_usage(id.value());
  if (usage == nullptr || !usage->publication || usage->finished) {
    return fail(ErrorCode::NotFound, "there is no publication " + std::to_string(id.value()));
  }
  return usage;
}

Result<void> Core::Impl::publish(PublicationId id, const MessageContent& content, TimePoint now) {
  const auto usage = require_publication(id);
  if (!usage) return tl::unexpected<Error>(usage.error());
  PublishRequest request;
  request.content_type = content.content_type;
  request.body = content.body;
  if (const auto fine = check(request); !fine) return fine;
  (*usage)->publication->set_content(content.content_type, content.body, now);
  touched_usages_.insert((*usage)->number);
  settle(now);
  return {};
}

Result<void> Core::Impl::unpublish(PublicationId id, TimePoint now) {
  const auto usage = require_publication(id);
  if (!usage) return tl::unexpected<Error>(usage.error());
  (*usage)->publication->stop(now);
  touched_usages_.insert((*usage)->number);
  settle(now);
  return {};
}

bool Core::Impl::advance_publication(OtherUsage& usage, TimePoint now) {
  bool busy = drain_publication(usage, now);
  if (usage.finished || !usage.move_pending || usage.suspended) return busy;
  const auto flow = place_usage(usage, now);
  if (!flow) {
    waiting_usages_.insert(usage.number);
    return busy;
  }
  usage.move_pending = false;
  const Account& account = *accounts_.at(usage.account);
  if (recovery_) recovery_->usage_sent(usage.number, now);
  usage.publication->move(*flow, usage.moved ? account.recovery_timers() : sip::TransactionTimers{},
                          now);
  usage.moved = true;
  drain_publication(usage, now);
  return true;
}

bool Core::Impl::drain_publication(OtherUsage& usage, TimePoint now) {
  bool busy = false;
  while (auto status = usage.publication->poll_event()) {
    busy = true;
    if (status->answers_move) {
      note_usage_answered(usage, status->state == PublicationState::Published, status->status,
                          status->reason, now);
    }
    if (status->unchanged) continue;
    emit(PublicationChanged{PublicationId{usage.number}, usage.account, status->state,
                            status->status, status->reason, status->expires});
    if (status->state == PublicationState::Ended) usage.finished = true;
  }
  return busy;
}

}  // namespace godwit::ua
