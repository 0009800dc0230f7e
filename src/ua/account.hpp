// SPDX-License-Identifier: Apache-2.0
//
// One account: who we are, where our first hop is, which local path leads there, and our
// registration. Holds state; the core moves it along. Owned by the core.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "mobility/plan.hpp"
#include "sip/digest.hpp"
#include "sip/registration.hpp"
#include "ua/driver.hpp"
#include "ua/text.hpp"

namespace godwit::ua {

struct Account {
  /// Checks the configuration: InvalidArgument names the setting and what is wrong with it.
  static Result<std::unique_ptr<Account>> make(AccountId id, AccountConfig config,
                                               const std::string& user_agent,
                                               sip::UsageContext context, sip::Owner owner);

  AccountId id;
  AccountConfig config;
  SipAddress aor;
  SipAddress first_hop;  ///< Outbound proxy, else registrar, else the AOR's host.
  std::vector<std::string> route_set;
  std::unique_ptr<sip::DigestClient> digest;
  std::unique_ptr<sip::Registration> registration;

  std::optional<Endpoint> server;           ///< The first hop's address once known.
  std::vector<IpAddress> server_addresses;  ///< All that its name stands for.
  std::optional<QueryId> query;
  std::optional<TimePoint> resolve_again_at;
  std::optional<mobility::Path> path;
  bool wants_registration = false;
  bool removed = false;  ///< By the application; waits for its calls to end.
  bool suspended = false;
  /// The registration is to be moved to `path` as soon as its listener is open.
  bool move_pending = false;
  /// … but not before its REGISTER in flight is answered, for the old path still works.
  bool wait_for_answer = false;
  Generation generation;

  /// Is this the server that our credentials are for?
  bool trusts(const IpAddress& address) const;
  /// "sip:alice@192.0.2.7:5060"
  std::string contact(const Endpoint& local) const;
};

}  // namespace godwit::ua
