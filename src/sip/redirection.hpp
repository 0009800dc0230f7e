// SPDX-License-Identifier: Apache-2.0
//
// Where to try next after 3xx answers to an INVITE (RFC 3261 §8.1.3.4):
// the target set, ordered by q, with what was tried already left out. A value; sends nothing. The
// number of redirections followed and of targets tried is bounded, for a chain or a fan of them may
// be endless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/sip/message.hpp"

namespace godwit::sip {

struct RedirectTarget {
  std::string uri;
  std::uint16_t q = 1000;  ///< In thousandths.

  friend bool operator==(const RedirectTarget&, const RedirectTarget&) = default;
};

/// The SIP and SIPS URIs of a response's Contacts, the best first; equals as they stand. Headers
/// within a URI ("?…") are left out: what a stranger puts there is not ours to send. At most
/// Redirection::kMaxTargets.
std::vector<RedirectTarget> redirect_targets(const wire::Message& response);

class Redirection {
 public:
  static constexpr std::size_t kMaxHops = 5;
  static constexpr std::size_t kMaxTargets = 10;

  /// `first` is what was called before any redirection.
  explicit Redirection(std::string first);

  /// Takes in the Contacts of one 3xx; false if no further redirection is followed.
  bool add(const std::vector<RedirectTarget>& targets);
  /// The next URI to try, which then counts as tried; nullopt: none is left.
  std::optional<std::string> next();
  bool has_next() const { return !open_.empty(); }

 private:
  std::vector<std::string> known_;    ///< Every URI that ever was in the set.
  std::vector<RedirectTarget> open_;  ///< Not tried yet, best first.
  std::size_t hops_ = 0;
};

}  // namespace godwit::sip
