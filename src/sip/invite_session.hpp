// SPDX-License-Identifier: Apache-2.0
//
// One call leg (RFC 3261 §13 to §15, UPDATE of RFC 3311, PRACK of RFC 3262, the session timer of
// RFC 4028): sets up, keeps, refreshes and ends an INVITE dialog, as caller or callee. Owned by a
// call in ua, which routes transaction events, timers and in-dialog requests here, and takes the
// session's own events from poll_event. SDP is opaque.
//
// It decides nothing about recovery: after an address change its owner chooses among the operations
// marked "recovery" below. A refresh that fails is reported and never retried here, except for one
// answer to a digest challenge. Nothing that fails or times out within a dialog ends the session,
// but a BYE (either way), a missing ACK, and a session timer that has run out; RFC 3261 §12.2.1.2
// would end it on 408 and 481, which is left to the owner, since after a change of address these
// say nothing about the peer.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "godwit/config.hpp"
#include "godwit/result.hpp"
#include "godwit/time.hpp"
#include "sip/ack_sender.hpp"
#include "sip/dialog.hpp"
#include "sip/digest.hpp"
#include "sip/flow.hpp"
#include "sip/offer_answer.hpp"
#include "sip/session_events.hpp"
#include "sip/session_requests.hpp"
#include "sip/session_timer.hpp"
#include "sip/transaction.hpp"
#include "sip/usage.hpp"

namespace godwit::sip {

struct SessionConfig {
  std::string local_uri;               ///< "sip:alice@example.org": From when calling.
  std::string display_name;            ///< In From; may be empty.
  std::vector<std::string> route_set;  ///< For the first INVITE only: outbound proxies.
  std::string user_agent;              ///< User-Agent and Server; may be empty.
  /// Allow. Requests of the methods beyond the session's own (INVITE, ACK, CANCEL, BYE, UPDATE,
  /// PRACK) come as InDialogRequest; a method that is not listed gets 405.
  wire::MethodSet allow = default_allow();
  std::vector<std::string> supported;  ///< Option tags for Supported, and what Require may ask for.
  /// 100rel; see CallPolicy::reliable_provisional.
  ExtensionUse reliable = ExtensionUse::Off;
  SessionTimerConfig timer;

  static wire::MethodSet default_allow();
};

/// An outgoing call's INVITE.
struct InviteRequest {
  std::string target;                ///< Request-URI and To: "sip:bob@example.org".
  std::optional<std::string> offer;  ///< SDP; without it the 2xx brings the offer.
  Flow flow;
  std::string contact;  ///< A URI.
  TransactionTimers timers;
  std::string replaces;          ///< Value of a Replaces header (RFC 3891); empty: none.
  std::string referred_by = {};  ///< Value of a Referred-By header (RFC 3892); empty: none.
};

/// A target refresh: tells the peer our Contact and perhaps a new offer.
struct RefreshRequest {
  wire::Method method = wire::Method::Invite;  ///< Or Update.
  /// SDP. A re-INVITE without one asks the peer for an offer; an UPDATE without one moves only the
  /// target.
  std::optional<std::string> offer;
  Flow flow;  ///< Becomes the session's flow.
  std::string contact;
  TransactionTimers timers;
  Generation generation;  ///< Comes back in RefreshDone and RefreshFailed.
};

enum class SessionState : std::uint8_t {
  Idle,
  Calling,     ///< INVITE sent, not even a provisional response.
  Proceeding,  ///< Provisional responses, perhaps early dialogs.
  Incoming,    ///< The peer's INVITE waits for our final response.
  Answering,   ///< 2xx sent, no ACK.
  Confirmed,
  Terminating,  ///< CANCEL, BYE or a rejection is on its way.
  Ended,
};
const char* to_string(SessionState state);

class InviteSession {
 public:
  /// `digest` outlives the session.
  InviteSession(UsageContext context, Owner owner, SessionConfig config, DigestClient& digest);
  ~InviteSession();
  InviteSession(const InviteSession&) = delete;
  InviteSession& operator=(const InviteSession&) = delete;

  // --- calling ---

  Result<void> invite(InviteRequest request, TimePoint now);

  // --- being called ---

  /// Takes an INVITE outside any dialog. Yields DialogAdded and OfferReceived or OfferRequested. An
  /// INVITE that cannot be a call (420 for an unknown Require, 400, 415) is answered here and
  /// yields Ended. `contact` is our URI for this call.
  void incoming(const RequestArrived& event, const std::string& contact, TimePoint now);
  /// A provisional response (101–199), with SDP if not empty. It goes out reliably (RFC 3262) where
  /// both sides want that: then `sdp` is the answer, or the offer if the INVITE had none, and the
  /// response waits until the one before it is acknowledged. Otherwise it is a preview of the
  /// answer. WrongState if an offer is due in it (see `progress_needs_sdp`) or impossible.
  Result<void> progress(int code, const std::string& sdp, TimePoint now);
  Result<void> ring(TimePoint now) { return progress(180, {}, now); }
  /// Would a provisional response be reliable (without SDP, with SDP)?
  bool progress_is_reliable(bool with_sdp) const;
  /// The INVITE had no offer and demands reliable responses: the first must bring ours (RFC 3261
  /// §13.2.1).
  bool progress_needs_sdp() const;
  /// 200 with the answer, or with the offer if the INVITE had none. If reliable responses and PRACK
  /// have completed the exchange already (`agreed_early`), `sdp` is left out. The 200 waits while a
  /// reliable response with SDP has no PRACK.
  Result<void> accept(std::string sdp, TimePoint now);
  /// Not answered yet, but an offer and its answer have been exchanged for good.
  bool agreed_early() const;
  /// A final failure response, 300–699.
  Result<void> reject(int code, TimePoint now);
  /// Does this INVITE, without a To-tag, belong to the same request as ours that came over another
  /// branch (RFC 3261 §8.2.2.2)? The owner answers 482, or lets it join.
  bool is_merged(const wire::Message& invite) const;
  /// Recovery: the ringing call goes on with this re-forked INVITE; the old one gets a 487.
  Result<void> join(const RequestArrived& event, TimePoint now);

  // --- either ---

  /// Ends the call with what its state asks for: CANCEL, 603, BYE. After a 2xx without ACK the BYE
  /// waits for the ACK or its timeout (RFC 3261 §15). Ended follows, at the latest 64*T1 later.
  void end(TimePoint now);
  /// Our BYE goes where nobody answers: another one over this flow takes its place. False: no BYE
  /// of ours is on its way.
  bool repeat_bye(const Flow& flow, TimePoint now);
  /// Ends the session here and now: there is no way to reach the peer. Its own open requests get a
  /// final response, should there be one after all; nothing else is sent.
  void give_up(std::string reason, TimePoint now);

  /// Answer to the peer's offer of a re-INVITE, an UPDATE, a PRACK, a 2xx or a reliable 18x; or the
  /// offer that an offerless re-INVITE asks for. `early_tag` is OfferReceived's remote_tag.
  Result<void> answer_offer(std::string sdp, TimePoint now, const std::string& early_tag = {});
  /// Refuses the peer's re-INVITE or UPDATE (488 …); what was agreed holds. An offer in a 2xx
  /// cannot be refused: end the call.
  Result<void> reject_offer(int code, TimePoint now);
  /// Answers an InDialogRequest.
  Result<void> respond(ServerTransactionId transaction, int code, TimePoint now);
  /// The same with further headers; a 2xx to REFER or NOTIFY gives our Contact and takes the
  /// peer's.
  Result<void> respond(ServerTransactionId transaction, int code, wire::DraftHeaders extra,
                       TimePoint now);
  /// A request within the confirmed dialog that is not the session's own business (MESSAGE, INFO,
  /// OPTIONS, REFER, NOTIFY). RequestAnswered follows. Digest challenges are answered; nothing else
  /// is repeated: what is pending on a flow that dies is reported, for it may have arrived. Busy
  /// with kMaxOwnRequests unanswered, WrongState without a confirmed dialog.
  Result<void> send_request(OwnRequest request, TimePoint now);

  /// An UPDATE without an offer, beside whatever is pending: the peer's requests go to our Contact
  /// of now from then on. RequestAnswered follows, as for `send_request`, whose limits hold.
  Result<void> tell_target(std::uint32_t token, TimePoint now);
  /// From now on requests go to this URI, as if the peer had given it as its Contact.
  Result<void> set_target(const std::string& uri);

  /// WrongState if an own refresh is pending, if an offer is wanted while an exchange is open
  /// (RFC 3264 §4, RFC 3311 §5.1), or a re-INVITE while the peer's is unanswered.
  Result<void> refresh(RefreshRequest request, TimePoint now);
  /// The same as a question.
  Result<void> can_refresh(wire::Method method, bool with_offer) const;

  // --- recovery ---

  /// From now on requests, and responses in flight, use this flow and Contact. Sends nothing but
  /// what the transaction layer had held back.
  void move_flow(const Flow& flow, const std::string& contact);
  /// Our pending re-INVITE, UPDATE or first INVITE is on a dead flow: detaches it, so that none of
  /// its timers and responses reaches the dialog any more; sends CANCEL for an INVITE over the
  /// session's flow with the frozen Via; and, if the INVITE had an offer, starts the blind ACK for
  /// each dialog that may have been answered. The offer is then in doubt, and a new refresh is
  /// possible. Call move_flow first. Nothing pending: no effect. Works, too, after the refresh has
  /// failed by timeout or transport, until the next one. A PRACK without its answer goes out again
  /// as a new transaction.
  ///
  /// With the first INVITE the session goes to Terminating for 64*T1, in which CancelAnswered and
  /// perhaps LateAnswer come: an early dialog may have been answered without our knowing. `adopt`
  /// makes it the call; `end` sends BYE to each; so does the end of that time.
  void abandon_pending(TimePoint now);
  /// After the first INVITE was abandoned: goes on with this early dialog as if it had been
  /// answered. A refresh, due now, tells whether it was; a 481 to that says that it was not.
  Result<void> adopt(const std::string& remote_tag, TimePoint now);
  /// The last ACK to a 2xx again, with its body, over the session's flow, by the schedule of
  /// AckSender, if it was first sent less than 64*T1 ago.
  void resend_ack(TimePoint now);
  /// A reliable provisional response without PRACK again, over the session's flow and with its
  /// Contact; the peer takes note of it only if the earlier ones were lost. As its PRACK may have
  /// gone to where we were, neither the 2xx nor the call depends on it any more, unless it brought
  /// our offer: the 2xx repeats the answer, which a peer that has it ignores.
  void resend_reliable(TimePoint now);
  /// While held, a session timer that runs out does not end the session. Letting go after that ends
  /// it at once; a refresh with a 2xx starts the timer anew.
  void hold_expiry(bool hold, TimePoint now);
  /// While held, a missing ACK does not end the session: the 2xx is retransmitted on. Letting go
  /// after the deadline has passed ends it at once.
  void hold_ack_timeout(bool hold, TimePoint now);
  /// Whether a 401 or 407 to this session's requests is answered with our credentials; yes unless
  /// told otherwise. A peer that is reached without our server is a stranger: what the digest tells
  /// it can be searched for the password, or be passed on to the server that the nonce came from.
  void answer_challenges(bool answer) { answers_challenges_ = answer; }
  /// Proof other than an ACK that the peer has our 2xx (authenticated media): counts as the ACK.
  void confirm_without_ack(TimePoint now);

  // --- inputs ---

  void on_response(const ResponseArrived& event, TimePoint now);
  void on_detached_answer(const DetachedAnswerArrived& event, TimePoint now);
  void on_client_failed(const ClientFailed& event, TimePoint now);
  /// A request within one of the session's dialogs.
  void on_request(const RequestArrived& event, TimePoint now);
  void on_ack(const AckArrived& event, TimePoint now);
  void on_cancel(const CancelArrived& event, TimePoint now);
  void on_server_failed(const ServerFailed& event, TimePoint now);
  void on_timer(std::uint32_t kind, TimePoint now);

  // --- outputs ---

  std::optional<SessionEvent> poll_event();

  SessionState state() const;
  /// The dialog of the call: the confirmed one, or as callee the early one; nullptr before. While
  /// several forks ring there is none; see `early_dialogs`.
  const Dialog* dialog() const { return dialog_ ? &*dialog_ : nullptr; }
  std::vector<const Dialog*> early_dialogs() const;
  const OfferAnswer& offer_answer() const { return offer_answer_; }
  /// Of ours; without its final answer.
  bool refresh_pending() const { return local_refresh_.has_value(); }
  /// The peer's re-INVITE or UPDATE waits for answer_offer or reject_offer.
  bool peer_request_pending() const { return peer_request_.has_value(); }
  /// What has been agreed on (RFC 4028); nullopt: no session timer.
  const std::optional<SessionTimer>& session_timer() const { return session_timer_; }
  /// A PRACK of ours has no final answer.
  bool prack_pending() const { return !pracks_.empty(); }
  /// A reliable provisional response of ours has no PRACK.
  bool awaits_prack() const { return unpracked_.has_value(); }
  /// A 2xx brought an offer that waits for answer_offer.
  bool owes_ack() const { return owed_ack_.has_value(); }
  bool awaits_ack() const { return unacked_.has_value(); }
  /// A 2xx was ACKed less than 64*T1 ago, so the ACK may have been lost on a dead flow.
  bool ack_is_fresh(TimePoint now) const;
  const Flow& flow() const { return flow_; }
  const std::string& contact() const { return contact_; }
  /// The URI that in-dialog requests go to (first route, else remote target). If its host is an
  /// address literal of the flow's family, they go there; else to the flow's remote endpoint, which
  /// its owner keeps right by set_remote. Empty without a dialog.
  std::string next_hop() const;
  void set_remote(const Endpoint& remote) { flow_.remote = remote; }
  /// Does a request of the peer's that we have in hand belong to that transaction?
  bool owns(ServerTransactionId transaction) const;

  /// Early dialogs of one INVITE, and forks that answered too late; more are ignored.
  static constexpr std::size_t kMaxForks = 8;
  /// How long an INVITE whose flow died waits for abandon_pending before the session ends: longer
  /// than an address change takes to be noticed and settled.
  static constexpr Duration kTransportGrace = std::chrono::seconds(2);
  /// InDialogRequests without an answer; more are answered 503.
  static constexpr std::size_t kMaxOpenRequests = 8;
  /// PRACKs without an answer; a reliable response beyond them is dropped and will come again.
  static constexpr std::size_t kMaxPracks = 16;
  /// 422s in a row that are answered with a longer session interval.
  static constexpr int kMaxIntervalRaises = 3;
  /// Provisional responses that wait for the PRACK of the one before; further ones replace the
  /// last.
  static constexpr std::size_t kMaxQueuedProgress = 4;
  /// Requests of send_request without an answer.
  static constexpr std::size_t kMaxOwnRequests = 8;

 private:
  /// The peer's request that waits for the owner.
  struct PeerRequest {
    ServerTransactionId transaction;
    MessagePtr request;
    Flow flow;              ///< Where our response goes.
    std::string fork = {};  ///< Remote tag of the early dialog of our INVITE that it came in.
  };

  struct Idle {};
  /// Our INVITE has no final response yet; `provisional` tells Calling from Proceeding.
  struct Outgoing {
    ClientTransactionId transaction;
    InviteRequest request;
    DigestAttempt attempt;
    std::vector<AuthorizationHeader> credentials;
    bool provisional = false;
  };
  struct Incoming {
    PeerRequest invite;
  };
  struct Answering {};
  struct Confirmed {};
  /// Waits for the INVITE's final response after a CANCEL, or for the BYE's answer; with neither,
  /// for the ACK before the BYE may leave, or for what becomes of an abandoned INVITE.
  struct Terminating {
    ClientTransactionId invite;
    ClientTransactionId bye;
    DigestAttempt attempt;
    sip::Ended outcome;
    bool released = false;  ///< An abandoned INVITE that the owner does not want to adopt.
  };
  struct Finished {};
  using State = std::variant<Idle, Outgoing, Incoming, Answering, Confirmed, Terminating, Finished>;

  struct Fork {
    Dialog dialog;
    std::string preview;                      ///< SDP of its provisional responses, the last one.
    OfferAnswer offer_answer;                 ///< Each early dialog has its own (RFC 6337 §3.1).
    std::optional<std::uint32_t> rseq;        ///< Of its last reliable response.
    std::optional<std::uint32_t> owed_prack;  ///< Its offer waits for our answer, in the PRACK.
  };
  /// A PRACK of ours without a final answer.
  struct Prack {
    ClientTransactionId transaction;
    std::string remote_tag;
    std::uint32_t rseq = 0;
    std::string sdp;
    DigestAttempt attempt;
  };
  struct QueuedProgress {
    int code = 0;
    std::string sdp;
  };
  /// A reliable provisional response of ours without PRACK.
  struct Unpracked {
    std::uint32_t rseq = 0;
    QueuedProgress response;
    bool carries_offer = false;
    /// We have moved since it left first: its PRACK may have gone to where we were.
    bool moved = false;
    Duration interval{};
    TimerId retransmit;
    TimerId deadline;
  };
  /// Our re-INVITE or UPDATE.
  struct LocalRefresh {
    ClientTransactionId transaction;
    RefreshRequest request;
    std::uint32_t cseq = 0;
    DigestAttempt attempt;
    std::vector<AuthorizationHeader> credentials;
  };
  /// A 2xx brought an offer; the ACK waits for our answer.
  struct OwedAck {
    std::uint32_t invite_cseq = 0;
    std::vector<AuthorizationHeader> credentials;
  };
  /// An INVITE that ended without our learning its outcome: failed by timeout or transport, or
  /// abandoned.
  struct Unknown {
    ClientTransactionId invite;
    ClientTransactionId cancel;
    std::uint32_t cseq = 0;
    std::vector<AuthorizationHeader> credentials;
    bool had_offer = false;
    bool initial = false;
  };
  /// A 2xx of ours to an INVITE, without ACK.
  struct Unacked {
    ServerTransactionId transaction;
    std::uint32_t cseq = 0;
    Duration interval{};
    TimerId retransmit;
    TimerId deadline;
    bool overdue = false;
    bool carries_offer = false;
    std::optional<Transmit> response;  ///< For when the transaction is gone.
  };
  /// A BYE to a fork that has answered too late.
  struct ForkBye {
    ClientTransactionId transaction;
    Dialog dialog;
    DigestAttempt attempt;
  };
  enum class Timer : std::uint32_t {
    Retransmit2xx = 1,
    AckDeadline,
    Acks,
    Limit,
    RetransmitReliable,
    PrackDeadline,
    SessionRefresh,
    SessionExpiry,
  };
  /// One of send_request.
  struct LocalRequest {
    OwnRequest request;
    ClientTransactionId transaction;
    std::uint32_t cseq = 0;
    DigestAttempt attempt;
  };

  // The state; invite_session.cpp
  void enter(State next, const char* cause);
  void emit(SessionEvent event) { events_.push_back(std::move(event)); }
  /// The one way into Finished: nothing of the session is left in the layers below.
  void finish(sip::Ended outcome, const char* cause, TimePoint now);
  TimerId schedule(Timer kind, TimePoint at);
  void on_limit(TimePoint now);
  void drop_limit();
  bool is_over() const;
  void target_may_have_moved(bool moved);
  /// After a 401 or 407: is it worth sending the request again?
  bool has_new_credentials(const ResponseArrived& event, DigestAttempt& attempt);

  // Messages; session_messages.cpp
  wire::RequestDraft draft_invite(const InviteRequest& request) const;
  wire::RequestDraft draft_refresh(const RefreshRequest& request);
  void add_identity(wire::DraftHeaders& headers, wire::HeaderId software) const;
  wire::ResponseDraft draft_response(const wire::Message& request, const Flow& flow, int code,
                                     const std::string& sdp) const;
  /// Adds credentials, and tells which in `credentials` unless that is nullptr.
  Result<ClientTransactionId> send(wire::RequestDraft draft, DigestAttempt& attempt,
                                   std::vector<AuthorizationHeader>* credentials, TimePoint now);
  Result<void> answer(const PeerRequest& to, int code, const std::string& sdp, TimePoint now);
  void refuse(const RequestArrived& event, int code, wire::DraftHeaders extra, TimePoint now);
  /// 420 and 415 where they are due, with the headers that say why; nullopt: acceptable.
  std::optional<std::pair<int, wire::DraftHeaders>> objection(const wire::Message& request) const;
  std::string contact_value() const { return "<" + contact_ + ">"; }

  // Calling; session_uac.cpp
  Result<void> send_invite(Outgoing outgoing, TimePoint now);
  void on_invite_response(const ResponseArrived& event, TimePoint now);
  void on_provisional(const wire::Message& response, TimePoint now);
  void on_answered(const ResponseArrived& event, TimePoint now);
  void on_further_answer(const wire::Message& response, TimePoint now);
  void release_fork(const wire::Message& response, TimePoint now);
  void send_fork_bye(ForkBye bye, TimePoint now);
  bool on_fork_bye_answered(const ResponseArrived& event, TimePoint now);
  Result<Dialog> take_dialog(const wire::Message& response, std::string& preview);
  void take_answer(std::string sdp, bool offered, OwedAck ack, TimePoint now);
  void drop_forks(TimePoint now);

  // Reliable provisional responses; session_reliable.cpp
  Fork* find_fork(std::string_view remote_tag);
  /// False: a copy, out of order, or more than can be acknowledged; not to be looked at.
  bool take_reliable(Fork& fork, const wire::Message& response, std::string& sdp, TimePoint now);
  void send_prack(const std::string& remote_tag, std::uint32_t rseq, std::string sdp, TimePoint now,
                  DigestAttempt attempt = {});
  bool on_prack_response(const ResponseArrived& event, TimePoint now);
  void repeat_pracks(TimePoint now);
  Dialog* dialog_of_tag(std::string_view remote_tag);
  Result<void> send_reliable(QueuedProgress response, TimePoint now);
  void transmit_reliable(TimePoint now);
  void retransmit_reliable(TimePoint now);
  void on_prack_deadline(TimePoint now);
  void on_peer_prack(const RequestArrived& event, TimePoint now);
  void after_prack(TimePoint now);
  /// RFC 3262 §3: after a final response only its PRACK is still waited for.
  void stop_reliable();
  void drop_unpracked();

  // Being called; session_uas.cpp
  Result<void> send_accept(std::string sdp, TimePoint now);
  void await_ack(const PeerRequest& invite, bool carries_offer, TimePoint now);
  void acknowledged(const wire::Message* ack, TimePoint now);
  void drop_unacked();
  void retransmit_2xx(TimePoint now);
  void on_ack_deadline(TimePoint now);
  void end_without_ack(TimePoint now);

  // Our refreshes; session_refresh.cpp
  Result<void> send_refresh(LocalRefresh refresh, TimePoint now);
  void on_refresh_response(const ResponseArrived& event, TimePoint now);
  void on_refresh_answered(const wire::Message& response, TimePoint now);
  void fail_refresh(RefreshFailure failure, int status, std::string reason,
                    std::optional<Duration> retry_after);
  Duration glare_wait();

  // The peer's requests; session_peer.cpp
  Dialog* find_dialog(const DialogId& id);
  OfferAnswer& exchange_in(const Dialog& dialog);
  void on_peer_invite(const RequestArrived& event, Dialog& dialog, TimePoint now);
  void on_peer_update(const RequestArrived& event, Dialog& dialog, TimePoint now);
  void on_peer_bye(const RequestArrived& event, Dialog& dialog, TimePoint now);
  void take_offer(const RequestArrived& event, Dialog& dialog, OfferVia via, TimePoint now);
  void refuse_for_now(const RequestArrived& event, TimePoint now);
  void close_peer_request(int code, TimePoint now);

  // Its owner's requests within the dialog; session_requests.cpp
  Result<void> send_own(LocalRequest local, TimePoint now);
  LocalRequest* find_own(ClientTransactionId transaction);
  void close_own(ClientTransactionId transaction, RequestAnswered answered);
  /// False: the response, or the failure, belongs to another request.
  bool on_own_response(const ResponseArrived& event, TimePoint now);
  bool on_own_failed(const ClientFailed& event);
  void drop_own_requests(TimePoint now);
  // Session timer; session_refresh_timer.cpp
  void start_session_timer(std::optional<SessionTimer> timer, TimePoint now);
  void stop_session_timer();
  void on_session_expiry(TimePoint now);
  /// After a 422: is it worth asking again, for more?
  bool raise_interval(const wire::Message& response);
  std::optional<SessionTimer> timer_for(const wire::Message& request) const;

  // Ending; session_end.cpp
  void send_bye(sip::Ended outcome, TimePoint now, DigestAttempt attempt = {});
  void on_terminating_response(const ResponseArrived& event, TimePoint now);

  // Recovery; session_recovery.cpp
  Flow reply_flow(const Flow& arrived) const;
  /// BYE to each early dialog of an abandoned INVITE, for it may have been answered.
  void release_forks(TimePoint now);
  void cancel_unknown(TimePoint now);
  void confirm_adopted(Dialog dialog, const char* cause, TimePoint now);
  void on_cancel_answered(const wire::Message& response);

  UsageContext context_;
  Owner owner_;
  SessionConfig config_;
  DigestClient& digest_;

  State state_;
  std::deque<SessionEvent> events_;
  Dialog::Seed seed_;
  std::string target_;
  Flow flow_;
  std::string contact_;
  TransactionTimers timers_;
  std::optional<Dialog> dialog_;
  OfferAnswer offer_answer_;
  std::vector<Fork> forks_;
  std::vector<std::string> lost_forks_;  ///< Tags of those that answered too late.
  std::vector<ForkBye> fork_byes_;
  AckSender acks_;
  std::optional<LocalRefresh> local_refresh_;
  std::optional<OwedAck> owed_ack_;
  std::optional<Unknown> unknown_;
  std::optional<PeerRequest> peer_request_;
  std::optional<Unacked> unacked_;
  std::vector<PeerRequest> open_requests_;
  std::vector<Prack> pracks_;
  std::optional<Unpracked> unpracked_;
  std::deque<QueuedProgress> queued_progress_;
  std::optional<std::string> held_accept_;  ///< SDP of a 200 that waits for a PRACK.
  std::uint32_t last_rseq_ = 0;             ///< Of our own; 0: none yet.
  std::optional<SessionTimer> session_timer_;
  TimerId refresh_due_;
  TimerId session_end_;
  std::chrono::seconds asked_interval_{};
  int interval_raises_ = 0;
  bool hold_expiry_ = false;
  bool expiry_overdue_ = false;
  MessagePtr first_invite_;  ///< The peer's, for is_merged.
  std::vector<LocalRequest> own_requests_;
  TimerId limit_;
  bool hold_ack_timeout_ = false;
  bool answers_challenges_ = true;
};

}  // namespace godwit::sip
