// SPDX-License-Identifier: Apache-2.0
#include "sip/session_timer.hpp"

#include <algorithm>
#include <string>

#include "wire/sip/headers.hpp"

namespace godwit::sip {
namespace {

using std::chrono::seconds;
using wire::HeaderId;

bool knows_timers(const wire::Message& request) {
  return wire::has_token(request, HeaderId::Supported, kTimerTag) ||
         wire::has_token(request, HeaderId::Require, kTimerTag);
}

seconds in_range(seconds interval) {
  return std::clamp(interval, kMinSessionInterval, kMaxSessionInterval);
}

}  // namespace

Duration SessionTimer::expires_after() const {
  return Duration(interval) - std::min<Duration>(seconds(32), Duration(interval) / 3);
}

void ask_for_timer(wire::DraftHeaders& headers, const SessionTimerConfig& config, seconds interval,
                   const std::optional<SessionTimer>& current) {
  if (config.use == ExtensionUse::Off) return;
  std::string value = std::to_string(interval.count());
  // RFC 4028 §7.4: a refresh names the refresher that there is, for "uac" and "uas" change places
  // with who sends the request.
  if (current) value += current->we_refresh ? ";refresher=uac" : ";refresher=uas";
  headers.emplace_back(HeaderId::SessionExpires, std::move(value));
  // §5: the default of 90 s need not be said.
  const seconds min = std::max(config.min, kMinSessionInterval);
  if (min > kMinSessionInterval) headers.emplace_back(HeaderId::MinSE, std::to_string(min.count()));
}

std::optional<SessionTimer> grant_timer(const wire::Message& request,
                                        const SessionTimerConfig& config,
                                        const std::optional<SessionTimer>& current) {
  if (config.use == ExtensionUse::Off) return std::nullopt;
  const auto wanted = wire::session_expires_of(request);
  const seconds floor =
      std::max({config.min, kMinSessionInterval, wire::min_se_of(request).value_or(seconds(0))});
  SessionTimer timer;
  // RFC 4028 §9: the UAS may reduce the interval, but not below Min-SE.
  timer.interval = in_range(std::max(
      wanted ? std::min(wanted->interval, std::max(config.interval, floor)) : config.interval,
      std::min(floor, kMaxSessionInterval)));
  if (!knows_timers(request)) {
    // §9, Table 2: a UAC without support does not refresh. A proxy may have asked for it.
    if (!wanted && config.use != ExtensionUse::Required) return std::nullopt;
    timer.we_refresh = true;
    return timer;
  }
  switch (wanted ? wanted->refresher : wire::Refresher::Unspecified) {
    case wire::Refresher::Uac: timer.we_refresh = false; break;
    case wire::Refresher::Uas: timer.we_refresh = true; break;
    case wire::Refresher::Unspecified: timer.we_refresh = current && current->we_refresh; break;
  }
  return timer;
}

void write_granted(wire::DraftHeaders& headers, const wire::Message& request,
                   const SessionTimer& timer) {
  // RFC 4028 §9: "If the refresher parameter in the Session-Expires header field in the 2xx
  // response has a value of 'uac', the UAS MUST place a Require header field into the response with
  // the value 'timer'".
  if (!timer.we_refresh && knows_timers(request))
    headers.emplace_back(HeaderId::Require, std::string(kTimerTag));
  headers.emplace_back(HeaderId::SessionExpires,
                       std::to_string(timer.interval.count()) +
                           (timer.we_refresh ? ";refresher=uas" : ";refresher=uac"));
}

std::optional<SessionTimer> granted_timer(const wire::Message& response,
                                          const SessionTimerConfig& config, seconds asked) {
  if (config.use == ExtensionUse::Off) return std::nullopt;
  const auto granted = wire::session_expires_of(response);
  if (!granted) {
    // RFC 4028 §7.2: without the header there is no timer; a UAC that wants one anyway refreshes by
    // itself.
    if (config.use != ExtensionUse::Required) return std::nullopt;
    return SessionTimer{in_range(asked), true};
  }
  return SessionTimer{in_range(granted->interval), granted->refresher != wire::Refresher::Uas};
}

bool is_too_brief(const wire::Message& request, const SessionTimerConfig& config) {
  if (config.use == ExtensionUse::Off || !knows_timers(request)) return false;
  const auto wanted = wire::session_expires_of(request);
  return wanted && wanted->interval < std::max(config.min, kMinSessionInterval);
}

std::optional<seconds> longer_interval(const wire::Message& response, seconds asked) {
  const auto min = wire::min_se_of(response);
  if (!min || *min <= asked || *min > kMaxSessionInterval) return std::nullopt;
  return min;
}

}  // namespace godwit::sip
