// SPDX-License-Identifier: Apache-2.0
//
// The library's front door: a SIP user agent that keeps its calls when the address changes.
//
// Threads: a UserAgent owns one signalling thread and one media thread. Every member may be called
// from any thread, also from inside the event handler; commands are carried out in order on the
// signalling thread. The handler is called on the signalling thread, must not block, and is not
// called after the destructor has returned.
//
// Commands return when they have been taken, not when the network has answered: events tell the
// rest. They fail with NotFound (no such account, call, …), InvalidArgument, WrongState (not now;
// after shutdown(); from a MessageHook or TraceSink), Busy or Unsupported, and Error::detail says
// in words what is wrong. No command throws.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "godwit/config.hpp"
#include "godwit/counters.hpp"
#include "godwit/event.hpp"
#include "godwit/network.hpp"
#include "godwit/result.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"

namespace godwit {

enum class LogLevel : std::uint8_t { Trace, Debug, Info, Warn, Error };
/// Called on any of the library's threads; secrets never reach it.
using LogHandler = std::function<void(LogLevel, std::string_view component, std::string_view text)>;
using EventHandler = std::function<void(const Event&, TimePoint at)>;

class UserAgent {
 public:
  /// Starts the threads; events may come before it has returned. `on_event` must be callable;
  /// `on_log` may be empty, and gets what is at least as grave as `lowest`: at Debug every SIP
  /// message, without credentials. Throws std::invalid_argument without `on_event` or for a setting
  /// out of its range, which it names, and std::runtime_error if the system gives no timers or
  /// descriptors; a port or a network that cannot be had becomes a Warning.
  UserAgent(UserAgentConfig config, EventHandler on_event, LogHandler on_log = {},
            LogLevel lowest = LogLevel::Info);
  /// Ends calls and registrations without waiting for answers (see `shutdown`), joins the threads.
  ~UserAgent();
  UserAgent(const UserAgent&) = delete;
  UserAgent& operator=(const UserAgent&) = delete;

  /// Sends BYE and un-REGISTER and waits for their answers, at most `limit`; inside the event
  /// handler it does not wait. Afterwards nothing new can be begun.
  void shutdown(Duration limit);

  /// Begins to register at once unless `register_on_add` is off; RegistrationChanged tells how it
  /// goes. Calls may be made before it has ended.
  Result<AccountId> add_account(AccountConfig config);
  /// Ends the account's calls, unregisters and forgets it.
  Result<void> remove_account(AccountId account);
  /// Registers (again) at once; needed only after `register_on_add = false` or
  /// unregister_account().
  Result<void> register_account(AccountId account);
  Result<void> unregister_account(AccountId account);
  /// A push notification for the account has come (RFC 8599 §4.1.3): registers again at once, which
  /// lets the proxy send on the request, mostly an INVITE, that it holds back. Pass it on however
  /// often it comes; a REGISTER on its way is not repeated.
  Result<void> push_wake(AccountId account);

  /// Calls `target`, a SIP URI or a user name at the account's domain.
  Result<CallId> call(AccountId account, const std::string& target);
  /// Sends 180 for an incoming call. WrongState for one that takes another call's place
  /// (IncomingCall::replaces): it is answered by itself.
  Result<void> ring(CallId call);
  /// Takes an incoming call: 200.
  Result<void> answer(CallId call);
  /// Declines an incoming call with `status` (400 to 699).
  Result<void> reject(CallId call, int status = 603);
  /// A provisional response, 101 to 199, with early media: audio flows both ways from now on,
  /// though the call is not answered. Reliable (RFC 3262) where the caller knows that. A caller
  /// that sent no offer, and does not know it either, gets the status alone.
  Result<void> progress(CallId call, int status = 183);
  /// Answers a CallRedirected that wants a choice: the next target is called.
  Result<void> follow_redirect(CallId call);
  /// CANCEL, BYE or 603, whichever the call's state asks for.
  Result<void> hang_up(CallId call);
  /// A re-INVITE that stops the other side's audio; CallMediaChanged::held_by_us tells when it is
  /// so. What our source sends goes on, as music on hold does.
  Result<void> hold(CallId call);
  Result<void> resume(CallId call);
  /// The same with extra headers, or without telling who calls.
  Result<CallId> call(AccountId account, const std::string& target, CallOptions options);
  /// The same with a Reason header in the BYE or CANCEL (RFC 3326).
  Result<void> hang_up(CallId call, ReasonHeader reason);

  /// What the call sends from now on. Io: the file cannot be read.
  Result<void> set_source(CallId call, AudioSource source);
  /// Writes what is received to a WAV file (8 kHz, mono) until the call ends, over one that is
  /// there; an empty name stops recording. A file that cannot be written becomes a Warning.
  Result<void> record(CallId call, const std::string& file);
  /// Sends silence instead of the source.
  Result<void> mute(CallId call, bool muted);

  /// Sends a message (RFC 3428) to a SIP URI or a user name at the account's domain; MessageResult
  /// tells what became of it. At most 16 384 bytes. It is not sent twice, whatever the network
  /// does.
  Result<RequestId> send_message(AccountId account, const std::string& target,
                                 MessageContent content);
  /// The same within an established call.
  Result<RequestId> send_message(CallId call, MessageContent content);
  /// Asks a peer, or with an empty target the account's server, what it can (OPTIONS, RFC 3261
  /// §11); OptionsResult tells the answer.
  Result<RequestId> ask_options(AccountId account, const std::string& target = {});
  Result<RequestId> ask_options(CallId call);
  /// Sends digits (0-9, *, #, A-D; at most 64) in an established call, one after the other.
  /// DtmfResult follows when the last one has been taken, or the first one has failed.
  Result<RequestId> send_dtmf(CallId call, const std::string& digits,
                              DtmfMethod method = DtmfMethod::Auto);

  /// Asks the other side of an established call to call `target` instead (RFC 3515);
  /// TransferProgress tells how it goes, and the call ends when it has succeeded.
  Result<RequestId> transfer(CallId call, const std::string& target);
  /// The same to the party of another established call, whose place the new call takes (RFC 5589).
  Result<RequestId> transfer(CallId call, CallId to);
  /// Does what TransferRequested asks for.
  Result<void> accept_transfer(CallId call);
  Result<void> reject_transfer(CallId call);

  /// Wants to be notified (RFC 6665); SubscriptionChanged and Notified tell, and MessagesWaiting,
  /// PresenceChanged and RemoteCallsChanged what the known events say. Kept fresh, and moved when
  /// the address changes, until unsubscribe() or until the other side ends it for good.
  Result<SubscriptionId> subscribe(AccountId account, SubscribeRequest request);
  Result<void> unsubscribe(SubscriptionId subscription);
  /// Publishes the account's own state (RFC 3903); kept fresh until unpublish().
  Result<PublicationId> publish(AccountId account, PublishRequest request);
  /// Replaces what is published.
  Result<void> publish(PublicationId publication, MessageContent content);
  Result<void> unpublish(PublicationId publication);

  /// Acts as if the address had changed: looks at the network anew, registers and refreshes the
  /// calls as IpChangePolicy says. The Generation names the change in its events. Where
  /// `watch_network` is on, it is normally not needed. May be called anywhere and however often:
  /// within a second of a change that was asked for, further calls are joined into one change at
  /// its end. WrongState before the network is known and after shutdown(), NotFound for an unknown
  /// account, InvalidArgument where nothing is left to do.
  Result<Generation> handle_ip_change(IpChangeOptions options = {});
  /// Closes the listeners of one transport (not Auto) and opens them anew: a stuck UDP socket, a
  /// TLS listener with a new certificate. Connections and calls stay. NotFound: there are none.
  Result<void> restart_listener(TransportChoice transport);
  /// Listens by hand on `local`, an address of this machine, and this port (0: the system chooses),
  /// beside what the accounts open by themselves; ListenerChanged tells what became of it. It stays
  /// until close_listener(), or until its address is gone. InvalidArgument: Auto, or no address;
  /// NotFound: no interface has the address; WrongState: there is one of this kind already; Busy.
  Result<void> open_listener(TransportChoice transport, const IpAddress& local,
                             std::uint16_t port = 0);
  /// Closes it, or any other listener that no account and no call uses. WrongState: it is in use.
  Result<void> close_listener(TransportChoice transport, const IpAddress& local);
  /// Replaces what an account is configured with; its calls, subscriptions and registration go on.
  /// Servers that are others are registered at now, unless ModifyAccount says otherwise. `aor` and
  /// `further_outbound_proxies` cannot be changed (InvalidArgument): that is another account.
  /// `register_on_add` counts for nothing here.
  Result<void> modify_account(AccountId account, AccountConfig config, ModifyAccount how = {});
  /// What was dropped and refused so far.
  Result<Counters> counters() const;
  /// For systems without a built-in monitor: the network as it is now; one without interfaces says
  /// that there is none. InvalidArgument for what cannot be (a route over an interface that is not
  /// there, an address of two interfaces, …), which changes nothing; WrongState where
  /// `watch_network` is on.
  Result<void> update_network(NetworkSnapshot snapshot);
  /// A target refresh of an established call, by hand, from the path that the network has now;
  /// CallRefreshed tells the answer. For accounts that are not `automatic`, or whose application
  /// wants a step of its own. With an offer it waits until the peer's and our own exchanges are
  /// over. Busy: one is under way. WrongState: not established, no network, or what is wanted
  /// cannot be (no UPDATE while an offer is open; the RTP socket's address is gone).
  Result<RequestId> refresh_call(CallId call, CallRefresh refresh = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit
