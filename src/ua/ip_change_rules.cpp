// SPDX-License-Identifier: Apache-2.0
#include "ua/ip_change_rules.hpp"

#include <chrono>

#include "wire/sip/uri.hpp"

namespace godwit::ua {
namespace {

constexpr Duration kShortestDeadline = std::chrono::seconds(1);
constexpr Duration kLongestDeadline = std::chrono::hours(1);
constexpr std::uint32_t kMaxRestartAttempts = 20;
constexpr Duration kMinRestartDelay = std::chrono::milliseconds(1);
constexpr Duration kMaxRestartDelay = std::chrono::seconds(1);
constexpr std::size_t kMaxNamed = 10'000;
constexpr std::size_t kMaxTargetBytes = 1'024;

}  // namespace

Result<void> check_policy(const IpChangePolicy& policy) {
  if (policy.recovery_deadline < kShortestDeadline || policy.recovery_deadline > kLongestDeadline) {
    return fail(ErrorCode::InvalidArgument, "a recovery deadline is 1 s to 1 h");
  }
  if (policy.refresh_calls && !policy.refresh_offer && !policy.refresh_contact) {
    return fail(ErrorCode::InvalidArgument,
                "calls cannot be refreshed with neither an offer nor a Contact: it would say "
                "nothing; refresh_calls switches it off");
  }
  return {};
}

Result<void> check_options(const IpChangeOptions& options) {
  if (!options.registrations && !options.calls) {
    return fail(ErrorCode::InvalidArgument,
                "a change of neither registrations nor calls leaves nothing to do");
  }
  if (options.accounts.size() > kMaxNamed) {
    return fail(ErrorCode::InvalidArgument, "too many accounts are named");
  }
  if (options.restart_listeners && !options.force) {
    return fail(ErrorCode::InvalidArgument, "restart_listeners: only together with force");
  }
  if (options.restart_delay < kMinRestartDelay || options.restart_delay > kMaxRestartDelay) {
    return fail(ErrorCode::InvalidArgument, "restart_delay: 1 ms to 1 s");
  }
  if (options.restart_attempts > kMaxRestartAttempts) {
    return fail(ErrorCode::InvalidArgument, "restart_attempts: 0 to 20");
  }
  if (options.shut_down_streams != StreamShutdown::Dead && !options.force) {
    return fail(ErrorCode::InvalidArgument, "shut_down_streams: only together with force");
  }
  return {};
}

Result<void> check_refresh(const CallRefresh& refresh) {
  if (!refresh.offer && !refresh.contact && refresh.target.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "a refresh with neither an offer nor a Contact would say nothing");
  }
  if (refresh.media && !refresh.offer) {
    return fail(ErrorCode::InvalidArgument, "new RTP sockets are of no use without an offer");
  }
  if (refresh.target.empty()) return {};
  const auto uri = wire::Uri::parse(refresh.target);
  if (!uri || !uri->is_sip() || refresh.target.size() > kMaxTargetBytes ||
      refresh.target.find_first_of("<> \t\r\n") != std::string::npos) {
    return fail(ErrorCode::InvalidArgument, "the target \"" + refresh.target + "\" is no SIP URI");
  }
  return {};
}

}  // namespace godwit::ua
