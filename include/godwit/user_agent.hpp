// SPDX-License-Identifier: Apache-2.0
//
// The library's front door: a SIP user agent that keeps its calls when the address changes.
//
// Threads: a UserAgent owns one signalling thread and one media thread. Every member may be called
// from any thread, also from inside the event handler; commands are carried out in order on the
// signalling thread. The handler is called on the signalling thread, must not block, and is not
// called after the destructor has returned.
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
  /// message, without credentials.
  UserAgent(UserAgentConfig config, EventHandler on_event, LogHandler on_log = {},
            LogLevel lowest = LogLevel::Info);
  /// Ends calls and registrations without waiting for answers (see `shutdown`), joins the threads.
  ~UserAgent();
  UserAgent(const UserAgent&) = delete;
  UserAgent& operator=(const UserAgent&) = delete;

  /// Sends BYE and un-REGISTER and waits for their answers, at most `limit`; inside the event
  /// handler it does not wait.
  void shutdown(Duration limit);

  Result<AccountId> add_account(AccountConfig config);
  /// Ends the account's calls, unregisters and forgets it.
  Result<void> remove_account(AccountId account);
  /// Registers (again) at once; needed only after `register_on_add = false` or
  /// unregister_account().
  Result<void> register_account(AccountId account);
  Result<void> unregister_account(AccountId account);

  /// Calls `target`, a SIP URI or a user name at the account's domain.
  Result<CallId> call(AccountId account, const std::string& target);
  /// Sends 180 for an incoming call.
  Result<void> ring(CallId call);
  Result<void> answer(CallId call);
  /// Declines an incoming call with `status` (400 to 699).
  Result<void> reject(CallId call, int status = 603);
  /// CANCEL, BYE or 603, whichever the call's state asks for.
  Result<void> hang_up(CallId call);
  Result<void> hold(CallId call);
  Result<void> resume(CallId call);

  Result<void> set_source(CallId call, AudioSource source);
  /// Writes what is received to a WAV file until the call ends; an empty name stops recording.
  Result<void> record(CallId call, const std::string& file);
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

  /// Does everything PJSIP's function of this name does; on Linux it is normally not needed.
  Result<Generation> handle_ip_change(IpChangeOptions options = {});
  /// What was dropped and refused so far.
  Result<Counters> counters() const;
  /// For systems without a built-in monitor: the network as it is now.
  void update_network(NetworkSnapshot snapshot);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace godwit
