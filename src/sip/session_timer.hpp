// SPDX-License-Identifier: Apache-2.0
//
// Session timers (RFC 4028) as rules over messages: what a request asks for, what a 2xx grants, who
// refreshes and when the session ends without a refresh. Pure; the InviteSession that uses it holds
// the timers and sends the requests.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "godwit/config.hpp"
#include "godwit/time.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/message.hpp"

namespace godwit::sip {

/// The option tag.
inline constexpr std::string_view kTimerTag = "timer";

/// §4: less than 90 s "MUST NOT" be used; whatever a peer says is brought into this range.
inline constexpr std::chrono::seconds kMinSessionInterval{90};
inline constexpr std::chrono::seconds kMaxSessionInterval{86'400};

struct SessionTimerConfig {
  ExtensionUse use = ExtensionUse::Off;           ///< See CallPolicy::session_timer.
  std::chrono::seconds interval{1800};            ///< Asked for and, as callee, granted at most.
  std::chrono::seconds min{kMinSessionInterval};  ///< Less is refused with 422.
};

struct SessionTimer {
  std::chrono::seconds interval{};
  bool we_refresh = false;

  /// §10: "It is RECOMMENDED that this refresh be sent once half the session interval has elapsed".
  Duration refresh_after() const { return Duration(interval) / 2; }
  /// §10: without a refresh the BYE comes the minimum of 32 seconds and one third of the interval
  /// before its end.
  Duration expires_after() const;

  friend bool operator==(const SessionTimer&, const SessionTimer&) = default;
};

/// The Session-Expires and Min-SE of a request of ours. `current` is the timer that runs, whose
/// refresher stays; none: the peer chooses.
void ask_for_timer(wire::DraftHeaders& headers, const SessionTimerConfig& config,
                   std::chrono::seconds interval, const std::optional<SessionTimer>& current);

/// What our 2xx grants (§9); nullopt: no session timer.
std::optional<SessionTimer> grant_timer(const wire::Message& request,
                                        const SessionTimerConfig& config,
                                        const std::optional<SessionTimer>& current);
/// … and how it says so.
void write_granted(wire::DraftHeaders& headers, const wire::Message& request,
                   const SessionTimer& timer);

/// What the peer's 2xx grants (§7.2); `asked` is what our request asked for.
std::optional<SessionTimer> granted_timer(const wire::Message& response,
                                          const SessionTimerConfig& config,
                                          std::chrono::seconds asked);

/// The request asks for less than we allow, of a peer that can learn from a 422.
bool is_too_brief(const wire::Message& request, const SessionTimerConfig& config);
/// The interval to ask for after a 422 to `asked`; nullopt: it demands nothing sensible.
std::optional<std::chrono::seconds> longer_interval(const wire::Message& response,
                                                    std::chrono::seconds asked);

}  // namespace godwit::sip
