// SPDX-License-Identifier: Apache-2.0
//
// One account: who we are, where our first hop is, which local path leads there, and our
// registration. Holds state; the core moves it along. Owned by the core.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "mobility/plan.hpp"
#include "sip/digest.hpp"
#include "sip/registration.hpp"
#include "ua/driver.hpp"
#include "ua/locator.hpp"
#include "ua/race.hpp"
#include "ua/streams.hpp"
#include "ua/stun_keep_alive.hpp"
#include "ua/text.hpp"

namespace godwit::ua {

/// Not reachable from the public network.
bool is_private(const IpAddress& address);
/// The one at `place`, by the transport that is liked if there are several; nullptr: none.
const sip::Target* target_at(const std::vector<sip::Target>& targets, const Endpoint& place,
                             sip::Transport liked);

struct Account {
  /// Checks the configuration: InvalidArgument names the setting and what is wrong with it.
  static Result<std::unique_ptr<Account>> make(AccountId id, AccountConfig config,
                                               const std::string& user_agent,
                                               const std::string& instance_id,
                                               sip::UsageContext context, sip::Owner owner,
                                               std::uint32_t reg_id = 1);
  /// One more flow of this account (RFC 5626 §4.2): the same account over `proxy` alone.
  AccountConfig further_flow(const std::string& proxy) const;

  AccountId id;
  AccountConfig config;
  SipAddress aor;
  SipAddress first_hop;  ///< Outbound proxy, else registrar, else the AOR's host.
  /// To the first hop: configured, else its URI's, else UDP.
  sip::Transport transport = sip::Transport::Udp;
  std::vector<std::string> route_set;
  /// The registrar by its name, where the first hop is a proxy's address literal: the way to go
  /// when that is of a family which the network has lost. After take_spare() it is the other way
  /// round.
  struct Way {
    SipAddress first_hop;
    sip::Transport transport = sip::Transport::Udp;
    std::vector<std::string> route_set;
  };
  std::optional<Way> spare;
  bool on_spare = false;
  bool spare_tried = false;  ///< Since the network last changed.
  void take_spare();
  std::unique_ptr<sip::DigestClient> digest;
  std::unique_ptr<sip::Registration> registration;

  /// RFC 5626 §4.2. A further flow is an Account of its own, which the application does not know:
  /// `main` is the one that it knows, `id` itself for that one, and what the application is told
  /// is told of that one (core_flows.cpp).
  AccountId main;
  std::uint32_t reg_id = 1;
  std::vector<AccountId> flows;  ///< Of a main account with several: all, the preferred first.
  bool is_further() const { return main != id; }
  /// Registered over it, and the flow is not known to have failed since.
  bool alive = false;
  bool failed = false;  ///< It was told that the flow has failed.
  /// The registrar keeps no flows, and another one of the account is registered.
  bool needless = false;
  bool had_flow = false;  ///< Of a main account: one of `flows` was alive.
  /// Of a main account, to the application.
  RegistrationState told = RegistrationState::Unregistered;

  std::optional<Endpoint> server;      ///< The first hop's address once known: one of `targets`.
  std::vector<sip::Target> targets;    ///< All that its name stands for, the best first.
  std::optional<LocationId> location;  ///< Being looked up.
  std::optional<TimePoint> resolve_again_at;
  std::optional<TimePoint> fresh_until;  ///< The DNS vouched for `targets` until then.
  /// The DNS failed and was told to the user: not told again before it works.
  std::string lookup_failure;  ///< Of the last look-up, for people; empty: it has not failed.
  /// While one of several connections is to open.
  std::optional<Race> race;
  std::optional<mobility::Path> path;
  bool wants_registration = false;
  bool removed = false;  ///< By the application; waits for its calls to end.
  bool suspended = false;
  /// The registration is to be moved to `path` as soon as its listener is open.
  bool move_pending = false;
  /// … but not before its REGISTER in flight is answered, for the old path still works.
  bool wait_for_answer = false;
  /// Configured anew, and to be registered so with the next REGISTER, whatever it is sent for.
  bool reconfigured = false;
  Generation generation;
  /// When it was last registered anew because its connection had ended, and how often since the
  /// registrar last accepted it: a server that closes every connection must not make us spin.
  std::optional<TimePoint> reconnected_at;
  int reconnects = 0;
  /// Between our requests and the first hop's first responses, smoothed; empty: not measured yet.
  std::optional<Duration> round_trip;

  /// Runs while it is registered over UDP through a NAT, or with SIP Outbound.
  StunKeepAlive keep_alive;
  TimerId keep_alive_timer;
  TimerId mapping_timer;  ///< Looks again at a mapping that came too soon.

  /// A measurement. Weighed in with 1/8 (RFC 6298 §2).
  void note_round_trip(Duration sample);
  /// For the requests of a recovery, which follow a change that may well lose packets: they are
  /// sent again first after two measured round trips (100 to 500 ms) instead of RFC 3261's 500 ms,
  /// and given up no earlier (docs/adr/0004).
  sip::TransactionTimers recovery_timers() const;

  /// How a REGISTER of a change of the address is sent: to `flow` with `contact`.
  sip::RegistrationMove move_to(const sip::Flow& flow, std::string contact, bool of_change) const;
  /// The one of `targets` that `server` is, or nullptr.
  const sip::Target* current_target() const;
  /// Is this the server that our credentials are for?
  bool trusts(const IpAddress& address) const;
  /// Makes it the server. What was measured of another one says nothing about it.
  void take_server(const sip::Target& target);
  /// Where its requests go, once `server` is known.
  Hop hop() const;
  /// One of its servers' other places; nullopt: it has none there.
  std::optional<Hop> hop_at(const Endpoint& to) const;
  /// "sip:alice@192.0.2.7:5060;transport=tcp", for REGISTER on that transport: with the address
  /// that the registrar sees instead of `local` where that is to be told
  /// (AccountConfig::contact_rewrite).
  std::string contact(const Endpoint& local, sip::Transport on = sip::Transport::Udp) const;
  /// For a dialog whose next hop is `remote`: the GRUU if one is granted and to be used, which the
  /// server resolves; else as above. Strangers get no GRUU, and those in a private network our own
  /// address: of the others they can reach nothing, or should not.
  std::string dialog_contact(const Endpoint& local, const IpAddress& remote,
                             sip::Transport on = sip::Transport::Udp) const;
  /// What stands in Route outside dialogs: the proxy configured, and what the registrar wants
  /// (RFC 3608 §5).
  std::vector<std::string> routes() const;
  /// What becomes of what the registrar sees.
  enum class Mapping : std::uint8_t {
    Known,    ///< Or not to be told.
    Changed,  ///< The Contact is another one now.
    TooSoon,  ///< It would be; to be seen again at `rewrite_again_at()`.
  };
  /// The registrar sees the flow from `local` come from `seen`. Some NATs map anew each time, so
  /// that no more than kMaxRewrites changes are followed within kRewriteWindow.
  Mapping learn_mapping(const Endpoint& local, const Endpoint& seen, TimePoint now);
  bool has_mapping(const Endpoint& local) const { return mapping_ && mapping_->local == local; }
  TimePoint rewrite_again_at() const { return rewrites_.front() + kRewriteWindow; }
  void forget_mapping();

  static constexpr std::size_t kMaxRewrites = 6;
  static constexpr Duration kRewriteWindow = std::chrono::seconds(180);

 private:
  struct Place {
    Endpoint local;
    Endpoint seen;
  };
  std::string contact_at(const Endpoint& place, sip::Transport on) const;

  std::optional<Place> mapping_;
  std::deque<TimePoint> rewrites_;  ///< The last ones, the oldest first.
};

}  // namespace godwit::ua
