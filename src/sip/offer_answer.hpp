// SPDX-License-Identifier: Apache-2.0
//
// The offer/answer state of one dialog (RFC 3264, RFC 6337) as a transaction: what is agreed now,
// and what is proposed. A proposal ends in a commit (answered), a roll back (rejected) or in doubt
// (its outcome can no longer be learned, because the transaction was abandoned on a dead flow).
// A copyable value, owned by the session; each early dialog of a forked INVITE has its own. It
// neither reads nor writes SDP, but for the version number in o=: the bodies are opaque.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "godwit/result.hpp"

namespace godwit::sip {

class OfferAnswer {
 public:
  enum class Side : std::uint8_t { Local, Remote };

  /// The bodies of the last completed exchange; which of them was the offer does not matter later.
  struct Agreed {
    std::string local;
    std::string remote;
  };
  struct Pending {
    Side offerer;
    std::string offer;
  };

  /// RFC 3264 §4: no new offer while one is unanswered, in either direction.
  bool can_offer() const { return !pending_; }
  bool must_answer() const { return pending_ && pending_->offerer == Side::Remote; }
  bool awaits_answer() const { return pending_ && pending_->offerer == Side::Local; }

  const std::optional<Agreed>& current() const { return current_; }
  const std::optional<Pending>& pending() const { return pending_; }
  /// A local offer whose outcome is unknown: the peer may send by it as well as by `current()`. Set
  /// by `abandon`, cleared by the next commit in either direction.
  const std::optional<std::string>& in_doubt() const { return in_doubt_; }

  /// Our offer leaves (again): WrongState if an exchange is open.
  Result<void> offer(std::string sdp);
  /// The peer's offer arrived: WrongState if an exchange is open.
  Result<void> offer_received(std::string sdp);
  /// Our answer leaves: commits. WrongState without an offer of the peer's.
  Result<void> answer(std::string sdp);
  /// The peer's answer arrived: commits. WrongState without an offer of ours.
  Result<void> answer_received(std::string sdp);
  /// The open exchange failed: `current` holds, as RFC 3261 §14.1 wants. Nothing open: no effect.
  void roll_back();
  /// Our open offer's outcome will not be learned; what was agreed stays, the offer is in doubt.
  /// Also counts as rolled back: a new offer is possible.
  void abandon();

  /// The version for the next o= line: RFC 3264 §8 wants exactly one more than the last one *sent*,
  /// so it is counted from what left, and never goes back, whatever became of that body. The first
  /// one is `first_version`.
  std::uint64_t next_version() const { return last_sent_version_ + 1; }
  static constexpr std::uint64_t kFirstVersion = 1;
  /// Takes note of a body that leaves by another way than `offer` and `answer` (a preview of the
  /// answer in an unreliable 18x), so that versions stay right.
  void note_sent(std::string_view sdp);
  /// The other's bodies carry the same o= line: its versions count here too.
  void continue_versions(const OfferAnswer& other);

 private:
  std::optional<Agreed> current_;
  std::optional<Pending> pending_;
  std::optional<std::string> in_doubt_;
  std::uint64_t last_sent_version_ = kFirstVersion - 1;
};

/// The session version of the body's o= line (RFC 8866 §5.2); nullopt if there is none in range.
std::optional<std::uint64_t> origin_version(std::string_view sdp);

}  // namespace godwit::sip
