// SPDX-License-Identifier: Apache-2.0
//
// The inside of Core, spread over several files by subject: core.cpp (inputs, the loop that settles
// them), core_accounts.cpp, core_flows.cpp (several flows of one account, and flows that are lost),
// core_location.cpp (servers found and given up), core_streams.cpp, core_race.cpp (one of
// several connections) and core_keep_alive.cpp,
// core_calls.cpp (commands), core_early.cpp and core_sessions.cpp (events of SIP sessions),
// core_requests.cpp (requests outside dialogs), core_shaping.cpp (what applications add),
// core_usages.cpp, core_messages.cpp, core_subscriptions.cpp and core_publications.cpp (what
// accounts do besides), core_dtmf.cpp, core_media.cpp, core_recovery.cpp (a plan becomes SIP and
// SDP), core_ip_change.cpp (what the application asks for or forbids of that),
// core_call_refresh.cpp (in which request a call's peer is told), core_path_health.cpp (what goes
// dead without a word of the system), core_redirect.cpp and core_adoption.cpp (3xx; answers that a
// change cut off), core_replaces.cpp (a new dialog for a call), core_late_answers.cpp,
// core_transfer.cpp, core_families.cpp (from one address family to the other), core_nat.cpp (STUN,
// and which address is told), core_nat64.cpp, core_trace.cpp, core_pins.cpp (which paths an account
// may use), core_listeners.cpp (listeners restarted and opened by hand, connections shut down),
// core_modify.cpp (an account configured anew), core_race.cpp; core_api.cpp is Core itself. Not
// included outside ua.
//
// How it moves: every input changes state and marks what it touched; settle() then brings each
// touched account and call forward as far as the state allows (advance()), which is idempotent.
// Nothing waits in a callback.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/log_limiter.hpp"
#include "base/timer_queue.hpp"
#include "media/mapping_query.hpp"
#include "mobility/judge.hpp"
#include "mobility/path_health.hpp"
#include "sip/transaction_layer.hpp"
#include "ua/account.hpp"
#include "ua/call.hpp"
#include "ua/core.hpp"
#include "ua/listeners.hpp"
#include "ua/nat64.hpp"
#include "ua/race.hpp"
#include "ua/recovery.hpp"
#include "ua/streams.hpp"
#include "ua/stun_servers.hpp"
#include "ua/usages.hpp"

namespace godwit::ua {

/// What a timer's or transaction's owner number stands for.
enum class OwnerKind : std::uint8_t {
  Registration = 1,
  Session = 2,
  CallControl = 3,
  Core = 4,
  Usage = 5,
  Probe = 6,
  KeepAlive = 7,
};

class Core::Impl {
 public:
  Impl(UserAgentConfig config, Random& random, Log& log, Store* store);

  // Commands and inputs, named as in Core.
  Result<AccountId> add_account(AccountConfig config, TimePoint now);
  Result<void> remove_account(AccountId id, TimePoint now);
  Result<void> register_account(AccountId id, TimePoint now);
  Result<void> unregister_account(AccountId id, TimePoint now);
  Result<void> modify_account(AccountId id, AccountConfig config, ModifyAccount how, TimePoint now);
  Result<void> push_wake(AccountId id, TimePoint now);
  Result<CallId> call(AccountId account, const std::string& target, TimePoint now,
                      CallOptions options = {});
  Result<void> ring(CallId id, TimePoint now);
  Result<void> answer(CallId id, TimePoint now);
  Result<void> reject(CallId id, int status, TimePoint now);
  Result<void> hang_up(CallId id, TimePoint now, std::optional<ReasonHeader> reason = {});
  Result<void> set_hold(CallId id, bool hold, TimePoint now);
  Result<void> progress(CallId id, int status, TimePoint now);
  Result<void> follow_redirect(CallId id, TimePoint now);
  Result<void> media_command(CallId id, media::MediaCommand command, TimePoint now);
  Result<RequestId> send_message(AccountId account, const std::string& target,
                                 const MessageContent& content, TimePoint now);
  Result<RequestId> send_message(CallId call, const MessageContent& content, TimePoint now);
  Result<RequestId> ask_options(AccountId account, const std::string& target, TimePoint now);
  Result<RequestId> ask_options(CallId call, TimePoint now);
  Result<RequestId> transfer(CallId call, const std::string& target, TimePoint now);
  Result<RequestId> transfer(CallId call, CallId to, TimePoint now);
  Result<void> accept_transfer(CallId call, TimePoint now);
  Result<void> reject_transfer(CallId call, TimePoint now);
  Result<SubscriptionId> subscribe(AccountId account, const SubscribeRequest& request,
                                   TimePoint now);
  Result<void> unsubscribe(SubscriptionId subscription, TimePoint now);
  Result<PublicationId> publish(AccountId account, const PublishRequest& request, TimePoint now);
  Result<void> publish(PublicationId publication, const MessageContent& content, TimePoint now);
  Result<void> unpublish(PublicationId publication, TimePoint now);
  Result<RequestId> send_dtmf(CallId call, const std::string& digits, DtmfMethod method,
                              TimePoint now);
  Result<Generation> handle_ip_change(const IpChangeOptions& options, TimePoint now);
  Result<void> restart_listener(TransportChoice transport, TimePoint now);
  Result<void> open_listener(TransportChoice transport, const IpAddress& local, std::uint16_t port,
                             TimePoint now);
  Result<void> close_listener(TransportChoice transport, const IpAddress& local, TimePoint now);
  Result<RequestId> refresh_call(CallId id, const CallRefresh& what, TimePoint now);
  void shut_down(TimePoint now);
  bool idle() const;

  void on_datagram(ListenerId listener, const Endpoint& remote, std::string bytes, TimePoint now);
  void on_listen(ListenerId listener, const Result<Endpoint>& bound, TimePoint now);
  void on_send_error(ListenerId listener, const Endpoint& remote, bool fatal,
                     const std::string& reason, TimePoint now);
  void on_network(NetworkSnapshot snapshot, TimePoint now);
  void on_resumed(Duration asleep, TimePoint now);
  void on_resolved(QueryId query, const DnsAnswer& answer, TimePoint now);
  void on_media(CallId call, const media::MediaReport& report, TimePoint now);
  void on_timeout(TimePoint now);
  void on_stream_opened(ListenerId id, StreamInfo info, TimePoint now);
  std::optional<ListenerId> accept_stream(ListenerId listener, StreamInfo info,
                                          const Endpoint& remote, TimePoint now);
  void on_stream_data(ListenerId id, const std::string& bytes, TimePoint now);
  void on_stream_closed(ListenerId id, const std::string& reason, TimePoint now);
  void on_stream_paths(ListenerId id, bool others) { streams_.on_paths(id, others); }
  std::optional<TimePoint> next_timeout();
  std::optional<Output> poll_output();
  Counters counters() const;

 private:
  using Timer = sip::UsageTimer;
  enum class CallTimer : std::uint32_t {
    Refresh = 1,
    Proof,
    Deadline,
    Unproven,
    Unreachable,
    Substitute,
    Transfer,
    TransferAsked,
    Choice,
    Holds,
    FlowLost,
    ByeUnanswered,
    Silence,
    MappingDoubt,
  };
  enum class CoreTimer : std::uint32_t { Retry = 1, BrokenListener, LateAnswers, RestartListener };

  // core.cpp
  static sip::Owner owner(OwnerKind kind, std::uint32_t id) {
    return sip::Owner{(std::uint64_t{id} << 3U) | static_cast<std::uint64_t>(kind)};
  }
  sip::UsageContext context() { return {transactions_, timers_, random_, log_}; }
  void emit(Event event) { outputs_.push_back(EmitEvent{std::move(event)}); }
  void warn(std::string text);
  void touch(AccountId id) { touched_accounts_.insert(id); }
  void touch(CallId id) { touched_calls_.insert(id); }
  Account* find_account(AccountId id);
  Call* find_call(CallId id);
  Result<Account*> require_account(AccountId id);
  Result<Call*> require_call(CallId id);
  /// A call with that one of its sessions which is meant.
  struct SessionRef {
    Call* call = nullptr;
    sip::InviteSession* session = nullptr;
    explicit operator bool() const { return session != nullptr; }
  };
  SessionRef find_session(std::uint32_t number);
  SessionRef find_session(const sip::DialogId& dialog);
  void settle(TimePoint now);
  void dispatch(const sip::TransactionEvent& event, TimePoint now);
  void note_round_trip(const sip::ResponseArrived& response);
  void dispatch_timer(const Timer& timer, TimePoint now);
  void replace_broken_listeners(TimePoint now);
  /// True if requests failed at once: there is more to settle.
  bool flush_transmits(TimePoint now);
  bool is_present(const mobility::Path& path) const;
  void watch_remotes();
  void retry_later(TimePoint now);
  TimerId schedule(const Call& call, CallTimer timer, TimePoint at);
  /// Of the whole user agent.
  mobility::PathPolicy path_policy() const;

  // core_accounts.cpp
  void advance(Account& account, TimePoint now);
  bool is_abandoned(const Account& account) const;
  void place_account(Account& account, TimePoint now);
  void stop_registration(Account& account, TimePoint now);
  void drain(Account& account, TimePoint now);
  /// The registrar sees us at `seen`: registers that as our Contact, if it is to be told.
  bool rewrite_contact(Account& account, const std::optional<Endpoint>& seen, Generation generation,
                       TimePoint now);
  /// The same of a challenge, whose answer then says it.
  std::optional<std::string> contact_seen_by_challenge(AccountId id, const Endpoint& seen,
                                                       TimePoint now);
  void touch_calls_of(const Account& account);
  void ask_contacts_of(Account& account);
  bool has_lost_connection(const Account& account) const;
  bool may_reconnect(Account& account, TimePoint now);
  void on_no_connection(Account& account, const std::string& why, TimePoint now);
  /// Nor to any other server.
  void do_without_connection(Account& account, const std::string& why, TimePoint now);
  void keep_mapping(Account& account, const sip::RegistrationStatus& status, TimePoint now);
  void on_keep_alive_timer(Account& account, std::uint32_t kind, TimePoint now);
  void arm_keep_alive(Account& account);
  Duration keep_alive_interval(const Account& account) const;
  static constexpr std::uint32_t kStunTimer = 0;
  static constexpr std::uint32_t kMappingTimer = 1;
  static constexpr std::uint32_t kRaceTimer = 2;
  void on_stun(ListenerId listener, const Endpoint& remote, const std::string& bytes,
               TimePoint now);

  // core_flows.cpp
  Result<void> add_further_flows(Account& main, TimePoint now);
  Account& main_of(Account& flow);
  /// All flows of the account, the preferred first.
  std::vector<Account*> flows_of(const Account& account);
  /// The flow that new requests of the account take: the first that lives.
  Account& best_flow(Account& account);
  bool other_flow_lives(const Account& flow) const;
  /// The flow that the call uses.
  Account& way_of(const Call& call);
  const Account& way_of(const Call& call) const;
  /// To the application, of the account as a whole.
  void tell_registration(Account& flow, RegistrationChanged changed);
  void on_flow_formed(Account& flow, TimePoint now);
  /// `lost`: without a change of address and without an answer from the registrar.
  void on_flow_failed(Account& flow, const std::string& reason, bool lost, TimePoint now);
  void balance_flows(Account& main, TimePoint now);
  void lose_stream(ListenerId stream, const std::string& reason, TimePoint now);
  /// The flow to the server that the call's signalling goes over; nullptr: it goes elsewhere.
  Account* server_flow_of(const Call& call);
  void lose_flow_of(Call& call, TimePoint now);
  /// Once there is another flow: moves the call's signalling to it and asks for the refresh.
  void restore_flow(Call& call, TimePoint now);
  void on_flow_lost_timer(Call& call, TimePoint now);

  // core_location.cpp
  /// With a transport: that and no other.
  sip::LocationPolicy location_policy(std::optional<sip::Transport> transport,
                                      FamilyPolicy family) const;
  void locate_server(Account& account, TimePoint now);
  void locate_callee(Call& call, const SipAddress& callee, TimePoint now);
  void forget_location(std::optional<LocationId>& location);
  void drain_locator(TimePoint now);
  void on_located(Account& account, Located located, TimePoint now);
  void on_located(Call& call, Located located, TimePoint now);
  bool take_reachable_server(Account& account);
  const sip::Target* best_target(const std::vector<sip::Target>& targets,
                                 const mobility::PathPolicy& policy, TimePoint now) const;
  void locate_anew(TimePoint now);
  const sip::Target* alternative(const std::vector<sip::Target>& targets, sip::Transport transport,
                                 const Endpoint& to, const mobility::PathPolicy& policy,
                                 TimePoint now) const;
  void take_target(Call& call, const sip::Target& target);
  std::optional<Duration> patience(const Account& account, TimePoint now) const;
  void use_server(Account& account, const sip::Target& target);
  void prefer_better_server(Account& account, TimePoint now);
  void on_server_proven(Account& account, TimePoint now);
  bool fail_over(Account& account, const sip::RegistrationStatus& status, TimePoint now);
  bool leave_server(Account& account, const std::string& why, std::optional<Duration> retry_after,
                    TimePoint now);
  bool call_next_server(Call& call, const sip::Ended& ended, TimePoint now);
  std::optional<Duration> patience(const Call& call, const Endpoint& server, TimePoint now) const;
  bool reroute(Call& call, const sip::RefreshFailed& failed, const RefreshWish& carried,
               TimePoint now);
  void on_rerouted(Call& call, const Located& located, TimePoint now);
  /// The dialog's next hop is a name, and what it stood for does not answer: looks it up.
  bool look_past_server(Call& call, std::optional<Duration> retry_after, TimePoint now);
  void watch_bye(Call& call, TimePoint now);
  void on_bye_timer(Call& call, TimePoint now);
  void on_unreachable(const Endpoint& remote, TimePoint now);

  // core_calls.cpp
  Call& make_call(AccountId account, bool outgoing, CallOptions options = {});
  Result<CallId> place_call(AccountId account, const std::string& target, TimePoint now,
                            CallOptions options, TransferOrigin origin = {});
  /// Of all calls; 100rel and timer besides, as the account has it.
  static std::vector<std::string> supported_tags() { return {"replaces", "norefersub"}; }
  /// How all dialogs of the call present us.
  sip::SessionConfig session_config(const Call& call) const;
  void make_session(Call& call);
  /// The one that it has is over, or has not begun: another INVITE is to leave.
  void replace_session(Call& call, TimePoint now);
  bool call_again(Call& call, const sip::Ended& ended, TimePoint now);
  void advance(Call& call, TimePoint now);
  void start_outgoing(Call& call, TimePoint now);
  void start_later(Call& call, const std::string& why, TimePoint now);
  void leave_start(Call& call);
  void answer_incoming(Call& call, TimePoint now);
  void refresh_if_wanted(Call& call, TimePoint now);
  void end_call(Call& call, const std::string& why, TimePoint now);
  /// Told, if it was not, and to be forgotten.
  void finish_call(Call& call, int status, const std::string& reason);
  /// For the application it is over; a BYE or CANCEL may still be on its way.
  void tell_end(Call& call, int status, const std::string& reason);
  void set_state(Call& call, CallState state, int status, const std::string& reason);

  // core_sessions.cpp
  void drain(Call& call, TimePoint now);
  void drain_former(Call& call, TimePoint now);
  void on_session_event(Call& call, const sip::SessionEvent& event, TimePoint now);
  void on_progress(Call& call, const sip::Progress& progress);
  void on_answer(Call& call, const std::string& sdp, TimePoint now);
  void on_offer(Call& call, const sip::OfferReceived& offer, TimePoint now, bool may_wait = true);
  void on_refresh_done(Call& call, const sip::RefreshDone& done, TimePoint now);
  void await_proof(const Call& call, TimePoint now);
  void on_refresh_failed(Call& call, const sip::RefreshFailed& failed, TimePoint now);

  // core_early.cpp
  void send_progress(Call& call, TimePoint now);
  bool accept_early(Call& call, TimePoint now);
  void on_answered(Call& call, const sip::Answered& answered, TimePoint now);
  bool can_update_early(const Call& call) const;
  void tell_early_target(Call& call, TimePoint now);

  // core_redirect.cpp
  void aim_call(Call& call, const SipAddress& callee, TimePoint now);
  void on_redirected(Call& call, const sip::Redirected& event);
  bool call_next_target(Call& call, const sip::Ended& ended, TimePoint now);
  void try_next_target(Call& call, TimePoint now);
  void on_choice_timer(Call& call);

  // core_adoption.cpp
  void ask_former(Call& call, TimePoint now);
  void send_adoption(Call& call, TimePoint now);
  void refuse_adoption(Call& call, TimePoint now);
  void adopt_former(Call& call, const std::string& answer, TimePoint now);

  // core_requests.cpp
  void on_request(const sip::RequestArrived& event, TimePoint now);
  void on_invite(const sip::RequestArrived& event, TimePoint now);
  void on_options(const sip::RequestArrived& event, TimePoint now);
  bool needs_no_transaction(const sip::Flow& flow, const wire::Message& request);
  /// RFC 5630 §5.1.2: a sips URI came without TLS.
  static bool breaks_sips(const sip::Flow& flow, const wire::Message& request);
  std::optional<int> invite_refusal(const sip::Flow& flow, const wire::Message& request);
  void refuse(const sip::RequestArrived& event, int status, TimePoint now);
  /// With those headers and Server; without a transaction if the request has none.
  void respond(const sip::RequestArrived& event, int status, wire::DraftHeaders headers,
               TimePoint now);
  Account* account_for(const wire::Message& request);

  // core_usages.cpp
  /// Messages, questions and subscriptions at a time, of all accounts.
  static constexpr std::size_t kMaxUsages = 20'000;
  static constexpr std::uint32_t kUsageUnsentTimer = 1'000;
  Result<UsageTarget> usage_target(const Account& account, const std::string& text,
                                   const char* what) const;
  Result<OtherUsage*> make_usage(AccountId account, UsageTarget target);
  sip::RequestIdentity identity_of(const Account& account) const;
  OtherUsage* find_usage(std::uint32_t number);
  Result<RequestId> send_standalone(AccountId account, UsageTarget target,
                                    sip::OutgoingRequest draft, TimePoint now);
  /// False: the event is for somebody else.
  bool to_other_usage(const sip::TransactionEvent& event, TimePoint now);
  void on_usage_timer(std::uint32_t number, std::uint32_t kind, TimePoint now);
  bool advance_usages(TimePoint now);
  bool advance(OtherUsage& usage, TimePoint now);
  std::optional<sip::Flow> place_usage(OtherUsage& usage, TimePoint now);
  // core_subscriptions.cpp, core_publications.cpp
  bool advance_subscription(OtherUsage& usage, TimePoint now);
  bool drain_subscription(OtherUsage& usage, TimePoint now);
  void on_notification(OtherUsage& usage, const sip::Notification& notification, TimePoint now);
  bool to_subscription(const sip::RequestArrived& event, TimePoint now);
  void recover_usage(const mobility::PlanRow& row, TimePoint now);
  Result<OtherUsage*> require_publication(PublicationId id);
  bool advance_publication(OtherUsage& usage, TimePoint now);
  bool drain_publication(OtherUsage& usage, TimePoint now);

  void end_usages_of(AccountId account, TimePoint now);
  bool has_usages(AccountId account) const;

  // core_messages.cpp
  Result<RequestId> send_in_call(CallId call, sip::OwnRequest request, TimePoint now);
  void emit_options(RequestId id, AccountId account, CallId call, int status,
                    const std::string& reason, const wire::Message* response);
  void on_request_outcome(OtherUsage& usage, const sip::RequestOutcome& outcome);
  void on_own_request_answered(Call& call, const sip::RequestAnswered& answered, TimePoint now);
  std::optional<int> objection_to_message(const wire::Message& message) const;
  void emit_message(AccountId account, CallId call, const wire::Message& message);
  void on_message(const sip::RequestArrived& event, TimePoint now);
  void on_in_dialog_request(Call& call, const sip::InDialogRequest& request, TimePoint now);

  // core_transfer.cpp
  Result<RequestId> send_refer(Call& call, std::string refer_to, TimePoint now);
  sip::OwnRequest refer_request(const Call& call, const OutgoingTransfer& transfer) const;
  void on_refer_answered(Call& call, const sip::RequestAnswered& answered, TimePoint now);
  void repeat_refer(Call& call, TimePoint now);
  void await_transfer(Call& call, TimePoint now);
  void finish_transfer(Call& call, int status, const std::string& reason);
  int on_refer_notify(Call& call, const wire::Message& notify, TimePoint now);
  void on_transfer_timer(Call& call);
  void on_asked_timer(Call& call, TimePoint now);
  void on_refer(Call& call, const sip::InDialogRequest& request, TimePoint now);
  Result<Call*> require_asked(CallId id);
  void decline_transfer(Call& call, TimePoint now);
  void advance_transfers(Call& call, TimePoint now);
  void tell_transfer(Call& call, TimePoint now);
  void on_notify_answered(Call& call, const sip::RequestAnswered& answered, TimePoint now);
  void note_transferred_state(const Call& call, CallState state, int status);
  /// The status to refuse an INVITE with Replaces with; else, if it has one, what it replaces.
  std::optional<int> find_replaced(const wire::Message& invite, Call** replaced);

  // core_dtmf.cpp
  static constexpr std::size_t kMaxDtmfRows = 8;  ///< Waiting in one call.
  void send_next_digit(Call& call, TimePoint now);
  static bool takes_events(const Call& call);
  void on_digits_sent(Call& call, const media::DigitsSent& outcome, TimePoint now);
  void on_dtmf_info_answered(Call& call, const sip::RequestAnswered& answered, TimePoint now);
  int on_info(Call& call, const wire::Message& message);

  // core_replaces.cpp
  bool route_has_flow_token(const Call& call) const;
  void watch_refresh_by_token(Call& call, TimePoint now);
  void on_substitute_timer(Call& call, TimePoint now);
  /// False: none can be made.
  bool begin_substitute(Call& call, const std::string& why, TimePoint now);
  void drain_substitute(Call& call, TimePoint now);
  void adopt_substitute(Call& call, const std::string& sdp, TimePoint now);
  void drop_substitute(Call& call, TimePoint now);
  void retire_substitute(Call& call, TimePoint now);
  void forget_session(std::uint32_t number);
  void lose_on_network_change(Call& call, const std::string& what, TimePoint now);

  // core_shaping.cpp
  void shape_request(sip::Owner owner, wire::RequestDraft& draft);
  void shape_response(sip::ServerTransactionId transaction, wire::ResponseDraft& draft);
  void show_draft(SignallingMessage shown, wire::DraftHeaders& headers);
  void show_arrived(const sip::TransactionEvent& event, TimePoint now);
  std::vector<HeaderEdit> ask_hook(const SignallingMessage& message);

  // core_late_answers.cpp
  static constexpr std::size_t kMaxLateSessions = 64;
  struct LateSession {
    AccountId account;
    std::unique_ptr<sip::InviteSession> session;
    TimePoint until;
  };
  void keep_for_late_answers(AccountId account, std::uint32_t number,
                             std::unique_ptr<sip::InviteSession> session, TimePoint now);
  void drop_late_sessions(TimePoint now);
  sip::InviteSession* late_session(sip::Owner of);
  /// False: the event is for somebody else.
  bool to_late_session(const sip::TransactionEvent& event, TimePoint now);

  // core_trace.cpp
  static sip::Flow flow_of(const Listener& listener, const Endpoint& remote);
  void trace_sent(const sip::Flow& flow, std::string_view bytes, TimePoint now);
  void trace_received(const sip::Flow& flow, std::string_view bytes, TimePoint now);
  void trace(const sip::Flow& flow, bool outgoing, std::string_view bytes, TimePoint now);

  // core_media.cpp
  void instruct(const Call& call, media::MediaCommand command);
  MediaPath open_media_path(Call& call, const mobility::Path& path);
  std::optional<mobility::Path> media_path_to(const Account& account,
                                              const IpAddress& remote) const;
  /// Nothing: its account pins media to what is not there, or allows `ours`, the media of an offer
  /// of ours, only a family that is not.
  std::optional<mobility::Path> first_media_path(const Account& account, const mobility::Path& sip,
                                                 const IpAddress& towards, bool ours) const;
  MediaPath* find_media_path(Call& call, media::PathId id);
  void set_parameters(const Call& call);
  void on_unproven_timer(Call& call);
  void on_peer_proven(Call& call);
  void apply_agreed(Call& call, const AgreedAudio& agreed, media::PathId from);
  void aim_media(Call& call, const MediaPath& from, std::optional<TimePoint> old_dead_since);
  void commit_offered_path(Call& call);
  void announce_media(const Call& call, const MediaPath* path);
  void end_if_vanished(Call& call, std::optional<TimePoint> last_heard, TimePoint now);

  // core_recovery.cpp
  void begin_recovery(const mobility::NetworkChange& change, TimePoint now);
  /// `asked`: by the change that is begun; nullptr: none was asked for.
  std::vector<mobility::Use> collect_uses(const IpChangeOptions* asked = nullptr) const;
  bool was_refused(const mobility::PlanRow& row) const;
  void recover_registration(const mobility::PlanRow& row);
  void recover_call(const mobility::PlanRow& row, const mobility::NetworkChange& change,
                    TimePoint now);
  void suspend_call(Call& call, TimePoint now);
  void hold_timeouts(Call& call, bool hold, TimePoint now);
  void move_media(Call& call, const mobility::PlanRow& row, const mobility::NetworkChange& change);
  void move_session(Call& call, TimePoint now);
  bool may_ask_again(const Call& call, const RefreshWish& carried, TimePoint now) const;
  bool stay_on_old_path(Call& call);
  void on_proof_timer(Call& call, TimePoint now);
  void on_deadline(Call& call, TimePoint now);
  /// Its signalling goes to `path` as soon as there is a flow, or, in the end, the call is lost.
  void begin_move(Call& call, TimePoint now);
  void on_unreachable_timer(Call& call, TimePoint now);
  void progress(const std::optional<IpChangeStep>& step);
  void finish_recovery_if_complete(TimePoint now);
  void restart_outgoing(Call& call, const mobility::PlanRow& row, TimePoint now);
  void cancel_former(Call& call, TimePoint now);
  bool is_moving() const;
  bool close_dead_listeners(TimePoint now);
  void close_unused_listeners();

  // core_ip_change.cpp
  /// The next change refreshes what these name, besides what was asked for before.
  void ask(const IpChangeOptions& options);
  /// A socket of ours is another one: everything says again where it is, at once.
  void refresh_all(TimePoint now);
  bool is_asked(const IpChangeOptions* asked, AccountId main, mobility::UseKind kind) const;
  mobility::UsePolicy policy_of(const Account& account, mobility::UseKind kind,
                                const IpChangeOptions* asked) const;
  /// True: the policy wants the call ended, and that is under way.
  bool hang_up_at_change(Call& call, const mobility::PlanRow& row, TimePoint now);
  void hang_up_moved(Call& call, TimePoint now);
  void end_on(Call& call, const mobility::Path& path, const std::string& why, TimePoint now);
  /// Its flow is dead, but another path leads to the peer: it ends by a BYE from there.
  bool end_from_new_path(Call& call, const std::string& why, TimePoint now);
  void note_hung_up(const Call& call, const sip::Ended& ended, TimePoint now);
  bool waits_for_application(const Account& account) const;
  /// The step of a subscription or publication in the report.
  void note_usage_answered(const OtherUsage& usage, bool ok, int status, const std::string& reason,
                           TimePoint now);

  // core_call_refresh.cpp
  static RefreshShape shape_of(const Call& call, const IpChangePolicy& policy);
  /// Our Contact towards the call's peer.
  std::string told_contact(const Call& call, const sip::Flow& flow, bool refresh) const;
  bool fall_back_to_invite(Call& call, const sip::RefreshFailed& failed,
                           const RefreshWish& carried);
  Result<void> prepare_by_hand(Call& call, const CallRefresh& what, TimePoint now);
  void advance_by_hand(Call& call, TimePoint now);
  void on_target_told(Call& call, const sip::RequestAnswered& answered, TimePoint now);
  void finish_by_hand(Call& call, wire::Method method, int status, const std::string& reason,
                      bool ok);
  void keep_old_media(Call& call);

  // core_families.cpp
  /// The account's server at its other addresses, then its other servers.
  std::vector<Endpoint> other_ways(const Account& account) const;
  std::vector<Endpoint> other_ways(const Call& call) const;
  /// Those of `targets` that are not at `now_at`, the same host's first.
  std::vector<Endpoint> other_places(const std::vector<sip::Target>& targets,
                                     const Endpoint& now_at) const;
  /// The plan has chosen another place for the next hop.
  void take_way(Account& account, const Endpoint& reached);
  void take_way(Call& call, const Endpoint& reached);
  Hop former_hop(const Call& call) const;
  /// The first hop, a literal, is out of reach: goes on by the registrar's name.
  void try_spare(Account& account, TimePoint now);
  /// True: the name has led nowhere yet, and the literal is there again.
  bool leave_spare(Account& account);
  /// Looks up the names of next hops that are out of reach now.
  void seek_ways(TimePoint now);
  void on_way_found(Call& call, const Located& located);
  /// The old route is out of reach: a new dialog over the account's server takes its place.
  void advance_detour(Call& call, TimePoint now);
  /// Only targets that the account's policy allows; if none is left, `failure` says why.
  static void apply_policy(const Account& account, Located& located);
  /// Accounts with a preference look whether it can be met now.
  void touch_preferring_accounts();
  const sip::Target* preferred_target(const Account& account, TimePoint now) const;
  /// Why there is none, for the user.
  std::string no_path_to(const Account& account) const;
  std::string no_media_path_to(const Account& account, const IpAddress& towards) const;
  /// The path for our audio towards that address, as far as `media_family` leaves it to the peer;
  /// nullopt: none that is allowed.
  std::optional<mobility::Path> media_way(const Account& account, const IpAddress& towards) const;
  std::optional<mobility::Path> media_way_out(const Account& account, Family family) const;
  /// Where the SDP's first stream is to be sent; nullopt: nowhere, or no literal.
  static std::optional<IpAddress> offered_address(const std::string& sdp);
  /// The INVITE offers audio of a family that we have no way to, or are not to use.
  bool offers_lost_family(const Account& account, const sip::Flow& flow,
                          const wire::Message& invite) const;
  /// No audio can pass between that address of the peer's and ours: it is of another family.
  bool is_gap(const AgreedAudio& agreed, const IpAddress& local) const;
  /// Nothing but a NAT64 could carry these calls' audio, and there is none.
  void end_unbridged_calls(TimePoint now);
  void end_for_gap(Call& call, const std::string& why, TimePoint now);
  /// True: the answer cannot be used, and something else is being done.
  bool bridge_gap(Call& call, const AgreedAudio& agreed, TimePoint now);
  /// The refused offer is made once more, of the other family or with less in it.
  bool offer_differently(Call& call);
  bool call_differently(Call& call, const sip::Ended& ended, TimePoint now);
  /// True: the peer's offer waits for a socket of its family.
  bool await_media_of(Call& call, const sip::OfferReceived& offer);

  // core_path_health.cpp
  static constexpr std::size_t kMaxProbes = 64;
  /// Servers asked about one path: that one is away, or has shut us out, is no dead path.
  static constexpr std::size_t kMaxWitnesses = 3;
  static constexpr std::size_t kMaxWitnessesLookedAt = 64;
  /// One question to an account's server over a path (OPTIONS), or one to be asked as soon as there
  /// is a flow.
  struct Probe {
    mobility::Path path;
    AccountId account;
    Duration repeat_after{};
    TimePoint until;
    bool sent = false;
  };
  static bool leaves_dead_paths(const Account& account);
  void on_media_silent(Call& call, TimePoint since, TimePoint now);
  void on_media_heard(Call& call, Duration pause, TimePoint now);
  /// Of all calls that are silent: is it the path?
  void review_silence(TimePoint now);
  void review_silence(Call& call, TimePoint now);
  static bool is_listening(const Call& call);
  bool is_heard_on(const mobility::Path& path) const;
  /// Accounts whose servers are to be asked about `path`, `first` before others.
  std::vector<AccountId> witnesses(const mobility::Path& path, AccountId first) const;
  /// Something of `account` is wrong on `path`: asks over it and over another one, if there is one.
  void suspect_path(const Account& account, const mobility::Path& path, ChangeCause cause,
                    TimePoint since, bool weak, TimePoint now);
  std::optional<mobility::Path> other_path(const Account& account,
                                           const mobility::Path& than) const;
  /// Where the account's server is to be asked from there.
  Hop hop_from(const Account& account, const mobility::Path& path) const;
  /// True for a move that waits until an answer has come over its new path.
  bool awaits_proof(const mobility::PlanRow& row, const mobility::NetworkChange& change,
                    TimePoint now);
  const Account* account_of(const mobility::PlanRow& row) const;
  bool uses(const mobility::Path& path) const;
  /// What is left there of those who have been moved away.
  std::vector<ListenerId> leave_avoided_paths();
  bool advance_probes(TimePoint now);
  void send_probe(std::uint32_t number, Probe& probe, const sip::Flow& flow, TimePoint now);
  void on_probe_event(const sip::TransactionEvent& event, TimePoint now);
  bool drain_health(TimePoint now);
  /// Requests that were under way are given up, and said anew, if the machine slept for long.
  void drop_slept_through(Duration asleep, TimePoint now);

  // core_streams.cpp
  /// A flow along `path` to `hop`, if there is an open one; else one is being opened, and the
  /// accounts and calls on `path` are touched when it is.
  std::optional<sip::Flow> flow_to(const mobility::Path& path, const Hop& hop, TimePoint now);
  /// Why there is no flow to be had for the moment; nullopt: there is one, or it is being opened.
  std::optional<std::string> flow_failure(const mobility::Path& path, const Hop& hop) const;
  static Hop hop_of(const sip::Flow& flow) { return {flow.transport, flow.remote, flow.tls_name}; }
  mobility::Path path_of(const sip::Flow& flow) const;
  /// The sockets of a path that something uses: UDP always, for whatever comes unasked.
  void open_listeners(const mobility::Path& path);
  /// Our URI for requests on `flow`. On a connection that is its own endpoint, unless a listener
  /// could be reached.
  std::string contact_for(const Account& account, const sip::Flow& flow) const;
  Endpoint reachable_at(const sip::Flow& flow) const;
  std::string dialog_contact_for(const Account& account, const sip::Flow& flow) const;
  /// As the call's user wants to be seen.
  std::string dialog_contact_for(const Call& call, const sip::Flow& flow) const;
  std::string dialog_contact_for(const OtherUsage& usage, const sip::Flow& flow) const;
  /// Where the requests of a call's dialog go.
  Hop hop_of(const Call& call) const;
  /// Nothing can leave on it any more, and nothing can take its place: its address is gone.
  bool is_dead(const sip::Flow& flow) const;
  /// False: the request has failed for it.
  bool send_on_stream(sip::Transmit transmit, TimePoint now);
  /// Closes the accepted connection that has been quiet for longest, if nothing uses it.
  bool evict_for(const IpAddress& source, TimePoint now);
  void end_stream(ListenerId id, const std::string& reason, TimePoint now);
  void touch_users(const mobility::Path& path);
  bool is_used(const Stream& stream) const;
  void on_stream_timeouts(TimePoint now);
  /// Its accounts' path may be dead.
  void suspect_stream(const Stream& stream, ChangeCause cause, TimePoint since, TimePoint now);
  void close_unused_streams(TimePoint now);

  // core_pins.cpp
  mobility::PathPolicy narrowed(const PathPin& pin) const;
  mobility::PathPolicy paths_of(const Account& account, const PathPin& pin) const;
  mobility::PathPolicy path_policy(const Account& account) const;
  mobility::PathPolicy media_policy(const Account& account) const;
  /// The one that the account's signalling takes to `remote` now, if there is any.
  std::optional<mobility::Path> path_to(const Account& account, const IpAddress& remote) const;
  Result<void> check_pins(const AccountConfig& config) const;
  /// What keeps traffic that is pinned so from `remote`, as a sentence; empty: nothing does.
  std::string pin_trouble(const char* what, const PathPin& pin, const IpAddress& remote) const;
  /// Of the call's signalling, else of its media.
  std::string pin_trouble(const Call& call) const;

  // core_modify.cpp
  void reconfigure(Account& account, Account& fresh, ModifyAccount how);

  // core_listeners.cpp
  void begin_restart(const IpChangeOptions& options);
  /// Goes on to the next listener when the one that is restarted is there again, or is not needed
  /// any more.
  void advance_restart();
  bool is_restarting() const { return restarting_ || !to_restart_.empty(); }
  /// False: it is not the one that is restarted.
  bool on_restarted(ListenerId id, const Result<Endpoint>& bound, TimePoint now);
  void replace_listener(ListenerId id, const std::string& why, TimePoint now);
  void shut_down_streams(const mobility::RecoveryPlan& plan, StreamShutdown asked, TimePoint now);
  std::string ends_of(const Stream& stream) const;
  bool is_used(const Listener& listener) const;
  /// Of one opened by hand: tells what became of it.
  void tell_listener(const Listener& listener, const std::string& reason);

  // core_race.cpp
  /// Over streams, from `first` on; nullopt: there is only one place.
  std::optional<Race> make_race(const std::vector<sip::Target>& targets, const Hop& first,
                                const mobility::Path& path, const mobility::PathPolicy& policy,
                                TimePoint now) const;
  /// Starts what is due. Returns the one that has won, valid until the race is changed.
  const Race::Runner* run(Race& race, TimePoint now);
  void watch_race(Race& race, const Timer& timer);
  bool is_raced(ListenerId stream) const;
  void touch_racers(ListenerId stream);
  void touch_racer(const Account& account);
  sip::Target close_race(std::optional<Race>& finished, const Race::Runner& winner, TimePoint now);
  void close_loser(ListenerId stream);
  /// The flow that the account's requests take, opened now if need be; nullopt: not yet, or not.
  std::optional<sip::Flow> connect(Account& account, TimePoint now);
  void lose_race(Account& account, TimePoint now);
  /// The same for a call straight to a host. `failure`: none is to be had for the moment.
  std::optional<sip::Flow> connect(Call& call, const Hop& way, std::optional<std::string>& failure,
                                   TimePoint now);
  void restart_races();

  // core_nat.cpp
  /// Without audio for this long a mapping is doubted: longer than the gaps of a bad network, for
  /// an offer is made of it.
  static constexpr Duration kMappingDoubt = std::chrono::seconds(1);
  /// How the world sees a UDP socket for SIP.
  struct SipMapping {
    Generation generation;  ///< That it was asked for.
    media::MappingQuery query;
    std::optional<Endpoint> mapped;
  };
  /// Whom a socket at `local` asks for the sake of `towards`; empty: nobody, it is of no use there.
  std::vector<Endpoint> stun_servers_for(const Account& account, const IpAddress& local,
                                         const IpAddress& towards) const;
  Duration stun_first_wait(const Account& account) const;
  void on_stun_silent();
  void ask_mapping(Call& call, MediaPath& path);
  void begin_mapping_wait(Call& call, MediaPath& path, TimePoint now);
  /// The description to be made of `path` is to wait; a timer comes back to it.
  bool awaits_mapping(const Call& call, MediaPath& path, TimePoint now);
  void on_mapping(Call& call, const media::MappingLearned& learned, TimePoint now);
  void on_mapping_unknown(Call& call, const media::MappingUnknown& unknown);
  /// One more offer, if our last one told another address than the world sees.
  void tell_mapping(Call& call, TimePoint now);
  void on_mapping_doubt_timer(Call& call, TimePoint now);
  void doubt_mapping(Call& call);
  void ask_sip_mapping(Account& account, TimePoint now);
  void on_sip_mapping_timeouts(TimePoint now);
  std::optional<TimePoint> next_sip_mapping_timeout() const;
  /// False: no answer to a question of ours.
  bool on_sip_mapping(ListenerId id, const Endpoint& remote, const std::string& bytes,
                      TimePoint now);
  void learn_sip_mapping(Account& account, const Listener& listener, const Endpoint& mapped,
                         TimePoint now);
  bool registers_other_than_mapped(const Account& account) const;
  void on_stun_servers_known(TimePoint now);

  // core_nat64.cpp
  /// `remote`, or by which address it is reached through this network's NAT64.
  IpAddress reach(const IpAddress& remote, const mobility::PathPolicy& policy) const;
  /// The same for what is at `path` and pinned so: what goes through the NAT64 stays there while it
  /// can.
  Endpoint reach(const std::optional<mobility::Path>& path, const Endpoint& remote,
                 const PathPin& pin) const;
  /// Whether something of ours that is pinned so can go on reaching `remote` from there.
  bool carries(const mobility::Path& path, const Endpoint& remote, const PathPin& pin) const;
  bool carries_media(const Call& call, const MediaPath& path, const Endpoint& remote) const;
  std::optional<mobility::Path> path_to(const IpAddress& remote,
                                        const mobility::PathPolicy& policy) const;
  /// The address to send to from a socket at `local`.
  Endpoint as_sent_from(const IpAddress& local, const Endpoint& remote) const;
  /// Whether a socket at `local` is of the family for that, a NAT64 taken into account.
  bool can_send(const IpAddress& local, const Endpoint& remote) const;
  /// If the network has IPv6 only. Not `anew`: only if that is new.
  void look_for_nat64(bool anew, TimePoint now);
  std::optional<Nat64Prefix> announced_nat64() const;
  void on_nat64_known(const std::optional<Nat64Prefix>& before, TimePoint now);
  void judge_again(TimePoint now);
  Output translated(Output output);

  UserAgentConfig config_;
  Random& random_;
  Log& log_;
  std::deque<Output> outputs_;
  Counters counters_;  // Of the core itself; counters() adds the transaction layer's.
  LogLimiter garbage_log_;
  LogLimiter hook_log_;
  TimePoint last_input_{};  ///< Of the inputs that the hook may complain in.
  TimerQueue<Timer> timers_;
  sip::TransactionLayer transactions_;
  Listeners listeners_;
  Streams streams_;
  Locator locator_;
  mobility::PathHealth health_;
  StunServers stun_servers_;
  std::map<ListenerId, SipMapping> sip_mappings_;
  Nat64 nat64_;
  bool v6_only_ = false;
  std::optional<mobility::Path> nat64_way_;   ///< Where the NAT64 was found.
  bool uses_changed_ = false;                 ///< Other places are known for them: judge anew.
  std::optional<Generation> stun_silent_in_;  ///< Nobody answered, which was said.
  std::optional<Duration> stun_round_trip_;   ///< To the STUN server that answered last.
  mobility::Judge judge_;
  std::map<std::uint32_t, Probe> probes_;
  std::uint32_t last_probe_ = 0;
  /// Why a better path is wanted that is still to be proven, and since when.
  std::vector<ChangeCause> unproven_causes_;
  TimePoint unproven_since_{};

  std::map<AccountId, std::unique_ptr<Account>> accounts_;
  std::map<CallId, std::unique_ptr<Call>> calls_;
  std::unordered_map<std::uint32_t, CallId> sessions_;        // By session number.
  std::unordered_map<sip::DialogId, std::uint32_t> dialogs_;  // To session numbers.
  std::map<LocationId, std::variant<AccountId, CallId>> locations_;
  std::optional<Recovery> recovery_;
  /// What the next change was asked to refresh, if any was.
  std::optional<IpChangeOptions> asked_;
  std::set<AccountId> touched_accounts_;
  std::set<CallId> touched_calls_;
  std::vector<CallId> finished_calls_;
  std::vector<ListenerId> dead_listeners_;
  std::set<ListenerId> broken_listeners_;  ///< Refused a send; looked at when the timer fires.
  std::vector<IpAddress> watched_;
  bool remotes_changed_ = false;
  bool online_ = true;
  bool shutting_down_ = false;
  std::optional<TimerId> retry_timer_;
  std::uint32_t last_account_ = 0;
  std::uint32_t last_flow_ = 0;  ///< Further ones.
  std::uint32_t last_call_ = 0;
  std::uint32_t last_session_ = 0;
  std::uint32_t last_query_ = 0;
  std::map<std::uint32_t, std::unique_ptr<OtherUsage>> usages_;            ///< By number.
  std::unordered_map<sip::DialogId, std::uint32_t> subscription_dialogs_;  ///< No remote tag.
  std::set<std::uint32_t> touched_usages_;
  std::set<std::uint32_t> waiting_usages_;  ///< For a socket or an address; looked at each time.
  std::uint32_t last_usage_ = 0;
  std::uint32_t last_request_ = 0;
  std::map<std::uint32_t, LateSession> late_;  ///< By session number.
  std::optional<TimerId> late_timer_;
  std::string instance_id_;  ///< RFC 5626 §4.1; of all accounts.
  /// Asked for with handle_ip_change(), until the recovery begins.
  IpChangeOptions restart_options_;
  std::deque<ListenerId> to_restart_;  ///< Each once: no more than there are listeners.
  std::optional<ListenerId> restarting_;
  std::uint32_t restart_attempts_left_ = 0;
};

}  // namespace godwit::ua
