// SPDX-License-Identifier: Apache-2.0
//
// A dialog (RFC 3261 §12) as a value: what identifies it, where its next request goes and which
// numbers that request gets. Owned by a usage. It sends nothing, knows neither flows nor time, and
// does not decide whether a message is acceptable beyond its place in the sequence.
//
// Pinned for the whole life of a dialog, address changes included: Call-ID, tags, route set. Only
// ever rising: the local CSeq, which nothing rolls back, for a peer may have seen the request whose
// outcome we do not know.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "godwit/result.hpp"
#include "wire/sip/builder.hpp"
#include "wire/sip/message.hpp"
#include "wire/sip/method.hpp"

namespace godwit::sip {

/// From our point of view, whoever began the dialog.
struct DialogId {
  std::string call_id;
  std::string local_tag;
  std::string remote_tag;

  friend bool operator==(const DialogId&, const DialogId&) = default;
};

/// The dialog that a request from the peer, or an ACK, belongs to; without a To-tag: none.
std::optional<DialogId> dialog_id_of_request(const wire::Message& request);

/// The routes kept in one dialog; more are refused, for each request carries them all.
inline constexpr std::size_t kMaxRoutes = 32;

struct Dialog {
  enum class Role : std::uint8_t { Uac, Uas };  ///< Of the request that made it.
  enum class Phase : std::uint8_t { Early, Confirmed };

  /// What we put into the request that makes the dialog, before there is one.
  struct Seed {
    std::string call_id;
    std::string local_tag;
    std::string local_party;   ///< As From without its tag: `"Alice" <sip:alice@example.org>`.
    std::string remote_party;  ///< As To: `<sip:bob@example.org>`.
    std::uint32_t cseq = 0;
    bool secure = false;  ///< Sent to a SIPS URI over TLS (§12.1.2).
  };

  DialogId id;
  Role role = Role::Uac;
  Phase phase = Phase::Early;
  std::string local_party;
  std::string remote_party;
  std::string remote_target;           ///< A URI: the peer's Contact.
  std::string local_contact;           ///< The Contact value that we gave last; kept for the owner.
  std::vector<std::string> route_set;  ///< In the order of Route, each as "<sip:…;lr>".
  std::uint32_t local_cseq = 0;        ///< Of the last request we made.
  std::optional<std::uint32_t> remote_cseq;  ///< Of the peer's last request; empty: none yet.
  bool secure = false;
  std::optional<wire::MethodSet> peer_allow;  ///< Empty: the peer has not said.
  std::vector<std::string> peer_supported;    ///< Option tags, as written.

  /// RFC 3261 §12.1.2, from a 101 to 299 with a To-tag. The phase follows the status. Malformed
  /// without a tag, a usable Contact (a provisional response may lack it: then the target is
  /// `request_uri` until a better one comes) or with too many routes.
  static Result<Dialog> as_uac(const Seed& seed, std::string_view request_uri,
                               const wire::Message& response);
  /// RFC 3261 §12.1.1, from a request that makes a dialog; the phase is Early.
  static Result<Dialog> as_uas(const wire::Message& request, std::string local_tag);

  /// A request within the dialog with the next CSeq: Request-URI and Route as §12.2.1.1 says, also
  /// for a strict router in front. Via and Contact are left to the transaction layer. Not for ACK
  /// and CANCEL.
  wire::RequestDraft make_request(wire::Method method);
  /// The ACK to a 2xx to the INVITE with that CSeq number (RFC 3261 §13.2.2.4).
  wire::RequestDraft make_ack(std::uint32_t invite_cseq) const;
  /// The URI that the next request is sent to: the first route, else the remote target.
  std::string_view next_hop() const;

  enum class Order : std::uint8_t { Next, OutOfOrder };
  /// RFC 3261 §12.2.2: OutOfOrder is due a 500. Takes note of the number if it is Next. Not for ACK
  /// and CANCEL, which carry the number of their INVITE.
  Order check_request_cseq(std::uint32_t cseq);

  /// A 2xx to our target refresh, or the peer's accepted target refresh: takes over Contact. Learns
  /// Allow and Supported too. True if the remote target is now another one.
  bool refresh_target(const wire::Message& message);
  /// Takes over Allow and Supported if the message has them.
  void learn_capabilities(const wire::Message& message);
  /// A 2xx (re)computes the route set of an early dialog from UAC side (RFC 3261 §13.2.2.4), and
  /// confirms it. True if the remote target is now another one.
  bool confirm(const wire::Message& response);

  /// The peer listed `method` in Allow; not having said counts as no.
  bool peer_allows(wire::Method method) const { return peer_allow && peer_allow->contains(method); }
  bool peer_supports(std::string_view option_tag) const;
};

}  // namespace godwit::sip

template <>
struct std::hash<godwit::sip::DialogId> {
  std::size_t operator()(const godwit::sip::DialogId& id) const noexcept {
    const std::hash<std::string> text;
    // Our own tag is random and alone nearly decides; the others tell apart forks and hostile
    // twins.
    return (text(id.local_tag) * 31U + text(id.remote_tag)) * 31U + text(id.call_id);
  }
};
