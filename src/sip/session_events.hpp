// SPDX-License-Identifier: Apache-2.0
//
// What an InviteSession tells its owner, as one variant, pulled in order. Values only; none of them
// asks for an immediate reaction except where a comment names the operation that is due.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "godwit/header.hpp"
#include "godwit/strong_id.hpp"
#include "godwit/time.hpp"
#include "sip/dialog.hpp"
#include "sip/redirection.hpp"
#include "sip/transaction.hpp"
#include "wire/sip/method.hpp"

namespace godwit::sip {

/// Requests (and ACKs) with this id belong to the session from now on. Comes before any other event
/// of that dialog.
struct DialogAdded {
  DialogId id;
};
struct DialogRemoved {
  DialogId id;
};

/// A 101–199 to our INVITE. With several forks ringing, each tells of its own.
struct Progress {
  int code = 0;
  std::string reason;
  std::string remote_tag;  ///< Empty: the response began no dialog.
  /// Not empty: the fork's answer (early media). In a reliable response (RFC 3262) it is final;
  /// else a preview, which becomes the answer only with the 2xx, and that may bring another one.
  std::string sdp;
};

/// The first 2xx to our INVITE. AnswerReceived or, without an offer of ours, OfferReceived follows,
/// unless the early dialog has agreed on everything already, by reliable responses, PRACK, UPDATE:
/// then what held in that early dialog is the session.
struct Answered {
  std::string remote_tag;
  bool agreed_early = false;
};

/// A further fork appeared (`answered` false), or answered too late and was sent ACK and BYE.
struct Forked {
  DialogId id;
  bool answered = false;
};

enum class OfferVia : std::uint8_t { Invite, ReInvite, Update, AnswerTo2xx, Reliable18x, Prack };

/// The peer offers. Due: accept (Invite) or answer_offer, else reject or reject_offer. AnswerTo2xx:
/// a 2xx to our INVITE without an offer brought it; our answer leaves in the ACK, so be quick.
/// Reliable18x: the same in an early dialog; our answer leaves in the PRACK.
struct OfferReceived {
  OfferVia via = OfferVia::Invite;
  std::string sdp;
  /// Of the early dialog of our INVITE that it came in; empty: the call's own dialog.
  std::string remote_tag = {};
};
/// The peer's INVITE brings no offer; ours is due in the 2xx: accept (Invite) or answer_offer.
struct OfferRequested {
  OfferVia via = OfferVia::Invite;
};
/// The answer to our offer: the exchange is committed.
struct AnswerReceived {
  std::string sdp;
};
/// An answer was due and did not come (a 2xx or ACK without a body); the exchange is rolled back.
struct AnswerMissing {};

/// The peer took back (CANCEL) the offer, or the request for one, that waited for answer_offer.
struct OfferWithdrawn {};

/// Our 2xx to the peer's INVITE or re-INVITE is acknowledged.
struct AckReceived {};
/// 64*T1 have passed without it. The session ends by itself (RFC 3261 §13.3.1.4), unless the owner
/// holds it with hold_ack_timeout.
struct AckMissing {};

struct RefreshDone {
  wire::Method method = wire::Method::Invite;
  int status = 200;
  Generation generation;
};

enum class RefreshFailure : std::uint8_t { Rejected, Timeout, Transport };

struct RefreshFailed {
  wire::Method method = wire::Method::Invite;
  RefreshFailure failure = RefreshFailure::Rejected;
  int status = 0;  ///< 408 for a timeout, 503 for a dead flow, as RFC 3261 §8.1.3.1 has it.
  std::string reason;
  /// The earliest sensible time of another try: Retry-After, or for 491 the random wait of RFC 3261
  /// §14.1. Whether there is one is the owner's decision.
  std::optional<Duration> retry_after;
  /// It carried an offer and was rejected: what was agreed before holds. After a timeout or a
  /// transport failure the offer is in doubt instead (OfferAnswer::in_doubt).
  bool offer_rolled_back = false;
  Generation generation;
};

/// The answer to the CANCEL that abandon_pending sent, or 408/503 where there was none: 200 says
/// that the peer's side of the abandoned INVITE has ended, 481 that it knows nothing of it.
struct CancelAnswered {
  int status = 0;
};
/// A 2xx came to an INVITE that was abandoned. A re-INVITE's was ACKed and changes nothing. The
/// first INVITE's: the peer has a call, which was sent ACK; it is the owner's to adopt (by refresh)
/// or end.
struct LateAnswer {
  bool initial = false;
  std::string sdp;
};

/// The peer's Contact is another one now: the next request goes there (see next_hop).
struct PeerMoved {
  std::string remote_target;
};

/// A request within the dialog that is not the session's own business (OPTIONS, INFO, MESSAGE, …),
/// in sequence, and without an answer so far. Due: respond.
struct InDialogRequest {
  ServerTransactionId transaction;
  MessagePtr request;
};

/// A reliable provisional response of ours is acknowledged: the caller is where it said.
struct PrackReceived {};

/// How a request of InviteSession::send_request ended.
struct RequestAnswered {
  std::uint32_t token = 0;
  wire::Method method = wire::Method::Info;
  int status = 0;  ///< 408 a timeout, 503 a dead flow (RFC 3261 §8.1.3.1), 487 the call is over.
  std::string reason;
  bool in_doubt = false;  ///< No answer came; the peer may have got it all the same.
  MessagePtr response;    ///< nullptr if there was none.
  bool flow_died = false;
  std::uint32_t cseq = 0;  ///< Of the request that was answered.
};

/// Half the session interval is over, and we are the one who refreshes (RFC 4028). Due: refresh.
struct RefreshDue {};

/// A 3xx answered our INVITE; Ended follows. Where else the callee may be found, the best first.
struct Redirected {
  int status = 0;
  std::vector<RedirectTarget> targets;
};

/// The caller gave up before we answered; Ended follows.
struct Cancelled {};

enum class EndedBy : std::uint8_t { Local, Peer, Network };
const char* to_string(EndedBy by);

/// The last event. The session may be destroyed.
struct Ended {
  int status = 0;      ///< Final status of the INVITE, or 0.
  std::string reason;  ///< A sentence.
  EndedBy by = EndedBy::Local;
  /// RFC 3326: of the peer's BYE or CANCEL.
  std::optional<ReasonHeader> cause = std::nullopt;
  int answer = 0;  ///< To our BYE, or of the INVITE that we have cancelled; 0: none came.
};

using SessionEvent =
    std::variant<DialogAdded, DialogRemoved, Progress, Answered, Forked, OfferReceived,
                 OfferRequested, OfferWithdrawn, AnswerReceived, AnswerMissing, AckReceived,
                 AckMissing, RefreshDone, RefreshFailed, CancelAnswered, LateAnswer, PeerMoved,
                 InDialogRequest, RequestAnswered, Cancelled, Ended, PrackReceived, RefreshDue,
                 Redirected>;

}  // namespace godwit::sip
