// SPDX-License-Identifier: Apache-2.0
//
// What an account does besides its registration and its calls, one entry for each: where it is sent
// to, which path it takes, and the SIP usage behind it. Holds state; the core moves it along (its
// files core_usages.cpp and those beside it). Owned by the core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "godwit/event.hpp"
#include "godwit/usages.hpp"
#include "mobility/plan.hpp"
#include "sip/dialog.hpp"
#include "sip/publication.hpp"
#include "sip/request_usage.hpp"
#include "sip/subscription.hpp"
#include "wire/event/dialog_info.hpp"

namespace godwit::ua {

/// Where something is sent that has no call.
struct UsageTarget {
  std::string uri;
  /// The target's own address, if it is a literal outside the account's domain; otherwise the
  /// account's first hop is asked to find it.
  std::optional<Endpoint> direct;
  sip::Transport transport = sip::Transport::Udp;  ///< To `direct` …
  std::string tls_name = {};                       ///< … and what its certificate must name.
};

struct OtherUsage {
  std::uint32_t number = 0;  ///< Its owner number, and its key in the core's table.
  AccountId account;
  UsageTarget target;
  std::optional<mobility::Path> path;
  bool finished = false;  ///< To be taken out of the table.

  bool suspended = false;
  /// To be sent from `path` as soon as its listener is open; `moved`: not for the first time.
  bool move_pending = false;
  bool moved = false;
  Generation generation;

  // A subscription …
  std::unique_ptr<sip::Subscription> subscription;
  std::string package;   ///< Its event, without parameters.
  sip::DialogId dialog;  ///< Key in the core's table; without a remote tag.
  SubscriptionState told = SubscriptionState::Subscribing;  ///< To the application.
  wire::DialogInfoState calls;                              ///< Of the event "dialog".
  // … or a publication …
  std::unique_ptr<sip::Publication> publication;

  // … or a single request.
  RequestId request_id;
  std::unique_ptr<sip::RequestUsage> request;
  sip::OutgoingRequest draft;  ///< Without its place, which is chosen when it is sent.
  int sendings = 0;
  TimerId unsent;  ///< Fires when it could not even be sent for that long.
};

}  // namespace godwit::ua
