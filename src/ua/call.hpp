// SPDX-License-Identifier: Apache-2.0
//
// One call: its SIP session, the media it has agreed on and the paths that the media may take, and
// what the application wants of it. Holds state and writes SDP; the core moves it along (it routes
// the events and emits the outputs). Owned by the core.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "godwit/config.hpp"
#include "godwit/event.hpp"
#include "mobility/path_health.hpp"
#include "mobility/plan.hpp"
#include "sip/invite_session.hpp"
#include "sip/redirection.hpp"
#include "ua/locator.hpp"
#include "ua/media_description.hpp"
#include "ua/race.hpp"
#include "ua/streams.hpp"

namespace godwit::ua {

/// A socket pair of the media engine as the core knows it.
struct MediaPath {
  media::PathId id;
  mobility::Path path;
  Generation generation;
  std::optional<Endpoint> rtp;  ///< Empty until the driver has opened it.
  std::uint16_t rtcp_port = 0;
  bool failed = false;
  /// How the world sees these sockets (core_nat.cpp).
  struct Mapping {
    bool asked = false;
    bool waits = false;                   ///< The first offer waits for it …
    std::optional<TimePoint> wait_until;  ///< … until then, once the sockets are open.
    std::optional<Endpoint> rtp;
    TimePoint learned_at{};  ///< When `rtp` became known.
    std::optional<std::uint16_t> rtcp_port;
    bool symmetric = false;  ///< The NAT shows another one to each remote; was told.
    bool disproved = false;  ///< Nobody was heard there; our own address is told instead.
    bool doubted = false;    ///< Has once been told so without the usual rest.
  };
  Mapping mapping;

  /// What SDP says of this path: where the world sees it, else where it is.
  Endpoint told_rtp() const;
  std::uint16_t told_rtcp_port() const;
};

/// A second dialog with the peer that is to replace the first (RFC 3891), see core_replaces.cpp.
struct Substitute {
  std::uint32_t number = 0;
  std::unique_ptr<sip::InviteSession> session;
  SessionOrigin origin;
  wire::SessionDescription offer;
  media::PathId offered_path;
  std::string why;  ///< What is wrong with the first, as the beginning of a sentence.
};

/// Why a target refresh is wanted; several reasons make one refresh.
struct RefreshWish {
  bool hold_changed = false;
  bool recovery = false;
  bool flow_lost = false;  ///< The address stays; the flow or what a NAT made of it does not.
  bool timer = false;      ///< The session timer asks for it (RFC 4028).
  bool by_hand = false;    ///< The application does; see Call::by_hand.
  bool family = false;     ///< The media are to take another address family.
  bool mapping = false;    ///< A NAT shows our RTP elsewhere than we have told.
  bool any() const {
    return hold_changed || recovery || flow_lost || timer || by_hand || family || mapping;
  }
  void add(const RefreshWish& other) {
    hold_changed = hold_changed || other.hold_changed;
    recovery = recovery || other.recovery;
    flow_lost = flow_lost || other.flow_lost;
    timer = timer || other.timer;
    by_hand = by_hand || other.by_hand;
    family = family || other.family;
    mapping = mapping || other.mapping;
  }
};

/// What the next refresh is.
struct RefreshShape {
  wire::Method method = wire::Method::Invite;  ///< Or Update.
  bool offer = true;
  bool contact = true;  ///< Off: the one that the peer knows.
};

/// A refresh that the application has asked for.
struct ByHandRefresh {
  RequestId request;
  CallRefresh what;
  /// An UPDATE without an offer, which goes beside whatever is pending …
  bool alone = false;
  bool sent = false;  ///< … and has left.
};

/// Digits of one command, on their way one by one.
struct DtmfRow {
  RequestId request;
  std::string digits;
  std::size_t sent = 0;  ///< Answered with 2xx, or sent in RTP.
  DtmfMethod method = DtmfMethod::Auto;
};

/// We have asked the peer to call somebody else.
struct OutgoingTransfer {
  RequestId request;
  std::string refer_to;
  std::uint32_t cseq = 0;  ///< Of the REFER that was accepted; 0: not known yet.
  bool accepted = false;
  bool repeated = false;   ///< After its flow died; once.
  bool to_repeat = false;  ///< As soon as the peer knows our new place.
  TimerId limit;
};

/// The peer has asked us to call somebody else.
struct IncomingTransfer {
  std::string refer_to;  ///< As it came, by which a repetition is known.
  std::string target;
  std::string replaces;
  std::string referred_by;
  std::uint32_t cseq = 0;  ///< Names the implicit subscription.
  bool notify = true;
  bool accepted = false;
  CallId new_call;
  int status = 100;  ///< As last told …
  int to_tell = 0;   ///< … and as is to be told next; 0: nothing.
  TimerId limit;
};

/// What a call is that was placed because a peer asked for it; empty: by our user's own wish.
struct TransferOrigin {
  CallId by;  ///< The call whose peer asked.
  std::string replaces;
  std::string referred_by;
};

struct Call {
  CallId id;
  AccountId account;
  AccountId way;  ///< The flow of `account` that its requests take: that itself, or a further one.
  bool outgoing = false;
  std::string target;  ///< Outgoing: the Request-URI.
  /// Straight to the callee's host, not to the account's server.
  std::optional<Endpoint> first_hop;
  sip::Transport transport = sip::Transport::Udp;  ///< To `first_hop` …
  std::string tls_name;                            ///< … and its host, with TLS.
  std::vector<sip::Target> targets;    ///< What the first hop's name stands for, the best first.
  std::optional<LocationId> location;  ///< Being looked up.
  std::optional<Race> race;            ///< While one of several connections is to open.
  int servers_tried = 0;               ///< That did not take our INVITE.
  /// A refresh that the dialog's next hop, a name, has not answered; another of the places that the
  /// name stands for is looked up.
  struct Reroute {
    RefreshWish wish;
    sip::RefreshFailed failed;
  };
  std::optional<Reroute> reroute;
  /// Where the dialog's requests go after a change of the address family, until the session is on
  /// that flow.
  std::optional<Hop> moved_hop;
  /// … and that is no part of the dialog's route: only a new dialog can lead over it.
  bool detour = false;
  /// What the name of the dialog's next hop stands for now; asked for when its family was lost.
  std::vector<sip::Target> hop_targets;
  /// An offer was refused with 488, or answered in a family that cannot be used, and another is, or
  /// was, made: once for each session, and once for each change.
  bool offered_differently = false;
  /// Our offers say no more than they must: one codec, nothing besides.
  bool plain_offers = false;
  /// The peer's offer waits for a media path of its family.
  std::optional<sip::OfferReceived> waiting_offer;
  /// Nothing could be sent to the peer's address since then, for it is of another family than any
  /// path of ours; its answer brings one.
  std::optional<TimePoint> media_dead_since;
  /// The other place, while a connection to it is opened, and what it is for.
  std::optional<Hop> next_server;
  std::optional<Reroute> reroute_tried;
  /// Names the session in owners and dialogs: a call may have two at a time (see `former`).
  std::uint32_t session_number = 0;
  std::unique_ptr<sip::InviteSession> session;
  /// The INVITE that was on its way when the address changed: cancelled, and kept until that is
  /// over, while `session` calls anew.
  std::uint32_t former_number = 0;
  std::unique_ptr<sip::InviteSession> former;
  bool former_to_cancel = false;  ///< As soon as there is a flow.
  bool former_cancelled = false;
  /// Was `former` answered after all? It is asked by a re-INVITE; `restart_at` limits the wait.
  enum class Adoption : std::uint8_t { None, Wanted, Asked, Refused };
  Adoption adoption = Adoption::None;
  SessionOrigin former_origin;
  std::optional<wire::SessionDescription> former_sent;
  std::optional<wire::SessionDescription> adoption_offer;
  std::string adoption_answer;
  std::optional<TimePoint>
      restart_at;              ///< The new INVITE leaves then, or when the CANCEL is answered.
  bool start_retried = false;  ///< A socket for the first INVITE was refused once.
  bool called_again =
      false;  ///< The one retry after a busy that our own first call may have caused.
  CallOptions options;
  std::optional<ReasonHeader> reason_to_give;  ///< In our BYE or CANCEL.
  std::optional<ReasonHeader> end_cause;       ///< That the peer gave.
  CallState state = CallState::Calling;
  bool announced = false;     ///< IncomingCall or Calling was told to the application.
  bool started = false;       ///< Outgoing: the INVITE has left.
  bool answering = false;     ///< The application has answered; waits for its media path.
  bool ending = false;        ///< Hang-up was asked for or decided …
  std::string end_reason;     ///< … and why, for the Ended event.
  bool suspended = false;     ///< No path; waits for one until the recovery deadline.
  std::string peer_offer;     ///< The offer of the INVITE, until it is answered.
  bool offer_wanted = false;  ///< The INVITE came without an offer: ours goes in the 2xx.
  /// The provisional response with early media that is wanted; waits for its media path.
  std::optional<int> progress_wanted;
  /// The path that an answer in an unreliable provisional response told of.
  std::optional<media::PathId> early_path;
  /// What each early dialog of our INVITE has agreed on or previewed, by its remote tag.
  std::map<std::string, AgreedAudio> early_agreed;
  // 3xx.
  std::optional<sip::Redirection> redirection;
  bool choice_wanted = false;  ///< The application is to say whether it is followed.
  int choice_status = 0;
  TimerId choice_limit;
  bool early_update = false;  ///< An UPDATE that only moves the target is on its way.

  // Signalling path.
  std::optional<mobility::Path> path;
  std::optional<mobility::Path> left_path;  ///< Before the last move.
  /// Set by a recovery until the session has been moved to `path`.
  bool move_pending = false;
  Generation generation;

  // Media.
  std::uint32_t last_media_path = 0;
  std::optional<MediaPath> media;       ///< What SDP says now.
  std::optional<MediaPath> next_media;  ///< What the next offer will say.
  SessionOrigin origin;
  std::optional<wire::SessionDescription> sent;  ///< Our last description.
  std::optional<wire::SessionDescription> open_offer;
  /// The path that `open_offer` offers.
  std::optional<media::PathId> offered_path;
  /// The path that the engine was last told to send from.
  std::optional<media::PathId> aimed_from;
  std::optional<AgreedAudio> agreed;
  bool hold_wanted = false;
  bool muted = false;
  /// An ACK or audio has come: whoever called is where it said. Without that our answer, and the
  /// audio behind it, may go to somebody who never asked.
  bool peer_proven = false;
  bool quiet = false;  ///< No audio leaves until then.

  // Refresh.
  RefreshWish wish;
  std::optional<TimePoint> refresh_not_before;
  bool refresh_in_flight = false;
  /// The wishes that the refresh in flight carries.
  RefreshWish in_flight;
  int refusals = 0;         ///< In a row …
  TimePoint refused_since;  ///< … and when the first of them came.
  /// The peer refused to move here while the old path lived: not asked again before a change that
  /// leaves no choice.
  std::optional<mobility::Path> refused_path;
  bool repaired = false;  ///< The one repair offer of this generation has been made.
  bool wait_for_registration = false;
  TimerId deadline;  ///< While suspended.
  /// Since when a recovery has tried to reach its peer from `path`; while `move_pending`.
  std::optional<TimePoint> moving_since;

  std::optional<OutgoingTransfer> transfer;
  std::optional<IncomingTransfer> transfer_request;
  bool transferred = false;  ///< By our wish, with success: to be ended.
  int told_transfer = 0;     ///< The final state told last, for the case that it was lost.
  std::uint32_t told_transfer_cseq = 0;
  std::optional<Generation> told_again;  ///< A transfer's state, for its flow had died.
  /// OPTIONS of ours that were repeated for the same reason, by their tokens.
  std::set<std::uint64_t> asked_again;
  TransferOrigin ordered;  ///< Of a call that a transfer made us place.
  /// By a redirection or a transfer: not our user, but somebody else has said whom to call.
  bool aimed_by_peer = false;
  CallId replaces;     ///< Whose place this incoming call takes.
  CallId replaced_by;  ///< The other way round: to be ended.
  /// From when silence of the peer counts; empty until its audio is first expected.
  std::optional<TimePoint> silent_from;
  /// RFC 5630: made to, or by, a sips URI. Our Contact is one too, and nothing leaves without TLS.
  bool secure = false;
  std::deque<DtmfRow> dtmf;  ///< Rows of digits, the first one on its way.
  bool dtmf_in_flight = false;
  std::optional<Substitute> substitute;
  bool substitute_tried = false;  ///< In this generation.
  bool refresh_given_up = false;  ///< Only the substitute can save the call.
  bool update_refused = false;    ///< By a peer that listed it in Allow; re-INVITE does as well.
  std::optional<ByHandRefresh> by_hand;
  RefreshShape shape;                      ///< Of the refresh in flight.
  std::optional<std::string> end_on_path;  ///< To be ended, with that reason, once it has moved.
  TimerId holds;  ///< Until then a missing ACK or session refresh ends nothing.
  /// The flow of its signalling was lost then; it is told to the peer once there is another one.
  std::optional<TimePoint> flow_lost_at;
  std::optional<TimePoint> flow_told_at;     ///< When that was last done.
  std::optional<TimePoint> mapping_told_at;  ///< When an offer last went out for that alone.
  bool tells_caller = false;  ///< Ringing here: the caller is told as soon as it has moved.
  bool heard = false;         ///< Audio of the peer's has ever come.
  /// Since when none comes although it should, and in which generation that began.
  std::optional<TimePoint> silent_since;
  Generation silent_in;
  mobility::GapMemory gaps;
  TimerId silence;        ///< Looks at it again.
  TimerId mapping_doubt;  ///< Silent for so long, it may be what a NAT shows of us.

  /// `contact` without the user's name, if that is to be hidden.
  std::string hidden(std::string contact) const;
  /// What our side wants of the audio, given hold on either side.
  MediaDirection wanted_direction() const;
  /// The next offer: the first one of the session, or the last description from where we are now.
  wire::SessionDescription next_offer(const MediaConfig& config, const MediaPath& from);
  /// What an answer of ours builds on.
  LocalAudio local_audio(const MediaConfig& config, const MediaPath& from) const;
  bool expects_audio() const { return agreed && receives(agreed->direction); }
  /// RFC 5761.
  bool shares_rtcp_port() const { return agreed && agreed->remote_rtcp == agreed->remote_rtp; }
};

}  // namespace godwit::ua
