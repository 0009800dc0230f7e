// SPDX-License-Identifier: Apache-2.0
//
// What is done when the address changes: of each account (IpChangePolicy), and at one call of
// handle_ip_change() (IpChangeOptions). Plain values with the defaults a phone's user wants:
// everything automatic, calls kept.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit {

/// Which TCP and TLS connections are shut down at a change of the address. There is no "none": of a
/// connection whose address is gone no byte arrives any more, and to keep it would only hide that
/// from whoever waits for an answer on it. (Multipath ones outlive their address and are not dead.)
enum class StreamShutdown : std::uint8_t {
  Dead,          ///< Only those whose address is gone.
  Registration,  ///< Those that the account is registered over too, shared with others or not.
  All,           ///< All of the user agent, those that peers have opened too.
};
const char* to_string(StreamShutdown shutdown);

/// How the registrar is told that our Contact is another one now.
enum class ContactMethod : std::uint8_t {
  Replace,          ///< One REGISTER with the old Contact (`expires=0`) and the new one.
  UnregisterFirst,  ///< The old one is taken out first; what the answer says does not matter.
};

/// How a REGISTER is repeated that a change of the address asked for, and that was not answered or
/// was refused for a while (408, 429, 430, 480, 5xx): after `first`, then twice as long each time
/// up to `max`, always 50 to 100 % of it at random, and never before the server's Retry-After.
/// After `attempts` the ordinary schedule (RFC 5626 §4.5) takes over.
struct RegisterRetry {
  std::uint32_t attempts = 4;                ///< At most 20; 0: the ordinary schedule at once.
  Duration first = std::chrono::seconds(1);  ///< 100 ms to an hour.
  Duration max = std::chrono::seconds(16);   ///< `first` to an hour.
};

/// The request that tells a peer our new place.
enum class RefreshMethod : std::uint8_t {
  Reinvite,
  /// UPDATE (RFC 3311) where the peer's Allow names it; re-INVITE instead where it does not, and
  /// once an UPDATE was refused with 4xx or 5xx or not answered for 4 s.
  Update,
};
const char* to_string(RefreshMethod method);

/// What becomes of a call that is not answered yet when its path is lost.
enum class UnconfirmedCalls : std::uint8_t {
  Recover,  ///< Ours: called anew from the new address. The peer's: it goes on ringing.
  HangUp,   ///< Ours: CANCEL; the peer's: 480.
  /// Nothing is sent for it. The peer's can still be answered, from the new address; ours ends two
  /// seconds later by itself, for its responses go to where we were.
  Leave,
};

/// What one account does when the address changes. Later versions add knobs; defaults stay.
struct IpChangePolicy {
  bool update_contact = true;  ///< REGISTER again from the new path.
  /// Target refresh for each affected call. Off: nothing is sent to its peer; once its path is lost
  /// audio goes out from the new address all the same, which a peer that latches follows, and so do
  /// later requests, e.g. BYE.
  bool refresh_calls = true;
  /// End calls instead of moving them, with BYE and a Reason, from the new address: those whose
  /// path is lost, and with handle_ip_change() all.
  bool hang_up_calls = false;
  /// How long a call may stay without any network, or without an answer, before it is given up.
  /// 1 s to 1 h.
  Duration recovery_deadline = std::chrono::seconds(64);
  /// At each change that the account takes part in.
  StreamShutdown shut_down_streams = StreamShutdown::Dead;
  /// With SIP Outbound the registrar replaces by itself, and nothing is taken out.
  ContactMethod contact_method = ContactMethod::Replace;
  RegisterRetry register_retry;

  // How calls are moved.
  /// Off: the account's registration, calls and subscriptions stay as they are until the
  /// application says what to do: handle_ip_change(), refresh_call(), register_account().
  bool automatic = true;
  RefreshMethod refresh_method = RefreshMethod::Reinvite;
  /// Off: in-dialog requests keep the Contact that the peer knows. For those whose Contact is a
  /// name that follows the address, or who are reached through a proxy that rewrites it.
  bool refresh_contact = true;
  /// Off: RTP keeps its sockets, and the offer their address, as long as that carries anything;
  /// when it is gone there are new ones, and the MediaMoved step says why.
  bool refresh_media = true;
  /// Off: the refresh moves the target alone, by an UPDATE without an offer; to a peer without
  /// UPDATE a re-INVITE asks for its offer. RTP keeps its sockets as above.
  bool refresh_offer = true;
  UnconfirmedCalls unconfirmed_outgoing = UnconfirmedCalls::Recover;
  UnconfirmedCalls unconfirmed_incoming = UnconfirmedCalls::Recover;

  /// A path can go dead with its address kept (a Wi-Fi that fades). When audio that should come has
  /// not come for 200 ms, or keep-alives or a REGISTER stay unanswered, the server is asked over
  /// that path and another one at once; if it answers only there, calls and registration move. Off:
  /// only what the system says of its networks moves them.
  bool leave_dead_paths = true;
  /// While the old path works, a better one is taken only when the server has answered over it: a
  /// captive portal does not get the call. Off: it is taken at once, and left when a call's refresh
  /// is not answered.
  bool prove_new_paths = true;

  /// Tell the addresses that UserAgentConfig::stun_servers see, in Contact and SDP, to servers and
  /// peers beyond a NAT; after a change as at the beginning of a call. An offer from a private
  /// address waits for them up to one and a half round trips, 150 ms at the most; what comes later
  /// is told by one more offer. Off: this account tells our own addresses, and what its registrar
  /// sees.
  bool use_stun = true;
};

/// What handle_ip_change() shall do beyond what the snapshots say.
struct IpChangeOptions {
  /// Refresh every registration and call even if their path looks unchanged.
  bool force = true;
  /// Close the SIP listeners and open them anew, one after the other, on the ports that they have.
  /// Needs `force`. Not needed after a change of the address: whose address is gone is replaced by
  /// itself, and whose address stayed works on. It is for a socket that the system has broken
  /// without telling (some do so in suspend). No listener: nothing happens.
  bool restart_listeners = false;
  /// While the port of a restarted listener is still taken, it is tried again `restart_attempts`
  /// times (0 to 20), `restart_delay` (1 ms to 1 s) apart; after that another port is taken, with a
  /// Warning. Requests wait meanwhile; audio does not.
  Duration restart_delay = std::chrono::milliseconds(10);
  std::uint32_t restart_attempts = 5;
  /// At this change, beyond what the accounts' IpChangePolicy says.
  StreamShutdown shut_down_streams = StreamShutdown::Dead;

  // What is refreshed; the rest only moves if it has lost its path and its policy is automatic.
  bool registrations = true;  ///< And subscriptions and publications.
  bool calls = true;
  std::vector<AccountId> accounts = {};  ///< Only these; empty: all.
};

/// One target refresh by hand: UserAgent::refresh_call().
struct CallRefresh {
  RefreshMethod method = RefreshMethod::Reinvite;
  /// Off: moves the target alone. An UPDATE without an offer may be sent while an offer is open.
  bool offer = true;
  bool contact = true;  ///< Off: the Contact that the peer knows stays.
  /// New RTP sockets on the path that the network has now. Off: the present ones stay, which is
  /// refused once their address is gone. Needs `offer`.
  bool media = true;
  std::string target =
      {};  ///< A SIP URI that takes the place of the peer's Contact; empty: as it is.
};

}  // namespace godwit
